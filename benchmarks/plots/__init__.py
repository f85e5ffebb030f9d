"""Drawings: learning curves, scores per game, aggregates with intervals, comparisons (PNG and SVG)."""

from benchmarks.plots.comparison import draw_comparison
from benchmarks.plots.suite import draw_all, stored_baseline

__all__ = ["draw_all", "draw_comparison", "stored_baseline"]
