"""Faults x probes as a stored result: its table and its summary, worked by hand; what the command stores."""

import json

import pytest

from benchmarks.__main__ import main
from benchmarks.doctor.probes import faults
from benchmarks.doctor.probes.matrix import HELD_OUT, matrix_markdown, matrix_summary, read_matrix, roots
from benchmarks.store import Store
from dqn_ref.config import UserError


def cell(status="passed", rests_on_failed=(), failed_seeds=None):
    failed = failed_seeds if failed_seeds is not None else 2 * (status == "failed")
    return {"status": status, "rests_on_failed": [*rests_on_failed], "failed_seeds": failed}


def stored(**rows):
    return {
        "observation": "vector", "seeds": [100, 101], "cpu_seconds": 1.6, "rows": rows,
        "faults": {"dull": {"text": "it dozes", "probe": "one"}, "odd": {"text": "it errs", "probe": "two"}},
        "machine": {"cpu": "a chip", "cores": 2}, "source": {"commit": "0123456789abcdef", "dirty": False},
    }  # fmt: skip


SOUND = {"one": cell(), "two": cell()}
DULL = {"one": cell("failed"), "two": cell("failed", ["one"])}
ODD = {"one": cell(), "two": cell("failed")}


def test_the_table_marks_what_failed_and_what_only_rests_on_it():
    table = matrix_markdown(stored(none=SOUND, dull=DULL, odd=ODD)).splitlines()
    assert table[0] == "| fault | its own probe | one | two |"
    assert table[2:5] == [
        "| none (the sound agent) |  |  |  |",
        "| dull: it dozes | `one` | **F** | f |",
        "| odd: it errs | `two` |  | **F** |",
    ]
    assert table[-1].endswith(
        "A small DQN on vectors, seeds 100, 101, on which no threshold was set; 2 s of processor time on 2 cores of a "
        "chip, source 0123456789."
    )


@pytest.mark.parametrize(
    ("rows", "own", "alarms"),
    [
        ({"none": SOUND, "dull": DULL, "odd": ODD}, 2, 0),
        ({"none": SOUND, "dull": SOUND, "odd": ODD}, 1, 0),  # not found
        ({"none": SOUND, "dull": ODD, "odd": ODD}, 1, 0),  # found by another's probe
        ({"none": SOUND, "dull": {"one": cell("failed"), "two": cell("failed")}, "odd": ODD}, 1, 0),
        ({"none": {"one": cell("failed", failed_seeds=1), "two": cell()}, "dull": DULL, "odd": ODD}, 2, 1),
    ],
)
def test_the_summary_counts_faults_found_by_their_own_probe_alone_and_false_alarms(rows, own, alarms):
    assert matrix_summary(stored(**rows)) == (
        f"{own} of 2 faults fail their own probe and no other that does not rest on it; "
        f"false alarms of the sound agent: {alarms} of 4 (probe, seed)."
    )


def test_a_root_rests_on_no_failed_probe():
    assert roots(DULL) == ["one"]


def test_the_command_stores_held_out_seeds_that_can_be_read_back(tmp_path, monkeypatch, capsys):
    run = faults.probe_matrix
    monkeypatch.setattr(faults, "FAULTS", faults.FAULTS[:1])
    monkeypatch.setattr(
        faults, "probe_matrix",
        lambda form, seeds: run(form, seeds, faults.FAULTS, ["constant-reward", "observation-value"]),
    )  # fmt: skip
    assert main(["probe", "--matrix", "--seeds", "2", "--results", str(tmp_path)]) == 0
    record = read_matrix(Store(tmp_path))
    assert (tmp_path / "doctor" / "probes.json").is_file()
    assert record["seeds"] == [HELD_OUT, HELD_OUT + 1]
    assert record["source"].keys() >= {"commit", "dirty"}
    assert record["rows"]["never-learns"]["observation-value"]["rests_on_failed"] == ["constant-reward"]
    assert matrix_summary(record).startswith("1 of 1 faults")
    assert "0 of 4 (probe, seed)" in matrix_summary(record)
    assert matrix_markdown(json.loads(json.dumps(record))) in capsys.readouterr().out


def test_a_part_of_a_matrix_is_refused(tmp_path, capsys):
    assert main(["probe", "--matrix", "--only", "replay", "--results", str(tmp_path)]) == 2
    assert "--matrix probes planted faults with every probe" in " ".join(capsys.readouterr().err.split())


def test_without_a_stored_matrix_the_command_that_makes_it_is_named(tmp_path):
    with pytest.raises(UserError, match="run python -m benchmarks probe --matrix --observation vector"):
        read_matrix(Store(tmp_path))
