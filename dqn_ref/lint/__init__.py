"""Rules on a configuration: what in it is known to keep a DQN from learning, before a frame was played.

Severity: an *error* leaves out a part of the algorithm, or undoes it (no target network, no exploration, raw bytes as
input, nothing ever learnt). A *warning* is a value that plausibly stops learning, or makes scores look as if it had. A
*hint* is a legitimate departure from the paper that one should know of. A healthy setup gives hints at most.
"""

from __future__ import annotations

from dqn_ref.config import DQNConfig
from dqn_ref.lint import budget, learning, optimiser, playing
from dqn_ref.lint.rule import SEVERITIES, Finding, Looked, Rule, look
from dqn_ref.lint.setup import Setup

RULES: tuple[Rule, ...] = (*budget.RULES, *playing.RULES, *learning.RULES, *optimiser.RULES)

__all__ = [
    "RULES", "SEVERITIES", "Finding", "Looked", "Setup", "lint", "warning_lines", "warnings_of",
]  # fmt: skip


def lint(setup: Setup) -> Looked:
    """What all rules say of ``setup``."""
    return look(setup, RULES)


def warnings_of(config: DQNConfig) -> tuple[Finding, ...]:
    """Errors and warnings on a run of ours. Whether replay fits the device is checked when that is chosen."""
    return lint(Setup.of(config)).grave


def warning_lines(config: DQNConfig) -> list[str]:
    """A line for each of those, e.g. ``warning: Epsilon is still 0.9 when ... (lint: exploration-outlasts-run)``."""
    return [f"{each.severity}: {each.what} {each.why} (lint: {each.rule})" for each in warnings_of(config)]
