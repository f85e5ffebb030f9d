"""Files that the user named to be written: none takes the place of what was read or recorded."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from dqn_ref.config import UserError
from dqn_ref.records import RECORD_FILES

# Folders of results that their own commands write, which keep what was there.
KEPT = ("baselines", "doctor", "gates", "random-play", "speed")


def check_output(path: Path, inputs: Sequence[Path] = (), results: Path | None = None) -> None:
    """Raise UserError: ``path`` is a folder, a file of a run's record, one of ``inputs``, or is kept in ``results``."""
    try:
        _check_output(path, inputs, results)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}. Choose another name.") from None


def _check_output(path: Path, inputs: Sequence[Path], results: Path | None) -> None:
    if path.is_dir():
        raise UserError(f"{path} is a folder; expected a file to write. Choose another name.")
    recorded = path.name in RECORD_FILES and (path.parent / "run.json").exists()
    read = path.exists() and any(map(path.samefile, filter(Path.exists, inputs)))
    kept = results is not None and any((results / name).resolve() in path.resolve().parents for name in KEPT)
    if path.exists() and (recorded or read or kept):
        raise UserError(f"{path} holds what was read or recorded; it is left alone. Choose another name.")


def write_text(path: Path, text: str, inputs: Sequence[Path] = (), results: Path | None = None) -> None:
    """Write a file that the user named, over an older one if need be, but for those of ``check_output``.

    Raises:
        UserError: it cannot be written, or must not be. What was there is whole then.
    """
    check_output(path, inputs, results)
    there = path.resolve()
    temporary = there.with_name(f".{there.name}.tmp")
    try:
        there.parent.mkdir(parents=True, exist_ok=True)
        if there.exists() and not there.is_file():  # a pipe, or a device: nothing may take its place
            there.write_text(text, encoding="utf-8")
            return
        temporary.write_text(text, encoding="utf-8", newline="\n")
        os.replace(temporary, there)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}. Choose another name.") from None
    finally:
        if os.path.isfile(temporary):  # Path.is_file raises where the name is too long
            temporary.unlink()
