"""Variants are data, and each differs from the reference in exactly what it says."""

import dataclasses

import pytest

from benchmarks.failures.variants import ALIASES, CLAIMS, CONTROL, REFERENCE, VARIANTS, variant_named, variants_named
from dqn_ref.__main__ import parse
from dqn_ref.config import UserError
from dqn_ref.protocols import PROTOCOLS

# Worked by hand for nature at 10M frames: 2.5M agent steps, 50,000 of them warm-up.
AT_10M = {
    "constant-reward": {"constant_reward": 0.06},
    "no-replay": {"replay_capacity": 32},
    "tiny-replay": {"replay_capacity": 1_000},
    "no-target-network": {"target_period_updates": 1},
    "fast-epsilon": {"epsilon_span_agent_steps": 40_000},
    "slow-epsilon": {"epsilon_span_agent_steps": 9_800_000},
    "no-exploration": {"epsilon_start": 0.0, "epsilon_end": 0.0},
    "gamma-0.9": {"discount": 0.9},
    "gamma-0.5": {"discount": 0.5},
    "gamma-0.999": {"discount": 0.999},
    "lr-x10": {"learning_rate": 0.0025},
    "lr-div10": {"learning_rate": 0.000025},
    "rmsprop-eps-outside": {"floor_outside_root": True},
    "life-loss-not-terminal": {"life_loss_terminal": False},
    "article-epsilon": {"epsilon_end": 0.01, "epsilon_span_agent_steps": 99_000},
    "article-epsilon-default": {"epsilon_end": 0.01, "epsilon_span_agent_steps": 9_900},
    "flat-mlp": {"network": "flat_mlp"},
    "half-width": {"network": "half_width"},
    "single-frame": {"frames_per_state": 1},
    "mse-unclipped": {"error_clip": None},
    "no-reward-clip": {"reward_clip": None},
    "unscaled-input": {"input_divisor": 1.0},
    "he-weights": {"initial_weights": "he_normal"},
    "glorot-weights": {"initial_weights": "glorot_uniform"},
    "article-bare": {
        "network": "flat_mlp", "frames_per_state": 1, "error_clip": None, "optimizer": "adam", "learning_rate": 0.001,
        "loss_reduction": "mean", "batch_size": 1, "update_period_agent_steps": 1, "replay_capacity": 1,
        "replay_start_agent_steps": 1, "target_period_updates": 1, "epsilon_start": 0.0, "epsilon_end": 0.0,
    },
    "article-replay-target": {
        "error_clip": None, "optimizer": "adam", "learning_rate": 0.001, "loss_reduction": "mean",
        "update_period_agent_steps": 100, "replay_capacity": 1_000, "target_period_updates": 1,
    },
}  # fmt: skip


def differences(config, reference):
    """Fields in which they differ, with the values of ``config``."""
    return {
        field.name: getattr(config, field.name)
        for field in dataclasses.fields(reference)
        if getattr(config, field.name) != getattr(reference, field.name)
    }


def test_the_reference_is_unchanged_and_every_other_variant_has_an_expectation_here():
    reference = PROTOCOLS["nature"].config
    assert REFERENCE.of(reference) == reference
    assert set(AT_10M) == set(VARIANTS) - {"reference"}


@pytest.mark.parametrize("name", AT_10M)
def test_a_variant_at_10m_frames_differs_in_exactly_this(name):
    reference = dataclasses.replace(PROTOCOLS["nature"].config, total_frames=10_000_000)
    assert differences(VARIANTS[name].of(reference), reference) == pytest.approx(AT_10M[name])


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", AT_10M)
def test_under_every_protocol_it_differs_in_every_field_that_it_names_and_in_no_other(name, protocol):
    reference = PROTOCOLS[protocol].config
    assert set(differences(VARIANTS[name].of(reference), reference)) == set(VARIANTS[name].changes)


@pytest.mark.parametrize("frames", [1_000_000, 10_000_000])
def test_slow_epsilon_never_gets_below_three_quarters(frames):
    reference = dataclasses.replace(PROTOCOLS["nature"].config, total_frames=frames)
    config = VARIANTS["slow-epsilon"].of(reference)
    learning = config.total_agent_steps - config.replay_start_agent_steps
    at_the_end = 1.0 - 0.9 * learning / config.epsilon_span_agent_steps
    assert at_the_end == pytest.approx(0.775)


@pytest.mark.parametrize("name", AT_10M)
def test_the_agents_command_line_reads_a_variant_as_it_is(name):
    from benchmarks.jobs import option_words

    reference = PROTOCOLS["ci"].config
    variant = VARIANTS[name]
    words = option_words(variant.values(reference))
    command = parse(["train", "--game", "pong", "--protocol", "ci", *words])
    assert command.config == variant.of(reference)


def test_every_variant_has_a_known_claim_a_sentence_and_a_source():
    for variant in VARIANTS.values():
        assert variant.claim in CLAIMS
        assert variant.says.endswith(".")
        assert variant.source
    assert {"C1", "C2", "C3", "C4", "C5", "C7", "C8", "article"} <= {variant.claim for variant in VARIANTS.values()}


def test_another_name_of_the_same_function_is_one_run():
    assert variant_named("target-period-1") is VARIANTS["no-target-network"]
    assert all(name in VARIANTS and alias not in VARIANTS for alias, (name, _) in ALIASES.items())


def test_variants_come_once_and_in_the_order_of_the_claims_after_the_reference_and_its_control():
    asked = variants_named(["lr-x10", "target-period-1", "no-target-network", "flat-mlp"])
    assert [variant.name for variant in asked] == [
        "reference", "constant-reward", "flat-mlp", "no-target-network", "lr-x10",
    ]  # fmt: skip
    assert variants_named([]) == (REFERENCE, CONTROL)  # every matrix has both


def test_there_is_one_control_and_it_is_no_claim_of_the_articles():
    assert [variant for variant in VARIANTS.values() if variant.claim == "control"] == [CONTROL]
    assert CONTROL.name == "constant-reward"


def test_an_unknown_variant_is_refused_with_the_known_ones():
    with pytest.raises(UserError, match="No variant is called 'no-relay'; known are: reference, constant-reward"):
        variant_named("no-relay")
