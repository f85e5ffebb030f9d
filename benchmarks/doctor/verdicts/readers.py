"""The door: point at a run, whoever made it, and get its Log."""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from benchmarks.doctor.verdicts import foreign
from benchmarks.doctor.verdicts.log import METRICS, Episodes, Log, Series
from benchmarks.doctor.verdicts.names import Names, read_mapping
from benchmarks.imports import tables
from benchmarks.imports.tables import MOST
from benchmarks.suites import game_named
from dqn_ref.config import UserError
from dqn_ref.records import RunRecord


def read_log(path: Path, mapping: Path | Names | None = None, game: str | None = None) -> Log:
    """The log of one run at ``path``.

    Args:
        path: a run folder of this project, a folder or file of TensorBoard events, a CSV with a row an interval, or
            monitor.csv files; of CleanRL, Stable-Baselines3, or as ``mapping`` says.
        mapping: names in a log that is not known here: what ``read_mapping`` gives, or its file.
        game: of the run, where its log does not say it.

    Raises:
        UserError: there is no run, several, or one that cannot be read; the message says what to do.
    """
    names = read_mapping(mapping) if isinstance(mapping, Path) else mapping
    try:
        if path.name == "run.json" and path.is_file():
            path = path.parent
        if path.is_dir() and (path / "run.json").is_file():
            log = _own(path)
        elif path.exists():
            log = foreign.read(path, names)
        else:
            raise UserError(f"{path} is neither a file nor a folder. Point at the folder or the log of a run.")
    except OSError as error:
        raise UserError(f"{error.filename or path} cannot be read: {error.strerror}.") from None
    except (RecursionError, OverflowError) as error:  # a file that no run wrote: nested without end, numbers beyond all
        raise UserError(f"{path} is broken: {error}. Move it away.") from None
    return replace(log, game=game_named(game)) if game else log


def _own(folder: Path) -> Log:
    """Our own record, finished or not. Raises UserError: broken."""
    record = RunRecord.read(folder)
    # What a version did not measure yet is no column; NaN in a column is what it measured.
    written = set(tables.columns(folder / "progress.csv")) & set(METRICS)
    rows = record.progress()
    frames = np.array([row["frames"] for row in rows], np.float64)
    series = {
        name: Series(frames.astype(np.int64), np.array([row[name] for row in rows], np.float64))
        for name in sorted(written)
    }
    done = max(record.frames_done, int(frames[-1]) if len(rows) else 0)
    notes = () if record.status == "finished" else (f"the run is {record.status}: the log ends at {done:,} frames",)
    return Log(
        name=os.path.basename(os.path.abspath(folder)),
        program="dqn-ref",
        game=game_named(record.member.game),
        frames_done=done,
        series=series,
        episodes=_own_episodes(record),
        facts=asdict(record.config),
        notes=notes,
    )


def _own_episodes(record: RunRecord) -> Episodes:
    rows, columns = record.full_episodes(), {}
    for name in ("frame", "raw_return", "length_frames", "clipped_return", "lives_lost"):
        # lives_lost: records of older versions lack it
        values = [float(row[name]) for row in rows] if all(row.get(name) is not None for row in rows) else []
        columns[name] = np.array(values, np.float64)
        if (np.abs(columns[name]) > MOST).any():
            raise UserError(f"{record.folder / 'episodes.csv'} is broken: {name} is beyond all measure.")
    return Episodes(
        columns["frame"].astype(np.int64), columns["raw_return"], columns["length_frames"], columns["clipped_return"],
        columns["lives_lost"],
    )  # fmt: skip
