"""Logs of Stable-Baselines3 and its RL Zoo: TensorBoard events, and monitor.csv files with a row an episode.

Facts from DLR-RM/stable-baselines3 e05d2db: make_atari_env, and RL Zoo's atari wrapper, put Monitor directly on the
environment, below AtariWrapper (common/env_util.py). What it counts is therefore raw: ``r`` the return of a whole game,
unclipped; ``l`` the steps of the bare environment, which of NoFrameskip are frames, no-ops included; ``t`` the seconds
since ``t_start`` in the first line (common/monitor.py). TensorBoard's axis counts agent steps over all environments,
each 4 steps of the environment; ``rollout/ep_rew_mean`` is the mean ``r`` of the last 100 episodes;
``eval/mean_reward``, written by an EvalCallback, is a mean over Monitor's episodes of a network that plays without
learning, with an exploration that is not logged. Whoever wraps in another order must say so in a declaration.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.curves import Curves, Measurement
from benchmarks.imports.declared import Declared
from benchmarks.imports.events import Log
from benchmarks.imports.naming import WRAPPER_SKIP, check_declared_runs, frames_per_step, named
from benchmarks.imports.runs import Run, episode_scores, gridded_curves, in_frames, newest_scores, point_curves
from benchmarks.imports.tables import MOST, number, rows, shown, whole
from dqn_ref.config import UserError

ROLLOUT = "rollout/ep_rew_mean"
EVALUATION = "eval/mean_reward"
EXPLORATION = "rollout/exploration_rate"
MONITOR_ENDING = "monitor.csv"


# ---------------------------------------------------------------------- TensorBoard


def read_events(root: Path, logs: Sequence[Log], tag: str, name: str, declared: Declared) -> Curves:
    """Curves of ``tag``: of EVALUATION each value as it is; of ROLLOUT the newest value in each point.

    Raises:
        UserError: a run that nothing names, or that is there twice.
    """
    runs = [_events_run(root, log, tag, declared) for log in logs]
    if tag == EVALUATION:
        declared.check(("tag", "frames_per_step", "runs"), EVALUATION)
        return point_curves(name, runs, declared)
    return gridded_curves(name, runs, newest_scores, declared)


def preferred_tag(logs: Sequence[Log]) -> str:
    """EVALUATION if every run has it, ROLLOUT if none has. Raises UserError: some have, some have not."""
    with_it = [log for log in logs if EVALUATION in log.scalars]
    if with_it and len(with_it) < len(logs):
        without = next(log for log in logs if EVALUATION not in log.scalars)
        raise UserError(
            f"{with_it[0].folder} has {EVALUATION} and {without.folder} has not. Say which to read: "
            f'"tag": "{EVALUATION}" or "tag": "{ROLLOUT}" in measured.json.'
        )
    return EVALUATION if with_it else ROLLOUT


def _events_run(root: Path, log: Log, tag: str, declared: Declared) -> Run:
    who = named(root, log.folder, declared)
    per_step = frames_per_step(who.emulator, WRAPPER_SKIP, declared, log.folder)
    steps, values = log.scalars[tag]
    measured = Measurement(
        returns="evaluation" if tag == EVALUATION else "training",
        epsilon=None if tag == EVALUATION else _final_epsilon(log),
        sticky_action_probability=who.emulator.sticky,
        life_loss_ends_episode=False,
    )
    frames = in_frames(steps, per_step, log.folder)
    return Run(who.game, who.seed, log.folder, frames, values, measured, per_step * log.last_step)


def _final_epsilon(log: Log) -> float | None:
    """The exploration rate at which the schedule has come to rest; None if it has not, or is not logged."""
    rates = log.scalars.get(EXPLORATION, (np.array([]), np.array([])))[1]
    if len(rates) < 2 or rates[-1] != rates[-2]:
        return None
    return float(str(np.float32(rates[-1])))  # events hold float32: 0.05, not 0.0500000007


# ---------------------------------------------------------------------- monitor files


def is_monitor(path: Path) -> bool:
    """Whether the name is that of a monitor file."""
    return path.name.endswith(MONITOR_ENDING)


def read_monitors(root: Path, paths: Sequence[Path], name: str, declared: Declared) -> Curves:
    """Curves of training returns. The files 0.monitor.csv, 1.monitor.csv, ... of a folder are one run.

    Raises:
        UserError: a broken row, a run that nothing names, or that is there twice.
    """
    declared.check(("frames_per_step", "total_frames", "runs"), "monitor files")
    files: dict[Path, list[Path]] = {}
    for path in sorted(paths):
        stem = path.name.removesuffix(MONITOR_ENDING).rstrip(".")
        # Monitor's own names are numbers, or none; with a name that the user gave, a file is a run of its own
        files.setdefault(path.parent if stem.isdigit() or not stem else path.parent / stem, []).append(path)
    check_declared_runs(root, files, declared)
    runs = [_monitor_run(root, place, of_run, declared) for place, of_run in files.items()]
    return gridded_curves(name, runs, episode_scores, declared)


def _monitor_run(root: Path, place: Path, paths: Sequence[Path], declared: Declared) -> Run:
    parts = [read_monitor(path) for path in paths]
    ids = {env_id for env_id, _ in parts if env_id}
    if len(ids) > 1:
        raise UserError(
            f"{place}: monitor files of one run name several environments: {', '.join(map(shown, sorted(ids)))}."
        )
    who = named(root, place, declared, next(iter(ids), None))
    per_step = frames_per_step(who.emulator, 1, declared, place)
    episodes = np.concatenate([each for _, each in parts])
    episodes = episodes[np.argsort(episodes[:, 0], kind="stable")]  # as they ended, over all environments
    if not len(episodes):
        raise UserError(f"{place} holds no episode. Move the run away, or let it train on.")
    frames = in_frames(np.cumsum(episodes[:, 1]), per_step, place)
    measured = Measurement("training", sticky_action_probability=who.emulator.sticky, life_loss_ends_episode=False)
    return Run(who.game, who.seed, place, frames, episodes[:, 2], measured, int(frames[-1]))


def read_monitor(path: Path) -> tuple[str | None, NDArray[np.float64]]:
    """The environment's id, and (time, length, return) of each episode [N, 3]. Raises UserError: no monitor file."""
    try:
        with path.open("rb") as file:
            first = file.readline(1_000_000).decode("utf-8-sig")
        head = json.loads(first.removeprefix("#"))
        env_id, started = head["env_id"], float(head["t_start"])
        if not (first.startswith("#") and isinstance(env_id, str) and abs(started) <= MOST):
            raise ValueError
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        words = 'its first line is not #{"t_start": ..., "env_id": ...}'
        raise UserError(f"{path} is no monitor file: {words}.") from None
    episodes = [
        (started + row.parsed("t", number), row.parsed("l", whole), row.parsed("r", number))
        for row in rows(path, ("r", "l", "t"), skipped=1, may_be_empty=True)
    ]
    return None if env_id == "None" else env_id, np.array(episodes, np.float64).reshape(-1, 3)
