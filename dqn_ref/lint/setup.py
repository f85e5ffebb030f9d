"""What is known of a DQN's configuration, ours or somebody else's. What is not known is None."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints

from dqn_ref.config import TRANSITION_BYTES, DQNConfig, UserError, is_number

FRAMES_PER_SECOND = 60  # of the console
STATE_BYTES = 4 * 84 * 84  # a state kept as it is, in bytes

# What a number may be: lowest, whether that itself is excluded, highest. Others are 0 or above.
MOST = 1e15  # of anything: far above all that makes sense, far below what overflows
_ABOVE_ZERO = (0.0, True, MOST)
_SHARE = (0.0, False, 1.0)
_RANGES = {
    "discount": _SHARE, "gradient_decay": _SHARE, "squared_gradient_decay": _SHARE, "epsilon_start": _SHARE,
    "epsilon_end": _SHARE, "evaluation_epsilon": _SHARE, "sticky_action_probability": _SHARE,
    "wrapper_sticky_probability": _SHARE, "target_mixing": (0.0, True, 1.0), "total_agent_steps": _ABOVE_ZERO,
    "frames_per_agent_step": _ABOVE_ZERO, "emulator_frame_skip": _ABOVE_ZERO, "wrapper_frame_skip": _ABOVE_ZERO,
    "streams_per_member": _ABOVE_ZERO, "frames_per_state": _ABOVE_ZERO, "input_divisor": _ABOVE_ZERO,
    "reward_clip": _ABOVE_ZERO, "error_clip": _ABOVE_ZERO, "replay_capacity": _ABOVE_ZERO, "batch_size": _ABOVE_ZERO,
    "updates_per_agent_step": _ABOVE_ZERO, "target_period_agent_steps": _ABOVE_ZERO,
    "target_period_updates": _ABOVE_ZERO, "learning_rate": _ABOVE_ZERO, "min_squared_gradient": _ABOVE_ZERO,
}  # fmt: skip
_MAY_BE_INFINITE = ("reward_clip", "error_clip")
_WORDS = {
    "life_loss": ("terminal", "reset", "ignored"),
    "network": ("nature", "half_width", "flat_mlp"),
    "optimizer": ("rmsprop", "adam"),
    "loss_reduction": ("sum", "mean"),
}


@dataclass(frozen=True)
class Setup:
    """The facts that rules look at. None means unknown, and a rule on an unknown fact is silent.

    Units are in the names. An agent step is one decision of one emulator.

    Raises:
        UserError: a fact is of the wrong kind or out of range.
    """

    # ------------------------------------------------------------------ budget
    total_agent_steps: float | None = None
    """Length of training."""
    frames_per_agent_step: float | None = None
    """Emulator frames that an action lasts, all skips multiplied."""

    # ------------------------------------------------------------------ game
    emulator_frame_skip: float | None = None
    """Frames of one step of the bare environment. `ALE/...-v5` has 4 unless it is told otherwise."""
    wrapper_frame_skip: float | None = None
    """Steps of the bare environment that the wrappers make of an action."""
    sticky_action_probability: float | None = None
    """Chance that the environment repeats the action before. `ALE/...-v5` and `...-v0` have 0.25."""
    wrapper_sticky_probability: float | None = None
    """The same, set a second time in a wrapper."""
    life_loss: str | None = None
    """terminal: a life lost ends the transition, the game goes on. reset: it restarts the game. ignored: neither."""
    streams_per_member: float | None = None
    """Emulators that play for one network."""

    # ------------------------------------------------------------------ network
    network: str | None = None
    """nature, half_width or flat_mlp (flattened pixels, no convolution)."""
    frames_per_state: float | None = None
    """Newest frames that the network sees at once."""
    input_divisor: float | None = None
    """What the pixels' bytes are divided by in all."""

    # ------------------------------------------------------------------ replay
    replay_capacity: float | None = None
    """Transitions kept."""
    replay_start_agent_steps: float | None = None
    """Agent steps before the first update."""
    bytes_per_transition: float | None = None
    """7,084 where frames are kept once; about 28,000 as a stack of four; 56,000 as two stacks."""
    memory_bytes: float | None = None
    """Memory of the machine, or of the device that holds replay."""

    # ------------------------------------------------------------------ learning
    batch_size: float | None = None
    """Transitions in an update."""
    discount: float | None = None
    """Discount factor of an agent step."""
    updates_per_agent_step: float | None = None
    """Updates over agent steps, once learning has started."""
    target_period_agent_steps: float | None = None
    """Agent steps between two copies to the target network."""
    target_period_updates: float | None = None
    """The same in updates; wins over agent steps."""
    target_mixing: float | None = None
    """Share of the online network in a copy; 1: a whole copy. Others call it tau."""
    optimizer: str | None = None
    """rmsprop or adam. rmsprop is taken as centred, as the paper's."""
    learning_rate: float | None = None
    """Of that optimiser."""
    gradient_decay: float | None = None
    """RMSProp's running mean of the gradient."""
    squared_gradient_decay: float | None = None
    """RMSProp's running mean of the squared gradient."""
    min_squared_gradient: float | None = None
    """RMSProp's epsilon."""
    floor_outside_root: bool | None = None
    """Whether that is added to the root and not under it."""
    loss_reduction: str | None = None
    """sum or mean over the batch."""
    reward_clip: float | None = None
    """Rewards are clipped to plus and minus this; infinite: not clipped."""
    rewards_from_game: bool | None = None
    """Whether the learner gets the game's rewards; else the same one at every step."""
    error_clip: float | None = None
    """The TD error's gradient is clipped to plus and minus this; infinite: plain squared error."""

    # ------------------------------------------------------------------ exploration, evaluation
    epsilon_start: float | None = None
    """Exploration at first."""
    epsilon_end: float | None = None
    """Exploration after the span."""
    epsilon_span_agent_steps: float | None = None
    """Agent steps between the two."""
    epsilon_from_start: bool | None = None
    """Whether the span is counted from the first agent step; else from the first update."""
    evaluation_epsilon: float | None = None
    """Exploration during evaluation."""
    evaluation_episodes: float | None = None
    """Episodes of an evaluation."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if (value := getattr(self, field.name)) is not None:
                _check(field.name, value)

    # ------------------------------------------------------------------ made of others

    @property
    def target_updates(self) -> float | None:
        """Updates that the target network lags behind: its period, longer where a copy is a mixture."""
        period = self.target_period_updates
        if period is None:
            if self.target_period_agent_steps is None or self.updates_per_agent_step is None:
                return None
            period = self.target_period_agent_steps * self.updates_per_agent_step
        return period / (1.0 if self.target_mixing is None else self.target_mixing)

    @property
    def total_updates(self) -> float | None:
        """Updates in the whole run."""
        steps, start, rate = self.total_agent_steps, self.replay_start_agent_steps, self.updates_per_agent_step
        return None if steps is None or start is None or rate is None else max(0.0, steps - start) * rate

    @property
    def replay_bytes(self) -> float | None:
        """What replay takes once it is full, or once the run has ended."""
        if self.bytes_per_transition is None or self.replay_capacity is None:
            return None
        return self.bytes_per_transition * min(self.replay_capacity, self.total_agent_steps or math.inf)

    # ------------------------------------------------------------------ where it comes from

    @classmethod
    def of(cls, config: DQNConfig, memory_bytes: int | None = None) -> Setup:
        """The setup that our own agent makes of ``config``."""
        setup = cls.of_fields(dataclasses.asdict(config))
        return dataclasses.replace(
            setup,
            emulator_frame_skip=1,
            wrapper_frame_skip=setup.frames_per_agent_step,
            wrapper_sticky_probability=0.0,
            bytes_per_transition=TRANSITION_BYTES,
            memory_bytes=memory_bytes,
            target_mixing=1.0,
            epsilon_from_start=False,
        )

    @classmethod
    def of_fields(cls, fields: Mapping[str, Any]) -> Setup:
        """The setup of some fields, named as in DQNConfig or as here; what is not among them stays unknown.

        Raises:
            UserError: a value is of the wrong kind or out of range.
        """
        facts = {name: value for name, value in fields.items() if name in FACTS}
        for name in _MAY_BE_INFINITE:  # of DQNConfig: None means that nothing is clipped
            if name in fields and fields[name] is None:
                facts[name] = math.inf
        if (frames := fields.get("total_frames")) is not None and (skip := fields.get("frames_per_agent_step")):
            _check("total_frames", frames)
            _check("frames_per_agent_step", skip)
            facts["total_agent_steps"] = frames / skip
        if (period := fields.get("update_period_agent_steps")) is not None:
            _check("update_period_agent_steps", period)
            facts["updates_per_agent_step"] = 1 / period
        if (terminal := fields.get("life_loss_terminal")) is not None:
            facts["life_loss"] = "terminal" if terminal else "ignored"
        if "constant_reward" in fields:
            reward = fields["constant_reward"]
            if reward is not None and not (is_number(reward) and abs(reward) < math.inf):  # a whole number of any size
                raise UserError(f"constant_reward must be a number, or none for the game's own, got {reward!r}.")
            facts["rewards_from_game"] = reward is None
        return cls(**facts)


FACTS = tuple(field.name for field in dataclasses.fields(Setup))
_KINDS = get_type_hints(Setup)


def _check(name: str, value: object) -> None:
    kind = _KINDS.get(name, float | None)
    if kind == bool | None:
        if type(value) is not bool:
            raise UserError(f"{name} must be true or false, got {value!r}.")
    elif name in _WORDS:
        if value not in _WORDS[name]:
            raise UserError(f"{name} must be one of {', '.join(_WORDS[name])}, got {value!r}.")
    else:
        low, excluded, high = _RANGES.get(name, _ABOVE_ZERO if name not in FACTS else (0.0, False, MOST))
        number = is_number(value)
        if number and name in _MAY_BE_INFINITE and value == math.inf:
            return
        if not (number and low <= value <= high and not (excluded and value == low)):  # type: ignore[operator]
            wanted = f"above {low:g}" if excluded else f"at least {low:g}"
            top = f" and at most {high:g}" if high < MOST or number else ""
            raise UserError(f"{name} must be a number, {wanted}{top}, got {value!r}.")
