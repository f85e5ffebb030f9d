"""Scores over training: a panel per game, and the suite's IQM by budget.

DQN Zoo's published curve is in neither: it is a median over 57 games, smoothed over ten points, and no source at hand
has all 57; beside an IQM, or a median of fewer games, it would compare unlike things.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from benchmarks.curves import Curves
from benchmarks.plots.shown import measured_notes
from benchmarks.plots.style import (
    GREY,
    SMALL,
    TEXT,
    WIDTH,
    frames_axis,
    look,
    number_axis,
    one_panel,
    panels,
    styled,
)
from benchmarks.plots.words import Entry, finish, seeds_note, shortened
from benchmarks.reference import human_and_random
from benchmarks.statistics import sample_efficiency
from benchmarks.words import count

FEWEST_FOR_BAND = 3  # of two seeds a bootstrap has three different means
BAND_REPETITIONS = 2_000
HEIGHTS = {1: 2.6, 2: 1.35, 3: 1.4}  # inches of a panel, by panels side by side
TICKS = {1: 8, 2: 5, 3: 3}  # most steps between numbers of frames
LOG_FROM = 20.0  # a log axis where the last budget is so many times the first


def mean_band(values: NDArray[np.float64], repetitions: int = BAND_REPETITIONS) -> NDArray[np.float64] | None:
    """95 % percentile bootstrap interval [2, T] of the mean over the seeds of ``values`` [seeds, T].

    None with fewer than three seeds. A NaN stays one.
    """
    seeds = len(values)
    if seeds < FEWEST_FOR_BAND:
        return None
    weights = np.random.default_rng(0).multinomial(seeds, np.full(seeds, 1 / seeds), size=repetitions) / seeds
    band: NDArray[np.float64] = np.percentile(weights @ values, [2.5, 97.5], axis=0)
    return band


@styled
def learning_curves(sources: Sequence[Curves], games: Sequence[str], caption: Sequence[str]) -> Figure:
    """Raw scores by frames, a panel per game: mean of the seeds with its interval, and the random policy.

    Of the first source each seed is drawn, thin; the others lie behind it, up to its last budget.
    """
    columns = _columns(len(games))
    figure, axes = panels(-(-len(games) // columns), columns, HEIGHTS[columns], sharex=True)
    last = int(sources[0].frames[-1])
    anchors = human_and_random()
    for game, axis in zip(games, axes.flat, strict=False):
        for place, source in reversed(list(enumerate(sources))):
            _curves(axis, source, game, place, last)
        axis.axhline(anchors[game].random, color=GREY, linestyle=(0, (4, 3)), linewidth=1, zorder=1)
        axis.set_title(shortened(game, 72 * (WIDTH / columns - 0.5), TEXT), size=TEXT)
        if missing := _seeds_here(sources[0], game):
            axis.annotate(missing, (0, 1), (3, -2), xycoords="axes fraction", textcoords="offset points", va="top",
                          size=SMALL, color=GREY)  # fmt: skip
        axis.set_xlim(0, last * 1.04)
        frames_axis(axis, ticks=TICKS[columns])
        number_axis(axis.yaxis, ticks=4)
        axis.margins(y=0.12)
    for column in range(columns):
        lowest = axes[(len(games) - 1 - column) // columns, column]
        lowest.set_xlabel("frames")
        lowest.tick_params(labelbottom=True)
    for empty in axes.flat[len(games) :]:
        empty.set_axis_off()
    kind = {"training": "training episodes", "evaluation": "evaluation episodes"}.get(str(sources[0].measured.returns))
    title = f"Learning curves: raw return{f' of {kind}' if kind else ''}"
    notes = [*measured_notes(sources), *_band_note(sources, games)]
    return finish(figure, title, [*caption, *notes], _entries(sources, games))


def _columns(games: int) -> int:
    """Panels side by side: three, or two if that leaves no empty place."""
    return min(games, 2 if games % 3 and games % 2 == 0 else 3)


def _curves(axis: Axes, source: Curves, game: str, place: int, last: int) -> None:
    """One source in one panel."""
    style, first = look(place), place == 0
    inside = source.frames <= last
    runs = source.raw.get(game)
    if runs is None or not any(np.isfinite(values[inside]).any() for values in runs.values()):
        if first:
            words = "no episode ran to its end" if runs else "no finished run"
            axis.text(0.5, 0.5, words, ha="center", va="center", size=SMALL, transform=axis.transAxes,
                      bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5})  # fmt: skip
        return
    frames, values = source.frames[inside], np.stack(list(runs.values()))[:, inside]
    if first and len(values) > 1:
        for one in values:
            known = np.isfinite(one)
            axis.plot(frames[known], one[known], color=style.color, linewidth=0.7, alpha=0.65, zorder=3)
    whole = np.isfinite(values).all(axis=0)  # where a seed is missing, the others' mean is another quantity
    band = mean_band(values[:, whole])
    if band is not None:
        axis.fill_between(frames[whole], band[0], band[1], color=style.color, alpha=0.25, linewidth=0, zorder=2)
    axis.plot(
        frames[whole], values[:, whole].mean(axis=0), color=style.color, linestyle=style.line, linewidth=2,
        marker=style.marker, markersize=3.5, markevery=max(1, int(whole.sum()) // 12), zorder=4 if first else 2.5,
    )  # fmt: skip


def _seeds_here(source: Curves, game: str) -> str:
    most, here = max(map(len, source.raw.values())), len(source.raw.get(game, {}))
    return f"{here} of {most} seeds" if 0 < here < most else ""


def _band_note(sources: Sequence[Curves], games: Sequence[str]) -> list[str]:
    """Which source has no band, and why."""
    notes = []
    for source in sources:
        seeds = max(len(source.raw.get(game, {})) for game in games)
        if 1 < seeds < FEWEST_FOR_BAND:
            notes.append(f"No interval of {source.name}'s mean: {count(seeds, 'seed')} are too few for one.")
    return notes


def _entries(sources: Sequence[Curves], games: Sequence[str]) -> list[Entry]:
    entries = list[Entry]()
    for place, source in enumerate(sources):
        style, seeds = look(place), max(len(source.raw.get(game, {})) for game in games)
        line = Line2D([], [], color=style.color, linestyle=style.line, marker=style.marker, markersize=4, linewidth=2)
        band = Patch(facecolor=style.color, alpha=0.25)
        name = f"{source.name}: " if len(sources) > 1 else ""
        if seeds == 1:
            entries.append((line, f"{name}one seed"))
        else:
            has_band = seeds >= FEWEST_FOR_BAND
            words = "mean and its 95 % interval" if has_band else "mean of the seeds"
            entries.append(((band, line) if has_band else line, f"{name}{words}, {count(seeds, 'seed')}"))
        if place == 0 and seeds > 1:
            entries.append((Line2D([], [], color=style.color, linewidth=0.7, alpha=0.65), f"{name}each seed"))
    entries.append((Line2D([], [], color=GREY, linestyle=(0, (4, 3)), linewidth=1), "random policy"))
    return entries


# ---------------------------------------------------------------------- the suite by budget


@styled
def efficiency(
    sources: Sequence[Curves], games: Sequence[str], caption: Sequence[str], mark: int | None = None
) -> Figure:
    """IQM over ``games`` at each budget that a source has all of, with its 95 % band; ``mark``: a budget to point at.

    Raises:
        UserError: a source lacks a game or a seed.
        ValueError: one has no budget at which every run has a score.
    """
    figure, axis = one_panel(3.0)
    entries = list[Entry]()
    spans = list[tuple[int, int]]()
    for place, source in enumerate(sources):
        style, budgets = look(place), source.budgets(games)
        if not budgets:
            raise ValueError(f"{source.name} has no budget at which every run has a score")
        scores = source.normalised(games, source.seeds(games))[:, :, np.isin(source.frames, budgets)]
        points, band = sample_efficiency(scores)
        line: Any = Line2D([], [], color=style.color, linestyle=style.line, marker=style.marker, markersize=5)
        if band is not None:
            axis.fill_between(budgets, band[0], band[1], color=style.color, alpha=0.22, linewidth=0)
            for edge in band:  # told apart in print, where bands overlap
                axis.plot(budgets, edge, color=style.color, linewidth=0.6, linestyle=style.line)
        axis.plot(
            budgets, points, color=style.color, linestyle=style.line, linewidth=2, marker=style.marker, markersize=5,
            markevery=max(1, len(budgets) // 12),
        )  # fmt: skip
        shade = Patch(facecolor=style.color, alpha=0.22)
        words = f"{source.name}, {count(len(scores), 'seed')}"
        entries.append((line if band is None else (shade, line), words))
        spans.append((budgets[0], budgets[-1]))
    frames_axis(axis, log=max(b for _, b in spans) >= LOG_FROM * max(1, min(a for a, _ in spans)), ticks=8)
    axis.axhline(0, color=GREY, linestyle=(0, (4, 3)), linewidth=1, zorder=1)
    if mark is not None:
        axis.axvline(mark, color=GREY, linewidth=0.8, linestyle=(0, (1, 2)), zorder=1)
    number_axis(axis.yaxis)
    axis.set_xlabel("frames")
    axis.set_ylabel("IQM of human-normalised scores")
    entries.append((Line2D([], [], color=GREY, linestyle=(0, (4, 3)), linewidth=1), "random policy (0)"))
    seeds = seeds_note(len(source.seeds(games)) for source in sources)
    notes = [*measured_notes(sources), *filter(None, [seeds])]
    return finish(figure, "Sample efficiency: IQM by budget, with 95 % intervals", [*caption, *notes], entries)
