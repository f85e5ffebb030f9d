"""The Nature network and its initialisation (paper, Methods: "Model architecture"), and two that deviate from it."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from dqn_ref.one_pass import as_on_a_cpu, channels_last


def draw_weights(kind: str, weight: Tensor, bias: Tensor, generator: torch.Generator) -> None:
    """Fill a layer's ``weight`` [outputs, inputs, ...] and ``bias`` [outputs] with fresh values.

    ``uniform``: both in ±1/sqrt(fan in), Torch7's default and PyTorch's. ``he_normal``: normal with variance 2 / fan in
    (He et al. 2015). ``glorot_uniform``: uniform with variance 2 / (fan in + fan out) (Glorot and Bengio 2010). The
    biases of the last two are 0.
    """
    if kind == "uniform":
        bound = weight[0].numel() ** -0.5
        weight.uniform_(-bound, bound, generator=generator)
        bias.uniform_(-bound, bound, generator=generator)
        return
    if kind == "he_normal":
        nn.init.kaiming_normal_(weight, nonlinearity="relu", generator=generator)
    else:
        nn.init.xavier_uniform_(weight, generator=generator)
    bias.zero_()


class QNetwork(nn.Module):
    """Q values of every action for a state: hidden layers, each followed by a rectifier, and a linear head.

    Args:
        num_actions: size of the game's minimal action set.
        generator: draws the initial weights, on the CPU whatever the device, so that they are equal.
        device: where the weights live.
        frames: newest frames of the state that the network is shown.
        input_divisor: what their bytes are divided by.
        initial_weights: how they are drawn, see ``draw_weights``.
    """

    HIDDEN: tuple[str, ...]  # names of the hidden layers in order
    WIDTHS: tuple[int, ...]  # their units; of a convolution, channels
    head: nn.Linear

    def __init__(
        self,
        num_actions: int,
        generator: torch.Generator,
        device: torch.device,
        *,
        frames: int = 4,
        input_divisor: float = 255.0,
        initial_weights: str = "uniform",
    ) -> None:
        super().__init__()
        self._frames, self._input_divisor = frames, input_divisor
        with torch.device("meta"):  # no draw from the global generator
            for name, layer in zip((*self.HIDDEN, "head"), self._layers(num_actions, frames), strict=True):
                self.add_module(name, layer)
        self.to_empty(device=device)
        if device.type == "cpu":  # on a GPU it pays with tensor cores, which float32 does without; not measured here
            self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        for name in (*self.HIDDEN, "head"):
            layer = getattr(self, name)
            weight, bias = torch.empty(layer.weight.shape), torch.empty(layer.bias.shape)
            draw_weights(initial_weights, weight, bias, generator)
            layer.weight.data.copy_(weight)
            layer.bias.data.copy_(bias)

    def _layers(self, num_actions: int, frames: int) -> list[nn.Module]:
        raise NotImplementedError

    def shown(self, state: Tensor) -> Tensor:
        """What the first layer is given, in the type of the weights: [B, 4, 84, 84] u8 -> [B, frames, 84, 84]."""
        if self._frames < state.shape[1]:
            state = state[:, -self._frames :]
        if as_on_a_cpu(state):
            # It makes the first layer's backward pass twice as fast, and costs least while pixels are bytes.
            return channels_last(state).to(self.head.weight.dtype).div_(self._input_divisor)
        return state.div(self._input_divisor).to(self.head.weight.dtype)  # in float32 one kernel

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
    WIDTHS = (32, 64, 64, 512)

    def _layers(self, num_actions: int, frames: int) -> list[nn.Module]:
        one, two, three, dense = self.WIDTHS
        return [
            nn.Conv2d(frames, one, kernel_size=8, stride=4),  # [32, 20, 20]
            nn.Conv2d(one, two, kernel_size=4, stride=2),  # [64, 9, 9]
            nn.Conv2d(two, three, kernel_size=3, stride=1),  # [64, 7, 7]
            nn.Linear(three * 7 * 7, dense),
            nn.Linear(dense, num_actions),
        ]


class HalfWidthNetwork(NatureNetwork):
    """The same with half as many units in each layer."""

    WIDTHS = (16, 32, 32, 256)


class FlatNetwork(QNetwork):
    """Dense layers on the flattened frames: no convolution, so a pixel's neighbours mean nothing to it."""

    HIDDEN = ("hidden1", "hidden")
    WIDTHS = (128, 128)

    def _layers(self, num_actions: int, frames: int) -> list[nn.Module]:
        sizes = (frames * 84 * 84, *self.WIDTHS, num_actions)
        return [nn.Linear(inputs, outputs) for inputs, outputs in pairwise(sizes)]


NETWORKS: dict[str, type[QNetwork]] = {
    "nature": NatureNetwork,
    "half_width": HalfWidthNetwork,
    "flat_mlp": FlatNetwork,
}
