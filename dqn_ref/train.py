"""The loop: Algorithm 1 of the paper, for a list of members side by side.

Order of a step, as in the released code: store, act, learn, emulate. The emulators receive the
actions before the update starts and answer after it, so playing and learning overlap and the result
is the same.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from dqn_ref.agent import Agent, choose_actions, linear_epsilon
from dqn_ref.atari import AtariStreams, Step
from dqn_ref.config import DQNConfig
from dqn_ref.learner import Learner
from dqn_ref.replay import Replay
from dqn_ref.seeds import Member


@dataclass
class Tick:
    """State of the loop after an agent step of every member."""

    agent_step: int  # steps done so far
    updates: int  # updates done so far
    epsilon: float
    actions: NDArray[np.int64]  # [P]
    step: Step
    iteration_ended: bool


@dataclass
class TimeSplit:
    """Where the host's time went, in seconds. With CUDA the learner's is the time to launch it."""

    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(("emulator", "network", "learner"), 0.0))

    @contextmanager
    def lap(self, part: str) -> Iterator[None]:
        """Count the body's time as ``part``."""
        start = time.perf_counter()
        yield
        self.seconds[part] += time.perf_counter() - start


def make_streams(config: DQNConfig, games: Sequence[str]) -> AtariStreams:
    """The emulators that training runs on, one per entry of ``games``."""
    return AtariStreams(
        games,
        max_episode_frames=config.max_episode_frames,
        max_noops=config.max_noops,
        sticky_action_probability=config.sticky_action_probability,
        frames_per_agent_step=config.frames_per_agent_step,
        fire_on_reset=config.fire_on_reset,
        life_loss_terminal=config.life_loss_terminal,
    )


def make_agent(config: DQNConfig, member: Member, num_actions: int, device: torch.device) -> Agent:
    """A member with fresh weights and an empty replay on ``device``."""
    learner = Learner(
        num_actions,
        init=torch.Generator().manual_seed(member.stream_seed("init")),
        device=device,
        learning_rate=config.learning_rate,
        gradient_decay=config.gradient_decay,
        squared_gradient_decay=config.squared_gradient_decay,
        min_squared_gradient=config.min_squared_gradient,
        error_clip=config.error_clip,
        floor_outside_root=config.floor_outside_root,
        loss_reduction=config.loss_reduction,
    )
    shortest_cut = min(config.max_episode_frames, config.iteration_frames) // config.frames_per_agent_step
    replay = Replay(
        config.transitions_kept,
        max(1, shortest_cut),
        config.discount,
        device,
        repeat_first_frame=config.history_padding == "first_frame",
    )
    return Agent(member, num_actions, learner, replay, config.batch_size)


def train(config: DQNConfig, agents: Sequence[Agent], streams: AtariStreams, split: TimeSplit) -> Iterator[Tick]:
    """Train ``agents`` on ``streams``; yields after every agent step. Measuring is the caller's job."""
    agent_step = updates = 0
    steps_per_iteration = config.iteration_frames // config.frames_per_agent_step
    while agent_step < config.total_agent_steps:
        # An iteration starts from fresh seeds, so that its play depends on no emulator state before it.
        iteration = agent_step // steps_per_iteration
        frames = streams.reset([agent.member.stream_seed("emulator", iteration) for agent in agents])
        for agent, frame in zip(agents, frames, strict=True):
            agent.replay.begin(frame)

        for _ in range(min(steps_per_iteration, config.total_agent_steps - agent_step)):
            epsilon = linear_epsilon(
                agent_step,
                warm_up=config.replay_start_agent_steps,
                span=config.epsilon_span_agent_steps,
                start=config.epsilon_start,
                end=config.epsilon_end,
            )
            with split.lap("network"):
                actions = choose_actions(agents, epsilon)
            streams.send(actions)

            with split.lap("learner"):
                learns = (
                    agent_step > config.replay_start_agent_steps and agent_step % config.update_period_agent_steps == 0
                )
                if learns:
                    for agent in agents:
                        agent.learn()
                    updates += 1
                if config.target_period_updates is None:
                    syncs = agent_step % config.target_period_agent_steps == 0
                else:
                    syncs = learns and updates % config.target_period_updates == 0
                if syncs:
                    for agent in agents:
                        agent.learner.sync_target()

            with split.lap("emulator"):
                step = streams.recv()
            for row, agent in enumerate(agents):
                agent.store(int(actions[row]), step, row)
            agent_step += 1
            yield Tick(agent_step, updates, epsilon, actions, step, agent_step % steps_per_iteration == 0)
