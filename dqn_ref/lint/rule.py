"""What a rule is, and looking at a setup with all of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from dqn_ref.lint.setup import Setup

Severity = Literal["error", "warning", "hint"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "hint")  # gravest first


@dataclass(frozen=True)
class Fault:
    """What a rule saw."""

    what: str  # with the numbers got
    why: str  # it hurts
    severity: Severity | None = None  # the rule's own, where it has one


Check = Callable[..., Fault | None]


@dataclass(frozen=True)
class Rule:
    """One thing to look for.

    Its check asks for facts by the names of its arguments, as a test asks for fixtures. It is called once all
    those without a default are known.
    """

    id: str
    severities: tuple[Severity, ...]  # that its findings may have, gravest first
    looks_for: str
    reference: str  # what the paper or its code has
    source: str  # why we believe that it hurts
    needs: tuple[str, ...]
    uses: tuple[str, ...]  # if known
    optimizer: str | None  # whose rule it is: with another optimiser there is nothing to find
    check: Check

    def missing(self, setup: Setup) -> tuple[str, ...]:
        """Facts that it needs and that are unknown. One that needs none misses all that it uses while none is known."""
        if self.optimizer and setup.optimizer != self.optimizer:
            return () if setup.optimizer else ("optimizer",)
        unknown = [name for name in (*self.needs, *self.uses) if getattr(setup, name) is None]
        if not self.needs:
            return self.uses if len(unknown) == len(self.uses) else ()
        return tuple(name for name in unknown if name in self.needs)

    def look(self, setup: Setup) -> Finding | None:
        """What it finds. It must not be called while a fact is missing."""
        if self.optimizer and setup.optimizer != self.optimizer:
            return None
        fault = self.check(**{name: getattr(setup, name) for name in (*self.needs, *self.uses)})
        if fault is None:
            return None
        severity = fault.severity or self.severities[0]
        assert severity in self.severities, f"{self.id} never announced that it may say {severity}"
        return Finding(self.id, severity, fault.what, fault.why, self.reference, self.source)


def rule(*severities: Severity, reference: str, source: str, optimizer: str | None = None) -> Callable[[Check], Rule]:
    """Make a rule of its check: its id is the function's name, what it looks for is its docstring."""

    def made(check: Check) -> Rule:
        arguments = inspect.signature(check).parameters.values()
        return Rule(
            id=check.__name__.replace("_", "-"),
            severities=severities,
            looks_for=inspect.getdoc(check) or "",
            reference=reference,
            source=source,
            needs=tuple(each.name for each in arguments if each.default is each.empty),
            uses=tuple(each.name for each in arguments if each.default is not each.empty),
            optimizer=optimizer,
            check=check,
        )

    return made


@dataclass(frozen=True)
class Finding:
    """What a rule found in a setup."""

    rule: str
    severity: Severity
    what: str
    why: str
    reference: str
    source: str


@dataclass(frozen=True)
class Looked:
    """What all rules say of a setup."""

    findings: tuple[Finding, ...]  # gravest first
    looked: tuple[str, ...]  # ids of the rules that could look
    blind: Mapping[str, tuple[str, ...]]  # of those that could not, the facts that they miss

    @property
    def grave(self) -> tuple[Finding, ...]:
        """Errors and warnings."""
        return tuple(finding for finding in self.findings if finding.severity != "hint")

    def as_json(self) -> dict[str, Any]:
        """For a program."""
        return {
            "findings": [vars(finding) for finding in self.findings],
            "rules_looked": list(self.looked),
            "rules_blind": {name: list(facts) for name, facts in self.blind.items()},
        }


def look(setup: Setup, rules: Iterable[Rule]) -> Looked:
    """Look at ``setup`` with each of ``rules``."""
    findings, looked, blind = list[Finding](), list[str](), dict[str, tuple[str, ...]]()
    for each in rules:
        if missing := each.missing(setup):
            blind[each.id] = missing
            continue
        looked.append(each.id)
        if finding := each.look(setup):
            findings.append(finding)
    findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    return Looked(tuple(findings), tuple(looked), blind)
