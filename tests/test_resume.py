"""A run that was stopped and resumed is, bit for bit, the run that was never stopped."""

import dataclasses
import json
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from conftest import make_tiny_config
from fake_runs import dead_pid

from dqn_ref import checkpoint, records
from dqn_ref.__main__ import main
from dqn_ref.claim import claimed
from dqn_ref.config import UserError
from dqn_ref.in_play import InPlay
from dqn_ref.protocols import CI
from dqn_ref.records import RunRecord
from dqn_ref.resume import resume_population
from dqn_ref.run import run_population
from dqn_ref.run_writer import RunWriter
from dqn_ref.seeds import Member

BREAKOUT, PONG = Member("breakout", 0), Member("pong", 1)
CLOCKS = {"frames_per_second", "emulator_seconds", "network_seconds", "learner_seconds", "wall_seconds"}


def tiny(**changes):
    """240 agent steps in iterations of 120, a row every 60, learning from step 64 on; episodes are truncated too.

    The network is half as wide as the reference's: its checkpoint, and the test, are written in a third of the time.
    """
    return make_tiny_config(**({"max_episode_frames": 200, "replay_capacity": 100, "network": "half_width"} | changes))


class Stopped(Exception):
    """What breaks a run off in these tests."""


@contextmanager
def broken_off_after(step):
    """The body ends when a population has made so many agent steps."""
    follow = InPlay.follow

    def until(self, tick):
        if tick.agent_step > step:
            raise Stopped
        return follow(self, tick)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(InPlay, "follow", until)
        try:
            yield
        except Stopped:
            return
    raise AssertionError("it was not broken off")


def stopped(members, folders, config, step, **changes):
    """Runs broken off after so many agent steps, with a checkpoint of the newest row of progress before."""
    with broken_off_after(step):
        run_population(members, folders, CI, config, device_name="cpu", checkpoint_seconds=0, **changes)


def outcome(folder, without=frozenset()):
    """All of a finished run that holds no clock, and ``without`` these columns of its progress."""
    record, left_out = RunRecord.read(folder), CLOCKS | without
    rows = [{name: value for name, value in row.items() if name not in left_out} for row in record.progress()]
    evaluations = [{k: v for k, v in each.items() if k != "seconds"} for each in record.evaluations]
    weights = [(folder / name).read_bytes() for name in records.WEIGHTS.values()]
    said = (record.status, record.run["lint"])
    return said, (folder / "episodes.csv").read_bytes(), repr(rows), evaluations, weights


def contents(folder):
    """Every file of a run but its events."""
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


# ---------------------------------------------------------------------- the same run


@pytest.mark.parametrize(
    "changes",
    [
        {"network": "nature"},
        {"precision": "bfloat16"},
        {"optimizer": "adam"},
        {"sticky_action_probability": 0.25, "history_padding": "first_frame", "target_period_updates": 7},
        {"streams_per_member": 2, "replay_capacity": 300},
        {"iteration_frames": 240, "max_episode_frames": 120, "replay_capacity": 30},
    ],
    ids=["reference", "bfloat16", "adam", "other options", "two streams", "short iterations"],
)
def test_a_run_that_was_stopped_ends_as_if_it_had_not_been(tmp_path, changes):
    """Its newest checkpoint is of step 60, before it learns; 120, an iteration's end; 180, within an iteration."""
    config = tiny(**changes)
    run_population([BREAKOUT], [tmp_path / "whole"], CI, config, device_name="cpu")
    for step in (118, 130, 238):
        folder = tmp_path / str(step)
        stopped([BREAKOUT], [folder], config, step)
        assert RunRecord.read(folder).status == "failed"
        resume_population([folder], device_name="cpu")
        assert outcome(folder) == outcome(tmp_path / "whole")


def test_it_may_be_stopped_time_and_again(tmp_path):
    run_population([BREAKOUT], [tmp_path / "whole"], CI, tiny(), device_name="cpu")
    stopped([BREAKOUT], [tmp_path / "run"], tiny(), 70)
    for step in (150, 235):
        with broken_off_after(step):
            resume_population([tmp_path / "run"], device_name="cpu", checkpoint_seconds=0)
    resume_population([tmp_path / "run"], device_name="cpu")
    assert outcome(tmp_path / "run") == outcome(tmp_path / "whole")
    record = RunRecord.read(tmp_path / "run")
    assert [each["frames"] for each in record.run["resumed"]] == [240, 480, 720]
    assert record.frames_done == 960


@pytest.mark.parametrize("halves", [1, 2])
def test_runs_side_by_side_go_on_side_by_side_or_alone(tmp_path, halves):
    members = [BREAKOUT, PONG]
    run_population(members, [tmp_path / member.name for member in members], CI, tiny(), device_name="cpu")
    for way in ("together", "alone"):
        stopped(members, [tmp_path / way / member.name for member in members], tiny(), 200, halves=halves)
    together = [tmp_path / "together" / member.name for member in members]
    resume_population(together[::-1], device_name="cpu", halves=halves)
    for member in members:
        resume_population([tmp_path / "alone" / member.name], device_name="cpu")
        for way in ("together", "alone"):
            assert outcome(tmp_path / way / member.name) == outcome(tmp_path / member.name)


def test_an_evaluation_of_an_iteration_is_not_repeated(tmp_path):
    """Rows, and so checkpoints, every 100 steps; the first iteration ends at 120, and is played again from 100 on."""
    config = tiny(progress_frames=400)
    run_population([BREAKOUT], [tmp_path / "whole"], CI, config, device_name="cpu", evaluate_iterations=True)
    stopped([BREAKOUT], [tmp_path / "run"], config, 130, evaluate_iterations=True)
    resume_population([tmp_path / "run"], device_name="cpu")
    assert outcome(tmp_path / "run") == outcome(tmp_path / "whole")
    found = [(each["weights"], each["training_frames"]) for each in RunRecord.read(tmp_path / "run").evaluations]
    assert found[:2] == [("iteration", 480), ("last", 960)]


def test_what_was_written_after_the_checkpoint_is_written_anew(tmp_path, monkeypatch):
    """Broken off when all was evaluated, by a full disk; and the best network's file holds one that came later."""
    run_population([BREAKOUT], [tmp_path / "whole"], CI, tiny(), device_name="cpu", evaluate_iterations=True)

    def full(*arguments):
        raise OSError("no space left")

    evaluated = {"evaluate_iterations": True, "checkpoint_seconds": 0}
    with monkeypatch.context() as patch:
        patch.setattr(RunWriter, "close", full)
        with pytest.raises(OSError, match="no space"):
            run_population([BREAKOUT], [tmp_path / "run"], CI, tiny(), device_name="cpu", **evaluated)
    assert len(RunRecord.read(tmp_path / "run").evaluations) == 3
    assert RunRecord.read(tmp_path / "run").resumable_after == 960
    (tmp_path / "run" / records.WEIGHTS["best"]).write_bytes(b"of another time")
    path = tmp_path / "run" / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"pid": dead_pid()}))
    resume_population([tmp_path / "run"], device_name="cpu")
    assert outcome(tmp_path / "run") == outcome(tmp_path / "whole")


def test_what_only_an_unfinished_run_needs_is_gone_when_it_has_finished(tmp_path):
    stopped([BREAKOUT], [tmp_path / "run"], tiny(), 130)
    made = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"checkpoint.safetensors", "actions.bin"} <= made
    resume_population([tmp_path / "run"], device_name="cpu")
    left = {path.name for path in (tmp_path / "run").iterdir()}
    assert not {"checkpoint.safetensors", "actions.bin"} & left
    run_population([BREAKOUT], [tmp_path / "short"], CI, tiny(), device_name="cpu")  # no five minutes
    assert {path.name for path in (tmp_path / "short").iterdir()} == left


def test_the_record_says_where_it_went_on_and_on_what(tmp_path):
    stopped([BREAKOUT], [tmp_path / "run"], tiny(), 130)
    said = []
    resume_population([tmp_path / "run"], device_name="cpu", say=said.append)
    (resumption,) = RunRecord.read(tmp_path / "run").run["resumed"]
    assert resumption["frames"] == 480
    assert resumption["provenance"]["torch"]["threads"] == torch.get_num_threads()
    assert resumption["before"]["status"] == "failed"
    assert "Stopped" in resumption["before"]["error"]
    record = RunRecord.read(tmp_path / "run")
    assert record.run["error"] is None
    assert [each["torch"]["device"] for each in record.provenances] == ["cpu", "cpu"]
    assert said[-1] == "Going on after 480 frames; the newest games are played again first, to fill the replay."


def test_it_is_said_if_the_run_goes_on_with_something_else(tmp_path):
    stopped([BREAKOUT], [tmp_path / "run"], tiny(), 130)
    path = tmp_path / "run" / "run.json"
    run = json.loads(path.read_text())
    run["provenance"]["versions"]["torch"] = "1.0"
    run["provenance"]["torch"]["threads"] += 1
    path.write_text(json.dumps(run))
    said, threads = [], torch.get_num_threads()
    resume_population([tmp_path / "run"], device_name="cpu", threads=threads, say=said.append)
    assert re.search(r"goes on with another (source, )?torch, threads than before", said[0])


# ---------------------------------------------------------------------- the games played again


def test_the_actions_are_written_a_byte_a_step_with_a_bit_for_each_truncation(tmp_path):
    """Episodes of breakout are capped after 50 agent steps here, and 120 steps are an iteration."""
    stopped([BREAKOUT], [tmp_path / "run"], tiny(), 190)
    played = np.fromfile(tmp_path / "run" / "actions.bin", np.uint8)
    assert len(played) == 180
    assert np.flatnonzero(played & checkpoint.TRUNCATED).tolist() == [49, 99, 169]
    assert set((played & 0x7F).tolist()) <= set(range(4))


def test_games_that_do_not_repeat_are_noticed_and_nothing_is_changed(tmp_path):
    stopped([BREAKOUT], [tmp_path / "run"], tiny(), 190)
    path = tmp_path / "run" / "actions.bin"
    played = np.fromfile(path, np.uint8)
    played[150] = (played[150] + 1) % 4
    played.tofile(path)
    before = contents(tmp_path / "run")
    with pytest.raises(UserError, match="do not repeat"):
        resume_population([tmp_path / "run"], device_name="cpu")
    assert contents(tmp_path / "run") == before


def test_only_what_replay_still_holds_is_played_again(tmp_path, monkeypatch):
    """180 steps in iterations of 60, and replay holds 50: the oldest is of the third, which begins at 120."""
    stopped([BREAKOUT], [tmp_path / "run"], tiny(iteration_frames=240, replay_capacity=50), 190)
    stored, store = [], InPlay.follow

    def follow(self, tick):
        stored.append(tick.agent_step)
        return store(self, tick)

    monkeypatch.setattr(InPlay, "follow", follow)
    resume_population([tmp_path / "run"], device_name="cpu")
    assert stored == [*range(121, 181), *range(181, 241)]


# ---------------------------------------------------------------------- mistakes


def test_a_finished_run_is_left_alone(tmp_path):
    run_population([BREAKOUT], [tmp_path / "run"], CI, tiny(), device_name="cpu")
    with pytest.raises(UserError, match="is finished"):
        resume_population([tmp_path / "run"], device_name="cpu")


def test_a_run_without_a_checkpoint_is_refused(tmp_path):
    with broken_off_after(130):
        run_population([BREAKOUT], [tmp_path / "run"], CI, tiny(), device_name="cpu")
    with pytest.raises(UserError, match="no checkpoint"):
        resume_population([tmp_path / "run"], device_name="cpu")


def test_a_run_that_is_being_written_is_refused(tmp_path):
    stopped([BREAKOUT], [tmp_path / "run"], tiny(), 130)
    path = tmp_path / "run" / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"status": "running"}))  # its process is this one
    with pytest.raises(UserError, match="being written by another process"):
        resume_population([tmp_path / "run"], device_name="cpu")


def test_a_run_that_another_process_goes_on_with_is_refused(tmp_path):
    stopped([BREAKOUT], [tmp_path / "run"], tiny(), 130)
    code = (
        "import sys, pathlib; from dqn_ref.claim import claimed\n"
        "with claimed([pathlib.Path(sys.argv[1])]): print('claimed', flush=True); sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "run")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"claimed\n"
        assert RunRecord.read(tmp_path / "run").is_being_written()
        with pytest.raises(UserError, match="written by another process"):
            resume_population([tmp_path / "run"], device_name="cpu")
        process.stdin.close()
    assert not RunRecord.read(tmp_path / "run").is_being_written()


@pytest.mark.parametrize("resumes", [False, True])
def test_a_run_is_claimed_while_it_is_made(tmp_path, resumes):
    """A second claim is refused, whoever asks; a file's lock does not ask which process it is."""
    asked = []

    def ask(progress):
        asked.append(RunRecord.read(tmp_path / "run").is_being_written())
        with pytest.raises(UserError, match="Another process writes"), claimed([tmp_path / "run"]):
            pass

    if resumes:
        stopped([BREAKOUT], [tmp_path / "run"], tiny(), 130)
        resume_population([tmp_path / "run"], device_name="cpu", report=ask)
    else:
        run_population([BREAKOUT], [tmp_path / "run"], CI, tiny(), device_name="cpu", report=ask)
    assert asked
    assert all(asked)
    with claimed([tmp_path / "run"]):
        pass


def test_who_looks_whether_a_run_is_claimed_keeps_nobody_from_claiming_it(tmp_path):
    """The look holds the folder for a moment; a claim waits for that, here .1 s."""
    looking, done = threading.Event(), threading.Event()

    def look():
        with claimed([tmp_path], only_looks=True):
            looking.set()
            done.wait(0.1)

    thread = threading.Thread(target=look)
    thread.start()
    looking.wait()
    with claimed([tmp_path]):
        pass
    thread.join()


def test_the_time_that_a_run_lay_idle_does_not_count(tmp_path):
    """From 10:00 to 11:30, of which it lay idle twice: 20 and 40 minutes."""
    stopped([BREAKOUT], [tmp_path / "run"], tiny(), 130)
    record = RunRecord.read(tmp_path / "run")
    times = {"started": "2026-01-01T10:00:00+00:00", "ended": "2026-01-01T11:30:00+00:00"}
    resumed = [{"idle_seconds": 1200.0, "provenance": {}}, {"idle_seconds": 2400.0, "provenance": {}}]
    assert dataclasses.replace(record, run={**record.run, **times, "resumed": resumed}).seconds == 1800


def test_runs_of_two_configurations_do_not_go_on_together(tmp_path):
    stopped([BREAKOUT], [tmp_path / "a"], tiny(), 130)
    stopped([PONG], [tmp_path / "b"], tiny(discount=0.5), 130)
    with pytest.raises(UserError, match=r"one configuration: .*b has another than .*a"):
        resume_population([tmp_path / "a", tmp_path / "b"], device_name="cpu")


def test_runs_that_stopped_at_different_steps_do_not_go_on_together(tmp_path):
    stopped([BREAKOUT], [tmp_path / "a"], tiny(), 130)
    stopped([PONG], [tmp_path / "b"], tiny(), 190)
    with pytest.raises(UserError, match=r"a: 120, .*b: 180"):
        resume_population([tmp_path / "a", tmp_path / "b"], device_name="cpu")
    with pytest.raises(UserError, match="named twice"):
        resume_population([tmp_path / "a", tmp_path / "x" / ".." / "a"], device_name="cpu")


@pytest.mark.parametrize("content", [b"", b"\x00" * 8, b"\xff" * 100, b"not a checkpoint at all"])
def test_a_broken_checkpoint_is_a_users_matter(tmp_path, content):
    stopped([BREAKOUT], [tmp_path / "run"], tiny(), 130)
    (tmp_path / "run" / records.CHECKPOINT).write_bytes(content)
    with pytest.raises(UserError, match="is broken"):
        resume_population([tmp_path / "run"], device_name="cpu")


def test_a_checkpoint_of_another_version_is_named_and_no_suite_goes_on_from_it(tmp_path, monkeypatch):
    stopped([BREAKOUT], [tmp_path / "run"], tiny(), 130)
    assert RunRecord.read(tmp_path / "run").resumable_after == 480
    monkeypatch.setattr(checkpoint, "CHECKPOINT_VERSION", 3)
    monkeypatch.setattr(records, "CHECKPOINT_VERSION", 3)
    assert RunRecord.read(tmp_path / "run").resumable_after is None
    with pytest.raises(UserError, match="has version 2, this reads 3"):
        resume_population([tmp_path / "run"], device_name="cpu")


@pytest.mark.parametrize("name", ["actions.bin", "episodes.csv", "progress.csv"])
def test_a_file_that_has_become_shorter_is_noticed(tmp_path, name):
    stopped([BREAKOUT], [tmp_path / "run"], tiny(), 190)
    (tmp_path / "run" / name).write_bytes(b"")
    before = contents(tmp_path / "run")
    with pytest.raises(UserError, match=f"{name} has 0 bytes"):
        resume_population([tmp_path / "run"], device_name="cpu")
    assert contents(tmp_path / "run") == before
    assert RunRecord.read(tmp_path / "run").resumable_after is None


def test_actions_that_the_game_does_not_have_are_refused(tmp_path):
    stopped([BREAKOUT], [tmp_path / "run"], tiny(), 190)
    (tmp_path / "run" / "actions.bin").write_bytes(b"\x11" * 180)
    with pytest.raises(UserError, match="actions that the game does not have"):
        resume_population([tmp_path / "run"], device_name="cpu")


# ---------------------------------------------------------------------- a process


def test_a_process_that_was_killed_is_gone_on_with_from_the_command_line(tmp_path, capfd):
    """Killed without a word, as by a machine that runs out of memory, while the second iteration is played."""
    code = (
        "import sys, pathlib; sys.path.insert(0, 'tests')\n"
        "from test_resume import *\n"
        "run_population([BREAKOUT], [pathlib.Path(sys.argv[1])], CI, tiny(total_frames=4_800), device_name='cpu',"
        " threads=1, checkpoint_seconds=0)\n"
    )
    folder = tmp_path / "run"
    process = subprocess.Popen([sys.executable, "-c", code, str(folder)])
    path = folder / "progress.csv"
    while not path.exists() or len(path.read_text().splitlines()) < 6:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert RunRecord.read(folder).status == "running"
    assert main(["resume", str(folder), "--device", "cpu", "--threads", "1"]) == 0
    printed = capfd.readouterr().out
    assert "Going on after" in printed
    assert f"Recorded in {folder}" in printed
    run_population([BREAKOUT], [tmp_path / "whole"], CI, tiny(total_frames=4_800), device_name="cpu", threads=1)
    assert outcome(folder) == outcome(tmp_path / "whole")


def test_a_folder_that_holds_no_run_is_a_users_mistake(tmp_path, capsys):
    assert main(["resume", str(tmp_path)]) == 2
    assert "run.json" in capsys.readouterr().err
