"""What docs/why-dqn-fails.md says in its own words holds in the stored runs: a test for each sentence of section 3."""

import functools
from pathlib import Path

import pytest

from benchmarks.failures.effects import Verdict
from benchmarks.failures.findings import find
from benchmarks.failures.variants import CONTROL, REFERENCE, VARIANTS
from benchmarks.reference import human_and_random
from benchmarks.store import Store

GAME = "ms_pacman"
ROOT = Path(__file__).parent.parent


@functools.cache
def found():
    return find(Store(ROOT / "results"), "early-v1-100k")


def verdict(name):
    (row,) = [row for row in found().rows if (row.variant.name, row.game) == (name, GAME)]
    return row.judged.verdict


def inside(name, game=GAME):
    (own,) = [each for each in found().inside if (each.variant, each.game) == (name, game)]
    return own


def mean(name):
    runs = found().of(VARIANTS[name], GAME)
    return sum(run.score for run in runs) / len(runs)


def test_every_variant_was_run_on_the_game_with_three_seeds():
    rows = {row.variant.name: len(row.runs) for row in found().rows if row.game == GAME}
    assert set(rows) == {name for name, each in VARIANTS.items() if each not in (REFERENCE, CONTROL)}
    assert set(rows.values()) == {3}


def test_c3_values_ran_away_in_every_run_of_both_codes_without_lag_and_in_none_of_the_reference():
    for name in ("no-target-network", "article-replay-target"):
        own = inside(name)
        assert own.beyond == own.seeds >= 3
        assert own.adjusted < 0.05
        assert own.reference[0] == 0


def test_c3_costs_points_among_two_comparisons_and_not_among_all():
    two = [VARIANTS[name] for name in ("no-target-network", "article-replay-target")]
    alone = find(Store(ROOT / "results"), "early-v1-100k", [GAME], two)
    verdicts = {row.variant.name: row.judged.verdict for row in alone.rows}
    assert verdicts == {"no-target-network": Verdict.CONFIRMED, "article-replay-target": Verdict.NOT_SHOWN}
    assert verdict("no-target-network") is Verdict.NOT_SHOWN


def test_c3_holds_on_the_second_game_too():
    own = inside("no-target-network", "alien")
    assert own.beyond == own.seeds >= 3
    assert own.reference[0] == 0


def test_on_alien_the_control_has_about_all_that_the_reference_has_above_random_play():
    (alien,) = [each for each in found().learnt if each.game == "alien"]
    assert not alien.holds
    assert 0.9 < (alien.control.mean() - alien.random) / (alien.scores.mean() - alien.random) < 1.1


def test_c5_too_little_and_too_much_exploration_cost_points():
    assert {verdict(name) for name in ("no-exploration", "slow-epsilon", "article-epsilon")} == {Verdict.CONFIRMED}


@pytest.mark.parametrize("name", ["no-exploration", "slow-epsilon", "article-epsilon", "article-bare"])
def test_these_score_less_than_random_play(name):
    assert mean(name) < human_and_random()[GAME].random


def test_the_articles_first_code_costs_points():
    assert verdict("article-bare") is Verdict.CONFIRMED


@pytest.mark.parametrize(
    "name",
    ["flat-mlp", "half-width", "single-frame", "no-replay", "tiny-replay", "fast-epsilon", "article-epsilon-default",
     "gamma-0.5", "gamma-0.9", "gamma-0.999", "lr-x10", "lr-div10", "mse-unclipped", "rmsprop-eps-outside",
     "no-reward-clip", "life-loss-not-terminal", "unscaled-input", "he-weights", "glorot-weights"],
)  # fmt: skip
def test_of_these_no_effect_was_shown(name):
    assert verdict(name) is Verdict.NOT_SHOWN


def test_the_references_values_explain_nothing_and_those_of_two_faults_most():
    assert inside(REFERENCE.name).medians["td_error_ratio"] > 0.95
    for name in ("lr-x10", "unscaled-input"):
        assert inside(name).medians["td_error_ratio"] < 0.5
        assert verdict(name) is Verdict.NOT_SHOWN  # neither lower nor higher
        assert inside(name, "alien").medians["td_error_ratio"] > 0.95


def test_with_larger_initial_weights_values_explain_a_part_and_with_the_largest_most():
    reference, glorot, he = (inside(name).medians for name in (REFERENCE.name, "glorot-weights", "he-weights"))
    assert he["td_error_ratio"] < 0.5 < glorot["td_error_ratio"] < 0.9 < 0.95 < reference["td_error_ratio"]
    assert reference["action_entropy"] < 0.1 < 0.2 < min(glorot["action_entropy"], he["action_entropy"])


@pytest.mark.parametrize("game", ["freeway", "montezuma_revenge"])
def test_c6_replay_of_a_sparse_game_holds_next_to_no_reward(game):
    assert found().reward_share(game) < 0.001 < 0.05 < found().reward_share(GAME)
    assert not next(each for each in found().learnt if each.game == game).holds
