"""Break the agent on purpose, one way at a time, and see which test notices: python tools/mutants.py [NAME ...]

Each mutant is one edit that keeps every shape and lets training run to its end. The tree is copied, edited, and the
agent's tests run on the copy until the first fails. What only costs time is the speed gate's to notice.
``--results FILE`` stores the table for docs/fidelity.md.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dqn_ref.provenance import machine, source_revision

ROOT = Path(__file__).resolve().parent.parent
TESTS = (
    "learner", "replay", "agent", "population", "optimizer", "network", "alternatives", "evaluate", "train", "atari",
    "pixels", "run", "one_pass",
)  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """``old``, which occurs once in ``file``, becomes ``new``."""

    name: str
    what: str
    file: str
    old: str
    new: str

    def apply(self, root: Path) -> None:
        """Edit the tree at ``root``. Raises ValueError: the text is not there exactly once."""
        path = root / self.file
        text = path.read_text()
        if text.count(self.old) != 1:
            raise ValueError(f"{self.name}: {self.file} holds {self.old!r} {text.count(self.old)} times, expected once")
        path.write_text(text.replace(self.old, self.new))


LEARNER, REPLAY, POPULATION = "dqn_ref/learner.py", "dqn_ref/replay.py", "dqn_ref/population.py"
MUTANTS = (
    Mutant("target-never-synced", "the target network keeps its first weights",
           POPULATION, "agent.learner.sync_target()", "pass"),
    Mutant("target-is-online", "the target values come from the online network",
           LEARNER, "q_t = self.target(batch.s_t)", "q_t = self.network(batch.s_t)"),
    Mutant("terminal-ignored", "the value of the next game flows into the last move of the one before",
           REPLAY, "discount_t=self.discount * (1 - terminal)", "discount_t=self.discount + 0 * terminal"),
    Mutant("truncation-terminal", "an episode cut by the frame cap counts as lost",
           REPLAY, "info[:, TERMINAL], info[:, FINAL] = action, reward, terminal, -1",
           "info[:, TERMINAL], info[:, FINAL] = action, reward, terminal | truncated, -1"),
    Mutant("reward-unclipped", "rewards are learnt from as the game gives them",
           POPULATION, "np.minimum(np.maximum(reward, -self.reward_clip), self.reward_clip)", "reward"),
    Mutant("epsilon-constant", "exploration never decays",
           "dqn_ref/agent.py", "return start + done * (end - start)", "return start + 0 * done"),
    Mutant("gradient-unclipped", "half the squared error instead of the clipped one",
           LEARNER, "huber_loss(value, target, reduction=reduction, delta=error_clip / error_scale)",
           "mse_loss(value, target, reduction=reduction) / 2"),
    Mutant("stack-reversed", "the newest frame of a state comes first, everywhere",
           REPLAY, "return frames * known[:, :, None, None]",
           "return (frames * known[:, :, None, None]).flip(1)"),
    Mutant("stack-reversed-acting", "the newest frame comes first where actions are chosen, not where is learnt",
           REPLAY, "return self._stacks(slots, self._streams, history)",
           "return self._stacks(slots, self._streams, history).flip(1)"),
    Mutant("samples-newest", "batches come from the newest tenth of replay",
           POPULATION, "agent.draw(transitions, self.batch_size) for",
           "transitions - 1 - agent.draw(-(-transitions // 10), self.batch_size) for"),
    Mutant("learning-rate-x100", "the learning rate is a hundred times the configured one",
           "dqn_ref/build.py", "learning_rate=config.learning_rate", "learning_rate=100 * config.learning_rate"),
    Mutant("floor-outside-root", "RMSProp's floor is added outside the root",
           "dqn_ref/optimizer.py", "if self.floor_outside_root:", "if not self.floor_outside_root:"),
    Mutant("floor-outside-loop", "and so in the compiled loop of a CPU", "dqn_ref/one_pass.py",
           "floor if floor_outside_root else np.sqrt(variance + floor)", "floor"),
    Mutant("mean-square-stale", "the compiled loop divides by the mean square of the update before",
           "dqn_ref/one_pass.py", "variance = mean_square[i] - mean[i] * mean[i]",
           "variance = (mean_square[i] - new_square * d * d) / (1 - new_square) - mean[i] * mean[i]"),
    Mutant("frames-swapped", "the compiled interleaving of frames swaps the two newest",
           "dqn_ref/one_pass.py", "pixels[row, i, 3] = fourth[i]",
           "pixels[row, i, 2], pixels[row, i, 3] = fourth[i], third[i]"),
    Mutant("learns-every-step", "four times the updates",
           "dqn_ref/train.py", "step % config.update_period_agent_steps == 0", "True"),
    Mutant("learns-in-warm-up", "learning starts before replay is filled",
           "dqn_ref/train.py", "step > config.replay_start_agent_steps and", ""),
    Mutant("no-no-ops", "training episodes all start alike",
           "dqn_ref/build.py", '"max_noops": config.max_noops', '"max_noops": 0'),
    Mutant("evaluates-greedily", "evaluation never explores",
           "dqn_ref/evaluate.py", "bool(self.explore.random() < epsilon)", "bool(self.explore.random() < 0)"),
    Mutant("one-evaluation-episode", "every evaluation episode is the same one",
           "dqn_ref/evaluate.py", 'stream_seed("evaluation-emulator", episode)', 'stream_seed("evaluation-emulator")'),
    Mutant("replay-as-floats", "the batch's frames are copied to float before the network asks for it",
           REPLAY, ".view(*rows.shape, 84, 84)", ".view(*rows.shape, 84, 84).float()"),
    Mutant("slower-learner", "each update takes about 30 % longer: a forward pass too many",
           LEARNER, "            q_t = self.target(batch.s_t).float()  # [B, A]",
           "            self.target(batch.s_tm1)\n            q_t = self.target(batch.s_t).float()"),
)  # fmt: skip
SPEED_ONLY = ("slower-learner",)  # computes the same numbers, so no test of numbers can see it


def copied(folder: Path) -> Path:
    """A copy of the tracked tree in ``folder``."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if name.startswith(("dqn_ref/", "benchmarks/", "tests/", "pyproject", "constraints", "tools/")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    return folder


def test_files(mutant: Mutant) -> list[str]:
    """The agent's tests, those of the edited room first."""
    own = Path(mutant.file).stem
    return [f"tests/test_{name}.py" for name in sorted(TESTS, key=lambda name: name != own)]


def run_tests(mutant: Mutant) -> dict[str, Any]:
    """The first test that fails on the mutant, and the seconds until it did."""
    with tempfile.TemporaryDirectory() as temporary:
        root = copied(Path(temporary))
        mutant.apply(root)
        command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "-m", "not gpu", "-p", "no:cacheprovider"]
        start = time.monotonic()
        done = subprocess.run([*command, *test_files(mutant)], cwd=root, capture_output=True, text=True, check=False)
        seconds = time.monotonic() - start
    failed = re.search(r"^(?:FAILED|ERROR) tests/(\S+)", done.stdout, re.MULTILINE)
    if done.returncode not in (0, 1) or (done.returncode == 1 and not failed):
        raise RuntimeError(f"{mutant.name}: pytest ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return {"caught_by": failed.group(1) if failed else None, "seconds": round(seconds, 1)}


def main() -> int:
    """Exit code 1 if a mutant that computes other numbers is noticed by no test."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="mutants to make; default: all")
    parser.add_argument("--results", type=Path, help="file to store the table in")
    arguments = parser.parse_args()
    known = {mutant.name: mutant for mutant in MUTANTS}
    if unknown := set(arguments.names) - set(known):
        parser.error(f"no mutant is called {', '.join(sorted(unknown))}; known are: {', '.join(known)}")
    rows = []
    for name in arguments.names or known:
        row = {**asdict(known[name]), **run_tests(known[name])}
        rows.append(row)
        print(f"{name:24} {row['seconds']:6.1f} s  {row['caught_by'] or 'NOTICED BY NO TEST'}", flush=True)
    if arguments.results:
        content = {"schema": 1, "mutants": rows, "machine": machine(), "source": source_revision()}
        arguments.results.parent.mkdir(parents=True, exist_ok=True)
        arguments.results.write_text(json.dumps(content, indent=1) + "\n")
    missed = [row["name"] for row in rows if not row["caught_by"] and row["name"] not in SPEED_ONLY]
    print(f"{sum(bool(row['caught_by']) for row in rows)} of {len(rows)} noticed by a test.")
    for row in rows:
        if row["name"] in SPEED_ONLY and not row["caught_by"]:
            print(
                f"{row['name']} computes the same numbers: python -m benchmarks gate speed --against HEAD is to see it."
            )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
