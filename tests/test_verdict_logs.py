"""Logs as programs write them, read under our names and diagnosed."""

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
from fake_runs import write_run
from foreign_logs import cleanrl, events

from benchmarks.__main__ import main
from benchmarks.doctor.verdicts import diagnose, names, read_log
from benchmarks.doctor.verdicts.log import METRICS
from benchmarks.doctor.verdicts.names import CLEANRL_FACTS, SETTINGS, read_mapping
from dqn_ref.config import DQNConfig, UserError
from dqn_ref.records import PROGRESS_COLUMNS

SB3 = Path(__file__).parent / "data" / "stable_baselines3"


def table(path: Path, header, rows) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


# ---------------------------------------------------------------------- our own


def own_run(folder: Path, rows: int = 8, **columns) -> Path:
    """A finished run of breakout whose progress has ``columns``, each a value a row."""
    write_run(folder, "breakout", 3, score=2.0, frames=16_000)
    path = folder / "progress.csv"
    written = list(csv.DictReader(path.open()))
    header = [*written[0], *(name for name in columns if name not in written[0])]
    for name, values in columns.items():
        for row, value in zip(written, values, strict=True):
            row[name] = f"{value:.6g}"
    table(path, header, [[row[name] for name in header] for row in written])
    return folder


def test_our_own_record_is_read_with_its_game_its_settings_and_its_episodes(tmp_path):
    run = write_run(tmp_path / "run", "breakout", 3, frames=16_000, episodes=[
        (4_000, 2, "game_over"), (8_000, 9, "iteration_end"), (12_000, 5, "truncated"),
    ])  # fmt: skip
    log = read_log(run)
    assert (log.name, log.program, log.game, log.frames_done) == ("run", "dqn-ref", "breakout", 16_000)
    assert log.facts["discount"] == 0.99
    assert log.facts["replay_capacity"] == 3_000
    assert log.episodes.frames.tolist() == [4_000, 12_000]  # an episode that was cut off has no return
    assert log.episodes.returns.tolist() == [2, 5]
    assert log.episodes.lengths.tolist() == [400, 400]
    assert set(log.series) == set(PROGRESS_COLUMNS) & set(METRICS)
    assert log.series["agent_steps"].frames.tolist() == [2_000 * k for k in range(1, 9)]
    assert log.series["agent_steps"].values.tolist() == [500 * k for k in range(1, 9)]
    assert (read_log(run / "run.json").name, read_log(run / "run.json").program) == ("run", "dqn-ref")


def test_a_run_that_is_not_finished_is_diagnosed_as_far_as_it_got(tmp_path):
    log = read_log(write_run(tmp_path / "run", "breakout", 0, status="failed", error="out of memory"))
    assert log.notes == ("the run is failed: the log ends at 16,000 frames",)
    assert diagnose(log).top == "learning-not-begun"  # such a run, made without training, has no updates


def test_columns_that_an_older_record_lacks_are_named_and_not_taken_for_broken(tmp_path):
    found = diagnose(read_log(write_run(tmp_path / "run", "breakout", 0)))
    missing = set(METRICS) - set(PROGRESS_COLUMNS)
    assert missing <= set(found.log.lacks)
    assert "numbers-broken" not in {each.cause.id for each in found.causes}


# ---------------------------------------------------------------------- CleanRL


def cleanrl_run(folder: Path, *, loss, q=1.0, learns=False, **arguments) -> Path:
    """A run of 100,000 agent steps in cleanrl's names: an episode and a loss every 1,000."""
    steps = range(1_000, 100_001, 1_000)
    table = "|param|value|\n|-|-|\n" + "\n".join(
        f"|{key}|{value}|"
        for key, value in {
            "exp_name": "dqn_atari", "seed": 1, "env_id": "BreakoutNoFrameskip-v4", "total_timesteps": 100_000,
            "gamma": 0.99, "buffer_size": 100_000, "target_network_frequency": 1_000, "train_frequency": 4,
            "start_e": 1.0, "end_e": 0.01, "exploration_fraction": 0.1, "learning_starts": 8_000, **arguments,
        }.items()
    )  # fmt: skip
    scalars = {
        "charts/episodic_return": [(k, (k / 2_000 if learns else 1.0) + k // 1_000 % 2) for k in steps],
        "charts/episodic_length": [(k, 200.0) for k in steps],
        "losses/td_loss": [(k, loss(k)) for k in steps],
        "losses/q_values": [(k, q * k / 100_000) for k in steps],
        "charts/SPS": [(k, 250.0) for k in steps],
    }
    events(folder, scalars, {"hyperparameters": table})
    return folder


def test_a_log_of_cleanrl_is_read_in_frames_with_its_settings(tmp_path):
    log = read_log(cleanrl_run(tmp_path / "BreakoutNoFrameskip-v4__dqn_atari__1__1700000000", loss=lambda _: 0.01))
    assert (log.program, log.game, log.frames_done) == ("CleanRL", "breakout", 400_000)
    assert log.episodes.frames[:2].tolist() == [4_000, 8_000]
    assert log.episodes.lengths[0] == 200  # frames: CleanRL counts them below the wrapper that skips
    assert log.series["frames_per_second"].values[0] == 1_000
    assert log.facts["discount"] == 0.99
    assert log.facts["reward_clip"] == 1.0
    assert log.facts["epsilon_span_agent_steps"] == 10_000
    assert log.facts["target_period_agent_steps"] == 1_000
    assert any("losses/q_values" in note for note in log.notes)
    assert "target_distance" in log.lacks
    assert "epsilon" in log.lacks


def test_faults_of_a_cleanrl_run_are_found_and_what_it_does_not_log_is_said(tmp_path):
    name = "BreakoutNoFrameskip-v4__dqn_atari__1__1700000000"
    found = diagnose(read_log(cleanrl_run(tmp_path / name, loss=lambda _: 0.01, target_network_frequency=1)))
    assert found.top == "no-target-lag"
    assert found.causes[0].evidence[0].sign.quantity == "target_period"  # from its settings, for want of weights
    assert "dead-units" in {each.cause.id for each in found.unlooked}
    spiky = diagnose(read_log(cleanrl_run(tmp_path / "a" / name, loss=lambda k: 50.0 if k == 40_000 else 0.01)))
    assert spiky.top == "unclipped-errors"
    broken = diagnose(read_log(cleanrl_run(tmp_path / "b" / name, loss=lambda k: math.nan if k > 40_000 else 0.01)))
    assert broken.top == "numbers-broken"
    assert broken.causes[0].evidence[0].frame == 4 * 41_000  # of the first such row
    learning = diagnose(read_log(cleanrl_run(tmp_path / "c" / name, loss=lambda _: 0.01, learns=True)))
    assert learning.outcome == "healthy so far"


def test_runs_that_are_named_as_cleanrl_names_them_are_enough(tmp_path):
    folder = cleanrl(tmp_path, [(k, 1.0 + k % 2) for k in range(1, 2_000, 100)], last_step=2_000)
    log = read_log(folder)
    assert (log.program, log.game, len(log.episodes)) == ("CleanRL", "breakout", 20)


# ---------------------------------------------------------------------- Stable-Baselines3

SB3_HEADER = ["rollout/ep_rew_mean", "rollout/exploration_rate", "time/fps", "time/total_timesteps", "train/loss",
              "train/n_updates", "train/learning_rate"]  # fmt: skip


def test_the_csv_of_stable_baselines3_is_read_and_its_empty_fields_are_not_broken(tmp_path):
    rows = [[1.5, 1 - 0.009 * k, 250, 1_000 * k, "" if k < 10 else 0.01, "" if k < 10 else 250 * k, 1e-4]
            for k in range(1, 101)]  # fmt: skip
    log = read_log(table(tmp_path / "BreakoutNoFrameskip-v4_1" / "progress.csv", SB3_HEADER, rows))
    assert (log.program, log.game, log.frames_done) == ("Stable-Baselines3", "breakout", 400_000)
    assert log.series["loss"].frames[0] == 40_000
    assert log.series["epsilon"].values[0] == pytest.approx(0.991)
    assert log.series["frames_per_second"].values[0] == 1_000
    found = diagnose(log)
    assert "numbers-broken" not in {each.cause.id for each in found.causes}
    assert found.learning.status == "not learning"
    assert "no test" in found.learning.words
    rows[50][4] = "nan"
    broken = read_log(table(tmp_path / "BreakoutNoFrameskip-v4_2" / "progress.csv", SB3_HEADER, rows))
    assert diagnose(broken).top == "numbers-broken"


def test_a_constant_epsilon_of_zero_is_seen_in_a_csv(tmp_path):
    rows = [[1.5, 0.0, 250, 1_000 * k, 0.01, 250 * k, 1e-4] for k in range(1, 101)]
    assert diagnose(read_log(table(tmp_path / "progress.csv", SB3_HEADER, rows), game="pong")).top == "no-exploration"


def test_real_logs_of_stable_baselines3_are_read():
    """tests/data/README.md: 2,000 agent steps; 4,417 and 4,491 frames of its two emulators."""
    log = read_log(SB3 / "tb" / "BreakoutNoFrameskip-v4" / "DQN_1")
    assert (log.program, log.game) == ("Stable-Baselines3", "breakout")
    assert {"mean_return", "epsilon"} <= set(log.series)
    assert log.frames_done <= 8_000
    monitors = read_log(SB3 / "dqn" / "BreakoutNoFrameskip-v4_1")
    assert monitors.game == "breakout"
    assert monitors.episodes.frames[-1] <= 4_417 + 4_491
    assert monitors.episodes.lengths.sum() == monitors.episodes.frames[-1]
    for each in (log, monitors):
        found = diagnose(each)
        assert found.early
        assert found.unlooked


def test_events_and_monitor_files_of_one_run_are_one_log(tmp_path):
    run = tmp_path / "BreakoutNoFrameskip-v4_1"
    events(run, {"rollout/ep_rew_mean": [(4_000, 1.5)], "train/loss": [(4_000, 0.2)]})
    (run / "0.monitor.csv").write_text(
        '#{"t_start": 1.5, "env_id": "BreakoutNoFrameskip-v4"}\nr,l,t\n2.0,700,1.0\n3.0,800,2.0\n'
    )
    log = read_log(run)
    assert log.episodes.returns.tolist() == [2, 3]
    assert log.series["loss"].values == pytest.approx([0.2])


def test_events_in_a_folder_beside_monitor_files_are_not_left_out_in_silence(tmp_path):
    """Stable-Baselines3 with its Monitor and its tensorboard_log on one folder."""
    events(tmp_path / "DQN_1", {"rollout/ep_rew_mean": [(4_000, 1.5)], "train/loss": [(4_000, 0.2)]})
    (tmp_path / "monitor.csv").write_text('#{"t_start": 1.5, "env_id": "BreakoutNoFrameskip-v4"}\nr,l,t\n2.0,700,1.0\n')
    with pytest.raises(UserError, match=r"holds 2 runs .*DQN_1.*Point at one"):
        read_log(tmp_path)


# ---------------------------------------------------------------------- others, by a mapping

MAPPING = {
    "program": "my DQN",
    "step": "env_step",
    "frames_per_step": 2,
    "game": "pong",
    "metrics": {"loss": "train/td", "frames_per_second": {"name": "speed", "scale": 3}, "episode_return": "score"},
    "settings": {"discount": 0.5, "reward_clip": 1},
}


def test_a_period_in_updates_says_alone_that_the_target_does_not_lag(tmp_path):
    (tmp_path / "map.json").write_text(json.dumps(MAPPING | {"settings": {"target_period_updates": 1}}))
    path = table(tmp_path / "log.csv", ["env_step", "train/td", "speed", "score"],
                 [[10_000 * k, 0.5, 10, k] for k in range(1, 41)])  # fmt: skip
    assert diagnose(read_log(path, tmp_path / "map.json")).top == "no-target-lag"


def test_a_mapping_names_scales_and_settings(tmp_path):
    (tmp_path / "map.json").write_text(json.dumps(MAPPING))
    path = table(tmp_path / "log.csv", ["env_step", "train/td", "speed", "score", "Other"],
                 [[100 * k, 0.5, 10, k if k % 2 else "", "text"] for k in range(1, 11)])  # fmt: skip
    log = read_log(path, tmp_path / "map.json")
    assert (log.program, log.game, log.frames_done) == ("my DQN", "pong", 2_000)
    assert log.series["loss"].frames.tolist() == [200 * k for k in range(1, 11)]
    assert set(log.series["frames_per_second"].values) == {30}
    assert log.episodes.returns.tolist() == [1, 3, 5, 7, 9]
    assert log.facts["discount"] == 0.5
    assert diagnose(log).top == "horizon-too-short"


def test_a_mapping_may_be_toml_and_holds_for_events_too(tmp_path):
    (tmp_path / "map.toml").write_text('frames_per_step = 1\n[metrics]\nq_max = "value/max"\n[settings]\n'
                                       "discount = 0.99\nreward_clip = 1\n")  # fmt: skip
    events(tmp_path / "run", {"value/max": [(k * 1_000, 10.0 * k) for k in range(1, 30)]})
    log = read_log(tmp_path / "run", tmp_path / "map.toml", "breakout")
    assert (log.game, log.frames_done) == ("breakout", 29_000)
    assert diagnose(log).top == "values-diverge"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[]", "must hold an object"),
        ('{"steps": "x"}', "unknown keys 'steps'"),
        ('{"metrics": {"lost": "x"}}', "unknown metrics 'lost'"),
        ('{"metrics": {"loss": 3}}', "metrics.loss must be a name"),
        ('{"metrics": {"loss": {"name": "x", "scale": "y"}}}', "metrics.loss must be a name"),
        ('{"metrics": ["loss"]}', "metrics must be an object"),
        ('{"settings": {"gamma": 0.9}}', "unknown settings 'gamma'"),
        ('{"settings": {"discount": "0.9"}}', "settings.discount must be a number"),
        ('{"settings": {"discount": NaN}}', "settings.discount must be a number"),
        ('{"frames_per_step": 0}', "frames_per_step must be a whole number"),
        ('{"step": 3}', "step must be a text"),
        ('{"game": "ponk"}', "ponk"),
        ("{", "is no JSON"),
    ],
)
def test_a_mapping_that_says_nothing_is_refused(tmp_path, content, words):
    (tmp_path / "map.json").write_text(content)
    with pytest.raises(UserError, match=words):
        read_mapping(tmp_path / "map.json")


def test_settings_that_a_mapping_may_name_are_those_of_our_configuration_that_the_doctor_reads():
    assert set(SETTINGS) <= set(DQNConfig.__dataclass_fields__)
    assert set(CLEANRL_FACTS.values()) <= set(SETTINGS)
    others = [path for path in Path(names.__file__).parent.glob("*.py") if path.name not in ("names.py", "foreign.py")]
    source = "".join(path.read_text() for path in others)
    assert [name for name in SETTINGS if f'"{name}"' not in source] == []
    read = {name for name in DQNConfig.__dataclass_fields__ if f'"{name}"' in source}
    assert read - set(SETTINGS) == {"network"}  # a part of the time


# ---------------------------------------------------------------------- what cannot be read


def test_what_is_no_log_is_refused_with_what_to_do(tmp_path):
    (tmp_path / "empty").mkdir()
    table(tmp_path / "other.csv", ["step", "whatever"], [[1, 2]])
    table(tmp_path / "steps.csv", ["when", "train/loss"], [[1, 2]])
    events(tmp_path / "foreign", {"some/thing": [(1, 1.0)]})
    for path, words in (
        (tmp_path / "absent", "neither a file nor a folder"),
        (tmp_path / "empty", "holds no log"),
        (
            tmp_path / "other.csv",
            r"no name known here .*; its names: 'step', 'whatever'\.",
        ),
        (tmp_path / "steps.csv", "no column of steps"),
        (tmp_path / "foreign", "some/thing"),
    ):
        with pytest.raises(UserError, match=words):
            read_log(path)


def test_a_folder_of_several_runs_is_refused_and_names_them(tmp_path):
    for name in ("one", "two"):
        events(tmp_path / name, {"rollout/ep_rew_mean": [(4_000, 1.5)]})
    with pytest.raises(UserError, match=r"holds 2 runs .*one.*two"):
        read_log(tmp_path)


# ---------------------------------------------------------------------- the command


def test_the_command_prints_the_verdict_and_can_write_all_of_it(tmp_path, capsys):
    name = "BreakoutNoFrameskip-v4__dqn_atari__1__1700000000"
    run = cleanrl_run(tmp_path / name, loss=lambda _: 0.01, target_network_frequency=1)
    assert main(["diagnose", str(run), "--out", str(tmp_path / "d.json"), "--plots", str(tmp_path / "plots")]) == 0
    printed = capsys.readouterr().out
    assert "1. no-target-lag (strong" in printed
    assert "cannot look for dead-units: the log has no dormant_conv1" in printed
    told = json.loads((tmp_path / "d.json").read_text())
    assert told["top"] == "no-target-lag"
    assert sorted(path.name for path in (tmp_path / "plots").iterdir()) == ["diagnosis.png", "diagnosis.svg"]
    assert main(["diagnose", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == told


def test_the_command_answers_a_mistake_with_one_message_and_exit_code_2(tmp_path, capsys):
    assert main(["diagnose", str(tmp_path / "absent")]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    run = cleanrl_run(tmp_path / "run", loss=lambda _: 0.01)
    assert main(["diagnose", str(run), "--game", "ponk"]) == 2
    (tmp_path / "taken").write_text("a file")
    assert main(["diagnose", str(run), "--plots", str(tmp_path / "taken")]) == 2


# ---------------------------------------------------------------------- drawings


def test_equal_logs_give_equal_drawings_and_crossed_bars_are_drawn(tmp_path):
    from benchmarks.doctor.verdicts.drawing import CROSSED, draw_evidence, evidence_figure

    name = "BreakoutNoFrameskip-v4__dqn_atari__1__1700000000"
    healthy = diagnose(read_log(cleanrl_run(tmp_path / name, loss=lambda _: 0.01, learns=True)))
    diverging = diagnose(read_log(cleanrl_run(tmp_path / "x" / name, loss=lambda _: 0.01, q=500.0)))
    first = [path.read_bytes() for path in draw_evidence(healthy, tmp_path / "a")]
    assert first == [path.read_bytes() for path in draw_evidence(healthy, tmp_path / "b")]
    assert first != [path.read_bytes() for path in draw_evidence(diverging, tmp_path / "c")]
    rows = [[1.5, 0.0, 250, 1_000 * k, 0.01, 250 * k, 1e-4] for k in range(1, 101)]
    zero = diagnose(read_log(table(tmp_path / "progress.csv", SB3_HEADER, rows)))
    marked = [line for axis in evidence_figure(zero).axes for line in axis.lines if line.get_color() == CROSSED]
    assert [line.get_ydata()[0] for line in marked] == [0.02]
    assert not [line for axis in evidence_figure(healthy).axes for line in axis.lines if line.get_color() == CROSSED]


# ---------------------------------------------------------------------- a real run


@pytest.mark.slow
def test_a_real_short_run_of_the_reference_can_be_diagnosed(tmp_path):
    from dqn_ref.__main__ import main as train

    arguments = ["train", "--game", "breakout", "--seed", "0", "--out", str(tmp_path / "run"), "--protocol", "ci",
                 "--frames", "8k", "--device", "cpu"]  # fmt: skip
    assert train(arguments) == 0
    found = diagnose(read_log(tmp_path / "run"))
    assert found.log.game == "breakout"
    assert found.early
    assert found.outcome.startswith("too early")
    assert not {"numbers-broken", "no-target-lag", "unscaled-input", "blank-input", "terminals-odd"} & {
        each.cause.id for each in found.causes
    }
    json.dumps(found.as_json(), allow_nan=False)


def test_rows_of_a_running_run_are_read_while_it_writes(tmp_path):
    """A record that is open: whole rows are on disk."""
    run = write_run(tmp_path / "run", "breakout", 0, status="running")
    assert read_log(run).notes[0].startswith("the run is running")
    assert np.isfinite(read_log(run).series["agent_steps"].values).all()
