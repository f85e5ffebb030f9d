"""A finished run that goes on to a longer budget is, bit for bit, the run that had it from the start."""

import json
import shutil
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from fake_runs import edit_json, write_run
from test_resume import BREAKOUT, PONG, broken_off_after, contents, outcome, tiny

from dqn_ref import records
from dqn_ref.__main__ import main
from dqn_ref.claim import claimed
from dqn_ref.config import UserError
from dqn_ref.extend import extend, obstacle, withdraw
from dqn_ref.group import Group
from dqn_ref.protocols import CI
from dqn_ref.recorder import MemberRecorder
from dqn_ref.records import RunRecord
from dqn_ref.resume import resume_population
from dqn_ref.run import run_population

KEPT = {"checkpoint.safetensors", "actions.bin"}
TWO, THREE = 960, 1_440  # frames: as many iterations of 480


def short(folder, member=BREAKOUT, frames=TWO, **changes):
    """A run that is held to be long enough for a checkpoint of its end."""
    evaluated = changes.pop("evaluate_iterations", False)
    config = tiny(total_frames=frames, **changes)
    run_population(
        [member], [folder], CI, config, device_name="cpu", checkpoint_seconds=0, evaluate_iterations=evaluated
    )
    return folder


# ---------------------------------------------------------------------- the same run


@pytest.mark.parametrize(
    "changes",
    [
        {"network": "nature"},
        {"replay_capacity": 10_000},
        {"streams_per_member": 2, "replay_capacity": 300},
        {"evaluate_iterations": True},
    ],
    ids=["reference", "replay that the short run does not fill", "two streams", "evaluated iterations"],
)
def test_it_ends_as_a_run_that_had_the_longer_budget_from_the_start(tmp_path, changes):
    before = contents(short(tmp_path / "short", **changes))
    extend([tmp_path / "short"], THREE, [tmp_path / "long"])
    resume_population([tmp_path / "long"], device_name="cpu", checkpoint_seconds=0)
    short(tmp_path / "whole", frames=THREE, **changes)
    without = frozenset({"replay_fill"})  # a share of what the run will have at most, which was less
    assert outcome(tmp_path / "long", without) == outcome(tmp_path / "whole", without)
    assert contents(tmp_path / "short") == before
    assert (tmp_path / "long" / "actions.bin").read_bytes() == (tmp_path / "whole" / "actions.bin").read_bytes()


def test_it_may_be_longer_time_and_again_and_be_stopped_on_its_way(tmp_path):
    short(tmp_path / "one", frames=480)
    extend([tmp_path / "one"], TWO, [tmp_path / "two"])
    with broken_off_after(190):
        resume_population([tmp_path / "two"], device_name="cpu", checkpoint_seconds=0)
    resume_population([tmp_path / "two"], device_name="cpu", checkpoint_seconds=0)
    extend([tmp_path / "two"], THREE, [tmp_path / "three"])
    resume_population([tmp_path / "three"], device_name="cpu")
    short(tmp_path / "whole", frames=THREE)  # whose replay, of 100, is full by 480 frames
    assert outcome(tmp_path / "three") == outcome(tmp_path / "whole")
    record = RunRecord.read(tmp_path / "three")
    assert record.run["extended"] == [480, TWO]
    assert [each["frames"] for each in record.run["resumed"]] == [480, 720, TWO]
    assert record.config == tiny(total_frames=THREE)


def test_runs_go_on_side_by_side(tmp_path):
    members = [BREAKOUT, PONG]
    for member in members:
        short(tmp_path / "short" / member.name, member)
        short(tmp_path / "whole" / member.name, member, THREE)
    long = [tmp_path / "long" / member.name for member in members]
    extend([tmp_path / "short" / member.name for member in members], THREE, long)
    resume_population(long, device_name="cpu")
    for member in members:
        assert outcome(tmp_path / "long" / member.name) == outcome(tmp_path / "whole" / member.name)


# ---------------------------------------------------------------------- what is kept


def test_only_the_checkpoint_of_the_end_is_kept_and_only_by_a_run_that_took_its_time(tmp_path):
    assert {path.name for path in short(tmp_path / "run").iterdir()} >= KEPT
    run_population([BREAKOUT], [tmp_path / "quick"], CI, tiny(), device_name="cpu")
    assert not KEPT & {path.name for path in (tmp_path / "quick").iterdir()}
    with broken_off_after(130):
        run_population([BREAKOUT], [tmp_path / "old"], CI, tiny(), device_name="cpu", checkpoint_seconds=0)
    assert {path.name for path in (tmp_path / "old").iterdir()} >= KEPT
    resume_population([tmp_path / "old"], device_name="cpu")
    assert not KEPT & {path.name for path in (tmp_path / "old").iterdir()}
    within = short(tmp_path / "within", frames=TWO + 40)  # of an iteration: a longer run does not stop there
    assert not KEPT & {path.name for path in within.iterdir()}


def test_the_end_is_saved_if_the_whole_run_took_its_time_however_new_the_last_checkpoint_is(tmp_path, monkeypatch):
    """On a clock on which an agent step takes a second: when the run ends, the newest is 60 of 130 seconds old."""
    clock, saved, follow, plain = [0.0], [], Group.follow, MemberRecorder.save_checkpoint
    monkeypatch.setattr("dqn_ref.run.time", SimpleNamespace(perf_counter=lambda: clock[0], time=time.time))

    def step(self, tick):
        clock[0] = float(tick.agent_step)
        return follow(self, tick)

    def save(self, tick, *rest):
        saved.append(tick.agent_step)
        return plain(self, tick, *rest)

    monkeypatch.setattr(Group, "follow", step)
    monkeypatch.setattr(MemberRecorder, "save_checkpoint", save)
    config = tiny(total_frames=TWO)
    run_population([BREAKOUT], [tmp_path / "run"], CI, config, device_name="cpu", checkpoint_seconds=130.0)
    assert saved == [180, 240]
    assert {path.name for path in (tmp_path / "run").iterdir()} >= KEPT


def test_the_events_go_along(tmp_path):
    short(tmp_path / "short")
    extend([tmp_path / "short"], THREE, [tmp_path / "long"])
    names = [{path.name for path in (tmp_path / run / "tensorboard").iterdir()} for run in ("short", "long")]
    assert names[0] == names[1] != set()


# ---------------------------------------------------------------------- the command


def test_the_command_makes_the_longer_run_and_leaves_the_shorter_one(tmp_path, capfd):
    before = contents(short(tmp_path / "run"))
    words = ["extend", str(tmp_path / "run"), "--frames", str(THREE), "--out"]
    assert main([*words, str(tmp_path / "long")]) == 0
    printed = capfd.readouterr().out
    assert "Going on after 960 frames" in printed
    assert "after 1,440 frames of training" in printed
    assert f"Recorded in {tmp_path / 'long'}" in printed
    assert contents(tmp_path / "run") == before
    assert main([*words, str(tmp_path / "long")]) == 2
    assert "already holds a run" in capfd.readouterr().err


def test_a_longer_run_that_cannot_begin_leaves_its_place_free(tmp_path, capfd):
    short(tmp_path / "run")
    (tmp_path / "run" / "actions.bin").write_bytes(b"\x11" * 240)
    words = ["extend", str(tmp_path / "run"), "--frames", str(THREE), "--out", str(tmp_path / "long")]
    assert main(words) == 2
    told = capfd.readouterr().err
    assert f"{tmp_path / 'run'} cannot go on, and what was begun is removed again" in told
    assert "actions that the game does not have" in told
    assert {path.name for path in tmp_path.iterdir()} == {"run"}


def test_a_longer_run_that_has_gone_on_or_is_being_written_is_not_withdrawn(tmp_path):
    short(tmp_path / "run")
    extend([tmp_path / "run"], THREE, [tmp_path / "long"])
    shorter = [RunRecord.read(tmp_path / "run")]
    with claimed([tmp_path / "long"]):
        withdraw([tmp_path / "long"], shorter)
    assert (tmp_path / "long" / "run.json").exists()
    with broken_off_after(250):
        resume_population([tmp_path / "long"], device_name="cpu")
    for status in ("failed", "interrupted"):
        edit_json(tmp_path / "long" / "run.json", status=status)
        withdraw([tmp_path / "long"], shorter)
        assert (tmp_path / "long" / "run.json").exists()
    # The shorter one may itself have been stopped at its end, in its last evaluation.
    gone_on_at_its_end = {"frames": TWO, "idle_seconds": 1, "provenance": shorter[0].run["provenance"]}
    edit_json(tmp_path / "run" / "run.json", resumed=[gone_on_at_its_end])
    extend([tmp_path / "run"], THREE, [tmp_path / "other"])
    withdraw([tmp_path / "other"], [RunRecord.read(tmp_path / "run")])
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("out", [".", "link"])
def test_the_longer_run_may_have_a_folder_that_is_there_if_it_is_empty(tmp_path, monkeypatch, out):
    before = contents(short(tmp_path / "run"))
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    monkeypatch.chdir(tmp_path / "empty" if out == "." else tmp_path)
    (tmp_path / "run" / "actions.bin").rename(tmp_path / "kept")
    with pytest.raises(UserError, match=r"actions\.bin has 0 bytes"):
        extend([tmp_path / "run"], THREE, [Path(out)])
    (tmp_path / "kept").rename(tmp_path / "run" / "actions.bin")
    extend([tmp_path / "run"], THREE, [Path(out)])
    assert RunRecord.read(tmp_path / "empty").config.total_frames == THREE
    assert contents(tmp_path / "run") == before


# ---------------------------------------------------------------------- what cannot go on


def test_what_cannot_go_on_is_told_why(tmp_path):
    record = RunRecord.read(short(tmp_path / "run"))
    assert obstacle(record, THREE) is None
    assert "has 960 already" in obstacle(record, TWO)
    assert "total_frames" in obstacle(record, THREE + 1)
    for changes in ({"iteration_frames": 640}, {"progress_frames": 400}):
        assert "ended within an iteration" in obstacle(replace(record, config=tiny(**changes)), THREE)
    assert "Resume it first" in obstacle(replace(record, status="interrupted"), THREE)
    kept = (tmp_path / "run" / "checkpoint.safetensors").read_bytes()
    for broken, words in (
        (kept[:1000], "is broken"),
        (b"", "is broken"),
        (kept.replace(b'version\\": 2', b'version\\": 7'), "version 7"),
    ):
        (tmp_path / "run" / "checkpoint.safetensors").write_bytes(broken)
        assert words in obstacle(record, THREE)
    (tmp_path / "run" / "checkpoint.safetensors").unlink()
    assert "keeps no checkpoint of its end" in obstacle(record, THREE)


def test_nothing_is_written_if_one_of_several_cannot_go_on(tmp_path):
    short(tmp_path / "a")
    write_run(tmp_path / "b", "pong", 1, score=1, config=tiny())
    with pytest.raises(UserError, match=r"b cannot go on to 1,440 frames: it keeps no checkpoint"):
        extend([tmp_path / "a", tmp_path / "b"], THREE, [tmp_path / "c", tmp_path / "d"])
    short(tmp_path / "other", PONG, discount=0.5)
    with pytest.raises(UserError, match=r"one configuration: .*other has another than .*a\."):
        extend([tmp_path / "a", tmp_path / "other"], THREE, [tmp_path / "c", tmp_path / "d"])
    with pytest.raises(UserError, match="a folder of its own"):
        extend([tmp_path / "a", tmp_path / "a"], THREE, [tmp_path / "c", tmp_path / "c"])
    with pytest.raises(UserError, match="already holds a run"):
        extend([tmp_path / "a"], THREE, [tmp_path / "b"])
    with pytest.raises(UserError, match=r"lies within .*a, which stays as it is"):
        extend([tmp_path / "a"], THREE, [tmp_path / "a" / "tensorboard" / "x"])
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b", "other"}


@pytest.mark.parametrize(
    ("error", "told"),
    [(OSError(28, "No space left"), "No space left"), (KeyboardInterrupt(), None)],
    ids=["full", "stopped"],
)
def test_a_copy_that_fails_leaves_nothing_of_any(tmp_path, monkeypatch, error, told):
    for member in (BREAKOUT, PONG):
        short(tmp_path / member.name, member)
    shorter, out = [tmp_path / member.name for member in (BREAKOUT, PONG)], [tmp_path / "long", tmp_path / "other"]
    before, plain, calls = list(map(contents, shorter)), shutil.copytree, []

    def second_fails(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise error
        return plain(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copytree", second_fails)
        with pytest.raises((UserError, KeyboardInterrupt), match=told):
            extend(shorter, THREE, out)
    assert len(calls) == 2
    assert list(map(contents, shorter)) == before
    assert {path.name for path in tmp_path.iterdir()} == {BREAKOUT.name, PONG.name}
    extend(shorter, THREE, out)


def test_of_two_that_begin_in_one_place_one_is_refused_and_the_other_whole(tmp_path, monkeypatch):
    short(tmp_path / "run")
    plain, refused = shutil.copyfile, []

    def other_comes(source, target, **rest):
        if not refused:
            with pytest.raises(UserError, match="Another process writes") as error:
                extend([tmp_path / "run"], THREE, [tmp_path / "long"])
            refused.append(error)
        return plain(source, target, **rest)

    monkeypatch.setattr(shutil, "copyfile", other_comes)
    extend([tmp_path / "run"], THREE, [tmp_path / "long"])
    resume_population([tmp_path / "long"], device_name="cpu")
    assert RunRecord.read(tmp_path / "long").status == "finished"


def test_evaluations_of_other_settings_stay_with_the_shorter_run(tmp_path):
    """The longer run's own come when it ends; the shorter one's last is none of its iterations unless it has any."""
    path = short(tmp_path / "run") / "evaluation.json"
    assert len(json.loads(path.read_text())["evaluations"]) == 2
    extend([tmp_path / "run"], THREE, [tmp_path / "long"])
    assert not (tmp_path / "long" / "evaluation.json").exists()
    path = short(tmp_path / "curve", evaluate_iterations=True) / "evaluation.json"
    content = json.loads(path.read_text())
    others = {**content["evaluations"][-1], "weights": "last", "epsilon": 0.5, "mean_return": -1.0}
    path.write_text(json.dumps({**content, "evaluations": [others, *content["evaluations"]]}))
    extend([tmp_path / "curve"], THREE, [tmp_path / "longer"])
    found = json.loads((tmp_path / "longer" / "evaluation.json").read_text())
    assert found["schema"] == records.SCHEMA
    assert [(each["weights"], each["training_frames"], each["epsilon"]) for each in found["evaluations"]] == [
        ("iteration", 480, 0.05),
        ("iteration", TWO, 0.05),
    ]
