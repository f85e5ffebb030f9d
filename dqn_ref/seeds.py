"""Every random stream has a name and an owner: its seed is a hash of (game, seed, stream name, index).

Neighbouring run seeds therefore share nothing, and a new stream never shifts an older one.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Member:
    """One training run of a population."""

    game: str
    seed: int

    @property
    def name(self) -> str:
        """Readable id, e.g. ``breakout-s0``; also the name of the run's folder."""
        return f"{self.game}-s{self.seed}"

    def stream_seed(self, stream: str, *index: int) -> int:
        """Seed in [0, 2**31) for the named stream; 31 bits because the emulator takes no more."""
        key = "/".join(map(str, (self.game, self.seed, stream, *index)))
        return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") % 2**31

    def numpy_stream(self, stream: str, *index: int) -> np.random.Generator:
        """A NumPy generator of its own for the named stream."""
        return np.random.default_rng(self.stream_seed(stream, *index))
