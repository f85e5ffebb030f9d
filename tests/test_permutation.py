"""Permutation tests: worked by hand, against brute force written out here, and at their level where nothing differs."""

import itertools
import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rliable import metrics
from scipy import stats
from scipy.stats import binomtest, trim_mean

from benchmarks.permutation import (
    PERMUTATIONS,
    Relabellings,
    holm,
    holm_of_discrete,
    iqm,
    iqm_difference,
    mean_test,
    number_of,
    permutation_test,
    standardised_difference,
)

STATISTICS = (iqm_difference, standardised_difference)
both = pytest.mark.parametrize("statistic", STATISTICS, ids=lambda function: function.__name__)

# Two games, two runs a side: the example of docs/score-gate.md, in tenths.
FIRST = np.array([[1.0, 5.0], [3.0, 6.0]])  # [runs, games]
SECOND = np.array([[2.0, 7.0], [4.0, 8.0]])


# ---------------------------------------------------------------------- by hand


def test_the_difference_of_iqm_by_hand():
    """Four scores, one cut at each end: (3 + 5) / 2 against (4 + 7) / 2. 5 of 36 relabellings are as low."""
    found = permutation_test(FIRST, SECOND)
    assert found.difference == pytest.approx(4 - 5.5)
    assert found.exact
    assert found.relabellings == 36
    assert found.p_lower == pytest.approx(5 / 36)
    assert found.p_higher == pytest.approx(35 / 36)  # all but the one that is lower still


def test_the_standardised_difference_by_hand():
    """Both games spread by the root of 1.25; their means differ by -1 and -2. 3 of 36 relabellings are as low."""
    found = permutation_test(FIRST, SECOND, statistic=standardised_difference)
    assert found.difference == pytest.approx((-1 - 2) / 2 / math.sqrt(1.25))
    assert found.p_lower == pytest.approx(3 / 36)
    assert found.p_higher == pytest.approx(35 / 36)


def test_one_run_on_each_side_is_a_sign_test_by_hand():
    """Ten games, nine of them lower: 1 + 10 of 1,024 sign patterns are as low."""
    found = permutation_test(np.zeros((1, 10)), np.array([[1.0] * 9 + [-1.0]]), statistic=standardised_difference)
    assert found.difference == pytest.approx(-2 * 8 / 10)  # two runs lie one spread from their mean, on either side
    assert found.p_lower == pytest.approx(11 / 1024)


def test_the_number_of_relabellings_by_hand():
    assert number_of(2, 2, 2) == 6**2
    assert number_of(3, 3, 10) == 20**10
    assert number_of(1, 3, 2) == 4**2


def test_holm_by_hand():
    """.01 three times, .03 twice, .04 once, and never below what came before it."""
    np.testing.assert_allclose(holm(np.array([0.04, 0.01, 0.03])), [0.06, 0.03, 0.06])
    np.testing.assert_allclose(holm(np.array([0.5, 0.9])), [1.0, 1.0])
    np.testing.assert_allclose(holm(np.array([0.2])), [0.2])


# ---------------------------------------------------------------------- brute force


def plain_iqm(first, second):
    """The definition, with scipy's trimmed mean."""
    return trim_mean(first.ravel(), 0.25) - trim_mean(second.ravel(), 0.25)


def plain_standardised(first, second):
    """The definition, game by game."""
    terms = []
    for mine, theirs in zip(first.T, second.T, strict=True):
        spread = np.std([*mine, *theirs])
        terms.append((np.mean(mine) - np.mean(theirs)) / spread if spread > 1e-9 else 0.0)
    return np.mean(terms)


PLAIN = {iqm_difference: plain_iqm, standardised_difference: plain_standardised}


def brute_force(first, second, plain):
    """Every way to choose who is first in each game, one at a time."""
    m, games = first.shape
    together = np.concatenate([first, second])
    runs = set(range(len(together)))
    seen, lower, higher, count = plain(first, second), 0, 0, 0
    for chosen in itertools.product(itertools.combinations(sorted(runs), m), repeat=games):
        mine = np.array([[together[row, g] for row in rows] for g, rows in enumerate(chosen)]).T
        theirs = np.array([[together[row, g] for row in sorted(runs - set(rows))] for g, rows in enumerate(chosen)]).T
        difference = plain(mine, theirs)
        lower += difference <= seen + 1e-9
        higher += difference >= seen - 1e-9
        count += 1
    return seen, lower / count, higher / count, count


@both
@pytest.mark.parametrize(("m", "n", "games"), [(2, 2, 2), (3, 2, 2), (1, 4, 3), (1, 1, 7), (3, 3, 2), (4, 3, 1)])
def test_every_relabelling_is_looked_at_as_brute_force_does(statistic, m, n, games):
    draw = np.random.default_rng([m, n, games])
    first, second = draw.normal(size=(m, games)), draw.normal(0.5, 2.0, size=(n, games))
    seen, lower, higher, count = brute_force(first, second, PLAIN[statistic])
    found = permutation_test(first, second, statistic=statistic)
    assert (found.exact, found.relabellings) == (True, count)
    assert found.difference == pytest.approx(seen)
    assert (found.p_lower, found.p_higher) == pytest.approx((lower, higher))


@both
@settings(max_examples=25, deadline=None)
@given(scores=arrays(np.float64, (4, 2), elements=st.integers(0, 3).map(float)))
def test_ties_are_counted_as_brute_force_does(statistic, scores):
    """Scores of Atari are whole numbers and often equal."""
    _, lower, higher, _ = brute_force(scores[:2], scores[2:], PLAIN[statistic])
    found = permutation_test(scores[:2], scores[2:], statistic=statistic)
    assert (found.p_lower, found.p_higher) == pytest.approx((lower, higher))


@both
def test_runs_that_are_all_equal_show_nothing(statistic):
    found = permutation_test(np.full((3, 2), 0.1), np.full((2, 2), 0.1), statistic=statistic)
    assert (found.difference, found.p_lower, found.p_higher) == (0.0, 1.0, 1.0)


def test_runs_of_one_game_that_are_all_below_the_others_are_one_choice_of_70():
    found = permutation_test(np.arange(4.0)[:, None], np.arange(4.0, 8.0)[:, None], statistic=standardised_difference)
    assert (found.p_lower, found.p_higher) == (1 / math.comb(8, 4), 1.0)


# ---------------------------------------------------------------------- drawn relabellings


@both
def test_drawn_relabellings_agree_with_all_of_them(statistic):
    draw = np.random.default_rng(5)
    first, second = draw.normal(size=(3, 3)), draw.normal(0.6, 1.0, size=(3, 3))
    exact = permutation_test(first, second, statistic=statistic)
    drawn = permutation_test(first, second, statistic=statistic, permutations=7_999)
    assert exact.exact
    assert exact.relabellings == 8_000
    assert not drawn.exact
    assert 0.02 < exact.p_lower < 0.5  # else there is little to compare
    error = math.sqrt(exact.p_lower * (1 - exact.p_lower) / 7_999)
    assert abs(drawn.p_lower - exact.p_lower) < 4 * error
    assert abs(drawn.p_higher - exact.p_higher) < 4 * error


@both
def test_a_drawn_p_value_is_never_zero(statistic):
    found = permutation_test(np.zeros((5, 10)), np.ones((5, 10)) + np.arange(10), statistic=statistic, permutations=99)
    assert (found.p_lower, found.p_higher) == (1 / 100, 1.0)


@both
def test_equal_seeds_give_equal_p_values_and_other_seeds_others(statistic):
    draw = np.random.default_rng(1)
    first, second = draw.normal(size=(4, 5)), draw.normal(size=(5, 5))
    one, same, other = (
        permutation_test(first, second, statistic=statistic, permutations=500, seed=s) for s in (3, 3, 4)
    )
    assert one == same
    assert one.difference == other.difference
    assert (one.p_lower, one.p_higher) != (other.p_lower, other.p_higher)


@both
def test_numpys_global_generator_is_left_alone(statistic):
    before = np.random.get_state()[1].copy()
    permutation_test(np.zeros((4, 5)), np.ones((4, 5)), statistic=statistic, permutations=50)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_each_game_is_relabelled_by_itself_and_every_choice_is_as_likely():
    """Two runs a side, two games: 36 choices, each of them in 1/36 of the draws; moved together there would be 6."""
    drawn = Relabellings.of(2, 2, 2, permutations=35)
    assert not drawn.exact
    drawn = Relabellings.of(2, 2, 7, permutations=36_000)
    chosen = drawn.first.reshape(-1, 2, 7)[:, :, :2]  # of two games
    keys = np.sort(chosen // 7, axis=1).reshape(len(chosen), -1) @ np.array([1, 4, 16, 64])
    counts = np.unique(keys, return_counts=True)[1]
    assert len(counts) == 36
    assert ((counts - 1_000) ** 2 / 1_000).sum() < 80  # chi-squared, 35 degrees: 80 is beyond one in 10,000


def test_every_relabelling_deals_every_run_once_and_within_its_game():
    for drawn in (Relabellings.of(3, 2, 2), Relabellings.of(3, 4, 6, permutations=300)):
        everywhere = np.concatenate([drawn.first, drawn.second], axis=1)
        assert (np.sort(everywhere, axis=1) == np.arange(everywhere.shape[1])).all()
        games = everywhere % drawn.games
        assert (games == np.tile(np.arange(drawn.games), drawn.m + drawn.n)).all()


# ---------------------------------------------------------------------- properties


@both
def test_sides_change_places_and_so_do_the_tails(statistic):
    draw = np.random.default_rng(2)
    first, second = draw.normal(size=(3, 3)), draw.normal(size=(2, 3))
    there = permutation_test(first, second, statistic=statistic)
    back = permutation_test(second, first, statistic=statistic)
    assert back.difference == pytest.approx(-there.difference)
    assert (back.p_lower, back.p_higher) == (there.p_higher, there.p_lower)


@both
@pytest.mark.parametrize("permutations", [200, PERMUTATIONS])
def test_the_order_of_seeds_changes_nothing(statistic, permutations):
    """Bitwise, also where relabellings are drawn: seeds are names."""
    draw = np.random.default_rng(3)
    first, second = draw.normal(size=(4, 6)), draw.normal(size=(5, 6))
    expected = permutation_test(first, second, statistic=statistic, permutations=permutations)
    shuffled = draw.permuted(first, axis=0), draw.permuted(second, axis=0)
    assert permutation_test(*shuffled, statistic=statistic, permutations=permutations) == expected


@both
def test_a_unit_and_an_origin_change_no_p_value(statistic):
    draw = np.random.default_rng(4)
    first, second = draw.normal(size=(3, 2)), draw.normal(size=(3, 2))
    plain = permutation_test(first, second, statistic=statistic)
    for unit, origin in ((1_000.0, 0.0), (0.001, -5.0)):
        other = permutation_test(unit * first + origin, unit * second + origin, statistic=statistic)
        assert (other.p_lower, other.p_higher) == (plain.p_lower, plain.p_higher)


def test_game_by_game_a_noisy_game_counts_as_much_as_a_quiet_one():
    draw = np.random.default_rng(6)
    first, second = draw.normal(size=(3, 3)), draw.normal(size=(3, 3))
    unit = np.array([1.0, 1e4, 1e-4])
    plain, scaled = (
        permutation_test(*sides, statistic=standardised_difference)
        for sides in ((first, second), (first * unit, second * unit))
    )
    assert scaled.difference == pytest.approx(plain.difference)
    assert scaled.p_lower == plain.p_lower
    assert permutation_test(first * unit, second * unit).p_lower != permutation_test(first, second).p_lower


@both
def test_lower_scores_of_the_first_never_raise_p_lower(statistic):
    draw = np.random.default_rng(7)
    first, second = draw.normal(size=(3, 2)), draw.normal(size=(3, 2))
    p_values = [permutation_test(first - drop, second, statistic=statistic).p_lower for drop in (0, 0.5, 1, 2, 9)]
    assert p_values == sorted(p_values, reverse=True)
    assert p_values[-1] < 0.02


# ---------------------------------------------------------------------- the level


@both
@pytest.mark.parametrize(("m", "n"), [(3, 3), (2, 4)])
def test_where_nothing_differs_p_is_below_a_level_no_more_often_than_that(statistic, m, n):
    """Games of other sizes and other noise, one of it with heavy tails; a test without strata would be far off."""
    draw = np.random.default_rng(8)
    runs = draw.standard_t(2, size=(700, m + n, 3)) * np.array([0.01, 1.0, 0.2]) + np.array([0.1, -2.0, 3.0])
    relabellings = Relabellings.of(m, n, 3, permutations=PERMUTATIONS)
    tests = [relabellings.test(each[:m], each[m:], statistic) for each in runs]
    for tail in ("p_lower", "p_higher"):
        p_values = np.array([getattr(test, tail) for test in tests])
        for level in (0.01, 0.05, 0.2):
            hits = int((p_values <= level).sum())
            assert binomtest(hits, len(tests), level, alternative="greater").pvalue > 1e-3, (tail, level, hits)
        assert binomtest(int((p_values <= 0.2).sum()), len(tests), 0.2, alternative="less").pvalue > 1e-3  # nor useless


def test_a_test_that_ignores_games_would_be_seen():
    """The check above can fail: labels dealt over all games at once make differences between games look like noise."""
    draw = np.random.default_rng(8)
    runs = draw.normal(size=(300, 6, 3)) * 0.01 + np.array([0.1, -2.0, 3.0])
    p_values = np.array(
        [permutation_test(each[:3].reshape(-1, 1), each[3:].reshape(-1, 1), permutations=199).p_lower for each in runs]
    )
    assert binomtest(int((p_values <= 0.2).sum()), 300, 0.2).pvalue < 1e-6


# ---------------------------------------------------------------------- the middle half


@pytest.mark.parametrize("count", [*range(1, 14), 27, 50, 100])
def test_iqm_is_scipys_trimmed_mean_and_rliables(count):
    scores = np.random.default_rng(count).standard_cauchy(count)
    assert iqm(scores) == pytest.approx(trim_mean(scores, 0.25))
    assert iqm(scores) == pytest.approx(metrics.aggregate_iqm(scores[:, None]))


def test_iqm_is_of_the_last_axis_and_leaves_its_argument_alone():
    scores = np.array([[[3.0, 1.0, 2.0, 100.0]], [[0.0, 0.0, 8.0, -9.0]]])
    before = scores.copy()
    np.testing.assert_allclose(iqm(scores), [[2.5], [0.0]])
    np.testing.assert_array_equal(scores, before)


# ---------------------------------------------------------------------- refusals, and the time it takes


@both
@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (np.zeros(3), np.zeros((2, 3)), "seeds, games"),
        (np.zeros((0, 3)), np.zeros((2, 3)), "seeds, games"),
        (np.zeros((2, 3)), np.zeros((2, 4)), "same games"),
        (np.array([[np.nan, 0.0]]), np.zeros((1, 2)), "finite"),
        (np.zeros((1, 2)), np.array([[0.0, np.inf]]), "finite"),
    ],
)
def test_what_cannot_be_compared_is_refused(statistic, first, second, message):
    with pytest.raises(ValueError, match=message):
        permutation_test(first, second, statistic=statistic)


def test_relabellings_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="relabellings of"):
        Relabellings.of(2, 2, 3).test(np.zeros((2, 3)), np.zeros((3, 3)), iqm_difference)


@both
def test_ten_games_with_ten_seeds_a_side_take_less_than_a_second(statistic):
    draw = np.random.default_rng(9)
    first, second = draw.normal(size=(10, 10)), draw.normal(size=(10, 10))
    start = time.process_time()  # of this process alone, whatever else the machine does
    permutation_test(first, second, statistic=statistic)
    assert time.process_time() - start < 1


def test_tests_that_could_never_be_rejected_do_not_count():
    """Tarone 1990. Of lowest p's .01, .02, .3 and .4 at .05, two are below .05 / 2: the others count for nothing."""
    lowest = np.array([0.01, 0.3, 0.02, 0.4])
    adjusted = holm_of_discrete(np.array([0.01, 0.3, 0.03, 0.9]), lowest, 0.05)
    assert adjusted.tolist() == [0.02, 1.0, 0.03, 1.0]
    # of ten that could each just be rejected alone, none can be among ten
    assert holm_of_discrete(np.full(10, 0.04), np.full(10, 0.04), 0.05).tolist() == [1.0] * 10
    # where all could be, it is Holm's
    p_values = np.array([0.001, 0.02, 0.5])
    assert holm_of_discrete(p_values, np.full(3, 0.0001), 0.05).tolist() == holm(p_values).tolist()
    assert holm_of_discrete(np.zeros(0), np.zeros(0), 0.05).tolist() == []


# ---------------------------------------------------------------------- means of one game, counted


@pytest.mark.parametrize(("m", "n"), [(2, 6), (3, 5), (6, 6), (7, 2)])
@pytest.mark.parametrize("ties", [False, True], ids=["distinct", "ties"])
def test_counted_relabellings_are_those_that_scipy_lists(m, n, ties):
    draw = np.random.default_rng(m * 10 + n)
    first, second = (draw.integers(4, size=k) / 10 if ties else draw.normal(size=k) for k in (m, n))
    test = mean_test(first, second)
    for alternative, p in (("less", test.p_lower), ("greater", test.p_higher)):
        listed = stats.permutation_test(
            (first, second), lambda a, b, axis: a.mean(axis=axis) - b.mean(axis=axis), vectorized=True,
            n_resamples=np.inf, alternative=alternative,
        )  # fmt: skip
        assert p == pytest.approx(listed.pvalue, abs=1e-12)
    assert test.difference == pytest.approx(first.mean() - second.mean())
    assert (test.relabellings, test.exact) == (math.comb(m + n, m), True)


def test_ten_million_relabellings_are_counted_and_agree_with_drawn_ones():
    draw = np.random.default_rng(1)
    first, second = draw.normal(0.5, size=13), draw.normal(size=13)
    counted = mean_test(first, second)
    drawn = permutation_test(first[:, None], second[:, None], statistic=standardised_difference, permutations=100_000)
    assert counted.relabellings == 10_400_600
    assert counted.p_higher == pytest.approx(drawn.p_higher, abs=4 * math.sqrt(drawn.p_higher / 100_000))
    assert mean_test(first + 9, second).p_higher == 1 / 10_400_600


def test_of_very_many_runs_relabellings_are_drawn():
    assert not mean_test(np.arange(21.0), np.arange(20.0)).exact
    assert mean_test(np.arange(20.0), np.arange(20.0)).exact


def test_a_mean_of_nothing_or_of_no_number_is_refused():
    for wrong in (np.zeros(0), np.array([np.nan])):
        with pytest.raises(ValueError, match="expected"):
            mean_test(wrong, np.zeros(2))
