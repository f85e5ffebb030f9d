"""How work reaches the device: copies that are not waited for, branches side by side, captured graphs.

On a CPU each of these is the plain thing: a copy, a loop, a call.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

WARM_UP_CALLS = 3  # before a capture, as PyTorch asks for: libraries set themselves up in their first calls
# Of a population. PyTorch has 32 streams on a device and hands them out again from the first; populations that take
# turns have one each, two for their captures and these, and must share none, as libraries' workspaces go by stream.
BRANCH_STREAMS = 12
PINNED_BUFFERS = 4  # of an upload: steps that the device may lag behind before a copy is waited for


class Upload:
    """Copies arrays of one shape to the device through pinned buffers in turn, so that no copy is waited for."""

    def __init__(self, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> None:
        pinned = PINNED_BUFFERS if device.type == "cuda" else 0
        self._buffers = [torch.empty(shape, dtype=dtype, pin_memory=True) for _ in range(pinned)]
        self._copied = [torch.cuda.Event() for _ in range(pinned)]  # type: ignore[no-untyped-call]
        self._next = 0

    def __call__(self, source: NDArray[np.generic], target: Tensor) -> None:
        """Copy ``source`` into ``target``; it may be changed afterwards."""
        if not self._buffers:
            np.copyto(target.numpy(), source)  # PyTorch's copy may wake a thread for every core, and this does not
            return
        buffer, copied = self._buffers[self._next], self._copied[self._next]
        self._next = (self._next + 1) % len(self._buffers)
        copied.synchronize()  # long done, unless the device lags
        np.copyto(buffer.numpy(), source)
        target.copy_(buffer, non_blocking=True)
        copied.record()


class Branches:
    """Runs a body for each member; on a GPU each on a stream of its own, so that the device may overlap them."""

    def __init__(self, count: int, device: torch.device) -> None:
        self.count = count
        streams = min(count, BRANCH_STREAMS) if device.type == "cuda" and count > 1 else 0
        self._streams = [torch.cuda.Stream(device) for _ in range(streams)]  # type: ignore[no-untyped-call]

    def run(self, body: Callable[[int], None]) -> None:
        """Call ``body(0)`` to ``body(count - 1)``; what follows on the current stream waits for all of them."""
        if not self._streams:
            for number in range(self.count):
                body(number)
            return
        trunk = torch.cuda.current_stream()
        fork = trunk.record_event()
        for first, stream in enumerate(self._streams):
            stream.wait_event(fork)
            with torch.cuda.stream(stream):
                for number in range(first, self.count, len(self._streams)):
                    body(number)
        for stream in self._streams:
            trunk.wait_stream(stream)


class Captured:
    """A fixed sequence of tensor operations that reads nothing back, launched as one CUDA graph.

    The first calls run it plainly. What it reads must lie at fixed addresses; numbers of the host that it
    uses are frozen into the graph. The work is given with each call and not kept: its owner would be kept with it,
    and a graph that outlives its owner's last use would be freed at any time, with the workspaces of its stream.
    """

    def __init__(self, captures: bool) -> None:
        self._calls = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        # One stream for all its calls: libraries keep a workspace for each stream that they have seen.
        self._stream = torch.cuda.Stream() if captures else None  # type: ignore[no-untyped-call]

    def __call__(self, work: Callable[[], None]) -> None:
        """Do ``work``, always the same, or have the device do it."""
        if self._stream is None:
            work()
        elif self._calls < WARM_UP_CALLS:
            self._calls += 1
            trunk = torch.cuda.current_stream()
            self._stream.wait_stream(trunk)
            with torch.cuda.stream(self._stream):
                work()
            trunk.wait_stream(self._stream)
        else:
            if self._graph is None:
                self._graph = self._captured(work, self._stream)
            self._graph.replay()

    @staticmethod
    def _captured(work: Callable[[], None], stream: torch.cuda.Stream) -> torch.cuda.CUDAGraph:
        graph, trunk = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
        try:
            with _no_collection(), torch.cuda.graph(graph, stream=stream):
                work()
        except BaseException:
            torch.cuda.set_stream(trunk)  # a capture that breaks off may leave its own the current one
            raise
        return graph


@contextmanager
def _no_collection() -> Iterator[None]:
    """Nothing is freed by the garbage collector in the body: to free an older graph would break off a capture."""
    gc.collect()
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class Turns:
    """Has several populations work each on a stream of its own, so that none waits for another's update.

    Whoever reads from them in between does it ``settled``.
    """

    def __init__(self, count: int, device: torch.device) -> None:
        streams = count if device.type == "cuda" and count > 1 else 0
        self._streams = [torch.cuda.Stream(device) for _ in range(streams)]  # type: ignore[no-untyped-call]
        _synchronize(device)  # what was made before on another stream is there

    def of(self, number: int) -> AbstractContextManager[None]:
        """In its body the device works for population ``number``."""
        return torch.cuda.stream(self._streams[number]) if self._streams else nullcontext()


@contextmanager
def settled(device: torch.device) -> Iterator[None]:
    """The body finds all of the device's work done, and all that follows finds the body's done."""
    _synchronize(device)
    yield
    _synchronize(device)


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
