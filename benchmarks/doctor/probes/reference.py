"""The reference DQN through the protocol: its own networks, learner, replay and exploration, on images.

What changes for a probe is the schedule, which must fit a few hundred agent steps, and the batch size.
"""

from __future__ import annotations

import numpy as np
import torch
from gymnasium.spaces import Box
from numpy.typing import NDArray

from benchmarks.doctor.probes.protocol import Observation
from dqn_ref.build import make_population
from dqn_ref.config import DQNConfig, UserError
from dqn_ref.device import prepare_torch
from dqn_ref.population import Population
from dqn_ref.seeds import Member
from dqn_ref.train import epsilon_at

UPDATES = 350  # in a probe, about; each takes 7 to 15 ms of one core


def reference_config(agent_steps: int) -> DQNConfig:
    """The paper's hyperparameters, with schedules that fit a training of ``agent_steps``.

    Small batches, and steps four times as long: a few hundred updates must do.
    """
    warm_up = agent_steps // 10
    return DQNConfig(
        total_frames=4 * agent_steps,
        iteration_frames=4 * agent_steps,
        batch_size=8,
        learning_rate=4 * 0.00025,
        update_period_agent_steps=max(1, (agent_steps - warm_up) // UPDATES),
        target_period_agent_steps=agent_steps // 16,
        replay_capacity=agent_steps,
        replay_start_agent_steps=warm_up,
        epsilon_span_agent_steps=agent_steps // 2,
        epsilon_end=0.05,
    )


class ReferenceAgent:
    """One member with one stream. ``population`` holds its learner and its replay.

    Raises:
        UserError: observations are not stacks of four frames.
    """

    def __init__(self, observation_space: Box, num_actions: int, config: DQNConfig, seed: int) -> None:
        if observation_space.shape != (4, 84, 84):
            raise UserError(
                f"The reference sees images [4, 84, 84], got observations of {list(observation_space.shape)}. "
                "Probe it with --observation image."
            )
        prepare_torch(torch.device("cpu"), threads=1)
        self.config = config
        member = Member("probe", seed)
        self.population: Population = make_population(config, [member], [num_actions], torch.device("cpu"))
        self.learner = self.population.agents[0].learner
        self.agent_step = 0
        self._begun = False
        # The transition that ended an episode: replay stores it with the next one's first frame.
        self._ended: tuple[int, float, bool, bool, Observation] | None = None

    # ------------------------------------------------------------------ the protocol

    def act(self, observation: Observation, explore: bool) -> int:
        """Epsilon-greedy in the newest state of replay, or greedy in ``observation``."""
        if not explore:
            return int(self.values(observation).argmax())
        self._begin(observation)
        return int(self.population.act(self.epsilon())[0])

    def observe(
        self,
        observation: Observation,
        action: int,
        reward: float,
        next_observation: Observation,
        terminated: bool,
        truncated: bool,
    ) -> None:
        """Store the newest frame and what led to it."""
        if terminated or truncated:
            self._ended = (action, reward, terminated, truncated and not terminated, next_observation)
        else:
            self._append(action, reward, next_observation[-1])

    def learn(self) -> None:
        """An update, a copy to the target network, each if it is due (``dqn_ref.train``)."""
        step, config = self.agent_step, self.config
        self.agent_step += 1
        if step > config.replay_start_agent_steps and step % config.update_period_agent_steps == 0:
            self.population.learn()
        if step % config.target_period_agent_steps == 0:
            self.population.sync_target()

    def values(self, observation: Observation) -> NDArray[np.float32]:
        """Q values of the network that learns, [A]."""
        q: NDArray[np.float32] = self.learner.values(torch.from_numpy(observation[None]))[0].numpy()
        return q

    # ------------------------------------------------------------------ its parts

    def epsilon(self) -> float:
        """Exploration now."""
        return epsilon_at(self.agent_step, self.config)

    def _begin(self, observation: Observation) -> None:
        """Where an episode begins: its first frame also completes the transition that ended the one before."""
        if self._ended is not None:
            action, reward, terminated, truncated, last = self._ended
            self._ended = None
            self._append(action, reward, observation[-1], terminated, truncated, last[-1])
        elif not self._begun:
            self.population.begin(observation[None, -1])
        self._begun = True

    def _append(
        self,
        action: int,
        reward: float,
        frame: NDArray[np.uint8],
        terminated: bool = False,
        truncated: bool = False,
        final_frame: NDArray[np.uint8] | None = None,
    ) -> None:
        self.population.replay.append(
            np.array([action]),
            np.array([reward], np.float32).clip(-self.population.reward_clip, self.population.reward_clip),
            np.array([terminated]),
            frame[None],
            np.array([truncated]),
            (frame if final_frame is None else final_frame)[None],
        )


def make_agent(*, observation_space: Box, num_actions: int, agent_steps: int, seed: int) -> ReferenceAgent:
    """The factory."""
    return ReferenceAgent(observation_space, num_actions, reference_config(agent_steps), seed)
