"""python -m benchmarks lint: rules on a configuration."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import psutil
import tyro
from rich.table import Table
from rich.text import Text

from benchmarks.console import console, say
from benchmarks.doctor.config_files import read_fields
from benchmarks.doctor.dialects import Translated, translate
from benchmarks.markdown import table
from benchmarks.words import count
from dqn_ref.config import UserError
from dqn_ref.lint import RULES, SEVERITIES, Finding, Looked, Setup, lint
from dqn_ref.records import RunRecord

COLOURS = {"error": "bold red", "warning": "yellow", "hint": "cyan"}


@dataclass(frozen=True)
class Lint:
    """Look for what keeps a DQN from learning in its configuration alone, in no time.

    Of a file of hyperparameters, named as here, as in Stable-Baselines3 (DQN's arguments, or the RL Zoo's) or as in
    CleanRL (dqn_atari.py's arguments), or of a run's folder. What is not in it is unknown, and rules on it are silent;
    in the names of others it is what their code has.
    """

    config: tyro.conf.Positional[Path]
    """A JSON, TOML or YAML file, or the folder of a run."""
    dialect: Literal["ours", "sb3", "cleanrl"] | None = None
    """Whose names the file uses. Default: it is told by them."""
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False
    """Print everything as JSON, for a program."""


def lint_command(arguments: Lint) -> int:
    """Print what the rules find; exit code 1 if that is more than hints, 2 if no rule could look."""
    subject, found = _read(arguments.config, arguments.dialect)
    looked = lint(found.setup)
    if arguments.as_json:
        print(json.dumps(as_json(arguments.config, found, looked), indent=1))
    else:
        _show(subject, found, looked)
    return 1 if looked.grave else 0 if looked.looked else 2


def _read(path: Path, dialect: str | None) -> tuple[str, Translated]:
    """In words what it is, and what it says. Raises UserError: neither settings nor a run."""
    folder = path.parent if path.name == "run.json" else path
    if folder.is_dir():
        if dialect not in (None, "ours"):
            raise UserError(f"{folder} is a folder, so a run of this project; --dialect {dialect} is for a file.")
        record = RunRecord.read(folder)
        setup = Setup.of(record.config, _recorded_memory(record.run.get("provenance")))
        return f"{folder}, a run of {record.protocol}", Translated(setup, "this project", {}, (), {})
    section, given = read_fields(path)
    found = translate(path, section, given, dialect)
    if found.setup.memory_bytes is None:  # a file may say it of another machine
        setup = dataclasses.replace(found.setup, memory_bytes=psutil.virtual_memory().total)
        found = dataclasses.replace(found, setup=setup)
    where = f", section {section}" if section else ""
    return f"{path}{where}, in the names of {found.dialect}", found


def _recorded_memory(provenance: Any) -> int | None:
    """Of the device that held the run's replay, if the record says it."""
    try:
        holder = provenance["torch"].get("gpu") or provenance["machine"]
        return int(holder["memory_bytes"])
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def as_json(path: Path, found: Translated, looked: Looked) -> dict[str, Any]:
    """Everything that is printed, and the setup as it was understood; infinite: not clipped."""
    facts = {name: value for name, value in vars(found.setup).items() if value is not None}
    return {
        "schema": 1,
        "config": str(path),
        "dialect": found.dialect,
        "setup": {name: "infinite" if value == float("inf") else value for name, value in facts.items()},
        "assumed": dict(found.assumed),
        "ignored": list(found.ignored),
        "unknown": dict(found.unknown),
        **looked.as_json(),
    }


# ---------------------------------------------------------------------- printing


def _show(subject: str, found: Translated, looked: Looked) -> None:
    say(f"{subject}:")
    for name, near in found.unknown.items():
        say(f"  {name} is no known name, so it was not looked at" + (f"; did you mean {near}?" if near else "."))
    if found.ignored:
        say(f"  Known, but no rule looks at it: {', '.join(found.ignored)}.")
    if found.assumed:
        say(f"  Not in the file, so as in the code of {found.dialect}: {_settings(found.assumed)}.")
    if looked.findings:
        say("")
        console.print(findings_table(looked.findings))
    say("")
    rules = f"{len(looked.looked)} rules looked"
    if looked.looked:
        say(f"{rules}: {count_words(looked.findings)}." if looked.findings else f"{rules}, nothing found.")
    else:
        say("No rule could look: too little of the setup is known.")
    if looked.blind:
        facts = sorted({fact for missing in looked.blind.values() for fact in missing})
        say(f"{len(looked.blind)} could not look ({', '.join(looked.blind)}); unknown: {', '.join(facts)}.")


def _settings(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value:,}" if type(value) is int else f"{name} {value}" for name, value in values.items())


def count_words(findings: Sequence[Finding]) -> str:
    """E.g. ``1 error, 2 hints``."""
    counts = {severity: sum(each.severity == severity for each in findings) for severity in SEVERITIES}
    return ", ".join(count(number, severity) for severity, number in counts.items() if number)


def findings_table(findings: Sequence[Finding]) -> Table:
    """A finding beside its severity. Nothing in it is read as markup."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column()
    for finding in findings:
        table.add_row(Text(finding.severity, COLOURS[finding.severity]), Text(f"{finding.what} [{finding.rule}]"))
        table.add_row("", Text(finding.why))
        if finding.severity != "hint":
            table.add_row("", Text(f"Reference: {finding.reference}. Because: {finding.source}.", "dim"))
    return table


def rules_table() -> str:
    """All rules as a table in Markdown."""
    header = ("rule", "says", "looks for", "reference", "why we believe it")
    rows = [(f"`{each.id}`", ", ".join(each.severities), each.looks_for, each.reference, each.source) for each in RULES]
    return table(header, [[" ".join(cell.split()) for cell in row] for row in rows], header)
