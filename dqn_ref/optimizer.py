"""RMSProp as the released code has it (``NeuralQLearner.lua``, ``qLearnMinibatch``).

    g   <- .95 g  + .05 d          d: gradient, summed over the batch
    g2  <- .95 g2 + .05 d^2
    w   <- w - lr d / sqrt(g2 - g^2 + 0.01)

It is centred, 0.01 lies inside the root, and there is no momentum on the step. torch.optim.RMSprop
adds its eps outside the root, which is another optimiser (``floor_outside_root`` has its formula).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class RMSProp:
    """Updates ``weights`` in place, all tensors in one call each (one launch each on a GPU)."""

    def __init__(
        self,
        weights: Sequence[Tensor],
        *,
        learning_rate: float,
        gradient_decay: float,
        squared_gradient_decay: float,
        min_squared_gradient: float,
        floor_outside_root: bool = False,
    ) -> None:
        self.learning_rate = learning_rate
        self.gradient_decay = gradient_decay
        self.squared_gradient_decay = squared_gradient_decay
        self.min_squared_gradient = min_squared_gradient
        self.floor_outside_root = floor_outside_root
        self._weights = list(weights)
        self.mean = [torch.zeros_like(weight) for weight in weights]
        self.mean_square = [torch.zeros_like(weight) for weight in weights]

    @torch.no_grad()
    def step(self, gradient: Sequence[Tensor]) -> None:
        """One update; ``gradient`` has the order and the shapes of the weights."""
        d, g, g2 = list(gradient), self.mean, self.mean_square
        torch._foreach_lerp_(g, d, 1 - self.gradient_decay)
        torch._foreach_mul_(g2, self.squared_gradient_decay)
        torch._foreach_addcmul_(g2, d, d, 1 - self.squared_gradient_decay)
        root = torch._foreach_addcmul(g2, g, g, -1)
        if self.floor_outside_root:
            torch._foreach_sqrt_(root)
            torch._foreach_add_(root, self.min_squared_gradient)
        else:
            torch._foreach_add_(root, self.min_squared_gradient)
            torch._foreach_sqrt_(root)
        torch._foreach_addcdiv_(self._weights, d, root, -self.learning_rate)
