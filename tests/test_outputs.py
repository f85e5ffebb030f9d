"""Files that the user names: written whole or not at all, and never over what was read or recorded."""

import os
import stat

import pytest
from fake_runs import write_run

from benchmarks.outputs import KEPT, check_output, write_text
from benchmarks.store import Store
from dqn_ref.config import UserError


def test_a_file_that_the_user_named_replaces_an_older_one_but_nothing_that_was_read_or_recorded(tmp_path):
    older, scores = tmp_path / "answer.json", tmp_path / "scores.csv"
    for text in ("one", "two"):
        write_text(older, text, [scores, tmp_path / "absent"])
        assert older.read_text() == text
    scores.write_text("mine")
    (tmp_path / "link").symlink_to(scores)
    write_run(tmp_path / "run", "qbert", 0)
    episodes = (tmp_path / "run" / "episodes.csv").read_text()
    for path in (scores, tmp_path / "link", tmp_path / "run" / "episodes.csv"):
        with pytest.raises(UserError, match="it is left alone"):
            write_text(path, "lost", [scores])
    assert (scores.read_text(), (tmp_path / "run" / "episodes.csv").read_text()) == ("mine", episodes)
    write_text(tmp_path / "run" / "verdict.json", "fine")


@pytest.mark.parametrize("folder", KEPT)
def test_what_results_keep_is_left_alone_and_what_is_made_anew_is_not(tmp_path, folder):
    path = tmp_path / "results" / folder / "deep" / "one.json"
    path.parent.mkdir(parents=True)
    path.write_text("kept")
    with pytest.raises(UserError, match="it is left alone"):
        write_text(path, "lost", results=tmp_path / "results")
    assert path.read_text() == "kept"
    write_text(path.with_name("new.json"), "new", results=tmp_path / "results")
    write_text(path, "mine", results=tmp_path / "others")
    drawn = tmp_path / "results" / "report" / "answer.json"
    for text in ("one", "two"):
        write_text(drawn, text, results=tmp_path / "results")
    assert (path.read_text(), drawn.read_text()) == ("mine", "two")


def test_the_kept_folders_are_those_that_the_store_writes(tmp_path):
    store = Store(tmp_path)
    own = (store.baseline("x"), store.probes(), store.score_calibration, store.random_play("pong"),
           store.speed({"cpu": "a", "cores": 2}))  # fmt: skip
    assert tuple(path.parent.name for path in own) == KEPT


def test_a_folder_is_no_file_to_write(tmp_path):
    with pytest.raises(UserError, match="is a folder; expected a file"):
        check_output(tmp_path)


def test_a_device_stays_one(tmp_path):
    """Written through a link, as /dev/stdout is; a file in its place would be there for all."""
    (tmp_path / "out").symlink_to(os.devnull)
    write_text(tmp_path / "out", "nothing")
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)
    assert (tmp_path / "out").is_symlink()


def test_where_writing_breaks_off_the_older_file_is_whole_and_nothing_else_is_left(tmp_path, monkeypatch):
    path = tmp_path / "answer.md"
    path.write_text("older")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(UserError, match=r"answer\.md cannot be written: No space left"):
        write_text(path, "newer")
    assert {each.name: each.read_text() for each in tmp_path.iterdir()} == {"answer.md": "older"}
