"""Runs probes on an agent: the loop, the checks of what the agent answers, and what came out."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.doctor.probes.environments import Environment, Stack
from benchmarks.doctor.probes.ladder import LADDER, Probe, probe_named
from benchmarks.doctor.probes.look import Look
from benchmarks.doctor.probes.protocol import Form, MakeAgent, box
from benchmarks.doctor.probes.subject import Subject, make_subject
from dqn_ref.seeds import Member


@dataclass(frozen=True)
class Result:
    """What one probe found over all seeds.

    ``status``: passed (with every seed), failed, or cannot look (the agent has no ``values``).
    """

    probe: Probe
    status: str
    numbers: tuple[float, ...]  # of each seed; nan where the agent's values were none
    seconds: float  # wall clock, all seeds
    rests_on_failed: tuple[str, ...] = ()  # ids of failed probes that this one builds on

    @property
    def margin(self) -> float:
        """Smallest distance to the threshold over the seeds, in units of the number; below 0 it failed."""
        return min((self.probe.margin(number) for number in self.numbers), default=math.nan)

    def as_json(self) -> dict[str, Any]:
        """For a program; a number that is none is null."""
        return {
            "probe": self.probe.id,
            "status": self.status,
            "numbers": [_finite(number) for number in self.numbers],
            "low": _finite(self.probe.low),
            "high": _finite(self.probe.high),
            "margin": _finite(self.margin),
            "isolates": self.probe.isolates,
            "where": list(self.probe.where),
            "rests_on_failed": list(self.rests_on_failed),
            "seconds": round(self.seconds, 2),
        }


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def run_probes(
    make_agent: MakeAgent,
    seeds: Sequence[int] = (0, 1, 2),
    only: Sequence[str] | None = None,
    observation: Form = "vector",
    report: Callable[[Result], None] = lambda result: None,
) -> list[Result]:
    """Probe the agents that ``make_agent`` makes, in the order of the ladder.

    Args:
        seeds: each gives an agent and an environment; a probe passes if it does with every one.
        only: ids of probes; by default all.
        observation: images [4, 84, 84] u8 or short vectors.
        report: called with each result as it comes.

    Raises:
        UserError: the agent raised, or answered what the protocol does not allow; an unknown id.
    """
    wanted = LADDER if only is None else sorted(map(probe_named, only), key=LADDER.index)
    results = list[Result]()
    for probe in wanted:
        failed = {result.probe.id for result in results if result.status == "failed"}
        start = time.perf_counter()
        numbers = list[float]()
        for seed in seeds:
            number = probe_once(probe, make_agent, seed, observation)
            if number is None:
                break
            numbers.append(number)
        if len(numbers) < len(seeds):
            status = "cannot look"
        else:
            status = "passed" if all(probe.margin(number) >= 0 for number in numbers) else "failed"
        rests = tuple(sorted(failed & set(probe.builds_on)))
        results.append(Result(probe, status, tuple(numbers), time.perf_counter() - start, rests))
        report(results[-1])
    return results


def probe_once(probe: Probe, make_agent: MakeAgent, seed: int, form: Form) -> float | None:
    """The number that ``probe`` finds with ``seed``; None if the agent has no ``values`` to look at."""
    steps = probe.agent_steps[form]
    environment = probe.environment(Member(f"probe-{probe.id}", seed).numpy_stream("environment"), steps)
    space = box(form, math.prod(environment.shape), environment.raw_bytes)
    subject = make_subject(make_agent, space, environment.num_actions, steps, seed, probe.id)
    if probe.needs_values and not subject.has_values:
        return None
    stack = Stack(form, environment.raw_bytes)
    look = Look(subject, stack, environment)
    checkpoints = set(probe.checkpoints(steps))
    found = dict[int, float]()
    for done in play(subject, environment, stack, steps):
        if done in checkpoints:
            found[done] = probe.measure(look)
    return probe.combine(found)


def play(subject: Subject, environment: Environment, stack: Stack, agent_steps: int) -> Iterator[int]:
    """The loop; yields the number of agent steps done, after each."""
    grids = [environment.reset()]
    for done in range(1, agent_steps + 1):
        observation = stack.observation(*grids)
        action = subject.act(observation, explore=True)
        step = environment.step(action)
        grids = [*grids[-3:], step.grid]
        after = stack.observation(*grids)
        subject.observe(observation, action, step.reward, after, step.terminated, step.truncated)
        subject.learn()
        yield done
        if step.terminated or step.truncated:
            grids = [environment.reset()]


def verdict(results: Sequence[Result]) -> str:
    """What the results say: the causes to look at first are the failed rungs that rest on no failed one."""
    failed = [result for result in results if result.status == "failed"]
    blind = [result.probe.id for result in results if result.status == "cannot look"]
    lines = list[str]()
    for result in failed:
        if result.rests_on_failed:
            continue
        probe = result.probe
        seeds = sum(probe.margin(number) < 0 for number in result.numbers)
        worst = min(result.numbers, key=probe.margin)
        lines += [
            f"{probe.id} failed with {seeds} of {len(result.numbers)} seeds. It isolates: {probe.isolates}.",
            f"  measured: {probe.quantity}: {worst:.3g}; passes: {probe.passes}",
            *(f"  look at: {place}" for place in probe.where),
        ]
    resting = [result.probe.id for result in failed if result.rests_on_failed]
    if resting:
        lines.append(f"Failed too, but they rest on what failed before them; mend that first: {', '.join(resting)}.")
    if blind:
        lines.append(f"Cannot look without values(observation) -> [A]: {', '.join(blind)}.")
    if not failed:
        lines.append(f"{sum(result.status == 'passed' for result in results)} of {len(results)} probes passed.")
    return "\n".join(lines)
