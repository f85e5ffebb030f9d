"""The confusion matrix, a table by fault and the rates in sentences: as Markdown, and for a program."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from benchmarks.doctor.confusion.counts import (
    Rate,
    answers,
    confusion_matrix,
    first_right,
    held_out,
    lint_finds,
    named_right,
    rates,
)
from benchmarks.doctor.confusion.runs import (
    CONFIDENCE,
    KEPT_SETTINGS,
    NOTHING,
    RIGHT,
    TUNED_GAMES,
    TUNED_GROUP,
    TUNED_ON,
    DiagnosedRun,
)
from benchmarks.failures.variants import VARIANTS
from benchmarks.markdown import table

NO_CAUSE = "no cause stands for it"
NONE_HELD_OUT = "No run but those that the bars of the verdicts were set on is finished yet."
HEADER = ("put in", "runs", "lint warns of", "named first in the log (runs)", "right first", "right named")

Rows = tuple[tuple[str, ...], ...]


def matrix_rows(looked: Sequence[DiagnosedRun]) -> tuple[tuple[str, ...], Rows]:
    """Header and rows of the matrix, as text; 0 is left blank."""
    matrix = confusion_matrix(looked)
    rows = tuple(
        (row, *(str(count) if count else "" for count in counts))
        for row, counts in zip(matrix.rows, matrix.counts, strict=True)
    )
    return ("put in", *matrix.columns), rows


def fault_rows(looked: Sequence[DiagnosedRun]) -> Rows:
    """A row for each fault that has any run; what is said of logs is of held-out runs alone."""
    rows = list[tuple[str, ...]]()
    for name in VARIANTS:
        own = [each for each in looked if each.variant == name]
        if not own:
            continue
        runs = held_out(own)
        first = ", ".join(f"{cause} ({n})" for cause, n in Counter(each.first for each in runs).most_common())
        counts = [f"{sum(map(right, runs))} of {len(runs)}" for right in (first_right, named_right)]
        if not runs:
            counts = ["-", "-"]
        elif not answers(name):
            counts = [NO_CAUSE, "-"]
        rows.append((name, str(len(runs)), _lint_words(own), first or "-", *counts))
    return tuple(rows)


def _lint_words(runs: Sequence[DiagnosedRun]) -> str:
    """Rules that warn of any of these, and right ones that only hint."""
    warned = tuple(dict.fromkeys(rule for each in runs for rule in each.lint))
    right = RIGHT[runs[0].variant].lint if runs[0].variant in RIGHT else ()
    hinted = dict.fromkeys(rule for each in runs for rule in each.hints if rule in right and rule not in warned)
    return ", ".join([*warned, *(f"{rule} (hint)" for rule in hinted)]) or NOTHING


def sentences(looked: Sequence[DiagnosedRun]) -> tuple[tuple[str, str], ...]:
    """(what it is about, the rates of it), without markup."""
    runs, found, lint = held_out(looked), rates(looked), lint_finds(looked)
    faults = sum(map(len, lint.values()))
    healthy = [name for name in VARIANTS if any(each.variant == name and each.healthy for each in runs)]
    blind = [name for name in RIGHT if not RIGHT[name].log and any(each.variant == name for each in runs)]
    said: list[tuple[str, str]] = [
        (
            "Runs",
            f"{len(runs)} on {_all(each.game for each in runs)} ({_all(each.group for each in runs)}); not counted: "
            f"{sum(each.tuned for each in looked)} that the bars of the verdicts were set on. A fault is what was put "
            "in, whether or not it cost score.",
        ),
        (
            "False alarms",
            f"of the healthy runs ({', '.join(healthy)}), by their log: a fault named in "
            f"{found.healthy_fault.words()}, only a symptom named in {found.healthy_symptom.words()}; "
            f"lint warns of {found.healthy_lint.words()}.",
        ),
        (
            "Diagnosis",
            f"of runs with a fault that a cause stands for, by their log: the right cause first in "
            f"{found.right_first.words()}, named at all in {found.right_named.words()}; only something else named in "
            f"{found.wrong_alone.words()}; nothing named in {found.passed.words()}.",
        ),
    ]
    said += [(f"Of these on {game}, a game that no bar was set on", _elsewhere(looked, game)) for game in _others(runs)]
    if blind:
        said.append((
            "Faults that no cause stands for",
            f"{', '.join(blind)}; a fault, so a wrong one, is named in {found.unknown_fault.words()}, only a symptom "
            f"in {found.unknown_symptom.words()}.",
        ))  # fmt: skip
    if sparse := [each for each in looked if each.sparse]:
        said.append(
            (
                "Sparse games",
                f"not counted above, since there a lack of rewards is the game's. Named first: {_firsts(sparse)}.",
            )
        )
    missed = [f"only a hint for {', '.join(lint['hinted'])}"] if lint["hinted"] else []
    missed += [f"nothing right for {', '.join(lint['missed'])}"] if lint["missed"] else []
    if missed:  # a rule reads the very setting that was changed: that it warns is no finding
        warned = f"warns of {len(lint['warned'])} of {faults} faults by a right rule"
        said.append(("Lint", "; ".join([warned, *missed]) + "."))
    said += [
        (
            "How",
            "lint is given the configuration alone; the diagnosis the log, with no setting but "
            f"{', '.join(KEPT_SETTINGS)}, and a cause counts as named if its confidence is {CONFIDENCE} or strong "
            "and no other explains it. "
            "Intervals are Clopper and Pearson's, as if runs were independent; runs with the same fault on the same "
            "game are alike, so they are too narrow for other faults and games.",
        ),
        (
            "Made by",
            f"{_all(each.origin[0] for each in looked)}, source {_all(each.origin[1] for each in looked)}.",
        ),
    ]
    return tuple(said)


def _others(runs: Sequence[DiagnosedRun]) -> list[str]:
    return sorted({each.game for each in runs} - TUNED_GAMES)


def _elsewhere(looked: Sequence[DiagnosedRun], game: str) -> str:
    there = [each for each in looked if each.game == game]
    found, faults = rates(there), {each.variant for each in there if not each.healthy}
    same = rates([each for each in looked if each.game in TUNED_GAMES and each.variant in faults])
    return (
        f"a fault named in {found.healthy_fault.words()} healthy runs; the right cause first in "
        f"{found.right_first.words()} runs with a fault that a cause stands for. The same faults on "
        f"{_all(TUNED_GAMES)}: {same.right_first.words()}."
    )


def _firsts(runs: Sequence[DiagnosedRun]) -> str:
    counts = Counter((each.game, each.variant, each.first) for each in runs)
    return "; ".join(f"{first} ({n}) in {variant} on {game}" for (game, variant, first), n in counts.items())


def _all(words: Any) -> str:
    return ", ".join(sorted(set(words)))


def summary(looked: Sequence[DiagnosedRun]) -> str:
    """The rates as a list in Markdown."""
    return "".join(f"- **{name}:** {words}\n" for name, words in sentences(looked))


def markdown(looked: Sequence[DiagnosedRun]) -> str:
    """Rates and table; the matrix itself is for a drawing and for a terminal."""
    none = "" if held_out(looked) else f"\n{NONE_HELD_OUT}\n"
    return f"{summary(looked)}\n{table(HEADER, fault_rows(looked), HEADER[:4])}{none}"


def as_json(looked: Sequence[DiagnosedRun]) -> dict[str, Any]:
    """Everything, for a program."""
    matrix = confusion_matrix(looked)
    return {
        "schema": 1,
        "kept_settings": list(KEPT_SETTINGS),
        "confidence": CONFIDENCE,
        "tuned_on": {"group": TUNED_GROUP, "runs": [list(each) for each in sorted(TUNED_ON)]},
        "matrix": {"rows": matrix.rows, "columns": matrix.columns, "counts": matrix.counts},
        "rates": {name: _rate_json(rate) for name, rate in vars(rates(looked)).items()},
        "lint": lint_finds(looked),
        "runs": [
            {"group": each.group, "variant": each.variant, "game": each.game, "seed": each.seed, "tuned": each.tuned,
             "sparse_game": each.sparse, "lint": each.lint, "hints": each.hints, "causes": each.causes,
             "first_right": first_right(each), "named_right": named_right(each)}
            for each in looked
        ],
        "right": {name: {"lint": names.lint, "log": names.log} for name, names in RIGHT.items()},
    }  # fmt: skip


def _rate_json(rate: Rate) -> dict[str, Any]:
    return {"hits": rate.hits, "runs": rate.runs, "interval_95": rate.interval}
