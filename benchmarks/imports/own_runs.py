"""Run folders of this project: training curves from episodes.csv. See docs/records.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.curves import Curves
from benchmarks.imports.declared import Declared
from benchmarks.imports.runs import Run, episode_scores, gridded_curves, in_frames
from benchmarks.imports.tables import MOST
from benchmarks.scores import training_measurement
from dqn_ref.config import UserError
from dqn_ref.records import RunRecord


def read(root: Path, folders: Sequence[Path], name: str, declared: Declared) -> Curves:
    """Curves of training returns; an episode that the end of an iteration cut off does not count.

    Raises:
        UserError: a broken record, an unfinished run, or runs of different protocols.
    """
    declared.check((), "runs of this project")
    records = [RunRecord.read(folder) for folder in folders]
    if unfinished := [f"{record.folder} ({record.status})" for record in records if record.status != "finished"]:
        raise UserError(f"Not finished: {', '.join(unfinished)}. Only finished runs have a curve; move them away.")
    protocols = {_protocol(record): record.folder for record in records}
    if len(protocols) > 1:
        where = ", ".join(f"{protocol} in {folder}" for protocol, folder in protocols.items())
        raise UserError(f"{root} holds runs of several protocols: {where}. Point at runs of one.")
    return gridded_curves(name, [_run(record) for record in records], episode_scores, declared)


def _protocol(record: RunRecord) -> str:
    """Protocol and what leaves it; the length of the run is not part of it."""
    left = {key: value for key, value in record.overrides.items() if key != "total_frames"}
    return " ".join([record.protocol, *(f"{key}={value}" for key, value in sorted(left.items()))])


def _run(record: RunRecord) -> Run:
    config, episodes = record.config, record.full_episodes()
    if any(max(abs(episode["frame"]), abs(episode["raw_return"])) > MOST for episode in episodes):
        raise UserError(f"{record.folder / 'episodes.csv'} is broken: a number is beyond all measure.")
    return Run(
        game=record.member.game,
        seed=record.member.seed,
        place=record.folder,
        frames=in_frames(np.array([episode["frame"] for episode in episodes], np.int64), 1, record.folder),
        values=np.array([episode["raw_return"] for episode in episodes], np.float64),
        measured=training_measurement(config),
        end=config.total_frames,
        total=config.total_frames,
    )
