"""One member at work: its learner, its replay, its exploration."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from dqn_ref.atari import Step
from dqn_ref.learner import Learner
from dqn_ref.replay import Batch, Replay
from dqn_ref.seeds import Member


def linear_epsilon(agent_step: int, *, warm_up: int, span: int, start: float, end: float) -> float:
    """Exploration at ``agent_step``: ``start`` until ``warm_up``, then linear over ``span``, then ``end``."""
    done = min(max(agent_step - warm_up, 0) / span, 1.0)
    return start + done * (end - start)


class Agent:
    """A member's learner and replay, and the random streams that it owns."""

    def __init__(self, member: Member, num_actions: int, learner: Learner, replay: Replay, batch_size: int) -> None:
        self.member = member
        self.num_actions = num_actions
        self.learner = learner
        self.replay = replay
        self.batch_size = batch_size
        self._explore = member.numpy_stream("explore")
        self._sampling = torch.Generator(replay.frames.device)
        self._sampling.manual_seed(member.stream_seed("replay"))

    def explore(self, epsilon: float) -> int | None:
        """A random action with probability ``epsilon``, else None."""
        if self._explore.random() < epsilon:
            return int(self._explore.integers(self.num_actions))
        return None

    def learn(self) -> None:
        """One update on a batch from replay."""
        self.learner.update(self.replay.sample(self.batch_size, self._sampling))

    def heldout_batch(self, size: int) -> Batch:
        """States to follow Q on, drawn by a stream of their own so that measuring changes nothing."""
        generator = torch.Generator(self.replay.frames.device)
        generator.manual_seed(self.member.stream_seed("heldout"))
        return self.replay.sample(size, generator)

    def store(self, action: int, step: Step, row: int) -> None:
        """Put row ``row`` of what the emulators answered to ``action`` into replay."""
        reward = float(np.clip(step.reward[row], -1, 1))
        self.replay.append(action, reward, bool(step.terminal[row]), step.final_frame[row])
        if step.truncated[row]:  # not terminal: it bootstraps from its final frame, and another episode begins
            self.replay.begin(step.frame[row])


def choose_actions(agents: Sequence[Agent], epsilon: float) -> NDArray[np.int64]:
    """Epsilon-greedy actions [P] of all members, with one read from the device at most."""
    actions = [agent.explore(epsilon) for agent in agents]
    greedy = [row for row, action in enumerate(actions) if action is None]
    chosen = np.array([0 if action is None else action for action in actions], np.int64)
    if greedy:
        best = [agents[row].learner.values(agents[row].replay.newest_state()).argmax(dim=1) for row in greedy]
        chosen[greedy] = torch.cat(best).cpu().numpy()
    return chosen
