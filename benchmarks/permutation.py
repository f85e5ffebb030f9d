"""Does one set of runs score below another's? Permutation tests within games, exact with few seeds.

If the runs of two agents come from the same distribution in each game, then which of them carries which agent's
label is chance: every relabelling *within each game* is equally likely, whatever that distribution is. The p-value is
the share of relabellings whose statistic is as low as the one that was seen.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PERMUTATIONS = 9_999
_CHUNK = 2_000  # relabellings at a time, so that memory stays small


@dataclass(frozen=True)
class Test:
    """Outcome of a one-sided test; ``exact`` if every relabelling was looked at."""

    difference: float  # the statistic, first against second
    p_lower: float  # chance of a difference so low, or lower, under equality
    p_higher: float  # chance of one so high, or higher
    relabellings: int
    exact: bool

    @property
    def p_two_sided(self) -> float:
        """Twice the smaller one-sided p-value."""
        return min(1.0, 2 * min(self.p_lower, self.p_higher))


def iqm(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of the middle half of the last axis, [..., N] -> [...]; a quarter of N, rounded down, is cut at each end."""
    return _middle_mean(np.sort(scores, axis=-1))


def _middle_mean(ordered: NDArray[np.float64]) -> NDArray[np.float64]:
    cut = ordered.shape[-1] // 4
    middle: NDArray[np.float64] = ordered[..., cut : ordered.shape[-1] - cut].mean(axis=-1)
    return middle


# ---------------------------------------------------------------------- statistics

# Scores of both sides [m + n, games], places of the first [R, m * games] and of the second [R, n * games] among them,
# flat: the difference under each relabelling [R].
Statistic = Callable[[NDArray[np.float64], NDArray[np.int32], NDArray[np.int32]], NDArray[np.float64]]


def iqm_difference(
    together: NDArray[np.float64], first: NDArray[np.int32], second: NDArray[np.int32]
) -> NDArray[np.float64]:
    """IQM of the first less IQM of the second, each over all its runs and games."""
    sides = [together.ravel().take(places) for places in (first, second)]
    for side in sides:
        side.sort(axis=-1)
    return _middle_mean(sides[0]) - _middle_mean(sides[1])


def standardised_difference(
    together: NDArray[np.float64], first: NDArray[np.int32], second: NDArray[np.int32]
) -> NDArray[np.float64]:
    """Mean over games of the difference of means, in units of the game's spread.

    The spread is the root of the mean squared deviation of all m + n runs from their mean, so no relabelling changes
    it, and no game, however noisy or large its scores, weighs more than another. A game whose runs are all equal
    counts as 0.
    """
    centred = together - together.mean(axis=0)
    spread = np.sqrt((centred**2).mean(axis=0))
    equal = spread <= 1e-12 * np.maximum(1.0, np.abs(together).max(axis=0))
    units = np.where(equal, 0.0, centred / np.where(equal, 1.0, spread))
    of_first = units.ravel().take(first).sum(axis=-1)
    difference: NDArray[np.float64] = of_first / first.shape[1] - (units.sum() - of_first) / second.shape[1]
    return difference


# ---------------------------------------------------------------------- tests


@dataclass(frozen=True)
class Relabellings:
    """Ways to deal the runs of each game to two sides; drawn once, they serve many tests of equal shape."""

    m: int
    n: int
    games: int
    first: NDArray[np.int32]  # [R, m * games], places in the flat scores [m + n, games]
    second: NDArray[np.int32]  # [R, n * games]
    exact: bool

    @classmethod
    def of(cls, m: int, n: int, games: int, permutations: int = PERMUTATIONS, seed: int = 0) -> Relabellings:
        """All of them where there are at most ``permutations``, else so many drawn (equal seeds, equal draws)."""
        exact = number_of(m, n, games) <= permutations
        orders = _all_orders(m + n, m, games) if exact else _drawn_orders(m + n, games, permutations, seed)
        places = (orders * games + np.arange(games)).astype(np.int32).reshape(len(orders), -1)
        return cls(m, n, games, places[:, : m * games], places[:, m * games :], exact)

    def test(self, first: NDArray[np.float64], second: NDArray[np.float64], statistic: Statistic) -> Test:
        """Compare ``first`` [m, games] with ``second`` [n, games]. Raises ValueError: other shapes, or not finite."""
        check_scores(first, second)
        if (len(first), *second.shape) != (self.m, self.n, self.games):
            raise ValueError(f"relabellings of {(self.m, self.n, self.games)}, got {first.shape} and {second.shape}")
        # Sorted, so that the names of the seeds do not change which relabellings are drawn.
        together = np.concatenate([np.sort(first, axis=0), np.sort(second, axis=0)])  # [m + n, games]
        as_seen = np.arange(together.size, dtype=np.int32)[None]
        seen = float(statistic(together, as_seen[:, : first.size], as_seen[:, first.size :])[0])
        tolerance = 1e-12 * max(1.0, float(np.abs(together).max()))  # equal sums may differ in their last bit
        lower = higher = 0
        for start in range(0, len(self.first), _CHUNK):
            part = slice(start, start + _CHUNK)
            differences = statistic(together, self.first[part], self.second[part])
            lower += int((differences <= seen + tolerance).sum())
            higher += int((differences >= seen - tolerance).sum())
        count, itself = len(self.first), 0 if self.exact else 1
        return Test(seen, (lower + itself) / (count + itself), (higher + itself) / (count + itself), count, self.exact)


def permutation_test(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    *,
    statistic: Statistic = iqm_difference,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> Test:
    """Compare ``first`` [m, games] and ``second`` [n, games] by ``statistic``.

    All relabellings are looked at where there are at most ``permutations`` of them, else so many drawn at random
    (equal seeds, equal result); the one that was seen counts too, so the level holds exactly (Phipson and Smyth 2010).

    Raises:
        ValueError: other shapes, or a score that is not finite.
    """
    check_scores(first, second)
    drawn = Relabellings.of(len(first), len(second), first.shape[1], permutations, seed)
    return drawn.test(first, second, statistic)


MOST_COUNTED = 40  # runs of a game whose relabellings are counted; half of them have 2**20 subsets


def mean_test(first: NDArray[np.float64], second: NDArray[np.float64]) -> Test:
    """Compare the means of ``first`` [m] and ``second`` [n] of one game, over every relabelling.

    They are counted and not listed (Horowitz and Sahni 1974): a relabelling gives the first side k of one half of the
    runs and m - k of the other, and of two sorted lists of sums it is known how many pairs lie below what was seen.
    Of more than MOST_COUNTED runs relabellings are drawn.

    Raises:
        ValueError: no run, or a score that is not finite.
    """
    check_scores(first[:, None], second[:, None])
    together, m = np.concatenate([first, second]), len(first)
    if len(together) > MOST_COUNTED:
        return permutation_test(first[:, None], second[:, None], statistic=standardised_difference)
    halves = [_sums_of_subsets(half) for half in np.array_split(together, 2)]
    seen, tolerance = first.sum(), 1e-12 * np.abs(together).sum()  # equal sums may differ in their last bits
    lower = higher = 0
    for k, own in enumerate(halves[0]):
        if 0 <= m - k < len(halves[1]):
            others = halves[1][m - k]
            lower += int(np.searchsorted(others, seen + tolerance - own, side="right").sum())
            higher += int((len(others) - np.searchsorted(others, seen - tolerance - own, side="left")).sum())
    ways = number_of(m, len(second), 1)
    return Test(float(first.mean() - second.mean()), lower / ways, higher / ways, ways, True)


def _sums_of_subsets(values: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Sums of every subset of ``values`` [N], sorted, by the subset's size 0 to N."""
    sums, sizes = np.zeros(1), np.zeros(1, np.int64)
    for value in values:
        sums, sizes = np.concatenate([sums, sums + value]), np.concatenate([sizes, sizes + 1])
    return [np.sort(sums[sizes == size]) for size in range(len(values) + 1)]


def number_of(m: int, n: int, games: int) -> int:
    """How many relabellings there are; one over it is the lowest p-value that can be."""
    return int(math.comb(m + n, m) ** games)


def holm(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """P-values [N] adjusted for being N (Holm 1979): at a level, the chance of any false rejection is at most it."""
    order = np.argsort(p_values, kind="stable")
    steps = np.maximum.accumulate(p_values[order] * np.arange(len(p_values), 0, -1))
    adjusted = np.empty_like(steps)
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted


def holm_of_discrete(p_values: NDArray[np.float64], lowest: NDArray[np.float64], level: float) -> NDArray[np.float64]:
    """As ``holm``, but tests that could never have been rejected do not count (Tarone 1990); theirs become 1.

    Args:
        p_values: [N].
        lowest: [N] the smallest that each test permits, whatever is seen; known from the numbers of runs alone.
        level: at which is tested.
    """
    count = next(k for k in range(len(lowest) + 1) if (lowest < level / max(k, 1)).sum() <= k)
    counted = lowest < level / max(count, 1)
    adjusted = np.ones(len(p_values))
    adjusted[counted] = holm(p_values[counted])
    return adjusted


def _all_orders(runs: int, m: int, games: int) -> NDArray[np.int64]:
    """Every choice of ``m`` of the runs in every game, [R, runs, games], the chosen ones first."""
    everyone = range(runs)
    of_game = [[*chosen, *sorted(set(everyone) - set(chosen))] for chosen in itertools.combinations(everyone, m)]
    choices = np.array(list(itertools.product(range(len(of_game)), repeat=games)), np.int64)  # [R, games]
    orders: NDArray[np.int64] = np.array(of_game, np.int64)[choices].transpose(0, 2, 1)
    return orders


def _drawn_orders(runs: int, games: int, count: int, seed: int) -> NDArray[np.int64]:
    """Orders of the runs, [count, runs, games], drawn for each game by itself."""
    draw = np.random.default_rng(seed)
    orders = np.empty((count, games, runs), np.int64)
    for start in range(0, count, _CHUNK):
        part = orders[start : start + _CHUNK]
        part[:] = np.argsort(draw.random(part.shape), axis=-1)
    return orders.transpose(0, 2, 1)


def check_scores(*matrices: NDArray[np.float64]) -> None:
    """Raise ValueError unless each is [seeds, games] and finite, and all have the same games."""
    for scores in matrices:
        if scores.ndim != 2 or not scores.size:
            raise ValueError(f"expected scores [seeds, games], got shape {scores.shape}")
        if not np.isfinite(scores).all():
            raise ValueError("expected finite scores, got NaN or infinity")
    if len({scores.shape[1] for scores in matrices}) > 1:
        raise ValueError(f"expected the same games, got shapes {[scores.shape for scores in matrices]}")
