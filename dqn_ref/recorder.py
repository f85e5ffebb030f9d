"""Follows one member through training, and writes down what it sees."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch.utils.tensorboard import SummaryWriter

from dqn_ref import checkpoint, records
from dqn_ref.in_play import Episode
from dqn_ref.measures import Measures
from dqn_ref.population import Population
from dqn_ref.train import Tick

MOST_STARTS = 64  # of the newest episodes, whose first states are looked at again


class MemberRecorder:
    """Follows one member through training and writes its folder.

    Args:
        folder: new; or that of a stopped run, to go on with.
        run: what run.json says of the run.
        population: at work.
        number: of the member in it.
        frames_per_agent_step: as configured.
        saved: tensors and notes of the stopped run's checkpoint.
    """

    def __init__(
        self,
        folder: Path,
        run: Mapping[str, Any],
        population: Population,
        number: int,
        frames_per_agent_step: int,
        saved: tuple[checkpoint.Tensors, Mapping[str, Any]] | None = None,
    ) -> None:
        self.writer = records.RunWriter(folder, run, None if saved is None else saved[1]["lengths"])
        self.population = population
        self.number = number  # of the member in its population
        self.learner = population.agents[number].learner
        self.frames_per_agent_step = frames_per_agent_step
        self.frames_done = 0
        self.returns: list[int] = []  # raw, of episodes that ran to their end
        frames_saved = None if saved is None else saved[1]["agent_step"] * frames_per_agent_step
        purge = None if frames_saved is None else frames_saved + 1
        self._events = SummaryWriter(str(folder / "tensorboard"), purge_step=purge)
        self._measures: Measures | None = None
        self.best_frames: int | None = None  # training frames of the weights kept as the best
        self._best_mean = -math.inf
        self._iteration_returns: list[int] = []  # as returns, of this iteration
        self._updates = 0
        self._closed = False
        self._starts: list[tuple[NDArray[np.uint8], float]] = []  # of the newest that have ended since the last row
        if saved is not None:
            self._restore(*saved)

    def end_episode(self, episode: Episode) -> None:
        """Write an episode of this member."""
        self.writer.episode(
            frame=self.frames_done,
            raw_return=episode.raw_return,
            clipped_return=episode.clipped_return,
            length_frames=episode.length_frames,
            end=episode.end,
            lives_lost=episode.lives_lost,
        )
        if episode.start is not None and episode.end == "game_over":  # a return cut short is none
            self._starts = [*self._starts, (episode.start, episode.start_return)][-MOST_STARTS:]
        if episode.end != "iteration_end":
            self.returns.append(episode.raw_return)
            self._iteration_returns.append(episode.raw_return)
            self._events.add_scalar("episode/raw_return", episode.raw_return, self.frames_done)

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

    def save_checkpoint(self, tick: Tick, wall_seconds: float, played: bytes) -> None:
        """Write what the run needs to go on from here. To be called after a row of progress only.

        Args:
            played: of this member's streams, since the last call.
        """
        self.writer.actions(played)
        tensors = self.learner.state()
        if self._measures is not None:
            tensors["heldout"] = [self._measures.heldout]
        notes = {
            "agent_step": tick.agent_step,
            "updates": tick.updates,
            "wall_seconds": wall_seconds,
            "lengths": self.writer.lengths(),
            "fingerprint": checkpoint.fingerprint(self.population, self.number),
            "draws": self.population.agents[self.number].drawn(),
            "measures": None if self._measures is None else self._measures.sampling.bit_generator.state,
            "returns": self.returns,
            "iteration_returns": self._iteration_returns,
            "best_frames": self.best_frames,
            "best_mean": self._best_mean,
        }
        checkpoint.save(self.writer.folder, tensors, notes)
        self.writer.checkpoint(self.frames_done)

    def _restore(self, tensors: checkpoint.Tensors, notes: Mapping[str, Any]) -> None:
        self.frames_done = notes["agent_step"] * self.frames_per_agent_step
        self._updates = notes["updates"]
        self.returns, self._iteration_returns = notes["returns"], notes["iteration_returns"]
        self.best_frames, self._best_mean = notes["best_frames"], notes["best_mean"]
        if notes["measures"] is not None:
            (heldout,) = tensors["heldout"]
            self._measures = Measures(self.population, self.number, len(heldout), heldout)
            self._measures.sampling.bit_generator.state = notes["measures"]

    def close(self, status: str, error: str | None = None) -> None:
        """End the record with ``status``, unless it has ended."""
        if self._closed:
            return
        self._closed = True
        self.writer.close(status, self.frames_done, error)  # first: the events may break off at a full disk
        self._events.close()
        if status == "finished":
            checkpoint.remove(self.writer.folder)
