"""The beginner's DQN: each of its three bugs is found by the probe that isolates it, and mending it makes that pass."""

import sys
from pathlib import Path

import pytest

from benchmarks.doctor.probes.runner import run_probes

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "examples"))
import beginner_dqn  # noqa: E402


class Scaled(beginner_dqn.DQN):
    def __init__(self, observation_space, *others):
        self.high = float(observation_space.high.max())
        super().__init__(observation_space, *others)

    def preprocess(self, observations):
        return super().preprocess(observations) / self.high


class Copied(beginner_dqn.DQN):
    def copy_target(self):
        self.q_target.load_state_dict(self.q.state_dict())


class Bootstrapping(beginner_dqn.DQN):
    def observe(self, observation, action, reward, next_observation, terminated, truncated):
        super().observe(observation, action, reward, next_observation, terminated, False)


class Mended(Scaled, Copied, Bootstrapping):
    pass


def factory(kind):
    def make(observation_space, num_actions, agent_steps, seed):
        return kind(observation_space, num_actions, agent_steps, seed)

    return make


BUGS = {"input-scale": Scaled, "target-lag": Copied, "truncation": Bootstrapping}


@pytest.mark.slow
def test_the_probes_find_the_three_bugs_and_nothing_else():
    results = run_probes(beginner_dqn.make_agent, [0])
    assert {result.probe.id for result in results if result.status == "failed"} == set(BUGS)
    assert not any(result.rests_on_failed for result in results)


@pytest.mark.parametrize(("probe", "mended"), BUGS.items(), ids=list(BUGS))
def test_mending_a_bug_makes_its_probe_pass_and_no_other_does(probe, mended):
    for kind in (beginner_dqn.DQN, *BUGS.values()):
        (result,) = run_probes(factory(kind), [0], [probe])
        assert result.status == ("passed" if kind is mended else "failed"), kind.__name__


@pytest.mark.slow
def test_mended_it_passes_every_probe():
    assert {result.status for result in run_probes(factory(Mended), [0])} == {"passed"}


def test_it_is_as_short_as_it_says():
    lines = [line for line in (ROOT / "examples" / "beginner_dqn.py").read_text().splitlines() if line.strip()]
    assert len(lines) < 75
