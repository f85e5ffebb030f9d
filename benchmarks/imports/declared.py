"""What the user declares about a source, in a file beside it: what its log does not say, or says wrongly.

``measured.json`` in a folder, or ``SCORES.measured.json`` beside ``SCORES.csv``. What is declared wins over the log.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.curves import Measurement
from benchmarks.imports.tables import MOST, shown
from benchmarks.suites import game_named
from dqn_ref.config import UserError

FILE = "measured.json"
ENDING = ".measured.json"


@dataclass(frozen=True)
class Declared:
    """The content of a declaration; what is not declared is None or empty."""

    path: Path  # where it is, or would be
    name: str | None = None
    agent: str | None = None  # of those in one file, as in Dopamine's
    tag: str | None = None  # of TensorBoard
    frames_per_step: int | None = None  # emulator frames that one step of the log's axis stands for
    total_frames: int | None = None  # budget of the runs
    runs: Mapping[str, tuple[str, int]] = field(default_factory=dict)  # folder below the source -> game, seed
    measured: Mapping[str, Any] = field(default_factory=dict)  # fields of Measurement

    def check(self, allowed: Sequence[str], source: str) -> None:
        """Raise UserError if something is declared that ``source``, a kind of log, does not use."""
        given = {name: getattr(self, name) for name in ("agent", "tag", "frames_per_step", "total_frames", "runs")}
        if idle := [name for name, value in given.items() if value and name not in allowed]:
            raise UserError(f"{self.path}: {', '.join(idle)} says nothing about {source}; leave it out.")

    def over(self, measured: Measurement) -> Measurement:
        """``measured``, with what is declared in place of it."""
        return dataclasses.replace(measured, **self.measured)


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and value.isprintable()


def _share(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value <= 1


def _count(value: Any) -> bool:
    return type(value) is int and 0 < value <= MOST


# Of each key: what it must be, in words and as a check.
SETTINGS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "name": ("a text of one line", _text),
    "agent": ("a text of one line", _text),
    "tag": ("a text of one line", _text),
    "frames_per_step": ("a whole number above 0", _count),
    "total_frames": ("a whole number above 0", _count),
    "runs": ('an object of "folder": ["game", seed]', lambda value: isinstance(value, dict)),
}
MEASURED: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "returns": ('"training" or "evaluation"', lambda value: value in ("training", "evaluation")),
    "epsilon": ("a number from 0 to 1", _share),
    "sticky_action_probability": ("a number from 0 to 1", _share),
    "max_frames": ("a whole number above 0", _count),
    "life_loss_ends_episode": ("true or false", lambda value: type(value) is bool),
    "best_network": ("true or false", lambda value: type(value) is bool),
}  # here null means: not known, whatever the log says


def declaration(path: Path) -> Declared:
    """What is declared of the source at ``path``; nothing, if there is no such file.

    Raises:
        UserError: the file is no JSON object, has an unknown key, or a value of another kind.
    """
    place = path / FILE if path.is_dir() else path.with_name(path.stem + ENDING)
    if not place.exists():
        return Declared(place)
    content = read_json(place)
    if not isinstance(content, dict):
        raise UserError(f"{place} must hold a JSON object, got a {type(content).__name__}.")
    if unknown := sorted(set(content) - set(SETTINGS) - set(MEASURED)):
        raise UserError(
            f"{place}: unknown are {', '.join(map(shown, unknown))}; known are {', '.join((*SETTINGS, *MEASURED))}."
        )
    for name, value in content.items():
        words, is_right = (SETTINGS | MEASURED)[name]
        if not is_right(value) and not (value is None and name in MEASURED):
            raise UserError(f"{place}: {name} must be {words}, got {json.dumps(value)[:60]}.")
    settings = {name: value for name, value in content.items() if name in SETTINGS and name != "runs"}
    runs = {_folder(key): _run(place, key, value) for key, value in content.get("runs", {}).items()}
    measured = {name: value for name, value in content.items() if name in MEASURED}
    return Declared(place, runs=runs, measured=measured, **settings)


def read_json(path: Path) -> Any:
    """The content of a JSON file. Raises UserError: it cannot be read, or is no JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:  # RecursionError: nested without end
        raise UserError(f"{path} is no JSON: {error}.") from None


def _folder(key: str) -> str:
    return Path(key).as_posix()  # "a/b/" and "./a/b" are a/b


def _run(place: Path, key: str, value: Any) -> tuple[str, int]:
    is_pair = isinstance(value, list) and len(value) == 2 and _text(value[0]) and type(value[1]) is int
    if not (is_pair and 0 <= value[1] <= MOST):
        raise UserError(f'{place}: runs: {key!r} must be ["game", seed], got {json.dumps(value)[:60]}.')
    try:
        return game_named(value[0]), value[1]
    except UserError as error:
        raise UserError(f"{place}: runs: {key!r}: {error}") from None
