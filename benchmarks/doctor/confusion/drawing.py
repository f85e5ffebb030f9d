"""The confusion matrix drawn: a shade and a number for each cell, a frame around right answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from benchmarks.doctor.confusion.counts import ConfusionMatrix, answers, confusion_matrix, held_out
from benchmarks.doctor.confusion.runs import DiagnosedRun
from benchmarks.plots.style import FAINT, SMALL, TEXT, one_panel, save_figure, styled
from benchmarks.plots.words import finish, width_of
from benchmarks.words import count

ROW = 0.24  # inches of a fault
DARK = 0.6  # share of a row above which its number is white


def draw_confusion(looked: Sequence[DiagnosedRun], folder: Path) -> list[Path]:
    """Draw the matrix of the held-out runs into ``folder``; nothing if there is none."""
    if not held_out(looked):
        return []
    return save_figure(confusion_figure(looked), folder / "confusion")


@styled
def confusion_figure(looked: Sequence[DiagnosedRun]) -> Figure:
    """Faults down, the cause that a log names first across."""
    runs, matrix = held_out(looked), confusion_matrix(looked)
    names = max(width_of(column, TEXT) for column in matrix.columns) / 72
    figure, axis = one_panel(len(matrix.rows) * ROW + 0.75 * names + 0.5)
    totals = [sum(counts) for counts in matrix.counts]
    shares = np.array(matrix.counts) / np.array(totals)[:, None]
    axis.pcolormesh(shares, cmap="Blues", vmin=0, vmax=1, edgecolors=FAINT, linewidth=0.6)
    _write(axis, matrix, totals)
    labels = [f"{name} ({total})" for name, total in zip(matrix.rows, totals, strict=True)]
    axis.set_yticks(np.arange(len(labels)) + 0.5, labels)
    axis.set_xticks(
        np.arange(len(matrix.columns)) + 0.5, matrix.columns, rotation=45, ha="right", rotation_mode="anchor"
    )
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    axis.set_ylim(len(labels), 0)
    axis.set_xlabel("cause that the log names first")
    axis.set_ylabel("put in (runs)")
    sources = sorted({each.origin[1] for each in runs})
    caption = [
        f"{count(len(runs), 'run')} on {', '.join(sorted({each.game for each in runs}))} "
        f"({', '.join(sorted({each.group for each in runs}))}), none of them one that the bars of the verdicts were "
        f"set on; source {', '.join(sources)}. Numbers are runs; the shade is their share of the row.",
        "A row without a frame: verdicts know no cause that stands for the fault.",
    ]
    right = Patch(facecolor="none", edgecolor="black", linewidth=1.4)
    return finish(figure, "Fault put in by fault diagnosed", caption, [(right, "a right answer")])


def _write(axis: Axes, matrix: ConfusionMatrix, totals: Sequence[int]) -> None:
    for row, (name, counts) in enumerate(zip(matrix.rows, matrix.counts, strict=True)):
        for column, (cause, number) in enumerate(zip(matrix.columns, counts, strict=True)):
            if number:
                color = "white" if number / totals[row] > DARK else "black"
                axis.text(column + 0.5, row + 0.5, str(number), ha="center", va="center", color=color, size=SMALL)
            if cause in answers(name):
                axis.add_patch(Rectangle((column, row), 1, 1, fill=False, linewidth=1.4, clip_on=False, zorder=3))
