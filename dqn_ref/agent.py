"""One member at work: its learner, and the random streams that it owns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dqn_ref.learner import Learner
from dqn_ref.seeds import Member

BLOCK = 512  # steps for which random numbers are drawn at once


def linear_epsilon(agent_step: int, *, warm_up: int, span: int, start: float, end: float) -> float:
    """Exploration at ``agent_step``: ``start`` until ``warm_up``, then linear over ``span``, then ``end``."""
    done = min(max(agent_step - warm_up, 0) / span, 1.0)
    return start + done * (end - start)


class Agent:
    """A member's learner, and what it draws: whether to explore, how, and what to learn from.

    Every step draws the same amount whatever the numbers are used for, so that a member's draws depend on
    nothing but its seed, and blocks of them can be drawn ahead.
    """

    def __init__(self, member: Member, num_actions: int, learner: Learner, num_streams: int = 1) -> None:
        self.member = member
        self.num_actions = num_actions
        self.learner = learner
        self.num_streams = num_streams
        self._explore = member.numpy_stream("explore")
        self._sampling = member.numpy_stream("replay")
        self._drawn = BLOCK
        self._before_block = self._explore.bit_generator.state
        self._uniform: NDArray[np.float64] = np.empty((BLOCK, num_streams))
        self._random_action: NDArray[np.int64] = np.empty((BLOCK, num_streams), np.int64)

    def explore(self, epsilon: float) -> NDArray[np.int64]:
        """A random action with probability ``epsilon``, else -1, for each stream."""
        if self._drawn == BLOCK:
            self._draw_block()
        explores = self._uniform[self._drawn] < epsilon
        actions: NDArray[np.int64] = np.where(explores, self._random_action[self._drawn], -1)
        self._drawn += 1
        return actions

    def _draw_block(self) -> None:
        self._before_block = self._explore.bit_generator.state
        self._uniform = self._explore.random((BLOCK, self.num_streams))
        self._random_action = self._explore.integers(self.num_actions, size=(BLOCK, self.num_streams))
        self._drawn = 0

    def draw(self, transitions: int, batch_size: int) -> NDArray[np.int64]:
        """Numbers of the transitions to learn from, [B], uniform, with replacement."""
        return self._sampling.integers(transitions, size=batch_size)

    def drawn(self) -> dict[str, Any]:
        """Where its random streams stand, for ``resume_draws``; numbers and strings only."""
        return {
            "block": self._before_block,
            "drawn_of_block": self._drawn,
            "sampling": self._sampling.bit_generator.state,
        }

    def resume_draws(self, drawn: Mapping[str, Any]) -> None:
        """Go on where an agent stood that had ``drawn`` at least one step's numbers."""
        self._explore.bit_generator.state = drawn["block"]
        self._draw_block()
        self._drawn = drawn["drawn_of_block"]
        self._sampling.bit_generator.state = drawn["sampling"]
