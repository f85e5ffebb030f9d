"""A DQN for short vectors in NumPy, small enough to be probed in a second: two layers, Adam, the rest as in the paper.

It is what faults are planted in where speed matters. The reference itself is probed on images (reference.py).
"""

from __future__ import annotations

import itertools

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from benchmarks.doctor.probes.protocol import Observation
from dqn_ref.config import DQNConfig
from dqn_ref.seeds import Member
from dqn_ref.train import epsilon_at

Array = NDArray[np.float64]
HIDDEN = 32


def small_config(agent_steps: int) -> DQNConfig:
    """Schedules that fit a training of ``agent_steps``."""
    return DQNConfig(
        total_frames=4 * agent_steps,
        iteration_frames=4 * agent_steps,
        batch_size=16,
        learning_rate=0.003,
        update_period_agent_steps=1,
        target_period_agent_steps=agent_steps // 16,
        replay_capacity=agent_steps,
        replay_start_agent_steps=agent_steps // 10,
        epsilon_span_agent_steps=agent_steps // 2,
        epsilon_end=0.05,
    )


class SmallDQN:
    """An agent of the probes' protocol.

    Args:
        observation_space: of vectors [K]; what is stored as bytes is divided by ``config.input_divisor``.
        config: its hyperparameters; those of the emulator and of evaluation are not read.
    """

    def __init__(self, observation_space: Box, num_actions: int, config: DQNConfig, seed: int) -> None:
        self.config = config
        self.num_actions = num_actions
        self.divisor = config.input_divisor if observation_space.dtype == np.uint8 else 1.0
        self._explore = Member("small-dqn", seed).numpy_stream("explore")
        self._sampling = Member("small-dqn", seed).numpy_stream("replay")
        draw = Member("small-dqn", seed).numpy_stream("init")
        sizes = [*observation_space.shape, HIDDEN, num_actions]
        self.weights: list[Array] = []
        for fan_in, fan_out in itertools.pairwise(sizes):
            bound = fan_in**-0.5
            self.weights += [draw.uniform(-bound, bound, (fan_in, fan_out)), draw.uniform(-bound, bound, fan_out)]
        self.target_weights = [weight.copy() for weight in self.weights]
        self._means = [np.zeros_like(weight) for weight in self.weights]
        self._squares = [np.zeros_like(weight) for weight in self.weights]
        self._rows: list[tuple[Observation, int, float, Observation, bool]] = []
        self._added = self._updates = self.agent_step = 0

    # ------------------------------------------------------------------ the protocol

    def act(self, observation: Observation, explore: bool) -> int:
        """Epsilon-greedy, or greedy."""
        if explore and self._explore.random() < self.epsilon():
            return int(self._explore.integers(self.num_actions))
        return int(self.values(observation).argmax())

    def observe(
        self,
        observation: Observation,
        action: int,
        reward: float,
        next_observation: Observation,
        terminated: bool,
        truncated: bool,
    ) -> None:
        """Store; a truncation is no end."""
        row = (observation, action, reward, next_observation, terminated)
        if len(self._rows) < self.config.replay_capacity:
            self._rows.append(row)
        else:
            self._rows[self._added % self.config.replay_capacity] = row
        self._added += 1

    def learn(self) -> None:
        """An update, a copy to the target network, each if it is due."""
        config = self.config
        if (
            self.agent_step > config.replay_start_agent_steps
            and self.agent_step % config.update_period_agent_steps == 0
        ):
            self._update()
        if self.agent_step % config.target_period_agent_steps == 0:
            self.target_weights = [weight.copy() for weight in self.weights]
        self.agent_step += 1

    def values(self, observation: Observation) -> Array:
        """Q values, [A]."""
        q: Array = self.forward(self.weights, self.scaled(observation[None]))[1][0]
        return q

    # ------------------------------------------------------------------ its parts

    def epsilon(self) -> float:
        """Exploration now."""
        return epsilon_at(self.agent_step, self.config)

    def scaled(self, observations: Observation) -> Array:
        """What the network is given, [B, K]: scaled, the oldest frames black if it shall see fewer than four."""
        frames = observations.reshape(len(observations), 4, -1) / self.divisor
        frames[:, : 4 - self.config.frames_per_state] = 0.0
        scaled: Array = frames.reshape(len(observations), -1)
        return scaled

    def forward(self, weights: list[Array], x: Array) -> tuple[Array, Array]:
        """Hidden units [B, H] and Q values [B, A] of inputs [B, K]."""
        hidden = np.maximum(x @ weights[0] + weights[1], 0.0)
        return hidden, hidden @ weights[2] + weights[3]

    def _update(self) -> None:
        rows = [self._rows[row] for row in self._sampling.integers(len(self._rows), size=self.config.batch_size)]
        s_tm1, a_tm1, r_t, s_t, terminal = (np.array(column) for column in zip(*rows, strict=True))
        x = self.scaled(s_tm1)
        hidden, q_tm1 = self.forward(self.weights, x)
        q_t = self.forward(self.target_weights, self.scaled(s_t))[1].max(axis=1)
        delta = r_t + self.config.discount * (1 - terminal) * q_t - q_tm1[np.arange(len(rows)), a_tm1]  # [B]
        d_q = np.zeros_like(q_tm1)
        d_q[np.arange(len(rows)), a_tm1] = -delta.clip(-1, 1) / len(rows)
        d_hidden = (d_q @ self.weights[2].T) * (hidden > 0)
        self._step([x.T @ d_hidden, d_hidden.sum(axis=0), hidden.T @ d_q, d_q.sum(axis=0)])

    def _step(self, gradient: list[Array]) -> None:
        """Adam (Kingma and Ba 2015)."""
        self._updates += 1
        rate = self.config.learning_rate * (1 - 0.999**self._updates) ** 0.5 / (1 - 0.9**self._updates)
        for weight, d, m, v in zip(self.weights, gradient, self._means, self._squares, strict=True):
            m += 0.1 * (d - m)
            v += 0.001 * (d * d - v)
            weight -= rate * m / (np.sqrt(v) + 1e-8)


def make_small(*, observation_space: Box, num_actions: int, agent_steps: int, seed: int) -> SmallDQN:
    """The factory of the sound agent."""
    return SmallDQN(observation_space, num_actions, small_config(agent_steps), seed)
