"""RMSProp as the released code has it (``NeuralQLearner.lua``, ``qLearnMinibatch``), and Adam as PyTorch has it.

    g   <- .95 g  + .05 d          d: gradient, summed over the batch
    g2  <- .95 g2 + .05 d^2
    w   <- w - lr d / sqrt(g2 - g^2 + 0.01)

It is centred, 0.01 lies inside the root, and there is no momentum on the step. torch.optim.RMSprop
adds its eps outside the root, which is another optimiser (``floor_outside_root`` has its formula).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from dqn_ref.one_pass import compiled, flat, rmsprop_step


class RMSProp:
    """Updates ``weights`` in place.

    On a GPU all tensors in one call for each operation; on a CPU in one pass over memory (``one_pass.py``). The two
    differ by how products and roots are rounded.
    """

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
        in_one_pass = compiled(rmsprop_step) if self._weights[0].is_cpu else None
        if in_one_pass is None:
            self._step_by_operations(gradient)
            return
        for weight, d, g, g2 in zip(self._weights, gradient, self.mean, self.mean_square, strict=True):
            if d.stride() != weight.stride():
                d = torch.empty_like(weight).copy_(d)
            arrays = [flat(tensor) for tensor in (weight, d, g, g2)]
            number = arrays[0].dtype.type
            in_one_pass(
                *arrays,
                number(self.learning_rate),
                number(1 - self.gradient_decay),
                number(1 - self.squared_gradient_decay),
                number(self.min_squared_gradient),
                self.floor_outside_root,
            )

    def _step_by_operations(self, gradient: Sequence[Tensor]) -> None:
        d, g, g2 = list(gradient), self.mean, self.mean_square
        torch._foreach_lerp_(g, d, 1 - self.gradient_decay)
        torch._foreach_mul_(g2, self.squared_gradient_decay)
        torch._foreach_addcmul_(g2, d, d, 1 - self.squared_gradient_decay)
        torch._foreach_addcdiv_(self._weights, d, self._root(), -self.learning_rate)

    def _root(self) -> list[Tensor]:
        root = list(torch._foreach_addcmul(self.mean_square, self.mean, self.mean, -1))
        if self.floor_outside_root:
            torch._foreach_sqrt_(root)
            torch._foreach_add_(root, self.min_squared_gradient)
        else:
            torch._foreach_add_(root, self.min_squared_gradient)
            torch._foreach_sqrt_(root)
        return root

    def state(self) -> dict[str, list[Tensor]]:
        """What it remembers, by weight."""
        return {"mean": self.mean, "mean_square": self.mean_square}

    def restore(self, state: Mapping[str, Sequence[Tensor]]) -> None:
        """Remember ``state`` instead; its tensors are copied to where these lie."""
        for name, own in self.state().items():
            for tensor, saved in zip(own, state[name], strict=True):
                tensor.copy_(saved)

    @torch.no_grad()
    def newest_step(self, gradient: Sequence[Tensor]) -> list[Tensor]:
        """What the newest ``step``, which was given ``gradient``, added to each of the weights."""
        return [-self.learning_rate * d / root for d, root in zip(gradient, self._root(), strict=True)]


class Adam:
    """torch.optim.Adam, behind RMSProp's methods. No part of the reference."""

    def __init__(self, weights: Sequence[Tensor], *, learning_rate: float) -> None:
        self._weights = list(weights)
        on_gpu = self._weights[0].is_cuda
        # Its first steps run before the capture, and it would warn of that.
        warnings.filterwarnings("ignore", message="This instance was constructed with capturable=True")
        self.optimizer = torch.optim.Adam(self._weights, lr=learning_rate, capturable=on_gpu)

    @torch.no_grad()
    def step(self, gradient: Sequence[Tensor]) -> None:
        """One update; ``gradient`` has the order and the shapes of the weights."""
        for weight, d in zip(self._weights, gradient, strict=True):
            weight.grad = d
        self.optimizer.step()

    def state(self) -> dict[str, list[Tensor]]:
        """What it remembers, by weight; nothing before the first step."""
        known = [self.optimizer.state[weight] for weight in self._weights if self.optimizer.state[weight]]
        return {name: [each[name] for each in known] for name in ("step", "exp_avg", "exp_avg_sq")}

    def restore(self, state: Mapping[str, Sequence[Tensor]]) -> None:
        """Remember ``state`` instead."""
        for weight, step, *means in zip(self._weights, *state.values(), strict=bool(state["step"])):
            mean, mean_square = (torch.empty_like(weight).copy_(saved) for saved in means)
            on_gpu = self.optimizer.defaults["capturable"]
            self.optimizer.state[weight] = {
                "step": step.to(weight.device if on_gpu else "cpu"),
                "exp_avg": mean,
                "exp_avg_sq": mean_square,
            }

    @torch.no_grad()
    def newest_step(self, gradient: Sequence[Tensor]) -> list[Tensor]:
        """What the newest ``step`` added to each of the weights (Kingma & Ba 2015, algorithm 1)."""
        group, found = self.optimizer.param_groups[0], list[Tensor]()
        for weight in self._weights:
            state = self.optimizer.state[weight]
            if not state:  # no step yet
                found.append(torch.zeros_like(weight))
                continue
            one, two = (1 - beta ** state["step"] for beta in group["betas"])
            found.append(-group["lr"] * (state["exp_avg"] / one) / ((state["exp_avg_sq"] / two).sqrt() + group["eps"]))
        return found
