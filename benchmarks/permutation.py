"""Is the IQM of one set of runs below another's? A permutation test within games, exact with few seeds.

If the runs of two agents come from the same distribution in each game, then which of them carries which agent's
label is chance: every relabelling *within each game* is equally likely, whatever that distribution is. The p-value is
the share of relabellings whose difference of IQM is as low as the one that was seen.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PERMUTATIONS = 9_999
_CHUNK = 2_000  # relabellings at a time, so that memory stays small


@dataclass(frozen=True)
class Test:
    """Outcome of a one-sided test; ``exact`` if every relabelling was looked at."""

    difference: float  # IQM of the first less IQM of the second
    p_lower: float  # chance of a difference so low, or lower, under equality
    p_higher: float  # chance of one so high, or higher
    relabellings: int
    exact: bool


def iqm(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of the middle half of the last axis, [..., N] -> [...]; a quarter of N, rounded down, is cut at each end."""
    cut = scores.shape[-1] // 4
    ordered = np.sort(scores, axis=-1)
    middle: NDArray[np.float64] = ordered[..., cut : scores.shape[-1] - cut].mean(axis=-1)
    return middle


def permutation_test(
    first: NDArray[np.float64], second: NDArray[np.float64], *, permutations: int = PERMUTATIONS, seed: int = 0
) -> Test:
    """Compare the IQMs of ``first`` [m, games] and ``second`` [n, games].

    All relabellings are looked at where there are at most ``permutations`` of them, else so many drawn at random
    (equal seeds, equal result); the one that was seen counts too, so the level holds exactly (Phipson and Smyth 2010).

    Raises:
        ValueError: other shapes, or a score that is not finite.
    """
    _check(first, second)
    together = np.concatenate([first, second])  # [m + n, games]
    m, runs, games = len(first), len(together), first.shape[1]
    seen = float(iqm(first.ravel()) - iqm(second.ravel()))
    exact = math.comb(runs, m) ** games <= permutations
    chunks = iter([_all_orders(runs, m, games)]) if exact else _drawn_orders(runs, games, permutations, seed)
    tolerance = 1e-12 * max(1.0, float(np.abs(together).max()))  # equal sums may differ in their last bit
    lower = higher = count = 0
    for orders in chunks:  # [R, m + n, games], rows of ``together``
        relabelled = np.take_along_axis(together[None], orders, axis=1)
        differences = iqm(relabelled[:, :m].reshape(len(orders), -1)) - iqm(relabelled[:, m:].reshape(len(orders), -1))
        lower += int((differences <= seen + tolerance).sum())
        higher += int((differences >= seen - tolerance).sum())
        count += len(orders)
    if exact:
        return Test(seen, lower / count, higher / count, count, True)
    return Test(seen, (lower + 1) / (count + 1), (higher + 1) / (count + 1), count, False)


def _all_orders(runs: int, m: int, games: int) -> NDArray[np.int64]:
    """Every choice of ``m`` of the runs in every game, the chosen ones first."""
    everyone = range(runs)
    of_game = [[*chosen, *sorted(set(everyone) - set(chosen))] for chosen in itertools.combinations(everyone, m)]
    choices = np.array(list(itertools.product(range(len(of_game)), repeat=games)), np.int64)  # [R, games]
    orders: NDArray[np.int64] = np.array(of_game, np.int64)[choices].transpose(0, 2, 1)
    return orders


def _drawn_orders(runs: int, games: int, count: int, seed: int) -> Iterator[NDArray[np.int64]]:
    draw = np.random.default_rng(seed)
    for first in range(0, count, _CHUNK):
        yield np.argsort(draw.random((min(_CHUNK, count - first), runs, games)), axis=1)


def _check(*matrices: NDArray[np.float64]) -> None:
    for scores in matrices:
        if scores.ndim != 2 or not scores.size:
            raise ValueError(f"expected scores [seeds, games], got shape {scores.shape}")
        if not np.isfinite(scores).all():
            raise ValueError("expected finite scores, got NaN or infinity")
    if len({scores.shape[1] for scores in matrices}) > 1:
        raise ValueError(f"expected the same games, got shapes {[scores.shape for scores in matrices]}")
