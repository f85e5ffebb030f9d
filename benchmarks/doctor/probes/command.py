"""python -m benchmarks probe: which rungs of the ladder an agent fails, what that isolates, and where to look."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import sys
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal

import tyro

from benchmarks.console import say
from dqn_ref.config import UserError

REFERENCE = "benchmarks.doctor.probes.reference:make_agent"


@dataclass(frozen=True)
class Probe:
    """Probe an agent with a ladder of tiny environments, each isolating one cause. Minutes at most.

    AGENT is a factory, package.module:make_agent or a file.py:make_agent, that is called as
    make_agent(observation_space=..., num_actions=..., agent_steps=..., seed=...) and makes an object with
    act(observation, explore), observe(observation, action, reward, next_observation, terminated, truncated),
    learn() and, if it can, values(observation) -> [A]. Observations are the four newest frames, [4, 84, 84] bytes, or
    short vectors. Schedules must fit agent_steps, a few hundred. Without AGENT the reference is probed.

    Exit code: 0 every probe passed, 1 some failed or could not look, 2 a mistake.
    """

    agent: tyro.conf.Positional[str] = REFERENCE
    """package.module:make_agent, or file.py:make_agent."""
    seeds: int = 3
    """Each gives an agent and an environment; a probe passes if it does with every seed."""
    only: tuple[str, ...] = ()
    """Ids of probes, e.g. termination truncation. Default: all."""
    observation: Literal["image", "vector"] | None = None
    """Stacks of four 84x84 frames, or short vectors. Default: image, and vector of --matrix."""
    json: bool = False
    """Print the results for a program."""
    list_: Annotated[bool, tyro.conf.arg(name="list")] = False
    """Show the ladder and probe nothing."""
    matrix: bool = False
    """Every probe on agents with planted faults, not on AGENT: does each fault fail its own probe? It is stored."""
    results: Path = Path("results")
    """The results folder: --matrix writes doctor/probes.json in it."""


def probe(arguments: Probe) -> int:
    """Load, run, print."""
    from benchmarks.doctor.probes.ladder import ladder_table
    from benchmarks.doctor.probes.runner import Result, run_probes, verdict

    if arguments.list_:
        say(ladder_table())
        return 0
    if arguments.seeds < 1:
        raise UserError(f"--seeds must be at least 1, got {arguments.seeds}.")
    if arguments.matrix:
        return _matrix(arguments)
    observation = arguments.observation or "image"
    make_agent = load(arguments.agent)
    if not arguments.json:
        say(f"Probing {arguments.agent}, {observation} observations, {arguments.seeds} seed(s):")

    def report(result: Result) -> None:
        if not arguments.json:
            say(line(result))

    results = run_probes(make_agent, range(arguments.seeds), arguments.only or None, observation, report)
    if arguments.json:
        print(json.dumps([result.as_json() for result in results], indent=2))
    else:
        say("")
        say(verdict(results))
    return 0 if all(result.status == "passed" for result in results) else 1


def _matrix(arguments: Probe) -> int:
    """Faults x probes: run, print, store. It takes every probe: a part of a matrix is none."""
    from benchmarks.doctor.probes.matrix import matrix_markdown, matrix_record
    from benchmarks.store import Store

    if arguments.only or arguments.agent != REFERENCE or arguments.json:
        raise UserError("--matrix probes planted faults with every probe; expected no AGENT, --only or --json with it.")
    store = Store(arguments.results)
    store.check_writable()
    record = matrix_record(arguments.observation or "vector", arguments.seeds)
    say(matrix_markdown(record))
    say(f"Stored in {store.store_probes(record)}")
    return 0


def line(result: Any) -> str:
    """A result in one line."""
    numbers = " ".join(f"{number:.2f}" for number in result.numbers) or "-"
    text = f"{result.status:11} {result.probe.id:19} {numbers}  (passes: {result.probe.passes})"
    if result.rests_on_failed:
        text += f"  rests on {', '.join(result.rests_on_failed)}, which failed"
    return text


def load(name: str) -> Any:
    """The factory called ``name``.

    Raises:
        UserError: no such module or file, it raised when imported, or has no such function.
    """
    place, _, attribute = name.rpartition(":")
    if not place or not attribute:
        raise UserError(f"Got {name!r}; expected package.module:make_agent or file.py:make_agent.")
    if place.endswith(".py"):
        path = Path(place)
        if not path.is_file():
            raise UserError(f"There is no file {place}; expected the Python file that has {attribute}.")
        folder, place = str(path.resolve().parent), path.stem
    else:
        path, folder = None, str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    from benchmarks.doctor.probes.subject import raised

    try:
        module = importlib.import_module(place) if path is None else _module(path)
    except ModuleNotFoundError as error:
        if error.name is not None and (place == error.name or place.startswith(f"{error.name}.")):
            raise UserError(
                f"There is no module {error.name} here or among what is installed; expected the one that has "
                f"{attribute}. Run the command where `import {place}` works, or name a file: path/file.py:{attribute}."
            ) from None
        raise raised(error, f"import {place}") from None
    except (Exception, SystemExit) as error:
        raise raised(error, f"import {place}") from None
    factory = getattr(module, attribute, None)
    if not callable(factory):
        functions = [each for each, value in vars(module).items() if inspect.isfunction(value)]
        raise UserError(
            f"{place} has no function {attribute}; it has {', '.join(functions) or 'none'}. "
            "Expected: def make_agent(observation_space, num_actions, agent_steps, seed)."
        )
    return factory


def _module(path: Path) -> ModuleType:
    """The Python file at ``path``, whatever else may have its name."""
    loader = SourceFileLoader(f"probed_{path.stem}", str(path))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[loader.name] = module  # dataclasses look there
    loader.exec_module(module)
    return module
