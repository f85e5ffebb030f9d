"""The matrix of a suite, game by seed: what is there, what is missing, and making the rest."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import dqn_ref
from benchmarks.costs import format_seconds, runs_at_once
from benchmarks.jobs import Ended, Job, run_jobs
from benchmarks.protocols import SuiteProtocol, suite_protocol
from benchmarks.scores import run_score
from benchmarks.store import Cell, Store
from benchmarks.suites import suite_games
from dqn_ref.config import DQNConfig, UserError
from dqn_ref.extend import longer, obstacle
from dqn_ref.protocols import Protocol
from dqn_ref.provenance import changes, provenance
from dqn_ref.records import RunRecord
from dqn_ref.seeds import Member


@dataclass(frozen=True)
class Matrix:
    """A suite under a protocol at a budget: every (game, seed) that its aggregate needs."""

    suite: str
    suite_protocol: SuiteProtocol
    frames: int
    num_seeds: int

    @classmethod
    def of(cls, suite: str, protocol: str, frames: int | None = None, seeds: int | None = None) -> Matrix:
        """The matrix with the protocol's defaults filled in. Raises UserError: unknown or impossible."""
        known = suite_protocol(protocol)
        suite_games(suite)
        if seeds is not None and seeds < 1:
            raise UserError(f"--seeds must be 1 or above, got {seeds}.")
        total = known.protocol.config.total_frames if frames is None else frames
        matrix = cls(suite, known, total, known.default_seeds if seeds is None else seeds)
        _ = matrix.config  # checks the budget
        return matrix

    @property
    def games(self) -> tuple[str, ...]:
        """Games of the suite, in its order."""
        return suite_games(self.suite)

    @property
    def protocol(self) -> Protocol:
        """What its runs follow."""
        return self.suite_protocol.protocol

    @property
    def config(self) -> DQNConfig:
        """Configuration of every run in the matrix."""
        return dataclasses.replace(self.protocol.config, total_frames=self.frames)

    @property
    def group(self) -> str:
        """Name of the folder that holds the runs."""
        return self.protocol.group(self.frames)

    @property
    def name(self) -> str:
        """Name of the matrix, e.g. ``atari10-nature-v1-10M``; suites share the runs of a group."""
        return f"{self.suite}-{self.group}"

    @property
    def members(self) -> list[Member]:
        """Every run, seed by seed, so that a matrix cut short has whole seeds first."""
        return [Member(game, seed) for seed in range(self.num_seeds) for game in self.games]

    def cells(self, store: Store, folder: Path | None = None) -> list[Cell]:
        """What is there of every run. Raises UserError: a record that is broken or of another setting."""
        cells = [store.cell(folder or store.runs(self.group), member) for member in self.members]
        for cell in cells:
            if cell.record:
                self._check(cell.record)
        return cells

    def _check(self, record: RunRecord) -> None:
        check_setting(record, self.protocol, self.config, self.group)


def check_setting(record: RunRecord, protocol: Protocol, config: DQNConfig, group: str) -> None:
    """Raise UserError unless ``record`` is a run of ``config`` under ``protocol``, as its ``group`` stands for."""
    expected: tuple[Any, ...] = (protocol.label(), protocol.overrides(config), config)
    got = (record.protocol, dict(record.overrides), record.config)
    for what, wanted, found in zip(("protocol", "overrides", "configuration"), expected, got, strict=True):
        if wanted != found:
            raise UserError(
                f"{record.folder} was run with another {what} than {group} stands for. Got {found}, expected "
                f"{wanted}. Move it out of this folder; runs of different settings are never mixed."
            )


def run_matrix(
    matrix: Matrix, store: Store, device: str, say: Callable[[str], None], *, evaluate_iterations: bool = False
) -> bool:
    """Make the missing runs of ``matrix``. Returns whether every cell is finished now.

    A finished run is never made again, and one of a smaller budget goes on to this one. An unfinished one is resumed
    from its checkpoint; if it has none, it is kept aside and started afresh.
    """
    with store.exclusive(store.runs(matrix.group)):
        cells = matrix.cells(store)
        missing = clear_missing(cells, store, say)
        if not missing:
            say(f"Nothing is missing: all {len(cells)} runs of {matrix.group} are finished.")
            return True
        at_once, threads = machine_share(matrix, device)
        begun = _begun(matrix, missing, store, device, evaluate_iterations, say)
        say(f"{len(cells) - len(missing)} of {len(cells)} runs are finished; making {len(missing)}, {at_once} at once.")
        size, processes = (at_once, 1) if device == "cuda" else (1, at_once)
        jobs = plan_jobs(matrix, missing, begun, store, size, evaluate_iterations)
        make(jobs, processes, threads, device, say)
        left = [cell for cell in matrix.cells(store) if cell.status == "missing" and cell.member in begun]
        if left:  # they could not go on, and gave their places back
            say(f"{', '.join(cell.name for cell in left)}: made from the start instead.")
            jobs = plan_jobs(matrix, left, {}, store, size, evaluate_iterations)
            make(jobs, processes, threads, device, say)
        return all(cell.status == "finished" for cell in matrix.cells(store))


def plan_jobs(
    matrix: Matrix,
    missing: Sequence[Cell],
    begun: Mapping[Member, RunRecord],
    store: Store,
    size: int,
    evaluate_iterations: bool,
) -> list[Job]:
    """``missing`` as jobs of at most ``size`` runs: first those that were ``begun`` shorter, then the stopped."""
    job = partial(
        Job,
        frames=matrix.frames,
        protocol=matrix.protocol,
        group=store.runs(matrix.group),
        evaluate_iterations=evaluate_iterations,
    )
    budgets = sorted({record.config.total_frames for record in begun.values()}, reverse=True)
    extending = [
        job(games, seeds, extends=tuple(begun[Member(game, seed)].folder for seed in seeds for game in games))
        for budget in budgets
        for games, seeds in populations(
            [m for m, record in begun.items() if record.config.total_frames == budget], size
        )
    ]
    others = [
        job(games, seeds, resumes=after is not None)
        for after, stopped in by_checkpoint([cell for cell in missing if cell.member not in begun])
        for games, seeds in populations([cell.member for cell in stopped], size)
    ]
    return [*extending, *others]


def shorter_run(matrix: Matrix, cell: Cell, store: Store, device: str, evaluate_iterations: bool) -> RunRecord | None:
    """A finished run of a smaller budget, the longest, from which the missing one of ``cell`` can go on."""
    if cell.status in ("finished", "running") or cell.resumable_after:
        return None
    for record in store.shorter(cell, matrix.protocol.label()):
        alike = (
            record.run.get("evaluates_iterations", False) == evaluate_iterations
            and record.provenances[-1].get("torch", {}).get("device") == device
        )
        if alike and not obstacle(record, matrix.frames) and longer(record.config, matrix.frames) == matrix.config:
            return record
    return None


def _begun(
    matrix: Matrix,
    missing: Sequence[Cell],
    store: Store,
    device: str,
    evaluate_iterations: bool,
    say: Callable[[str], None],
) -> dict[Member, RunRecord]:
    """From which shorter run each of ``missing`` goes on, if there is one."""
    found, today = dict[Member, RunRecord](), provenance("", {})
    for cell in missing:
        if record := shorter_run(matrix, cell, store, device, evaluate_iterations):
            found[cell.member] = record
            before = record.provenances[-1]
            changed = changes(before, {**today, "torch": before.get("torch", {})})
            than = f", with another {', '.join(changed)} than it had; to start afresh move that away" if changed else ""
            say(f"{cell.name} goes on from its finished run {record.folder.relative_to(store.root)}{than}.")
    return found


def clear_missing(cells: Sequence[Cell], store: Store, say: Callable[[str], None]) -> list[Cell]:
    """The unfinished of ``cells``; what cannot be resumed is set aside. Raises UserError: one is being run."""
    missing = [cell for cell in cells if cell.status != "finished"]
    elsewhere = [cell.name for cell in missing if cell.status == "running"]
    if elsewhere:
        raise UserError(f"{', '.join(elsewhere)} are being run by another process. Wait for it, or stop it first.")
    for cell in missing:
        if cell.resumable_after:
            say(f"{cell.name} was {cell.status}; it goes on after {cell.resumable_after:,} frames.")
        if aside := store.set_aside(cell):
            say(f"{cell.name} was {cell.status}; kept as {aside.relative_to(store.root)}, started again.")
    return missing


def by_checkpoint(missing: Sequence[Cell]) -> list[tuple[int | None, list[Cell]]]:
    """``missing`` by the frames that they go on after: only runs of one step go on together. The fresh come last."""
    frames = sorted({cell.resumable_after for cell in missing}, key=lambda after: -(after or 0))
    return [(after, [cell for cell in missing if cell.resumable_after == after]) for after in frames]


def make(jobs: Sequence[Job], at_once: int, threads: int, device: str, say: Callable[[str], None]) -> None:
    """Run ``jobs`` in order, ``at_once`` side by side, and say how each ended and about how long the rest takes."""
    ended = list[Ended]()
    start = time.monotonic()

    def on_end(end: Ended) -> None:
        ended.append(end)
        rest = len(jobs) - len(ended)
        left = f"; about {format_seconds((time.monotonic() - start) / len(ended) * rest)} left" if rest else ""
        say(f"[{len(ended):>{len(str(len(jobs)))}}/{len(jobs)}] {_outcome(end)}{left}")

    run_jobs(jobs, at_once=at_once, threads=threads, device=device, on_end=on_end)


def machine_share(matrix: Matrix, device: str) -> tuple[int, int]:
    """Runs at once, and threads of each; of the whole matrix, so that a resumed run gets the same."""
    at_once = runs_at_once(matrix.config, len(matrix.members), device)
    return at_once, max(1, dqn_ref.CORES // at_once)


def populations(missing: Sequence[Member], size: int) -> list[tuple[tuple[str, ...], tuple[int, ...]]]:
    """``missing`` as (games, seeds), each at most ``size`` runs: every game of it with every seed of it.

    Seeds that miss the same games go together; whole seeds come first.
    """
    of_seed: dict[int, list[str]] = {}
    for member in missing:
        of_seed.setdefault(member.seed, []).append(member.game)
    found = list[tuple[tuple[str, ...], tuple[int, ...]]]()
    for seed, games in of_seed.items():
        for first in range(0, len(games), size):
            part = tuple(games[first : first + size])
            if found and found[-1][0] == part and len(part) * (len(found[-1][1]) + 1) <= size:
                found[-1] = (part, (*found[-1][1], seed))
            else:
                found.append((part, (seed,)))
    return found


def _outcome(end: Ended) -> str:
    name = end.job.name
    if end.exit_code == 0:
        scores = ", ".join(f"{run_score(RunRecord.read(folder)):,.1f}" for folder in end.job.folders)
        return f"{name} finished in {format_seconds(end.seconds)}, score {scores}"
    return f"{name} FAILED (exit code {end.exit_code}): {end.last_line} (all of it in {end.job.log})"
