"""Aggregates over a suite with stratified bootstrap intervals (rliable; Agarwal et al. 2021)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
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
    def all_of_them(resample: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.array([function(resample) for function in AGGREGATES.values()])

    scores = np.frombuffer(data).reshape(shape)
    intervals = _intervals(all_of_them(scores), _ends(all_of_them, repetitions, scores))
    return dict(zip(AGGREGATES, intervals, strict=True))


def performance_profile(
    scores: NDArray[np.float64], thresholds: NDArray[np.float64], repetitions: int = 1_000
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Share of runs above each threshold, [T], and its 95 % band, [2, T]; no band with one seed."""
    check_scores(scores)

    def above(resample: NDArray[np.float64]) -> NDArray[np.float64]:  # rliable's own takes 30 times as long
        shares: NDArray[np.float64] = (resample[..., None] > thresholds).mean(axis=(0, 1))
        return shares

    return above(scores), _ends(above, repetitions, scores)


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

    return iqm_by_budget(scores), _ends(iqm_by_budget, repetitions, scores)


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

    def average(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.array([_wins(one, other).mean()])

    [interval] = _intervals(average(first, second), _ends(average, repetitions, first, second))
    return Improvement(interval, _wins(first, second))


def iqm_difference(first: NDArray[np.float64], second: NDArray[np.float64], repetitions: int = REPETITIONS) -> Interval:
    """IQM of ``first`` [m, games] less IQM of ``second`` [n, games], with its 95 % bootstrap interval."""
    check_scores(first, second)

    def difference(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.array([iqm(one.ravel()) - iqm(other.ravel())])

    [interval] = _intervals(difference(first, second), _ends(difference, repetitions, first, second))
    return interval


def _ends(
    statistic: Callable[..., NDArray[np.float64]], repetitions: int, *sides: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """95 % percentile interval [2, ...] of ``statistic``, seeds resampled within games; None where one run allows none.

    rliable would return an interval of width 0 there. It ignores its random_state and draws from NumPy's global
    generator, which is seeded here and restored.
    """
    if min(map(len, sides)) == 1:
        return None
    state = np.random.get_state()
    np.random.seed(0)
    try:
        scores = sides[0] if len(sides) == 1 else sides  # one alone goes by itself, or its seeds would be drawn alike
        _, ends = rly.get_interval_estimates({"": scores}, statistic, reps=repetitions)
    finally:
        np.random.set_state(state)
    found: NDArray[np.float64] = ends[""]
    return found


def _intervals(points: NDArray[np.float64], ends: NDArray[np.float64] | None) -> list[Interval]:
    """Of each point [K] with its ends [2, K]."""
    if ends is None:
        return [Interval(float(point), None, None) for point in points]
    return [Interval(*map(float, each)) for each in zip(points, *ends, strict=True)]


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
