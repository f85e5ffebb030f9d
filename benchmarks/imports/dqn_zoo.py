"""Results of DQN Zoo: results.csv of one run, or the table of all runs of an agent from its results.tar.gz.

Facts from google-deepmind/dqn_zoo 45061f4, dqn_zoo/*/run_atari.py, parts.py, gym_atari.py and README: a row is an
iteration; ``frame`` is the training done, in emulator frames; evaluation and training returns are sums of raw rewards
over whole games (a life lost only zeroes the discount); the emulator is registered without sticky actions. Cap and
exploration of an evaluation are flags of the command line: the log does not hold them. Of the published tables, which
are named after the agent and have a column environment_name, the README says that they were made with the defaults.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.curves import Curves, Measurement, averaged
from benchmarks.imports.declared import Declared
from benchmarks.imports.naming import check_declared_runs, named
from benchmarks.imports.runs import Run, point_curves
from benchmarks.imports.tables import Row, columns, number, rows, whole
from benchmarks.suites import game_named

COLUMNS = ("iteration", "frame", "eval_episode_return")
TABLE_COLUMNS = ("environment_name", "seed")  # of the published ones besides
MEASURED = Measurement(returns="evaluation", sticky_action_probability=0.0, life_loss_ends_episode=False)
DEFAULT_MAX_FRAMES = 108_000
DEFAULT_EVALUATION_EPSILON = {
    "dqn": 0.05, "double_q": 0.01, "prioritized": 0.01, "c51": 0.001, "qrdqn": 0.001, "iqn": 0.001, "rainbow": 0.0,
}  # fmt: skip


def is_results(path: Path) -> bool:
    """Whether the header at ``path`` is DQN Zoo's."""
    return set(COLUMNS) <= set(columns(path))


def read(root: Path, paths: Sequence[Path], name: str, declared: Declared) -> Curves:
    """Curves of evaluation returns: at each iteration the mean of its last five, iteration 0 (untrained) apart.

    Raises:
        UserError: a broken row, a run twice, or one whose game or seed nothing says.
    """
    declared.check(("runs",), "DQN Zoo's results")
    tables = [path for path in paths if set(TABLE_COLUMNS) <= set(columns(path))]
    # results.csv is named by its folder, breakout-1.csv by itself
    own = [path for path in paths if path not in tables]
    single = {path.parent if path.stem == "results" else path.with_suffix(""): path for path in own}
    check_declared_runs(root, single, declared)
    runs = [run for path in tables for run in _table(path)]
    for folder, path in single.items():
        who = named(root, folder, declared)
        runs.append(_run(who.game, who.seed, path, rows(path, COLUMNS), MEASURED))
    return point_curves(name, runs, declared)


def _table(path: Path) -> list[Run]:
    """Runs of a published table, or of one of its form."""
    measured = MEASURED
    if path.stem in DEFAULT_EVALUATION_EPSILON:
        epsilon = DEFAULT_EVALUATION_EPSILON[path.stem]
        measured = Measurement("evaluation", epsilon, 0.0, DEFAULT_MAX_FRAMES, False)
    of_run: dict[tuple[str, int], list[Row]] = {}
    for row in rows(path, (*COLUMNS, *TABLE_COLUMNS)):
        of_run.setdefault((row.parsed("environment_name", game_named), row.parsed("seed", whole)), []).append(row)
    return [_run(game, seed, path / f"{game}-s{seed}", some, measured) for (game, seed), some in of_run.items()]


def _run(game: str, seed: int, place: Path, its_rows: Sequence[Row], measured: Measurement) -> Run:
    returns: dict[int, float] = {}
    lines: dict[int, int] = {}
    for row in its_rows:
        frames = row.parsed("frame", whole)
        if first := lines.get(frames):
            raise row.error(f"frame {frames:,} of {game} seed {seed} is there already, in line {first}")
        lines[frames] = row.line
        returns[frames] = row.parsed("eval_episode_return", _number_or_nan)
    frames_done = np.array(sorted(returns), np.int64)
    points = np.array([returns[each] for each in sorted(returns)])
    trained = frames_done > 0
    scores = np.concatenate([points[~trained], averaged(points[trained])])
    known = np.isfinite(scores)
    return Run(game, seed, place, frames_done[known], scores[known], measured)


def _number_or_nan(text: str) -> float:
    return math.nan if text == "nan" else number(text)  # written where an iteration had no frames
