"""Published figures, each with its source (data/SOURCES.md)."""

from __future__ import annotations

import csv
import functools
from dataclasses import dataclass
from importlib import resources

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Anchors:
    """The two scores of a game that human-normalisation hangs on."""

    random: float
    human: float

    def normalise(self, score: float) -> float:
        """0 is the random policy, 1 the human."""
        return (score - self.random) / (self.human - self.random)


def _rows(name: str) -> list[dict[str, str]]:
    text = resources.files("benchmarks").joinpath("data", name).read_text()
    return list(csv.DictReader(text.splitlines()))


@functools.cache
def human_and_random() -> dict[str, Anchors]:
    """Random and human score of each of the 57 games (Wang et al. 2016, Table 2)."""
    return {row["game"]: Anchors(float(row["random"]), float(row["human"])) for row in _rows("human_random_57.csv")}


@functools.cache
def published_scores(source: str, frames_millions: int, games: tuple[str, ...]) -> NDArray[np.float64]:
    """Human-normalised scores [seeds, games] of a published DQN at a budget.

    Raises:
        KeyError: the source lacks one of the games or the budget.
    """
    found: dict[str, dict[int, float]] = {game: {} for game in games}
    for row in _rows("published_dqn_scores.csv"):
        if row["source"] == source and row["game"] in found and int(row["frames_millions"]) == frames_millions:
            score = human_and_random()[row["game"]].normalise(float(row["score"]))
            found[row["game"]][int(row["seed"])] = score
    seeds = sorted(set.union(*(set(of_game) for of_game in found.values())))
    if not seeds:
        raise KeyError(f"{source} at {frames_millions}M")
    return np.array([[found[game][seed] for game in games] for seed in seeds])
