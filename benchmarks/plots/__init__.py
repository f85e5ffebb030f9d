"""Drawings: learning curves, scores per game, aggregates with intervals, comparisons (PNG and SVG)."""

from benchmarks.plots.comparison import draw_comparison
from benchmarks.plots.shown import Shown, shown_at
from benchmarks.plots.style import one_panel, save_figure
from benchmarks.plots.suite import draw_all, stored_baseline
from benchmarks.plots.svg import svg_text

__all__ = [
    "Shown",
    "draw_all",
    "draw_comparison",
    "one_panel",
    "save_figure",
    "shown_at",
    "stored_baseline",
    "svg_text",
]
