"""How a machine's speed went over time: every stored measurement of it, the ones that were replaced included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter

from benchmarks.plots.style import look, number_axis, panels, plain_number, save_figure, styled
from benchmarks.plots.words import Entry, finish, shortened
from benchmarks.speed.catalogue import RATIOS, kind_of, size_of
from benchmarks.speed.result import ratios, unit_seconds
from benchmarks.store import read_stored
from benchmarks.words import count
from dqn_ref.provenance import machine_words, source_words

RATES = {"training": "training, frames/s", "playing": "playing, frames/s", "update": "updates/s"}
OURS = "dqn-ref"


@dataclass(frozen=True)
class Taken:
    """One stored measurement."""

    when: str | None  # UTC; the oldest form has none
    source: str
    content: Mapping[str, Any]

    @property
    def words(self) -> str:
        """Day, time and source revision."""
        return f"{self.when[:16].replace('T', ' ') if self.when else 'undated'}, source {self.source}"


def measurements(folder: Path, name: str) -> list[Taken]:
    """Stored measurements called ``name`` in a machine's ``folder``, oldest first; one without a date is the oldest."""
    paths = sorted([*folder.glob(f"{name}.json"), *folder.glob(f"{name}.until-*.json")])
    found = [read_stored(path) for path in paths]
    taken = [Taken(each.get("started") or each.get("measured"), source_words(each["source"]), each) for each in found]
    return sorted(taken, key=lambda each: each.when or "")


def draw_trends(machine: Path, folder: Path) -> list[Path]:
    """Draw what is stored in the folder of a ``machine`` into ``folder``; returns the files, none if nothing is."""
    drawn = list[Path]()
    for name, draw in (("speed", speed_trend), ("peers", peers_trend)):
        if taken := measurements(machine, name):
            drawn += save_figure(draw(taken), folder / f"{name}_trend")
    return drawn


# ---------------------------------------------------------------------- of this project alone


def lines(measured: Mapping[str, Any]) -> dict[str, float]:
    """Ratios, and units a second of training, playing and updates, in the sizes that were trained: ``update[4]``."""
    found = ratios(measured)
    found |= {name: 1 / unit_seconds(measured, name) for name in measured if kind_of(name) in RATES}
    return {name: value for name, value in found.items() if f"training[{size_of(name)}]" in measured}


@styled
def speed_trend(taken: Sequence[Taken]) -> Figure:
    """Ratios within each measurement, and absolute rates; a panel each, a line a size."""
    titles = {ratio.name: ratio.name.replace("_", " ") for ratio in RATIOS} | RATES
    figure, axes = panels(len(titles) // 3, 3, 1.6, sharex=True)
    found = [lines(each.content["benchmarks"]) for each in taken]
    sizes = sorted({size_of(name) for each in found for name in each}, key=lambda s: (not s.isdigit(), s.zfill(9)))
    for (name, title), axis in zip(titles.items(), axes.flat, strict=True):
        for place, size in enumerate(sizes):
            _points(axis, [each.get(f"{name}[{size}]") for each in found], place, (), len(sizes))
        _finish_panel(axis, title, len(taken))
    for axis in axes[-1]:
        axis.set_xlabel("measurement")
    words = [count(int(size), "member") if size.isdigit() else f"{size}, one of each game" for size in sizes]
    return finish(
        figure, "Speed over time: ratios within a measurement, and rates", _key(taken),
        [_entry(place, each) for place, each in enumerate(words)],
    )  # fmt: skip


# ---------------------------------------------------------------------- beside the peers


def contestants(content: Mapping[str, Any]) -> dict[str, list[float]]:
    """Agent steps a second by contestant, a number a round; the oldest form told no precision in a name."""
    named = {OURS: f"{OURS} {content.get('precision', '')}".strip()}
    return {named.get(name, name): speeds for name, speeds in content["agent_steps_per_second"].items()}


@styled
def peers_trend(taken: Sequence[Taken]) -> Figure:
    """Agent steps a second of all, and ours over each peer's round by round: medians, bars from lowest to highest."""
    speeds = [contestants(each.content) for each in taken]
    everyone = list(dict.fromkeys(name for each in speeds for name in each))
    ours = [name for name in everyone if name.startswith(OURS)]
    figure, axes = panels(1, 1 + len(ours), 2.3, sharex=True)
    for place, name in enumerate(everyone):
        _points(axes[0, 0], [median(each[name]) if name in each else None for each in speeds], place,
                [each.get(name) for each in speeds], len(everyone))  # fmt: skip
    _finish_panel(axes[0, 0], "agent steps/s while learning", len(taken))
    for own, axis in zip(ours, axes[0, 1:], strict=True):
        for place, name in enumerate(everyone):
            if name not in ours:
                rounds = [
                    [mine / its for mine, its in zip(each[own], each[name], strict=True)]
                    if own in each and name in each else None
                    for each in speeds
                ]  # fmt: skip
                middles = [median(each) if each else None for each in rounds]
                _points(axis, middles, place, rounds, len(everyone))
        axis.axhline(1, color="black", linewidth=0.8, linestyle=(0, (4, 3)))
        _finish_panel(axis, f"{own} : peer", len(taken))
    for axis in axes[-1]:
        axis.set_xlabel("measurement")
    return finish(
        figure, "Speed beside peers over time", [*_key(taken), "Bars: lowest to highest of the rounds."],
        [_entry(place, name) for place, name in enumerate(everyone)],
    )  # fmt: skip


# ---------------------------------------------------------------------- what the two share


def _points(
    axis: Axes,
    values: Sequence[float | None],
    place: int,
    samples: Sequence[Sequence[float] | None] = (),
    side_by_side: int = 1,
) -> None:
    """A line through what is there, numbered from 1; ``samples`` give bars from the lowest to the highest."""
    shift = 0.07 * (place - (side_by_side - 1) / 2) if side_by_side > 1 else 0.0
    known = [k for k, value in enumerate(values) if value is not None]
    style = look(place)
    x, y = np.array(known) + 1 + shift, [values[k] for k in known]
    axis.plot(x, np.array(y, float), color=style.color, linestyle=style.line, marker=style.marker, markersize=5)
    for at, k in zip(x, known, strict=True):
        if samples and samples[k]:
            axis.vlines(at, min(samples[k] or []), max(samples[k] or []), color=style.color, linewidth=1)


def _finish_panel(axis: Axes, title: str, number: int) -> None:
    axis.set_title(shortened(title, 130, 9), size=9)
    axis.set_xlim(0.4, number + 0.6)
    axis.set_ylim(0, 1.08 * axis.get_ylim()[1])
    number_axis(axis.yaxis, ticks=4)
    axis.xaxis.set_major_locator(FixedLocator(range(1, number + 1), nbins=12))
    axis.xaxis.set_major_formatter(FuncFormatter(plain_number))


def _entry(place: int, words: str) -> Entry:
    style = look(place)
    return Line2D([], [], color=style.color, linestyle=style.line, marker=style.marker, markersize=5), words


def _key(taken: Sequence[Taken]) -> list[str]:
    """The machine, and what each number along x stands for."""
    machine = taken[-1].content["machine"]
    numbered = "; ".join(f"{number}: {each.words}" for number, each in enumerate(taken, 1))
    only = " One measurement: no trend yet." if len(taken) == 1 else ""
    return [f"{machine_words(machine)}. {count(len(taken), 'measurement')}. {numbered}.{only}"]
