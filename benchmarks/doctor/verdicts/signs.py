"""A sign: a number made of a quantity of the log, and the bar that it crosses or does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.doctor.verdicts.bars import BARS, Bar
from benchmarks.doctor.verdicts.log import Log, Series
from benchmarks.doctor.verdicts.quantities import QUANTITIES

Reading = tuple[float, int]  # a value, and the frame at which it was read


# ---------------------------------------------------------------------- views: a series -> one number


def _thirds(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    size = max(1, len(values) // 3)
    return values[:size], values[-size:]


def _late(series: Series) -> Reading:
    return float(np.median(_thirds(series.values)[1])), int(series.frames[-1])


def _last(series: Series) -> Reading:
    return float(series.values[-1]), int(series.frames[-1])


def _largest(series: Series) -> Reading:
    place = int(np.argmax(series.values))
    return float(series.values[place]), int(series.frames[place])


def _smallest(series: Series) -> Reading:
    place = int(np.argmin(series.values))
    return float(series.values[place]), int(series.frames[place])


def _half(series: Series) -> Series:
    return Series(series.frames[len(series.frames) // 2 :], series.values[len(series.values) // 2 :])


def _growth(series: Series) -> Reading | None:
    """Size of the last third over that of the first; None where too few rows, or nothing to grow from."""
    if len(series.values) < 6:
        return None
    first, last = (float(np.median(np.abs(part))) for part in _thirds(series.values))
    return (last / first, int(series.frames[-1])) if first > 0 and np.isfinite(last / first) else None


def _late_growth(series: Series) -> Reading | None:
    """Size of the last third over that of the third before."""
    third = len(series.values) // 3
    return _growth(Series(series.frames[third:], series.values[third:])) if third else None


def _change(series: Series) -> Reading | None:
    """Last third minus first."""
    if len(series.values) < 6:
        return None
    first, last = (float(np.median(part)) for part in _thirds(series.values))
    return last - first, int(series.frames[-1])


def _moved(series: Series) -> Reading | None:
    found = _change(series)
    return None if found is None else (abs(found[0]), found[1])


MOST_PARTS = 100  # that a series is cut into before spikes are looked for: the loss of one batch is spiky by nature


def _spike(series: Series) -> Reading | None:
    """The highest value over the median of its four neighbours; None with fewer than five rows."""
    if len(series.values) < 5:
        return None
    parts = np.array_split(np.arange(len(series.values)), min(MOST_PARTS, len(series.values)))
    values = np.array([float(np.mean(series.values[part])) for part in parts])
    best: Reading | None = None
    for place in range(len(values)):
        start = min(max(0, place - 2), len(values) - 5)
        around = float(np.median(np.delete(values[start : start + 5], place - start)))
        ratio = float(values[place] / around) if around > 0 else 0.0  # beyond all numbers: a spike, too
        if around > 0 and (best is None or ratio > best[0]):
            best = ratio, int(series.frames[parts[place][-1]])
    return best


View = Literal["late", "last", "largest", "smallest", "for long above", "for long below", "growth", "late growth",
               "change", "moved", "spike"]  # fmt: skip
VIEWS: dict[str, tuple[Callable[[Series], Reading | None], str]] = {
    "late": (_late, "in the last third of the log"),
    "last": (_last, "at the end"),
    "largest": (_largest, "at its highest"),
    "smallest": (_smallest, "at its lowest"),
    "for long above": (lambda series: _smallest(_half(series)), "at its lowest in the later half"),
    "for long below": (lambda series: _largest(_half(series)), "at its highest in the later half"),
    "growth": (_growth, "last third over first"),
    "late growth": (_late_growth, "last third over the one before"),
    "change": (_change, "last third minus first"),
    "moved": (_moved, "last third minus first, without sign"),
    "spike": (_spike, "highest over its neighbours"),
}


# ---------------------------------------------------------------------- signs


@dataclass(frozen=True)
class Sign:
    """What to look at, how, and the bar it must cross."""

    quantity: str
    view: View
    bar: str
    direct: bool = False
    """It is the condition itself, not a consequence: a target distance of zero *is* a target that does not lag."""
    of: str = ""
    """Signs of one kind are not independent: they count once. Default: the quantity."""
    only_without: str = ""
    """A metric that says it better: where the log has it, this sign is not read."""

    @property
    def kind(self) -> str:
        """What it is independent by."""
        return self.of or self.quantity

    def lacking(self, log: Log) -> list[str]:
        """What the log must have for it, and has not."""
        return QUANTITIES[self.quantity].lacking(log)

    def read(self, log: Log) -> Evidence | None:
        """What it says of ``log``, which lacks nothing of it; None where it does not apply."""
        if self.only_without in log.series:
            return None
        series = QUANTITIES[self.quantity].make(log)
        found = VIEWS[self.view][0](series) if len(series.values) else None
        if found is None or not np.isfinite(found[0]):
            return None
        return Evidence(self, BARS[self.bar], *found)


@dataclass(frozen=True)
class Evidence:
    """A sign that was read."""

    sign: Sign
    bar: Bar
    value: float
    frame: int

    @property
    def crossed(self) -> bool:
        """Whether it is beyond its bar."""
        return self.bar.crossed(self.value)

    @property
    def clearly(self) -> bool:
        """Whether it is far beyond."""
        return self.crossed and self.bar.clearly(self.value)

    def words(self) -> str:
        """One line: metric, value, when, and the bar."""
        quantity, view = QUANTITIES[self.sign.quantity].words, VIEWS[self.sign.view][1]
        side = "above" if self.bar.above else "below"
        relation = side if self.crossed else f"not {side}"
        return (
            f"{self.sign.quantity} {self.value:.4g} ({quantity}; {view}; frame {self.frame:,}): {relation} "
            f"{self.bar.at:g} [{self.bar.origin}]"
        )
