"""The speed benches, timed by pytest-benchmark; ``python -m benchmarks.speed`` runs them.

Each bench hands over one iteration of its work. pytest-benchmark repeats it until a sample is long enough to be
timed, and takes many samples. The clock waits for the device, so a sample holds all of the work that it launched,
while within a sample the device may lag behind the host as it does in training.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.speed import workloads
from benchmarks.speed.catalogue import GAME, SUITE, sizes_of
from benchmarks.speed.clocks import bytes_of_tensors, time_split
from benchmarks.speed.host_work import host_work
from benchmarks.suites import suite_games
from dqn_ref.config import DQNConfig
from dqn_ref.evaluate import evaluate
from dqn_ref.population import Population
from dqn_ref.replay import Batch
from dqn_ref.seeds import Member
from dqn_ref.time_split import TimeSplit

WARM_UP_CALLS = 5  # before a clock runs: libraries set themselves up, and graphs are captured
SPLITS = 5  # measurements of where a training step's time goes


@dataclass(frozen=True)
class Setting:
    """What a run of the benches measures, handed to them as a plugin of pytest."""

    device: torch.device
    members: Sequence[int]
    cores: int
    suite: bool  # measure the suite's games too
    quick: bool  # sizes that show that it works; its times mean nothing

    @pytest.fixture
    def setting(self) -> Setting:
        """This setting."""
        return self

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """A bench of several sizes is measured in each."""
        if "size" in metafunc.fixturenames:
            kind = metafunc.function.__name__.removeprefix("bench_")
            metafunc.parametrize("size", sizes_of(kind, self.members, self.cores, self.suite))


@pytest.fixture(autouse=True)
def _memory_is_given_back() -> Iterator[None]:
    """A population refers to itself, and its replay is large."""
    yield
    gc.collect()


def measure(benchmark: Any, iteration: Callable[[], object], work: float) -> None:
    """Time ``iteration``, which does ``work`` units of what the catalogue names."""
    for _ in range(WARM_UP_CALLS):
        iteration()
    benchmark.extra_info["work"] = work
    benchmark(iteration)


def config_for(setting: Setting) -> DQNConfig:
    """The hyperparameters of every bench."""
    return workloads.small_config(*((1_000, 40) if setting.quick else (workloads.REPLAY_CAPACITY, 400)))


def members_of(size: str) -> list[Member]:
    """The members or streams that a size stands for."""
    games = suite_games(SUITE) if size == SUITE else (GAME,) * int(size)
    return [Member(game, number) for number, game in enumerate(games)]


def filled_population(setting: Setting, size: str) -> tuple[Population, Callable[[], None], Batch]:
    """A population whose replay holds made-up transitions, how to store one more, and its first batch."""
    config, transitions = config_for(setting), 100 if setting.quick else 2_000
    population, store = workloads.filled_population(config, members_of(size), setting.device, transitions)
    return population, store, population.heldout_batch(0, config.batch_size)


# ---------------------------------------------------------------------- calibration


def bench_convolution(benchmark: Any, setting: Setting) -> None:
    """One layer of the network."""
    measure(benchmark, *workloads.convolution(setting.device))


def bench_arithmetic(benchmark: Any, setting: Setting) -> None:
    """The processor's own limit."""
    measure(benchmark, *workloads.arithmetic(setting.device, 128 if setting.quick else 2_048))


def bench_memory_copy(benchmark: Any, setting: Setting) -> None:
    """Bandwidth."""
    measure(benchmark, *workloads.memory_copy(setting.device, 1_000_000 if setting.quick else 100_000_000))


def bench_emulator(benchmark: Any) -> None:
    """The bare emulator."""
    measure(benchmark, *workloads.emulator(GAME))


# ---------------------------------------------------------------------- playing


def bench_playing(benchmark: Any, setting: Setting, size: str) -> None:
    """Streams alone."""
    measure(benchmark, *workloads.playing(config_for(setting), members_of(size)))


def bench_evaluation(benchmark: Any, setting: Setting) -> None:
    """Short episodes of an untrained network, the same every time."""
    agent = filled_population(setting, "1")[0].agents[0]
    steps = 0

    def play() -> None:
        nonlocal steps
        frames, episodes = (40, 2) if setting.quick else (200, 8)
        played = evaluate(
            agent.learner.values, agent.member, episodes=episodes, epsilon=0.05, max_frames=frames,
            device=setting.device,
        )  # fmt: skip
        steps = sum(episode.frames for episode in played) // 4

    play()
    benchmark.extra_info["work"] = steps
    benchmark.pedantic(play, rounds=3 if setting.quick else 5)  # seconds each: no sample needs more than one


# ---------------------------------------------------------------------- learning


def bench_acting(benchmark: Any, setting: Setting, size: str) -> None:
    """Choosing."""
    measure(benchmark, *workloads.acting(filled_population(setting, size)[0]))


def bench_replay_store(benchmark: Any, setting: Setting, size: str) -> None:
    """Writing."""
    measure(benchmark, filled_population(setting, size)[1], int(size))


def bench_replay_sample(benchmark: Any, setting: Setting, size: str) -> None:
    """Reading."""
    measure(benchmark, *workloads.replay_sample(filled_population(setting, size)[0]))


def bench_update(benchmark: Any, setting: Setting, size: str) -> None:
    """Learning."""
    measure(benchmark, *workloads.update(filled_population(setting, size)[0]))


def bench_target_sync(benchmark: Any, setting: Setting, size: str) -> None:
    """Copying networks."""
    measure(benchmark, filled_population(setting, size)[0].sync_target, int(size))


# ---------------------------------------------------------------------- training


def bench_host(benchmark: Any, setting: Setting, size: str) -> None:
    """What is left of training if emulators and networks cost nothing."""
    measure(benchmark, *host_work(config_for(setting), members_of(size), setting.device))


def bench_training(benchmark: Any, setting: Setting, size: str) -> None:
    """The whole loop; then, outside the samples, its memory and where its time goes."""
    config, members = config_for(setting), members_of(size)
    cuda = setting.device.type == "cuda"
    if cuda:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    before = (torch.cuda.memory_allocated(), torch.cuda.memory_reserved()) if cuda else (0, 0)
    period, split = config.update_period_agent_steps, TimeSplit()
    population, steps = workloads.started_training(config, members, setting.device, split)
    measure(benchmark, lambda: steps(period), 4 * period * len(members))  # one update of each member in an iteration
    benchmark.extra_info["members"] = len(members)
    benchmark.extra_info["replay_bytes"] = population.replay.frames.nbytes + population.replay.info.nbytes
    benchmark.extra_info["memory_bytes"] = (
        torch.cuda.max_memory_allocated() - before[0] if cuda else bytes_of_tensors(population)
    )
    if cuda:  # what the card gives: captured graphs hold theirs
        benchmark.extra_info["reserved_bytes"] = torch.cuda.max_memory_reserved() - before[1]
    sample_seconds = benchmark.stats.stats.median  # of one iteration
    periods = max(2, int((0.0 if setting.quick else 0.3) / sample_seconds))
    benchmark.extra_info["split"] = [
        time_split(population, split, steps, periods * period, cuda) for _ in range(SPLITS)
    ]


# ---------------------------------------------------------------------- statistics


def bench_statistics(benchmark: Any, setting: Setting) -> None:
    """Intervals of a suite's scores."""
    from benchmarks.statistics import aggregates  # a machine that only trains may lack rliable

    scores = np.random.default_rng(0).random((5, 10))
    repetitions = 20 if setting.quick else 1_000

    def intervals() -> None:
        scores[0, 0] += 1e-6  # equal scores would be remembered
        aggregates(scores, repetitions)

    measure(benchmark, intervals, repetitions)
