"""Where the host's time goes in training: to emulators, networks or learning."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass
class TimeSplit:
    """Where the host's time went, in seconds. With CUDA the learner's is the time to launch it."""

    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(("emulator", "network", "learner"), 0.0))

    def lap(self, part: str) -> Lap:
        """Count the body's time as ``part``."""
        return Lap(self.seconds, part)


class Lap:
    """Adds the time that its body takes to ``seconds[part]``; a third of what a generator's context would take."""

    __slots__ = ("_part", "_seconds", "_start")

    def __init__(self, seconds: dict[str, float], part: str) -> None:
        self._seconds, self._part = seconds, part

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._seconds[self._part] += time.perf_counter() - self._start
