"""A first DQN, as one writes it in an evening. It runs, its loss falls, and it does not learn to play.

It has three bugs. `python -m benchmarks probe examples/beginner_dqn.py:make_agent --observation vector` finds each.
"""

import random
from collections import deque

import numpy as np
import torch
from torch import nn


class DQN:
    def __init__(self, observation_space, num_actions, agent_steps, seed):
        self.random = random.Random(seed)
        self.num_actions = num_actions
        self.q = self.network(observation_space.shape[0], num_actions, seed)
        self.q_target = self.network(observation_space.shape[0], num_actions, seed)
        self.optimizer = torch.optim.Adam(self.q.parameters(), lr=1e-3)
        self.memory = deque(maxlen=agent_steps)
        self.gamma, self.batch_size, self.step = 0.99, 32, 0
        self.epsilon, self.epsilon_end = 1.0, 0.05
        self.epsilon_decay = 1 / (agent_steps / 2)
        self.target_period = agent_steps // 16

    def network(self, inputs, outputs, seed):
        generator = torch.Generator().manual_seed(seed)
        net = nn.Sequential(nn.Linear(inputs, 64), nn.ReLU(), nn.Linear(64, outputs))
        for parameter in net.parameters():
            nn.init.uniform_(parameter, -0.2, 0.2, generator=generator)
        return net

    def preprocess(self, observations):
        return torch.as_tensor(np.array(observations), dtype=torch.float32)

    @torch.no_grad()
    def values(self, observation):
        return self.q(self.preprocess(observation)).numpy()

    def act(self, observation, explore):
        if explore and self.random.random() < self.epsilon:
            return self.random.randrange(self.num_actions)
        return int(self.values(observation).argmax())

    def observe(self, observation, action, reward, next_observation, terminated, truncated):
        done = terminated or truncated
        self.memory.append((observation, action, reward, next_observation, done))

    def learn(self):
        self.step += 1
        self.decay_epsilon()
        if len(self.memory) >= self.batch_size:
            self.update(self.random.sample(self.memory, self.batch_size))
        if self.step % self.target_period == 0:
            self.copy_target()

    def decay_epsilon(self):
        self.epsilon = max(self.epsilon - self.epsilon_decay, self.epsilon_end)

    def copy_target(self):
        self.q_target = self.q

    def update(self, batch):
        states, actions, rewards, next_states, dones = zip(*batch, strict=True)
        rewards, dones = torch.tensor(rewards), torch.tensor(dones, dtype=torch.float32)
        q = self.q(self.preprocess(states)).gather(1, torch.tensor(actions)[:, None])[:, 0]
        with torch.no_grad():
            q_next = self.q_target(self.preprocess(next_states)).max(dim=1).values
        target = rewards + self.gamma * q_next * (1 - dones)
        loss = nn.functional.smooth_l1_loss(q, target)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


def make_agent(observation_space, num_actions, agent_steps, seed):
    torch.set_num_threads(1)
    return DQN(observation_space, num_actions, agent_steps, seed)
