"""Writing what records.py reads: a run's folder, as the run goes along."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from dqn_ref.claim import alone_with
from dqn_ref.config import UserError
from dqn_ref.records import ACTIONS, EPISODE_COLUMNS, PROGRESS_COLUMNS, SCHEMA, now, read_json, write_json


def check_new_folder(folder: Path) -> None:
    """Raise UserError unless ``folder`` is new or empty and can be written; touches nothing."""
    try:
        _check_new_folder(folder)
    except OSError as error:  # a name too long, a folder that must not be searched
        raise UserError(f"{folder} cannot be written: {error.strerror}. Choose another --out.") from None


def _check_new_folder(folder: Path) -> None:
    if (folder / "run.json").exists():
        raise UserError(f"{folder} already holds a run. Choose another --out; a run is never overwritten.")
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file; --out needs a folder.")
    if folder.is_dir() and any(folder.iterdir()):
        raise UserError(f"{folder} holds other files. Choose a new or empty folder for --out.")
    check_writable(folder, "--out")


def check_writable(folder: Path, option: str) -> None:
    """Raise UserError unless ``folder``, given by ``option``, can be made or written in; touches nothing."""
    nearest = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if not nearest.is_dir():
        raise UserError(f"{folder} cannot be written: {nearest} is a file. Choose another {option}.")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise UserError(f"{folder} cannot be written: no permission in {nearest}. Choose another {option}.")


def make_folder(folder: Path) -> None:
    """Make a run's ``folder``, if it is not there. Raises UserError: it is taken, foreign, or cannot be written."""
    check_new_folder(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error.strerror}.") from None


class RunWriter:
    """Writes one run's folder, as it goes along.

    Args:
        folder: new or empty, or that of a stopped run.
        run: what run.json says of it.
        lengths: bytes of each file to go on after, if the folder is that of a stopped run; the rest is cut off.

    Raises:
        UserError: the folder is taken, foreign, or cannot be written.
    """

    FILES = ("episodes.csv", "progress.csv", ACTIONS)

    def __init__(self, folder: Path, run: Mapping[str, Any], lengths: Mapping[str, int] | None = None) -> None:
        if lengths is None:
            make_folder(folder)
        try:
            if lengths is None:
                # "x": of two runs that start in one folder at once, one fails here
                (folder / "run.json").open("x").close()
            else:
                _cut(folder, lengths)
        except FileExistsError:
            raise UserError(f"{folder} already holds a run. Choose another --out.") from None
        except OSError as error:
            raise UserError(f"{folder} cannot be written: {error.strerror}.") from None
        self.folder = folder
        self._run = {"schema": SCHEMA, **run, "status": "running", "frames_done": run.get("frames_done", 0),
                     "pid": os.getpid(), "error": None, "started": run.get("started", now()),
                     "ended": None}  # fmt: skip
        write_json(folder / "run.json", self._run)
        self._episodes, self._episode_file = self._open("episodes.csv", EPISODE_COLUMNS)
        self._progress, self._progress_file = self._open("progress.csv", PROGRESS_COLUMNS)

    def _open(self, name: str, columns: Sequence[str]) -> tuple[csv.DictWriter[str], TextIO]:
        file = (self.folder / name).open("a", newline="", buffering=1)  # a row is on disk once written
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        if file.tell() == 0:
            writer.writeheader()
        return writer, file

    def lengths(self) -> dict[str, int]:
        """Bytes of each file now, for a later writer to go on after."""
        return {name: (self.folder / name).stat().st_size for name in self.FILES}

    def actions(self, content: bytes) -> None:
        """Add to actions.bin."""
        with (self.folder / ACTIONS).open("ab") as file:
            file.write(content)

    def episode(self, **row: Any) -> None:
        """Add a row to episodes.csv; the columns are EPISODE_COLUMNS."""
        self._episodes.writerow(row)

    def progress(self, **row: Any) -> None:
        """Add a row to progress.csv; the columns are PROGRESS_COLUMNS."""
        self._progress.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})

    def close(self, status: str, frames_done: int, error: str | None = None) -> None:
        """Write how the run ended: finished, interrupted or failed."""
        self._episode_file.close()
        self._progress_file.close()
        self._run.update(status=status, frames_done=frames_done, error=error, ended=now())
        write_json(self.folder / "run.json", self._run)


def _cut(folder: Path, lengths: Mapping[str, int]) -> None:
    for name, length in lengths.items():
        os.truncate(folder / name, length)
        os.utime(folder / name)  # whoever writes it now is younger than what was written


def forget_evaluations(folder: Path, after: int) -> None:
    """Remove the evaluations of networks that a run which goes on after ``after`` frames will make again."""
    path = folder / "evaluation.json"
    if path.exists():
        known = read_json(path)["evaluations"]
        kept = [each for each in known if each["weights"] == "iteration" and each["training_frames"] <= after]
        write_json(path, {"schema": SCHEMA, "evaluations": kept})


def add_evaluation(folder: Path, evaluation: Mapping[str, Any]) -> None:
    """Append to evaluation.json; another process that does it at the same time waits."""
    path = folder / "evaluation.json"
    with alone_with(folder / "run.json"):
        known = read_json(path)["evaluations"] if path.exists() else []
        write_json(path, {"schema": SCHEMA, "evaluations": [*known, evaluation]})
