"""Whatever is in a log, diagnosing it ends in a diagnosis or in a UserError that says what to do; nothing else."""

import json
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
from fake_runs import write_run
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from synthetic_logs import healthy

from benchmarks.doctor.verdicts import Diagnosis, diagnose, read_log
from benchmarks.doctor.verdicts.log import METRICS, Episodes, Log, Series
from benchmarks.doctor.verdicts.report import lines
from dqn_ref.config import UserError

SB3 = Path(__file__).parent / "data" / "stable_baselines3"
fuzzed = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


def told(log: Log) -> Diagnosis:
    """A diagnosis, printed and written in full."""
    found = diagnose(log)
    json.dumps(found.as_json(), allow_nan=False)
    assert list(lines(found))
    return found


def outcome(path: Path, mapping: Path | None = None) -> Diagnosis | str:
    """A diagnosis, or what the user is told. A warning of NumPy is an error: nothing may overflow unseen."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        warnings.simplefilter("ignore", UserWarning)
        try:
            return told(read_log(path, mapping))
        except UserError as error:
            return str(error)


def valid_files(folder: Path) -> dict[str, bytes]:
    """A right file of each kind, by its path in a folder of its own."""
    run = write_run(folder / "run", "breakout", 1, frames=16_000)
    header = "time/total_timesteps,rollout/ep_rew_mean,train/loss,train/n_updates,rollout/exploration_rate"
    rows = "\n".join(f"{1_000 * k},{k},0.1,{250 * k},0.5" for k in range(1, 20))
    return {
        "ours/run.json": (run / "run.json").read_bytes(),
        "ours/progress.csv": (run / "progress.csv").read_bytes(),
        "ours/episodes.csv": (run / "episodes.csv").read_bytes(),
        "sb3/progress.csv": f"{header}\n{rows}\n".encode(),
        "monitor/0.monitor.csv": (SB3 / "dqn" / "BreakoutNoFrameskip-v4_1" / "0.monitor.csv").read_bytes(),
        "events/events.out.tfevents.1.host": next((SB3 / "tb").glob("*/DQN_1/*")).read_bytes(),
        "mapped/map.json": b'{"step": "s", "metrics": {"loss": "l", "q_max": {"name": "q", "scale": 2}}}',
        "mapped/map.toml": b'step = "s"\n[metrics]\nloss = "l"\n',
        "mapped/log.csv": b"s,l,q\n" + b"".join(b"%d,0.5,%d\n" % (k, k) for k in range(20)),
    }


with tempfile.TemporaryDirectory() as temporary:
    VALID = valid_files(Path(temporary))


def diagnosed_with(name: str, content: bytes) -> Diagnosis | str:
    """What comes of a folder in which the file ``name`` has ``content``, and the others of its kind are right."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        kind = name.split("/")[0]
        for each, right in VALID.items():
            if each.startswith(f"{kind}/"):
                (folder / each).parent.mkdir(exist_ok=True)
                (folder / each).write_bytes(content if each == name else right)
        if kind == "mapped":
            mapping = "map.toml" if name.endswith("toml") else "map.json"
            return outcome(folder / kind / "log.csv", folder / kind / mapping)
        return outcome(folder / kind)


@pytest.mark.parametrize("name", VALID)
def test_the_right_files_are_diagnosed(name):
    assert isinstance(diagnosed_with(name, VALID[name]), Diagnosis)


@pytest.mark.parametrize("name", VALID)
@fuzzed
@given(content=st.binary(max_size=300) | st.text(alphabet='0123456789.eE+-,;\t"\n\r{}[]: naifNI_#=\x00é', max_size=200))
@example(content=b"")
@example(content=b"[" * 100_000)
@example(content=b'{"a":' * 100_000)
@example(content=b"\x00" * 1_000)
@example(content=b"\xff\xfe" + "step,loss".encode("utf-16-le"))
def test_any_bytes_at_all(name, content):
    diagnosed_with(name, content if isinstance(content, bytes) else content.encode())


PIECES = [b"", b"9" * 25, b"-", b"1e308", b"nan", b"Infinity", b"-inf", b"null", b"[]", b"\x00", b'"', b"\n", b"1.5"]


@pytest.mark.parametrize("name", VALID)
@fuzzed
@given(data=st.data())
def test_right_files_with_something_wrong(name, data):
    content = VALID[name]
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(content)))
        end = data.draw(st.integers(start, min(len(content), start + 20)))
        content = content[:start] + data.draw(st.sampled_from(PIECES) | st.binary(max_size=4)) + content[end:]
    diagnosed_with(name, content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content)


@pytest.mark.parametrize("name", VALID)
def test_every_beginning_of_a_right_file(name):
    """As a run that was killed, or a copy that broke off, leaves it."""
    content = VALID[name]
    for size in range(0, len(content), max(1, len(content) // 40)):
        diagnosed_with(name, content[:size])


# ---------------------------------------------------------------------- logs of any numbers

SPECIAL = [0.0, 1.0, -1.0, 1e300, -1e300, 1e-300, float("nan"), float("inf")]
numbers = st.floats(allow_subnormal=False) | st.sampled_from(SPECIAL)


@st.composite
def logs(draw) -> Log:
    """Any metrics of any numbers at any frames, any episodes, any settings."""
    series = {}
    for name in draw(st.sets(st.sampled_from(sorted(METRICS)), max_size=12)):
        rows = draw(st.integers(0, 12))
        frames = np.sort(np.array(draw(st.lists(st.integers(0, 10**12), min_size=rows, max_size=rows)), np.int64))
        values = draw(st.lists(numbers, min_size=rows, max_size=rows))
        series[name] = Series(frames, np.array(values, np.float64))
    finite = st.floats(-1e12, 1e12, allow_subnormal=False)
    count = draw(st.integers(0, 12))
    columns = [np.array(draw(st.lists(finite, min_size=count, max_size=count)), np.float64) for _ in range(4)]
    ends = np.sort(np.array(draw(st.lists(st.integers(0, 10**12), min_size=count, max_size=count)), np.int64))
    given_settings = st.dictionaries(
        st.sampled_from(sorted(healthy().facts)), finite | st.none() | st.booleans() | st.text(max_size=3), max_size=8
    )
    episodes = draw(st.none() | st.just(Episodes(ends, *columns)))
    game = draw(st.sampled_from([None, "breakout", "montezuma_revenge"]))
    return Log("any", "test", game, draw(st.integers(0, 10**12)), series, episodes, draw(given_settings))


def of(name: str, *values: float, **facts: float) -> Log:
    """A log of one metric, all at frame 0."""
    return Log("any", "test", None, 0, {name: Series(np.zeros(len(values), np.int64), np.array(values))}, facts=facts)


NO_PERIOD = {"target_period_agent_steps": 0.0, "update_period_agent_steps": 0.0, "replay_start_agent_steps": 0.0}


@settings(fuzzed, max_examples=60)
@given(log=logs())
@example(log=of("frames_per_second", 1e196, 1e196, 1.0, 1.0, 1e-113, 1e-113))  # a ratio beyond all numbers
@example(log=of("frames_per_second", 1e308, 1.7e308))  # a median, too
@example(log=of("emulator_seconds", 1e308, 1.7e308))  # and a sum
@example(log=of("epsilon", 1e308, -1.7e308, **NO_PERIOD))  # and a difference; periods of no length
def test_any_numbers_at_all(log):
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        told(log)
