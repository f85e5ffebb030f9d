"""What a configuration asks for: its emulators, and its members with their networks, learners and replay."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch

from dqn_ref.agent import Agent
from dqn_ref.atari import AtariStreams
from dqn_ref.config import DQNConfig
from dqn_ref.learner import Learner, MakeNetwork
from dqn_ref.network import NETWORKS
from dqn_ref.population import Population
from dqn_ref.replay import Replay
from dqn_ref.seeds import Member


def make_streams(config: DQNConfig, games: Sequence[str]) -> AtariStreams:
    """The emulators that training runs on: ``streams_per_member`` for each member, whose game is in ``games``."""
    return AtariStreams(
        [game for game in games for _ in range(config.streams_per_member)],
        max_episode_frames=config.max_episode_frames,
        life_loss_terminal=config.life_loss_terminal,
        **game_options(config),
    )


def game_options(config: DQNConfig) -> dict[str, Any]:
    """How the games of ``config`` are played, in training and in evaluation."""
    return {
        "max_noops": config.max_noops,
        "sticky_action_probability": config.sticky_action_probability,
        "frames_per_agent_step": config.frames_per_agent_step,
        "fire_on_reset": config.fire_on_reset,
    }


def networks_of(config: DQNConfig) -> MakeNetwork:
    """What makes a network of ``config``."""
    return partial(
        NETWORKS[config.network], frames=config.frames_per_state, input_divisor=config.input_divisor,
        initial_weights=config.initial_weights,
    )  # fmt: skip


def make_population(
    config: DQNConfig,
    members: Sequence[Member],
    num_actions: Sequence[int],
    device: torch.device,
    *,
    capture: bool | None = None,
) -> Population:
    """Members with fresh weights, and their empty replay, on ``device``."""
    agents = []
    for member, actions in zip(members, num_actions, strict=True):
        learner = Learner(
            int(actions),
            make_network=networks_of(config),
            optimizer=config.optimizer,
            init=torch.Generator().manual_seed(member.stream_seed("init")),
            device=device,
            learning_rate=config.learning_rate,
            gradient_decay=config.gradient_decay,
            squared_gradient_decay=config.squared_gradient_decay,
            min_squared_gradient=config.min_squared_gradient,
            error_clip=config.error_clip,
            error_scale=config.error_scale,
            floor_outside_root=config.floor_outside_root,
            loss_reduction=config.loss_reduction,
            precision=config.precision,
        )
        agents.append(Agent(member, int(actions), learner, config.streams_per_member))
    steps = config.frames_per_agent_step * config.streams_per_member  # frames of a step of all streams
    replay = Replay(
        len(members) * config.streams_per_member,
        config.transitions_kept // config.streams_per_member,
        shortest_iteration=config.iteration_frames // steps,
        shortest_episode=max(1, config.max_episode_frames // config.frames_per_agent_step),
        discount=config.discount,
        device=device,
        repeat_first_frame=config.history_padding == "first_frame",
    )
    return Population(
        agents,
        replay,
        config.batch_size,
        reward_clip=config.reward_clip,
        constant_reward=config.constant_reward,
        capture=capture,
    )
