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
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from dqn_ref.atari import AtariStreams
from dqn_ref.config import UserError
from dqn_ref.population import Population
from dqn_ref.train import Tick, begin_iteration

NAME = "checkpoint.safetensors"
VERSION = 1
TRUNCATED = 0x80  # the bit of an action's byte that says: its step was the episode's last, by the frame cap

Tensors = Mapping[str, Sequence[Tensor]]


# ---------------------------------------------------------------------- what was played


class Played:
    """Actions of a population's streams [C], until they are taken to be written."""

    def __init__(self, num_streams: int, steps: int = 4096) -> None:
        self._rows = np.empty((steps, num_streams), np.uint8)
        self._count = 0

    def add(self, tick: Tick) -> bool:
        """Note the step of ``tick``. Returns whether no further one has room."""
        self._rows[self._count] = tick.actions
        self._rows[self._count] |= tick.step.truncated * np.uint8(TRUNCATED)
        self._count += 1
        return self._count == len(self._rows)

    def take(self) -> NDArray[np.uint8]:
        """What was noted since the last call, [N, C]."""
        taken = self._rows[: self._count].copy()
        self._count = 0
        return taken


def play_again(
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
    if ((played & ~np.uint8(TRUNCATED)) >= streams.num_actions).any():
        raise UserError("actions.bin holds actions that the game does not have. Move the folder away and run it again.")
    for step in range(begun, len(played)):
        if step % steps_per_iteration == 0:
            begin_iteration(population, streams, step // steps_per_iteration)
        actions = (played[step] & ~np.uint8(TRUNCATED)).astype(np.int64)
        streams.send(actions)
        answer = streams.recv()
        population.store(actions, answer)
        done = step + 1
        yield Tick(done * population.streams_per_member, 0, math.nan, actions, answer, done % steps_per_iteration == 0)


def fingerprint(population: Population, number: int) -> int:
    """CRC of what member ``number`` did and got in all transitions held, and of the states that it is in."""
    replay, per = population.replay, population.streams_per_member
    streams = slice(number * per, (number + 1) * per)
    held = replay.info[replay.slots_of(np.arange(replay.size)), streams].cpu().numpy()
    return zlib.crc32(replay.newest_states()[streams].cpu().numpy().tobytes(), zlib.crc32(held.tobytes()))


# ---------------------------------------------------------------------- the file


def save(folder: Path, tensors: Tensors, notes: Mapping[str, Any]) -> None:
    """Write a checkpoint in place of the one before: the whole of one or of the other is there at any time."""
    flat = {f"{name}.{i}": tensor.contiguous() for name, several in tensors.items() for i, tensor in enumerate(several)}
    temporary = folder / f"{NAME}.tmp"
    save_file(flat, temporary, metadata={"notes": json.dumps({"version": VERSION, **notes})})
    os.replace(temporary, folder / NAME)


def load(folder: Path, device: torch.device) -> tuple[dict[str, list[Tensor]], dict[str, Any]]:
    """Tensors and notes as they were saved. Raises UserError: there is none, or it is broken."""
    path = folder / NAME
    found: dict[str, dict[int, Tensor]] = {}
    try:
        with safe_open(path, framework="pt", device=str(device)) as file:
            notes = json.loads(file.metadata()["notes"])
            for key in file.keys():  # noqa: SIM118  (it is no dictionary)
                name, _, index = key.rpartition(".")
                found.setdefault(name, {})[int(index)] = file.get_tensor(key)
    except FileNotFoundError:
        raise UserError(
            f"{folder} holds no checkpoint to go on from: the run had finished, or was stopped before the first was "
            "written. Run it again in another folder."
        ) from None
    except Exception as error:
        raise UserError(f"{path} is broken ({error}). Move the folder away and run it again.") from None
    if notes.get("version") != VERSION:
        raise UserError(
            f"{path} has version {notes.get('version')!r}, this one reads {VERSION}. Go on with its version."
        )
    return {name: [several[i] for i in sorted(several)] for name, several in found.items()}, notes


def read_played(folder: Path, length: int, streams_per_member: int) -> NDArray[np.uint8]:
    """The first ``length`` bytes of actions.bin, [N, streams_per_member]. Raises UserError: it has not so many."""
    path = folder / "actions.bin"
    content = path.read_bytes() if path.exists() else b""
    if len(content) < length or length % streams_per_member:
        raise UserError(f"{path} has {len(content)} bytes, its checkpoint asks for {length}. Run it again elsewhere.")
    return np.frombuffer(content[:length], np.uint8).reshape(-1, streams_per_member)


def remove(folder: Path) -> None:
    """Remove what only a run that is not finished needs."""
    for name in (NAME, "actions.bin"):
        (folder / name).unlink(missing_ok=True)
