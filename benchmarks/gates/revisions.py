"""Measuring trees in turn, sample by sample, in processes of their own; and the tree of another revision.

A round starts one process for each side, lets all set up, and then has them take samples in turn, one at a time while
the others sleep: with sides A and B, for every benchmark A B B A A B B A ... or, if a coin fell so, B A A B B A A B ...
Neighbours on a shared machine come and go within seconds; so close together they hit both sides alike. New processes
in every round, because where a process happens to lie in memory is worth percents and stays for its life.

Nothing here knows what is measured: see ``serving.py`` for what a file of workloads looks like.
"""

from __future__ import annotations

import json
import os
import random
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.jobs import end_with_parent
from dqn_ref.config import UserError
from dqn_ref.provenance import git_in

SERVING = Path(__file__).with_name("serving.py")
PATIENCE_SECONDS = 300.0  # for one answer; a process that takes longer hangs

Round = dict[str, Any]  # order: sides as they took turns; samples: {side: {benchmark: seconds of a call, ...}}


@dataclass(frozen=True)
class Side:
    """A tree and the file of the workloads that are run in it."""

    name: str
    tree: Path
    workloads: Path
    words: str  # for messages, e.g. ``revision 0123456789``


@dataclass(frozen=True)
class Plan:
    """How much is measured. ``settings`` go to the workloads as they are."""

    rounds: int
    passes: int
    """Samples of each benchmark and side in a round; even, so that both sides are first equally often."""
    settings: Mapping[str, Any]
    """``sample_seconds`` is a sample's length; ``threads``, if given, is that of numerical libraries too."""
    seed: int = 0
    """Of the coin."""
    benchmarks: Sequence[str] = ()
    """Those to be measured; without any, all."""


# ---------------------------------------------------------------------- a process that takes samples


class Process:
    """A running ``serving.py``. Use it in a ``with``: it ends with the body."""

    def __init__(self, side: Side, plan: Plan) -> None:
        self.side = side
        settings = {**plan.settings, "benchmarks": list(plan.benchmarks)}
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 its last line explains a failure
        self._read = b""
        paths = [str(side.tree), str(side.tree / "src"), os.environ.get("PYTHONPATH", "")]
        threads = {"OMP_NUM_THREADS": str(settings["threads"])} if "threads" in settings else {}
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(SERVING), str(side.workloads), json.dumps(settings), str(side.tree)],
            cwd=side.tree,
            env={**os.environ, **threads, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            bufsize=0,
            preexec_fn=end_with_parent,
        )

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *raised: object) -> None:
        self._process.kill()  # it keeps nothing
        self._process.communicate()
        self._said.close()

    def answer(self) -> Any:
        """The next line of JSON. Raises UserError: the process died, or takes too long."""
        assert self._process.stdout is not None
        until = time.monotonic() + PATIENCE_SECONDS
        while b"\n" not in self._read:
            if not select.select([self._process.stdout], [], [], max(0.0, until - time.monotonic()))[0]:
                raise UserError(f"Measuring {self.side.words} took more than {PATIENCE_SECONDS:.0f} s for one answer.")
            got = os.read(self._process.stdout.fileno(), 1 << 16)
            if not got:
                code = self._process.wait()
                raise UserError(f"Measuring {self.side.words} failed (exit code {code}): {self._last_words()}")
            self._read += got
        line, _, self._read = self._read.partition(b"\n")
        return json.loads(line)

    def sample(self, name: str) -> float:
        """Seconds of a call of benchmark ``name``."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it is dead, as answer() will say
            self._process.stdin.write(f"{name}\n".encode())
        return float(f"{self.answer():.5g}")

    def _last_words(self) -> str:
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it printed nothing"


# ---------------------------------------------------------------------- rounds


def measure_in_turn(
    sides: Sequence[Side], plan: Plan, on_round: Callable[[Round, Mapping[str, Any]], None] = lambda done, said: None
) -> tuple[list[Round], dict[str, Any]]:
    """Measure ``sides`` in turn.

    Args:
        on_round: told each round as it is done, so that an interruption need not lose them.

    Returns:
        The rounds; and what the first round's processes said of themselves: ``work`` of a call by benchmark, ``about``.

    Raises:
        UserError: a side cannot be measured, lacks a benchmark, or would measure another tree's code.
    """
    coin, rounds, said = random.Random(plan.seed), list[Round](), dict[str, Any]()
    for _ in range(plan.rounds):
        order = list(sides) if coin.random() < 0.5 else list(reversed(sides))
        with ExitStack() as stack:
            processes = [stack.enter_context(Process(side, plan)) for side in order]
            answers = [process.answer() for process in processes]
            said = said or _checked(order, answers)
            rounds.append(_take_turns(processes, plan, list(said["work"])))
        on_round(rounds[-1], said)
    return rounds, said


def _take_turns(processes: Sequence[Process], plan: Plan, names: Sequence[str]) -> Round:
    samples: dict[str, dict[str, list[float]]] = {
        process.side.name: {name: [] for name in names}
        for process in sorted(processes, key=lambda each: each.side.name)
    }
    for number in range(plan.passes):
        turn = processes if number % 2 == 0 else processes[::-1]
        for name in names:
            for process in turn:
                samples[process.side.name][name].append(process.sample(name))
    return {"order": [process.side.name for process in processes], "samples": samples}


def _checked(sides: Sequence[Side], answers: Sequence[Any]) -> dict[str, Any]:
    for side, answer in zip(sides, answers, strict=True):
        for name, file in answer["foreign"].items():
            raise UserError(
                f"{side.words} would not be measured: its package {name} was loaded from {file}. Remove that copy "
                "(pip uninstall), or install the project in editable mode."
            )
        if answer["failed"]:
            each = "; ".join(f"{name} ({why})" for name, why in answer["failed"].items())
            raise UserError(f"{side.words} lacks what these benchmarks need: {each}.")
    everything = set[str]().union(*(answer["work"] for answer in answers))
    for side, answer in zip(sides, answers, strict=True):
        if lacking := everything - set(answer["work"]):
            raise UserError(f"{side.words} lacks these benchmarks: {', '.join(sorted(lacking))}.")
    if not everything:
        raise UserError(f"{sides[0].workloads} has no benchmarks.")
    return {"work": answers[0]["work"], "about": answers[0]["about"]}


# ---------------------------------------------------------------------- git


def git(repository: Path, *arguments: str) -> str:
    """What git prints. Raises UserError: it failed."""
    try:
        done = git_in(repository, *arguments)
    except OSError:
        raise UserError("There is no git here, which --against needs.") from None
    if done.returncode:
        words = done.stderr.strip().splitlines()
        raise UserError(f"git {arguments[0]} failed in {repository}: {words[-1] if words else 'it says nothing'}")
    return done.stdout.strip()


def resolved(repository: Path, revision: str) -> str:
    """The commit that ``revision`` names. Raises UserError: none."""
    git(repository, "rev-parse", "--git-dir")
    try:
        return git(repository, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    except UserError:
        raise UserError(
            f"{repository} knows no revision {revision!r}. A branch, tag or commit is expected; "
            "a shallow clone has to fetch it first (git fetch --unshallow)."
        ) from None


def uncommitted(repository: Path) -> list[str]:
    """Files that differ from the commit that is checked out, new ones included."""
    new = git(repository, "ls-files", "--others", "--exclude-standard", "--full-name", ":/")
    return [*git(repository, "diff", "--name-only", "HEAD").splitlines(), *new.splitlines()]


@contextmanager
def checked_out(repository: Path, commit: str) -> Iterator[Path]:
    """The tree of ``commit`` in a temporary folder, which is removed after the body, however it ends."""
    with tempfile.TemporaryDirectory(prefix="speed-gate-") as folder:
        tree = Path(folder) / "tree"
        try:
            no_hooks = ("-c", f"core.hooksPath={os.devnull}")
            git(repository, *no_hooks, "worktree", "add", "--detach", "--quiet", str(tree), commit)
            yield tree
        finally:
            with suppress(UserError):  # it was not made, which is another error's matter
                git(repository, "worktree", "remove", "--force", str(tree))
