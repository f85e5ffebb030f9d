"""python -m benchmarks lint, whose names a file uses, and what a run says of itself before it starts."""

import json
import math
import sys
from pathlib import Path

import psutil
import pytest
from conftest import make_tiny_config
from fake_runs import write_run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.__main__ import main
from benchmarks.doctor.config_files import read_fields
from benchmarks.doctor.dialects import DIALECTS, translate
from benchmarks.doctor.lint_command import as_json
from benchmarks.failures.variants import VARIANTS
from dqn_ref.__main__ import main as dqn_ref_main
from dqn_ref.config import UserError
from dqn_ref.lint import RULES, Setup, lint, warnings_of
from dqn_ref.protocols import CI, NATURE, PROTOCOLS
from dqn_ref.records import RunRecord

ZOO = {  # RL Zoo, hyperparams/dqn.yml, its section atari
    "env_wrapper": ["stable_baselines3.common.atari_wrappers.AtariWrapper"], "frame_stack": 4, "policy": "CnnPolicy",
    "n_timesteps": 1e7, "buffer_size": 100_000, "learning_rate": 1e-4, "batch_size": 32, "learning_starts": 100_000,
    "target_update_interval": 1000, "train_freq": 4, "gradient_steps": 1, "exploration_fraction": 0.1,
    "exploration_final_eps": 0.01, "optimize_memory_usage": False,
}  # fmt: skip
CLEANRL = {  # the arguments of dqn_atari.py, as its log has them
    "exp_name": "dqn_atari", "seed": 1, "torch_deterministic": True, "cuda": True, "track": False,
    "wandb_project_name": "cleanRL", "wandb_entity": None, "capture_video": False, "save_model": False,
    "upload_model": False, "hf_entity": "", "env_id": "BreakoutNoFrameskip-v4", "total_timesteps": 10_000_000,
    "learning_rate": 1e-4, "num_envs": 1, "buffer_size": 1_000_000, "gamma": 0.99, "tau": 1.0,
    "target_network_frequency": 1000, "batch_size": 32, "start_e": 1, "end_e": 0.01, "exploration_fraction": 0.1,
    "learning_starts": 80_000, "train_frequency": 4,
}  # fmt: skip


@pytest.fixture(autouse=True)
def large_machine(monkeypatch):
    """So that what is found does not depend on the machine that tests."""
    memory = psutil.virtual_memory()._replace(total=64_000_000_000)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)


@pytest.fixture
def write(tmp_path):
    def write(content, name="config.json"):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


def read(path, dialect=None):
    section, given = read_fields(path)
    return translate(path, section, given, dialect)


@pytest.fixture
def findings(write):
    """Rules that find something in a file of these fields."""

    def findings(content):
        return {finding.rule: finding.severity for finding in lint(read(write(content)).setup).findings}

    return findings


# ---------------------------------------------------------------------- known projects are left in peace


def test_the_zoos_atari_settings_are_left_in_peace(findings):
    assert findings({"atari": ZOO}) == {}
    assert findings({"BreakoutNoFrameskip-v4": ZOO}) == {}
    # as they are since, with 1M transitions and the paper's epsilon
    assert findings({"atari": ZOO | {"buffer_size": 10**6, "target_update_interval": 10_000,
                                     "exploration_final_eps": 0.1}}) == {}  # fmt: skip


def test_stable_baselines3s_own_defaults_are_left_in_peace(findings):
    """``DQN("CnnPolicy", make_atari_env("BreakoutNoFrameskip-v4")).learn(10_000_000)``, warm-up as it is since 2.3."""
    arguments = {"policy": "CnnPolicy", "env": "BreakoutNoFrameskip-v4", "env_wrapper": "AtariWrapper",
                 "total_timesteps": 10_000_000, "learning_starts": 100}  # fmt: skip
    assert findings(arguments) == {"warm-up-short": "hint"}


def test_cleanrls_defaults_get_one_hint(findings):
    assert findings(CLEANRL) == {"errors-not-clipped": "hint"}


def test_cleanrls_facts_by_hand(write):
    setup = read(write(CLEANRL)).setup
    assert setup.total_agent_steps == 10_000_000
    assert setup.epsilon_span_agent_steps == 1_000_000
    assert setup.target_updates == 250
    assert setup.bytes_per_transition == 28_224
    assert setup.frames_per_agent_step == 4
    assert (setup.optimizer, setup.error_clip, setup.reward_clip) == ("adam", math.inf, 1.0)


def test_stable_baselines3s_facts_by_hand(write):
    found = read(write({"atari": ZOO | {"n_envs": 8, "train_freq": [2, "step"], "gradient_steps": 4}}))
    assert found.setup.updates_per_agent_step == 0.25
    assert found.setup.bytes_per_transition == 56_448
    assert found.setup.epsilon_from_start is True
    assert found.setup.frames_per_agent_step is None  # whether the environment skips, "atari" does not say
    assert found.assumed["gamma"] == 0.99
    assert "batch_size" not in found.assumed  # it is in the file


@pytest.mark.parametrize(
    ("changes", "rule"),
    [({"gradient_steps": -1}, "update-rate"), ({"learning_rate": "lin_1e-3"}, "learning-rate"),
     ({"policy": "MlpPolicy"}, "network"), ({"frame_stack": 1}, "frames-seen"),
     ({"policy_kwargs": "dict(normalize_images=False)"}, "input-scale"),
     ({"policy_kwargs": {"normalize_images": False}}, "input-scale"),
     ({"env_wrapper": [{"pkg.AtariWrapper": {"clip_reward": False}}]}, "rewards-not-clipped"),
     ({"env_wrapper": [{"pkg.AtariWrapper": {"terminal_on_life_loss": False}}]}, "life-loss"),
     ({"env": "ALE/Breakout-v5"}, "frame-skip-twice"), ({"env": "Breakout-v4"}, "frame-skip-twice"),
     ({"env": "BreakoutDeterministic-v4"}, "frame-skip-twice"),
     ({"env": "BreakoutNoFrameskip-v0"}, "sticky-actions"),
     ({"env": "ALE/Pong-v5", "env_kwargs": {"frameskip": 1, "repeat_action_probability": 0}}, None),
     ({"env_wrapper": [{"AtariWrapper": {"frame_skip": 1}}], "env": "PongNoFrameskip-v4"}, "action-repeat"),
     ({"tau": 0.01, "target_update_interval": 4}, None), ({"gamma": 1}, "horizon-endless"),
     ({"target_update_interval": 4}, "target-not-behind"),
     ({"exploration_fraction": 0.01}, "exploration-ends-early")],
    ids=str,
)  # fmt: skip
def test_what_is_changed_in_the_zoos_settings_is_what_is_found(findings, changes, rule):
    found = findings({"atari": ZOO | changes})
    assert rule in found if rule else found == {}
    assert found.keys() - {"sticky-actions"} <= {rule} or rule == "sticky-actions"


def test_an_optimiser_of_ones_own_is_unknown(write):
    setup = read(write({"atari": ZOO | {"policy_kwargs": "dict(optimizer_class=RMSprop)"}})).setup
    assert setup.optimizer is None
    assert "learning-rate" in lint(setup).blind


@pytest.mark.parametrize(
    ("changes", "rule"),
    [({"target_network_frequency": 4}, "target-not-behind"), ({"env_id": "ALE/Pong-v5"}, "frame-skip-twice"),
     ({"gamma": 0.9}, "horizon-short"), ({"train_frequency": 100}, "update-rate"),
     ({"buffer_size": 1_000, "learning_starts": 500}, "replay-tiny"), ({"end_e": 0.6}, "exploration-end"),
     ({"learning_starts": 10_000_000, "buffer_size": 10**7}, "warm-up-outlasts-run")],
    ids=str,
)  # fmt: skip
def test_what_is_changed_in_cleanrls_arguments_is_what_is_found(findings, changes, rule):
    assert rule in findings(CLEANRL | changes)


# ---------------------------------------------------------------------- variants of the failures suite

SEEN = {  # on the protocol early; all others get hints at most
    "flat-mlp": {"network"}, "single-frame": {"frames-seen"}, "no-target-network": {"target-not-behind"},
    "no-replay": {"replay-tiny", "warm-up-above-replay"}, "tiny-replay": {"replay-tiny", "warm-up-above-replay"},
    "fast-epsilon": {"exploration-ends-early"}, "slow-epsilon": {"exploration-outlasts-run"},
    "no-exploration": {"exploration-none"}, "gamma-0.9": {"horizon-short"}, "gamma-0.5": {"horizon-short"},
    "lr-x10": {"learning-rate"}, "lr-div10": {"learning-rate"}, "rmsprop-eps-outside": {"floor-outside-root"},
    "no-reward-clip": {"rewards-not-clipped"}, "unscaled-input": {"input-scale"},
    "article-bare": {"replay-tiny", "exploration-none", "target-not-behind", "frames-seen", "network", "batch-size",
                     "learning-rate"},
    "article-replay-target": {"target-not-behind", "warm-up-above-replay", "replay-tiny", "exploration-ends-early",
                              "update-rate", "learning-rate"},
    "article-epsilon": {"exploration-outlasts-run"}, "constant-reward": {"rewards-constant"},
}  # fmt: skip


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=lambda variant: variant.name)
def test_a_variant_is_seen_as_what_it_is(variant):
    config = variant.of(PROTOCOLS["early"].config)
    assert {finding.rule for finding in warnings_of(config)} == SEEN.get(variant.name, set())


# ---------------------------------------------------------------------- our names


def test_a_few_of_our_names_are_enough(findings):
    assert findings({"discount": 0.9}) == {"horizon-short": "warning"}
    assert findings({"life_loss": "reset", "total_frames": "10M"}) == {"life-loss": "warning"}
    assert findings({"total_frames": "100k", "frames_per_agent_step": 4}) == {"budget-small": "hint"}
    assert findings({"reward_clip": None, "network": None}) == {"rewards-not-clipped": "warning"}
    assert findings({"update_period_agent_steps": 4, "target_period_agent_steps": 4}) == {"target-not-behind": "error"}


def test_what_our_names_do_not_say_is_unknown(write):
    assert read(write({"discount": 0.99})).setup == Setup(discount=0.99)


def test_all_of_our_names_are_read_or_named(write):
    config = {name: value for name, value in vars(NATURE.config).items() if value is not None}
    found = read(write(config))
    assert not found.unknown
    assert {"max_noops", "precision", "history_padding"} <= set(found.ignored)
    assert "learning_rate" not in found.ignored


# ---------------------------------------------------------------------- files


def test_toml_and_yaml_are_read_as_json_is(write):
    assert read(write("discount = 0.9\n", "c.toml")).setup.discount == 0.9
    pytest.importorskip("yaml")
    path = write("atari:\n  n_timesteps: !!float 1e7\n  learning_rate: 1e-3\n  learning_starts: 10\n", "c.yml")
    setup = read(path).setup
    assert (setup.total_agent_steps, setup.learning_rate) == (10_000_000, 0.001)  # YAML reads 1e-3 as text


def test_without_pyyaml_a_yaml_file_is_the_users_mistake(write, monkeypatch):
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(UserError, match="pip install pyyaml"):
        read(write("gamma: 0.9\n", "c.yaml"))


def test_a_misspelt_name_is_named_with_the_nearest(write):
    found = read(write(CLEANRL | {"learning_rat": 1, "colour": 3}))
    assert found.unknown == {"learning_rat": "learning_rate", "colour": None}
    assert "seed" in found.ignored


def test_names_of_two_projects_need_a_word(write):
    path = write({"gamma": 0.9, "learning_rate": 1e-3, "buffer_size": 10_000})
    with pytest.raises(UserError, match="--dialect sb3 or --dialect cleanrl"):
        read(path)
    assert read(path, "cleanrl").dialect == "CleanRL"
    assert read(path, "sb3").dialect == "Stable-Baselines3"


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [("{", "c.json", "is broken"), ("[1]", "c.json", "holds no settings"), ("{}", "c.json", "holds no settings"),
     ("a = ", "c.toml", "is broken"), ("a: [", "c.yml", "is broken"), ("x", "c.txt", "Expected .json"),
     ('{"a": {}, "b": {}}', "c.json", "several sections"), ('{"gama": 1}', "c.json", "gama -> gamma"),
     ('{"discount": 2}', "c.json", "c.json: discount must be a number, at least 0 and at most 1, got 2"),
     ('{"discount": "high"}', "c.json", "discount must be a number"),
     ('{"learning_starts": 1, "train_freq": 0}', "c.json", "train_freq must be above 0, got 0"),
     ('{"train_frequency": 4, "end_e": [1]}', "c.json", "end_e must be a number, got [1]"),
     ('{"train_frequency": 4, "env_id": 3}', "c.json", "env_id must be text, got 3"),
     ('{"learning_starts": 1, "n_timesteps": NaN}', "c.json", "n_timesteps must be a number, got nan"),
     ('{"total_frames": "10X", "frames_per_agent_step": 4}', "c.json", "is no number of frames"),
     ('{"learning_starts": 1, "optimize_memory_usage": "no"}', "c.json", "must be true or false"),
     ("[" * 100_000, "c.json", "is broken")],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_a_broken_file_is_the_users_mistake(write, capsys, content, name, message):
    if name.endswith("yml"):
        pytest.importorskip("yaml")
    assert main(["lint", str(write(content, name))]) == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_a_missing_file_is_the_users_mistake(tmp_path, capsys):
    assert main(["lint", str(tmp_path / "none.json")]) == 2
    assert "cannot be read" in capsys.readouterr().err


# ---------------------------------------------------------------------- the command


def test_a_healthy_file_ends_with_0_and_says_how_many_rules_looked(write, capsys):
    assert main(["lint", str(write({"BreakoutNoFrameskip-v4": ZOO}))]) == 0
    printed = capsys.readouterr().out
    assert "in the names of Stable-Baselines3" in printed
    assert f"{len(RULES) - 2} rules looked, nothing found." in printed
    assert "2 could not look (evaluation-epsilon, evaluation-episodes)" in printed


def test_a_file_that_no_rule_can_judge_is_not_sound(write, capsys):
    assert main(["lint", str(write({"replay_capacity": 2_000}))]) == 2
    printed = capsys.readouterr().out
    assert "No rule could look" in printed
    assert "nothing found" not in printed


def test_hints_alone_end_with_0(write):
    assert main(["lint", str(write(CLEANRL))]) == 0


def test_a_warning_ends_with_1_and_is_explained(write, capsys):
    assert main(["lint", str(write(CLEANRL | {"gamma": 0.9, "gama": 0.99}))]) == 1
    printed = " ".join(capsys.readouterr().out.split())
    assert "gama is no known name, so it was not looked at; did you mean gamma?" in printed
    assert "warning A discount of 0.9 looks 10 agent steps ahead, 0.67 seconds of play. [horizon-short]" in printed
    assert "1 warning, 1 hint." in printed
    assert "Reference: 0.99: 100 agent steps" in printed


def test_what_is_foreign_is_never_read_as_markup(write, capsys):
    assert main(["lint", str(write(CLEANRL | {"[red]x[/red]": 1}))]) == 0
    assert "[red]x[/red] is no known name" in capsys.readouterr().out


def test_json_holds_everything(write, capsys):
    assert main(["lint", str(write(CLEANRL | {"gamma": 0.9})), "--json"]) == 1
    content = json.loads(capsys.readouterr().out)
    assert content["dialect"] == "CleanRL"
    assert content["setup"]["error_clip"] == "infinite"
    assert content["setup"]["memory_bytes"] == 64_000_000_000
    assert [finding["rule"] for finding in content["findings"]] == ["horizon-short", "errors-not-clipped"]
    assert set(content["rules_looked"]) | set(content["rules_blind"]) == {rule.id for rule in RULES}


def test_a_run_is_judged_by_its_own_record(tmp_path, capsys):
    folder = write_run(tmp_path / "run", "breakout", 0, score=1.0, config=CI.config)
    assert main(["lint", str(folder)]) == 0
    assert main(["lint", str(folder / "run.json")]) == 0
    printed = capsys.readouterr().out
    assert "a run of ci-v1" in printed
    assert "budget-small" in printed
    assert main(["lint", str(folder), "--dialect", "sb3"]) == 2


def test_memory_is_that_of_the_machine_that_made_the_run(tmp_path):
    folder = write_run(tmp_path / "run", "breakout", 0, score=1.0, config=CI.config)
    run = json.loads((folder / "run.json").read_text())
    run["provenance"]["machine"]["memory_bytes"] = 20_000_000
    (folder / "run.json").write_text(json.dumps(run))
    assert main(["lint", str(folder)]) == 1  # 3,000 transitions take 21 MB
    run["provenance"]["torch"]["gpu"] = {"memory_bytes": 10**9}
    (folder / "run.json").write_text(json.dumps(run))
    assert main(["lint", str(folder)]) == 0


_ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(), st.sampled_from([10**400, -(10**400)]), st.floats(allow_subnormal=False),
    st.text(max_size=5),
    st.sampled_from(["lin_", "lin_x", "1e400", "AtariWrapper", "ALE/Pong-v5", "dict(", [4, "step"], [0, "step"], [],
                     ["AtariWrapper"], [{"AtariWrapper": {"frame_skip": "x"}}], [{"AtariWrapper": None}], [{}],
                     {"frameskip": 0}, {"frameskip": 10**400}, {"repeat_action_probability": 7}]),
)  # fmt: skip


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_file_says_is_judged_or_refused(dialect, data):
    given_fields = data.draw(st.dictionaries(st.sampled_from(sorted(dialect.names)), _ANYTHING, min_size=1, max_size=6))
    try:
        found = translate(Path("c.json"), data.draw(st.sampled_from([None, "atari", "x"])), given_fields, dialect.name)
    except UserError:
        return
    json.dumps(as_json(Path("c.json"), found, lint(found.setup)))


@pytest.mark.parametrize("reward", [0.5, 10**400, -(10**400)])
def test_a_reward_of_any_size_is_a_number(reward):
    found = translate(Path("c.json"), None, {"constant_reward": reward}, "ours")
    assert found.setup.rewards_from_game is False


def test_no_constant_reward_means_the_games_own():
    assert translate(Path("c.json"), None, {"constant_reward": None}, "ours").setup.rewards_from_game is True


@pytest.mark.parametrize("reward", [float("nan"), float("inf"), True, "x"])
def test_what_is_no_number_is_no_reward(reward):
    with pytest.raises(UserError, match="constant_reward must be a number"):
        translate(Path("c.json"), None, {"constant_reward": reward}, "ours")


def test_every_dialect_knows_its_own_defaults():
    for dialect in DIALECTS:
        assert dialect.defaults.keys() <= dialect.names


# ---------------------------------------------------------------------- before a run


def test_a_run_prints_its_warnings_and_records_them(tmp_path, capsys):
    options = {name: getattr(make_tiny_config(), name) for name in (
        "iteration_frames", "progress_frames", "replay_capacity", "replay_start_agent_steps", "batch_size",
        "epsilon_span_agent_steps", "evaluation_episodes", "evaluation_max_frames", "heldout_states",
    )}  # fmt: skip
    words = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    assert dqn_ref_main(["train", "--game", "pong", "--frames", "960", "--out", str(tmp_path / "run"), "--threads", "1",
                         "--target-period-agent-steps", "4", *words]) == 0  # fmt: skip
    printed = capsys.readouterr().out
    assert printed.index("error: The target network is copied at every update") < printed.index("960/960 frames")
    assert printed.count("(lint: target-not-behind)") == 1
    assert "hint" not in printed
    assert "target-not-behind" in RunRecord.read(tmp_path / "run").run["lint"]
