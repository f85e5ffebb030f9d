"""The matrix is made once, whole, and whatever happens meanwhile is on record."""

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pytest
from fake_runs import dead_pid, edit_json, stand_in, write_run

import dqn_ref
from benchmarks import jobs
from benchmarks.jobs import Ended, Job, run_jobs
from benchmarks.runner import Matrix, by_checkpoint, machine_share, populations, run_matrix, shorter_run
from benchmarks.store import Store
from dqn_ref.__main__ import parse
from dqn_ref.config import UserError
from dqn_ref.protocols import CI, NATURE
from dqn_ref.provenance import source_revision
from dqn_ref.records import RunRecord
from dqn_ref.seeds import Member

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results")


@pytest.fixture
def small_machine(monkeypatch):
    """Two cores, memory enough."""
    monkeypatch.setattr(dqn_ref, "CORES", 2)


# ---------------------------------------------------------------------- the matrix


def test_a_matrix_takes_the_protocols_defaults():
    matrix = Matrix.of("atari3", "ci")
    assert matrix.frames == CI.config.total_frames
    assert matrix.num_seeds == matrix.suite_protocol.default_seeds
    assert matrix.config == CI.config
    assert len(matrix.members) == 3 * matrix.num_seeds


def test_seeds_are_made_one_after_the_other_so_that_a_matrix_cut_short_has_whole_seeds():
    members = Matrix.of("atari3", "ci", seeds=2).members
    assert members == [Member(game, seed) for seed in (0, 1) for game in ("battle_zone", "name_this_game", "phoenix")]


def test_a_budget_changes_the_folder_and_nothing_else_of_the_configuration():
    matrix = Matrix.of("atari3", "nature", frames=10_000_000)
    assert matrix.group == f"{NATURE.label()}-10M"
    assert matrix.config == replace(NATURE.config, total_frames=10_000_000)
    assert NATURE.overrides(matrix.config) == {}


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"suite": "atari4"}, "No suite is called 'atari4'"),
        ({"protocol": "naturee"}, "No protocol is called 'naturee'"),
        ({"seeds": 0}, "--seeds must be 1 or above"),
        ({"seeds": -3}, "--seeds must be 1 or above"),
        ({"frames": CI.config.iteration_frames - CI.config.frames_per_agent_step}, "below one iteration"),
        ({"frames": CI.config.total_frames + 1}, "multiple of 4"),
        ({"frames": 0}, "total_frames"),
    ],
)
def test_an_impossible_matrix_is_refused(wanted, message):
    with pytest.raises(UserError, match=message):
        Matrix.of(**{"suite": "atari3", "protocol": "ci"} | wanted)


def test_cells_follow_the_members(store):
    matrix = Matrix.of("atari3", "ci", seeds=2)
    runs = store.runs(matrix.group)
    write_run(runs / "phoenix-s0", "phoenix", 0, score=5)
    write_run(runs / "phoenix-s1", "phoenix", 1, status="failed")
    write_run(runs / "phoenix-s2", "phoenix", 2, score=5)  # beyond the seeds that were asked for
    assert [(cell.member, cell.status) for cell in matrix.cells(store)] == list(
        zip(matrix.members, ["missing", "missing", "finished", "missing", "missing", "failed"], strict=True)
    )


def test_a_resumed_matrix_gives_each_run_the_threads_that_the_first_ones_had(small_machine):
    """A run alone at the end must not get both cores: its record would differ from the others'."""
    assert machine_share(Matrix.of("atari3", "ci", seeds=1), "cpu") == (2, 1)


def test_threads_fill_the_cores_that_are_left(monkeypatch):
    monkeypatch.setattr(dqn_ref, "CORES", 7)
    assert machine_share(Matrix.of("atari3", "ci", seeds=1), "cpu") == (3, 2)


# ---------------------------------------------------------------------- the engine


@dataclass(frozen=True)
class Script(Job):
    """A job that runs ``code``, which finds its folder in ``folder`` and a shared tape in ``tape``."""

    word: str = ""
    code: str = ""

    @property
    def log(self):
        return self.group / "logs" / f"{self.word}.log"

    def command(self, device, threads):
        start = (
            "import os, pathlib, signal, sys, time\n"
            f"folder = pathlib.Path({str(self.group / self.word)!r}); tape = folder.parent / 'tape'\n"
            "def write(word):\n    with tape.open('a') as file: file.write(word + ' ' + folder.name + '\\n')\n"
        )
        return [sys.executable, "-S", "-c", start + self.code]


@pytest.fixture
def script(tmp_path):
    def make(name, code) -> Script:
        return Script(("pong",), (0,), CI.config.total_frames, CI, tmp_path, name, code)

    return make


def run_scripts(jobs, at_once=2, on_end=lambda end: None, threads=1):
    return run_jobs(jobs, at_once=at_once, threads=threads, device="cpu", on_end=on_end)


def tape(tmp_path):
    return [tuple(line.split()) for line in (tmp_path / "tape").read_text().splitlines()]


def test_the_command_is_one_that_a_person_could_type(tmp_path):
    job = Job(("qbert",), (3,), 24_000, CI, tmp_path)
    assert job.command("cpu", 2) == [
        sys.executable, "-m", "dqn_ref", "train", "--protocol", "ci", "--game", "qbert", "--seed", "3",
        "--frames", "24000", "--device", "cpu", "--threads", "2", "--out", str(tmp_path / "qbert-s3"),
    ]  # fmt: skip
    again = replace(job, resumes=True)
    assert again.command("cpu", 2) == [sys.executable, "-m", "dqn_ref", "resume", str(tmp_path / "qbert-s3")]
    assert "--evaluate-iterations" in replace(job, evaluate_iterations=True).command("cpu", 2)
    several = Job(("qbert", "pong"), (0, 1), 24_000, CI, tmp_path)
    assert several.command("cuda", 2)[6:12] == ["--game", "qbert", "pong", "--seed", "0", "1"]
    assert several.command("cuda", 2)[-2:] == ["--out", str(tmp_path)]
    assert [folder.name for folder in several.folders] == ["qbert-s0", "pong-s0", "qbert-s1", "pong-s1"]


def test_runs_are_grouped_into_populations_of_every_game_with_every_seed():
    members = [Member(game, seed) for seed in range(3) for game in "abc"]
    assert populations(members, 1) == [((m.game,), (m.seed,)) for m in members]
    assert populations(members, 3) == [(("a", "b", "c"), (seed,)) for seed in range(3)]
    assert populations(members, 6) == [(("a", "b", "c"), (0, 1)), (("a", "b", "c"), (2,))]
    assert populations(members, 100) == [(("a", "b", "c"), (0, 1, 2))]
    assert populations(members, 2) == [part for seed in range(3) for part in ((("a", "b"), (seed,)), (("c",), (seed,)))]


def test_a_population_makes_only_what_is_missing():
    missing = [Member(*cell) for cell in [("b", 0), ("a", 1), ("b", 1), ("a", 2), ("b", 2), ("c", 5)]]
    grouped = populations(missing, 4)
    assert grouped == [(("b",), (0,)), (("a", "b"), (1, 2)), (("c",), (5,))]
    made = [Member(game, seed) for games, seeds in grouped for seed in seeds for game in games]
    assert made == missing


def test_every_exit_code_is_collected_and_a_failure_stops_nothing_else(script):
    codes = [0, 3, 0, 1, 0]
    jobs = [script(f"job{k}", f"sys.exit({code})") for k, code in enumerate(codes)]
    told = list[Ended]()
    ended = run_scripts(jobs, on_end=told.append)
    assert {end.job.word: end.exit_code for end in ended} == {f"job{k}": code for k, code in enumerate(codes)}
    assert told == ended


def test_a_job_that_is_killed_has_a_negative_exit_code(script):
    [end] = run_scripts([script("job", "os.kill(os.getpid(), signal.SIGKILL)")])
    assert end.exit_code == -signal.SIGKILL


def test_what_a_job_prints_is_kept_in_its_log_with_its_errors(script):
    job = script("job", "print('out', flush=True); sys.exit('error')")
    run_scripts([job])
    assert job.log.read_text() == "out\nerror\n"


@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_so_many_jobs_run_side_by_side_and_no_more(script, tmp_path, at_once):
    """A job of the first round waits for the others of it, however slowly they start."""
    together = (
        f"write('start'); most = time.monotonic() + 60\n"
        f"while tape.read_text().count('start') < {at_once} and time.monotonic() < most: time.sleep(0.01)\n"
        "time.sleep(0.1); write('end')"
    )
    jobs = [script(f"job{k}", together) for k in range(2 * at_once)]
    run_scripts(jobs, at_once=at_once)
    running, most = set(), 0
    for word, name in tape(tmp_path):
        (running.add if word == "start" else running.remove)(name)
        most = max(most, len(running))
    assert most == at_once
    assert running == set()
    assert len(tape(tmp_path)) == 2 * len(jobs)


def test_jobs_start_in_the_order_of_the_matrix(script, tmp_path):
    run_scripts([script(f"job{k}", "write('start')") for k in range(4)], at_once=1)
    assert tape(tmp_path) == [("start", f"job{k}") for k in range(4)]


def test_a_run_gets_no_more_threads_than_its_share(script):
    job = script("job", "print(os.environ['OMP_NUM_THREADS'])")
    run_scripts([job], threads=3)
    assert job.log.read_text() == "3\n"


UNTIL_TOLD = """
def told(*_):
    time.sleep(0.3)  # a record takes time to close
    write('told')
    sys.exit(130)
signal.signal(signal.SIGTERM, told)
write('start')
time.sleep(60)
"""


def test_an_interrupt_ends_running_jobs_waits_for_their_records_and_starts_no_more(script, tmp_path):
    until_started = "while not tape.exists() or tape.read_text().count('start') < 1: time.sleep(0.01)"
    jobs = [script("short", until_started), script("long", UNTIL_TOLD), script("never", "write('start')")]

    def interrupt(end):
        assert end.job.word == "short"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_scripts(jobs, on_end=interrupt)
    assert tape(tmp_path) == [("start", "long"), ("told", "long")]


def test_ctrl_c_in_a_terminal_tells_a_running_job_once(script, tmp_path):
    """A terminal signals every process of its foreground group; a job told twice would break off what it records."""
    both = """
def told(number, _):
    write(signal.Signals(number).name)
    time.sleep(0.5)  # a record takes time to close
    write('recorded')
    sys.exit(130)
signal.signal(signal.SIGINT, told)
signal.signal(signal.SIGTERM, told)
write('start')
time.sleep(60)
"""
    job = script("job", both)
    runner = runner_of(job, start_new_session=True)
    wait_for_start(runner, tmp_path)
    os.killpg(runner.pid, signal.SIGINT)
    assert runner.wait() != 0
    assert [what for what, _ in tape(tmp_path)] == ["start", "SIGTERM", "recorded"]


def runner_of(job, **options):
    """A process that runs ``job`` alone."""
    return subprocess.Popen(
        [sys.executable, "-c",
         "import sys; from benchmarks.jobs import *; from dqn_ref.protocols import CI\n"
         "class Given(Job):\n    def command(self, device, threads): return sys.argv[1:]\n"
         f"job = Given(('pong',), (0,), 1, CI, Path({str(job.group)!r}))\n"
         "run_jobs([job], at_once=1, threads=1, device='cpu', on_end=print)",
         *job.command("cpu", 1)],
        **options,
    )  # fmt: skip


def wait_for_start(runner, tmp_path):
    def started():
        assert runner.poll() is None, "the runner ended before its job began (its words: captured stderr)"
        return (tmp_path / "tape").exists() and tape(tmp_path) == [("start", "job")]

    wait_for(started, 30)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent is gone")
def test_jobs_are_told_to_end_also_when_the_runner_is_killed_outright(script, tmp_path):
    job = script("job", UNTIL_TOLD)
    runner = runner_of(job)
    wait_for_start(runner, tmp_path)
    runner.kill()
    runner.wait()
    wait_for(lambda: tape(tmp_path)[-1] == ("told", "job"), 30)


def wait_for(condition, seconds):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not so after {seconds} s"
        time.sleep(0.02)


# ---------------------------------------------------------------------- making a matrix


@pytest.fixture
def pretended(monkeypatch, small_machine):
    """The real engine; its processes bring a run without training."""
    monkeypatch.setattr(Job, "command", stand_in)


@pytest.fixture(autouse=True)
def impatient_engine(monkeypatch):
    monkeypatch.setattr(jobs, "POLL_SECONDS", 0.01)


@pytest.fixture
def matrix():
    return Matrix.of("atari3", "ci", seeds=2)


def made(store, matrix):
    """Names of the runs that were started, in order."""
    path = store.runs(matrix.group) / "tape"
    return path.read_text().split() if path.exists() else []


def times(store, matrix):
    runs = store.runs(matrix.group)
    return {path: path.stat().st_mtime_ns for path in runs.glob("*-s*/*") if path.is_file()}


def test_a_matrix_is_made_whole(store, matrix, pretended):
    said = []
    assert run_matrix(matrix, store, "cpu", said.append)
    assert [cell.status for cell in matrix.cells(store)] == ["finished"] * 6
    assert said[0] == "0 of 6 runs are finished; making 6, 2 at once."
    assert len(said) == 7
    assert said[-1].startswith("[6/6] ")
    assert "left" in said[1]
    assert "left" not in said[-1]
    assert any("battle_zone-s1 finished in" in line and "score 101.0" in line for line in said)


def test_what_is_finished_is_not_made_again(store, matrix, pretended):
    run_matrix(matrix, store, "cpu", lambda line: None)
    before, started, said = times(store, matrix), made(store, matrix), []
    assert run_matrix(matrix, store, "cpu", said.append)
    assert said == [f"Nothing is missing: all 6 runs of {matrix.group} are finished."]
    assert times(store, matrix) == before
    assert made(store, matrix) == started


def test_only_what_is_missing_is_made_and_what_did_not_finish_is_kept(store, matrix, pretended):
    runs = store.runs(matrix.group)
    write_run(runs / "phoenix-s0", "phoenix", 0, score=5)
    write_run(runs / "phoenix-s1", "phoenix", 1, status="failed", error="the reason")
    killed = write_run(runs / "battle_zone-s0", "battle_zone", 0, status="running")
    edit_json(killed / "run.json", pid=dead_pid())
    before, said = (runs / "phoenix-s0" / "run.json").stat().st_mtime_ns, []
    assert run_matrix(matrix, store, "cpu", said.append)
    assert sorted(made(store, matrix)) == [
        "battle_zone-s0", "battle_zone-s1", "name_this_game-s0", "name_this_game-s1", "phoenix-s1"
    ]  # fmt: skip
    assert (runs / "phoenix-s0" / "run.json").stat().st_mtime_ns == before
    assert RunRecord.read(runs / "attempts" / "phoenix-s1-1").run["error"] == "the reason"
    assert RunRecord.read(runs / "attempts" / "battle_zone-s0-1").status == "running"
    assert said[0].startswith("battle_zone-s0 was interrupted; kept as runs/")
    assert said[1].startswith("phoenix-s1 was failed; kept as runs/")
    assert said[2] == "1 of 6 runs are finished; making 5, 2 at once."


def test_what_has_a_checkpoint_goes_on_first_and_in_its_place(store, matrix, pretended, monkeypatch):
    runs, jobs, plain = store.runs(matrix.group), [], Job.command

    def command(job, device, threads):
        jobs.append((job.name, job.resumes))
        if job.resumes:
            shutil.rmtree(job.folders[0])  # where the stand-in puts its own
        return plain(job, device, threads)

    monkeypatch.setattr(Job, "command", command)
    write_run(runs / "phoenix-s0", "phoenix", 0, status="interrupted", resumable_after=8_000)
    write_run(runs / "phoenix-s1", "phoenix", 1, status="failed")
    said = []
    assert run_matrix(matrix, store, "cpu", said.append)
    assert said[0] == "phoenix-s0 was interrupted; it goes on after 8,000 frames."
    assert said[1].startswith("phoenix-s1 was failed; kept as runs/")
    assert jobs[0] == ("phoenix-s0", True)
    assert not any(resumes for _, resumes in jobs[1:])


@pytest.fixture
def extended(monkeypatch, pretended):
    """The jobs that go on from shorter runs, as they come; each is replaced by a stand-in, or ends with ``code``."""
    found, plain = [], Job.command

    def command(job, device, threads):
        if not job.extends:
            return plain(job, device, threads)
        found.append((job.name, job.extends))
        if code := found_codes.get(job.name):
            return [sys.executable, "-S", "-c", f"print('error: no'); raise SystemExit({code})"]
        return plain(job, device, threads)

    found_codes = {}
    monkeypatch.setattr(Job, "command", command)
    monkeypatch.setattr("benchmarks.runner.changes", lambda before, now: [])
    return found, found_codes


def test_a_finished_run_of_a_smaller_budget_is_gone_on_with(store, extended):
    """Of several the longest one, and none that differs in anything else, has no checkpoint, or is broken."""
    matrix = Matrix.of("atari3", "ci", frames=24_000, seeds=2)
    shorter, longer, other = (store.runs(f"ci-v1-{name}") for name in ("8k", "16k", "8k-of-another-day"))
    changed = replace(CI.config, total_frames=8_000, discount=0.5)
    write_run(shorter / "phoenix-s0", "phoenix", 0, score=5, frames=8_000, resumable_after=8_000)
    write_run(longer / "phoenix-s0", "phoenix", 0, score=5, frames=16_000, resumable_after=16_000)
    write_run(shorter / "phoenix-s1", "phoenix", 1, score=5, frames=8_000)
    write_run(shorter / "battle_zone-s0", "battle_zone", 0, score=5, config=changed, resumable_after=8_000)
    (write_run(shorter / "battle_zone-s1", "battle_zone", 1, score=5, frames=8_000) / "run.json").write_text("{")
    write_run(other / "phoenix-s0", "phoenix", 0, score=5, frames=8_000, status="interrupted", resumable_after=8_000)
    on_a_gpu = {"torch": {"device": "cuda", "threads": 1}}
    write_run(
        shorter / "name_this_game-s0", "name_this_game", 0, frames=8_000, resumable_after=8_000, provenance=on_a_gpu
    )
    write_run(store.runs(matrix.group) / "phoenix-s0", "phoenix", 0, frames=24_000, status="failed")
    before, said = contents(store.runs("ci-v1-8k")) | contents(longer), []
    assert run_matrix(matrix, store, "cpu", said.append)
    assert said[0].startswith("phoenix-s0 was failed; kept as runs/")
    assert said[1] == "phoenix-s0 goes on from its finished run runs/ci-v1-16k/phoenix-s0."
    assert said[2] == "0 of 6 runs are finished; making 6, 2 at once."
    assert extended[0] == [("phoenix-s0", (longer / "phoenix-s0",))]
    assert contents(store.runs("ci-v1-8k")) | contents(longer) == before
    assert sorted(made(store, matrix)) == sorted(member.name for member in matrix.members)


def test_a_run_that_cannot_go_on_is_made_from_the_start_at_once(store, matrix, extended):
    for game, seed in (("phoenix", 0), ("phoenix", 1)):
        folder = store.runs("ci-v1-8k") / f"{game}-s{seed}"
        write_run(folder, game, seed, score=5, frames=8_000, resumable_after=8_000)
    found, codes = extended
    codes["phoenix-s1"] = 2
    said = []
    assert run_matrix(matrix, store, "cpu", said.append)
    assert [name for name, _ in found] == ["phoenix-s0", "phoenix-s1"]
    assert any("phoenix-s1 FAILED (exit code 2): error: no" in line for line in said)
    assert said[-2] == "phoenix-s1: made from the start instead."
    assert said[-1].startswith("[1/1] phoenix-s1 finished")
    assert made(store, matrix)[-1] == "phoenix-s1"


def test_it_is_said_before_what_has_changed_since_the_shorter_run(store, matrix, extended, monkeypatch):
    asked = []
    monkeypatch.setattr("benchmarks.runner.changes", lambda *both: asked.append(both) or ["source", "torch"])
    folder = write_run(
        store.runs("ci-v1-8k") / "phoenix-s0", "phoenix", 0, score=5, frames=8_000, resumable_after=8_000
    )
    said = []
    assert run_matrix(matrix, store, "cpu", said.append)
    assert said[0] == (
        "phoenix-s0 goes on from its finished run runs/ci-v1-8k/phoenix-s0, with another source, torch than it had; "
        "to start afresh move that away."
    )
    [(before, now)] = asked
    assert before == RunRecord.read(folder).run["provenance"]
    assert now["torch"] == before["torch"]
    assert now["source"] == source_revision()


def test_populations_go_on_from_shorter_runs_of_one_budget_in_the_order_of_their_folders(store, extended, monkeypatch):
    monkeypatch.setattr("benchmarks.runner.machine_share", lambda matrix, device: (8, 1))
    matrix, on_a_gpu = Matrix.of("atari3", "ci", 24_000, 2), {"torch": {"device": "cuda", "threads": 1}}
    for member in matrix.members:
        frames = 16_000 if member.game == "phoenix" else 8_000
        folder = store.runs(f"ci-v1-{frames // 1000}k") / member.name
        write_run(folder, member.game, member.seed, frames=frames, score=1, resumable_after=frames, provenance=on_a_gpu)
    jobs = []
    monkeypatch.setattr("benchmarks.runner.run_jobs", lambda several, **rest: jobs.append((list(several), rest)))
    run_matrix(matrix, store, "cuda", lambda line: None)
    (first, rest), *_ = jobs
    assert [[folder.name for folder in job.extends] for job in first] == [
        ["phoenix-s0", "phoenix-s1"],
        ["battle_zone-s0", "name_this_game-s0", "battle_zone-s1", "name_this_game-s1"],
    ]
    assert [job.folders for job in first] == [
        [store.runs(matrix.group) / folder.name for folder in job.extends] for job in first
    ]
    assert rest["at_once"] == 1


def test_the_command_of_a_job_that_goes_on_is_one_that_a_person_could_type(tmp_path):
    job = Job(("qbert",), (3,), 24_000, CI, tmp_path, extends=(Path("a/qbert-s3"),))
    words = parse(job.command("cpu", 2)[3:])
    assert (words.run_dir, words.frames, words.out) == ((Path("a/qbert-s3"),), 24_000, tmp_path / "qbert-s3")
    several = Job(("qbert", "pong"), (0,), 24_000, CI, tmp_path, extends=(Path("a/qbert-s0"), Path("a/pong-s0")))
    words = parse(several.command("cuda", 2)[3:])
    assert (words.run_dir, words.out) == (several.extends, tmp_path)


def test_a_curve_of_evaluations_is_not_gone_on_with_from_a_run_that_has_none(store, matrix):
    write_run(store.runs("ci-v1-8k") / "phoenix-s0", "phoenix", 0, score=5, frames=8_000, resumable_after=8_000)
    [cell] = [cell for cell in matrix.cells(store) if cell.name == "phoenix-s0"]
    assert shorter_run(matrix, cell, store, "cpu", evaluate_iterations=False).config.total_frames == 8_000
    assert shorter_run(matrix, cell, store, "cpu", evaluate_iterations=True) is None


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_only_runs_that_were_stopped_at_one_step_go_on_together(store):
    matrix = Matrix.of("atari3", "ci", seeds=2)
    runs = store.runs(matrix.group)
    for game, seed, after in [("phoenix", 0, 8_000), ("phoenix", 1, 12_000), ("battle_zone", 1, 8_000)]:
        write_run(runs / f"{game}-s{seed}", game, seed, status="interrupted", resumable_after=after)
    found = [(after, [cell.name for cell in cells]) for after, cells in by_checkpoint(matrix.cells(store))]
    assert found == [
        (12_000, ["phoenix-s1"]),
        (8_000, ["phoenix-s0", "battle_zone-s1"]),
        (None, ["battle_zone-s0", "name_this_game-s0", "name_this_game-s1"]),
    ]


def test_more_seeds_make_only_the_new_ones(store, pretended):
    for seeds in (1, 2):
        run_matrix(Matrix.of("atari3", "ci", seeds=seeds), store, "cpu", lambda line: None)
    assert [name[-1] for name in made(store, Matrix.of("atari3", "ci"))] == ["0"] * 3 + ["1"] * 3


def test_a_run_that_fails_is_named_with_its_reason_and_the_others_are_made(store, matrix, pretended, monkeypatch):
    def one_fails(job, device, threads):
        fails = [sys.executable, "-c", "print('first'); raise SystemExit('error: the ROM is gone')"]
        return fails if job.name == "phoenix-s0" else stand_in(job, device, threads)

    monkeypatch.setattr(Job, "command", one_fails)
    said = []
    assert not run_matrix(matrix, store, "cpu", said.append)
    [failed] = [line for line in said if "FAILED" in line]
    assert "phoenix-s0 FAILED (exit code 1): error: the ROM is gone" in failed
    assert str(store.runs(matrix.group) / "logs" / "phoenix-s0.log") in failed
    assert sorted(cell.name for cell in matrix.cells(store) if cell.status != "finished") == ["phoenix-s0"]
    monkeypatch.setattr(Job, "command", stand_in)
    assert run_matrix(matrix, store, "cpu", said.append)  # the same command tries again


def test_a_run_that_dies_in_silence_is_not_given_the_reason_of_the_attempt_before(
    store, matrix, pretended, monkeypatch
):
    def fail_with(code):
        monkeypatch.setattr(Job, "command", lambda job, device, threads: [sys.executable, "-S", "-c", code])
        said = []
        run_matrix(matrix, store, "cpu", said.append)
        return [line for line in said if "FAILED" in line]

    assert all("an old reason" in line for line in fail_with("raise SystemExit('an old reason')"))
    silent = fail_with("import os; os.kill(os.getpid(), 9)")  # as the kernel does when memory is short
    assert len(silent) == 6
    assert [line for line in silent if "an old reason" in line] == []


def test_a_log_that_is_no_text_does_not_stop_the_other_runs(store, matrix, pretended, monkeypatch):
    def one_prints_bytes(job, device, threads):
        fails = [sys.executable, "-S", "-c", "import os; os.write(1, bytes([255, 254])); raise SystemExit(1)"]
        return fails if job.name == "battle_zone-s0" else stand_in(job, device, threads)

    monkeypatch.setattr(Job, "command", one_prints_bytes)
    assert not run_matrix(matrix, store, "cpu", lambda line: None)
    assert sum(cell.status == "finished" for cell in matrix.cells(store)) == 5


def test_a_run_of_another_process_is_left_alone(store, matrix, pretended):
    write_run(store.runs(matrix.group) / "phoenix-s0", "phoenix", 0, status="running")  # by this process
    with pytest.raises(UserError, match="phoenix-s0 are being run by another process"):
        run_matrix(matrix, store, "cpu", lambda line: None)
    assert made(store, matrix) == []


def test_a_foreign_record_stops_the_runner_before_it_starts_anything(store, matrix, pretended):
    write_run(store.runs(matrix.group) / "phoenix-s1", "phoenix", 1, score=5, frames=CI.config.total_frames * 2)
    with pytest.raises(UserError, match="another configuration"):
        run_matrix(matrix, store, "cpu", lambda line: None)
    assert made(store, matrix) == []


def test_a_runner_that_finds_another_one_starts_nothing(store, matrix, pretended):
    with store.exclusive(store.runs(matrix.group)), pytest.raises(UserError, match="Another runner"):
        run_matrix(matrix, store, "cpu", lambda line: None)
    assert made(store, matrix) == []


# ---------------------------------------------------------------------- real runs


def benchmarks(*arguments, results, **options):
    command = [sys.executable, "-m", "benchmarks", *arguments, "--results", str(results)]
    return subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options
    )


def status_of(folder):
    try:
        return RunRecord.read(folder).status
    except UserError:
        return "missing"


@pytest.mark.slow
def test_a_runner_that_is_told_to_end_loses_nothing_and_the_next_one_makes_the_rest(store):
    """Real training of three games, at the protocol's smallest budget, through real processes."""
    matrix = Matrix.of("atari3", "ci", frames=CI.config.iteration_frames, seeds=1)
    command = ("run", "atari3", "--frames", str(matrix.frames), "--seeds", "1", "--device", "cpu")
    folders = [store.runs(matrix.group) / f"{game}-s0" for game in matrix.games]

    def with_status(status):
        return [folder for folder in folders if status_of(folder) == status]

    with benchmarks(*command, results=store.root) as first:
        children = set()
        wait_for(lambda: with_status("finished") and with_status("running") and first.poll() is None, 900)
        children.update(psutil.Process(first.pid).children(recursive=True))
        first.terminate()
        said, _ = first.communicate(timeout=60)
    assert first.returncode == 130, said
    assert not [child for child in children if child.is_running()]
    finished, interrupted = with_status("finished"), with_status("interrupted")
    assert finished
    assert interrupted
    before = {path: path.stat().st_mtime_ns for folder in finished for path in folder.rglob("*")}
    records = {folder.name: (folder / "run.json").read_bytes() for folder in interrupted}
    assert all(not RunRecord.read(folder).evaluations for folder in interrupted)

    with benchmarks(*command, results=store.root) as second:
        said, _ = second.communicate(timeout=900)
    assert second.returncode == 0, said
    assert [status_of(folder) for folder in folders] == ["finished"] * 3
    assert {path: path.stat().st_mtime_ns for path in before} == before
    for name, record in records.items():
        assert (store.runs(matrix.group) / "attempts" / f"{name}-1" / "run.json").read_bytes() == record
    assert all(f"{folder.name} finished" not in said for folder in finished)

    start = time.monotonic()
    with benchmarks(*command, results=store.root) as third:
        said, _ = third.communicate(timeout=60)
    assert third.returncode == 0
    assert "Nothing is missing: all 3 runs" in said
    assert time.monotonic() - start < 10

    check_that_pretended_runs_look_like(RunRecord.read(folders[0]), store.root / "pretended")


def check_that_pretended_runs_look_like(real, folder):
    """What the other tests of the suite are fed has the form of a real record."""
    pretended = RunRecord.read(write_run(folder, real.member.game, real.member.seed, score=5, config=real.config))
    assert set(pretended.run) == set(real.run)
    assert set(pretended.run["provenance"]) == set(real.run["provenance"])
    assert set(pretended.evaluations[0]) == set(real.evaluations[0])
    assert set(pretended.evaluations[0]["episodes"][0]) == set(real.evaluations[0]["episodes"][0])
    assert set(pretended.episodes()[0]) == set(real.episodes()[0])
    assert [row["frames"] for row in pretended.progress()] == [row["frames"] for row in real.progress()]
