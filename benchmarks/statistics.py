"""Aggregates over a suite with stratified bootstrap intervals (rliable; Agarwal et al. 2021)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rliable import library as rly
from rliable import metrics

REPETITIONS = 10_000
FEW_SEEDS = 10

AGGREGATES: dict[str, Callable[[NDArray[np.float64]], float]] = {
    "IQM": metrics.aggregate_iqm,
    "median": metrics.aggregate_median,
    "mean": metrics.aggregate_mean,
}


@dataclass(frozen=True)
class Interval:
    """A point estimate and its 95 % interval; the ends are None where one run allows none."""

    point: float
    low: float | None
    high: float | None


def aggregates(scores: NDArray[np.float64], repetitions: int = REPETITIONS) -> dict[str, Interval]:
    """IQM, median and mean of ``scores`` [seeds, games] with percentile bootstrap intervals.

    The interval resamples seeds within each game. With one seed there is nothing to resample: rliable
    would return an interval of width 0, here it is None.

    Raises:
        ValueError: not a matrix, or a score is not finite.
    """
    _check(scores)
    return dict(_aggregates(scores.astype(np.float64).tobytes(), scores.shape, repetitions))


@functools.cache  # seconds of work, and the table, the plots and the README ask for the same
def _aggregates(data: bytes, shape: tuple[int, int], repetitions: int) -> dict[str, Interval]:
    scores = np.frombuffer(data).reshape(shape)
    if len(scores) == 1:
        return {name: Interval(float(function(scores)), None, None) for name, function in AGGREGATES.items()}
    functions = list(AGGREGATES.values())
    with _own_random_numbers():
        points, ends = rly.get_interval_estimates(
            {"suite": scores}, lambda x: np.array([function(x) for function in functions]), reps=repetitions
        )
    return {
        name: Interval(float(points["suite"][k]), float(ends["suite"][0, k]), float(ends["suite"][1, k]))
        for k, name in enumerate(AGGREGATES)
    }


def performance_profile(
    scores: NDArray[np.float64], thresholds: NDArray[np.float64], repetitions: int = 1_000
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Share of runs above each threshold, [T], and its 95 % band, [2, T]; no band with one seed."""
    _check(scores)
    if len(scores) == 1:
        return (scores[0][:, None] > thresholds).mean(axis=0), None
    with _own_random_numbers():
        profile, band = rly.create_performance_profile({"suite": scores}, thresholds, reps=repetitions)
    return profile["suite"], band["suite"]


def coverage_note(num_seeds: int) -> str:
    """What an interval from so few seeds is worth, in words; empty where there is nothing to say."""
    if num_seeds == 1:
        return "One seed allows no interval."
    if num_seeds < FEW_SEEDS:
        return (
            f"With {num_seeds} seeds these intervals are too narrow: a bootstrap of so few runs holds the true value "
            "clearly less often than the 95 % it is named after. Read them as a lower bound of the uncertainty."
        )
    return ""


def _check(scores: NDArray[np.float64]) -> None:
    if scores.ndim != 2 or not scores.size:
        raise ValueError(f"expected scores [seeds, games], got shape {scores.shape}")
    if not np.isfinite(scores).all():
        raise ValueError("expected finite scores, got NaN or infinity")


@contextmanager
def _own_random_numbers() -> Iterator[None]:
    """rliable ignores its random_state and draws from NumPy's global generator: seed that one, and restore it."""
    state = np.random.get_state()
    np.random.seed(0)
    try:
        yield
    finally:
        np.random.set_state(state)
