"""The only door to results/: what was measured is never overwritten or lost, and everything is checked.

results/
  runs/PROTOCOL-FRAMES/GAME-sSEED/   records of this machine's runs (not in version control)
  runs/PROTOCOL-FRAMES/attempts/     runs that did not finish and had no checkpoint, kept
  runs/PROTOCOL-FRAMES/logs/         what the runs printed
  failures/PROTOCOL-FRAMES/VARIANT/GAME-sSEED/   records of the failures suite, without weights in version control
  learning/PROTOCOL-FRAMES/GAME-sSEED/   records of long runs that are kept, without weights in version control
  baselines/NAME/                    records that gates compare with, without weights; NAME is SUITE-PROTOCOL-FRAMES
  baselines/NAME.candidate/          created and not yet promoted
  baselines/NAME.until-TIME/         was compared with until then
  random-play/GAME.json              scores of policies that have learnt nothing
  speed/MACHINE/                     how fast it is there: speed.json, and peers.json beside others; gate.json is what
                                     the speed gate compares with, aa.json how often it errs
  gates/score-calibration.json       how often the score gate is right, by simulation
  gates/mutants.json                 which tests notice a broken agent
  plots/SUITE-PROTOCOL-FRAMES/       drawings of runs/ (not in version control)
  plots/speed-MACHINE/               drawings of speed/ (not in version control)
  doctor/probes.json                 faults x probes, on vectors; probes-image.json on images
  report/NAME.html                   a page of a suite's runs, or of a baseline (not in version control)
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import seals
from dqn_ref.config import UserError
from dqn_ref.records import RunRecord, now, write_json
from dqn_ref.run_writer import check_writable
from dqn_ref.seeds import Member

BASELINE_FILES = ("run.json", "episodes.csv", "progress.csv", "evaluation.json")


@dataclass(frozen=True)
class Cell:
    """One place of the (game, seed) matrix and what is there."""

    member: Member
    folder: Path
    status: str  # missing | running | finished | interrupted | failed
    record: RunRecord | None

    @property
    def name(self) -> str:
        """Readable id of the run within its group."""
        return self.folder.name

    @property
    def resumable_after(self) -> int | None:
        """Frames after which a run that was stopped can be resumed."""
        return self.record.resumable_after if self.record and self.status in ("interrupted", "failed") else None


class Store:
    """The results folder at ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def check_writable(self) -> None:
        """Raise UserError if nothing can be stored: better before a measurement than after it."""
        check_writable(self.root, "--results")

    def runs(self, group: str) -> Path:
        """Folder of this machine's runs of a group."""
        return self.root / "runs" / group

    def failures(self, group: str) -> Path:
        """Folder of the failures suite's runs of a group; in it a folder a variant."""
        return self.root / "failures" / group

    def plots(self, matrix: str) -> Path:
        """Folder of the drawings of a matrix, which is named by suite and group."""
        return self.root / "plots" / matrix

    def baseline(self, matrix: str) -> Path:
        """Folder of the stored baseline of a matrix, which is named by suite and group."""
        return self.root / "baselines" / matrix

    def report(self, name: str) -> Path:
        """Where a report belongs by default."""
        return self.root / "report" / f"{name}.html"

    def cell(self, folder: Path, member: Member) -> Cell:
        """What is known of ``member`` in ``folder``. Raises UserError: a broken or foreign record."""
        path = folder / member.name
        if not (path / "run.json").exists():
            return Cell(member, path, "missing", None)
        if (path / "run.json").stat().st_size == 0:  # killed while it was being made
            return Cell(member, path, "interrupted", None)
        record = RunRecord.read(path)
        if record.member != member:
            raise UserError(f"{path} holds the run of {record.member}, expected {member}. Move it to its own folder.")
        status = record.status
        if status != "finished":  # it may have been killed before it could say so, or be resumed right now
            status = "running" if record.is_being_written() else status.replace("running", "interrupted")
        return Cell(member, path, status, record)

    def shorter(self, cell: Cell, protocol: str) -> list[RunRecord]:
        """Finished runs of the cell's member elsewhere under ``protocol``, e.g. nature-v1, the longest first."""
        found = list[RunRecord]()
        for folder in self.runs("").glob(f"{protocol}-*/{cell.name}"):
            with suppress(UserError):  # a record that is broken is its own group's matter
                other = self.cell(folder.parent, cell.member)
                found += [other.record] if other.record and other.status == "finished" else []
        return sorted(found, key=lambda record: -record.config.total_frames)

    def set_aside(self, cell: Cell) -> Path | None:
        """Move what is left of an unfinished run that cannot be resumed to attempts/: its place is free then."""
        if not cell.folder.exists() or cell.status in ("finished", "running") or cell.resumable_after:
            return None
        attempts = cell.folder.parent / "attempts"
        attempts.mkdir(exist_ok=True)
        taken = [path.name.rpartition("-") for path in attempts.iterdir()]
        number = 1 + max((int(n) for name, _, n in taken if name == cell.name and n.isdigit()), default=0)
        return cell.folder.rename(attempts / f"{cell.name}-{number}")

    @staticmethod
    @contextmanager
    def exclusive(folder: Path) -> Iterator[None]:
        """Hold the runs in ``folder``, so that two runners never start the same one. Raises UserError: held."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = (folder / ".lock").open("a+")
        except OSError as error:
            raise UserError(f"{folder} cannot be written: {error.strerror}. Choose another --results.") from None
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                raise UserError(
                    f"Another runner (process {lock.read().strip()}) works in {folder}. Wait for it, or stop it first."
                ) from None
            except OSError:
                pass  # a file system without locks
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            yield

    # ------------------------------------------------------------------ baselines

    def create_baseline(self, name: str, records: list[RunRecord], about: Mapping[str, Any], reason: str) -> Path:
        """Copy ``records`` without their weights to baselines/NAME.candidate; nothing compares with it yet.

        Args:
            about: what the baseline says of itself, beside when and why it was made.

        Raises:
            UserError: no reason, an unfinished record, or one made from a source that was not committed.
        """
        _check_reason(reason)
        for record in records:
            sources = [origin.get("source", {}) for origin in record.provenances]
            if any(source.get("commit") is None or source.get("dirty") for source in sources):
                raise UserError(f"{record.folder} was run from uncommitted source; commit, and run it again.")
            if record.status != "finished":
                raise UserError(f"{record.folder} is {record.status}; a baseline holds finished runs only.")
        candidate = self.baseline(f"{name}.candidate")
        content = {"schema": 2, "name": name, **about, "created": {"when": now(), "reason": reason}, "promoted": None}
        with self._new_folder(candidate) as new:
            for record in records:
                (new / record.folder.name).mkdir()
                for file in BASELINE_FILES:
                    shutil.copyfile(record.folder / file, new / record.folder.name / file)
            write_json(new / seals.NAME, seals.sealed(new, content))
        return candidate

    def promote_baseline(self, name: str, reason: str) -> Path:
        """Make the candidate of ``name`` what gates compare with; the one before it is kept beside it.

        Raises:
            UserError: no reason, no candidate, or one that was changed since it was created.
        """
        _check_reason(reason)
        candidate = self.baseline(f"{name}.candidate")
        if not candidate.exists():
            raise UserError(f"There is no {candidate}. Make one first: python -m benchmarks baseline create.")
        content = seals.read_sealed(candidate) | {"promoted": {"when": now(), "reason": reason}}
        with self._new_folder(self.baseline(name)) as new:
            for path in candidate.iterdir():
                if path.is_dir():
                    shutil.copytree(path, new / path.name)
            del content["files"], content["sha256"]
            write_json(new / seals.NAME, seals.sealed(new, content))
        shutil.rmtree(candidate)  # its content now lies in the new one's place
        return self.baseline(name)

    @contextmanager
    def _new_folder(self, place: Path) -> Iterator[Path]:
        """A folder that takes ``place`` once it is whole; what was there is kept beside it."""
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=place.parent) as temporary:
                new = Path(temporary) / "new"
                new.mkdir()
                yield new
                _keep_older(place)
                new.rename(place)
        except OSError as error:
            what = error.filename or place  # a record's file that is gone is no fault of the place
            raise UserError(f"{place} cannot be made: {what}: {error.strerror}. Choose another --results.") from None

    # ------------------------------------------------------------------ speed

    def speed(self, machine: Mapping[str, Any]) -> Path:
        """Folder of a machine's speed. It is named by processor, cores, and the GPU if one was used."""
        words = f"{machine['cpu']}-{machine.get('vector') or ''}-{machine['cores']}-cores-{machine.get('gpu') or ''}"
        return self.root / "speed" / re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")

    def store_speed(self, name: str, result: Mapping[str, Any], *, grown: bool = False) -> Path:
        """Write a measurement to speed/MACHINE/; an older one of that name is kept beside it.

        Args:
            grown: the older one is contained in the new one, and not kept a second time.
        """
        return self._replace(self.speed(result["machine"]) / f"{name}.json", result, keep=not grown)

    def random_play(self, game: str) -> Path:
        """File of the scores of policies that have learnt nothing."""
        return self.root / "random-play" / f"{game}.json"

    def store_random_play(self, game: str, result: Mapping[str, Any]) -> Path:
        """Write scores of policies that have learnt nothing; older ones are kept beside them."""
        return self._replace(self.random_play(game), result)

    # ------------------------------------------------------------------ gates

    @property
    def score_calibration(self) -> Path:
        """File of the score gate's calibration."""
        return self.root / "gates" / "score-calibration.json"

    def store_score_calibration(self, result: Mapping[str, Any]) -> Path:
        """Write the score gate's calibration; an older one is kept beside it."""
        return self._replace(self.score_calibration, result)

    # ------------------------------------------------------------------ the doctor

    def probes(self, observation: str = "vector") -> Path:
        """File of the faults x probes, with observations of that form."""
        return self.root / "doctor" / ("probes.json" if observation == "vector" else f"probes-{observation}.json")

    def store_probes(self, result: Mapping[str, Any]) -> Path:
        """Write faults x probes; older ones are kept beside them."""
        return self._replace(self.probes(result["observation"]), result)

    def _replace(self, path: Path, content: Mapping[str, Any], *, keep: bool = True) -> Path:
        whole = path.with_name(f".{path.name}.new")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_json(whole, content)  # first: on a full disk the older one keeps its place
            if keep:
                _keep_older(path)
            whole.rename(path)
        except OSError as error:
            whole.unlink(missing_ok=True)
            raise UserError(f"{path} cannot be written: {error.strerror}. Choose another --results.") from None
        return path


def read_stored(path: Path) -> Any:
    """A JSON object of results. Raises UserError: it cannot be read, or is broken."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be read ({error}). Restore it from version control.") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} is broken: it holds no object. Restore it from version control.")
    return content


def _check_reason(reason: str) -> None:
    if not reason.strip():
        raise UserError("A baseline needs a --reason, to be kept with it.")


def _keep_older(path: Path) -> None:
    """Rename what is at ``path``, if anything, to NAME.until-TIME beside it."""
    if not path.exists():
        return
    name, number = f"{path.stem}.until-{now().replace(':', '')}", 1
    while (kept := path.with_name(f"{name}{f'_{number}' if number > 1 else ''}{path.suffix}")).exists():
        number += 1
    path.rename(kept)
