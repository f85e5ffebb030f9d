"""Drawings of a stored speed measurement, from its JSON alone (PNG and SVG)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from benchmarks.plots.style import GREY, Look, look, number_axis, one_panel, save_figure, styled
from benchmarks.plots.words import Entry, finish
from benchmarks.speed.catalogue import SUITE, kind_of, size_of
from benchmarks.speed.result import Measured, member_bytes, step_fit, training_sizes
from benchmarks.words import sources
from dqn_ref.config import TRANSITION_BYTES
from dqn_ref.provenance import machine_words

HEIGHT = 2.7  # inches
PLAIN = Look(GREY, "--", "s", "")  # what stands beside the measurement, to compare with


def draw_speed(result: Mapping[str, Any], folder: Path) -> list[Path]:
    """Draw a stored measurement into ``folder``; returns the files."""
    return [
        path
        for name, draw in DRAWINGS.items()
        for path in save_figure(draw(result["benchmarks"], where(result)), folder / name)
    ]


def where(result: Mapping[str, Any]) -> str:
    """The machine in words, and the source."""
    tiny = ", TINY SIZES: these times mean nothing" if result["quick"] else ""
    machine, precision = machine_words(result["machine"]), result["torch"]["precision"]
    return f"{machine}, {precision}, {sources([result['source']])}{tiny}"


def per_second(measured: Measured, name: str) -> list[float]:
    """Units a second of each sample."""
    return [measured[name]["work"] / seconds for seconds in measured[name]["seconds"]]


def measured_sizes(measured: Measured, kind: str) -> list[str]:
    """Numbers of members or streams that ``kind`` was measured with."""
    sizes = [size_of(name) for name in measured if kind_of(name) == kind]
    return sorted((size for size in sizes if size != SUITE), key=int)


def _samples(axis: Axes, sizes: list[str], values: list[list[float]], label: str, style: Look) -> Entry:
    """A line through the medians, with a bar from the 5th to the 95th percentile of the samples."""
    x, middle = [int(size) for size in sizes], [median(each) for each in values]
    low, high = np.array([np.percentile(each, [5, 95]) for each in values]).T
    drawn = axis.errorbar(
        x, middle, [middle - low, high - middle], color=style.color, linestyle=style.line, marker=style.marker,
        linewidth=2, elinewidth=1, capsize=3, markersize=5.5, label=label,
    )  # fmt: skip
    return drawn, label


def _line(axis: Axes, x: Sequence[float], y: Sequence[float], label: str, style: Look) -> Entry:
    (drawn,) = axis.plot(
        x, y, color=style.color, linestyle=style.line, marker=style.marker, linewidth=2, markersize=5.5, label=label
    )
    return drawn, label


def _finish(figure: Figure, axis: Axes, title: str, caption: str, legend: Sequence[Entry]) -> Figure:
    axis.set_ylim(bottom=0)
    axis.set_xlim(left=0)
    number_axis(axis.xaxis)
    number_axis(axis.yaxis)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    with_bars = any(isinstance(artist, ErrorbarContainer) for artist, _ in legend)
    bars = ["Bars: 5th to 95th percentile of the samples."] if with_bars else []
    return finish(figure, title, [f"{caption}.", *bars], legend)


@styled
def training_frames(measured: Measured, caption: str) -> Figure:
    """Frames a second against members, beside the same streams playing alone."""
    figure, axis = one_panel(HEIGHT)
    sizes = [size for size, _ in training_sizes(measured)]
    playing, training = ([per_second(measured, f"{kind}[{s}]") for s in sizes] for kind in ("playing", "training"))
    legend = [
        _samples(axis, sizes, playing, "playing alone (random actions)", PLAIN),
        _samples(axis, sizes, training, "training", look(0)),
    ]
    axis.set_xlabel("members (one stream each)")
    axis.set_ylabel("frames a second, all members")
    return _finish(figure, axis, "Training speed by members", caption, legend)


@styled
def playing_frames(measured: Measured, caption: str) -> Figure:
    """Frames a second against emulator threads."""
    figure, axis = one_panel(HEIGHT)
    sizes = measured_sizes(measured, "playing")
    legend = [_samples(axis, sizes, [per_second(measured, f"playing[{s}]") for s in sizes], "playing alone", look(0))]
    axis.set_xlabel("streams (one emulator thread each)")
    axis.set_ylabel("frames a second")
    return _finish(figure, axis, "Playing speed by emulator threads", caption, legend)


@styled
def member_memory(measured: Measured, caption: str) -> Figure:
    """Memory of a member beside its replay, and its replay as measured."""
    figure, axis = one_panel(HEIGHT)
    sizes = dict(training_sizes(measured))
    members = [int(size) for size in sizes]
    beside = [member_bytes(training) / 1e6 for training in sizes.values()]
    replay = [training["replay_bytes"] / training["members"] / 1e6 for training in sizes.values()]
    replay_label = f"replay of this measurement (the paper's 1M transitions: {TRANSITION_BYTES:,} MB)"
    legend = [
        _line(axis, members, beside, "networks, optimiser, work of an update", look(0)),
        _line(axis, members, replay, replay_label, look(1)),
    ]
    axis.set_xlabel("members")
    axis.set_ylabel("MB a member")
    return _finish(figure, axis, "Device memory of a member", caption, legend)


@styled
def update_time(measured: Measured, caption: str) -> Figure:
    """Time of one update of all members, and of a training step with its share of one."""
    figure, axis = one_panel(HEIGHT)
    sizes = measured_sizes(measured, "update")
    times = [[seconds * 1e3 for seconds in measured[f"update[{size}]"]["seconds"]] for size in sizes]
    steps = [[4e3 * int(s) / rate for rate in per_second(measured, f"training[{s}]")] for s in sizes]
    legend = [
        _samples(axis, sizes, times, "an update of every member", look(0)),
        _samples(axis, sizes, steps, "a training step (a quarter of an update each)", look(1)),
    ]
    if fit := step_fit(measured):
        x = np.array([0, max(map(int, sizes))])
        straight = Look(GREY, (0, (1, 1.2)), "", "")
        y = 1e3 * (fit["base"] + fit["per_member"] * x)
        legend.append(_line(axis, list(x), list(y), "straight line through the steps", straight))
    axis.set_xlabel("members")
    axis.set_ylabel("milliseconds")
    return _finish(figure, axis, "Time of an update by members", caption, legend)


DRAWINGS: dict[str, Callable[[Measured, str], Figure]] = {
    "training_frames": training_frames,
    "playing_frames": playing_frames,
    "member_memory": member_memory,
    "update_time": update_time,
}
