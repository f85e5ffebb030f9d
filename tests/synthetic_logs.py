"""Logs made from definitions: a healthy DQN, and the same with one thing wrong. No number here is read from a run."""

from dataclasses import replace

import numpy as np

from benchmarks.doctor.verdicts.log import Episodes, Log, Series

ROWS = 40
FRAMES = 4_000_000
HEALTHY_SETTINGS = {
    "discount": 0.99, "reward_clip": 1.0, "error_clip": 1.0, "replay_capacity": 1_000_000,
    "replay_start_agent_steps": 50_000, "update_period_agent_steps": 4, "target_period_agent_steps": 10_000,
    "target_period_updates": None, "epsilon_start": 1.0, "epsilon_end": 0.1, "epsilon_span_agent_steps": 1_000_000,
    "total_frames": FRAMES, "frames_per_agent_step": 4, "batch_size": 32, "learning_rate": 0.00025,
}  # fmt: skip


def series(values, frames=FRAMES) -> Series:
    """``values``, one of them or one a row, evenly spread over ``frames``."""
    column = np.broadcast_to(np.asarray(values, np.float64), (ROWS,)) if np.ndim(values) == 0 else np.asarray(values)
    steps = frames * np.arange(1, len(column) + 1) // len(column)
    return Series(steps.astype(np.int64), np.array(column, np.float64))


def healthy(*, game="breakout", late_return=60.0, frames=FRAMES, **changes) -> Log:
    """A DQN that learns breakout: 2 % of transitions have a reward, so a policy like that of replay is worth 2.

    ``changes`` replace metrics, by one value or by a value a row.
    """
    done = np.arange(1, ROWS + 1) / ROWS
    metrics = {
        "agent_steps": frames // 4 * done,
        "updates": np.maximum(0, frames // 4 * done - 20_000) / 4,
        "epsilon": np.maximum(0.1, 1 - 1.2 * done),
        "loss": 0.3 + 0.2 * done,
        "q_mean": 0.1 + 2.4 * done,
        "q_max": 0.2 + 4.0 * done,
        "gradient_norm": 5 + 5 * done,
        "q_start": 0.1 + 1.6 * done,
        "start_return": 0.2 + 1.2 * done,
        "td_error_ratio": 0.8 - 0.5 * done,
        "target_distance": 0.05,
        "update_ratio": 1e-3,  # so the target is at least 50 updates behind
        "action_entropy": 0.7,
        "top_action_share": 0.5,
        "policy_churn": 0.08,
        "replay_fill": done,
        "replay_age": frames / 4 * done / 2,
        "nonzero_reward_share": 0.02,
        "terminal_share": 1 / 300,
        "unique_state_share": 0.999,
        "dormant_conv1": 0.02,
        "dormant_conv2": 0.05,
        "dormant_conv3": 0.05,
        "dormant_hidden": 0.1,
        "input_min": 0.0,
        "input_mean": 0.3,
        "input_max": 0.93,
        "mean_return": None,
        "frames_per_second": 1_000.0,
        "emulator_seconds": 10.0,
        "network_seconds": 20.0,
        "learner_seconds": 70.0,
        "wall_seconds": 100 * done * ROWS,
    }
    unknown = set(changes) - set(metrics)
    assert not unknown, unknown
    made = {name: series(values, frames) for name, values in (metrics | changes).items() if values is not None}
    return Log("made", "test", game, frames, made, episodes(late_return, frames), dict(HEALTHY_SETTINGS))


def episodes(late_return=60.0, frames=FRAMES, number=200, length_frames=6_000) -> Episodes:
    """Games of five lives and 1,500 agent steps; returns rise from 1 to ``late_return``, alternating by one."""
    ends = frames * np.arange(1, number + 1) // number
    returns = 1 + (late_return - 1) * np.arange(number) / (number - 1) + np.arange(number) % 2
    ones = np.ones(number)
    return Episodes(ends.astype(np.int64), returns, length_frames * ones, returns, 5 * ones)


def flat(log: Log, value=1.7) -> Log:
    """The same with returns that stay at those of random play in breakout, 1.7, alternating around it."""
    assert log.episodes is not None
    returns = value + np.where(np.arange(len(log.episodes)) % 2, 1.0, -1.0)
    return with_episodes(log, returns=returns, clipped=returns)


def with_episodes(log: Log, **columns) -> Log:
    """``log`` with other columns of its episodes, each a value an episode or one for all."""
    assert log.episodes is not None
    size = len(log.episodes)
    made = {name: np.broadcast_to(np.asarray(column, np.float64), size) for name, column in columns.items()}
    return replace(log, episodes=replace(log.episodes, **made))


def with_settings(log: Log, **settings) -> Log:
    """``log`` of a run with other settings."""
    return replace(log, facts={**log.facts, **settings})
