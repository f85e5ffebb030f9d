"""Effects and verdicts: numbers worked by hand, and by counting relabellings in another way."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.failures.effects import (
    LEVEL,
    Learnt,
    Verdict,
    deciding_reference_seeds,
    detectable,
    effect,
    judge,
    learnt,
    shift_interval,
    sign_flip_test,
    verdict,
)
from benchmarks.permutation import permutation_test, standardised_difference
from benchmarks.reference import human_and_random


def by_counting(variant, reference):
    """One-sided p-values, lower and higher, over every choice of which runs are the variant's; sums, not means."""
    everyone = [*variant, *reference]
    seen = sum(variant)
    sums = [sum(chosen) for chosen in itertools.combinations(everyone, len(variant))]
    return (
        sum(each <= seen + 1e-9 for each in sums) / len(sums),
        sum(each >= seen - 1e-9 for each in sums) / len(sums),
    )


def test_three_against_five_all_below_worked_by_hand():
    found = effect(np.array([0.0, 1.0, 2.0]), np.array([10.0, 11.0, 12.0, 13.0, 14.0]))
    assert found.difference == -11.0
    assert found.p_lower == found.lowest_p == 1 / 56  # of C(8, 3) choices only this one is so low
    assert found.p_higher == 1.0
    assert found.p_two_sided == effect(-np.array([0.0, 1.0, 2.0]), -np.arange(10.0, 15.0)).p_two_sided == 2 / 56
    assert found.spread == pytest.approx(math.sqrt((2 + 10) / 6))
    # .025 of 56 is 1.4: a shift is rejected while the relabelling as seen is the only one so far out, which ends at the
    # first swap that ties with it. The swap of 0 for 14 does at -14, the lowest; that of 2 for 10 at -8, the highest.
    assert found.interval == (-14.0, -8.0)


@given(st.lists(st.integers(-20, 20), min_size=2, max_size=4), st.lists(st.integers(-20, 20), min_size=2, max_size=5))
@settings(max_examples=60, deadline=None)
def test_p_values_are_those_of_counting(variant, reference):
    found = effect(np.array(variant, float), np.array(reference, float))
    assert (found.p_lower, found.p_higher) == pytest.approx(by_counting(variant, reference))
    assert found.lowest_p == 1 / math.comb(len(variant) + len(reference), len(variant))


@pytest.mark.parametrize(("m", "n", "seed"), [(3, 5, 0), (3, 5, 1), (4, 6, 2), (5, 5, 3)])
def test_the_interval_is_the_shifts_that_the_test_does_not_reject(m, n, seed):
    draw = np.random.default_rng(seed)
    variant, reference = draw.normal(size=m), draw.normal(size=n)
    low, high = shift_interval(variant, reference)
    for shift, inside in ((low - 1e-6, False), (low + 1e-6, True), (high - 1e-6, True), (high + 1e-6, False)):
        assert (min(by_counting(variant - shift, reference)) > 0.025) == inside


def test_an_interval_covers_a_shift_at_least_as_often_as_it_says():
    draw = np.random.default_rng(0)
    covered = []
    for _ in range(400):
        low, high = shift_interval(draw.normal(size=3) + 2.0, draw.normal(size=5))
        covered.append(low <= 2.0 <= high)
    assert 0.94 < np.mean(covered) <= 1.0  # 54 of 56 relabellings: 96.4 %


def test_too_few_seeds_have_no_interval_and_equal_runs_have_one_of_no_width():
    assert shift_interval(np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0])) is None  # 1/20 a side
    assert shift_interval(np.zeros(3), np.zeros(5)) == (0.0, 0.0)
    assert effect(np.zeros(3), np.zeros(5)).p_two_sided == 1.0  # both sides are 1, and twice that is no chance
    assert math.isnan(effect(np.zeros(1), np.ones(1)).spread)


def test_of_many_runs_the_interval_is_the_shifts_that_as_many_drawn_relabellings_do_not_reject():
    """C(16, 8) is 12,870: 9,999 are drawn, and the one that was seen counts beside them."""
    draw = np.random.default_rng(0)
    variant, reference = np.sort(draw.normal(size=8)), np.sort(draw.normal(size=8))  # as the test sorts them
    low, high = shift_interval(variant, reference)
    for shift, inside in ((low - 1e-6, False), (low + 1e-6, True), (high - 1e-6, True), (high + 1e-6, False)):
        test = permutation_test((variant - shift)[:, None], reference[:, None], statistic=standardised_difference)
        assert (min(test.p_lower, test.p_higher) > 0.025) == inside


# ---------------------------------------------------------------------- is the game load-bearing?


def test_the_sign_flip_test_worked_by_hand():
    assert sign_flip_test(np.array([3.0, 1.0, 2.0, 5.0, 4.0])) == 1 / 32
    assert sign_flip_test(np.array([10.0, 10.0, 10.0, 10.0, -1.0])) == 2 / 32  # as seen, and with the last one turned
    assert sign_flip_test(np.array([-3.0, -1.0])) == 1.0
    assert sign_flip_test(np.zeros(5)) == 1.0
    assert sign_flip_test(np.array([0.1, 0.2, -0.3])) == 5 / 8  # 0 but for rounding, as with all turned
    assert sign_flip_test(np.ones(16)) == 0.5**16
    assert sign_flip_test(np.ones(40)) == 1 / 10_000  # drawn: as seen, beside 9,999


def test_with_many_runs_the_sign_flip_test_draws_and_agrees_with_the_normal_one():
    values = np.random.default_rng(0).normal(size=40) + 0.3
    z = values.sum() / math.sqrt((values**2).sum())
    assert sign_flip_test(values) == pytest.approx(0.5 * math.erfc(z / math.sqrt(2)), abs=0.01)


def test_the_bar_lies_above_random_by_a_share_of_the_way_to_the_human():
    anchors = human_and_random()["road_runner"]
    bar = anchors.random + 0.02 * (anchors.human - anchors.random)
    control = np.zeros(3)
    above = learnt("road_runner", np.full(5, bar + 1), control)
    assert (above.bar, above.p, above.holds) == (pytest.approx(bar), 1 / 32, True)
    assert not learnt("road_runner", np.array([bar - 1, *[bar] * 4]), control).holds
    assert learnt("road_runner", np.full(5, anchors.random + 1), control).holds is False
    assert [learnt("pong", np.zeros(n), control).decidable for n in (3, 4, 5, 20)] == [False, False, True, True]


def test_the_reference_must_also_be_above_its_control_worked_by_hand():
    reference = np.array([1_000.0, 1_100.0, 1_200.0, 1_300.0, 1_400.0, 1_500.0])  # bar is 168.2: 1/64
    above = learnt("road_runner", reference, np.array([700.0, 800.0, 900.0]))
    assert (above.p, above.control_p, above.holds) == (1 / 64, 1 / 84, True)  # one of C(9, 3) choices is so low
    assert (above.lowest_p, above.lowest_control_p) == (1 / 64, 1 / 84)
    # One of the control's is above four of the reference's: of the choices of three, these sum to 2,950 or less.
    mixed = np.array([700.0, 800.0, 1_450.0])
    lower, _ = by_counting(mixed, reference)
    assert learnt("road_runner", reference, mixed).control_p == pytest.approx(lower)
    # One run of the control among five: it or the reference's lowest could be the lowest two, so 2 of 5.
    few = learnt("road_runner", np.array([1_000.0, 2_000.0, 3_000.0, 4_000.0]), np.array([1_500.0]))
    assert few.control_p == pytest.approx(2 / 5)
    alike = learnt("road_runner", reference, reference[:3] + 300)
    assert (alike.p, alike.holds, alike.decidable) == (1 / 64, False, True)  # far above random, and has not learnt
    assert alike.control_p > 0.5


def test_both_tests_must_be_decidable():
    reference = np.full(6, 1_000.0)
    assert learnt("road_runner", reference, np.zeros(1)).decidable is False  # 1/7
    assert learnt("road_runner", reference, np.zeros(2)).decidable is True  # 1/28
    assert learnt("road_runner", reference[:4], np.zeros(4)).decidable is False  # 1/70, but 1/16
    assert learnt("road_runner", np.full(19, 1_000.0), np.zeros(1)).decidable is False  # 1/20 is not below .05
    none = learnt("road_runner", reference, np.zeros(0))
    assert (none.decidable, none.holds, math.isnan(none.control_p)) == (False, False, True)
    many = learnt("road_runner", np.full(20, 1_000.0), np.zeros(20))
    assert many.lowest_control_p == many.control_p == 1 / math.comb(40, 20)  # counted
    more = learnt("road_runner", np.full(21, 1_000.0), np.zeros(20))
    assert more.lowest_control_p == more.control_p == 1 / 10_000  # drawn: as seen, beside 9,999
    assert more.lowest_p == more.p == more.lead.lowest_p == 1 / 10_000
    sixteen = learnt("road_runner", np.full(16, 1_000.0), np.zeros(3))
    assert sixteen.lowest_p == sixteen.p == 0.5**16  # all sign changes


# ---------------------------------------------------------------------- verdicts

THREE = np.full(3, -15.0)
LEARNT = Learnt("pong", -20.7, -20.0, np.full(5, 10.0), 1 / 32, THREE, 1 / 56)
NOT_ABOVE_RANDOM = Learnt("pong", -20.7, -20.0, np.full(5, -21.0), 1.0, THREE - 10, 1 / 56)
NOT_ABOVE_CONTROL = Learnt("pong", -20.7, -20.0, np.full(5, 10.0), 1 / 32, THREE + 26, 0.05)
FEW = Learnt("pong", -20.7, -20.0, np.full(3, 10.0), 1 / 8, THREE, 1 / 20)
FEW_OF_CONTROL = Learnt("pong", -20.7, -20.0, np.full(5, 10.0), 1 / 32, THREE[:1], 1 / 6)
WITHOUT = Learnt("pong", -20.7, -20.0, np.full(5, 10.0), 1 / 32, THREE[:0], math.nan)


@pytest.mark.parametrize(
    ("reference", "lower", "higher", "lowest", "expected"),
    [
        (LEARNT, 0.04, 1.0, 0.02, Verdict.CONFIRMED),
        (LEARNT, 0.05, 1.0, 0.02, Verdict.NOT_SHOWN),
        (LEARNT, 1.0, 0.04, 0.02, Verdict.OPPOSITE),
        (LEARNT, 1.0, 0.05, 0.02, Verdict.NOT_SHOWN),
        (LEARNT, 0.2, 0.9, 0.05, Verdict.TOO_FEW),
        (NOT_ABOVE_RANDOM, 0.04, 1.0, 0.02, Verdict.NOT_LEARNT),
        (NOT_ABOVE_RANDOM, 0.2, 1.0, 0.2, Verdict.NOT_LEARNT),
        (NOT_ABOVE_CONTROL, 0.04, 1.0, 0.02, Verdict.NOT_LEARNT),
        (NOT_ABOVE_CONTROL, 1.0, 0.04, 0.02, Verdict.NOT_LEARNT),
        (FEW, 0.04, 1.0, 0.02, Verdict.TOO_FEW),
        (FEW_OF_CONTROL, 0.04, 1.0, 0.02, Verdict.TOO_FEW),
        (WITHOUT, 0.04, 1.0, 0.02, Verdict.NO_CONTROL),
    ],
)
def test_the_rule(reference, lower, higher, lowest, expected):
    assert verdict(reference, lower, higher, lowest) == expected


def test_a_table_is_judged_as_a_whole():
    reference = np.array([100.0, 110.0, 120.0, 130.0, 140.0])
    control = np.array([19.0, 20.0, 21.0])
    bears = Learnt("road_runner", 11.5, 50.0, reference, 1 / 32, control, 1 / 56)
    low, alike, high = np.array([0.0, 1.0, 2.0]), np.array([105.0, 121.0, 135.0]), np.array([200.0, 210.0, 220.0])
    both = judge([(low, bears), (alike, bears)])
    assert [each.verdict for each in both] == [Verdict.CONFIRMED, Verdict.NOT_SHOWN]
    assert both[0].adjusted_lower == pytest.approx(2 / 56)
    sides = judge([(low, bears), (high, bears)])
    assert [each.verdict for each in sides] == [Verdict.CONFIRMED, Verdict.OPPOSITE]
    assert sides[1].adjusted_higher == pytest.approx(2 / 56)
    # Three comparisons of 3 against 5: 3 / 56 is above the level, so that no scores could have decided.
    three = judge([(low, bears), (alike, bears), (alike, bears)])
    assert [each.adjusted_lower for each in three] == [1.0] * 3
    assert {each.verdict for each in three} == {Verdict.TOO_FEW}
    assert {each.detectable for each in three} == {math.inf}
    # A third comparison that has one run could show nothing, and takes nothing from the other two.
    two = judge([(low, bears), (np.array([0.0]), bears), (alike, bears)])
    assert [each.verdict for each in two] == [Verdict.CONFIRMED, Verdict.TOO_FEW, Verdict.NOT_SHOWN]
    assert two[0].adjusted_lower == pytest.approx(2 / 56)
    of_one_run = math.sqrt((2 + 1_000) / 6)  # squares about the means of 1 and of 120
    assert two[0].detectable == both[0].detectable == pytest.approx(detectable(3, 5, LEVEL / 2) * of_one_run)
    alone = dataclasses.replace(bears, scores=reference[:1])  # one against one: no spread either
    assert two[1].detectable == judge([(low[:1], alone)])[0].detectable == math.inf
    nothing = Learnt("road_runner", 11.5, 500.0, reference, 1.0, control, 1 / 56)
    assert [each.verdict for each in judge([(low, nothing)])] == [Verdict.NOT_LEARNT]
    assert bears.lead.difference == 100
    assert Learnt("road_runner", 11.5, 50.0, reference, 1 / 32, np.array([]), np.nan).lead is None
    assert judge([]) == []


def test_variants_that_change_nothing_are_rarely_confirmed():
    """Of tables of two comparisons with runs all alike, at most 5 % confirm any; each shares the reference."""
    draw, confirmed = np.random.default_rng(1), 0
    for _ in range(400):
        reference = draw.normal(100, 20, 5)
        bears = learnt("road_runner", reference + 500, np.zeros(3))
        rows = judge([(draw.normal(600, 20, 3), bears), (draw.normal(600, 20, 3), bears)])
        confirmed += any(row.verdict is Verdict.CONFIRMED for row in rows)
    assert confirmed <= 30  # 400 x .05, and two and a half standard deviations of a binomial


# ---------------------------------------------------------------------- what can be seen


def test_the_smallest_detectable_drop_is_found_as_often_as_it_says():
    m, n, level = 3, 5, LEVEL / 2
    drop, draw, found = detectable(m, n, level), np.random.default_rng(7), 0
    for _ in range(400):
        found += effect(draw.normal(size=m) - drop, draw.normal(size=n)).p_lower < level
    assert 0.74 < found / 400 < 0.86
    assert detectable(m, n, LEVEL) < drop  # a looser level needs less
    assert detectable(5, 10, level) < drop  # and so do more seeds


def test_what_so_few_seeds_can_never_show_is_infinite():
    assert detectable(3, 5, 1 / 56) == math.inf
    assert detectable(3, 5, 1 / 55) < math.inf


def test_the_seeds_of_the_reference_that_can_decide_worked_by_hand():
    assert deciding_reference_seeds(3, 5, 2) == 5  # 2 / 56
    assert deciding_reference_seeds(3, 5, 3) == 6  # 3 / 56 is above .05, 3 / 84 below
    assert deciding_reference_seeds(3, 5, 15) == 11  # 15 / 286 = .052, 15 / 364 = .041
    assert deciding_reference_seeds(5, 1, 1) == 5  # four could not show that the game bears a verdict
    assert deciding_reference_seeds(3, 5, 0) == 5  # 1 / 56 against the control, with nothing to compare
    assert deciding_reference_seeds(1, 5, 0) == 20  # 1 / 20 is not below .05, 1 / 21 is
