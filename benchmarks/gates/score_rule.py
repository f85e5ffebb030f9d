"""The score gate's rule, from scores to an answer; the calibration simulates this very code.

Two statistics are asked, as each is blind to what the other sees: the difference of IQM, and the mean over games of
the difference in units of the game's spread. Each gets half of a level, so that together they keep it.

    fail           worse: p_worse < .01
    pass           otherwise, not worse by the margin: p_margin < .05, and neither statistic is below the bar
    inconclusive   otherwise
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.gates.verdict import Verdict
from benchmarks.permutation import Relabellings, Statistic, Test, holm, iqm_difference, standardised_difference
from benchmarks.protocols import Margin

FAIL_LEVEL = 0.01
WARN_LEVEL = 0.05
MARGIN_LEVEL = 0.05
STATISTICS: dict[str, Statistic] = {"IQM": iqm_difference, "game by game": standardised_difference}


Tests = Mapping[str, Test]  # by statistic


def ask(first: NDArray[np.float64], second: NDArray[np.float64], relabellings: Relabellings) -> Tests:
    """Compare ``first`` [m, games] with ``second`` [n, games] by each statistic. Raises ValueError as a test does."""
    return {name: relabellings.test(first, second, statistic) for name, statistic in STATISTICS.items()}


def together(p_values: Iterable[float]) -> float:
    """One p-value of several, by Bonferroni: whatever ties the tests to one another, the level holds."""
    found = list(p_values)
    return min(1.0, len(found) * min(found))


def within_margin(against_bar: Tests) -> bool:
    """Whether a candidate is shown to be above the bar: by one statistic, and the other does not speak against it."""
    clear = together(test.p_higher for test in against_bar.values()) < MARGIN_LEVEL
    return clear and all(test.difference > 0 for test in against_bar.values())


@dataclass(frozen=True)
class Evidence:
    """What the statistics say of a candidate."""

    against_baseline: Tests
    against_bar: Tests  # the baseline lowered by the margin

    @property
    def p_worse(self) -> float:
        """Chance that either statistic is so low if nothing changed, at most."""
        return together(test.p_lower for test in self.against_baseline.values())

    @property
    def p_better(self) -> float:
        """The same for so high."""
        return together(test.p_higher for test in self.against_baseline.values())

    @property
    def p_margin(self) -> float:
        """Chance that either is so far above the bar if the candidate is worse by the margin, at most."""
        return together(test.p_higher for test in self.against_bar.values())

    @property
    def lowest_p(self) -> float:
        """The lowest that ``p_worse`` can be with so few runs."""
        test = next(iter(self.against_baseline.values()))
        return together([1 / (test.relabellings + (not test.exact))] * len(self.against_baseline))

    @property
    def can_fail(self) -> bool:
        """Whether there are runs enough for that."""
        return self.lowest_p < FAIL_LEVEL

    @property
    def verdict(self) -> Verdict:
        """The rule. So few runs that the gate could never fail show nothing."""
        if not self.can_fail:
            return Verdict.INCONCLUSIVE
        if self.p_worse < FAIL_LEVEL:
            return Verdict.FAIL
        return Verdict.PASS if within_margin(self.against_bar) else Verdict.INCONCLUSIVE


def weigh(
    candidate: NDArray[np.float64], baseline: NDArray[np.float64], margin: Margin, relabellings: Relabellings
) -> Evidence:
    """Evidence from ``candidate`` [m, games] and ``baseline`` [n, games]. Raises ValueError as a test does."""
    return Evidence(ask(candidate, baseline, relabellings), ask(candidate, margin.bar(baseline), relabellings))


def game_p_values(
    candidate: NDArray[np.float64], baseline: NDArray[np.float64], of_one_game: Relabellings
) -> NDArray[np.float64]:
    """Holm-adjusted p-values [games] that a game's runs are so low by chance: advice, which decides nothing."""
    alone = [slice(place, place + 1) for place in range(candidate.shape[1])]
    tests = [of_one_game.test(candidate[:, one], baseline[:, one], standardised_difference) for one in alone]
    return holm(np.array([test.p_lower for test in tests]))
