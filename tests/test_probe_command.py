"""python -m benchmarks probe: what it prints, its exit codes, and what it says to a user's mistakes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.doctor.probes.ladder import LADDER

ROOT = Path(__file__).parent.parent
SMALL = "benchmarks.doctor.probes.small_dqn:make_small"

AGENT = """
class Agent:
    def act(self, observation, explore):
        return 0
    def observe(self, observation, action, reward, next_observation, terminated, truncated):
        pass
    def learn(self):
        pass
    def values(self, observation):
        return [0.0] * self.num_actions

def make_agent(observation_space, num_actions, agent_steps, seed):
    agent = Agent()
    agent.num_actions = num_actions
    return agent
"""


@pytest.fixture
def probe(tmp_path, capsys, monkeypatch):
    """Run the command on an agent's source; returns exit code and what was printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def run(source: str | None, *options: str, name: str = "agent_under_test.py:make_agent"):
        sys.modules.pop("agent_under_test", None)
        if source is not None:
            (tmp_path / "agent_under_test.py").write_text(source)
        code = main(["probe", name, "--seeds", "1", "--observation", "vector", *options])
        printed = capsys.readouterr()
        return code, printed.out, " ".join(printed.err.split())

    return run


def test_a_sound_agent_passes_with_exit_code_0(probe):
    code, out, err = probe(None, "--only", "constant-reward", "truncation", name=SMALL)
    assert (code, err) == (0, "")
    assert "passed      constant-reward" in out
    assert "2 of 2 probes passed." in out


def test_a_failure_says_what_it_isolates_and_where_to_look_with_exit_code_1(probe):
    code, out, _ = probe(AGENT, "--only", "constant-reward", "observation-value")
    assert code == 1
    assert "rests on constant-reward, which failed" in out
    assert "constant-reward failed with 1 of 1 seeds. It isolates: a value is learnt at all." in out
    assert "look at: learn(): is it ever due" in out
    assert "mend that first: observation-value." in out


def test_json_holds_every_number_and_null_for_none(probe):
    code, out, _ = probe(AGENT, "--json", "--only", "constant-reward", "two-step")
    results = json.loads(out, parse_constant=pytest.fail)  # Infinity and NaN are no JSON
    assert code == 1
    assert [(each["probe"], each["status"], each["numbers"]) for each in results] == [
        ("constant-reward", "failed", [0.0]),
        ("two-step", "failed", [None]),
    ]
    assert results[0]["margin"] == -0.75
    assert results[1]["rests_on_failed"] == ["constant-reward"]


def test_the_list_needs_no_agent(capsys):
    assert main(["probe", "--list"]) == 0
    out = capsys.readouterr().out
    assert all(f"`{each.id}`" in out for each in LADDER)


def mistake(old: str, new: str) -> str:
    assert old in AGENT
    return AGENT.replace(old, new)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (mistake("(observation_space, num_actions, agent_steps, seed)", "(observation_space, num_actions)"),
         "make_agent(observation_space, num_actions) cannot be called with what a probe gives (got an unexpected "
         "keyword argument 'agent_steps'). Expected: def make_agent(observation_space, num_actions, agent_steps, "
         "seed)."),
        (mistake("def learn", "def lern"), "made a Agent without a method learn. Expected: learn()."),
        (mistake("return 0\n", "return observation.foo\n"),
         "act(observation, explore) at agent step 0 of probe constant-reward raised AttributeError: 'numpy.ndarray' "
         "object has no attribute 'foo' at agent_under_test.py:4 in act: return observation.foo"),
        (mistake("return 0\n", "return 7\n"), "act answered 7 at agent step 0 of probe constant-reward. Expected 0"),
        (mistake("return 0\n", "return 0.5\n"), "act answered 0.5, a float"),
        (mistake("[0.0] * self", "[[0.0]] * self"),
         "values answered the shape [1, 1]"),
        (mistake("[0.0] * self.num_actions", "'high'"), "values answered a str that is no array"),
        (mistake("agent = Agent()", "agent = Agent(1)"),
         "raised TypeError: Agent() takes no arguments at agent_under_test.py:13 in make_agent: agent = Agent(1)"),
        ("import nothing_of_this_name", "import agent_under_test raised ModuleNotFoundError: No module named "
         "'nothing_of_this_name' at agent_under_test.py:1"),
        ("import sys\nsys.exit(0)", "import agent_under_test raised SystemExit: 0 at agent_under_test.py:2"),
        (AGENT.replace("return 0\n", "raise SystemExit\n"), "step 0 of probe constant-reward raised SystemExit"),
        ("1 / 0", "import agent_under_test raised ZeroDivisionError: division by zero at agent_under_test.py:1"),
        ("def other(): pass", "agent_under_test has no function make_agent; it has other."),
        ("def f(:", "import agent_under_test raised SyntaxError"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_message_that_names_the_line(probe, source, said):
    code, out, err = probe(source, "--only", "constant-reward")
    assert code == 2
    assert said in err
    assert "Traceback" not in out + err


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("nowhere.to_be_found:make", (), "There is no module nowhere here"),
        ("missing.py:make", (), "There is no file missing.py"),
        ("make_agent", (), "Got 'make_agent'; expected package.module:make_agent or file.py:make_agent."),
        (SMALL, ("--only", "foo"), "No probe is called 'foo'; known are: constant-reward"),
        (SMALL, ("--seeds", "0"), "--seeds must be at least 1, got 0."),
        ("benchmarks.doctor.probes.reference:make_agent", (), "Probe it with --observation image."),
    ],
)
def test_a_wrong_argument_says_what_was_expected(probe, name, options, said):
    code, _, err = probe(None, *options, name=name)
    assert code == 2
    assert said in err


def test_the_command_line_does_not_wait_for_torch():
    program = "import sys, benchmarks.__main__; sys.exit('torch' in sys.modules or 'gymnasium' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize("name", ["json.py", "benchmarks.py", "my.agent.v2.py"])
def test_a_file_is_that_file_whatever_else_has_its_name(tmp_path, monkeypatch, capsys, name):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / name).write_text(AGENT)
    assert main(["probe", f"{name}:make_agent", "--seeds", "1", "--observation", "vector", "--only", "truncation"]) == 1
    assert "truncation" in capsys.readouterr().out
