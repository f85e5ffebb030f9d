"""What several rooms' tests need: a run of a few hundred agent steps, a learner, a batch."""

import os
import re
import signal
from pathlib import Path

# Before NumPy is there. Its matrix products have threads of their own, which on a busy machine wait for one another.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import pytest
import torch

from dqn_ref.config import DQNConfig
from dqn_ref.learner import Learner
from dqn_ref.replay import Batch

FIDELITY_PAGE = Path(__file__).parent.parent / "docs" / "fidelity.md"
CPU = torch.device("cpu")


def pytest_collection_modifyitems(items):
    for item in items:
        for mark in item.iter_markers("fidelity"):
            item.user_properties += [("fidelity", row) for row in mark.args]


def pytest_terminal_summary(terminalreporter, config):
    """Under ``-m fidelity``: the rows of docs/fidelity.md with what their tests said."""
    if config.option.markexpr != "fidelity":
        return
    verdicts = dict.fromkeys(range(1, 29), ())
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.stats.get(outcome, []):
            if outcome != "passed" or report.when == "call":
                for row in {value for name, value in report.user_properties if name == "fidelity"}:
                    verdicts[row] += (outcome,)
    details = dict(re.findall(r"^\| (\d+) \| (.+?) \|", FIDELITY_PAGE.read_text(), re.M))
    terminalreporter.section("fidelity to the Nature DQN, docs/fidelity.md")
    for row, outcomes in verdicts.items():
        said = ", ".join(f"{outcomes.count(o)} {o}" for o in dict.fromkeys(outcomes)) or "NOT TESTED"
        terminalreporter.write_line(f"{row:3}  {details[str(row)]:28} {said}")


@pytest.fixture(scope="session", autouse=True)
def interrupts_are_heard():
    """A shell that starts the tests in the background has them, and every process of theirs, ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def settings_of_a_run():
    """What every run sets for its process, and one thread: tiny batches gain nothing from more of them."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)


def make_tiny_config(**changes) -> DQNConfig:
    """Two iterations of 120 agent steps, warm-up of 60: seconds instead of days."""
    return DQNConfig(
        **{
            "total_frames": 960,
            "iteration_frames": 480,
            "progress_frames": 240,
            "replay_capacity": 150,
            "replay_start_agent_steps": 60,
            "batch_size": 8,
            "target_period_agent_steps": 50,
            "epsilon_span_agent_steps": 100,
            "evaluation_episodes": 2,
            "evaluation_max_frames": 200,
            "heldout_states": 8,
        }
        | changes
    )


@pytest.fixture
def tiny_config():
    """``make_tiny_config``, for tests that take fixtures."""
    return make_tiny_config


@pytest.fixture
def new_learner():
    def make(num_actions: int = 4, *, seed: int = 0, device: torch.device = CPU, **changes) -> Learner:
        values = {
            "learning_rate": 0.00025,
            "gradient_decay": 0.95,
            "squared_gradient_decay": 0.95,
            "min_squared_gradient": 0.01,
            "error_clip": 1.0,
        } | changes
        return Learner(num_actions, init=torch.Generator().manual_seed(seed), device=device, **values)

    return make


@pytest.fixture
def random_batch():
    """Batches with terminals, with errors within the clip, and with errors far beyond it."""

    def make(size: int, num_actions: int, seed: int) -> Batch:
        draw = torch.Generator().manual_seed(seed)
        frames = torch.randint(0, 256, (2, size, 4, 84, 84), dtype=torch.uint8, generator=draw)
        return Batch(
            s_tm1=frames[0],
            a_tm1=torch.randint(0, num_actions, (size,), generator=draw),
            r_t=torch.tensor([-3.0, -1.0, 0.0, 0.5, 1.0, 4.0])[torch.randint(0, 6, (size,), generator=draw)],
            discount_t=0.99 * torch.randint(0, 4, (size,), generator=draw).clamp(max=1).float(),
            s_t=frames[1],
        )

    return make
