"""Members that step together: what they play on, their records, and how they go on after they were stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dqn_ref.build import make_population, make_streams
from dqn_ref.checkpoint import ActionLog, Checkpoint, fingerprint, read_actions, repeat_actions
from dqn_ref.config import DQNConfig, UserError
from dqn_ref.in_play import InPlay
from dqn_ref.launch import settled
from dqn_ref.recorder import MemberRecorder
from dqn_ref.seeds import Member
from dqn_ref.time_split import TimeSplit
from dqn_ref.train import Position, Tick

Report = Callable[["Progress"], None]


@dataclass(frozen=True)
class Progress:
    """Where a population stands; handed to whoever shows it."""

    frames: int
    total_frames: int
    frames_per_second: float
    seconds_left: float | None  # of training; None while it warms up, which tells nothing of how fast it learns
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
        self._in_play = InPlay(len(self.streams.num_actions), config.frames_per_agent_step, config.discount)
        self._actions = ActionLog(len(self.streams.num_actions), config.streams_per_member)
        self.position, self.wall_seconds = Position(), 0.0
        if saved := [(run.folder, run.saved) for run in runs if run.saved]:
            self._resume(saved, report)
        self._held_out = self.position.agent_step >= config.replay_start_agent_steps
        self.frames = self._last_frames = self.position.agent_step * config.frames_per_agent_step
        self.last_time = time.perf_counter()  # of the newest row of progress, less what was no training since
        self._last_seconds = dict[str, float]()

    def _resume(self, runs: Sequence[tuple[Path, Checkpoint]], report: Report) -> None:
        """Be where the members were when their checkpoints were written. Raises UserError: games do not repeat."""
        first, width, step = runs[0][1], self.config.streams_per_member, self.config.frames_per_agent_step
        self.position = Position(first.agent_step, first.updates)
        self.wall_seconds = max(saved.wall_seconds for _, saved in runs)
        until, steps = first.agent_step * step, self.config.iteration_frames // (step * width)
        played = np.hstack([read_actions(folder, saved, width) for folder, saved in runs])
        last_frames, last_time = None, time.perf_counter()
        for tick in repeat_actions(self.population, self.streams, played, steps):
            self._in_play.follow(tick)
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
            agent.set_random_state(saved.draws)
        self.population.exploration.resume(first.draws["drawn_of_block"])

    def record(self) -> None:
        """Begin the members' records, or go on with them."""
        step = self.config.frames_per_agent_step
        for number, run in enumerate(self.runs):
            self.recorders.append(MemberRecorder(run.folder, run.description, self.population, number, step, run.saved))

    def follow(self, tick: Tick) -> bool:
        """Record what ended with a step, and go on; whether a row of progress is due."""
        self.frames = tick.agent_step * self.config.frames_per_agent_step
        for recorder in self.recorders:
            recorder.frames_done = self.frames
        self._actions.add(tick)
        for episode in self._in_play.follow(tick):
            self.recorders[episode.stream // self.config.streams_per_member].end_episode(episode)
        if not self._held_out and tick.agent_step >= self.config.replay_start_agent_steps:
            self._held_out = True
            with settled(self.device):
                for recorder in self.recorders:
                    recorder.hold_out(self.config.heldout_states)
        return self.frames // self.config.progress_frames > self._last_frames // self.config.progress_frames

    def write_progress(self, tick: Tick, split: TimeSplit, wall_seconds: float) -> float:
        """A row of progress of each member. Returns frames per second since the row before."""
        speed = (self.frames - self._last_frames) / (time.perf_counter() - self.last_time)
        seconds = {part: value - self._last_seconds.get(part, 0.0) for part, value in split.seconds.items()}
        with settled(self.device):
            for recorder in self.recorders:
                recorder.progress(tick, speed, seconds, wall_seconds)
        self._last_frames, self._last_seconds, self.last_time = self.frames, dict(split.seconds), time.perf_counter()
        return speed

    def end_iteration(self) -> None:
        """Keep each member's weights, and see whether they are its best."""
        with settled(self.device):
            for recorder in self.recorders:
                recorder.end_iteration()

    def save(self, tick: Tick, wall_seconds: float) -> None:
        """Write each member's checkpoint."""
        with settled(self.device):
            for recorder, played in zip(self.recorders, self._actions.take(), strict=True):
                recorder.save_checkpoint(tick, wall_seconds, played)
