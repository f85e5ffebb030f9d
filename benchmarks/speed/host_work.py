"""The host's own work: training around emulators that answer at once, and networks that cost nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.speed.workloads import Work
from dqn_ref.atari import AtariStreams
from dqn_ref.build import make_population, make_streams
from dqn_ref.checkpoint import ActionLog
from dqn_ref.config import DQNConfig
from dqn_ref.in_play import InPlay
from dqn_ref.population import Population
from dqn_ref.seeds import Member
from dqn_ref.time_split import TimeSplit
from dqn_ref.train import train

RING = 200  # transitions of a member


class AtOnce:
    """Stands in for an engine, and always answers what that answered to its first actions."""

    def __init__(self, engine: Any, streams: int) -> None:
        engine.send(np.zeros(streams, np.int64))
        self._answer = engine.recv()

    def send(self, actions: NDArray[np.int64]) -> None:
        """Nothing is emulated."""

    def recv(self) -> Any:
        """Nothing is waited for."""
        return self._answer


def cost_nothing(population: Population, streams: AtariStreams) -> None:
    """Take the emulators and the networks' work out of a loop that was made with these and has begun."""
    for game, rows in streams._rows.items():
        streams._engines[game] = AtOnce(streams._engines[game], len(rows))  # type: ignore[assignment]
    population._choose = population._update = lambda work: None  # type: ignore[assignment]
    population.sync_target = lambda: None  # type: ignore[method-assign]


def host_work(config: DQNConfig, members: Sequence[Member], device: torch.device) -> Work:
    """The loop and what is followed of it: drawing, uploading, storing, counting. A call holds one update."""
    # These games do not end, and are not cut either. The ring has gone round before a clock runs: memory that is taken
    # for the first time costs a CPU more than all the rest.
    config = replace(config, max_episode_frames=config.total_frames, replay_capacity=RING)
    streams = make_streams(config, [member.game for member in members])
    population = make_population(config, members, streams.num_actions.tolist(), device)
    ticks = train(config, population, streams, TimeSplit())
    in_play = InPlay(len(members), config.frames_per_agent_step, config.discount)
    played = ActionLog(len(members), config.streams_per_member)
    period = config.update_period_agent_steps

    def steps(count: int) -> None:
        for _ in range(count):
            tick = next(ticks)
            in_play.follow(tick)
            played.add(tick)

    steps(1)
    cost_nothing(population, streams)
    steps(max(RING, config.replay_start_agent_steps))
    return lambda: steps(period), config.frames_per_agent_step * period
