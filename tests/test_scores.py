"""From records to the matrix: each number worked by hand, each reason to refuse."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_runs import edit_json, evaluation, write_run

from benchmarks.reference import human_and_random
from benchmarks.scores import ScoreMatrix, evaluation_measurement, run_score, score_matrix, training_measurement
from benchmarks.store import Cell, Store
from dqn_ref.config import UserError
from dqn_ref.protocols import CI, NATURE
from dqn_ref.records import RunRecord
from dqn_ref.run_writer import add_evaluation
from dqn_ref.seeds import Member

GAMES = ("qbert", "phoenix")  # random 163.9 and 761.4, human 13455.0 and 7242.6


@pytest.fixture
def cell(tmp_path):
    """Make a cell with the run of (game, seed)."""

    def make(game, seed, score=None, status="finished", folder="runs", **settings) -> Cell:
        write_run(tmp_path / folder / f"{game}-s{seed}", game, seed, score=score, status=status, **settings)
        return Store(tmp_path).cell(tmp_path / folder, Member(game, seed))

    return make


def missing(game, seed):
    return Cell(Member(game, seed), Path(f"{game}-s{seed}"), "missing", None)


# ---------------------------------------------------------------------- the score of a run


def test_the_score_is_the_mean_return_of_the_protocols_evaluation(cell):
    assert run_score(cell("qbert", 0, score=412.5).record) == 412.5


@pytest.mark.parametrize(
    "changes",
    [
        {"epsilon": 0.001},
        {"max_frames": CI.config.evaluation_max_frames * 2},
        {"num_episodes": CI.config.evaluation_episodes + 1},
        {"weights": "best"},
    ],
)
def test_an_evaluation_of_another_kind_is_not_the_score(cell, changes):
    """Neither instead of the protocol's own, nor before it."""
    other = evaluation(CI.config, 999.0, **changes)
    without = cell("qbert", 0)
    add_evaluation(without.folder, other)
    with pytest.raises(UserError, match="no evaluation of its protocol") as refused:
        run_score(RunRecord.read(without.folder))
    assert str(without.folder) in str(refused.value)
    add_evaluation(without.folder, evaluation(CI.config, 7.0))
    assert run_score(RunRecord.read(without.folder)) == 7.0


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_a_score_that_is_no_number_is_refused(cell, score):
    made = cell("qbert", 0)
    add_evaluation(made.folder, evaluation(CI.config, 0.0, mean_return=score))
    with pytest.raises(UserError, match="no evaluation of its protocol"):
        run_score(RunRecord.read(made.folder))


def test_a_finished_run_without_evaluation_is_refused_and_does_not_count_as_missing(cell):
    with pytest.raises(UserError, match="no evaluation of its protocol"):
        score_matrix(("qbert",), [cell("qbert", 0)])


@pytest.mark.parametrize("field", ["weights", "epsilon", "max_frames", "num_episodes", "mean_return"])
def test_an_evaluation_that_lacks_a_field_is_refused_with_its_path(cell, field):
    made = cell("qbert", 0, score=5)
    path = made.folder / "evaluation.json"
    first = json.loads(path.read_text())["evaluations"][0]
    del first[field]
    edit_json(path, evaluations=[first])
    with pytest.raises(UserError) as refused:
        run_score(RunRecord.read(made.folder))
    assert str(made.folder) in str(refused.value)


# ---------------------------------------------------------------------- the matrix


def test_matrix_worked_by_hand(cell):
    """Rows are seeds, columns games: qbert spans 13291.1 points, phoenix 6481.2."""
    cells = [cell("qbert", 0, 163.9), cell("phoenix", 0, 7242.6), cell("qbert", 1, 13455.0), cell("phoenix", 1, 761.4),
             cell("qbert", 2, 163.9 + 1329.11), cell("phoenix", 2, 761.4 - 648.12)]  # fmt: skip
    scores = score_matrix(GAMES, cells)
    np.testing.assert_allclose(scores.matrix(), [[0, 1], [1, 0], [0.1, -0.1]], atol=1e-12)
    np.testing.assert_allclose(scores.normalised("phoenix"), [1, 0, -0.1], atol=1e-12)
    assert scores.raw["qbert"] == {0: 163.9, 1: 13455.0, 2: 163.9 + 1329.11}
    assert scores.num_seeds == 3
    assert scores.missing == ()


def test_columns_follow_the_order_of_the_games_and_not_of_the_cells(cell):
    cells = [cell("phoenix", 0, 7242.6), cell("qbert", 0, 163.9)]
    assert score_matrix(GAMES, cells).matrix().tolist() == [[0.0, 1.0]]
    assert score_matrix(GAMES[::-1], cells).matrix().tolist() == [[1.0, 0.0]]


def test_seeds_are_in_order_whatever_the_order_of_the_cells(cell):
    cells = [cell("qbert", seed, 1000.0 * seed) for seed in (2, 0, 1)]
    expected = [human_and_random()["qbert"].normalise(1000.0 * seed) for seed in (0, 1, 2)]
    assert score_matrix(("qbert",), cells).normalised("qbert").tolist() == expected


# ---------------------------------------------------------------------- what is refused


def test_an_incomplete_matrix_names_each_missing_cell_and_gives_no_aggregate(cell):
    cells = [cell("qbert", 0, 500), missing("qbert", 1), cell("phoenix", 0, status="failed"),
             cell("phoenix", 1, status="interrupted")]  # fmt: skip
    scores = score_matrix(GAMES, cells)
    assert scores.missing == ("qbert seed 1: missing", "phoenix seed 0: failed", "phoenix seed 1: interrupted")
    with pytest.raises(UserError) as refused:
        scores.matrix()
    for name in scores.missing:
        assert name in str(refused.value)


@pytest.mark.parametrize("status", ["failed", "interrupted", "running"])
def test_a_run_that_did_not_finish_has_no_score_though_it_was_evaluated(cell, status):
    made = cell("qbert", 0, status=status)
    add_evaluation(made.folder, evaluation(CI.config, 500.0))
    made = Store(made.folder.parent).cell(made.folder.parent, made.member)
    assert made.record.evaluations
    scores = score_matrix(("qbert",), [made])
    assert scores.raw == {"qbert": {}}
    assert scores.missing == (f"qbert seed 0: {status}",)


@pytest.mark.parametrize("cut", range(4))
def test_one_missing_cell_is_enough(cell, cut):
    """Wherever it is: no matrix of fewer seeds, and no hole filled in."""
    members = [(game, seed) for game in GAMES for seed in (0, 1)]
    cells = [missing(*each) if place == cut else cell(*each, 500) for place, each in enumerate(members)]
    with pytest.raises(UserError, match=f"1 runs are missing: {members[cut][0]} seed {members[cut][1]}: missing"):
        score_matrix(GAMES, cells).matrix()


def test_a_seed_counts_once(cell):
    once = cell("qbert", 0, 500)
    with pytest.raises(UserError, match="qbert-s0 is there twice"):
        score_matrix(("qbert",), [once, cell("qbert", 1, 600), once])


def test_runs_of_different_budgets_are_refused(cell):
    longer = cell("qbert", 1, 500, frames=CI.config.total_frames * 2, folder="longer")
    with pytest.raises(UserError, match="different protocols or budgets"):
        score_matrix(("qbert",), [cell("qbert", 0, 500), longer])


def test_runs_of_different_protocols_are_refused(cell):
    other = cell("qbert", 1, 500, protocol=NATURE, config=CI.config, folder="other")
    with pytest.raises(UserError, match=r"different protocols or budgets.*ci-v.*nature-v"):
        score_matrix(("qbert",), [cell("qbert", 0, 500), other])


def test_games_with_different_numbers_of_seeds_make_no_matrix():
    scores = ScoreMatrix(GAMES, {"qbert": {0: 1.0, 1: 2.0}, "phoenix": {0: 3.0}}, missing=())
    assert scores.num_seeds == 1
    with pytest.raises((UserError, ValueError)):
        scores.matrix()


# ---------------------------------------------------------------------- how they were measured


def test_scores_say_the_cap_and_the_sticky_actions_that_they_were_played_with():
    """The protocol cuts an episode of an evaluation after 5 minutes, one of training after 30: 60 frames a second."""
    config = replace(CI.config, sticky_action_probability=0.25)
    measured = [evaluation_measurement(config), training_measurement(config)]
    assert [each.max_frames for each in measured] == [18_000, 108_000]
    assert [each.sticky_action_probability for each in measured] == [0.25, 0.25]
