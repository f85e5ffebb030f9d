"""``python -m benchmarks report``: what may be asked, what is written where, gates' files, the summary in Markdown."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from fake_pages import (
    GATE,
    HOSTILE,
    SHOWN,
    content_of,
    hostile_gate,
    write_gate,
    write_hostile,
    write_nature,
    write_suite,
)
from fake_runs import edit_json, resample_little, write_matrix
from html_tree import parse

import benchmarks.__main__ as cli
import benchmarks.page.charts as charts
from benchmarks.baselines import create
from benchmarks.gates.verdict import Verdict, as_json
from benchmarks.markdown import escaped
from benchmarks.page.asked import Asked
from benchmarks.page.foreign import clean
from benchmarks.page.gates import read_gate
from benchmarks.page.page import MARK, SYMBOLS
from benchmarks.page.reproduce import steps as steps_of
from benchmarks.page.summary import SUMMARY_MARK, summary
from benchmarks.runner import Matrix
from benchmarks.store import Store
from dqn_ref.config import UserError

ROOT = Path(__file__).parent.parent
BASELINE = "atari10-ci-v1-16k"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    resample_little(monkeypatch)
    share = charts.performance_profile
    monkeypatch.setattr(charts, "performance_profile", lambda scores, at: share(scores, at, repetitions=50))
    monkeypatch.setattr(cli, "end_when_told", lambda: None)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results")


@pytest.fixture
def call(store, capsys):
    """Run ``report``; returns its exit code, what it printed, and its complaints."""

    def run(*words):
        try:
            code = cli.main(["report", *map(str, words), "--results", str(store.root)])
        except SystemExit as leaving:
            code = leaving.code
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# ---------------------------------------------------------------------- what is written where


def test_the_page_goes_to_the_results_and_its_own_earlier_form_gives_way(call, store):
    asked = write_suite(store)
    before = files(store.root)
    code, out, _ = call("atari3", "--seeds", 2)
    page = store.root / "report" / "atari3-ci-v1-16k.html"
    assert (code, str(page) in out.replace("\n", "")) == (0, True)
    assert files(store.root) == before | {page: page.read_bytes()}
    first = page.read_text()
    edit_json(asked.folder / "phoenix-s0" / "run.json", started="2020-01-01T00:00:00+00:00")
    assert call("atari3", "--seeds", 2)[0] == 0
    assert page.read_text() != first
    assert parse(page.read_text()).one("p", "big").text == parse(first).one("p", "big").text


def store_baseline(store, seeds, reason="first", suite="atari3"):
    """A promoted baseline of ``seeds`` runs a game."""
    matrix = Matrix.of(suite, "ci", seeds=seeds)
    elsewhere = Store(store.root.with_name("elsewhere"))
    write_matrix(elsewhere.runs(matrix.group), matrix.games, seeds)
    candidate = create(elsewhere, matrix, reason)
    (store.root / "baselines").mkdir(parents=True, exist_ok=True)
    candidate.rename(store.baseline(candidate.name))
    shutil.rmtree(elsewhere.root)
    store.promote_baseline(matrix.name, reason)
    return matrix


def test_pages_of_a_baseline_and_of_runs_lie_beside_each_other(call, store):
    write_suite(store)
    matrix = store_baseline(store, 1, reason="a <b>")
    assert call("atari3", "--seeds", 2)[0] == 0
    assert call("--baseline", matrix.name)[0] == 0
    pages = {path.name: parse(path.read_text()) for path in (store.root / "report").iterdir()}
    assert set(pages) == {f"{matrix.name}.html", f"baseline-{matrix.name}.html"}
    of_baseline = pages[f"baseline-{matrix.name}.html"]
    assert of_baseline.one("h1").text.endswith("1 seed")  # as many as are stored
    assert "Reason: a <b>" in of_baseline.one("p", "where").text


def test_a_missing_run_gives_a_page_and_exit_code_1(call, store):
    write_suite(store, without=("phoenix-s1",))
    code, out, _ = call("atari3", "--seeds", 2)
    assert code == 1
    assert "1 runs are missing" in out
    assert "No aggregate" in store.report("atari3-ci-v1-16k").read_text()


@pytest.mark.parametrize("option", ["--out", "--markdown"])
@pytest.mark.parametrize("content", ["mine", "<!doctype html>\n<title>mine</title>\n"])
def test_a_file_that_is_no_report_is_left_alone(call, store, tmp_path, option, content):
    write_suite(store)
    mine = tmp_path / "mine"
    mine.write_text(content)
    code, _, err = call("atari3", "--seeds", 2, option, mine)
    assert (code, "is no report; it is left alone" in err.replace("\n", " ")) == (2, True)
    assert mine.read_text() == content


def test_a_page_is_no_summary_and_a_summary_no_page(call, store, tmp_path):
    write_suite(store)
    page, short = tmp_path / "a" / "page.html", tmp_path / "b" / "short.md"
    assert call("atari3", "--seeds", 2, "--out", page, "--markdown", short)[0] == 0
    assert MARK in page.read_text()
    assert short.read_text().startswith(SUMMARY_MARK)
    assert call("atari3", "--seeds", 2, "--out", page, "--markdown", short)[0] == 0
    assert call("atari3", "--seeds", 2, "--out", short)[0] == 2
    assert call("atari3", "--seeds", 2, "--markdown", page)[0] == 2
    assert call("atari3", "--seeds", 2, "--out", page, "--markdown", page)[0] == 2
    assert MARK in page.read_text()


def test_an_empty_file_is_filled(call, store, tmp_path):
    """As a CI server makes one for a summary."""
    write_suite(store)
    (tmp_path / "summary").touch()
    assert call("atari3", "--seeds", 2, "--markdown", tmp_path / "summary")[0] == 0
    assert (tmp_path / "summary").read_text().startswith(SUMMARY_MARK)


@pytest.mark.parametrize("place", ["folder", "file/page.html", "n" * 300])
def test_a_place_that_cannot_be_written_is_one_message(call, store, tmp_path, place):
    write_suite(store)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("mine")
    before = files(tmp_path)
    code, _, err = call("atari3", "--seeds", 2, "--out", tmp_path / place)
    assert code == 2
    assert err.startswith("error: ")
    assert "Choose another name" in err
    assert files(tmp_path) == before


# ---------------------------------------------------------------------- what may be asked


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["atari4"], "No suite is called 'atari4'"),
        (["--protocol", "paper"], "'paper'"),
        (["--frames", "many"], "'many' is no number of frames"),
        (["--seeds", "0"], "--seeds must be 1 or above"),
        (["atari3"], "There is nothing to report"),
        (["--baseline", "atari3-ci-v1-99k"], "known are: atari3-ci-v1-16k"),
        (["--baseline", "../runs/ci-v1-16k"], "No baseline is called"),
        (["--baseline", "atari3-ci-v1-16k", "--seeds", "0"], "--seeds must be 1 or above, got 0"),
        (["--baseline", "atari3-ci-v1-16k", "--frames", "24k"], "a baseline of frames 16k, got 24k"),
        (["atari5", "--baseline", "atari3-ci-v1-16k"], "a baseline of suite atari3, got atari5"),
        (["--baseline", "atari3-ci-v1-16k", "--protocol", "nature"], "a baseline of protocol ci, got nature"),
        (["atari3", "--gate", "nowhere.json"], "nowhere.json cannot be read"),
    ],
)
def test_a_mistake_is_one_message_and_nothing_is_written(call, store, words, message):
    store_baseline(store, 1)
    before = files(store.root)
    code, out, err = call(*words)
    assert code == 2
    assert message in re.sub(r"\s+", " ", err)
    assert "Traceback" not in err
    assert out == ""
    assert files(store.root) == before


@pytest.mark.parametrize(
    "spoil",
    [
        {"run.json": "{"},
        {"evaluation.json": '{"schema": 1, "evaluations": 5}'},
        {"evaluation.json": "EVALUATION"},
        {"episodes.csv": "frame\n1\n"},
        {"progress.csv": ""},
    ],
)
def test_a_broken_record_is_one_message_with_its_path(call, store, spoil):
    asked = write_suite(store)
    [(name, content)] = spoil.items()
    path = asked.folder / "phoenix-s0" / name
    if content == "EVALUATION":  # a score that is markup
        content = path.read_text().replace('"mean_return": ', '"mean_return": "<b>", "was": ')
    path.write_text(content)
    code, _, err = call("atari3", "--seeds", 2)
    assert code == 2
    assert str(path.parent) in err.replace("\n", "")
    assert not (store.root / "report").exists()


def test_seeds_may_be_fewer_than_are_stored(store):
    name = store_baseline(store, 3).name
    assert Asked.of(store, baseline=name).matrix.num_seeds == 3
    assert Asked.of(store, baseline=name, seeds=2).matrix.num_seeds == 2


def test_an_older_baseline_can_be_shown_too(store):
    name = store_baseline(store, 1).name
    store_baseline(store, 2)
    [older] = [path.name for path in (store.root / "baselines").iterdir() if path.name != name]
    asked = Asked.of(store, baseline=older)
    assert asked.folder == store.baseline(older)
    assert asked.matrix == Matrix.of("atari3", "ci", seeds=1)


def test_a_baseline_that_was_changed_by_hand_has_no_page(call, store):
    name = store_baseline(store, 1).name
    edit_json(store.baseline(name) / "phoenix-s0" / "evaluation.json", seconds=1)
    code, _, err = call("--baseline", name)
    assert code == 2
    assert "was changed by hand" in re.sub(r"\s+", " ", err)
    assert not (store.root / "report").exists()


# ---------------------------------------------------------------------- the stored baseline, from a clone


def report_of_the_baseline(out: Path, **environment) -> Path:
    command = [sys.executable, "-m", "benchmarks", "report", "--baseline", BASELINE, "--out", str(out)]
    subprocess.run(command, cwd=ROOT, check=True, env=os.environ | environment, stdout=subprocess.DEVNULL)
    return out


@pytest.mark.slow
def test_the_stored_baselines_page_says_what_the_readme_says_and_is_the_same_each_time(tmp_path):
    first = report_of_the_baseline(tmp_path / "a.html", PYTHONHASHSEED="1", TZ="UTC", LC_ALL="C")
    again = report_of_the_baseline(tmp_path / "b.html", PYTHONHASHSEED="2", TZ="Asia/Tokyo", LC_ALL="C.UTF-8")
    assert first.read_bytes() == again.read_bytes()
    page, readme = parse(first.read_text(encoding="utf-8")), (ROOT / "README.md").read_text()
    rows = re.findall(r"^\| (\w+) \| 2 \| (\S+) \| (\S+) \| (\S+) \| (\S+) \|$", readme, re.M)
    assert len(rows) == 10
    shown = [row.elements for row in page.one("table", "games").all("tr") if len(row.elements) == 5]
    by_game = {row[0].text: [cell.text.split(" ±")[0] for cell in row[1:]] for row in shown}
    for game, score, random, human, normalised in rows:
        assert by_game[game] == [normalised, score, random, human]
    for name, value, low, high in re.findall(
        r"^\| \*\*([\w ]+)\*\* .* \*\*(\S+) \[(\S+), (\S+)\]\*\* \|$", readme, re.M
    ):
        [row] = [row for row in page.all("tr") if row.elements[0].text.startswith(f"{name} ")]
        assert [cell.text for cell in row.elements[1:]] == [value, f"{low} to {high}"]


def test_no_torch_comes_with_the_report():
    """Results are judged on a laptop without it."""
    code = "import sys, benchmarks.page.files, benchmarks.page.summary; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_the_page_is_installed_with_its_template():
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    beside = {path.name for path in (ROOT / "benchmarks" / "page").iterdir() if path.suffix in (".html", ".css", ".js")}
    assert set(tools["package-data"]["benchmarks.page"]) == beside


# ---------------------------------------------------------------------- commands on the page


def test_the_commands_on_the_page_are_commands(store):
    asked = write_suite(store, seeds=1)
    steps = [step.command for step in steps_of(content_of(asked, asked.store.report(asked.name)))]
    options = ["atari3", "--protocol", "ci", "--frames", "16k", "--seeds", "1", "--results"]
    assert steps[0] == "git checkout 0123456789abcdef0123456789abcdef01234567"
    for command in steps[1:]:
        words = command.split()
        assert words[:2] == ["python", "-m"]
        assert words[2] in ("benchmarks", "dqn_ref")
        if words[2] == "benchmarks":
            assert words[3] in cli.COMMANDS
            assert words[4:] == [*options, str(store.root)]


# ---------------------------------------------------------------------- gates' files


def test_a_gates_answer_comes_back_as_it_was(tmp_path):
    found = read_gate(write_gate(tmp_path / "gate.json"))
    plain = tuple(replace(check, numbers={k: f"{v:g}" for k, v in check.numbers.items()}) for check in GATE.checks)
    assert found == replace(GATE, checks=plain)


@pytest.mark.parametrize(
    "changes",
    [
        {"schema": 2},
        {"verdict": "passed"},
        {"verdict": "pass"},  # with the exit code of another
        {"verdict": ["pass"], "exit_code": 0},
        {"exit_code": 0},
        {"checks": [{"name": "x"}]},
        {"checks": 5},
        {"notes": "one"},
        {"compared": []},
        {"checks": [{"name": "x", "verdict": "yes", "words": "", "numbers": {}}]},
    ],
)
def test_what_no_gate_writes_is_refused_and_never_a_pass(tmp_path, changes):
    with pytest.raises(UserError, match=r"gate\.json is not what a gate writes"):
        read_gate(write_gate(tmp_path / "gate.json", **changes))


@pytest.mark.parametrize(
    "content", [b"", b"[1]", b"5", b"null", b"\xff\xfe", b'{"schema": 1}', b"<testsuite/>", b"[" * 10**6]
)
def test_another_file_is_refused(tmp_path, content):
    path = tmp_path / "gate.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"gate\.json"):
        read_gate(path)


def test_foreign_text_is_one_line_that_can_be_shown():
    assert clean(" a\n\tb\u2028c ") == "a b c"
    assert clean("\u202eabc\x00\ud800") == "\ufffdabc\ufffd\ufffd"
    assert [clean(value) for value in (None, True, False, 0.1 + 0.2, 7)] == ["none", "yes", "no", "0.3", "7"]
    assert clean("é 日本") == "é 日本"


# ---------------------------------------------------------------------- the summary


def test_the_summary_holds_headline_gates_aggregates_and_games(store, tmp_path):
    asked = write_suite(store)
    text = summary(content_of(asked, tmp_path / "page.html", write_gate(tmp_path / "gate.json")))
    assert text.startswith(f"{SUMMARY_MARK}\n## atari3, ci-v1, 16k frames\n\n**IQM 0.500 [")
    assert "not comparable with published scores" in text
    assert "With 2 seeds these intervals are too narrow" in text
    assert "**? scores gate: inconclusive.** Neither worse nor as good: add 3 seeds." in text
    assert "| battle_zone | 2 | 11,066.9 ± 12,313.4 | 2,360.0 | 37,187.5 | 0.250 |" in text
    for name in ("IQM", "median", "mean", "optimality gap"):
        assert len(re.findall(rf"^\| {name} \| \S+ \[\S+, \S+\] \|$", text, re.M)) == 1
    tables = re.findall(r"(?:^\|.*\n)+", text, re.M)
    assert [len({line.count("|") for line in table.splitlines()}) for table in tables] == [1, 1]


def test_the_summary_of_an_incomplete_suite_has_no_aggregate(store, tmp_path):
    asked = write_suite(store, without=("phoenix-s1", "phoenix-s0"))
    text = summary(content_of(asked, tmp_path / "page.html"))
    assert "**No aggregate: 2 of 6 runs have no score.**" in text
    assert "- missing: phoenix seed 1: missing" in text
    assert "IQM" not in text
    assert "| phoenix | 0 | - | 761.4 | 7,242.6 | - |" in text


def test_nothing_in_a_record_becomes_markdown_or_markup(store, tmp_path):
    asked = write_hostile(store)
    text = summary(content_of(asked, tmp_path / "page.html", write_gate(tmp_path / "gate.json", hostile_gate())))
    assert set(re.findall(r"<[^>]*>", text)) == {SUMMARY_MARK, "<details>", "<summary>", "</summary>", "</details>"}
    assert escaped(SHOWN) in text
    assert HOSTILE not in text


def test_the_summary_of_the_papers_protocol_has_no_caveat_of_a_small_machine(store, tmp_path):
    asked = write_nature(store, seeds=1)
    text = summary(content_of(asked, tmp_path / "page.html"))
    assert "small machine" not in text
    assert "comparable with published curves at the same number of frames" in text


def test_every_verdict_has_a_sign_of_its_own(tmp_path):
    assert set(SYMBOLS) == {verdict.value for verdict in Verdict}
    assert len(set(SYMBOLS.values())) == 4
    assert json.loads(as_json(GATE))["verdict"] in SYMBOLS
