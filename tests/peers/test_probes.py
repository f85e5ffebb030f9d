"""Stable-Baselines3's DQN on the probes' ladder, wrapped as examples/probe_stable_baselines3.py shows."""

import sys
from pathlib import Path

import pytest

from benchmarks.doctor.probes.ladder import LADDER
from benchmarks.doctor.probes.runner import run_probes
from peers.emulators import QUIET

pytestmark = QUIET
sys.path.insert(0, str(Path(__file__).parent.parent.parent / "examples"))
import probe_stable_baselines3 as example  # noqa: E402


@pytest.mark.parametrize("probe", LADDER, ids=[probe.id for probe in LADDER])
def test_stable_baselines3_passes_every_probe(probe, say):
    (result,) = run_probes(example.make_agent, [0], [probe.id])
    say(f"probe {probe.id}", "sb3", f"{result.numbers[0]:.2f}", f"passes: {probe.passes}")
    assert result.status == "passed"


def test_without_its_word_on_time_limits_it_fails_that_probe_and_not_termination():
    class Ends(example.Sb3Agent):
        def observe(self, *transition):
            *others, terminated, truncated = transition
            super().observe(*others, terminated or truncated, False)

    def make(**told):
        sound = example.make_agent(**told)
        return Ends(sound.model, sound.agent_steps, sound.divisor)

    statuses = [result.status for result in run_probes(make, [0], ["termination", "truncation"])]
    assert statuses == ["passed", "failed"]
