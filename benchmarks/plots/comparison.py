"""All drawings of a comparison of two sources at one budget."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.curves import Curves
from benchmarks.plots.aggregates import intervals, profile
from benchmarks.plots.curves import efficiency, learning_curves
from benchmarks.plots.games import game_bars, improvement
from benchmarks.plots.shown import prediction_lines, published_note, shown_at
from benchmarks.plots.suite import until, write
from benchmarks.words import count
from dqn_ref.config import format_frames


def draw_comparison(
    first: Curves,
    second: Curves,
    frames: int,
    games: Sequence[str],
    folder: Path,
    prefix: str = "",
) -> list[Path]:
    """Draw two sources beside each other into ``folder``; returns the files.

    Args:
        frames: budget that is compared; both have every run of ``games`` at it.
        prefix: of the files' names.

    Raises:
        UserError: a game, a seed or the budget is missing in one of them.
    """
    one, other = rows = [shown_at(each, frames, games) for each in (first, second)]
    what = f"{count(len(games), 'game')} at {format_frames(frames)} frames."
    caption = [" ".join([what, *published_note((first, second))])]
    figures = {
        "intervals": intervals(rows, [*caption, *prediction_lines(rows, games)]),
        "profile": profile(rows, caption),
        "games": game_bars(rows, games, caption),
        "improvement": improvement(one, other, games, caption),
    }
    inside = [until(each, frames) for each in (first, second)]
    if all(len(each.budgets(games)) > 1 for each in inside):
        figures["learning_curves"] = learning_curves(inside, games, caption)
    if all(len(each.budgets(games)) > 1 for each in (first, second)):
        figures["sample_efficiency"] = efficiency([first, second], games, caption, mark=frames)
    return write(figures, folder, prefix)
