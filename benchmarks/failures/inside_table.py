"""The table of what was measured inside the learner, its notes, and the same for a program."""

from __future__ import annotations

import math
from typing import Any

from benchmarks.failures.effects import LEVEL
from benchmarks.failures.findings import Findings
from benchmarks.failures.inside import Inside
from benchmarks.failures.variants import CLAIMS, CONTROL
from benchmarks.words import or_none, p_value, share

INSIDE_HEADER = (
    "variant", "game", "seeds", "mean Q", "return", "TD error", "entropy", "dormant", "rewards", "bound",
    "beyond the bound",
)  # fmt: skip


def inside_rows(found: Findings) -> list[tuple[str, ...]]:
    """A row per game and variant, the reference and its control first."""
    return [
        (
            each.variant, each.game, str(each.seeds),
            *(digits(each.medians[name]) for name in ("q_mean", "start_return", "td_error_ratio", "action_entropy")),
            *(_percent(each.medians["dormant_hidden"]), share(each.medians["nonzero_reward_share"])),
            "none" if each.bound is None else digits(each.bound), beyond_words(each),
        )
        for each in found.inside
    ]  # fmt: skip


def beyond_words(each: Inside) -> str:
    """How many runs exceed the bound, and if they were tested how many of the reference's, and the adjusted p."""
    if each.bound is None:
        return "no bound"
    own = f"{each.beyond} of {each.seeds}"
    if each.reference is None or each.adjusted is None:
        return own
    own += f" v {each.reference[0]} of {each.reference[1]}"
    if not each.beyond:  # no sign of anything
        return own
    extreme = each.beyond == each.seeds and not each.reference[0]
    return f"{own}, {'too few seeds' if extreme and each.adjusted >= LEVEL else f'p {p_value(each.adjusted)}'}"


def inside_notes(found: Findings) -> list[str]:
    """What the columns are, and what the test says."""
    tested = [each for each in found.inside if each.p is not None and each.reference]
    lines = [
        "Inside the learner: medians over seeds. Mean Q: of the best action, over held-out states, at the end. All "
        "else is of the second half of training, the median of its rows, or for the return their mean. Return: "
        "discounted, as learnt from, from the start of an episode to the first terminal, so what Q should be at the "
        "start. TD error: its variance over that of its target; at 1 a constant predicts as well. Entropy: of greedy "
        "actions over the held-out states, 0 where one action is the best in all, 1 where all are so equally often. "
        "Dormant: share of hidden units. Rewards: share of transitions in replay whose reward is not 0.",
        "Bound: largest reward / (1 - discount), which no true value exceeds; none where rewards are not clipped. "
        "Beyond the bound: runs whose largest held-out Q exceeded their own bound at any time, or stopped being a "
        f"number. {CONTROL.name} is counted and not tested.",
    ]
    if tested:
        lines.append(
            "Its p: Fisher's exact test against the reference's runs, one-sided (more of them), Holm for those of the "
            f"{len(tested)} tests of that column that have runs enough to show anything. Below {LEVEL:g} the variant's "
            f"values diverge (C3, {CLAIMS['C3']}). "
            "This needs no score, so it holds also where the reference had not learnt; whether diverging costs points "
            "is for the scores to say."
        )
    return lines


def inside_as_json(found: Findings) -> list[dict[str, Any]]:
    """Every number unrounded; null where there is none, or where it is not finite."""
    return [
        {"variant": each.variant, "game": each.game, "seeds": each.seeds, "bound": each.bound,
         "beyond": None if each.bound is None else each.beyond,
         "reference_beyond": each.reference[0] if each.reference else None,
         "reference_seeds": each.reference[1] if each.reference else None,
         "p_fisher": each.p, "p_fisher_holm": each.adjusted,
         "medians": {name: or_none(value) for name, value in each.medians.items()}}
        for each in found.inside
    ]  # fmt: skip


def digits(value: float) -> str:
    """Three significant digits, e.g. ``2.11`` or ``58,100``; ``none`` where there is no number."""
    if not math.isfinite(value):
        return "none" if math.isnan(value) else "infinite"
    rounded = float(f"{value:.3g}")
    if abs(rounded) < 1_000:
        return f"{value:.3g}"
    return f"{rounded:,.0f}" if abs(rounded) < 1e7 else f"{value:.2e}"


def _percent(value: float) -> str:
    return f"{value:.0%}" if math.isfinite(value) else "none"
