"""python -m benchmarks gate scores: the score gate on runs, stored baselines, published scores and others' files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.arguments import FramesOrDefault
from benchmarks.curves import Curves
from benchmarks.gates.scores import GATE, score_gate
from benchmarks.gates.verdict import GateResult, error, write_answer
from benchmarks.outputs import check_output
from benchmarks.runner import Matrix
from benchmarks.sources import alike, find_records, find_scores, run_curves
from benchmarks.store import Store
from benchmarks.suites import game_named
from dqn_ref.config import UserError, format_frames
from dqn_ref.records import RunRecord


@dataclass(frozen=True)
class GateScores:
    """Ask whether scores got worse. Exit code 0: pass, 1: fail, 2: inconclusive, 3: error.

    Candidate and baseline are each a stored baseline, a published source (as `compare` names them), or the path of a
    folder or file: runs of this project, a CSV of game, seed, frames and score, or others' logs.
    """

    candidate: str | None = None
    """What is judged. Default: this machine's runs of the suite."""
    baseline: str | None = None
    """What it must not fall behind. Default: the stored baseline of the suite, protocol and budget."""
    suite: str = "atari10"
    """atari10, atari5, atari3 or atari57: the games that count, all of them on both sides."""
    games: tuple[str, ...] = ()
    """Judge these games instead of the suite's."""
    protocol: Literal["ci", "nature"] = "ci"
    """What the runs were made under; it states the margin."""
    frames: FramesOrDefault = None
    """Budget, e.g. 10M. Default: the protocol's."""
    seeds: int | None = None
    """Seeds of the candidate: 0 up to one below. Default: all of a folder; of this machine's runs the protocol's."""
    weights: Literal["last", "best"] = "last"
    """Evaluation of our final networks, or of the best ones. The two are never mixed."""
    despite_different_measurement: bool = False
    """Judge scores that were not measured alike. A difference may then come from that alone, and a note says so."""
    results: Path = Path("results")
    """The results folder."""
    format: Literal["text", "json", "junit", "markdown"] = "text"
    """How the answer is written to --output; without --output, how it is printed."""
    output: Path | None = None
    """File for the answer in --format. The terminal gets the text all the same."""


def gate_scores(arguments: GateScores) -> int:
    """Answer on the terminal and in ``--output``; returns the exit code. A mistake is an error too: 3, never 2."""
    inputs = [Path(word) for word in (arguments.candidate, arguments.baseline) if word]
    if arguments.output:
        check_output(arguments.output, inputs, arguments.results)
    result = answer(arguments)
    write_answer(result, arguments.format, arguments.output, inputs, arguments.results)
    return result.verdict.exit_code


def answer(arguments: GateScores) -> GateResult:
    """The gate's answer; an error, in words, to whatever cannot be judged."""
    try:
        return _answer(arguments)
    except UserError as wrong:
        return error(GATE, str(wrong))


def _answer(arguments: GateScores) -> GateResult:
    for option, word in (("candidate", arguments.candidate), ("baseline", arguments.baseline)):
        if word == "":
            raise UserError(f"--{option} is empty. Name a baseline, a published source or a path, or leave it out.")
    matrix = Matrix.of(arguments.suite, arguments.protocol, arguments.frames, arguments.seeds)
    store, games = Store(arguments.results), tuple(map(game_named, arguments.games)) or matrix.games
    baseline = arguments.baseline or matrix.name
    sides = (
        _curves(arguments.candidate, matrix, store, games, arguments.weights),
        _curves(baseline, matrix, store, games, arguments.weights),
    )
    candidate, reference = alike(*(curves for curves, _ in sides))
    notes = _measurement_notes(candidate, reference, despite=arguments.despite_different_measurement)
    scores = [side.at(matrix.frames, games) for side in (candidate, reference)]
    if arguments.seeds is not None:
        scores[0] = _first_seeds(candidate, games, scores[0], arguments.seeds)
    compared = {
        "candidate": candidate.name,
        "baseline": reference.name,
        "suite": None if arguments.games else matrix.suite,
        "protocol": matrix.protocol.label(),
        "frames": matrix.frames,
        "measured": {"candidate": candidate.measured.words(), "baseline": reference.measured.words()},
        "source": {"candidate": sides[0][1], "baseline": sides[1][1]},
    }
    margin = matrix.suite_protocol.margin(matrix.frames)
    return score_gate(scores[0], scores[1], games, margin, compared=compared, notes=notes)


# ---------------------------------------------------------------------- what is compared


def _curves(
    word: str | None, matrix: Matrix, store: Store, games: Sequence[str], weights: str
) -> tuple[list[Curves], list[str]]:
    """Scores that ``word`` names, and the source revisions that they come from where they are runs of ours."""
    records = _own(matrix, store) if word is None else find_records(word, store)
    if word is not None and not records:
        return find_scores(word, store, weights), []
    records = [record for record in records if record.member.game in games]
    if not records:
        raise UserError(f"{word or matrix.group} has no run of {', '.join(games)}.")
    for record in records:
        _check(record, matrix)
    sources = [origin.get("source", {}) for record in records for origin in record.provenances]
    revisions = {source.get("commit") or "unknown" for source in sources}
    return run_curves(Path(word).name if word else f"runs of {matrix.group}", records, weights), sorted(revisions)


def _own(matrix: Matrix, store: Store) -> list[RunRecord]:
    """This machine's runs of ``matrix``. Raises UserError: one is not finished."""
    cells = matrix.cells(store)
    if missing := [f"{cell.name} ({cell.status})" for cell in cells if cell.status != "finished"]:
        raise UserError(
            f"{len(missing)} of {len(cells)} runs of {matrix.group} are not there: {', '.join(missing)}. Make them "
            "with `python -m benchmarks run`, or name a --candidate. Nothing is judged on a part of the runs."
        )
    return [cell.record for cell in cells if cell.record]


def _check(record: RunRecord, matrix: Matrix) -> None:
    """Runs of another setting are not what the gate was asked about."""
    changed = ", ".join(f"{name} = {value}" for name, value in record.overrides.items())
    label = record.protocol + (f" with {changed}" if changed else "")
    got = f"{label} at {format_frames(record.config.total_frames)} frames"
    asked = f"{matrix.protocol.label()} at {format_frames(matrix.frames)} frames"
    if got != asked:
        raise UserError(
            f"{record.folder} was run under {got}; the gate is asked about {asked}. Give the --protocol and --frames "
            "of the runs; different settings are never compared."
        )
    if record.config != matrix.config:
        raise UserError(f"{record.folder} was run with another configuration than {matrix.group} stands for.")


def _measurement_notes(candidate: Curves, baseline: Curves, *, despite: bool) -> list[str]:
    """What is to be said of how both sides were measured. Raises UserError: not alike, and not ``despite``."""
    different = candidate.measured.differences(baseline.measured)
    if different and not despite:
        raise UserError(
            f"{candidate.name} and {baseline.name} were not measured alike: {'; '.join(different)}. A difference of "
            "scores may come from that alone. Measure them alike, declare what is known of a foreign file "
            "(docs/imports.md), or judge all the same with --despite-different-measurement."
        )
    notes = [f"Not measured alike, so the answer may come from that alone: {each}." for each in different]
    if candidate.measured.returns is None and baseline.measured.returns is None:
        notes.append("How the scores were measured is not known of either side.")
    return notes


def _first_seeds(
    candidate: Curves, games: Sequence[str], scores: NDArray[np.float64], seeds: int
) -> NDArray[np.float64]:
    """Rows of the seeds below ``seeds``. Raises UserError: one is missing."""
    there = candidate.seeds(games)
    if missing := [str(seed) for seed in range(seeds) if seed not in there]:
        raise UserError(f"{candidate.name} lacks seed {', '.join(missing)}; --seeds {seeds} means 0 to {seeds - 1}.")
    return scores[[there.index(seed) for seed in range(seeds)]]
