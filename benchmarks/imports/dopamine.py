"""Results of Dopamine: the JSON files of its published baselines, and TensorBoard events.

Facts from google/dopamine 5873f54. baselines/atari/data/GAME.json is a list of {"Iteration", "Value", "Agent"}: the
mean return of the training episodes of an iteration. A row does not say its seed; within an agent and an iteration the
runs come in one order throughout, so the k-th value is of run k (followed this way, the curves of a file are
continuous; shuffled, they jump). An iteration is 250,000 agent steps of 4 frames, numbered from 0, so iteration k
ends at (k + 1) x 1M frames. The baselines are configured with sticky actions 0.25 and epsilon 0.01, and end an
episode with the game or after 27,000 agent steps (baselines/atari/README.md, */configs/*.gin). The files *_CNN and
*_Impala are of 2024, when the emulator itself was told another cap: theirs is left open.

TensorBoard (discrete_domains/run_experiment.py): ``Train/AverageReturns``, the same mean, at the iteration as step; a
Runner that evaluates adds ``Eval/AverageReturns``. Returns are raw and of whole games. Epsilon, stickiness and cap are
of gin files, which are not in the log.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.curves import POINT_FRAMES, Curves, Measurement, averaged
from benchmarks.imports.declared import ENDING, FILE, Declared, read_json
from benchmarks.imports.events import Log
from benchmarks.imports.naming import named
from benchmarks.imports.runs import MOST_POINTS, Run, point_curves
from benchmarks.imports.tables import MOST
from benchmarks.suites import game_named
from dqn_ref.config import UserError

TRAINING = "Train/AverageReturns"
EVALUATION = "Eval/AverageReturns"
KEYS = ("Agent", "Iteration", "Value")
VARIANTS = ("_CNN", "_Impala")
OTHER_GAMES = ("airraid", "carnival", "elevatoraction", "journeyescape", "pooyan")  # beyond the 57


# ---------------------------------------------------------------------- published JSON


def is_baseline(path: Path) -> bool:
    """Whether ``path`` begins as a file of the baselines does."""
    if path.suffix != ".json" or path.name == FILE or path.name.endswith(ENDING):
        return False
    try:
        with path.open("rb") as file:
            start = file.read(1_000).decode("utf-8-sig", errors="replace")
    except OSError:
        return False
    return start.lstrip().startswith("[") and all(f'"{key}"' in start for key in KEYS)


def read_baselines(paths: Sequence[Path], name: str | None, named_after: str, declared: Declared) -> Curves:
    """Curves of one agent: at each iteration the mean of its last five.

    Args:
        paths: a file a game, named after it.
        name: of the curves; one that is an agent's chooses that agent.
        named_after: the name where none is given.
        declared: its ``agent`` chooses among several.

    Raises:
        UserError: a broken file, several agents and none chosen, or a game twice. Games beyond the 57, and iterations
            of which a run's value is missing, are left out with a warning.
    """
    declared.check(("agent",), "Dopamine's baselines")
    others = [path for path in paths if _game(path) in OTHER_GAMES]
    if others:
        names = ", ".join(path.name for path in others)
        warnings.warn(f"Left out, because they are not among the 57 games: {names}.", stacklevel=2)
    of_game = {path: (game_named(_game(path)), _by_agent(path)) for path in sorted(set(paths) - set(others))}
    agents = sorted({agent for _, by_agent in of_game.values() for agent in by_agent})
    agent = _chosen(agents, name, declared)
    runs = [run for path, (game, by_agent) in of_game.items() for run in _runs(path, game, by_agent.get(agent, []))]
    return point_curves(name or declared.name or f"{named_after} {agent}", runs, declared)


def _game(path: Path) -> str:
    name = path.stem
    for variant in VARIANTS:
        name = name.removesuffix(variant)
    return name


def _chosen(agents: Sequence[str], name: str | None, declared: Declared) -> str:
    wanted = declared.agent or (name if name in agents else None) or (agents[0] if len(agents) == 1 else None)
    if wanted is None or wanted not in agents:
        raise UserError(
            f"No agent is chosen, or none is called {wanted!r}; there are {', '.join(agents) or 'none'}. Give one of "
            f'them as the name, or say "agent" in {declared.path}.'
        )
    return wanted


def _by_agent(path: Path) -> dict[str, list[Any]]:
    """Rows of each agent as (iteration, value), in the file's order."""
    content = read_json(path)
    found: dict[str, list[Any]] = {}
    for number, row in enumerate(content if isinstance(content, list) else [None]):
        fields: dict[str, Any] = row if isinstance(row, dict) else {}
        agent, iteration, value = (fields.get(key) for key in KEYS)
        if not (
            isinstance(agent, str) and agent.isprintable()
            and type(iteration) is int and 0 <= iteration < MOST_POINTS
            and isinstance(value, int | float) and value is not True and abs(value) <= MOST
        ):  # fmt: skip
            raise UserError(
                f'{path}, row {number}: expected {{"Agent": text, "Iteration": whole number, "Value": number}}, '
                f"got {str(row)[:80]}."
            )
        found.setdefault(agent, []).append((iteration, value))
    return found


def _runs(path: Path, game: str, its_rows: Sequence[tuple[int, float]]) -> list[Run]:
    by_iteration: dict[int, list[float]] = {}
    for iteration, value in its_rows:
        by_iteration.setdefault(iteration, []).append(value)
    count = max((len(values) for values in by_iteration.values()), default=0)
    if odd := [iteration for iteration, values in by_iteration.items() if len(values) < count]:
        # a row does not say which run it is of, so of these no value has an owner
        warnings.warn(f"{path}: not all of the {count} runs have iterations {odd}, which are left out.", stacklevel=2)
    variant = path.stem.endswith(VARIANTS)
    measured = Measurement("training", 0.01, 0.25, None if variant else 108_000, False)
    return [
        _run(
            game, seed, path, {k: by_iteration[k][seed] for k in by_iteration.keys() - set(odd)}, POINT_FRAMES, measured
        )
        for seed in range(count)
    ]


# ---------------------------------------------------------------------- TensorBoard


def read_events(root: Path, logs: Sequence[Log], name: str, declared: Declared) -> Curves:
    """Curves of training returns, or of EVALUATION if declared: at each iteration the mean of its last five.

    Raises:
        UserError: a run that nothing names, that lacks the tag, or whose steps are no iterations.
    """
    declared.check(("tag", "frames_per_step", "runs"), "Dopamine's TensorBoard logs")
    tag, runs = declared.tag or TRAINING, []
    per_iteration = declared.frames_per_step or POINT_FRAMES
    for log in logs:
        who = named(root, log.folder, declared)
        if tag not in log.scalars:
            raise UserError(f'{log.folder} has no {tag}. Say "tag": "{EVALUATION}" in {declared.path} to read that.')
        steps, returns = log.scalars[tag]
        values = dict(zip(map(int, steps), map(float, returns), strict=True))  # the newest, where a step is there twice
        if not all(0 <= k < MOST_POINTS and abs(value) <= MOST for k, value in values.items()):
            raise UserError(f"{log.folder}: {tag} must be a finite number at each iteration, numbered from 0.")
        measured = Measurement("training" if tag == TRAINING else "evaluation", life_loss_ends_episode=False)
        runs.append(_run(who.game, who.seed, log.folder, values, per_iteration, measured))
    return point_curves(name, runs, declared)


def _run(
    game: str, seed: int, place: Path, values: Mapping[int, float], per_iteration: int, measured: Measurement
) -> Run:
    points = np.full(max(values) + 1, np.nan)
    points[list(values)] = list(values.values())
    frames = per_iteration * np.arange(1, len(points) + 1, dtype=np.int64)
    known = np.isfinite(points)
    return Run(game, seed, place, frames[known], averaged(points)[known], measured)
