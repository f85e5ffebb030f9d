"""Where the runs come from and what they cost, as their records say; nothing that is absent is made up."""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from textwrap import dedent
from typing import Any

from benchmarks.page.foreign import NOT_RECORDED, clean
from dqn_ref.config import DQNConfig
from dqn_ref.protocols import NATURE
from dqn_ref.records import RunRecord

NAMED_RUNS = 6  # so many are named where runs differ; more are counted


@dataclass(frozen=True)
class Fact:
    """One thing that records say of their origin: each value with the runs that have it."""

    section: str
    name: str
    values: tuple[tuple[str, str], ...]

    @property
    def differs(self) -> bool:
        """Whether the runs disagree."""
        return len(self.values) > 1


def facts(records: Sequence[RunRecord]) -> list[Fact]:
    """Source, lock, versions, machine and PyTorch's settings of ``records``."""
    found: dict[tuple[str, str], dict[str, list[str]]] = {}
    for record in records:
        of_run = dict.fromkeys(fact for provenance in record.provenances for fact in _origin(provenance))
        for section, name, value in of_run:
            found.setdefault((section, name), {}).setdefault(value, []).append(record.folder.name)
    for values in found.values():  # a run that lacks what another has says so
        named = {run for runs in values.values() for run in runs}
        if silent := [record.folder.name for record in records if record.folder.name not in named]:
            values.setdefault(NOT_RECORDED, []).extend(silent)
    return [
        Fact(section, name, tuple((value, _runs(runs, len(records))) for value, runs in values.items()))
        for (section, name), values in found.items()
    ]


def _origin(provenance: Any) -> Iterator[tuple[str, str, str]]:
    recorded = _mapping(provenance)
    source = _mapping(recorded.get("source"))
    dirty = source.get("dirty")
    yield "source", "commit", clean(source.get("commit", NOT_RECORDED))
    yield "source", "uncommitted changes", clean(dirty) if isinstance(dirty, bool) else NOT_RECORDED
    yield "source", "constraints.txt, SHA-256", clean(recorded.get("lock_sha256", NOT_RECORDED))
    for section, label in (("versions", "version"), ("machine", "machine"), ("torch", "PyTorch")):
        for name, value in _mapping(recorded.get(section)).items():
            yield label, clean(name).replace("_", " "), _memory(value) if name == "memory_bytes" else clean(value)


def _memory(value: Any) -> str:
    return f"{value / 2**30:.1f} GiB" if type(value) is int and abs(value) < 2**100 else clean(value)


def _runs(names: Sequence[str], total: int) -> str:
    if len(names) == total:
        return "all runs"
    more = f" and {len(names) - NAMED_RUNS} more" if len(names) > NAMED_RUNS else ""
    return f"{len(names)} of {total} runs: {', '.join(names[:NAMED_RUNS])}{more}"


def roms(records: Sequence[RunRecord]) -> dict[str, list[str]]:
    """MD5 of the ROM of each game; more than one if its runs disagree."""
    found: dict[str, list[str]] = {}
    for record in records:
        known = found.setdefault(record.member.game, [])
        for provenance in record.provenances:
            md5 = clean(_mapping(provenance).get("rom_md5", NOT_RECORDED))
            if md5 not in known:
                known.append(md5)
    return found


def commands(records: Sequence[RunRecord]) -> list[tuple[str, str]]:
    """Name of each run, and what was typed to make it; of one that went on, that too."""
    return [
        (record.folder.name, clean(_mapping(provenance).get("command", NOT_RECORDED)))
        for record in records
        for provenance in record.provenances
    ]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


# ---------------------------------------------------------------------- cost


@dataclass(frozen=True)
class RunCost:
    """Seconds of one run; None where the record does not say."""

    name: str
    startup: float | None
    training: float | None
    frames_per_second: float | None  # of training, warm-up included
    evaluation: float | None  # all evaluations of the record
    wall: float | None  # from start to end, everything included


@dataclass(frozen=True)
class Cost:
    """What the runs took together."""

    runs: tuple[RunCost, ...]
    started: str
    ended: str
    elapsed: float | None  # seconds from the first start to the last end, pauses included
    run_seconds: float | None  # of all runs added up; those side by side count each
    frames: int
    frames_per_second: float | None  # median over runs
    evaluation: float | None


def cost(records: Sequence[RunRecord]) -> Cost:
    """Times of finished ``records``."""
    runs = tuple(map(_run_cost, records))
    times = [(_time(record.run.get("started")), _time(record.run.get("ended"))) for record in records]
    starts, ends = [start for start, _ in times if start], [end for _, end in times if end]
    whole = records and len(starts) == len(ends) == len(records)
    speeds = [run.frames_per_second for run in runs if run.frames_per_second is not None]
    return Cost(
        runs=runs,
        started=min(starts).isoformat() if starts else NOT_RECORDED,
        ended=max(ends).isoformat() if ends else NOT_RECORDED,
        elapsed=(max(ends) - min(starts)).total_seconds() if whole else None,
        run_seconds=_total([run.wall for run in runs]),
        frames=sum(record.frames_done for record in records),
        frames_per_second=median(speeds) if speeds else None,
        evaluation=_total([run.evaluation for run in runs]),
    )


def _run_cost(record: RunRecord) -> RunCost:
    rows = record.progress()
    training = _seconds(rows[-1]["wall_seconds"]) if rows else None
    start, end = _time(record.run.get("started")), _time(record.run.get("ended"))
    return RunCost(
        name=record.folder.name,
        startup=_seconds(record.run.get("startup_seconds")),
        training=training,
        frames_per_second=record.frames_done / training if training else None,
        evaluation=_total([_seconds(seconds) for seconds in _played(record).values()]),
        wall=record.seconds if start and end else None,
    )


def _played(record: RunRecord) -> dict[tuple[Any, ...], Any]:
    """Seconds of each evaluation, once: the same network's is recorded as the last, the best, an iteration's."""
    settings = ("training_frames", "epsilon", "max_frames", "num_episodes")
    return {tuple(each[name] for name in settings): each["seconds"] for each in record.evaluations}


def _total(values: Sequence[float | None]) -> float | None:
    """Their sum; None if one of them is not known, since the sum would be too small."""
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None


def _seconds(value: Any) -> float | None:
    return float(value) if type(value) in (int, float) and 0 <= value < 1e12 else None


def _time(value: Any) -> datetime | None:
    try:
        time = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return time if time.tzinfo else None


# ---------------------------------------------------------------------- hyperparameters


@dataclass(frozen=True)
class Hyperparameter:
    """A field of the configuration as the runs had it."""

    name: str
    value: str
    paper: str  # the paper's value if this one differs, else empty
    words: str


def hyperparameters(config: DQNConfig) -> list[Hyperparameter]:
    """Every field of ``config`` with its meaning and source, those that leave the paper's with both values."""
    rows = []
    for field in dataclasses.fields(config):
        value, paper = getattr(config, field.name), getattr(NATURE.config, field.name)
        differs = value != paper
        rows.append(Hyperparameter(field.name, _shown(value), _shown(paper) if differs else "", _words()[field.name]))
    return rows


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    return f"{value:,}" if type(value) is int else clean(value)


@functools.cache
def _words() -> dict[str, str]:
    """The sentence under each field of DQNConfig; Python keeps it in the source alone."""
    source = ast.parse(dedent(inspect.getsource(DQNConfig)))
    found: dict[str, str] = {}
    name = ""
    for node in next(node for node in source.body if isinstance(node, ast.ClassDef)).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name = node.target.id
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and name:
            found[name] = inspect.cleandoc(str(node.value.value))
    return found
