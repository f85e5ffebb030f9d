"""The speed gate: from samples of two revisions, or of a stored baseline and now, to an answer.

It fails for one reason only: slower by more than 10 % *and* p < .01 after Holm's adjustment for the number of
comparisons. It passes where 10 % slower is ruled out at p < .05. Between the two it is inconclusive and says how much
more would decide. *Slower by 10 %* is 10 % more time for the same work.

Two ways of comparing (how samples are taken is in ``revisions.py``):

- *pairs*: a number a round and benchmark, the mean over the passes of log(candidate's time / baseline's time).
- *sessions*: a number a session and ratio, the median over its rounds of the mean over the passes of log(time of one
  benchmark / time of another in the same pass). Only such ratios of one run are compared with a stored baseline. A
  loss has to show in each of two sessions; the second is measured when the first shows one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from benchmarks.gates import speed_statistics as statistics
from benchmarks.gates.speed_samples import (
    RATIO_CHECKS,
    Measurement,
    Pair,
    RatioCheck,
    ratio_values,
    round_differences,
)
from benchmarks.gates.speed_statistics import Comparison
from benchmarks.gates.verdict import Check, GateResult, Verdict
from dqn_ref.config import UserError
from dqn_ref.provenance import machine_words, same_machine

MARGIN = 0.10  # more time than this is a loss
ALPHA_FAIL, ALPHA_PASS = 0.01, 0.05
FEWEST_SESSIONS = 3  # of a baseline: fewer say nothing of how sessions differ
TOO_MANY = 400  # rounds or sessions that nobody waits for
SEVEREST_FIRST = (Verdict.ERROR, Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS)


# ---------------------------------------------------------------------- the rule


def verdict_of(comparison: Comparison, p_adjusted: float) -> Verdict:
    """The rule of the gate for one comparison."""
    if looks_lost(math.expm1(comparison.estimate), p_adjusted):
        return Verdict.FAIL if comparison.confirmed else Verdict.INCONCLUSIVE
    return Verdict.PASS if comparison.p_within < ALPHA_PASS else Verdict.INCONCLUSIVE


def overall(checks: Sequence[Check]) -> Verdict:
    """Fail if one fails, else inconclusive if one is, else pass."""
    return min((check.verdict for check in checks), key=SEVEREST_FIRST.index)


def judge(comparisons: Mapping[str, Comparison], more: Mapping[str, str]) -> list[Check]:
    """A check for each comparison, those that decide first.

    Args:
        more: by name, what an inconclusive one needs; see ``more_rounds`` and ``more_sessions``.
    """
    adjusted = statistics.holm({name: each.p_slower for name, each in comparisons.items()})
    checks = []
    for name, each in comparisons.items():
        verdict, slower = verdict_of(each, adjusted[name]), math.expm1(each.estimate)
        words = f"{abs(slower):.1%} {'slower' if slower > 0 else 'faster'}"
        if verdict is Verdict.INCONCLUSIVE and looks_lost(slower, adjusted[name]):
            words += f" (p {adjusted[name]:.2g} after Holm), but not in each of two sessions (--sessions)"
        elif verdict is Verdict.INCONCLUSIVE:
            words += f", noise {each.noise:.1%}; neither a loss (p {adjusted[name]:.2g}) nor ruled out that it is more "
            words += f"than {MARGIN:.0%} (p {each.p_within:.2g}). {more[name]}"
        elif verdict is Verdict.FAIL:
            words += f" (p {adjusted[name]:.2g} after Holm)"
        else:
            words += f"; more than {MARGIN:.0%} slower is ruled out (p {each.p_within:.2g})"
        numbers = {
            "slower": round(slower, 5), "p_slower": each.p_slower, "p_slower_holm": adjusted[name],
            "p_within": each.p_within, "noise": round(each.noise, 5), "log_ratios": [round(x, 5) for x in each.numbers],
        }  # fmt: skip
        checks.append(Check(name, verdict, words, numbers))
    return sorted(checks, key=lambda check: SEVEREST_FIRST.index(check.verdict))


def looks_lost(slower: float, p_adjusted: float) -> bool:
    """Whether a loss is there that at most lacks its confirmation. ``slower``: time ratio less 1."""
    return slower > MARGIN and p_adjusted < ALPHA_FAIL


def wants_confirmation(checks: Sequence[Check]) -> bool:
    """Whether another session of the candidate could make one of ``checks`` fail."""
    return any(
        check.verdict is Verdict.INCONCLUSIVE and looks_lost(check.numbers["slower"], check.numbers["p_slower_holm"])
        for check in checks
    )


def advice(checks: Sequence[Check]) -> list[str]:
    """What decides nothing and is worth a line: sums of small losses, and gains."""
    notes = []
    for check in checks:
        sure = check.numbers["p_slower_holm"] < ALPHA_FAIL
        if sure and check.verdict is Verdict.PASS:
            notes.append(f"{check.name} is slower, if by less than {MARGIN:.0%}; several such changes add up.")
        if check.verdict is Verdict.PASS and check.numbers["slower"] < -MARGIN:
            notes.append(f"{check.name} seems to be faster; a new baseline would keep that.")
    return notes


def headline(checks: Sequence[Check], unit: str) -> str:
    """One sentence, with the rule in it."""
    named = {verdict: [check.name for check in checks if check.verdict is verdict] for verdict in Verdict}
    rule = f"(the rule: more than {MARGIN:.0%} slower and p < {ALPHA_FAIL:g} over all {len(checks)}, by Holm)"
    if failed := named[Verdict.FAIL]:
        return f"{', '.join(failed)} lost speed {rule}."
    if unsure := named[Verdict.INCONCLUSIVE]:
        return f"Too noisy to say of {', '.join(unsure)} {rule}; more {unit} would."
    return f"None of {len(checks)} is slower by more than {MARGIN:.0%} {rule}."


# ---------------------------------------------------------------------- two revisions in turn


def more_rounds(comparison: Comparison, comparisons: int) -> str:
    """What an inconclusive comparison of pairs needs."""
    needed = _needed(comparison, comparisons)
    if needed > TOO_MANY:
        return f"More than {TOO_MANY} rounds would: it is too near to {MARGIN:.0%}, or the machine too noisy."
    return f"About {max(math.ceil(needed), len(comparison.numbers) + 2)} rounds would decide (--rounds)."


def _needed(comparison: Comparison, comparisons: int) -> float:
    margin = math.log1p(MARGIN)
    if comparison.estimate > margin:
        return statistics.numbers_needed(comparison.noise, comparison.estimate, ALPHA_FAIL / comparisons)
    return statistics.numbers_needed(comparison.noise, margin - comparison.estimate, ALPHA_PASS)


def check_rounds(rounds: int, comparisons: int) -> None:
    """Raise UserError if so few ``rounds`` can never show a loss."""
    if rounds < (fewest := statistics.fewest_rounds(ALPHA_FAIL, comparisons)):
        raise UserError(
            f"{rounds} rounds can never show a loss: with {comparisons} comparison(s) the smallest p is "
            f"{comparisons} / 2^{rounds}. At least {fewest} rounds are needed (--rounds)."
        )


def check_pairs(differences: Mapping[str, Sequence[float]]) -> list[Check]:
    """A check for each benchmark from its log ratios, round by round; those that decide first."""
    comparisons = {name: statistics.compare_pairs(each, math.log1p(MARGIN)) for name, each in differences.items()}
    return judge(comparisons, {name: more_rounds(each, len(comparisons)) for name, each in comparisons.items()})


def judge_pairs(
    rounds: Sequence[Mapping[str, Any]], compared: Mapping[str, Any], notes: Sequence[str] = ()
) -> GateResult:
    """Judge rounds in which ``candidate`` and ``baseline`` took turns. Raises UserError: too few of them."""
    check_rounds(len(rounds), len(rounds[0]["samples"]["candidate"]))
    checks = check_pairs(round_differences(rounds))
    return GateResult(
        "speed", overall(checks), headline(checks, "rounds"), tuple(checks), (*notes, *advice(checks)), compared
    )


# ---------------------------------------------------------------------- a stored baseline


def check_same_way(baseline: Measurement, candidate: Measurement) -> None:
    """Raise UserError if the two did not measure the same things in the same way: an error, never a pass."""
    if baseline.names() != candidate.names():
        missing, new = sorted(baseline.names() - candidate.names()), sorted(candidate.names() - baseline.names())
        raise UserError(
            f"The benchmarks are not the baseline's; missing: {missing}, new: {new}. If that is intended, make a new "
            "baseline (gate speed-baseline)."
        )
    before, now = baseline.content["settings"], candidate.content["settings"]
    if different := sorted(key for key in {*before, *now} if before.get(key) != now.get(key)):
        each = ", ".join(f"{key} {before.get(key)} then, {now.get(key)} now" for key in different)
        raise UserError(f"It was measured differently from {baseline.path}: {each}.")


def check_sessions(baseline: Measurement) -> None:
    """Raise UserError if the baseline's sessions are too few to show how sessions differ."""
    if len(baseline.content["sessions"]) < FEWEST_SESSIONS:
        raise UserError(
            f"{baseline.path} holds {len(baseline.content['sessions'])} sessions; at least {FEWEST_SESSIONS} show how "
            "much they differ by chance. Add some: gate speed-baseline --add."
        )


def compare_ratio(
    check: RatioCheck, baseline: Sequence[Mapping[Pair, float]], candidate: Sequence[Mapping[Pair, float]]
) -> Comparison:
    """One ratio then and now, session by session; of two denominators the one that excuses more, see ``RatioCheck``."""
    both = []
    for against in check.against:
        before, now = ([each[check.subject, against] for each in sessions] for sessions in (baseline, candidate))
        both.append(statistics.compare_sessions(before, now, math.log1p(MARGIN)))
    return max(both, key=lambda comparison: comparison.p_slower)


def more_sessions(comparison: Comparison, comparisons: int, in_baseline: int) -> str:
    """What an inconclusive comparison with a stored baseline needs."""
    per_session = _needed(comparison, comparisons)  # if the baseline were known exactly
    rest = 1 / per_session - 1 / in_baseline if per_session < TOO_MANY else 0
    if rest <= 1 / TOO_MANY:
        return f"The baseline's {in_baseline} sessions differ too much: it needs more of them, or a quieter machine."
    return f"About {max(math.ceil(1 / rest), len(comparison.numbers) + 1)} sessions would decide (--sessions)."


def check_ratios(baseline: Sequence[Mapping[Pair, float]], candidate: Sequence[Mapping[Pair, float]]) -> list[Check]:
    """A check for each ratio from the numbers of the sessions; those that decide first."""
    comparisons = {check.name: compare_ratio(check, baseline, candidate) for check in RATIO_CHECKS}
    count = len(comparisons)
    return judge(comparisons, {name: more_sessions(each, count, len(baseline)) for name, each in comparisons.items()})


def judge_ratios(baseline: Measurement, candidate: Measurement, *, named: bool) -> GateResult:
    """Judge the ratios of ``candidate`` by those of ``baseline``.

    Args:
        named: the baseline was asked for by name. Otherwise that of another machine decides nothing.

    Raises:
        UserError: the two cannot be compared.
    """
    check_same_way(baseline, candidate)
    check_sessions(baseline)
    here = same_machine(baseline.content["machine"], candidate.content["machine"])
    checks = check_ratios(baseline.numbers(), candidate.numbers())
    first, notes = headline(checks, "sessions"), [*_differences(baseline, candidate), *advice(checks)]
    if not here:
        notes.insert(0, "Another machine: only ratios inside each run are compared, and they differ between machines.")
    if not here and not named:
        checks = [replace(check, verdict=Verdict.INCONCLUSIVE) for check in checks]
        first = (
            f"This machine has no baseline, so nothing is decided; beside the nearest one "
            f"({machine_words(baseline.content['machine'])}), and only in ratios: {first[0].lower()}{first[1:]} "
            "Compare two revisions here (--against), or make a baseline (gate speed-baseline)."
        )
    compared = {
        "mode": "ratios inside a run, with a stored baseline's",
        "baseline": baseline.words(), "baseline_file": baseline.path, "candidate": candidate.words(),
        "sessions": {"baseline": len(baseline.content["sessions"]), "candidate": len(candidate.content["sessions"])},
        "same_machine": here, "ratios": {"baseline": ratio_values(baseline), "candidate": ratio_values(candidate)},
    }  # fmt: skip
    return GateResult("speed", overall(checks), first, tuple(checks), tuple(notes), compared)


def _differences(baseline: Measurement, candidate: Measurement) -> list[str]:
    before, now = baseline.content["about"], candidate.content["about"]
    return [
        f"{key} {before.get(key)} then, {now.get(key)} now: a difference may be its."
        for key in sorted({*before, *now} - {"gpu", "device", "threads"})
        if before.get(key) != now.get(key)
    ]
