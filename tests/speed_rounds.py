"""Made-up rounds of the speed gate: times by hand, and noise of a busy machine."""

import json
import math

import numpy as np

from benchmarks.gates.speed_samples import BENCHMARKS, RATIO_BENCHMARKS

MACHINE = {"cpu": "Abacus", "vector": "beads", "cores": 2, "gpu": None}
SETTINGS = {"device": "cpu", "threads": 1, "game": "breakout", "members": 1, "sample_seconds": 0.03, "passes": 2}
SOURCE = {"commit": "0123456789abcdef", "dirty": False}
# A training frame 10 ms, and so on: times of a unit in milliseconds.
QUIET = {
    "convolution": 5.0, "memory_copy": 8.0, "emulator": 0.1, "training": 10.0, "playing": 0.2, "acting": 1.0,
    "replay_sample": 0.4, "update": 30.0,
}  # fmt: skip
WORK = {name: 4.0 if name in ("emulator", "playing") else 16.0 if name == "training" else 1.0 for name in QUIET}
assert set(QUIET) == set(RATIO_BENCHMARKS)


def pair_rounds(differences):
    """Rounds of two sides from log ratios by benchmark: the baseline takes a second, the candidate what follows."""
    (count,) = {len(each) for each in differences.values()}
    return [
        {
            "order": ["candidate", "baseline"],
            "samples": {
                "candidate": {name: [math.exp(each[number])] * 2 for name, each in differences.items()},
                "baseline": {name: [1.0, 1.0] for name in differences},
            },
        }
        for number in range(count)
    ]


def equal_differences(**changed):
    """Twelve rounds of five benchmarks with a noise of 3 %; ``changed`` are added logs."""
    draw = np.random.default_rng(5)
    return {name: list(draw.normal(changed.get(name, 0.0), 0.03, 12)) for name in BENCHMARKS}


def ratios_of(sessions, **changes):
    """A measurement of one tree from times of calls in each session, three equal rounds each."""
    return {
        "schema": 1, "kind": "ratios", "machine": MACHINE, "settings": SETTINGS,
        "about": {"device": "cpu", "gpu": None, "torch": "2.13.0"}, "work": WORK,
        "sessions": [
            {
                "started": "2026-01-01T00:00:00+00:00", "seconds": 1.0, "source": SOURCE,
                "rounds": [{"order": ["tree"], "samples": {"tree": {name: [s, s] for name, s in times.items()}}}] * 3,
            }
            for times in sessions
        ],
    } | changes  # fmt: skip


def session_times(seed, noise=0.02, **factors):
    """Seconds of a call of each benchmark in a session: ``QUIET`` with noise, times ``factors``."""
    draw = np.random.default_rng(seed)
    return {
        name: milliseconds * WORK[name] / 1e3 * math.exp(draw.normal(0, noise)) * factors.get(name, 1.0)
        for name, milliseconds in QUIET.items()
    }


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def drifting(draw, length, correlation=0.9, spread=0.2, bursts=0.05):
    """Log time of ``length`` slots of a busy machine: a slow drift, its own noise, and a neighbour now and then."""
    drift = np.zeros(length)
    for step in range(1, length):
        drift[step] = correlation * drift[step - 1] + draw.normal(0, spread * math.sqrt(1 - correlation**2))
    return drift + draw.normal(0, 0.05, length) + draw.exponential(0.7, length) * (draw.random(length) < bursts)
