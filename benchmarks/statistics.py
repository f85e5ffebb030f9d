"""Aggregates over a suite with stratified bootstrap intervals (rliable; Agarwal et al. 2021)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rliable import library as rly
from rliable import metrics

from benchmarks.permutation import check_scores, iqm
from benchmarks.reference import subset

REPETITIONS = 10_000
FEW_SEEDS = 10

AGGREGATES: dict[str, Callable[[NDArray[np.float64]], float]] = {
    "IQM": lambda scores: float(iqm(scores.ravel())),  # rliable's takes 15 times as long, and most of a bootstrap
    "median": metrics.aggregate_median,
    "mean": metrics.aggregate_mean,
    "optimality gap": metrics.aggregate_optimality_gap,
}


@dataclass(frozen=True)
class Interval:
    """A point estimate and its 95 % interval; the ends are None where one run allows none."""

    point: float
    low: float | None
    high: float | None


def aggregates(scores: NDArray[np.float64], repetitions: int = REPETITIONS) -> dict[str, Interval]:
    """IQM, median, mean and optimality gap of ``scores`` [seeds, games] with percentile bootstrap intervals.

    The optimality gap is what is lacking to 1, the human's score, on average: lower is better.

    The interval resamples seeds within each game. With one seed there is nothing to resample: rliable
    would return an interval of width 0, here it is None.

    Raises:
        ValueError: not a matrix, or a score is not finite.
    """
    check_scores(scores)
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
    check_scores(scores)
    if len(scores) == 1:
        return (scores[0][:, None] > thresholds).mean(axis=0), None
    with _own_random_numbers():
        profile, band = rly.create_performance_profile({"suite": scores}, thresholds, reps=repetitions)
    return profile["suite"], band["suite"]


def sample_efficiency(
    scores: NDArray[np.float64], repetitions: int = 1_000
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """IQM at each budget of ``scores`` [seeds, games, T]: points [T], and their 95 % band [2, T], None with one seed.

    Raises:
        ValueError: another shape, or a score is not finite.
    """
    if scores.ndim != 3 or not scores.size or not np.isfinite(scores).all():
        raise ValueError(f"expected finite scores [seeds, games, budgets], got shape {scores.shape}")

    def iqm_by_budget(resample: NDArray[np.float64]) -> NDArray[np.float64]:
        return iqm(resample.transpose(2, 0, 1).reshape(resample.shape[2], -1))

    if len(scores) == 1:
        return iqm_by_budget(scores), None
    with _own_random_numbers():
        points, ends = rly.get_interval_estimates({"suite": scores}, iqm_by_budget, reps=repetitions)
    return points["suite"], ends["suite"]


@dataclass(frozen=True)
class Improvement:
    """Chance that a run of the first scores above a run of the second, a tie counting half."""

    average: Interval  # over games
    by_game: NDArray[np.float64]  # [games]


def probability_of_improvement(
    first: NDArray[np.float64], second: NDArray[np.float64], repetitions: int = 2_000
) -> Improvement:
    """Probability of improvement of ``first`` [m, games] over ``second`` [n, games] (Agarwal et al. 2021).

    rliable's own function takes 6 ms a resample; this one compares all pairs of runs at once.
    """
    check_scores(first, second)
    by_game = _wins(first, second)
    average = float(by_game.mean())
    if len(first) == 1 or len(second) == 1:
        return Improvement(Interval(average, None, None), by_game)
    with _own_random_numbers():
        _, ends = rly.get_interval_estimates(
            {"pair": (first, second)}, lambda x, y: np.array([_wins(x, y).mean()]), reps=repetitions
        )
    return Improvement(Interval(average, float(ends["pair"][0, 0]), float(ends["pair"][1, 0])), by_game)


def iqm_difference(first: NDArray[np.float64], second: NDArray[np.float64], repetitions: int = REPETITIONS) -> Interval:
    """IQM of ``first`` [m, games] less IQM of ``second`` [n, games], with its 95 % bootstrap interval."""
    check_scores(first, second)
    point = float(iqm(first.ravel()) - iqm(second.ravel()))
    if len(first) == 1 or len(second) == 1:
        return Interval(point, None, None)
    with _own_random_numbers():
        _, ends = rly.get_interval_estimates(
            {"pair": (first, second)}, lambda x, y: np.array([iqm(x.ravel()) - iqm(y.ravel())]), reps=repetitions
        )
    return Interval(point, float(ends["pair"][0, 0]), float(ends["pair"][1, 0]))


def _wins(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    above = (first[:, None] > second[None]) + 0.5 * (first[:, None] == second[None])  # [m, n, games]
    shares: NDArray[np.float64] = above.mean(axis=(0, 1))
    return shares


# ---------------------------------------------------------------------- the median over 57 games


def predicted_median(scores: NDArray[np.float64], games: Sequence[str], suite: str) -> float | None:
    """The median over 57 games that ``scores`` [seeds, games] of a subset predict; None for a suite that is none.

    ``10^(sum c_i log10(1 + max(0, 100 hns_i))) - 1`` percent of the games' mean scores, without an intercept
    (Aitchison et al. 2022).
    """
    found = subset(suite)
    if found is None:
        return None
    check_scores(scores)
    of_game = dict(zip(games, scores.mean(axis=0), strict=True))
    logs = [c * np.log10(1 + max(0.0, 100 * of_game[game])) for game, c in found.coefficients.items()]
    return float(10 ** sum(logs) - 1) / 100


def prediction_note(suite: str) -> str:
    """How far a predicted median may be off, in words; empty for a suite that predicts none."""
    found = subset(suite)
    if found is None:
        return ""
    return (
        f"The predicted median over 57 games was {found.relative_error:.1%} off (relative) in its authors' "
        "cross-validation, and 13 % too low on average for eight DQN agents that were not in the fit. The subset was "
        "chosen to predict the median: its IQM is not the IQM over 57 games."
    )


# ---------------------------------------------------------------------- what is said of them


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


@contextmanager
def _own_random_numbers() -> Iterator[None]:
    """rliable ignores its random_state and draws from NumPy's global generator: seed that one, and restore it."""
    state = np.random.get_state()
    np.random.seed(0)
    try:
        yield
    finally:
        np.random.set_state(state)
