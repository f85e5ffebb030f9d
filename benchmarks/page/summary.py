"""The summary in Markdown, short enough for a pull request."""

from __future__ import annotations

from benchmarks.markdown import escaped, folded, table
from benchmarks.page.content import Content
from benchmarks.page.page import SYMBOLS
from benchmarks.report import HEADER, format_interval
from benchmarks.words import count
from dqn_ref.config import format_frames

SUMMARY_MARK = "<!-- dqn-ref report -->"  # how an earlier summary is known


def summary(content: Content) -> str:
    """Headline, gates, aggregates, and the games folded away."""
    matrix, protocol = content.asked.matrix, content.asked.matrix.protocol
    lines = [SUMMARY_MARK, f"## {matrix.suite}, {protocol.label()}, {format_frames(matrix.frames)} frames", ""]
    lines += [_headline(content), ""]
    lines += [f"- {note}" for note in _notes(content)]
    for _, gate in content.gates:
        symbol = SYMBOLS[gate.verdict.value]
        lines += ["", f"**{symbol} {escaped(gate.gate)} gate: {gate.verdict.value}.** {escaped(gate.headline)}", ""]
        lines += [f"- {check.verdict.value}: {escaped(check.name)}: {escaped(check.words)}" for check in gate.checks]
    if content.aggregates:
        values = {name: format_interval(interval) for name, interval in content.aggregates.items()}
        if content.predicted is not None:
            values["predicted median over 57 games"] = f"{content.predicted:.3f}"
        lines += ["", table(("aggregate", "value [95 % interval]"), values.items()).rstrip()]
    rows = []
    for game in content.games:
        mean = "-" if game.mean is None else f"{game.mean:,.1f}"
        sd = "" if game.sd is None else f" ± {game.sd:,.1f}"
        normalised = "-" if game.normalised is None else f"{game.normalised:.3f}"
        rows.append(
            (game.name, f"{len(game.scores)}", f"{mean}{sd}", f"{game.random:,.1f}", f"{game.human:,.1f}", normalised)
        )
    lines += ["", folded(f"{len(content.games)} games", table(HEADER, rows))]
    return "\n".join([*lines, _origin(content)]) + "\n"


def _headline(content: Content) -> str:
    if not content.aggregates:
        return f"**No aggregate: {len(content.missing)} of {content.total} runs have no score.**"
    seeds = content.asked.matrix.num_seeds
    return (
        f"**IQM {format_interval(content.aggregates['IQM'])}** of human-normalised scores (0: random policy, "
        f"1: human) over {len(content.games)} games with {count(seeds, 'seed')} each."
    )


def _notes(content: Content) -> list[str]:
    caveat = content.asked.matrix.suite_protocol.caveat
    named = [f"missing: {cell}" for cell in content.missing]
    few = [content.coverage] if content.coverage else []
    return [caveat[0].upper() + caveat[1:] + ".", *few, *map(escaped, content.warnings), *named]


def _origin(content: Content) -> str:
    commits = [value for fact in content.facts if fact.name == "commit" for value, _ in fact.values]
    baseline = f"Stored baseline `{content.asked.baseline}`. " if content.asked.baseline else ""
    return f"{baseline}Runs of source {', '.join(map(escaped, commits))}; made by dqn-ref {content.generator.version}."
