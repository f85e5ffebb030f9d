"""What a gate answers, and the four ways of saying it: text, JSON, JUnit XML, Markdown.

Exit codes: 0 pass, 1 fail, 2 inconclusive, 3 error. Anything malformed is an error, never a pass.
"""

from __future__ import annotations

import enum
import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from benchmarks.markdown import escaped, table
from benchmarks.outputs import write_text

NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, section 2.2

SCHEMA = 1


class Verdict(enum.Enum):
    """The answer of a gate, or of one of its checks."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    ERROR = "error"

    @property
    def exit_code(self) -> int:
        """What a shell sees."""
        return list(Verdict).index(self)


@dataclass(frozen=True)
class Check:
    """One comparison inside a gate. ``numbers`` are plain numbers and strings, for machines."""

    name: str
    verdict: Verdict
    words: str
    numbers: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class GateResult:
    """The whole answer.

    Args:
        gate: scores | speed.
        headline: one sentence that stands alone.
        checks: the comparisons, those that decided first.
        notes: warnings and advice; they decide nothing.
        compared: what was compared with what (names, protocol, machine), for the record.
    """

    gate: str
    verdict: Verdict
    headline: str
    checks: tuple[Check, ...] = ()
    notes: tuple[str, ...] = ()
    compared: Mapping[str, Any] = field(default_factory=dict)


def error(gate: str, words: str) -> GateResult:
    """The answer to malformed input."""
    return GateResult(gate, Verdict.ERROR, words)


def as_text(result: GateResult) -> str:
    """For a terminal."""
    lines = [f"{result.gate} gate: {result.verdict.value.upper()}. {result.headline}"]
    width = max((len(check.name) for check in result.checks), default=0)
    lines += [f"  {check.verdict.value:<12} {check.name:<{width}}  {check.words}" for check in result.checks]
    return "\n".join([*lines, *(f"note: {note}" for note in result.notes)])


def as_json(result: GateResult) -> str:
    """For a program."""
    content = {
        "schema": SCHEMA,
        "gate": result.gate,
        "verdict": result.verdict.value,
        "exit_code": result.verdict.exit_code,
        "headline": result.headline,
        "checks": [
            {"name": c.name, "verdict": c.verdict.value, "words": c.words, "numbers": dict(c.numbers)}
            for c in result.checks
        ],
        "notes": list(result.notes),
        "compared": dict(result.compared),
    }
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def as_junit(result: GateResult) -> str:
    """For a CI server: a test case a check; inconclusive is reported as skipped, as it is neither."""
    checks = result.checks or (Check("gate", result.verdict, result.headline),)
    count = {verdict: str(sum(check.verdict is verdict for check in checks)) for verdict in Verdict}
    suite = ElementTree.Element(
        "testsuite", name=f"{result.gate} gate", tests=str(len(checks)), failures=count[Verdict.FAIL],
        errors=count[Verdict.ERROR], skipped=count[Verdict.INCONCLUSIVE],
    )  # fmt: skip
    for check in checks:
        case = ElementTree.SubElement(suite, "testcase", classname=f"gate.{result.gate}", name=check.name)
        kind = {Verdict.FAIL: "failure", Verdict.ERROR: "error", Verdict.INCONCLUSIVE: "skipped"}.get(check.verdict)
        if kind:
            ElementTree.SubElement(case, kind, message=check.words)
    ElementTree.SubElement(suite, "system-out").text = as_text(result)
    ElementTree.indent(suite)
    text = NOT_XML.sub("\N{REPLACEMENT CHARACTER}", ElementTree.tostring(suite, encoding="unicode"))
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'


def as_markdown(result: GateResult) -> str:
    """A comment for a pull request."""
    sign = {Verdict.PASS: "✅", Verdict.FAIL: "❌", Verdict.INCONCLUSIVE: "❔", Verdict.ERROR: "⚠️"}[result.verdict]
    lines = [f"### {sign} {result.gate} gate: {result.verdict.value}", "", escaped(result.headline), ""]
    if result.checks:
        header = ("check", "answer", "why")
        rows = [(escaped(check.name), check.verdict.value, escaped(check.words)) for check in result.checks]
        lines.append(table(header, rows, words=header))
    return "\n".join([*lines, *(f"- {escaped(note)}" for note in result.notes)]).rstrip() + "\n"


FORMATS = {"text": as_text, "json": as_json, "junit": as_junit, "markdown": as_markdown}


def write_answer(
    result: GateResult, format_name: str, output: Path | None, inputs: Sequence[Path], results: Path
) -> None:
    """Print ``result`` as text, and as ``format_name`` to ``output``, or instead to standard output.

    Raises UserError: ``output`` cannot be written, or must not be (see outputs.py).
    """
    text, document = as_text(result), FORMATS[format_name](result)
    if output is None:
        print(document.rstrip("\n"))
        if format_name != "text":
            print(text, file=sys.stderr)
        return
    print(text)
    write_text(output, document if document.endswith("\n") else document + "\n", inputs, results)
