"""Every bar that a sign must cross, in one table: where it lies, and where it comes from.

``theory``: follows from a definition or a bound. ``literature``: published. ``tuned``: set on development runs of this
project, between healthy runs and runs with a fault put in; never on the runs that the rules are judged by.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Origin = Literal["theory", "literature", "tuned"]


@dataclass(frozen=True)
class Bar:
    """A value that is crossed at ``at``, and clearly so at ``clear``; the order of the two says in which direction."""

    at: float
    clear: float
    origin: Origin
    why: str

    @property
    def above(self) -> bool:
        """Whether larger values cross it."""
        return self.clear > self.at

    def crossed(self, value: float) -> bool:
        """Whether ``value`` is beyond the bar; NaN is not."""
        return value > self.at if self.above else value < self.at

    def clearly(self, value: float) -> bool:
        """Whether ``value`` is as far beyond the bar as ``clear``, or further."""
        return value >= self.clear if self.above else value <= self.clear


BARS: dict[str, Bar] = {
    # ------------------------------------------------------------------ numbers
    "broken_rows": Bar(0, 1, "theory", "a loss, a value or a gradient that is no number cannot be learnt from"),
    # ------------------------------------------------------------------ values
    "value_bound": Bar(
        1.0, 2.0, "literature",
        "no return exceeds r_max / (1 - discount); beyond it is the soft divergence of van Hasselt et al. 2018",
    ),
    "value_growth": Bar(2.0, 10.0, "tuned", "values of the last third over those of the third before"),
    "overestimate": Bar(
        1.0, 3.0, "tuned",
        "estimate minus realised return, over 1 + |realised return| (van Hasselt et al. 2016 compare the two)",
    ),
    "values_over_rewards": Bar(
        4.0, 10.0, "tuned", "mean Q over the discounted sum of the rewards that replay holds; at most 1 for the policy "
        "that gathered them, more only by as much as the greedy policy is better",
    ),
    "values_moved": Bar(0.001, 0.0001, "tuned", "in units of a clipped reward"),
    "short_horizon_values": Bar(25, 12, "tuned", "agent steps of reward that mean Q is worth; 100 at discount 0.99"),
    "td_error_ratio_high": Bar(
        1.2, 2.0, "tuned",
        "at 1 a constant would predict the targets as well; healthy runs that it was set on begin at up to 1.06",
    ),
    "unexplained": Bar(
        0.9, 0.97, "tuned", "at 1 nothing of the targets' variance is explained, and a score is no sign of learning",
    ),
    "td_error_ratio_fits": Bar(0.5, 0.25, "tuned", "most of the targets' variance is explained"),
    # ------------------------------------------------------------------ updates
    "target_lag": Bar(
        1.5, 0.5, "theory", "updates that the target is behind: distance of the networks over the length of a step",
    ),
    "target_period": Bar(1.5, 1.0, "theory", "updates between two copies; at 1 there is no second network"),
    "target_copies_few": Bar(
        5, 2, "tuned",
        "value spreads by about one bootstrapped step from copy to copy",
    ),
    "target_distance_large": Bar(0.5, 1.0, "tuned", "distance of the networks over the norm of the weights"),
    "update_ratio_high": Bar(
        0.015, 0.05, "tuned",
        "the rule of thumb for a healthy step is 0.001 of the weights (Karpathy's notes, CS231n)",
    ),
    "update_ratio_low": Bar(
        3e-5, 3e-6, "tuned", "the rule of thumb for a healthy step is 0.001 of the weights (Karpathy's notes, CS231n)",
    ),
    "policy_churn_high": Bar(
        0.6, 0.9, "tuned",
        "one update changes the greedy action in some states of any DQN (Schaul et al. 2022)",
    ),
    "loss_growth": Bar(30, 300, "tuned", "loss of the last third over that of the first"),
    "gradient_spike": Bar(50, 200, "tuned", "the highest norm over those of its neighbours"),
    "loss_spike": Bar(5, 20, "tuned", "the highest loss over those of its neighbours"),
    # ------------------------------------------------------------------ replay
    "replay_full": Bar(0.99, 1.0, "theory", "only a full replay forgets"),
    "replay_age_low": Bar(
        1_250, 600, "tuned", "agent steps; a full ring of C transitions has a mean age of C / 2, 500,000 in the paper",
    ),
    "replay_capacity_low": Bar(2_500, 1_200, "tuned", "transitions; the paper has 1,000,000 (Mnih et al. 2015)"),
    "replay_episodes_few": Bar(5, 1, "tuned", "episodes that replay spans; within one, states are near copies"),
    "replay_episodes_enough": Bar(3, 10, "theory", "episodes that replay spans, so that terminals can be counted"),
    "unique_states_low": Bar(
        0.9, 0.8, "tuned",
        "of 200 states from N distinct ones, 90 % are distinct at N = 930; screens repeat, so 92 % in healthy runs",
    ),
    "reward_share_low": Bar(0.001, 0.0001, "theory", "below it, fewer than one batch of 32 in 30 holds any reward"),
    "zero_returns": Bar(0.9, 0.99, "tuned", "share of episodes that end with a return of exactly 0"),
    "returns_seen": Bar(0.1, 0.2, "tuned", "share of episodes that end with another return than 0"),
    "rewards_fall": Bar(0.5, 0.1, "tuned", "share of rewards in replay, last third over first"),
    "terminals_high": Bar(0.1, 0.5, "theory", "more means lives of fewer than ten agent steps, which no game has"),
    "terminals_per_game_low": Bar(0.5, 0.1, "theory", "a game that ends has one terminal at least"),
    "terminals_per_life_low": Bar(0.5, 0.25, "theory", "1 where a lost life is terminal, 1 / lives where it is not"),
    "learner_returns": Bar(
        3.0, 10.0, "theory", "return as the learner sees it over clipped ones; about 1 at most if rewards are clipped",
    ),
    "realised_over_bound": Bar(1.0, 2.0, "theory", "no return of clipped rewards exceeds 1 / (1 - discount)"),
    "raw_over_clipped": Bar(10, 100, "tuned", "raw over clipped returns of the same episodes"),
    # ------------------------------------------------------------------ policy
    "one_action": Bar(
        0.995, 1.0, "tuned",
        "share of states in which the same action is greedy",
    ),
    "no_entropy": Bar(0.05, 0.005, "tuned", "entropy of the greedy actions; 0 is one action everywhere"),
    "epsilon_none": Bar(0.02, 0.001, "tuned", "published DQNs start at 1 (Mnih et al. 2015)"),
    "epsilon_short": Bar(0.05, 0.02, "tuned", "share of the frames in which epsilon had reached its end"),
    "epsilon_short_frames": Bar(
        1_000_000, 100_000, "tuned",
        "Dopamine's DQN has a span of 250,000 agent steps; variants of Rainbow 62,500 (Hessel et al. 2018)",
    ),
    "epsilon_long": Bar(0.5, 0.8, "tuned", "half of all actions are still random; the paper ends at 0.1"),
    "training_over": Bar(0.99, 1.0, "theory", "share of the planned frames that are done"),
    # ------------------------------------------------------------------ network, input
    "dormant": Bar(
        0.9, 0.98, "tuned",
        "share of units at tau = 0.025 (Sokar et al. 2023); healthy runs that it was set on reach 0.71",
    ),
    "dormant_growth": Bar(0.25, 0.5, "tuned", "increase of that share since learning began"),
    "input_large": Bar(2.0, 10.0, "theory", "bytes over 255 end at 1, for which the network is initialised"),
    "input_small": Bar(0.05, 0.01, "theory", "bytes that are divided by 255 twice end at 1 / 255"),
    "input_constant": Bar(0.01, 0.0, "theory", "range of the inputs; a game's picture has more than one grey"),
    # ------------------------------------------------------------------ settings
    "horizon_low": Bar(25, 12, "tuned", "1 / (1 - discount) in agent steps; the paper has 100"),
    "rewards_beyond_horizon": Bar(1.0, 3.0, "theory", "agent steps between two rewards over 1 / (1 - discount)"),
    # ------------------------------------------------------------------ budget
    "no_updates": Bar(1, 0, "theory", "without an update nothing is learnt"),
}  # fmt: skip

# Frames below which a score says nothing. IQM over Atari-10 of published DQNs is 0.02 at most at 2M frames. With
# schedules shorter than the paper's: so many times the frames at which epsilon comes to rest, but at least so many.
FRAMES_TO_TELL = 2_000_000
SHORT_SCHEDULES = 2.0
SHORT_FRAMES_TO_TELL = 500_000  # tuned: of five healthy runs of 400k frames, one (krull) was not yet above random

LEARNING_P = 0.01  # one-sided level at which returns count as above random, or as rising
FEWEST_EPISODES = 5  # in a group that is tested
