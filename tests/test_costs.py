import math
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import psutil
import pytest
from fake_runs import progress_row, write_run

import dqn_ref
from benchmarks import costs as costs_module
from benchmarks import jobs
from benchmarks.costs import EVALUATION_EPISODE_STEPS, PROCESS_BYTES, Costs, costs_from, format_seconds, runs_at_once
from benchmarks.jobs import Job
from benchmarks.protocols import SUITE_PROTOCOLS
from dqn_ref.config import TRANSITION_BYTES, DQNConfig, UserError
from dqn_ref.protocols import CI, NATURE
from dqn_ref.records import PROGRESS_COLUMNS, RunRecord

# 250 agent steps of warm-up in 1,000 of training, a row of progress every 125 agent steps
SMALL = DQNConfig(
    total_frames=4_000,
    iteration_frames=4_000,
    progress_frames=500,
    replay_capacity=1_000,
    replay_start_agent_steps=250,
    evaluation_episodes=2,
)


def recorded(folder, rows, evaluation=(1_000, 5.0), startup=2.0, config=SMALL):
    """A finished run whose progress.csv has ``rows`` of (agent steps, frames a second)."""
    write_run(folder, "qbert", 0, score=1, config=config)
    lines = [",".join(PROGRESS_COLUMNS)]
    lines += [",".join(str(progress_row(*row, config)[name]) for name in PROGRESS_COLUMNS) for row in rows]
    (folder / "progress.csv").write_text("\n".join(lines) + "\n")
    record = RunRecord.read(folder)
    record.evaluations[0].update(agent_steps=evaluation[0], seconds=evaluation[1])
    return replace(record, run={**record.run, "startup_seconds": startup})


# ---------------------------------------------------------------------- costs of steps


def test_costs_worked_by_hand_from_progress(tmp_path):
    """An agent step is 4 frames: at 2,000, 1,000, 100 and 50 frames/s it takes 2, 4, 40 and 80 ms."""
    rows = [(125, 2_000), (250, 1_000), (375, 100), (500, 50)]
    costs = costs_from([recorded(tmp_path / "run", rows, evaluation=(1_000, 5.0), startup=2.5)], at_once=3)
    assert costs == Costs(
        startup=2.5,
        warm_up_step=pytest.approx(0.003),  # mean of 2 and 4 ms
        learning_step=pytest.approx(0.060),  # mean of 40 and 80 ms
        evaluation_step=pytest.approx(0.005),
        at_once=3,
    )


def test_an_interval_that_is_half_warm_up_counts_for_neither(tmp_path):
    rows = [(125, 2_000), (375, 1), (500, 100)]  # the second one goes from 125 to 375, over the end at 250
    costs = costs_from([recorded(tmp_path / "run", rows)], at_once=1)
    assert costs.warm_up_step == pytest.approx(0.002)
    assert costs.learning_step == pytest.approx(0.040)


def test_costs_are_means_over_runs(tmp_path):
    fast = recorded(tmp_path / "fast", [(250, 2_000), (500, 100)], evaluation=(100, 1.0), startup=1.0)
    slow = recorded(tmp_path / "slow", [(250, 1_000), (500, 50)], evaluation=(100, 3.0), startup=2.0)
    costs = costs_from([fast, slow], at_once=2)
    assert costs_from([fast, slow], 2, "cuda") == replace(costs, one_process=True)
    assert costs.startup == pytest.approx(1.5)
    assert costs.warm_up_step == pytest.approx(0.003)
    assert costs.learning_step == pytest.approx(0.060)
    assert costs.evaluation_step == pytest.approx(0.020)


def test_what_a_run_does_not_say_is_taken_from_the_others(tmp_path):
    """Evaluations that were added later may not say what they cost; a damaged record may say nothing at all."""
    rows = [(250, 2_000), (500, 100)]
    silent = recorded(tmp_path / "silent", [(250, math.nan), (500, 0)], evaluation=(None, None), startup=None)
    zero = recorded(tmp_path / "zero", [(125, math.inf), (500, -1)], evaluation=(0, 1.0), startup="x")
    whole = recorded(tmp_path / "whole", rows, evaluation=(100, 1.0), startup=1.0)
    assert costs_from([silent, whole, zero], at_once=1) == costs_from([whole], at_once=1)
    assert costs_from([silent, zero], at_once=1) is None


@pytest.mark.parametrize("name", SUITE_PROTOCOLS)
def test_the_smallest_budget_of_each_protocol_has_progress_of_both_phases(name, tmp_path):
    """Otherwise the costs of a suite could not be told from its own runs."""
    config = SUITE_PROTOCOLS[name].protocol.config
    smallest = replace(config, total_frames=config.iteration_frames)
    steps = range(config.progress_frames // 4, smallest.total_agent_steps + 1, config.progress_frames // 4)
    costs = costs_from([recorded(tmp_path / "run", [(step, 100) for step in steps], config=smallest)], at_once=1)
    assert costs.warm_up_step == costs.learning_step == pytest.approx(0.040)


# ---------------------------------------------------------------------- forecasts

COSTS = Costs(startup=2.0, warm_up_step=0.002, learning_step=0.05, evaluation_step=0.004, at_once=2)


def test_seconds_of_a_run_worked_by_hand():
    """1,000 agent steps, 250 of them warm-up, 2 evaluation episodes of 1,500 steps with each of 2 networks."""
    assert EVALUATION_EPISODE_STEPS == 1_500
    assert COSTS.job_seconds(SMALL) == pytest.approx(2 + 250 * 0.002 + 750 * 0.05 + 2 * 2 * 1_500 * 0.004)
    assert COSTS.job_seconds(SMALL) == pytest.approx(2 + 0.5 + 37.5 + 24)


def test_seconds_of_a_suite_worked_by_hand():
    """A run takes 64 s here. Five runs, two at once, are three rounds."""
    assert COSTS.suite_seconds(SMALL, num_jobs=5, at_once=2) == pytest.approx(3 * 64)
    assert COSTS.suite_seconds(SMALL, num_jobs=4, at_once=2) == pytest.approx(2 * 64)
    assert COSTS.suite_seconds(SMALL, num_jobs=5, at_once=1) == pytest.approx(5 * 64)
    assert COSTS.suite_seconds(SMALL, num_jobs=0, at_once=2) == 0


def test_more_runs_at_once_than_measured_share_the_same_cores():
    assert COSTS.suite_seconds(SMALL, num_jobs=4, at_once=4) == pytest.approx(64 * 2)


def test_a_longer_budget_costs_learning_steps_only():
    longer = replace(SMALL, total_frames=8_000)
    assert COSTS.job_seconds(longer) - COSTS.job_seconds(SMALL) == pytest.approx(1_000 * 0.05)


def test_a_run_that_evaluates_every_iteration_pays_for_it():
    """Three iterations of 1,600 frames at most in 4,000: two more evaluations of 2 episodes."""
    costs = {COSTS.job_seconds(replace(SMALL, iteration_frames=1_600), evaluate_iterations=on) for on in (False, True)}
    assert max(costs) - min(costs) == pytest.approx(2 * 2 * 1_500 * 0.004)
    whole = replace(SMALL, iteration_frames=4_000)
    assert COSTS.job_seconds(whole, evaluate_iterations=True) == COSTS.job_seconds(whole)
    assert COSTS.suite_seconds(whole, 4, 2, evaluate_iterations=True) == COSTS.suite_seconds(whole, 4, 2)


def test_where_one_process_trains_all_each_waits_for_the_others_evaluations():
    """Of the 64 s of a run 24 are its own evaluations: of two runs 48, of three 72, which train 1.5 times as long."""
    together = replace(COSTS, one_process=True)
    assert together.job_seconds(SMALL) == pytest.approx(40 + 2 * 24)
    assert together.suite_seconds(SMALL, num_jobs=3, at_once=1) == pytest.approx(3 * (40 + 24))
    assert together.suite_seconds(SMALL, num_jobs=6, at_once=3) == pytest.approx(2 * (40 * 1.5 + 3 * 24))


# ---------------------------------------------------------------------- how many at once


@pytest.fixture
def machine(monkeypatch):
    def set_to(cores, gigabytes):
        monkeypatch.setattr(dqn_ref, "CORES", cores)
        memory = SimpleNamespace(available=int(gigabytes * 1e9), total=int(gigabytes * 1e9))
        monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)

    return set_to


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system does not tell processes where to run")
def test_cores_are_those_that_the_process_may_use():
    """As where a cluster's scheduler grants one core of many."""
    words = f"import os; os.sched_setaffinity(0, {{{min(os.sched_getaffinity(0))}}}); "
    words += "from dqn_ref.provenance import machine; print(machine()['cores'])"
    assert subprocess.run([sys.executable, "-c", words], capture_output=True, text=True).stdout == "1\n"


def test_runs_at_once_are_bounded_by_cores(machine):
    machine(cores=4, gigabytes=1_000)
    assert runs_at_once(NATURE.config, 50, "cpu") == 4


def test_runs_at_once_are_bounded_by_memory(machine):
    """The paper's replay takes 7.07 GB, a process 1 GB more: 0.9 * 27 = 24.3 GB bear three, 0.9 * 26 = 23.4 two."""
    assert 8.05e9 < PROCESS_BYTES + NATURE.config.replay_capacity * TRANSITION_BYTES < 8.1e9
    machine(cores=16, gigabytes=27)
    assert runs_at_once(NATURE.config, 50, "cpu") == 3
    machine(cores=16, gigabytes=26)
    assert runs_at_once(NATURE.config, 50, "cpu") == 2


def test_runs_at_once_are_bounded_by_the_jobs(machine):
    machine(cores=16, gigabytes=1_000)
    assert runs_at_once(CI.config, 3, "cpu") == 3


def test_a_short_budget_never_fills_its_replay_and_needs_less_memory(machine):
    """A tenth of the paper's replay: 1.7 GB a run instead of 8.1."""
    machine(cores=16, gigabytes=20)
    short = replace(NATURE.config, total_frames=400_000 * 4, replay_start_agent_steps=50_000)
    assert short.transitions_kept == 400_000
    assert runs_at_once(NATURE.config, 50, "cpu") == 2
    assert runs_at_once(short, 50, "cpu") == int(0.9 * 20e9 / (1e9 + 400_000 * TRANSITION_BYTES)) == 4


def test_there_is_always_one_run(machine):
    machine(cores=1, gigabytes=0.1)
    assert runs_at_once(NATURE.config, 50, "cpu") == 1


# ---------------------------------------------------------------------- measuring


def test_an_interrupted_measurement_leaves_no_process_behind(tmp_path, monkeypatch):
    """The stand-in for python marks its start and sleeps."""
    started = tmp_path / "started"
    started.mkdir()
    program = tmp_path / "python"
    program.write_text(
        f"#!{sys.executable}\nimport os, time\nopen({str(started)!r} + f'/{{os.getpid()}}', 'w')\ntime.sleep(60)\n"
    )
    program.chmod(0o755)
    monkeypatch.setattr(jobs, "sys", SimpleNamespace(executable=str(program), platform=sys.platform))
    waits = []  # of run_jobs, which has started both then
    monkeypatch.setattr(
        jobs, "time", SimpleNamespace(monotonic=time.monotonic, sleep=lambda s: waits.append(s) or time.sleep(s))
    )

    def interrupt():
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and (not waits or len(list(started.iterdir())) < 2):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    known = set(psutil.Process().children())
    thread = threading.Thread(target=interrupt, daemon=True)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        costs_module.measure("cpu", at_once=2, threads=1)
    thread.join()
    _, left = psutil.wait_procs(set(psutil.Process().children()) - known, timeout=3)
    for process in left:
        process.kill()
    assert left == []


def test_a_measurement_that_fails_says_why(monkeypatch):
    monkeypatch.setattr(Job, "command", lambda *_: [sys.executable, "-c", "import sys; sys.exit('no such card')"])
    with pytest.raises(UserError, match="measures this machine failed: no such card"):
        costs_module.measure("cpu", at_once=1, threads=1)


@pytest.mark.slow
def test_a_measurement_by_real_runs_tells_learning_from_random_play():
    costs = costs_module.measure("cpu", at_once=1, threads=1)
    assert 0 < costs.warm_up_step < costs.learning_step  # an update of 32 transitions every 4 steps is not free
    assert 0 < costs.evaluation_step < costs.learning_step
    assert costs.startup > 0
    assert costs.at_once == 1


# ---------------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.04, "0.0 s"), (4.25, "4.2 s"), (40, "40 s"), (89, "89 s"),
        (90, "1.5 min"), (720, "12 min"), (5_399, "90 min"),
        (5_400, "1.5 h"), (18_720, "5.2 h"), (172_799, "48 h"),
        (172_800, "2 days"), (38 * 86_400, "38 days"), (1_234 * 86_400, "1,234 days"),
    ],
)  # fmt: skip
def test_seconds_in_a_readers_words(seconds, words):
    assert format_seconds(seconds) == words
