"""What an agent must offer to be probed: three methods, and a fourth for the probes that look at values.

    class MyAgent:
        def act(self, observation, explore): ...
        def observe(self, observation, action, reward, next_observation, terminated, truncated): ...
        def learn(self): ...
        def values(self, observation): ...      # optional

    def make_agent(observation_space, num_actions, agent_steps, seed): return MyAgent(...)

The probe owns the loop: act, observe, learn, once each in an agent step, in this order. Whatever the agent
does in its own loop (store, sample, update, copy the target network, decay epsilon) it does in these.
"""

from __future__ import annotations

from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

Form = Literal["image", "vector"]
Observation = NDArray[Any]


@runtime_checkable
class ProbedAgent(Protocol):
    """An agent under probe. It may have ``values(observation) -> [A]`` besides: its Q values, as it would act on."""

    def act(self, observation: Observation, explore: bool) -> int:
        """An action in 0 .. num_actions - 1: as in training, or the greedy one where ``explore`` is false.

        Greedy questions come between agent steps, about any observation, and must change nothing.
        """

    def observe(
        self,
        observation: Observation,
        action: int,
        reward: float,
        next_observation: Observation,
        terminated: bool,
        truncated: bool,
    ) -> None:
        """What came of ``action``. After ``terminated`` or ``truncated`` the next observation begins an episode.

        ``next_observation`` is always the one that followed, never the first of the next episode.
        """

    def learn(self) -> None:
        """Called once in each agent step: learn, copy to the target network, decay epsilon, if it is time to."""


class MakeAgent(Protocol):
    """The factory. It is called by keyword, once for each probe and seed."""

    def __call__(self, *, observation_space: Box, num_actions: int, agent_steps: int, seed: int) -> ProbedAgent:
        """A new agent.

        Args:
            observation_space: [4, 84, 84] u8, the four newest frames, newest last, black before the episode's
                first; or, for vectors, [K] f32 in 0 .. 1 (u8 in 0 .. 255 in one probe). Its ``high`` is what to
                divide by.
            num_actions: A; 1 where only a value is to be learnt.
            agent_steps: length of the training. Schedules must fit it: a warm-up of a tenth, a copy to the
                target network every tenth to twentieth, epsilon down to its end value in half of it.
            seed: of the agent's own draws.
        """


def box(form: Form, cells: int, raw_bytes: bool) -> Box:
    """The space of the observations of an environment whose frames have so many ``cells``."""
    if form == "image":
        return Box(0, 255, (4, 84, 84), np.uint8)
    if raw_bytes:
        return Box(0, 255, (4 * cells,), np.uint8)
    return Box(0.0, 1.0, (4 * cells,), np.float32)
