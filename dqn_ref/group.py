"""Members that step together: what they play on, their records, and how they go on after they were stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dqn_ref.checkpoint import Checkpoint, Played, fingerprint, play_again, read_played
from dqn_ref.config import DQNConfig, UserError
from dqn_ref.in_play import InPlay
from dqn_ref.recorder import MemberRecorder
from dqn_ref.seeds import Member
from dqn_ref.train import Position, make_population, make_streams

Report = Callable[["Progress"], None]


@dataclass(frozen=True)
class Progress:
    """Where a population stands; handed to whoever shows it."""

    frames: int
    total_frames: int
    frames_per_second: float
    seconds_left: float
    mean_return: float | None  # of the newest episodes of all members


@dataclass(frozen=True)
class Run:
    """A member to be trained."""

    member: Member
    folder: Path
    description: Mapping[str, Any]  # for run.json
    saved: Checkpoint | None = None  # where it goes on


class Group:
    """Members that step together, what they play on, and their records."""

    def __init__(
        self, runs: Sequence[Run], config: DQNConfig, device: torch.device, capture: bool, report: Report
    ) -> None:
        members = [run.member for run in runs]
        self.runs, self.config = runs, config
        self.streams = make_streams(config, [member.game for member in members])
        num_actions = self.streams.num_actions[:: config.streams_per_member].tolist()
        self.device = device
        self.population = make_population(config, members, num_actions, device, capture=capture)
        self.recorders = list[MemberRecorder]()
        self.in_play = InPlay(self.population, len(self.streams.num_actions), config.frames_per_agent_step)
        self.played = Played(len(self.streams.num_actions), config.streams_per_member)
        self.position, self.wall_seconds = Position(), 0.0
        if saved := [(run.folder, run.saved) for run in runs if run.saved]:
            self._go_on(saved, report)
        self.held_out = self.position.agent_step >= config.replay_start_agent_steps
        self.last_frames = self.position.agent_step * config.frames_per_agent_step
        self.last_time = time.perf_counter()
        self.last_seconds = dict[str, float]()

    def _go_on(self, runs: Sequence[tuple[Path, Checkpoint]], report: Report) -> None:
        """Be where the members were when their checkpoints were written. Raises UserError: games do not repeat."""
        first, width, step = runs[0][1], self.config.streams_per_member, self.config.frames_per_agent_step
        self.position = Position(first.agent_step, first.updates)
        self.wall_seconds = max(saved.wall_seconds for _, saved in runs)
        until, steps = first.agent_step * step, self.config.iteration_frames // (step * width)
        played = np.hstack([read_played(folder, saved, width) for folder, saved in runs])
        last_frames, last_time = None, time.perf_counter()
        for tick in play_again(self.population, self.streams, played, steps):
            self.in_play.follow(tick)
            frames, now = tick.agent_step * step, time.perf_counter()
            last_frames = frames if last_frames is None else last_frames
            if frames - last_frames >= self.config.progress_frames:
                speed = (frames - last_frames) / (now - last_time)
                report(Progress(frames, until, speed, (until - frames) / speed, None))
                last_frames, last_time = frames, now
        for number, (folder, saved) in enumerate(runs):
            if fingerprint(self.population, number) != saved.fingerprint:
                raise UserError(
                    f"The games of {folder} do not repeat, so it cannot go on: its actions lead elsewhere than they "
                    "did. Was it played with another version of ale-py, or its folder changed? If there is no way "
                    "back, move the folder away and run it again."
                )
            agent = self.population.agents[number]
            agent.learner.restore(saved.tensors)
            agent.resume_draws(saved.draws)

    def record(self) -> None:
        """Begin the members' records, or go on with them."""
        step = self.config.frames_per_agent_step
        for number, run in enumerate(self.runs):
            self.recorders.append(MemberRecorder(run.folder, run.description, self.population, number, step, run.saved))
