"""The score gate: did a change cost score? Human-normalised scores in, an answer out (docs/gates.md)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.gates.score_rule import FAIL_LEVEL, WARN_LEVEL, Evidence, Tests, game_p_values, weigh, within_margin
from benchmarks.gates.simulation import seeds_to_pass
from benchmarks.gates.verdict import Check, GateResult, Verdict, error
from benchmarks.permutation import PERMUTATIONS, Relabellings, iqm
from benchmarks.protocols import Margin

GATE = "scores"
_LOWEST_FOR_SHARES = 0.01  # of a mean below it, a drop in percent says nothing


def score_gate(
    candidate: NDArray[np.float64],
    baseline: NDArray[np.float64],
    games: Sequence[str],
    margin: Margin,
    *,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
    compared: Mapping[str, Any] | None = None,
    notes: Sequence[str] = (),
) -> GateResult:
    """Compare a candidate with the baseline it must not fall behind.

    Args:
        candidate: human-normalised scores [m, games].
        baseline: human-normalised scores [n, games].
        games: their names, in the matrices' order.
        margin: how much worse still passes.
        permutations: relabellings that are drawn where there are more of them.
        seed: of that draw; equal seeds, equal answer.
        compared: what is compared, for the record.
        notes: to be said before the gate's own.

    Returns:
        pass, fail or inconclusive; an error if the scores are malformed. Never raises for what is in the scores.
    """
    if wrong := _malformed(candidate, baseline, games):
        return dataclasses.replace(error(GATE, wrong), compared=compared or {})
    about = {**(compared or {}), "games": list(games), "margin": dataclasses.asdict(margin),
             "seeds": {"candidate": len(candidate), "baseline": len(baseline)}}  # fmt: skip
    if _same(candidate, baseline):
        words = (
            f"Every score of the {candidate.size} runs equals one of the baseline's: these are the same runs, nothing "
            "that matters to a score has changed"
        )
        check = Check("the same runs", Verdict.PASS, words, {"runs": candidate.size})
        doubt = "If a change was expected, check that the candidate is not the baseline itself."
        return GateResult(GATE, Verdict.PASS, f"{words}.", (check,), (*notes, doubt), about)
    candidate, baseline = np.sort(candidate, axis=0), np.sort(baseline, axis=0)  # sums do not know the seeds' order
    drawn = Relabellings.of(len(candidate), len(baseline), len(games), permutations, seed)
    evidence = weigh(candidate, baseline, margin, drawn)
    checks = (
        _worse_check(evidence, candidate, baseline),
        _margin_check(evidence, margin),
        _games_check(candidate, baseline, games, permutations, seed),
    )
    said = (*notes, *_notes(evidence, candidate, baseline, checks[-1]))
    return GateResult(GATE, evidence.verdict, _headline(evidence, candidate, baseline, margin), checks, said, about)


def _malformed(candidate: NDArray[np.float64], baseline: NDArray[np.float64], games: Sequence[str]) -> str:
    """What is wrong with the input, in words; empty if nothing is."""
    if len(set(games)) != len(games):
        return f"Each game may be there once, got {', '.join(games)}."
    for name, scores in (("candidate", candidate), ("baseline", baseline)):
        if scores.ndim != 2 or not scores.size or scores.shape[1] != len(games):
            return f"The {name} must be scores of seeds by {len(games)} games, got an array of shape {scores.shape}."
        if not np.isfinite(scores).all():
            places = [f"{games[game]} (run {run})" for run, game in np.argwhere(~np.isfinite(scores)).tolist()]
            return f"The {name} has no finite score in {', '.join(places)}. Nothing is judged on a part of the runs."
    return ""


def _same(candidate: NDArray[np.float64], baseline: NDArray[np.float64]) -> bool:
    """Whether both are the same runs, in whatever order."""
    return np.array_equal(np.sort(candidate, axis=0), np.sort(baseline, axis=0))


# ---------------------------------------------------------------------- checks


def _worse_check(evidence: Evidence, candidate: NDArray[np.float64], baseline: NDArray[np.float64]) -> Check:
    """Decides between fail and the rest."""
    words = f"chance alone gives this, or lower, with p = {_p(evidence.p_worse)}"
    words += f": {_each(evidence.against_baseline, 'p_lower')}"
    verdict = evidence.verdict if evidence.verdict is Verdict.FAIL or not evidence.can_fail else Verdict.PASS
    numbers = {
        "p": evidence.p_worse,
        "p_better": evidence.p_better,
        "iqm_candidate": float(iqm(candidate.ravel())),
        "iqm_baseline": float(iqm(baseline.ravel())),
        **_numbers(evidence.against_baseline),
    }
    return Check("worse than the baseline", verdict, words, numbers)


def _margin_check(evidence: Evidence, margin: Margin) -> Check:
    """Decides between pass and inconclusive."""
    shown = within_margin(evidence.against_bar) and evidence.can_fail
    words = f"an agent worse by the margin gets this, or higher, with p = {_p(evidence.p_margin)}"
    words += f": {_each(evidence.against_bar, 'p_higher')}"
    below = [name for name, test in evidence.against_bar.items() if test.difference <= 0]
    words += f"; below the bar: {' and '.join(below)}" if below else ""
    numbers = {"p": evidence.p_margin, "above_bar": not below, **_numbers(evidence.against_bar)}
    return Check(
        f"within the margin of {margin.words()}", Verdict.PASS if shown else Verdict.INCONCLUSIVE, words, numbers
    )


def _games_check(
    candidate: NDArray[np.float64], baseline: NDArray[np.float64], games: Sequence[str], permutations: int, seed: int
) -> Check:
    """Advice, which decides nothing: games whose mean is lower than chance explains, adjusted for their number."""
    of_one_game = Relabellings.of(len(candidate), len(baseline), 1, permutations, seed)
    p_values = game_p_values(candidate, baseline, of_one_game)
    numbers = {}
    fallen = []
    for game, p, now, before in zip(games, p_values, candidate.mean(axis=0), baseline.mean(axis=0), strict=True):
        share = float(now / before - 1) if before >= _LOWEST_FOR_SHARES else None
        numbers[game] = {"candidate": float(now), "baseline": float(before), "change": share, "p": float(p)}
        if p < WARN_LEVEL:
            much = f"{100 * share:+.0f} %" if share is not None else f"{now - before:+.3f}"
            fallen.append(f"{game} {much} (p = {_p(p)})")
    words = f"lower: {', '.join(fallen)}" if fallen else "none is lower than chance explains"
    return Check("each game, advice only", Verdict.PASS, words, numbers)


def _numbers(tests: Tests) -> dict[str, Any]:
    return {name: dataclasses.asdict(test) for name, test in tests.items()}


def _each(tests: Tests, tail: str) -> str:
    """Difference and p-value of each statistic."""
    return ", ".join(f"{name} {test.difference:+.3f} (p = {_p(getattr(test, tail))})" for name, test in tests.items())


def _p(value: float) -> str:
    return f"{value:.2g}" if value >= 0.001 else f"{value:.1g}"


# ---------------------------------------------------------------------- words


def _headline(evidence: Evidence, candidate: NDArray[np.float64], baseline: NDArray[np.float64], margin: Margin) -> str:
    now, before = float(iqm(candidate.ravel())), float(iqm(baseline.ravel()))
    change = f" ({100 * (now / before - 1):+.0f} %)" if before >= _LOWEST_FOR_SHARES else ""
    figures = f"IQM {now:.3f} against {before:.3f}{change}, {len(candidate)} and {len(baseline)} seeds"
    if evidence.verdict is Verdict.FAIL:
        return f"The candidate is worse: {figures}, p = {_p(evidence.p_worse)}."
    if evidence.verdict is Verdict.PASS:
        return f"Not worse by more than the margin of {margin.words()}: {figures}, p = {_p(evidence.p_margin)}."
    if not evidence.can_fail:
        return (
            f"So few runs cannot fail, so they cannot pass either: {figures}, and no p-value can be below "
            f"{_p(evidence.lowest_p)}. Add seeds."
        )
    return (
        f"Neither worse (p = {_p(evidence.p_worse)}) nor shown to be within {margin.words()} (p = "
        f"{_p(evidence.p_margin)}): {figures}. {_seeds_words(candidate, baseline, margin)}"
    )


def _seeds_words(candidate: NDArray[np.float64], baseline: NDArray[np.float64], margin: Margin) -> str:
    if len(candidate) == len(baseline) == 1:
        return "One run on each side shows no variance, so how many would decide is not known; try 3 seeds."
    seeds = seeds_to_pass(candidate, baseline, margin)
    if seeds is None:
        return "More than 100 seeds on each side would be needed to decide: the games are too noisy for this margin."
    if seeds <= min(len(candidate), len(baseline)):
        return (
            f"{seeds} seeds on each side would pass an unchanged agent four times in five, so this one is either "
            "unlucky or somewhat worse; add seeds to tell which."
        )
    return (
        f"If nothing changed, about {seeds} seeds on each side would show it, four times in five; add "
        f"{max(0, seeds - len(candidate))} to the candidate and {max(0, seeds - len(baseline))} to the baseline."
    )


def _notes(
    evidence: Evidence, candidate: NDArray[np.float64], baseline: NDArray[np.float64], advice: Check
) -> list[str]:
    found = []
    if advice.words.startswith("lower") and evidence.verdict is Verdict.PASS:
        found.append(f"Warning: the whole passes, but look at these games: {advice.words}.")
    if FAIL_LEVEL <= evidence.p_worse < WARN_LEVEL:
        found.append(
            f"Warning: p = {_p(evidence.p_worse)} that chance alone makes it so low. One unchanged candidate in twenty "
            "looks like this."
        )
    if evidence.verdict is Verdict.FAIL and within_margin(evidence.against_bar):
        found.append(
            "The loss is real but smaller than the margin. It fails all the same, or small losses would add up; if it "
            "is wanted, make a new baseline and say why."
        )
    if evidence.p_better < FAIL_LEVEL:
        found.append(
            f"Warning: better than chance explains (p = {_p(evidence.p_better)}). Check that the protocol is the same; "
            "if it is, make a new baseline, or the next loss will hide behind this gain."
        )
    if min(len(candidate), len(baseline)) == 1:
        found.append(
            "One seed: the level holds, as every game is a comparison of its own, but little can be found, and nothing "
            "can be said of a single game."
        )
    return found
