"""Whose names a file of hyperparameters uses, and what they say: ours, Stable-Baselines3's, or CleanRL's.

Facts from DLR-RM/stable-baselines3 e05d2db, dqn/dqn.py and common/atari_wrappers.py, and vwxyzjn/cleanrl fe8d8a0,
cleanrl/dqn_atari.py. In both epsilon falls from the first agent step, and the target period counts agent steps.
What a project's code does by itself is filled in, and named as filled in.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.doctor.config_files import Fields
from dqn_ref.config import DQNConfig, UserError, is_number, parse_frames
from dqn_ref.lint import Setup
from dqn_ref.lint.setup import FACTS, STATE_BYTES

FRAME_BYTES = 84 * 84


@dataclass(frozen=True)
class Translated:
    """A file of hyperparameters, understood."""

    setup: Setup
    dialect: str
    assumed: Mapping[str, Any]  # what the project's code does where the file is silent
    ignored: tuple[str, ...]  # known names that no rule looks at
    unknown: Mapping[str, str | None]  # unknown names, each with the nearest known one


@dataclass(frozen=True)
class Dialect:
    """A project's names."""

    name: str
    title: str
    names: frozenset[str]
    facts: Callable[[Fields, str | None], dict[str, Any]]
    defaults: Mapping[str, Any]


def translate(path: Path, section: str | None, given: Mapping[str, Any], name: str | None = None) -> Translated:
    """What ``given``, read from ``path``, says of a setup; ``name`` of the dialect, or it is told by its names.

    Raises:
        UserError: no name is known, two dialects know as many, or a value is impossible.
    """
    dialect = next(each for each in DIALECTS if each.name == name) if name else _detected(path, given)
    fields = Fields(path, given, dialect.defaults)
    try:
        setup = Setup(**dialect.facts(fields, section))
    except UserError as error:
        message = str(error)
        raise UserError(message if message.startswith(str(path)) else f"{path}: {message}") from None
    unread = list(fields.unread())
    nearest = {each: _nearest(each, dialect.names) for each in unread if each not in dialect.names}
    ignored = tuple(each for each in unread if each in dialect.names)
    return Translated(setup, dialect.title, dict(fields.assumed), ignored, nearest)


def _nearest(name: str, known: frozenset[str]) -> str | None:
    return next(iter(difflib.get_close_matches(name, sorted(known), 1, 0.6)), None)


def _detected(path: Path, given: Mapping[str, Any]) -> Dialect:
    counts = {each.name: len(given.keys() & each.names) for each in DIALECTS}
    most = max(counts.values())
    best = [each for each in DIALECTS if counts[each.name] == most]
    if most == 0:
        known = frozenset().union(*(each.names for each in DIALECTS))
        close = {name: near for name in given if (near := _nearest(name, known))}
        guesses = f" Near ones: {', '.join(f'{a} -> {b}' for a, b in close.items())}." if close else ""
        raise UserError(
            f"{path}: none of its names ({', '.join(list(given)[:6])}) is a hyperparameter of this project, "
            f"Stable-Baselines3 or CleanRL.{guesses}"
        )
    if len(best) > 1:
        raise UserError(
            f"{path}: its names may be those of {' or '.join(each.title for each in best)}. Say which: --dialect "
            f"{' or --dialect '.join(each.name for each in best)}."
        )
    return best[0]


# ---------------------------------------------------------------------- ours

_OUR_FIELDS = {field.name for field in dataclasses.fields(DQNConfig)}
_MADE_OF = ("total_frames", "update_period_agent_steps", "life_loss_terminal", "constant_reward")
_NONE_SAYS_SOMETHING = ("reward_clip", "error_clip", "constant_reward")


def _our_facts(fields: Fields, section: str | None) -> dict[str, Any]:
    """Only what is written: whose code reads our names is not known."""
    found = dict[str, Any]()
    for name in (*FACTS, *_MADE_OF):
        if name not in fields.given:
            continue
        value = fields.value(name)
        if isinstance(value, str) and name in ("total_frames", "total_agent_steps"):
            value = parse_frames(value)
        elif isinstance(value, str) and re.fullmatch(r"[-+]?[0-9._]+([eE][-+]?[0-9]+)?", value):
            value = fields.number(name)
        if value is not None or name in _NONE_SAYS_SOMETHING:
            found[name] = value
    setup = Setup.of_fields(found)
    return {name: value for name in FACTS if (value := getattr(setup, name)) is not None}


# ---------------------------------------------------------------------- environments of gymnasium


def _emulator(env_id: str | None, options: Mapping[str, Any]) -> dict[str, Any]:
    """Frame skip and sticky actions of an Atari environment, as gymnasium makes it with ``options``.

    ale_py/registration.py: NoFrameskip plays frame by frame, ALE/...-v5 skips 4, Deterministic 4, the others 2 to 4,
    3 on average; ALE/...-v5 and ...-v0 are sticky, 0.25.
    """
    found = dict[str, Any]()
    plain = re.fullmatch(r"[A-Za-z0-9]+?(NoFrameskip|Deterministic)?-v([04])", env_id or "")
    if plain:
        found["emulator_frame_skip"] = {"NoFrameskip": 1.0, "Deterministic": 4.0}.get(plain[1], 3.0)
        found["sticky_action_probability"] = 0.25 if plain[2] == "0" else 0.0
    elif re.fullmatch(r"ALE/[A-Za-z0-9]+-v5", env_id or ""):
        found |= {"emulator_frame_skip": 4.0, "sticky_action_probability": 0.25}
    for option, fact in (
        ("frameskip", "emulator_frame_skip"),
        ("repeat_action_probability", "sticky_action_probability"),
    ):
        value = options.get(option)
        if is_number(value):
            found[fact] = value
    return found


def _with_action_length(facts: dict[str, Any]) -> dict[str, Any]:
    emulator, wrapper = facts.get("emulator_frame_skip"), facts.get("wrapper_frame_skip")
    if emulator and wrapper:
        facts["frames_per_agent_step"] = emulator * wrapper
    return facts


def _of_total(share: float | None, total: float | None) -> float | None:
    return None if share is None or total is None else share * total


# ---------------------------------------------------------------------- Stable-Baselines3

_SB3_DEFAULTS = {
    "learning_rate": 1e-4,
    "buffer_size": 1_000_000,
    "batch_size": 32,
    "tau": 1.0,
    "gamma": 0.99,
    "train_freq": 4,
    "gradient_steps": 1,
    "optimize_memory_usage": False,
    "target_update_interval": 10_000,
    "exploration_fraction": 0.1,
    "exploration_initial_eps": 1.0,
    "exploration_final_eps": 0.05,
}  # fmt: skip  learning_starts has changed between versions, so it has none
_SB3_NAMES = frozenset(_SB3_DEFAULTS) | {
    "policy", "env", "env_id", "learning_starts", "n_timesteps", "total_timesteps", "n_envs", "frame_stack",
    "env_wrapper", "env_kwargs", "policy_kwargs", "n_eval_episodes", "max_grad_norm", "verbose", "seed", "device",
    "tensorboard_log", "replay_buffer_class", "replay_buffer_kwargs", "stats_window_size", "normalize",
    "vec_env_wrapper", "callback", "n_steps", "_init_setup_model",
}  # fmt: skip


def _sb3_facts(fields: Fields, section: str | None) -> dict[str, Any]:
    total, envs = fields.positive("n_timesteps", "total_timesteps"), fields.positive("n_envs") or 1.0
    env_id = fields.text("env_id") or fields.text("env") or (section if section != "atari" else None)
    stack, policy = fields.positive("frame_stack"), fields.text("policy")
    kept = {True: 1, False: 2}[bool(fields.flag("optimize_memory_usage"))]
    facts: dict[str, Any] = {
        "total_agent_steps": total,
        "streams_per_member": envs,
        "rewards_from_game": True,
        "replay_capacity": fields.positive("buffer_size"),
        "replay_start_agent_steps": fields.number("learning_starts"),
        "bytes_per_transition": kept * FRAME_BYTES * stack if stack else None,
        "frames_per_state": stack,
        "learning_rate": _sb3_learning_rate(fields),
        "batch_size": fields.positive("batch_size"),
        "discount": fields.number("gamma"),
        "updates_per_agent_step": _sb3_update_rate(fields, envs),
        "target_period_agent_steps": fields.positive("target_update_interval"),
        "target_mixing": fields.number("tau"),
        "epsilon_start": fields.number("exploration_initial_eps"),
        "epsilon_end": fields.number("exploration_final_eps"),
        "epsilon_span_agent_steps": _of_total(fields.number("exploration_fraction"), total),
        "epsilon_from_start": True,
        "evaluation_episodes": fields.positive("n_eval_episodes"),
        "network": {"CnnPolicy": "nature", "MlpPolicy": "flat_mlp"}.get(policy or ""),
        "optimizer": "adam",
        "loss_reduction": "mean",
        "error_clip": 1.0,
        **_emulator(env_id, fields.table("env_kwargs")),
        **_sb3_wrapper(fields.value("env_wrapper")),
    }
    fields.assumed |= {"optimizer": "adam", "loss": "Huber, mean"}
    own = str(fields.value("policy_kwargs") or "")  # text, or a table
    if "optimizer_class" in own:
        facts["optimizer"] = None
        del fields.assumed["optimizer"]
    if "features_extractor" in own:
        facts["network"] = None
    else:
        facts["input_divisor"] = 1.0 if re.search(r"normalize_images['\"]?\s*[=:]\s*False", own) else 255.0
    return _with_action_length(facts)


def _sb3_learning_rate(fields: Fields) -> float | None:
    """The RL Zoo writes a linear schedule as ``lin_0.0001``: what it starts from."""
    got = fields.value("learning_rate")
    if isinstance(got, str) and got.startswith("lin_"):
        return Fields(fields.path, {"learning_rate": got.removeprefix("lin_")}).positive("learning_rate")
    return fields.positive("learning_rate")


def _sb3_update_rate(fields: Fields, envs: float) -> float | None:
    """``train_freq`` counts steps of all environments at once: a number, or [number, "step"]; else unknown."""
    period = fields.value("train_freq")
    if isinstance(period, list | tuple) and len(period) == 2:
        if period[1] != "step":
            return None
        period = period[0]
    number = Fields(fields.path, {"train_freq": period}).positive("train_freq")
    updates = fields.number("gradient_steps")
    if number is None or updates is None or updates == 0:
        return None
    return 1.0 if updates < 0 else updates / (number * envs)  # -1: as many updates as agent steps


def _sb3_wrapper(given: Any) -> dict[str, Any]:
    """What AtariWrapper does, if it is among the wrappers: a name, or a table of a name and its arguments."""
    for each in given if isinstance(given, list) else [given]:
        name, options = next(iter(each.items())) if isinstance(each, dict) and each else (each, {})
        if not (isinstance(name, str) and name.rpartition(".")[2] == "AtariWrapper"):
            continue
        options = options if isinstance(options, dict) else {}
        return {
            "wrapper_frame_skip": options.get("frame_skip", 4),
            "wrapper_sticky_probability": options.get("action_repeat_probability", 0.0),
            "life_loss": "terminal" if options.get("terminal_on_life_loss", True) else "ignored",
            "reward_clip": 1.0 if options.get("clip_reward", True) else math.inf,
        }
    return {}


# ---------------------------------------------------------------------- CleanRL

_CLEANRL_DEFAULTS = {
    "learning_rate": 1e-4, "buffer_size": 1_000_000, "gamma": 0.99, "tau": 1.0, "target_network_frequency": 1000,
    "batch_size": 32, "start_e": 1.0, "end_e": 0.01, "exploration_fraction": 0.1, "learning_starts": 80_000,
    "train_frequency": 4, "total_timesteps": 10_000_000, "num_envs": 1,
}  # fmt: skip
_CLEANRL_NAMES = frozenset(_CLEANRL_DEFAULTS) | {
    "env_id", "gym_id", "exp_name", "seed", "torch_deterministic", "cuda", "track", "wandb_project_name",
    "wandb_entity", "capture_video", "save_model", "upload_model", "hf_entity", "max_grad_norm",
}  # fmt: skip


def _cleanrl_facts(fields: Fields, section: str | None) -> dict[str, Any]:
    """The arguments of dqn_atari.py, and what that script does whatever its arguments."""
    total = fields.positive("total_timesteps")
    period, envs = fields.positive("train_frequency"), fields.positive("num_envs")
    env_id = fields.text("env_id") or fields.text("gym_id")
    fields.assumed["script"] = "dqn_atari.py (Adam, squared error, its wrappers)"
    facts: dict[str, Any] = {
        "total_agent_steps": total,
        "streams_per_member": envs,
        "rewards_from_game": True,
        "replay_capacity": fields.positive("buffer_size"),
        "replay_start_agent_steps": fields.number("learning_starts"),
        "bytes_per_transition": STATE_BYTES,
        "learning_rate": fields.positive("learning_rate"),
        "batch_size": fields.positive("batch_size"),
        "discount": fields.number("gamma"),
        "updates_per_agent_step": 1 / period if period else None,
        "target_period_agent_steps": fields.positive("target_network_frequency"),
        "target_mixing": fields.number("tau"),
        "epsilon_start": fields.number("start_e"),
        "epsilon_end": fields.number("end_e"),
        "epsilon_span_agent_steps": _of_total(fields.number("exploration_fraction"), total),
        "epsilon_from_start": True,
        "network": "nature",
        "frames_per_state": 4,
        "input_divisor": 255.0,
        "optimizer": "adam",
        "loss_reduction": "mean",
        "error_clip": math.inf,
        "reward_clip": 1.0,
        "life_loss": "terminal",
        "wrapper_frame_skip": 4,
        "wrapper_sticky_probability": 0.0,
        **_emulator(env_id, {}),
    }
    return _with_action_length(facts)


DIALECTS = (
    Dialect("ours", "this project", frozenset(_OUR_FIELDS | set(FACTS)), _our_facts, {}),
    Dialect("sb3", "Stable-Baselines3", _SB3_NAMES, _sb3_facts, _SB3_DEFAULTS),
    Dialect("cleanrl", "CleanRL", _CLEANRL_NAMES, _cleanrl_facts, _CLEANRL_DEFAULTS),
)
