"""What the probes measure: one number of an agent at a moment, and how moments become one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from benchmarks.doctor.probes import environments as env
from benchmarks.doctor.probes.look import Look

Found = dict[int, float]  # agent steps done -> what was measured then

# ---------------------------------------------------------------------- when, and of all moments one


def settled(agent_steps: int) -> Sequence[int]:
    """Ten moments of the last quarter, the last of them at the end: no probe hangs on a single update."""
    return [agent_steps - agent_steps // 40 * number for number in range(10)]


def from_the_first(agent_steps: int) -> Sequence[int]:
    """Twenty moments, the first of them before anything was learnt."""
    return [1, *(agent_steps * number // 20 for number in range(1, 21))]


def block_ends(agent_steps: int) -> Sequence[int]:
    """The ends of the last four blocks."""
    return [agent_steps * number // env.Blocks.num_blocks for number in (5, 6, 7, 8)]


def middle(found: Found) -> float:
    """Median of all moments, so that no update that went astray decides; NaN if half of them are NaN."""
    numbers = [number for number in found.values() if not math.isnan(number)]
    return float(np.median(numbers)) if 2 * len(numbers) > len(found) else math.nan


def largest_if_learnt(found: Found) -> float:
    """Largest size at any moment; NaN if at the last one the two states were not told apart."""
    return max(map(abs, found.values())) if found[max(found)] > 0 else math.nan


# ---------------------------------------------------------------------- what


def constant_value(look: Look) -> float:
    """The value of the only state."""
    return look.value(look.environment.lit(0))


def value_difference(look: Look) -> float:
    """Of the state that pays and the one that costs."""
    return look.value(look.environment.look(0)) - look.value(look.environment.look(1))


def signed_size(look: Look) -> float:
    """Larger size of the two values; negative unless the state that pays is worth more by 1."""
    pays, costs = look.value(look.environment.look(0)), look.value(look.environment.look(1))
    return max(abs(pays), abs(costs)) * (1 if pays - costs >= 1 else -1)


def spread(look: Look) -> float:
    """Share of the second state's value that has reached the first."""
    first, second = look.environment.lit(0), look.environment.lit(3)
    return _ratio(look.value(first), look.value(first, second))


def value_of_the_unpaid(look: Look) -> float:
    """Value of the state that ends in a good place, as a share of that place's."""
    return _ratio(look.value(look.environment.lit()), look.value(look.environment.lit(0)))


def _ratio(value: float, learnt: float) -> float:
    """``value / learnt``; NaN if what should be worth 1 was not learnt, so that the ratio means nothing."""
    return value / learnt if learnt >= 0.5 else math.nan


def right_in_the_bandit(look: Look) -> float:
    """1 if the greedy action is the paying one."""
    return float(look.greedy(look.environment.lit(0)) == look.environment.right)


def right_in_contexts(look: Look) -> float:
    """Share of states whose greedy action is the paying one."""
    here = look.environment
    return float(np.mean([look.greedy(here.lit(context)) == right for context, right in enumerate(here.right)]))


def right_directions(look: Look) -> float:
    """Share of the six (cell, direction) whose greedy action names the direction."""
    lit = look.environment.lit
    right = [
        look.greedy(lit((cell - move) % 3), lit(cell)) == direction
        for cell in range(3)
        for direction, move in enumerate((1, 2))
    ]
    return float(np.mean(right))


def far_sight(look: Look) -> float:
    """Share of the value at the corridor's end that has reached its start."""
    lit, length = look.environment.lit, look.environment.length
    return _ratio(look.value(lit(0)), look.value(*(lit(place) for place in range(length + 1))))


def treasure(look: Look) -> float:
    """1 if the greedy policy finds the treasure."""
    sea = type(look.environment)(np.random.default_rng(0), 0)
    sea.right = look.environment.right.copy()  # undecided cells stay so
    grids = [sea.reset()]
    while True:
        step = sea.step(look.greedy(*grids))
        if step.terminated:
            return float(step.reward > 0)
        grids.append(step.grid)


def right_in_both_blocks(look: Look) -> float:
    """Share of the two contexts whose greedy action is the paying one."""
    here = look.environment
    return float(np.mean([look.greedy(here.look(context)) == here.right(context) for context in (0, 1)]))
