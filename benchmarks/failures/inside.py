"""What was measured inside the learner: shown where scores bear no verdict, as when a variant's values diverge."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from benchmarks.failures.effects import LEVEL
from benchmarks.permutation import holm_of_discrete
from dqn_ref.config import DQNConfig
from dqn_ref.records import RunRecord

Rows = Sequence[Mapping[str, float]]  # of progress.csv
LAST_SHARE = 0.5  # of training, its end, whose rows are summarised


def _last(values: Sequence[float]) -> float:
    return values[-1] if values else math.nan


def _last_known(values: Sequence[float]) -> float:
    return _last([value for value in values if not math.isnan(value)])


def _mean(values: Sequence[float]) -> float:
    kept = [value for value in values if not math.isnan(value)]
    return float(np.mean(kept)) if kept else math.nan


def _median(values: Sequence[float]) -> float:
    kept = [value for value in values if not math.isnan(value)]
    return float(np.median(kept)) if 2 * len(kept) > len(values) else math.nan  # a few rows do not stand for all


# Column of progress.csv: how its rows of the second half of training become one number of a run.
MEASURES: Mapping[str, Callable[[Sequence[float]], float]] = MappingProxyType({
    "q_mean": _last,
    "q_start": _last_known,  # a row in which no episode ended has none
    "start_return": _mean,
    "td_error_ratio": _median,
    "action_entropy": _median,
    "dormant_hidden": _median,
    "nonzero_reward_share": _median,
})  # fmt: skip


@dataclass(frozen=True)
class Inside:
    """The runs of a variant on a game, seen from inside; Fisher's test is against the reference's runs there."""

    variant: str
    game: str
    seeds: int
    bound: float | None  # of any true value; None where rewards are not clipped, or not discounted
    beyond: int  # runs whose largest held-out Q was above the bound at any time
    medians: Mapping[str, float]  # over the runs, of each of MEASURES; NaN where none recorded it
    reference: tuple[int, int] | None = None  # runs of the reference beyond its bound, and all of them
    p: float | None = None  # one-sided: chance of so many beyond it, if the variant's runs are as the reference's
    adjusted: float | None = None  # Holm over the rows of the table that have a p


def inside(variant: str, game: str, records: Sequence[RunRecord]) -> Inside:
    """Read ``records``, one or more runs of one variant on one game. Raises UserError: a record is broken."""
    bound = value_bound(records[0].config)
    progress = [record.progress() for record in records]
    each = [
        measured(rows, record.config.total_frames * (1 - LAST_SHARE))
        for rows, record in zip(progress, records, strict=True)
    ]
    return Inside(
        variant, game, len(records), bound,
        beyond=sum(bound is not None and goes_beyond(rows, bound) for rows in progress),
        medians={name: _median([own[name] for own in each]) for name in MEASURES},
    )  # fmt: skip


def value_bound(config: DQNConfig) -> float | None:
    """The largest value that rewards permit: the largest reward / (1 - discount). None: rewards have no bound."""
    reward = config.reward_clip if config.constant_reward is None else abs(config.constant_reward)
    return None if reward is None or config.discount >= 1 else reward / (1 - config.discount)


def goes_beyond(rows: Rows, bound: float) -> bool:
    """Whether the largest Q of the held-out states was above ``bound`` in any row.

    It counts too if it was a number once and then none: values that overflowed. Before the held-out states are drawn
    there is no number either.
    """
    values = [row["q_max"] for row in rows]
    numbers = [place for place, value in enumerate(values) if not math.isnan(value)]
    if not numbers:
        return False
    lost = any(math.isnan(value) for value in values[numbers[0] :])
    return lost or max(values[place] for place in numbers) > bound


def measured(rows: Rows, after: float) -> dict[str, float]:
    """Each of MEASURES of one run, from the rows past ``after`` frames; NaN where there is no number."""
    late = [row for row in rows if row["frames"] > after]
    return {name: summary([row.get(name, math.nan) for row in late]) for name, summary in MEASURES.items()}


# ---------------------------------------------------------------------- do values diverge? (claim C3)


def against(references: Mapping[str, Inside], variants: Sequence[Inside]) -> list[Inside]:
    """``variants`` with Fisher's exact test against ``references`` [by game], adjusted for being several (Holm).

    A row without a bound, its own or the reference's, has no test and does not count.
    """
    tested = [
        place for place, each in enumerate(variants)
        if each.bound is not None and each.game in references and references[each.game].bound is not None
    ]  # fmt: skip
    p_values = [fisher(variants[place], references[variants[place].game]) for place in tested]
    found = list(variants)
    if not tested:
        return found
    lowest = [lowest_p(variants[place], references[variants[place].game]) for place in tested]
    adjusted = holm_of_discrete(np.array(p_values), np.array(lowest), LEVEL)
    for place, p, own in zip(tested, p_values, adjusted, strict=True):
        each, reference = variants[place], references[variants[place].game]
        found[place] = replace(each, reference=(reference.beyond, reference.seeds), p=p, adjusted=float(own))
    return found


def lowest_p(variant: Inside, reference: Inside) -> float:
    """The smallest that ``fisher`` gives for so many runs: all of the variant's are beyond the bound, no others."""
    return 1 / math.comb(variant.seeds + reference.seeds, variant.seeds)


def fisher(variant: Inside, reference: Inside) -> float:
    """One-sided p-value of Fisher's exact test: so many of the variant's runs are beyond the bound, or more."""
    from scipy.stats import fisher_exact  # slow to import, and only asked here

    table = [[each.beyond, each.seeds - each.beyond] for each in (variant, reference)]
    return float(fisher_exact(table, alternative="greater").pvalue)
