"""What the speed gate stores, and the numbers that its tests take from samples.

A measurement is JSON: ``kind`` (*ratios*: one tree; *pairs*: two in turn), ``machine``, ``settings``, ``about`` (the
libraries), ``work`` (units of work in a call, by benchmark), and ``sessions``, each with its ``source`` and its
``rounds``. A round holds the ``order`` in which the sides took turns and, of each side, ``samples``: seconds of a call
of each benchmark, pass by pass, none left out.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

from benchmarks.speed.catalogue import GATE_RATIOS
from dqn_ref.config import UserError
from dqn_ref.provenance import FINGERPRINT, machine_words, source_words

SCHEMA = 1
MOST = 1e300  # of a sample, or of its work: a whole number in JSON may be beyond all that can be calculated with
KINDS = {"ratios": {"tree"}, "pairs": {"candidate", "baseline"}}  # the sides of each
BENCHMARKS = ("training", "playing", "acting", "replay_sample", "update")  # compared between revisions


@dataclass(frozen=True)
class RatioCheck:
    """A ratio of the catalogue as the gate reads it: time of ``subject`` over time of each of ``against``.

    Where the ratio's denominator is code of this project too, the calibration kernel of that follows: the subject is
    slower only if it is slower than both, so that a faster denominator never looks like a loss.
    """

    name: str
    subject: str
    against: tuple[str, ...]


RATIO_CHECKS = (
    RatioCheck("training_over_playing", "training", ("playing", "emulator")),
    RatioCheck("update_over_convolution", "update", ("convolution",)),
    RatioCheck("sample_over_copy", "replay_sample", ("memory_copy",)),
    RatioCheck("acting_over_update", "acting", ("update", "convolution")),
    RatioCheck("playing_over_emulator", "playing", ("emulator",)),
)
RATIO_BENCHMARKS = ("convolution", "memory_copy", "emulator", *BENCHMARKS)
Samples = Mapping[str, Sequence[float]]  # seconds of a call, pass by pass, of each benchmark
Pair = tuple[str, str]  # a subject and what it is divided by
PAIRS: tuple[Pair, ...] = tuple((check.subject, against) for check in RATIO_CHECKS for against in check.against)


# ---------------------------------------------------------------------- what is stored


@dataclass(frozen=True)
class Measurement:
    """A stored measurement of one tree: ``sessions`` of rounds, each with its samples; or of several trees in turn."""

    path: str
    content: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path) -> Measurement:
        """Raises UserError: not there, broken, or of another kind."""
        try:
            content = json.loads(path.read_text())
        except (OSError, ValueError, RecursionError) as error:
            raise UserError(f"{path} cannot be read: {error}.") from None
        found = content.get("kind") if isinstance(content, dict) else None
        if not isinstance(found, str) or found not in KINDS or content.get("schema") != SCHEMA:
            raise UserError(
                f"{path} is no measurement of the speed gate (schema {SCHEMA}). What python -m benchmarks.speed stores "
                "was not measured in turn, and cannot be judged."
            )
        try:
            _check_content(content)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise UserError(f"{path} is broken: {type(error).__name__} {error}.") from None
        return cls(str(path), content)

    def names(self) -> set[str]:
        """Of the benchmarks that were measured."""
        return set(self.content["work"])

    def numbers(self) -> list[dict[Pair, float]]:
        """The ratios of each session, of a measurement of one tree."""
        return [
            session_numbers([round_numbers(each["samples"]["tree"]) for each in session["rounds"]])
            for session in self.content["sessions"]
        ]

    def words(self) -> str:
        """Source and machine, for a sentence."""
        sources = dict.fromkeys(source_words(session["source"]) for session in self.content["sessions"])
        return f"{' and '.join(sources)} on {machine_words(self.content['machine'])}"


def _check_content(content: Mapping[str, Any]) -> None:
    names = set(content["work"])
    if not all(0 < units < MOST for units in content["work"].values()):
        raise ValueError("the work of a call is no number above 0")
    if not content["sessions"] or not all(session["rounds"] for session in content["sessions"]):
        raise ValueError("no session, or one without rounds")
    for session in content["sessions"]:
        _ = session["source"]["dirty"]
        if not isinstance(session["source"]["commit"], str | None):
            raise TypeError("a source's commit is no text")
        for each in session["rounds"]:
            if set(each["samples"]) != KINDS[content["kind"]]:
                raise ValueError("a round lacks a side, or has others")
            for samples in each["samples"].values():
                lengths = {len(seconds) for seconds in samples.values()}
                if set(samples) != names or len(lengths) != 1 or 0 in lengths:
                    raise ValueError("a round lacks samples of a benchmark, or has others")
                if not all(0 < second < MOST for seconds in samples.values() for second in seconds):
                    raise ValueError("a sample is no time")
    content["settings"].items(), content["about"].items(), content["machine"]["cpu"], content["machine"]["cores"]


# ---------------------------------------------------------------------- from samples to numbers


def log_time_ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """Mean over the passes of log(above / below): neighbours in time are compared, and no sample is left out."""
    return fmean(math.log(a / b) for a, b in zip(above, below, strict=True))


def round_differences(rounds: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    """Candidate over baseline, a log ratio a round, of each benchmark that both sides have in every round."""
    return {
        name: [log_time_ratio(each["samples"]["candidate"][name], each["samples"]["baseline"][name]) for each in rounds]
        for name in rounds[0]["samples"]["candidate"]
    }


def round_numbers(samples: Samples) -> dict[Pair, float]:
    """Log of each subject's time in times of what it is divided by, per call, in one round."""
    return {pair: log_time_ratio(samples[pair[0]], samples[pair[1]]) for pair in PAIRS}


def session_numbers(rounds: Sequence[Mapping[Pair, float]]) -> dict[Pair, float]:
    """The median of the rounds: a round in which a neighbour was at work is one of many."""
    return {pair: median(each[pair] for each in rounds) for pair in PAIRS}


def ratio_values(measured: Measurement) -> dict[str, float]:
    """The ratios as the catalogue defines them, for the record: medians of the sessions."""
    work, numbers, values = measured.content["work"], measured.numbers(), {}
    for check, ratio in zip(RATIO_CHECKS, GATE_RATIOS, strict=True):
        pair = (check.subject, check.against[0])
        slowness = math.exp(median(each[pair] for each in numbers)) * work[pair[1]] / work[pair[0]]
        values[ratio.name] = float(f"{slowness if pair == (ratio.above, ratio.below) else 1 / slowness:.4g}")
    return values


# ---------------------------------------------------------------------- finding a baseline


def find_baseline(folder: Path, machine: Mapping[str, Any], named: str | None) -> Measurement:
    """The stored baseline to compare ``machine`` with: the ``named`` one, or this machine's, or the nearest.

    Args:
        folder: results/speed.
        named: a file, or a machine's name, which is that of its folder.

    Raises:
        UserError: there is none.
    """
    if named:
        path = Path(named) if named.endswith(".json") else folder / named / "gate.json"
        if not path.exists():
            known = ", ".join(each.parent.name for each in sorted(folder.glob("*/gate.json"))) or "none"
            raise UserError(f"There is no {path}. Name a file, or a machine whose baseline is stored: {known}.")
        chosen = Measurement.read(path)
    else:
        found = [Measurement.read(path) for path in sorted(folder.glob("*/gate.json"))]
        if not found:
            raise UserError(f"{folder} holds no baseline of the speed gate; make one: gate speed-baseline --reason ...")
        chosen = max(
            found, key=lambda each: [each.content["machine"].get(key) == machine.get(key) for key in FINGERPRINT]
        )
    if chosen.content["kind"] != "ratios":
        raise UserError(f"{chosen.path} compares two revisions; a baseline of ratios is expected.")
    return chosen
