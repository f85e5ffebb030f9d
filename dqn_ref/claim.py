"""Who writes a run's folder: one process at a time, by locks that end with it."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from dqn_ref.config import UserError


@contextmanager
def claimed(folders: Sequence[Path], *, only_looks: bool = False) -> Iterator[None]:
    """In the body no other process trains the runs in ``folders``. Raises UserError: one does."""
    opened = list[int]()
    try:
        for folder in folders:
            opened.append(os.open(folder, os.O_RDONLY))
            if not _lock(opened[-1], fcntl.LOCK_SH if only_looks else fcntl.LOCK_EX):
                raise UserError(f"Another process writes {folder}. Wait for it, or stop it first.")
        yield
    finally:
        for one in opened:
            os.close(one)


def _lock(file: int, lock: int) -> bool:
    for seconds in (0.05, 0.2, 0.5, 0.0) if lock == fcntl.LOCK_EX else (0.0,):
        try:
            fcntl.flock(file, lock | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(seconds)  # whoever only looks whether it is claimed holds it for a moment
        except OSError:  # a file system without locks; the recorded process tells (is_being_written)
            return True
        else:
            return True
    return False


@contextmanager
def alone_with(path: Path) -> Iterator[None]:
    """In the body no other process is in a body of its own with the file at ``path``; it is waited for."""
    with path.open() as file:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
