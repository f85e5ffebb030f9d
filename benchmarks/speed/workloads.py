"""What is timed: functions that set something up and return a call to be repeated, and the work that it does.

The speed benches time these with pytest-benchmark, the speed gate in turn with those of another revision. The gate
runs this very file with ``dqn_ref`` of either revision, so nothing of ``benchmarks`` is imported here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import torch

from dqn_ref.atari import Step
from dqn_ref.build import make_population, make_streams
from dqn_ref.config import DQNConfig
from dqn_ref.device import prepare_torch, select_device
from dqn_ref.population import Population
from dqn_ref.seeds import Member
from dqn_ref.time_split import TimeSplit
from dqn_ref.train import train

Work = tuple[Callable[[], object], float]  # a call, and the units of work in it

UPDATE_FLOP = 2_182_610_944  # of an update of a member on 32 transitions with four actions; a test counts them
REPLAY_CAPACITY = 10_000  # transitions a member: 71 MB, more than a cache holds


def small_config(replay_capacity: int, warm_up_agent_steps: int) -> DQNConfig:
    """The paper's hyperparameters with a small replay, a short warm-up, and epsilon at its final value at once."""
    return DQNConfig(
        total_frames=400_000_000,  # no benchmark reaches it
        iteration_frames=400_000_000,
        replay_capacity=replay_capacity,
        replay_start_agent_steps=warm_up_agent_steps,
        epsilon_span_agent_steps=1,
    )


def filled_population(
    config: DQNConfig, members: Sequence[Member], device: torch.device, transitions: int
) -> tuple[Population, Callable[[], None]]:
    """A population whose replay holds made-up ``transitions`` of each member, and how to store one more."""
    population = make_population(config, members, [4] * len(members), device)
    draw, count = np.random.default_rng(0), len(members)
    frames = draw.integers(0, 256, (16, count, 84, 84), dtype=np.uint8)
    nothing, actions = np.zeros(count, np.bool_), np.zeros(count, np.int64)
    step = Step(frames[0], frames[0], np.zeros(count, np.int64), nothing, nothing, nothing, nothing)

    def store() -> None:
        population.store(actions, step)

    population.begin(frames[0])
    for number in range(transitions):
        population.replay.append(actions, np.zeros(count, np.float32), nothing, frames[number % 16])
    return population, store


# ---------------------------------------------------------------------- calibration


def convolution(device: torch.device) -> Work:
    """One layer of the network on a batch of 32."""
    draw = torch.Generator().manual_seed(0)
    layer = torch.rand((64, 32, 4, 4), generator=draw).to(device).requires_grad_()
    image = torch.rand((32, 32, 20, 20), generator=draw).to(device).requires_grad_()

    def both_ways() -> None:
        output = torch.nn.functional.conv2d(image, layer, stride=2)
        torch.autograd.grad(output, (image, layer), torch.ones_like(output))

    return both_ways, 1


def arithmetic(device: torch.device, size: int = 2_048) -> Work:
    """What the processor does where nothing but arithmetic counts: a product of large matrices in float32."""
    draw = torch.Generator().manual_seed(0)
    one, other = (torch.rand((size, size), generator=draw).to(device) for _ in range(2))
    product = torch.empty_like(one)
    return lambda: torch.mm(one, other, out=product), 2 * size**3 / UPDATE_FLOP


def memory_copy(device: torch.device, size_bytes: int = 100_000_000) -> Work:
    """Bandwidth of the memory that replay lives in."""
    source = torch.zeros(size_bytes, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return lambda: target.copy_(source), 1


def emulator(game: str) -> Work:
    """The emulator, with nothing around it."""
    from ale_py import ALEInterface, roms

    ale = ALEInterface()
    ale.setInt("random_seed", 0)
    ale.setFloat("repeat_action_probability", 0.0)
    rom = roms.get_rom_path(game)
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

    return act, 4


# ---------------------------------------------------------------------- playing, learning, training


def playing(config: DQNConfig, members: Sequence[Member]) -> Work:
    """Streams alone, at the highest speed that training could have."""
    streams = make_streams(config, [member.game for member in members])
    streams.reset([member.stream_seed("emulator", 0) for member in members])
    table = np.random.default_rng(0).integers(streams.num_actions, size=(1_024, len(members)))
    number = 0

    def play() -> None:
        nonlocal number
        streams.send(table[number % len(table)])
        streams.recv()
        number += 1

    return play, 4 * len(members)


def acting(population: Population) -> Work:
    """Every stream chooses greedily."""
    return lambda: population.act(0.0), len(population.agents)


def replay_sample(population: Population) -> Work:
    """Reading, at places that are on the device already."""
    members, draw = len(population.agents), np.random.default_rng(0)
    count, device = members * population.batch_size, population.replay.frames.device
    slots = population.replay.slots_of(draw.integers(population.replay.size, size=count))
    slot = torch.from_numpy(slots).to(device)
    stream = torch.arange(members, device=device).repeat_interleave(population.batch_size)
    return lambda: population.replay.batch(slot, stream), members


def update(population: Population) -> Work:
    """Learning, without play."""
    return population.learn, len(population.agents)


def started_training(
    config: DQNConfig, members: Sequence[Member], device: torch.device, split: TimeSplit
) -> tuple[Population, Callable[[int], None]]:
    """A population that trains past its warm-up, and how to train it by a number of agent steps."""
    streams = make_streams(config, [member.game for member in members])
    population = make_population(config, members, streams.num_actions.tolist(), device)
    ticks = train(config, population, streams, split)

    def steps(count: int) -> None:
        for _ in range(count):
            next(ticks)

    steps(config.replay_start_agent_steps + 1)
    return population, steps


def training(config: DQNConfig, members: Sequence[Member], device: torch.device) -> Work:
    """The whole loop; a call holds one update of each member."""
    steps = started_training(config, members, device, TimeSplit())[1]
    period = config.update_period_agent_steps
    return lambda: steps(period), 4 * period * len(members)


# ---------------------------------------------------------------------- for the gate: benchmarks/gates/serving.py


def workloads(settings: Mapping[str, Any]) -> dict[str, Callable[[], Work]]:
    """How to set up each bench of the gate, by name; names are those of benchmarks/speed/catalogue.py.

    Args:
        settings: device (auto, cpu or cuda), threads of PyTorch, game, members.
    """
    device = select_device(settings["device"])
    prepare_torch(device, settings["threads"])
    config = small_config(REPLAY_CAPACITY, 200)
    members = [Member(settings["game"], number) for number in range(settings["members"])]

    def filled() -> Population:
        return filled_population(config, members, device, 2_000)[0]

    return {
        "convolution": lambda: convolution(device),
        "memory_copy": lambda: memory_copy(device),
        "emulator": lambda: emulator(settings["game"]),
        "playing": lambda: playing(config, members),
        "acting": lambda: acting(filled()),
        "replay_sample": lambda: replay_sample(filled()),
        "update": lambda: update(filled()),
        "training": lambda: training(config, members, device),
    }


def clock() -> float:
    """Seconds, after all work of the device is done."""
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.synchronize()
    return time.perf_counter()


def about(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What the numbers depend on beside the code."""
    device = select_device(settings["device"])
    return {
        "device": device.type,
        "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        "threads": torch.get_num_threads(),
        **{name: version(name) for name in ("torch", "ale-py", "numpy")},
    }
