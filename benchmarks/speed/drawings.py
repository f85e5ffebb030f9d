"""Drawings of a stored speed measurement, from its JSON alone (PNG and SVG)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from benchmarks.plots import BLUE, GREY, ORANGE, STYLE, one_panel, save_figure
from benchmarks.speed.catalogue import SUITE
from benchmarks.speed.result import Measured, member_bytes, step_fit, training_sizes
from dqn_ref.config import TRANSITION_BYTES
from dqn_ref.provenance import machine_words


def draw_speed(result: Mapping[str, Any], folder: Path) -> list[Path]:
    """Draw a stored measurement into ``folder``; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE):
        return [
            path
            for name, draw in DRAWINGS.items()
            for path in save_figure(draw(result["benchmarks"], where(result)), folder / name)
        ]


def where(result: Mapping[str, Any]) -> str:
    """The machine in words, and the source."""
    machine, commit = result["machine"], result["source"]["commit"]
    gpu = f"{machine['gpu']}, " if machine.get("gpu") else ""
    tiny = ", TINY SIZES: these times mean nothing" if result["quick"] else ""
    source = commit[:10] if commit else "unknown"
    return f"{gpu}{machine_words(machine)}, {result['torch']['precision']}, source {source}{tiny}"


def per_second(measured: Measured, name: str) -> list[float]:
    """Units a second of each sample."""
    return [measured[name]["work"] / seconds for seconds in measured[name]["seconds"]]


def sizes_of(measured: Measured, kind: str) -> list[str]:
    """Numbers of members or streams that ``kind`` was measured with."""
    sizes = [name[len(kind) + 1 : -1] for name in measured if name.startswith(f"{kind}[")]
    return sorted((size for size in sizes if size != SUITE), key=int)


def _samples(
    axis: Axes, sizes: list[str], values: list[list[float]], label: str, color: Any, style: str = "o-"
) -> None:
    """A line through the medians, with a bar from the 5th to the 95th percentile of the samples."""
    x, middle = [int(size) for size in sizes], [median(each) for each in values]
    low, high = np.array([np.percentile(each, [5, 95]) for each in values]).T
    axis.errorbar(
        x, middle, [middle - low, high - middle], fmt=style, color=color, capsize=3, markersize=5, label=label
    )


def _finish(axis: Axes, xlabel: str, ylabel: str, title: str) -> None:
    axis.set_xlabel(xlabel)
    axis.set_ylabel(ylabel)
    axis.set_ylim(bottom=0)
    axis.set_xlim(left=0)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_title(title)
    axis.legend(frameon=False, fontsize=8)


def training_frames(measured: Measured, caption: str) -> Figure:
    """Frames a second against members, beside the same streams playing alone."""
    figure, axis = one_panel(height=3.6)
    sizes = [size for size, _ in training_sizes(measured)]
    playing, training = ([per_second(measured, f"{kind}[{s}]") for s in sizes] for kind in ("playing", "training"))
    _samples(axis, sizes, playing, "playing alone (random actions)", GREY, "s--")
    _samples(axis, sizes, training, "training", BLUE)
    _finish(axis, "members (one stream each)", "frames a second, all members", f"Training speed by members\n{caption}")
    return figure


def playing_frames(measured: Measured, caption: str) -> Figure:
    """Frames a second against emulator threads."""
    figure, axis = one_panel(height=3.6)
    sizes = sizes_of(measured, "playing")
    _samples(axis, sizes, [per_second(measured, f"playing[{size}]") for size in sizes], "playing alone", BLUE)
    _finish(
        axis, "streams (one emulator thread each)", "frames a second", f"Playing speed by emulator threads\n{caption}"
    )
    return figure


def member_memory(measured: Measured, caption: str) -> Figure:
    """Memory of a member beside its replay, and its replay as measured."""
    figure, axis = one_panel(height=3.6)
    sizes = dict(training_sizes(measured))
    members = [int(size) for size in sizes]
    beside = [member_bytes(training) / 1e6 for training in sizes.values()]
    replay = [training["replay_bytes"] / training["members"] / 1e6 for training in sizes.values()]
    axis.plot(members, beside, "o-", color=BLUE, label="networks, optimiser, work of an update")
    replay_label = f"replay of this measurement (the paper's 1M transitions: {TRANSITION_BYTES:,} MB)"
    axis.plot(members, replay, "s--", color=ORANGE, label=replay_label)
    _finish(axis, "members", "MB a member", f"Device memory of a member\n{caption}")
    return figure


def update_time(measured: Measured, caption: str) -> Figure:
    """Time of one update of all members, and of a training step with its share of one."""
    figure, axis = one_panel(height=3.6)
    sizes = sizes_of(measured, "update")
    times = [[seconds * 1e3 for seconds in measured[f"update[{size}]"]["seconds"]] for size in sizes]
    _samples(axis, sizes, times, "an update of every member", BLUE)
    steps = [[4e3 * int(s) / rate for rate in per_second(measured, f"training[{s}]")] for s in sizes]
    _samples(axis, sizes, steps, "a training step (a quarter of an update each)", ORANGE, "s--")
    if fit := step_fit(measured):
        x = np.array([0, max(map(int, sizes))])
        axis.plot(
            x, 1e3 * (fit["base"] + fit["per_member"] * x), ":", color=GREY, label="straight line through the steps"
        )
    _finish(axis, "members", "milliseconds", f"Time of an update by members\n{caption}")
    return figure


DRAWINGS: dict[str, Callable[[Measured, str], Figure]] = {
    "training_frames": training_frames,
    "playing_frames": playing_frames,
    "member_memory": member_memory,
    "update_time": update_time,
}
