"""Follows one member through training, and writes down what it sees."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch.utils.tensorboard import SummaryWriter

from dqn_ref import records
from dqn_ref.agent import Agent
from dqn_ref.train import Tick


class MemberRecorder:
    """Follows one member through training and writes its folder."""

    def __init__(self, folder: Path, run: dict[str, Any], agent: Agent, frames_per_agent_step: int) -> None:
        self.writer = records.RunWriter(folder, run)
        self.agent = agent
        self.frames_per_agent_step = frames_per_agent_step
        self.frames_done = 0
        self.returns: list[int] = []  # raw, of episodes that ran to their end
        self._events = SummaryWriter(str(folder / "tensorboard"))
        self._heldout: torch.Tensor | None = None
        self.best_frames: int | None = None  # training frames of the weights kept as the best
        self._best_mean = -math.inf
        self._iteration_returns: list[int] = []  # as returns, of this iteration
        self._raw = self._clipped = self._length = self._updates = 0

    def observe(self, tick: Tick, row: int) -> None:
        """Follow the episode in play by one agent step."""
        self.frames_done = tick.agent_step * self.frames_per_agent_step
        reward = int(tick.step.reward[row])
        self._raw += reward
        self._clipped += int(np.sign(reward)) if abs(reward) > 1 else reward
        self._length += self.frames_per_agent_step
        ended = "game_over" if tick.step.game_over[row] else "truncated" if tick.step.truncated[row] else None
        if ended is None and tick.iteration_ended:
            ended = "iteration_end"
        if ended is None:
            return
        self.writer.episode(
            frame=self.frames_done,
            raw_return=self._raw,
            clipped_return=self._clipped,
            length_frames=self._length,
            end=ended,
        )
        if ended != "iteration_end":
            self.returns.append(self._raw)
            self._iteration_returns.append(self._raw)
            self._events.add_scalar("episode/raw_return", self._raw, self.frames_done)
        self._raw = self._clipped = self._length = 0

    def hold_out(self, size: int) -> None:
        """Choose the states on which Q is followed, from what replay holds now."""
        self._heldout = self.agent.heldout_batch(size).s_tm1

    def progress(self, tick: Tick, frames_per_second: float, seconds: dict[str, float], wall_seconds: float) -> None:
        """Write a row of progress. The one place that reads from the device on purpose."""
        learner, frames = self.agent.learner, tick.agent_step * self.frames_per_agent_step
        q_mean = q_max = loss = gradient_norm = math.nan
        if self._heldout is not None:
            q = learner.values(self._heldout).amax(dim=1)
            q_mean, q_max = float(q.mean()), float(q.max())
        if tick.updates > self._updates:
            loss = float(learner.loss_sum) / (tick.updates - self._updates)
            gradient_norm = float(learner.gradient_norm())
            learner.loss_sum.zero_()
            self._updates = tick.updates
        row = {
            "frames": frames,
            "agent_steps": tick.agent_step,
            "updates": tick.updates,
            "epsilon": tick.epsilon,
            "loss": loss,
            "q_mean": q_mean,
            "q_max": q_max,
            "gradient_norm": gradient_norm,
            "frames_per_second": frames_per_second,
            **{f"{part}_seconds": value for part, value in seconds.items()},
            "wall_seconds": wall_seconds,
        }
        self.writer.progress(**row)
        for name, value in row.items():
            if name not in ("frames", "agent_steps") and math.isfinite(value):
                self._events.add_scalar(f"progress/{name}", value, frames)

    def end_iteration(self) -> None:
        """Write the online network, also as the best one if this iteration's full episodes scored highest so far."""
        self._save_weights("last")
        if self._iteration_returns and np.mean(self._iteration_returns) > self._best_mean:
            self._best_mean = float(np.mean(self._iteration_returns))
            self.best_frames = self.frames_done
            self._save_weights("best")
        self._iteration_returns.clear()

    def _save_weights(self, which: str) -> None:
        state = {name: value.contiguous() for name, value in self.agent.learner.online.state_dict().items()}
        path = self.writer.folder / records.WEIGHTS[which]
        temporary = path.with_suffix(".tmp")
        save_file(state, temporary, metadata={"training_frames": str(self.frames_done)})
        os.replace(temporary, path)

    def close(self, status: str, error: str | None = None) -> None:
        """End the record with ``status``."""
        self._events.close()
        self.writer.close(status, self.frames_done, error)
