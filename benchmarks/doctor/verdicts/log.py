"""A run's log, whoever wrote it, under this project's names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

# What a log may hold, and what each is. docs/records.md has those of our own runs.
METRICS: dict[str, str] = {
    "agent_steps": "agent steps done",
    "updates": "updates done",
    "epsilon": "chance of a random action",
    "loss": "loss of an update, mean since the last row",
    "q_mean": "mean of max_a Q over held-out states",
    "q_max": "largest max_a Q of held-out states",
    "gradient_norm": "norm of the newest gradient",
    "q_start": "mean max_a Q of the first states of episodes",
    "start_return": "mean discounted return that followed those first states",
    "td_error_ratio": "variance of the TD error over the variance of its target",
    "target_distance": "distance of online and target weights over the norm of the weights",
    "update_ratio": "norm of the newest step over the norm of the weights",
    "action_entropy": "entropy of greedy actions over held-out states, 1 is uniform",
    "top_action_share": "share of held-out states with the commonest greedy action",
    "policy_churn": "share of held-out states whose greedy action one update changed",
    "replay_fill": "transitions held over the capacity",
    "replay_age": "mean age of a transition, agent steps",
    "nonzero_reward_share": "share of transitions with a reward",
    "terminal_share": "share of transitions that are terminal",
    "unique_state_share": "share of sampled states that are distinct",
    "dormant_conv1": "share of dormant units, first convolution",
    "dormant_conv2": "share of dormant units, second convolution",
    "dormant_conv3": "share of dormant units, third convolution",
    "dormant_hidden": "share of dormant units, last hidden layer",
    "input_min": "least input of the network",
    "input_mean": "mean input of the network",
    "input_max": "largest input of the network",
    "mean_return": "running mean of raw returns",
    "frames_per_second": "frames per second",
    "emulator_seconds": "seconds in the emulator since the last row",
    "network_seconds": "seconds in choosing actions since the last row",
    "learner_seconds": "seconds in updates since the last row",
    "wall_seconds": "seconds since the start",
}
EPISODES = "episodes"  # what a log without single episodes lacks

Fact = float | str | bool | None  # None: the setting is off, e.g. rewards that are not clipped


@dataclass(frozen=True)
class Series:
    """One metric: frames [N], ascending, and values [N], in which NaN and infinity stay what they are."""

    frames: NDArray[np.int64]
    values: NDArray[np.float64]

    def finite(self) -> Series:
        """The rows that hold a number."""
        kept = np.isfinite(self.values)
        return Series(self.frames[kept], self.values[kept])

    def after(self, frame: int) -> Series:
        """The rows at ``frame`` and later."""
        kept = self.frames >= frame
        return Series(self.frames[kept], self.values[kept])


def _none() -> NDArray[np.float64]:
    return np.zeros(0)


@dataclass(frozen=True)
class Episodes:
    """Training episodes that ran to their end, in order; NaN where the log does not say."""

    frames: NDArray[np.int64]  # [E] when each ended
    returns: NDArray[np.float64]  # [E] raw, of whole games
    lengths: NDArray[np.float64] = field(default_factory=_none)  # [E] in frames, or empty
    clipped: NDArray[np.float64] = field(default_factory=_none)  # [E] clipped returns, or empty
    lives_lost: NDArray[np.float64] = field(default_factory=_none)  # [E], or empty

    def __len__(self) -> int:
        return len(self.returns)


@dataclass(frozen=True)
class Log:
    """What is known of one run."""

    name: str
    program: str  # who wrote it
    game: str | None
    frames_done: int
    series: Mapping[str, Series]  # of METRICS
    episodes: Episodes | None = None
    facts: Mapping[str, Fact] = field(default_factory=dict)  # settings, under the names of DQNConfig
    notes: tuple[str, ...] = ()  # what reading took for granted

    @property
    def lacks(self) -> tuple[str, ...]:
        """Metrics that the log does not have; ``episodes`` among them if single returns are missing."""
        missing = [name for name in METRICS if name not in self.series]
        return (*missing, *([] if self.episodes is not None else [EPISODES]))

    @property
    def learning_starts(self) -> int:
        """Frame of the first row with an update, or of the first loss; 0 if the log has neither."""
        for name, begun in (("updates", lambda v: v > 0), ("loss", np.isfinite)):
            if name in self.series:
                rows = np.flatnonzero(begun(self.series[name].values))
                return int(self.series[name].frames[rows[0]]) if len(rows) else self.frames_done + 1
        return 0

    def without_settings(self, *kept: str) -> Log:
        """The same log with no settings but ``kept``: what can be told from behaviour alone."""
        return replace(self, facts={name: value for name, value in self.facts.items() if name in kept})
