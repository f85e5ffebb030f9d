"""The kept long runs, drawn: what each network scores, and how its values went on the way."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from benchmarks.curves import Curves
from benchmarks.failures.inside import value_bound
from benchmarks.learning import Group, budgets_of, common_games, evaluated, games_followed, read_groups
from benchmarks.plots.style import GREY, SMALL, TEXT, Look, frames_axis, look, number_axis, panels, save_figure, styled
from benchmarks.plots.words import Entry, finish
from benchmarks.reference import human_and_random
from benchmarks.sources import NNABLA, published
from benchmarks.store import Store
from dqn_ref.config import format_frames
from dqn_ref.protocols import NATURE

NAME = "long_runs"
_DASHED, _DOTTED = (0, (4, 3)), (0, (1, 1.5))


def draw_learning(store: Store, folder: Path) -> list[Path]:
    """Draw the groups of results/learning beside the published runs into ``folder``; returns the files."""
    return save_figure(long_runs(read_groups(store), published(NNABLA)), folder / NAME)


@styled
def long_runs(groups: Sequence[Group], theirs: Curves) -> Figure:
    """A column a game: above the evaluations of each seed's network, below its largest held-out value by frames.

    Of the games in which networks were evaluated more than once.
    """
    games = games_followed(common_games(groups, theirs), groups, theirs)
    groups = [group for group in groups if set(games) & set(group.curves.games)]
    figure, axes = panels(2, len(games), 2.1)
    bound = value_bound(NATURE.config)
    assert bound is not None  # its rewards are clipped
    for game, (scores, values) in zip(games, axes.T, strict=True):
        here = [(look(place), group) for place, group in enumerate(groups) if game in group.curves.games]
        rows = [*((style, group.curves) for style, group in here), (look(len(groups)), theirs)]
        _scores(scores, game, rows, budgets_of(game, [group for _, group in here], theirs))
        scores.set_title(game, size=TEXT)
        for style, group in here:
            _values(values, style, group, game)
        values.axhline(bound, color="black", linestyle=_DOTTED, linewidth=1, zorder=1)
        values.set_yscale("log")
        values.yaxis.set_major_locator(LogLocator(numticks=6))
        values.yaxis.set_major_formatter(FuncFormatter(power_of_ten))
        values.yaxis.set_minor_locator(NullLocator())
        values.set_xlim(0, 1.04 * max(group.config.total_frames for group in groups))
        frames_axis(values)
        values.set_xlabel("frames")
    axes[0, 0].set_ylabel("score of each network")
    axes[1, 0].set_ylabel("largest Q value")
    names = [*(group.name.replace("`", "") for group in groups), NNABLA]
    entries: list[Entry] = [
        (Line2D([], [], color=style.color, linestyle=style.line, marker=style.marker, markersize=4), name)
        for style, name in zip(map(look, range(len(groups) + 1)), names, strict=True)
    ]
    entries.append((
        Line2D([], [], color="black", linestyle=_DOTTED, linewidth=1),
        f"{bound:g}: no return of clipped rewards can exceed it",
    ))  # fmt: skip
    caption = [
        "Above: a mark is the network of one seed, a bar their mean. Below: a line is the training of one seed; the "
        "largest Q value of a fixed set of states, on a log scale; nothing is published of these. So few seeds tell "
        "little: the text says what a test shows."
    ]
    return finish(figure, "Runs of the paper's protocol, stopped early", caption, entries)


def power_of_ten(value: float, _: object = None) -> str:
    """``1e15``; ``1`` and ``10`` as they are."""
    return f"{value:g}" if 1 <= value <= 10 else f"1e{round(np.log10(value))}"


def _scores(axis: Axes, game: str, rows: Sequence[tuple[Look, Curves]], budgets: Sequence[int]) -> None:
    for place, frames in enumerate(budgets):
        for number, (style, curves) in enumerate(rows):
            if seeds := evaluated(curves, game, frames):
                x = place + 0.8 * ((number + 0.5) / len(rows) - 0.5)
                axis.plot([x] * len(seeds), seeds, linestyle="none", marker=style.marker, color=style.color,
                          markersize=5, alpha=0.8, markeredgecolor="white", markeredgewidth=0.4, zorder=3)  # fmt: skip
                axis.plot([x - 0.04, x + 0.04], [fmean(seeds)] * 2, color=style.color, linewidth=2, zorder=4)
    anchor = human_and_random()[game]
    for name, level in (("random play", anchor.random), ("human", anchor.human)):
        axis.axhline(level, color=GREY, linestyle=_DASHED, linewidth=1, zorder=1)
        axis.annotate(name, (1, level), (-1, 2), xycoords=("axes fraction", "data"), textcoords="offset points",
                      ha="right", size=SMALL, color=GREY)  # fmt: skip
    axis.set_xticks(range(len(budgets)), [f"after {format_frames(frames)} frames" for frames in budgets])
    axis.set_xlim(-0.6, len(budgets) - 0.3)
    number_axis(axis.yaxis, ticks=5)


def _values(axis: Axes, style: Look, group: Group, game: str) -> None:
    for record in group.records:
        if record.member.game == game:
            frames, values = np.array([(row["frames"], row["q_max"]) for row in record.progress()]).T
            shown = np.where(values > 0, values, np.nan)
            axis.plot(frames, shown, color=style.color, linestyle=style.line, linewidth=1.2)
