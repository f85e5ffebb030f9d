"""Two sets of scores side by side: the same games, the same budget, and how each was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.curves import Curves
from benchmarks.markdown import escaped, table
from benchmarks.permutation import Test, permutation_test
from benchmarks.report import format_interval
from benchmarks.statistics import (
    Improvement,
    Interval,
    aggregates,
    coverage_note,
    iqm_difference,
    predicted_median,
    prediction_note,
    probability_of_improvement,
)
from benchmarks.suites import SUITES, suite_of
from benchmarks.words import count
from dqn_ref.config import UserError, format_frames

LEVEL = 0.05
HEADER = ("game", "first", "second", "first, human-normalised", "second", "P(first > second)")


@dataclass(frozen=True)
class Comparison:
    """What is known of ``first`` against ``second`` over ``games`` after ``frames``."""

    first: Curves
    second: Curves
    games: tuple[str, ...]
    frames: int
    scores: tuple[NDArray[np.float64], NDArray[np.float64]]  # human-normalised, [seeds, games] each
    aggregates: tuple[dict[str, Interval], dict[str, Interval]]
    difference: Interval  # of the IQMs
    improvement: Improvement
    test: Test
    differences: tuple[str, ...]  # of the two ways of measuring

    @property
    def p_value(self) -> float:
        """Two-sided: the chance of a difference of IQM so large, either way, if the two were equal."""
        return self.test.p_two_sided

    @property
    def suite(self) -> str | None:
        """Name of the suite whose games these are, if they are those of one."""
        return suite_of(self.games)


def compare(
    first: Curves, second: Curves, *, frames: int | None = None, games: Sequence[str] | None = None
) -> Comparison:
    """Compare two sources at one budget.

    Args:
        frames: the budget; by default the largest that both have complete.
        games: by default all that both have.

    Raises:
        UserError: no game or no budget in common, or a cell is missing.
    """
    if games is None:
        games = [game for game in first.games if game in second.games]
        if not games:
            raise UserError(
                f"{first.name} and {second.name} have no game in common: {', '.join(first.games)} against "
                f"{', '.join(second.games)}."
            )
        games = SUITES.get(suite_of(games) or "", games)
    if frames is None:
        first.seeds(games), second.seeds(games)  # names what is missing before it hides every budget
        common = sorted(set(first.budgets(games)) & set(second.budgets(games)))
        if not common:
            raise UserError(
                f"{first.name} and {second.name} have no budget in common: {_budgets(first, games)} against "
                f"{_budgets(second, games)} frames."
            )
        frames = common[-1]
    scores = first.at(frames, games), second.at(frames, games)
    return Comparison(
        first,
        second,
        tuple(games),
        frames,
        scores,
        (aggregates(scores[0]), aggregates(scores[1])),
        iqm_difference(*scores),
        probability_of_improvement(*scores),
        permutation_test(*scores),
        tuple(first.measured.differences(second.measured)),
    )


def _budgets(curves: Curves, games: Sequence[str]) -> str:
    budgets = curves.budgets(games)
    shown = [format_frames(each) for each in budgets]
    return ", ".join(shown if len(shown) < 8 else [*shown[:3], "...", *shown[-3:]]) or "none that is complete"


# ---------------------------------------------------------------------- in words


def verdict(found: Comparison) -> str:
    """One sentence that stands alone."""
    a, b = found.first.name, found.second.name
    where = f"over {_games(found)} at {format_frames(found.frames)} frames"
    words = f"IQM {found.difference.point:+z.3f}{_ends(found.difference)}"
    if found.p_value < LEVEL:
        side = "below" if found.difference.point < 0 else "above"
        sentence = f"{a} scores {side} {b} {where}: {words}, p = {found.p_value:.2g}"
    else:
        sentence = (
            f"No difference between {a} and {b} is shown {where}: {words}, p = {found.p_value:.2g}. "
            "That they are equal is not shown either"
        )
    if found.differences:
        sentence += ". They were not measured alike, so a difference, or its absence, may come from that alone"
    return sentence + "."


def _games(found: Comparison) -> str:
    return found.suite or (f"{len(found.games)} games" if len(found.games) > 1 else found.games[0])


def _ends(interval: Interval) -> str:
    return "" if interval.low is None else f" [{interval.low:+z.3f}, {interval.high:+z.3f}]"


def notes(found: Comparison) -> list[str]:
    """How each side was measured, what differs, and what the numbers are worth."""
    lines = []
    for label, side, scores in zip(("First", "Second"), (found.first, found.second), found.scores, strict=True):
        lines.append(f"{label}: {side.name}, {count(len(scores), 'seed')}: {side.measured.words()}.")
    lines += [f"Warning, not measured alike: {difference}." for difference in found.differences]
    for side, other in ((found.first, found.second), (found.second, found.first)):
        if absent := [game for game in other.games if game not in side.games and game in _asked(found)]:
            games = ", ".join(absent) if len(absent) <= 10 else f"{len(absent)} games that {other.name} has"
            lines.append(f"{side.name} lacks {games}: left out of every number here.")
    how = "all relabellings" if found.test.exact else f"{found.test.relabellings:,} relabellings"
    lines.append(f"p: two-sided permutation test of runs within games, {how}; below {LEVEL:g} counts as a difference.")
    few = min(len(scores) for scores in found.scores)
    lines += [note for note in (coverage_note(few), prediction_note(found.suite or "")) if note]
    return lines


def _asked(found: Comparison) -> tuple[str, ...]:
    """Games of the smallest suite that holds all that were compared."""
    return min((games for games in SUITES.values() if set(found.games) <= set(games)), key=len, default=())


def game_rows(found: Comparison) -> list[tuple[str, ...]]:
    """A row a game, as HEADER says: mean raw scores, mean human-normalised scores, probability of improvement."""
    rows = []
    for place, game in enumerate(found.games):
        raw = [side.raw_at(game, found.frames).mean() for side in (found.first, found.second)]
        normalised = [scores[:, place].mean() for scores in found.scores]
        rows.append(
            (game, *(f"{each:,.1f}" for each in raw), *(f"{each:z.3f}" for each in normalised),
             f"{found.improvement.by_game[place]:.2f}")
        )  # fmt: skip
    return rows


def aggregate_rows(found: Comparison) -> list[tuple[str, ...]]:
    """A row an aggregate: its name, both sides with their intervals; then what compares them."""
    one, other = found.aggregates
    rows: list[tuple[str, ...]] = [(name, format_interval(one[name]), format_interval(other[name])) for name in one]
    medians = [predicted_median(scores, found.games, found.suite or "") for scores in found.scores]
    if None not in medians:
        rows.append(("predicted median of 57 games", *(f"{median:.3f}" for median in medians)))
    rows.append(("difference of IQM", format_interval(found.difference), ""))
    rows.append(("probability of improvement", format_interval(found.improvement.average), ""))
    return rows


def markdown(found: Comparison) -> str:
    """The comparison as a page: verdict, aggregates, games, notes. Names of foreign files are escaped."""
    lines = [escaped(verdict(found)), ""]
    sides = ("aggregate", found.first.name, found.second.name)
    for header, rows in ((sides, aggregate_rows(found)), (HEADER, game_rows(found))):
        lines.append(table([*map(escaped, header)], [[*map(escaped, row)] for row in rows]))
    lines += [f"- {escaped(note)}" for note in notes(found)]
    return "\n".join(lines) + "\n"


def as_json(found: Comparison) -> dict[str, Any]:
    """Everything, for a program. Scores are human-normalised, [seeds][games]."""

    def side(curves: Curves, scores: NDArray[np.float64], of: dict[str, Interval]) -> dict[str, Any]:
        return {
            "name": curves.name,
            "measured": asdict(curves.measured),
            "seeds": list(curves.seeds(found.games)),
            "scores": scores.tolist(),
            "aggregates": {name: asdict(interval) for name, interval in of.items()},
        }

    return {
        "schema": 1,
        "verdict": verdict(found),
        "frames": found.frames,
        "games": list(found.games),
        "first": side(found.first, found.scores[0], found.aggregates[0]),
        "second": side(found.second, found.scores[1], found.aggregates[1]),
        "iqm_difference": asdict(found.difference),
        "probability_of_improvement": {
            **asdict(found.improvement.average),
            "by_game": dict(zip(found.games, found.improvement.by_game.tolist(), strict=True)),
        },
        "p_value": found.p_value,
        "not_measured_alike": list(found.differences),
    }
