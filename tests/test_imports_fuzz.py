"""Whatever is in a foreign file, reading it ends in Curves or in a UserError that names it; nothing else."""

import json
import tempfile
import warnings
from pathlib import Path

import pytest
from fake_runs import write_run
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter
from tensorboard.util import tensor_util

from benchmarks.curves import Curves
from benchmarks.imports.detect import read_scores
from dqn_ref.config import UserError

SB3 = Path(__file__).parent / "data" / "stable_baselines3"
EVENTS = "events.out.tfevents.1.host"
TAGS = ("charts/episodic_return", "rollout/ep_rew_mean", "eval/mean_reward", "Train/AverageReturns", "hparams")

fuzzed = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


def outcome(path: Path) -> Curves | str:
    """Curves, or what the user is told. A warning of NumPy is an error: nothing may overflow unseen."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        warnings.simplefilter("ignore", UserWarning)
        try:
            return read_scores(path)
        except UserError as error:
            return str(error)


def valid_files(folder: Path) -> dict[str, bytes]:
    """A right file of each kind, by its path in a source."""
    run = write_run(folder / "breakout-s1", "breakout", 1, frames=16_000)
    sb3 = next((SB3 / "tb").glob("*/DQN_1/*")).read_bytes()
    rows = [{"Iteration": k, "Value": 1.5 * k, "Agent": "DQN"} for k in range(6)]
    return {
        "scores.csv": b"game,seed,frames,score\npong,0,1000,-20.5\nbreakout,1,2000,3\n",
        "breakout.json": json.dumps(rows).encode(),
        "breakout-s1/0.monitor.csv": (SB3 / "dqn" / "BreakoutNoFrameskip-v4_1" / "0.monitor.csv").read_bytes(),
        "breakout-s1/results.csv": b"iteration,frame,eval_episode_return\n0,0,1.5\n1,1000000,2.5\n2,2000000,nan\n",
        f"breakout-s1/{EVENTS}": sb3,
        "breakout-s1/run.json": (run / "run.json").read_bytes(),
        "breakout-s1/episodes.csv": (run / "episodes.csv").read_bytes(),
        "breakout-s1/evaluation.json": b'{"schema": 1, "evaluations": []}',
        "measured.json": b'{"name": "x", "epsilon": 0.5, "runs": {"breakout-s1": ["breakout", 1]}}',
    }


with tempfile.TemporaryDirectory() as temporary:
    VALID = valid_files(Path(temporary))

ALONE = [
    name for name in VALID if name not in ("breakout-s1/episodes.csv", "breakout-s1/evaluation.json", "measured.json")
]


def source(folder: Path, name: str, content: bytes) -> Path:
    """A source in which ``name`` has ``content``, with what else it needs, right."""
    files = {name: content}
    if name.endswith(("episodes.csv", "run.json", "evaluation.json")):
        files = {each: VALID[each] for each in VALID if each.endswith(("run.json", "episodes.csv"))} | files
    if name == "measured.json":
        files |= {"breakout-s1/results.csv": VALID["breakout-s1/results.csv"]}
    for each, its_content in files.items():
        (folder / each).parent.mkdir(exist_ok=True)
        (folder / each).write_bytes(its_content)
    return folder


@pytest.mark.parametrize("name", VALID)
def test_the_right_files_are_read(tmp_path, name):
    assert isinstance(outcome(source(tmp_path, name, VALID[name])), Curves)


@pytest.mark.parametrize("name", VALID)
@fuzzed
@given(content=st.binary(max_size=300) | st.text(alphabet='0123456789.eE+-,;\t"\n\r{}[]: naifNI_#\x00é', max_size=200))
@example(content=b"")
@example(content=b"\xef\xbb\xbf")
@example(content=b"[" * 100_000)
@example(content=b'{"a":' * 100_000)
@example(content=b"\x00" * 1_000)
@example(content=b"\xff\xfe" + "game,seed".encode("utf-16-le"))
def test_any_bytes_at_all(name, content):
    with tempfile.TemporaryDirectory() as folder:
        outcome(source(Path(folder), name, content if isinstance(content, bytes) else content.encode()))


PIECES = [b"", b"9" * 25, b"-", b"1e308", b"nan", b"Infinity", b"null", b"[]", b"\x00", b'"', b"\n", b"1.5"]


def edits(draw, content: bytes) -> bytes:
    """``content`` with some of it cut off, taken out, replaced or repeated."""
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(content)))
        end = draw(st.integers(start, min(len(content), start + 20)))
        put = draw(st.sampled_from(PIECES) | st.binary(max_size=4) | st.just(content[start:end] * 2))
        content = content[:start] + put + content[end:]
    return content[: draw(st.integers(0, len(content)))] if draw(st.booleans()) else content


@pytest.mark.parametrize("name", VALID)
@fuzzed
@given(data=st.data())
def test_right_files_with_something_wrong(name, data):
    content = edits(data.draw, VALID[name])
    with tempfile.TemporaryDirectory() as folder:
        outcome(source(Path(folder), name, content))


@pytest.mark.parametrize("name", ALONE)
def test_every_beginning_of_a_right_file(tmp_path, name):
    """As a run that was killed, or a copy that broke off, leaves it."""
    content, read = VALID[name], 0
    for size in range(0, len(content), max(1, len(content) // 100)):
        read += isinstance(outcome(source(tmp_path, name, content[:size])), Curves)
    if name.endswith((".json", "results.csv")):
        assert read < 100  # half a file of JSON is none


@pytest.mark.parametrize("name", ALONE)
def test_a_file_in_the_wrong_encoding(tmp_path, name):
    text = VALID[name].decode("latin-1")
    for encoding in ("utf-16", "utf-32", "utf-7"):
        outcome(source(tmp_path, name, text.encode(encoding)))


# ---------------------------------------------------------------------- events whose checksums are right


def records(path: Path, contents: list[bytes]) -> None:
    with path.open("wb") as file:
        writer = RecordWriter(file)
        for content in contents:
            writer.write(content)
        writer.flush()


@fuzzed
@given(contents=st.lists(st.binary(max_size=60), max_size=5))
def test_records_that_hold_no_events(contents):
    with tempfile.TemporaryDirectory() as folder:
        path = source(Path(folder), f"breakout-s1/{EVENTS}", b"") / "breakout-s1" / EVENTS
        records(path, contents)
        assert isinstance(outcome(path), str)


numbers = st.floats(width=32, allow_subnormal=False) | st.sampled_from([0.0, 1.5, 21.0, 1e30])
steps = st.integers(-(2**63), 2**63 - 1) | st.integers(0, 5_000)


@st.composite
def values(draw) -> Summary.Value:
    """A summary's value as some program may write it: a number, a tensor, or one that contradicts itself."""
    tag = draw(st.sampled_from(TAGS))
    if draw(st.booleans()):
        return Summary.Value(tag=tag, simple_value=draw(numbers))
    content = draw(st.sampled_from([1.5, 3, True, "text", [1.0, 2.0], [[1.0]], b"\xff", 2j]))
    tensor = tensor_util.make_tensor_proto(content)
    if draw(st.booleans()):
        tensor.dtype = draw(st.integers(0, 30))
    if draw(st.booleans()):
        tensor.tensor_content = draw(st.binary(max_size=9))
    if draw(st.booleans()):
        tensor.tensor_shape.dim.add(size=draw(st.integers(-2, 3)))
    return Summary.Value(tag=tag, tensor=tensor)


@settings(fuzzed, max_examples=200)
@given(written=st.lists(st.tuples(steps, values()), max_size=6), in_order=st.booleans())
def test_events_of_any_content(written, in_order):
    if in_order:
        written = sorted(written, key=lambda pair: pair[0])
    contents = [Event(step=step, summary=Summary(value=[value])).SerializeToString() for step, value in written]
    with tempfile.TemporaryDirectory() as folder:
        path = source(Path(folder), f"breakout-s1/{EVENTS}", b"") / "breakout-s1" / EVENTS
        records(path, contents)
        outcome(path)
