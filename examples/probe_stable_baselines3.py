"""Stable-Baselines3's DQN under probe: what its own loop does in a step, told in the three methods of the protocol.

    python -m benchmarks probe examples/probe_stable_baselines3.py:make_agent --observation vector

Its own hyperparameters are kept where they can be; schedules must fit the few hundred agent steps of a probe.
"""

import gymnasium
import numpy as np
import torch
from stable_baselines3 import DQN
from stable_baselines3.common.logger import Logger


class Spaces(gymnasium.Env):
    """SB3 takes its spaces from an environment; this one is never stepped."""

    def __init__(self, observation_space, num_actions):
        self.observation_space, self.action_space = observation_space, gymnasium.spaces.Discrete(num_actions)


class Sb3Agent:
    def __init__(self, model, agent_steps, divisor):
        self.model, self.agent_steps, self.divisor = model, agent_steps, divisor
        model.set_logger(Logger(None, []))

    def act(self, observation, explore):
        # Where predict() explores it draws from NumPy's global generator, which SB3 seeds.
        return int(self.model.predict(self.scaled(observation), deterministic=not explore)[0])

    def observe(self, observation, action, reward, next_observation, terminated, truncated):
        states = self.scaled(observation)[None], self.scaled(next_observation)[None]
        infos = [{"TimeLimit.truncated": truncated and not terminated}]  # what its buffer reads of a time limit
        done = np.array([terminated or truncated])
        self.model.replay_buffer.add(*states, np.array([[action]]), np.array([reward]), done, infos)
        self.model.num_timesteps += 1
        self.model._update_current_progress_remaining(self.model.num_timesteps, self.agent_steps)

    def learn(self):
        self.model._on_step()  # epsilon and the target network
        if self.model.num_timesteps > self.model.learning_starts:
            self.model.train(gradient_steps=1, batch_size=self.model.batch_size)

    def values(self, observation):
        with torch.no_grad():
            return self.model.q_net(self.model.policy.obs_to_tensor(self.scaled(observation))[0])[0].numpy()

    def scaled(self, observation):
        """SB3 divides images by 255 itself, in its policy, but no vectors."""
        return observation if self.divisor is None else (observation / self.divisor).astype(np.float32)


def make_agent(observation_space, num_actions, agent_steps, seed):
    torch.set_num_threads(1)
    image = len(observation_space.shape) == 3
    divisor = None if image else observation_space.high
    if not image:
        observation_space = gymnasium.spaces.Box(0, 1, observation_space.shape, np.float32)
    model = DQN(
        "CnnPolicy" if image else "MlpPolicy",
        Spaces(observation_space, num_actions),
        learning_rate=1e-3,
        buffer_size=agent_steps,
        learning_starts=agent_steps // 10,
        target_update_interval=agent_steps // 16,
        exploration_fraction=0.5,
        device="cpu",
        seed=seed,
    )
    return Sb3Agent(model, agent_steps, divisor)
