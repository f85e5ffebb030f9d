"""What a variant does to the score of a game, and whether that is more than chance: few seeds, so exact tests.

The p-values are of permutation tests, which hold whatever the scores' distribution is. Runs of the same seed start
from the same weights, which makes them more alike than the test assumes, and it errs less often for that.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from benchmarks.permutation import (
    MOST_COUNTED,
    PERMUTATIONS,
    Relabellings,
    holm_of_discrete,
    mean_test,
    number_of,
)
from benchmarks.reference import human_and_random

LEVEL = 0.05
CONFIDENCE = 0.95
POWER = 0.8  # with which the smallest detectable effect would be found
LEARNT_MARGIN = 0.02  # of the way from the random policy to the human: nearer to random counts as not learnt
_SIMULATED = 1_000
_MOST_SIGNS = 16  # runs whose 2**n sign changes are all looked at

Scores = NDArray[np.float64]


class Verdict(StrEnum):
    """What a row of the table says."""

    CONFIRMED = "confirmed here"
    NOT_SHOWN = "not shown here"
    OPPOSITE = "opposite"
    NOT_LEARNT = "reference had not learnt: no conclusion"
    TOO_FEW = "too few seeds"
    NO_CONTROL = "no control: no conclusion"


# ---------------------------------------------------------------------- is the game load-bearing?


@dataclass(frozen=True)
class Learnt:
    """Whether the reference is clearly above the random policy on a game, and above its control."""

    game: str
    random: float  # published score of the random policy
    bar: float  # what counts as clearly above it
    scores: Scores  # [n] of the reference, a run each
    p: float  # one-sided: chance of scores so far above the bar, if they lay evenly around it
    control: Scores  # [m] of the control, a run each; none if none is finished
    control_p: float  # one-sided: chance that the reference is so far above it, if both are alike; NaN without control

    @property
    def lowest_p(self) -> float:
        """The lowest ``p`` that so few runs permit."""
        return 0.5 ** len(self.scores) if len(self.scores) <= _MOST_SIGNS else 1 / (PERMUTATIONS + 1)

    @property
    def lowest_control_p(self) -> float:
        """The lowest ``control_p`` that so few runs permit."""
        few = len(self.control) + len(self.scores) <= MOST_COUNTED
        return 1 / (number_of(len(self.control), len(self.scores), 1) if few else PERMUTATIONS + 1)

    @property
    def decidable(self) -> bool:
        """Whether there are runs enough to tell; without a control there never are."""
        return max(self.lowest_p, self.lowest_control_p) < LEVEL

    @property
    def holds(self) -> bool:
        """Whether it has learnt: it is above both."""
        return self.p < LEVEL and self.control_p < LEVEL  # NaN is not

    @property
    def lead(self) -> Effect | None:
        """The reference's scores less its control's; None without control."""
        return effect(self.scores, self.control) if len(self.control) else None


def learnt(game: str, reference: Scores, control: Scores) -> Learnt:
    """Test whether the reference [n] has learnt ``game``: two tests, and both must hold, so neither is adjusted.

    Against the random policy's published score, and a margin above it: a sign-flip test. Against the control's scores
    [m], which may be none: the permutation test that also compares variants with the reference.
    """
    anchors = human_and_random()[game]
    bar = anchors.random + LEARNT_MARGIN * (anchors.human - anchors.random)
    above_control = effect(control, reference).p_lower if len(control) else math.nan
    return Learnt(game, anchors.random, bar, reference, sign_flip_test(reference - bar), control, above_control)


def sign_flip_test(values: Scores) -> float:
    """Exact one-sided p-value that ``values`` [n] are so far above 0, if each sign was as likely as the other.

    All 2**n sign changes are looked at, of more than 16 values so many as a permutation test draws (Fisher's
    randomisation test of one sample).
    """
    seen, count = float(values.sum()), len(values)
    if count <= _MOST_SIGNS:
        signs = 1 - 2 * (np.arange(2**count)[:, None] >> np.arange(count) & 1)
    else:
        signs = 1 - 2 * np.random.default_rng(0).integers(0, 2, (PERMUTATIONS, count))
    higher = int((signs @ values >= seen - 1e-12 * np.abs(values).sum()).sum())
    return higher / len(signs) if count <= _MOST_SIGNS else (higher + 1) / (len(signs) + 1)


# ---------------------------------------------------------------------- a variant against the reference


@dataclass(frozen=True)
class Effect:
    """A variant's scores [m] of a game less the reference's [n], in raw points."""

    difference: float  # of the means
    interval: tuple[float, float] | None  # 95 %; None where so few runs bound none
    p_lower: float  # one-sided: chance of a difference so low, or lower, if the variant changes nothing
    p_higher: float
    lowest_p: float  # that so few runs permit
    p_two_sided: float
    spread: float  # pooled standard deviation of a run


def effect(variant: Scores, reference: Scores) -> Effect:
    """Compare the runs of a variant [m] with those of the reference [n]. Raises ValueError: none, or not finite."""
    test = mean_test(variant, reference)
    degrees = len(variant) + len(reference) - 2
    squares = sum(float(((side - side.mean()) ** 2).sum()) for side in (variant, reference))
    return Effect(
        difference=float(variant.mean() - reference.mean()),
        interval=shift_interval(variant, reference),
        p_lower=test.p_lower,
        p_higher=test.p_higher,
        p_two_sided=test.p_two_sided,
        lowest_p=1 / (test.relabellings + (not test.exact)),
        spread=math.sqrt(squares / degrees) if degrees else math.nan,
    )


def shift_interval(variant: Scores, reference: Scores) -> tuple[float, float] | None:
    """Interval of the shift between the two: all shifts that the permutation test does not reject.

    Exact if the variant moves every score by the same amount. A relabelling that swaps k runs is as low as what was
    seen if the shift is at least the mean of the variant's k less that of the reference's k, so the limits lie among
    these differences: no search is needed. None where even the farthest shift could not be rejected.
    """
    drawn = Relabellings.of(len(variant), len(reference), 1)
    together = np.concatenate([variant, reference])
    swapped = (drawn.first >= len(variant)).sum(axis=1)
    moved = swapped > 0
    limits = np.sort((variant.sum() - together[drawn.first[moved]].sum(axis=1)) / swapped[moved])
    unmoved = len(drawn.first) - len(limits) + (not drawn.exact)  # as seen whatever the shift
    total = len(drawn.first) + (not drawn.exact)
    # Rejected while (unmoved + limits at or below the shift) / total <= (1 - CONFIDENCE) / 2.
    beyond = math.floor(total * (1 - CONFIDENCE) / 2 + 1e-9) - unmoved
    if beyond < 0:
        return None
    return float(limits[beyond]), float(limits[len(limits) - 1 - beyond])


def deciding_reference_seeds(m: int, n: int, comparisons: int) -> int:
    """Seeds of the reference, at least ``n``, with which m seeds of each of so many variants can be confirmed.

    With none to compare, those with which it can be above random, and above m seeds of its control.
    """
    while max(1, comparisons) / math.comb(m + n, m) >= LEVEL or 0.5**n >= LEVEL:
        n += 1
    return n


@functools.cache
def detectable(m: int, n: int, level: float) -> float:
    """Smallest drop, in standard deviations of a run, that m runs against n show with 80 % probability at ``level``.

    Simulated with normal scores of equal spread; infinite where so few runs can never reach the level.
    """
    drawn = Relabellings.of(m, n, 1)
    total = len(drawn.first) + (not drawn.exact)
    if 1 / total >= level:
        return math.inf
    noise = np.random.default_rng(0).standard_normal((_SIMULATED, m + n))
    of_variant = np.zeros((m + n, len(drawn.first)))
    np.put_along_axis(of_variant, drawn.first.T, 1.0, axis=0)
    kept = of_variant[:m].sum(axis=0)  # how many of the variant's runs stay with it
    relabelled = noise @ of_variant  # [simulated, relabellings], without the drop
    seen = noise[:, :m].sum(axis=1, keepdims=True)

    def power(drop: float) -> float:
        as_low = (relabelled - drop * kept <= seen - drop * m + 1e-9).sum(axis=1) + (not drawn.exact)
        return float((as_low / total < level).mean())

    low, high = 0.0, 20.0
    if power(high) < POWER:
        return math.inf
    while high - low > 0.01:
        middle = (low + high) / 2
        low, high = (low, middle) if power(middle) >= POWER else (middle, high)
    return high


# ---------------------------------------------------------------------- a table of comparisons


@dataclass(frozen=True)
class Judged:
    """An effect among the others of its table."""

    effect: Effect
    learnt: Learnt
    adjusted_lower: float  # Holm over the comparisons of the table
    adjusted_higher: float
    verdict: Verdict
    detectable: float  # smallest drop in raw points that would have been found, at the level of Holm's first step


def judge(comparisons: Sequence[tuple[Scores, Learnt]]) -> list[Judged]:
    """Judge every comparison of a table: a variant's scores [m] with what the reference has learnt on its game.

    All that could show anything with their numbers of runs count in the adjustment, also where the reference had not
    learnt: which those are depends on scores that the tests use too.
    """
    effects = [effect(scores, reference.scores) for scores, reference in comparisons]
    lower, higher = (np.array([getattr(each, side) for each in effects]) for side in ("p_lower", "p_higher"))
    if not effects:
        return []
    lowest = np.array([each.lowest_p for each in effects])
    adjusted = [holm_of_discrete(side, lowest, LEVEL) for side in (lower, higher)]
    counted = int((holm_of_discrete(lowest, lowest, LEVEL) < 1).sum())
    judged = []
    for place, (each, (scores, reference)) in enumerate(zip(effects, comparisons, strict=True)):
        best = lower.copy()
        best[place] = each.lowest_p
        own_lower, own_higher = float(adjusted[0][place]), float(adjusted[1][place])
        units = detectable(len(scores), len(reference.scores), LEVEL / counted) if counted else math.inf
        judged.append(
            Judged(
                each, reference, own_lower, own_higher,
                verdict(reference, own_lower, own_higher, float(holm_of_discrete(best, lowest, LEVEL)[place])),
                units * each.spread if units < math.inf else math.inf,
            )
        )  # fmt: skip
    return judged


def verdict(reference: Learnt, adjusted_lower: float, adjusted_higher: float, lowest_adjusted: float) -> Verdict:
    """The rule.

    Args:
        lowest_adjusted: what ``adjusted_lower`` would be if no relabelling were as low as what was seen, the other
            rows of the table being as they are.
    """
    if not len(reference.control):
        return Verdict.NO_CONTROL
    if not reference.decidable:
        return Verdict.TOO_FEW
    if not reference.holds:
        return Verdict.NOT_LEARNT
    if adjusted_lower < LEVEL:
        return Verdict.CONFIRMED
    if adjusted_higher < LEVEL:
        return Verdict.OPPOSITE
    return Verdict.TOO_FEW if lowest_adjusted >= LEVEL else Verdict.NOT_SHOWN
