"""Comparisons drawn from real per-seed scores, to ask how often the score gate is right.

A few seeds of a game do not show the shape of its noise, and drawing them again as they are has too little variance
and many ties. So shapes are borrowed: see ``MODELS``.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.gates.score_rule import Evidence, ask, weigh, within_margin
from benchmarks.permutation import Relabellings
from benchmarks.protocols import Margin

RELABELLINGS = 1_000  # of a simulated test
_PAIRS_A_DRAW = 10  # comparisons that share drawn relabellings: many alike would spread counts beyond a binomial's
_POOLED_WIDTH, _OWN_WIDTH = 0.3, 0.5  # of the kernels, in standard deviations
MOST_SEEDS = 100
_LADDER = (*range(2, 11), 12, 15, 20, 25, 30, 40, 50, 75, MOST_SEEDS)
_PASSES, _TRIALS, _TRIAL_RELABELLINGS = 160, 200, 200  # four times in five


@dataclass(frozen=True)
class Noise:
    """Mean and standard deviation of each game [games], and the standardised residuals [k, games] of real seeds."""

    means: NDArray[np.float64]
    deviations: NDArray[np.float64]
    residuals: NDArray[np.float64]  # mean 0 and mean square 1 in each game

    @classmethod
    def of(cls, scores: NDArray[np.float64]) -> Noise:
        """From real ``scores`` [k, games]. Raises ValueError: fewer than two seeds."""
        k = len(scores)
        if k < 2:
            raise ValueError(f"expected two seeds or more, got scores of shape {scores.shape}")
        deviations = scores.std(axis=0, ddof=1)
        unit = np.where(deviations > 0, deviations, 1.0)
        return cls(scores.mean(axis=0), deviations, (scores - scores.mean(axis=0)) / unit * math.sqrt(k / (k - 1)))


Draw = Callable[[Noise, tuple[int, int], np.random.Generator], NDArray[np.float64]]


def pooled(noise: Noise, shape: tuple[int, int], draw: np.random.Generator) -> NDArray[np.float64]:
    """Runs [count, seeds, games]: each game's mean and deviation, residuals of all games, smoothed.

    The kernel's variance is taken out again, so that a draw has the variance of the real seeds.
    """
    pool = noise.residuals.ravel()
    drawn = pool[draw.integers(len(pool), size=(*shape, len(noise.means)))]
    return noise.means + noise.deviations * _smoothed(drawn, _POOLED_WIDTH, draw)


def own(noise: Noise, shape: tuple[int, int], draw: np.random.Generator) -> NDArray[np.float64]:
    """The same with residuals of the game alone, smoothed more."""
    rows = draw.integers(len(noise.residuals), size=(*shape, len(noise.means)))
    drawn = noise.residuals[rows, np.arange(len(noise.means))]
    return noise.means + noise.deviations * _smoothed(drawn, _OWN_WIDTH, draw)


def uncertain(noise: Noise, shape: tuple[int, int], draw: np.random.Generator) -> NDArray[np.float64]:
    """Normal, the deviation of each game drawn anew for each comparison, as uncertain as so few seeds leave it."""
    freedom = len(noise.residuals) - 1
    factor = np.sqrt(freedom / draw.chisquare(freedom, size=(shape[0], 1, len(noise.means))))
    return noise.means + noise.deviations * factor * draw.standard_normal((*shape, len(noise.means)))


MODELS: dict[str, Draw] = {"pooled": pooled, "own": own, "uncertain": uncertain}


def _smoothed(drawn: NDArray[np.float64], width: float, draw: np.random.Generator) -> NDArray[np.float64]:
    smoothed: NDArray[np.float64] = (drawn + width * draw.standard_normal(drawn.shape)) / math.sqrt(1 + width**2)
    return smoothed


def comparisons(
    noise: Noise, m: int, n: int, count: int, draw: np.random.Generator, model: Draw = pooled
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Candidates [count, m, games] and baselines [count, n, games] of one and the same agent."""
    runs = model(noise, (count, m + n), draw)
    return runs[:, :m], runs[:, m:]


def dropped(scores: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """``scores`` moved towards the random policy's by ``share``; one at or below it stays where it is."""
    return scores - share * np.maximum(scores, 0)


def weigh_all(
    candidates: NDArray[np.float64], baselines: NDArray[np.float64], margin: Margin, seed: int
) -> Iterator[Evidence]:
    """Evidence of each pair of ``candidates`` [S, m, games] and ``baselines`` [S, n, games], by the gate's own code."""
    for place, (candidate, baseline) in enumerate(zip(candidates, baselines, strict=True)):
        if place % _PAIRS_A_DRAW == 0:
            shape = len(candidate), len(baseline), baseline.shape[1]
            drawn = Relabellings.of(*shape, RELABELLINGS, seed + place)
        yield weigh(candidate, baseline, margin, drawn)


# ---------------------------------------------------------------------- how many seeds would decide


def seeds_to_pass(
    candidate: NDArray[np.float64], baseline: NDArray[np.float64], margin: Margin, seed: int = 0
) -> int | None:
    """Seeds on each side with which an unchanged agent passes four times in five; None if over 100.

    Simulated: both sides normal, with the baseline's mean and the pooled variance within the sides in each game. It
    holds if nothing changed, and as far as that variance, of few runs, can be trusted.

    Raises:
        ValueError: one run on each side, which shows no variance.
    """
    freedom = len(candidate) + len(baseline) - 2
    if freedom < 1:
        raise ValueError("one run on each side shows no variance")
    squares = sum(((side - side.mean(axis=0)) ** 2).sum(axis=0) for side in (candidate, baseline))
    deviations, means = np.sqrt(squares / freedom), baseline.mean(axis=0)

    def passes_often(seeds: int) -> bool:
        draw = np.random.default_rng([seed, seeds])
        runs = means + deviations * draw.standard_normal((_TRIALS, 2 * seeds, len(means)))
        drawn = Relabellings.of(seeds, seeds, len(means), _TRIAL_RELABELLINGS, seed)
        passes = fails = 0
        for each in runs:
            if within_margin(ask(each[:seeds], margin.bar(each[seeds:]), drawn)):
                passes += 1
            else:
                fails += 1
            if passes >= _PASSES or fails > _TRIALS - _PASSES:
                break  # the rest changes nothing
        return passes >= _PASSES

    place = bisect.bisect_left(range(len(_LADDER)), True, key=lambda rung: passes_often(_LADDER[rung]))
    return _LADDER[place] if place < len(_LADDER) else None
