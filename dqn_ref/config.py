"""Everything that changes a score: each number with its unit, its meaning and its source.

Sources: *paper* is Mnih et al. 2015 (Methods and Extended Data Table 1); *code* is the Lua code
that DeepMind released with it. Where they disagree the code wins, because it made the scores.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal, TypeGuard, get_args, get_origin, get_type_hints

import tyro
from tyro.constructors import PrimitiveConstructorSpec

# What replay keeps of a transition: its frame, u8; action, reward, terminal, history and final slot, f32; slot, i64.
TRANSITION_BYTES = 84 * 84 + 5 * 4 + 8
# Of a member on a GPU beside its replay: networks, running means, libraries' workspaces, the graphs' own memory.
# Counted and rounded up, not measured.
GPU_MEMBER_BYTES = 300_000_000

MAX_OF_THE_EMULATOR = 1_000_000_000  # which counts frames in 32 bits, and a little beyond what it is given
MAX_REPLAY_CAPACITY = 16_000_000  # replay keeps numbers of slots as float32, exact up to 2**24


class UserError(Exception):
    """A mistake that its maker can mend: shown as one message, without traceback, exit code 2."""


def parse_frames(text: str) -> int:
    """``"10M"``, ``"24k"``, ``"1_000_000"`` or ``"1000000"`` as a number of frames."""
    units = {"k": 1_000, "m": 1_000_000}
    number, unit = (text[:-1], units[text[-1].lower()]) if text[-1:].lower() in units else (text, 1)
    try:
        frames = Decimal(number.replace(",", "").replace("_", "")) * unit
    except InvalidOperation:
        raise UserError(f"{text!r} is no number of frames; write 10M, 24k or 1_000_000.") from None
    if not (frames.is_finite() and 0 < frames <= 10**12) or frames != int(frames):
        raise UserError(f"A number of frames must be whole, above 0 and at most 10**12, got {text!r}.")
    return int(frames)


def format_frames(frames: int) -> str:
    """Shortest exact form, e.g. ``10M``, ``24k``, ``1234``."""
    for unit, size in (("M", 1_000_000), ("k", 1_000)):
        if frames and frames % size == 0:
            return f"{frames // size}{unit}"
    return str(frames)


# How the command line reads and shows a number of frames.
Frames = Annotated[
    int,
    PrimitiveConstructorSpec(
        nargs=1,
        metavar="FRAMES",
        instance_from_str=lambda words: parse_frames(words[0]),
        is_instance=lambda value: isinstance(value, int),
        str_from_instance=lambda frames: [format_frames(frames)],
    ),
]


@dataclass(frozen=True)
class DQNConfig:
    """The hyperparameters of one run. The defaults are the paper's.

    Raises:
        UserError: a value is out of range, or values contradict one another.
    """

    # ------------------------------------------------------------------ budget, in frames
    total_frames: Annotated[Frames, tyro.conf.arg(name="frames")] = 200_000_000
    """Length of training in emulator frames, e.g. 10M, 24k, 1_000_000. Code: 50M agent steps of 4."""
    iteration_frames: Frames = 1_000_000
    """Frames between two reseedings of the emulator; a budget is at least one. As in DQN Zoo."""
    progress_frames: Frames = 50_000
    """Frames between two rows of progress.csv."""

    # ------------------------------------------------------------------ game
    frames_per_agent_step: int = 4
    """Each action is repeated for so many frames. Paper, code: 4."""
    max_noops: int = 30
    """An episode starts with 0 to so many no-ops. Paper: "up to 30"."""
    max_episode_frames: Frames = 108_000
    """Longer episodes are truncated (not terminal), in frames. 30 minutes of play; DQN Zoo."""
    sticky_action_probability: float = 0.0
    """Chance that the emulator repeats the previous action. Paper: none; Machado et al. 2018: 0.25."""
    fire_on_reset: bool = False
    """Press FIRE when an episode starts. Code: no; the wrappers of OpenAI Baselines: yes."""
    life_loss_terminal: bool = True
    """A life lost in training is a terminal transition; the game goes on all the same. Code: yes."""
    history_padding: Literal["zeros", "first_frame"] = "zeros"
    """What a state shows before its episode's first frame. Code: zeros; the Baselines wrappers: that frame again."""
    reward_clip: float | None = 1.0
    """Rewards are learnt from clipped to plus and minus this; None: as they are. Paper, code: 1."""
    constant_reward: float | None = None
    """If given, every agent step is learnt from with this reward, whatever the game gave: a control. Code: no."""

    streams_per_member: int = 1
    """Emulators that play for one network, to save wall-clock time. The reference has one; more is a deviation."""

    # ------------------------------------------------------------------ replay
    replay_capacity: int = 1_000_000
    """Transitions kept, 7,084 bytes each. Paper, code: 1M most recent."""
    replay_start_agent_steps: int = 50_000
    """Agent steps of random play before the first update. Paper, code: 50,000."""

    # ------------------------------------------------------------------ network
    network: Literal["nature", "half_width", "flat_mlp"] = "nature"
    """Paper, code: nature. Else one of half as many units in each layer, or 128 + 128 units without convolutions."""
    frames_per_state: int = 4
    """Newest frames that the network is shown, at most 4. Paper, code: 4."""
    input_divisor: float = 255.0
    """What the frames' bytes, 0 to 255, are divided by. Code: 255."""
    initial_weights: Literal["uniform", "he_normal", "glorot_uniform"] = "uniform"
    """Code: uniform in ±1/sqrt(inputs of a unit), biases too. Else larger: normal, or uniform, and biases of 0."""

    # ------------------------------------------------------------------ learning
    batch_size: int = 32
    """Transitions in an update. Paper, code: 32."""
    discount: float = 0.99
    """Discount factor of an agent step. Paper, code: 0.99."""
    update_period_agent_steps: int = 4
    """Agent steps between two updates. Paper, code: 4."""
    target_period_agent_steps: int = 10_000
    """Agent steps between two copies to the target network. Code: 10,000."""
    target_period_updates: int | None = None
    """If given, the copies count updates instead, as the paper's text has it ("parameter updates", 10,000)."""
    optimizer: Literal["rmsprop", "adam"] = "rmsprop"
    """Paper, code: RMSProp. Adam is torch.optim's, of which only the learning rate is set."""
    learning_rate: float = 0.00025
    """Paper, code: 0.00025."""
    gradient_decay: float = 0.95
    """RMSProp's running mean of the gradient. Paper, code: 0.95."""
    squared_gradient_decay: float = 0.95
    """RMSProp's running mean of the squared gradient. Paper, code: 0.95."""
    min_squared_gradient: float = 0.01
    """Added to the variance *inside* the root. Paper, code: 0.01."""
    floor_outside_root: bool = False
    """Add min_squared_gradient to the root instead, as torch.optim.RMSprop does with its eps. Code: no."""
    error_clip: float | None = 1.0
    """The TD error's gradient is clipped to plus and minus this; None: it is not. Paper, code: 1."""
    error_scale: float = 1.0
    """What the TD error is multiplied by before it is clipped. Code: 1. Of a squared error without its half: 2."""
    loss_reduction: Literal["sum", "mean"] = "sum"
    """How the losses of a batch become one. Code: sum. (A mean would need min_squared_gradient = 0.01 / 32**2.)"""

    precision: Literal["float32", "bfloat16"] = "float32"
    """Arithmetic of the networks' passes in training. All else, and evaluation, is float32 always. Code: float32."""

    # ------------------------------------------------------------------ exploration
    epsilon_start: float = 1.0
    """Exploration during the warm-up and at its end. Paper, code: 1."""
    epsilon_end: float = 0.1
    """Exploration after the span. Paper, code: 0.1."""
    epsilon_span_agent_steps: int = 1_000_000
    """Agent steps from start to end value, counted after the warm-up. Code: 1M."""

    # ------------------------------------------------------------------ evaluation, measuring
    evaluation_episodes: int = 30
    """Episodes played by the final network, and by the best. Paper: 30."""
    evaluation_epsilon: float = 0.05
    """Exploration during evaluation. Paper: 0.05."""
    evaluation_max_frames: Frames = 108_000
    """Cap of an evaluation episode in frames. Paper: 18,000 (5 minutes); its successors 108,000."""
    heldout_states: int = 500
    """Fixed states on which Q is tracked, taken from replay when warm-up ends. Code: 500."""

    def __post_init__(self) -> None:
        for name in _types():
            self._check_type(name)
        for name in ("sticky_action_probability", "discount", "gradient_decay", "squared_gradient_decay",
                     "epsilon_start", "epsilon_end", "evaluation_epsilon"):  # fmt: skip
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise UserError(f"{name} must lie between 0 and 1, got {getattr(self, name)!r}.")
        for name in ("learning_rate", "min_squared_gradient", "input_divisor", "error_scale", "error_clip",
                     "reward_clip"):  # fmt: skip
            value = getattr(self, name)
            if value is not None and not 0.0 < value < math.inf:
                raise UserError(f"{name} must be a number above 0{_or_none(name)}, got {value!r}.")
        if self.constant_reward is not None and not math.isfinite(self.constant_reward):
            raise UserError(f"constant_reward must be a number, or None, got {self.constant_reward!r}.")
        if self.frames_per_state > 4:
            raise UserError(f"frames_per_state must be at most 4: a state has four, got {self.frames_per_state}.")
        for name in ("frames_per_agent_step", "max_noops", "max_episode_frames", "evaluation_max_frames"):
            if getattr(self, name) > MAX_OF_THE_EMULATOR:
                raise UserError(f"{name} must be at most {MAX_OF_THE_EMULATOR:,}, got {getattr(self, name):,}.")
        self._check_budget()

    def _check_type(self, name: str) -> None:
        value, kind = getattr(self, name), _types()[name]
        alternatives = get_args(kind) or (kind,)  # of a Literal its words, of an optional type None too
        expected = ""
        if get_origin(kind) is Literal:
            expected = "" if value in alternatives else f"one of {', '.join(alternatives)}"
        elif value is None and _or_none(name):
            pass
        elif bool in alternatives:
            expected = "" if isinstance(value, bool) else "true or false"
        elif int in alternatives:
            lowest = 0 if name == "max_noops" else 1
            whole = isinstance(value, int) and not isinstance(value, bool) and value >= lowest
            expected = "" if whole else f"a whole number, at least {lowest}{_or_none(name)}"
        elif not is_number(value):
            expected = f"a number{_or_none(name)}"
        if expected:
            raise UserError(f"{name} must be {expected}, got {value!r}.")

    def _check_budget(self) -> None:
        step = self.frames_per_agent_step * self.streams_per_member
        for name in ("total_frames", "iteration_frames"):
            if getattr(self, name) % step:
                raise UserError(
                    f"{name} must be a multiple of {step}, the frames of a step of "
                    f"{self.streams_per_member} stream(s), got {getattr(self, name):,}."
                )
        if self.total_frames < self.iteration_frames:
            raise UserError(
                f"A budget of {self.total_frames:,} frames is below one iteration ({self.iteration_frames:,} frames). "
                f"Ask for at least {self.iteration_frames:,}, or take a smaller protocol (--protocol ci)."
            )
        if self.total_agent_steps <= self.replay_start_agent_steps:
            raise UserError(
                f"A budget of {self.total_frames:,} frames ends inside the warm-up of the replay "
                f"({self.replay_start_agent_steps * self.frames_per_agent_step:,} frames), so nothing would be learnt. "
                "Ask for more frames, or take a smaller protocol (--protocol ci)."
            )
        for name in ("replay_start_agent_steps", "replay_capacity"):
            if self.streams_per_member > getattr(self, name):
                raise UserError(
                    f"streams_per_member ({self.streams_per_member:,}) is above {name} ({getattr(self, name):,}): each "
                    "stream must have stored a transition when learning starts."
                )
        if self.replay_capacity > MAX_REPLAY_CAPACITY:
            raise UserError(
                f"replay_capacity must be at most {MAX_REPLAY_CAPACITY:,}, got {self.replay_capacity:,}: replay keeps "
                "numbers of slots as float32."
            )

    @property
    def total_agent_steps(self) -> int:
        """Length of training in agent steps."""
        return self.total_frames // self.frames_per_agent_step

    @property
    def ends_whole(self) -> bool:
        """Whether its last iteration and row of progress are whole, so that a longer run has the same ones."""
        return self.total_frames % self.iteration_frames == 0 == self.total_frames % self.progress_frames

    @property
    def transitions_kept(self) -> int:
        """Transitions that a run of this length ever holds at once."""
        return min(self.replay_capacity, self.total_agent_steps)


def is_number(value: object) -> TypeGuard[float]:
    """Whether it is a whole or a floating number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


@functools.cache  # milliseconds, and a configuration is made for every record that is read
def _types() -> dict[str, Any]:
    """Of the fields, in order."""
    return get_type_hints(DQNConfig)


def _or_none(name: str) -> str:
    return ", or None" if type(None) in get_args(_types()[name]) else ""
