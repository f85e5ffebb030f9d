"""What the suite adds to the agent's protocols: how many seeds, and what a result may be said to show."""

from __future__ import annotations

from dataclasses import dataclass

from dqn_ref.config import CI, NATURE, Protocol, UserError, protocol_named


@dataclass(frozen=True)
class SuiteProtocol:
    """A protocol as a suite runs it."""

    protocol: Protocol
    default_seeds: int
    planned_frames: tuple[int, ...]  # budgets that `plan` prices
    caveat: str  # on every table and plot


PROTOCOLS = {
    "ci": SuiteProtocol(
        CI,
        default_seeds=2,
        planned_frames=(CI.config.total_frames,),
        caveat="scaled-down protocol for a small machine: not the paper's, and not comparable with published scores",
    ),
    "nature": SuiteProtocol(
        NATURE,
        default_seeds=5,
        planned_frames=(10_000_000, 40_000_000, 200_000_000),
        caveat="the paper's hyperparameters; comparable with published curves at the same number of frames",
    ),
}


def suite_protocol(name: str) -> SuiteProtocol:
    """The suite's side of the protocol called ``name``. Raises UserError with the known names."""
    protocol_named(name)
    if name not in PROTOCOLS:
        raise UserError(f"The suite does not run protocol {name!r}; it runs {', '.join(PROTOCOLS)}.")
    return PROTOCOLS[name]
