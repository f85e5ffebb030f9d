"""Which program calls what how: names in the logs of others, as data, and a mapping file for those not known."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.doctor.verdicts.log import METRICS, Fact
from benchmarks.imports.declared import read_json
from benchmarks.imports.tables import MOST, shown
from benchmarks.suites import game_named
from dqn_ref.config import UserError

RETURN, LENGTH = "episode_return", "episode_length"  # of single episodes
SKIP = 4  # frames of an agent step on Atari, unless something says otherwise


@dataclass(frozen=True)
class Named:
    """Where a metric is: its name in the log, and what its values are multiplied by."""

    name: str
    scale: float = 1.0


@dataclass(frozen=True)
class Names:
    """How one program names things."""

    program: str
    metrics: Mapping[str, Named]  # ours -> theirs; RETURN and LENGTH too
    step: tuple[str, ...] = ("global_step", "time/total_timesteps", "step", "Step", "frames")  # of a CSV, first found
    frames_per_step: int | None = None  # None: an agent step of SKIP frames, unless the log says otherwise
    game: str | None = None
    facts: Mapping[str, Fact] = field(default_factory=dict)
    notes: tuple[str, ...] = ()  # where theirs is not quite ours

    def fits(self, names: Collection[str]) -> int:
        """How many of its names are among ``names``."""
        return sum(each.name in names for each in self.metrics.values())


def _same(*names: str, prefix: str) -> dict[str, Named]:
    return {name: Named(prefix + name) for name in names}


# ---------------------------------------------------------------------- programs that are known

OURS = Names(  # the events that our runs write beside their record
    "dqn-ref",
    {**_same(*(set(METRICS) - {"mean_return"}), prefix="progress/"), RETURN: Named("episode/raw_return")},
    frames_per_step=1,
)
# vwxyzjn/cleanrl fe8d8a0, cleanrl/dqn_atari.py: losses every 100 agent steps, SPS in agent steps.
CLEANRL = Names(
    "CleanRL",
    {
        RETURN: Named("charts/episodic_return"),
        LENGTH: Named("charts/episodic_length"),  # counted below the wrapper that skips frames
        "epsilon": Named("charts/epsilon"),
        "loss": Named("losses/td_loss"),
        "q_mean": Named("losses/q_values"),
        "frames_per_second": Named("charts/SPS", SKIP),
    },
    notes=(
        "q_mean is CleanRL's losses/q_values: Q of the actions taken in a batch, not the maximum on held-out states",
    ),
)
# DLR-RM/stable-baselines3 e05d2db, dqn/dqn.py and common/off_policy_algorithm.py; the same names in its CSV.
STABLE_BASELINES3 = Names(
    "Stable-Baselines3",
    {
        "mean_return": Named("rollout/ep_rew_mean"),
        "epsilon": Named("rollout/exploration_rate"),
        "loss": Named("train/loss"),
        "updates": Named("train/n_updates"),
        "frames_per_second": Named("time/fps", SKIP),
    },
    notes=("mean_return is a running mean over the last 100 episodes, so its values are not independent",),
)
PROGRAMS = (OURS, CLEANRL, STABLE_BASELINES3)


def program_of(names: Collection[str]) -> Names | None:
    """The program most of whose names are among ``names``; None if none of them is."""
    best = max(PROGRAMS, key=lambda program: program.fits(names))
    return best if best.fits(names) else None


# Arguments of CleanRL's command line that are settings of ours which a rule uses.
CLEANRL_FACTS = {
    "gamma": "discount",
    "buffer_size": "replay_capacity",
    "learning_starts": "replay_start_agent_steps",
    "target_network_frequency": "target_period_agent_steps",
    "train_frequency": "update_period_agent_steps",
}

# ---------------------------------------------------------------------- a mapping file

KEYS = ("program", "step", "frames_per_step", "game", "metrics", "settings")
# Settings that a rule uses.
SETTINGS = (
    "discount", "reward_clip", "replay_capacity", "replay_start_agent_steps", "target_period_agent_steps",
    "target_period_updates", "update_period_agent_steps", "epsilon_span_agent_steps", "total_frames",
    "frames_per_agent_step",
)  # fmt: skip


def read_mapping(path: Path) -> Names:
    """A mapping from a file of JSON or TOML; docs/diagnose.md shows one.

    Raises:
        UserError: it cannot be read, an unknown key, or a value of another kind.
    """
    content = _toml(path) if path.suffix == ".toml" else read_json(path)
    if not isinstance(content, dict):
        raise UserError(f"{path} must hold an object, got a {type(content).__name__}.")
    _known(path, "keys", content, KEYS)
    metrics = _table(path, content, "metrics")
    _known(path, "metrics", metrics, (*METRICS, RETURN, LENGTH))
    facts = _table(path, content, "settings")
    _known(path, "settings", facts, SETTINGS)
    for name, value in facts.items():
        if not (value is None or isinstance(value, bool) or _number(value)):
            raise UserError(f"{path}: settings.{name} must be a number, true, false or null, got {str(value)[:60]!r}.")
    if facts.get("target_period_updates") is not None:  # which says it alone
        facts = {"target_period_agent_steps": None, "update_period_agent_steps": None, **facts}
    step, per_step = content.get("step"), content.get("frames_per_step")
    if per_step is not None and not (type(per_step) is int and 0 < per_step <= 1_000):
        raise UserError(f"{path}: frames_per_step must be a whole number from 1 to 1000, got {str(per_step)[:60]!r}.")
    for name in ("program", "step", "game"):
        if not isinstance(content.get(name, ""), str):
            raise UserError(f"{path}: {name} must be a text, got {str(content[name])[:60]!r}.")
    return Names(
        program=content.get("program") or "a program of its own",
        metrics={name: _named(path, name, value) for name, value in metrics.items()},
        step=(step,) if step else Names.step,
        frames_per_step=per_step,
        game=game_named(content["game"]) if content.get("game") else None,
        facts=facts,
    )


def _toml(path: Path) -> Any:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is no TOML: {error}.") from None


def _table(path: Path, content: Mapping[str, Any], key: str) -> dict[str, Any]:
    table = content.get(key, {})
    if not isinstance(table, dict):
        raise UserError(f"{path}: {key} must be an object, got {str(table)[:60]!r}.")
    return table


def _known(path: Path, what: str, given: Collection[str], known: Collection[str]) -> None:
    if unknown := sorted(set(given) - set(known)):
        raise UserError(f"{path}: unknown {what} {', '.join(map(shown, unknown[:8]))}; known are {', '.join(known)}.")


def _number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and abs(value) <= MOST


def _named(path: Path, metric: str, value: Any) -> Named:
    """``"their/name"``, or ``{"name": "their/name", "scale": 4}``."""
    if isinstance(value, str) and value:
        return Named(value)
    if isinstance(value, dict) and set(value) <= {"name", "scale"} and isinstance(value.get("name"), str):
        scale = value.get("scale", 1)
        if _number(scale) and scale:
            return Named(value["name"], float(scale))
    raise UserError(
        f'{path}: metrics.{metric} must be a name, or {{"name": "their/name", "scale": 4}}, got {str(value)[:60]!r}.'
    )
