"""Files of hyperparameters: JSON, TOML or YAML, to a table of names and values."""

from __future__ import annotations

import importlib
import json
import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dqn_ref.config import UserError

FORMATS = (".json", ".toml", ".yaml", ".yml")


def read_fields(path: Path) -> tuple[str | None, dict[str, Any]]:
    """The section's name, if the fields lie in one, and the fields of the file at ``path``.

    A file of several sections has one called ``atari``, as the RL Zoo's has.

    Raises:
        UserError: missing, broken, of another format, or no table of fields.
    """
    try:
        content = _parsed(path, path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UserError(
            f"{path} cannot be read: {error.strerror}. Give a file of settings, or a run's folder."
        ) from None
    except (ValueError, RecursionError) as error:  # what json, tomllib and the decoder raise
        raise UserError(f"{path} is broken: {error}.") from None
    if not isinstance(content, dict) or not content or not all(isinstance(name, str) for name in content):
        raise UserError(f"{path} holds no settings: expected a table of names and values, got {_shown(content)}.")
    sections = {name: each for name, each in content.items() if isinstance(each, dict)}
    if len(sections) == len(content):
        name = "atari" if "atari" in sections else next(iter(sections))
        if len(sections) > 1 and name != "atari":
            raise UserError(
                f"{path} has several sections, {', '.join(sections)}, and none is called atari. Give a file of one."
            )
        return name, sections[name]
    return None, content


def _parsed(path: Path, text: str) -> Any:
    suffix = path.suffix.lower()
    if suffix == ".toml":
        return tomllib.loads(text)
    if suffix in (".yaml", ".yml"):
        return _yaml(path, text)
    if suffix not in FORMATS:
        raise UserError(f"{path} is of no format that is read here. Expected {', '.join(FORMATS)}.")
    return json.loads(text)


def _yaml(path: Path, text: str) -> Any:
    try:
        yaml = importlib.import_module("yaml")  # no dependency of this project, and often there
    except ImportError:
        raise UserError(
            f"{path} is YAML, which needs PyYAML: pip install pyyaml, or write it as JSON or TOML."
        ) from None
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(f"{path} is broken: {' '.join(str(error).split())}.") from None


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


@dataclass
class Fields:
    """Fields of a file, read by their own names. What was asked for and not there is remembered with its default."""

    path: Path
    given: Mapping[str, Any]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    assumed: dict[str, Any] = field(default_factory=dict)
    read: set[str] = field(default_factory=set)

    def value(self, name: str) -> Any:
        """As it is, or the default, or None."""
        self.read.add(name)
        if self.given.get(name) is not None:
            return self.given[name]
        if name in self.defaults:
            self.assumed[name] = self.defaults[name]
        return self.defaults.get(name)

    def number(self, *names: str) -> float | None:
        """The number that one of ``names`` has; text that is one counts. Raises UserError: no finite number."""
        got, name = next(((each, name) for name in names if (each := self.value(name)) is not None), (None, ""))
        if got is None:
            return None
        try:
            number = float(got) if isinstance(got, int | float | str) and not isinstance(got, bool) else math.nan
        except (ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            raise UserError(f"{self.path}: {name} must be a number, got {_shown(got)}.")
        return number

    def positive(self, *names: str) -> float | None:
        """The same, above 0. Raises UserError: it is not."""
        number = self.number(*names)
        if number is not None and number <= 0:
            raise UserError(f"{self.path}: {names[0]} must be above 0, got {number:g}.")
        return number

    def flag(self, name: str) -> bool | None:
        """True, false or None. Raises UserError: anything else."""
        got = self.value(name)
        if got is not None and type(got) is not bool:
            raise UserError(f"{self.path}: {name} must be true or false, got {_shown(got)}.")
        return got

    def text(self, name: str) -> str | None:
        """Text or None. Raises UserError: anything else."""
        got = self.value(name)
        if got is not None and not isinstance(got, str):
            raise UserError(f"{self.path}: {name} must be text, got {_shown(got)}.")
        return got

    def table(self, name: str) -> Mapping[str, Any]:
        """A table, an empty one if there is none. Text, as the RL Zoo writes tables, cannot be read and is empty."""
        got = self.value(name)
        if got is not None and not isinstance(got, dict | str):
            raise UserError(f"{self.path}: {name} must be a table, got {_shown(got)}.")
        return got if isinstance(got, dict) else {}

    def unread(self) -> Iterable[str]:
        """Names of the file that nobody asked for."""
        return (name for name in self.given if name not in self.read)
