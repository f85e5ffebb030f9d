"""The results folder: what is there is told truly, nothing is overwritten, nothing foreign is taken in."""

import errno
import hashlib
import json
import os
import subprocess
import sys
import time
from dataclasses import replace

import psutil
import pytest
from fake_runs import dead_pid, edit_json, write_matrix, write_run

from benchmarks import baselines
from benchmarks import store as store_module
from benchmarks.runner import Matrix
from benchmarks.seals import read_sealed
from benchmarks.store import BASELINE_FILES, Store, read_stored
from dqn_ref.config import UserError
from dqn_ref.protocols import CI, NATURE
from dqn_ref.records import RunRecord
from dqn_ref.seeds import Member

QBERT = Member("qbert", 1)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results")


@pytest.fixture
def runs(store):
    folder = store.runs("group")
    folder.mkdir(parents=True)
    return folder


def everything(folder):
    """Every file below ``folder`` with its content."""
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_group_names_tell_protocol_version_and_budget():
    assert NATURE.group(10_000_000) == "nature-v1-10M"
    second = replace(CI, version=2)
    assert second.group(24_000) == "ci-v2-24k"
    assert second.group(24_004) == "ci-v2-24004"


# ---------------------------------------------------------------------- what a cell is


def test_a_place_without_a_run_is_missing(store, runs):
    cell = store.cell(runs, QBERT)
    assert (cell.status, cell.record, cell.name) == ("missing", None, "qbert-s1")


@pytest.mark.parametrize("status", ["finished", "interrupted", "failed"])
def test_a_run_that_ended_is_what_its_record_says(store, runs, status):
    write_run(runs / "qbert-s1", "qbert", 1, score=5, status=status)
    cell = store.cell(runs, QBERT)
    assert cell.status == status
    assert cell.record.member == QBERT


def test_a_run_whose_process_lives_is_running(store, runs):
    write_run(runs / "qbert-s1", "qbert", 1, status="running")  # by this process
    assert store.cell(runs, QBERT).status == "running"


def test_a_killed_run_is_interrupted(store, runs):
    folder = write_run(runs / "qbert-s1", "qbert", 1, status="running")
    edit_json(folder / "run.json", pid=dead_pid())
    assert RunRecord.read(folder).status == "running"  # it could not write its end
    assert store.cell(runs, QBERT).status == "interrupted"


def test_a_killed_run_is_interrupted_though_a_younger_process_has_its_number(store, runs):
    folder = write_run(runs / "qbert-s1", "qbert", 1, status="running")
    before = psutil.Process().create_time() - 3600
    os.utime(folder / "episodes.csv", (before, before))
    assert store.cell(runs, QBERT).status == "interrupted"


@pytest.mark.skipif(sys.platform != "linux", reason="zombies are told apart by /proc")
def test_a_killed_run_is_interrupted_though_nobody_reaped_it(store, runs):
    """As in a container whose first process reaps nothing, after the runner was killed."""
    with subprocess.Popen([sys.executable, "-c", ""]) as zombie:
        while psutil.Process(zombie.pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
        folder = write_run(runs / "qbert-s1", "qbert", 1, status="running")
        edit_json(folder / "run.json", pid=zombie.pid)
        assert store.cell(runs, QBERT).status == "interrupted"


def test_a_run_that_was_killed_while_its_record_was_made_is_interrupted(store, runs):
    (runs / "qbert-s1").mkdir()
    (runs / "qbert-s1" / "run.json").touch()
    assert store.cell(runs, QBERT).status == "interrupted"


def break_run(folder, how):
    run = folder / "run.json"
    content = json.loads(run.read_text())
    if how == "half a file":
        run.write_text(run.read_text()[: run.stat().st_size // 2])
    elif how == "no object":
        run.write_text("[]")
    elif how == "no text":
        run.write_bytes(b"\xff\xfe\x00")
    elif how == "older schema":
        edit_json(run, schema=0)
    elif how == "newer schema":
        edit_json(run, schema=2)
    elif how == "no schema":
        del content["schema"]
        run.write_text(json.dumps(content))
    elif how == "unknown status":
        edit_json(run, status="done")
    elif how == "no member":
        del content["member"]
        run.write_text(json.dumps(content))
    elif how == "a field of the configuration less":
        del content["config"]["batch_size"]
        run.write_text(json.dumps(content))
    elif how == "a field of the configuration more":
        edit_json(run, config=content["config"] | {"double": True})
    elif how == "a configuration that cannot be":
        edit_json(run, config=content["config"] | {"learning_rate": -1.0})
    elif how == "a broken evaluation":
        (folder / "evaluation.json").write_text("{")
    elif how == "an older evaluation":
        edit_json(folder / "evaluation.json", schema=0)


@pytest.mark.parametrize(
    "how",
    ["half a file", "no object", "no text", "older schema", "newer schema", "no schema", "unknown status", "no member",
     "a field of the configuration less", "a field of the configuration more", "a configuration that cannot be",
     "a broken evaluation", "an older evaluation"],
)  # fmt: skip
def test_a_record_that_cannot_be_read_is_refused_with_its_path(store, runs, how):
    folder = write_run(runs / "qbert-s1", "qbert", 1, score=5)
    break_run(folder, how)
    with pytest.raises(UserError) as refused:
        store.cell(runs, QBERT)
    assert str(folder) in str(refused.value)


def test_a_running_record_without_its_process_number_is_refused_with_its_path(store, runs):
    folder = write_run(runs / "qbert-s1", "qbert", 1, status="running")
    content = json.loads((folder / "run.json").read_text())
    del content["pid"]
    (folder / "run.json").write_text(json.dumps(content))
    with pytest.raises(UserError) as refused:
        store.cell(runs, QBERT)
    assert str(folder) in str(refused.value)


@pytest.mark.parametrize("member", [Member("qbert", 2), Member("amidar", 1)])
def test_the_run_of_another_member_is_refused(store, runs, member):
    write_run(runs / "qbert-s1", "qbert", 1, score=5)
    (runs / "qbert-s1").rename(runs / f"{member.game}-s{member.seed}")
    with pytest.raises(UserError, match=rf"{member.game}-s{member.seed} holds the run of .*qbert.*1"):
        store.cell(runs, member)


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"config": replace(CI.config, total_frames=CI.config.total_frames + 4)}, "configuration"),
        ({"config": replace(CI.config, learning_rate=0.001)}, "overrides"),
        ({"config": replace(CI.config, progress_frames=CI.config.progress_frames * 2)}, "configuration"),
        ({"protocol": NATURE, "config": CI.config}, "protocol"),
        ({"protocol": replace(CI, version=CI.version + 1)}, "protocol"),
    ],
)
def test_a_record_of_another_setting_in_the_folder_is_refused(store, settings, what):
    matrix = Matrix.of("atari3", "ci", seeds=1)
    write_matrix(store.runs(matrix.group), matrix.games[:2], 1)
    foreign = write_run(store.runs(matrix.group) / "phoenix-s0", "phoenix", 0, score=5, **settings)
    with pytest.raises(UserError, match=f"another {what}") as refused:
        matrix.cells(store)
    assert str(foreign) in str(refused.value)


# ---------------------------------------------------------------------- set aside


@pytest.mark.parametrize("status", ["interrupted", "failed"])
def test_what_did_not_finish_is_moved_whole(store, runs, status):
    folder = write_run(runs / "qbert-s1", "qbert", 1, status=status)
    before = everything(folder)
    aside = store.set_aside(store.cell(runs, QBERT))
    assert aside == runs / "attempts" / "qbert-s1-1"
    assert everything(aside) == before
    assert store.cell(runs, QBERT).status == "missing"
    assert not folder.exists()


def test_a_folder_without_a_record_is_moved_as_well(store, runs):
    (runs / "qbert-s1").mkdir()
    (runs / "qbert-s1" / "notes").write_text("mine")
    aside = store.set_aside(store.cell(runs, QBERT))
    assert (aside / "notes").read_text() == "mine"


@pytest.mark.parametrize("status", ["finished", "running"])
def test_what_finished_or_runs_stays(store, runs, status):
    folder = write_run(runs / "qbert-s1", "qbert", 1, score=5, status=status)
    before = everything(runs)
    assert store.set_aside(store.cell(runs, QBERT)) is None
    assert everything(runs) == before
    assert folder.exists()


@pytest.mark.parametrize("status", ["interrupted", "failed", "killed"])
def test_what_can_be_gone_on_with_stays(store, runs, status):
    folder = write_run(
        runs / "qbert-s1", "qbert", 1, status="running" if status == "killed" else status, resumable_after=8_000
    )
    if status == "killed":
        edit_json(folder / "run.json", pid=dead_pid())
    cell = store.cell(runs, QBERT)
    assert cell.resumable_after == 8_000
    assert store.set_aside(cell) is None
    (folder / "checkpoint.safetensors").unlink()
    assert store.cell(runs, QBERT).resumable_after is None
    assert store.set_aside(store.cell(runs, QBERT)) is not None


def test_what_is_being_written_cannot_be_gone_on_with(store, runs):
    write_run(runs / "qbert-s1", "qbert", 1, status="running", resumable_after=8_000)
    assert store.cell(runs, QBERT).resumable_after is None


def test_nothing_is_set_aside_where_nothing_is(store, runs):
    assert store.set_aside(store.cell(runs, QBERT)) is None
    assert list(runs.iterdir()) == []


def test_every_attempt_is_kept(store, runs):
    for number in range(12):
        write_run(runs / "qbert-s1", "qbert", 1, status="failed", error=f"reason {number}")
        store.set_aside(store.cell(runs, QBERT))
    kept = [json.loads(path.read_text())["error"] for path in (runs / "attempts").glob("*/run.json")]
    assert sorted(kept) == sorted(f"reason {number}" for number in range(12))


def test_attempts_of_seed_10_do_not_count_as_those_of_seed_1(store, runs):
    for seed in (10, 1):
        write_run(runs / f"qbert-s{seed}", "qbert", seed, status="failed")
    names = [store.set_aside(store.cell(runs, Member("qbert", seed))).name for seed in (10, 1)]
    assert names == ["qbert-s10-1", "qbert-s1-1"]


def test_an_attempt_is_kept_though_an_earlier_one_was_taken_away(store, runs):
    """attempts/ holds number 2 and no number 1: the next must not land on number 2."""
    second = write_run(runs / "attempts" / "qbert-s1-2", "qbert", 1, status="failed", error="second")
    write_run(runs / "qbert-s1", "qbert", 1, status="failed", error="third")
    aside = store.set_aside(store.cell(runs, QBERT))
    assert json.loads((second / "run.json").read_text())["error"] == "second"
    assert json.loads((aside / "run.json").read_text())["error"] == "third"


# ---------------------------------------------------------------------- one runner at a time


def test_a_second_runner_is_refused_and_the_first_one_goes_on(store):
    with store.exclusive(store.runs("group")):
        with (
            pytest.raises(UserError, match=r"Another runner.* works in"),
            Store(store.root).exclusive(store.runs("group")),
        ):
            pytest.fail("two runners at once")
        with pytest.raises(UserError), store.exclusive(store.runs("group")):  # the refusal released nothing
            pytest.fail("two runners at once")


def test_every_runner_that_is_refused_is_told_which_process_works(store):
    with store.exclusive(store.runs("group")):
        for _ in range(2):
            with pytest.raises(UserError, match=rf"process {os.getpid()}\b"), store.exclusive(store.runs("group")):
                pytest.fail("two runners at once")


def test_a_group_is_free_again_when_its_runner_is_done_or_died(store):
    with store.exclusive(store.runs("group")):
        pass
    with pytest.raises(KeyError), store.exclusive(store.runs("group")):
        raise KeyError
    with store.exclusive(store.runs("group")):
        pass


def test_a_file_system_without_locks_stops_no_runner(store, monkeypatch):
    def no_locks(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(store_module.fcntl, "flock", no_locks)
    with store.exclusive(store.runs("group")):
        assert (store.runs("group") / ".lock").read_text() == str(os.getpid())


def test_runners_of_different_groups_do_not_meet(store):
    with store.exclusive(store.runs("one")), store.exclusive(store.runs("other")):
        assert store.runs("one") != store.runs("other")


def test_runners_exclude_one_another_across_processes(store):
    holder = (
        "import sys, pathlib; from benchmarks.store import Store\n"
        "with Store.exclusive(Store(pathlib.Path(sys.argv[1])).runs('group')):\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(store.root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(UserError, match="Another runner"), store.exclusive(store.runs("group")):
            pytest.fail("two runners at once")
        process.kill()  # a killed runner holds nothing
        process.wait()
        with store.exclusive(store.runs("group")):
            pass


def test_a_results_folder_that_cannot_be_made_is_a_users_mistake(tmp_path):
    (tmp_path / "results").write_text("a file")
    with (
        pytest.raises(UserError, match=r"cannot be written.*Choose another --results"),
        Store.exclusive(Store(tmp_path / "results").runs("group")),
    ):
        pytest.fail("there is no folder to hold")


# ---------------------------------------------------------------------- baselines


def finished(runs, name="qbert", **settings):
    return RunRecord.read(write_run(runs / f"{name}-s0", name, 0, score=5, **settings))


def create(store, records, reason="first"):
    return store.create_baseline("group", records, {"seeds": 1}, reason)


def test_a_baseline_is_the_records_byte_by_byte_without_weights(store, runs):
    record = finished(runs)
    (record.folder / "weights.safetensors").write_bytes(b"weights")
    (record.folder / "tensorboard").mkdir()
    folder = create(store, [record])
    assert folder.name == "group.candidate"
    copied = everything(folder / "qbert-s0")
    assert {str(name) for name in copied} == set(BASELINE_FILES)
    assert all(content == (record.folder / name).read_bytes() for name, content in copied.items())
    assert store.cell(folder, Member("qbert", 0)).status == "finished"
    about = read_sealed(folder)
    assert about["created"]["reason"] == "first"
    assert about["promoted"] is None
    assert about["seeds"] == 1


@pytest.mark.parametrize("reason", ["", "  \n"])
def test_a_baseline_without_a_reason_is_refused_and_nothing_is_written(store, runs, reason):
    record = finished(runs)
    with pytest.raises(UserError, match="--reason"):
        create(store, [record], reason)
    assert not (store.root / "baselines").exists()
    create(store, [record])
    with pytest.raises(UserError, match="--reason"):
        store.promote_baseline("group", reason)
    assert not (store.root / "baselines" / "group").exists()


@pytest.mark.parametrize("source", [{"commit": None, "dirty": None}, {"commit": "0" * 40, "dirty": True}])
def test_a_baseline_from_uncommitted_source_is_refused_and_the_older_one_stands(store, runs, source):
    good, bad = finished(runs), finished(runs, "amidar", provenance={"source": source})
    create(store, [good])
    before = everything(store.root / "baselines")
    with pytest.raises(UserError, match="uncommitted source") as refused:
        create(store, [good, bad], "second")
    assert str(bad.folder) in str(refused.value)
    assert everything(store.root / "baselines") == before


def test_a_run_that_went_on_with_uncommitted_source_is_refused(store, runs):
    bad = finished(runs)
    source = {"commit": "0" * 40, "dirty": True}
    again = {"frames": 8_000, "idle_seconds": 60.0, "provenance": bad.run["provenance"] | {"source": source}}
    edit_json(bad.folder / "run.json", resumed=[again])
    with pytest.raises(UserError, match="uncommitted source"):
        create(store, [RunRecord.read(bad.folder)])


def test_creating_leaves_the_current_baseline_alone_and_promoting_keeps_it_whole(store, runs):
    first, second = finished(runs), finished(runs, "amidar")
    create(store, [first])
    current = store.promote_baseline("group", "a start")
    older = everything(current)
    create(store, [second], "second")
    assert everything(current) == older
    assert store.promote_baseline("group", "it learns now") == current == store.baseline("group")
    assert [path.name for path in current.iterdir() if path.is_dir()] == ["amidar-s0"]
    about = read_sealed(current)
    assert (about["created"]["reason"], about["promoted"]["reason"]) == ("second", "it learns now")
    [kept] = [path for path in (store.root / "baselines").iterdir() if path != current]
    assert kept.name.startswith("group.until-")
    assert everything(kept) == older
    assert read_sealed(kept)["promoted"]["reason"] == "a start"


def test_what_was_never_created_cannot_be_promoted(store, runs):
    with pytest.raises(UserError, match=r"no .*group.candidate.*baseline create"):
        store.promote_baseline("group", "x")


def test_baselines_that_replace_one_another_within_a_second_are_all_kept(store, runs, monkeypatch):
    monkeypatch.setattr(store_module, "now", lambda: "2020-01-01T00:00:00+00:00")
    record = finished(runs)
    for reason in ("first", "second", "third"):
        create(store, [record], reason)
        store.promote_baseline("group", reason)
    files = (store.root / "baselines").glob("*/baseline.json")
    assert {json.loads(path.read_text())["created"]["reason"] for path in files} == {"first", "second", "third"}
    standing = {name: state for name, state, *_ in baselines.listing(store)}
    assert standing.pop("group") == "current"
    assert set(standing.values()) == {"former"}


# ---------------------------------------------------------------------- seals


def change_a_score(folder):
    path = folder / "qbert-s0" / "evaluation.json"
    path.write_text(path.read_text().replace('"mean_return": 5', '"mean_return": 6'))


def change_the_hash_too(folder):
    """Somebody who mends the file's hash, but not the hash of hashes."""
    change_a_score(folder)
    content = json.loads((folder / "baseline.json").read_text())
    content["files"]["qbert-s0/evaluation.json"] = hashlib.sha256(
        (folder / "qbert-s0" / "evaluation.json").read_bytes()
    ).hexdigest()
    (folder / "baseline.json").write_text(json.dumps(content))


def test_a_baseline_that_cannot_be_written_is_a_users_mistake_and_leaves_nothing(store, runs, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    record = finished(runs)
    monkeypatch.setattr(store_module.shutil, "copyfile", full)
    with pytest.raises(UserError, match=r"No space left on device\. Choose another --results"):
        store.create_baseline("x", [record], {}, "a test")
    assert list((store.root / "baselines").iterdir()) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (change_a_score, "qbert-s0/evaluation.json is not what was stored"),
        (change_the_hash_too, "baseline.json was changed by hand"),
        (lambda folder: (folder / "qbert-s0" / "episodes.csv").unlink(), "episodes.csv is not what was stored"),
        (lambda folder: (folder / "extra.csv").write_text(""), "extra.csv is not what was stored"),
        (lambda folder: edit_json(folder / "baseline.json", seeds=2), "baseline.json was changed by hand"),
        (lambda folder: (folder / "baseline.json").write_text("{"), "cannot be read"),
        (lambda folder: (folder / "baseline.json").write_text('{"schema": 1}'), "has no seal"),
        (lambda folder: (folder / "baseline.json").unlink(), "cannot be read"),
    ],
)
def test_an_edit_by_hand_is_seen_and_is_not_promoted(store, runs, change, words):
    folder = create(store, [finished(runs)])
    read_sealed(folder)
    change(folder)
    for look in (lambda: read_sealed(folder), lambda: store.promote_baseline("group", "x")):
        with pytest.raises(UserError, match=words):
            look()
    assert folder.exists()


# ---------------------------------------------------------------------- speed


def test_measurements_are_kept_by_machine(store):
    machine = {"cpu": "AMD EPYC 9B14 (x)", "cores": 2}
    path = store.store_speed("peers", {"schema": 1, "machine": machine, "ratio": 1.5})
    assert path == store.root / "speed" / "amd-epyc-9b14-x-2-cores" / "peers.json"
    assert json.loads(path.read_text())["ratio"] == 1.5
    assert store.store_speed("peers", {"schema": 1, "machine": machine | {"cores": 4}}).parent != path.parent


def test_measurements_that_replace_one_another_within_a_second_are_all_kept(store, monkeypatch):
    monkeypatch.setattr(store_module, "now", lambda: "2020-01-01T00:00:00+00:00")
    for ratio in (1, 2, 3):
        path = store.store_speed("peers", {"schema": 1, "machine": {"cpu": "a", "cores": 2}, "ratio": ratio})
    assert json.loads(path.read_text())["ratio"] == 3
    assert {json.loads(each.read_text())["ratio"] for each in path.parent.iterdir()} == {1, 2, 3}


def test_a_measurement_keeps_its_place_where_a_newer_one_cannot_be_written(store, monkeypatch):
    path = store.store_random_play("pong", {"schema": 1})
    before = everything(path.parent)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(UserError, match="No space left"):
        store.store_random_play("pong", {"schema": 1, "newer": True})
    assert everything(path.parent) == before


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "[" * 100_000])
def test_a_stored_file_that_is_broken_is_named(tmp_path, content):
    (tmp_path / "one.json").write_text(content)
    with pytest.raises(UserError, match=r"one\.json .*Restore it"):
        read_stored(tmp_path / "one.json")
