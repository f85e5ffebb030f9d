"""What charts are made of: axes with ticks, and SVG elements. Colours and fonts are the style sheet's."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

LINEAR_WITHIN = 0.1  # of the axis of scores: beyond it the axis is logarithmic
TICK_GAP = 34.0  # user units between two labels, at least
# The order in which ticks of that axis find a place.
SCORE_TICKS = (0, 1, -1, 10, -10, 0.1, -0.1, 3, -3, 0.3, -0.3, 30, -30, 100, -100, 0.03, -0.03, 1_000, -1_000)


@dataclass(frozen=True)
class Axis:
    """Maps data between ``low`` and ``high`` to user units between ``start`` and ``end``."""

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]
    bend: Callable[[float], float] = float

    def at(self, value: float) -> float:
        """Place of ``value``, rounded: a hundredth of a unit is below what an eye sees."""
        share = (self.bend(value) - self.bend(self.low)) / (self.bend(self.high) - self.bend(self.low))
        return round(self.start + share * (self.end - self.start), 2)


def linear(values: Sequence[float], start: float, end: float, count: int = 4, margin: float = 0.06) -> Axis:
    """An axis for ``values`` with about ``count`` round ticks and some air at both ends."""
    low, high = min(values), max(values)
    if high - low < 1e-9 * max(1.0, abs(low)):
        low, high = low - max(0.5, abs(low) / 10), high + max(0.5, abs(high) / 10)
    air = margin * (high - low)
    return Axis(low - air, high + air, start, end, round_ticks(low - air, high + air, count))


def round_ticks(low: float, high: float, count: int) -> tuple[float, ...]:
    """About ``count`` multiples of 1, 2, 2.5 or 5 times a power of ten between ``low`` and ``high``."""
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(size * power for size in (1, 2, 2.5, 5, 10) if size * power >= rough * 0.999)
    first = math.ceil(low / step)
    return tuple(step * k for k in range(first, math.floor(high / step) + 1))


def score_axis(values: Sequence[float], start: float, end: float) -> Axis:
    """For human-normalised scores, which span decades: linear near 0, logarithmic beyond, as asinh is.

    Holds 0, the random policy, always.
    """
    low, high = min([0.0, *values]), max([0.0, *values])

    def bend(value: float) -> float:
        return math.asinh(value / LINEAR_WITHIN)

    air = 0.05 * max(bend(high) - bend(low), 1e-3)
    low, high = LINEAR_WITHIN * math.sinh(bend(low) - air), LINEAR_WITHIN * math.sinh(bend(high) + air)
    axis = Axis(low, high, start, end, (), bend)
    ticks = list[float]()
    for tick in SCORE_TICKS:
        if low <= tick <= high and all(abs(axis.at(tick) - axis.at(other)) >= TICK_GAP for other in ticks):
            ticks.append(tick)
    return Axis(low, high, start, end, tuple(sorted(ticks)), bend)


def short(value: float) -> str:
    """For a tick: ``0``, ``-0.5``, ``2.5k``, ``10M``."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size * 0.9995:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}" if abs(value) > 1e-12 else "0"


# ---------------------------------------------------------------------- SVG


def canvas(width: float, height: float, name: str) -> Element:
    """An empty drawing; ``name`` is what a screen reader says."""
    return Element("svg", {"viewBox": f"0 0 {width:g} {height:g}", "role": "img", "aria-label": name})


def add(parent: Element, tag: str, css: str, text: str = "", **attributes: float | str) -> Element:
    """An element of ``parent``; underscores in names of attributes stand for hyphens."""
    values = {
        name.replace("_", "-"): value if isinstance(value, str) else f"{value:g}" for name, value in attributes.items()
    }
    element = ElementTree.SubElement(parent, tag, {"class": css, **values})
    element.text = text or None
    return element


def line(parent: Element, css: str, x1: float, y1: float, x2: float, y2: float) -> Element:
    """A straight line."""
    return add(parent, "line", css, x1=x1, y1=y1, x2=x2, y2=y2)


def path(parent: Element, css: str, points: Sequence[tuple[float, float]], *, steps: bool = False) -> Element:
    """A line through ``points``; with ``steps`` it stays level up to the next. One point alone is a dot."""
    words = [f"M{points[0][0]:g},{points[0][1]:g}"]
    for x, y in points[1:]:
        words.append(f"H{x:g}V{y:g}" if steps else f"L{x:g},{y:g}")
    if len(points) == 1:
        words.append("h0")
    return add(parent, "path", css, d="".join(words))


def grid(parent: Element, x: Axis | None, y: Axis | None, box: tuple[float, float, float, float]) -> None:
    """Lines and labels of the ticks around ``box`` (left, top, right, bottom)."""
    left, top, right, bottom = box
    if y:
        for tick in y.ticks:
            line(parent, "grid", left, y.at(tick), right, y.at(tick))
            add(parent, "text", "tick end", short(tick), x=left - 5, y=y.at(tick) + 3.5)
    if x:
        for tick in x.ticks:
            line(parent, "grid", x.at(tick), top, x.at(tick), bottom)
            add(parent, "text", "tick middle", short(tick), x=x.at(tick), y=bottom + 13)


def markup(drawing: Element) -> str:
    """The drawing as text, escaped."""
    return ElementTree.tostring(drawing, encoding="unicode")
