"""Rules on the optimiser: its step, and what keeps RMSProp's root away from zero."""

from __future__ import annotations

from math import sqrt

from dqn_ref.lint.rule import Fault, Rule, rule

REFERENCE_RATES = {
    "rmsprop": (0.00025, 0.00025, "0.00025 (paper)"),
    "adam": (0.0000625, 0.0001, "0.0000625 (Rainbow, Dopamine) to 0.0001 (Stable-Baselines3, CleanRL)"),
}
OFF = 10 * (1 - 1e-9)  # times the reference, so that ten times itself is found
SMALL_GRADIENTS = 1 / sqrt(0.01)  # of the reference: a small gradient's share of the step, in learning rates
FAR = 5.0  # times that; our own bar


@rule(
    "warning",
    reference="RMSProp 0.00025 (paper). Adam has 0.0000625 (Rainbow, Dopamine) to 0.0001 (Stable-Baselines3, CleanRL)",
    source="paper, Extended Data Table 1, and those projects' settings; the bar, 10 times off, is ours",
)
def learning_rate(learning_rate: float, optimizer: str) -> Fault | None:
    """A learning rate ten times the optimiser's usual one, or a tenth of it."""
    low, high, words = REFERENCE_RATES[optimizer]
    name = {"rmsprop": "RMSProp", "adam": "Adam"}[optimizer]
    if learning_rate >= high * OFF:
        return Fault(
            f"A learning rate of {learning_rate:g} is {learning_rate / high:.3g} times that of Atari DQNs with {name}, "
            f"{words}.",
            "Updates overshoot: values run away, or units die and stay dead.",
        )
    if learning_rate <= low / OFF:
        return Fault(
            f"A learning rate of {learning_rate:g} is a {low / learning_rate:.3g}th of that of Atari DQNs with {name}, "
            f"{words}.",
            "As many times more updates are needed for the same learning.",
        )
    return None


def _small_gradients(floor: float, outside: bool, reduction: str, batch: float) -> float:
    """Step of RMSProp over learning rate and gradient of a transition, where gradients are small."""
    return (1 / batch if reduction == "mean" else 1.0) / (floor if outside else sqrt(floor))


@rule(
    "warning",
    optimizer="rmsprop",
    reference="0.01 under the root: the step of a small gradient is 10 learning rates times the gradient",
    source="code (NeuralQLearner.lua); torch.optim.RMSprop adds its eps to the root, so it is another optimiser",
)
def floor_outside_root(
    floor_outside_root: bool, min_squared_gradient: float, loss_reduction: str, batch_size: float
) -> Fault | None:
    """RMSProp's epsilon added to the root, not under it, so that small gradients make far larger steps."""
    if not floor_outside_root:
        return None
    times = _small_gradients(min_squared_gradient, True, loss_reduction, batch_size) / SMALL_GRADIENTS
    if times < FAR:
        return None
    return Fault(
        f"An epsilon of {min_squared_gradient:g} is added to RMSProp's root, not under it.",
        f"Steps of small gradients are {times:,.3g} times as large as the paper's, so noise is learnt from.",
    )


@rule(
    "warning",
    optimizer="rmsprop",
    reference="gradients summed over the batch with 0.01; with a mean, 0.01 / 32**2",
    source="code: the gradient is summed. Dopamine takes the mean and 0.00001",
)
def mean_loss_floor(
    loss_reduction: str, floor_outside_root: bool, min_squared_gradient: float, batch_size: float
) -> Fault | None:
    """A mean over the batch with RMSProp's epsilon made for a sum, so that small gradients hardly move anything."""
    if loss_reduction != "mean" or floor_outside_root:
        return None
    times = SMALL_GRADIENTS / _small_gradients(min_squared_gradient, False, "mean", batch_size)
    if times < FAR:
        return None
    return Fault(
        f"The loss is a mean over {batch_size:,.0f}, with an epsilon of {min_squared_gradient:g} made for a sum.",
        f"Steps of small gradients are {times:.3g} times as small as the paper's. "
        f"A mean wants {min_squared_gradient:g} / {batch_size:,.0f}**2.",
    )


@rule(
    "warning",
    optimizer="rmsprop",
    reference="0.01 under the root",
    source="paper, Extended Data Table 1 (min squared gradient 0.01); the bar, 5 times the step, is ours",
)
def floor_far_off(
    min_squared_gradient: float, floor_outside_root: bool, loss_reduction: str, batch_size: float
) -> Fault | None:
    """RMSProp's epsilon far from the paper's."""
    step = _small_gradients(min_squared_gradient, floor_outside_root, loss_reduction, batch_size) / SMALL_GRADIENTS
    ours = floor_outside_root if step > 1 else loss_reduction == "mean" and not floor_outside_root
    if ours or 1 / FAR < step < FAR:  # the two rules above say more of those
        return None
    size = f"{step:,.3g} times as large" if step > 1 else f"{1 / step:,.3g} times as small"
    return Fault(
        f"RMSProp's epsilon is {min_squared_gradient:g}.",
        f"Steps of small gradients are {size} as the paper's.",
    )


@rule(
    "error",
    optimizer="rmsprop",
    reference="0.95 and 0.95",
    source="arithmetic (Cauchy and Schwarz): only with equal decays is the squared mean never above the mean square; "
    "a test of this project takes RMSProp to nan with 0.95 and 0.99",
)
def decays_differ(gradient_decay: float, squared_gradient_decay: float) -> Fault | None:
    """Centred RMSProp whose two running means decay differently, so that its root may be that of a negative number."""
    if gradient_decay == squared_gradient_decay:
        return None
    return Fault(
        f"RMSProp's gradient decays by {gradient_decay:g} and its square by {squared_gradient_decay:g}.",
        "The mean square minus the squared mean may fall below zero by more than the epsilon; its root is then nan, "
        "and so is every weight soon after.",
    )


RULES: tuple[Rule, ...] = (learning_rate, floor_outside_root, mean_loss_floor, floor_far_off, decays_differ)
