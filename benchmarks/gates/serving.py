"""The measured process: sets up the workloads of a file, then takes one sample of one of them whenever it is told to.

It is run by its path (see ``revisions.py``) in the tree that it measures, with nothing but the standard library, so
that it works in any revision of any project. The file of workloads has

- ``workloads(settings) -> {name: set_up}``, where ``set_up()`` returns a call to be timed and its units of work;
- optionally ``clock()``, in seconds, and ``about(settings)``, a dictionary to be kept with the samples.

It answers in lines of JSON: what was set up and what could not be, then seconds of a call for every name that it reads.
"""

from __future__ import annotations

import gc
import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

WARM_UP_CALLS = 4  # libraries set themselves up in their first calls, and graphs are captured


def main(file: str, settings: dict[str, Any], tree: str) -> None:
    """Serve the workloads of ``file`` until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever else is printed is no answer
    module = load(Path(file))
    clock: Callable[[], float] = getattr(module, "clock", time.perf_counter)
    ready, failed = dict[str, tuple[Callable[[], object], float, int]](), dict[str, str]()
    set_ups = module.workloads(settings)
    for name in settings.get("benchmarks") or set_ups:
        try:
            call, work = set_ups[name]()
            ready[name] = call, work, calls_of_a_sample(call, clock, settings["sample_seconds"])
        except Exception as error:  # another revision may lack it, in whatever way
            failed[name] = f"{type(error).__name__}: {error}"
    gc.collect()
    gc.freeze()  # what was set up is not looked through again during a sample
    first = {
        "work": {name: work for name, (_, work, _) in ready.items()},
        "failed": failed,
        "about": module.about(settings) if hasattr(module, "about") else {},
        "foreign": foreign_modules(Path(tree)),
    }
    print(json.dumps(first), file=answers, flush=True)
    for line in sys.stdin:
        call, _, calls = ready[line.strip()]
        print(json.dumps(sample(call, calls, clock)), file=answers, flush=True)


def load(file: Path) -> ModuleType:
    """The module in ``file``, whatever its package."""
    spec = importlib.util.spec_from_file_location(f"_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def calls_of_a_sample(call: Callable[[], object], clock: Callable[[], float], sample_seconds: float) -> int:
    """Warm ``call`` up; returns how many calls take about ``sample_seconds``, at least 1."""
    for _ in range(WARM_UP_CALLS):
        call()
    calls, seconds = 1, 0.0
    while True:  # doubled, so that the clock is read seldom
        seconds = calls * sample(call, calls, clock)
        if seconds >= sample_seconds / 2:
            return max(1, round(calls * sample_seconds / seconds))
        calls *= 2


def sample(call: Callable[[], object], calls: int, clock: Callable[[], float]) -> float:
    """Seconds of one of ``calls`` calls."""
    start = clock()
    for _ in range(calls):
        call()
    return (clock() - start) / calls


def foreign_modules(tree: Path) -> dict[str, str]:
    """Modules that ``tree`` has but that were loaded from elsewhere: an installed copy would be measured instead."""
    found = {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and "." not in name:
            places = [root / rest for root in (tree, tree / "src") for rest in (f"{name}/__init__.py", f"{name}.py")]
            own = [place.resolve() for place in places if place.exists()]
            if own and Path(file).resolve() not in own:
                found[name] = file
    return found


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]), sys.argv[3])
