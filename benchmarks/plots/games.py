"""Game by game: scores as bars, sources side by side, and the probability that one source is above another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from benchmarks.plots.shown import Shown
from benchmarks.plots.style import FAINT, GREY, SMALL, look, number_axis, one_panel, styled
from benchmarks.plots.words import Entry, finish, seeds_note
from benchmarks.statistics import probability_of_improvement

BAR = 0.17  # inches of a bar
GAP = 0.11  # between games


@styled
def game_bars(rows: Sequence[Shown], games: Sequence[str], caption: Sequence[str]) -> Figure:
    """Human-normalised score of each game, a bar a source for the mean and a dot a seed; the first's best on top."""
    order = np.argsort(-rows[0].scores.mean(axis=0), kind="stable")
    figure, axis = one_panel(len(games) * (len(rows) * BAR + GAP) + 0.55)
    share = len(rows) * BAR / (len(rows) * BAR + GAP)  # of the space between two games
    for k, row in enumerate(rows):
        style = look(k)
        places = np.arange(len(games)) + share * ((k + 0.5) / len(rows) - 0.5)
        means = row.scores[:, order].mean(axis=0)
        axis.barh(
            places, means, height=share / len(rows) * 0.9, color=style.color, alpha=0.6, hatch=style.hatch,
            edgecolor="black", linewidth=0.4,
        )  # fmt: skip
        for place, game, mean in zip(places, order, means, strict=True):
            values = row.scores[:, game]
            axis.plot(
                values, np.full(len(values), place), linestyle="none", marker=style.marker, color="black",
                markersize=3.2, markeredgecolor="white", markeredgewidth=0.4, zorder=4,
            )  # fmt: skip
            axis.annotate(
                f"{mean:.3f}".replace("-", "\N{MINUS SIGN}"), (1, place), (34, 0), size=SMALL, ha="right", va="center",
                xycoords=axis.get_yaxis_transform(), textcoords="offset points",
            )  # fmt: skip
    axis.set_yticks(range(len(games)), [games[game] for game in order])
    axis.set_ylim(len(games) - 0.5, -0.5)
    axis.tick_params(axis="y", length=0)
    axis.axvline(0, color=GREY, linewidth=1)
    axis.grid(axis="x", color=FAINT, linewidth=0.6)
    number_axis(axis.xaxis, ticks=7)
    axis.set_xlabel("human-normalised score (0: random policy, 1: human)")
    notes = [f"{row.name}: {row.caption}." for row in rows if row.caption]
    return finish(figure, "Score per game: mean (bar, number) and each seed (dot)", [*caption, *notes], _bars(rows))


def _bars(rows: Sequence[Shown]) -> list[Entry]:
    if len(rows) == 1:
        return []
    looks = [look(k) for k in range(len(rows))]
    return [
        (Patch(facecolor=style.color, alpha=0.6, hatch=style.hatch, edgecolor="black", linewidth=0.4), row.name)
        for style, row in zip(looks, rows, strict=True)
    ]


@styled
def improvement(first: Shown, second: Shown, games: Sequence[str], caption: Sequence[str]) -> Figure:
    """Probability that a run of ``first`` scores above one of ``second``: a dot a game, and the average."""
    found = probability_of_improvement(first.scores, second.scores)
    order = np.argsort(-found.by_game, kind="stable")
    figure, axis = one_panel((len(games) + 1) * 0.25 + 0.55)
    axis.axvline(0.5, color=GREY, linestyle=(0, (4, 3)), linewidth=1)
    values = [found.average.point, *found.by_game[order]]
    places = [0.0, *(np.arange(len(games)) + 1.2)]
    if found.average.low is not None and found.average.high is not None:
        axis.barh(
            0, found.average.high - found.average.low, left=found.average.low, height=0.5,
            color=look(0).color, alpha=0.4, edgecolor="black", linewidth=0.4,
        )  # fmt: skip
    axis.hlines(places[1:], 0.5, values[1:], color=look(0).color, linewidth=1.2, alpha=0.7)
    axis.plot(values[1:], places[1:], linestyle="none", marker="o", color=look(0).color, markersize=6, clip_on=False)
    axis.plot(
        values[:1], places[:1], linestyle="none", marker="D", color="black", markersize=6, zorder=4, clip_on=False
    )
    axis.axhline(0.6, color=FAINT, linewidth=0.8)
    for value, place in zip(values, places, strict=True):
        axis.annotate(
            f"{value:.2f}", (1, place), (32, 0), size=SMALL, ha="right", va="center",
            xycoords=axis.get_yaxis_transform(), textcoords="offset points",
        )  # fmt: skip
    axis.set_yticks(places, ["average", *(games[game] for game in order)])
    axis.get_yticklabels()[0].set_fontweight("bold")
    axis.set_ylim(places[-1] + 0.6, -0.6)
    axis.set_xlim(-0.02, 1.02)
    axis.tick_params(axis="y", length=0)
    axis.grid(axis="x", color=FAINT, linewidth=0.6)
    number_axis(axis.xaxis)
    axis.set_xlabel("probability (0.5: no difference; a tie counts half)")
    notes = [f"{row.name}: {row.caption}." for row in (first, second) if row.caption]
    seeds = (first.num_seeds, second.num_seeds)
    has_interval = found.average.low is not None
    entries: list[Entry] = [
        (Line2D([], [], linestyle="none", marker="o", color=look(0).color, markersize=6), "a game"),
        (
            (Patch(facecolor=look(0).color, alpha=0.4, edgecolor="black", linewidth=0.4),
             Line2D([], [], linestyle="none", marker="D", color="black", markersize=6))
            if has_interval else Line2D([], [], linestyle="none", marker="D", color="black", markersize=6),
            f"average over the games{' with its 95 % interval' if has_interval else ''}",
        ),
    ]  # fmt: skip
    return finish(
        figure, f"Probability that a run of {first.name} scores above one of {second.name}",
        [*caption, *notes, *filter(None, [seeds_note(seeds)])], entries,
    )  # fmt: skip
