"""Follows one member through training, and writes down what it sees."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from dqn_ref import records
from dqn_ref.checkpoint import Checkpoint, fingerprint
from dqn_ref.in_play import Episode
from dqn_ref.measures import Measures
from dqn_ref.population import Population
from dqn_ref.run_writer import RunWriter, forget_evaluations
from dqn_ref.train import Tick

NEWEST_RETURNS = 10  # that the progress shown is the mean of
MOST_STARTS = 64  # of the newest episodes, whose first states are looked at again


class MemberRecorder:
    """Follows one member through training and writes its folder.

    Args:
        folder: new; or that of a stopped run, to go on with.
        run: what run.json says of the run.
        population: at work.
        number: of the member in it.
        frames_per_agent_step: as configured.
        saved: the stopped run's checkpoint.
    """

    def __init__(
        self,
        folder: Path,
        run: Mapping[str, Any],
        population: Population,
        number: int,
        frames_per_agent_step: int,
        saved: Checkpoint | None = None,
    ) -> None:
        self.writer = RunWriter(folder, run, None if saved is None else saved.lengths)
        self.population = population
        self.number = number  # of the member in its population
        self.learner = population.agents[number].learner
        self.frames_per_agent_step = frames_per_agent_step
        self.frames_done = 0
        self.returns: list[int] = []  # raw, of episodes that ran to their end
        # Events that a stopped run wrote after its checkpoint are hidden.
        purge_step = None if saved is None else saved.agent_step * frames_per_agent_step + 1
        self._events = SummaryWriter(str(folder / "tensorboard"), purge_step=purge_step)
        self._measures: Measures | None = None
        self.best_frames: int | None = None  # training frames of the weights kept as the best
        self._best_mean = -math.inf
        self._iteration_returns: list[int] = []  # as returns, of this iteration
        self._updates = 0
        self._closed = False
        self._saved_frames = -1  # training frames of the newest checkpoint
        self._starts: list[tuple[NDArray[np.uint8], float]] = []  # of the newest that have ended since the last row
        if saved is not None:
            self._restore(saved)

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
        """Write a row of progress, which waits for the device."""
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
        self._save(which, self.learner.online.state_dict(), self.frames_done)

    def _save(self, which: str, state: Mapping[str, Tensor], training_frames: int) -> None:
        path = self.writer.folder / records.WEIGHTS[which]
        temporary = path.with_suffix(".tmp")
        contiguous = {name: value.contiguous() for name, value in state.items()}
        save_file(contiguous, temporary, metadata={"training_frames": str(training_frames)})
        os.replace(temporary, path)

    def save_checkpoint(self, tick: Tick, wall_seconds: float, played: bytes) -> None:
        """Write what the run needs to go on from here. To be called after a row of progress only.

        Args:
            played: of this member's streams, since the last call.
        """
        self.writer.actions(played)
        self._events.flush()
        tensors: dict[str, Sequence[Tensor]] = {**self.learner.state()}
        if self._measures is not None:
            tensors["heldout"] = [self._measures.heldout]
        if self.best_frames is not None:
            best = load_file(self.writer.folder / records.WEIGHTS["best"])
            tensors["best"] = [best[name] for name in sorted(best)]
        Checkpoint(
            tensors=tensors,
            agent_step=tick.agent_step,
            updates=tick.updates,
            wall_seconds=wall_seconds,
            lengths=self.writer.lengths(),
            fingerprint=fingerprint(self.population, self.number),
            draws=self.population.random_state(self.number),
            measures=None if self._measures is None else self._measures.sampling.bit_generator.state,
            returns=self.returns[-NEWEST_RETURNS:],
            iteration_returns=self._iteration_returns,
            best_frames=self.best_frames,
            best_mean=self._best_mean,
        ).save(self.writer.folder)
        self._saved_frames = self.frames_done

    def _restore(self, saved: Checkpoint) -> None:
        self.frames_done = self._saved_frames = saved.agent_step * self.frames_per_agent_step
        self._updates = saved.updates
        self.returns, self._iteration_returns = list(saved.returns), list(saved.iteration_returns)
        self.best_frames, self._best_mean = saved.best_frames, saved.best_mean
        forget_evaluations(self.writer.folder, self.frames_done)
        if saved.measures is not None:
            heldout = saved.tensors["heldout"][0].to(self.population.replay.frames.device)
            self._measures = Measures(self.population, self.number, len(heldout), heldout)
            self._measures.sampling.bit_generator.state = saved.measures
        if saved.best_frames is not None:
            names = sorted(self.learner.online.state_dict())
            self._save("best", dict(zip(names, saved.tensors["best"], strict=True)), saved.best_frames)

    def close(self, status: str, error: str | None = None, *, may_go_on: bool = True) -> None:
        """End the record with ``status``, unless it has ended; keep a checkpoint only if a run may go on from it."""
        if self._closed:
            return
        self._closed = True
        self.writer.close(status, self.frames_done, error)  # first: the events may break off at a full disk
        self._events.close()
        if status == "finished" and not (may_go_on and self._saved_frames == self.frames_done):  # not of the end
            for name in (records.CHECKPOINT, f"{records.CHECKPOINT}.tmp", records.ACTIONS):
                (self.writer.folder / name).unlink(missing_ok=True)
