"""The speed gate's workloads with a learner that takes ``settings["slowdown"]`` times as long: what the gate must find.

Only the process that serves this file is slowed, by wrapping a method there; nothing in ``dqn_ref`` knows of it.
"""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from types import ModuleType
from typing import Any


def slowed(function: Callable[..., Any], factor: float) -> Callable[..., Any]:
    """``function``, after which the processor is kept busy until it took ``factor`` times as long."""

    @wraps(function)
    def slow(*arguments: Any, **named: Any) -> Any:
        start = time.perf_counter()
        answer = function(*arguments, **named)
        until = start + factor * (time.perf_counter() - start)
        while time.perf_counter() < until:
            pass
        return answer

    return slow


def _plain() -> ModuleType:
    file = Path(__file__).resolve().parents[1] / "speed" / "workloads.py"
    spec = importlib.util.spec_from_file_location("_plain_workloads", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


PLAIN = _plain()
about, clock = PLAIN.about, PLAIN.clock


def workloads(settings: Mapping[str, Any]) -> dict[str, Callable[[], tuple[Callable[[], object], float]]]:
    """Those of benchmarks/speed/workloads.py, on a CPU."""
    from dqn_ref.learner import Learner

    Learner.update = slowed(Learner.update, settings["slowdown"])  # type: ignore[method-assign]
    set_ups: dict[str, Callable[[], tuple[Callable[[], object], float]]] = PLAIN.workloads(settings)
    return set_ups
