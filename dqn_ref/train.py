"""The loop: Algorithm 1 of the paper, for members side by side.

Order of a step, as in the released code: store, act, learn, emulate. The emulators receive the
actions before the update starts and answer after it, so playing and learning overlap and the result
is the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dqn_ref.agent import linear_epsilon
from dqn_ref.atari import AtariStreams, Step
from dqn_ref.config import DQNConfig
from dqn_ref.launch import Turns
from dqn_ref.population import Population
from dqn_ref.time_split import TimeSplit

END = object()  # of a loop


@dataclass(frozen=True)
class Position:
    """Where training stands: steps of each member, and updates, done so far."""

    agent_step: int = 0
    updates: int = 0


@dataclass
class Tick:
    """State of the loop after a step of every stream."""

    agent_step: int  # steps of each member done so far
    updates: int  # updates done so far
    epsilon: float
    actions: NDArray[np.int64]  # [C]
    step: Step
    reward: NDArray[np.float32]  # [C] as it is learnt from
    iteration_ended: bool


def train(config: DQNConfig, population: Population, streams: AtariStreams, split: TimeSplit) -> Iterator[Tick]:
    """Train ``population`` on ``streams``; yields after every step of all streams. Measuring is the caller's job."""
    return (tick for _, tick in train_in_turns(config, [(population, streams)], split))


def train_in_turns(
    config: DQNConfig,
    halves: Sequence[tuple[Population, AtariStreams]],
    split: TimeSplit,
    position: Position = Position(),
) -> Iterator[tuple[int, Tick]]:
    """Train several populations, each on its streams, from ``position`` on; yields (which, tick).

    While the emulators of one play, the others store, act and launch their updates: with two streams a core, in
    two halves, no core waits for a choice of actions. What each does, and in which order, is what it does alone.
    """
    turns = Turns(len(halves), halves[0][0].replay.frames.device)
    loops = [_loop(config, population, streams, split, position) for population, streams in halves]
    playing = list(range(len(loops)))
    while playing:
        for number in tuple(playing):
            while True:
                with turns.of(number):
                    tick = next(loops[number], END)
                if tick is END:
                    playing.remove(number)
                if not isinstance(tick, Tick):  # its emulators are at work, or it is done
                    break
                yield number, tick


def epsilon_at(agent_step: int, config: DQNConfig) -> float:
    """Exploration at ``agent_step`` of a run of ``config``."""
    return linear_epsilon(
        agent_step,
        warm_up=config.replay_start_agent_steps,
        span=config.epsilon_span_agent_steps,
        start=config.epsilon_start,
        end=config.epsilon_end,
    )


def _loop(
    config: DQNConfig, population: Population, streams: AtariStreams, split: TimeSplit, position: Position
) -> Iterator[Tick | None]:
    """The loop itself; yields None whenever it only has to wait for its emulators."""
    width = config.streams_per_member  # agent steps of a member in one step of its streams; the reference has one
    agent_step, updates = position.agent_step, position.updates
    steps_per_iteration = config.iteration_frames // config.frames_per_agent_step
    while agent_step < config.total_agent_steps:
        if agent_step % steps_per_iteration == 0:
            begin_iteration(population, streams, agent_step // steps_per_iteration)

        epsilon = epsilon_at(agent_step, config)
        with split.lap("network"):
            actions = population.act(epsilon)
        streams.send(actions)

        with split.lap("learner"):
            for step in range(agent_step, agent_step + width):
                learns = step > config.replay_start_agent_steps and step % config.update_period_agent_steps == 0
                if learns:
                    population.learn()
                    updates += 1
                if config.target_period_updates is None:
                    syncs = step % config.target_period_agent_steps == 0
                else:
                    syncs = learns and updates % config.target_period_updates == 0
                if syncs:
                    population.sync_target()
        yield None

        with split.lap("emulator"):
            answer = streams.recv()
        reward = population.store(actions, answer)
        agent_step += width
        yield Tick(agent_step, updates, epsilon, actions, answer, reward, agent_step % steps_per_iteration == 0)


def begin_iteration(population: Population, streams: AtariStreams, iteration: int) -> None:
    """Start from fresh seeds, so that an iteration's play depends on no emulator state before it."""
    population.begin(streams.reset(_emulator_seeds(population, iteration)))


def _emulator_seeds(population: Population, iteration: int) -> list[int]:
    """A seed for each stream; of a member with one stream it is that of the iteration alone."""
    return [
        agent.member.stream_seed("emulator", iteration, *([stream] if stream else []))
        for agent in population.agents
        for stream in range(agent.num_streams)
    ]
