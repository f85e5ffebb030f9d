"""The Nature network and its initialisation (paper, Methods: "Model architecture"), and two that deviate from it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from dqn_ref.one_pass import channels_last


class QNetwork(nn.Module):
    """Q values of every action for a state: hidden layers, each followed by a rectifier, and a linear head.

    Args:
        num_actions: size of the game's minimal action set.
        generator: draws the initial weights, on the CPU whatever the device, so that they are equal.
        device: where the weights live.
        frames: newest frames of the state that the network is shown.
        input_divisor: what their bytes are divided by.
        widths: units of each hidden layer; of a convolution, channels.
    """

    HIDDEN: tuple[str, ...]  # names of the hidden layers in order
    head: nn.Linear

    def __init__(
        self,
        num_actions: int,
        generator: torch.Generator,
        device: torch.device,
        *,
        frames: int = 4,
        input_divisor: float = 255.0,
        widths: Sequence[int],
    ) -> None:
        super().__init__()
        self._frames, self._input_divisor = frames, input_divisor
        with torch.device("meta"):  # no draw from the global generator
            for name, layer in zip((*self.HIDDEN, "head"), self._layers(num_actions, frames, widths), strict=True):
                self.add_module(name, layer)
        self.to_empty(device=device)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        for name in (*self.HIDDEN, "head"):
            # Torch7's default, and PyTorch's: uniform in +-1/sqrt(fan in), weights and biases alike.
            layer = getattr(self, name)
            bound = layer.weight[0].numel() ** -0.5
            for parameter in (layer.weight, layer.bias):
                drawn = torch.empty(parameter.shape).uniform_(-bound, bound, generator=generator)
                parameter.data.copy_(drawn)

    def _layers(self, num_actions: int, frames: int, widths: Sequence[int]) -> list[nn.Module]:
        raise NotImplementedError

    def shown(self, state: Tensor) -> Tensor:
        """What the first layer is given, in the type of the weights: [B, 4, 84, 84] u8 -> [B, frames, 84, 84]."""
        if self._frames < state.shape[1]:
            state = state[:, -self._frames :]
        # It makes the first layer's backward pass twice as fast on a CPU, and costs least while pixels are bytes.
        return channels_last(state).to(self.head.weight.dtype).div_(self._input_divisor)

    def activations(self, state: Tensor) -> list[Tensor]:
        """What each hidden layer answers to ``state`` [B, 4, 84, 84] u8, after its rectifier."""
        x, found = self.shown(state), list[Tensor]()
        for name in self.HIDDEN:
            layer = getattr(self, name)
            x = layer(x.flatten(1) if isinstance(layer, nn.Linear) else x).relu_()
            found.append(x)
        return found

    def forward(self, state: Tensor) -> Tensor:
        """[B, 4, 84, 84] u8 -> [B, A] in the type of the weights."""
        q: Tensor = self.head(self.activations(state)[-1])
        return q


class NatureNetwork(QNetwork):
    """Three convolutions and a dense layer, as in the paper."""

    HIDDEN = ("conv1", "conv2", "conv3", "hidden")

    def __init__(
        self,
        num_actions: int,
        generator: torch.Generator,
        device: torch.device,
        *,
        frames: int = 4,
        input_divisor: float = 255.0,
        widths: Sequence[int] = (32, 64, 64, 512),
    ) -> None:
        super().__init__(num_actions, generator, device, frames=frames, input_divisor=input_divisor, widths=widths)

    def _layers(self, num_actions: int, frames: int, widths: Sequence[int]) -> list[nn.Module]:
        one, two, three, dense = widths
        return [
            nn.Conv2d(frames, one, kernel_size=8, stride=4),  # [32, 20, 20]
            nn.Conv2d(one, two, kernel_size=4, stride=2),  # [64, 9, 9]
            nn.Conv2d(two, three, kernel_size=3, stride=1),  # [64, 7, 7]
            nn.Linear(three * 7 * 7, dense),
            nn.Linear(dense, num_actions),
        ]


class FlatNetwork(QNetwork):
    """Dense layers on the flattened frames: no convolution, so a pixel's neighbours mean nothing to it."""

    HIDDEN = ("hidden1", "hidden")

    def _layers(self, num_actions: int, frames: int, widths: Sequence[int]) -> list[nn.Module]:
        sizes = (frames * 84 * 84, *widths, num_actions)
        return [nn.Linear(inputs, outputs) for inputs, outputs in pairwise(sizes)]


def make_network(
    network: str,
    num_actions: int,
    generator: torch.Generator,
    device: torch.device,
    *,
    frames: int = 4,
    input_divisor: float = 255.0,
) -> QNetwork:
    """The network called ``nature``, ``half_width`` or ``flat_mlp``, with fresh weights on ``device``."""
    kinds: dict[str, tuple[type[QNetwork], tuple[int, ...]]] = {
        "nature": (NatureNetwork, (32, 64, 64, 512)),
        "half_width": (NatureNetwork, (16, 32, 32, 256)),
        "flat_mlp": (FlatNetwork, (128, 128)),
    }
    kind, widths = kinds[network]
    return kind(num_actions, generator, device, frames=frames, input_divisor=input_divisor, widths=widths)
