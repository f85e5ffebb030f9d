"""Aggregates worked by hand, and intervals that are what they are called."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from rliable import metrics
from scipy.stats import binomtest

from benchmarks.sources import published
from benchmarks.statistics import (
    AGGREGATES,
    FEW_SEEDS,
    _aggregates,
    aggregates,
    coverage_note,
    iqm_difference,
    performance_profile,
    predicted_median,
    prediction_note,
    probability_of_improvement,
    sample_efficiency,
)
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


# ---------------------------------------------------------------------- against rliable's own


@given(
    arrays(
        np.float64,
        array_shapes(min_dims=2, max_dims=2, max_side=9),
        elements=st.integers(-400, 400).map(lambda n: n / 64),
    )
)
def test_aggregates_are_rliables(scores):
    of_rliable = {
        "IQM": metrics.aggregate_iqm, "median": metrics.aggregate_median, "mean": metrics.aggregate_mean,
        "optimality gap": metrics.aggregate_optimality_gap,
    }  # fmt: skip
    assert list(of_rliable) == list(AGGREGATES)
    for name, function in of_rliable.items():
        assert AGGREGATES[name](scores) == pytest.approx(function(scores), abs=1e-12)


@given(st.data())
def test_the_probability_of_improvement_is_rliables(data):
    games = data.draw(st.integers(1, 4))
    elements = st.integers(0, 4).map(float)  # few values, so that runs tie
    first, second = (
        data.draw(arrays(np.float64, (data.draw(st.integers(1, 4)), games), elements=elements)) for _ in range(2)
    )
    found = probability_of_improvement(first, second, repetitions=2)
    assert found.average.point == pytest.approx(metrics.probability_of_improvement(first, second))


# ---------------------------------------------------------------------- two sets of runs


def test_probability_of_improvement_worked_by_hand():
    """Game 1: pairs 3>1, 3>2, 1=1, 1<2: 2.5 of 4. Game 2: all four above."""
    found = probability_of_improvement(np.array([[3.0, 9.0], [1.0, 8.0]]), np.array([[1.0, 0.0], [2.0, 1.0]]), 50)
    np.testing.assert_allclose(found.by_game, [2.5 / 4, 1.0])
    assert found.average.point == pytest.approx((0.625 + 1) / 2)
    assert found.average.low <= found.average.point <= found.average.high


def test_a_difference_of_iqms_worked_by_hand():
    """Of 0 1 2 30 the middle two are 1 and 2; of 5 5 5 5 they are 5."""
    found = iqm_difference(np.array([[0.0, 1.0], [2.0, 30.0]]), np.full((2, 2), 5.0), 100)
    assert found.point == pytest.approx(1.5 - 5)
    assert found.low <= found.point <= found.high


def test_a_difference_may_have_unequal_numbers_of_seeds_but_not_other_games(scores):
    assert iqm_difference(scores, scores[:2], 20).low is not None
    for compare in (iqm_difference, probability_of_improvement):
        with pytest.raises(ValueError, match="same games"):
            compare(scores, scores[:, :3], 20)


@pytest.mark.parametrize("compare", [iqm_difference, probability_of_improvement])
def test_comparisons_are_reproducible_and_one_seed_has_no_interval(compare, scores):
    better = scores + np.random.default_rng(1).random(scores.shape)
    first = compare(better, scores, 50)
    np.random.seed(3)
    second = compare(better, scores, 50)
    intervals = [getattr(each, "average", each) for each in (first, second)]
    assert intervals[0] == intervals[1]
    for sides in ((better[:1], scores), (better, scores[:1])):
        alone = compare(*sides, 50)
        assert getattr(alone, "average", alone).low is None


# ---------------------------------------------------------------------- over training


def test_sample_efficiency_is_the_aggregate_of_each_budget(scores):
    curve = np.stack([scores, scores * 2, scores - 5], axis=2)
    points, band = sample_efficiency(curve, repetitions=50)
    np.testing.assert_allclose(points, [AGGREGATES["IQM"](curve[..., budget]) for budget in range(3)])
    assert band.shape == (2, 3)
    assert (band[0] < points).all()
    assert (points < band[1]).all()
    np.testing.assert_array_equal(sample_efficiency(curve, repetitions=50)[1], band)
    assert sample_efficiency(curve[:1])[1] is None


def test_sample_efficiency_of_published_runs_is_the_published_table():
    rmsprop = published("dopamine-dqn-rmsprop-2018")
    points, _ = sample_efficiency(rmsprop.normalised(ATARI10, rmsprop.seeds(ATARI10)), repetitions=2)
    at = dict(zip(rmsprop.frames.tolist(), points, strict=True))
    found = [round(float(at[m * 1_000_000]), 3) for m in (1, 5, 10, 20, 40, 100, 200)]
    assert found == [0.006, 0.029, 0.113, 0.223, 0.425, 0.614, 0.664]


@pytest.mark.parametrize("bad", [np.zeros((2, 3)), np.full((2, 3, 1), np.nan), np.zeros((2, 0, 3))])
def test_what_is_no_curve_is_refused(bad):
    with pytest.raises(ValueError, match="budgets"):
        sample_efficiency(bad)


# ---------------------------------------------------------------------- the median over 57 games


def test_the_predicted_median_worked_by_hand():
    """Atari-1 is Name This Game alone: 10^(c log10(1 + 300)) - 1 percent, of the mean of 1, 2 and 6; c = 0.99759."""
    games = ("name_this_game",)
    predicted = predicted_median(np.array([[1.0], [2.0], [6.0]]), games, "atari1")
    assert predicted == pytest.approx((301**0.9975883300775931 - 1) / 100)


def test_a_game_below_random_counts_as_random():
    worse, random = (predicted_median(np.full((2, 10), score), ATARI10, "atari10") for score in (-0.5, 0.0))
    assert worse == random == 0.0


def test_the_order_of_the_games_does_not_matter():
    scores = published("dopamine-dqn-rmsprop-2018").at(200_000_000, ATARI10)
    forwards = predicted_median(scores, ATARI10, "atari10")
    assert predicted_median(scores[:, ::-1], ATARI10[::-1], "atari10") == pytest.approx(forwards)
    assert 0.5 < forwards < 1.0  # the median over all games of this agent is near the human's


def test_the_prediction_comes_with_its_error_and_only_where_there_is_one():
    assert "7.2%" in prediction_note("atari10")
    assert "10.4%" in prediction_note("atari5")
    assert predicted_median(np.zeros((1, 57)), suite_games("atari57"), "atari57") is None
    assert prediction_note("atari57") == ""
