"""Where a training step's time goes, and what a population's tensors weigh."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from benchmarks.speed.workloads import clock
from dqn_ref.launch import Captured
from dqn_ref.population import Population
from dqn_ref.time_split import TimeSplit


class Watched(Captured):
    """A launch for whose end the host then waits, with a clock on the wait: it would wait a line later anyway."""

    def __init__(self, launch: Captured) -> None:
        self.launch = launch
        self.wait_seconds = 0.0

    def __call__(self, work: Callable[[], None]) -> None:
        """Launch ``work`` and wait."""
        self.launch(work)
        start = time.perf_counter()
        torch.cuda.synchronize()
        self.wait_seconds += time.perf_counter() - start


def time_split(
    population: Population, split: TimeSplit, steps: Callable[[int], None], count: int, cuda: bool
) -> dict[str, float]:
    """Seconds of ``count`` training steps of the population, by what the host did in them."""
    watched = Watched(population._choose)
    if cuda:
        population._choose = watched
    split.seconds.update(dict.fromkeys(split.seconds, 0.0))
    start = clock()
    steps(count)
    launched, end = time.perf_counter(), clock()
    population._choose = watched.launch
    waits = watched.wait_seconds + end - launched if cuda else 0.0  # for the last update too
    return {"agent_steps": count, "wall": end - start, **split.seconds, "device_wait": waits}


def bytes_of_tensors(population: Population) -> int:
    """What a CPU's population keeps between steps: replay, both networks, the optimiser, the newest gradient."""
    tensors = [population.replay.frames, population.replay.info]
    for agent in population.agents:
        learner = agent.learner
        tensors += [*learner.weights, *learner.target.parameters(), *learner.gradient]
        tensors += [each for kept in vars(learner.optimizer).values() if isinstance(kept, list) for each in kept]
    return sum({tensor.data_ptr(): tensor.nbytes for tensor in tensors if isinstance(tensor, torch.Tensor)}.values())
