"""Stopping a run, and going on as if it had not been stopped.

    RUN_DIR/checkpoint.safetensors   weights, the optimiser's means, random streams, what the recorder remembers
    RUN_DIR/actions.bin              what was played: a byte for each step of each stream

Replay is hundreds of times as large and is not written. The games of an iteration follow from its seeds and the
actions, so they are played again, and every frame comes back as it was.
"""

from __future__ import annotations

import json
import math
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from dqn_ref.atari import AtariStreams
from dqn_ref.config import UserError
from dqn_ref.population import Population
from dqn_ref.records import ACTIONS, CHECKPOINT, CHECKPOINT_VERSION
from dqn_ref.replay import FINAL
from dqn_ref.train import Tick, begin_iteration

TRUNCATED = 0x80  # the bit of an action's byte that says: its step was the episode's last, by the frame cap

Tensors = Mapping[str, Sequence[Tensor]]


@dataclass(frozen=True)
class Checkpoint:
    """All that a member needs to go on, but its replay and its emulators."""

    tensors: Tensors
    """Of the learner; the ``heldout`` states once there are any; the ``best`` network's weights once it is known."""
    agent_step: int
    updates: int
    wall_seconds: float
    lengths: Mapping[str, int]
    """Bytes of each file of the record."""
    fingerprint: int
    draws: Mapping[str, Any]
    """Where the agent's random streams stand."""
    measures: Mapping[str, Any] | None
    """Where that of the measures stands."""
    returns: Sequence[int]
    iteration_returns: Sequence[int]
    best_frames: int | None
    best_mean: float

    def save(self, folder: Path) -> None:
        """Write it in place of the one before: the whole of one or of the other is there at any time."""
        flat = {
            f"{name}.{i}": one.contiguous() for name, several in self.tensors.items() for i, one in enumerate(several)
        }
        notes = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "tensors"}
        temporary = folder / f"{CHECKPOINT}.tmp"
        save_file(flat, temporary, metadata={"notes": json.dumps({"version": CHECKPOINT_VERSION, **notes})})
        for name in self.lengths:  # first what it counts on
            _written_out(folder / name)
        _written_out(temporary)
        os.replace(temporary, folder / CHECKPOINT)

    @classmethod
    def load(cls, folder: Path) -> Checkpoint:
        """What was saved, in the CPU's memory. Raises UserError: there is none, it or what it counts on is broken."""
        path, found = folder / CHECKPOINT, dict[str, dict[int, Tensor]]()
        try:
            with safe_open(path, framework="pt") as file:
                notes = json.loads(file.metadata()["notes"])
                if (version := notes.pop("version")) != CHECKPOINT_VERSION:
                    raise UserError(
                        f"{path} has version {version!r}, this reads {CHECKPOINT_VERSION}. Go on with its version."
                    )
                for key in file.keys():  # noqa: SIM118  (it is no dictionary)
                    name, _, index = key.rpartition(".")
                    found.setdefault(name, {})[int(index)] = file.get_tensor(key)
            saved = cls({name: [several[i] for i in sorted(several)] for name, several in found.items()}, **notes)
        except FileNotFoundError:
            raise UserError(
                f"{folder} holds no checkpoint to go on from: the run was stopped before the first was written. Run it "
                "again in another folder."
            ) from None
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror or error}.") from None
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise UserError(f"{path} is broken ({error}). Move the folder away and run it again.") from None
        for name, length in saved.lengths.items():
            size = (folder / name).stat().st_size if (folder / name).exists() else 0
            if size < length:
                raise UserError(
                    f"{folder / name} has {size:,} bytes, fewer than the {length:,} when the checkpoint was written: "
                    "it was changed since. Move the folder away and run it again."
                )
        return saved


def _written_out(path: Path) -> None:
    """Wait until what was written to ``path`` would outlast a power cut."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


# ---------------------------------------------------------------------- what was played


class ActionLog:
    """Actions of a population's streams, until they are taken to be written."""

    def __init__(self, num_streams: int, streams_per_member: int) -> None:
        self._num_streams, self._streams_per_member = num_streams, streams_per_member
        self._bytes = bytearray()

    def add(self, tick: Tick) -> None:
        """Note the step of ``tick``."""
        self._bytes += (tick.actions | tick.step.truncated * TRUNCATED).astype(np.uint8).tobytes()

    def take(self) -> list[bytes]:
        """What the streams of each member have played since the last call."""
        rows = np.frombuffer(bytes(self._bytes), np.uint8).reshape(-1, self._num_streams)
        width = self._streams_per_member
        self._bytes.clear()
        return [rows[:, first : first + width].tobytes() for first in range(0, self._num_streams, width)]


def read_actions(folder: Path, saved: Checkpoint, streams_per_member: int) -> NDArray[np.uint8]:
    """What the run in ``folder`` had played when it was ``saved``, [N, streams_per_member]."""
    return np.fromfile(folder / ACTIONS, np.uint8, saved.lengths[ACTIONS]).reshape(-1, streams_per_member)


def repeat_actions(
    population: Population, streams: AtariStreams, played: NDArray[np.uint8], steps_per_iteration: int
) -> Iterator[Tick]:
    """Bring the replay of ``population`` and its ``streams`` to where they were after ``played`` [N, C], all steps yet.

    Yields after every step that is played again; they begin with the iteration of the oldest transition in replay.

    Raises:
        UserError: an action is none of the game's.
    """
    oldest = max(0, len(played) - population.replay.capacity)
    iteration = oldest // steps_per_iteration
    begun = iteration * steps_per_iteration
    population.replay.skip_to(begun, iteration, (played[:begun] & TRUNCATED > 0).sum(axis=0))
    for step in range(begun, len(played)):
        if step % steps_per_iteration == 0:
            begin_iteration(population, streams, step // steps_per_iteration)
        actions = (played[step] & ~np.uint8(TRUNCATED)).astype(np.int64)
        if (actions >= streams.num_actions).any():
            raise UserError(f"{ACTIONS} holds actions that the game does not have. Move the folder away, run it again.")
        streams.send(actions)
        answer = streams.recv()
        reward = population.store(actions, answer)
        done, ended = (step + 1) * population.streams_per_member, (step + 1) % steps_per_iteration == 0
        yield Tick(done, 0, math.nan, actions, answer, reward, ended)


def fingerprint(population: Population, number: int) -> int:
    """CRC of what member ``number`` did and got in all transitions held, and of the states that it is in."""
    held = population.held(number).cpu().numpy().copy()
    held[..., FINAL] = np.minimum(held[..., FINAL], 0)  # where a final frame lies goes by the size of replay
    states = population.replay.newest_states()[population.streams_of(number)].cpu().numpy()
    return zlib.crc32(states.tobytes(), zlib.crc32(held.tobytes()))
