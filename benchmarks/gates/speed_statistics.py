"""The tests behind the speed gate: few numbers, no assumption on how a noisy machine's noise is distributed in time.

All work on natural logarithms of time ratios: log(1.1) is 10 % more time, and a slowdown of either side is the
other's with the sign turned.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks import permutation


@dataclass(frozen=True)
class Comparison:
    """How much more time the candidate takes than the baseline."""

    estimate: float
    """Log of the time ratio; above 0 is slower."""
    p_slower: float
    """Chance of a result at least so slow if nothing changed."""
    p_within: float
    """Chance of a result at least so fast if it were slower by exactly the margin."""
    noise: float
    """Standard deviation of one number of the test: a round's, or a session's."""
    numbers: tuple[float, ...]
    """Log ratios that were tested: candidate over baseline in each round, or in each of the candidate's sessions."""
    confirmed: bool = True
    """Whether a loss shows as often as it has to."""


# ---------------------------------------------------------------------- pairs: the signed-rank test


def signed_rank_p(differences: Sequence[float]) -> float:
    """Exact one-sided p of Wilcoxon's signed-rank test against differences around 0, by all sign flips.

    If which side of a pair is which was decided by a coin, and the sides do not differ, each of the 2^n patterns of
    signs is equally likely whatever the noise: drifting, in bursts, from any distribution. Ties get mean ranks; a
    difference of 0 has a rank and no sign (Pratt).

    Returns:
        Chance of a signed-rank sum at least as large as the one seen, at least 2^-n.
    """
    values = np.asarray(differences, float)
    doubled = np.array([np.sum(abs(values) < abs(v)) * 2 + np.sum(abs(values) == abs(v)) + 1 for v in values])
    ranks = doubled[values != 0].astype(int)  # twice the mean rank, so that all are whole
    seen = int(doubled[values > 0].sum())
    ways = np.zeros(int(ranks.sum()) + 1)  # ways[s]: patterns with positive ranks that sum to s
    ways[0] = 1.0
    for rank in ranks:
        ways[rank:] += ways[:-rank].copy()
    return float(ways[seen:].sum() / ways.sum())


def hodges_lehmann(differences: Sequence[float]) -> float:
    """The estimate that belongs to the signed-rank test: the median of all pairs' means."""
    values = np.asarray(differences, float)
    first, second = np.triu_indices(len(values))
    return float(np.median((values[first] + values[second]) / 2))


def compare_pairs(differences: Sequence[float], margin: float) -> Comparison:
    """Candidate against baseline from one log ratio for each round in which both were measured.

    Args:
        margin: log of the largest time ratio that is let pass.
    """
    return Comparison(
        hodges_lehmann(differences),
        signed_rank_p(differences),
        signed_rank_p([margin - each for each in differences]),
        float(np.std(differences, ddof=1)),
        tuple(differences),
    )


# ---------------------------------------------------------------------- sessions: prediction from a stored baseline


def compare_sessions(baseline: Sequence[float], candidate: Sequence[float], margin: float) -> Comparison:
    """Candidate against a stored baseline, from one log ratio for each session of either.

    The candidate is asked whether it could be another session of the baseline: Student's prediction interval with the
    spread *between the baseline's sessions*. Samples and rounds within a session share the state of the machine;
    taken for independent, they would make every later session look different. So far out in its tails Student's
    distribution is a guess, because sessions need not be normal: an odd one would be called a loss. Therefore a loss is
    ``confirmed`` only if two sessions or more are there, and each of them is slower by more than the margin.

    Args:
        baseline: at least 2 numbers.
        candidate: at least 1.
        margin: log of the largest time ratio that is let pass.
    """
    from scipy.stats import t as student

    noise = max(float(np.std(baseline, ddof=1)), 1e-9)  # equal sessions would divide by nothing
    estimate = float(np.mean(candidate) - np.mean(baseline))
    over = tuple(each - float(np.mean(baseline)) for each in candidate)
    error = noise * math.sqrt(1 / len(baseline) + 1 / len(candidate))
    freedom = len(baseline) - 1
    return Comparison(
        estimate,
        float(student.sf(estimate / error, freedom)),
        float(student.cdf((estimate - margin) / error, freedom)),
        noise,
        over,
        len(over) > 1 and min(over) > margin,
    )


# ---------------------------------------------------------------------- several at once, and how much more is needed


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Adjusted p values: of those below alpha, the chance that any is there by chance is at most alpha (Holm 1979)."""
    return dict(zip(p_values, permutation.holm(np.array(list(p_values.values()))).tolist(), strict=True))


def fewest_rounds(alpha: float, comparisons: int) -> int:
    """Rounds with which the signed-rank test can fall below ``alpha`` after Holm's adjustment at all."""
    return math.ceil(math.log2(comparisons / alpha) + 1e-12)


def numbers_needed(noise: float, distance: float, alpha: float) -> float:
    """How many numbers of that ``noise`` show a ``distance`` from the tested value 8 times in 10.

    By the normal approximation, with 5 % more for working with ranks; infinite for no distance.
    """
    from scipy.stats import norm

    if distance <= 0:
        return math.inf
    return float(1.05 * (noise * (norm.isf(alpha) + norm.isf(0.2)) / distance) ** 2)
