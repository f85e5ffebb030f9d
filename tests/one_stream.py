"""A replay of one stream, told and asked by single values: what most tests of it need."""

import numpy as np
import torch

from dqn_ref.replay import Batch, Replay


class OneStream:
    def __init__(self, capacity: int, shortest_cut: int, discount: float = 0.99, **options) -> None:
        """At most every ``shortest_cut`` agent steps an iteration ends, or an episode is truncated."""
        cuts = {"shortest_iteration": shortest_cut, "shortest_episode": shortest_cut}
        self.replay = Replay(1, capacity, discount=discount, **cuts | {"device": torch.device("cpu")} | options)

    def begin(self, frame: np.ndarray) -> None:
        self.replay.begin(frame[None])

    def append(self, action: int, reward: float, terminal: bool, frame: np.ndarray, final_frame=None) -> None:
        """``final_frame`` is given where the step was truncated."""
        truncated = np.array([final_frame is not None])
        final = (frame if final_frame is None else final_frame)[None]
        values = np.array([action]), np.array([reward], np.float32), np.array([terminal])
        self.replay.append(*values, frame[None], truncated, final)

    def newest_state(self) -> torch.Tensor:
        return self.replay.newest_states()

    def batch(self, rows: np.ndarray) -> Batch:
        slot = torch.from_numpy(self.replay.slots_of(rows)).to(self.replay.frames.device)
        return self.replay.batch(slot, torch.zeros_like(slot))

    def sample(self, size: int, seed: int = 0) -> Batch:
        """Uniform, as an agent draws."""
        return self.batch(np.random.default_rng(seed).integers(self.replay.size, size=size))
