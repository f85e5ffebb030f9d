"""A seal on a folder of results: a hash of every file, and one over the list, so that an edit by hand is seen.

It guards against accidents and shortcuts, not against somebody who makes a new seal on purpose.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dqn_ref.config import UserError

NAME = "baseline.json"


def sealed(folder: Path, content: Mapping[str, Any]) -> dict[str, Any]:
    """``content`` with the SHA-256 of every file below ``folder`` but the sealing one, and of all that together."""
    whole = {**content, "files": _hashes(folder)}
    return {**whole, "sha256": _digest(whole)}


def read_sealed(folder: Path) -> dict[str, Any]:
    """What ``baseline.json`` says of ``folder``.

    Raises:
        UserError: missing or without a seal, or a file was changed, added or removed since it was sealed.
    """
    path = folder / NAME
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read ({error}). {_REMEDY}") from None
    if not isinstance(content, dict) or "sha256" not in content:
        raise UserError(f"{path} has no seal, so nobody knows whether it was changed. {_REMEDY}")
    if content.get("sha256") != _digest({key: value for key, value in content.items() if key != "sha256"}):
        raise UserError(f"{path} was changed by hand: it is not what its sha256 says. {_REMEDY}")
    expected, found = content["files"], _hashes(folder)
    changed = sorted(name for name in {*expected, *found} if expected.get(name) != found.get(name))
    if changed:
        raise UserError(
            f"{folder} was changed by hand: {', '.join(changed[:5])}{' and more' if len(changed) > 5 else ''} "
            f"{'is' if len(changed) == 1 else 'are'} not what was stored. {_REMEDY}"
        )
    return content


_REMEDY = "Restore it from version control, or make a new one: python -m benchmarks baseline create, then promote."


def _hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / NAME)
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
