"""Logs of CleanRL: folders ENV_ID__EXP_NAME__SEED__TIME with TensorBoard events.

Facts from vwxyzjn/cleanrl fe8d8a0, cleanrl/dqn_atari.py (c51_atari, rainbow_atari, ppo_atari and the others alike):
``charts/episodic_return`` is written once for each episode, at ``global_step``, which counts agent steps over all
environments (the DQN scripts number it from 0, those of PPO from 1: that step is not corrected); MaxAndSkipEnv makes 4
steps of the environment of one. It comes from RecordEpisodeStatistics, which lies directly on the emulator, below
EpisodicLifeEnv and ClipRewardEnv, so it is the raw return of a whole game. The text
``hyperparameters`` is a table of the command line's arguments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.curves import Curves, Measurement
from benchmarks.imports.declared import Declared
from benchmarks.imports.events import Log
from benchmarks.imports.naming import WRAPPER_SKIP, frames_per_step, named
from benchmarks.imports.runs import Run, episode_scores, gridded_curves, in_frames
from benchmarks.imports.tables import number, shown, whole
from dqn_ref.config import UserError

TAG = "charts/episodic_return"
TEXT = "hyperparameters/text_summary"  # as PyTorch's writer files add_text("hyperparameters", ...)


def read(root: Path, logs: Sequence[Log], name: str, declared: Declared) -> Curves:
    """Curves of training returns. Raises UserError: runs of several experiments, or one that nothing names."""
    experiments = {each: log.folder for log in logs if (each := _experiment(log))}
    if len(experiments) > 1:
        where = ", ".join(f"{shown(experiment)} ({folder})" for experiment, folder in experiments.items())
        raise UserError(f"{root} holds runs of several experiments: {where}. Give each a folder of its own.")
    return gridded_curves(name, [_run(root, log, declared) for log in logs], episode_scores, declared)


def hyperparameters(log: Log) -> Mapping[str, str]:
    """The arguments of the run's command line; empty if they were not written."""
    lines = [line.strip().strip("|").split("|", 1) for line in log.texts.get(TEXT, "").splitlines()]
    return {line[0].strip(): line[1].strip() for line in lines if len(line) == 2}


def env_id(log: Log) -> str | None:
    """The environment's id, if it was written."""
    arguments = hyperparameters(log)
    return arguments.get("env_id") or arguments.get("gym_id")  # its name before 2022


def _experiment(log: Log) -> str:
    written = hyperparameters(log).get("exp_name")
    parts = log.folder.name.split("__")
    return written or (parts[1] if len(parts) == 4 else "")


def _run(root: Path, log: Log, declared: Declared) -> Run:
    arguments = hyperparameters(log)
    who = named(root, log.folder, declared, env_id(log), _whole(arguments, "seed"))
    per_step = frames_per_step(who.emulator, WRAPPER_SKIP, declared, log.folder)
    steps, returns = log.scalars[TAG]
    budget = _whole(arguments, "total_timesteps")
    measured = Measurement(
        returns="training",
        epsilon=_number(arguments, "end_e"),
        sticky_action_probability=who.emulator.sticky,
        life_loss_ends_episode=False,
    )
    total = per_step * budget if budget else None
    frames = in_frames(steps, per_step, log.folder)
    return Run(who.game, who.seed, log.folder, frames, returns, measured, per_step * log.last_step, total)


def _whole(arguments: Mapping[str, str], key: str) -> int | None:
    try:
        return whole(arguments[key])
    except (KeyError, ValueError):
        return None


def _number(arguments: Mapping[str, str], key: str) -> float | None:
    try:
        return number(arguments[key])
    except (KeyError, ValueError):
        return None
