"""Stable-Baselines3: DQN.learn with "CnnPolicy" and its own Atari wrappers.

Differs from ours: Adam; the gradient's norm is clipped; a new game and a lost life begin with FIRE;
replay keeps two stacks of four frames a transition, as bytes.
"""

from __future__ import annotations

from typing import Any

import ale_py
import gymnasium
from stable_baselines3 import DQN
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_atari_env
from stable_baselines3.common.vec_env import VecFrameStack

from benchmarks.speed.contestants.span import Settings, Span, count_updates, run


def measure(settings: Settings) -> dict[str, Any]:
    """Its callback is called after the game's step, before the step is stored and learnt from."""
    gymnasium.register_envs(ale_py)
    updates, span = count_updates(), Span(settings)
    model = DQN(
        "CnnPolicy",
        VecFrameStack(make_atari_env(settings.gym_id(), n_envs=1, seed=0), 4),
        buffer_size=settings.last,
        learning_starts=settings.warm_up_steps,
        batch_size=settings.batch_size,
        train_freq=settings.steps_per_update,
        gradient_steps=1,
        target_update_interval=settings.steps_per_target,
        gamma=settings.discount,
        exploration_fraction=1e-6,
        exploration_final_eps=settings.epsilon,
        device="cpu",
    )

    class Clock(BaseCallback):  # type: ignore[misc]
        def _on_step(self) -> bool:
            span.at(self.num_timesteps, updates=updates(), transitions=model.replay_buffer.pos)
            return True

    model.learn(settings.last, callback=Clock())
    return span.answer()


if __name__ == "__main__":
    run(measure, "stable-baselines3")
