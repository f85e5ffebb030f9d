"""Replay memory of a population: single frames, each kept once as uint8, on the device that trains.

    slot     |  0  1  2  3 |  4  5 |  6 ...        a life was lost, or an episode ended, at each bar
    history  |  0  1  2  3 |  0  1 |  0 ...        how many frames before it belong to its stack
    state(5) = [0, 0, f4, f5]                      zeros where the history does not reach

All streams step together, so they share the ring's position: a step is one upload into one slot. A slot
holds a frame and what led to it: action, reward, terminal. The transition of a slot leads from
state(slot - 1) to state(slot). At a truncation the slot holds the next episode's first frame, and the
final frame, which is bootstrapped from, lies behind the ring. Slots in which all streams began afresh
hold no transition; a table of those that do makes sampling exactly uniform, without rejection.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dqn_ref.launch import Upload
from dqn_ref.one_pass import as_on_a_cpu

STACK = 4  # frames in a state (paper, Methods)
ACTION, REWARD, TERMINAL, HISTORY, FINAL = range(5)  # columns of ``info``; FINAL: slot of the final frame, or -1


@dataclass(frozen=True)
class Batch:
    """Transitions (s_tm1, a_tm1, r_t, discount_t, s_t), time-indexed as in the literature."""

    s_tm1: Tensor  # [B, 4, 84, 84] u8
    a_tm1: Tensor  # [B] i64
    r_t: Tensor  # [B] f32, clipped
    discount_t: Tensor  # [B] f32, 0 where the transition is terminal
    s_t: Tensor  # [B, 4, 84, 84] u8

    def rows(self, rows: slice) -> Batch:
        """Those of a member."""
        return Batch(self.s_tm1[rows], self.a_tm1[rows], self.r_t[rows], self.discount_t[rows], self.s_t[rows])


class Replay:
    """Ring of the newest steps of C streams; each step is a transition of every stream.

    Args:
        num_streams: C.
        capacity: transitions kept of each stream.
        shortest_iteration: all streams begin afresh at most this often, in agent steps.
        shortest_episode: an episode is truncated at most this often, in agent steps.
        discount: of a transition that is not terminal.
        device: where the frames live and batches are built.
        repeat_first_frame: a state shows its episode's first frame again where the history does not
            reach, instead of the released code's zeros.
    """

    def __init__(
        self,
        num_streams: int,
        capacity: int,
        *,
        shortest_iteration: int,
        shortest_episode: int,
        discount: float,
        device: torch.device,
        repeat_first_frame: bool = False,
    ) -> None:
        self.num_streams = num_streams
        self.capacity = capacity
        self.discount = discount
        self.repeat_first_frame = repeat_first_frame
        # Beside the transitions: the oldest stack's history, and the slots without a transition.
        self._ring = capacity + STACK + capacity // shortest_iteration + 1
        self._finals = capacity // shortest_episode + 1  # truncations among a stream's transitions
        # empty, not zeros: memory is taken as it fills
        slots = self._ring + self._finals
        self.frames = torch.empty((slots, num_streams, 84, 84), dtype=torch.uint8, device=device)
        self.info = torch.zeros((self._ring, num_streams, 5), dtype=torch.float32, device=device)
        self._past = torch.arange(STACK - 1, -1, -1, device=device)  # [3, 2, 1, 0]
        self._streams = torch.arange(num_streams, device=device)
        # For what is captured: a slot, not a number. Of one element, because an index of none is read by the host.
        self._newest = torch.zeros(1, dtype=torch.int64, device=device)
        self._upload_frame = Upload((num_streams, 84, 84), torch.uint8, device)
        self._upload_info = Upload((num_streams, 5), torch.float32, device)
        self._slot_of = np.zeros(capacity, np.int64)  # of each transition, by its number modulo capacity
        self._added = 0
        self._slot = -1
        self._history = np.zeros(num_streams, np.int64)
        self._truncations = np.zeros(num_streams, np.int64)

    @property
    def size(self) -> int:
        """Transitions held of each stream."""
        return min(self._added, self.capacity)

    # ------------------------------------------------------------------ writing

    def begin(self, frame: NDArray[np.uint8]) -> None:
        """Store the first frames [C, 84, 84] of episodes; what came before is not their history."""
        self._history[:] = 0
        self._store(frame, np.zeros((self.num_streams, 5), np.float32))

    def append(
        self,
        action: NDArray[np.int64],
        reward: NDArray[np.float32],
        terminal: NDArray[np.bool_],
        frame: NDArray[np.uint8],
        truncated: NDArray[np.bool_] | None = None,
        final_frame: NDArray[np.uint8] | None = None,
    ) -> None:
        """Store the transitions [C] from the newest frames to ``frame`` [C, 84, 84].

        After a terminal transition ``frame`` starts a history of its own. Where ``truncated``, the transition
        leads to ``final_frame`` [C, 84, 84] instead, and ``frame`` is the next episode's first.
        """
        info = np.empty((self.num_streams, 5), np.float32)
        info[:, ACTION], info[:, REWARD], info[:, TERMINAL], info[:, FINAL] = action, reward, terminal, -1
        fresh = terminal
        if truncated is not None and final_frame is not None and np.count_nonzero(truncated):
            fresh = terminal | truncated
            for stream in np.flatnonzero(truncated):
                final = self._ring + self._truncations[stream] % self._finals
                self._truncations[stream] += 1
                self.frames[final, stream].copy_(torch.from_numpy(final_frame[stream]))
                info[stream, FINAL] = final
        self._history = np.minimum(self._history + 1, STACK - 1) * ~fresh
        info[:, HISTORY] = self._history
        self._slot_of[self._added % self.capacity] = (self._slot + 1) % self._ring
        self._added += 1
        self._store(frame, info)

    def _store(self, frame: NDArray[np.uint8], info: NDArray[np.float32]) -> None:
        self._slot = (self._slot + 1) % self._ring
        self._upload_frame(frame, self.frames[self._slot])
        self._upload_info(info, self.info[self._slot])
        self._newest.fill_(self._slot)

    def skip_to(self, transitions: int, begins: int, truncations: NDArray[np.int64]) -> None:
        """Number what comes next as if so much had been stored. It is not: write over it before anything is read.

        Args:
            transitions: of each stream.
            begins: times that ``begin`` was called.
            truncations: among each stream's transitions, [C].
        """
        self._added = transitions
        self._slot = (transitions + begins - 1) % self._ring
        self._truncations[:] = truncations

    # ------------------------------------------------------------------ reading

    def newest_states(self) -> Tensor:
        """The states that the agents act in, [C, 4, 84, 84] u8."""
        history = self.info[self._newest, :, HISTORY][0]  # [C]
        slots = (self._newest - self._past).expand(self.num_streams, STACK)  # [C, 4]
        return self._stacks(slots, self._streams, history)

    def held_slots(self) -> NDArray[np.int64]:
        """Slots of all transitions held, [size], in no order in time; a view."""
        return self._slot_of[: self.size]

    def slots_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Slots of transitions numbered 0 to ``size`` - 1, in no order in time; the same shape."""
        return self._slot_of[rows]

    def batch(self, slot: Tensor, stream: Tensor) -> Batch:
        """The transitions of ``slot`` [N] in ``stream`` [N], both i64 on the device."""
        info_t = self.info[slot, stream]  # [N, 5]
        terminal = info_t[:, TERMINAL]
        history_tm1 = self.info[(slot - 1) % self._ring, stream, HISTORY]  # [N]
        history_t = (history_tm1 + 1).clamp_(max=STACK - 1) * (1 - terminal)
        final = info_t[:, FINAL].long()
        newest = torch.where(final >= 0, final, slot)
        if self.repeat_first_frame:
            s_tm1 = self._stacks((slot - 1)[:, None] - self._past, stream, history_tm1)
            s_t = self._stacks(slot[:, None] - self._past, stream, history_t, newest)
        else:
            # One gather for both: they share three of their four frames.
            window = torch.cat([(slot[:, None] - 1 - self._past) % self._ring, newest[:, None]], dim=1)  # [N, 5]
            frames = self._gather(window, stream)
            s_tm1, s_t = self._masked(frames[:, :-1], history_tm1), self._masked(frames[:, 1:], history_t)
        return Batch(
            s_tm1=s_tm1,
            a_tm1=info_t[:, ACTION].long(),
            r_t=info_t[:, REWARD],
            discount_t=self.discount * (1 - terminal),
            s_t=s_t,
        )

    def _stacks(self, slots: Tensor, stream: Tensor, history: Tensor, newest: Tensor | None = None) -> Tensor:
        """The states [N, 4, 84, 84] in ``slots`` [N, 4], the last of which may lie elsewhere: in ``newest`` [N]."""
        if self.repeat_first_frame:
            slots = slots[:, -1:] - self._past.minimum(history[:, None].long())
        slots = slots % self._ring
        if newest is not None:  # wherever the newest slot is shown, also where it is shown again
            slots = torch.where(slots == slots[:, -1:], newest[:, None], slots)
        frames = self._gather(slots, stream)
        return frames if self.repeat_first_frame else self._masked(frames, history)

    def _gather(self, slots: Tensor, stream: Tensor) -> Tensor:
        """Frames [N, K, 84, 84] of ``slots`` [N, K] in ``stream`` [N]."""
        rows = slots * self.num_streams + stream[:, None]
        return self.frames.view(-1, 84, 84).index_select(0, rows.flatten()).view(*rows.shape, 84, 84)

    def _masked(self, frames: Tensor, history: Tensor) -> Tensor:
        """Zero the frames [N, 4, 84, 84] that lie before the history [N] of the newest one."""
        known = self._past <= history[:, None]
        if as_on_a_cpu(frames):  # where bytes are multiplied faster than words are masked
            return frames * known[:, :, None, None]
        words = frames.flatten(2).view(torch.int64) & -known.long()[:, :, None]  # all bits of eight pixels, or none
        return words.view(torch.uint8).view(frames.shape)
