"""From a log to a verdict: every cause looked for, those found ranked, those that could not be looked for named."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from benchmarks.doctor.verdicts.causes import BY_ID, CAUSES, NOT_ENOUGH_FRAMES, UNSEEN, Cause
from benchmarks.doctor.verdicts.learning import Learning, early, frames_to_tell, learning
from benchmarks.doctor.verdicts.log import Log
from benchmarks.doctor.verdicts.machine import Machine, machine
from benchmarks.doctor.verdicts.signs import Evidence

Confidence = Literal["strong", "moderate", "weak"]
LEVELS: tuple[Confidence, ...] = ("strong", "moderate", "weak")
HOW_SURE = (
    "Confidence is that the condition holds, not that mending it is enough, and it is no probability. strong: a sign "
    "that is the condition itself is clearly beyond its bar, or two independent signs are beyond theirs, one clearly; "
    "moderate: such a sign is just beyond, or one sign clearly, or two just; weak: one sign just beyond."
)
Outcome = Literal[
    "healthy so far", "learning, with something to mend",
    "too early to tell", "too early to tell, but something is wrong",
    "not learning", "not learning, no cause found", "cannot tell whether it learns",
    "cannot tell whether it learns, but something is wrong",
]  # fmt: skip


@dataclass(frozen=True)
class Found:
    """A cause that the log shows."""

    cause: Cause
    confidence: Confidence
    evidence: tuple[Evidence, ...]  # signs beyond their bars
    against: tuple[Evidence, ...] = ()  # signs that were looked at and are not
    not_seen: tuple[str, ...] = ()  # what the log lacks for further signs
    explained_by: tuple[str, ...] = ()  # causes found that bring it about


@dataclass(frozen=True)
class Unlooked:
    """A cause that the log cannot show."""

    cause: Cause
    lacks: tuple[tuple[str, ...], ...]  # metrics or settings, of each sign: any one sign would do

    def words(self) -> str:
        """What the log lacks: of each sign, unless another would do with less."""
        least = [each for each in self.lacks if not any(set(other) < set(each) for other in self.lacks)]
        return "; nor, in its place, ".join(dict.fromkeys(", ".join(each) for each in least))


@dataclass(frozen=True)
class Diagnosis:
    """What a log says."""

    log: Log
    learning: Learning
    causes: tuple[Found, ...]  # ranked
    unlooked: tuple[Unlooked, ...]
    machine: Machine | None
    early: bool

    @property
    def top(self) -> str | None:
        """Id of the first cause; ``not-enough-frames`` if none is found and it is too early; else None."""
        if self.causes:
            return self.causes[0].cause.id
        return NOT_ENOUGH_FRAMES.id if self.early and not self.learning.shown else None

    @property
    def healthy(self) -> bool:
        """Whether no cause was found: nothing is wrong as far as the log shows, learnt or not."""
        return not self.causes

    @property
    def outcome(self) -> Outcome:
        """In one phrase."""
        if self.learning.shown:
            return "healthy so far" if self.healthy else "learning, with something to mend"
        if self.early:
            return "too early to tell" if self.healthy else "too early to tell, but something is wrong"
        if self.learning.status == "unknown":
            unknown: Outcome = "cannot tell whether it learns"
            return unknown if self.healthy else "cannot tell whether it learns, but something is wrong"
        return "not learning, no cause found" if self.healthy else "not learning"

    def at_least(self, confidence: Confidence) -> tuple[Found, ...]:
        """Causes found with ``confidence`` or more."""
        return tuple(found for found in self.causes if LEVELS.index(found.confidence) <= LEVELS.index(confidence))

    @property
    def next_experiment(self) -> str:
        """The one to run next."""
        if self.causes:
            return self.causes[0].cause.experiment
        if self.learning.shown:
            return "None is needed: let it train on."
        if self.early:
            return f"Train on, to {frames_to_tell(self.log):,} frames at least, before the score is judged."
        return "The probes: tiny environments, each isolating one cause (python -m benchmarks probe)."

    def as_json(self) -> dict[str, Any]:
        """Everything, for a program; no number in it is NaN or infinite."""
        return {
            "run": self.log.name,
            "program": self.log.program,
            "game": self.log.game,
            "frames": self.log.frames_done,
            "outcome": self.outcome,
            "healthy": self.healthy,
            "top": self.top,
            "learning": {name: _plain(value) for name, value in vars(self.learning).items()},
            "frames_to_tell": frames_to_tell(self.log),
            "causes": [_found_json(found) for found in self.causes],
            "next_experiment": self.next_experiment,
            "not_looked_at": [
                {"id": each.cause.id, "lacks": [list(names) for names in each.lacks]} for each in self.unlooked
            ],
            "unseen": UNSEEN,
            "machine": self.machine.as_json() if self.machine else None,
            "lacks": list(self.log.lacks),
            "notes": list(self.log.notes),
            "how_sure": HOW_SURE,
        }


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _found_json(found: Found) -> dict[str, Any]:
    return {
        "id": found.cause.id,
        "title": found.cause.title,
        "kind": found.cause.kind,
        "confidence": found.confidence,
        "evidence": [_evidence_json(each) for each in found.evidence],
        "against": [_evidence_json(each) for each in found.against],
        "lacks": list(found.not_seen),
        "explained_by": list(found.explained_by),
        "experiment": found.cause.experiment,
        "reference": found.cause.reference,
    }


def _evidence_json(evidence: Evidence) -> dict[str, Any]:
    bar = evidence.bar
    return {
        "quantity": evidence.sign.quantity,
        "view": evidence.sign.view,
        "value": evidence.value,
        "frame": evidence.frame,
        "bar": {"name": evidence.sign.bar, "at": bar.at, "clear": bar.clear, "origin": bar.origin, "why": bar.why},
        "clearly": evidence.clearly,
        "direct": evidence.sign.direct,
    }


# ---------------------------------------------------------------------- looking


@np.errstate(all="ignore")  # a log may hold any numbers: what is beyond them all is infinite, and that is a finding
def diagnose(log: Log) -> Diagnosis:
    """All causes that ``log`` shows, ranked. Raises nothing: what is missing is named."""
    returns = learning(log)
    found: dict[str, Found] = {}
    unlooked: list[Unlooked] = []
    for cause in CAUSES:
        if cause.only_if_not_learning and returns.shown:
            continue
        answer = _look(cause, log)
        if isinstance(answer, Unlooked):
            unlooked.append(answer)
        elif answer is not None:
            found[cause.id] = answer
    found = {name: each for name, each in found.items() if not set(each.cause.unless) & _sure(found.values())}
    explained = {name: _explained(each, found) for name, each in found.items()}
    ranked = _ranked([replace(each, explained_by=explained[name]) for name, each in found.items()])
    return Diagnosis(log, returns, tuple(ranked), tuple(unlooked), machine(log), early(log))


def _look(cause: Cause, log: Log) -> Found | Unlooked | None:
    """Whether ``log`` shows ``cause``; None if it does not."""
    lacking = {sign: sign.lacking(log) for sign in (*cause.signs, *cause.conditions, *cause.support)}
    if all(lacking[sign] for sign in cause.signs):
        return Unlooked(cause, tuple(dict.fromkeys(tuple(lacking[sign]) for sign in cause.signs)))
    for condition in cause.conditions:
        if lacking[condition]:
            continue  # a condition that cannot be looked at narrows nothing; it is named with what is found
        read = condition.read(log)
        if read is None or not read.crossed:
            return None
    evidence = [sign.read(log) for sign in cause.signs if not lacking[sign]]
    crossed = [each for each in evidence if each is not None and each.crossed]
    if not crossed:
        return None
    supporting = [sign.read(log) for sign in cause.support if not lacking[sign]]
    crossed += [each for each in supporting if each is not None and each.crossed]
    against = tuple(each for each in (*evidence, *supporting) if each is not None and not each.crossed)
    return Found(cause, confidence(crossed), tuple(crossed), against, _names(lacking.values()))


def _names(groups: Iterable[Collection[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for group in groups for name in group))


def confidence(crossed: Collection[Evidence]) -> Confidence:
    """How sure signs beyond their bars make; HOW_SURE says it in words."""
    kinds = {each.sign.kind for each in crossed}
    clearly = [each for each in crossed if each.clearly]
    direct = [each for each in crossed if each.sign.direct]
    if any(each.clearly for each in direct) or (len(kinds) >= 2 and clearly):
        return "strong"
    return "moderate" if direct or clearly or len(kinds) >= 2 else "weak"


def _sure(found: Iterable[Found]) -> set[str]:
    return {each.cause.id for each in found if each.confidence != "weak"}


def _explained(each: Found, found: dict[str, Found]) -> tuple[str, ...]:
    """Faults found that bring ``each`` about, if it is a symptom."""
    sure = _sure(found.values())
    return tuple(name for name in found if name in sure and each.cause.id in BY_ID[name].leads_to)


def _ranked(found: Collection[Found]) -> list[Found]:
    """Faults before the symptoms that they explain; else by confidence, faults before symptoms, more signs, table."""
    order = {cause.id: place for place, cause in enumerate(CAUSES)}

    def key(each: Found) -> tuple[bool, int, bool, int, int]:
        kinds = {evidence.sign.kind for evidence in each.evidence}
        return (
            bool(each.explained_by),
            LEVELS.index(each.confidence),
            each.cause.kind == "symptom",
            -len(kinds),
            order[each.cause.id],
        )

    return sorted(found, key=key)
