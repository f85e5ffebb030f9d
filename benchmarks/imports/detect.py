"""The door: point at a file or a folder of scores, whoever wrote it, and get Curves."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.curves import Curves
from benchmarks.imports import dopamine, dqn_zoo, events, own_runs, score_table, stable_baselines3, tables
from benchmarks.imports import tensorboard_logs as tensorboard
from benchmarks.imports.declared import Declared, declaration
from dqn_ref.config import UserError

KNOWN = (
    "a table of scores (CSV with game, seed, frames, score), TensorBoard logs of CleanRL, Stable-Baselines3 or "
    "Dopamine, monitor.csv files of Stable-Baselines3, JSON baselines of Dopamine, results of DQN Zoo, or run "
    "folders of this project"
)
PICKLES = (".pkl", ".pickle")
TABLES = (".csv", ".tsv", ".txt")


def read_scores(path: Path, *, name: str | None = None) -> Curves:
    """Scores at ``path``, whatever of the known kinds it is; docs/imports.md says what is made of each.

    Args:
        path: a file, or a folder with all runs of one source.
        name: of the curves; else as declared, else that of the file or folder.

    Raises:
        UserError: it is of no known kind, of several, or cannot be read; the message says what to do.
    """
    try:
        if path.name == "run.json" and path.is_file():
            path = path.parent
        declared = declaration(path)
        named_after = Path(os.path.abspath(path)).name if path.is_dir() else path.stem
        if path.is_dir():
            found = _kinds(path)
        elif path.is_file():
            found = {kind: [path] for kind in [_kind(path)] if kind}
        else:
            raise UserError(f"{path} is neither a file nor a folder.")
        return _read(path, found, name, named_after, declared)
    except OSError as error:
        raise UserError(f"{error.filename or path} cannot be read: {error.strerror}.") from None


def _read(path: Path, found: dict[str, list[Path]], name: str | None, named_after: str, declared: Declared) -> Curves:
    pickles = found.pop("pickles", [])
    if set(found) == {"TensorBoard logs", "monitor files"}:  # Stable-Baselines3 writes both of a run
        found.pop("TensorBoard logs" if declared.tag is None else "monitor files")
    if len(found) > 1:
        where = ", ".join(f"{kind} ({paths[0]})" for kind, paths in found.items())
        raise UserError(f"{path} holds several kinds of scores: {where}. Point at one of them.")
    if pickles and not found:
        raise UserError(
            f"{pickles[0]} is a pickle, which is a program: reading one from elsewhere runs whatever is in it, so it "
            "is not done here. Of Dopamine, point at the TensorBoard events or the JSON files, or write a table with "
            f"{', '.join(score_table.COLUMNS)}."
        )
    if not found:
        raise UserError(f"Nothing at {path} is known here. Expected {KNOWN}.")
    ((kind, paths),) = found.items()
    root = path if path.is_dir() else path.parent
    if kind == "JSON baselines of Dopamine":
        return dopamine.read_baselines(paths, name, named_after, declared)
    return _READERS[kind](root, paths, name or declared.name or named_after, declared)


def _read_table(root: Path, paths: Sequence[Path], name: str, declared: Declared) -> Curves:
    if len(paths) > 1:
        raise UserError(f"{root} holds several tables of scores: {paths[0]} and {paths[1]}. Point at one of them.")
    return score_table.read(paths[0], name, declared)


_READERS: dict[str, Callable[[Path, Sequence[Path], str, Declared], Curves]] = {
    "runs of this project": own_runs.read,
    "TensorBoard logs": tensorboard.read,
    "monitor files": stable_baselines3.read_monitors,
    "results of DQN Zoo": dqn_zoo.read,
    "a table of scores": _read_table,
}


# ---------------------------------------------------------------------- what is there


def _kinds(root: Path) -> dict[str, list[Path]]:
    """Paths of each kind below ``root``: of this project's runs their folders, of all else the files."""
    found: dict[str, list[Path]] = {}
    for folder, files in _folders(root):
        if "run.json" in files:
            # attempts/: runs that did not finish, which a runner keeps beside those that did
            if folder == root or folder.parent == root or folder.parent.name != "attempts":
                found.setdefault("runs of this project", []).append(folder)
            continue
        for file in files:
            path = folder / file
            if path.is_file() and (kind := _kind(path, in_folder=True)):  # a pipe would keep its reader waiting
                found.setdefault(kind, []).append(path)
    return found


def _folders(root: Path) -> Iterator[tuple[Path, list[str]]]:
    """Folders below ``root`` and the names in them, sorted, each folder once, through links too; not within runs."""
    seen: set[tuple[int, int]] = set()

    def stop(error: OSError) -> None:
        raise error

    for folder, folders, files in os.walk(root, followlinks=True, onerror=stop):
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in seen:  # a link in a circle
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = [] if "run.json" in files else sorted(folders)
        yield Path(folder), sorted(files)


def _kind(path: Path, in_folder: bool = False) -> str | None:
    """What ``path`` is by its name and its first line; in a folder, other files may lie beside the scores."""
    if events.is_events(path):
        return "TensorBoard logs"
    if stable_baselines3.is_monitor(path):
        return "monitor files"
    if path.suffix in PICKLES or (path.name.startswith("log_") and path.parent.name == "logs"):
        return "pickles"
    if dopamine.is_baseline(path):
        return "JSON baselines of Dopamine"
    if path.suffix not in TABLES:
        return None
    if dqn_zoo.is_results(path):
        return "results of DQN Zoo"
    return None if in_folder and not set(score_table.COLUMNS) <= set(tables.columns(path)) else "a table of scores"
