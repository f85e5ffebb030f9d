"""What a report is asked to show: a matrix of this machine's runs, or a stored baseline."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from benchmarks import baselines
from benchmarks.runner import Matrix
from benchmarks.store import Store
from dqn_ref.config import UserError, format_frames


@dataclass(frozen=True)
class Asked:
    """The matrix, and where its records are.

    Args:
        baseline: the baseline's name; None for this machine's runs.
    """

    matrix: Matrix
    store: Store
    baseline: str | None = None

    @classmethod
    def of(
        cls,
        store: Store,
        *,
        suite: str | None = None,
        protocol: str | None = None,
        frames: int | None = None,
        seeds: int | None = None,
        baseline: str | None = None,
    ) -> Asked:
        """What was asked for; a baseline says suite, protocol and frames by itself.

        Raises:
            UserError: no such baseline, one that was changed by hand, or another suite, protocol or budget beside it.
        """
        if baseline is None:
            return cls(Matrix.of(suite or "atari10", protocol or "ci", frames, seeds), store)
        _, stored = baselines.find(store, baseline)
        for what, given, own in (
            ("suite", suite, stored.suite),
            ("protocol", protocol, stored.protocol.name),
            ("frames", frames and format_frames(frames), format_frames(stored.frames)),
        ):
            if given is not None and given != own:
                raise UserError(f"{baseline} is a baseline of {what} {own}, got {given}. Leave out one of the two.")
        if seeds is not None and seeds < 1:
            raise UserError(f"--seeds must be 1 or above, got {seeds}.")
        matrix = dataclasses.replace(stored, num_seeds=seeds or stored.num_seeds)
        return cls(matrix, store, baseline)

    @property
    def folder(self) -> Path:
        """Where the records are."""
        return self.store.baseline(self.baseline) if self.baseline else self.store.runs(self.matrix.group)

    @property
    def name(self) -> str:
        """Name of the report's file, without its suffix."""
        return f"baseline-{self.baseline}" if self.baseline else self.matrix.name

    def options(self) -> list[str]:
        """What to type after a command of ``python -m benchmarks`` for this matrix of runs."""
        matrix = self.matrix
        words = [matrix.suite, "--protocol", matrix.protocol.name, "--frames", format_frames(matrix.frames)]
        words += ["--seeds", str(matrix.num_seeds)]
        return [*words, *([] if str(self.store.root) == "results" else ["--results", str(self.store.root)])]
