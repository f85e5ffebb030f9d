"""Members side by side on one device: one upload a step, one launch for their actions, one for their updates.

Each member has its plain network and its plain update, which are what a CPU runs, member after member.
On a GPU a step's work is captured once and launched as one graph, the members on branches of it:
the same kernels as alone, side by side. Nothing comes back from the device but the actions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dqn_ref.agent import Agent, Exploration
from dqn_ref.atari import Pixels, Step
from dqn_ref.launch import Branches, Captured, Upload
from dqn_ref.replay import Batch, Replay


class Population:
    """Agents of equal ``streams_per_member`` on a common replay, whose streams are theirs in order.

    Args:
        agents: P of them.
        replay: of P times ``streams_per_member`` streams.
        batch_size: transitions in an update of a member.
        reward_clip: rewards are stored clipped to plus and minus this; None: as they are.
        constant_reward: if given, it is stored in place of every reward.
        capture: launch graphs; by default where there is CUDA, and only there.
    """

    def __init__(
        self,
        agents: Sequence[Agent],
        replay: Replay,
        batch_size: int,
        *,
        reward_clip: float | None = 1.0,
        constant_reward: float | None = None,
        capture: bool | None = None,
    ) -> None:
        self.agents = list(agents)
        self.replay = replay
        self.batch_size = batch_size
        self.reward_clip = math.inf if reward_clip is None else reward_clip
        self.constant_reward = constant_reward
        self.streams_per_member = replay.num_streams // len(agents)
        self.exploration = Exploration(self.agents)
        device = replay.frames.device
        captures = device.type == "cuda" if capture is None else capture
        self._branches = Branches(len(agents), device)
        self._greedy = torch.zeros(replay.num_streams, dtype=torch.int64, device=device)
        self._drawers = np.repeat(np.arange(len(agents)), batch_size)  # whose each transition of an update is
        places = (2, len(agents) * batch_size)
        self._places = torch.zeros(places, dtype=torch.int64, device=device)  # slot and stream of each transition
        self._upload_places = Upload(places, torch.int64, device)
        self._choose = Captured(captures)
        self._update = Captured(captures)

    # ------------------------------------------------------------------ acting

    def act(self, epsilon: float) -> NDArray[np.int64]:
        """Epsilon-greedy actions of all streams [C], with one read from the device at most."""
        actions = self.exploration.actions(epsilon)
        greedy = actions < 0
        if np.count_nonzero(greedy):
            self._choose(self._choose_all)
            np.copyto(actions, self._greedy.cpu().numpy(), where=greedy)
        return actions

    def _choose_all(self) -> None:
        states = self.replay.newest_states()

        def choose(number: int) -> None:
            streams = self.streams_of(number)
            self._greedy[streams] = self.agents[number].learner.values(states[streams]).argmax(dim=1)

        self._branches.run(choose)

    # ------------------------------------------------------------------ learning

    def learn(self) -> None:
        """One update of every member, each on a batch of its own."""
        transitions = self.replay.size * self.streams_per_member
        rows = np.concatenate([agent.draw(transitions, self.batch_size) for agent in self.agents])
        self._upload_places(np.stack(self._places_of(self._drawers, rows)), self._places)
        self._update(self._update_all)

    def _update_all(self) -> None:
        batch = self.replay.batch(self._places[0], self._places[1])

        def update(number: int) -> None:
            rows = slice(number * self.batch_size, (number + 1) * self.batch_size)
            self.agents[number].learner.update(batch.rows(rows))

        self._branches.run(update)

    def sync_target(self) -> None:
        """Copy every member's online network to its target network."""
        for agent in self.agents:
            agent.learner.sync_target()

    def heldout_batch(self, number: int, size: int) -> Batch:
        """States to follow Q on, drawn by a stream of their own so that measuring changes nothing."""
        return self.sampled(number, self.agents[number].member.numpy_stream("heldout"), size)

    def sampled(self, number: int, draw: np.random.Generator, size: int) -> Batch:
        """Transitions of member ``number`` that ``draw`` chooses, to be measured on."""
        rows = draw.integers(self.replay.size * self.streams_per_member, size=size)
        device = self.replay.frames.device
        slot, stream = (torch.from_numpy(place).to(device) for place in self._places_of(number, rows))
        return self.replay.batch(slot, stream)

    def held(self, number: int) -> Tensor:
        """What replay holds of member ``number`` beside frames, [size, streams_per_member, 5], in no order in time."""
        slots = torch.from_numpy(self.replay.held_slots())
        return self.replay.info[slots.to(self.replay.info.device), self.streams_of(number)]

    def streams_of(self, number: int) -> slice:
        """Those of member ``number`` among all."""
        return slice(number * self.streams_per_member, (number + 1) * self.streams_per_member)

    def _places_of(
        self, number: int | NDArray[np.int64], rows: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Slots and streams [N] of the transitions ``rows`` [N] of a member, or of each its own."""
        per = self.streams_per_member
        return self.replay.slots_of(rows // per), number * per + rows % per

    def random_state(self, number: int) -> dict[str, Any]:
        """Where the random streams of member ``number`` stand; numbers and strings only."""
        return {**self.agents[number].random_state(), "drawn_of_block": self.exploration.drawn_of_block}

    # ------------------------------------------------------------------ storing

    def begin(self, frame: Pixels) -> None:
        """Begin an episode in every stream with ``frame`` [C, 84, 84]."""
        self.replay.begin(frame)

    def store(self, actions: NDArray[np.int64], step: Step) -> NDArray[np.float32]:
        """Put what the emulators answered to ``actions`` [C] into replay; returns the rewards [C] learnt from."""
        reward = self._learnt_from(step.reward)
        self.replay.append(actions, reward, step.terminal, step.frame, step.truncated, step.final_frame)
        return reward

    def _learnt_from(self, reward: NDArray[np.int64]) -> NDArray[np.float32]:
        if self.constant_reward is not None:
            return np.full(len(reward), self.constant_reward, np.float32)
        clipped: NDArray[np.float64] = np.minimum(np.maximum(reward, -self.reward_clip), self.reward_clip)
        return clipped.astype(np.float32)
