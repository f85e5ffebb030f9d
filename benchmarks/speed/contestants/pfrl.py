"""PFRL: agents.DQN in experiments.train_agent, set up as its reproduction of the Nature DQN.

Differs from ours: PyTorch's RMSProp with PFRL's floor inside the root; a lost life is followed by a
no-op; replay keeps each frame once, as bytes, in Python objects. PFRL speaks gym's interface of before
2022, which no emulator of today does: an adapter of two methods lies between its wrappers and gymnasium.
"""

from __future__ import annotations

import tempfile
from typing import Any

import ale_py
import gym
import gymnasium
import numpy as np
from pfrl import agents, experiments, explorers, replay_buffers
from pfrl.initializers import init_chainer_default
from pfrl.nn import LargeAtariCNN
from pfrl.optimizers import RMSpropEpsInsideSqrt
from pfrl.q_functions import DiscreteActionValueHead
from pfrl.wrappers import atari_wrappers
from torch import nn

from benchmarks.speed.contestants.span import Settings, Span, count_updates, run


class OldInterface(gym.Env):  # type: ignore[misc]
    """A gymnasium game whose step answers four values, and whose reset answers one."""

    def __init__(self, gym_id: str) -> None:
        self.env = gymnasium.make(gym_id)
        self.ale = self.env.unwrapped.ale  # type: ignore[attr-defined]
        self.observation_space = gym.spaces.Box(0, 255, self.env.observation_space.shape, np.uint8)
        self.action_space = gym.spaces.Discrete(self.env.action_space.n)  # type: ignore[attr-defined]
        self.np_random = np.random.default_rng(0)  # of the no-ops at a reset

    def get_action_meanings(self) -> Any:
        """Names of the actions."""
        return self.env.unwrapped.get_action_meanings()  # type: ignore[attr-defined]

    def reset(self) -> Any:
        """Only the screen [210, 160, 3]."""
        return self.env.reset()[0]

    def step(self, action: Any) -> tuple[Any, Any, bool, dict[str, Any]]:
        """Screen, reward, done, info."""
        screen, reward, terminated, truncated, info = self.env.step(action)
        return screen, reward, terminated or truncated, info


def measure(settings: Settings) -> dict[str, Any]:
    """Its hook is called after a step was learnt from."""
    gymnasium.register_envs(ale_py)
    updates, span = count_updates(), Span(settings)
    emulator = atari_wrappers.NoopResetEnv(OldInterface(settings.gym_id()), noop_max=30)
    env = atari_wrappers.wrap_deepmind(atari_wrappers.MaxAndSkipEnv(emulator, skip=4))
    actions = env.action_space.n
    rng = np.random.default_rng(0)
    network = nn.Sequential(LargeAtariCNN(), init_chainer_default(nn.Linear(512, actions)), DiscreteActionValueHead())
    agent = agents.DQN(
        network,
        RMSpropEpsInsideSqrt(network.parameters(), lr=2.5e-4, alpha=0.95, eps=1e-2, centered=True),
        replay_buffers.ReplayBuffer(settings.last),
        gamma=settings.discount,
        explorer=explorers.ConstantEpsilonGreedy(settings.epsilon, lambda: rng.integers(actions)),
        replay_start_size=settings.warm_up_steps,
        minibatch_size=settings.batch_size,
        update_interval=settings.steps_per_update,
        target_update_interval=settings.steps_per_target,
        batch_accumulator="sum",
        phi=lambda stack: np.asarray(stack, dtype=np.float32) / 255,
    )

    def clock(env: Any, agent: Any, agent_step: int) -> None:
        span.at(agent_step, updates=updates(), transitions=len(agent.replay_buffer))

    with tempfile.TemporaryDirectory() as folder:  # it saves its weights at the end
        experiments.train_agent(agent, env, settings.last, folder, step_hooks=[clock])
    return span.answer()


if __name__ == "__main__":
    run(measure, "pfrl")
