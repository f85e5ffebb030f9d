"""The sentences and tables of docs/why-dqn-fails.md, worked by hand from records made for it."""

import csv
import dataclasses
import math

import pytest
from fake_runs import write_run

from benchmarks.failures import answer
from benchmarks.failures.variants import VARIANTS
from benchmarks.random_play import HELD, Played, as_record
from benchmarks.store import Store
from dqn_ref.protocols import CI, NATURE

GROUP = "ci-v1-16k"
REFERENCE = (900.0, 1_200.0, 700.0, 1_500.0, 1_100.0)  # mean 1,080; random is 11.5


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results")


def put(store, name, scores, game="road_runner", **columns):
    """Runs that earn ``scores`` in the second half of 16k frames, 4 less held still, with ``columns`` in every row."""
    for seed, score in enumerate(scores):
        folder = store.failures(GROUP) / name / f"{game}-s{seed}"
        episodes = [(2_000, 7_000, "game_over"), (15_000, score, "game_over")]
        write_run(folder, game, seed, score=score - 4, episodes=episodes, config=VARIANTS[name].of(CI.config))
        with (folder / "progress.csv").open() as file:
            rows = [row | columns for row in csv.DictReader(file)]
        with (folder / "progress.csv").open("w") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


@pytest.fixture
def measured(store):
    """A reference that has learnt, its control, a variant whose values run away, and two games without conclusion."""
    inside = {"q_start": 3, "start_return": 12, "td_error_ratio": 0.75, "action_entropy": 0.4}
    put(store, "reference", REFERENCE, nonzero_reward_share=0.05, **inside)
    put(store, "constant-reward", (20, 30, 40), td_error_ratio=1.5)
    put(store, "no-target-network", (100, 50, 0), q_max=101, td_error_ratio=1.5)
    put(store, "reference", (0, 0, 0), "montezuma_revenge", nonzero_reward_share=0, td_error_ratio="nan")
    put(store, "reference", (0, 0), "pong", td_error_ratio="nan")
    put(store, "no-target-network", (0,), "pong")
    return store


def rows_of(markdown):
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in markdown.splitlines() if line.startswith("|")]


def test_what_the_reference_has_above_random_play_is_shared_out_by_hand(measured):
    text, other = answer.state_of_learning(measured).split("\n\n")
    assert text.startswith("**road_runner, 16k frames (ci-v1-16k).**")
    assert "Random play scores 11.5 (published), the reference 1,080 (5 seeds, 700 to 1,500)" in text
    assert "So " not in other
    assert "30.0 (3 seeds, 20.0 to 40.0): the reference is above both (it is 660 to 1,480 above its" in text
    assert "So 2% (1% to 3%) of what it has" in text  # 18.5 of 1,068.5
    assert "Held still, the reference's last networks score 1,076." in text
    assert "first states at 3.0, and what followed was worth 12.0; values explain 25% of the variance" in text
    assert text.endswith("actions' entropy is 0.40 of 1. The target network was copied 17 times.")
    assert "(no run): the reference is not shown to be above both." in other
    assert "not measured is what values explain of the variance" in other


def test_the_control_stands_beside_the_reference_in_a_table(measured):
    assert rows_of(answer.beside_the_control(measured))[2:] == [
        ["road_runner", "16k", "11.5 (published)", "", "30.0 (3 seeds, 20.0 to 40.0)",
         "1,080 (5 seeds, 700 to 1,500)", "2% (1% to 3%)"],
        ["pong", "16k", "-20.7 (published)", "", "(no run)", "0.0 (2 seeds, 0.0 to 0.0)", ""],
    ]  # fmt: skip


def test_random_play_with_the_agents_frame_skip_is_the_zero_where_it_is_stored(measured):
    measured.store_random_play(
        "road_runner",
        as_record([Played("road_runner", "random", [[20, 22]], 9), Played("road_runner", HELD, [[31, 37]], 9)], 2),
    )
    text = answer.state_of_learning(measured)
    assert "Random play scores 21.0 at the agent's frame skip, 11.5 (published), the reference" in text
    assert "So 1% (0% to 2%) of what it has above random play" in text  # 9 of 1,059
    assert "Random play that holds each action for eight agent steps scores 34.0 ± 3.0." in text
    row = rows_of(answer.beside_the_control(measured))[2]
    assert row[2:4] == ["21.0 at the agent's frame skip, 11.5 (published)", "34.0 ± 3.0"]


def test_the_share_of_the_control_lies_between_resampled_seeds_worked_by_hand(store):
    """Every run of the reference is 200 above random play; the control's three are 20, 100 and 180 above it.

    Of 27 ways to draw three of them again, one has only the lowest: 3.7 %, more than 2.5 %.
    """
    for name, scores in {"reference": (200,) * 5, "constant-reward": (20, 100, 180), "no-target-network": (0,)}.items():
        put(store, name, scores, "montezuma_revenge")  # whose random score is 0
    assert rows_of(answer.beside_the_control(store))[2][-1] == "50% (10% to 90%)"


def test_a_reference_that_is_next_to_nothing_above_random_play_shares_nothing_out(store):
    """The bar is 168.2."""
    put(store, "reference", (150.0,) * 5)
    put(store, "constant-reward", (20, 30, 40))
    put(store, "no-target-network", (0,))
    assert rows_of(answer.beside_the_control(store))[2][-1] == ""
    assert "So " not in answer.state_of_learning(store)


def test_p_values_of_claims_are_adjusted_for_all_variants_that_were_run(measured):
    """3 against 5, all below: 1/56, and of two variants 2/56."""
    put(measured, "gamma-0.5", (100, 50, 0))
    found = {row[1]: row[3] for row in rows_of(answer.claims(measured)) if row[2].startswith("50.0")}
    assert found == {"no-target-network": "0.036", "gamma-0.5": "0.036"}


def test_each_row_of_claims_has_its_score_its_evaluation_and_what_was_seen_inside(measured):
    found = rows_of(answer.claims(measured))
    assert found[2:4] == [
        ["reference", "reference", "1,080 (5 seeds, 700 to 1,500)", "", "1,076", "25%", "0 of 5", ""],
        ["C3", "no-target-network", "50.0 (3 seeds, 0.0 to 100)", "0.018", "46.0", "0%", "3 of 3 v 0 of 5, p 0.018",
         "confirmed here"],
    ]  # fmt: skip
    assert found[-1][2] == "0.0 (1 seed)"


def test_where_no_verdict_can_follow_the_table_says_why_and_has_none(store):
    put(store, "reference", REFERENCE)
    put(store, "constant-reward", (800.0, 1_000.0, 1_300.0))
    put(store, "no-target-network", (100, 50, 0))
    text = answer.claims(store)
    assert "**road_runner, ci-v1-16k** (above random play and its control? no: not above its control. So no" in text
    assert {len(row) for row in rows_of(text)} == {7}
    put(store, "reference", (5.0, 6.0), "pong")
    put(store, "no-target-network", (0,), "pong")
    assert "<summary>pong, ci-v1-16k: no control, so no verdicts</summary>" in answer.claims(store)


def test_a_game_without_rewards_is_a_row_of_its_own(measured):
    assert rows_of(answer.sparseness(measured))[2:] == [
        ["road_runner", GROUP, "5.00%", "11.5", "1,080 (5 seeds, 700 to 1,500)", "30.0 (3 seeds, 20.0 to 40.0)", "yes"],
        ["pong", GROUP, "0.00%", "-20.7", "0.0 (2 seeds, 0.0 to 0.0)", "(no run)", "no control"],
        ["montezuma_revenge", GROUP, "0.00%", "0.0", "0.0 (3 seeds, 0.0 to 0.0)", "(no run)", "no control"],
    ]


def test_copies_and_how_far_values_have_risen_by_hand(measured):
    # 250,000 agent steps, 0 to 249,999, of which those above 50,000 learn: copies at 60,000, 70,000, ... 240,000
    assert answer.copies(dataclasses.replace(NATURE.config, total_frames=1_000_000)) == 19
    for name in ("reference", "no-target-network"):
        put(measured, name, (0,), "alien", q_start=1, start_return=-2)
    found = {tuple(row[:2]): row[2:] for row in rows_of(answer.rise(measured))}
    assert found["the paper's", "1M"] == ["19", f"{100 * (1 - 0.99**20):.0f}%", ""]
    # 4,000 agent steps, of which those above 500 learn, a copy each 200: 600 to 3,800, and 1 - .99^18; 3 of 12
    assert found["road_runner, ci-v1", "16k"] == ["17", "17%", "25%"]
    assert found["pong, ci-v1", "16k"][-1] == found["alien, ci-v1", "16k"][-1] == "nothing followed"
    assert not any(setting.startswith("montezuma") for setting, _ in found)  # no variant was compared there


def test_what_nobody_has_run_is_named(measured):
    assert answer.untried(measured).startswith("Not run yet: flat-mlp, half-width, ")
    assert "no-target-network" not in answer.untried(measured)
    for name in VARIANTS:
        put(measured, name, (0,), "assault")
    assert answer.untried(measured) == "Every variant has been run.\n"


def test_the_cost_of_measuring_is_what_the_rows_intervals_leave_of_the_clock_worked_by_hand(store):
    """Two runs of 8 rows took 30 s each; 16,000 frames at 1,000 a second are 16 of them, so that 14 are left."""
    put(store, "reference", (0, 0), "pong", wall_seconds=30, frames_per_second=1_000)
    put(store, "gamma-0.5", (0,), "pong", wall_seconds=99)
    assert answer.cost_of_measuring(store).startswith(
        "46.67% of the training time of 2 runs of the reference went into 16 rows, all measures and saved weights "
        "included: 1.75 s each, one every 2k frames, on 100 states."
    )


@pytest.mark.parametrize(("ratio", "words"), [(0.26, "74%"), (1.0, "0%"), (8.0, "0%"), (math.nan, "not measured")])
def test_values_explain_what_is_left_of_the_error(ratio, words):
    assert answer.explained(ratio) == words


def test_without_a_run_it_says_how_to_make_one(store):
    assert "tox -e bench-failures" in answer.state_of_learning(store)
    assert answer.sparseness(store) == answer.state_of_learning(store) == answer.beside_the_control(store)
