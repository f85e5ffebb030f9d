"""Follows one member through training, and writes down what it sees."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch.utils.tensorboard import SummaryWriter

from dqn_ref import records
from dqn_ref.measures import Measures
from dqn_ref.population import Population
from dqn_ref.train import Tick

MOST_STARTS = 64  # of the newest episodes, whose first states are looked at again


class MemberRecorder:
    """Follows one member through training and writes its folder."""

    def __init__(
        self, folder: Path, run: dict[str, Any], population: Population, number: int, frames_per_agent_step: int
    ) -> None:
        self.writer = records.RunWriter(folder, run)
        self.population = population
        self.number = number  # of the member in its population
        self.learner = population.agents[number].learner
        self._num_streams = population.streams_per_member
        self.frames_per_agent_step = frames_per_agent_step
        self.frames_done = 0
        self.returns: list[int] = []  # raw, of episodes that ran to their end
        self._events = SummaryWriter(str(folder / "tensorboard"))
        self._measures: Measures | None = None
        self.best_frames: int | None = None  # training frames of the weights kept as the best
        self._best_mean = -math.inf
        self._iteration_returns: list[int] = []  # as returns, of this iteration
        self._updates = 0
        self._closed = False
        # Of the episodes in play:
        self._raw, self._clipped, self._length, self._lives_lost = np.zeros((4, self._num_streams), np.int64)
        self._start: list[NDArray[np.uint8] | None] = [None] * self._num_streams  # first frame, where it was seen
        self._start_return = np.zeros(self._num_streams)  # discounted, as learnt from, until the first terminal
        self._start_discount = np.zeros(self._num_streams)  # of the next reward; 0 after the first terminal
        self._starts: list[tuple[NDArray[np.uint8], float]] = []  # of the newest that have ended since the last row

    def observe(self, tick: Tick) -> None:
        """Follow the episodes in play by one step."""
        self.frames_done = tick.agent_step * self.frames_per_agent_step
        own = slice(self.number * self._num_streams, (self.number + 1) * self._num_streams)
        reward = tick.step.reward[own]
        self._raw += reward
        self._clipped += reward.clip(-1, 1)
        self._length += self.frames_per_agent_step
        self._lives_lost += tick.step.life_lost[own]
        self._start_return += self._start_discount * self.population.learnt_from(reward)
        self._start_discount *= self.population.replay.discount * ~tick.step.terminal[own]
        game_over, truncated = tick.step.game_over[own], tick.step.truncated[own]
        if not (tick.iteration_ended or game_over.any() or truncated.any()):
            return
        for stream in range(self._num_streams):
            if game_over[stream]:
                self._end_episode(stream, "game_over")
            elif truncated[stream]:
                self._end_episode(stream, "truncated")
            elif tick.iteration_ended:
                self._end_episode(stream, "iteration_end")
            if (game_over | truncated)[stream] and not tick.iteration_ended:
                self._start[stream] = tick.step.frame[own][stream].copy()
                self._start_discount[stream] = 1.0

    def _end_episode(self, stream: int, end: str) -> None:
        raw = int(self._raw[stream])
        self.writer.episode(
            frame=self.frames_done,
            raw_return=raw,
            clipped_return=int(self._clipped[stream]),
            length_frames=int(self._length[stream]),
            end=end,
            lives_lost=int(self._lives_lost[stream]),
        )
        start = self._start[stream]
        if start is not None and end == "game_over":  # a return cut short is none
            self._starts = [*self._starts, (start, float(self._start_return[stream]))][-MOST_STARTS:]
        if end != "iteration_end":
            self.returns.append(raw)
            self._iteration_returns.append(raw)
            self._events.add_scalar("episode/raw_return", raw, self.frames_done)
        self._raw[stream] = self._clipped[stream] = self._length[stream] = self._lives_lost[stream] = 0
        self._start[stream] = None
        self._start_return[stream] = self._start_discount[stream] = 0.0

    def hold_out(self, size: int) -> None:
        """Choose the states on which Q is followed, from what replay holds now."""
        self._measures = Measures(self.population, self.number, size)

    def progress(self, tick: Tick, frames_per_second: float, seconds: dict[str, float], wall_seconds: float) -> None:
        """Write a row of progress. The one place that reads from the device on purpose."""
        learner, frames = self.learner, tick.agent_step * self.frames_per_agent_step
        row = dict.fromkeys(records.PROGRESS_COLUMNS, math.nan)
        if self._measures is not None:
            row |= self._measures.row([frame for frame, _ in self._starts])
        if self._starts:
            row["start_return"] = float(np.mean([value for _, value in self._starts]))
            self._starts = []
        if tick.updates > self._updates:
            row["loss"] = float(learner.loss_sum) / (tick.updates - self._updates)
            learner.loss_sum.zero_()
            self._updates = tick.updates
        else:  # what follows is of a newest update
            row |= dict.fromkeys(("gradient_norm", "update_ratio", "policy_churn"), math.nan)
        row |= {
            "frames": frames,
            "agent_steps": tick.agent_step,
            "updates": tick.updates,
            "epsilon": tick.epsilon,
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
        self.save_weights("last")
        if self._iteration_returns and np.mean(self._iteration_returns) > self._best_mean:
            self._best_mean = float(np.mean(self._iteration_returns))
            self.best_frames = self.frames_done
            self.save_weights("best")
        self._iteration_returns.clear()

    def save_weights(self, which: str) -> None:
        """Write the online network as ``last`` or ``best``."""
        state = {name: value.contiguous() for name, value in self.learner.online.state_dict().items()}
        path = self.writer.folder / records.WEIGHTS[which]
        temporary = path.with_suffix(".tmp")
        save_file(state, temporary, metadata={"training_frames": str(self.frames_done)})
        os.replace(temporary, path)

    def close(self, status: str, error: str | None = None) -> None:
        """End the record with ``status``, unless it has ended."""
        if self._closed:
            return
        self._closed = True
        self.writer.close(status, self.frames_done, error)  # first: the events may break off at a full disk
        self._events.close()
