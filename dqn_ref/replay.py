"""Replay memory: single frames, each kept once as uint8, on the device that trains.

    frames   | f0 f1 f2 f3 | f4 f5 | f6 ...      | a life was lost, or an episode ended, at each bar
    history  |  0  1  2  3 |  0  1 |  0 ...        how many frames before it belong to its stack
    state(f5) = [0, 0, f4, f5]                     zeros where the history does not reach

A transition is the slot of its frame: state(slot), action, reward, terminal, state(slot + 1).
A truncated episode leaves one more frame than it has transitions, because its last transition
bootstraps from it; transitions therefore point to slots through a table of their own, which makes
sampling exactly uniform with neither rejection nor a decision on the host.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

STACK = 4  # frames in a state (paper, Methods)


@dataclass(frozen=True)
class Batch:
    """Transitions (s_tm1, a_tm1, r_t, discount_t, s_t), time-indexed as in the literature."""

    s_tm1: Tensor  # [B, 4, 84, 84] u8
    a_tm1: Tensor  # [B] i64
    r_t: Tensor  # [B] f32, clipped
    discount_t: Tensor  # [B] f32, 0 where the transition is terminal
    s_t: Tensor  # [B, 4, 84, 84] u8


def spare_frames(capacity: int, shortest_cut_agent_steps: int) -> int:
    """Slots beyond one per transition: the oldest stack's history, and one per episode cut short."""
    return STACK + 2 * (capacity // shortest_cut_agent_steps + 1)


class Replay:
    """Ring of the ``capacity`` newest transitions of one stream.

    Args:
        capacity: transitions kept.
        shortest_cut_agent_steps: episodes are cut without being over at most this often.
        discount: of a transition that is not terminal.
        device: where the frames live and batches are built.
        repeat_first_frame: a state shows its episode's first frame again where the history does not
            reach, instead of the released code's zeros.
    """

    def __init__(
        self,
        capacity: int,
        shortest_cut_agent_steps: int,
        discount: float,
        device: torch.device,
        repeat_first_frame: bool = False,
    ) -> None:
        self.capacity = capacity
        self.discount = discount
        self.repeat_first_frame = repeat_first_frame
        self.num_slots = capacity + spare_frames(capacity, shortest_cut_agent_steps)
        # empty, not zeros: memory is taken as it fills
        self.frames = torch.empty((self.num_slots, 84, 84), dtype=torch.uint8, device=device)
        self.history = torch.zeros(self.num_slots, dtype=torch.uint8, device=device)
        self.slot = torch.zeros(capacity, dtype=torch.int64, device=device)
        self.action = torch.zeros(capacity, dtype=torch.uint8, device=device)
        self.reward = torch.zeros(capacity, dtype=torch.float32, device=device)
        self.terminal = torch.zeros(capacity, dtype=torch.uint8, device=device)
        self.size = torch.zeros((), dtype=torch.float64, device=device)  # read by sample, on the device
        self._past = torch.arange(STACK - 1, -1, -1, device=device)  # [3, 2, 1, 0]
        self._transitions_added = 0
        self._newest_slot = -1
        self._newest_history = 0

    # ------------------------------------------------------------------ writing

    def begin(self, frame: NDArray[np.uint8]) -> None:
        """Store the first frame [84, 84] of an episode; what came before is not its history."""
        self._store_frame(frame, history=0)

    def append(self, action: int, reward: float, terminal: bool, frame: NDArray[np.uint8]) -> None:
        """Store the transition from the newest frame to ``frame`` [84, 84].

        After a terminal transition ``frame`` starts a history of its own.
        """
        row = self._transitions_added % self.capacity
        self.slot[row] = self._newest_slot
        self.action[row] = action
        self.reward[row] = reward
        self.terminal[row] = terminal
        self._transitions_added += 1
        self.size.fill_(min(self._transitions_added, self.capacity))
        self._store_frame(frame, history=0 if terminal else min(self._newest_history + 1, STACK - 1))

    def _store_frame(self, frame: NDArray[np.uint8], history: int) -> None:
        self._newest_slot = (self._newest_slot + 1) % self.num_slots
        self._newest_history = history
        self.frames[self._newest_slot].copy_(torch.from_numpy(frame), non_blocking=True)
        self.history[self._newest_slot] = history

    # ------------------------------------------------------------------ reading

    def newest_state(self) -> Tensor:
        """The state that the agent acts in, [1, 4, 84, 84] u8."""
        newest = torch.tensor([self._newest_slot], device=self.frames.device)
        return self._states(newest)

    def sample(self, batch_size: int, generator: torch.Generator) -> Batch:
        """A batch drawn uniformly, with replacement, from all transitions held (at least one)."""
        uniform = torch.rand(batch_size, dtype=torch.float64, device=self.size.device, generator=generator)
        row = (uniform * self.size).long()  # [B]
        slot = self.slot[row]  # [B]
        s_tm1, s_t = self._both_states(slot)
        return Batch(
            s_tm1=s_tm1,
            a_tm1=self.action[row].long(),
            r_t=self.reward[row],
            discount_t=self.discount * (1.0 - self.terminal[row].float()),
            s_t=s_t,
        )

    def _both_states(self, slot: Tensor) -> tuple[Tensor, Tensor]:
        """The states [B, 4, 84, 84] that end in ``slot`` [B] and in the slot after it."""
        if self.repeat_first_frame:
            return self._states(slot), self._states((slot + 1) % self.num_slots)
        # One gather for both: they share three of their four frames.
        window = (slot[:, None] - self._past + 1) % self.num_slots  # [B, 4] slots of s_t
        first = (slot[:, None] - (STACK - 1)) % self.num_slots  # [B, 1] oldest slot of s_tm1
        slots = torch.cat([first, window], dim=1)  # [B, 5]
        frames = self.frames.index_select(0, slots.flatten()).view(len(slot), STACK + 1, 84, 84)
        return (
            self._masked(frames[:, :-1], self.history[slot]),
            self._masked(frames[:, 1:], self.history[(slot + 1) % self.num_slots]),
        )

    def _states(self, slot: Tensor) -> Tensor:
        """The states [B, 4, 84, 84] that end in ``slot`` [B]."""
        history = self.history[slot]
        back = self._past.expand(len(slot), STACK)
        if self.repeat_first_frame:
            back = back.minimum(history[:, None])
        frames = self.frames[(slot[:, None] - back) % self.num_slots]
        return frames if self.repeat_first_frame else self._masked(frames, history)

    def _masked(self, frames: Tensor, history: Tensor) -> Tensor:
        """Zero the frames [B, 4, 84, 84] that lie before the history [B] of the newest one."""
        return frames * (self._past <= history[:, None])[:, :, None, None]
