"""Where the time goes: no reason for not learning, but one for waiting; reported beside the causes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from benchmarks.doctor.verdicts.log import Log

PARTS = ("emulator", "network", "learner")


@dataclass(frozen=True)
class Machine:
    """Speed since learning began."""

    frames_per_second: float | None  # median
    slowdown: float | None  # first third over last third
    shares: dict[str, float]  # of the time that was measured, by part

    def as_json(self) -> dict[str, Any]:
        """For a program."""
        return asdict(self)

    def words(self) -> str:
        """One sentence."""
        parts = []
        if self.frames_per_second is not None:
            parts.append(f"{self.frames_per_second:,.0f} frames/s while learning")
        if self.slowdown is not None and self.slowdown > 1.5:
            parts.append(f"{self.slowdown:.1f} times slower at the end than at first")
        if self.shares:
            parts.append("time: " + ", ".join(f"{name} {share:.0%}" for name, share in self.shares.items()))
        return "; ".join(parts)


def machine(log: Log) -> Machine | None:
    """Speed and its parts as far as ``log`` has them; None if it has nothing of them."""

    def seen(name: str) -> np.ndarray:
        return log.series[name].after(log.learning_starts).finite().values if name in log.series else np.empty(0)

    rates = seen("frames_per_second")
    third = len(rates) // 3
    speed = _number(np.median(rates)) if len(rates) else None
    slowdown = _number(np.median(rates[:third]) / np.median(rates[-third:])) if third >= 2 else None
    sums = {part: seen(f"{part}_seconds").sum() for part in PARTS if f"{part}_seconds" in log.series}
    total = sum(sums.values())
    shares = {part: float(value / total) for part, value in sums.items()} if 0 < total < np.inf else {}
    return Machine(speed, slowdown, shares) if speed is not None or shares else None


def _number(value: np.floating) -> float | None:
    """None for what is beyond all numbers: a log may hold any."""
    return float(value) if np.isfinite(value) else None
