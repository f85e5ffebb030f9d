"""Measure how fast this machine plays, acts, learns and trains: python -m benchmarks.speed"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from benchmarks.costs import format_seconds
from benchmarks.jobs import end_when_told
from benchmarks.speed import result as results
from benchmarks.speed.catalogue import BENCHES, GAME, SUITE, expected_names, kind_of
from benchmarks.store import Store, read_stored
from dqn_ref.config import UserError
from dqn_ref.provenance import SOURCE, machine, source_revision, version_of
from dqn_ref.records import now

if TYPE_CHECKING:
    from benchmarks.speed.bench_speed import Setting

MEMBERS = {"cuda": (1, 2, 4, 8, 16), "cpu": (1, 2, 4)}
VERSIONS = ("torch", "ale-py", "numpy", "pytest-benchmark")
SAMPLES = ("--benchmark-min-time=0.1", "--benchmark-max-time=1.5", "--benchmark-min-rounds=8")  # seconds
QUICK_SAMPLES = ("--benchmark-min-time=0.0001", "--benchmark-max-time=0.001", "--benchmark-min-rounds=3")
console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)


def measure(
    device_name: str, members: tuple[int, ...] | None, quick: bool, broken_off: Path = Path()
) -> dict[str, Any]:
    """Run the benches; returns what is stored. ``broken_off``: folder for the samples of a measurement that ends early.

    Raises:
        UserError: the device is not there, the members do not fit it, or a bench failed.
        KeyboardInterrupt: while measuring.
    """
    if not find_spec("pytest_benchmark"):
        raise UserError("The benches need pytest-benchmark: pip install 'pytest-benchmark>=5'.")
    from benchmarks.speed.bench_speed import Setting
    from benchmarks.speed.workloads import REPLAY_CAPACITY
    from dqn_ref.device import check_memory, prepare_torch, select_device

    device = select_device(device_name)
    members = members or ((1, 2) if quick else MEMBERS[device.type])
    try:
        check_memory(REPLAY_CAPACITY, max(members), device)
    except UserError:
        raise UserError(
            f"{max(members)} members do not fit the free memory of {device}; try fewer --members."
        ) from None
    torch_state = prepare_torch(device) | {"precision": "float32"}
    where: dict[str, Any] = machine() | {"gpu": torch_state["gpu"] and torch_state["gpu"]["name"]}
    without = [bench.needs for bench in BENCHES.values() if bench.needs and not find_spec(bench.needs)]
    expected = expected_names(members, where["cores"], not quick, without)
    source, started, begin = source_revision(), now(), time.perf_counter()  # before a file may change
    measured = run_benches(Setting(device, members, where["cores"], not quick, quick), expected, broken_off)
    return {
        "schema": results.SCHEMA,
        "started": started,
        "seconds": round(time.perf_counter() - begin, 1),
        "quick": quick,
        "device": device.type,
        "members": list(members),
        "game": GAME,
        "suite": SUITE,
        "machine": where,
        "torch": torch_state,
        "versions": {name: version_of(name) for name in VERSIONS},
        "source": source,
        "benchmarks": measured,
    }


def run_benches(setting: Setting, expected: Sequence[str], broken_off: Path) -> dict[str, dict[str, Any]]:
    """Have pytest run the benches in this process; returns the ``expected`` ones as they are stored."""
    import pytest

    file = "benchmarks/speed/bench_speed.py"
    left_out = [kind for kind in BENCHES if kind not in map(kind_of, expected)]
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw.json"
        options = [
            # This module's options, not those of the tests.
            "-c", os.devnull, "--rootdir", str(SOURCE), "-o", "python_functions=bench_*", "-p", "no:cacheprovider",
            "-v", "--no-header", "--tb=short", *(f"--deselect={file}::bench_{kind}" for kind in left_out),
            f"--benchmark-json={raw}", "--benchmark-timer=benchmarks.speed.workloads.clock", "--benchmark-quiet",
            "--benchmark-disable-gc", "--benchmark-warmup=on", "--benchmark-warmup-iterations=1",
            *(QUICK_SAMPLES if setting.quick else SAMPLES),
        ]  # fmt: skip
        code = pytest.main([*options, str(SOURCE / file)], plugins=[setting])
        kept = f" What the others measured is kept in {keep(raw, broken_off)}." if code and raw.exists() else ""
        if code == pytest.ExitCode.INTERRUPTED:
            raise KeyboardInterrupt(kept)
        if code:
            raise UserError(f"A bench failed (pytest's exit code {int(code)}); its message is above.{kept}")
        return results.benchmarks_of(json.loads(raw.read_text()), expected)


def keep(raw: Path, folder: Path) -> Path:
    """Move pytest's file ``raw`` out of its temporary folder into ``folder``, over nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = (folder / f"bench-speed-failed-{number}.json" for number in itertools.count())
    return Path(shutil.move(raw, next(path for path in paths if not path.exists()))).resolve()


def show(result: Mapping[str, Any]) -> None:
    """Print a measurement's tables."""
    measured, device = result["benchmarks"], result["device"]
    for table in (
        results.benchmark_table(measured),
        results.ratio_table(measured),
        results.split_table(measured, device),
    ):
        console.print(table)
        console.print()
    for line in results.summary(measured, device):
        console.print(line, markup=False, soft_wrap=True)


def draw(result: Mapping[str, Any], folder: Path) -> None:
    """Draw a measurement where the packages for it are there."""
    try:
        from benchmarks.speed.drawings import draw_speed
    except ImportError as error:  # a machine that only measures
        print(f"Nothing is drawn: {error.name} is not installed. Later: python -m benchmarks.speed --show FILE")
        return
    print(f"Drawn in {draw_speed(result, folder)[0].parent}")


def measurement_at(path: Path) -> dict[str, Any]:
    """A stored measurement. Raises UserError: not there, or not one."""
    result = read_stored(path)
    if not isinstance(result, dict) or result.get("schema") != results.SCHEMA or "benchmarks" not in result:
        raise UserError(f"{path} is no speed measurement of schema {results.SCHEMA}.")
    return result


def _member_count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a number of members is whole and at least 1, got {text!r}")
    return int(text)


def main(arguments: list[str] | None = None) -> int:
    """Exit code: 0 measured, 2 a measurement was not possible, 130 interrupted."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=(__doc__ or "").split(":")[0] + ".")
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="auto takes CUDA if it is there"
    )
    parser.add_argument(
        "--members", type=_member_count, nargs="+", metavar="N",
        help="sizes of the populations (default: 1 2 4 8 16 with CUDA, 1 2 4 without)",
    )  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that it works; the times mean nothing")
    parser.add_argument(
        "--results", type=Path, help="results folder (default: results; with --quick nothing is stored)"
    )
    parser.add_argument(
        "--show", type=Path, metavar="FILE", help="print and draw a stored measurement; measures nothing"
    )
    asked = parser.parse_args(arguments)
    folder = asked.results or (None if asked.quick else Path("results"))
    members = tuple(sorted(set(asked.members))) if asked.members else None
    end_when_told()
    try:
        if folder and not asked.show:
            Store(folder).check_writable()
        broken_off = folder or Path()
        result = measurement_at(asked.show) if asked.show else measure(asked.device, members, asked.quick, broken_off)
        console.print()
        show(result)
        print(f"Measured in {format_seconds(result['seconds'])}.")
        if folder:
            store = Store(folder)
            path = asked.show or store.store_speed("speed-quick" if asked.quick else "speed", result)
            if not asked.show:
                print(f"Stored in {path}")
            draw(result, store.plots(f"speed-{path.parent.name}"))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as interrupt:
        print(f"Interrupted. Nothing was stored.{interrupt}", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    os.environ.setdefault("MPLBACKEND", "agg")
    sys.exit(main())
