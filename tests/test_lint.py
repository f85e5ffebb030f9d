"""The rules on a configuration: each sees its fault and no other, and healthy setups are left in peace."""

import dataclasses
import math

import pytest
import torch
from conftest import make_tiny_config
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.doctor.lint_command import rules_table
from dqn_ref.config import DQNConfig, UserError
from dqn_ref.lint import RULES, SEVERITIES, Setup, lint, warning_lines, warnings_of
from dqn_ref.lint.setup import FACTS
from dqn_ref.optimizer import RMSProp
from dqn_ref.protocols import CI, NATURE, PROTOCOLS

REFERENCE = Setup.of(NATURE.config, memory_bytes=64_000_000_000)
SCALED = DQNConfig(  # schedules for the smallest budgets at which something is learnt
    total_frames=400_000, iteration_frames=20_000, progress_frames=20_000, replay_capacity=100_000,
    replay_start_agent_steps=2_000, target_period_agent_steps=1_000, epsilon_span_agent_steps=25_000,
    precision="bfloat16",
)  # fmt: skip
DOPAMINE = dataclasses.replace(
    REFERENCE, replay_start_agent_steps=20_000, target_period_agent_steps=8_000, epsilon_end=0.01,
    epsilon_span_agent_steps=250_000, evaluation_epsilon=0.001, sticky_action_probability=0.25, life_loss="ignored",
    loss_reduction="mean", min_squared_gradient=0.00001,
)  # fmt: skip
DOPAMINE_ADAM = dataclasses.replace(DOPAMINE, optimizer="adam", learning_rate=0.0000625, error_clip=math.inf)


def found(setup):
    return {finding.rule: finding.severity for finding in lint(setup).findings}


def grave(setup):
    return {finding.rule for finding in lint(setup).grave}


# ---------------------------------------------------------------------- each rule, and no other

FAULTS = [
    ("target-not-behind", "error", {"target_period_agent_steps": 4}),  # right after each update
    ("target-not-behind", "error", {"target_period_agent_steps": 1}),
    ("target-not-behind", "error", {"target_period_updates": 1}),
    # The article's: an update every 100 agent steps, a copy right after it. It also learns 25 times too rarely.
    ("target-not-behind", "warning", {"target_period_agent_steps": 36}),
    ("target-outlasts-run", "error", {"target_period_updates": 13_000_000}),
    ("target-outlasts-run", "warning", {"target_period_agent_steps": 12_000_000}),
    ("horizon-short", "warning", {"discount": 0.9}),
    ("horizon-short", "error", {"discount": 0.5}),
    ("horizon-short", "error", {"discount": 0.0}),
    ("horizon-endless", "error", {"discount": 1.0}),
    ("horizon-long", "hint", {"discount": 0.999}),
    ("update-rate", "warning", {"updates_per_agent_step": 0.01}),
    ("update-rate", "hint", {"updates_per_agent_step": 1.0}),
    ("update-rate", "warning", {"updates_per_agent_step": 4.0}),
    ("batch-size", "warning", {"batch_size": 1}),
    ("batch-size", "hint", {"batch_size": 256}),
    ("rewards-not-clipped", "warning", {"reward_clip": math.inf}),
    ("rewards-constant", "warning", {"rewards_from_game": False}),
    ("errors-not-clipped", "hint", {"error_clip": math.inf}),
    ("learning-rate", "warning", {"learning_rate": 0.0025}),
    ("learning-rate", "warning", {"learning_rate": 0.000025}),
    ("learning-rate", "warning", {"optimizer": "adam", "learning_rate": 0.001}),
    ("floor-outside-root", "warning", {"floor_outside_root": True}),
    ("mean-loss-floor", "warning", {"loss_reduction": "mean"}),
    ("floor-far-off", "warning", {"min_squared_gradient": 1e-8}),
    ("floor-far-off", "warning", {"min_squared_gradient": 1.0}),
    ("decays-differ", "error", {"squared_gradient_decay": 0.99}),
    ("exploration-none", "error", {"epsilon_start": 0.0, "epsilon_end": 0.0}),
    ("exploration-none", "warning", {"epsilon_start": 0.01, "epsilon_end": 0.01}),
    ("exploration-ends-early", "warning", {"epsilon_span_agent_steps": 9_900}),
    ("exploration-ends-early", "warning", {"epsilon_span_agent_steps": 99_000}),
    ("exploration-outlasts-run", "hint", {"epsilon_span_agent_steps": 70_000_000}),
    ("exploration-outlasts-run", "warning", {"epsilon_span_agent_steps": 400_000_000}),
    ("exploration-end", "warning", {"epsilon_end": 0.5}),
    ("exploration-end", "warning", {"epsilon_start": 0.1, "epsilon_end": 0.2}),
    ("exploration-end", "hint", {"epsilon_start": 0.1}),
    ("exploration-end", "hint", {"epsilon_end": 0.0}),
    ("frame-skip-twice", "error", {"emulator_frame_skip": 4, "frames_per_agent_step": 16}),
    ("action-repeat", "hint", {"frames_per_agent_step": 6}),
    ("action-repeat", "warning", {"frames_per_agent_step": 1}),
    ("action-repeat", "warning", {"frames_per_agent_step": 16}),
    ("sticky-twice", "warning", {"sticky_action_probability": 0.25, "wrapper_sticky_probability": 0.25}),
    ("sticky-actions", "hint", {"sticky_action_probability": 0.25}),
    ("sticky-actions", "warning", {"wrapper_sticky_probability": 0.5}),
    ("life-loss", "warning", {"life_loss": "reset"}),
    ("life-loss", "hint", {"life_loss": "ignored"}),
    ("streams", "hint", {"streams_per_member": 8}),
    ("input-scale", "error", {"input_divisor": 1.0}),
    ("input-scale", "error", {"input_divisor": 255.0**2}),
    ("frames-seen", "warning", {"frames_per_state": 1}),
    ("frames-seen", "hint", {"frames_per_state": 2}),
    ("network", "warning", {"network": "flat_mlp"}),
    ("network", "hint", {"network": "half_width"}),
    ("warm-up-outlasts-run", "error", {"replay_start_agent_steps": 50_000_000, "replay_capacity": 60_000_000,
                                       "memory_bytes": 10**12}),
    ("warm-up-above-replay", "warning", {"replay_capacity": 500_000, "replay_start_agent_steps": 500_001}),
    ("warm-up-short", "hint", {"replay_start_agent_steps": 32}),
    ("replay-tiny", "warning", {"replay_capacity": 1_000, "replay_start_agent_steps": 1_000}),
    ("replay-small", "hint", {"replay_capacity": 100_000}),
    ("replay-memory", "error", {"memory_bytes": 7_000_000_000}),
    ("replay-memory", "error", {"bytes_per_transition": 112_896, "memory_bytes": 100_000_000_000}),
    ("replay-memory", "warning", {"memory_bytes": 8_000_000_000}),
    ("units-mixed", "warning", {"epsilon_span_agent_steps": 4_000_000}),
    ("units-mixed", "warning", {"epsilon_span_agent_steps": 250_000}),
    ("units-mixed", "warning", {"replay_start_agent_steps": 200_000}),
    ("units-mixed", "warning", {"target_period_agent_steps": 40_000}),
    ("units-mixed", "warning", {"target_period_agent_steps": 2_500}),
    ("evaluation-epsilon", "warning", {"evaluation_epsilon": 0.5}),
    ("evaluation-epsilon", "hint", {"evaluation_epsilon": 0.0}),
    ("evaluation-episodes", "warning", {"evaluation_episodes": 1}),
    ("evaluation-episodes", "hint", {"evaluation_episodes": 3}),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "severity", "changes"), FAULTS, ids=lambda value: str(value))
def test_a_fault_is_seen_by_its_rule_and_by_no_other(rule, severity, changes):
    assert found(dataclasses.replace(REFERENCE, **changes)) == {rule: severity}


def test_a_short_run_gets_a_hint_and_no_more():
    assert found(Setup.of(SCALED)) == {"budget-small": "hint"}


def test_a_replay_of_a_few_batches_is_an_error():
    setup = dataclasses.replace(Setup.of(CI.config), replay_capacity=128, replay_start_agent_steps=128)
    assert found(setup) == {"replay-tiny": "error", "budget-small": "hint"}


def test_a_run_200m_agent_steps_long_is_taken_for_frames():
    setup = dataclasses.replace(REFERENCE, total_agent_steps=200_000_000, replay_capacity=2_000_000)
    assert found(setup) == {"units-mixed": "warning"}


def test_nothing_clipped_is_graver_than_errors_alone():
    setup = dataclasses.replace(REFERENCE, error_clip=math.inf, reward_clip=math.inf)
    assert found(setup) == {"errors-not-clipped": "warning", "rewards-not-clipped": "warning"}


def test_an_update_every_100_steps_with_a_copy_after_each_has_no_target_network():
    setup = dataclasses.replace(REFERENCE, updates_per_agent_step=0.01, target_period_agent_steps=100)
    assert found(setup) == {"target-not-behind": "error", "update-rate": "warning"}


def test_every_rule_and_every_severity_it_announces_has_a_fault_that_shows_it():
    shown = {(rule, severity) for rule, severity, _ in FAULTS}
    shown |= {("budget-small", "hint"), ("replay-tiny", "error"), ("errors-not-clipped", "warning")}  # those above
    assert shown == {(rule.id, severity) for rule in RULES for severity in rule.severities}


def test_ids_are_distinct():
    assert len({rule.id for rule in RULES}) == len(RULES)


# ---------------------------------------------------------------------- where the bars lie


@pytest.mark.parametrize(
    ("rule", "within", "beyond"),
    [
        ("target-not-behind", {"target_period_updates": 10}, {"target_period_updates": 9}),
        ("target-not-behind", {"target_period_agent_steps": 40}, {"target_period_agent_steps": 39}),
        ("target-outlasts-run", {"target_period_updates": 2_497_500}, {"target_period_updates": 2_497_501}),
        ("horizon-short", {"discount": 0.951}, {"discount": 0.95}),
        ("horizon-long", {"discount": 0.997}, {"discount": 0.998}),
        ("update-rate", {"updates_per_agent_step": 0.9}, {"updates_per_agent_step": 1.0}),
        ("update-rate", {"updates_per_agent_step": 0.07}, {"updates_per_agent_step": 0.0625}),
        ("batch-size", {"batch_size": 17}, {"batch_size": 16}),
        ("batch-size", {"batch_size": 127}, {"batch_size": 128}),
        ("learning-rate", {"learning_rate": 0.00249}, {"learning_rate": 0.0025}),
        ("learning-rate", {"learning_rate": 0.000026}, {"learning_rate": 0.000025}),
        ("learning-rate", {"optimizer": "adam", "learning_rate": 0.00025},
         {"optimizer": "adam", "learning_rate": 0.00000625}),
        ("floor-outside-root", {"floor_outside_root": True, "min_squared_gradient": 0.1},
         {"floor_outside_root": True, "min_squared_gradient": 0.02}),
        ("mean-loss-floor", {"loss_reduction": "mean", "min_squared_gradient": 0.01 / 32**2},
         {"loss_reduction": "mean", "min_squared_gradient": 0.01 / 32**2 * 25}),
        ("floor-far-off", {"min_squared_gradient": 0.0005}, {"min_squared_gradient": 0.0004}),
        ("exploration-ends-early", {"epsilon_span_agent_steps": 250_001}, {"epsilon_span_agent_steps": 249_999}),
        ("exploration-end", {"epsilon_end": 0.3}, {"epsilon_end": 0.31}),
        ("warm-up-short", {"replay_start_agent_steps": 128}, {"replay_start_agent_steps": 127}),
        ("replay-small", {"replay_capacity": 500_000}, {"replay_capacity": 499_999}),
        ("replay-tiny", {"replay_capacity": 10_000}, {"replay_capacity": 9_999}),
        ("sticky-actions", {"sticky_action_probability": 0.0}, {"sticky_action_probability": 0.1}),
        ("evaluation-epsilon", {"evaluation_epsilon": 0.1}, {"evaluation_epsilon": 0.11}),
        ("evaluation-episodes", {"evaluation_episodes": 4}, {"evaluation_episodes": 3}),
        ("input-scale", {"input_divisor": 127.5}, {"input_divisor": 15}),
        ("rewards-not-clipped", {"reward_clip": 10.0}, {"reward_clip": 11.0}),
        ("warm-up-outlasts-run", {"replay_start_agent_steps": 49_999_999}, {"replay_start_agent_steps": 50_000_000}),
        ("budget-small", {"total_agent_steps": 500_000}, {"total_agent_steps": 499_999}),
        ("replay-tiny", {"replay_capacity": 9_999, "total_agent_steps": 99_990},
         {"replay_capacity": 9_999, "total_agent_steps": 99_991}),
        ("exploration-none", {"epsilon_start": 0.05, "epsilon_end": 0.05}, {"epsilon_start": 0.04, "epsilon_end": 0.0}),
        ("exploration-outlasts-run", {"epsilon_span_agent_steps": 55_500_000},  # 49.95M / 55.5M = 0.9
         {"epsilon_span_agent_steps": 55_500_001}),
        ("exploration-ends-early", {"epsilon_span_agent_steps": 2_000, "total_agent_steps": 100_000},
         {"epsilon_span_agent_steps": 1_999, "total_agent_steps": 100_000}),  # 500 updates
        ("frame-skip-twice", {"emulator_frame_skip": 4, "wrapper_frame_skip": 1},
         {"emulator_frame_skip": 2, "wrapper_frame_skip": 2}),
        ("input-scale", {"input_divisor": 4096}, {"input_divisor": 4097}),
        ("input-scale", {"input_divisor": 16}, {"input_divisor": 15.9}),
        ("errors-not-clipped", {"error_clip": 10.0}, {"error_clip": 10.5}),
        ("warm-up-above-replay", {"replay_start_agent_steps": 10**6}, {"replay_start_agent_steps": 10**6 + 1}),
        ("replay-memory", {"memory_bytes": 8_855_000_000}, {"memory_bytes": 8_854_999_999}),  # 7,084 MB / 0.8
    ],
    ids=lambda value: str(value),
)  # fmt: skip
def test_a_bar_lies_where_the_page_says(rule, within, beyond):
    assert rule not in found(dataclasses.replace(REFERENCE, **within))
    assert rule in found(dataclasses.replace(REFERENCE, **beyond))


def test_epsilon_counted_from_the_first_step_may_be_spent_before_learning_starts():
    """Stable-Baselines3's zoo with a tenth of its budget: span and warm-up are both 100,000."""
    setup = dataclasses.replace(
        REFERENCE, total_agent_steps=1_000_000, epsilon_span_agent_steps=100_000, replay_start_agent_steps=100_000,
        target_period_agent_steps=1_000, epsilon_from_start=True,
    )  # fmt: skip
    (finding,) = [each for each in lint(setup).findings if each.rule == "exploration-ends-early"]
    assert "100,000 agent steps (10.00% of the run" in finding.what
    assert finding.what.endswith(" 0 updates.")
    assert not grave(dataclasses.replace(setup, epsilon_from_start=False))


def test_a_soft_copy_lags_by_one_over_its_share():
    """A copy of 0.005 at every agent step, 0.25 updates: 0.25 / 0.005 = 50 updates."""
    soft = dataclasses.replace(REFERENCE, target_period_agent_steps=1, target_mixing=0.005)
    assert soft.target_updates == pytest.approx(50)
    assert not grave(soft)


# ---------------------------------------------------------------------- what findings say


def said(rule, **changes):
    (finding,) = [each for each in lint(dataclasses.replace(REFERENCE, **changes)).findings if each.rule == rule]
    return f"{finding.what} {finding.why}"


def test_the_numbers_in_findings_by_hand():
    assert "10 agent steps ahead, 0.67 seconds" in said("horizon-short", discount=0.9)  # 10 * 4 / 60
    assert "16 frames, 0.27 s" in said("frame-skip-twice", emulator_frame_skip=4)
    assert "10 times as large" in said("floor-outside-root", floor_outside_root=True)  # 1/.01 against 1/sqrt(.01)
    assert "32 times as small" in said("mean-loss-floor", loss_reduction="mean")
    # 1 - 0.9 * (50M - 50k) / 100M = 0.55045
    assert "still 0.55 when" in said("exploration-outlasts-run", epsilon_span_agent_steps=100_000_000)
    assert "1.1 minutes of play" not in said("replay-tiny", replay_capacity=1_000)
    assert "67 seconds of play" in said("replay-tiny", replay_capacity=1_000)  # 1,000 * 4 / 60
    assert "28.2 GB, and the machine has 16.0 GB" in said(
        "replay-memory", bytes_per_transition=28_224, memory_bytes=16e9
    )
    assert "sees 0 to 255" in said("input-scale", input_divisor=1.0)
    assert "copied 4 times" in said("target-outlasts-run", target_period_agent_steps=12_000_000)  # of 49.95M
    assert "An update sees one transition." in said("batch-size", batch_size=1)
    assert "not clipped, with RMSProp." in said("errors-not-clipped", error_clip=math.inf)
    assert "clipped only at 100." in said("rewards-not-clipped", reward_clip=100)
    assert "Rewards are not clipped." in said("rewards-not-clipped", reward_clip=math.inf)
    assert "25 times as rare" in said("update-rate", updates_per_agent_step=0.01)
    assert "4 times the paper's 1,000,000 agent steps, while the warm-up and the target period are exactly" in said(
        "units-mixed", epsilon_span_agent_steps=4_000_000
    )
    assert "a quarter of the paper's 10,000" in said("units-mixed", target_period_agent_steps=2_500)


@pytest.mark.parametrize(
    ("rule", "milder", "graver"),
    [("target-outlasts-run", {"target_period_updates": 12_487_500}, {"target_period_updates": 12_487_501}),
     ("horizon-short", {"discount": 0.81}, {"discount": 0.8}),
     ("update-rate", {"updates_per_agent_step": 1.9}, {"updates_per_agent_step": 2.0}),
     ("update-rate", {"updates_per_agent_step": 0.04}, {"updates_per_agent_step": 0.03125}),
     ("batch-size", {"batch_size": 8}, {"batch_size": 7}),
     ("batch-size", {"batch_size": 512}, {"batch_size": 513}),
     ("action-repeat", {"frames_per_agent_step": 8}, {"frames_per_agent_step": 9}),
     ("action-repeat", {"frames_per_agent_step": 2}, {"frames_per_agent_step": 1}),
     ("sticky-actions", {"sticky_action_probability": 0.25}, {"sticky_action_probability": 0.26}),
     ("replay-memory", {"memory_bytes": 7_084_000_000}, {"memory_bytes": 7_083_999_999}),
     ("evaluation-episodes", {"evaluation_episodes": 2}, {"evaluation_episodes": 1})],
    ids=str,
)  # fmt: skip
def test_a_finding_grows_graver_where_it_is_said_to(rule, milder, graver):
    if rule == "target-outlasts-run":  # 49.95M agent steps have 12,487,500 updates
        assert REFERENCE.total_updates == 12_487_500
    severities = [found(dataclasses.replace(REFERENCE, **each))[rule] for each in (milder, graver)]
    assert SEVERITIES.index(severities[1]) == SEVERITIES.index(severities[0]) - 1


def test_stacks_in_replay_are_named_where_they_are_the_reason():
    assert "because stacks of frames are kept" in said("replay-memory", bytes_per_transition=28_224, memory_bytes=1e9)
    assert "stacks" not in said("replay-memory", memory_bytes=1e9)


def test_the_grave_come_first():
    setup = dataclasses.replace(REFERENCE, streams_per_member=8, discount=0.9, input_divisor=1.0)
    assert [each.severity for each in lint(setup).findings] == ["error", "warning", "hint"]


def test_replay_of_a_short_run_needs_memory_for_the_run_only():
    assert Setup.of(SCALED).replay_bytes == 7_084 * 100_000
    assert Setup.of(CI.config).replay_bytes == 7_084 * 3_000
    assert dataclasses.replace(REFERENCE, total_agent_steps=1_000).replay_bytes == 7_084_000


@pytest.mark.parametrize("decay", [0.9, 0.99])
def test_decays_that_differ_take_rmsprop_to_nan(decay):
    """What the rule says of them; with equal decays the same gradients do no harm."""

    def after(gradients, squared_gradient_decay):
        weight = torch.zeros(1)
        optimizer = RMSProp(
            [weight], learning_rate=0.00025, gradient_decay=0.95, squared_gradient_decay=squared_gradient_decay,
            min_squared_gradient=0.01,
        )  # fmt: skip
        for gradient in gradients:
            optimizer.step([torch.tensor([gradient])])
        return float(weight)

    gradients = [3.0] * 300 + [0.0] * 50
    assert math.isnan(after(gradients, decay))
    assert math.isfinite(after(gradients, 0.95))


# ---------------------------------------------------------------------- healthy setups


def test_nature_gets_no_finding_at_all():
    assert lint(REFERENCE).findings == ()
    assert not lint(REFERENCE).blind


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=lambda protocol: protocol.name)
def test_no_protocol_gets_more_than_a_hint_on_its_budget(protocol):
    assert found(Setup.of(protocol.config)).items() <= {("budget-small", "hint")}
    assert warnings_of(protocol.config) == ()


@pytest.mark.parametrize(
    "changes",
    [{"streams_per_member": 8}, {"precision": "bfloat16"}, {"history_padding": "first_frame"}, {"fire_on_reset": True},
     {"sticky_action_probability": 0.25}, {"evaluation_max_frames": 18_000}, {"target_period_updates": 10_000},
     {"life_loss_terminal": False}, {"max_noops": 0}, {"loss_reduction": "mean", "min_squared_gradient": 0.01 / 32**2}],
    ids=str,
)  # fmt: skip
def test_a_healthy_variant_gets_hints_at_most(changes):
    assert warnings_of(dataclasses.replace(NATURE.config, **changes)) == ()


@pytest.mark.parametrize("setup", [DOPAMINE, DOPAMINE_ADAM], ids=["rmsprop", "adam"])
def test_dopamines_dqn_gets_hints_at_most(setup):
    assert grave(setup) == set()
    assert found(setup)["sticky-actions"] == "hint"


@given(steps=st.integers(1_000_000, 100_000_000))
@settings(max_examples=60, deadline=None)
def test_the_papers_run_stopped_earlier_is_left_in_peace(steps):
    assert lint(Setup.of(dataclasses.replace(NATURE.config, total_frames=4 * steps))).findings == ()


@given(frames=st.integers(25, 250))
@settings(max_examples=60, deadline=None)
def test_the_scaled_protocol_is_left_in_peace_from_100k_to_1m_frames(frames):
    config = dataclasses.replace(SCALED, total_frames=4_000 * frames)
    assert found(Setup.of(config)) == {"budget-small": "hint"}


@given(frames=st.integers(4, 20))
@settings(max_examples=20, deadline=None)
def test_the_ci_protocol_is_left_in_peace_at_larger_budgets(frames):
    config = dataclasses.replace(CI.config, total_frames=4_000 * frames)
    assert found(Setup.of(config)) == {"budget-small": "hint"}


# ---------------------------------------------------------------------- facts that are unknown


def test_of_nothing_known_nothing_is_said():
    looked = lint(Setup())
    assert looked.findings == ()
    assert looked.looked == ()
    assert set(looked.blind) == {rule.id for rule in RULES}


def test_a_rule_asks_for_facts_that_there_are():
    for rule in RULES:
        for name in (*rule.needs, *rule.uses):
            assert hasattr(Setup, name), f"{rule.id} asks for {name}"


@pytest.mark.parametrize(("rule", "severity", "changes"), FAULTS, ids=lambda value: str(value))
def test_a_rule_that_lacks_a_fact_is_silent_and_says_which(rule, severity, changes):
    faulty = dataclasses.replace(REFERENCE, **changes)
    (each,) = [each for each in RULES if each.id == rule]
    for name in each.needs:
        if name in FACTS:
            looked = lint(dataclasses.replace(faulty, **{name: None}))
            assert rule not in [finding.rule for finding in looked.findings]
            assert name in looked.blind[rule]


def test_rules_of_rmsprop_have_nothing_to_say_of_adam():
    facts = dict.fromkeys(("gradient_decay", "squared_gradient_decay", "min_squared_gradient"))
    looked = lint(dataclasses.replace(REFERENCE, optimizer="adam", learning_rate=0.0001, **facts))
    assert looked.findings == ()
    assert not looked.blind


_numbers = st.one_of(st.none(), st.floats(1e-9, 1e12), st.integers(1, 10**12), st.sampled_from([1.0, 0.5, 1e-9]))
_words = {"life_loss": ("terminal", "reset", "ignored"), "network": ("nature", "half_width", "flat_mlp"),
          "optimizer": ("rmsprop", "adam"), "loss_reduction": ("sum", "mean")}  # fmt: skip
_shares = {"discount", "gradient_decay", "squared_gradient_decay", "epsilon_start", "epsilon_end", "target_mixing",
           "evaluation_epsilon", "sticky_action_probability", "wrapper_sticky_probability"}  # fmt: skip


def _values(name):
    if name in _words:
        return st.sampled_from([None, *_words[name]])
    if name in ("floor_outside_root", "epsilon_from_start", "rewards_from_game"):
        return st.sampled_from([None, True, False])
    return st.one_of(st.none(), st.floats(1e-300, 1), st.just(1)) if name in _shares else _numbers


@given(st.fixed_dictionaries({name: _values(name) for name in FACTS}))
@settings(max_examples=200, deadline=None)
def test_no_setup_breaks_a_rule(facts):
    looked = lint(Setup(**facts))
    assert {*looked.looked} | {*looked.blind} == {rule.id for rule in RULES}
    for finding in looked.findings:
        assert finding.severity in SEVERITIES
        assert "nan" not in finding.what


@pytest.mark.parametrize(
    ("facts", "words_of_it"),
    [({"discount": 1.5}, "discount must be a number, at least 0 and at most 1, got 1.5"),
     ({"batch_size": 0}, "batch_size must be a number, above 0 and at most 1e+15, got 0"),
     ({"learning_rate": math.nan}, "learning_rate must be a number, above 0 and at most 1e+15, got nan"),
     ({"learning_rate": "fast"}, "learning_rate must be a number"),
     ({"optimizer": "sgd"}, "optimizer must be one of rmsprop, adam, got 'sgd'"),
     ({"floor_outside_root": 1}, "floor_outside_root must be true or false, got 1"),
     ({"replay_capacity": True}, "replay_capacity must be a number, above 0, got True"),
     ({"replay_capacity": math.inf}, "replay_capacity must be a number, above 0 and at most 1e+15, got inf")],
    ids=str,
)  # fmt: skip
def test_an_impossible_fact_is_the_users_mistake(facts, words_of_it):
    with pytest.raises(UserError) as error:
        Setup(**facts)
    assert words_of_it in str(error.value)


# ---------------------------------------------------------------------- our own configuration


def test_every_fact_of_ours_is_known():
    setup = Setup.of(NATURE.config)
    alternatives = {"target_period_updates", "memory_bytes"}
    assert {name for name in FACTS if getattr(setup, name) is None} == alternatives
    assert setup.total_agent_steps == 50_000_000
    assert setup.target_updates == 2_500
    assert setup.updates_per_agent_step == 0.25


def test_the_paper_texts_target_period_is_four_times_the_codes():
    assert Setup.of(dataclasses.replace(NATURE.config, target_period_updates=10_000)).target_updates == 10_000


def test_a_constant_reward_of_any_value_is_warned_of_and_none_is_the_games():
    for reward in (0.06, 0, -1.0):
        config = dataclasses.replace(NATURE.config, constant_reward=reward)
        assert [each.rule for each in warnings_of(config)] == ["rewards-constant"]
    assert Setup.of_fields({"constant_reward": None}).rewards_from_game is True
    assert Setup.of_fields({}).rewards_from_game is None
    for wrong in ("much", True, math.nan):
        with pytest.raises(UserError, match="constant_reward must be a number"):
            Setup.of_fields({"constant_reward": wrong})


def test_nothing_clipped_is_infinite_in_our_fields():
    setup = Setup.of_fields({"reward_clip": None, "error_clip": None})
    assert setup.reward_clip == setup.error_clip == math.inf
    assert Setup.of_fields({}).error_clip is None


def test_a_line_for_each_warning():
    config = make_tiny_config(squared_gradient_decay=0.9, target_period_updates=1)
    lines = warning_lines(config)
    assert [line.rpartition("lint: ")[2] for line in lines[:2]] == ["target-not-behind)", "decays-differ)"]
    assert all(line.startswith(("error: ", "warning: ")) and "\n" not in line for line in lines)


def test_the_table_has_a_row_for_each_rule():
    lines = rules_table().splitlines()
    assert len(lines) == len(RULES) + 2
    for rule, line in zip(RULES, lines[2:], strict=True):
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        assert cells[0] == f"`{rule.id}`"
        assert len(cells) == 5
        assert all(cells)
