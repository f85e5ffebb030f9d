"""Scores over training, worked by hand; whatever is missing is named and never becomes a number."""

import numpy as np
import pytest

from benchmarks.curves import Curves, Measurement, averaged, newest_points, point_frames, training_points
from benchmarks.reference import human_and_random, published_points
from benchmarks.sources import PUBLISHED, published
from dqn_ref.config import UserError

NAN = float("nan")


def curves(**changes):
    """Two games x two seeds at 1M and 2M frames."""
    raw = {
        "pong": {0: np.array([-20.0, -10.0]), 1: np.array([-19.0, 0.0])},
        "breakout": {0: np.array([2.0, 30.0]), 1: np.array([3.0, 31.0])},
    }
    fields = {"name": "mine", "measured": Measurement(), "frames": np.array([1_000_000, 2_000_000]), "raw": raw}
    return Curves(**(fields | changes))


def without(game, seed):
    raw = {name: dict(seeds) for name, seeds in curves().raw.items()}
    del raw[game][seed]
    return curves(raw=raw)


# ---------------------------------------------------------------------- a matrix at a budget


def test_rows_are_seeds_and_columns_are_games_in_the_order_asked_for():
    pong, breakout = human_and_random()["pong"], human_and_random()["breakout"]
    expected = [
        [breakout.normalise(30.0), pong.normalise(-10.0)],
        [breakout.normalise(31.0), pong.normalise(0.0)],
    ]
    np.testing.assert_allclose(curves().at(2_000_000, ("breakout", "pong")), expected)


def test_a_missing_run_is_named():
    with pytest.raises(UserError, match="breakout seed 1"):
        without("breakout", 1).at(1_000_000, ("pong", "breakout"))


def test_a_game_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(UserError, match="lacks qbert; it has pong, breakout"):
        curves().at(1_000_000, ("pong", "qbert"))


def test_a_budget_that_was_not_measured_is_refused_with_those_that_were():
    with pytest.raises(UserError, match="no scores at 3M frames; it has them at: 1M, 2M"):
        curves().at(3_000_000, ("pong",))


def test_a_run_that_ended_early_has_no_score_and_is_named():
    raw = curves().raw | {"pong": {0: np.array([-20.0, -10.0]), 1: np.array([-19.0, NAN])}}
    assert curves(raw=raw).budgets() == [1_000_000]
    assert curves(raw=raw).budgets(["breakout"]) == [1_000_000, 2_000_000]
    with pytest.raises(UserError, match="no score at 2M frames for pong seed 1"):
        curves(raw=raw).at(2_000_000, ("breakout", "pong"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"raw": {}}, "no scores"),
        ({"raw": {"pong": {}}}, "no scores"),
        ({"raw": {"tetris": {0: np.zeros(2)}}}, "tetris"),
        ({"raw": {"pong": {0: np.zeros(3)}}}, "3 scores for 2 budgets"),
        ({"raw": {"pong": {0: np.array([1.0, np.inf])}}}, "infinite"),
        ({"frames": np.array([2, 1])}, "ascending"),
        ({"frames": np.array([1, 1])}, "ascending"),
        ({"frames": np.array([], int)}, "ascending"),
    ],
)
def test_what_is_no_set_of_curves_is_refused(changes, words):
    with pytest.raises(UserError, match=words):
        curves(**changes)


# ---------------------------------------------------------------------- how it was measured


def test_equal_measurements_have_no_differences():
    known = Measurement("training", 0.01, 0.25, 108_000, False, False)
    assert known.differences(known) == []
    assert Measurement().differences(Measurement()) == []


def test_every_difference_is_said_and_so_is_what_only_one_side_knows():
    ours = Measurement("evaluation", 0.05, 0.0, 18_000, False, True)
    theirs = Measurement("training", 0.01, 0.25, None, False, False)
    found = ours.differences(theirs)
    assert found == [
        "kind of returns: evaluation returns against training returns",
        "epsilon: epsilon 0.05 against epsilon 0.01",
        "sticky actions: no sticky actions against sticky actions 0.25",
        "cap of an episode: at most 18,000 frames an episode on one side, not known on the other",
        "which network: best network of the run against network at the budget",
    ]
    assert len(theirs.differences(ours)) == len(found)


def test_what_is_not_known_is_said_in_words():
    assert Measurement(returns="training").words().startswith("training returns, epsilon not known, sticky actions not")


# ---------------------------------------------------------------------- from episodes to scores


def test_points_of_a_training_curve_worked_by_hand():
    """3M frames: spans of 1M. An episode that ends at a span's last frame belongs to it; the third span has none."""
    ends = np.array([400_000, 1_000_000, 1_000_004, 3_000_004])
    frames, means = training_points(ends, np.array([2.0, 4.0, 7.0, 1_000.0]), 3_000_000)
    assert frames.tolist() == [1_000_000, 2_000_000, 3_000_000]
    np.testing.assert_array_equal(means, [3.0, 7.0, NAN])


def test_a_run_below_a_million_frames_has_ten_points():
    assert (point_frames(999_999), point_frames(1_000_000), point_frames(16_000)) == (99_999, 1_000_000, 1_600)
    frames, means = training_points(np.array([1_600, 1_601, 16_000]), np.array([1.0, 2.0, 3.0]), 16_000)
    assert len(frames) == 10
    np.testing.assert_array_equal(means, [1.0, 2.0, *[NAN] * 7, 3.0])


def test_no_episode_gives_no_number():
    _, means = training_points(np.empty(0, np.int64), np.empty(0), 16_000)
    assert np.isnan(means).all()
    assert np.isnan(averaged(means)).all()


def test_a_score_is_the_mean_of_the_last_five_points():
    """Fewer where there are not yet five; a point without an episode is left out."""
    points = np.array([1.0, 3.0, NAN, 5.0, 7.0, 9.0, 11.0])
    np.testing.assert_allclose(averaged(points), [1, 2, 2, 3, 4, 6, 8])


# ---------------------------------------------------------------------- published ones


def test_every_published_source_says_how_it_was_measured():
    assert set(published_points()) < set(PUBLISHED)
    for name in PUBLISHED:
        assert published(name).measured.returns
        assert published(name).name == name


def test_published_scores_are_the_rows_of_the_file():
    rmsprop = published("dopamine-dqn-rmsprop-2018")
    assert rmsprop.frames.tolist() == [m * 1_000_000 for m in (1, 2, 5, 10, 20, 40, 50, 100, 150, 200)]
    assert len(rmsprop.games) == 55
    assert rmsprop.seeds(rmsprop.games) == (0, 1, 2, 3, 4)
    assert rmsprop.raw["alien"][0][:3].tolist() == [297.5726, 379.5955, 507.4095]


def test_the_papers_own_scores_are_one_run_a_game():
    nature = published("nature-2015")
    assert len(nature.games) == 49
    assert "phoenix" not in nature.games
    assert nature.budgets() == [200_000_000]
    assert nature.at(200_000_000, ("breakout",)).shape == (1, 1)
    assert nature.raw["breakout"][0].tolist() == [401.2]


def test_an_unknown_source_is_refused_with_the_known_ones():
    with pytest.raises(UserError, match=r"nobody.*known are: dopamine-dqn-rmsprop-2018"):
        published("nobody")


def test_points_come_back_from_their_means_as_far_as_these_are_of_all_before():
    """Twice 6 less 3 is 9; nothing is known of the fifth without the fourth, nor of the sixth, which five make."""
    points, millions = np.array([3.0, 9.0, -4.5, 0.0, 12.0, 7.0]), 1_000_000 * np.arange(1, 7)
    assert newest_points(millions[:2], np.array([3.0, 6.0])).tolist() == [3, 9]
    found = newest_points(millions, averaged(points))
    assert found[:5] == pytest.approx(points[:5])
    assert np.isnan(found[5])
    kept = np.array([0, 1, 4])  # after 1M, 2M and 5M frames, as published
    assert newest_points(millions[kept], averaged(points)[kept]).tolist() == [3, 9, pytest.approx(np.nan, nan_ok=True)]
