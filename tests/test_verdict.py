"""Four ways of saying one answer: none loses a check, and none is broken by a foreign name."""

import html
import json
from xml.etree import ElementTree

import pytest

from benchmarks.gates.verdict import FORMATS, Check, GateResult, Verdict, as_json, as_junit, as_markdown, as_text, error

HOSTILE = "a|b\n<script>alert(1)</script> ![x](http://x) @somebody `c` & **d**"
RESULT = GateResult(
    "scores",
    Verdict.FAIL,
    "The candidate is worse.",
    (
        Check("worse than the baseline", Verdict.FAIL, "p = 0.001", {"p": 0.001}),
        Check("within the margin", Verdict.INCONCLUSIVE, "not shown"),
        Check("each game", Verdict.PASS, "none"),
    ),
    ("a note",),
    {"baseline": "mine"},
)


def test_the_exit_codes_are_the_documented_ones():
    assert {verdict.value: verdict.exit_code for verdict in Verdict} == {
        "pass": 0, "fail": 1, "inconclusive": 2, "error": 3
    }  # fmt: skip


def test_malformed_input_is_an_error_and_says_why():
    assert error("speed", "no file").verdict.exit_code == 3
    for write in FORMATS.values():
        assert "no file" in write(error("speed", "no file"))


def test_text_has_the_answer_first_and_every_check():
    lines = as_text(RESULT).splitlines()
    assert lines[0] == "scores gate: FAIL. The candidate is worse."
    assert [line.split()[0] for line in lines[1:4]] == ["fail", "inconclusive", "pass"]
    assert lines[4] == "note: a note"


def test_json_holds_everything():
    content = json.loads(as_json(RESULT))
    assert (content["verdict"], content["exit_code"], content["gate"]) == ("fail", 1, "scores")
    assert content["checks"][0] == {
        "name": "worse than the baseline", "verdict": "fail", "words": "p = 0.001", "numbers": {"p": 0.001}
    }  # fmt: skip
    assert content["compared"] == {"baseline": "mine"}


def test_json_has_no_number_that_is_none():
    with pytest.raises(ValueError, match="JSON"):
        as_json(GateResult("scores", Verdict.PASS, "x", (Check("c", Verdict.PASS, "w", {"p": float("nan")}),)))


def test_junit_has_a_case_a_check_and_counts_what_is_in_it():
    suite = ElementTree.fromstring(as_junit(RESULT).partition("\n")[2])
    counts = [suite.get(name) for name in ("tests", "failures", "errors", "skipped")]
    assert counts == ["3", "1", "0", "1"]
    cases = suite.findall("testcase")
    assert [[child.tag for child in case] for case in cases] == [["failure"], ["skipped"], []]
    assert "note: a note" in suite.findtext("system-out")


def test_junit_of_a_gate_without_checks_still_says_its_answer():
    suite = ElementTree.fromstring(as_junit(error("speed", "no file")).partition("\n")[2])
    assert suite.get("errors") == "1"
    assert suite.find("testcase/error").get("message") == "no file"


def test_markdown_is_a_heading_and_a_table():
    lines = as_markdown(RESULT).splitlines()
    assert lines[0].endswith("scores gate: fail")
    assert [line.split(" | ")[1] for line in lines if line.startswith("| ")] == [
        "answer",
        "fail",
        "inconclusive",
        "pass",
    ]


def test_a_foreign_name_breaks_nothing_and_shows_nothing():
    result = GateResult("scores", Verdict.FAIL, HOSTILE, (Check(HOSTILE, Verdict.FAIL, HOSTILE),), (HOSTILE,))
    page = as_markdown(result)
    assert all(line.count("|") == 4 for line in page.splitlines() if line.startswith("|"))
    for sign in ("<script", "![", "@somebody", "`c`", "**d**"):
        assert sign not in page
    assert HOSTILE.replace("\n", " ") in html.unescape(page)
    suite = ElementTree.fromstring(as_junit(result).partition("\n")[2])
    assert suite.find("testcase/failure").get("message").split() == HOSTILE.split()
    assert json.loads(as_json(result))["headline"] == HOSTILE


def test_junit_holds_no_character_that_xml_forbids():
    """A candidate's name may hold any; what XML allows stays."""
    suite = ElementTree.fromstring(as_junit(error("scores", "a\x01b\x0b \ud800 \tö\U0001f600")).partition("\n")[2])
    assert "a\ufffdb\ufffd \ufffd \tö\U0001f600" in suite.find("system-out").text
