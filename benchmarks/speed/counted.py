"""What a step and an update amount to, counted: python -m benchmarks.speed.counted

Operations, floating-point operations and bytes do not depend on the machine, so they can be counted where
there is no GPU. What a GPU makes of them is an estimate, from constants that are stated here, until it is
measured (`tox -e bench-speed` on a machine with one).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.markdown import table
from benchmarks.words import count
from dqn_ref.build import make_population
from dqn_ref.config import TRANSITION_BYTES
from dqn_ref.one_pass import by_operations
from dqn_ref.population import Population
from dqn_ref.protocols import NATURE
from dqn_ref.seeds import Member

MEMBERS = (1, 4, 16, 32)
GAMES = ("amidar", "qbert", "riverraid", "breakout")
# Operations that only look at a tensor another way, and start nothing on a device.
VIEWS = ("view", "slice", "select", "expand", "unsqueeze", "transpose", "t", "permute", "detach", "alias", "as_strided",
         "_unsafe_view", "reshape", "_reshape_alias", "squeeze", "unbind", "split")  # fmt: skip

# Assumptions about an H200 and its 16 cores, each a round figure of its class and none of them measured here.
KERNEL_SECONDS = 2.5e-6  # a small kernel inside a graph, with its dependency on the one before
FLOP_SECONDS = 1 / 25e12  # float32 without TF32: 67e12 at best, a third of it on layers of this size
CORES = 16
STEP_SECONDS = 450e-6  # an agent step of an emulator on a core of its own
ACTION_SECONDS = 100e-6  # upload, network, read back, when nothing hides it


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the operations that would start something on a device."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func.overloadpacket.__name__ not in VIEWS
        return func(*args, **(kwargs or {}))


@dataclass(frozen=True)
class Counted:
    """Of a population of ``members``."""

    members: int
    update_operations: int
    update_flop: int
    action_operations: int
    upload_bytes: int  # a step
    memory_bytes: int  # of a member of the paper's size, replay included


def count_work(members: int) -> Counted:
    """Count by doing it once, with a small replay, on the CPU."""
    population = _filled(members)

    def operations(work: Callable[[], None]) -> int:
        with _Counter() as counter:
            work()
        return int(counter.count)

    with by_operations():
        with FlopCounterMode(display=False) as flop:
            population.learn()
        update_operations, action_operations = operations(population.learn), operations(lambda: _act(population))
    agent = population.agents[0].learner
    weights = sum(weight.numel() for weight in agent.weights)
    return Counted(
        members=members,
        update_operations=update_operations,
        update_flop=int(flop.get_total_flops()),
        action_operations=action_operations,
        upload_bytes=members * (84 * 84 + population.replay.info.shape[-1] * 4),
        # online, target, two running means, newest gradient; the host's table of 8 bytes is not on the device
        memory_bytes=NATURE.config.replay_capacity * (TRANSITION_BYTES - 8) + 5 * weights * 4,
    )


def _act(population: Population) -> None:
    population.act(0.0)


def _filled(members: int) -> Population:
    config = NATURE.config
    small = type(config)(total_frames=1_000_000, replay_capacity=64, replay_start_agent_steps=32)
    runs = [Member(GAMES[k % len(GAMES)], k) for k in range(members)]
    population = make_population(small, runs, [18] * members, torch.device("cpu"))
    blank = np.zeros((members, 84, 84), np.uint8)
    population.begin(blank)
    for _ in range(40):
        population.replay.append(
            np.zeros(members, np.int64), np.zeros(members, np.float32), np.zeros(members, bool), blank
        )
    return population


@dataclass(frozen=True)
class Estimate:
    """Of a population on the assumed GPU machine of 16 cores."""

    update_seconds: float
    frames_per_second: float
    share_of_playing: float


def estimate(counted: Counted) -> Estimate:
    """Seconds of one update of all members, training speed, and its ratio to playing alone.

    Branches run side by side, so a graph takes at least one member's chain of kernels, and at least the
    arithmetic of all. With at most a stream a core an update hides behind one step of the emulators, and
    what is longer is waited for. With two streams a core the halves take turns: choices of actions hide
    behind the other half's emulators, but both halves learn at the same step, whose length is the slower
    of emulators and device.
    """
    config = NATURE.config
    chain = counted.update_operations / counted.members * KERNEL_SECONDS
    update = max(chain, counted.update_flop * FLOP_SECONDS)
    steps = config.update_period_agent_steps
    streams_a_core = max(1.0, counted.members / CORES)
    step = STEP_SECONDS * streams_a_core
    playing = steps * step
    if streams_a_core >= 2:
        period = max(step, update + 2 * ACTION_SECONDS) + (steps - 1) * max(step, 2 * ACTION_SECONDS)
    else:
        period = playing + steps * ACTION_SECONDS + max(0.0, update - STEP_SECONDS)
    frames = counted.members * steps * config.frames_per_agent_step
    return Estimate(update, frames / period, playing / period)


def markdown(counts: Sequence[Counted]) -> str:
    """The counts and the estimates as a table."""
    columns = [count(counted.members, "member") for counted in counts]
    rows: list[tuple[str, Callable[[Counted], str]]] = [
        ("operations of an update", lambda c: f"{c.update_operations:,}"),
        ("GFLOP of an update", lambda c: f"{c.update_flop / 1e9:.2f}"),
        ("operations of a choice of actions", lambda c: f"{c.action_operations:,}"),
        ("KB uploaded a step", lambda c: f"{c.upload_bytes / 1e3:.1f}"),
        ("GB of device memory a member", lambda c: f"{c.memory_bytes / 1e9:.2f}"),
        ("*estimate:* ms of an update", lambda c: f"{estimate(c).update_seconds * 1e3:.2f}"),
        ("*estimate:* training frames/s", lambda c: f"{estimate(c).frames_per_second:,.0f}"),
        ("*estimate:* training over playing", lambda c: f"{estimate(c).share_of_playing:.2f}"),
    ]
    return table(("counted, float32", *columns), [(name, *map(cell, counts)) for name, cell in rows])


def main() -> None:
    """Print the table."""
    print(markdown([count_work(members) for members in MEMBERS]), end="")


if __name__ == "__main__":
    main()
