"""python -m benchmarks gate calibrate: measure the score gate, and say whether it keeps what it promises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.gates.calibrate import REPETITIONS, calibrate
from benchmarks.gates.calibration import alarms_table, broken_promises, power_table
from benchmarks.store import Store
from dqn_ref.config import UserError
from dqn_ref.provenance import source_revision

QUICK_REPETITIONS = 40


@dataclass(frozen=True)
class GateCalibrate:
    """Simulate the score gate from published per-seed scores: false alarms, power, and what other gates would do."""

    repetitions: int = REPETITIONS
    """Comparisons of each cell where nothing changed. The default takes minutes on one core."""
    seed: int = 0
    """Of every draw; equal seeds, equal counts."""
    quick: bool = False
    """A few comparisons only: a look, too rough to be stored."""
    results: Path = Path("results")
    """The results folder: gates/score-calibration.json is written in it."""


def gate_calibrate(arguments: GateCalibrate, say: Callable[[str], None] = print) -> int:
    """Simulate, print, store; exit code 1 if the gate breaks a promise."""
    repetitions = QUICK_REPETITIONS if arguments.quick else arguments.repetitions
    if repetitions < QUICK_REPETITIONS:
        raise UserError(f"--repetitions must be at least {QUICK_REPETITIONS}, got {repetitions}.")
    source, store = source_revision(), Store(arguments.results)
    if not arguments.quick:
        store.check_writable()
    result = {**calibrate(store, repetitions, arguments.seed, say), "source": source}
    for table in (alarms_table, power_table):
        say("")
        say(table(result))
    if arguments.quick:
        say(f"Not stored: {repetitions} comparisons a cell show little.")
    else:
        say(f"Stored in {store.store_score_calibration(result)}")
    broken = broken_promises(result)
    for promise in broken:
        say(f"BROKEN: {promise}")
    return 1 if broken else 0
