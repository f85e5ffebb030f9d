"""The ladder: what each probe isolates, what number it measures, what passes, and where to look if it fails."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.doctor.probes import environments as env
from benchmarks.doctor.probes.look import Look
from benchmarks.doctor.probes.protocol import Form
from benchmarks.doctor.probes.quantities import (
    Found,
    block_ends,
    constant_value,
    far_sight,
    from_the_first,
    largest_if_learnt,
    middle,
    right_directions,
    right_in_both_blocks,
    right_in_contexts,
    right_in_the_bandit,
    settled,
    signed_size,
    spread,
    treasure,
    value_difference,
    value_of_the_unpaid,
)
from benchmarks.markdown import table
from dqn_ref.config import UserError


@dataclass(frozen=True)
class Probe:
    """One rung: it passes if its number lies between ``low`` and ``high``."""

    id: str
    isolates: str
    quantity: str  # what the number is
    low: float
    high: float
    where: tuple[str, ...]  # places to look at
    environment: Callable[[np.random.Generator, int], env.Environment]
    measure: Callable[[Look], float]
    agent_steps: dict[Form, int]
    builds_on: tuple[str, ...] = ()
    needs_values: bool = True
    checkpoints: Callable[[int], Sequence[int]] = settled
    combine: Callable[[Found], float] = field(default=middle)

    def margin(self, number: float) -> float:
        """Distance of ``number`` to the nearer threshold; below 0 it fails. What is not finite fails by -inf."""
        return -math.inf if not math.isfinite(number) else min(number - self.low, self.high - number)

    @property
    def passes(self) -> str:
        """The threshold, in words."""
        if self.high == math.inf:
            return f"at least {self.low:g}"
        return f"at most {self.high:g}" if self.low == -math.inf else f"{self.low:g} to {self.high:g}"


# ---------------------------------------------------------------------- the rungs


def _steps(image: int, vector: int) -> dict[Form, int]:
    return {"image": image, "vector": vector}


LADDER: tuple[Probe, ...] = (
    Probe(
        id="constant-reward",
        isolates="a value is learnt at all",
        quantity="value of the only state (right: 1; what is too high is the business of the next rungs)",
        low=0.75,
        high=math.inf,
        where=(
            "learn(): is it ever due within agent_steps (warm-up, period)? A learning rate of 0?",
            "the loss: is it detached from the weights, are these the weights that the optimiser has, does NaN spread?",
        ),
        environment=env.Constant,
        measure=constant_value,
        agent_steps=_steps(130, 600),
    ),
    Probe(
        id="observation-value",
        isolates="the value depends on the observation",
        quantity="difference of two states' values (right: 2)",
        low=1.5,
        high=2.5,
        where=(
            "what the network is given: the same buffer for every transition, stored by reference and overwritten",
            "a preprocessing that crops, casts or divides the picture away (uint8 / 255 in integers is 0)",
        ),
        environment=env.TwoContexts,
        measure=value_difference,
        agent_steps=_steps(160, 600),
        builds_on=("constant-reward",),
    ),
    Probe(
        id="two-step",
        isolates="value spreads by bootstrapping",
        quantity="share of the next state's value that has arrived (right: the discount)",
        low=0.75,
        high=1.25,
        where=(
            "target = r + discount * max Q_target(next): is the discount in it, and the *next* observation?",
            "is the target network ever copied to within agent_steps?",
        ),
        environment=env.TwoSteps,
        measure=spread,
        agent_steps=_steps(240, 800),
        builds_on=("constant-reward", "observation-value"),
    ),
    Probe(
        id="termination",
        isolates="nothing is bootstrapped after a terminal transition",
        quantity="value of a state that ends unpaid where others are paid, as a share of theirs (right: 0)",
        low=-0.4,
        high=0.4,
        where=(
            "the factor (1 - terminated) in the target: is it there, a float, of the same shape as the reward ([B], "
            "not [B, 1])?",
            "is `terminated` what replay stores, and not a flag of the next step?",
        ),
        environment=env.EndsInAGoodPlace,
        measure=value_of_the_unpaid,
        agent_steps=_steps(240, 800),
        builds_on=("constant-reward", "observation-value"),
    ),
    Probe(
        id="action-reward",
        isolates="the value depends on the action",
        quantity="share of greedy actions that are right",
        low=0.9,
        high=math.inf,
        where=(
            "the value that is regressed: Q of the action taken (gather by the stored action), not the max or the mean",
            "act(): the argmax over the axis of actions, and the action stored is the one that was played",
        ),
        environment=env.Bandit,
        measure=right_in_the_bandit,
        agent_steps=_steps(160, 600),
        builds_on=("constant-reward",),
        needs_values=False,
    ),
    Probe(
        id="observation-action",
        isolates="the action depends on the observation",
        quantity="share of states whose greedy action is right",
        low=0.85,
        high=math.inf,
        where=(
            "act(): does it look at this observation, or at the one before?",
            "replay: do observation, action and reward of a row belong together?",
            "a duelling head: the advantages must see the observation, too",
        ),
        environment=env.Contextual,
        measure=right_in_contexts,
        agent_steps=_steps(220, 1_000),
        builds_on=("observation-value", "action-reward"),
        needs_values=False,
    ),
    Probe(
        id="velocity",
        isolates="all frames of the stack are seen",
        quantity="share of motions whose greedy action is right",
        low=0.85,
        high=math.inf,
        where=(
            "the stack: four different frames, in the same order in act() and in replay, or the newest four times?",
            "the network's first layer: does it take all four channels ([4, 84, 84], not [84, 84, 4])?",
        ),
        environment=env.Velocity,
        measure=right_directions,
        agent_steps=_steps(440, 1_600),
        builds_on=("observation-action",),
        needs_values=False,
    ),
    Probe(
        id="truncation",
        isolates="a time limit is not an end: the value after it counts",
        quantity="value of a state that a time limit cuts off, as a share of the next one's (right: the discount)",
        low=0.75,
        high=1.25,
        where=(
            "`done = terminated or truncated` in the target: only `terminated` may stop the bootstrapping",
            "after a truncation, is the next observation the last one of this episode, or the first of the next?",
        ),
        environment=env.CutInAGoodPlace,
        measure=value_of_the_unpaid,
        agent_steps=_steps(240, 800),
        builds_on=("two-step",),
    ),
    Probe(
        id="target-lag",
        isolates="values do not chase themselves: the target network lags",
        quantity="value of an endless loop that pays 1 (right: at most 1 more with each copy to the target network)",
        low=2.0,
        high=20.0,
        where=(
            "the target of an update: Q of the target network, not of the one that learns",
            "the copy: every N steps, a copy and not the same object (deepcopy, load_state_dict), N at least "
            "agent_steps / 20 here; of a moving average, 1 / tau",
        ),
        environment=env.SelfLoop,
        measure=constant_value,
        agent_steps=_steps(260, 1_000),
        builds_on=("two-step",),
    ),
    Probe(
        id="input-scale",
        isolates="bytes are scaled: a faint difference in a bright picture is seen",
        quantity="largest value at any moment, of an untrained agent too (right: about 1); none if the difference is "
        "not learnt",
        low=0.5,
        high=2.0,
        where=(
            "observations of 0 to 255 must be divided by 255 (observation_space.high), once: never leaves an untrained "
            "network's values in the tens, twice leaves nothing to tell apart",
            "the same scaling in act() and in the update",
        ),
        environment=env.FaintDifference,
        measure=signed_size,
        agent_steps=_steps(300, 1_000),
        builds_on=("observation-value",),
        checkpoints=from_the_first,
        combine=largest_if_learnt,
    ),
    Probe(
        id="delayed-reward",
        isolates="the discount reaches over several agent steps",
        quantity="share of a reward's value that is seen six agent steps before it (right: discount**6)",
        low=0.75,
        high=1.25,
        where=(
            "the discount: .99 an agent step, not a frame; .9 leaves .53 here, .5 leaves .02",
            "copies to the target network: value moves one step with each, so there must be more than six in "
            "agent_steps",
        ),
        environment=env.Corridor,
        measure=far_sight,
        agent_steps=_steps(380, 1_600),
        builds_on=("two-step", "termination"),
    ),
    Probe(
        id="exploration",
        isolates="exploration finds what greed does not",
        quantity="1 if the greedy policy finds the treasure, else 0",
        low=0.9,
        high=math.inf,
        where=(
            "epsilon: starts near 1, decays over the first half of agent_steps, is used in act(explore=True)",
            "units of its schedule: agent steps, frames or episodes?",
        ),
        environment=env.DeepSea,
        measure=treasure,
        agent_steps=_steps(800, 2_000),
        builds_on=("two-step", "observation-action"),
        needs_values=False,
    ),
    Probe(
        id="replay",
        isolates="replay mixes old and new: nothing is forgotten while something else is seen",
        quantity="share of the two contexts whose greedy action is right, at the ends of blocks",
        low=0.85,
        high=math.inf,
        where=(
            "sampling: uniform over all that is stored, not the newest transitions",
            "capacity: at least what is to be remembered (here agent_steps)",
        ),
        environment=env.Blocks,
        measure=right_in_both_blocks,
        agent_steps=_steps(400, 1_200),
        builds_on=("observation-action",),
        needs_values=False,
        checkpoints=block_ends,
    ),
)


def probe_named(name: str) -> Probe:
    """The probe with the id ``name``. Raises UserError with the known ids."""
    for probe in LADDER:
        if probe.id == name:
            return probe
    raise UserError(f"No probe is called {name!r}; known are: {', '.join(probe.id for probe in LADDER)}.")


def ladder_table() -> str:
    """The ladder in Markdown, for the documentation."""
    header = ("probe", "isolates", "measured", "passes", "needs `values`")
    rows = [
        (f"`{probe.id}`", probe.isolates, probe.quantity, probe.passes, "yes" if probe.needs_values else "")
        for probe in LADDER
    ]
    return table(header, rows, header)
