"""What docs/why-dqn-fails.md says in its own words holds in the stored runs: a test for each sentence of section 3."""

import functools
from pathlib import Path

import numpy as np
import pytest

from benchmarks.failures.effects import Verdict, effect
from benchmarks.failures.findings import find
from benchmarks.failures.variants import CONTROL, REFERENCE, VARIANTS
from benchmarks.random_play import HELD, chance
from benchmarks.reference import human_and_random
from benchmarks.store import Store
from dqn_ref.protocols import EARLY, NATURE
from dqn_ref.train import epsilon_at

GAME = "ms_pacman"
ROOT = Path(__file__).parent.parent


@functools.cache
def found():
    return find(Store(ROOT / "results"), "early-v1-100k")


def judged(name):
    (row,) = [row for row in found().rows if (row.variant.name, row.game) == (name, GAME)]
    return row.judged


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


def test_no_score_decides_a_claim_since_the_reference_is_not_above_its_control():
    (own,) = [each for each in found().learnt if each.game == GAME]
    assert (len(own.scores), len(own.control)) == (13, 13)
    assert own.p < 0.05 < own.control_p < 0.06
    assert {row.judged.verdict for row in found().rows if row.game == GAME} == {Verdict.NOT_LEARNT}


def test_with_the_first_three_seeds_of_the_control_there_were_verdicts():
    (own,) = [each for each in found().learnt if each.game == GAME]
    assert effect(own.control[:3], own.scores).p_lower < 0.05


@pytest.mark.parametrize("name", ["no-target-network", "article-replay-target"])
def test_what_c3_costs_in_points_is_not_shown(name):
    assert judged(name).adjusted_lower >= 0.05


def test_c3_holds_on_the_second_game_too():
    own = inside("no-target-network", "alien")
    assert own.beyond == own.seeds >= 3
    assert own.reference[0] == 0


def test_in_none_of_the_references_short_runs_did_values_run_away():
    """Its target network is copied ten times as often as the paper's."""
    assert EARLY.config.target_period_agent_steps == 1_000
    own = [each for each in found().inside if each.variant == REFERENCE.name]
    assert [each.beyond for each in own] == [0] * len(own)
    assert sum(each.seeds for each in own) > 20


@pytest.mark.parametrize(("frames", "epsilon"), [(1_000_000, 0.82), (2_000_000, 0.6)])
def test_how_random_the_papers_play_is_after_so_many_frames(frames, epsilon):
    assert epsilon_at(frames // 4, NATURE.config) == pytest.approx(epsilon, abs=0.006)


@pytest.mark.parametrize("game", ["ms_pacman", "alien"])
def test_random_play_that_holds_its_actions_scores_about_as_much_as_the_reference_and_its_control(game):
    """Within three standard errors of a mean that lies between the two, or above both."""
    (own,) = [each for each in found().learnt if each.game == game]
    held, jitters = (chance(Store(ROOT / "results"), game, policy) for policy in (HELD, "random"))
    assert held.mean > jitters.mean + 3 * (held.standard_error + jitters.standard_error)
    low, high = sorted((own.scores.mean(), own.control.mean()))
    assert low - 3 * held.standard_error < held.mean < high + 3 * held.standard_error


def test_held_still_the_networks_of_too_much_exploration_are_not_shown_to_be_worse():
    reference = np.array([run.evaluation for run in found().of(REFERENCE, GAME)])
    for name in ("slow-epsilon", "article-epsilon"):
        own = np.array([run.evaluation for run in found().of(VARIANTS[name], GAME)])
        assert effect(own, reference).p_lower > 0.5


def test_on_alien_the_control_has_about_all_that_the_reference_has_above_random_play():
    (alien,) = [each for each in found().learnt if each.game == "alien"]
    assert not alien.holds
    assert 0.9 < (alien.control.mean() - alien.random) / (alien.scores.mean() - alien.random) < 1.1


@pytest.mark.parametrize("name", ["no-exploration", "slow-epsilon", "article-epsilon", "article-bare"])
def test_these_score_less_than_the_reference_while_they_learn(name):
    assert judged(name).adjusted_lower < 0.05


@pytest.mark.parametrize("name", ["no-exploration", "slow-epsilon", "article-epsilon", "article-bare"])
def test_these_score_less_than_published_random_play(name):
    assert mean(name) < human_and_random()[GAME].random


@pytest.mark.parametrize("name", ["no-exploration", "article-bare"])
def test_these_score_less_than_random_play_at_their_own_frame_skip(name):
    assert mean(name) < chance(Store(ROOT / "results"), GAME).mean


@pytest.mark.parametrize(
    "name",
    ["flat-mlp", "half-width", "single-frame", "no-replay", "tiny-replay", "fast-epsilon", "article-epsilon-default",
     "gamma-0.5", "gamma-0.9", "gamma-0.999", "lr-x10", "lr-div10", "mse-unclipped", "rmsprop-eps-outside",
     "no-reward-clip", "life-loss-not-terminal", "unscaled-input", "he-weights", "glorot-weights"],
)  # fmt: skip
def test_of_these_no_lower_and_no_higher_score_was_shown(name):
    assert min(judged(name).adjusted_lower, judged(name).adjusted_higher) >= 0.05


def test_the_references_values_explain_nothing_and_those_of_two_faults_most():
    assert inside(REFERENCE.name).medians["td_error_ratio"] > 0.95
    for name in ("lr-x10", "unscaled-input"):
        assert inside(name).medians["td_error_ratio"] < 0.5
        assert min(judged(name).adjusted_lower, judged(name).adjusted_higher) >= 0.05
        assert inside(name, "alien").medians["td_error_ratio"] > 0.95


def test_with_larger_initial_weights_values_explain_a_part_and_with_the_largest_most():
    reference, glorot, he = (inside(name).medians for name in (REFERENCE.name, "glorot-weights", "he-weights"))
    assert he["td_error_ratio"] < 0.5 < glorot["td_error_ratio"] < 0.9 < 0.95 < reference["td_error_ratio"]
    assert reference["action_entropy"] < 0.1 < 0.2 < min(glorot["action_entropy"], he["action_entropy"])


@pytest.mark.parametrize("game", ["freeway", "montezuma_revenge"])
def test_c6_replay_of_a_sparse_game_holds_next_to_no_reward(game):
    assert found().reward_share(game) < 0.001 < 0.05 < found().reward_share(GAME)
    assert not next(each for each in found().learnt if each.game == game).holds
