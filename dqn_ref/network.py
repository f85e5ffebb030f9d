"""The Nature network and its initialisation (paper, Methods: "Model architecture")."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class NatureNetwork(nn.Module):
    """Q values of every action for a state of four frames.

    Args:
        num_actions: size of the game's minimal action set.
        generator: draws the initial weights, on the CPU whatever the device, so that they are equal.
        device: where the weights live.
    """

    def __init__(self, num_actions: int, generator: torch.Generator, device: torch.device) -> None:
        super().__init__()
        with torch.device("meta"):  # no draw from the global generator
            self.conv1 = nn.Conv2d(4, 32, kernel_size=8, stride=4)  # [32, 20, 20]
            self.conv2 = nn.Conv2d(32, 64, kernel_size=4, stride=2)  # [64, 9, 9]
            self.conv3 = nn.Conv2d(64, 64, kernel_size=3, stride=1)  # [64, 7, 7]
            self.hidden = nn.Linear(64 * 7 * 7, 512)
            self.head = nn.Linear(512, num_actions)
        self.to_empty(device=device)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        for layer in (self.conv1, self.conv2, self.conv3, self.hidden, self.head):
            # Torch7's default, and PyTorch's: uniform in +-1/sqrt(fan in), weights and biases alike.
            bound = layer.weight[0].numel() ** -0.5
            for parameter in (layer.weight, layer.bias):
                assert parameter is not None
                drawn = torch.empty(parameter.shape).uniform_(-bound, bound, generator=generator)
                parameter.data.copy_(drawn)

    def forward(self, state: Tensor) -> Tensor:
        """[B, 4, 84, 84] u8 -> [B, A] in the type of the weights."""
        # channels_last makes the first layer's backward pass twice as fast on a CPU; reordering bytes
        # before they become floats takes 1.1 ms a batch on one core, after it 2.6 ms.
        x = state.contiguous(memory_format=torch.channels_last).to(self.head.weight.dtype).div_(255.0)
        x = self.conv1(x).relu_()
        x = self.conv2(x).relu_()
        x = self.conv3(x).relu_()
        x = self.hidden(x.flatten(1)).relu_()
        q: Tensor = self.head(x)
        return q
