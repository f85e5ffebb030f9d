"""Rules on what is learnt from what: discount, target network, batches, clipping."""

from __future__ import annotations

import math

from dqn_ref.lint.rule import Fault, Rule, Severity, rule
from dqn_ref.lint.setup import FRAMES_PER_SECOND

FEWEST_COPIES = 5  # our own bar; the paper's run has 5,000
SHORT_LAG = 10  # updates; ours too: the shortest of a setup known to learn is 50 (protocol ci), else 250
REFERENCE_UPDATES = 0.25  # an agent step

# ---------------------------------------------------------------------- target network


@rule(
    "error", "warning",
    reference="every 10,000 agent steps, which are 2,500 updates (code); every 10,000 updates (paper's text)",
    source="paper, Methods: a separate network, copied only now and then, makes the update stable",
)  # fmt: skip
def target_not_behind(target_updates: float) -> Fault | None:
    """A target network that is copied after every update, or after a few: in effect there is none."""
    if target_updates <= 1:
        return Fault(
            f"The target network is copied at every update: its period is {target_updates:.3g} updates.",
            "Each update moves the targets that it was aimed at, as if there were no target network: values may "
            "oscillate or run away. How much that costs depends on the game.",
        )
    if target_updates < SHORT_LAG:
        return Fault(
            f"The target network is only {target_updates:.3g} updates behind.",
            "The targets move with nearly every update; setups that are known to learn have 250 or more.",
            "warning",
        )
    return None


@rule(
    "error", "warning",
    reference="5,000 copies in a run",
    source="arithmetic: through one copy a reward reaches one agent step further back; the bar of 5 copies is ours",
)  # fmt: skip
def target_outlasts_run(target_updates: float, total_updates: float) -> Fault | None:
    """A target network that is never copied in the run, or hardly ever."""
    copies = total_updates / target_updates
    if total_updates and copies < 1:
        return Fault(
            f"The target network is copied every {target_updates:,.0f} updates, and the run has {total_updates:,.0f}.",
            "The targets stay those of the untrained network to the end: nothing beyond the next reward is learnt.",
        )
    if total_updates and copies < FEWEST_COPIES:
        return Fault(
            f"The target network is copied {int(copies)} times in the run (every {target_updates:,.0f} of "
            f"{total_updates:,.0f} updates).",
            "A reward reaches one agent step further back with each copy, so it ends a fraction of a second back.",
            "warning",
        )
    return None


# ---------------------------------------------------------------------- discount


@rule(
    "error", "warning",
    reference="0.99: 100 agent steps, 6.7 seconds of play",
    source="paper, Extended Data Table 1; every published Atari DQN that we know has 0.99. How long rewards are "
    "delayed was not measured here: the bars, 20 and 5 agent steps, are a fifth and a twentieth of the paper's horizon",
)  # fmt: skip
def horizon_short(discount: float, frames_per_agent_step: float | None = None) -> Fault | None:
    """A discount whose horizon, 1 / (1 - discount), is far shorter than rewards are delayed."""
    if discount > 0.95:
        return None
    steps = 1 / (1 - discount)
    play = ""
    if frames_per_agent_step:
        play = f", {steps * frames_per_agent_step / FRAMES_PER_SECOND:.2g} seconds of play"
    return Fault(
        f"A discount of {discount:g} looks {steps:.3g} agent steps ahead{play}.",
        "A reward further off than that is hardly seen, so what led to it is not learnt: a ball that comes back, "
        "a shot that travels, a life that is saved.",
        "error" if steps <= 5 + 1e-9 else "warning",
    )


@rule(
    "error",
    reference="0.99",
    source="arithmetic: the Bellman operator contracts by the discount, and at 1 it does not",
)  # fmt: skip
def horizon_endless(discount: float) -> Fault | None:
    """A discount of 1."""
    if discount < 1:
        return None
    return Fault(
        "The discount is 1.",
        "Errors of bootstrapped values do not shrink, and values have no bound other than the longest episode's "
        "return: they drift upwards.",
    )


@rule(
    "hint",
    reference="0.99: 100 agent steps",
    source="arithmetic: values, and with them the spread of targets, grow as 1 / (1 - discount)",
)  # fmt: skip
def horizon_long(discount: float) -> Fault | None:
    """A discount whose horizon is much longer than the paper's."""
    if not 0.998 <= discount < 1:
        return None
    return Fault(
        f"A discount of {discount:g} looks {1 / (1 - discount):,.0f} agent steps ahead.",
        f"Values may grow to {1 / (1 - discount):,.0f} times a reward, and take as much longer to settle.",
    )


# ---------------------------------------------------------------------- batches


@rule(
    "warning", "hint",
    reference="an update of 32 every 4 agent steps: 0.25",
    source="paper, Extended Data Table 1 (update frequency 4); the bars, 4 and 8 times off, are ours",
)  # fmt: skip
def update_rate(updates_per_agent_step: float) -> Fault | None:
    """Far more, or far fewer, updates for an agent step than the paper's."""
    times = updates_per_agent_step / REFERENCE_UPDATES
    if 1 / 4 < times < 4:
        return None
    severity: Severity = "warning" if times >= 8 or times <= 1 / 8 else "hint"
    if times > 1:
        return Fault(
            f"There are {updates_per_agent_step:.3g} updates for each agent step, {times:.3g} times the paper's.",
            "The network is fitted again and again to the same few transitions.",
            severity,
        )
    return Fault(
        f"There is an update only every {1 / updates_per_agent_step:.3g} agent steps, {1 / times:.3g} times as rare "
        "as the paper's.",
        "Most of what is played is hardly learnt from; the same learning takes as many times more play.",
        severity,
    )


@rule(
    "warning", "hint",
    reference="32",
    source="paper, Extended Data Table 1; the bars are ours",
)  # fmt: skip
def batch_size(batch_size: float) -> Fault | None:
    """Batches far from the paper's."""
    if 16 < batch_size < 128:
        return None
    one = batch_size == 1
    size = "one transition" if one else f"{batch_size:,.0f} transitions"
    why = "few transitions give a gradient that is mostly noise" if batch_size < 32 else (
        "large batches take fewer, smoother steps for the same compute, and want another learning rate"
    )  # fmt: skip
    return Fault(
        f"An update sees {size}.",
        f"With the paper's learning rate, {why}.",
        "warning" if batch_size < 8 or batch_size > 512 else "hint",
    )


# ---------------------------------------------------------------------- clipping


@rule(
    "warning",
    reference="clipped to -1 and 1",
    source="paper, Methods: the scale of scores differs from game to game, so rewards are clipped and one learning "
    "rate serves all",
)  # fmt: skip
def rewards_not_clipped(reward_clip: float) -> Fault | None:
    """Rewards that reach learning as the game gives them, tens to thousands of points."""
    if reward_clip <= 10:
        return None
    got = "Rewards are not clipped" if math.isinf(reward_clip) else f"Rewards are clipped only at {reward_clip:,.0f}"
    return Fault(
        f"{got}.",
        "Games give 1 to 10,000 points at a time: values and errors grow as large, and a learning rate made for "
        "rewards of 1 fits no game.",
    )


@rule(
    "warning", "hint",
    reference="the error's gradient clipped to -1 and 1 (the Huber loss)",
    source='paper, Methods ("clip the error term"). With clipped rewards plain squared error is known to learn: '
    "CleanRL's dqn_atari.py, and Dopamine's Adam with MSE, have it",
)  # fmt: skip
def errors_not_clipped(
    error_clip: float, reward_clip: float | None = None, optimizer: str | None = None
) -> Fault | None:
    """A plain squared error, whose gradient grows with the error."""
    if error_clip <= 10:
        return None
    got = "The TD error is not clipped" if math.isinf(error_clip) else f"The TD error is clipped only at {error_clip:g}"
    if reward_clip is not None and reward_clip > 10:
        return Fault(
            f"{got}, nor are the rewards.", "One rare large reward moves every weight as far as thousands of others do."
        )
    made_for_clipped = optimizer == "rmsprop"
    return Fault(
        f"{got}{', with RMSProp' if made_for_clipped else ''}.",
        "Rare large errors outweigh all others."
        + (" RMSProp's floor is tuned to gradients of clipped errors." if made_for_clipped else ""),
        "hint",
    )


@rule(
    "warning",
    reference="the game's own rewards, clipped",
    source="by definition: where every step has the same reward, values tell nothing but how long an episode lasts",
)  # fmt: skip
def rewards_constant(rewards_from_game: bool) -> Fault | None:
    """The same reward at every step, whatever the game gives."""
    if rewards_from_game:
        return None
    return Fault(
        "Rewards of the game do not reach the learner: every step has the same one.",
        "Nothing tells which actions score; at best it learns to stay alive. This is a control, not a setup.",
    )


RULES: tuple[Rule, ...] = (
    target_not_behind, target_outlasts_run, horizon_short, horizon_endless, horizon_long, update_rate, batch_size,
    rewards_not_clipped, rewards_constant, errors_not_clipped,
)  # fmt: skip
