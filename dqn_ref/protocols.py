"""Named configurations: the paper's, and two whose schedules are scaled down."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from dqn_ref.config import DQNConfig, UserError, format_frames


@dataclass(frozen=True)
class Protocol:
    """A named, versioned configuration. Scores of different protocols are never compared."""

    name: str
    version: int
    config: DQNConfig

    def label(self) -> str:
        """Short name with the version, e.g. ``nature-v1``."""
        return f"{self.name}-v{self.version}"

    def group(self, total_frames: int) -> str:
        """Name of the folder of runs that may be compared, e.g. ``nature-v1-10M``."""
        return f"{self.label()}-{format_frames(total_frames)}"

    def overrides(self, config: DQNConfig) -> dict[str, Any]:
        """Fields of ``config`` that leave the protocol. A smaller budget does not leave it."""
        return {
            field.name: getattr(config, field.name)
            for field in dataclasses.fields(config)
            if field.name not in ("total_frames", "progress_frames")
            and getattr(config, field.name) != getattr(self.config, field.name)
        }


NATURE = Protocol("nature", 1, DQNConfig())

# The same algorithm for a machine of two cores: every schedule is scaled to a budget of a minute. In
# trials no setting scored better than another beyond noise. A target period of 200 lets value spread
# within the budget (with 1,000, held-out Q ended lower in every game tried), the long epsilon span keeps
# the data varied, and replay is smaller than the budget so that its ring wraps.
CI = Protocol(
    "ci",
    1,
    DQNConfig(
        total_frames=16_000,
        iteration_frames=8_000,
        progress_frames=2_000,
        replay_capacity=3_000,
        replay_start_agent_steps=500,
        target_period_agent_steps=200,
        epsilon_span_agent_steps=3_000,
        evaluation_episodes=4,
        evaluation_max_frames=18_000,
        heldout_states=100,
    ),
)

# The same algorithm, with every schedule scaled to a budget that experiments on a CPU can afford. At it values that
# run away show; no score has told a learner from one that learns nothing.
EARLY = Protocol(
    "early",
    1,
    DQNConfig(
        total_frames=100_000,
        iteration_frames=50_000,
        progress_frames=10_000,
        replay_capacity=100_000,
        replay_start_agent_steps=2_000,
        target_period_agent_steps=1_000,
        epsilon_span_agent_steps=10_000,
        precision="bfloat16",
        evaluation_episodes=10,
        evaluation_max_frames=18_000,
        heldout_states=200,
    ),
)

PROTOCOLS = {protocol.name: protocol for protocol in (NATURE, CI, EARLY)}


def protocol_named(name: str) -> Protocol:
    """The protocol called ``name``. Raises UserError with the known names."""
    if name not in PROTOCOLS:
        raise UserError(f"No protocol is called {name!r}; known are: {', '.join(PROTOCOLS)}.")
    return PROTOCOLS[name]
