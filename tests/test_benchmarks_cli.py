"""The command line: exit codes, one message for a mistake, nothing written by what only shows."""

import re
import signal
import subprocess
import sys

import pytest
import torch
from fake_runs import COMMIT, edit_json, evaluation, resample_little, stand_in, write_matrix, write_run

import benchmarks.__main__ as cli
from benchmarks import jobs, suite_commands
from benchmarks.costs import Costs
from benchmarks.runner import Matrix
from benchmarks.store import Store
from dqn_ref.config import format_frames
from dqn_ref.protocols import CI
from dqn_ref.run_writer import add_evaluation

MATRIX = Matrix.of("atari3", "ci", seeds=2)
COSTS = Costs(startup=2.0, warm_up_step=0.002, learning_step=0.05, evaluation_step=0.004, at_once=2)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """No measurement of the machine, no training, few resamples; and the signal's handler as it was."""
    before = signal.getsignal(signal.SIGTERM)
    resample_little(monkeypatch)
    monkeypatch.setattr(suite_commands, "measure", lambda *_: COSTS)
    monkeypatch.setattr(jobs.Job, "command", stand_in)
    monkeypatch.setattr(jobs, "POLL_SECONDS", 0.01)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def results(tmp_path):
    return tmp_path / "results"


@pytest.fixture
def call(results, capsys):
    """Run a command; returns its exit code, what it printed, and its complaints."""

    def run(*words, at=results):
        capsys.readouterr()
        try:
            code = cli.main([*words, *(() if at is None else ("--results", str(at)))])
        except SystemExit as leaving:  # how the reader of arguments ends
            code = leaving.code
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_the_machine_is_measured_on_the_device_that_auto_stands_for(results, monkeypatch):
    """With CUDA one process trains all; measured as ``auto`` there would be one process a run, all on one GPU."""
    asked = []
    monkeypatch.setattr(suite_commands, "device_here", lambda name: {"auto": "cuda"}[name])
    monkeypatch.setattr(suite_commands, "machine_share", lambda matrix, device: (6, 1))
    monkeypatch.setattr(suite_commands, "measure", lambda *given: asked.append(given) or COSTS)
    assert suite_commands.known_costs(MATRIX, MATRIX.cells(Store(results)), "auto") is COSTS
    assert asked == [("cuda", 6, 1)]


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device")
@pytest.mark.parametrize("command", [["run", "atari3"], ["plan", "atari3"], ["failures", "plan"]], ids=" ".join)
def test_cuda_that_is_not_there_is_a_message(call, command):
    code, _, said = call(*command, "--device", "cuda")
    assert code == 2
    assert "PyTorch finds no CUDA device. Use --device cpu or auto." in re.sub(r"\s+", " ", said)


@pytest.mark.parametrize(("typed", "meant"), [("scorse", "scores"), ("gates", "gate"), ("baselines", "baseline")])
def test_a_misspelt_command_is_told_the_nearest_of_all_also_of_groups(call, typed, meant):
    code, _, said = call(typed)
    assert code == 2
    said = " ".join(said.split())
    assert f"There is no command '{typed}'. Did you mean {meant}? Commands are: bench, plan," in said
    assert "gate." in said


def test_with_its_output_closed_a_command_still_answers():
    """By its exit code, as a job does that keeps no log."""
    command = f"exec {sys.executable} -m benchmarks baseline list >&-"
    done = subprocess.run(["sh", "-c", command], stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_full_disk_behind_the_output_is_a_message():
    command = f"exec {sys.executable} -m benchmarks baseline list > /dev/full"
    done = subprocess.run(["sh", "-c", command], stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines() == ["error: standard output: No space left on device."]


def test_a_word_near_no_command_is_told_them_all(call):
    code, _, said = call("xyzzy")
    assert code == 2
    assert "There is no command 'xyzzy'. Commands are: bench" in " ".join(said.split())


@pytest.fixture
def runs(results):
    """Folder of the runs of atari3 with two seeds, all finished."""
    folder = Store(results).runs(MATRIX.group)
    write_matrix(folder, MATRIX.games, 2, score=lambda game, seed: 3_000.0 + 500 * seed)
    return folder


def everything(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


ASKED = ("atari3", "--seeds", "2")

# ---------------------------------------------------------------------- mistakes

BELOW = str(CI.config.iteration_frames - CI.config.frames_per_agent_step)


@pytest.mark.parametrize("command", ["bench", "plan", "run", "status", "scores", "plot", "baseline create"])
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["atari4"], "No suite is called 'atari4'"),
        (["atari3", "--protocol", "paper"], "'paper'"),
        (["atari3", "--frames", BELOW], "below one iteration"),
        (["atari3", "--frames", "many"], "'many' is no number of frames"),
        (["atari3", "--frames", "-8k"], "above 0"),
        (["atari3", "--seeds", "0"], "--seeds must be 1 or above"),
        (["atari3", "--seeds", "two"], "two"),
        (["atari3", "--epochs", "3"], "--epochs"),
    ],
)
def test_a_mistake_is_one_message_exit_code_2_and_nothing_written(call, results, command, words, message):
    code, out, err = call(*command.split(), *words)
    assert code == 2
    assert message in err
    assert "Traceback" not in err
    assert err.count("error:") <= 1
    assert out == ""
    assert not results.exists()


def test_a_mistake_has_no_traceback_in_a_process_of_its_own(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "run", "atari3", "--seeds", "0", "--results", str(tmp_path / "results")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.strip() == "error: --seeds must be 1 or above, got 0."
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_command_is_refused(call):
    code, _, err = call("train", at=None)
    assert code == 2
    assert "train" in err


@pytest.mark.parametrize("command", ["status", "scores", "plot", "plan", "run", "bench", "baseline create"])
def test_a_broken_record_is_one_message_with_its_path(call, runs, command):
    (runs / "phoenix-s0" / "run.json").write_text("{")
    before = everything(runs)
    code, _, err = call(*command.split(), *ASKED)
    assert code == 2
    assert err.startswith("error: ")
    assert str(runs / "phoenix-s0" / "run.json") in err.replace("\n", "")
    assert {path: content for path, content in everything(runs).items() if path.name != ".lock"} == before


@pytest.mark.parametrize("command", ["run", "bench"])
def test_a_results_folder_that_is_a_file_is_one_message(call, tmp_path, command):
    (tmp_path / "file").write_text("mine")
    code, _, err = call(command, *ASKED, at=tmp_path / "file")
    assert code == 2
    assert "Choose another --results" in err
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("command", ["plan", "scores", "bench", "plot"])
def test_a_finished_run_without_its_evaluation_is_one_message(call, runs, command):
    (runs / "battle_zone-s0" / "evaluation.json").unlink()
    code, _, err = call(*command.split(), *ASKED)
    assert code == 2
    assert str(runs / "battle_zone-s0") in err


# ---------------------------------------------------------------------- showing


def test_status_counts_what_is_finished_and_writes_nothing(call, results, runs):
    (runs / "phoenix-s1" / "run.json").unlink()
    before = everything(results)
    code, out, _ = call("status", *ASKED)
    assert code == 0
    assert f"5 of 6 runs of {MATRIX.group} are finished." in out
    assert out.count("finished") == 6
    assert out.count("missing") == 1
    assert everything(results) == before


def test_status_of_nothing_makes_no_folder(call, results):
    code, out, _ = call("status", *ASKED)
    assert (code, out.count("missing")) == (0, 6)
    assert not results.exists()


def test_plan_prices_what_is_missing_and_writes_nothing(call, results):
    code, out, _ = call("plan", *ASKED)
    assert code == 0
    assert "Measuring this machine" in out
    assert "2.0 ms an agent step of random play, 50.0 ms of learning, 4.0 ms of evaluation" in out
    for frames in ("10M", "40M", "200M", format_frames(CI.config.total_frames)):
        assert f" {frames} " in out
    assert not results.exists()


def test_a_damaged_record_of_another_group_does_not_stop_a_plan(call, results, runs):
    broken = results / "runs" / "nature-v1-10M" / "phoenix-s0" / "run.json"
    broken.parent.mkdir(parents=True)
    broken.write_text('{"schema": 1, "mem')
    code, out, _ = call("plan", *ASKED)
    assert code == 0
    [row] = [line.split() for line in out.splitlines() if line.split()[:2] == ["nature-v1", "10M"]]
    assert row[2] == row[3]  # all are missing
    assert f"Of nature-v1-10M all runs count as missing: {broken} is" in out


def test_plan_knows_the_costs_from_runs_that_are_there(call, runs, monkeypatch):
    monkeypatch.setattr(suite_commands, "measure", lambda *_: pytest.fail("the runs are there"))
    code, out, _ = call("plan", *ASKED)
    assert code == 0
    assert "done" in out
    assert "2.0 ms an agent step of random play, 40.0 ms of learning, 5.0 ms of evaluation" in out


def test_scores_of_a_whole_matrix(call, runs):
    code, out, _ = call("scores", *ASKED)
    assert code == 0
    for word in ("IQM", "median", "mean", "3,250.0", "battle_zone", "phoenix"):
        assert word in out


def test_scores_of_the_best_networks_are_asked_for_by_name_and_never_filled_up_with_the_last(call, runs):
    code, _, errors = call("scores", *ASKED, "--weights", "best")
    assert (code, "no evaluation of its protocol for its best network" in errors) == (2, True)
    for folder in sorted(runs.glob("*-s?")):
        add_evaluation(folder, evaluation(CI.config, 99.0, weights="best"))
    code, out, _ = call("scores", *ASKED, "--weights", "best")
    assert code == 0
    assert "best network" in out
    assert "99.0" in out
    assert "3,250.0" not in out
    assert "3,250.0" in call("scores", *ASKED)[1]


def test_scores_with_missing_cells_name_them_and_exit_with_1(call, runs):
    (runs / "phoenix-s1" / "run.json").unlink()
    code, out, _ = call("scores", *ASKED)
    assert code == 1
    assert "phoenix seed 1: missing" in out
    assert "No aggregate: 1 of 6" in out
    assert "IQM" not in out


def test_plot_draws_beside_the_runs_and_leaves_them_alone(call, results, runs):
    before = everything(runs)
    code, out, _ = call("plot", *ASKED)
    assert code == 0
    assert {path.suffix for path in Store(results).plots(MATRIX.name).iterdir()} == {".png", ".svg"}
    assert "intervals.png" in out
    assert everything(runs) == before


def test_plot_of_an_incomplete_matrix_says_so_and_exits_with_1(call, runs):
    (runs / "phoenix-s1" / "run.json").unlink()
    code, out, _ = call("plot", *ASKED)
    assert code == 1
    assert "No aggregate is drawn: 1 runs are missing." in out


def test_plot_of_nothing_is_refused_and_makes_no_folder(call, results):
    code, _, err = call("plot", *ASKED)
    assert code == 2
    assert "nothing to draw" in err
    assert not results.exists()


def test_status_says_where_a_stopped_run_goes_on(call, results):
    folder = Store(results).runs(MATRIX.group)
    write_run(folder / "phoenix-s0", "phoenix", 0, status="interrupted", resumable_after=12_000)
    write_run(folder / "phoenix-s1", "phoenix", 1, status="interrupted")
    _, out, _ = call("status", *ASKED)
    [line] = [line for line in out.splitlines() if line.split()[:1] == ["phoenix"]]
    assert line.split() == ["phoenix", "interrupted,", "goes", "on", "after", "12k", "interrupted"]


@pytest.mark.parametrize("words", [["status"], ["run", "--device", "cpu"]])
def test_what_is_quick_does_not_wait_for_plotting_and_statistics(runs, results, words):
    """As the command line's own source promises; with all runs there, ``run`` has nothing to do."""
    arguments = [words[0], *ASKED, *words[1:], "--results", str(results)]
    program = (
        f"import sys; from benchmarks.__main__ import main; assert main({arguments}) == 0\n"
        "slow = {'matplotlib', 'pandas', 'rliable', 'seaborn', 'torch'} & set(sys.modules)\n"
        "sys.exit(f'it imported {sorted(slow)}' if slow else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# ---------------------------------------------------------------------- running


def test_run_makes_what_is_missing_and_a_second_one_makes_nothing(call, results):
    code, out, _ = call("run", *ASKED, "--device", "cpu")
    assert code == 0
    assert "[6/6]" in out
    before = everything(results)
    code, out, _ = call("run", *ASKED, "--device", "cpu")
    assert code == 0
    assert "Nothing is missing" in out
    assert everything(results) == before


def fail(job, device, threads):
    return [sys.executable, "-S", "-c", "raise SystemExit('no memory')"]


def test_run_exits_with_1_if_a_run_failed(call, monkeypatch):
    monkeypatch.setattr(jobs.Job, "command", fail)
    code, out, _ = call("run", *ASKED, "--device", "cpu")
    assert code == 1
    assert out.count("FAILED (exit code 1): no memory") == 6
    assert "Not every run finished" in out


def test_a_runner_that_finds_another_one_exits_with_2(call, results):
    with Store.exclusive(Store(results).runs(MATRIX.group)):
        code, _, err = call("run", *ASKED, "--device", "cpu")
    assert code == 2
    assert re.search(r"Another runner.* works in", err)


def test_an_interrupt_exits_with_130_and_one_line(call, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("benchmarks.runner.run_jobs", interrupt)
    code, _, err = call("run", *ASKED, "--device", "cpu")
    assert code == 130
    assert err == "Interrupted. Finished runs are kept; the same command makes the rest.\n"


def test_bench_goes_the_whole_way(call, results):
    code, out, _ = call("bench", *ASKED, "--device", "cpu")
    assert code == 0
    order = ["kept in", "Forecast from", "making 6", "[6/6]", "human-normalised", "IQM", "Drawn in", "What this shows"]
    places = [out.index(word) for word in order]
    assert places == sorted(places)
    assert (Store(results).plots(MATRIX.name) / "profile.svg").exists()


@pytest.mark.parametrize("failing", [{"phoenix"}, set(MATRIX.games)])
def test_bench_exits_with_1_if_a_run_failed(call, monkeypatch, failing):
    monkeypatch.setattr(
        jobs.Job, "command", lambda job, *rest: (fail if job.games[0] in failing else stand_in)(job, *rest)
    )
    code, out, err = call("bench", *ASKED, "--device", "cpu")
    assert "What this shows" not in out
    assert "No aggregate" in out
    assert code == 1, err


# ---------------------------------------------------------------------- baselines


def test_a_baseline_is_created_promoted_listed_and_shown(call, results, runs):
    code, out, _ = call("baseline", "create", *ASKED, "--reason", "first")
    assert code == 0
    assert f"baseline promote {MATRIX.name}" in out
    [stored] = (results / "baselines").rglob("baseline.json")
    assert len(list(stored.parent.glob("*/evaluation.json"))) == 6
    assert call("baseline", "list")[1].split()[6:9] == [f"{MATRIX.name}.candidate", "candidate", "2"]
    assert call("baseline", "promote", MATRIX.name, "--reason", "we stand by it")[0] == 0
    code, out, _ = call("baseline", "list")
    assert code == 0
    assert out.split()[6:11] == [MATRIX.name, "current", "2", format_frames(CI.config.total_frames), COMMIT[:10]]
    assert "we stand by it" in out
    code, out, _ = call("baseline", "show", MATRIX.name)
    assert code == 0
    for words in (": first", ": we stand by it", "Seal", "3,000.0", "3,500.0", "IQM"):
        assert words in out


def test_there_is_no_baseline_yet(call, results):
    assert call("baseline", "list")[:2] == (0, f"There is no baseline in {results / 'baselines'}.\n")
    code, _, err = call("baseline", "show", "mine")
    assert code == 2
    assert "No baseline is called 'mine'" in err
    assert not results.exists()


@pytest.mark.parametrize("name", ["../runs", ".", "mine/..", ""])
def test_a_name_of_a_baseline_leads_nowhere_else(call, runs, name):
    code, _, err = call("baseline", "show", name)
    assert code == 2
    assert "No baseline is called" in err


def test_a_baseline_changed_by_hand_is_not_shown_and_the_list_says_why(call, results, runs):
    call("baseline", "create", *ASKED, "--reason", "first")
    [path] = (results / "baselines").rglob("phoenix-s1/evaluation.json")
    path.write_text(path.read_text().replace("3500", "9500"))
    code, out, err = call("baseline", "show", f"{MATRIX.name}.candidate")
    assert (code, out) == (2, "")
    assert "was changed by hand" in err
    assert "was changed by hand" in " ".join(call("baseline", "list")[1].split())


@pytest.mark.parametrize(
    ("spoil", "words", "message"),
    [
        (lambda runs: None, [], "--reason"),
        (lambda runs: (runs / "phoenix-s1" / "run.json").unlink(), ["--reason", "x"], "phoenix seed 1: missing"),
        (
            lambda runs: edit_json(
                runs / "phoenix-s1" / "run.json", provenance={"source": {"commit": COMMIT, "dirty": True}}
            ),
            ["--reason", "x"],
            "uncommitted source",
        ),
    ],
)
def test_a_baseline_is_refused_and_nothing_is_written(call, results, runs, spoil, words, message):
    spoil(runs)
    code, _, err = call("baseline", "create", *ASKED, *words)
    assert code == 2
    assert message in err
    assert not (results / "baselines").exists()


def test_the_baseline_of_one_suite_does_not_displace_that_of_another(call, results):
    """atari3 is part of atari5; both have the same protocol and budget."""
    group = Store(results).runs(MATRIX.group)
    for game in Matrix.of("atari5", "ci").games:
        write_run(group / f"{game}-s0", game, 0, score=5)
    for suite in ("atari5", "atari3"):
        assert call("baseline", "create", suite, "--seeds", "1", "--reason", "first")[0] == 0
    assert [path for path in (results / "baselines").rglob("*") if ".until-" in path.name] == []
    kept = {path.parent.name for path in (results / "baselines").rglob("run.json")}
    assert kept == {f"{game}-s0" for game in Matrix.of("atari5", "ci").games}
