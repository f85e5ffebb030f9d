"""What is drawn: the scores of one source at one budget, with the words that say how they were measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.curves import Curves, Measurement
from benchmarks.sources import ORIGINS, PUBLISHED, published
from benchmarks.statistics import predicted_median, prediction_note
from benchmarks.suites import suite_of
from benchmarks.words import count
from dqn_ref.config import format_frames


@dataclass(frozen=True)
class Shown:
    """One row, line or set of bars. Raises ValueError: not a matrix of finite scores."""

    name: str
    scores: NDArray[np.float64]  # human-normalised [seeds, games]
    caption: str = ""
    """How they were measured; stands under the name where there is room."""

    def __post_init__(self) -> None:
        if self.scores.ndim != 2 or not self.scores.size or not np.isfinite(self.scores).all():
            raise ValueError(f"{self.name}: expected finite scores [seeds, games], got shape {self.scores.shape}")

    @property
    def num_seeds(self) -> int:
        """Runs of each game."""
        return len(self.scores)


def shown_at(curves: Curves, frames: int, games: Sequence[str]) -> Shown:
    """Scores of ``games`` at a budget. Raises UserError: not there, or incomplete."""
    scores = curves.at(frames, games)
    return Shown(
        curves.name, scores,
        f"{measured_words(curves.measured)}, {format_frames(frames)} frames, {count(len(scores), 'seed')}",
    )  # fmt: skip


def measured_words(measured: Measurement) -> str:
    """How scores were measured, in few words; ``Measurement.words`` has all of them."""
    returns = f"{measured.returns} returns" if measured.returns else "kind of returns not known"
    parts = [f"{returns}, best network" if measured.best_network else returns]
    if measured.epsilon is not None:
        parts.append(f"ε {measured.epsilon:g}")
    if measured.sticky_action_probability is not None:
        sticky = measured.sticky_action_probability
        parts.append(f"sticky actions {sticky:g}" if sticky else "no sticky actions")
    return ", ".join(parts)


def measured_notes(sources: Sequence[Curves]) -> list[str]:
    """A line a source: how it was measured."""
    return [f"{each.name}: {measured_words(each.measured)}." for each in sources]


def published_note(sources: Sequence[Curves]) -> list[str]:
    """Which of ``sources`` are published, and where; empty if none is."""
    named = {each.name: ORIGINS[each.name] for each in sources if each.name in ORIGINS}
    if not named:
        return []
    which = "Published" if len(named) == len(sources) else f"{' and '.join(named)}: published"
    return [f"{which} figures, not runs of this project ({'; '.join(dict.fromkeys(named.values()))})."]


def published_at(frames: int, games: Sequence[str]) -> list[Curves]:
    """Published sources that have every one of ``games`` at exactly this budget."""
    whole = [published(name) for name in PUBLISHED]
    return [each for each in whole if set(games) <= set(each.games) and frames in each.budgets(games)]


def prediction_lines(rows: Sequence[Shown], games: Sequence[str]) -> list[str]:
    """The median over 57 games that each of ``rows`` predicts, with its error; empty if ``games`` predict none."""
    suite = suite_of(games) or ""
    predicted = [(row.name, predicted_median(row.scores, games, suite)) for row in rows]
    found = [f"{name} {value:.3f}" for name, value in predicted if value is not None]
    return [f"Predicted median over 57 games: {', '.join(found)}. {prediction_note(suite)}"] if found else []
