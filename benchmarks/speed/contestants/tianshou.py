"""Tianshou: DQN.run_training (its off-policy trainer) with a collector, and its own Atari wrappers.

Differs from ours: Adam; the networks choose 4 actions, then learn once, as its trainer alternates
between collecting and learning; the target takes a forward pass of the online network beside that of
the target network, even where Double DQN is off; a new game and a lost life begin with FIRE; replay
keeps each frame once, as bytes. Its progress bar is off, and its one game runs in its process.
"""

from __future__ import annotations

from typing import Any

import ale_py
import gymnasium
from tianshou.algorithm.modelfree.dqn import DQN, DiscreteQLearningPolicy
from tianshou.algorithm.optim import AdamOptimizerFactory
from tianshou.data import Collector, VectorReplayBuffer
from tianshou.env.atari import atari_wrapper
from tianshou.env.atari.atari_network import DQNet, ScaledObsInputActionReprNet
from tianshou.highlevel.env import EnvMode, VectorEnvType
from tianshou.trainer import OffPolicyTrainerParams

from benchmarks.speed.contestants.span import Settings, Span, count_updates, run


def measure(settings: Settings) -> dict[str, Any]:
    """Its hook is called before the next steps are collected."""
    gymnasium.register_envs(ale_py)
    updates, span = count_updates(), Span(settings)
    # Its wrappers take np.integer for the type of a frame, which NumPy refuses since 2.4: tell them the real one.
    atari_wrapper.get_space_dtype = lambda space: space.dtype
    factory = atari_wrapper.AtariEnvFactory(
        settings.gym_id(), 4, venv_type=VectorEnvType.DUMMY, use_envpool_if_available=False
    )
    games = factory.create_venv(1, EnvMode.TRAINING, seed=0)
    actions = games.action_space[0]
    network = ScaledObsInputActionReprNet(DQNet(4, 84, 84, action_shape=int(actions.n)))
    algorithm = DQN(
        policy=DiscreteQLearningPolicy(model=network, action_space=actions, eps_training=settings.epsilon),
        optim=AdamOptimizerFactory(lr=1e-4),
        gamma=settings.discount,
        target_update_freq=settings.steps_per_target // settings.steps_per_update,  # it counts updates
        is_double=False,
        huber_loss_delta=1.0,
    )
    buffer = VectorReplayBuffer(settings.last, 1, ignore_obs_next=True, save_only_last_obs=True, stack_num=4)
    collector: Any = Collector(algorithm, games, buffer, exploration_noise=True)
    collector.reset()
    collector.collect(n_step=settings.warm_up_steps)

    def clock(epoch: int, env_step: int) -> None:
        span.at(settings.warm_up_steps + env_step, updates=updates(), transitions=len(buffer))

    algorithm.run_training(
        OffPolicyTrainerParams(
            training_collector=collector,
            max_epochs=1,
            # One round of the trainer after the last mark, which is made at a round's beginning.
            epoch_num_steps=settings.last - settings.warm_up_steps + settings.steps_per_update,
            collection_step_num_env_steps=settings.steps_per_update,
            update_step_num_gradient_steps_per_sample=1 / settings.steps_per_update,
            batch_size=settings.batch_size,
            training_fn=clock,
            show_progress=False,
            verbose=False,
        )
    )
    return span.answer()


if __name__ == "__main__":
    run(measure, "tianshou")
