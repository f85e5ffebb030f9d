"""The comparison of speeds: its mathematics, its order, what it shows and what it refuses."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from benchmarks.speed import peers
from benchmarks.speed.contestants.span import Settings, Span, as_argument
from benchmarks.speed.peers import CONTESTANTS, Contestant, chosen, compare, markdown, measure, ratio, time_split
from dqn_ref.config import UserError

SETTINGS = Settings(steps=100, threads=2)
OURS, SECOND, SB3, PFRL = "dqn-ref float32", "dqn-ref bfloat16", "stable-baselines3", "pfrl"
SECONDS = {OURS: [1.0, 2.0, 1.0], SECOND: [0.5, 0.5, 0.5], SB3: [2.0, 2.0, 4.0], PFRL: [5.0, 5.0, 5.0]}


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """An environment for each peer, whose Python is this one; what is measured is still faked by the tests."""
    monkeypatch.setattr(peers, "ENVIRONMENTS", tmp_path)
    for contestant in CONTESTANTS:
        if contestant.environment:
            (tmp_path / contestant.environment / "bin").mkdir(parents=True)
            (tmp_path / contestant.environment / "bin" / "python").symlink_to(sys.executable)


def taped(tape):
    """A measure that answers from SECONDS, and notes who was asked."""

    def fake(contestant, settings):
        answer = {"seconds": SECONDS[contestant.name][tape.count(contestant.name)]}
        tape.append(contestant.name)
        if contestant.environment is None:
            answer["split"] = {"network": answer["seconds"] / 4, "learner": answer["seconds"] / 2}
        return answer | {"versions": {contestant.name if contestant.environment else "dqn-ref": "1.2", "torch": "9.9"}}

    return fake


@pytest.fixture
def result(installed):
    second = Contestant(SECOND, "ours", changes={"precision": "bfloat16"})
    return compare([CONTESTANTS[0], second, *chosen([SB3, PFRL])], 3, SETTINGS, taped([]))


# ---------------------------------------------------------------------- numbers by hand


def test_ratio_is_taken_round_by_round():
    found = ratio([100.0, 50.0, 90.0], [50.0, 50.0, 30.0])
    assert found == {"per_round": [2.0, 1.0, 3.0], "median": 2.0, "lowest": 1.0, "highest": 3.0}


def test_time_split_is_milliseconds_of_an_agent_step():
    answers = [{"seconds": seconds, "split": {"network": 0.2, "learner": 0.5}} for seconds in (1.0, 1.2, 0.8)]
    assert time_split(answers, 100) == pytest.approx({"network": 2.0, "learner": 5.0, "other": 3.0})


def test_what_is_stored(result):
    assert result["schema"] == 2
    assert result["agent_steps_per_second"][OURS] == [100.0, 50.0, 100.0]
    assert result["ratios"][OURS][SB3]["per_round"] == [2.0, 1.0, 4.0]
    assert {name: each[PFRL]["median"] for name, each in result["ratios"].items()} == {OURS: 5.0, SECOND: 10.0}
    assert result["best_peer"] == SB3
    assert result["milliseconds_per_agent_step"][OURS] == {"network": 2.5, "learner": 5.0, "other": 2.5}
    assert result["versions"][PFRL] == {"pfrl": "1.2", "torch": "9.9"}
    assert (result["threads"], result["agent_steps_per_measurement"], result["rounds"]) == (2, 100, 3)
    json.dumps(result)


def test_span_counts_between_its_two_marks(monkeypatch):
    settings = Settings(warm_up_steps=8, skipped_steps=4, steps=20)
    monkeypatch.setattr("time.perf_counter", iter([5.0, 7.5]).__next__)
    span = Span(settings)
    for step in range(1, settings.last + 1):
        span.at(step, updates=step // 4, transitions=step)
    assert span.answer() == {"seconds": 2.5, "updates": 5, "transitions": 20}


# ---------------------------------------------------------------------- order


def test_contestants_are_measured_in_turn(installed):
    tape = []
    compare(chosen([SB3, OURS, PFRL]), 3, SETTINGS, taped(tape))
    assert tape == [OURS, SB3, PFRL] * 3


def test_a_missing_peer_is_told_before_anything_is_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(peers, "ENVIRONMENTS", tmp_path)
    tape = []
    with pytest.raises(UserError, match=r"stable-baselines3 is not installed: .* tox -e bench-peers installs it"):
        compare(CONTESTANTS, 1, SETTINGS, taped(tape))
    assert tape == []


# ---------------------------------------------------------------------- measuring


def answering(monkeypatch, code):
    """A contestant whose process runs ``code``; ``SETTINGS`` is its argument."""
    run = subprocess.run
    monkeypatch.setattr(
        "subprocess.run", lambda command, **options: run([sys.executable, "-c", code, command[-1]], **options)
    )
    return Contestant("it", "it")


GOOD = {"seconds": 1.5, "updates": 25, "transitions": 100, "threads": 2, "versions": {}}


def test_the_answer_is_the_last_line_printed(monkeypatch):
    contestant = answering(monkeypatch, f"print('a banner'); print({json.dumps(GOOD)!r})")
    assert measure(contestant, SETTINGS) == GOOD


def test_a_contestant_gets_plain_values_and_its_own_changes(monkeypatch):
    code = f"import sys, json; print(json.dumps({GOOD!r} | {{'got': json.loads(sys.argv[1])}}))"
    contestant = replace(answering(monkeypatch, code), changes={"batch_size": 16})
    assert measure(contestant, SETTINGS)["got"] == json.loads(as_argument(SETTINGS)) | {"changes": {"batch_size": 16}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"updates": 24}, "it cannot be compared: 25 updates expected, it had 24"),
        ({"transitions": 99}, "100 transitions expected, it had 99"),
        ({"threads": 1}, "2 threads expected, it had 1"),
    ],
)
def test_who_did_not_do_what_it_was_told_is_refused(monkeypatch, change, message):
    contestant = answering(monkeypatch, f"print({json.dumps(GOOD | change)!r})")
    with pytest.raises(UserError, match=message):
        measure(contestant, SETTINGS)


def test_a_crash_is_named_with_its_last_line(monkeypatch):
    contestant = answering(monkeypatch, "raise ValueError('no such game')")
    with pytest.raises(UserError, match=r"Measuring it failed \(exit code 1\): ValueError: no such game"):
        measure(contestant, SETTINGS)


def test_ours_does_what_it_is_told():
    answer = measure(CONTESTANTS[0], Settings(steps=16, threads=1, warm_up_steps=40, skipped_steps=8))
    assert (answer["transitions"], answer["updates"]) == (16, 4)
    assert set(answer["split"]) == {"emulator", "network", "learner"}
    assert 0 < sum(answer["split"].values()) < answer["seconds"]
    assert {"dqn-ref", "torch", "ale-py", "numpy"} <= answer["versions"].keys()


# ---------------------------------------------------------------------- showing


def test_table_has_a_row_for_each_and_a_column_for_each_of_ours(result):
    result["machine"] = {"cpu": "A", "cores": 2}
    result["source"] = {"commit": "0123456789abcdef", "dirty": True}
    assert markdown(result).splitlines() == [
        "| agent steps/s while learning | median | lowest | highest "
        f"| times as fast: {OURS} | times as fast: {SECOND} |",
        "|---|---:|---:|---:|---:|---:|",
        f"| {OURS} | 100.0 | 50.0 | 100.0 | | |",
        f"| {SECOND} | 200.0 | 200.0 | 200.0 | | |",
        f"| {SB3} | 50.0 | 25.0 | 50.0 | **2.00** (1.00 to 4.00) | **4.00** (4.00 to 8.00) |",
        f"| {PFRL} | 20.0 | 20.0 | 20.0 | **5.00** (2.50 to 5.00) | **10.00** (10.00 to 10.00) |",
        "",
        "Ratios round by round: median (lowest to highest). Measured on 2 cores of A, 2 threads, 3 x 100 agent "
        f"steps in turn; torch 9.9, {SB3} 1.2, {PFRL} 1.2. Fastest peer: {SB3}. "
        "Source 0123456789 with uncommitted changes.",
        f"An agent step of {OURS}, in ms: network 2.50, learner 5.00, other 2.50.",
        f"An agent step of {SECOND}, in ms: network 1.25, learner 2.50, other 1.25.",
    ]


# ---------------------------------------------------------------------- the command


def call(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["peers", *words])
    return peers.main()


def test_an_unknown_contestant_is_an_error(monkeypatch, capsys):
    assert call(monkeypatch, "--only", "dopamine") == 2
    assert (
        "No contestant is called 'dopamine'; known are: dqn-ref float32, dqn-ref bfloat16, stable"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize("words", [["--steps", "30"], ["--rounds", "0"], ["--only", PFRL, "--results", "x"]])
def test_what_cannot_be_measured_or_stored_is_refused(monkeypatch, words):
    with pytest.raises(SystemExit) as refused:
        call(monkeypatch, *words)
    assert refused.value.code == 2


def test_what_cannot_be_stored_is_told_before_the_measurement(monkeypatch, tmp_path, capsys):
    (tmp_path / "taken").touch()
    monkeypatch.setattr(peers, "compare", None)
    assert call(monkeypatch, "--results", str(tmp_path / "taken")) == 2
    assert "taken is a file. Choose another --results" in capsys.readouterr().err


def test_interrupted_it_says_that_nothing_is_stored(monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(peers, "compare", interrupted)
    assert call(monkeypatch) == 130
    assert "Nothing was stored" in capsys.readouterr().err


def test_peers_alone_can_be_measured(installed):
    assert compare(chosen([PFRL]), 1, SETTINGS, taped([]))["ratios"] == {}
    assert "| pfrl | 20.0 |" in markdown(compare(chosen([PFRL]), 1, SETTINGS, taped([])))
