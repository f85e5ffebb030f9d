"""python -m benchmarks.gates speed | speed-baseline | calibrate-speed"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from typing import Any

import tyro

from benchmarks.gates.speed_command import SpeedBaseline, SpeedGate, gate_speed, speed_baseline
from benchmarks.gates.speed_study import CalibrateSpeed, calibrate_speed
from dqn_ref.config import UserError

COMMANDS: dict[str, tuple[type, Callable[[Any], int]]] = {
    "speed": (SpeedGate, gate_speed),
    "speed-baseline": (SpeedBaseline, speed_baseline),
    "calibrate-speed": (CalibrateSpeed, calibrate_speed),
}


def main(arguments: list[str] | None = None) -> int:
    """Exit code: that of the gate; 2 a user's mistake elsewhere, 130 interrupted."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        command = tyro.extras.subcommand_cli_from_dict(
            {name: kind for name, (kind, _) in COMMANDS.items()}, prog="python -m benchmarks gate", args=arguments
        )
        return next(action for kind, action in COMMANDS.values() if kind is type(command))(command)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
