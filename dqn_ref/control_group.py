"""What a container or a batch job may use of the machine: the limits of Linux's control groups (version 2)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

MEMBERSHIP, ROOT = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


def granted_cores(membership: Path = MEMBERSHIP, root: Path = ROOT) -> int | None:
    """Cores whose time this process gets at most, at least 1; None where there is no limit."""
    shares = []
    for group in _groups(membership, root):
        quota, period = (_read(group / "cpu.max") or "max max").split()
        if quota != "max":
            shares.append(int(quota) / int(period))
    return max(1, math.floor(min(shares))) if shares else None


def memory_left(membership: Path = MEMBERSHIP, root: Path = ROOT) -> int | None:
    """Bytes that this process can still take; None where there is no limit. What only caches files is free."""
    left = []
    for group in _groups(membership, root):
        limit, used = _read(group / "memory.max"), _read(group / "memory.current")
        if limit and used and limit != "max":
            counted = dict(line.split() for line in _read(group / "memory.stat").splitlines())
            left.append(int(limit) - int(used) + int(counted.get("inactive_file", 0)))
    return max(0, min(left)) if left else None


def _groups(membership: Path, root: Path) -> Iterator[Path]:
    """The folder of this process's group, and those of the groups that it is in."""
    own = next((line[3:] for line in _read(membership).splitlines() if line.startswith("0::")), None)
    if own is not None:
        group = root / own.lstrip("/")
        yield group
        while group != root:
            group = group.parent
            yield group


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:  # another system, or a group without this limit
        return ""
