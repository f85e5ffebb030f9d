"""Drawings of a suite: learning curves, scores per game, intervals, performance profile (PNG and SVG).

Colours are seaborn's colour-blind palette; nothing is told by colour alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from benchmarks.reference import human_and_random
from benchmarks.runner import Matrix
from benchmarks.scores import ScoreMatrix
from benchmarks.statistics import aggregates, performance_profile
from dqn_ref.config import format_frames
from dqn_ref.records import RunRecord

STYLE: Any = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "dqn-ref",  # equal data, equal file
    "svg.fonttype": "none",
}
CURVE_POINTS = 12
BLUE, ORANGE, GREEN, RED, _, _, _, GREY, *_ = sns.color_palette("colorblind")


def draw_all(matrix: Matrix, scores: ScoreMatrix, records: Sequence[RunRecord], folder: Path) -> list[Path]:
    """Draw everything that ``scores`` allow into ``folder``; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE):
        figures = {"learning_curves": learning_curves(matrix, records)}
        for name in ("games", "intervals", "profile"):  # of an earlier, complete matrix
            for suffix in (".png", ".svg"):
                (folder / name).with_suffix(suffix).unlink(missing_ok=True)
        if not scores.missing:
            figures["games"] = game_bars(matrix, scores)
            figures["intervals"] = intervals(matrix, scores.matrix())
            figures["profile"] = profile(matrix, scores.matrix())
        return [path for name, figure in figures.items() for path in save_figure(figure, folder / name)]


def save_figure(figure: Figure, path: Path) -> list[Path]:
    """Write PNG and SVG at ``path``, whose suffix is added; equal figures give equal files."""
    paths = [path.with_suffix(".png"), path.with_suffix(".svg")]
    for each in paths:
        figure.savefig(each, dpi=130, bbox_inches="tight", metadata={"Date": None} if each.suffix == ".svg" else None)
    return paths


def _caption(matrix: Matrix, what: str) -> str:
    label, frames = matrix.protocol.protocol.label(), format_frames(matrix.frames)
    caveat = ", not the paper's protocol" if matrix.protocol.protocol.name == "ci" else ""
    return f"{what}\n{matrix.suite}, {label}{caveat}, {frames} frames, {matrix.num_seeds} seeds"


def curve(record: RunRecord, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean raw return of the episodes that ended between two ``points``, in frames; NaN where none did."""
    rows = [row for row in record.episodes() if row["end"] != "iteration_end"]
    frames, returns = np.array([row["frame"] for row in rows]), np.array([row["raw_return"] for row in rows], float)
    return np.array(
        [
            returns[(frames > low) & (frames <= high)].mean() if ((frames > low) & (frames <= high)).any() else np.nan
            for low, high in itertools.pairwise(points)
        ]
    )


def learning_curves(matrix: Matrix, records: Sequence[RunRecord]) -> Figure:
    """Training return by frames, a panel per game: a thin line per seed, a thick one for their mean."""
    columns = min(5, len(matrix.games))
    lines = -(-len(matrix.games) // columns)
    figure = Figure(figsize=(3.0 * columns, 2.4 * lines + 0.6), layout="constrained")
    axes = figure.subplots(lines, columns, squeeze=False)
    for empty in axes.flat[len(matrix.games) :]:
        empty.set_axis_off()
    points = np.linspace(0, matrix.frames, CURVE_POINTS + 1)
    unit, size = ("millions of", 1e6) if matrix.frames >= 1_000_000 else ("thousands of", 1e3)
    for game, axis in zip(matrix.games, axes.flat, strict=False):
        curves = [curve(record, points) for record in records if record.member.game == game]
        for one in curves:
            _line(axis, points[1:] / size, one, linewidth=0.8, alpha=0.6, markersize=2)
        if curves:
            together = np.ma.masked_invalid(np.stack(curves)).mean(axis=0).filled(np.nan)
            _line(axis, points[1:] / size, together, linewidth=2.2, markersize=4, label="mean of seeds")
        axis.axhline(human_and_random()[game].random, color=GREY, linestyle="--", linewidth=1, label="random policy")
        if not any(np.isfinite(one).any() for one in curves):
            axis.text(0.5, 0.5, "no episode\nran to its end", ha="center", va="center", transform=axis.transAxes)
        axis.set_title(game)
        axis.set_xlim(0, matrix.frames / size * 1.03)
    axes.flat[0].legend(fontsize=8, frameon=False)
    figure.supxlabel(f"{unit} frames")
    figure.supylabel("training return")
    figure.suptitle(_caption(matrix, "Learning curves: raw return of training episodes"))
    return figure


def _line(axis: Axes, x: NDArray[np.float64], y: NDArray[np.float64], **style: Any) -> None:
    """A line with its points; where no episode ended there is no point, and the line goes on."""
    known = ~np.isnan(y)
    axis.plot(x[known], y[known], color=BLUE, marker="o", **style)


def game_bars(matrix: Matrix, scores: ScoreMatrix) -> Figure:
    """Human-normalised score of each game: a bar for the mean, a dot per seed."""
    figure, axis = one_panel(height=0.38 * len(matrix.games) + 1.4)
    for place, game in enumerate(reversed(matrix.games)):
        values = scores.normalised(game)
        axis.barh(place, values.mean(), color=BLUE, alpha=0.55, height=0.65)
        axis.plot(values, np.full(len(values), place), "o", color="black", markersize=4)
    axis.set_yticks(range(len(matrix.games)), list(reversed(matrix.games)))
    axis.axvline(0, color=GREY, linewidth=1)
    axis.set_xlabel("human-normalised score (0: random policy, 1: human)")
    axis.set_title(_caption(matrix, "Score per game: mean (bar) and seeds (dots)"))
    return figure


def intervals(matrix: Matrix, scores: NDArray[np.float64]) -> Figure:
    """IQM, median and mean over the suite with their 95 % intervals."""
    figure, axis = one_panel(height=2.4)
    for place, (name, interval) in enumerate(reversed(aggregates(scores).items())):
        if interval.low is not None and interval.high is not None:
            axis.barh(place, interval.high - interval.low, left=interval.low, color=BLUE, alpha=0.4, height=0.5)
        axis.plot([interval.point] * 2, [place - 0.25, place + 0.25], color="black", linewidth=2)
        axis.text(interval.point, place + 0.3, f"{interval.point:.3f}", ha="center", va="bottom", fontsize=9)
        axis.text(-0.02, place, name, ha="right", va="center", transform=axis.get_yaxis_transform())
    axis.set_yticks([])
    axis.set_ylim(-0.5, 2.8)
    axis.set_xlabel("human-normalised score")
    axis.set_title(_caption(matrix, "Aggregates with 95 % stratified bootstrap intervals"))
    return figure


def profile(matrix: Matrix, scores: NDArray[np.float64]) -> Figure:
    """Share of runs that score above a threshold, for every threshold."""
    figure, axis = one_panel(height=3.2)
    low, high = min(0.0, float(scores.min())), max(0.0, float(scores.max()))
    thresholds = np.linspace(low - 0.05 * (high - low), high + 0.05 * (high - low), 101)
    share, band = performance_profile(scores, thresholds)
    if band is not None:
        axis.fill_between(thresholds, band[0], band[1], color=BLUE, alpha=0.25, step="post", label="95 % band")
    axis.step(thresholds, share, where="post", color=BLUE, linewidth=2, label="share of runs")
    axis.axvline(0, color=GREY, linestyle="--", linewidth=1, label="random policy")
    axis.set_ylim(0, 1.02)
    axis.set_xlabel("human-normalised score (threshold)")
    axis.set_ylabel("share of runs above it")
    axis.legend(frameon=False)
    axis.set_title(_caption(matrix, "Performance profile"))
    return figure


def one_panel(height: float) -> tuple[Figure, Axes]:
    """A figure with one pair of axes; ``height`` in inches."""
    figure = Figure(figsize=(7.5, height), layout="constrained")
    return figure, figure.subplots()
