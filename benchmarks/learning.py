"""Long runs that are kept, beside what was published of a DQN that is evaluated in the same way, frame by frame."""

from __future__ import annotations

from math import comb
from statistics import fmean, median

import numpy as np
from numpy.typing import NDArray

from benchmarks.costs import format_seconds
from benchmarks.curves import Curves
from benchmarks.markdown import table
from benchmarks.plots.words import revisions
from benchmarks.reference import human_and_random
from benchmarks.scores import iteration_scores
from benchmarks.sources import ORIGINS, published, run_curves, run_folders
from benchmarks.store import Store
from dqn_ref.config import UserError, format_frames
from dqn_ref.provenance import machine_words
from dqn_ref.records import RunRecord

PUBLISHED = "nnabla-rl-dqn"
# Of the paper's settings and ours; seen in its dqn_reproduction.py, and in what that calls, at the revision published.
DIFFERS = (
    "its weights begin larger (normal with variance 2 / inputs of a unit, biases 0; the released code's, and ours, "
    "uniform with variance 1 / (3 inputs)), and an evaluation lasts 125,000 agent steps"
)
HEADER = ("game", "frames", "this DQN", PUBLISHED, "random play", "human")


def markdown(store: Store) -> str:
    """A table and what it stands on, for each group of runs. Raises UserError: none is kept, or one is not finished."""
    groups = [group for group in sorted((store.root / "learning").glob("*/")) if run_folders(group)]
    if not groups:
        raise UserError(f"{store.root / 'learning'} holds no runs.")
    return "\n".join(_of_group([RunRecord.read(folder) for folder in run_folders(group)]) for group in groups)


def _of_group(records: list[RunRecord]) -> str:
    ours, theirs = run_curves("this DQN", records, iterations=True)[0], published(PUBLISHED)
    anchors, rows, least = human_and_random(), list[tuple[str, ...]](), list[float]()
    for game in (game for game in ours.games if game in theirs.games):
        for frames in sorted(set(ours.budgets([game])) & set(theirs.budgets([game]))):
            sides = [at(curves, game, frames) for curves in (ours, theirs)]
            least.append(2 / comb(sum(map(len, sides)), len(sides[0])))
            ends = f"{anchors[game].random:,.1f}", f"{anchors[game].human:,.1f}"
            rows.append((game, format_frames(frames), *map(_words, sides), *ends))
    config, first = records[0].config, records[0].run["provenance"]
    seconds = [record.seconds for record in records]
    differences = "; ".join(ours.measured.differences(theirs.measured)) or "none is known"
    words = [
        f"Protocol {records[0].protocol} in {config.precision}, stopped at {format_frames(config.total_frames)} "
        f"frames. Made on {machine_words(first['machine'])}, {first['torch']['threads']} thread(s) a run, "
        f"{format_seconds(median(seconds))} a run (median), {revisions(records)}.",
        "A score is the mean of the evaluations after each million frames until then, of the last five at most, each "
        f"of {config.evaluation_episodes} episodes with epsilon {config.evaluation_epsilon:g}; in brackets the lowest "
        "and highest seed.",
        *(f"The evaluations of {record.folder.name}: {_evaluations(record)}." for record in records),
        f"{PUBLISHED}: {ORIGINS[PUBLISHED]}, the paper's settings, except that {DIFFERS}. Not measured alike, as far "
        f"as known: {differences}.",
        "So few seeds cannot show a difference: the smallest p that a permutation test could give here is "
        f"{min(least, default=1):.2g}.",
    ]
    return "\n".join([table(HEADER, rows, HEADER[:1]), *(f"- {line}" for line in words), ""])


def _evaluations(record: RunRecord) -> str:
    scores = sorted(iteration_scores(record).items())
    return ", ".join(f"{score:,.1f} after {format_frames(frames)}" for frames, score in scores)


def at(curves: Curves, game: str, frames: int) -> NDArray[np.float64]:
    """Raw scores [seeds] of ``game`` at ``frames``."""
    place = int(np.flatnonzero(curves.frames == frames)[0])
    return np.array([values[place] for values in curves.raw[game].values()])


def _words(scores: NDArray[np.float64]) -> str:
    seeds = f"{len(scores)} seed{'s'[: len(scores) > 1]}"
    return f"{fmean(scores.tolist()):,.1f} ({seeds}, {scores.min():,.1f} to {scores.max():,.1f})"
