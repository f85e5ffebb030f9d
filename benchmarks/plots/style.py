"""How every drawing looks, and how it is written: colours that the colour-blind tell apart, and never colour alone.

Drawings are ``WIDTH`` inches wide, a page's text: in print their letters are the text's, on a phone they can be read.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import matplotlib.style
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from dqn_ref.config import UserError

FONT = "DejaVu Sans"  # Matplotlib brings it along
WIDTH = 6.5  # inches
DPI = 160
TITLE, TEXT, SMALL = 11, 9, 7.5  # points
STYLE: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": [FONT],
    "text.hinting": "no_hinting",  # as wide in a PNG as in an SVG, whatever the resolution
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.labelsize": TEXT,
    "xtick.labelsize": TEXT,
    "ytick.labelsize": TEXT,
    "legend.fontsize": TEXT,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "hatch.linewidth": 0.7,
    "text.parse_math": False,  # a name with dollars is a name, not a formula
    "svg.hashsalt": "dqn-ref",  # equal data, equal file
    "svg.fonttype": "none",  # text stays text
}
PALETTE = sns.color_palette("colorblind").as_hex()
GREY, FAINT = "#5f5f5f", "#d8d8d8"


@dataclass(frozen=True)
class Look:
    """How one source is told from another, in colour and without."""

    color: str
    line: Any
    marker: str
    hatch: str


_DOTS = (0, (1, 1.2))
_LONG = (0, (7, 2))
LOOKS = (
    Look(PALETTE[0], "-", "o", ""),  # blue
    Look(PALETTE[1], "--", "s", "////"),  # orange
    Look(PALETTE[2], "-.", "^", "...."),  # green
    Look(PALETTE[4], _DOTS, "D", "xxxx"),  # purple
    Look(PALETTE[5], _LONG, "v", "----"),  # brown
    Look(PALETTE[9], "-", "P", "||||"),  # light blue
    Look(PALETTE[3], "--", "X", "\\\\\\\\"),  # red
)


def look(place: int) -> Look:
    """The look of the source at ``place``; they come round again after the last."""
    return LOOKS[place % len(LOOKS)]


# ---------------------------------------------------------------------- the one way to draw and to write

Given = ParamSpec("Given")
Result = TypeVar("Result")


def styled(draw: Callable[Given, Result]) -> Callable[Given, Result]:
    """Run ``draw`` under this style alone, whatever the process or its user has set; nothing of it stays."""

    @functools.wraps(draw)
    def drawn(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        with matplotlib.style.context(["default", STYLE]):
            return draw(*args, **kwargs)

    return drawn


@styled
def save_figure(figure: Figure, path: Path) -> list[Path]:
    """Write PNG and SVG at ``path``, whose suffix is added; equal figures give equal files.

    Raises:
        UserError: its folder cannot be made or written in.
    """
    paths = [path.with_name(path.name + ".png"), path.with_name(path.name + ".svg")]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for each in paths:
            figure.savefig(each, dpi=DPI, metadata={"Date": None} if each.suffix == ".svg" else None)
    except OSError as error:
        raise UserError(f"{path.parent} cannot be written: {error.strerror}. Choose another folder.") from None
    return paths


def one_panel(height: float) -> tuple[Figure, Axes]:
    """A figure with one pair of axes; ``height`` in inches, without title and caption."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.subplots()


def panels(rows: int, columns: int, height: float, **options: Any) -> tuple[Figure, NDArray[Any]]:
    """A figure with ``rows`` x ``columns`` axes, each row ``height`` inches high."""
    figure = Figure(figsize=(WIDTH, rows * height), layout="constrained")
    axes: NDArray[Any] = figure.subplots(rows, columns, squeeze=False, **options)
    return figure, axes


# ---------------------------------------------------------------------- numbers on axes


def plain_number(value: float, _: object = None) -> str:
    """``1,500``, ``0.25``: no power of ten, no offset, and a true minus sign."""
    return f"{value:,.10g}".replace("-", "\N{MINUS SIGN}")


def short_frames(frames: float, _: object = None) -> str:
    """``16k``, ``2.5M``, ``200M``."""
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if abs(frames) >= size:
            return f"{frames / size:g}{unit}"
    return f"{frames:g}"


def round_ticks(number: int) -> MaxNLocator:
    """At most ``number`` steps between ticks, at round numbers."""
    return MaxNLocator(number, steps=[1, 2, 2.5, 5, 10])


def number_axis(axis: Any, ticks: int = 5) -> None:
    """Plain numbers on ``axis`` (an ``XAxis`` or ``YAxis``), at most ``ticks`` steps apart."""
    axis.set_major_locator(round_ticks(ticks))
    axis.set_major_formatter(FuncFormatter(plain_number))


def frames_axis(axis: Axes, *, log: bool = False, ticks: int = 5) -> None:
    """Numbers of frames along x."""
    if log:
        axis.set_xscale("log")
        axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=20))
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.xaxis.set_minor_locator(LogLocator(subs=range(1, 10), numticks=20))
    else:
        axis.xaxis.set_major_locator(round_ticks(ticks))
    axis.xaxis.set_major_formatter(FuncFormatter(short_frames))
