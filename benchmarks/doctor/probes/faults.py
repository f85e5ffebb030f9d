"""Faults planted in sound agents, one cause each: the evidence that each probe isolates its own."""

# ruff: noqa: D101, D102 - each class is a fault, said in FAULTS, and has the methods of the protocol

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from gymnasium.spaces import Box

from benchmarks.doctor.probes.protocol import Form, MakeAgent, Observation, ProbedAgent
from benchmarks.doctor.probes.runner import Result, run_probes
from benchmarks.doctor.probes.small_dqn import SmallDQN, small_config


class Broken:
    """Hands everything on to a sound agent; a fault is a subclass that hands one thing on wrongly."""

    def __init__(self, agent: Any) -> None:
        self.agent = agent

    def act(self, observation: Observation, explore: bool) -> int:
        return int(self.agent.act(observation, explore))

    def observe(
        self,
        observation: Observation,
        action: int,
        reward: float,
        next_observation: Observation,
        terminated: bool,
        truncated: bool,
    ) -> None:
        self.agent.observe(observation, action, reward, next_observation, terminated, truncated)

    def learn(self) -> None:
        self.agent.learn()

    def values(self, observation: Observation) -> Any:
        return self.agent.values(observation)


class NeverLearns(Broken):
    def learn(self) -> None:
        pass


class Blind(Broken):
    def act(self, observation: Observation, explore: bool) -> int:
        return super().act(np.zeros_like(observation), explore)

    def observe(self, *told: Any) -> None:
        state, action, reward, after, terminated, truncated = told
        super().observe(np.zeros_like(state), action, reward, np.zeros_like(after), terminated, truncated)

    def values(self, observation: Observation) -> Any:
        return super().values(np.zeros_like(observation))


class TerminalBootstrapped(Broken):
    def observe(self, *told: Any) -> None:
        state, action, reward, after, terminated, truncated = told
        super().observe(state, action, reward, after, False, truncated or terminated)


class TruncationTerminal(Broken):
    def observe(self, *told: Any) -> None:
        state, action, reward, after, terminated, truncated = told
        super().observe(state, action, reward, after, terminated or truncated, False)


class WrongActionStored(Broken):
    def observe(self, *told: Any) -> None:
        state, _, reward, after, terminated, truncated = told
        super().observe(state, 0, reward, after, terminated, truncated)


class ActsOnOldObservation(Broken):
    first: Observation | None = None

    def act(self, observation: Observation, explore: bool) -> int:
        if self.first is None:
            self.first = observation
        return super().act(observation if explore else self.first, explore)


@dataclass(frozen=True)
class Fault:
    """One thing taken away or broken.

    ``probe`` is the one that isolates it: the only one that fails without resting on a failed one.
    """

    name: str
    text: str
    probe: str
    settings: Mapping[str, Any] = field(default_factory=dict)  # changes of DQNConfig
    wrap: Callable[[Any], ProbedAgent] = lambda agent: agent


FAULTS: tuple[Fault, ...] = (
    Fault("never-learns", "learn() does nothing", "constant-reward", wrap=NeverLearns),
    Fault("blind", "every observation is black", "observation-value", wrap=Blind),
    Fault("discount-0", "nothing is bootstrapped", "two-step", {"discount": 0.0}),
    Fault("terminal-bootstrapped", "a terminal transition bootstraps", "termination", wrap=TerminalBootstrapped),
    Fault("wrong-action-stored", "the action stored is always 0", "action-reward", wrap=WrongActionStored),
    Fault("acts-on-old-observation", "the greedy action is the first observation's", "observation-action",
          wrap=ActsOnOldObservation),
    Fault("one-frame", "only the newest frame is seen", "velocity", {"frames_per_state": 1}),
    Fault("truncation-terminal", "a time limit is stored as an end", "truncation", wrap=TruncationTerminal),
    Fault("no-target-network", "the target network is copied to at each step", "target-lag",
          {"target_period_agent_steps": 1}),
    Fault("unscaled", "bytes are not divided by 255", "input-scale", {"input_divisor": 1.0}),
    Fault("discount-0.9", "a discount of .9", "delayed-reward", {"discount": 0.9}),
    Fault("no-exploration", "epsilon is 0 from the start", "exploration", {"epsilon_start": 0.0, "epsilon_end": 0.0}),
    Fault("newest-only", "replay holds one batch", "replay", {"replay_capacity": 8}),
)  # fmt: skip


def broken(fault: Fault | None, observation: Form) -> MakeAgent:
    """The factory of an agent with ``fault``: the reference for images, the small DQN for vectors."""

    def make(*, observation_space: Box, num_actions: int, agent_steps: int, seed: int) -> ProbedAgent:
        agent: Any
        settings = fault.settings if fault else {}
        if observation == "image":
            from benchmarks.doctor.probes.reference import ReferenceAgent, reference_config

            config = dataclasses.replace(reference_config(agent_steps), **settings)
            agent = ReferenceAgent(observation_space, num_actions, config, seed)
        else:
            config = dataclasses.replace(small_config(agent_steps), **settings)
            agent = SmallDQN(observation_space, num_actions, config, seed)
        return fault.wrap(agent) if fault else agent

    return make


def probe_matrix(
    observation: Form = "vector",
    seeds: Sequence[int] = (0,),
    faults: Sequence[Fault] = FAULTS,
    only: Sequence[str] | None = None,
) -> dict[str, dict[str, Result]]:
    """What each probe says of each fault: fault -> probe -> result; ``none`` is the sound agent."""
    rows: dict[str, dict[str, Result]] = {}
    for fault in (None, *faults):
        results = run_probes(broken(fault, observation), seeds, only, observation)
        rows[fault.name if fault else "none"] = {result.probe.id: result for result in results}
    return rows
