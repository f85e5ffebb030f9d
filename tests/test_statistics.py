"""Aggregates worked by hand, and intervals that are what they are called."""

import itertools

import numpy as np
import pytest
from scipy.stats import binomtest

from benchmarks.sources import published
from benchmarks.statistics import AGGREGATES, FEW_SEEDS, _aggregates, aggregates, coverage_note, performance_profile
from benchmarks.suites import suite_games

ATARI10 = suite_games("atari10")
FEW_REPETITIONS = 200


@pytest.fixture
def scores():
    """Three seeds of four games that lie far apart."""
    return np.arange(4) * 10 + np.random.default_rng(0).random((3, 4))


# ---------------------------------------------------------------------- point estimates


def test_iqm_is_the_mean_of_the_middle_half_of_all_scores_worked_by_hand():
    """Eight scores: two are cut at each end, wherever they are in the matrix."""
    matrix = np.array([[-50.0, 1.0, 5.0, 3.0], [900.0, 2.0, 4.0, 0.0]])
    assert AGGREGATES["IQM"](matrix) == pytest.approx((1 + 2 + 3 + 4) / 4)
    assert AGGREGATES["IQM"](matrix.T) == pytest.approx(2.5)


def test_iqm_cuts_no_fraction_of_a_score():
    """Six scores: a quarter is one and a half, and one is cut at each end (scipy's trim_mean)."""
    assert AGGREGATES["IQM"](np.array([[0.0, 1.0, 2.0], [3.0, 5.0, 600.0]])) == pytest.approx((1 + 2 + 3 + 5) / 4)


def test_median_is_over_games_of_the_mean_over_seeds_worked_by_hand():
    """Games' means are 5, 2 and 3: the median is 3. Over the scores themselves it would be 2."""
    matrix = np.array([[0.0, 2.0, 1.0], [10.0, 2.0, 5.0]])
    assert AGGREGATES["median"](matrix) == 3.0
    assert np.median(matrix) == 2.0


def test_mean_is_over_all_scores_worked_by_hand():
    assert AGGREGATES["mean"](np.array([[0.0, 2.0, 1.0], [10.0, 2.0, 5.0]])) == pytest.approx(20 / 6)


def test_points_do_not_depend_on_the_resampling(scores):
    for name, interval in aggregates(scores, FEW_REPETITIONS).items():
        assert interval.point == pytest.approx(AGGREGATES[name](scores))
        assert interval.low <= interval.point <= interval.high
        assert interval.low < interval.high


# ---------------------------------------------------------------------- intervals


def test_two_calls_give_the_same_interval_bitwise(scores):
    first = aggregates(scores, FEW_REPETITIONS)
    np.random.seed(12345)
    assert aggregates(scores, FEW_REPETITIONS) == first


def test_numpys_global_generator_is_as_before(scores):
    np.random.seed(7)
    expected = np.random.random(5)
    np.random.seed(7)
    aggregates(scores, FEW_REPETITIONS)
    performance_profile(scores, np.linspace(0, 40, 5), FEW_REPETITIONS)
    np.testing.assert_array_equal(np.random.random(5), expected)


def test_numpys_global_generator_is_as_before_also_when_the_resampling_fails(scores, monkeypatch):
    def fail(*_, **__):
        np.random.random()
        raise ArithmeticError

    _aggregates.cache_clear()
    monkeypatch.setattr("benchmarks.statistics.rly.get_interval_estimates", fail)
    np.random.seed(7)
    expected = np.random.random(5)
    np.random.seed(7)
    with pytest.raises(ArithmeticError):
        aggregates(scores, FEW_REPETITIONS)
    np.testing.assert_array_equal(np.random.random(5), expected)


def test_seeds_are_resampled_within_games():
    """Seeds agree and games differ: nothing to resample. Transposed, all of the spread is resampled."""
    matrix = np.tile([0.0, 1.0, 2.0, 30.0], (3, 1))  # [seeds, games]
    for interval in aggregates(matrix, FEW_REPETITIONS).values():
        assert interval.low == interval.point == interval.high
    transposed = aggregates(matrix.T.copy(), FEW_REPETITIONS)
    assert transposed["mean"].point == pytest.approx(8.25)
    assert transposed["mean"].high - transposed["mean"].low > 5


def test_a_transposed_matrix_gives_another_interval_for_the_same_iqm():
    scores = published("dopamine-dqn-rmsprop-2018").at(40_000_000, ATARI10)  # [5, 10]
    right, wrong = (aggregates(x, FEW_REPETITIONS)["IQM"] for x in (scores, scores.T.copy()))
    assert right.point == pytest.approx(wrong.point)
    assert abs((wrong.high - wrong.low) / (right.high - right.low) - 1) > 0.2


def test_intervals_are_percentiles_of_every_possible_resample():
    """Two seeds of two games have 4 x 4 equally likely resamples, few enough to write down."""
    matrix = np.array([[0.0, 10.0], [1.0, 14.0]])
    of_game = [list(itertools.product(column, repeat=2)) for column in matrix.T]
    means = [np.mean([*first, *second]) for first, second in itertools.product(*of_game)]
    assert len(means) == 16
    assert (min(means), max(means)) == (5.0, 7.5)  # each with a chance of 1/16, more than 2.5 %: they are the ends
    interval = aggregates(matrix, 2_000)["mean"]
    assert (interval.low, interval.high) == (5.0, 7.5)


def test_an_interval_agrees_with_a_bootstrap_written_out_here():
    scores = published("dopamine-dqn-rmsprop-2018").at(40_000_000, ATARI10)
    draw = np.random.default_rng(1)
    rows = draw.integers(len(scores), size=(2_000, *scores.shape))  # [R, seeds, games]
    flat = np.sort(np.take_along_axis(scores[None], rows, axis=1).reshape(2_000, -1))
    low, high = np.percentile(flat[:, 12:38].mean(axis=1), [2.5, 97.5])  # 50 scores, 12 cut at each end
    interval = aggregates(scores, 2_000)["IQM"]
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=0.07 * (high - low))


def test_one_seed_gives_a_point_and_no_interval(scores):
    for name, interval in aggregates(scores[:1]).items():
        assert interval.point == pytest.approx(AGGREGATES[name](scores[:1]))
        assert interval.low is None
        assert interval.high is None


def test_one_game_is_a_suite_as_well():
    interval = aggregates(np.array([[0.1], [0.2], [0.6]]), FEW_REPETITIONS)["mean"]
    assert interval.point == pytest.approx(0.3)
    assert interval.low < 0.3 < interval.high


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("seeds", [1, 3])
def test_a_score_that_is_no_number_is_refused(bad, seeds):
    matrix = np.zeros((seeds, 4))
    matrix[-1, 2] = bad
    with pytest.raises(ValueError, match="finite"):
        aggregates(matrix, FEW_REPETITIONS)
    with pytest.raises(ValueError, match="finite"):
        performance_profile(matrix, np.zeros(1), FEW_REPETITIONS)


@pytest.mark.parametrize("shape", [(3,), (0, 4), (3, 0), (2, 3, 4), ()])
def test_what_is_no_matrix_is_refused(shape):
    with pytest.raises(ValueError, match="seeds, games"):
        aggregates(np.zeros(shape), FEW_REPETITIONS)


# ---------------------------------------------------------------------- performance profile


@pytest.mark.parametrize("seeds", [1, 2])
def test_a_profile_is_the_share_of_runs_above_each_threshold(seeds):
    matrix = np.array([[0.0, 1.0, 2.0, 3.0], [0.0, 0.0, 2.0, 2.0]])[:seeds]
    expected = {1: [1, 0.75, 0.5, 0.25, 0], 2: [1, 5 / 8, 4 / 8, 1 / 8, 0]}[seeds]
    profile, band = performance_profile(matrix, np.array([-0.5, 0.0, 1.0, 2.0, 3.0]), FEW_REPETITIONS)
    np.testing.assert_allclose(profile, expected)
    assert (band is None) == (seeds == 1)


def test_the_band_of_a_profile_is_reproducible_and_holds_it(scores):
    thresholds = np.linspace(-1, 32, 9)
    profile, band = performance_profile(scores, thresholds, FEW_REPETITIONS)
    again = performance_profile(scores, thresholds, FEW_REPETITIONS)
    np.testing.assert_array_equal(profile, again[0])
    np.testing.assert_array_equal(band, again[1])
    assert band.shape == (2, 9)
    assert (band[0] <= profile).all()
    assert (profile <= band[1]).all()


# ---------------------------------------------------------------------- what an interval is worth


def coverage(seeds, experiments, repetitions=100):
    """How often the interval of ``seeds`` published seeds, drawn per game, holds the IQM of all five."""
    scores = published("dopamine-dqn-rmsprop-2018").at(40_000_000, ATARI10)
    truth = AGGREGATES["IQM"](scores)
    draw = np.random.default_rng(0)
    held = 0
    for _ in range(experiments):
        rows = draw.integers(len(scores), size=(seeds, len(ATARI10)))
        interval = aggregates(np.take_along_axis(scores, rows, axis=0), repetitions)["IQM"]
        held += interval.low <= truth <= interval.high
    return held


def test_intervals_of_three_seeds_hold_the_truth_clearly_less_often_than_95_percent():
    """What ``coverage_note`` says: 95 % is ruled out, and so is 90 %."""
    held = coverage(seeds=3, experiments=60)
    assert binomtest(held, 60, 0.95, alternative="less").pvalue < 1e-4
    assert binomtest(held, 60, 0.90, alternative="less").pvalue < 0.05
    assert held > 30  # they are narrow, not wrong


@pytest.mark.parametrize("seeds", range(2, FEW_SEEDS))
def test_few_seeds_come_with_a_warning_that_names_their_number(seeds):
    note = coverage_note(seeds)
    assert f"With {seeds} seeds" in note
    assert "too narrow" in note


def test_one_seed_says_that_there_is_no_interval_and_many_say_nothing():
    assert coverage_note(1) == "One seed allows no interval."
    assert coverage_note(FEW_SEEDS) == coverage_note(100) == ""
