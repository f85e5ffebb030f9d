"""What the suite adds to the agent's protocols: how many seeds, and what a result may be said to show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.markdown import table
from dqn_ref.config import UserError
from dqn_ref.protocols import CI, EARLY, NATURE, Protocol, protocol_named


@dataclass(frozen=True)
class Margin:
    """How much worse counts as no worse, per run, in human-normalised score.

    Raises:
        UserError: below 0, not finite, or a share of 1 or more.
    """

    share: float  # of what a run scored above the random policy
    least: float = 0.0  # never less than this: for a reference that has learnt next to nothing, of which a share is 0

    def __post_init__(self) -> None:
        if not (0 <= self.share < 1 and 0 <= self.least < np.inf and self.share + self.least > 0):
            raise UserError(f"A margin is a share of at least 0 and below 1, or a least one above 0; got {self}.")

    def bar(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """The ``scores`` that would just be too low.

        A score of 0 or below has no share to lose: taking a share of it would raise the bar.
        """
        lowered: NDArray[np.float64] = scores - np.maximum(self.share * scores, self.least)
        return lowered

    def words(self) -> str:
        """E.g. ``15 %``, or ``15 %, at least 0.010``."""
        return f"{self.share * 100:.3g} %" + (f", at least {self.least:g}" if self.least else "")


@dataclass(frozen=True)
class SuiteProtocol:
    """A protocol as a suite runs it."""

    protocol: Protocol
    default_seeds: int
    planned_frames: tuple[int, ...]  # budgets that `plan` prices
    caveat: str  # on every table and plot
    margins: Mapping[int, Margin]  # of the score gate, each from so many frames on

    def margin(self, frames: int) -> Margin:
        """The score gate's margin at a budget."""
        return self.margins[max(start for start in self.margins if start <= frames)]


SUITE_PROTOCOLS = {
    "ci": SuiteProtocol(
        CI,
        default_seeds=2,
        planned_frames=(CI.config.total_frames,),
        caveat="scaled-down protocol for a small machine: not the paper's, and not comparable with published scores",
        margins={0: Margin(share=0.15, least=0.02)},
    ),
    "nature": SuiteProtocol(
        NATURE,
        default_seeds=5,
        planned_frames=(10_000_000, 40_000_000, 200_000_000),
        caveat="the paper's hyperparameters; comparable with published curves at the same number of frames",
        # Published DQNs are at an IQM of 0.01 to 0.07 before 10M frames, where a share of the score is next to nothing.
        margins={0: Margin(share=0.15, least=0.01), 10_000_000: Margin(share=0.15), 40_000_000: Margin(share=0.10)},
    ),
}


def suite_protocol(name: str) -> SuiteProtocol:
    """The suite's side of the protocol called ``name``. Raises UserError with the known names."""
    protocol_named(name)
    if name not in SUITE_PROTOCOLS:
        raise UserError(f"The suite does not run protocol {name!r}; it runs {', '.join(SUITE_PROTOCOLS)}.")
    return SUITE_PROTOCOLS[name]


MEANT_FOR = (
    (NATURE, "the paper's; for a GPU"),
    (CI, "whether the whole path works: minutes on 2 cores"),
    (EARLY, "100k frames: values that run away show, and little else ([failures](docs/failures.md))"),
)


def protocols_table() -> str:
    """What the agent's protocols differ in, as Markdown."""
    header = ("protocol", "for", "frames", "replay", "warm-up", "target period", "epsilon's span", "precision")
    rows = []
    for protocol, purpose in MEANT_FOR:
        config = protocol.config
        schedules = (
            config.total_frames,
            config.transitions_kept,
            config.replay_start_agent_steps,
            config.target_period_agent_steps,
            config.epsilon_span_agent_steps,
        )
        rows.append((f"`{protocol.name}`", purpose, *(f"{number:,}" for number in schedules), config.precision))
    return table(header, rows, {*header[:2], header[-1]}) + (
        f"\nFrames are the emulator's; all else counts agent steps of {NATURE.config.frames_per_agent_step} frames. "
        "Beside these only iterations, evaluation and the log's rows differ.\n"
    )
