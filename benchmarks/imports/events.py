"""Event files of TensorBoard: the scalars and the texts of a run."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dqn_ref.config import UserError

Series = tuple[NDArray[np.int64], NDArray[np.float64]]  # steps [N], values [N]

_HEADER = 8 + 4  # of a record: length, checksum of the length; its data and their checksum (4 bytes) follow
_FOOTER = 4


@dataclass(frozen=True)
class Log:
    """All that a run's event files say."""

    folder: Path
    scalars: dict[str, Series]
    texts: dict[str, str]
    last_step: int  # the highest step of any scalar: how far the run is known to have come


def is_events(path: Path) -> bool:
    """Whether the name is that of an event file."""
    return "tfevents" in path.name


def read_log(folder: Path, files: Sequence[Path]) -> Log:
    """The log of the run in ``folder`` from its event ``files``, the older one first.

    A killed run leaves its last record cut off: what stands before it counts, and the run is as long as that.

    Raises:
        UserError: a file cannot be read, is no event file, or is damaged before its end.
    """
    steps: dict[str, list[int]] = {}
    values: dict[str, list[float]] = {}
    texts: dict[str, str] = {}
    for path in sorted(files):  # names begin with the time
        for step, tag, value in _entries(path):
            if isinstance(value, str):
                texts.setdefault(tag, value)
            else:
                steps.setdefault(tag, []).append(step)
                values.setdefault(tag, []).append(value)
    scalars = {tag: (np.array(steps[tag], np.int64), np.array(values[tag], np.float64)) for tag in steps}
    return Log(folder, scalars, texts, max((int(series.max()) for series, _ in scalars.values()), default=0))


def _entries(path: Path) -> Iterator[tuple[int, str, float | str]]:
    """Step, tag and value of the scalars and texts in one file."""
    from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
    from tensorboard.compat.proto.event_pb2 import Event

    done = 0
    try:
        size = path.stat().st_size
        # Twice as fast as EventAccumulator, which rewrites each event; the checksums are checked here, too.
        for record in RawEventFileLoader(str(path.absolute())).Load():
            done += _HEADER + len(record) + _FOOTER
            event = Event.FromString(record)
            for value in event.summary.value:
                content = _content(value)
                if content is not None:
                    yield event.step, value.tag, content
        damaged = done < size and not _cut_off(path, done)
    except Exception as error:  # of protobuf, TensorBoard, TensorFlow or the system, of a file that anything may be in
        raise UserError(f"{path} cannot be read as TensorBoard events: {type(error).__name__} {error}.") from None
    if damaged:
        raise UserError(
            f"{path} is damaged at byte {done:,} of {size:,}, and what follows cannot be read. "
            "Copy it again from where it was made, or move the run away."
        )


def _content(value: Any) -> float | str | None:
    """A summary's number or text; None if it is an image, a histogram or the like."""
    from tensorboard.util import tensor_util

    if value.HasField("simple_value"):
        return float(value.simple_value)
    if not value.HasField("tensor") or any(dimension.size != 1 for dimension in value.tensor.tensor_shape.dim):
        return None
    array = tensor_util.make_ndarray(value.tensor)
    if array.size != 1:
        return None
    if array.dtype.kind in "fiu":
        return float(array.item())
    content = array.item()
    return content.decode("utf-8", errors="replace") if isinstance(content, bytes) else None


def _cut_off(path: Path, start: int) -> bool:
    """Whether the record at byte ``start`` merely ends too early: its head is whole and right, or not whole."""
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

    with path.open("rb") as file:
        file.seek(start)
        head = file.read(_HEADER)
        if len(head) < _HEADER:
            return True
        length, checksum = struct.unpack("<QI", head)
        left = path.stat().st_size - start - _HEADER
        return bool(checksum == masked_crc32c(head[:8]) and left < length + _FOOTER)
