"""Tables beside the main one of the calibration: one game alone, other gates, other bars, how many seeds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.gates.cases import Case, counts, stream
from benchmarks.gates.score_rule import WARN_LEVEL, ask, game_p_values, within_margin
from benchmarks.gates.simulation import (
    MOST_SEEDS,
    RELABELLINGS,
    Noise,
    comparisons,
    dropped,
    seeds_to_pass,
    weigh_all,
)
from benchmarks.permutation import Relabellings, iqm
from benchmarks.protocols import Margin

_NAIVE_DROP = 0.1
_RESAMPLES = 500  # of the interval gate

Row = dict[str, Any]
Scores = NDArray[np.float64]


def single_games_table(case: Case, repetitions: int, seed: int) -> list[Row]:
    """One game falls to the random policy's score, 5 seeds a side; and how often the per-game advice names it."""
    rows, noise, count = [], Noise.of(case.scores), max(1, repetitions // 10)
    for place, game in enumerate(case.games):
        if noise.means[place] <= 0:
            continue  # nothing to lose
        draw = stream(seed, case, game)
        candidates, baselines = comparisons(noise, 5, 5, count, draw)
        candidates[:, :, place] -= noise.means[place]
        found = weigh_all(candidates, baselines, case.margin, int(draw.integers(2**31)))
        one = Relabellings.of(5, 5, 1)
        pairs = zip(candidates, baselines, strict=True)
        named = sum(game_p_values(candidate, baseline, one)[place] < WARN_LEVEL for candidate, baseline in pairs)
        rows.append({"game": game, "score": float(noise.means[place]), "named": int(named), **counts(found)})
    return rows


# ---------------------------------------------------------------------- other gates


NAIVE = "any game's mean 10 % lower"
INTERVAL = "95 % bootstrap interval of the difference of IQM below 0"


def other_gates_table(case: Case, repetitions: int, seed: int) -> list[Row]:
    """What two gates that suggest themselves do when nothing changed, and at a uniform drop of 20 %."""
    rows, noise, half = [], Noise.of(case.scores), repetitions // 2
    for seeds in (3, 5, 10):
        draw = stream(seed, case, "other gates", seeds)
        candidates, baselines = comparisons(noise, seeds, seeds, half, draw)
        for drop in (0.0, 0.2):
            pairs = list(zip(dropped(candidates, drop), baselines, strict=True))
            fails = {
                NAIVE: sum(any_game_lower(*pair) for pair in pairs),
                INTERVAL: sum(interval_below_zero(*pair, draw) for pair in pairs),
            }
            rows.append({"seeds": seeds, "drop": drop, "comparisons": half, **fails})
    return rows


def any_game_lower(candidate: Scores, baseline: Scores) -> bool:
    """Whether any game's mean is lower than the baseline's by more than a tenth of it."""
    now, before = candidate.mean(axis=0), baseline.mean(axis=0)
    return bool((now < before - _NAIVE_DROP * np.abs(before)).any())


def interval_below_zero(candidate: Scores, baseline: Scores, draw: np.random.Generator) -> bool:
    """Whether the 95 % percentile interval of the difference of IQM, seeds resampled within games, is below 0."""

    def resampled(scores: Scores) -> Scores:
        rows = draw.integers(len(scores), size=(_RESAMPLES, *scores.shape))
        return iqm(scores[rows, np.arange(scores.shape[1])].reshape(_RESAMPLES, -1))

    return bool(np.percentile(resampled(candidate) - resampled(baseline), 97.5) < 0)


# ---------------------------------------------------------------------- the margin


OWN_BAR = "share above random"


def bars(margin: Margin) -> dict[str, Callable[[Scores], Scores]]:
    """Ways to lower a baseline [n, games] by a margin."""
    return {
        OWN_BAR: margin.bar,
        "share of every score": lambda scores: scores * (1 - margin.share),
        "share of the IQM": lambda scores: scores - max(margin.share * float(iqm(scores.ravel())), margin.least),
    }


def bars_table(case: Case, repetitions: int, seed: int) -> list[Row]:
    """How often the margin's test is content: nothing changed, and every run lower by just the gate's margin."""
    rows, noise, count = [], Noise.of(case.scores), max(1, repetitions // 4)
    seeds = min(5, len(case.scores))
    draw = stream(seed, case, "bars")
    candidates, baselines = comparisons(noise, seeds, seeds, count, draw)
    drawn = Relabellings.of(seeds, seeds, len(case.games), RELABELLINGS, int(draw.integers(2**31)))
    for name, bar in bars(case.margin).items():
        content = [
            sum(within_margin(ask(one, bar(other), drawn)) for one, other in zip(changed, baselines, strict=True))
            for changed in (candidates, case.margin.bar(candidates))
        ]
        row = {"bar": name, "seeds": seeds, "comparisons": count, "unchanged": content[0], "at the margin": content[1]}
        rows.append(row)
    return rows


def seeds_table(case: Case, repetitions: int, seed: int) -> list[Row]:
    """Seeds that the gate asks for, going by 3 a side; and how often an unchanged agent passes with their median."""
    noise, count = Noise.of(case.scores), max(5, repetitions // 50)
    draw = stream(seed, case, "seeds to pass")
    pairs = zip(*comparisons(noise, 3, 3, count, draw), strict=True)
    asked = [seeds_to_pass(*pair, case.margin) or MOST_SEEDS for pair in pairs]
    low, typical, high = (int(each) for each in np.percentile(asked, [10, 50, 90], method="higher"))
    candidates, baselines = comparisons(noise, typical, typical, max(1, repetitions // 4), draw)
    found = counts(weigh_all(candidates, baselines, case.margin, int(draw.integers(2**31))))
    return [{"low": low, "median": typical, "high": high, "comparisons": found["comparisons"], "pass": found["pass"]}]
