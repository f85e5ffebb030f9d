"""What a probe may ask of the agent between two agent steps."""

from __future__ import annotations

from typing import Any

from benchmarks.doctor.probes.environments import Environment, Grid, Stack
from benchmarks.doctor.probes.subject import Subject


class Look:
    """Questions in terms of grids; the agent hears observations."""

    def __init__(self, subject: Subject, stack: Stack, environment: Environment) -> None:
        self._subject = subject
        self._stack = stack
        self.environment: Any = environment

    def value(self, *grids: Grid) -> float:
        """Highest Q value after ``grids`` of one episode."""
        return float(self._subject.values(self._stack.observation(*grids)).max())

    def greedy(self, *grids: Grid) -> int:
        """The action that the agent would take there if it did not explore."""
        return self._subject.act(self._stack.observation(*grids), explore=False)
