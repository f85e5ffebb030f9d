"""The page's charts as SVG, each with the data that a script needs to say what is under a pointer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.page.drawing import (
    LINEAR_WITHIN,
    Axis,
    add,
    canvas,
    grid,
    line,
    linear,
    markup,
    path,
    score_axis,
    short,
)
from benchmarks.report import format_interval
from benchmarks.statistics import Interval, performance_profile

PANEL = (220, 150)  # user units of a learning curve
WIDE = 440  # and of the other charts
ROW = 22  # height of a game's bar with its air
FEW_POINTS = 24  # a curve of no more shows where they are


@dataclass(frozen=True)
class Chart:
    """A drawing and what to say of its points.

    Args:
        key: unique on the page.
        svg: the drawing, escaped.
        hover: ``series``, each with a ``name`` and either ``x`` and ``y`` in data, which ``scale`` maps to user units
            (low, high, start, end), or ``at`` in user units and a ``text`` for each point.
    """

    key: str
    name: str
    svg: str
    hover: dict[str, Any]


@dataclass(frozen=True)
class Line:
    """A curve: ``frames`` and ``values`` [T], without gaps; what kind it is decides how it is drawn."""

    name: str
    kind: str  # seed | mean | published
    frames: NDArray[np.int64]
    values: NDArray[np.float64]


def learning_curve(game: str, lines: Sequence[Line], random: float, total_frames: int) -> Chart:
    """Training return by frames: a thin line a seed, a thick one for their mean, dashed the random policy."""
    width, height = PANEL
    box = (38.0, 8.0, width - 14.0, height - 20.0)
    name = f"Learning curve of {game}"
    drawing = canvas(width, height, name)
    x = Axis(0, total_frames, box[0], box[2], (0, total_frames / 2, total_frames))
    y = linear([random, *(value for each in lines for value in each.values.tolist())], box[3], box[1], 3)
    grid(drawing, x, y, box)
    line(drawing, "random", box[0], y.at(random), box[2], y.at(random))
    for number, each in enumerate(lines):
        places = [(x.at(f), y.at(v)) for f, v in zip(each.frames.tolist(), each.values.tolist(), strict=True)]
        if each.kind == "published":
            for left, top in places:
                diamond = f"M{left:g},{top - 4:g}l4,4l-4,4l-4,-4z"
                add(drawing, "path", "published", d=diamond, data_series=str(number))
        else:
            path(drawing, each.kind, places).set("data-series", str(number))
            if len(places) <= FEW_POINTS:
                dots = "".join(f"M{left:g},{top:g}h0" for left, top in places)
                add(drawing, "path", f"{each.kind} dots", d=dots, data_series=str(number))
    if not lines:
        add(drawing, "text", "empty middle", "no episode ran to its end", x=(box[0] + box[2]) / 2, y=height / 2 - 12)
    series = [
        {"name": each.name, "x": each.frames.tolist(), "y": [float(f"{v:.6g}") for v in each.values.tolist()]}
        for each in lines
    ]
    return Chart(f"curve-{game}", name, markup(drawing), _scaled(x, y, series, "return"))


def efficiency(frames: Sequence[int], points: NDArray[np.float64], band: NDArray[np.float64] | None) -> Chart:
    """IQM of training returns [T] by frames, with its 95 % band [2, T]."""
    box = (48.0, 10.0, WIDE - 10.0, 200.0)
    drawing = canvas(WIDE, 240, "Sample efficiency: IQM of training returns by frames")
    everything = [0.0, *points.tolist(), *(band.ravel().tolist() if band is not None else [])]
    x = linear([0, *frames], box[0], box[2], margin=0)
    y = linear(everything, box[3], box[1])
    grid(drawing, x, y, box)
    line(drawing, "random", box[0], y.at(0), box[2], y.at(0))
    if band is not None:
        _band(drawing, [x.at(f) for f in frames], [y.at(v) for v in band[0]], [y.at(v) for v in band[1]])
    path(drawing, "mean", [(x.at(f), y.at(v)) for f, v in zip(frames, points.tolist(), strict=True)])
    add(drawing, "text", "label middle", "frames", x=(box[0] + box[2]) / 2, y=232)
    series = [{"name": "IQM", "x": list(frames), "y": [float(f"{v:.6g}") for v in points.tolist()]}]
    return Chart("efficiency", drawing.attrib["aria-label"], markup(drawing), _scaled(x, y, series, "score"))


def _scaled(x: Axis, y: Axis, series: Sequence[Mapping[str, Any]], unit: str) -> dict[str, Any]:
    scale = {name: [axis.low, axis.high, axis.start, axis.end] for name, axis in (("x", x), ("y", y))}
    return {"scale": scale, "series": list(series), "unit": unit}


def _band(drawing: Any, x: Sequence[float], low: Sequence[float], high: Sequence[float]) -> None:
    there, back = list(zip(x, high, strict=True)), list(zip(x, low, strict=True))[::-1]
    outline = path(drawing, "band", [*there, *back])
    outline.set("d", outline.attrib["d"] + "Z")


# ---------------------------------------------------------------------- over the suite


def intervals(found: Mapping[str, Interval]) -> Chart:
    """Point and 95 % interval of each aggregate, on one axis of human-normalised scores."""
    bottom = 14.0 + 40 * len(found)
    box = (92.0, 8.0, WIDE - 16.0, bottom)
    drawing = canvas(WIDE, bottom + 40, "Aggregates with their 95 % intervals")
    ends = [end for i in found.values() for end in (i.low, i.point, i.high) if end is not None]
    x = linear([0.0, *ends], box[0], box[2], 5)
    grid(drawing, x, None, box)
    line(drawing, "random", x.at(0), box[1], x.at(0), bottom)
    series = []
    for row, (name, interval) in enumerate(found.items()):
        middle = 34.0 + 40 * row
        add(drawing, "text", "name end", name, x=box[0] - 8, y=middle + 4)
        if interval.low is not None and interval.high is not None:
            left, right = x.at(interval.low), x.at(interval.high)
            add(drawing, "rect", "interval", x=left, y=middle - 7, width=max(right - left, 0.5), height=14.0, rx=2.0)
        line(drawing, "point", x.at(interval.point), middle - 10, x.at(interval.point), middle + 10)
        series.append({"name": name, "at": [[x.at(interval.point), middle]], "text": [format_interval(interval)]})
    add(drawing, "text", "label middle", "human-normalised score (0: random policy, 1: human)",
        x=(box[0] + box[2]) / 2, y=bottom + 32)  # fmt: skip
    return Chart("intervals", drawing.attrib["aria-label"], markup(drawing), {"series": series})


def game_bars(scores: Mapping[str, Mapping[int, float]]) -> Chart:
    """Human-normalised score of each game: a bar for the mean, a dot per seed; games without a score are empty rows."""
    bottom = 10.0 + ROW * len(scores)
    box = (122.0, 6.0, WIDE - 62.0, bottom)
    drawing = canvas(WIDE, bottom + 40, "Human-normalised score of each game")
    x = score_axis([value for seeds in scores.values() for value in seeds.values()], box[0], box[2])
    grid(drawing, x, None, box)
    series = []
    for row, (game, seeds) in enumerate(scores.items()):
        middle = 10.0 + ROW * (row + 0.5)
        add(drawing, "text", "name end", game, x=box[0] - 8, y=middle + 4)
        if not seeds:
            add(drawing, "text", "value end", "no score", x=WIDE - 6, y=middle + 4)
            continue
        mean = sum(seeds.values()) / len(seeds)
        left, right = sorted((x.at(0), x.at(mean)))
        add(drawing, "rect", "bar", x=left, y=middle - 7, width=max(right - left, 0.5), height=14.0)
        for value in seeds.values():
            add(drawing, "circle", "dot", cx=x.at(value), cy=middle, r=2.6)
        add(drawing, "text", "value end", f"{mean:.3f}", x=WIDE - 6, y=middle + 4)
        at = [[x.at(mean), middle], *([x.at(value), middle] for value in seeds.values())]
        text = [f"mean {mean:.3f}", *(f"seed {seed}: {value:.3f}" for seed, value in seeds.items())]
        series.append({"name": game, "at": at, "text": text})
    line(drawing, "random", x.at(0), box[1], x.at(0), bottom)
    _score_label(drawing, box)
    return Chart("games", drawing.attrib["aria-label"], markup(drawing), {"series": series})


def profile(scores: NDArray[np.float64]) -> Chart:
    """Share of runs of ``scores`` [seeds, games] above each score, with its 95 % band."""
    box = (48.0, 10.0, WIDE - 16.0, 210.0)
    drawing = canvas(WIDE, 250, "Performance profile: share of runs above a score")
    x = score_axis(scores.ravel().tolist(), box[0], box[2])
    y = Axis(0, 1, box[3], box[1], (0, 0.25, 0.5, 0.75, 1))
    thresholds = LINEAR_WITHIN * np.sinh(np.linspace(x.bend(x.low), x.bend(x.high), 121))  # evenly on the axis
    share, band = performance_profile(scores, thresholds)
    grid(drawing, x, y, box)
    left = [x.at(threshold) for threshold in thresholds.tolist()]
    if band is not None:
        _band(drawing, left, [y.at(v) for v in band[0].tolist()], [y.at(v) for v in band[1].tolist()])
    line(drawing, "random", x.at(0), box[1], x.at(0), box[3])
    at = list(zip(left, [y.at(v) for v in share.tolist()], strict=True))
    path(drawing, "mean", at, steps=True)
    _score_label(drawing, box)
    text = [f"{s:.0%} of runs score above {short(t)}" for s, t in zip(share.tolist(), thresholds.tolist(), strict=True)]
    series = [{"name": "share of runs", "at": [list(place) for place in at], "text": text}]
    return Chart("profile", drawing.attrib["aria-label"], markup(drawing), {"series": series})


def _score_label(drawing: Any, box: tuple[float, float, float, float]) -> None:
    words = "human-normalised score (linear within ±0.1, then logarithmic)"
    add(drawing, "text", "label middle", words, x=(box[0] + box[2]) / 2, y=box[3] + 32)
