"""From the runs of a source to its Curves: one axis for all of them, NaN where a run has nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.curves import POINT_FRAMES, Curves, Measurement, averaged, point_frames, training_points
from benchmarks.imports.declared import Declared
from benchmarks.imports.tables import MOST
from dqn_ref.config import UserError

# A log ends with its last entry, not with its last frame. A point counts as reached if the log goes into its last
# tenth; of 1M frames that is about one episode of the usual 108,000.
SLACK = 10
MOST_POINTS = 100_000  # a longer axis, of 100 billion frames and more, is a mistake


@dataclass(frozen=True)
class Run:
    """One run as its log has it."""

    game: str
    seed: int
    place: Path  # its file or folder, for messages
    frames: NDArray[np.int64]  # [N], ascending
    values: NDArray[np.float64]  # [N], returns of episodes, or scores
    measured: Measurement = field(default_factory=Measurement)
    end: int = 0  # frames that the log covers
    total: int | None = None  # frames that the run was meant to last, if its log says so

    def __post_init__(self) -> None:
        if not (np.abs(self.values) <= MOST).all():  # NaN fails too
            raise UserError(f"{self.place} holds a score that is no finite number. Mend it, or move the run away.")
        if (np.diff(self.frames) < 0).any():
            place = int(np.flatnonzero(np.diff(self.frames) < 0)[0])
            raise UserError(
                f"{self.place}: frames go back from {self.frames[place]:,} to {self.frames[place + 1]:,}. If two runs "
                "are in it, give each a folder of its own; if one run was resumed, keep the log of one attempt."
            )


Scores = Callable[[Run, int, int], NDArray[np.float64]]  # run, frames of a point, points -> scores [points]


def episode_scores(run: Run, total: int, points: int) -> NDArray[np.float64]:
    """Scores of a log of single training episodes: means by point, then over the last five points."""
    return averaged(training_points(run.frames, run.values, total)[1][:points])


def newest_scores(run: Run, total: int, points: int) -> NDArray[np.float64]:
    """Scores of a log whose values are means over episodes already: the newest value in each point, as it is."""
    span = point_frames(total)
    ends = span * np.arange(1, points + 1, dtype=np.int64)
    newest = np.searchsorted(run.frames, ends, side="right") - 1
    inside = (newest >= 0) & (run.frames[newest] > ends - span)
    return np.where(inside, run.values[newest], np.nan)


def gridded_curves(name: str, runs: Sequence[Run], scores: Scores, declared: Declared) -> Curves:
    """Curves on points of 1M frames, or of a tenth of the longest run if that is shorter.

    A point that a run did not train to its end is NaN for that run.

    Raises:
        UserError: a run twice, runs measured differently, or no run that reaches a point.
    """
    check_once(runs)
    end = max(run.end for run in runs)
    total = declared.total_frames or max(run.total or _rounded(run.end) for run in runs)
    span = point_frames(total)
    points = [min(total // span, (run.end + span // SLACK) // span) for run in runs]
    most = max(points)
    if not 0 < most <= MOST_POINTS:
        raise UserError(
            f"{name}: its longest run has {end:,} frames, which makes {most:,} points of {span:,}; expected 1 to "
            f"{MOST_POINTS:,}. Does the log count frames in another way?"
        )
    raw: dict[str, dict[int, NDArray[np.float64]]] = {}
    for run, reached in zip(runs, points, strict=True):
        values = np.full(most, np.nan)
        values[:reached] = scores(run, total, reached)
        raw.setdefault(run.game, {})[run.seed] = values
    axis = span * np.arange(1, most + 1, dtype=np.int64)
    return Curves(name, measured_alike(runs, declared), axis, raw)


def point_curves(name: str, runs: Sequence[Run], declared: Declared) -> Curves:
    """Curves of runs whose values are scores as they are, each at its own numbers of frames.

    Raises:
        UserError: a run twice, or runs measured differently.
    """
    check_once(runs)
    axis = np.unique(np.concatenate([run.frames for run in runs]))
    raw: dict[str, dict[int, NDArray[np.float64]]] = {}
    for run in runs:
        values = np.full(len(axis), np.nan)
        values[np.searchsorted(axis, run.frames)] = run.values
        raw.setdefault(run.game, {})[run.seed] = values
    return Curves(name, measured_alike(runs, declared), axis, raw)


def check_once(runs: Sequence[Run]) -> None:
    """Raise UserError if two runs are of the same game and seed; names both."""
    places: dict[tuple[str, int], Path] = {}
    for run in runs:
        if first := places.get((run.game, run.seed)):
            raise UserError(
                f"{run.game} seed {run.seed} is there twice: {first} and {run.place}. A seed counts once: move one "
                "away, or name them so that their seeds differ."
            )
        places[run.game, run.seed] = run.place


def measured_alike(runs: Sequence[Run], declared: Declared) -> Measurement:
    """How all of ``runs`` were measured; what one of them leaves open is open.

    Raises:
        UserError: two runs contradict one another, and the declaration does not decide.
    """
    found: dict[str, object] = {}
    for name in (each.name for each in fields(Measurement) if each.name not in declared.measured):
        values = {getattr(run.measured, name): run.place for run in runs}  # value -> a run that has it
        if len(values.keys() - {None}) > 1:
            (one, first), (other, second) = [item for item in values.items() if item[0] is not None][:2]
            raise UserError(
                f"Runs of one source must be measured alike: {name} is {one} in {first} and {other} in {second}. "
                f"Give them a folder each, or declare {name} in {declared.path}."
            )
        found[name] = None if None in values else next(iter(values))
    return declared.over(Measurement(**found))  # type: ignore[arg-type]


def in_frames(steps: NDArray[Any], per_step: int, place: Path) -> NDArray[np.int64]:
    """Frames [N] of the log's ``steps`` [N]. Raises UserError: below 0, or beyond all measure."""
    if len(steps) and not 0 <= int(steps.min()) * per_step <= int(steps.max()) * per_step <= MOST:
        raise UserError(f"{place}: steps from {steps.min()} to {steps.max()} are no training of an agent.")
    return per_step * steps.astype(np.int64)


def _rounded(end: int) -> int:
    """Length of a run whose log does not say it: up to where the log goes, or the million that it nearly reaches."""
    return max(end, (end + POINT_FRAMES // SLACK) // POINT_FRAMES * POINT_FRAMES)
