"""What a report is asked to show: a matrix of this machine's runs, or a stored baseline."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from benchmarks.protocols import PROTOCOLS
from benchmarks.runner import Matrix
from benchmarks.store import Store
from dqn_ref.config import UserError, format_frames, parse_frames

BASELINE_NAME = re.compile(
    r"(?P<suite>[a-z0-9]+)-(?P<protocol>[a-z]+)-v(?P<version>\d+)-(?P<frames>\d+[Mk]?)(\.until-[\w+-]+)?"
)


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
        """What was asked for; a baseline's name says suite, protocol and frames by itself.

        Raises:
            UserError: no such baseline, or it is not of the suite, protocol or frames that were named beside it.
        """
        if baseline is None:
            return cls(Matrix.of(suite or "atari10", protocol or "ci", frames, seeds), store)
        named = BASELINE_NAME.fullmatch(baseline)
        if not named or not store.baseline(baseline).is_dir():
            known = ", ".join(store.baselines()) or "none"
            raise UserError(f"No baseline is called {baseline!r} in {store.root / 'baselines'}; there is: {known}.")
        for what, given, stored in (
            ("suite", suite, named["suite"]),
            ("protocol", protocol, named["protocol"]),
            ("frames", frames and format_frames(frames), named["frames"]),
        ):
            if given is not None and given != stored:
                raise UserError(f"{baseline} is a baseline of {what} {stored}, got {given}. Leave out one of the two.")
        found = seeds or store.num_seeds(store.baseline(baseline))
        matrix = Matrix.of(named["suite"], named["protocol"], parse_frames(named["frames"]), found or None)
        if matrix.protocol.protocol.version != int(named["version"]):
            raise UserError(
                f"{baseline} is of version {named['version']} of protocol {named['protocol']}; this program runs "
                f"version {PROTOCOLS[named['protocol']].protocol.version}. Check out the baseline's own source."
            )
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
        words = [matrix.suite, "--protocol", matrix.protocol.protocol.name, "--frames", format_frames(matrix.frames)]
        words += ["--seeds", str(matrix.num_seeds)]
        return [*words, *([] if str(self.store.root) == "results" else ["--results", str(self.store.root)])]
