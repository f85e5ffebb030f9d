"""Aggregates of several sources, one below another, and their performance profiles (Agarwal et al. 2021)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter

from benchmarks.plots.shown import Shown
from benchmarks.plots.style import (
    FAINT,
    GREY,
    SMALL,
    TEXT,
    WIDTH,
    look,
    number_axis,
    one_panel,
    panels,
    plain_number,
    round_ticks,
    styled,
)
from benchmarks.plots.words import SPACING, Entry, finish, seeds_note, width_of, wrapped
from benchmarks.statistics import AGGREGATES, Interval, aggregates, performance_profile

LABEL = 162.0  # points that a row's name and caption may take at the left
TITLES = {"optimality gap": "optimality gap\n(lower is better)"}


@styled
def intervals(rows: Sequence[Shown], caption: Sequence[str]) -> Figure:
    """IQM, median, mean and optimality gap, a panel each with an axis of its own; a row a source."""
    labels = [(wrapped(row.name, LABEL, TEXT, "bold", most=2), wrapped(row.caption, LABEL, SMALL)) for row in rows]
    heights = [(len(names) * TEXT + len(lines) * SMALL) * SPACING for names, lines in labels]  # points
    figure, axes = panels(1, len(AGGREGATES), len(rows) * (max(30.0, *heights) + 10) / 72 + 0.65, sharey=True)
    found = [aggregates(row.scores) for row in rows]
    widths = [width_of(name, TEXT, "bold") for names, _ in labels for name in names]
    widths += [width_of(line, SMALL) for _, lines in labels for line in lines]
    panel = (72 * WIDTH - max(widths, default=0) - 20) / len(AGGREGATES) - 16  # points, less the gap to the next
    for axis, name in zip(axes.flat, AGGREGATES, strict=True):
        for place, each in enumerate(found):
            _interval(axis, place, each[name])
        axis.set_title(TITLES.get(name, f"{name}\n"), size=TEXT)
        axis.set_ylim(len(rows) - 0.42, -0.58)  # the first on top
        axis.set_yticks([])
        axis.spines["left"].set_visible(False)
        axis.grid(axis="x", color=FAINT, linewidth=0.6)
        axis.use_sticky_edges = False
        axis.tick_params(axis="x", labelsize=SMALL)
        axis.margins(x=0.4)  # room for the numbers above the points
        _few_ticks(axis, panel)
    where: dict[str, Any] = {
        "xycoords": axes[0, 0].get_yaxis_transform(), "textcoords": "offset points", "ha": "right",
        "linespacing": SPACING,
    }  # fmt: skip
    for place, ((names, lines), height) in enumerate(zip(labels, heights, strict=True)):
        middle = 0.5 * height - len(names) * TEXT * SPACING  # the whole label is centred on its row
        axes[0, 0].annotate(
            "\n".join(names), (0, place), (-6, middle + 1), va="bottom", size=TEXT, weight="bold", **where
        )
        axes[0, 0].annotate("\n".join(lines), (0, place), (-6, middle - 1), va="top", size=SMALL, color=GREY, **where)
    notes = ["Human-normalised scores: 0 is the random policy, 1 a human.", seeds_note(row.num_seeds for row in rows)]
    return finish(figure, "Aggregates with 95 % stratified bootstrap intervals", [*caption, " ".join(notes).rstrip()])


def _interval(axis: Axes, place: int, interval: Interval) -> None:
    """One bar from the interval's low to its high end, the point in it, and its number above."""
    style = look(place)
    if interval.low is not None and interval.high is not None:
        axis.barh(
            place, interval.high - interval.low, left=interval.low, height=0.3,
            color=style.color, alpha=0.55, edgecolor="black", linewidth=0.4,
        )  # fmt: skip
    axis.plot([interval.point] * 2, [place - 0.15, place + 0.15], color="black", linewidth=1.8, solid_capstyle="butt")
    axis.annotate(
        f"{interval.point:.3f}".replace("-", "\N{MINUS SIGN}"), (interval.point, place - 0.17), (0, 1),
        textcoords="offset points", ha="center", va="bottom", size=SMALL,
    )  # fmt: skip


def _few_ticks(axis: Axes, width: float) -> None:
    """As many ticks as their labels leave room for on an axis of ``width`` points; every second one, if need be."""
    low, high = axis.get_xlim()

    def fit(ticks: Sequence[float]) -> bool:
        widest = max((width_of(plain_number(tick), SMALL) for tick in ticks), default=0)
        return all((right - left) / (high - low) * width >= widest + 4 for left, right in itertools.pairwise(ticks))

    inside = [
        [float(tick) for tick in round_ticks(steps).tick_values(low, high) if low <= tick <= high]
        for steps in (5, 4, 3, 2, 1)
    ]
    fitting = [ticks[::stride] for stride in (1, 2, 3) for ticks in inside if fit(ticks[::stride])]
    axis.xaxis.set_major_locator(FixedLocator(max(fitting, key=len, default=inside[0][:1])))
    axis.xaxis.set_major_formatter(FuncFormatter(plain_number))


@styled
def profile(rows: Sequence[Shown], caption: Sequence[str]) -> Figure:
    """Share of runs that score above a threshold, for every threshold; a line a source."""
    figure, axis = one_panel(2.9)
    low = min(0.0, *(float(row.scores.min()) for row in rows))
    high = max(0.0, *(float(row.scores.max()) for row in rows))
    margin = 0.05 * (high - low) or 1.0
    thresholds = np.linspace(low - margin, high + margin, 401)
    entries = list[Entry]()
    for place, row in enumerate(rows):
        style = look(place)
        share, band = performance_profile(row.scores, thresholds)
        line: Any = Line2D([], [], color=style.color, linestyle=style.line, linewidth=2)
        if band is not None:
            axis.fill_between(thresholds, band[0], band[1], color=style.color, alpha=0.22, step="post", linewidth=0)
            for edge in band:  # told apart in print, where bands overlap
                axis.step(thresholds, edge, where="post", color=style.color, linewidth=0.6, linestyle=style.line)
            line = (Patch(facecolor=style.color, alpha=0.22), line)
        axis.step(
            thresholds, share, where="post", color=style.color, linestyle=style.line, linewidth=2, label="share of runs"
        )
        entries.append((line, f"{row.name}{'' if band is None else ', 95 % band'}"))
    axis.axvline(0, color=GREY, linestyle=(0, (4, 3)), linewidth=1)
    entries.append((Line2D([], [], color=GREY, linestyle=(0, (4, 3)), linewidth=1), "random policy"))
    axis.set_ylim(0, 1.02)
    axis.set_xlim(thresholds[0], thresholds[-1])
    number_axis(axis.xaxis, ticks=8)
    number_axis(axis.yaxis)
    axis.set_xlabel("human-normalised score τ")
    axis.set_ylabel("share of runs above τ")
    notes = [f"{row.name}: {row.caption}." for row in rows if row.caption]
    return finish(
        figure, "Performance profile: how many runs reach a score",
        [*caption, *notes, *filter(None, [seeds_note(row.num_seeds for row in rows)])], entries,
    )  # fmt: skip
