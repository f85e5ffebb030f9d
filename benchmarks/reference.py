"""Published figures, each with its source (data/SOURCES.md). The only room that reads data/."""

from __future__ import annotations

import csv
import functools
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Score = TypeVar("Score", float, NDArray[np.float64])


@dataclass(frozen=True)
class Anchors:
    """The two scores of a game that human-normalisation hangs on."""

    random: float
    human: float

    def normalise(self, score: Score) -> Score:
        """0 is the random policy, 1 the human."""
        return (score - self.random) / (self.human - self.random)


@dataclass(frozen=True)
class Subset:
    """Games of which the log-scores predict the median over 57 games (Aitchison et al. 2022)."""

    coefficients: MappingProxyType[str, float]  # by game
    relative_error: float  # of the prediction, in the authors' cross-validation


def _rows(name: str) -> list[dict[str, str]]:
    text = resources.files("benchmarks").joinpath("data", name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


@functools.cache
def human_and_random() -> dict[str, Anchors]:
    """Random and human score of each of the 57 games (Wang et al. 2016, Table 2)."""
    return {row["game"]: Anchors(float(row["random"]), float(row["human"])) for row in _rows("human_random_57.csv")}


@functools.cache
def nature_scores() -> dict[str, float]:
    """The paper's own scores, 49 games; Phoenix is not among them (Mnih et al. 2015, Extended Data Table 2)."""
    return {row["game"]: float(row["dqn"]) for row in _rows("nature_dqn_extended_data_table2.csv")}


@functools.cache
def published_points() -> dict[str, dict[str, dict[int, dict[int, float]]]]:
    """Raw scores of published DQNs by source, game, seed and frames."""
    found: dict[str, dict[str, dict[int, dict[int, float]]]] = {}
    for row in _rows("published_dqn_scores.csv"):
        frames = int(row["frames_millions"]) * 1_000_000
        seeds = found.setdefault(row["source"], {}).setdefault(row["game"], {})
        seeds.setdefault(int(row["seed"]), {})[frames] = float(row["score"])
    return found


@functools.cache
def subset(suite: str) -> Subset | None:
    """Coefficients of ``atari1``, ``atari3``, ``atari5`` or ``atari10``; None for another set of games."""
    by_letters = {game.replace("_", ""): game for game in human_and_random()}
    rows = [
        row
        for row in _rows("atari5_subsets_coefficients.csv")
        if row["subset"].replace("_", "").lower() == suite and row["game"] in by_letters
    ]
    if not rows:
        return None
    coefficients = {by_letters[row["game"]]: float(row["coef_published_in_author_repo"]) for row in rows}
    return Subset(MappingProxyType(coefficients), float(rows[0]["rel_err_pct_published"]) / 100)
