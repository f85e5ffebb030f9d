"""Faults x probes, whole: each fault fails its own probe, and what it fails besides is written down and explained."""

import pytest

from benchmarks.doctor.probes.faults import FAULTS, broken, probe_matrix
from benchmarks.doctor.probes.ladder import LADDER
from benchmarks.doctor.probes.runner import run_probes

IDS = [probe.id for probe in LADDER]


def roots(results):
    """The failed rungs that rest on no failed one: what the report says to look at."""
    return [name for name, result in results.items() if result.status == "failed" and not result.rests_on_failed]


@pytest.mark.slow
def test_each_fault_leads_to_its_own_probe_and_no_other():
    """On the small DQN. What a fault fails besides rests, rung by rung, on the probe that isolates it."""
    rows = probe_matrix("vector")
    assert [*rows] == ["none", *(fault.name for fault in FAULTS)]
    assert all([*row] == IDS for row in rows.values())
    assert {name: roots(row) for name, row in rows.items()} == {
        "none": [], **{fault.name: [fault.probe] for fault in FAULTS}
    }  # fmt: skip
    failed = {name: {each for each, result in row.items() if result.status == "failed"} for name, row in rows.items()}
    assert failed == {"none": set()} | EXPECTED


BEHAVIOUR = {"observation-action", "velocity", "exploration", "replay"}  # need the right action in each state
EXPECTED = {
    "never-learns": {*IDS},
    "blind": {"observation-value", "termination", "input-scale"} | BEHAVIOUR,  # two states' values become one
    "discount-0": {"two-step", "truncation", "target-lag", "delayed-reward", "exploration"},  # nothing spreads back
    "terminal-bootstrapped": {"termination", "delayed-reward"},  # the end, which should be worth 1, is worth more
    "wrong-action-stored": {"action-reward"} | BEHAVIOUR,
    "acts-on-old-observation": BEHAVIOUR,
    "one-frame": {"velocity"},
    "truncation-terminal": {"truncation"},
    "no-target-network": {"target-lag"},
    "unscaled": {"input-scale"},
    "discount-0.9": {"delayed-reward"},
    "no-exploration": {"exploration"},
    "newest-only": {"replay"},
}
REFERENCE_SEEDS = range(5)


@pytest.mark.long
def test_the_reference_passes_every_probe_with_five_seeds(record_property, capsys):
    """The smallest margin of each is printed: what it takes to fail."""
    from benchmarks.doctor.probes.reference import make_agent

    results = run_probes(make_agent, REFERENCE_SEEDS, observation="image")
    with capsys.disabled():
        for result in results:
            record_property(result.probe.id, result.margin)
            print(f"\n{result.probe.id:20} smallest margin {result.margin:.3f} {result.seconds / 5:.1f} s", end="")
    assert {result.probe.id: result.status for result in results} == dict.fromkeys(IDS, "passed")
    assert min(result.margin for result in results) > 0


@pytest.mark.long
@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_each_fault_in_the_reference_fails_the_probe_that_isolates_it(fault):
    # With one seed of these the reference learns from unscaled bytes all the same; the command's own three find it.
    seeds = range(3) if fault.name == "unscaled" else [0]
    (found,) = run_probes(broken(fault, "image"), seeds, [fault.probe], "image")
    assert found.status == "failed"
