"""Gate results read back from their JSON form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.gates.verdict import SCHEMA, Check, GateResult, Verdict
from benchmarks.page.foreign import clean
from dqn_ref.config import UserError


def read_gate(path: Path) -> GateResult:
    """The result that a gate wrote with ``--format json``.

    Raises:
        UserError: unreadable, of another schema, or not what a gate writes. It is never taken for a pass.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}. Name the JSON file that a gate wrote.") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is no JSON ({error}). Name the file that a gate wrote in its JSON form.") from None
    try:
        return _result(content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(
            f"{path} is not what a gate writes ({type(error).__name__}: {error}). Let the gate write it again."
        ) from None


def _result(content: Mapping[str, Any]) -> GateResult:
    if content["schema"] != SCHEMA:
        raise ValueError(f"schema {content['schema']!r}, expected {SCHEMA}")
    verdict = Verdict(content["verdict"])
    if content["exit_code"] != verdict.exit_code:
        raise ValueError(f"verdict {verdict.value} with exit code {content['exit_code']!r}")
    checks = tuple(
        Check(clean(each["name"]), Verdict(each["verdict"]), clean(each["words"]), _plain(each["numbers"]))
        for each in content["checks"]
    )
    if not isinstance(content["notes"], list):
        raise TypeError("notes are no list")
    notes = tuple(clean(note) for note in content["notes"])
    return GateResult(
        clean(content["gate"]), verdict, clean(content["headline"]), checks, notes, _plain(content["compared"])
    )


def _plain(numbers: Mapping[str, Any]) -> dict[str, str]:
    return {clean(name): clean(value) for name, value in numbers.items()}
