"""A diagnosis in words, in the order in which they are asked for."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.doctor.verdicts.causes import UNSEEN
from benchmarks.doctor.verdicts.diagnosis import HOW_SURE, Diagnosis, Found
from benchmarks.doctor.verdicts.learning import frames_to_tell

OUTCOMES = {
    "too early to tell": "published DQNs learn next to nothing before about 2M frames",
    "too early to tell, but something is wrong": "the score says nothing yet, the causes below do",
    "not learning, no cause found": "what was not looked at is listed below",
}


def lines(diagnosis: Diagnosis) -> Iterator[str]:
    """The report, line by line: is it learning, causes, evidence, next experiment, what was not looked at."""
    log = diagnosis.log
    yield f"{log.name} ({log.program}): {log.game or 'game not known'}, {log.frames_done:,} frames"
    more = OUTCOMES.get(diagnosis.outcome)
    yield f"Verdict: {diagnosis.outcome}{f' ({more})' if more else ''}."
    yield diagnosis.learning.words
    if diagnosis.early and not diagnosis.learning.shown:
        yield f"A score can tell from about {frames_to_tell(log):,} frames on with these schedules."
    yield ""
    yield from _causes(diagnosis)
    yield f"Next experiment: {diagnosis.next_experiment}"
    if diagnosis.machine and (words := diagnosis.machine.words()):
        yield f"Machine: {words}."
    yield ""
    yield from _not_looked_at(diagnosis)


def brief(diagnosis: Diagnosis) -> Iterator[str]:
    """What to read first: the verdict, the causes, the next experiment."""
    report = list(lines(diagnosis))
    causes = list(_causes(diagnosis))
    yield from report[:2]
    yield ""
    yield from causes[: causes.index("")]
    yield ""
    yield f"Next experiment: {diagnosis.next_experiment}"


def _causes(diagnosis: Diagnosis) -> Iterator[str]:
    if not diagnosis.causes:
        yield "Causes: none of those that the log can show."
        yield ""
        return
    yield "Causes, the likeliest first:"
    for number, found in enumerate(diagnosis.causes, start=1):
        because = f", follows from {', '.join(found.explained_by)}" if found.explained_by else ""
        kind = f", {found.cause.kind}" if found.cause.kind != "fault" else ""
        yield f"  {number}. {found.cause.id} ({found.confidence}{kind}{because}): {found.cause.title}."
    yield ""
    yield "Evidence:"
    for found in diagnosis.causes:
        yield from _evidence(found)
    yield f"  {HOW_SURE}"
    yield ""


def _evidence(found: Found) -> Iterator[str]:
    yield f"  {found.cause.id} [{found.cause.reference}]"
    for each in found.evidence:
        yield f"    {each.words()}{', clearly' if each.clearly else ''}. The bar: {each.bar.why}"
    for each in found.against:
        yield f"    against: {each.words()}"
    if found.not_seen:
        yield f"    further signs could not be looked at: the log has no {', '.join(found.not_seen)}"


def _not_looked_at(diagnosis: Diagnosis) -> Iterator[str]:
    yield "Not looked at:"
    for each in diagnosis.unlooked:
        yield f"  cannot look for {each.cause.id}: the log has no {each.words()}"
    yield f"  {UNSEEN}"
    for note in diagnosis.log.notes:
        yield f"  note: {note}"
