"""The table of the failures suite: on a terminal, as Markdown, and for a program."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import Any

import numpy as np

from benchmarks.costs import format_seconds
from benchmarks.failures.effects import CONFIDENCE, LEARNT_MARGIN, LEVEL, POWER, Effect, Learnt, Verdict
from benchmarks.failures.findings import Findings, Row, Run, find, groups, scores_of
from benchmarks.failures.inside_table import INSIDE_HEADER, inside_as_json, inside_notes, inside_rows
from benchmarks.failures.variants import ALIASES, CLAIMS, CONTROL, REFERENCE, VARIANTS
from benchmarks.markdown import folded, table
from benchmarks.store import Store
from benchmarks.words import or_none, p_value, points, share, signed
from dqn_ref.config import format_frames
from dqn_ref.provenance import machine_words, source_words

NO_RUNS = "No run is stored yet: `tox -e bench-failures` makes the first.\n"

HEADER = (
    "claim", "variant", "game", "seeds", "reference", "variant's", f"effect ({CONFIDENCE:.0%} interval)", "p, Holm",
    "verdict",
)  # fmt: skip
ABOVE_BOTH = "above both"  # random play and the control; less than to have learnt, and the least that learning shows
LEARNT_HEADER = (
    "game", "seeds", "random", "bar", "reference", "p, bar", "control", f"less control ({CONFIDENCE:.0%} interval)",
    "p, control", ABOVE_BOTH, "transitions with a reward",
)  # fmt: skip
VIEW_HEADER = (
    "variant", "game", "p", "two-sided", "lowest possible", "drop that shows",
    "evaluation: reference", "variant's",
)  # fmt: skip
WORDS = {"claim", "variant", "game", "verdict", ABOVE_BOTH, "seeds"}  # columns of these tables that hold no numbers


def table_rows(found: Findings) -> list[tuple[str, ...]]:
    """A row per variant and game."""
    return [_row(row) for row in found.rows]


def _row(row: Row) -> tuple[str, ...]:
    result, effect = row.judged, row.judged.effect
    return (
        row.variant.claim, row.variant.name, row.game, f"{len(row.runs)} v {len(row.reference)}",
        points(_mean(row.reference)), points(_mean(row.runs)), _effect_words(effect),
        p_value(result.adjusted_lower), str(result.verdict),
    )  # fmt: skip


def _effect_words(effect: Effect | None) -> str:
    if effect is None:
        return "none"
    interval = f"{signed(effect.interval[0])} to {signed(effect.interval[1])}" if effect.interval else "none"
    return f"{signed(effect.difference)} ({interval})"


def learnt_rows(found: Findings) -> list[tuple[str, ...]]:
    """A row per game: whether it bears any verdict, and how sparse its rewards are (claim C6)."""
    return [
        (
            each.game, f"{len(each.scores)} v {len(each.control)}", points(each.random), points(each.bar),
            points(float(each.scores.mean())), p_value(each.p), points(_control_mean(each)), _effect_words(each.lead),
            p_value(each.control_p), learnt_word(each), share(found.reward_share(each.game)),
        )
        for each in found.learnt
    ]  # fmt: skip


def _control_mean(each: Learnt) -> float:
    return float(each.control.mean()) if len(each.control) else math.nan


def learnt_word(each: Learnt) -> str:
    """``yes``, what the reference is not above, or why there is no telling."""
    if not len(each.control):
        return "no control"
    if not each.decidable:
        return str(Verdict.TOO_FEW)
    if each.holds:
        return "yes"
    missed = [name for name, p in (("random", each.p), ("its control", each.control_p)) if p >= LEVEL]
    return f"no: not above {' nor '.join(missed)}"


def view_rows(found: Findings) -> list[tuple[str, ...]]:
    """A row per variant and game: the effect in other units, what so few seeds can show, and the evaluation."""
    rows = list[tuple[str, ...]]()
    for row in found.rows:
        result, effect = row.judged, row.judged.effect
        own, reference = (float(np.mean([run.evaluation for run in runs])) for runs in (row.runs, row.reference))
        rows.append((
            row.variant.name, row.game, *map(p_value, (effect.p_lower, effect.p_two_sided, effect.lowest_p)),
            points(result.detectable), points(reference), points(own),
        ))  # fmt: skip
    return rows


def notes(found: Findings) -> list[str]:
    """How the numbers are made, and what they cannot show."""
    config = found.runs[0].record.config
    lines = [
        f"Score: mean raw return of the episodes that ended in the second half of {format_frames(config.total_frames)} "
        "frames of training, while it learns, at the variant's own epsilon. "
        "Effect: mean of the variant's seeds less mean of the reference's, in raw points.",
        "p: exact permutation test of the means, one-sided (lower); interval: the shifts that the same test, "
        "two-sided, does not reject, for a variant that moves every run alike.",
    ]
    if found.rows:
        lines.append(
            f"p, Holm: adjusted for those of the {len(found.rows)} comparisons of this table that have runs enough to "
            f"show anything (Tarone 1990); p is 1 for the others. {Verdict.CONFIRMED!s}: below "
            f"{LEVEL:g}; {Verdict.OPPOSITE!s}: the other side below {LEVEL:g}, adjusted alike; {Verdict.NOT_SHOWN!s}: "
            f"neither; {Verdict.TOO_FEW!s}: no scores of so few "
            "seeds could have reached that level in this table."
        )
        lines.append(
            f"Drop that shows: the smallest that would be found {POWER:.0%} of the time, at the level of Holm's first "
            "step, if scores were normal and spread as seen. Lowest possible: the smallest p of so few seeds."
        )
    lines.append(
        f"A game supports a verdict if the reference is above two things on it, p < {LEVEL:g} each. Bar: the random "
        f"policy's published score and {LEARNT_MARGIN:.0%} of the way from it to the human one, by an exact sign-"
        f"flip test over its seeds. Control: {CONTROL.name}, the same agent with one reward for every step, by the "
        "permutation test. The control cannot know which actions score, and is no comparison of the table."
    )
    lines.append(
        f"Evaluation: mean return of {config.evaluation_episodes} episodes of the last network, which learns no more, "
        f"at epsilon {config.evaluation_epsilon:g} for all. A network so early in training plays far worse when it is "
        "held still, often no better than chance, so verdicts are not of this. Where one action is greedy everywhere, "
        "it is the score of that action on fixed random numbers: equal scores are then the same episodes, and a "
        "difference says which action it was."
    )
    for row in found.rows:
        if row.unchanged:
            lines.append(f"{row.variant.name} on {row.game}: the reference's own episodes; it changes nothing here.")
    lines += inside_notes(found)
    names = {row.variant.name for row in found.rows}
    lines += [f"{other} is {name}: {reason}." for other, (name, reason) in ALIASES.items() if name in names]
    if found.unfinished:
        lines.append(f"Left out, not finished or without a score: {', '.join(found.unfinished)}.")
    return lines


# ---------------------------------------------------------------------- as text


def markdown(found: Findings) -> str:
    """The tables and their notes, all but the first two folded away."""
    parts = [table(LEARNT_HEADER, learnt_rows(found), WORDS)]
    if found.rows:
        view = table(VIEW_HEADER, view_rows(found), WORDS)
        parts.append(table(HEADER, table_rows(found), WORDS))
        parts.append(folded("What so few seeds can show, and evaluations", view))
    parts.append(folded("Inside the learner", table(INSIDE_HEADER, inside_rows(found), WORDS)))
    told = "".join(f"- {note}\n" for note in [*notes(found), made_by(found.runs)])
    return "\n".join([*parts, folded("How these numbers are made, and by which runs", told)])


def made_by(runs: Sequence[Run]) -> str:
    """Machines and source revisions of ``runs``, and how long they took."""
    origins = [origin for run in runs for origin in run.record.provenances]
    machines = dict.fromkeys(machine_words(each.get("machine", {})) for each in origins)
    sources = dict.fromkeys(source_words(each.get("source", {})) for each in origins)
    seconds = [run.record.seconds for run in runs]
    middle, least, most = (format_seconds(which(seconds)) for which in (median, min, max))
    threads = " or ".join(sorted({str(each.get("torch", {}).get("threads", "?")) for each in origins}))
    return (
        f"{len(runs)} runs, made by {'; '.join(machines)}, source {', '.join(sources)}; a run took {middle} (median; "
        f"{least} to {most}) on {threads} thread(s), whatever else the machine did."
    )


def markdown_of_all(store: Store, images: str) -> str:
    """Every group that has runs, a section each, for the documentation; drawings lie under ``images``."""
    parts = list[str]()
    for group in groups(store):
        found = find(store, group)
        parts.append(f"### `{group}`\n\n{markdown(found)}")
        for game in dict.fromkeys(row.game for row in found.rows):
            scores, curves = (
                f"![{kind} of {game}]({images}/failures-{group}/{kind}-{game}.png)\n" for kind in ("scores", "curves")
            )
            parts += [scores, folded(f"Learning curves of {game}", curves)]
    return "\n".join(parts) or NO_RUNS


def markdown_of_variants() -> str:
    """Every variant: what it changes, why that should hurt, and whose claim it is."""
    rows = [
        (f"`{variant.name}`", variant.claim, variant.says, variant.source)
        for variant in VARIANTS.values()
        if variant is not REFERENCE
    ]
    claims = [f"- {claim}: {words}" for claim, words in CLAIMS.items() if claim != REFERENCE.claim]
    others = [f"- `{other}` is `{name}`: {reason}." for other, (name, reason) in ALIASES.items()]
    header = ("variant", "claim", "what is changed, and why it should hurt", "source")
    return "\n".join([*claims, *others]) + f"\n\n{table(header, rows, header)}"


def as_json(found: Findings) -> dict[str, Any]:
    """The same for a program: every number unrounded."""
    return {
        "schema": 1,
        "group": found.group,
        "games": [
            {"game": each.game, "random": each.random, "bar": each.bar, "scores": each.scores.tolist(), "p": each.p,
             "control": CONTROL.name, "control_scores": each.control.tolist(), "p_control": or_none(each.control_p),
             "less_control_interval": each.lead and each.lead.interval,
             "learnt": learnt_word(each),
             "nonzero_reward_share": or_none(found.reward_share(each.game))}
            for each in found.learnt
        ],
        "comparisons": [
            {"claim": row.variant.claim, "variant": row.variant.name, "game": row.game,
             "scores": scores_of(row.runs).tolist(), "reference_scores": scores_of(row.reference).tolist(),
             "difference": row.judged.effect.difference, "interval": row.judged.effect.interval,
             "p_lower": row.judged.effect.p_lower, "p_higher": row.judged.effect.p_higher,
             "p_two_sided": row.judged.effect.p_two_sided, "lowest_p": row.judged.effect.lowest_p,
             "p_lower_holm": row.judged.adjusted_lower, "p_higher_holm": row.judged.adjusted_higher,
             "smallest_drop_that_shows": or_none(row.judged.detectable),
             "verdict": str(row.judged.verdict), "unchanged": row.unchanged}
            for row in found.rows
        ],
        "inside": inside_as_json(found),
        "unfinished": list(found.unfinished),
        "notes": notes(found),
    }  # fmt: skip


def _mean(runs: Sequence[Run]) -> float:
    return float(scores_of(runs).mean())
