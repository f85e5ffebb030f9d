"""One member at work: its learner, and the random streams that it owns; and how several explore together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dqn_ref.learner import Learner
from dqn_ref.seeds import Member

BLOCK = 512  # steps for which random numbers are drawn at once
BATCHES_AHEAD = 64


def linear_epsilon(agent_step: int, *, warm_up: int, span: int, start: float, end: float) -> float:
    """Exploration at ``agent_step``: ``start`` until ``warm_up``, then linear over ``span``, then ``end``."""
    done = min(max(agent_step - warm_up, 0) / span, 1.0)
    return start + done * (end - start)


class Agent:
    """A member's learner, and what it draws: whether to explore, how, and what to learn from."""

    def __init__(self, member: Member, num_actions: int, learner: Learner, num_streams: int = 1) -> None:
        self.member = member
        self.num_actions = num_actions
        self.learner = learner
        self.num_streams = num_streams
        self._explore = member.numpy_stream("explore")
        self._sampling = member.numpy_stream("replay")
        self._before_block = self._explore.bit_generator.state
        self._before_ahead = self._sampling.bit_generator.state
        self._draws_from = (0, 0)  # transitions, and how many of them make a batch
        self._ahead: list[NDArray[np.int64]] = []  # batches not asked for yet, the next one last

    def draw_block(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """For the next ``BLOCK`` steps of each stream: a number from 0 to 1, and an action; both [BLOCK, streams]."""
        self._before_block = self._explore.bit_generator.state
        size = (BLOCK, self.num_streams)
        return self._explore.random(size), self._explore.integers(self.num_actions, size=size)

    def draw(self, transitions: int, batch_size: int) -> NDArray[np.int64]:
        """Numbers of the transitions to learn from, [B], uniform, with replacement.

        Once replay no longer grows, many batches are drawn in one call: the same numbers, in less time.
        """
        if self._draws_from != (transitions, batch_size):  # replay still grows, so nothing can be drawn ahead
            self._take_back()
            self._draws_from = (transitions, batch_size)
            return self._sampling.integers(transitions, size=batch_size)
        if not self._ahead:
            self._before_ahead = self._sampling.bit_generator.state
            self._ahead = [*self._sampling.integers(transitions, size=(BATCHES_AHEAD, batch_size))][::-1]
        return self._ahead.pop()

    def _take_back(self) -> None:
        """Leave the random stream where it stands if batches are drawn one by one."""
        if self._ahead:
            transitions, batch_size = self._draws_from
            self._sampling.bit_generator.state = self._before_ahead
            self._sampling.integers(transitions, size=(BATCHES_AHEAD - len(self._ahead), batch_size))
            self._ahead = []

    def random_state(self) -> dict[str, Any]:
        """Where its random streams stand, for ``set_random_state``; numbers and strings only."""
        self._take_back()
        return {"block": self._before_block, "sampling": self._sampling.bit_generator.state}

    def set_random_state(self, state: Mapping[str, Any]) -> None:
        """Draw on from ``state`` of such an agent: the next block is the one that was its newest."""
        self._ahead = []
        self._explore.bit_generator.state = state["block"]
        self._sampling.bit_generator.state = state["sampling"]


class Exploration:
    """When and how the streams of several agents explore, one step of all of them after the other.

    Every step draws the same amount whatever the numbers are used for, so that a member's draws depend on
    nothing but its seed, and blocks of them can be drawn ahead.
    """

    def __init__(self, agents: Sequence[Agent]) -> None:
        self._agents = agents
        self.drawn_of_block = BLOCK
        self._uniform: NDArray[np.float64] = np.empty((BLOCK, 0))
        self._random_action: NDArray[np.int64] = np.empty((BLOCK, 0), np.int64)

    def actions(self, epsilon: float) -> NDArray[np.int64]:
        """A random action with probability ``epsilon``, else -1, for each stream [C]."""
        if self.drawn_of_block == BLOCK:
            self.resume(0)
        step = self.drawn_of_block
        self.drawn_of_block += 1
        return np.where(self._uniform[step] < epsilon, self._random_action[step], -1)

    def resume(self, drawn_of_block: int) -> None:
        """Draw the agents' next blocks, and go on after so many steps of them."""
        uniform, random_action = zip(*(agent.draw_block() for agent in self._agents), strict=True)
        self._uniform, self._random_action = np.hstack(uniform), np.hstack(random_action)
        self.drawn_of_block = drawn_of_block
