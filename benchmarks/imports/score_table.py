"""A table of scores: columns game, seed, frames, score; a row is the score of a run at a budget, taken as it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.curves import Curves
from benchmarks.imports.declared import Declared
from benchmarks.imports.runs import Run, point_curves
from benchmarks.imports.tables import number, rows, whole
from benchmarks.suites import game_named

COLUMNS = ("game", "seed", "frames", "score")


def read(path: Path, name: str, declared: Declared) -> Curves:
    """Curves of the table at ``path``; how it was measured is known only as far as it is declared.

    Raises:
        UserError: a column is missing, a field is no number, or a row is there twice; with the line.
    """
    declared.check((), "a table of scores")
    scores: dict[tuple[str, int], dict[int, float]] = {}
    lines: dict[tuple[str, int, int], int] = {}
    for row in rows(path, COLUMNS):
        game, seed = row.parsed("game", game_named), row.parsed("seed", whole)
        frames, score = row.parsed("frames", whole), row.parsed("score", number)
        first = lines.setdefault((game, seed, frames), row.line)
        if first != row.line:
            raise row.error(f"{game} seed {seed} at {frames:,} frames is there already, in line {first}")
        scores.setdefault((game, seed), {})[frames] = score
    runs = [Run(game, seed, path / f"{game}-s{seed}", *_sorted(of_run)) for (game, seed), of_run in scores.items()]
    return point_curves(name, runs, declared)


def _sorted(scores: dict[int, float]) -> tuple[np.ndarray, np.ndarray]:
    frames = sorted(scores)
    return np.array(frames, np.int64), np.array([scores[each] for each in frames])
