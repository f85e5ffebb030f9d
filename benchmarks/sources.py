"""Where scores come from, by one word: a published source, a stored baseline, a folder of runs, or somebody's file."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks import baselines
from benchmarks.curves import Curves, Measurement
from benchmarks.imports.detect import read_scores
from benchmarks.reference import nature_scores, published_points
from benchmarks.scores import evaluation_curves, iteration_curves, training_curves
from benchmarks.store import Store
from dqn_ref.config import UserError
from dqn_ref.records import RunRecord

NATURE_2015 = "nature-2015"
NNABLA = "nnabla-rl-dqn"
DOPAMINE = ("dopamine-dqn-rmsprop-2018", "dopamine-dqn-adam-mse-2021")  # the older one has the paper's optimiser
_DOPAMINE = Measurement(
    returns="training",
    epsilon=0.01,
    sticky_action_probability=0.25,
    max_frames=108_000,
    life_loss_ends_episode=False,
    best_network=False,
    averaged=True,
)
# data/SOURCES.md
PUBLISHED = {
    **dict.fromkeys(DOPAMINE, _DOPAMINE),
    NNABLA: Measurement(
        returns="evaluation",
        epsilon=0.05,
        sticky_action_probability=0.0,
        life_loss_ends_episode=False,
        best_network=False,
        averaged=True,
    ),
    NATURE_2015: Measurement(
        returns="evaluation",
        epsilon=0.05,
        sticky_action_probability=0.0,
        max_frames=18_000,
        life_loss_ends_episode=False,
        best_network=True,
        averaged=False,
    ),
}

# The same, to be named on a drawing.
ORIGINS = {
    **dict.fromkeys(DOPAMINE, "google/dopamine 5873f54"),
    NNABLA: "sony/nnabla-rl d6c9999",
    NATURE_2015: "Mnih et al. 2015, Extended Data Table 2",
}


@functools.cache
def published(name: str) -> Curves:
    """Scores of a published DQN. The paper's own have one run a game.

    Raises:
        UserError: not a published source, with the known names.
    """
    if name not in PUBLISHED:
        raise UserError(f"No published scores are called {name!r}; known are: {', '.join(PUBLISHED)}.")
    if name == NATURE_2015:
        raw = {game: {0: np.array([score])} for game, score in nature_scores().items()}
        return Curves(name, PUBLISHED[name], np.array([200_000_000]), raw)
    points = published_points()[name]
    frames = sorted({budget for seeds in points.values() for scores in seeds.values() for budget in scores})
    curves = {
        game: {seed: np.array([scores.get(budget, np.nan) for budget in frames]) for seed, scores in seeds.items()}
        for game, seeds in points.items()
    }
    return Curves(name, PUBLISHED[name], np.array(frames), curves)


# ---------------------------------------------------------------------- by one word


def find_scores(word: str, store: Store, weights: str = "last") -> list[Curves]:
    """Scores that ``word`` names; of our own runs every kind, evaluations first and then training returns.

    Args:
        word: a published source, a stored baseline, a folder of our runs, or a file or folder of others' scores.

    Raises:
        UserError: it names nothing, or what it names cannot be read.
    """
    if word in PUBLISHED:
        return [published(word)]
    if records := find_records(word, store):
        return run_curves(Path(word).name, records, weights, iterations=True)
    if not os.path.exists(word):
        known = [*PUBLISHED, *(folder.name for folder in baselines.folders(store))]
        raise UserError(
            f"There is no file or folder {word}, and no published scores or baseline of that name. Known by name are: "
            f"{', '.join(known)}."
        )
    return [read_scores(Path(word))]


def find_records(word: str, store: Store) -> list[RunRecord]:
    """Runs of ours that ``word`` names: a stored baseline's, or a folder's. Empty if it names something else."""
    if word in PUBLISHED:
        return []
    if Path(word).name == word and os.path.isdir(store.baseline(word)):  # Path.is_dir raises where a name is too long
        return baselines.read(store, word).records
    return [RunRecord.read(folder) for folder in run_folders(Path(word))] if os.path.exists(word) else []


def run_folders(path: Path) -> list[Path]:
    """Folders of our runs at ``path``: itself, or those below it, however deep, but for failed ``attempts``."""
    found = sorted(file.parent for file in path.rglob("run.json"))
    return [each for each in found if each == path or each.parent == path or each.parent.name != "attempts"]


def run_curves(
    name: str, records: Sequence[RunRecord], weights: str = "last", *, iterations: bool = False
) -> list[Curves]:
    """Evaluation scores and training returns of finished runs of one setting.

    Args:
        iterations: begin with the scores of all iterations, where every run was evaluated after each of its own.

    Raises:
        UserError: a run is not finished or not evaluated, is there twice, or is of another setting.
    """
    if unfinished := [f"{each.folder.name} ({each.status})" for each in records if each.status != "finished"]:
        raise UserError(
            f"{name} has runs that are not finished: {', '.join(unfinished)}. Finish them, or move them away."
        )
    training = training_curves(name, records)  # checks that they are of one setting
    followed = iteration_curves(name, records) if iterations and weights == "last" else None
    return [*([followed] if followed else []), evaluation_curves(name, records, weights), training]


def alike(first: Sequence[Curves], second: Sequence[Curves]) -> tuple[Curves, Curves]:
    """One of each, measured as alike as there is: evaluation beside evaluation, or training beside training.

    Of equal ones the first.
    """
    pairs = [(one, other) for one in first for other in second]
    return min(pairs, key=lambda pair: len(pair[0].measured.differences(pair[1].measured)))
