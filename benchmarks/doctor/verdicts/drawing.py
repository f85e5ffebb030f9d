"""The evidence drawn: what a diagnosis looked at, over the frames, with the bars that were crossed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter
from numpy.typing import NDArray

from benchmarks.doctor.verdicts.diagnosis import Diagnosis
from benchmarks.doctor.verdicts.log import Log, Series
from benchmarks.doctor.verdicts.quantities import value_bound
from benchmarks.plots.style import (
    GREY,
    PALETTE,
    SMALL,
    TEXT,
    WIDTH,
    frames_axis,
    look,
    number_axis,
    panels,
    plain_number,
    save_figure,
    styled,
)
from benchmarks.plots.words import Entry, finish, shortened
from dqn_ref.config import format_frames

CROSSED = PALETTE[3]
MOST_POINTS = 400  # of a line; a log of a row per update would make a file of megabytes
EPISODES_OF_A_MEAN = 10


@dataclass(frozen=True)
class Panel:
    """One small picture: quantities that share an axis."""

    title: str
    names: tuple[str, ...]  # metrics, the first in front
    log_scale: bool = False


PANELS = (
    Panel("values", ("q_max", "q_mean", "q_start", "start_return")),
    Panel("loss, gradient norm", ("loss", "gradient_norm"), log_scale=True),
    Panel("TD error over target (variances)", ("td_error_ratio",), log_scale=True),
    Panel("step over weights, target distance", ("update_ratio", "target_distance"), log_scale=True),
    Panel("exploration, greedy actions", ("epsilon", "action_entropy", "top_action_share", "policy_churn")),
    Panel("dormant units", ("dormant_hidden", "dormant_conv3", "dormant_conv2", "dormant_conv1")),
    Panel("replay: age in agent steps", ("replay_age",)),
    Panel("replay: shares", ("replay_fill", "unique_state_share")),
    Panel("replay: rewards, terminals", ("nonzero_reward_share", "terminal_share")),
    Panel("input", ("input_max", "input_mean", "input_min")),
)


def draw_evidence(diagnosis: Diagnosis, folder: Path) -> list[Path]:
    """One figure of the run in ``folder``, as PNG and SVG; equal diagnoses give equal files.

    Raises:
        UserError: the folder cannot be written.
    """
    return save_figure(evidence_figure(diagnosis), folder / "diagnosis")


@styled
def evidence_figure(diagnosis: Diagnosis) -> Figure:
    """Returns, and every panel of which the log has anything, as small multiples."""
    log = diagnosis.log
    wanted = [panel for panel in PANELS if any(_numbers(log, name) is not None for name in panel.names)]
    columns = 2
    figure, axes = panels(-(-(len(wanted) + 1) // columns), columns, 1.5, sharex=True)
    _returns(axes.flat[0], diagnosis)
    for panel, axis in zip(wanted, axes.flat[1:], strict=False):
        _draw(axis, panel, diagnosis)
    for place, axis in enumerate(axes.flat):
        if place > len(wanted):
            axis.set_axis_off()
            continue
        axis.set_xlim(0, max(1, log.frames_done) * 1.03)
        frames_axis(axis, ticks=4)
        if place + columns > len(wanted):
            axis.set_xlabel("frames")
            axis.tick_params(labelbottom=True)
    title = f"Diagnosis of {log.name}: {diagnosis.outcome}"
    return finish(figure, title, _caption(diagnosis), _entries(diagnosis))


def _caption(diagnosis: Diagnosis) -> list[str]:
    log = diagnosis.log
    found = [f"{each.cause.id} ({each.confidence})" for each in diagnosis.causes]
    return [
        f"{log.program}, {log.game or 'game not known'}, {format_frames(log.frames_done)} frames; one run.",
        f"Causes: {', '.join(found)}." if found else "No cause was found.",
        *log.notes,
    ]


def _entries(diagnosis: Diagnosis) -> list[Entry]:
    entries: list[Entry] = []
    if diagnosis.learning.random is not None:
        entries.append((Line2D([], [], color=GREY, linestyle=(0, (4, 3)), linewidth=1), "random policy"))
    if np.isfinite(value_bound(diagnosis.log)) and "q_max" in diagnosis.log.series:
        entries.append((Line2D([], [], color=GREY, linestyle=(0, (1, 1.2)), linewidth=1.2), "bound of returns"))
    if any(each.evidence for each in diagnosis.causes):
        entries.append((Line2D([], [], color=CROSSED, linewidth=1.2), "bar that was crossed"))
    return entries


def _numbers(log: Log, name: str) -> Series | None:
    """The metric's finite rows, thinned; None if it has none."""
    series = log.series[name].finite() if name in log.series else None
    if series is None or not len(series.values):
        return None
    step = -(-len(series.values) // MOST_POINTS)
    return Series(series.frames[::step], series.values[::step])


def _draw(axis: Axes, panel: Panel, diagnosis: Diagnosis) -> None:
    log = diagnosis.log
    drawn: list[tuple[str, Line2D]] = []
    for place, name in enumerate(panel.names):
        series = _numbers(log, name)
        if series is None:
            continue
        style = look(place)
        values = np.abs(series.values) if panel.log_scale else series.values
        kept = values > 0 if panel.log_scale else np.ones(len(values), bool)
        (line,) = axis.plot(
            series.frames[kept], values[kept], color=style.color, linestyle=style.line, linewidth=1.4,
            marker=style.marker if len(values) == 1 else None, markersize=3,
        )  # fmt: skip
        drawn.append((name, line))
    if panel.log_scale and any(len(line.get_xdata()) for _, line in drawn):  # type: ignore[arg-type]
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter(FuncFormatter(plain_number))
        axis.yaxis.set_minor_formatter(NullFormatter())
    else:
        number_axis(axis.yaxis, ticks=4)
    if panel.names[0] == "q_max":
        _mark_bound(axis, log)
    for name, bar in _crossed_bars(diagnosis, panel.names):
        axis.axhline(bar, color=CROSSED, linewidth=1.2, zorder=1)
        axis.annotate(f"{name} {bar:g}", (0, bar), (2, 2), xycoords=("axes fraction", "data"),
                      textcoords="offset points", size=SMALL, color=CROSSED)  # fmt: skip
    _finish_panel(axis, panel.title)
    axis.legend(
        [line for _, line in drawn], [name for name, _ in drawn], fontsize=SMALL, loc="best", handlelength=1.6,
        frameon=True, framealpha=0.75, edgecolor="none", borderpad=0.1, labelspacing=0.2,
    )  # fmt: skip


def _mark_bound(axis: Axes, log: Log) -> None:
    bound = value_bound(log)
    low, high = axis.get_ylim()
    if np.isfinite(bound) and bound < 4 * max(abs(low), abs(high)):  # else it would flatten what is there
        axis.axhline(bound, color=GREY, linestyle=(0, (1, 1.2)), linewidth=1.2, zorder=1)


def _crossed_bars(diagnosis: Diagnosis, names: Sequence[str]) -> list[tuple[str, float]]:
    """Metric and height of bars that were crossed by one of ``names`` as it is; a growth or a spike has no height."""
    plain = ("late", "last", "largest", "smallest", "for long above", "for long below")
    return sorted({
        (evidence.sign.quantity.removeprefix("all_"), evidence.bar.at)
        for found in diagnosis.causes
        for evidence in found.evidence
        if evidence.sign.view in plain and evidence.sign.quantity.removeprefix("all_") in names
    })  # fmt: skip


def _returns(axis: Axes, diagnosis: Diagnosis) -> None:
    log = diagnosis.log
    style = look(0)
    frames, values = np.zeros(0, np.int64), np.zeros(0)
    if log.episodes is not None and len(log.episodes):
        frames, values = log.episodes.frames, log.episodes.returns
        step = -(-len(values) // MOST_POINTS)
        axis.plot(frames[::step], values[::step], ".", color=style.color, markersize=2, alpha=0.5)
        frames, values = _means(frames, values)
    elif (means := _numbers(log, "mean_return")) is not None:
        frames, values = means.frames, means.values
    axis.plot(frames, values, color=style.color, linewidth=1.6)
    if diagnosis.learning.random is not None:
        axis.axhline(diagnosis.learning.random, color=GREY, linestyle=(0, (4, 3)), linewidth=1, zorder=1)
    number_axis(axis.yaxis, ticks=4)
    _finish_panel(axis, "raw return of training episodes")
    if not len(values):
        axis.text(0.5, 0.5, "no returns in the log", ha="center", va="center", size=SMALL, transform=axis.transAxes)


def _means(frames: NDArray[np.int64], values: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Means over neighbours: of at least EPISODES_OF_A_MEAN episodes, in at most MOST_POINTS groups."""
    groups = max(1, min(MOST_POINTS, len(values) // EPISODES_OF_A_MEAN))
    parts = np.array_split(np.arange(len(values)), groups)
    ends = np.array([frames[part[-1]] for part in parts], np.int64)
    return ends, np.array([float(values[part].mean()) for part in parts])


def _finish_panel(axis: Axes, title: str) -> None:
    axis.set_title(shortened(title, 72 * (WIDTH / 2 - 0.5), TEXT), size=TEXT)
    axis.margins(y=0.12)
