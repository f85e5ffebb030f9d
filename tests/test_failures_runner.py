"""The matrix of variants is planned, made once, resumed, and every run lies where its settings say."""

import dataclasses
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from fake_runs import dead_pid, edit_json, write_run

import dqn_ref
from benchmarks import jobs
from benchmarks.costs import Costs
from benchmarks.failures.effects import deciding_reference_seeds
from benchmarks.failures.matrix import SMALL, WHOLE, FailureMatrix
from benchmarks.failures.prices import Prices, made_seconds
from benchmarks.failures.runner import plan_jobs, run_failures
from benchmarks.failures.variants import VARIANTS
from benchmarks.jobs import Job
from benchmarks.store import Store
from dqn_ref.config import UserError
from dqn_ref.protocols import CI, NATURE
from dqn_ref.provenance import machine
from dqn_ref.records import RunRecord
from dqn_ref.seeds import Member

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results")


def matrix_of(**asked):
    return FailureMatrix.of(**{
        "protocol": "ci", "games": ["pong"], "variants": ["gamma-0.5", "no-target-network"], "seeds": 2,
        "reference_seeds": 3,
    } | asked)  # fmt: skip


def names(matrix):
    return [f"{variant.name} {member.name}" for variant, member in matrix.runs()]


# ---------------------------------------------------------------------- the matrix


def test_each_seed_has_the_reference_first_then_its_control_then_the_variants_in_the_order_of_the_claims():
    assert names(matrix_of()) == [
        "reference pong-s0", "reference pong-s2", "constant-reward pong-s0", "no-target-network pong-s0",
        "gamma-0.5 pong-s0",
        "reference pong-s1", "constant-reward pong-s1", "no-target-network pong-s1", "gamma-0.5 pong-s1",
    ]  # fmt: skip


def test_games_of_the_reference_only_have_its_control_and_no_variant_and_further_seeds_are_spread():
    matrix = matrix_of(
        games=["pong", "Q*Bert"], reference_games=["venture", "pong"], variants=["C7"], reference_seeds=5
    )
    runs = matrix.runs()
    assert len(runs) == len(set(runs)) == 5 * 3 + 2 * 3 + 3 * 2 * 2
    assert matrix.comparisons == 3 * 2  # the control is none
    assert [m.name for v, m in runs[:9]] == [
        f"{game}-s{seed}" for seed in (0, 2, 3) for game in ("pong", "qbert", "venture")
    ]
    assert {m.game for v, m in runs if v.name == "constant-reward"} == {"pong", "qbert", "venture"}
    assert {m.game for v, m in runs if v.claim == "C7"} == {"pong", "qbert"}
    after_a_round = runs[: 9 + 3 + 6]
    assert {m.seed for v, m in after_a_round if v.name == "reference"} == {0, 2, 3}


def test_what_is_not_asked_for_is_the_small_matrix_and_whole_is_the_large_one():
    small = FailureMatrix.of(SMALL, protocol="ci")
    assert (small.games, small.seeds, small.reference_seeds) == (SMALL.games, 3, 6)
    assert small.frames == CI.config.total_frames
    whole = FailureMatrix.of(WHOLE)
    assert (whole.protocol, whole.frames) == (NATURE, 10_000_000)
    assert {variant.name for variant in whole.variants} == set(VARIANTS)
    assert len(whole.runs()) == 5 * (len(VARIANTS) - 2) * 5 + 5 * 7 + 10 * 7
    assert FailureMatrix.of(WHOLE, games=["pong"]).reference_games == ()


def test_the_small_matrix_fits_25_minutes_and_can_decide():
    """At 3.4 minutes a run, of which a run that hardly updates takes about a third, two at once."""
    small = FailureMatrix.of(SMALL)
    counts = Counter(variant.name for variant, _ in small.runs())
    assert counts == {"reference": 6, "constant-reward": 3, "no-target-network": 3, "article-replay-target": 3}
    assert (12 * 3.4 + 3 * 3.4 / 3) / 2 < 25
    assert small.config(VARIANTS["article-replay-target"]).update_period_agent_steps >= 25 * (
        small.config().update_period_agent_steps
    )
    assert deciding_reference_seeds(small.seeds, small.reference_seeds, small.comparisons) == small.reference_seeds
    assert deciding_reference_seeds(small.seeds, small.reference_seeds, small.comparisons + 3) > small.reference_seeds


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"variants": ["no-relay"]}, "No variant is called"),
        ({"games": ["pongg"]}, "none of the 57"),
        ({"protocol": "naturee"}, "No protocol is called"),
        ({"seeds": 0}, "--seeds 0"),
        ({"seeds": 4}, "as many seeds of the reference as of a variant"),
        ({"frames": 4_000}, "reference at 4,000 frames: A budget"),
    ],
)
def test_an_impossible_matrix_is_refused(asked, message):
    with pytest.raises(UserError, match=message):
        matrix_of(**asked)


def test_jobs_of_a_gpu_are_populations_of_one_variant_and_of_a_cpu_are_runs_in_order(store):
    matrix = matrix_of(games=["pong", "qbert"])
    places = matrix.places(store)
    single = plan_jobs(matrix, places, store, 1)
    assert [(job.variant, job.games[0], job.seeds[0]) for job in single] == [
        (variant.name, member.game, member.seed) for variant, member in matrix.runs()
    ]
    large = plan_jobs(matrix, places, store, 6)
    assert [(job.variant, sorted(job.seeds), job.games) for job in large] == [
        ("reference", [0, 1, 2], ("pong", "qbert")),
        ("constant-reward", [0, 1], ("pong", "qbert")),
        ("no-target-network", [0, 1], ("pong", "qbert")),
        ("gamma-0.5", [0, 1], ("pong", "qbert")),
    ]


def test_the_command_is_one_that_a_person_could_type(store):
    matrix = matrix_of(variants=["life-loss-not-terminal"])
    job = plan_jobs(matrix, matrix.places(store), store, 1)[3]
    folder = store.root / "failures" / matrix.group / "life-loss-not-terminal"
    assert job.command("cpu", 1) == [
        sys.executable, "-m", "dqn_ref", "train", "--protocol", "ci", "--game", "pong", "--seed", "0",
        "--frames", "16000", "--device", "cpu", "--threads", "1", "--no-life-loss-terminal",
        "--out", str(folder / "pong-s0"),
    ]  # fmt: skip
    assert job.log == folder / "logs" / "pong-s0.log"
    assert job.name == "life-loss-not-terminal/pong-s0"


# ---------------------------------------------------------------------- making it


@pytest.fixture
def pretended(monkeypatch):
    """The real engine with processes that bring a run of the variant without training, and say so on a tape."""

    def command(job, device, threads):
        (folder,) = job.folders
        staged = job.group / "staged" / folder.name
        config = dataclasses.replace(CI.config, total_frames=job.frames, **job.overrides)
        write_run(staged, job.games[0], job.seeds[0], score=10.0 * job.seeds[0], config=config)
        tape = job.group.parent / "tape"
        program = f"""
import os
with open({str(tape)!r}, "a") as tape:
    tape.write("{job.name} {threads}\\n")
os.rename({str(staged)!r}, {str(folder)!r})
"""
        return [sys.executable, "-S", "-c", program]

    monkeypatch.setattr(Job, "command", command)
    monkeypatch.setattr(jobs, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(dqn_ref, "CORES", 2)


def made(store, matrix):
    path = store.failures(matrix.group) / "tape"
    return path.read_text().splitlines() if path.exists() else []


def make(store, matrix):
    said = []
    return run_failures(matrix, store, "cpu", said.append), said


def test_a_matrix_is_made_whole_and_each_run_is_of_its_variant(store, pretended):
    matrix = matrix_of()
    done, said = make(store, matrix)
    assert done
    assert said[0] == "0 of 9 runs are finished; making 9, 2 at once."
    assert "gamma-0.5/pong-s1 finished in" in said[-1] or "gamma-0.5/pong-s1 finished in" in said[-2]
    assert sorted(made(store, matrix)) == sorted(name.replace(" ", "/") + " 1" for name in names(matrix))
    record = RunRecord.read(store.root / "failures" / "ci-v1-16k" / "gamma-0.5" / "pong-s1")
    assert (record.config.discount, record.overrides) == (0.5, {"discount": 0.5})


def test_what_is_finished_is_not_made_again_and_more_is_added(store, pretended):
    make(store, matrix_of(seeds=1, reference_seeds=1))
    first = made(store, matrix_of())
    assert len(first) == 4
    assert make(store, matrix_of(seeds=1, reference_seeds=1)) == (
        True, ["Nothing is missing: all 4 runs of ci-v1-16k are finished."],
    )  # fmt: skip
    make(store, matrix_of())
    assert made(store, matrix_of())[:4] == first
    assert len(made(store, matrix_of())) == len(set(made(store, matrix_of()))) == 9


def test_an_unfinished_run_is_kept_aside_and_started_again(store, pretended):
    matrix = matrix_of()
    folder = store.failures(matrix.group) / "gamma-0.5"
    config = matrix.config(VARIANTS["gamma-0.5"])
    killed = write_run(folder / "pong-s0", "pong", 0, status="running", config=config)
    edit_json(killed / "run.json", pid=dead_pid())
    done, said = make(store, matrix)
    assert done
    assert said[0].startswith("pong-s0 was interrupted; kept as failures/ci-v1-16k/gamma-0.5/attempts/pong-s0-1")
    assert RunRecord.read(folder / "attempts" / "pong-s0-1").status == "running"
    assert RunRecord.read(folder / "pong-s0").status == "finished"


@pytest.mark.parametrize(("variant", "message"), [("reference", "another overrides"), ("gamma-0.9", "another")])
def test_a_run_in_the_folder_of_another_variant_stops_the_runner(store, pretended, variant, message):
    matrix = matrix_of()
    folder = store.failures(matrix.group) / "gamma-0.5" / "pong-s1"
    write_run(folder, "pong", 1, score=1, config=matrix.config(VARIANTS[variant]))
    with pytest.raises(UserError, match=message):
        make(store, matrix)
    assert made(store, matrix) == []


def test_a_second_runner_starts_nothing(store, pretended):
    matrix = matrix_of()
    with store.exclusive(store.failures(matrix.group)), pytest.raises(UserError, match="Another runner"):
        make(store, matrix)
    assert made(store, matrix) == []


# ---------------------------------------------------------------------- what it costs


COSTS = Costs(startup=2.0, warm_up_step=0.001, learning_step=0.010, evaluation_step=0.002, at_once=2)


def test_the_price_of_a_run_worked_by_hand():
    """ci: 4,000 agent steps, 500 of them warm-up; an update costs 4 x 8 ms; two networks play 4 x 1,500 steps."""
    evaluation = 2 * 4 * 1_500 * 0.002
    assert COSTS.job_seconds(CI.config) == pytest.approx(2 + 0.5 + 3_500 * (0.002 + 0.032 / 4) + evaluation)
    rarely = VARIANTS["article-replay-target"].changes["update_period_agent_steps"]
    config = dataclasses.replace(CI.config, update_period_agent_steps=rarely)
    assert COSTS.job_seconds(config) == pytest.approx(2 + 0.5 + 3_500 * (0.002 + 0.032 / 100) + evaluation)
    single = dataclasses.replace(CI.config, batch_size=1, update_period_agent_steps=1)
    assert COSTS.job_seconds(single) == pytest.approx(2 + 0.5 + 3_500 * (0.002 + 0.032 / 8) + evaluation)


def test_finished_runs_price_their_variant(store):
    matrix = matrix_of()
    for seed, seconds in ((0, "10:00:40"), (1, "10:01:20")):
        folder = store.failures(matrix.group) / "gamma-0.5" / f"pong-s{seed}"
        write_run(folder, "pong", seed, score=1, config=matrix.config(VARIANTS["gamma-0.5"]))
        provenance = RunRecord.read(folder).run["provenance"] | {"machine": machine()}
        times = {"started": "2026-01-01T10:00:00+00:00", "ended": f"2026-01-01T{seconds}+00:00"}
        edit_json(folder / "run.json", provenance=provenance, **times)
    places = matrix.places(store)
    prices = Prices(COSTS, made_seconds(places))
    assert prices.seconds(matrix, VARIANTS["gamma-0.5"]) == 60
    assert prices.seconds(matrix, VARIANTS["reference"]) == COSTS.job_seconds(CI.config)
    assert prices.left(matrix, places, 2) == pytest.approx(7 * COSTS.job_seconds(CI.config) / 2)
    elsewhere = provenance | {"machine": machine() | {"cpu": "Abacus"}}
    for seed in (0, 1):
        edit_json(store.failures(matrix.group) / "gamma-0.5" / f"pong-s{seed}" / "run.json", provenance=elsewhere)
    assert made_seconds(matrix.places(store)) == {}  # how long another machine took says nothing here


# ---------------------------------------------------------------------- real runs


MADE = ("reference", "constant-reward", "gamma-0.5")


@pytest.mark.slow
def test_a_variant_and_the_control_are_trained_for_real_and_not_a_second_time(tmp_path):
    def failures(*words):
        command = [sys.executable, "-m", "benchmarks", "failures", *words, "--protocol", "ci", "--frames", "8k",
                   "--games", "qbert", "--variants", "gamma-0.5", "--seeds", "1", "--reference-seeds", "1",
                   "--results", str(tmp_path)]  # fmt: skip
        return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout

    first = failures("--device", "cpu")
    assert "Forecast: " in first
    assert first.index("Forecast: ") < first.index("[1/3]")
    runs = tmp_path / "failures" / "ci-v1-8k"
    records = {name: RunRecord.read(runs / name / "qbert-s0") for name in MADE}
    assert {record.status for record in records.values()} == {"finished"}
    assert records["reference"].overrides == {}
    assert records["gamma-0.5"].overrides == {"discount": 0.5}
    assert records["constant-reward"].overrides == {"constant_reward": 0.06}
    assert records["gamma-0.5"].member == Member("qbert", 0)
    before = json.dumps([record.run for record in records.values()])
    assert "Nothing is missing: all 3 runs" in failures("run", "--device", "cpu")
    assert "3 of 3 runs" in failures("status")
    again = [RunRecord.read(runs / name / "qbert-s0").run for name in MADE]
    assert json.dumps(again) == before
