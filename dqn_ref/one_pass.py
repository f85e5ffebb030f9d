"""What a CPU does faster in one pass over memory than in several tensor operations; compiled by Numba.

Each loop does what tensor operations do on a GPU, and on a CPU where Numba is not to be had. They run on one core: they
are short, and only the thread that trains has been told to flush denormal numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Numbers = NDArray[np.floating[Any]]
Bytes = NDArray[np.uint8]


_by_operations = False


@contextmanager
def by_operations() -> Iterator[None]:
    """The body computes on a CPU as on a GPU: for counting, and for comparing."""
    global _by_operations
    before, _by_operations = _by_operations, True
    try:
        yield
    finally:
        _by_operations = before


def as_on_a_cpu(tensor: Tensor) -> bool:
    """Whether ``tensor`` lies on a CPU and is not to be computed with as on a GPU."""
    return tensor.is_cpu and not _by_operations


def compiled(loop: Callable[..., None]) -> Callable[..., None] | None:
    """``loop``, compiled; None where Numba is not to be had, and ``by_operations``."""
    return None if _by_operations else _compiled(loop)


@cache
def _compiled(loop: Callable[..., None]) -> Callable[..., None] | None:
    try:
        import numba
    except ImportError:
        return None
    try:
        return numba.njit(cache=True, error_model="numpy")(loop)
    except RuntimeError:  # no folder in which the compiled code could be kept
        return numba.njit(error_model="numpy")(loop)


# ---------------------------------------------------------------------- RMSProp


def rmsprop_step(
    weight: Numbers,
    gradient: Numbers,
    mean: Numbers,
    mean_square: Numbers,
    rate: float,
    new: float,  # share of the newest gradient in the mean
    new_square: float,  # and in the mean square
    floor: float,
    floor_outside_root: bool,
) -> None:
    """As ``optimizer.py`` has it, for flat arrays; all numbers of one type, or those of greater precision prevail."""
    for i in range(weight.size):
        d = gradient[i]
        mean[i] += new * (d - mean[i])
        mean_square[i] += new_square * (d * d - mean_square[i])
        variance = mean_square[i] - mean[i] * mean[i]
        root = np.sqrt(variance) + floor if floor_outside_root else np.sqrt(variance + floor)
        weight[i] -= rate * d / root


def flat(tensor: Tensor) -> Numbers:
    """The elements of a dense CPU tensor in the order in which they lie in memory; no copy."""
    numbers: Numbers = tensor.detach().as_strided((tensor.numel(),), (1,)).numpy()
    return numbers


# ---------------------------------------------------------------------- frames to channels


def _interleave(frames: Bytes, pixels: Bytes) -> None:
    for row in range(len(frames)):
        first, second, third, fourth = frames[row, 0], frames[row, 1], frames[row, 2], frames[row, 3]
        for i in range(first.size):
            pixels[row, i, 0] = first[i]
            pixels[row, i, 1] = second[i]
            pixels[row, i, 2] = third[i]
            pixels[row, i, 3] = fourth[i]


def channels_last(state: Tensor) -> Tensor:
    """``state`` [B, K, H, W] u8 with what its frames have at a pixel side by side in memory; the same values."""
    loop = compiled(_interleave) if state.is_cpu and state.shape[1] == 4 and state.is_contiguous() else None
    if loop is None:
        return state.contiguous(memory_format=torch.channels_last)
    count, frames, height, width = state.shape
    pixels = torch.empty((count, height, width, frames), dtype=torch.uint8)
    area = height * width
    loop(state.numpy().reshape(count, frames, area), pixels.numpy().reshape(count, area, frames))
    return pixels.permute(0, 3, 1, 2)
