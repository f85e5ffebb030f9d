import dataclasses
import json
import os
from pathlib import Path

import pytest
from fake_runs import write_run

from dqn_ref.config import DQNConfig, UserError
from dqn_ref.protocols import CI
from dqn_ref.records import (
    EPISODE_COLUMNS,
    EVALUATION_FIELDS,
    PROGRESS_COLUMNS,
    SCHEMA,
    RunRecord,
    read_json,
    write_json,
)
from dqn_ref.run_writer import RunWriter, add_evaluation, check_new_folder
from dqn_ref.seeds import Member

RUN = {
    "member": {"game": "breakout", "seed": 7},
    "protocol": {"name": "ci", "version": 1, "overrides": {"batch_size": 8}},
    "config": dataclasses.asdict(dataclasses.replace(CI.config, batch_size=8)),
    "provenance": {"rom_md5": "0"},
}


def written(folder: Path, status: str = "finished") -> Path:
    writer = RunWriter(folder, RUN)
    writer.episode(frame=400, raw_return=13, clipped_return=3, length_frames=400, end="game_over", lives_lost=3)
    writer.progress(**dict.fromkeys(PROGRESS_COLUMNS, 0.5) | {"frames": 2_000, "loss": float("nan")})
    writer.close(status, 24_000)
    return folder


def edited(folder: Path, **changes) -> Path:
    path = folder / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    return folder


# ---------------------------------------------------------------------- there and back


def test_a_run_reads_back_as_it_was_written(tmp_path):
    record = RunRecord.read(written(tmp_path / "deep" / "run"))
    assert record.member == Member("breakout", 7)
    assert (record.protocol, record.overrides) == ("ci-v1", {"batch_size": 8})
    assert record.config == DQNConfig(**RUN["config"])
    assert (record.status, record.frames_done, record.evaluations) == ("finished", 24_000, [])
    assert record.episodes() == [
        {"frame": 400, "raw_return": 13, "clipped_return": 3, "length_frames": 400, "end": "game_over", "lives_lost": 3}
    ]
    (row,) = record.progress()
    assert tuple(row) == PROGRESS_COLUMNS
    assert (row["frames"], row["epsilon"]) == (2_000, 0.5)
    assert row["loss"] != row["loss"]
    assert record.run["pid"] == os.getpid()
    assert record.run["started"] <= record.run["ended"]


def test_evaluations_are_appended_never_replaced(tmp_path):
    folder = written(tmp_path / "run")
    for score in (1.0, 2.0, 3.0):
        add_evaluation(folder, {**dict.fromkeys(EVALUATION_FIELDS, 0), "mean_return": score, "episodes": []})
    assert [e["mean_return"] for e in RunRecord.read(folder).evaluations] == [1.0, 2.0, 3.0]


def test_a_run_in_progress_can_be_read_and_its_rows_are_on_disk(tmp_path):
    writer = RunWriter(tmp_path / "run", RUN)
    writer.episode(frame=4, raw_return=1, clipped_return=1, length_frames=4, end="truncated", lives_lost=0)
    record = RunRecord.read(tmp_path / "run")
    assert record.status == "running"
    assert record.run["ended"] is None
    assert len(record.episodes()) == 1
    writer.close("interrupted", 4)
    assert RunRecord.read(tmp_path / "run").status == "interrupted"


def test_a_failed_run_keeps_its_error(tmp_path):
    writer = RunWriter(tmp_path / "run", RUN)
    writer.close("failed", 8, "Traceback: out of memory")
    record = RunRecord.read(tmp_path / "run")
    assert (record.status, record.frames_done, record.run["error"]) == ("failed", 8, "Traceback: out of memory")


@pytest.mark.parametrize("wrong", [{"reward": 1}, {"frame": 1, "score": 2}])
def test_a_column_of_another_name_cannot_be_written(tmp_path, wrong):
    writer = RunWriter(tmp_path / "run", RUN)
    with pytest.raises(ValueError, match="fields not in fieldnames"):
        writer.episode(**wrong)


def test_json_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"schema": SCHEMA, "n": 1})
    with pytest.raises(TypeError):
        write_json(path, {"schema": SCHEMA, "n": object()})
    assert read_json(path)["n"] == 1
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


# ---------------------------------------------------------------------- folders


def test_a_taken_folder_is_refused_and_left_as_it_is(tmp_path):
    folder = written(tmp_path / "run")
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    with pytest.raises(UserError, match="already holds a run"):
        RunWriter(folder, RUN)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


def test_a_foreign_folder_is_refused_and_left_as_it_is(tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(UserError, match="other files"):
        RunWriter(tmp_path, RUN)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_in_the_folders_place_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file"):
        RunWriter(tmp_path / "file", RUN)
    with pytest.raises(UserError, match="cannot be written"):
        RunWriter(tmp_path / "file" / "below", RUN)


def test_a_name_that_no_file_system_takes_is_a_users_mistake(tmp_path):
    with pytest.raises(UserError, match="aaa"):
        check_new_folder(tmp_path / ("a" * 300))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="permission"):
        RunWriter(tmp_path / "run", RUN)


def test_an_empty_folder_is_taken_and_a_check_touches_nothing(tmp_path):
    check_new_folder(tmp_path)
    check_new_folder(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []
    RunWriter(tmp_path, RUN)
    assert (tmp_path / "run.json").exists()


# ---------------------------------------------------------------------- broken records


def test_a_missing_folder_is_a_users_mistake(tmp_path):
    with pytest.raises(UserError, match=r"nowhere.*cannot be read"):
        RunRecord.read(tmp_path / "nowhere")


@pytest.mark.parametrize("text", ["", "{", '{"schema": 1, "status"', "\x00", "[]x", "[" * 100_000])
def test_broken_json_is_a_users_mistake_that_names_the_file(tmp_path, text):
    folder = written(tmp_path / "run")
    (folder / "run.json").write_text(text)
    with pytest.raises(UserError, match=r"run\.json is broken"):
        RunRecord.read(folder)


def test_json_that_is_not_text_is_broken(tmp_path):
    folder = written(tmp_path / "run")
    (folder / "run.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"run\.json is broken"):
        RunRecord.read(folder)


@pytest.mark.parametrize("content", ['{"schema": 0}', '{"schema": 2}', "{}", "[]", "null", '"run"', '{"schema": "1"}'])
def test_another_schema_is_refused_not_guessed_at(tmp_path, content):
    folder = written(tmp_path / "run")
    (folder / "run.json").write_text(content)
    with pytest.raises(UserError, match="schema"):
        RunRecord.read(folder)


@pytest.mark.parametrize("missing", ["member", "protocol", "config", "status", "frames_done"])
def test_a_record_without_a_part_is_broken(tmp_path, missing):
    folder = written(tmp_path / "run")
    run = json.loads((folder / "run.json").read_text())
    del run[missing]
    (folder / "run.json").write_text(json.dumps(run))
    with pytest.raises(UserError, match=rf"run\.json is broken.*{missing}"):
        RunRecord.read(folder)


@pytest.mark.parametrize(
    "changes",
    [{"status": "great"}, {"member": {"game": "pong"}}, {"member": None}, {"protocol": []}, {"frames_done": "many"},
     {"frames_done": float("inf")}, {"protocol": {"name": "ci", "version": 1, "overrides": ["x"]}},
     {"config": {**RUN["config"], "momentum": 0.9}}, {"config": {}}, {"config": {**RUN["config"], "discount": "x"}},
     {"provenance": None}, {"resumed": None}, {"resumed": [{"provenance": 3}]}, {"frames_done": -4},
     {"provenance": {"source": None}}, {"provenance": {"source": {"commit": 5}}}, {"provenance": {"machine": None}},
     {"provenance": {"torch": []}}, {"resumed": [{"provenance": {"source": []}}]}],
)  # fmt: skip
def test_a_record_with_a_wrong_part_is_broken(tmp_path, changes):
    folder = edited(written(tmp_path / "run"), **changes)
    with pytest.raises(UserError, match=r"run\.json is broken"):
        RunRecord.read(folder)


@pytest.mark.parametrize("changes", [{"ended": None}, {"ended": "yesterday"}, {"resumed": [{"provenance": {}}]}])
def test_how_long_a_run_took_is_a_users_mistake_where_it_cannot_be_told(tmp_path, changes):
    record = RunRecord.read(edited(written(tmp_path / "run"), **changes))
    with pytest.raises(UserError, match=r"run\.json does not say how long the run took"):
        _ = record.seconds


@pytest.mark.parametrize("discount", [2, None, "0.99", float("nan")])
def test_a_record_with_a_config_out_of_range_is_refused_by_the_fields_name(tmp_path, discount):
    folder = edited(written(tmp_path / "run"), config={**RUN["config"], "discount": discount})
    with pytest.raises(UserError, match=r"run\.json is broken: discount must .*, got .*[^.]\. Move"):
        RunRecord.read(folder)


def test_a_broken_evaluation_is_a_users_mistake(tmp_path):
    folder = written(tmp_path / "run")
    (folder / "evaluation.json").write_text('{"schema": 1, "evaluations": [')
    with pytest.raises(UserError, match=r"evaluation\.json is broken"):
        RunRecord.read(folder)
    (folder / "evaluation.json").write_text('{"schema": 1}')
    with pytest.raises(UserError, match="evaluations"):
        RunRecord.read(folder)


@pytest.mark.parametrize("value", [None, "many", [5.0], True, 10**400])
def test_a_score_that_is_no_number_is_a_users_mistake(tmp_path, value):
    folder = tmp_path / "run"
    write_run(folder, "qbert", 0, score=5.0)
    content = json.loads((folder / "evaluation.json").read_text())
    content["evaluations"][0]["mean_return"] = value
    (folder / "evaluation.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"evaluation\.json is broken.*mean_return.* as numbers"):
        RunRecord.read(folder)


@pytest.mark.parametrize("episodes", [None, {}, [3], [{}], [{"raw_return": None}], [{"raw_return": True}]])
def test_episodes_of_an_evaluation_without_returns_are_a_users_mistake(tmp_path, episodes):
    folder = tmp_path / "run"
    write_run(folder, "qbert", 0, score=5.0)
    content = json.loads((folder / "evaluation.json").read_text())
    content["evaluations"][0]["episodes"] = episodes
    (folder / "evaluation.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"evaluation\.json is broken"):
        RunRecord.read(folder)


def test_a_broken_evaluation_is_not_overwritten_by_a_new_one(tmp_path):
    folder = written(tmp_path / "run")
    (folder / "evaluation.json").write_text("{")
    with pytest.raises(UserError):
        add_evaluation(folder, {"mean_return": 1.0})
    assert (folder / "evaluation.json").read_text() == "{"


HEADER = ",".join(EPISODE_COLUMNS)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "frame,raw_return,length_frames,end\n400,13,400,game_over\n",  # a column is missing
        f"{HEADER},lives\n400,13,3,400,game_over,3,2\n",  # one too many
        HEADER.replace("raw_return", "return") + "\n",  # of another name
        "raw_return,frame,clipped_return,length_frames,end\n13,400,3,400,game_over\n",  # of another order
        f"{HEADER}\n400,13,3\n",  # a row cut off
        f"{HEADER}\n400,13,3,400,game_over,3,5\n",  # a row too long
        f"{HEADER}\n400,thirteen,3,400,game_over,3\n",  # no number
        f"{HEADER}\n400,13,3,400,game_o,3\n",  # an end that no episode has
        f"{HEADER}\n{2**63},13,3,400,game_over,3\n",  # no array could hold it
        f"{HEADER}\n-400,13,3,400,game_over,3\n",
        f"{HEADER}\n800,13,3,400,game_over,3\n400,13,3,400,game_over,3\n",  # an order that no run writes
    ],
)
def test_broken_episodes_are_a_users_mistake_that_names_the_file(tmp_path, text):
    record = RunRecord.read(written(tmp_path / "run"))
    (tmp_path / "run" / "episodes.csv").write_text(text)
    with pytest.raises(UserError, match=r"episodes\.csv"):
        record.episodes()


def test_a_table_that_a_spreadsheet_saved_is_read(tmp_path):
    """With a byte order mark."""
    record = RunRecord.read(written(tmp_path / "run"))
    path = tmp_path / "run" / "episodes.csv"
    before = record.episodes()
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert record.episodes() == before


def test_a_run_whose_episodes_end_in_the_same_frame_is_read(tmp_path):
    """Streams of one member side by side."""
    record = RunRecord.read(written(tmp_path / "run"))
    (tmp_path / "run" / "episodes.csv").write_text(HEADER + "\n400,13,3,400,game_over,3" * 2 + "\n")
    assert [row["frame"] for row in record.episodes()] == [400, 400]


NUMBERS = ",".join("0" for _ in PROGRESS_COLUMNS[1:])


@pytest.mark.parametrize(
    "content",
    [b"\xff\xfe\x00", *(f"{','.join(PROGRESS_COLUMNS)}\n{rows}".encode() for rows in (
        ",".join("x" * len(PROGRESS_COLUMNS)), f"nan,{NUMBERS}", f"800,{NUMBERS}\n400,{NUMBERS}"))],
)  # fmt: skip
def test_broken_progress_is_a_users_mistake_that_names_the_file(tmp_path, content):
    record = RunRecord.read(written(tmp_path / "run"))
    (tmp_path / "run" / "progress.csv").write_bytes(content)
    with pytest.raises(UserError, match=r"progress\.csv"):
        record.progress()


def test_a_missing_csv_is_a_users_mistake(tmp_path):
    record = RunRecord.read(written(tmp_path / "run"))
    (tmp_path / "run" / "episodes.csv").unlink()
    with pytest.raises(UserError, match=r"episodes\.csv cannot be read"):
        record.episodes()
