"""The commands of the speed gate: judge, store a baseline, and write the answer down.

python -m benchmarks gate speed                        ratios now against this machine's stored ones
python -m benchmarks gate speed --against main         this tree against another revision, measured in turn
python -m benchmarks gate speed-baseline --reason ...  store this machine's ratios
"""

from __future__ import annotations

import itertools
import math
import os
import secrets
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from benchmarks.gates import revisions, speed, verdict
from benchmarks.gates.revisions import Plan, Round, Side
from benchmarks.gates.speed_samples import (
    BENCHMARKS,
    RATIO_BENCHMARKS,
    SCHEMA,
    Measurement,
    find_baseline,
    ratio_values,
    round_differences,
)
from benchmarks.gates.verdict import GateResult
from benchmarks.outputs import check_output
from benchmarks.speed.catalogue import GAME
from benchmarks.store import Store
from dqn_ref.config import UserError
from dqn_ref.provenance import FINGERPRINT, SOURCE, machine, machine_words, source_revision
from dqn_ref.records import now, write_json

WORKLOADS = Path("benchmarks/speed/workloads.py")
MEASURED_CODE = ("dqn_ref", str(WORKLOADS), "constraints.txt")  # what sessions of one baseline must have in common
PASSES = 16  # samples of a benchmark in a round
SAMPLE_SECONDS = 0.03
ROUNDS_OF_A_SESSION = 6


@dataclass(frozen=True)
class Measuring:
    """How the speed gate measures."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto takes CUDA where there is one."""
    threads: int = 1
    """Threads of PyTorch. More than one wait for each other, and on a shared machine for its other users."""
    results: Path = Path("results")
    """The results folder."""

    def plan(self, rounds: int, benchmarks: Sequence[str]) -> Plan:
        """``rounds`` of the named benchmarks."""
        settings: dict[str, Any] = {"device": self.device, "threads": self.threads, "game": GAME, "members": 1}
        settings["sample_seconds"] = SAMPLE_SECONDS
        return Plan(rounds, PASSES, settings, secrets.randbelow(2**32), benchmarks)


@dataclass(frozen=True)
class SpeedGate(Measuring):
    """Has this tree lost speed? Against this machine's stored ratios, or --against another revision, in turn.

    Exit code: 0 no, 1 yes, 2 inconclusive, 3 error.
    """

    against: str | None = None
    """A branch, tag or commit to measure in turn with this tree, uncommitted changes and all."""
    rounds: int = 12
    """With --against: rounds, in each of which both are measured by new processes."""
    baseline: str | None = None
    """Without --against: file or machine's name of the stored baseline. Default: this machine's, or the nearest."""
    candidate: Path | None = None
    """Judge these samples (of --keep-samples) rather than measuring now."""
    sessions: int = 1
    """Without --against: sessions of six rounds each. If one shows a loss, a second one is measured to confirm it."""
    keep_samples: Path | None = None
    """File to write the raw samples to."""
    format: Literal["text", "json", "junit", "markdown"] = "text"
    """Of the answer."""
    output: Path | None = None
    """File for the answer; the terminal then gets it as text too. Default: the terminal."""
    repository: Path = SOURCE
    """With --against: the git repository whose tree is measured. With another one, --workloads is needed."""
    workloads: Path | None = None
    """File of what to time, see benchmarks/gates/serving.py. Default: this project's own."""


@dataclass(frozen=True)
class SpeedBaseline(Measuring):
    """Store this machine's ratios, from several sessions, as what `gate speed` compares with here."""

    reason: str = ""
    """Why the baseline is made or replaced; kept with it."""
    sessions: int = 8
    """Sessions of six rounds each; how they differ is what a later one may differ by."""
    add: bool = False
    """Add to the stored baseline instead of replacing it, so that it knows the noise of another day too."""


# ---------------------------------------------------------------------- gate speed


def gate_speed(arguments: SpeedGate) -> int:
    """Judge, print, write; returns the exit code."""
    named = Path(arguments.baseline) if arguments.baseline else None
    inputs = [path for path in (arguments.candidate, named, arguments.workloads) if path]
    for path in filter(None, (arguments.output, arguments.keep_samples)):
        check_output(path, inputs, arguments.results)
    try:
        _check(arguments)
        result = _judged(arguments)
    except UserError as error:
        result = verdict.error("speed", str(error))
    verdict.write_answer(result, arguments.format, arguments.output, inputs, arguments.results)
    return result.verdict.exit_code


def _check(arguments: SpeedGate) -> None:
    for option, word in (("against", arguments.against), ("baseline", arguments.baseline)):
        if word == "":
            raise UserError(f"--{option} is empty. Name a {'revision' if option == 'against' else 'baseline'}.")
    if arguments.against and (arguments.candidate or arguments.baseline):
        raise UserError("--against measures both sides now; leave out --candidate and --baseline.")
    if not arguments.against and (arguments.repository != SOURCE or arguments.workloads):
        raise UserError("--repository and --workloads are for --against REVISION; stored ratios are this project's.")
    if arguments.repository != SOURCE and not arguments.workloads:
        raise UserError("Another --repository needs --workloads FILE: what is to be timed in it.")
    if arguments.workloads and not arguments.workloads.is_file():
        raise UserError(f"There is no {arguments.workloads}. --workloads is a file, see benchmarks/gates/serving.py.")
    if arguments.keep_samples and not (folder := arguments.keep_samples.absolute().parent).is_dir():
        raise UserError(f"There is no folder {folder} to keep samples in. Make it first.")
    if arguments.keep_samples and not os.access(folder, os.W_OK):
        raise UserError(f"{folder} cannot be written; choose another place to keep samples in.")
    if min(arguments.threads, arguments.sessions) < 1:
        raise UserError("--threads and --sessions are 1 or above.")


def _judged(arguments: SpeedGate) -> GateResult:
    if arguments.against:
        return _against(arguments, arguments.against)
    if arguments.candidate:
        candidate = Measurement.read(arguments.candidate)
        if candidate.content["kind"] == "pairs":
            rounds = [each for session in candidate.content["sessions"] for each in session["rounds"]]
            return speed.judge_pairs(rounds, candidate.content.get("compared", {}))
        where = candidate.content["machine"]
        baseline = find_baseline(arguments.results / "speed", where, arguments.baseline)
        return speed.judge_ratios(baseline, candidate, named=arguments.baseline is not None)
    return _now(arguments)


def _now(arguments: SpeedGate) -> GateResult:
    """Measure this tree and judge its ratios; what looks like a loss in one session is measured in a second one."""
    folder, named = arguments.results / "speed", arguments.baseline is not None
    # Of a baseline that cannot be compared with it is better told now than after the measurement.
    speed.check_sessions(find_baseline(folder, machine(), arguments.baseline))
    measured = measure_ratios(arguments, arguments.sessions)
    unkept = _keep(arguments.keep_samples, measured)
    baseline = find_baseline(folder, measured["machine"], arguments.baseline)
    result = speed.judge_ratios(baseline, Measurement("this measurement", measured), named=named)
    if arguments.sessions == 1 and speed.wants_confirmation(result.checks):
        print("This looks like a loss; a second session has to show it too.", file=sys.stderr, flush=True)
        measured["sessions"] += measure_ratios(arguments, 1)["sessions"]
        unkept = _keep(arguments.keep_samples, measured)
        result = speed.judge_ratios(baseline, Measurement("this measurement", measured), named=named)
    return replace(result, notes=(*result.notes, *unkept))


def _keep(path: Path | None, content: Mapping[str, Any]) -> list[str]:
    """Keep samples, before they are judged; what is to be noted if they cannot be, which costs no answer."""
    if path:
        try:
            write_json(path, content)
        except OSError as error:
            return [f"The samples are not kept: {path} cannot be written: {error.strerror}."]
    return []


# ---------------------------------------------------------------------- two revisions


def _against(arguments: SpeedGate, revision: str) -> GateResult:
    repository = arguments.repository.resolve()
    commit = revisions.resolved(repository, revision)
    top = Path(revisions.git(repository, "rev-parse", "--show-toplevel"))
    head, changed = revisions.git(top, "rev-parse", "HEAD"), revisions.uncommitted(top)
    workloads = (arguments.workloads or top / WORKLOADS).resolve()
    speed.check_rounds(arguments.rounds, 1 if arguments.workloads else len(BENCHMARKS))
    plan = arguments.plan(arguments.rounds, () if arguments.workloads else BENCHMARKS)
    started, begin = now(), time.perf_counter()
    with revisions.checked_out(top, commit) as tree:
        sides = [
            Side("candidate", top, workloads, "The working tree"),
            Side("baseline", tree, workloads, f"Revision {revision}"),
        ]
        rounds, said = revisions.measure_in_turn(sides, plan, saying(plan.rounds))
    where = here(said)
    compared = {
        "mode": "two revisions in turn",
        "candidate": f"working tree of {head[:10]}" + (f" with {len(changed)} uncommitted files" if changed else ""),
        "baseline": f"{commit[:10]} ({revision})",
        "machine": machine_words(where), "rounds": plan.rounds, "samples_per_round": plan.passes,
        "coin_seed": plan.seed, "workloads": workloads.name, "settings": plan.settings, "about": said["about"],
    }  # fmt: skip
    source = {"commit": head, "dirty": bool(changed)}
    session = {"started": started, "seconds": round(time.perf_counter() - begin, 1), "source": source, "rounds": rounds}
    unkept = _keep(arguments.keep_samples, content("pairs", plan, said, [session]) | {"compared": compared})
    notes = ["Both sides ran with the same interpreter, installed dependencies and workloads; only the trees differ."]
    notes += unkept
    if changed:
        few = ", ".join(changed[:5]) + (" ..." if len(changed) > 5 else "")
        notes.append(f"The candidate is the working tree with uncommitted changes: {few}.")
    elif commit == head:
        notes.append("Both sides are the same source: this shows the noise, not a change.")
    return speed.judge_pairs(rounds, compared, notes)


def saying(rounds: int) -> Callable[[Round, Mapping[str, Any]], None]:
    """Prints a line for each of ``rounds`` of two sides: times of the candidate over those of the baseline."""
    number = itertools.count(1)

    def say(done: Round, _: Mapping[str, Any]) -> None:
        ratios = {name: math.exp(each[0]) for name, each in round_differences([done]).items()}
        words = "  ".join(f"{name} {ratio:.2f}" for name, ratio in ratios.items())
        print(f"round {next(number)} of {rounds}, time over the baseline's: {words}", file=sys.stderr, flush=True)

    return say


def here(said: Mapping[str, Any]) -> dict[str, Any]:
    """This machine, with the GPU if one was used."""
    return machine() | {"gpu": said["about"].get("gpu")}


def content(kind: str, plan: Plan, said: Mapping[str, Any], sessions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A measurement as it is stored, see speed_samples.py."""
    settings = {**plan.settings, "passes": plan.passes, "device": said["about"].get("device", "cpu")}
    return {
        "schema": SCHEMA, "kind": kind, "machine": here(said), "settings": settings,
        "about": said["about"], "work": said["work"], "sessions": list(sessions),
    }  # fmt: skip


# ---------------------------------------------------------------------- ratios of one tree


def measure_ratios(arguments: Measuring, count: int) -> dict[str, Any]:
    """Measure ``count`` sessions of this tree."""
    side = Side("tree", SOURCE, SOURCE / WORKLOADS, "This tree")
    source, sessions, said = source_revision(), [], dict[str, Any]()
    for number in range(count):
        plan = arguments.plan(ROUNDS_OF_A_SESSION, RATIO_BENCHMARKS)
        print(f"session {number + 1} of {count}, {ROUNDS_OF_A_SESSION} rounds ...", file=sys.stderr, flush=True)
        started, begin = now(), time.perf_counter()
        rounds, said = revisions.measure_in_turn([side], plan)
        sessions.append({
            "started": started, "seconds": round(time.perf_counter() - begin, 1), "source": source, "rounds": rounds,
        })  # fmt: skip
    return content("ratios", plan, said, sessions)


def speed_baseline(arguments: SpeedBaseline) -> int:
    """Measure and store; returns the exit code.

    Raises:
        UserError: no reason, uncommitted source, or other code than the stored sessions' that are to be added to.
    """
    if not arguments.reason.strip():
        raise UserError("A baseline needs a --reason, to be kept with it.")
    if arguments.sessions < (1 if arguments.add else speed.FEWEST_SESSIONS):
        raise UserError(
            f"Got {arguments.sessions} sessions; expected at least {1 if arguments.add else speed.FEWEST_SESSIONS}."
        )
    source = source_revision()
    if source["commit"] is None or source["dirty"]:
        raise UserError("The source has uncommitted changes; commit, and measure again.")
    store = Store(arguments.results)
    store.check_writable()
    if arguments.add:  # better told now than after the measurement
        _grown(arguments, machine(), source["commit"])
    measured = measure_ratios(arguments, arguments.sessions)
    measured["reasons"] = [{"when": now(), "reason": arguments.reason}]
    if arguments.add:
        older = _grown(arguments, measured["machine"], source["commit"])
        speed.check_same_way(older, Measurement("this measurement", measured))
        measured["sessions"] = [*older.content["sessions"], *measured["sessions"]]
        measured["reasons"] = [*older.content["reasons"], *measured["reasons"]]
    path = store.store_speed("gate", measured)
    stored = Measurement.read(path)
    for name, value in ratio_values(stored).items():
        print(f"{name:26} {value:.4g}")
    print(f"Stored in {path}: {len(measured['sessions'])} sessions.")
    return 0


def _grown(arguments: SpeedBaseline, where: Mapping[str, Any], commit: str) -> Measurement:
    """The stored baseline that is to be added to. Raises UserError: it is of another machine, or of other code."""
    older = find_baseline(arguments.results / "speed", where, None)
    known = [key for key in FINGERPRINT if key in where]  # before the measurement nobody has asked for the GPU
    if any(older.content["machine"].get(key) != where[key] for key in known):
        raise UserError(
            f"{older.path} is of another machine; this one has no stored sessions to add to. Leave out --add."
        )
    for session in older.content["sessions"]:
        before = session["source"]["commit"]
        if revisions.git(SOURCE, "diff", "--name-only", before, commit, "--", *MEASURED_CODE):
            raise UserError(f"{older.path} was measured with other code ({before[:10]}); --add needs the same.")
    return older
