"""How often the speed gate cries wolf, and how often it hears one: the same revision measured against itself.

    python -m benchmarks gate calibrate-speed --rounds 96                                # A against A
    python -m benchmarks gate calibrate-speed --rounds 48 --slowdown 1.3 --device cpu    # and with a slower learner

Rounds are kept in results/speed/MACHINE/aa.json, and every call adds a session to them. Gates are then formed of
consecutive, disjoint groups of rounds, each judged by the gate's own rule:

- *pairs*: a group is what ``gate speed --against`` measures.
- *ratios*: six rounds of one side are a session of ``gate speed``, judged by the eight sessions before it; where it
  looks slower, the next one is its confirmation. The candidates are disjoint; their baselines overlap.

*Resampled* gates are drawn from blocks of consecutive rounds without a slowdown, which keep the noise as it came; a
slowdown is then added to the numbers. They are many, but know no noise that the stored rounds do not hold.
"""

from __future__ import annotations

import math
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gates import revisions, speed
from benchmarks.gates.revisions import Round, Side
from benchmarks.gates.speed_command import ROUNDS_OF_A_SESSION, WORKLOADS, Measuring, content, saying
from benchmarks.gates.speed_samples import (
    BENCHMARKS,
    RATIO_BENCHMARKS,
    Measurement,
    Pair,
    round_differences,
    round_numbers,
    session_numbers,
)
from benchmarks.gates.verdict import Verdict
from benchmarks.markdown import table
from benchmarks.shares import exact_interval
from benchmarks.store import Store
from dqn_ref.config import UserError
from dqn_ref.provenance import SOURCE, machine, machine_words, same_machine, source_revision, source_words
from dqn_ref.records import now

SLOWED = SOURCE / "benchmarks" / "gates" / "slowed_workloads.py"
SLOWED_BENCHMARKS = ("update", "training")  # what a slower learner is part of
BASELINE_SESSIONS = 8
RESAMPLED_SLOWDOWNS = (1.0, 1.15, 1.3)
BLOCK = 4  # rounds that stay together when gates are resampled

Session = Mapping[Pair, float]  # its numbers


@dataclass(frozen=True)
class CalibrateSpeed(Measuring):
    """Measure how often the speed gate errs here: this tree against itself, many rounds long."""

    rounds: int = 24
    """Rounds to add. Ctrl-C keeps those that are done; 0 only reports."""
    slowdown: float = 1.0
    """Make one side's learner take this many times as long, e.g. 1.3, to see whether the gate finds it."""
    gate_rounds: int = 12
    """Rounds of each gate that compares two revisions."""
    resamples: int = 400
    """Gates that are resampled for each line of the report."""


# ---------------------------------------------------------------------- measuring


def calibrate_speed(arguments: CalibrateSpeed) -> int:
    """Measure, store, report; returns the exit code.

    Raises:
        UserError: impossible options, or nothing is stored and nothing was to be measured.
    """
    if arguments.rounds < 0 or arguments.slowdown < 1 or arguments.gate_rounds < 2:
        raise UserError("--rounds is 0 or above, --slowdown 1 or above, --gate-rounds 2 or above.")
    if arguments.slowdown > 1 and arguments.device != "cpu":
        raise UserError("--slowdown is made on the CPU: a captured GPU graph would not hold it. Add --device cpu.")
    speed.check_rounds(arguments.gate_rounds, len(BENCHMARKS))
    store = Store(arguments.results)
    if arguments.rounds:
        store.check_writable()
    path = add_rounds(arguments, store) if arguments.rounds else _stored_here(arguments.results)
    print(markdown(Measurement.read(path), arguments.gate_rounds, arguments.resamples))
    return 0


def _stored_here(results: Path) -> Path:
    for path in sorted((results / "speed").glob("*/aa.json")):
        where = Measurement.read(path).content["machine"]
        if same_machine(where | {"gpu": None}, machine() | {"gpu": None}):  # which GPU, only PyTorch knows
            return path
    raise UserError(f"{results / 'speed'} holds no rounds of this machine; measure some --rounds first.")


def add_rounds(arguments: CalibrateSpeed, store: Store) -> Path:
    """Measure a session of rounds and add it to the stored ones; returns the file. Ctrl-C keeps what is done."""
    plan = arguments.plan(arguments.rounds, RATIO_BENCHMARKS)
    told = replace(plan, settings={**plan.settings, "slowdown": arguments.slowdown})
    plain = SOURCE / WORKLOADS
    sides = [
        Side("candidate", SOURCE, SLOWED if arguments.slowdown > 1 else plain, "This tree"),
        Side("baseline", SOURCE, plain, "This tree"),
    ]
    session: dict[str, Any] = {"started": now(), "source": source_revision(), "slowdown": arguments.slowdown}
    begin, rounds, said = time.perf_counter(), list[Round](), dict[str, Any]()

    say = saying(told.rounds)

    def keep(done: Round, processes_said: Mapping[str, Any]) -> None:
        say(done, processes_said)
        rounds.append(done)
        said.update(processes_said)

    try:
        revisions.measure_in_turn(sides, told, keep)
    except (KeyboardInterrupt, UserError) as stopped:
        if not rounds:
            raise
        print(f"{stopped or 'Interrupted'}; {len(rounds)} rounds are kept.", file=sys.stderr)
    session |= {"seconds": round(time.perf_counter() - begin, 1), "rounds": rounds}
    measured = content("pairs", plan, said, [session])
    path = store.speed(measured["machine"]) / "aa.json"
    grown = False
    with suppress(UserError):  # what is damaged, or not there, keeps nothing that was measured from being stored
        older = Measurement.read(path)
        if older.content["settings"] == measured["settings"] and older.names() == set(measured["work"]):
            measured["sessions"] = [*older.content["sessions"], session]
            grown = True
    return store.store_speed("aa", measured, grown=grown)


# ---------------------------------------------------------------------- gates of stored rounds


@dataclass(frozen=True)
class Rates:
    """What the gate said of ``gates`` that were formed in the same way."""

    what: str
    said: Mapping[Verdict, int]

    @property
    def gates(self) -> int:
        """How many."""
        return sum(self.said.values())

    def interval(self, verdict: Verdict) -> tuple[float, float]:
        """Clopper and Pearson's 95 % interval of how often it says ``verdict``."""
        return exact_interval(self.said.get(verdict, 0), self.gates)


def groups(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """Consecutive, disjoint groups; what is left over at the end is in none."""
    return (items[start : start + size] for start in range(0, len(items) - size + 1, size))


def pair_gates(sessions: Sequence[Sequence[Round]], gate_rounds: int) -> Counter[Verdict]:
    """What ``gate speed --against`` says of each group of rounds; no group spans two sessions."""
    said = Counter[Verdict]()
    for rounds in sessions:
        for group in groups(rounds, gate_rounds):
            differences = round_differences(group)
            said[speed.overall(speed.check_pairs({name: differences[name] for name in BENCHMARKS}))] += 1
    return said


def session_groups(sessions: Sequence[Sequence[Round]], side: str) -> list[dict[Pair, float]]:
    """The numbers of each group of six rounds of ``side``, as ``gate speed`` takes them from a session."""
    return [
        session_numbers([round_numbers(each["samples"][side]) for each in group])
        for rounds in sessions
        for group in groups(rounds, ROUNDS_OF_A_SESSION)
    ]


def ratio_verdict(baseline: Sequence[Session], first: Session, second: Session) -> Verdict:
    """What ``gate speed`` says of a session by a baseline's; it sees ``second`` only if the first shows a loss."""
    checks = speed.check_ratios(baseline, [first])
    if speed.wants_confirmation(checks):
        checks = speed.check_ratios(baseline, [first, second])
    return speed.overall(checks)


def ratio_gates(before: Sequence[Session], later: Sequence[Session], same: bool) -> Counter[Verdict]:
    """What ``gate speed`` says of each of ``later`` by eight sessions; the one that follows it is its second.

    Args:
        before: sessions of the tree as it is.
        same: ``later`` are these too, and each is judged by the eight before it; else by the last eight.
    """
    said = Counter[Verdict]()
    for place in range(BASELINE_SESSIONS if same else 0, len(later) - 1):
        baseline = before[place - BASELINE_SESSIONS : place] if same else before[-BASELINE_SESSIONS:]
        if len(baseline) == BASELINE_SESSIONS:
            said[ratio_verdict(baseline, later[place], later[place + 1])] += 1
    return said


# ---------------------------------------------------------------------- resampled


def resampled_pairs(
    rounds: Sequence[Mapping[str, float]], gate_rounds: int, gates: int, slowdown: float
) -> Counter[Verdict]:
    """Verdicts of ``gates`` drawn from blocks of log ratios, the sign of each round by a coin, as in the gate.

    Args:
        rounds: log ratios by benchmark of each round, of A against A.
        slowdown: time ratio by which ``SLOWED_BENCHMARKS`` are made slower.
    """
    draw, said = np.random.default_rng(0), Counter[Verdict]()
    slower = {name: math.log(slowdown) * (name in SLOWED_BENCHMARKS) for name in rounds[0]}
    for _ in range(gates):
        drawn = [rounds[number] for number in _blocks(draw, len(rounds), gate_rounds)]
        signs = draw.choice([-1.0, 1.0], size=gate_rounds)
        differences = {
            name: [sign * each[name] + slower[name] for sign, each in zip(signs, drawn, strict=True)] for name in slower
        }
        said[speed.overall(speed.check_pairs(differences))] += 1
    return said


def resampled_ratios(rounds: Sequence[Session], gates: int, slowdown: float) -> Counter[Verdict]:
    """What the gate says of ``gates`` whose sessions are drawn as six consecutive rounds of a tree's log ratios."""
    draw, said = np.random.default_rng(0), Counter[Verdict]()

    def session() -> dict[Pair, float]:
        start = int(draw.integers(len(rounds) - ROUNDS_OF_A_SESSION + 1))
        return session_numbers(rounds[start : start + ROUNDS_OF_A_SESSION])

    def slower(name: str) -> float:
        return math.log(slowdown) * (name in SLOWED_BENCHMARKS)

    def later() -> dict[Pair, float]:
        return {pair: number + slower(pair[0]) - slower(pair[1]) for pair, number in session().items()}

    for _ in range(gates):
        said[ratio_verdict([session() for _ in range(BASELINE_SESSIONS)], later(), later())] += 1
    return said


def _blocks(draw: np.random.Generator, length: int, wanted: int) -> list[int]:
    """``wanted`` places of ``length`` in blocks of consecutive ones."""
    starts = draw.integers(max(1, length - BLOCK + 1), size=math.ceil(wanted / BLOCK))
    return [min(int(start) + step, length - 1) for start in starts for step in range(BLOCK)][:wanted]


# ---------------------------------------------------------------------- the report


def report(measured: Measurement, gate_rounds: int, resamples: int) -> list[Rates]:
    """The lines of the table; those of which no gate could be formed are left out."""
    by_slowdown: dict[float, list[list[Round]]] = {1.0: []}
    for session in measured.content["sessions"]:
        by_slowdown.setdefault(session["slowdown"], []).append(session["rounds"])
    pairs, ratios = f"--against, {gate_rounds} rounds", f"stored ratios, {BASELINE_SESSIONS} sessions and 1"
    groups_before, lines = session_groups(by_slowdown[1.0], "baseline"), list[Rates]()
    for slowdown, sessions in sorted(by_slowdown.items()):
        what = "nothing changed" if slowdown == 1 else f"learner {slowdown:g} times as slow"
        lines.append(Rates(f"{pairs}: {what}", pair_gates(sessions, gate_rounds)))
        later = groups_before if slowdown == 1 else session_groups(sessions, "candidate")
        lines.append(Rates(f"{ratios}: {what}", ratio_gates(groups_before, later, slowdown == 1)))
    every = [each for rounds in by_slowdown[1.0] for each in rounds]
    if resamples and len(every) >= ROUNDS_OF_A_SESSION:
        differences = round_differences(every)
        by_round = [{name: differences[name][number] for name in BENCHMARKS} for number in range(len(every))]
        numbers = [round_numbers(each["samples"]["baseline"]) for each in every]
        for slowdown in RESAMPLED_SLOWDOWNS:
            what = "nothing changed" if slowdown == 1 else f"update and training {slowdown:g} times as slow"
            said = resampled_pairs(by_round, gate_rounds, resamples, slowdown)
            lines.append(Rates(f"{pairs}, resampled: {what}", said))
            lines.append(Rates(f"{ratios}, resampled: {what}", resampled_ratios(numbers, resamples, slowdown)))
    return [line for line in lines if line.gates]


def markdown(measured: Measurement, gate_rounds: int, resamples: int) -> str:
    """The report as a table, with what it was measured on."""
    rows = []
    for each in report(measured, gate_rounds, resamples):
        low, high = each.interval(Verdict.FAIL)
        said = [f"{each.said.get(v, 0)}" for v in (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS)]
        rows.append((each.what, f"{each.gates}", *said, f"{low:.1%} to {high:.1%}"))
    sessions = measured.content["sessions"]
    lines = [
        table(("gates", "of them", "fail", "inconclusive", "pass", "fail, 95 % interval"), rows),
        f"{sum(len(session['rounds']) for session in sessions)} rounds in {len(sessions)} session(s) on "
        f"{machine_words(measured.content['machine'])}, "
        f"{' and '.join(dict.fromkeys(source_words(session['source']) for session in sessions))}, "
        f"{sessions[0]['started'][:10]} to {sessions[-1]['started'][:10]}.",
    ]
    return "\n".join(lines) + "\n"
