"""The speed gate's workloads with a learner that takes ``settings["slowdown"]`` times as long: what the gate must find.

Only the process that serves this file is slowed, by wrapping a method there; nothing in ``dqn_ref`` knows of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from benchmarks.speed import workloads as plain

about, clock = plain.about, plain.clock


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


def workloads(settings: Mapping[str, Any]) -> dict[str, Callable[[], tuple[Callable[[], object], float]]]:
    """Those of benchmarks/speed/workloads.py, on a CPU."""
    from dqn_ref.learner import Learner

    Learner.update = slowed(Learner.update, settings["slowdown"])  # type: ignore[method-assign]
    return plain.workloads(settings)
