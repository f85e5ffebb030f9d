"""Faults x probes as a stored result: python -m benchmarks probe --matrix. The tables need no torch."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.doctor.probes.protocol import Form
from benchmarks.store import Store, read_stored
from dqn_ref.config import UserError
from dqn_ref.provenance import machine, machine_words, source_revision, source_words

HELD_OUT = 100  # the first seed of a stored matrix; thresholds were set on seeds below 10
NONE = "none"  # the row of the sound agent
AGENTS = {"vector": "A small DQN on vectors", "image": "The reference on images"}


def matrix_record(observation: Form, num_seeds: int) -> dict[str, Any]:
    """Run every probe on every fault, and on the sound agent, with seeds from HELD_OUT: what is stored."""
    from benchmarks.doctor.probes.faults import FAULTS, probe_matrix

    source, cpu, seeds = source_revision(), time.process_time(), range(HELD_OUT, HELD_OUT + num_seeds)
    rows = probe_matrix(observation, seeds)
    return {
        "schema": 1,
        "observation": observation,
        "seeds": [*seeds],
        "faults": {fault.name: {"text": fault.text, "probe": fault.probe} for fault in FAULTS},
        "rows": {
            name: {
                each: {key: result.as_json()[key] for key in ("status", "numbers", "rests_on_failed")}
                | {"failed_seeds": sum(result.probe.margin(number) < 0 for number in result.numbers)}
                for each, result in row.items()
            }
            for name, row in rows.items()
        },
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "machine": machine(),
        "source": source,
    }


def read_matrix(store: Store, observation: Form = "vector") -> dict[str, Any]:
    """The stored matrix. Raises UserError: there is none."""
    path = store.probes(observation)
    if not path.exists():
        raise UserError(
            f"There is no {path}; run python -m benchmarks probe --matrix --observation {observation} "
            f"--results {store.root}."
        )
    return read_stored(path)  # type: ignore[no-any-return]


def roots(row: Mapping[str, Any]) -> list[str]:
    """The failed probes of a row that rest on no failed one: what the report says to look at."""
    return [name for name, cell in row.items() if cell["status"] == "failed" and not cell["rests_on_failed"]]


def matrix_summary(stored: Mapping[str, Any]) -> str:
    """In one line: how many faults are found by their own probe alone, and how often a sound agent is accused."""
    faults, rows = stored["faults"], stored["rows"]
    own = sum(roots(rows[name]) == [fault["probe"]] for name, fault in faults.items())
    alarms, looks = sum(cell["failed_seeds"] for cell in rows[NONE].values()), len(rows[NONE]) * len(stored["seeds"])
    return (
        f"{own} of {len(faults)} faults fail their own probe and no other that does not rest on it; "
        f"false alarms of the sound agent: {alarms} of {looks} (probe, seed)."
    )


def matrix_markdown(stored: Mapping[str, Any]) -> str:
    """Faults down, probes across: **F** failed, f failed and rests on a failed one, blank passed."""
    probes, seeds = [*stored["rows"][NONE]], stored["seeds"]
    lines = [
        f"| fault | its own probe | {' | '.join(probes)} |",
        f"|---|---|{':-:|' * len(probes)}",
    ]
    for name, row in stored["rows"].items():
        fault = stored["faults"].get(name)
        words = f"{name}: {fault['text']} | `{fault['probe']}`" if fault else f"{name} (the sound agent) | "
        lines.append(f"| {words} | {' | '.join(_mark(row[probe]) for probe in probes)} |")
    return "\n".join([
        *lines,
        "",
        "**F**: failed; f: failed, and rests on a probe that failed; `?`: could not look; blank: passed with every "
        "seed.",
        "",
        f"{matrix_summary(stored)} {AGENTS[stored['observation']]}, {_seeds(seeds)}, on which no threshold "
        f"was set; {stored['cpu_seconds']:.0f} s of processor time on {machine_words(stored['machine'])}, source "
        f"{source_words(stored['source'])}.",
    ]) + "\n"  # fmt: skip


def _mark(cell: Mapping[str, Any]) -> str:
    if cell["status"] != "failed":
        return "" if cell["status"] == "passed" else "?"
    return "f" if cell["rests_on_failed"] else "**F**"


def _seeds(seeds: Sequence[int]) -> str:
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
