"""Words on drawings: names of any kind made to fit, title and caption around the axes, what every caption says."""

from __future__ import annotations

import bisect
import functools
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from benchmarks.plots.style import FONT, GREY, SMALL, TEXT, TITLE
from benchmarks.statistics import FEW_SEEDS

MARGIN = 0.08  # inches
SPACING = 1.25  # lines, in sizes of their letters
HANDLE = 40.0  # points that a legend's sample and the gaps around it take

Entry = tuple[Any, str]  # of a legend: an artist or several on top of one another, and what it stands for


def legible(text: str) -> str:
    """``text`` in one line, without characters that no file of a drawing may hold."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


@functools.lru_cache(4_096)
def width_of(text: str, size: float, weight: str = "normal") -> float:
    """Width of ``text`` in points, in letters of ``size`` points."""
    font = FontProperties(family=FONT, size=size, weight=weight)
    return float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0])


def shortened(text: str, points: float, size: float, weight: str = "normal") -> str:
    """``text``, its end replaced by an ellipsis if it is wider than ``points``."""
    text = legible(text)
    if width_of(text, size, weight) <= points:
        return text
    too_many = bisect.bisect_right(range(len(text)), points, key=lambda n: width_of(text[:n] + "…", size, weight))
    return text[: max(0, too_many - 1)].rstrip() + "…"


def wrapped(text: str, points: float, size: float, weight: str = "normal", most: int = 0) -> list[str]:
    """``text`` in lines of at most ``points``, broken at spaces and after ``-``, ``_`` and ``/``.

    A part that is wider than a line is cut, and what is left after ``most`` lines, if that is not 0.
    """
    lines = [""]
    for part in re.split(r"(?<= )|(?<=\w[-_/])", legible(text)):
        if width_of((lines[-1] + part).rstrip(), size, weight) <= points:
            lines[-1] += part
        else:
            lines.append(shortened(part, points, size, weight))
    lines = [line for line in lines if line.strip()]
    if most and len(lines) > most:
        lines[most - 1 :] = [shortened("".join(lines[most - 1 :]), points, size, weight)]
    return [line.rstrip() for line in lines]


# ---------------------------------------------------------------------- around the axes


def finish(figure: Figure, title: str, caption: Sequence[str], legend: Sequence[Entry] = ()) -> Figure:
    """Put ``title`` and ``legend`` above what is drawn and ``caption`` below; the figure grows by their heights."""
    width, body = figure.get_size_inches()
    inner = 72 * (width - 2 * MARGIN) * 0.98  # letters on a screen's grid are a little wider than measured
    heads = wrapped(title, inner, TITLE, "bold")
    notes = [line for each in caption for line in wrapped(each, inner, SMALL)]
    labels = [shortened(label, inner - HANDLE, TEXT) for _, label in legend]
    columns = _legend_columns([width_of(each, TEXT) + HANDLE for each in labels], inner)
    head = MARGIN + len(heads) * TITLE * SPACING / 72
    rows = -(-len(labels) // columns) if labels else 0
    above = head + rows * TEXT * 1.5 / 72 + 0.1
    below = MARGIN + len(notes) * SMALL * SPACING / 72 + 0.06
    total = above + body + below
    figure.set_size_inches(width, total)
    figure.set_layout_engine("constrained", rect=(0, below / total, 1, body / total), w_pad=0.06, h_pad=0.05)
    left = MARGIN / width
    figure.text(
        left, 1 - MARGIN / total, "\n".join(heads), ha="left", va="top",
        size=TITLE, weight="bold", linespacing=SPACING,
    )  # fmt: skip
    figure.text(
        left, MARGIN / total, "\n".join(notes), ha="left", va="bottom", size=SMALL, color=GREY, linespacing=SPACING
    )
    if labels:
        figure.legend(
            [handle for handle, _ in legend], labels, ncols=columns, loc="upper left", borderaxespad=0, borderpad=0,
            labelspacing=0.35, columnspacing=1.4, handlelength=2.2, bbox_to_anchor=(left, 1 - (head + 0.06) / total),
        )  # fmt: skip
    _settle(figure)
    return figure


def _settle(figure: Figure) -> None:
    """Lay the axes out once, the same for every file.

    The solver's last bits differ from process to process, and an SVG's ids are hashes of them: rounded away.
    """
    for _ in range(3):  # what hangs on an axis moves with it, and is measured anew
        figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axis in figure.axes:
        axis.set_position(tuple(round(each, 6) for each in axis.get_position().bounds))


def _legend_columns(widths: Sequence[float], points: float) -> int:
    """As many columns as fit, filled as Matplotlib fills them; at least one."""
    for columns in range(len(widths), 1, -1):
        if sum(max(column) for column in np.array_split(widths, columns)) <= points:
            return columns
    return 1


# ---------------------------------------------------------------------- what every caption says


def seeds_note(numbers: Iterable[int]) -> str:
    """What intervals from so few seeds are worth; empty where all have enough."""
    few = sorted({number for number in numbers if number < FEW_SEEDS})
    notes = [
        "1 seed: no interval" if number == 1 else f"{number} seeds: these intervals are too narrow" for number in few
    ]
    return f"{'; '.join(notes)}." if notes else ""
