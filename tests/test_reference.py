import csv
import hashlib
from importlib import resources

import numpy as np
import pytest

from benchmarks.reference import Anchors, human_and_random, nature_scores, subset
from benchmarks.sources import published
from benchmarks.statistics import AGGREGATES
from benchmarks.suites import SUITES, suite_games
from dqn_ref.config import UserError

RMSPROP, ADAM, NNABLA = "dopamine-dqn-rmsprop-2018", "dopamine-dqn-adam-mse-2021", "nnabla-rl-dqn"
BUDGETS = (1, 5, 10, 20, 40, 100, 200)
GAMES = suite_games("atari10")


def published_rows():
    text = resources.files("benchmarks").joinpath("data", "published_dqn_scores.csv").read_text()
    return list(csv.DictReader(text.splitlines()))


# ---------------------------------------------------------------------- anchors


def test_human_normalised_score_worked_by_hand():
    """Random 100, human 300: a span of 200."""
    anchors = Anchors(random=100.0, human=300.0)
    assert anchors.normalise(100.0) == 0.0
    assert anchors.normalise(300.0) == 1.0
    assert anchors.normalise(150.0) == 0.25
    assert anchors.normalise(0.0) == -0.5
    assert anchors.normalise(700.0) == 3.0


def test_human_normalised_score_where_both_anchors_are_negative():
    """Double Dunk: random -18.6, human -16.4; one point is 1 / 2.2 of the span."""
    double_dunk = human_and_random()["double_dunk"]
    assert (double_dunk.random, double_dunk.human) == (-18.6, -16.4)
    assert double_dunk.normalise(-17.6) == pytest.approx(1 / 2.2)


def test_the_anchors_are_those_of_wang_et_al_for_57_games():
    anchors = human_and_random()
    assert len(anchors) == 57
    assert (anchors["breakout"].random, anchors["breakout"].human) == (1.7, 30.5)
    assert (anchors["pong"].random, anchors["pong"].human) == (-20.7, 14.6)
    assert (anchors["phoenix"].random, anchors["phoenix"].human) == (761.4, 7242.6)


def test_video_pinball_has_the_random_score_of_wang_et_al_and_not_zero():
    """Dopamine and rliable's notebooks have 0.0 there."""
    assert human_and_random()["video_pinball"].random == 16256.9


def test_every_human_plays_better_than_random():
    assert all(anchors.human > anchors.random for anchors in human_and_random().values())


# ---------------------------------------------------------------------- published scores


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (RMSPROP, (0.006, 0.029, 0.113, 0.223, 0.425, 0.614, 0.664)),
        (ADAM, (0.008, 0.073, 0.226, 0.407, 0.583, 0.753, 0.801)),
    ],
)
def test_iqm_over_atari10_is_the_published_tables(source, expected):
    found = [AGGREGATES["IQM"](published(source).at(millions * 1_000_000, GAMES)) for millions in BUDGETS]
    assert [round(float(iqm), 3) for iqm in found] == list(expected)


def test_iqm_over_the_nine_games_of_nnabla_is_the_published_tables():
    games = tuple(game for game in GAMES if game != "phoenix")
    found = [AGGREGATES["IQM"](published(NNABLA).at(millions * 1_000_000, games)) for millions in BUDGETS]
    assert [round(float(iqm), 3) for iqm in found] == [0.002, 0.032, 0.091, 0.110, 0.199, 0.400, 0.388]


def test_rows_are_seeds_and_columns_are_games_in_the_order_asked_for():
    scores = published(RMSPROP).at(10_000_000, ("qbert", "amidar"))
    assert scores.shape == (5, 2)
    qbert = human_and_random()["qbert"]
    by_seed = {
        int(row["seed"]): qbert.normalise(float(row["score"]))
        for row in published_rows()
        if (row["source"], row["game"], row["frames_millions"]) == (RMSPROP, "qbert", "10")
    }
    np.testing.assert_array_equal(scores[:, 0], [by_seed[seed] for seed in sorted(by_seed)])
    np.testing.assert_array_equal(scores[:, ::-1], published(RMSPROP).at(10_000_000, ("amidar", "qbert")))


@pytest.mark.parametrize(
    ("source", "millions", "games"),
    [
        (NNABLA, 10, GAMES),  # no Phoenix
        (RMSPROP, 11, GAMES),  # no such budget
        ("nobody", 10, GAMES),
    ],
)
def test_a_figure_that_was_never_published_is_no_number(source, millions, games):
    with pytest.raises(UserError):
        published(source).at(millions * 1_000_000, games)


def test_no_published_cell_is_there_twice():
    """A repeated row would silently replace the one before it."""
    keys = [(row["source"], row["game"], row["seed"], row["frames_millions"]) for row in published_rows()]
    assert len(set(keys)) == len(keys) == 2 * 2750 + 1470


# ---------------------------------------------------------------------- the files


SHA256 = {
    "atari5_subsets_coefficients.csv": "45b8ab5c6723b550ce850b3c6c32ee23908bce3da6d2ce58793ee05fe73d695c",
    "human_random_57.csv": "084e856ba79cc88861e183bd8cfc7dedc2e756a55d07bd1a039b0abd8575912a",
    "nature_dqn_extended_data_table2.csv": "cc022d20f60c105a813fccc8584a673380e81c6dde5aa83c8bcfd77a99c24a28",
    "published_dqn_scores.csv": "6129e847edd002939c3ede4e0dbc719de784ba8ca5d7f8165434c3d20530786e",
}


@pytest.mark.parametrize("name", [path.name for path in resources.files("benchmarks").joinpath("data").iterdir()])
def test_no_figure_was_changed_by_hand(name):
    """A file without a hash here is one that nobody checked."""
    if name == "SOURCES.md":
        return
    content = resources.files("benchmarks").joinpath("data", name).read_bytes()
    assert hashlib.sha256(content).hexdigest() == SHA256[name]


def test_every_file_has_its_source_protocol_and_licence():
    folder = resources.files("benchmarks").joinpath("data")
    rows = [line.split(" | ") for line in folder.joinpath("SOURCES.md").read_text().splitlines() if ".csv | " in line]
    assert sorted(row[0].removeprefix("| ") for row in rows) == sorted(SHA256)
    assert all(len(row) == 4 and all(len(cell) > 20 for cell in row[1:]) for row in rows)


def test_the_papers_table():
    """Extended Data Table 2: percent is 100 (DQN - random) / (human - random)."""
    nature = nature_scores()
    assert len(nature) == 49
    assert nature["pong"] == 18.9
    text = resources.files("benchmarks").joinpath("data", "nature_dqn_extended_data_table2.csv").read_text()
    [row] = [row for row in csv.DictReader(text.splitlines()) if row["game"] == "breakout"]
    random, human = float(row["random"]), float(row["human"])
    assert 100 * (nature["breakout"] - random) / (human - random) == pytest.approx(1327.2, abs=0.1)


@pytest.mark.parametrize(("suite", "games"), [("atari1", 1), ("atari3", 3), ("atari5", 5), ("atari10", 10)])
def test_a_subsets_coefficients_are_of_its_own_games(suite, games):
    found = subset(suite)
    assert len(found.coefficients) == games
    if suite in SUITES:
        assert set(found.coefficients) == set(suite_games(suite))
    assert 0.05 < found.relative_error < 0.3


def test_a_suite_that_is_no_subset_predicts_nothing():
    assert subset("atari57") is None
