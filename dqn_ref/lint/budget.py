"""Rules on sizes: length of the run, replay, evaluation, and units mixed up."""

from __future__ import annotations

from dqn_ref.lint.rule import Fault, Rule, rule
from dqn_ref.lint.setup import FRAMES_PER_SECOND, STATE_BYTES

FIRST_LEARNING_FRAMES = 2_000_000
SMALL_REPLAY = 10_000  # transitions

# ---------------------------------------------------------------------- length


@rule(
    "hint",
    reference="200M frames",
    source="published curves (benchmarks/data/published_dqn_scores.csv): over Atari-10 next to nothing before 2M "
    "frames, an IQM of human-normalised scores of .02 at most",
)
def budget_small(total_agent_steps: float, frames_per_agent_step: float) -> Fault | None:
    """A run shorter than what published DQNs needed to learn anything on most games."""
    frames = total_agent_steps * frames_per_agent_step
    if frames >= FIRST_LEARNING_FRAMES:
        return None
    return Fault(
        f"The run has {frames:,.0f} frames ({total_agent_steps:,.0f} agent steps).",
        "Published DQNs learnt next to nothing on most games before 2M frames, and were at times below random. "
        "Scaled schedules help on easy games; elsewhere no learning is what is to be expected.",
    )


# ---------------------------------------------------------------------- replay


@rule(
    "error",
    reference="50,000 of 50M agent steps",
    source="arithmetic",
)
def warm_up_outlasts_run(replay_start_agent_steps: float, total_agent_steps: float) -> Fault | None:
    """Learning that starts after the run's end."""
    if replay_start_agent_steps < total_agent_steps:
        return None
    return Fault(
        f"Learning starts after {replay_start_agent_steps:,.0f} agent steps, and the run has {total_agent_steps:,.0f}.",
        "There is not one update.",
    )


@rule(
    "warning",
    reference="50,000 of 1M",
    source="arithmetic; known mistake",
)
def warm_up_above_replay(replay_start_agent_steps: float, replay_capacity: float) -> Fault | None:
    """A warm-up longer than replay is large."""
    if replay_start_agent_steps <= replay_capacity:
        return None
    return Fault(
        f"Learning starts after {replay_start_agent_steps:,.0f} agent steps, and replay holds {replay_capacity:,.0f}.",
        "Code that waits until replay holds so many waits for ever. Where steps are counted, the warm-up overwrites "
        "itself.",
    )


@rule(
    "hint",
    reference="50,000 agent steps, 1,563 batches",
    source="arithmetic; the bar of 4 batches is ours",
)
def warm_up_short(replay_start_agent_steps: float, batch_size: float) -> Fault | None:
    """A warm-up of hardly more than a batch."""
    if replay_start_agent_steps >= 4 * batch_size:
        return None
    return Fault(
        f"Learning starts after {replay_start_agent_steps:,.0f} agent steps, with batches of {batch_size:,.0f}.",
        "The first updates fit a few moments of one episode, again and again.",
    )


@rule(
    "error", "warning",
    reference="1M transitions, 18 hours of play, a fiftieth of the run",
    source="paper, Methods: replay breaks the correlation of successive transitions. The bars are ours: 4 batches; "
    "10,000 transitions and a tenth of the run",
)  # fmt: skip
def replay_tiny(
    replay_capacity: float,
    batch_size: float,
    total_agent_steps: float | None = None,
    frames_per_agent_step: float | None = None,
) -> Fault | None:
    """Replay so small that a batch is a stretch of play, or that the run's past is soon forgotten."""
    play = replay_capacity * (frames_per_agent_step or 4) / FRAMES_PER_SECOND
    span = f"{play:.2g} seconds" if play < 100 else f"{play / 60:.2g} minutes"
    got = f"Replay holds {replay_capacity:,.0f} transitions, {span} of play"
    if replay_capacity <= 4 * batch_size:
        return Fault(
            f"{got}, and a batch is {batch_size:,.0f}.",
            "A batch is one stretch of play: its transitions are nearly the same, and the network unlearns all else.",
        )
    of_run = replay_capacity / total_agent_steps if total_agent_steps else 0.0
    if replay_capacity < SMALL_REPLAY and of_run < 0.1:
        return Fault(
            f"{got}.",
            "Batches are drawn from the last few episodes, so what was learnt before is overwritten.",
            "warning",
        )
    return None


@rule(
    "hint",
    reference="a fiftieth of the run",
    source="arithmetic; Stable-Baselines3's zoo, with a hundredth, is the smallest that we know to learn",
)
def replay_small(replay_capacity: float, total_agent_steps: float) -> Fault | None:
    """Replay that is small beside the run."""
    if replay_capacity < SMALL_REPLAY or replay_capacity >= 0.01 * total_agent_steps:
        return None
    return Fault(
        f"Replay holds {replay_capacity:,.0f} transitions, {replay_capacity / total_agent_steps:.2%} of the run.",
        "Rare events are forgotten soon after they happened.",
    )


@rule(
    "error", "warning",
    reference="7.1 GB: single frames, as bytes, each kept once",
    source="arithmetic; code keeps single frames",
)  # fmt: skip
def replay_memory(replay_bytes: float, memory_bytes: float, bytes_per_transition: float | None = None) -> Fault | None:
    """Replay that does not fit the memory."""
    if replay_bytes <= 0.8 * memory_bytes:
        return None
    kept = ""
    if bytes_per_transition and bytes_per_transition >= STATE_BYTES:
        kept = (
            f" A transition takes {bytes_per_transition:,.0f} bytes, because stacks of frames are kept: single frames "
            "take 7,084."
        )
    beyond = replay_bytes > memory_bytes
    return Fault(
        f"A full replay takes {replay_bytes / 1e9:.1f} GB, and the machine has {memory_bytes / 1e9:.1f} GB.{kept}",
        "The run is killed or crawls once replay has grown to that, hours after its start."
        if beyond
        else "Little is left for all else.",
        "error" if beyond else "warning",
    )


# ---------------------------------------------------------------------- units


@rule(
    "warning",
    reference="in agent steps: warm-up 50,000, epsilon's span 1M, target period 10,000, run 50M",
    source='known mistake; the paper itself says "frames" for agent steps in places (docs/fidelity.md, 10 to 12)',
)
def units_mixed(
    epsilon_span_agent_steps: float | None = None,
    replay_start_agent_steps: float | None = None,
    target_period_agent_steps: float | None = None,
    target_period_updates: float | None = None,
    total_agent_steps: float | None = None,
) -> Fault | None:
    """A value exactly 4 times the paper's, or a quarter of it, while others are the paper's: frames and agent steps."""
    schedule = {
        "the warm-up": (replay_start_agent_steps, 50_000),
        "epsilon's span": (epsilon_span_agent_steps, 1_000_000),
        "the target period": (target_period_agent_steps if target_period_updates is None else None, 10_000),
    }
    exact = [name for name, (value, paper) in schedule.items() if value == paper]
    slips = [
        f"{name} is {value:,.0f}, {'4 times' if value == 4 * paper else 'a quarter of'} the paper's {paper:,}"
        for name, (value, paper) in {**schedule, "the run": (total_agent_steps, 50_000_000)}.items()
        if value is not None and (value == 4 * paper or (4 * value == paper and name != "the run"))
    ]
    if not (exact and slips):
        return None
    text = "; ".join(slips)
    return Fault(
        f"{text[0].upper()}{text[1:]} agent steps, while {' and '.join(exact)} {'is' if len(exact) == 1 else 'are'} "
        "exactly the paper's.",
        "It looks like frames given for agent steps, or agent steps for updates or frames; then this schedule runs at "
        "another pace than the others.",
    )


# ---------------------------------------------------------------------- evaluation


@rule(
    "warning", "hint",
    reference="0.05",
    source="paper, Methods; others have 0.001 to 0.05; the bar of 0.1 is ours",
)  # fmt: skip
def evaluation_epsilon(evaluation_epsilon: float) -> Fault | None:
    """An evaluation that plays greedily without exception, or with many random actions."""
    if evaluation_epsilon > 0.1:
        return Fault(
            f"Evaluation plays {evaluation_epsilon:.0%} of its actions at random.",
            "Scores are lower than what was learnt, most of all where one slip costs a life.",
        )
    if evaluation_epsilon == 0:
        return Fault(
            "Evaluation is greedy without exception.",
            "A policy that is stuck once stays stuck, and without sticky actions episodes differ by their no-ops only.",
            "hint",
        )
    return None


@rule(
    "warning", "hint",
    reference="30",
    source="paper, Methods; the bar of 4 is ours",
)  # fmt: skip
def evaluation_episodes(evaluation_episodes: float) -> Fault | None:
    """So few episodes that a score is chance."""
    if evaluation_episodes >= 4:
        return None
    return Fault(
        f"A score is that of {evaluation_episodes:g} episode{'s' if evaluation_episodes != 1 else ''}.",
        "Episodes of one network differ widely, so a score may be low, or high, by chance.",
        "warning" if evaluation_episodes <= 1 else "hint",
    )


RULES: tuple[Rule, ...] = (
    budget_small, warm_up_outlasts_run, warm_up_above_replay, warm_up_short, replay_tiny, replay_small, replay_memory,
    units_mixed, evaluation_epsilon, evaluation_episodes,
)  # fmt: skip
