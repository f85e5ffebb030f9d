"""The device that trains: choosing it, what makes it repeatable, and whether the replay fits it."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path
from typing import Any

import psutil
import torch

from dqn_ref.config import GPU_MEMBER_BYTES, TRANSITION_BYTES, UserError
from dqn_ref.control_group import memory_left


def select_device(name: str) -> torch.device:
    """The device called auto, cpu or cuda. Raises UserError: CUDA asked for and not there."""
    # Read when CUDA starts. Branches of a graph run side by side on as many queues; by default on 8.
    os.environ.setdefault("CUDA_DEVICE_MAX_CONNECTIONS", "32")
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda was asked for, but PyTorch finds no CUDA device. Use --device cpu or auto.")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def prepare_torch(device: torch.device, threads: int | None = None) -> dict[str, Any]:
    """Set what makes a run repeatable, and return it for the record."""
    if threads is not None:
        torch.set_num_threads(threads)
    _keep_freed_memory()
    # The running means of dead units decay into denormal numbers, which processors handle slowly.
    torch.set_flush_denormal(True)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_deterministic_debug_mode("error")  # use_deterministic_algorithms imports the compiler: 2 s
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    gpu = torch.cuda.get_device_properties(device) if device.type == "cuda" else None
    return {
        "device": device.type,
        "gpu": gpu and {"name": gpu.name, "memory_bytes": gpu.total_memory, "cuda": torch.version.cuda},
        "driver": _driver_version() if gpu else None,
        "threads": torch.get_num_threads(),
        "deterministic_algorithms": True,
        "flush_denormal": True,
        "tf32": False,
    }


def _keep_freed_memory() -> None:
    """Tell glibc to keep what an update frees; the next one takes it again.

    Otherwise it returns megabytes to the system after each update and pays for them with up to 2,000
    page faults in the next: 2 to 11 ms.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):
            trim_threshold, top_pad, mmap_threshold = -1, -2, -3  # names in malloc.h
            libc.mallopt(mmap_threshold, 32 << 20)
            libc.mallopt(trim_threshold, 1 << 30)
            libc.mallopt(top_pad, 64 << 20)


def _free_memory() -> int:
    machine, own = psutil.virtual_memory().available, memory_left()
    return machine if own is None else min(machine, own)


def _driver_version() -> str | None:
    path = Path("/proc/driver/nvidia/version")
    return path.read_text().splitlines()[0] if path.exists() else None


def check_memory(transitions: int, num_members: int, device: torch.device) -> None:
    """Raise UserError if ``transitions`` in the replay of each member do not fit the device's free memory."""
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else _free_memory()
    usable = int(free * 0.95) - (num_members * GPU_MEMBER_BYTES if device.type == "cuda" else 0)
    needed = num_members * transitions * TRANSITION_BYTES
    if needed > usable:
        fits = max(0, usable) // (num_members * TRANSITION_BYTES)
        smaller = f"with --replay-capacity {fits} (no longer the protocol), " if fits else ""
        raise UserError(
            f"The replay needs {needed / 1e9:.1f} GB ({transitions:,} transitions, {num_members} run(s)), "
            f"but {device.type} has {free / 1e9:.1f} GB free. It would fit {smaller}with fewer --frames or runs, or on "
            "a larger machine."
        )
