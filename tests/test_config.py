import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dqn_ref.config import DQNConfig, UserError, format_frames, parse_frames
from dqn_ref.protocols import CI, EARLY, NATURE, PROTOCOLS, Protocol, protocol_named

# ---------------------------------------------------------------------- the paper's numbers


@pytest.mark.parametrize(
    ("field", "value"),
    [  # Extended Data Table 1 of the paper, and the released code where it differs
        ("total_frames", 50_000_000 * 4),
        ("frames_per_agent_step", 4),
        ("max_noops", 30),
        ("max_episode_frames", 30 * 60 * 60),  # 30 minutes at 60 frames a second
        ("sticky_action_probability", 0.0),
        ("replay_capacity", 1_000_000),
        ("replay_start_agent_steps", 50_000),
        ("batch_size", 32),
        ("discount", 0.99),
        ("update_period_agent_steps", 4),
        ("target_period_agent_steps", 10_000),
        ("learning_rate", 0.00025),
        ("gradient_decay", 0.95),
        ("squared_gradient_decay", 0.95),
        ("min_squared_gradient", 0.01),
        ("error_clip", 1.0),
        ("epsilon_start", 1.0),
        ("epsilon_end", 0.1),
        ("epsilon_span_agent_steps", 1_000_000),
        ("evaluation_episodes", 30),
        ("evaluation_epsilon", 0.05),
        ("heldout_states", 500),
    ],
)
@pytest.mark.fidelity(4, 6, 7, 8, 9, 10, 11, 12, 26, 28)
def test_nature_protocol_has_the_papers_number(field, value):
    assert getattr(NATURE.config, field) == value


@pytest.mark.fidelity(12)
def test_nature_training_is_38_days_of_game():
    assert NATURE.config.total_frames / 60 / 3600 / 24 == pytest.approx(38.6, abs=0.1)
    assert NATURE.config.total_agent_steps == 50_000_000


def test_ci_protocol_changes_schedules_and_budgets_only():
    scaled = {
        "total_frames", "iteration_frames", "progress_frames", "replay_capacity", "replay_start_agent_steps",
        "target_period_agent_steps", "epsilon_span_agent_steps", "evaluation_episodes", "evaluation_max_frames",
        "heldout_states",
    }  # fmt: skip
    changed = {
        f.name for f in dataclasses.fields(DQNConfig) if getattr(CI.config, f.name) != getattr(NATURE.config, f.name)
    }
    assert changed == scaled


def test_config_cannot_be_changed_after_its_checks():
    with pytest.raises(dataclasses.FrozenInstanceError):
        NATURE.config.discount = 0.5


# ---------------------------------------------------------------------- numbers of frames


@pytest.mark.parametrize(
    ("text", "frames"),
    [("10M", 10_000_000), ("24k", 24_000), ("1_000_000", 1_000_000), ("1,000,000", 1_000_000), ("0.5m", 500_000),
     ("7", 7), ("200K", 200_000), ("2.5k", 2_500)],
)  # fmt: skip
def test_frames_are_read(text, frames):
    assert parse_frames(text) == frames


@pytest.mark.parametrize(("text", "frames"), [("4.1M", 4_100_000), ("8.2M", 8_200_000), ("2.01M", 2_010_000)])
def test_a_decimal_number_of_frames_is_exact(text, frames):
    """4.1 * 10**6 is 4099999.9999999995 in binary floating point."""
    assert parse_frames(text) == frames


@pytest.mark.parametrize(
    "text", ["", "k", "ten", "10X", "0", "0M", "-1k", "-4", "0.5", "0.0001k", "1e3e3", "infM", "nanM", "1e400k"]
)
def test_a_bad_number_of_frames_is_a_users_mistake_that_quotes_it(text):
    with pytest.raises(UserError, match="frames"):
        parse_frames(text)


@pytest.mark.parametrize(
    ("frames", "text"),
    [(10_000_000, "10M"), (24_000, "24k"), (1_234, "1234"), (1_500_000, "1500k"), (1, "1"), (0, "0")],
)
def test_frames_are_shown_short(frames, text):
    assert format_frames(frames) == text


@given(st.integers(1, 10**10))
def test_what_is_shown_reads_back_as_the_same_frames(frames):
    assert parse_frames(format_frames(frames)) == frames


# ---------------------------------------------------------------------- checks


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": 1.5}, "batch_size"),
        ({"batch_size": True}, "batch_size"),
        ({"target_period_agent_steps": 0}, "target_period_agent_steps"),
        ({"max_noops": -1}, "max_noops"),
        ({"discount": 1.01}, "discount"),
        ({"epsilon_end": -0.1}, "epsilon_end"),
        ({"sticky_action_probability": 2.0}, "sticky_action_probability"),
        ({"discount": float("nan")}, "discount"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"min_squared_gradient": -0.01}, "min_squared_gradient"),
        ({"error_clip": 0.0}, "error_clip"),
        ({"error_scale": 0.0}, "error_scale must be a number above 0, got"),
        ({"total_frames": 1_000_002}, "total_frames"),
        ({"iteration_frames": 999_999}, "iteration_frames"),
        ({"total_frames": 999_996}, "one iteration"),
        ({"total_frames": 200_000, "iteration_frames": 4_000}, "warm-up"),
        ({"reward_clip": -1.0}, "reward_clip must be a number above 0, or None"),
        ({"reward_clip": math.inf}, "reward_clip"),
        ({"input_divisor": 0.0}, "input_divisor must be a number above 0, got"),
        ({"frames_per_state": 5}, "at most 4"),
        ({"frames_per_state": 0}, "frames_per_state"),
        ({"network": "transformer"}, "nature, half_width, flat_mlp"),
        ({"optimizer": "sgd"}, "rmsprop, adam"),
    ],
)
def test_a_bad_value_is_a_users_mistake_that_names_it(changes, named):
    with pytest.raises(UserError, match=named):
        DQNConfig(**changes)


def test_values_at_the_edge_are_accepted():
    config = DQNConfig(
        total_frames=200_004, iteration_frames=200_004, max_noops=0, discount=0.0, epsilon_end=1.0,
        replay_capacity=50_000, progress_frames=4,
    )  # fmt: skip
    assert config.total_agent_steps == 50_001


def test_replay_holds_no_more_than_a_short_run_fills():
    assert DQNConfig(total_frames=1_000_000).transitions_kept == 250_000
    assert DQNConfig(total_frames=8_000_000).transitions_kept == 1_000_000


# ---------------------------------------------------------------------- protocols


def test_a_smaller_budget_stays_within_the_protocol():
    assert NATURE.overrides(dataclasses.replace(NATURE.config, total_frames=10_000_000, progress_frames=4_000)) == {}


def test_any_other_change_is_named_as_an_override():
    for field in dataclasses.fields(DQNConfig):
        if field.name in ("total_frames", "progress_frames"):
            continue
        value = getattr(NATURE.config, field.name)
        if type(value) in (int, float):
            other = (value - 2 if value == 4 else value + 4) if type(value) is int else value / 2 + 0.01
        else:  # flags, choices, and what is not given
            choices = {
                "zeros": "first_frame", "sum": "mean", "float32": "bfloat16", "nature": "flat_mlp", "rmsprop": "adam",
                    "uniform": "he_normal",
            }  # fmt: skip
            other = {False: True, True: False, None: 7, **choices}[value]
        changed = dataclasses.replace(NATURE.config, **{field.name: other})
        assert NATURE.overrides(changed) == {field.name: other}


def test_protocol_label_carries_its_version():
    assert Protocol("nature", 3, DQNConfig()).label() == "nature-v3"


def test_protocols_are_found_by_their_names():
    assert {name: protocol_named(name) for name in PROTOCOLS} == {"nature": NATURE, "ci": CI, "early": EARLY}


def test_an_unknown_protocol_is_a_users_mistake_that_lists_the_known():
    with pytest.raises(UserError, match=r"'natur'.*nature, ci, early"):
        protocol_named("natur")
