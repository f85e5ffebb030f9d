"""What signs are read from: metrics of the log as they are, and what follows from several of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.doctor.verdicts.log import EPISODES, METRICS, Log, Series
from dqn_ref.config import is_number

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Quantity:
    """A series made from a log."""

    words: str
    needs: tuple[str, ...]  # metrics
    settings: tuple[str, ...]
    make: Callable[[Log], Series]  # only called where all it needs is there; empty where it does not apply

    def lacking(self, log: Log) -> list[str]:
        """What the log must have for it, and has not."""
        there = {*log.series, *([EPISODES] if log.episodes is not None and len(log.episodes) else [])}
        for name in ("lengths", "clipped", "lives_lost"):
            if log.episodes is not None and len(getattr(log.episodes, name)):
                there.add(f"{EPISODES}.{name}")
        missing = [name for name in self.needs if name not in there]
        return [*missing, *(f"setting {name}" for name in self.settings if name not in log.facts)]


SAME_EPSILON = 1e-6
NOTHING = Series(np.zeros(0, np.int64), np.zeros(0))


def _at_end(log: Log, value: float) -> Series:
    """A single number as a series of one row."""
    return Series(np.array([log.frames_done]), np.array([value])) if np.isfinite(value) else NOTHING


def aligned(log: Log, *names: str) -> tuple[NDArray[np.int64], list[Values]]:
    """Frames [N] of the first metric since learning began, and of each metric its newest finite value there [N]."""
    first = log.series[names[0]].after(log.learning_starts).finite()
    columns = []
    for name in names:
        known = log.series[name].finite()
        place = np.searchsorted(known.frames, first.frames, side="right") - 1
        column = np.full(len(first.frames), np.nan)
        column[place >= 0] = known.values[place[place >= 0]]
        columns.append(column)
    return first.frames, columns


def combined(formula: Callable[..., Values], *names: str) -> Callable[[Log], Series]:
    """The series of ``formula`` of metrics, row by row; rows in which it is no number are left out."""

    def make(log: Log) -> Series:
        frames, columns = aligned(log, *names)
        values = formula(*columns)
        return Series(frames, np.asarray(values, np.float64)).finite()

    return make


def _while_learning(name: str) -> Callable[[Log], Series]:
    return lambda log: log.series[name].after(log.learning_starts).finite()


def setting(log: Log, name: str) -> float:
    """A setting as a number; NaN if it is off, or no number."""
    value = log.facts.get(name)
    return float(value) if is_number(value) else np.nan


def horizon(log: Log) -> float:
    """1 / (1 - discount), agent steps; NaN if the discount is not known."""
    discount = setting(log, "discount")
    return 1 / (1 - discount) if discount < 1 else np.inf if discount == 1 else np.nan


def _scaled(
    name: str, factor: Callable[[Log], float], *more: str, formula: Callable[..., Values]
) -> Callable[[Log], Series]:
    def make(log: Log) -> Series:
        return combined(lambda *columns: formula(factor(log), *columns), name, *more)(log)

    return make


def _late_mean(log: Log, column: str) -> float:
    """Mean of an episodes' column over the later half of the episodes."""
    values = getattr(log.episodes, column)
    return float(np.mean(values[len(values) // 2 :])) if len(values) else np.nan


def _episode_steps(log: Log) -> float:
    """Mean length of later episodes, agent steps."""
    per_step = setting(log, "frames_per_agent_step")
    return _late_mean(log, "lengths") / (per_step if per_step > 0 else 4.0)


def _broken_rows(log: Log) -> Series:
    """For each row since learning began: how many of loss, values and gradient are no numbers.

    NaN in a row without an update since the row before means "not measured", not "broken".
    """
    rows: dict[int, int] = {}
    updates = log.series.get("updates")
    for name in ("loss", "q_mean", "q_max", "gradient_norm"):
        if name not in log.series:
            continue
        each = log.series[name]
        learnt = _learnt(each, updates)
        for frame, bad in zip(each.frames, ~np.isfinite(each.values) & learnt, strict=True):
            rows[int(frame)] = rows.get(int(frame), 0) + int(bad)
    frames = sorted(rows)
    return Series(np.array(frames, np.int64), np.array([rows[frame] for frame in frames], np.float64))


def _learnt(series: Series, updates: Series | None) -> NDArray[np.bool_]:
    """Rows of ``series`` in which there were updates since the row before; else those after its first number."""
    if updates is not None and np.array_equal(updates.frames, series.frames):
        return np.diff(updates.values, prepend=0.0) > 0
    known = np.flatnonzero(np.isfinite(series.values))
    start = known[0] if len(known) else 0
    return np.arange(len(series.values)) >= start


def _epsilon_rest(log: Log) -> int | None:
    """Frame of the first row from which epsilon stays at its last value; None if it is still falling at the end."""
    rates = log.series["epsilon"].finite()
    if len(rates.values) < 2 or abs(rates.values[-1] - rates.values[-2]) > SAME_EPSILON:
        return None
    moving = np.flatnonzero(np.abs(rates.values - rates.values[-1]) > SAME_EPSILON)
    return int(rates.frames[moving[-1] + 1 if len(moving) else 0])


def _epsilon_share(log: Log) -> Series:
    rest = _epsilon_rest(log)
    if rest is None or not log.frames_done:
        return NOTHING
    warm_up = setting(log, "replay_start_agent_steps") * setting(log, "frames_per_agent_step")
    return _at_end(log, max(0.0, rest - (0.0 if np.isnan(warm_up) else warm_up)) / log.frames_done)


def _epsilon_frames(log: Log) -> Series:
    rest = _epsilon_rest(log)
    return NOTHING if rest is None else _at_end(log, float(rest))


def _settled_horizon(log: Log) -> Series:
    """The horizon of the values, where they have stopped growing over the later half of the rows."""
    made = combined(lambda q, share: np.where(share > 0, np.abs(q) / share, np.nan), "q_mean", "nonzero_reward_share")(
        log
    )
    q = made.values[len(made.values) // 2 :]
    if len(q) < 4:
        return NOTHING
    first, second = np.median(q[: len(q) // 2]), np.median(q[len(q) // 2 :])
    return made if 0 < second <= 1.1 * first else NOTHING


def _zero_share(log: Log) -> Series:
    assert log.episodes is not None
    late = log.episodes.returns[len(log.episodes) // 2 :]
    return _at_end(log, float(np.mean(late == 0)))


def _target_period(log: Log) -> Series:
    """In updates."""
    updates = setting(log, "target_period_updates")
    if np.isnan(updates):
        per_update = setting(log, "update_period_agent_steps")
        updates = setting(log, "target_period_agent_steps") / per_update if per_update > 0 else np.nan
    return _at_end(log, max(updates, 1.0))  # more copies than updates are no more than one each


def _copies(log: Log) -> Series:
    """Copies to the target network while it learnt."""
    per_step = setting(log, "frames_per_agent_step")
    learnt = max(0.0, log.frames_done / (per_step if per_step > 0 else 4.0) - setting(log, "replay_start_agent_steps"))
    period = setting(log, "target_period_agent_steps")
    if not np.isnan(setting(log, "target_period_updates")):
        period = setting(log, "target_period_updates") * setting(log, "update_period_agent_steps")
    return _at_end(log, learnt / period) if period > 0 else NOTHING


def _replay_episodes(log: Log) -> Series:
    steps = _episode_steps(log)
    return combined(lambda age: 2 * age / steps, "replay_age")(log) if steps > 0 else NOTHING


def _terminals_per_life(log: Log) -> Series:
    lives = _late_mean(log, "lives_lost")
    steps = _episode_steps(log)
    return combined(lambda share: share * steps / lives, "terminal_share")(log) if lives >= 2 else NOTHING


def _learner_returns(log: Log) -> Series:
    assert log.episodes is not None
    largest = float(np.max(np.abs(log.episodes.clipped)))
    return combined(lambda realised: np.abs(realised) / max(largest, 1.0), "start_return")(log)


def _raw_over_clipped(log: Log) -> Series:
    assert log.episodes is not None
    clipped = np.abs(log.episodes.clipped).sum()
    return _at_end(log, float(np.abs(log.episodes.returns).sum() / clipped)) if clipped else NOTHING


def _training_done(log: Log) -> Series:
    total = setting(log, "total_frames")
    return _at_end(log, log.frames_done / total) if total > 0 else NOTHING


def _bound_ratio(bound: float, q: Values) -> Values:
    return np.abs(q) / bound


def value_bound(log: Log) -> float:
    """Largest value that any state can have, in clipped rewards."""
    return setting(log, "reward_clip") * horizon(log)


QUANTITIES: Mapping[str, Quantity] = {
    **{name: Quantity(words, (name,), (), _while_learning(name)) for name, words in METRICS.items()},
    "broken_rows": Quantity("loss, values or gradient that are no numbers", ("loss",), (), _broken_rows),
    "all_epsilon": Quantity("chance of a random action", ("epsilon",), (), lambda log: log.series["epsilon"].finite()),
    "all_updates": Quantity("updates done", ("updates",), (), lambda log: log.series["updates"].finite()),
    "all_reward_share": Quantity(
        "share of transitions with a reward", ("nonzero_reward_share",), (),
        lambda log: log.series["nonzero_reward_share"].finite(),
    ),
    "value_bound": Quantity(
        "max |Q| over r_max / (1 - discount)", ("q_max",), ("discount", "reward_clip"),
        _scaled("q_max", value_bound, formula=_bound_ratio),
    ),
    "overestimate": Quantity(
        "(Q of first states - their return) / (1 + |their return|)", ("q_start", "start_return"), (),
        combined(lambda q, realised: (q - realised) / (1 + np.abs(realised)), "q_start", "start_return"),
    ),
    "values_over_rewards": Quantity(
        "mean Q over the discounted sum of the rewards in replay", ("q_mean", "nonzero_reward_share"),
        ("discount", "reward_clip"),
        _scaled("q_mean", value_bound, "nonzero_reward_share",
                formula=lambda bound, q, share: np.where(share > 0, q / (bound * share), np.nan)),
    ),
    "settled_horizon": Quantity(
        "agent steps of reward that mean Q is worth, once it no longer grows", ("q_mean", "nonzero_reward_share"), (),
        _settled_horizon,
    ),
    "target_lag": Quantity(
        "updates that the target is behind: target distance over update ratio", ("target_distance", "update_ratio"), (),
        combined(lambda d, u: np.where(u > 0, d / u, np.nan), "target_distance", "update_ratio"),
    ),
    "target_period": Quantity(
        "updates between two copies to the target", (),
        ("target_period_agent_steps", "update_period_agent_steps"), _target_period,
    ),
    "target_copies": Quantity(
        "copies to the target while learning", (),
        ("target_period_agent_steps", "update_period_agent_steps", "replay_start_agent_steps"), _copies,
    ),
    "rewards_beyond_horizon": Quantity(
        "agent steps between two rewards over 1 / (1 - discount)", ("nonzero_reward_share",), ("discount",),
        _scaled("nonzero_reward_share", horizon,
                formula=lambda steps, share: np.where(share > 0, 1 / (share * steps), np.nan)),
    ),
    "horizon": Quantity("1 / (1 - discount), agent steps", (), ("discount",), lambda log: _at_end(log, horizon(log))),
    "replay_capacity": Quantity(
        "transitions that replay can hold", (), ("replay_capacity",),
        lambda log: _at_end(log, setting(log, "replay_capacity")),
    ),
    "replay_episodes": Quantity("episodes that replay spans", ("replay_age", "episodes.lengths"), (), _replay_episodes),
    "zero_returns": Quantity("share of later episodes with a return of 0", (EPISODES,), (), _zero_share),
    "returns_seen": Quantity(
        "share of later episodes with another return than 0", (EPISODES,), (),
        lambda log: Series(_zero_share(log).frames, 1 - _zero_share(log).values),
    ),
    "terminals_per_game": Quantity(
        "terminals that replay holds per game", ("terminal_share", "episodes.lengths"), (),
        lambda log: combined(lambda share: share * _episode_steps(log), "terminal_share")(log),
    ),
    "terminals_per_life": Quantity(
        "terminals that replay holds per life lost", ("terminal_share", "episodes.lengths", "episodes.lives_lost"), (),
        _terminals_per_life,
    ),
    "learner_returns": Quantity(
        "return of first states over the largest clipped return", ("start_return", "episodes.clipped"), (),
        _learner_returns,
    ),
    "realised_over_bound": Quantity(
        "return of first states over 1 / (1 - discount)", ("start_return",), ("discount",),
        _scaled("start_return", horizon, formula=_bound_ratio),
    ),
    "raw_over_clipped": Quantity("raw over clipped returns", ("episodes.clipped",), (), _raw_over_clipped),
    "epsilon_rest_share": Quantity(
        "share of the frames, less the warm-up, after which epsilon rests", ("epsilon",), (), _epsilon_share,
    ),
    "epsilon_rest_frames": Quantity("frames after which epsilon rests", ("epsilon",), (), _epsilon_frames),
    "training_done": Quantity("share of the planned frames that are done", (), ("total_frames",), _training_done),
    "input_range": Quantity(
        "largest minus least input", ("input_max", "input_min"), (),
        combined(lambda high, low: high - low, "input_max", "input_min"),
    ),
}  # fmt: skip
