"""Follows the episodes that a population plays, all streams in one operation, until they end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dqn_ref.train import Tick


@dataclass(frozen=True)
class Episode:
    """One that ended, or was cut at the end of an iteration."""

    stream: int  # of the population
    end: str  # game_over, truncated or iteration_end
    raw_return: int
    clipped_return: int
    length_frames: int
    lives_lost: int
    start: NDArray[np.uint8] | None  # first frame [H, W], where it was seen
    start_return: float  # discounted, as learnt from, from the start until the first terminal


class InPlay:
    """What the streams [C] of a population have earned since their episodes began."""

    def __init__(self, num_streams: int, frames_per_agent_step: int, discount: float) -> None:
        self._discount = discount
        self._frames_per_agent_step = frames_per_agent_step
        self._raw, self._clipped, self._length, self._lives_lost = np.zeros((4, num_streams), np.int64)
        self._start: list[NDArray[np.uint8] | None] = [None] * num_streams
        self._start_return = np.zeros(num_streams)
        self._start_discount = np.zeros(num_streams)  # of the next reward; 0 after the first terminal

    def follow(self, tick: Tick) -> Sequence[Episode]:
        """Follow them by one step; returns those that it ended, by stream."""
        step = tick.step
        self._raw += step.reward
        self._clipped += np.sign(step.reward)
        self._length += self._frames_per_agent_step
        self._lives_lost += step.life_lost
        self._start_return += self._start_discount * tick.reward
        self._start_discount *= self._discount * ~step.terminal
        over = step.episode_ended
        if not (tick.iteration_ended or np.count_nonzero(over)):
            return ()
        ended = []
        for stream in range(len(over)) if tick.iteration_ended else np.flatnonzero(over).tolist():
            ended.append(self._end(stream, step.game_over[stream], step.truncated[stream]))
            if over[stream] and not tick.iteration_ended:
                self._start[stream] = step.frame[stream].copy()
                self._start_discount[stream] = 1.0
        return ended

    def _end(self, stream: int, game_over: np.bool_, truncated: np.bool_) -> Episode:
        episode = Episode(
            stream=stream,
            end="game_over" if game_over else "truncated" if truncated else "iteration_end",
            raw_return=int(self._raw[stream]),
            clipped_return=int(self._clipped[stream]),
            length_frames=int(self._length[stream]),
            lives_lost=int(self._lives_lost[stream]),
            start=self._start[stream],
            start_return=float(self._start_return[stream]),
        )
        self._raw[stream] = self._clipped[stream] = self._length[stream] = self._lives_lost[stream] = 0
        self._start[stream] = None
        self._start_return[stream] = self._start_discount[stream] = 0.0
        return episode
