"""How often the score gate is right, by simulation from real per-seed scores: the calibration that is published.

Every number is a count of simulated comparisons, each judged by the gate's own code (``score_rule``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.gates.calibrate_aside import bars_table, other_gates_table, seeds_table, single_games_table
from benchmarks.gates.cases import Case, counts, learnt, stream, unlearnt
from benchmarks.gates.score_rule import FAIL_LEVEL, MARGIN_LEVEL, WARN_LEVEL
from benchmarks.gates.simulation import MODELS, RELABELLINGS, Noise, comparisons, dropped, weigh_all
from benchmarks.permutation import iqm
from benchmarks.store import Store

SCHEMA = 1
REPETITIONS = 1_000
SHAPES = ((1, 1), (2, 2), (3, 3), (5, 5), (10, 10))  # seeds of candidate and of baseline
UNEQUAL = ((3, 5), (5, 10))
DROPS = (0.1, 0.2, 0.3)
_LUCKY = 10  # a baseline among the highest tenth is a lucky one

Row = dict[str, Any]


def calibrate(
    store: Store, repetitions: int = REPETITIONS, seed: int = 0, say: Callable[[str], None] = print
) -> dict[str, Any]:
    """Simulate everything; equal arguments give an equal result.

    Args:
        store: holds the baseline of `ci`, which one of the tables draws from.
        repetitions: comparisons of each cell where nothing changed; the others take a part of it.
        seed: of all draws.
        say: told what is being done.
    """
    cases, idle = learnt(), unlearnt(store)
    tables: dict[str, tuple[list[Case], Callable[[Case, int, int], list[Row]]]] = {
        "gate": (cases, gate_table),
        "models": (cases, models_table),
        "single_games": (cases, single_games_table),
        "other_gates": (cases, other_gates_table),
        "bars": ([*cases, *idle], bars_table),
        "seeds_to_pass": (cases, seeds_table),
    }
    result: dict[str, Any] = {
        "schema": SCHEMA,
        "repetitions": repetitions,
        "seed": seed,
        "relabellings": RELABELLINGS,
        "levels": {"fail": FAIL_LEVEL, "warn": WARN_LEVEL, "margin": MARGIN_LEVEL},
        "cases": [case.about for case in (*cases, *idle)],
    }
    for name, (drawn_from, table) in tables.items():
        result[name] = []
        for case in drawn_from:
            say(f"{name}: {case.source}, {case.frames:,} frames")
            result[name] += [case.where | row for row in table(case, repetitions, seed)]
    return result


def gate_table(case: Case, repetitions: int, seed: int) -> list[Row]:
    """Answers by number of seeds and uniform drop; and where nothing dropped, those against a lucky baseline."""
    rows, noise = [], Noise.of(case.scores)
    for m, n in (*SHAPES, *UNEQUAL):
        draw = stream(seed, case, m, n)
        candidates, baselines = comparisons(noise, m, n, repetitions, draw)
        of_labels = int(draw.integers(2**31))
        unchanged = list(weigh_all(candidates, baselines, case.margin, of_labels))
        luck = np.argsort(iqm(baselines.reshape(repetitions, -1)), kind="stable")
        lucky = counts(unchanged[place] for place in luck[-(repetitions // _LUCKY) :])
        brief = {name: lucky[name] for name in ("comparisons", "fail", "found")}
        rows.append({"seeds": [m, n], "drop": 0.0, **counts(unchanged), "lucky baseline": brief})
        half = repetitions // 2
        for drop in DROPS:
            found = weigh_all(dropped(candidates[:half], drop), baselines[:half], case.margin, of_labels)
            rows.append({"seeds": [m, n], "drop": drop, **counts(found)})
    return rows


def models_table(case: Case, repetitions: int, seed: int) -> list[Row]:
    """Other models of the noise, with 5 seeds a side; and a candidate that is only noisier than the baseline."""
    rows, noise, half = [], Noise.of(case.scores), repetitions // 2
    for name, model in MODELS.items():
        draw = stream(seed, case, name)
        candidates, baselines = comparisons(noise, 5, 5, half, draw, model)
        changes = {"none": candidates, "20 % drop": dropped(candidates, 0.2)}
        if name == "pooled":  # the model of every other table
            changes = {"twice the noise": noise.means + 2 * (candidates - noise.means)}
        of_labels = int(draw.integers(2**31))
        for change, changed in changes.items():
            found = weigh_all(changed, baselines, case.margin, of_labels)
            rows.append({"model": name, "change": change, **counts(found)})
    return rows
