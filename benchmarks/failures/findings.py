"""What the finished runs of a group show: scores read from records, and every variant judged against the reference."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.failures.effects import Judged, Learnt, judge, learnt
from benchmarks.failures.inside import Inside, against, inside
from benchmarks.failures.matrix import FailureMatrix, Place
from benchmarks.failures.variants import CONTROL, REFERENCE, VARIANTS, Variant
from benchmarks.scores import full_episodes, run_score
from benchmarks.store import Store
from dqn_ref.config import UserError, parse_frames
from dqn_ref.protocols import PROTOCOLS
from dqn_ref.records import RunRecord
from dqn_ref.seeds import Member

SCORED_SHARE = 0.5  # of training, its end, whose episodes are the score


@dataclass(frozen=True)
class Run:
    """A finished run and its scores."""

    variant: Variant
    record: RunRecord
    score: float  # mean raw return of the episodes that ended in the second half of training; NaN if none did
    evaluation: float  # mean return of the fixed evaluation of the last network


@dataclass(frozen=True)
class Row:
    """A variant on a game."""

    variant: Variant
    game: str
    runs: Sequence[Run]
    reference: Sequence[Run]
    judged: Judged

    @property
    def unchanged(self) -> bool:
        """Whether every seed that both have gave the very same episodes: the change does nothing on this game."""
        own = {run.record.member.seed: run for run in self.reference}
        both = [(run, own[run.record.member.seed]) for run in self.runs if run.record.member.seed in own]
        return bool(both) and all(_episodes(a) == _episodes(b) for a, b in both)


@dataclass(frozen=True)
class Findings:
    """Everything of a group: all its comparisons are one table, and one adjustment for their number."""

    group: str
    rows: Sequence[Row]
    learnt: Sequence[Learnt]  # of each game that the reference played
    runs: Sequence[Run]
    unfinished: Sequence[str]  # places that hold a run without a score, and why if it is finished
    inside: Sequence[Inside]  # of each game: the reference, its control, the variants

    def of(self, variant: Variant, game: str) -> list[Run]:
        """The runs of a variant on a game, by seed."""
        found = [run for run in self.runs if run.variant is variant and run.record.member.game == game]
        return sorted(found, key=lambda run: run.record.member.seed)

    def reward_share(self, game: str) -> float:
        """Mean share of transitions in the reference's replay that had a reward, at the end; NaN if not recorded."""
        rows = [run.record.progress() for run in self.of(REFERENCE, game)]
        shares = [own[-1].get("nonzero_reward_share", math.nan) for own in rows if own]
        return float(np.mean(shares)) if shares else math.nan


def scores_of(runs: Sequence[Run]) -> NDArray[np.float64]:
    """Scores [seeds]."""
    return np.array([run.score for run in runs], np.float64)


# ---------------------------------------------------------------------- reading


def groups(store: Store) -> list[str]:
    """Groups in which a run of the reference is finished."""
    paths = (store.root / "failures").glob(f"*/{REFERENCE.name}/*-s*/evaluation.json")  # written when a run is finished
    return sorted({path.parts[-4] for path in paths})


def find(store: Store, group: str, games: Sequence[str] = (), variants: Sequence[Variant] = ()) -> Findings:
    """Judge the finished runs of ``group``, of ``games`` and ``variants`` only if any are named.

    Raises:
        UserError: no finished run, or a record that is broken or of another setting.
    """
    folder = store.failures(group)
    found = list[tuple[Variant, Member]]()
    for path in sorted(folder.glob("*/*-s*/run.json")):
        variant, name = VARIANTS.get(path.parts[-3]), re.fullmatch(r"(\w+)-s(\d+)", path.parts[-2])
        asked = not variants or variant in variants or variant in (REFERENCE, CONTROL)
        if variant and name and asked and (not games or name[1] in games):
            found.append((variant, Member(name[1], int(name[2]))))
    if not found:
        raise UserError(f"{folder} holds no run that was asked for. Make some: python -m benchmarks failures.")
    protocol, frames = _setting(group)
    most = 1 + max(member.seed for _, member in found)
    matrix = FailureMatrix.of(
        protocol=protocol,
        frames=frames,
        games=list(dict.fromkeys(member.game for _, member in found)),
        variants=[variant.name for variant, _ in found],
        seeds=most,
        reference_seeds=most,
    )
    return judged(group, matrix.places(store))


def judged(group: str, places: Sequence[Place]) -> Findings:
    """What the finished runs among ``places`` show. Raises UserError: none of the reference is finished."""
    runs = [
        Run(place.variant, place.cell.record, _score(place.cell.record), run_score(place.cell.record))
        for place in places
        if place.cell.record and place.cell.status == "finished"
    ]
    scored = [run for run in runs if math.isfinite(run.score)]
    unfinished = [
        f"{run.variant.name}/{run.record.member.name} (no episode ended)" for run in runs if run not in scored
    ]
    runs = scored
    if not any(run.variant is REFERENCE for run in runs):
        raise UserError(f"No run of the reference is finished in {group}; everything is compared with it.")
    unfinished += [place.name for place in places if place.cell.status not in ("finished", "missing")]
    whole = Findings(group, [], [], runs, unfinished, [])
    games = dict.fromkeys(place.cell.member.game for place in places)
    known = {
        game: learnt(game, *(scores_of(whole.of(variant, game)) for variant in (REFERENCE, CONTROL)))
        for game in games
        if whole.of(REFERENCE, game)
    }
    pairs = [
        (variant, game)
        for variant in VARIANTS.values()
        for game in known
        if variant not in (REFERENCE, CONTROL) and whole.of(variant, game)
    ]
    results = judge([(scores_of(whole.of(variant, game)), known[game]) for variant, game in pairs])
    rows = [
        Row(variant, game, whole.of(variant, game), whole.of(REFERENCE, game), result)
        for (variant, game), result in zip(pairs, results, strict=True)
    ]
    return Findings(group, rows, list(known.values()), runs, unfinished, _inside(whole, list(known)))


def _inside(found: Findings, games: Sequence[str]) -> list[Inside]:
    """Game by game: the reference, its control, which is not tested, and the variants."""

    def of(variant: Variant, game: str) -> list[Inside]:
        runs = found.of(variant, game)
        return [inside(variant.name, game, [run.record for run in runs])] if runs else []

    own = {game: [each for variant in (REFERENCE, CONTROL) for each in of(variant, game)] for game in games}
    others = [variant for variant in VARIANTS.values() if variant not in (REFERENCE, CONTROL)]
    tested = against(
        {game: rows[0] for game, rows in own.items()},
        [each for game in games for variant in others for each in of(variant, game)],
    )
    return [each for game in games for each in (*own[game], *(row for row in tested if row.game == game))]


def _setting(group: str) -> tuple[str, int]:
    """Protocol and frames of a group's name. Raises UserError: no protocol of this version has that label."""
    label, _, frames = group.rpartition("-")
    for protocol in PROTOCOLS.values():
        if protocol.label() == label:
            return protocol.name, parse_frames(frames)
    known = ", ".join(protocol.label() for protocol in PROTOCOLS.values())
    raise UserError(f"{group} is of no protocol of this version; known are {known}. Read it with the version it is of.")


def _score(record: RunRecord) -> float:
    ends, returns = full_episodes(record)
    last = returns[ends > (1 - SCORED_SHARE) * record.config.total_frames]
    return float(last.mean()) if len(last) else math.nan


def _episodes(run: Run) -> tuple[object, ...]:
    rows = [tuple(row[key] for key in ("frame", "raw_return")) for row in run.record.episodes()]
    return run.score, rows
