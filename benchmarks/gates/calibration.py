"""What a stored calibration of the score gate says, in tables; every share with its 95 % interval."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from benchmarks.gates.calibrate_aside import INTERVAL, NAIVE
from benchmarks.gates.score_rule import STATISTICS
from benchmarks.markdown import table
from benchmarks.shares import exact_interval
from dqn_ref.config import format_frames
from dqn_ref.provenance import source_words

Row = Mapping[str, Any]
Result = Mapping[str, Any]

# The promise: a drop of so much, with so many seeds, at so many frames, is found so often at p < .05.
POWER_DROP, POWER_SEEDS, POWER_FRAMES, POWER = 0.2, [5, 5], 10_000_000, 0.8
_SURE = 1e-3  # a promise counts as broken when chance explains it no better


def share(hits: int, count: int, decimals: int = 0) -> str:
    """``hits`` of ``count`` in percent with the interval, e.g. ``94 [91, 96]``."""
    low, high = exact_interval(hits, count)
    return f"{100 * hits / count:.{decimals}f} [{100 * low:.{decimals}f}, {100 * high:.{decimals}f}]"


def pooled(rows: Iterable[Row]) -> Counter[str]:
    """Counts of several rows together."""
    total = Counter[str]()
    for row in rows:
        total.update({name: value for name, value in row.items() if type(value) is int and name != "frames"})
    return total


def broken_promises(result: Result) -> list[str]:
    """Promises that the counts refute, a sentence each; empty if all hold."""
    from scipy.stats import binomtest

    levels = result["levels"]
    broken = []
    for row in result["gate"]:
        where = f"{row['source']} at {format_frames(row['frames'])}, {row['seeds'][0]} against {row['seeds'][1]} seeds"
        count = row["comparisons"]
        if not row["drop"]:
            for name, level in (("fail", levels["fail"]), ("found", levels["warn"])):
                if binomtest(row[name], count, level, alternative="greater").pvalue < _SURE / len(result["gate"]):
                    broken.append(f"{where}: {row[name]} of {count} unchanged candidates at the level of {level:g}")
        promised = (row["drop"], row["seeds"], row["frames"]) == (POWER_DROP, POWER_SEEDS, POWER_FRAMES)
        if promised and row["found"] < POWER * count:
            broken.append(f"{where}: a drop of 20 % found in {row['found']} of {count} comparisons")
    return broken


# ---------------------------------------------------------------------- tables


def alarms_table(result: Result) -> str:
    """Answers when nothing changed, by number of seeds, all cases together."""
    rows = []
    unchanged = [row for row in result["gate"] if not row["drop"]]
    for seeds in dict.fromkeys(tuple(row["seeds"]) for row in unchanged):
        of_seeds = [row for row in unchanged if tuple(row["seeds"]) == seeds]
        total, lucky = pooled(of_seeds), pooled(row["lucky baseline"] for row in of_seeds)
        count = total["comparisons"]
        rows.append([
            f"{seeds[0]} against {seeds[1]}", f"{count:,}", share(total["fail"], count, 1),
            share(total["found"], count, 1), share(total["pass"], count), share(total["inconclusive"], count),
            share(lucky["fail"], lucky["comparisons"], 1),
        ])  # fmt: skip
    header = ("seeds", "comparisons", "fail", "p < .05", "pass", "inconclusive", "fail, lucky baseline")
    return table(header, rows)


def power_table(result: Result) -> str:
    """Answers when nothing changed and at uniform drops, by case and number of seeds."""
    drops = sorted({row["drop"] for row in result["gate"]})
    rows = []
    for case in result["cases"]:
        for seeds in (3, 5, 10):
            of_drop = {drop: _find(result["gate"], case, seeds=[seeds, seeds], drop=drop) for drop in drops}
            cells = [_case_label(case), str(seeds)]
            for drop, row in of_drop.items():
                if row and drop:
                    cells += [share(row["found"], row["comparisons"]), _percent(row, "fail")]
                elif row:
                    cells += [_percent(row, "pass"), _percent(row, "inconclusive")]
            if len(cells) > 2:
                rows.append(cells)
    header = ["scores drawn from", "seeds a side", "unchanged: pass", "inconclusive"]
    header += [name for drop in drops if drop for name in (f"{100 * drop:.0f} % lower: p < .05", "fail")]
    return table(header, rows)


def statistics_table(result: Result) -> str:
    """Each statistic alone at the whole level beside both at half of it, 5 seeds a side."""
    uniform = [row for row in result["gate"] if row["seeds"] == POWER_SEEDS and row["drop"] == POWER_DROP]
    unchanged = [row for row in result["gate"] if row["seeds"] == POWER_SEEDS and not row["drop"]]
    low, high = ([row for row in result["single_games"] if (row["score"] > 0.3) is big] for big in (False, True))
    groups = [
        *((f"unchanged, {_case_label(row)}", [row]) for row in unchanged),
        *((f"20 % lower everywhere, {_case_label(row)}", [row]) for row in uniform),
        ("one game at random's score, which was below 0.3", low),
        ("one game at random's score, which was above 0.3", high),
    ]
    rows = []
    for label, found in groups:
        total = pooled(found)
        answers = [f"{name}: {answer}" for name in STATISTICS for answer in ("fail", "pass")]
        rows.append([label, *(_percent(total, answer) for answer in (*answers, "fail", "pass"))])
    header = [f"{name}: {answer}" for name in (*STATISTICS, "both, the gate") for answer in ("fail", "pass")]
    return table(("5 seeds a side", *header), rows)


def games_words(result: Result) -> str:
    """How often the per-game advice names the one game that fell, and how often the gate passes all the same."""
    total = pooled(result["single_games"])
    count = total["comparisons"]
    return (
        f"With 5 seeds a side and one game at the random policy's score ({count:,} comparisons), the gate fails "
        f"{share(total['fail'], count)} % of the time and passes {share(total['pass'], count)} %; the advice names the "
        f"game {share(total['named'], count)} % of the time.\n"
    )


def others_table(result: Result) -> str:
    """False alarms of two other gates: over all cases, and the lowest and highest of them."""
    rows = []
    for gate in (NAIVE, INTERVAL):
        for seeds in sorted({row["seeds"] for row in result["other_gates"]}):
            of_seeds = [row for row in result["other_gates"] if row["seeds"] == seeds]
            unchanged = [row for row in of_seeds if not row["drop"]]
            shares = [100 * row[gate] / row["comparisons"] for row in unchanged]
            total, lower = pooled(unchanged), pooled(row for row in of_seeds if row["drop"])
            rows.append([
                gate, str(seeds), share(total[gate], total["comparisons"]), f"{min(shares):.0f} to {max(shares):.0f}",
                _percent(lower, gate),
            ])  # fmt: skip
    header = ("fails if", "seeds a side", "unchanged: fails", "by case", "20 % lower: fails")
    return table(header, rows)


def bars_table(result: Result) -> str:
    """How often the margin's test is content under three ways of lowering the baseline."""
    kinds = list(dict.fromkeys(row["bar"] for row in result["bars"]))
    rows = []
    for case in result["cases"]:
        found = [_find(result["bars"], case, bar=kind) for kind in kinds]
        cells = [_percent(row, what) for row in found if row for what in ("unchanged", "at the margin")]
        rows.append([_case_label(case), str(found[0]["seeds"] if found[0] else ""), *cells])
    header = [f"{kind}: {what}" for kind in kinds for what in ("unchanged", "worse by the margin")]
    return table(("scores drawn from", "seeds a side", *header), rows)


def models_table(result: Result) -> str:
    """Other models of the noise, all cases together, 5 seeds a side."""
    rows = []
    for model, change in dict.fromkeys((row["model"], row["change"]) for row in result["models"]):
        total = pooled(row for row in result["models"] if (row["model"], row["change"]) == (model, change))
        count = total["comparisons"]
        rows.append([model, change, share(total["fail"], count, 1), share(total["found"], count, 1),
                     share(total["pass"], count)])  # fmt: skip
    return table(("model", "change", "fail", "p < .05", "pass"), rows)


def seeds_table(result: Result) -> str:
    """Seeds that the gate asks for, and what they bring."""
    rows = [
        [_case_label(row), str(row["median"]), f"{row['low']} to {row['high']}", share(row["pass"], row["comparisons"])]
        for row in result["seeds_to_pass"]
    ]
    return table(("scores drawn from", "seeds asked for, median", "8 in 10 within", "an unchanged agent passes"), rows)


def made_words(result: Result) -> str:
    """How the counts were made."""
    return (
        f"{result['repetitions']:,} comparisons a cell and case where nothing changed, half as many at each drop; "
        f"{result['relabellings']:,} relabellings a test; seed {result['seed']}; "
        f"source {source_words(result['source'])}.\n"
    )


TABLES: dict[str, Callable[[Result], str]] = {
    "gate-made": made_words,
    "gate-alarms": alarms_table,
    "gate-power": power_table,
    "gate-statistics": statistics_table,
    "gate-games": games_words,
    "gate-others": others_table,
    "gate-bars": bars_table,
    "gate-models": models_table,
    "gate-seeds": seeds_table,
}


def _find(rows: Iterable[Row], case: Row, **wanted: Any) -> Row | None:
    wanted |= {name: case[name] for name in ("source", "frames")}
    return next((row for row in rows if all(row[name] == value for name, value in wanted.items())), None)


def _percent(row: Row, answer: str) -> str:
    return f"{100 * row[answer] / row['comparisons']:.0f}"


def _case_label(case: Row) -> str:
    return f"{case['source']}, {format_frames(case['frames'])}"
