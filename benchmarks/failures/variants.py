"""Variants as data: the reference with one thing taken away or broken, each with the claim that it puts to the test.

The claims are those of the article "Why does the DQN model fail to learn in Atari games?" (2024-12-23), which names
causes and shows code, but measures nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from dqn_ref.config import DQNConfig, UserError

ARTICLE = "the article"
NATURE_TABLE_3 = "Mnih et al. 2015, Extended Data Table 3"
NATURE_METHODS = "Mnih et al. 2015, Methods"

CLAIMS: Mapping[str, str] = MappingProxyType({
    "reference": "what the others are compared with",
    "control": "what the same agent earns without learning which actions score: the reference must earn more",
    "C1": "raw pixels are a high-dimensional input; the network lacks the capacity or the form for it",
    "C2": "one frame lacks the temporal context",
    "C3": "bootstrapping from a moving target oscillates or diverges; the target network tames it",
    "C4": "correlated data destabilise; replay decorrelates them",
    "C5": "epsilon decays too quickly to explore, or stays high for too long to exploit",
    "C6": "sparse rewards starve learning: the reference itself, on games of dense and of sparse reward",
    "C7": "too low a discount keeps rewards from spreading back",
    "C8": "hyperparameters are badly tuned",
    "article": "code that the article shows",
    "choice": "what some other implementations do otherwise than the released code; no mistake",
    "fault": "a mistake in the code that the article does not name",
})  # fmt: skip


@dataclass(frozen=True, eq=False)  # each is one of VARIANTS
class Variant:
    """One thing changed. ``changes`` maps fields of ``DQNConfig`` to values, or to functions of the reference's one."""

    name: str
    claim: str  # a key of CLAIMS
    changes: Mapping[str, Any]
    says: str  # what is changed, and why it should hurt
    source: str  # where the claim, or the setting, is from

    def values(self, reference: DQNConfig) -> dict[str, Any]:
        """The changed fields with their values beside ``reference``."""
        return {field: change(reference) if callable(change) else change for field, change in self.changes.items()}

    def of(self, reference: DQNConfig) -> DQNConfig:
        """The configuration of the variant. Raises UserError: it is impossible at this budget."""
        return dataclasses.replace(reference, **self.values(reference))


def _learning_agent_steps(config: DQNConfig) -> int:
    return config.total_agent_steps - config.replay_start_agent_steps


REFERENCE = Variant("reference", "reference", {}, "The paper's algorithm, as the protocol has it.", NATURE_METHODS)

CONTROL = Variant(
    "constant-reward", "control", {"constant_reward": 0.06},
    "The learner is given the same reward for every step, near the mean of a game's own, and scored by the game's: "
    "its values rise and its greedy action changes as the reference's do, but nothing tells which actions score. A "
    "reference that earns no more than this has not learnt to play, however far above random play both are.",
    "this project",
)  # fmt: skip

VARIANTS: Mapping[str, Variant] = MappingProxyType({variant.name: variant for variant in (
    REFERENCE,
    CONTROL,
    # ------------------------------------------------------------------ C1: input and network
    Variant(
        "flat-mlp", "C1", {"network": "flat_mlp"},
        "The article's network, two hidden layers of 128 on flattened pixels, of the usual four frames: without "
        "convolution nothing that is learnt at one place of the screen is known at another.",
        ARTICLE,
    ),
    Variant(
        "half-width", "C1", {"network": "half_width"},
        "Every layer has half its units: if capacity is what lacks, less of it must hurt.",
        ARTICLE,
    ),
    # ------------------------------------------------------------------ C2: time
    Variant(
        "single-frame", "C2", {"frames_per_state": 1},
        "The network sees the newest frame alone: what moves, and where to, is not in its state.",
        ARTICLE,
    ),
    # ------------------------------------------------------------------ C3: targets
    Variant(
        "no-target-network", "C3", {"target_period_updates": 1},
        "The target network is copied right after each update, so it always equals the online network: each update "
        "moves the target that the next one aims at.",
        NATURE_TABLE_3,
    ),
    # ------------------------------------------------------------------ C4: replay
    Variant(
        "no-replay", "C4", {"replay_capacity": lambda reference: reference.batch_size},
        "Replay holds no more than a batch, the newest transitions: consecutive, alike, and soon forgotten.",
        NATURE_TABLE_3,
    ),
    Variant(
        "tiny-replay", "C4", {"replay_capacity": 1_000},
        "Replay holds the newest 1,000 transitions, about a minute of play: batches are of one situation.",
        ARTICLE,
    ),
    # ------------------------------------------------------------------ C5: exploration
    Variant(
        "fast-epsilon", "C5",
        {"epsilon_span_agent_steps": lambda reference: max(1, round(reference.epsilon_span_agent_steps / 25))},
        "Epsilon falls 25 times as quickly: what random play would have found later is not found.",
        ARTICLE,
    ),
    Variant(
        "slow-epsilon", "C5", {"epsilon_span_agent_steps": lambda reference: 4 * _learning_agent_steps(reference)},
        "Epsilon takes four budgets to fall, so it ends above three quarters: what was learnt is hardly ever played, "
        "and states that only good play reaches are not seen.",
        ARTICLE,
    ),
    Variant(
        "no-exploration", "C5", {"epsilon_start": 0.0, "epsilon_end": 0.0},
        "Greedy throughout, in the warm-up too: an action that the untrained network ranks low is never tried.",
        ARTICLE,
    ),
    # ------------------------------------------------------------------ C7: discount
    Variant(
        "gamma-0.9", "C7", {"discount": 0.9},
        "A reward 10 agent steps ahead, two thirds of a second of play, counts a third.",
        ARTICLE,
    ),
    Variant(
        "gamma-0.5", "C7", {"discount": 0.5},
        "A reward 2 agent steps ahead counts a quarter: what an action leads to later is not seen.",
        ARTICLE,
    ),
    Variant(
        "gamma-0.999", "C7", {"discount": 0.999},
        "A reward 1,000 agent steps ahead counts a third: values can be ten times as large, and take longer to learn.",
        ARTICLE,
    ),
    # ------------------------------------------------------------------ C8: hyperparameters
    Variant(
        "lr-x10", "C8", {"learning_rate": lambda reference: reference.learning_rate * 10},
        "Ten times the learning rate: steps overshoot.",
        ARTICLE,
    ),
    Variant(
        "lr-div10", "C8", {"learning_rate": lambda reference: reference.learning_rate / 10},
        "A tenth of the learning rate: little is learnt within the budget.",
        ARTICLE,
    ),
    Variant(
        "mse-unclipped", "C8", {"error_clip": None},
        "The squared error without a clip: a large error moves the weights in proportion.",
        NATURE_METHODS,
    ),
    Variant(
        "rmsprop-eps-outside", "C8", {"floor_outside_root": True},
        "RMSProp's constant is added to the root and not inside it, as in torch.optim.RMSprop: where gradients are "
        "small the same number is a floor ten times as low, and steps are larger.",
        "the code released with Mnih et al. 2015",
    ),
    Variant(
        "no-reward-clip", "C8", {"reward_clip": None},
        "Rewards as the game gives them: the scale of values, and of gradients, is the game's.",
        NATURE_METHODS,
    ),
    Variant(
        "life-loss-not-terminal", "C8", {"life_loss_terminal": False},
        "Only the end of the game is terminal: losing a life costs nothing that the learner sees at once.",
        "the code released with Mnih et al. 2015",
    ),
    # ------------------------------------------------------------------ the article's code
    Variant(
        "article-bare", "article",
        {"network": "flat_mlp", "frames_per_state": 1, "error_clip": None, "optimizer": "adam", "learning_rate": 1e-3,
         "loss_reduction": "mean", "batch_size": 1, "update_period_agent_steps": 1, "replay_capacity": 1,
         "replay_start_agent_steps": 1, "target_period_updates": 1, "epsilon_start": 0.0, "epsilon_end": 0.0},
        "The article's first code: its network on one flattened frame, squared error, Adam at 1e-3, an update on each "
        "transition as it comes, no replay, no target network, greedy.",
        ARTICLE,
    ),
    Variant(
        "article-replay-target", "article",
        {"error_clip": None, "optimizer": "adam", "learning_rate": 1e-3, "loss_reduction": "mean",
         "update_period_agent_steps": 100, "replay_capacity": 1_000, "target_period_updates": 1},
        "The article's second code: replay of 1,000, a batch of 32 every 100 agent steps, squared error, Adam at 1e-3, "
        "and a target network that is copied right after each update, so in effect none. Network, warm-up and "
        "exploration are the reference's, so that only what this code shows is tested.",
        ARTICLE,
    ),
    Variant(
        "article-epsilon", "article", {"epsilon_end": 0.01, "epsilon_span_agent_steps": 99_000},
        "The article's third code on the reference: epsilon from 1 to 0.01, less 1e-5 with each action.",
        ARTICLE,
    ),
    Variant(
        "article-epsilon-default", "article", {"epsilon_end": 0.01, "epsilon_span_agent_steps": 9_900},
        "The same with that code's default, less 1e-4 with each action.",
        ARTICLE,
    ),
    # ------------------------------------------------------------------ others' choices
    Variant(
        "he-weights", "choice", {"initial_weights": "he_normal"},
        "Initial weights are normal with variance 2 / inputs of a unit, biases 0; the released code's are uniform "
        "with variance 1 / (3 inputs): six times the variance in each layer, so larger gradients and, as 0.01 stands "
        "inside RMSProp's root, larger first steps.",
        "sony/nnabla-rl d6c9999, DQNQFunction",
    ),
    Variant(
        "glorot-weights", "choice", {"initial_weights": "glorot_uniform"},
        "Initial weights are uniform, variance 2 / (inputs + outputs of a unit), biases 0: larger than the released "
        "code's in all layers but the first.",
        "google/dopamine 5873f54, NatureDQNNetwork",
    ),
    # ------------------------------------------------------------------ for the doctor
    Variant(
        "unscaled-input", "fault", {"input_divisor": 1.0},
        "Pixels enter the network as 0 to 255 and not as 0 to 1: activations and gradients are 255 times as large.",
        "injected, to see whether a diagnosis finds it",
    ),
)})  # fmt: skip

# Other names of the same function of the data: run once, under the first name.
ALIASES: Mapping[str, tuple[str, str]] = MappingProxyType({
    "target-period-1": (
        "no-target-network",
        "a target copied after every update always equals the online network, which is what no target network means",
    ),
})  # fmt: skip


def variant_named(name: str) -> Variant:
    """The variant called ``name``, or what it is another name of. Raises UserError with the known names."""
    name = ALIASES.get(name, (name, ""))[0]
    if name not in VARIANTS:
        raise UserError(f"No variant is called {name!r}; known are: {', '.join([*VARIANTS, *ALIASES])}.")
    return VARIANTS[name]


def variants_named(names: Sequence[str]) -> tuple[Variant, ...]:
    """The reference and its control, then the named ones by claim, each once. Raises UserError: unknown."""
    asked = {variant_named(name).name for name in names} | {REFERENCE.name, CONTROL.name}
    return tuple(variant for variant in VARIANTS.values() if variant.name in asked)
