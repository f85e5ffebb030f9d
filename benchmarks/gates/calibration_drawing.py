"""The stored calibration of the score gate, drawn: how often a drop is found, by its size and the number of seeds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmarks.gates.calibration import POWER, made_words
from benchmarks.plots.style import GREY, look, panels, save_figure, styled
from benchmarks.plots.words import Entry, finish
from benchmarks.shares import exact_interval
from dqn_ref.config import format_frames

SEEDS = (3, 5, 10)  # a side
NAME = "score_gate_power"


def draw_calibration(result: Mapping[str, Any], folder: Path) -> list[Path]:
    """Draw into ``folder``; returns the files."""
    return save_figure(power(result), folder / NAME)


@styled
def power(result: Mapping[str, Any]) -> Figure:
    """Share of comparisons with p < .05 against the size of a uniform drop: a panel a source and budget."""
    frames = sorted({row["frames"] for row in result["gate"]})
    sources = list(dict.fromkeys(row["source"] for row in result["gate"]))
    figure, axes = panels(len(frames), len(sources), 2.1, sharex=True, sharey=True)
    for budget, line in zip(frames, axes, strict=True):
        for source, axis in zip(sources, line, strict=True):
            rows = [row for row in result["gate"] if (row["source"], row["frames"]) == (source, budget)]
            _panel(axis, rows, result["levels"]["warn"])
            axis.set_title(f"{source}\n{format_frames(budget)} frames", fontsize=8)
    for axis in axes[-1]:
        axis.set_xlabel("drop of every game's score, %")
    for axis in axes[:, 0]:
        axis.set_ylabel("found, p < .05, %")
    seeds: list[Entry] = [
        (
            Line2D([], [], color=look(place).color, linestyle=look(place).line, marker=look(place).marker),
            f"{count} seeds a side",
        )
        for place, count in enumerate(SEEDS)
    ]
    levels: list[Entry] = [
        (Line2D([], [], color=GREY, linestyle="--", linewidth=1), f"{100 * POWER:.0f} %: the aim"),
        (Line2D([], [], color=GREY, linestyle=":", linewidth=1), f"{100 * result['levels']['warn']:.0f} %: the level"),
    ]
    title = "The score gate: how often a drop of every game's score is found"
    return finish(figure, title, [f"Simulated from published scores. {made_words(result).strip()}"], [*seeds, *levels])


def _panel(axis: Axes, rows: list[Mapping[str, Any]], level: float) -> None:
    for place, seeds in enumerate(SEEDS):
        way = look(place)
        found = sorted((row for row in rows if row["seeds"] == [seeds, seeds]), key=lambda row: float(row["drop"]))
        x = np.array([100 * row["drop"] for row in found])
        y = np.array([100 * row["found"] / row["comparisons"] for row in found])
        ends = 100 * np.array([exact_interval(row["found"], row["comparisons"]) for row in found]).T
        axis.errorbar(
            x,
            y,
            np.abs(ends - y),
            linestyle=way.line,
            marker=way.marker,
            color=way.color,
            capsize=3,
            markersize=5,
        )
    axis.axhline(100 * POWER, color=GREY, linestyle="--", linewidth=1)
    axis.axhline(100 * level, color=GREY, linestyle=":", linewidth=1)
    axis.set_ylim(0, 103)
