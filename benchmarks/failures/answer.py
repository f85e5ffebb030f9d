"""What was measured, claim by claim, in sentences: every number of docs/why-dqn-fails.md comes from records, here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from benchmarks.failures.effects import Learnt
from benchmarks.failures.findings import Findings, Run, find, groups, scores_of
from benchmarks.failures.inside import Inside
from benchmarks.failures.inside_table import beyond_words
from benchmarks.failures.table import ABOVE_BOTH, NO_RUNS, learnt_word
from benchmarks.failures.variants import CLAIMS, CONTROL, REFERENCE, VARIANTS, Variant
from benchmarks.markdown import folded, table
from benchmarks.permutation import iqm
from benchmarks.random_play import HELD, chance
from benchmarks.sources import DOPAMINE, published
from benchmarks.store import Store
from benchmarks.suites import suite_games
from benchmarks.words import count, p_value, points, share
from dqn_ref.config import DQNConfig, format_frames
from dqn_ref.protocols import NATURE

EARLY_MILLIONS = (1, 2, 5, 10, 50)  # of frames
RESAMPLES = 10_000


def _found(store: Store) -> list[Findings]:
    return [find(store, group) for group in groups(store)]


def _compared(store: Store) -> list[tuple[Findings, Learnt]]:
    """Each game on which variants were compared; the others, where rewards are sparse, have ``sparseness``."""
    return [
        (found, each)
        for found in _found(store)
        for each in found.learnt
        if any(row.game == each.game for row in found.rows)
    ]


# ---------------------------------------------------------------------- is it learning at all?


def state_of_learning(store: Store) -> str:
    """What the reference had learnt at each budget and game, in sentences."""
    return "\n".join(_state(store, found, each) for found, each in _compared(store)) or NO_RUNS


def _state(store: Store, found: Findings, each: Learnt) -> str:
    reference, control = found.of(REFERENCE, each.game), found.of(CONTROL, each.game)
    config, seen = reference[0].record.config, _inside(found, REFERENCE, each.game).medians
    interval = each.lead and each.lead.interval
    lead = f" (it is {points(interval[0])} to {points(interval[1])} above its control, 95 %)" if interval else ""
    unaware, held = _unaware(store, each), _held(store, each.game)
    explain = f"values explain {explained(seen['td_error_ratio'])}"
    if math.isnan(seen["td_error_ratio"]):
        explain = "not measured is what values explain"
    lines = [
        f"**{each.game}, {format_frames(config.total_frames)} frames ({found.group}).**",
        f"Random play scores {_chance(store, each)}, the reference {_scores(reference)} while it learns, "
        f"and the control, whose rewards are all the same, {_scores(control)}: the reference is "
        f"{'above' if each.holds else 'not shown to be above'} both{lead}.",
        *([f"So {unaware} of what it has above random play is there without knowing what scores."] if unaware else []),
        *([f"Random play that holds each action for eight agent steps scores {held}."] if held else []),
        f"Held still, the reference's last networks score {points(_mean([run.evaluation for run in reference]))}.",
        f"They value first states at {seen['q_start']:.1f}, and what followed was worth {seen['start_return']:.1f}; "
        f"{explain} of the variance of their targets; the greedy "
        f"actions' entropy is {seen['action_entropy']:.2f} of 1.",
        f"The target network was copied {copies(config):,} times.",
    ]
    return " ".join(lines) + "\n"


def _held(store: Store, game: str) -> str:
    """What chance scores that holds each action; nothing where it was not played."""
    played = chance(store, game, HELD)
    return f"{points(played.mean)} ± {points(played.standard_error)}" if played else ""


def _chance(store: Store, each: Learnt) -> str:
    played = chance(store, each.game)
    published = f"{points(each.random)} (published)"
    return f"{points(played.mean)} at the agent's frame skip, {published}" if played else published


def _unaware(store: Store, each: Learnt) -> str:
    """The control's share of what the reference has above random play, with its interval over seeds.

    Nothing where the reference has next to nothing above it, or there is no control.
    """
    if not len(each.control) or each.scores.mean() <= each.bar:
        return ""
    played, draw = chance(store, each.game), np.random.default_rng(0)
    zero = played.mean if played else each.random
    both = (each.control, each.scores)
    seen = [scores.mean() - zero for scores in both]
    drawn = [draw.choice(scores, (RESAMPLES, len(scores))).mean(axis=1) - zero for scores in both]
    low, high = np.quantile(drawn[0] / drawn[1], (0.025, 0.975))
    return f"{seen[0] / seen[1]:z.0%} ({low:z.0%} to {high:z.0%})"


def beside_the_control(store: Store) -> str:
    """What ``state_of_learning`` says of scores, as a table."""
    header = (
        "game", "frames", "random play", "random play, each action held for 8 agent steps", "the control",
        "the reference",
        "share of its gain that the control has too (95 % bootstrap over seeds)",
    )  # fmt: skip
    rows = list[tuple[str, ...]]()
    for found, each in _compared(store):
        reference = found.of(REFERENCE, each.game)
        rows.append((
            each.game,
            format_frames(reference[0].record.config.total_frames),
            _chance(store, each),
            _held(store, each.game),
            _scores(found.of(CONTROL, each.game)),
            _scores(reference),
            _unaware(store, each),
        ))  # fmt: skip
    return table(header, rows) if rows else NO_RUNS


def _scores(runs: Sequence[Run]) -> str:
    if not runs:
        return "(no run)"
    scores = scores_of(runs)
    spread = f", {points(float(scores.min()))} to {points(float(scores.max()))}" if len(scores) > 1 else ""
    return f"{points(float(scores.mean()))} ({count(len(runs), 'seed')}{spread})"


def _inside(found: Findings, variant: Variant, game: str) -> Inside:
    return next(each for each in found.inside if (each.variant, each.game) == (variant.name, game))


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else math.nan


# ---------------------------------------------------------------------- how long values take to rise


def copies(config: DQNConfig) -> int:
    """Copies of a network that has learnt, in a run of ``config``: the reference's, or one that keeps its period."""
    period = config.target_period_agent_steps
    return (config.total_agent_steps - 1) // period - config.replay_start_agent_steps // period


def rise(store: Store) -> str:
    """How far bootstrapped values have risen, by arithmetic, beside what the runs' values were."""
    header = (
        "setting", "frames", "copies to the target", "by arithmetic", "measured: value of first states / what followed"
    )  # fmt: skip
    rows = list[tuple[str, ...]]()
    for found, each in _compared(store):
        record = found.of(REFERENCE, each.game)[0].record
        seen = _inside(found, REFERENCE, each.game).medians
        arrived = f"{seen['q_start'] / seen['start_return']:.0%}" if seen["start_return"] > 0 else "nothing followed"
        rows.append(_rise_row(f"{each.game}, {record.protocol}", record.config, arrived))
    for millions in EARLY_MILLIONS:
        rows.append(_rise_row("the paper's", replace(NATURE.config, total_frames=millions * 1_000_000), ""))
    return table(header, rows)


def _rise_row(name: str, config: DQNConfig, measured: str) -> tuple[str, ...]:
    number = copies(config)
    risen = 1 - config.discount ** (number + 1)
    return name, format_frames(config.total_frames), f"{number:,}", f"{risen:.0%}", measured


def published_early(store: Store) -> str:
    """Published DQNs' IQM over Atari-10 at small budgets; ``store`` is not asked."""
    games = suite_games("atari10")
    rows = [
        (name, *(f"{float(iqm(curves.at(millions * 1_000_000, games).ravel())):.3f}" for millions in EARLY_MILLIONS))
        for name, curves in ((name, published(name)) for name in DOPAMINE)
    ]
    return table(("published DQN, IQM over Atari-10", *(f"{millions}M" for millions in EARLY_MILLIONS)), rows)


# ---------------------------------------------------------------------- where it learns at all


def sparseness(store: Store) -> str:
    """A row for each game that the reference played: how often it sees a reward, and whether it has learnt (C6)."""
    rows = [
        (each.game, found.group, share(found.reward_share(each.game)), points(each.random),
         _scores(found.of(REFERENCE, each.game)), _scores(found.of(CONTROL, each.game)), learnt_word(each))
        for found in _found(store) for each in found.learnt
    ]  # fmt: skip
    header = ("game", "runs", "transitions with a reward", "random (published)", "reference", "control", ABOVE_BOTH)
    return table(header, rows, {"game", "runs", ABOVE_BOTH}) if rows else NO_RUNS


# ---------------------------------------------------------------------- claim by claim


def claims(store: Store) -> str:
    """A row for each claim and variant that was run: what was measured, and whether that says anything."""
    parts = list[str]()
    for found, each in _compared(store):
        reference = found.of(REFERENCE, each.game)
        header = [
            "claim", "variant", "score", "lower: p, Holm", "held still", "targets explained",
            "values beyond the bound", *(["verdict on the score"] if each.holds else []),
        ]  # fmt: skip
        told = [[REFERENCE.claim, REFERENCE.name, _scores(reference), "", *_seen(found, REFERENCE, each.game), ""]]
        told += [
            [row.variant.claim, row.variant.name, _scores(row.runs), p_value(row.judged.adjusted_lower),
             *_seen(found, row.variant, each.game), str(row.judged.verdict)]
            for row in found.rows if row.game == each.game
        ]  # fmt: skip
        told = [row[: len(header)] for row in told]  # where no verdict can follow there is no column of them
        rows_told = table(header, told, {"claim", "variant", "verdict on the score"})
        name = f"{each.game}, {found.group}"
        if each.decidable:
            why = "" if each.holds else f" (above random play and its control? {learnt_word(each)}. So no verdicts)"
            parts.append(f"**{name}**{why}:\n\n{rows_told}")
        else:
            parts.append(folded(f"{name}: {learnt_word(each)}, so no verdicts", rows_told))
    parts.append("".join(f"- {claim}: {words}\n" for claim, words in CLAIMS.items() if claim.startswith("C")))
    return "\n".join(parts)


def _seen(found: Findings, variant: Variant, game: str) -> tuple[str, str, str]:
    """Mean score of the last networks held still, what values explain, and how often they leave their bound."""
    seen, still = _inside(found, variant, game), _mean([run.evaluation for run in found.of(variant, game)])
    return points(still), explained(seen.medians["td_error_ratio"]), beyond_words(seen)


def explained(td_error_ratio: float) -> str:
    """Share of the variance of their targets that values explain, 0% where they are off by more than all of it."""
    return "not measured" if math.isnan(td_error_ratio) else f"{max(0.0, 1 - td_error_ratio):.0%}"


def untried(store: Store) -> str:
    """Variants that no stored run has tried."""
    tried = {run.variant.name for found in _found(store) for run in found.runs}
    missing = [name for name in VARIANTS if name not in tried]
    return f"Not run yet: {', '.join(missing)}.\n" if missing else "Every variant has been run.\n"


# ---------------------------------------------------------------------- what measuring costs


def cost_of_measuring(store: Store) -> str:
    """Share of training time that went into rows of progress and saved weights: what the intervals do not count."""
    runs = [run for found in _found(store) for run in found.runs if run.variant is REFERENCE]
    if not runs:
        return NO_RUNS
    rows, outside, wall = 0, 0.0, 0.0
    for run in runs:
        progress = run.record.progress()
        starts = [0.0, *(row["frames"] for row in progress[:-1])]
        steps = zip(progress, starts, strict=True)
        within = sum((row["frames"] - start) / row["frames_per_second"] for row, start in steps)
        rows, wall = rows + len(progress), wall + progress[-1]["wall_seconds"]
        outside += progress[-1]["wall_seconds"] - within
    config = runs[0].record.config
    return (
        f"{outside / wall:.2%} of the training time of {len(runs)} runs of the reference went into {rows} rows, "
        f"all measures and saved weights included: {outside / rows:.2f} s each, one every "
        f"{format_frames(config.progress_frames)} frames, on {config.heldout_states} states.\n"
    )
