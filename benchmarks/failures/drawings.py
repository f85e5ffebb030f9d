"""Drawings of the failures suite: every run's score by variant, and learning curves beside the reference's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from benchmarks.curves import training_points
from benchmarks.failures.effects import Verdict
from benchmarks.failures.findings import Findings, Row, Run, find, groups, scores_of
from benchmarks.failures.variants import CONTROL, REFERENCE
from benchmarks.plots.style import (
    FAINT,
    GREY,
    SMALL,
    TEXT,
    WIDTH,
    frames_axis,
    look,
    number_axis,
    one_panel,
    panels,
    save_figure,
    styled,
)
from benchmarks.plots.words import Entry, finish, shortened
from benchmarks.reference import human_and_random
from benchmarks.scores import full_episodes
from benchmarks.store import Store
from benchmarks.words import count, revisions
from dqn_ref.config import format_frames

ROW = 0.24  # inches of a variant
COLUMNS = 3  # panels of learning curves side by side
# How each verdict is told without words: colour, and a marker's shape.
LOOK_OF = {
    Verdict.CONFIRMED: look(1),
    Verdict.OPPOSITE: look(2),
    Verdict.NOT_SHOWN: look(0),
    Verdict.NOT_LEARNT: look(3),
    Verdict.TOO_FEW: look(4),
    Verdict.NO_CONTROL: look(5),
}
_DASHED, _DOTTED = (0, (4, 3)), (0, (1, 1.5))


def draw_groups(store: Store, folder: Path) -> list[Path]:
    """Draw every group that has runs into a folder of its own under ``folder``."""
    return [path for group in groups(store) for path in draw_failures(find(store, group), folder / f"failures-{group}")]


def draw_failures(found: Findings, folder: Path) -> list[Path]:
    """Draw scores and learning curves of each game that a variant was run on into ``folder``."""
    files = list[Path]()
    for each in found.learnt:
        rows = [row for row in found.rows if row.game == each.game]
        if not rows:
            continue
        runs, control = found.of(REFERENCE, each.game), found.of(CONTROL, each.game)
        caption = _caption(found, [*runs, *control, *(run for row in rows for run in row.runs)])
        files += save_figure(score_strips(each.game, runs, control, rows, caption), folder / f"scores-{each.game}")
        figure = small_curves(each.game, runs, control, rows, caption)
        files += save_figure(figure, folder / f"curves-{each.game}")
    return files


def _caption(found: Findings, runs: Sequence[Run]) -> list[str]:
    config = runs[0].record.config
    return [
        f"{runs[0].record.protocol}, {format_frames(config.total_frames)} frames; {revisions(r.record for r in runs)}. "
        f"{count(len(found.rows), 'comparison')} in the adjustment of the p-values."
    ]


@styled
def score_strips(
    game: str, reference: Sequence[Run], control: Sequence[Run], rows: Sequence[Row], caption: Sequence[str]
) -> Figure:
    """Score of every run, a line a variant: dots are seeds, the bar is their mean."""
    names = [REFERENCE.name, *([f"{CONTROL.name} (control)"] if control else []), *(row.variant.name for row in rows)]
    figure, axis = one_panel(len(names) * ROW + 0.55)
    _strip(axis, 0, scores_of(reference), "black", "o")
    if control:
        _strip(axis, 1, scores_of(control), GREY, "X")
        axis.axvline(float(scores_of(control).mean()), color=GREY, linestyle=_DOTTED, linewidth=1.5, zorder=1)
    for place, row in enumerate(rows, len(names) - len(rows)):
        style = LOOK_OF[row.judged.verdict]
        _strip(axis, place, scores_of(row.runs), style.color, style.marker)
    mean, random = float(scores_of(reference).mean()), human_and_random()[game].random
    axis.axvline(mean, color="black", linewidth=1, zorder=1)
    axis.axvline(random, color=GREY, linestyle=_DASHED, linewidth=1, zorder=1)
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.tick_params(axis="y", length=0)
    axis.grid(axis="x", color=FAINT, linewidth=0.6)
    number_axis(axis.xaxis, ticks=7)
    axis.set_xlabel("mean raw return in the second half of training")
    present = dict.fromkeys(row.judged.verdict for row in rows)
    entries: list[Entry] = [
        (Line2D([], [], color="black", linewidth=1), "the reference's mean"),
        *([(Line2D([], [], color=GREY, linestyle=_DOTTED, linewidth=1.5), "its control's mean")] if control else []),
        (Line2D([], [], color=GREY, linestyle=_DASHED, linewidth=1), "random policy"),
        *((Line2D([], [], linestyle="none", marker=LOOK_OF[verdict].marker, color=LOOK_OF[verdict].color), str(verdict))
          for verdict in present),
    ]  # fmt: skip
    return finish(figure, f"{game}: score of each run by variant, and their mean", caption, entries)


def _strip(axis: Axes, place: int, scores: NDArray[np.float64], color: str, marker: str) -> None:
    axis.plot(
        scores, np.full(len(scores), place), linestyle="none", marker=marker, color=color, markersize=5, alpha=0.8,
        markeredgecolor="white", markeredgewidth=0.4, zorder=3,
    )  # fmt: skip
    axis.plot([scores.mean()] * 2, [place - 0.32, place + 0.32], color=color, linewidth=2, zorder=4)


@styled
def small_curves(
    game: str, reference: Sequence[Run], control: Sequence[Run], rows: Sequence[Row], caption: Sequence[str]
) -> Figure:
    """Mean training return by frames, a panel a variant, the reference's and its control's behind; seeds thin."""
    columns = min(COLUMNS, len(rows))
    figure, axes = panels(-(-len(rows) // columns), columns, 1.4, sharex=True, sharey=True)
    last = reference[0].record.config.total_frames
    for row, axis in zip(rows, axes.flat, strict=False):
        style = LOOK_OF[row.judged.verdict]
        _curve(axis, reference, GREY, "-", 1.5)
        if control:
            _curve(axis, control, GREY, _DOTTED, 1.5)
        for run in row.runs:
            _curve(axis, [run], style.color, "-", 0.6)
        _curve(axis, row.runs, style.color, style.line, 2.0)
        axis.axhline(human_and_random()[game].random, color=GREY, linestyle=_DASHED, linewidth=0.8, zorder=1)
        axis.set_title(shortened(row.variant.name, 72 * (WIDTH / columns - 0.5), TEXT), size=TEXT)
        axis.set_xlim(0, last * 1.04)
        frames_axis(axis, ticks=3)
        number_axis(axis.yaxis, ticks=4)
    for column in range(columns):
        lowest = axes[(len(rows) - 1 - column) // columns, column]
        lowest.set_xlabel("frames", size=SMALL)
        lowest.tick_params(labelbottom=True)
    for empty in axes.flat[len(rows) :]:
        empty.set_axis_off()
    entries: list[Entry] = [
        (Line2D([], [], color=GREY, linewidth=1.5), "the reference, mean of seeds"),
        *([(Line2D([], [], color=GREY, linestyle=_DOTTED, linewidth=1.5), "its control")] if control else []),
        (Line2D([], [], color=GREY, linestyle=_DASHED, linewidth=0.8), "random policy"),
        *((Line2D([], [], color=LOOK_OF[verdict].color, linestyle=LOOK_OF[verdict].line, linewidth=2), str(verdict))
          for verdict in dict.fromkeys(row.judged.verdict for row in rows)),
    ]  # fmt: skip
    note = "Each variant plays with its own epsilon; the verdict is of the second half."
    return finish(figure, f"{game}: raw return of training episodes", [*caption, note], entries)


def _curve(axis: Axes, runs: Sequence[Run], color: str, line: object, width: float) -> None:
    """Mean over ``runs`` where each has an episode."""
    points = [training_points(*full_episodes(run.record), run.record.config.total_frames) for run in runs]
    values = np.stack([values for _, values in points])
    whole = np.isfinite(values).all(axis=0)
    axis.plot(points[0][0][whole], values[:, whole].mean(axis=0), color=color, linestyle=line, linewidth=width)
