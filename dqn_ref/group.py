"""Members that step together: what they play on, their records, and how they go on after they were stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dqn_ref import checkpoint
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
    saved: tuple[checkpoint.Tensors, Mapping[str, Any]] | None = None  # where it goes on


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
        self.played = checkpoint.Played(len(self.streams.num_actions))
        self.position, self.wall_seconds = Position(), 0.0
        if saved := [(run.folder, *run.saved) for run in runs if run.saved]:
            self._go_on(saved, report)
        self.held_out = self.position.agent_step >= config.replay_start_agent_steps
        self.last_frames = self.position.agent_step * config.frames_per_agent_step
        self.last_time = time.perf_counter()
        self.last_seconds = dict[str, float]()

    def _go_on(self, saved: Sequence[tuple[Path, checkpoint.Tensors, Mapping[str, Any]]], report: Report) -> None:
        """Be where the members were when their checkpoints were written. Raises UserError: games do not repeat."""
        notes = [note for _, _, note in saved]
        self.position = Position(notes[0]["agent_step"], notes[0]["updates"])
        self.wall_seconds = max(note["wall_seconds"] for note in notes)
        width = self.config.streams_per_member
        played = [checkpoint.read_played(folder, self.position.agent_step, width) for folder, _, _ in saved]
        step, last = self.config.frames_per_agent_step, time.perf_counter()
        until, iteration = self.position.agent_step * step, self.config.iteration_frames // (step * width)
        for tick in checkpoint.play_again(self.population, self.streams, np.hstack(played), iteration):
            self.in_play.follow(tick)
            frames = tick.agent_step * step
            if frames % self.config.progress_frames == 0:
                now = time.perf_counter()
                speed, last = self.config.progress_frames / (now - last), now
                report(Progress(frames, until, speed, (until - frames) / speed, None))
        for number, (folder, tensors, note) in enumerate(saved):
            if checkpoint.fingerprint(self.population, number) != note["fingerprint"]:
                raise UserError(
                    f"The games of {folder} do not repeat, so it cannot go on: its actions lead elsewhere than they "
                    "did. Was it played with another version of ale-py, or its folder changed? If not, run it again."
                )
            agent = self.population.agents[number]
            agent.learner.restore(tensors)
            agent.resume_draws(note["draws"])

    def record(self) -> None:
        """Begin the members' records, or go on with them."""
        step = self.config.frames_per_agent_step
        for number, run in enumerate(self.runs):
            self.recorders.append(MemberRecorder(run.folder, run.description, self.population, number, step, run.saved))

    def take_played(self) -> list[bytes]:
        """What each member's streams have played since the last call."""
        rows, width = self.played.take(), self.config.streams_per_member
        return [rows[:, first : first + width].tobytes() for first in range(0, rows.shape[1], width)]
