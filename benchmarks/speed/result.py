"""From pytest-benchmark's raw JSON to what is stored and printed: medians, ratios, the split of a step, a forecast.

Where a training step's time goes, in seconds of the host for one step of all members (``TimeSplit``):

- *emulator*: waiting for the emulators after the update is on its way;
- *network*: choosing the actions. On a GPU it holds the wait for whatever the device has not done yet, the update of
  the step before included;
- *learner*: the update. On a GPU only its launch, because the device works while the host goes on to the emulators;
- *rest*: the loop, storing the step, sending the actions.

*Host overhead* is the time in which the host waits neither for the emulators nor for the device's work, so no
faster emulator and no faster device would save it. On a GPU it is wall time less the emulators' wait less the wait for
the device, measured in the same loop between the launch of the network and its end: launches, uploads, random numbers,
bookkeeping and the copy of the actions remain. On a CPU the host is the device: network and learner are its work, and
what remains is *rest*. As its share of the emulators' time (one step of the same streams, playing alone) it says how
much slower than the emulators training would be if the device cost nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean, median
from typing import Any

import numpy as np
from rich.table import Table

from benchmarks.markdown import table as markdown_table
from benchmarks.speed.catalogue import BENCHES, FEW_AND_MANY, RATIOS, SUITE, kind_of, size_of
from dqn_ref.config import TRANSITION_BYTES, UserError
from dqn_ref.provenance import machine_words, source_words

SCHEMA = 1
PARTS = ("emulator", "network", "learner", "rest")
Measured = Mapping[str, Mapping[str, Any]]  # the benchmarks of a stored measurement, by name


def benchmarks_of(raw: Mapping[str, Any], expected: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What pytest-benchmark wrote, by name: seconds of each sample's iteration, work of an iteration, its unit.

    Raises:
        UserError: a benchmark is missing, or one is there that is not known: nothing passes in silence.
    """
    found = {each["name"].removeprefix("bench_"): each for each in raw["benchmarks"]}
    if len(found) < len(raw["benchmarks"]) or sorted(found) != sorted(expected):
        missing, unknown = sorted({*expected} - {*found}), sorted({*found} - {*expected})
        raise UserError(f"The benchmarks are not those asked for; missing: {missing}, not known: {unknown}.")
    return {
        name: {
            "unit": BENCHES[kind_of(name)].unit,
            **found[name]["extra_info"],
            "iterations_per_sample": found[name]["stats"]["iterations"],
            "seconds": found[name]["stats"]["data"],
        }
        for name in expected
    }


# ---------------------------------------------------------------------- arithmetic


def unit_seconds(measured: Measured, name: str) -> float:
    """Median seconds of a unit of work."""
    return float(median(measured[name]["seconds"]) / measured[name]["work"])


def spread(seconds: Sequence[float]) -> float:
    """Interquartile range over the median."""
    low, high = np.percentile(seconds, [25, 75])
    return float((high - low) / median(seconds))


def ratios(measured: Measured) -> dict[str, float]:
    """Every ratio of the catalogue in every size that was measured, e.g. ``training_over_playing[4]``."""
    return {
        ratio.name + size: unit_seconds(measured, ratio.above + size) / unit_seconds(measured, below)
        for ratio in RATIOS
        for size in [name.removeprefix(ratio.above) for name in measured if kind_of(name) == ratio.above]
        for below in (ratio.below + size, ratio.below)
        if below in measured
    }


def training_sizes(measured: Measured) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The trainings of members of one game, by size, the smallest first."""
    sizes = [size_of(name) for name in measured if kind_of(name) == "training"]
    for size in sorted((size for size in sizes if size != SUITE), key=int):
        yield size, measured[f"training[{size}]"]


def step_fit(measured: Measured) -> dict[str, float] | None:
    """Seconds of one step of P members as ``base + per_member * P``, by least squares; None for a single P.

    With the largest misfit relative to what was measured: a straight line is a forecast, not a law.
    """
    members = np.array([int(size) for size, _ in training_sizes(measured)], float)
    if len(members) < 2:
        return None
    seconds = np.array([4 * m * unit_seconds(measured, f"training[{m:.0f}]") for m in members])
    per_member, base = np.polyfit(members, seconds, 1)
    misfit = np.abs(base + per_member * members - seconds) / seconds
    most = float(members.max())
    return {"base": float(base), "per_member": float(per_member), "largest_misfit": float(misfit.max()), "most": most}


def split_of(measured: Measured, size: str, device: str) -> dict[str, float]:
    """Seconds of one training step of the population by part, its host overhead, and the emulators' step alone."""
    chunks = measured[f"training[{size}]"]["split"]

    def mean(part: str) -> float:
        return float(sum(chunk[part] for chunk in chunks) / sum(chunk["agent_steps"] for chunk in chunks))

    parts = {name: mean(name) for name in ("wall", "emulator", "network", "learner")}
    parts["rest"] = parts["wall"] - sum(parts[name] for name in PARTS[:3])
    waits = mean("device_wait") if device == "cuda" else parts["network"] + parts["learner"]
    parts["host_overhead"] = parts["wall"] - parts["emulator"] - waits
    parts["emulators_alone"] = 4 * measured[f"training[{size}]"]["members"] * unit_seconds(measured, f"playing[{size}]")
    return parts


def member_bytes(training: Mapping[str, Any]) -> float:
    """Memory of a member beside its replay."""
    return float(training["memory_bytes"] - training["replay_bytes"]) / float(training["members"])


def _limit(measured: Measured, device: str) -> list[str]:
    """How far an update is from what the processor can compute at best."""
    if not {"arithmetic", "update[1]"} <= set(measured):  # an older measurement
        return []
    times = unit_seconds(measured, "update[1]") / unit_seconds(measured, "arithmetic")
    words = (
        f"An update of one member takes {times:.2f} times what its arithmetic takes as products of large matrices in "
        "float32, which is about the best that the processor does."
    )
    if device == "cpu":  # where the host learns; elsewhere it only waits
        split = split_of(measured, "1", device)
        best = split["wall"] / (split["wall"] - split["learner"] * (1 - 1 / times))
        words += f" Training of one member would be {best:.2f} times as fast if updates took no longer than that."
    return [words]


# ---------------------------------------------------------------------- tables


def _table(first: str, *others: str) -> Table:
    table = Table(box=None)
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def benchmark_table(measured: Measured) -> Table:
    """Every benchmark: median of a unit, spread of the samples, units a second."""
    table = _table("benchmark", "samples", "µs a unit", "spread", "a second", "unit")
    for name, each in measured.items():
        seconds = unit_seconds(measured, name)
        table.add_row(
            name.replace("[", "\\["), str(len(each["seconds"])), f"{seconds * 1e6:,.2f}",
            f"{spread(each['seconds']):.1%}", f"{1 / seconds:,.0f}", each["unit"],
        )  # fmt: skip
    return table


def ratio_table(measured: Measured) -> Table:
    """The ratios, a row each, sizes across."""
    found = ratios(measured)
    sizes = dict.fromkeys(size_of(name) for name in found)
    table = _table("ratio", *sizes)
    table.add_column("meaning")
    for ratio in RATIOS:
        values = [found.get(f"{ratio.name}[{size}]") for size in sizes]
        table.add_row(ratio.name, *("" if value is None else f"{value:.3g}" for value in values), ratio.what)
    return table


def split_table(measured: Measured, device: str) -> Table:
    """Where a training step's time goes, for the fewest members, the most, and the suite."""
    sizes = [size for size, _ in training_sizes(measured)]
    shown = dict.fromkeys([*sizes[:1], *sizes[-1:], *([SUITE] if f"training[{SUITE}]" in measured else [])])
    table = _table("a step of all members", *(head for size in shown for head in (f"µs, {size}", "share")))
    splits = [split_of(measured, size, device) for size in shown]
    for part in (*PARTS, "wall", "host_overhead", "emulators_alone"):
        cells = [text for each in splits for text in (f"{each[part] * 1e6:,.1f}", f"{each[part] / each['wall']:.1%}")]
        table.add_row(part.replace("_", " "), *cells)
    shares = [text for each in splits for text in (f"{each['host_overhead'] / each['emulators_alone']:.1%}", "")]
    table.add_row("host overhead over emulators alone", *shares)
    return table


def as_markdown(table: Table) -> str:
    """A table of one line a cell as Markdown."""
    rows = zip(*(column.cells for column in table.columns), strict=True)
    plain = [[str(cell).replace("\\[", "[") for cell in row] for row in rows]
    words = [str(column.header) for column in table.columns if column.justify == "left"]
    return markdown_table([str(column.header) for column in table.columns], plain, words)


def markdown(stored: Mapping[str, Any]) -> str:
    """A stored measurement for a page: ratios, the split of a step, the forecast."""
    measured, device = stored["benchmarks"], stored["torch"]["device"]
    tables = [as_markdown(table) for table in (ratio_table(measured), split_table(measured, device))]
    caption = (
        f"Measured on {machine_words(stored['machine'])}, {stored['torch']['threads']} threads of PyTorch, "
        f"source {source_words(stored['source'])}."
    )
    return "\n".join([*tables, " ".join([caption, *summary(measured, device)])]) + "\n"


def summary(measured: Measured, device: str) -> list[str]:
    """The forecast and the memory, in words."""
    lines = []
    if (fit := step_fit(measured)) and fit["base"] > 0:  # else noise is all that the line tells
        lines.append(
            f"A step of P members of one game takes about {fit['base'] * 1e6:,.0f} + {fit['per_member'] * 1e6:,.0f} "
            f"* P µs (up to {fit['most']:.0f} of them; largest misfit {fit['largest_misfit']:.0%})."
        )
    beside = fmean(member_bytes(training) for _, training in training_sizes(measured))
    lines.append(
        f"Memory of a member beside its replay: {beside / 1e6:,.1f} MB; with the paper's replay of 1M transitions "
        f"{(beside + 1e6 * TRANSITION_BYTES) / 1e9:.2f} GB."
    )
    if {host := f"host[{max(FEW_AND_MANY)}]", "playing[1]"} <= set(measured):
        share = unit_seconds(measured, host) / unit_seconds(measured, "playing[1]")
        lines.append(
            f"The host's own work for {max(FEW_AND_MANY)} members takes {share:.0%} of the time in which one stream "
            "plays its step on a core of its own."
        )
    lines += _limit(measured, device)
    lines += [f"Not measured: {kind}." for kind in BENCHES if kind not in map(kind_of, measured)]
    return lines
