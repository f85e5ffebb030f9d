"""The causes that a log can show, as data: their signs, what separates them, and where they are described."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from benchmarks.doctor.verdicts.signs import Sign

Kind = Literal["fault", "symptom", "task", "budget"]


@dataclass(frozen=True)
class Cause:
    """A reason for not learning.

    It is raised if all ``conditions`` and, of the signs, at least one hold; ``support`` only adds to the confidence.
    """

    id: str
    title: str
    signs: tuple[Sign, ...]
    experiment: str  # the one to run next
    reference: str
    kind: Kind = "fault"  # a symptom is shared by several faults; a task is as it is; a budget is too small
    conditions: tuple[Sign, ...] = ()
    support: tuple[Sign, ...] = ()
    leads_to: tuple[str, ...] = ()  # symptoms that it explains
    unless: tuple[str, ...] = ()  # causes that explain the same signs better
    only_if_not_learning: bool = False


CAUSES: tuple[Cause, ...] = (
    # ------------------------------------------------------------------ nothing can be learnt
    Cause(
        "numbers-broken", "Loss, values or gradient are no numbers (NaN or infinite)",
        (Sign("broken_rows", "largest", "broken_rows", direct=True),),
        "Run again with a tenth of the learning rate and stop at the first such update: its batch says whether inputs, "
        "rewards or weights broke first.",
        "IEEE 754",
        leads_to=("values-diverge", "policy-collapse", "errors-not-shrinking"),
    ),
    Cause(
        "learning-not-begun", "No update was made: replay was still filling when the log ends",
        (Sign("all_updates", "largest", "no_updates", direct=True),),
        "Train for longer than the warm-up (replay_start_agent_steps), or shorten the warm-up.",
        "Mnih et al. 2015, Extended Data Table 1: learning starts after 50,000 agent steps",
    ),
    # ------------------------------------------------------------------ what the network sees
    Cause(
        "blank-input", "The network sees a constant picture",
        (Sign("input_range", "largest", "input_constant", direct=True),),
        "Save one state as the network sees it and look at it.",
        "-",
        leads_to=("policy-collapse", "dead-units", "errors-not-shrinking"),
    ),
    Cause(
        "unscaled-input", "Pixels reach the network in the wrong scale",
        (Sign("input_max", "largest", "input_large", direct=True, of="input"),
         Sign("input_max", "largest", "input_small", direct=True, of="input")),
        "Divide bytes by 255 once, between replay and network, and change nothing else.",
        "Released code of Mnih et al. 2015 (pixels / 255)",
        unless=("blank-input",),
        leads_to=("values-diverge", "overestimation", "errors-not-shrinking", "dead-units", "policy-collapse"),
    ),
    # ------------------------------------------------------------------ learning
    Cause(
        "no-target-lag", "The target network does not lag behind the online network",
        (Sign("target_lag", "late", "target_lag", direct=True, of="target"),
         Sign("target_period", "last", "target_period", direct=True, of="target")),
        "Copy to the target every 10,000 agent steps, or a hundredth of the run, whichever is less, and change nothing "
        "else.",
        "Mnih et al. 2015, Methods and Extended Data Table 3",
        leads_to=("values-diverge", "overestimation", "errors-not-shrinking"),
    ),
    Cause(
        "target-stale", "The target network is copied too rarely for this budget",
        (Sign("target_copies", "last", "target_copies_few", of="target"),
         Sign("target_distance", "late", "target_distance_large", of="distance")),
        "A tenth of the target period, nothing else changed: do held-out values then rise earlier?",
        "Mnih et al. 2015, Extended Data Table 1 (10,000 of 50M agent steps: 5,000 copies)",
        only_if_not_learning=True, unless=("learning-rate-too-high", "learning-not-begun"),
    ),
    Cause(
        "learning-rate-too-high", "Updates are too large",
        (Sign("update_ratio", "late", "update_ratio_high"),
         Sign("loss", "growth", "loss_growth")),
        "A tenth of the learning rate, nothing else changed. If the ratio of TD error to target falls below 1, it was "
        "this; if not, look at the scale of inputs and rewards.",
        "Karpathy, CS231n notes (update over weight); Schaul et al. 2022 (churn)",
        support=(Sign("td_error_ratio", "late", "td_error_ratio_high"),
                 Sign("policy_churn", "late", "policy_churn_high")),
        leads_to=("values-diverge", "overestimation", "errors-not-shrinking", "policy-collapse", "dead-units"),
    ),
    Cause(
        "learning-rate-too-low", "Updates are too small",
        (Sign("update_ratio", "largest", "update_ratio_low"),
         Sign("q_mean", "moved", "values_moved", only_without="update_ratio")),
        "Ten times the learning rate, nothing else changed: do held-out values move?",
        "Karpathy, CS231n notes (update over weight)",
        conditions=(Sign("returns_seen", "last", "returns_seen"),),
        unless=("no-target-lag", "learning-not-begun", "numbers-broken", "blank-input", "sparse-reward"),
        leads_to=("errors-not-shrinking", "policy-collapse"),
    ),
    Cause(
        "unclipped-errors", "Single updates are many times larger than others (heavy tails)",
        (Sign("gradient_norm", "spike", "gradient_spike"), Sign("loss", "spike", "loss_spike")),
        "Clip the TD error to 1 (Huber loss), nothing else changed: do the spikes go?",
        "Mnih et al. 2015, Methods: the error is clipped to between -1 and 1",
        leads_to=("values-diverge", "overestimation"),
    ),
    # ------------------------------------------------------------------ data
    Cause(
        "correlated-batches", "Replay is so small that a batch comes from a moment of play",
        (Sign("replay_age", "late", "replay_age_low", direct=True, of="replay"),
         Sign("replay_capacity", "last", "replay_capacity_low", direct=True, of="replay")),
        "A replay of 100,000 transitions or more, nothing else changed.",
        "Mnih et al. 2015, Extended Data Table 3; Zhang & Sutton 2017; Fedus et al. 2020",
        conditions=(Sign("replay_fill", "last", "replay_full"),),
        support=(Sign("unique_state_share", "late", "unique_states_low", of="replay"),
                 Sign("replay_episodes", "late", "replay_episodes_few", of="replay"),),
        leads_to=("overestimation", "policy-collapse", "values-diverge", "errors-not-shrinking"),
    ),
    Cause(
        "terminals-odd", "Replay holds the wrong number of terminals",
        (Sign("terminal_share", "late", "terminals_high", direct=True, of="terminals"),
         Sign("terminals_per_game", "late", "terminals_per_game_low", direct=True, of="terminals"),
         Sign("terminals_per_life", "late", "terminals_per_life_low", direct=True, of="terminals")),
        "Count terminals against games and lives over ten episodes: an end of a game must be terminal, a time limit "
        "must not; the paper's code also makes a lost life terminal.",
        "Released code of Mnih et al. 2015 (lives); Pardo et al. 2018 (time limits)",
        conditions=(Sign("replay_episodes", "late", "replay_episodes_enough"),),
        leads_to=("overestimation", "values-diverge"),
    ),
    Cause(
        "reward-scale", "The learner sees rewards that are not clipped",
        (Sign("learner_returns", "largest", "learner_returns", direct=True, of="rewards"),
         Sign("realised_over_bound", "largest", "realised_over_bound", direct=True, of="rewards")),
        "Clip rewards to -1 .. 1, nothing else changed; or scale the learning rate to the rewards.",
        "Mnih et al. 2015, Methods: rewards are clipped, so that one learning rate fits all games",
        support=(Sign("raw_over_clipped", "last", "raw_over_clipped"),
                 Sign("gradient_norm", "spike", "gradient_spike")),
        leads_to=("values-diverge", "overestimation", "errors-not-shrinking"),
    ),
    # ------------------------------------------------------------------ exploration
    Cause(
        "no-exploration", "Nothing is explored: epsilon is near 0 from the start",
        (Sign("all_epsilon", "largest", "epsilon_none", direct=True),),
        "Epsilon from 1 to 0.1 over a tenth of the run, nothing else changed.",
        "Mnih et al. 2015, Extended Data Table 1",
        leads_to=("policy-collapse",),
    ),
    Cause(
        "exploration-too-short", "Exploration ended early, and returns are flat",
        (Sign("epsilon_rest_share", "last", "epsilon_short", of="epsilon"),),
        "An epsilon schedule of a tenth of the run, nothing else changed.",
        "Mnih et al. 2015, Extended Data Table 1; Castro et al. 2018 (Dopamine)",
        conditions=(Sign("epsilon_rest_frames", "last", "epsilon_short_frames"),),
        support=(Sign("top_action_share", "for long above", "one_action"),
                 Sign("all_reward_share", "growth", "rewards_fall")),
        only_if_not_learning=True, unless=("no-exploration",), leads_to=("policy-collapse",),
    ),
    Cause(
        "exploration-too-long", "The run ended while most actions were still random",
        (Sign("epsilon", "last", "epsilon_long", direct=True),),
        "Look at play with a small epsilon (here: python -m dqn_ref evaluate): returns in training hide what is "
        "learnt. Then a longer run, or a schedule of a tenth of this one.",
        "Mnih et al. 2015, Extended Data Table 1",
        conditions=(Sign("training_done", "last", "training_over"),),
    ),
    Cause(
        "sparse-reward", "Almost no transition has a reward: there is nothing to learn from",
        (Sign("all_reward_share", "largest", "reward_share_low", direct=True),
         Sign("zero_returns", "last", "zero_returns")),
        "The same settings on a game with dense rewards (breakout, pong): if that learns, the game is what is hard; "
        "then try an exploration bonus.",
        "Bellemare et al. 2016 (hard exploration games)",
        kind="task", only_if_not_learning=True, leads_to=("policy-collapse",),
    ),
    Cause(
        "horizon-too-short", "The discount hides rewards that are further away",
        (Sign("horizon", "last", "horizon_low", direct=True, of="discount"),
         Sign("settled_horizon", "late", "short_horizon_values", of="values")),
        "A discount of 0.99, nothing else changed.",
        "Mnih et al. 2015, Extended Data Table 1 (0.99)",
        support=(Sign("rewards_beyond_horizon", "late", "rewards_beyond_horizon"),
                 Sign("td_error_ratio", "late", "td_error_ratio_fits")),
        unless=("learning-rate-too-low", "learning-not-begun"),
    ),
    # ------------------------------------------------------------------ symptoms, shared by several causes
    Cause(
        "values-diverge", "Values exceed what any return can be",
        (Sign("value_bound", "largest", "value_bound", direct=True),),
        "Shared by too large updates, no target lag, unclipped errors or rewards. To tell them apart: a run each with "
        "a tenth of the learning rate and with ten times the target period; the one whose values stay within the bound "
        "names the cause.",
        "van Hasselt et al. 2018, Deep Reinforcement Learning and the Deadly Triad",
        kind="symptom",
        support=(Sign("q_mean", "late growth", "value_growth"),
                 Sign("td_error_ratio", "late", "td_error_ratio_high")),
    ),
    Cause(
        "overestimation", "Values are far above what is realised",
        (Sign("overestimate", "late", "overestimate", of="start"),
         Sign("values_over_rewards", "late", "values_over_rewards", of="rewards")),
        "Shared by the maximum over noisy values, no target lag, small replay, too large updates. To tell them apart: "
        "the same run with double Q-learning's target; if the gap closes it was the maximum, else try a tenth of the "
        "learning rate.",
        "van Hasselt et al. 2016, Deep Reinforcement Learning with Double Q-learning",
        kind="symptom",
    ),
    Cause(
        "errors-not-shrinking", "Targets are predicted no better than by a constant",
        (Sign("td_error_ratio", "late", "td_error_ratio_high"),),
        "Shared by too large and too small updates, no target lag, unscaled inputs. To tell them apart: fit one fixed "
        "replay with frozen targets; if the error falls there, the targets move too fast, else input or learning rate.",
        "Explained variance; Mnih et al. 2015",
        kind="symptom",
    ),
    Cause(
        "policy-collapse", "One action is greedy nearly everywhere, for long",
        (Sign("top_action_share", "for long above", "one_action", of="greedy"),
         Sign("action_entropy", "for long below", "no_entropy", of="greedy")),
        "Shared by too little training, dead units, blank or unscaled inputs and too little exploration. To tell them "
        "apart: compare held-out values of all actions: equal for all states means that the input does not arrive.",
        "-",
        kind="symptom", only_if_not_learning=True,
    ),
    Cause(
        "dead-units", "Many units of the network are dormant",
        tuple(Sign(f"dormant_{layer}", "late", "dormant", direct=True, of="dormant")
              for layer in ("conv1", "conv2", "conv3", "hidden")),
        "Shared by too large updates, unscaled inputs and many updates per step. To tell them apart: a tenth of the "
        "learning rate; if dormant shares stay, look at the inputs.",
        "Sokar et al. 2023, The Dormant Neuron Phenomenon",
        kind="symptom",
        support=(Sign("dormant_hidden", "change", "dormant_growth", of="growth"),),
    ),
)  # fmt: skip

BY_ID = {cause.id: cause for cause in CAUSES}
NOT_ENOUGH_FRAMES = Cause(
    "not-enough-frames", "Too few frames to tell", (),
    "Train on: published DQNs learn next to nothing before about 2M frames.",
    "Mnih et al. 2015; curves of published DQNs (reference figures of this project)",
    kind="budget",
)  # fmt: skip

# What no log of scalars shows, and where to look instead.
UNSEEN = (
    "how many frames the network is shown, its form, the place of the optimiser's epsilon, and whether frames are "
    "skipped twice: a log does not show them; the settings do (lint), and so do tiny environments (probes)"
)
