"""Where a run comes from: source, versions, machine, ROM, command."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

import dqn_ref

SOURCE = Path(__file__).resolve().parent.parent
PACKAGES = ("dqn-ref", "torch", "ale-py", "gymnasium", "numpy", "numba")


def provenance(rom_md5: str, torch_state: dict[str, Any]) -> dict[str, Any]:
    """The cause of a result, as recorded in run.json. ``torch_state`` is what the caller set there."""
    lock = SOURCE / "constraints.txt"
    return {
        "source": source_revision(),
        "lock_sha256": hashlib.sha256(lock.read_bytes()).hexdigest() if lock.exists() else None,
        "versions": {"python": platform.python_version(), **{name: version_of(name) for name in PACKAGES}},
        "rom_md5": rom_md5,
        "machine": machine(),
        "torch": torch_state,
        "command": shlex.join([Path(sys.executable).name, *sys.orig_argv[1:]]),
    }


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What a run's last bits may depend on, and is not known to be the same in two provenances."""
    known = before.get("source") == now["source"] and now["source"]["dirty"] is False
    versions = [name for name, version in now["versions"].items() if version != before.get("versions", {}).get(name)]
    kept = {"machine": ("cpu", "vector"), "torch": ("device", "gpu", "driver", "threads")}
    others = [
        name for part, names in kept.items() for name in names if before.get(part, {}).get(name) != now[part].get(name)
    ]
    return [*([] if known else ["source"]), *versions, *others]


def source_revision() -> dict[str, Any]:
    """Commit of the source and whether files that can change a score differ from it."""
    commit = _git("rev-parse", "HEAD")
    changes = _git("status", "--porcelain", "--", "dqn_ref", "benchmarks", "constraints.txt", "pyproject.toml")
    return {"commit": commit or None, "dirty": bool(changes) if commit else None}


def machine() -> dict[str, Any]:
    """Processor, its vector instructions, usable cores, memory and operating system."""
    return {
        "cpu": _cpu_model(),
        "vector": _vector_instructions(),
        "cores": dqn_ref.CORES,
        "memory_bytes": psutil.virtual_memory().total,
        "system": f"{platform.system()} {platform.machine()}",
    }


FINGERPRINT = ("gpu", "vector", "cpu", "cores")  # what tells machines apart, what matters most first


def same_machine(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two machines cannot be told apart."""
    return all(one.get(key) == other.get(key) for key in FINGERPRINT)


def machine_words(machine: Mapping[str, Any]) -> str:
    """For a caption, e.g. ``NVIDIA H100, 2 cores of AMD EPYC (avx2)``; older records do not say the instructions."""
    gpu = f"{machine['gpu']}, " if machine.get("gpu") else ""
    vector = f" ({machine['vector']})" if machine.get("vector") else ""
    return f"{gpu}{machine.get('cores', '?')} cores of {machine.get('cpu', 'an unknown processor')}{vector}"


def source_words(source: Mapping[str, Any]) -> str:
    """For a caption, e.g. ``0123456789 with uncommitted changes``; ``unknown`` where there was no git."""
    commit = source.get("commit") or "unknown"
    return f"{commit[:10]}{' with uncommitted changes' if source.get('dirty') else ''}"


def version_of(package: str) -> str | None:
    """Version of an installed package; None if it is not there."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _git(*arguments: str) -> str:
    try:
        done = git_in(SOURCE, *arguments)
    except OSError:  # no git on this machine
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def git_in(repository: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What git did in ``repository``, also when called from a hook of another one. Raises OSError: there is no git."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", str(repository), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def _vector_instructions() -> str | None:
    """The most capable of those that matter to a network's speed; cloud processors hide their model."""
    try:
        flags = set(Path("/proc/cpuinfo").read_text().split())
    except OSError:
        return None
    return next((name for name in ("amx_bf16", "avx512_bf16", "avx512f", "avx2") if name in flags), None)


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
