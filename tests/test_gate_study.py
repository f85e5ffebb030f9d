"""How the speed gate's errors are counted: which rounds make a gate, intervals, what is kept of a session."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest
from speed_rounds import QUIET, SOURCE, WORK, ratios_of

import benchmarks.__main__ as cli
from benchmarks.gates import speed_study
from benchmarks.gates.speed_samples import BENCHMARKS, Measurement, round_numbers
from benchmarks.gates.speed_study import Rates, groups, pair_gates, report, resampled_pairs, resampled_ratios
from benchmarks.gates.verdict import Verdict
from dqn_ref.config import UserError
from dqn_ref.provenance import machine


def study_rounds(count, *, seed=0, noise=0.03, slowdown=1.0):
    """Rounds of this tree twice; the candidate's learner takes ``slowdown`` times as long."""
    draw = np.random.default_rng(seed)

    def side(factor):
        times = QUIET | {name: QUIET[name] * factor for name in ("update", "training")}
        return {
            name: list(times[name] * WORK[name] * np.exp(draw.normal(0, noise, 2)))
            for name in times
        }  # fmt: skip

    return [{"order": ["candidate", "baseline"], "samples": {"candidate": side(slowdown), "baseline": side(1.0)}}
            for _ in range(count)]  # fmt: skip


def stored(*sessions):
    content = ratios_of([]) | {
        "kind": "pairs",
        "sessions": [
            {"started": "2026-01-01", "seconds": 1.0, "source": SOURCE, "slowdown": slowdown, "rounds": rounds}
            for slowdown, rounds in sessions
        ],
    }
    return Measurement("aa.json", content)


# ---------------------------------------------------------------------- counting


def test_groups_are_consecutive_and_disjoint():
    assert [list(group) for group in groups("abcdefgh", 3)] == [list("abc"), list("def")]
    assert list(groups("ab", 3)) == []


def test_no_gate_spans_two_sessions():
    said = pair_gates([study_rounds(20), study_rounds(11), study_rounds(24)], 12)
    assert said == {Verdict.PASS: 3}


def test_the_interval_is_clopper_and_pearsons():
    for seen, gates in ((0, 20), (1, 20), (7, 9), (9, 9)):
        rates = Rates("", {Verdict.FAIL: seen, Verdict.PASS: gates - seen})
        expected = binomtest(seen, gates).proportion_ci(0.95, method="exact")
        assert rates.interval(Verdict.FAIL) == pytest.approx((expected.low, expected.high))
    assert Rates("", {Verdict.PASS: 20}).interval(Verdict.FAIL) == pytest.approx((0, 1 - 0.025 ** (1 / 20)))


def test_the_report_counts_gates_of_equal_and_of_slowed_rounds():
    measured = stored((1.0, study_rounds(60)), (1.3, study_rounds(12, seed=1, slowdown=1.3)))
    lines = {line.what: line.said for line in report(measured, 12, 20)}
    assert lines["--against, 12 rounds: nothing changed"] == {Verdict.PASS: 5}
    assert lines["--against, 12 rounds: learner 1.3 times as slow"] == {Verdict.FAIL: 1}
    ratios = lines["stored ratios, 8 sessions and 1: nothing changed"]
    assert sum(ratios.values()) == 1  # ten groups of six rounds: eight are a baseline, the last a confirmation
    assert Verdict.FAIL not in ratios
    assert lines["stored ratios, 8 sessions and 1: learner 1.3 times as slow"] == {Verdict.FAIL: 1}
    resampled = {what: said for what, said in lines.items() if "resampled" in what}
    assert len(resampled) == 2 * len(speed_study.RESAMPLED_SLOWDOWNS)
    assert all(sum(said.values()) == 20 for said in resampled.values())


def test_the_report_is_a_table_that_says_what_it_was_measured_on():
    text = speed_study.markdown(stored((1.0, study_rounds(12))), 12, 0)
    assert "| --against, 12 rounds: nothing changed | 1 | 0 | 0 | 1 | 0.0% to 97.5% |" in text
    assert "stored ratios" not in text  # two groups of six are no baseline
    assert "12 rounds in 1 session(s) on 2 cores of Abacus (beads), 0123456789" in text


# ---------------------------------------------------------------------- resampling


def by_round(noise, spread=0.0):
    """Log ratios of 60 rounds with a slow wave that neighbours share."""
    draw = np.random.default_rng(4)
    return [
        {name: draw.normal(0, noise) + spread * math.sin(number / 5) for name in BENCHMARKS} for number in range(60)
    ]


def test_resampled_gates_of_equal_trees_seldom_fail_even_where_neighbouring_rounds_are_alike():
    said = resampled_pairs(by_round(0.05, 0.15), 12, 200, 1.0)
    assert sum(said.values()) == 200
    assert said[Verdict.FAIL] <= 2


def test_resampled_gates_find_a_slowdown_and_more_of_it_more_often():
    rounds = by_round(0.15)
    found = [resampled_pairs(rounds, 12, 60, slowdown)[Verdict.FAIL] for slowdown in (1.0, 1.15, 1.3)]
    assert found[0] <= 1
    assert found[0] < found[1] < found[2]
    assert found[2] >= 50
    assert resampled_pairs(rounds, 12, 60, 1.15) == resampled_pairs(rounds, 12, 60, 1.15)


def test_resampled_sessions_find_a_slowdown():
    numbers = [round_numbers(each["samples"]["baseline"]) for each in study_rounds(60)]
    assert resampled_ratios(numbers, 30, 1.0)[Verdict.FAIL] == 0
    assert resampled_ratios(numbers, 30, 1.3)[Verdict.FAIL] == 30


# ---------------------------------------------------------------------- what is kept


@pytest.fixture
def measured(monkeypatch):
    """Stands in for the measurement; returns what it was told, and after how many rounds it is interrupted."""
    told = {"sides": [], "interrupted_after": None, "by": KeyboardInterrupt}

    def measure(sides, plan, on_round):
        told["sides"].append(sides)
        for number, done in enumerate(study_rounds(plan.rounds, seed=len(told["sides"]))):
            if number == told["interrupted_after"]:
                raise told["by"]
            on_round(done, {"work": dict(WORK), "about": {"device": "cpu", "gpu": None}})

    monkeypatch.setattr(speed_study.revisions, "measure_in_turn", measure)
    return told


def call(results, *words):
    return cli.main(["gate", "calibrate-speed", "--results", str(results), "--resamples", "0", *words])


def stored_file(results):
    (path,) = results.glob("speed/*/aa.json")
    return path


def test_every_call_adds_a_session(tmp_path, measured, capsys):
    assert call(tmp_path, "--rounds", "12") == 0
    assert call(tmp_path, "--rounds", "13", "--slowdown", "1.3", "--device", "cpu") == 0
    path = stored_file(tmp_path)
    sessions = json.loads(path.read_text())["sessions"]
    assert [(len(each["rounds"]), each["slowdown"]) for each in sessions] == [(12, 1.0), (13, 1.3)]
    assert list(path.parent.iterdir()) == [path]  # the older file is contained in the newer
    assert "25 rounds in 2 session(s)" in capsys.readouterr().out
    before = path.read_bytes()
    assert call(tmp_path, "--rounds", "0") == 0
    assert path.read_bytes() == before
    assert len(measured["sides"]) == 2


def test_a_damaged_file_is_kept_beside_what_was_measured(tmp_path, measured):
    call(tmp_path, "--rounds", "3")
    stored_file(tmp_path).write_text("<<<<<<< ours")
    assert call(tmp_path, "--rounds", "4") == 0
    assert [len(each["rounds"]) for each in json.loads(stored_file(tmp_path).read_text())["sessions"]] == [4]
    [older] = stored_file(tmp_path).parent.glob("aa.until-*.json")
    assert older.read_text() == "<<<<<<< ours"


def test_only_the_candidate_is_slowed(tmp_path, measured):
    call(tmp_path, "--rounds", "1")
    call(tmp_path, "--rounds", "1", "--slowdown", "1.3", "--device", "cpu")
    files = [{side.name: side.workloads.name for side in sides} for sides in measured["sides"]]
    assert files[0] == {"candidate": "workloads.py", "baseline": "workloads.py"}
    assert files[1] == {"candidate": "slowed_workloads.py", "baseline": "workloads.py"}


@pytest.mark.parametrize("by", [KeyboardInterrupt, UserError("A process gave no answer for 300 s")])
def test_an_interrupted_session_keeps_its_rounds(tmp_path, measured, capsys, by):
    measured["interrupted_after"], measured["by"] = 5, by
    assert call(tmp_path, "--rounds", "12") == 0
    assert len(json.loads(stored_file(tmp_path).read_text())["sessions"][0]["rounds"]) == 5
    said = capsys.readouterr().err
    assert "5 rounds are kept" in said
    assert ("gave no answer" in said) == (by is not KeyboardInterrupt)
    measured["interrupted_after"] = 0
    assert call(tmp_path, "--rounds", "12") == (130 if by is KeyboardInterrupt else 2)
    assert len(json.loads(stored_file(tmp_path).read_text())["sessions"]) == 1


def test_rounds_that_were_measured_otherwise_are_kept_apart(tmp_path, measured):
    call(tmp_path, "--rounds", "12")
    call(tmp_path, "--rounds", "12", "--threads", "2")
    path = stored_file(tmp_path)
    assert len(json.loads(path.read_text())["sessions"]) == 1
    assert len(list(path.parent.glob("aa.until-*.json"))) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--rounds", "-1"], "0 or above"),
        (["--slowdown", "0.9"], "1 or above"),
        (["--slowdown", "1.3"], "--device cpu"),
        (["--gate-rounds", "8"], "never show a loss"),
        (["--rounds", "0"], "measure some --rounds first"),
    ],
)
def test_mistakes_get_one_message(tmp_path, measured, capsys, words, message):
    assert call(tmp_path, *words) == 2
    assert message in capsys.readouterr().err
    assert not measured["sides"]


def test_the_study_finds_the_file_of_this_machine(tmp_path, measured):
    call(tmp_path, "--rounds", "1")
    assert json.loads(stored_file(tmp_path).read_text())["machine"]["cpu"] == machine()["cpu"]


def test_the_pages_say_of_the_speed_gate_what_its_table_shows():
    """docs/gates.md, "Which, when?", and docs/fidelity.md, on a slower learner: words for counts of resampled gates."""
    docs = Path(__file__).parent.parent / "docs"
    gates, fidelity = (" ".join((docs / name).read_text().split()) for name in ("gates.md", "fidelity.md"))
    rows = re.findall(
        r"^\| (.+?, resampled: .+?) \| 400 \| (\d+) \| (\d+) \| \d+ \|", (docs / "gates.md").read_text(), re.M
    )
    counts = {name.replace("update and training ", ""): (int(fail), int(open_)) for name, fail, open_ in rows}
    in_turn, ratios = "--against, 12 rounds, resampled: ", "stored ratios, 8 sessions and 1, resampled: "
    assert "with twelve rounds about half of unchanged trees get it" in gates
    assert 160 <= counts[in_turn + "nothing changed"][1] <= 240
    assert "none of those simulated passed, and a loss of 15 % is seldom found" in gates
    assert sum(counts[ratios + "nothing changed"]) == 400
    assert counts[ratios + "1.15 times as slow"][0] <= 40
    assert "all those against a revision fail a learner that takes 1.3 times as long" in fidelity
    assert counts[in_turn + "1.3 times as slow"][0] == 400
    assert "more than half of those by stored ratios" in fidelity
    assert counts[ratios + "1.3 times as slow"][0] > 200
