"""What the speed benches measure, by name. These names are the keys of every stored measurement.

A bench of one size is called ``convolution``; one of several sizes ``update[4]``. A size is a number of members
or streams, all of one game, or ``atari10``: one member of each game of that suite.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

GAME = "breakout"
SUITE = "atari10"
MOST_STREAMS = 64  # a container may count its host's cores as its own
FEW_AND_MANY = (1, 4, 16)  # members, whatever was asked for: a GPU's number is of interest where there is none


@dataclass(frozen=True)
class Bench:
    """One kind of measurement."""

    unit: str  # of work; a sample's seconds are divided by its work
    what: str
    # "": one; "members": as asked for; "streams": those and powers of two up to twice the cores; "few and many": fixed
    sizes: str = ""
    suite: bool = False  # measured for the suite's games too
    needs: str = ""  # a package that a bare machine may lack


BENCHES = {
    "convolution": Bench("passes", "calibration: the second convolution, batch 32, forward and backward"),
    "arithmetic": Bench("updates", "calibration: the arithmetic of an update, as products of 2,048 x 2,048 matrices"),
    "memory_copy": Bench("copies", "calibration: 100 MB from the device's memory to the device's memory"),
    "emulator": Bench("frames", "calibration: ale_py.ALEInterface.act alone; no screen is read"),
    "playing": Bench("frames", "emulators alone: random actions, one thread a stream", "streams", suite=True),
    "acting": Bench("agent steps", "states from replay, network, argmax, read back; epsilon 0", "members"),
    "replay_store": Bench("agent steps", "a step of all streams into replay", "members"),
    "replay_sample": Bench("batches", "batches of 32 transitions, gathered on the device", "members"),
    "update": Bench("updates", "an update of every member, drawing and sampling included", "members"),
    "target_sync": Bench("copies", "online to target network, every member", "members"),
    "host": Bench(
        "frames of all members",
        "the training loop, of emulators that answer at once and networks that cost nothing",
        "few and many",
        suite=True,
    ),
    "training": Bench("frames", "train() after its warm-up, epsilon 0.1", "members", suite=True),
    "evaluation": Bench("agent steps", "eight episodes at once, emulators' start included"),
    "statistics": Bench("resamples", "all aggregates of 5 seeds x 10 games with intervals", needs="rliable"),
}


@dataclass(frozen=True)
class Ratio:
    """Time of a unit of ``above`` over time of a unit of ``below``, at equal sizes."""

    name: str
    above: str
    below: str
    what: str
    gate: bool = True  # whether the speed gate judges it


# Inside one run on one machine: these travel between machines and revisions, absolute times do not.
RATIOS = (
    Ratio(
        "training_over_playing", "playing", "training", "training frames/s over playing frames/s; 1: learning is free"
    ),
    Ratio("update_over_convolution", "update", "convolution", "one member's update in convolutions"),
    Ratio("sample_over_copy", "replay_sample", "memory_copy", "one batch in copies of 100 MB"),
    Ratio("acting_over_update", "acting", "update", "one member's choice of an action in updates"),
    Ratio(
        "host_over_emulator",
        "host",
        "emulator",
        "the host's own work of all members in frames of one bare emulator",
        gate=False,  # a part of training, which is judged
    ),
    Ratio("playing_over_emulator", "playing", "emulator", "one frame of all streams in frames of the bare emulator"),
)
GATE_RATIOS = tuple(ratio for ratio in RATIOS if ratio.gate)


def kind_of(name: str) -> str:
    """``update`` of ``update[4]``."""
    return name.partition("[")[0]


def size_of(name: str) -> str:
    """``4`` of ``update[4]``; empty of a measurement of one size."""
    return name.partition("[")[2].rstrip("]")


def stream_counts(members: Sequence[int], cores: int) -> list[int]:
    """Numbers of streams to play with: those of the members, and powers of two up to twice the cores."""
    return sorted({*members, *(2**k for k in range(min(2 * cores, MOST_STREAMS).bit_length()))})


def sizes_of(kind: str, members: Sequence[int], cores: int, suite: bool) -> list[str]:
    """The sizes in which ``kind`` is measured; none where it has but one."""
    bench = BENCHES[kind]
    if not bench.sizes:
        return []
    counts = {
        "members": sorted(members), "streams": stream_counts(members, cores), "few and many": FEW_AND_MANY,
    }[bench.sizes]  # fmt: skip
    return [*map(str, counts), *([SUITE] if suite and bench.suite else [])]


def expected_names(members: Sequence[int], cores: int, suite: bool, without: Sequence[str] = ()) -> list[str]:
    """Every measurement of a run, in order; ``without`` names packages that are not there."""
    return [
        name
        for kind, bench in BENCHES.items()
        if not (bench.needs and bench.needs in without)
        for name in ([f"{kind}[{size}]" for size in sizes_of(kind, members, cores, suite)] or [kind])
    ]
