"""Two trees measured in turn: who is measured, in which order, what is left behind; on tiny repositories with a clock
of their own, so that no time is taken."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import benchmarks.__main__ as cli
from benchmarks.gates import revisions, serving, slowed_workloads, speed, speed_command
from benchmarks.gates.revisions import Plan, Side, checked_out, measure_in_turn, resolved, uncommitted
from benchmarks.gates.speed_samples import BENCHMARKS, RATIO_BENCHMARKS
from benchmarks.speed import workloads as our_workloads
from dqn_ref.config import UserError
from dqn_ref.provenance import SOURCE

# A call of benchmark "work" takes code.COST seconds of a clock that only calls move; each sample leaves a line.
WORKLOADS = """
import os, code_under_test
seconds = 0.0
def clock():
    return seconds
def workloads(settings):
    def call():
        global seconds
        seconds += code_under_test.COST
        with open(os.environ["TAPE"], "a") as tape:
            tape.write(code_under_test.NAME + "\\n")
    def more():
        return (lambda: code_under_test.more() or call()), 2
    always = {"work": lambda: (call, 1)}
    return always | {"more": more} if hasattr(code_under_test, "more") else always
"""
CODE = 'COST = 1.0\nNAME = "old"\n'


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    """Two passes, and the signal's handler as it was."""
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(speed_command, "PASSES", 2)
    monkeypatch.setenv("TAPE", str(tmp_path / "tape"))
    yield
    signal.signal(signal.SIGTERM, before)


def git(repository, *words):
    author = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(repository), *author, *words], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path):
    """A repository with a commit."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "code_under_test.py").write_text(CODE)
    git(folder, "init", "--quiet", "--initial-branch", "main")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "first")
    (tmp_path / "workloads.py").write_text(WORKLOADS)
    return folder


@pytest.fixture
def gate(repository, tmp_path, capfd):
    """Run the gate on the repository; returns exit code and the answer."""

    def run(*words, against="HEAD"):
        file = tmp_path / "answer.json"
        code = cli.main(["gate", "speed", "--against", against, "--repository", str(repository), "--rounds", "8",
                         "--workloads", str(tmp_path / "workloads.py"), "--format", "json", "--output", str(file),
                         *words])  # fmt: skip
        capfd.readouterr()
        return code, json.loads(file.read_text())

    return run


def change(repository, cost, name="new"):
    (repository / "code_under_test.py").write_text(f'COST = {cost}\nNAME = "{name}"\n')


def worktrees(repository):
    return revisions.git(repository, "worktree", "list").splitlines()


# ---------------------------------------------------------------------- the answer


def test_an_uncommitted_slowdown_fails_and_is_said_to_be_uncommitted(repository, gate):
    change(repository, 1.3)
    code, answer = gate()
    assert code == answer["exit_code"] == 1
    (check,) = answer["checks"]
    assert check["numbers"]["slower"] == pytest.approx(0.3, abs=1e-4)
    assert check["numbers"]["p_slower"] == 2**-8
    assert any("uncommitted changes: code_under_test.py" in note for note in answer["notes"])
    assert any("same interpreter, installed dependencies" in note for note in answer["notes"])
    assert "1 uncommitted file" in answer["compared"]["candidate"]
    assert len(worktrees(repository)) == 1


def test_an_older_commit_is_measured_as_it_was(repository, gate):
    change(repository, 1.3)
    git(repository, "commit", "--quiet", "-am", "slower")
    change(repository, 1.3, "newest")
    git(repository, "commit", "--quiet", "-am", "as slow")
    assert gate(against="HEAD~1")[0] == 0
    assert gate(against="HEAD~2")[0] == 1


def test_the_same_source_on_both_sides_passes_even_from_within_a_hook_of_another_repository(
    gate, monkeypatch, tmp_path
):
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    code, answer = gate()
    assert code == 0
    assert any("same source" in note for note in answer["notes"])


# ---------------------------------------------------------------------- errors


def test_what_one_side_lacks_is_named(repository, gate):
    (repository / "code_under_test.py").write_text(CODE + "def more():\n    pass\n")
    git(repository, "commit", "--quiet", "-am", "more")
    assert gate()[0] == 0  # both have it
    code, answer = gate(against="HEAD~1")
    assert code == 3
    assert "Revision HEAD~1 lacks these benchmarks: more." in answer["headline"]


def test_a_benchmark_that_breaks_on_the_other_revision_is_named(repository, gate, tmp_path):
    (tmp_path / "workloads.py").write_text(
        "import code_under_test\n"
        "def workloads(settings):\n"
        "    return {'work': lambda: ((lambda: code_under_test.newest()), 1)}\n"
    )
    (repository / "code_under_test.py").write_text(CODE + "def newest():\n    pass\n")
    code, answer = gate()
    assert code == 3
    assert "Revision HEAD lacks what these benchmarks need: work (AttributeError" in answer["headline"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import nothing_of_that_name", "No module named 'nothing_of_that_name'"),
        ("def workloads(settings):\n    return {}", "no benchmarks"),
        ("import sys\nsys.exit(5)", "exit code 5"),
    ],
)
def test_workloads_that_cannot_be_used_are_an_error(gate, tmp_path, text, message):
    (tmp_path / "workloads.py").write_text(text)
    code, answer = gate()
    assert code == 3
    assert message in answer["headline"]


def test_unknown_revisions_and_folders_that_are_no_repository_are_errors(repository, gate, tmp_path):
    for revision in ("nowhere", "--help", "HEAD:code_under_test.py"):
        with pytest.raises(UserError, match="knows no revision"):
            resolved(repository, revision)
    with pytest.raises(UserError, match="not a git repository"):
        resolved(tmp_path, "HEAD")
    code, answer = gate(against="nowhere")
    assert code == 3
    assert "'nowhere'" in answer["headline"]


def test_an_installed_copy_is_not_measured_instead(repository, tmp_path):
    """Of two trees that both have the package, a process must not load that of the other."""
    elsewhere = tmp_path / "installed"
    elsewhere.mkdir()
    (elsewhere / "code_under_test.py").write_text(CODE)
    spoiled = f"import sys\nsys.path.insert(0, {str(elsewhere)!r})\n{WORKLOADS}"
    (tmp_path / "workloads.py").write_text(spoiled)
    side = Side("tree", repository, tmp_path / "workloads.py", "This tree")
    with pytest.raises(UserError, match="code_under_test was loaded from"):
        measure_in_turn([side], Plan(1, 2, {"sample_seconds": 0.1}))


def test_a_process_that_hangs_is_an_error(repository, tmp_path, monkeypatch):
    monkeypatch.setattr(revisions, "PATIENCE_SECONDS", 0.5)
    (tmp_path / "workloads.py").write_text("import time\ntime.sleep(60)")
    start = time.monotonic()
    with pytest.raises(UserError, match="more than 0 s"):
        measure_in_turn([Side("a", repository, tmp_path / "workloads.py", "A")], Plan(1, 2, {"sample_seconds": 0.1}))
    assert time.monotonic() - start < 30


# ---------------------------------------------------------------------- order


def test_sides_take_turns_and_a_coin_says_who_is_first(repository, tmp_path, monkeypatch):
    """Of four samples each in a round: A B B A A B B A, or B A A B B A A B."""
    monkeypatch.setenv("TAPE", os.devnull)
    sides = []
    for name in ("a", "b"):
        tree = tmp_path / name
        tree.mkdir()
        (tree / "code_under_test.py").write_text(f'COST = 1.0\nNAME = "{name}"\n')
        sides.append(Side(name, tree, tmp_path / "workloads.py", name))
    asked = []
    monkeypatch.setattr(
        revisions.Process, "sample", lambda process, name: asked.append(process.side.name) or 1.0
    )  # fmt: skip
    rounds, said = measure_in_turn(sides, Plan(8, 4, {"sample_seconds": 1.0}, seed=3))
    orders = ["".join(each["order"]) for each in rounds]
    assert {"ab", "ba"} == set(orders)
    turns = {"ab": "abbaabba", "ba": "baabbaab"}
    assert "".join(asked) == "".join(turns[order] for order in orders)
    assert said["work"] == {"work": 1}
    again = measure_in_turn(sides, Plan(8, 4, {"sample_seconds": 1.0}, seed=3))[0]
    assert [each["order"] for each in again] == [each["order"] for each in rounds]
    other = measure_in_turn(sides, Plan(8, 4, {"sample_seconds": 1.0}, seed=4))[0]
    assert [each["order"] for each in other] != [each["order"] for each in rounds]


def test_samples_are_seconds_of_a_call_of_the_right_side(repository, tmp_path):
    slow = tmp_path / "slow"
    slow.mkdir()
    change(slow, 2.5)
    files = tmp_path / "workloads.py"
    rounds, _ = measure_in_turn(
        [Side("candidate", slow, files, "A"), Side("baseline", repository, files, "B")],
        Plan(2, 2, {"sample_seconds": 10.0}),
    )
    for each in rounds:
        assert each["samples"] == {"candidate": {"work": [2.5, 2.5]}, "baseline": {"work": [1.0, 1.0]}}


def test_each_side_runs_in_its_own_folder(repository, tmp_path):
    """Files that the code opens by a relative path are its own revision's."""
    (repository / "code_under_test.py").write_text('COST, NAME = float(open("cost").read()), "a"\n')
    (repository / "cost").write_text("0.5")
    side = Side("tree", repository, tmp_path / "workloads.py", "A")
    assert measure_in_turn([side], Plan(1, 1, {"sample_seconds": 1.0}))[0][0]["samples"]["tree"]["work"] == [0.5]


def test_what_the_measured_code_prints_is_no_answer(repository, tmp_path):
    (repository / "code_under_test.py").write_text(CODE + "print('hello')\nimport os\nos.system('echo hello')\n")
    rounds, _ = measure_in_turn(
        [Side("tree", repository, tmp_path / "workloads.py", "A")], Plan(1, 2, {"sample_seconds": 1.0})
    )
    assert rounds[0]["samples"] == {"tree": {"work": [1.0, 1.0]}}


def test_a_sample_is_about_as_long_as_it_was_asked_to_be():
    ticks = iter(range(10**6))
    clock = {"now": 0.0}

    def call():
        next(ticks)
        clock["now"] += 0.25

    assert serving.calls_of_a_sample(call, lambda: clock["now"], 3.0) == 12
    assert serving.calls_of_a_sample(call, lambda: clock["now"], 0.01) == 1
    assert serving.sample(call, 4, lambda: clock["now"]) == 0.25


# ---------------------------------------------------------------------- nothing is left behind


def test_the_other_tree_is_there_for_the_body_only(repository):
    change(repository, 9.0)
    commit = resolved(repository, "HEAD")
    with checked_out(repository, commit) as tree:
        assert (tree / "code_under_test.py").read_text() == CODE
        assert len(worktrees(repository)) == 2
    assert not tree.exists()
    assert not tree.parent.exists()
    assert len(worktrees(repository)) == 1
    with pytest.raises(KeyboardInterrupt), checked_out(repository, commit) as tree:
        raise KeyboardInterrupt
    assert not tree.exists()
    assert len(worktrees(repository)) == 1
    assert "9.0" in (repository / "code_under_test.py").read_text()


def test_changed_and_new_files_count_as_uncommitted_and_ignored_ones_do_not(repository):
    assert uncommitted(repository) == []
    (repository / ".git" / "info" / "exclude").write_text("*.log\n")
    (repository / "new.py").write_text("")
    (repository / "x.log").write_text("")
    change(repository, 2.0)
    assert uncommitted(repository) == ["code_under_test.py", "new.py"]


def test_an_interrupted_gate_leaves_no_tree_and_no_process(repository, tmp_path):
    (tmp_path / "workloads.py").write_text(
        "import os, time\nopen(os.environ['TAPE'], 'a').write(f'{os.getpid()} ')\ntime.sleep(300)\n"
    )
    command = [sys.executable, "-m", "benchmarks", "gate", "speed", "--against", "HEAD",
               "--repository", str(repository), "--workloads", str(tmp_path / "workloads.py")]  # fmt: skip
    environment = os.environ | {"TMPDIR": str(tmp_path / "temporary")}
    (tmp_path / "temporary").mkdir()
    process = subprocess.Popen(command, cwd=SOURCE, env=environment, stderr=subprocess.PIPE, text=True)
    tape, until = tmp_path / "tape", time.monotonic() + 100
    while not (tape.exists() and len(tape.read_text().split()) == 2) and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()
    assert not list((tmp_path / "temporary").iterdir())
    assert len(worktrees(repository)) == 1
    pids = tape.read_text().split()
    assert len(pids) == 2
    assert not any(Path("/proc", pid).exists() for pid in pids)


# ---------------------------------------------------------------------- our own workloads


def test_our_workloads_are_those_that_the_gate_names():
    set_ups = our_workloads.workloads(
        {"device": "cpu", "threads": torch.get_num_threads(), "game": "breakout", "members": 1}
    )
    assert set(set_ups) == set(RATIO_BENCHMARKS) > set(BENCHMARKS)


def test_a_slowed_function_takes_the_factor_and_gives_the_same_answer():
    def slow(seconds):
        time.sleep(seconds)
        return seconds

    start = time.perf_counter()
    assert slowed_workloads.slowed(slow, 2.0)(0.2) == 0.2
    assert time.perf_counter() - start >= 0.4


@pytest.mark.slow
def test_this_project_is_measured_against_its_own_last_commit(tmp_path, monkeypatch, capfd):
    """Two rounds of short samples, which the gate would refuse. What they say depends on the machine."""
    if not (SOURCE / ".git").exists():
        pytest.skip("this is no git checkout")
    monkeypatch.setattr(speed_command, "SAMPLE_SECONDS", 0.001)
    monkeypatch.setattr(speed, "check_rounds", lambda *_: None)
    code = cli.main(["gate", "speed", "--against", "HEAD", "--rounds", "2", "--device", "cpu", "--format", "json",
                     "--output", str(tmp_path / "answer.json"),
                     "--keep-samples", str(tmp_path / "kept.json")])  # fmt: skip
    answer = json.loads((tmp_path / "answer.json").read_text())
    capfd.readouterr()
    assert code == answer["exit_code"] == 2, answer  # neither p can be small
    assert {check["name"] for check in answer["checks"]} == set(BENCHMARKS)
    assert answer["compared"]["about"]["torch"] == torch.__version__
    kept = json.loads((tmp_path / "kept.json").read_text())
    assert kept["work"]["training"] == 16
    assert cli.main(["gate", "speed", "--candidate", str(tmp_path / "kept.json")]) == code
