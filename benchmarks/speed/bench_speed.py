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

from benchmarks.speed.catalogue import GAME, SUITE, sizes_of
from benchmarks.speed.clocks import bytes_of_tensors, time_split
from benchmarks.suites import suite_games
from dqn_ref.atari import Step
from dqn_ref.config import DQNConfig
from dqn_ref.evaluate import evaluate
from dqn_ref.population import Population
from dqn_ref.replay import Batch
from dqn_ref.seeds import Member
from dqn_ref.train import TimeSplit, make_population, make_streams, train

REPLAY_CAPACITY = 10_000  # transitions a member: 71 MB, more than a cache holds
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
    """The paper's hyperparameters with a small replay, a short warm-up, and epsilon at its final value at once."""
    return DQNConfig(
        total_frames=400_000_000,  # no benchmark reaches it
        iteration_frames=400_000_000,
        replay_capacity=1_000 if setting.quick else REPLAY_CAPACITY,
        replay_start_agent_steps=40 if setting.quick else 400,
        epsilon_span_agent_steps=1,
    )


def members_of(size: str) -> list[Member]:
    """The members or streams that a size stands for."""
    games = suite_games(SUITE) if size == SUITE else (GAME,) * int(size)
    return [Member(game, number) for number, game in enumerate(games)]


def filled_population(setting: Setting, size: str) -> tuple[Population, Callable[[], None], Batch]:
    """A population whose replay holds made-up transitions, how to store one more, and its first batch."""
    config, members = config_for(setting), members_of(size)
    population = make_population(config, members, [4] * len(members), setting.device)
    draw, count = np.random.default_rng(0), len(members)
    frames = draw.integers(0, 256, (16, count, 84, 84), dtype=np.uint8)
    nothing, actions = np.zeros(count, np.bool_), np.zeros(count, np.int64)
    step = Step(frames[0], frames[0], np.zeros(count, np.int64), nothing, nothing, nothing)

    def store() -> None:
        population.store(actions, step)

    population.begin(frames[0])
    for number in range(100 if setting.quick else 2_000):
        population.replay.append(actions, np.zeros(count, np.float32), nothing, frames[number % 16])
    return population, store, population.heldout_batch(0, config.batch_size)


# ---------------------------------------------------------------------- calibration


def bench_convolution(benchmark: Any, setting: Setting) -> None:
    """One layer of the network on a batch of 32."""
    draw = torch.Generator().manual_seed(0)
    layer = torch.rand((64, 32, 4, 4), generator=draw).to(setting.device).requires_grad_()
    image = torch.rand((32, 32, 20, 20), generator=draw).to(setting.device).requires_grad_()

    def both_ways() -> None:
        output = torch.nn.functional.conv2d(image, layer, stride=2)
        torch.autograd.grad(output, (image, layer), torch.ones_like(output))

    measure(benchmark, both_ways, 1)


def bench_memory_copy(benchmark: Any, setting: Setting) -> None:
    """Bandwidth of the memory that replay lives in."""
    source = torch.zeros(1_000_000 if setting.quick else 100_000_000, dtype=torch.uint8, device=setting.device)
    target = torch.empty_like(source)
    measure(benchmark, lambda: target.copy_(source), 1)


def bench_emulator(benchmark: Any) -> None:
    """The emulator, with nothing around it."""
    from ale_py import ALEInterface, roms

    ale = ALEInterface()
    ale.setInt("random_seed", 0)
    ale.setFloat("repeat_action_probability", 0.0)
    rom = roms.get_rom_path(GAME)
    assert rom is not None
    ale.loadROM(rom)
    actions, step = ale.getMinimalActionSet(), 0

    def act() -> None:
        nonlocal step
        for _ in range(4):
            ale.act(actions[step % len(actions)])
        step += 1
        if ale.game_over():
            ale.reset_game()

    measure(benchmark, act, 4)


# ---------------------------------------------------------------------- playing


def bench_playing(benchmark: Any, setting: Setting, size: str) -> None:
    """Streams alone, at the highest speed that training could have."""
    members = members_of(size)
    streams = make_streams(config_for(setting), [member.game for member in members])
    streams.reset([member.stream_seed("emulator", 0) for member in members])
    table = np.random.default_rng(0).integers(streams.num_actions, size=(1_024, len(members)))
    number = 0

    def play() -> None:
        nonlocal number
        streams.send(table[number % len(table)])
        streams.recv()
        number += 1

    measure(benchmark, play, 4 * len(members))


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
    """Every stream chooses greedily."""
    population = filled_population(setting, size)[0]
    measure(benchmark, lambda: population.act(0.0), int(size))


def bench_replay_store(benchmark: Any, setting: Setting, size: str) -> None:
    """Writing."""
    measure(benchmark, filled_population(setting, size)[1], int(size))


def bench_replay_sample(benchmark: Any, setting: Setting, size: str) -> None:
    """Reading, at places that are on the device already."""
    population = filled_population(setting, size)[0]
    count, draw = int(size) * population.batch_size, np.random.default_rng(0)
    slots = population.replay.slots_of(draw.integers(population.replay.size, size=count))
    slot = torch.from_numpy(slots).to(setting.device)
    stream = torch.arange(int(size), device=setting.device).repeat_interleave(population.batch_size)
    measure(benchmark, lambda: population.replay.batch(slot, stream), int(size))


def bench_update(benchmark: Any, setting: Setting, size: str) -> None:
    """Learning, without play."""
    measure(benchmark, filled_population(setting, size)[0].learn, int(size))


def bench_target_sync(benchmark: Any, setting: Setting, size: str) -> None:
    """Copying networks."""
    measure(benchmark, filled_population(setting, size)[0].sync_target, int(size))


# ---------------------------------------------------------------------- training


def bench_training(benchmark: Any, setting: Setting, size: str) -> None:
    """The whole loop; then, outside the samples, its memory and where its time goes."""
    config, members = config_for(setting), members_of(size)
    cuda = setting.device.type == "cuda"
    if cuda:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    before = (torch.cuda.memory_allocated(), torch.cuda.memory_reserved()) if cuda else (0, 0)
    streams = make_streams(config, [member.game for member in members])
    population = make_population(config, members, streams.num_actions.tolist(), setting.device)
    period, split = config.update_period_agent_steps, TimeSplit()
    ticks = train(config, population, streams, split)

    def steps(count: int) -> None:
        for _ in range(count):
            next(ticks)

    steps(config.replay_start_agent_steps + 1)
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
