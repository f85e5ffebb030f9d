"""Bad input on the command line: one message, exit code 2, nothing written."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dqn_ref.__main__ import main
from dqn_ref.config import UserError
from dqn_ref.protocols import CI, NATURE
from dqn_ref.records import RunRecord

TINY = [
    "--protocol", "ci", "--frames", "960", "--iteration-frames", "480", "--progress-frames", "240",
    "--replay-start-agent-steps", "60", "--batch-size", "8", "--evaluation-episodes", "1",
    "--evaluation-max-frames", "100", "--heldout-states", "8", "--device", "cpu",
]  # fmt: skip


@pytest.fixture
def cli(capsys, monkeypatch, tmp_path):
    """Run ``main`` in an empty folder; returns exit code, output and errors."""
    monkeypatch.chdir(tmp_path)
    handler = signal.getsignal(signal.SIGTERM)

    def call(*arguments: str) -> tuple[int, str, str]:
        try:
            code = main(list(arguments))
        except SystemExit as end:
            code = end.code
        return code, *capsys.readouterr()

    yield call
    signal.signal(signal.SIGTERM, handler)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "train"),
        (["play"], "play"),
        (["train"], "--game"),
        (["train", "--game", "brekout"], "breakout"),
        (["train", "--game", "Breakout"], "breakout"),
        (["train", "--game", ""], "game"),
        (["train", "--game", "../breakout"], "breakout"),
        (["train", "--game", "breakout", "--seed", "-1"], "--seed"),
        (["train", "--game", "breakout", "--seed", "one"], "--seed"),
        (["train", "--game", "breakout", "--frames", "10X"], "10X"),
        (["train", "--game", "breakout", "--frames", "-10M"], "frames"),
        (["train", "--game", "breakout", "--frames", "0"], "frames"),
        (["train", "--game", "breakout", "--frames", "infM"], "infM"),
        (["train", "--game", "breakout", "--frames", "10k"], "one iteration"),
        (["train", "--game", "breakout", "--frames", "1000002"], "multiple of 4"),
        (["train", "--game", "breakout", "--protocol", "ci", "--frames", "4k"], "one iteration"),
        (["train", "--game", "breakout", "--protocol", "natur"], "natur"),
        (["train", "--game", "breakout", "--protocol=natur"], "natur"),
        (["train", "--game", "breakout", "--discount", "1.5"], "discount"),
        (["train", "--game", "breakout", "--discount", "nan"], "discount"),
        (["train", "--game", "breakout", "--batch-size", "0"], "batch_size"),
        (["train", "--game", "breakout", "--batch-size", "3.5"], "--batch-size"),
        (["train", "--game", "breakout", "--threads", "0"], "--threads"),
        (["train", "--game", "breakout", "--device", "tpu"], "tpu"),
        (["train", "--game", "breakout", "--learning-rat", "1"], "learning-rat"),
        (["train", "--game", "breakout", "--out", "a" * 300], "aaa"),
        (["evaluate"], "Folder of the run"),
        (["evaluate", "nowhere"], "nowhere"),
        (["evaluate", "nowhere", "--episodes", "0"], "episode"),
        (["evaluate", "nowhere", "--epsilon", "2"], "epsilon"),
        (["record"], "Folder of the run"),
        (["record", "nowhere"], "nowhere"),
        (["record", "nowhere", "--scale", "0"], "scale"),
    ],
)
def test_a_mistake_is_one_message_exit_code_2_and_no_file(cli, tmp_path, arguments, named):
    code, output, errors = cli(*arguments)
    message = errors + output
    assert code == 2
    assert named in message
    assert "Traceback" not in message
    assert message.count("error: ") <= 1
    assert list(tmp_path.iterdir()) == []


def test_a_taken_folder_is_refused_and_a_file_in_its_place_too(cli, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("precious")
    for out, named in (("mine", "other files"), ("mine/thesis.tex", "is a file")):
        code, _, errors = cli("train", "--game", "breakout", "--out", out, *TINY)
        assert (code, errors.count("error: ")) == (2, 1)
        assert named in errors
    assert [p.name for p in tmp_path.rglob("*")] == ["mine", "thesis.tex"]
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "precious"


def test_train_then_evaluate(cli, tmp_path):
    code, output, _ = cli("train", "--game", "breakout", "--seed", "3", *TINY)
    assert code == 0
    folder = Path("runs/ci-v1-960/breakout-s3")
    assert f"Recorded in {folder}" in output
    assert "breakout-s3, last network: mean return" in output
    assert "breakout-s3, best network: mean return" in output
    record = RunRecord.read(folder)
    assert (record.status, record.member.seed, record.config.batch_size) == ("finished", 3, 8)
    own, natures = CI.config.target_period_agent_steps, NATURE.config.target_period_agent_steps
    assert record.config.target_period_agent_steps == own != natures
    code, output, _ = cli("evaluate", str(folder), "--episodes", "2", "--max-frames", "100", "--device", "cpu")
    assert code == 0
    assert "2 episodes of at most 100 frames, epsilon 0.05, after 960 frames of training" in output
    assert len(RunRecord.read(folder).evaluations) == 3
    assert "nothing was played" not in output
    code, again, _ = cli("evaluate", str(folder), "--episodes", "2", "--max-frames", "100", "--device", "cpu")
    assert (code, again) == (0, f"Recorded before; nothing was played now.\n{output}")
    code, _, errors = cli("train", "--game", "breakout", "--seed", "3", *TINY)  # the same folder again
    assert code == 2
    assert "already holds a run" in errors


def test_several_games_and_seeds_are_runs_of_their_own(cli):
    code, output, _ = cli("train", "--game", "breakout", "pong", "--seed", "0", "3", "--out", "side-by-side", *TINY)
    assert code == 0
    for name in ("breakout-s0", "pong-s0", "breakout-s3", "pong-s3"):
        record = RunRecord.read(Path("side-by-side") / name)
        assert (record.status, record.member.name) == ("finished", name)
        assert f"{name}, last network: mean return" in output
    code, _, errors = cli("train", "--game", "breakout", "--seed", "0", "-1", *TINY)
    assert (code, "--seed must be 0 or above, got -1." in errors) == (2, True)
    for arguments, message in (
        (["--game", "pong", "--seed", "3", "0", "3"], "--seed has 3 twice"),
        (["--game", "pong", "qbert", "pong"], "--game has pong twice"),
        (["--game", "pong", "--seed"], "--seed needs at least one value"),
    ):
        code, _, errors = cli("train", *arguments, *TINY)
        assert (code, message in errors) == (2, True)


def test_what_cannot_be_is_said_before_what_is_unwise(cli):
    code, output, errors = cli("train", "--game", "breakou", *TINY, "--target-period-agent-steps", "4")
    assert (code, output) == (2, "")
    assert "No game is called 'breakou'" in errors


def test_options_of_a_protocol_are_its_own_wherever_it_is_named(cli):
    for arguments in (["--protocol", "ci", "--game", "breakout"], ["--game", "breakout", "--protocol=ci"]):
        code, _, errors = cli("train", *arguments, "--frames", "4k")
        assert (code, f"one iteration ({CI.config.iteration_frames:,} frames)" in errors) == (2, True)
    code, _, errors = cli("train", "--game", "breakout", "--frames", "4k")
    assert (code, "one iteration (1,000,000 frames)" in errors) == (2, True)


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["evaluate", "--help"], ["record", "--help"]])
def test_help_ends_well_and_gives_units(cli, arguments):
    code, output, _ = cli(*arguments)
    assert code == 0
    assert "frames" in output.lower()


@pytest.mark.parametrize("module", ["dqn_ref", "benchmarks"])
def test_a_reader_that_leaves_early_sees_no_traceback(module, tmp_path):
    """The pipe has no reader from the start, so whatever is printed meets a broken one."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", module, "--help"]
    process = subprocess.run(command, cwd=Path(__file__).parent.parent, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert (process.returncode, process.stderr) == (1, b"")


def start(*arguments: str, folder: Path) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-m", "dqn_ref", *arguments], cwd=folder, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)})  # fmt: skip


def test_the_module_can_be_called_and_a_mistake_is_one_line(tmp_path):
    process = start("train", "--game", "brekout", folder=tmp_path)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert output == ""
    assert errors.splitlines() == ["error: No game is called 'brekout'. Did you mean breakout or qbert or joust?"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_told_to_end_records_it(tmp_path, sent):
    process = start("train", "--game", "breakout", "--out", "run", *TINY, "--frames", "960k", folder=tmp_path)
    deadline = time.monotonic() + 60
    progress = tmp_path / "run" / "progress.csv"
    while time.monotonic() < deadline and not (progress.exists() and progress.read_text().count("\n") > 1):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    process.send_signal(sent)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    record = RunRecord.read(tmp_path / "run")
    assert record.status == "interrupted"
    assert 240 <= record.frames_done < 960_000
    assert record.run["ended"] is not None


@pytest.mark.parametrize(
    ("words", "option", "value"),
    [([], "graphs", True), (["--graphs"], "graphs", True), (["--no-graphs"], "graphs", False),
     ([], "halves", None), (["--halves", "2"], "halves", 2), (["--halves", "1"], "halves", 1)],
)  # fmt: skip
def test_how_steps_are_launched_can_be_chosen(words, option, value, cli, monkeypatch):
    given = {}

    def stop(*_, **options):
        given.update(options)
        raise UserError("far enough")

    monkeypatch.setattr("dqn_ref.run.run_population", stop)
    assert cli("train", "--game", "breakout", *words)[0] == 2
    assert given[option] == value
