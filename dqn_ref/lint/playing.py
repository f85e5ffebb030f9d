"""Rules on how the game is played and seen: exploration, frames, lives, pixels."""

from __future__ import annotations

from dqn_ref.lint.rule import Fault, Rule, rule
from dqn_ref.lint.setup import FRAMES_PER_SECOND

# Our own bars. Dopamine's DQN has 250,000 of 50M agent steps; variants of Rainbow 62,500 (Hessel et al. 2018).
SHORTEST_SHARE = 0.005  # of a run
FEWEST_UPDATES = 500  # while epsilon falls (protocol ci has 750, Dopamine 62,500, the paper 250,000)

# ---------------------------------------------------------------------- exploration


@rule(
    "error", "warning",
    reference="epsilon from 1 to 0.1",
    source="paper, Methods. An untrained network is no random policy: it may repeat one action for ever "
    "(docs/fidelity.md, Playing by chance)",
)  # fmt: skip
def exploration_none(epsilon_start: float, epsilon_end: float) -> Fault | None:
    """No exploration at all, or next to none from the first step."""
    most = max(epsilon_start, epsilon_end)
    if most >= 0.05:
        return None
    return Fault(
        f"Epsilon is never above {most:g}.",
        "Play follows the network's first, random preferences; what they never lead to is never learnt.",
        "error" if most == 0 else "warning",
    )


@rule(
    "warning",
    reference="1M agent steps, 250,000 updates: 2 % of the run (code)",
    source="the bars, 0.5 % of a run and 500 updates, are ours: Dopamine's DQN has 250,000 agent steps, 0.5 % of its "
    "run; variants of Rainbow learn with 62,500 (Hessel et al. 2018)",
)
def exploration_ends_early(
    epsilon_span_agent_steps: float,
    total_agent_steps: float,
    updates_per_agent_step: float,
    epsilon_start: float | None = None,
    epsilon_end: float | None = None,
    replay_start_agent_steps: float | None = None,
    epsilon_from_start: bool | None = None,
) -> Fault | None:
    """Epsilon falls to its end value before the network can have learnt what to do."""
    if epsilon_start is not None and epsilon_end is not None and epsilon_start <= epsilon_end:
        return None
    if (replay_start_agent_steps or 0) >= total_agent_steps:
        return None
    before = (replay_start_agent_steps or 0) if epsilon_from_start else 0
    updates = max(0.0, epsilon_span_agent_steps - before) * updates_per_agent_step
    share = epsilon_span_agent_steps / total_agent_steps
    if share >= SHORTEST_SHARE and updates >= FEWEST_UPDATES:
        return None
    counted = f", counted from the run's first step, of which {before:,.0f} precede learning" if before else ""
    return Fault(
        f"Epsilon reaches its end after {epsilon_span_agent_steps:,.0f} agent steps ({share:.2%} of the run{counted}), "
        f"{updates:,.0f} updates.",
        "From then on play is as good as greedy, by a network that has learnt next to nothing; replay fills with the "
        "few things that it does.",
    )


@rule(
    "warning", "hint",
    reference="1M of 50M agent steps",
    source="arithmetic; the bars, a tenth of the way missing and every second action random, are ours",
)  # fmt: skip
def exploration_outlasts_run(
    epsilon_span_agent_steps: float,
    total_agent_steps: float,
    epsilon_start: float,
    epsilon_end: float,
    replay_start_agent_steps: float | None = None,
    epsilon_from_start: bool | None = None,
) -> Fault | None:
    """Epsilon never reaches its end value: the run is over before."""
    before = 0.0 if epsilon_from_start else (replay_start_agent_steps or 0.0)
    if epsilon_start <= epsilon_end or before >= total_agent_steps:
        return None
    done = (total_agent_steps - before) / max(epsilon_span_agent_steps, 1.0)
    if done >= 0.9:
        return None
    last = epsilon_start + (epsilon_end - epsilon_start) * done
    return Fault(
        f"Epsilon is still {last:.2g} when the run ends: its span is {epsilon_span_agent_steps:,.0f} agent steps, and "
        f"{total_agent_steps - before:,.0f} are played with it.",
        "Play stays near random, so what is learnt is hardly used, and training returns say little of the policy.",
        "warning" if last > 0.5 else "hint",
    )


@rule(
    "warning", "hint",
    reference="0.1 in training (paper); 0.01 (Dopamine, Stable-Baselines3's zoo, CleanRL)",
    source="those projects' settings; the bar of 0.3 is ours",
)  # fmt: skip
def exploration_end(epsilon_start: float, epsilon_end: float) -> Fault | None:
    """An end value of epsilon that is high, zero, or above the start."""
    if max(epsilon_start, epsilon_end) < 0.05:
        return None  # exploration_none
    if epsilon_end > 0.3:
        return Fault(
            f"Epsilon ends at {epsilon_end:g}: of 100 actions {100 * epsilon_end:.0f} stay random.",
            "What takes a run of right actions is hardly ever reached, so its value is not learnt.",
        )
    if epsilon_end > epsilon_start:
        return Fault(
            f"Epsilon rises from {epsilon_start:g} to {epsilon_end:g}.",
            "There is least exploration when nothing is known yet.",
        )
    if epsilon_end == epsilon_start:
        return Fault(
            f"Epsilon is {epsilon_end:g} all the time: its schedule changes nothing.",
            "An untrained network decides most actions from the start.",
            "hint",
        )
    if epsilon_end == 0:
        return Fault("Epsilon ends at 0.", "What the greedy policy avoids is never seen again, right or wrong.", "hint")
    return None


# ---------------------------------------------------------------------- frames and actions


@rule(
    "error",
    reference="4 frames in all",
    source="known mistake; gymnasium's ale_py/registration.py: ALE/...-v5 skips 4 by itself, -v4 and -v0 without "
    "NoFrameskip 2 to 4",
)
def frame_skip_twice(emulator_frame_skip: float, wrapper_frame_skip: float) -> Fault | None:
    """Frames skipped by the environment and again by a wrapper."""
    if emulator_frame_skip <= 1 or wrapper_frame_skip <= 1:
        return None
    frames = emulator_frame_skip * wrapper_frame_skip
    return Fault(
        f"The environment skips {emulator_frame_skip:g} frames and a wrapper {wrapper_frame_skip:g} times as many: an "
        f"action lasts {frames:g} frames, {frames / FRAMES_PER_SECOND:.2g} s.",
        "Most of what happens goes unseen, and most games cannot be steered that coarsely. Make the environment with "
        "frameskip=1, or leave the wrapper's skip out.",
    )


@rule(
    "warning", "hint",
    reference="4",
    source="paper, Extended Data Table 1 (action repeat); the bar of 8 is ours",
)  # fmt: skip
def action_repeat(
    frames_per_agent_step: float, emulator_frame_skip: float | None = None, wrapper_frame_skip: float | None = None
) -> Fault | None:
    """Actions that last another number of frames than the paper's."""
    if frames_per_agent_step == 4 or min(emulator_frame_skip or 1, wrapper_frame_skip or 1) > 1:
        return None
    if frames_per_agent_step == 1:
        why = "A state spans a fifteenth of a second, random play jitters on the spot, and rewards are 4 times as many "
        return Fault("An action lasts 1 frame.", why + "agent steps away.", "warning")
    return Fault(
        f"An action lasts {frames_per_agent_step:g} frames.",
        "The horizon, the schedules and the state's four frames span another time than in published results.",
        "warning" if frames_per_agent_step > 8 else "hint",
    )


@rule(
    "warning",
    reference="none (paper); 0.25, once (Machado et al. 2018)",
    source="known mistake; gymnasium's ale_py/registration.py: ALE/...-v5 and ...-v0 are sticky by themselves",
)
def sticky_twice(sticky_action_probability: float, wrapper_sticky_probability: float) -> Fault | None:
    """Sticky actions set in the environment and again in a wrapper."""
    if not (sticky_action_probability and wrapper_sticky_probability):
        return None
    return Fault(
        f"Actions are sticky twice: {sticky_action_probability:g} in the environment, {wrapper_sticky_probability:g} "
        "in a wrapper.",
        "More actions than anybody's are not the agent's own, and scores compare with nobody's.",
    )


@rule(
    "warning", "hint",
    reference="none (paper); 0.25 (Machado et al. 2018, Dopamine)",
    source="both protocols are published, and their scores differ; the bar of 0.25 is theirs",
)  # fmt: skip
def sticky_actions(sticky_action_probability: float, wrapper_sticky_probability: float | None = None) -> Fault | None:
    """Sticky actions, often on by accident."""
    most = max(sticky_action_probability, wrapper_sticky_probability or 0.0)
    if not most or min(sticky_action_probability, wrapper_sticky_probability or 0.0):
        return None
    if most > 0.25:
        return Fault(
            f"The action before is repeated with probability {most:g}.",
            "Much of what happens is not what the agent chose.",
        )
    return Fault(
        f"The action before is repeated with probability {most:g}.",
        "Compare with scores measured so (Dopamine, Machado et al. 2018), not with the paper's.",
        "hint",
    )


@rule(
    "warning", "hint",
    reference="terminal for learning; the game goes on (code)",
    source="code; known mistake: the life is ended by resetting the environment (gymnasium's AtariPreprocessing, "
    "ale_py's episodic_life)",
)  # fmt: skip
def life_loss(life_loss: str) -> Fault | None:
    """A life lost that restarts the game, or that means nothing."""
    if life_loss == "reset":
        return Fault(
            "A life lost restarts the game.",
            "What comes after the first life is never played in training, yet evaluation plays it.",
        )
    if life_loss == "ignored":
        return Fault(
            "A life lost is not terminal for learning.",
            "Losing one costs nothing by itself. Dopamine and Machado et al. 2018 have it so, and learn.",
            "hint",
        )
    return None


@rule(
    "hint",
    reference="1",
    source="our own deviation, for wall-clock time",
)
def streams(streams_per_member: float) -> Fault | None:
    """Several emulators that play for one network."""
    if streams_per_member <= 1:
        return None
    return Fault(
        f"{streams_per_member:g} emulators play for one network.",
        "They act on the same weights for as many agent steps, so data lag behind learning a little.",
    )


# ---------------------------------------------------------------------- what the network sees


@rule(
    "error",
    reference="bytes / 255",
    source="code; known mistakes: pixels never scaled, or scaled twice; the bars, 16 and 4,096, are ours",
)
def input_scale(input_divisor: float) -> Fault | None:
    """Pixels that reach the network as bytes, or scaled twice."""
    if 16 <= input_divisor <= 4096:
        return None
    top = 255 / input_divisor
    if top > 1:
        return Fault(
            f"Pixels are divided by {input_divisor:g}: the network sees 0 to {top:.3g}.",
            "Activations and gradients are that many times too large for initialisation and learning rate, so the "
            "first updates throw values far off.",
        )
    return Fault(
        f"Pixels are divided by {input_divisor:g}: the network sees 0 to {top:.2g}.",
        "Its input is as good as black, and so are its gradients; scaling by 255 twice does this.",
    )


@rule(
    "warning", "hint",
    reference="4",
    source="paper, Methods: several frames, because one alone does not show how things move. Pong is known to be "
    "learnt from one all the same",
)  # fmt: skip
def frames_seen(frames_per_state: float) -> Fault | None:
    """Fewer frames in a state than the paper's four."""
    if frames_per_state == 1:
        return Fault("The network sees one frame.", "Where a thing moves, and how fast, cannot be seen in it.")
    if frames_per_state != 4:
        return Fault(
            f"The network sees {frames_per_state:g} frames.", "Published scores are those of 4 frames.", "hint"
        )
    return None


@rule(
    "warning", "hint",
    reference="three convolutions (32, 64, 64 channels) and 512 units",
    source="paper, Methods; what each network costs is measured by the suite of variants, not known beforehand",
)  # fmt: skip
def network(network: str) -> Fault | None:
    """A network without convolutions, or a narrower one."""
    if network == "flat_mlp":
        return Fault(
            "The network takes pixels as one flat list, without convolutions.",
            "A thing must be learnt anew at each place where it may appear.",
        )
    if network == "half_width":
        return Fault("The network is half as wide as the paper's.", "It may hold less of a rich game.", "hint")
    return None


RULES: tuple[Rule, ...] = (
    exploration_none, exploration_ends_early, exploration_outlasts_run, exploration_end, frame_skip_twice,
    action_repeat, sticky_twice, sticky_actions, life_loss, streams, input_scale, frames_seen, network,
)  # fmt: skip
