"""TensorBoard logs and monitor files of others."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from foreign_logs import cleanrl, events

from benchmarks.curves import Measurement
from benchmarks.imports.detect import read_scores
from benchmarks.imports.events import read_log
from dqn_ref.config import UserError

SB3 = Path(__file__).parent / "data" / "stable_baselines3"
NAN = float("nan")


def declare(folder: Path, **content) -> None:
    (folder / "measured.json").write_text(json.dumps(content))


def scores(curves, game="breakout", seed=1) -> list[float]:
    return pytest.approx(curves.raw[game][seed].tolist(), nan_ok=True)


# ---------------------------------------------------------------------- events


def test_the_reader_agrees_with_tensorboards_own(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for folder in sorted((SB3 / "tb").glob("*/*")):
        log = read_log(folder, list(folder.iterdir()))
        theirs = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
        assert set(log.scalars) == set(theirs.Tags()["scalars"])
        assert len(log.scalars) == 6
        for tag, (steps, values) in log.scalars.items():
            assert [(each.step, each.value) for each in theirs.Scalars(tag)] == list(zip(steps, values, strict=True))


def test_scalars_of_tensorflow_two_are_read_like_those_of_pytorch(tmp_path):
    """It writes them as tensors."""
    with_tensors = tmp_path / "a"
    from tensorboard.summary import Writer  # TensorBoard's own; the same layout as tf.summary.scalar

    writer = Writer(str(with_tensors))
    for step, value in enumerate([1.5, 2.5]):
        writer.add_scalar("Train/AverageReturns", value, step)
    writer.close()
    log = read_log(with_tensors, list(with_tensors.iterdir()))
    assert log.scalars["Train/AverageReturns"][1].tolist() == [1.5, 2.5]


def test_nothing_of_a_long_log_is_left_out(tmp_path):
    """TensorBoard's own reader keeps a sample of 10,000 by default."""
    path = events(tmp_path / "run", {"a": [(step, step / 2) for step in range(12_000)]})
    steps, values = read_log(path.parent, [path]).scalars["a"]
    assert steps.tolist() == list(range(12_000))
    assert values.tolist() == [step / 2 for step in range(12_000)]


def cut(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])


@pytest.mark.parametrize("lost", [1, 4, 5, 20, 30])
def test_a_log_whose_last_record_is_cut_off_is_read_up_to_there(tmp_path, lost):
    path = events(tmp_path / "run", {"a": [(1, 1.0), (2, 2.0), (3, 3.0)]})
    cut(path, path.stat().st_size - lost)
    assert read_log(path.parent, [path]).scalars["a"][0].tolist() == [1, 2]


@pytest.mark.parametrize("from_end", [1, 6, 30, 45, 70])
def test_a_log_that_is_damaged_is_refused_and_not_read_as_a_shorter_one(tmp_path, from_end):
    """Bytes in the checksum, in the data, and in the length of records, the last one and the one before."""
    path = events(tmp_path / "run", {"a": [(1, 1.0), (2, 2.0), (3, 3.0)]})
    content = bytearray(path.read_bytes())
    content[-from_end] ^= 0x10
    path.write_bytes(content)
    with pytest.raises(UserError, match=f"{path.name} is damaged at byte"):
        read_log(path.parent, [path])


def test_a_file_that_only_has_the_name_of_an_event_file_is_refused(tmp_path):
    (tmp_path / "events.out.tfevents.1.host").write_text("This is a text, and not a short one.")
    with pytest.raises(UserError, match="damaged at byte 0"):
        read_scores(tmp_path)


# ---------------------------------------------------------------------- CleanRL

EPISODES = [(200, 2.0), (250, 4.0), (251, 10.0), (700, 6.0), (1_000, 2.0), (1_800, 20.0), (2_400, 30.0)]
# In frames 800, 1000 | 1004 | 2800 | 4000 | 7200 | 9600; points of 1000: 3, 10, 6, 2, -, -, -, 20, -, 30
SCORES = [3, 13 / 2, 19 / 3, 21 / 4, 21 / 4, 18 / 3, 8 / 2, 22 / 2, 20.0, 50 / 2]


def test_episodes_of_cleanrl_become_points_and_scores(tmp_path):
    cleanrl(tmp_path / "runs", EPISODES, last_step=2_499)
    curves = read_scores(tmp_path / "runs")
    assert curves.name == "runs"
    assert curves.frames.tolist() == list(range(1_000, 10_001, 1_000))
    assert scores(curves) == SCORES
    assert curves.measured == Measurement("training", 0.01, 0.0, None, False)


def test_a_run_that_was_killed_has_no_score_beyond_its_end_and_its_absence_is_named(tmp_path):
    cleanrl(tmp_path, EPISODES, last_step=2_499)
    cleanrl(tmp_path, EPISODES[:5], seed=2, last_step=1_470)  # 5,880 frames: not quite the sixth point
    curves = read_scores(tmp_path)
    assert scores(curves, seed=2) == [*SCORES[:5], NAN, NAN, NAN, NAN, NAN]
    assert curves.at(5_000, ["breakout"]).shape == (2, 1)
    with pytest.raises(UserError, match="no score at 6k frames for breakout seed 2"):
        curves.at(6_000, ["breakout"])


def test_a_log_that_ends_just_before_a_point_has_reached_it(tmp_path):
    """The last entry of a run is never its last frame."""
    cleanrl(tmp_path, EPISODES[:5], last_step=1_475)  # 5,900 frames
    assert read_scores(tmp_path).frames[-1] == 6_000


def test_if_every_run_was_killed_the_axis_is_still_that_of_the_budget(tmp_path):
    cleanrl(tmp_path, EPISODES[:5], last_step=1_470)
    assert read_scores(tmp_path).frames.tolist() == [1_000, 2_000, 3_000, 4_000, 5_000]


def test_points_of_a_shorter_run_are_those_of_the_longest(tmp_path):
    cleanrl(tmp_path, EPISODES, last_step=2_499)
    cleanrl(tmp_path, EPISODES[:4], seed=2, last_step=999, total_timesteps=1_000)
    assert scores(read_scores(tmp_path), seed=2) == [*SCORES[:3], 19 / 3, *[NAN] * 6]


@pytest.mark.parametrize("ids", [{"env_id": "PongNoFrameskip-v4"}, {"env_id": "", "gym_id": "PongNoFrameskip-v4"}])
def test_the_log_says_more_than_the_folder(tmp_path, ids):
    """Before 2022 the argument was called gym_id."""
    cleanrl(tmp_path, EPISODES, seed=7, folder="breakout-s1", last_step=2_499, **ids)
    assert {game: list(seeds) for game, seeds in read_scores(tmp_path).raw.items()} == {"pong": [7]}


def test_a_run_without_hyperparameters_is_named_by_its_folder(tmp_path):
    events(
        tmp_path / "PongNoFrameskip-v0__dqn_atari__3__1700000000",
        {"charts/episodic_return": EPISODES, "losses/td_loss": [(2_499, 0)]},
    )
    curves = read_scores(tmp_path)
    assert list(curves.raw["pong"]) == [3]
    assert curves.measured == Measurement("training", None, 0.25, None, False)
    assert curves.frames[-1] == 9_990  # nothing says 10,000: a tenth of what is logged


def test_a_budget_that_the_log_does_not_say_can_be_declared(tmp_path):
    events(tmp_path / "pong-s3", {"charts/episodic_return": EPISODES, "losses/td_loss": [(2_499, 0)]})
    declare(tmp_path, total_frames=10_000)
    assert scores(read_scores(tmp_path), "pong", 3) == SCORES


def test_a_log_that_nearly_reaches_a_million_frames_has_points_of_a_million(tmp_path):
    events(tmp_path / "pong-s3", {"charts/episodic_return": [(200_000, 4.0), (249_000, 6.0)]})
    curves = read_scores(tmp_path)
    assert (curves.frames.tolist(), scores(curves, "pong", 3)) == ([1_000_000], [5.0])


def test_an_emulator_that_skips_by_itself_must_be_declared(tmp_path):
    """gymnasium's ALE/...-v5 skips 4 frames, the wrapper 4 again; whether gym.make was told otherwise, no log says."""
    cleanrl(tmp_path / "runs", EPISODES, env_id="ALE/Breakout-v5", last_step=2_499)  # the "/" makes two folders
    with pytest.raises(UserError, match=r"frames_per_step.*: 4 with frameskip=1, 16 with frameskip=4"):
        read_scores(tmp_path / "runs")
    declare(tmp_path / "runs", frames_per_step=16)
    curves = read_scores(tmp_path / "runs")
    assert (curves.frames[-1], curves.measured.sticky_action_probability) == (40_000, 0.25)
    assert scores(curves) == SCORES


def test_a_seed_counts_once_and_both_folders_are_named(tmp_path):
    cleanrl(tmp_path, EPISODES, last_step=2_499, folder="first")
    cleanrl(tmp_path, EPISODES, last_step=2_499, folder="second")
    with pytest.raises(UserError, match=r"breakout seed 1 is there twice: .*first and .*second"):
        read_scores(tmp_path)


def test_runs_of_several_experiments_are_no_source(tmp_path):
    cleanrl(tmp_path, EPISODES)
    cleanrl(tmp_path, EPISODES, seed=2, exp_name="c51_atari")
    with pytest.raises(UserError, match=r"several experiments: .*c51_atari.*dqn_atari"):
        read_scores(tmp_path)


def test_a_run_of_an_experiment_that_nothing_names_may_be_among_those_of_one(tmp_path):
    cleanrl(tmp_path, EPISODES)
    events(tmp_path / "pong-s1", {"charts/episodic_return": EPISODES})
    assert set(read_scores(tmp_path).raw) == {"breakout", "pong"}


def test_runs_that_were_measured_differently_are_no_source_unless_declared(tmp_path):
    cleanrl(tmp_path, EPISODES, last_step=2_499)
    cleanrl(tmp_path, EPISODES, last_step=2_499, seed=2, end_e=0.1)
    with pytest.raises(UserError, match=r"measured alike: epsilon is 0.01 in .*__1__.* and 0.1 in .*__2__"):
        read_scores(tmp_path)
    declare(tmp_path, epsilon=None)
    assert read_scores(tmp_path).measured.epsilon is None


def test_what_one_run_leaves_open_is_open(tmp_path):
    cleanrl(tmp_path, EPISODES, last_step=2_499)
    cleanrl(tmp_path, EPISODES, last_step=2_499, seed=2, end_e="")
    assert read_scores(tmp_path).measured == Measurement("training", None, 0.0, None, False)


def test_a_run_without_an_episode_is_named(tmp_path):
    cleanrl(tmp_path, EPISODES)
    cleanrl(tmp_path, [], seed=2, last_step=100)
    with pytest.raises(UserError, match=r"__2__.* has no scalar called .*it has 'losses/td_loss'"):
        read_scores(tmp_path)


def test_a_folder_that_a_run_made_for_its_hyperparameters_is_no_run(tmp_path):
    place = cleanrl(tmp_path, EPISODES, last_step=2_499)
    events(place / "1700000001.5", {"hparam/score": [(0, 1.0)]})
    assert scores(read_scores(tmp_path)) == SCORES


def test_a_run_in_the_folder_of_another_is_one_of_its_own(tmp_path):
    place = cleanrl(tmp_path, EPISODES, last_step=2_499)
    cleanrl(place, EPISODES, seed=2, last_step=2_499)
    assert sorted(read_scores(tmp_path).raw["breakout"]) == [1, 2]


def test_two_runs_in_one_folder_are_seen(tmp_path):
    place = cleanrl(tmp_path, EPISODES)
    first = next(place.iterdir())
    first.rename(place / "events.out.tfevents.1.first")
    shutil.copy(place / "events.out.tfevents.1.first", place / "events.out.tfevents.2.second")
    with pytest.raises(UserError, match="frames go back from 9,600 to 800"):
        read_scores(tmp_path)


def test_a_run_that_went_on_in_a_second_file_is_one(tmp_path):
    events(tmp_path / "b", {"charts/episodic_return": EPISODES[3:], "losses/td_loss": [(2_499, 0)]})
    place = cleanrl(tmp_path / "runs", EPISODES[:3])
    next(place.iterdir()).rename(place / "events.out.tfevents.1.first")
    shutil.copy(next((tmp_path / "b").iterdir()), place / "events.out.tfevents.2.second")
    assert scores(read_scores(tmp_path / "runs")) == SCORES


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), 1e30])
def test_a_return_that_is_no_number_is_refused(tmp_path, wrong):
    cleanrl(tmp_path, [(200, 2.0), (250, wrong)])
    with pytest.raises(UserError, match="no finite number"):
        read_scores(tmp_path)


@pytest.mark.parametrize("step", [-1, 2**62])
def test_a_step_beyond_all_measure_is_refused(tmp_path, step):
    events(tmp_path / "pong-s1", {"charts/episodic_return": sorted([(200, 2.0), (step, 2.0)])})
    with pytest.raises(UserError, match="no training of an agent"):
        read_scores(tmp_path)


def test_a_log_of_more_points_than_any_training_has_is_refused(tmp_path):
    cleanrl(tmp_path, [(10**11, 2.0)], total_timesteps=10**11)
    with pytest.raises(UserError, match=r"makes 400,000 points of 1,000,000; expected 1 to 100,000"):
        read_scores(tmp_path)


def test_a_log_that_has_not_reached_a_point_is_refused(tmp_path):
    cleanrl(tmp_path, [(100, 2.0)], total_timesteps=10_000_000)
    with pytest.raises(UserError, match=r"longest run has 400 frames, which makes 0 points of 1,000,000"):
        read_scores(tmp_path)


# ---------------------------------------------------------------------- Stable-Baselines3, real files


def test_the_newest_mean_of_a_point_is_its_score_and_is_not_averaged_again(tmp_path):
    shutil.copytree(SB3 / "tb", tmp_path / "tb")
    declare(
        tmp_path / "tb", tag="rollout/ep_rew_mean", total_frames=16_000
    )  # of the longer run: points of 1,600 frames
    curves = read_scores(tmp_path / "tb")
    assert curves.frames.tolist() == list(range(1_600, 16_001, 1_600))
    # By eye from the log: a point ends every 400 agent steps. (step, mean) before each end, of run 1:
    # (368, 1) | (686, 1) | (1194, 7/6) | (1558, 10/9) | the log ends at 1826, before point 5 at 2000
    assert scores(curves, seed=1) == [1, 1, 7 / 6, 10 / 9, *[NAN] * 6]
    # (324, 1) | (656, 2) | (1088, 3/2) | (1488, 11/6) | (1992, 17/10) | (2322, 20/11) | (2732, 8/5) | (3110, 24/17)
    # | (3536, 7/5) | (3942, 30/23)
    assert scores(curves, seed=2) == [1, 2, 3 / 2, 11 / 6, 17 / 10, 20 / 11, 8 / 5, 24 / 17, 7 / 5, 30 / 23]
    assert curves.measured == Measurement("training", 0.05, 0.0, None, False)


def test_evaluations_are_taken_before_training_returns_and_as_they_are():
    curves = read_scores(SB3 / "tb")
    assert curves.frames.tolist() == [3_200, 6_400, 9_600, 12_800, 16_000]  # every 400 steps of 2 environments
    assert scores(curves, seed=1) == [4.5, 4.5, NAN, NAN, NAN]
    assert scores(curves, seed=2) == [2.0, 2.5, 2.5, 2.0, 2.5]
    assert curves.measured == Measurement("evaluation", None, 0.0, None, False)


def test_monitor_files_of_a_run_count_together_in_the_order_of_time():
    """Lengths 622 716 700 912 535 895 541 1082 534 515 511 518, returns 1 1 1 2 0 2 0 3 0 0 0 0: 8,081 frames."""
    curves = read_scores(SB3 / "dqn" / "BreakoutNoFrameskip-v4_1")
    assert curves.frames.tolist() == list(range(808, 8_081, 808))  # in point k+1 ends episode k, the last beyond them
    assert scores(curves) == [1, 1, 1, 5 / 4, 5 / 5, 6 / 5, 5 / 5, 7 / 5, 5 / 5, 5 / 5]
    assert curves.measured == Measurement("training", None, 0.0, None, False)


def monitor(path: Path, rows: str, env_id: str = "PongNoFrameskip-v4", start: float = 1.0) -> None:
    """A monitor file with ``rows`` of return, length and time."""
    path.parent.mkdir(exist_ok=True)
    head = json.dumps({"t_start": start, "env_id": env_id})
    path.write_text(f"#{head}\nr,l,t\n{rows}")


def test_a_monitor_file_counts_from_its_own_start(tmp_path):
    """Without the start, the two environments would come in the other order."""
    for rank, (start, rows) in enumerate([(100.0, "5,600,1.0\n7,400,50.0\n"), (40.0, "3,500,2.0\n")]):
        monitor(tmp_path / f"{rank}.monitor.csv", rows, start=start)
    declare(tmp_path, runs={".": ["pong", 4]}, total_frames=1_500)
    curves = read_scores(tmp_path)  # ends at 500, 1100, 1500; points of 150
    assert scores(curves, "pong", 4) == [NAN, NAN, NAN, 3, 3, 3, 3, 4, 5, 12 / 2]


def test_the_frames_of_a_monitored_step_can_be_declared(tmp_path):
    """Of an emulator that skips by itself: games of 600 and 400 steps are 4,000 frames, points of 400."""
    monitor(tmp_path / "pong-s1" / "0.monitor.csv", "5,600,1.0\n7,400,50.0\n", env_id="ALE/Pong-v5")
    declare(tmp_path, frames_per_step=4)
    curves = read_scores(tmp_path)
    assert curves.frames.tolist() == list(range(400, 4_001, 400))
    assert scores(curves, "pong") == [*[NAN] * 5, 5, 5, 5, 5, 12 / 2]


def test_monitor_files_of_one_run_are_of_one_environment(tmp_path):
    for rank, game in enumerate(("Pong", "Breakout")):
        monitor(tmp_path / "pong-s1" / f"{rank}.monitor.csv", "5,600,1.0\n", env_id=f"{game}NoFrameskip-v4")
    with pytest.raises(UserError, match="several environments: 'BreakoutNoFrameskip-v4', 'PongNoFrameskip-v4'"):
        read_scores(tmp_path)


def test_of_a_tree_with_both_logs_the_declared_tag_counts(tmp_path):
    """10,000 frames by the events, whose mean of 9 is newest in the tenth of ten points; 600 by the monitor file."""
    events(tmp_path / "pong-s1", {"rollout/ep_rew_mean": [(2_500, 9.0)]})
    monitor(tmp_path / "pong-s1" / "0.monitor.csv", "5,600,1.0\n")
    assert read_scores(tmp_path).frames[-1] == 600
    declare(tmp_path, tag="rollout/ep_rew_mean")
    assert scores(read_scores(tmp_path), "pong") == [*[NAN] * 9, 9.0]


def test_of_a_tree_with_both_logs_the_single_episodes_count():
    assert read_scores(SB3).raw.keys() == {"breakout"}
    assert read_scores(SB3).frames.tolist() == read_scores(SB3 / "dqn").frames.tolist()


def test_the_emulators_in_the_monitor_files_ran_as_long_as_they_said(tmp_path):
    """make.py printed 8,863 + 8,895 steps of run 2, of which the last, unfinished games are in no row."""
    curves = read_scores(SB3 / "dqn")
    assert curves.frames[-1] // 10 == curves.frames[0] == 1_704
    assert 17_040 <= 8_317 + 8_732 <= 8_863 + 8_895


def test_a_run_that_only_some_of_its_runs_evaluated_must_be_told_what_to_read(tmp_path):
    events(tmp_path / "pong-s1", {"rollout/ep_rew_mean": [(500, 1.0)], "eval/mean_reward": [(500, 2.0)]})
    events(tmp_path / "pong-s2", {"rollout/ep_rew_mean": [(500, 1.0)]})
    with pytest.raises(UserError, match=r"pong-s1 has eval/mean_reward and .*pong-s2 has not"):
        read_scores(tmp_path)
    declare(tmp_path, tag="rollout/ep_rew_mean")
    assert list(read_scores(tmp_path).raw["pong"]) == [1, 2]


def test_an_exploration_that_still_falls_is_not_the_final_one(tmp_path):
    rates = {"rollout/exploration_rate": [(100, 0.5), (500, 0.1)]}
    events(tmp_path / "pong-s1", {"rollout/ep_rew_mean": [(500, 1.0)]} | rates)
    assert read_scores(tmp_path).measured.epsilon is None


def test_a_point_without_a_new_mean_has_no_score(tmp_path):
    events(tmp_path / "pong-s1", {"rollout/ep_rew_mean": [(100, 1.0), (500, 3.0), (2_500, 9.0)]})
    curves = read_scores(tmp_path)  # 10,000 frames: points end at agent steps 250, 500, ..., and hold their ends
    assert scores(curves, "pong") == [1.0, 3.0, *[NAN] * 7, 9.0]


@pytest.mark.parametrize(
    ("first_line", "row", "message"),
    [
        ('{"t_start": 1, "env_id": "Pong-v4"}', "1,2,3", "no monitor file"),
        ("#[]", "1,2,3", "no monitor file"),
        ("#{}", "1,2,3", "no monitor file"),
        ('#{"t_start": "x", "env_id": "PongNoFrameskip-v4"}', "1,2,3", "no monitor file"),
        ('#{"t_start": NaN, "env_id": "PongNoFrameskip-v4"}', "1,2,3", "no monitor file"),
        ('#{"t_start": 1, "env_id": "PongNoFrameskip-v4"}', "1,2", "line 3: 2 fields where the header names 3"),
        ('#{"t_start": 1, "env_id": "PongNoFrameskip-v4"}', "1,2.5,3", "line 3: l is '2.5'"),
        ('#{"t_start": 1, "env_id": "PongNoFrameskip-v4"}', "nan,2,3", "line 3: r is 'nan'"),
        ('#{"t_start": 1, "env_id": "PongNoFrameskip-v4"}', "", "holds no episode"),
        ('#{"t_start": 1, "env_id": "TetrisNoFrameskip-v4"}', "1,2,3", "none of the 57"),
    ],
)
def test_a_broken_monitor_file_is_refused(tmp_path, first_line, row, message):
    folder = tmp_path / "pong-s1"
    folder.mkdir()
    (folder / "0.monitor.csv").write_text(f"{first_line}\nr,l,t\n{row}\n")
    with pytest.raises(UserError, match=message):
        read_scores(tmp_path)


# ---------------------------------------------------------------------- Dopamine


def test_an_iteration_of_dopamine_stands_for_its_end(tmp_path):
    """The iteration is the step; it writes the same twice, into two folders."""
    returns = [(k, float(k * k)) for k in range(7)]
    for folder in (tmp_path / "breakout" / "4", tmp_path / "breakout" / "4" / "metrics" / "tensorboard"):
        events(folder, {"Train/AverageReturns": returns, "Eval/AverageReturns": [(k, 1.0) for k in range(7)]})
    curves = read_scores(tmp_path)
    assert curves.frames.tolist() == [1_000_000 * k for k in range(1, 8)]
    assert scores(curves, seed=4) == [0, 1 / 2, 5 / 3, 14 / 4, 30 / 5, 55 / 5, 90 / 5]
    assert curves.measured == Measurement("training", None, None, None, False)
    declare(tmp_path, tag="Eval/AverageReturns", sticky_action_probability=0.25)
    curves = read_scores(tmp_path)
    assert scores(curves, seed=4) == [1.0] * 7
    assert curves.measured == Measurement("evaluation", None, 0.25, None, False)


def test_of_an_iteration_that_dopamine_wrote_twice_the_newest_counts(tmp_path):
    """As a run does that was resumed: the mean of 1 and 5."""
    events(tmp_path / "breakout-s4", {"Train/AverageReturns": [(0, 1.0), (1, 3.0), (1, 5.0)]})
    assert scores(read_scores(tmp_path), seed=4) == [1.0, 3.0]


def test_the_frames_of_an_iteration_of_dopamine_can_be_declared(tmp_path):
    events(tmp_path / "breakout-s4", {"Train/AverageReturns": [(0, 1.0), (1, 3.0)]})
    declare(tmp_path, frames_per_step=250_000)
    assert read_scores(tmp_path).frames.tolist() == [250_000, 500_000]


def test_a_run_of_dopamine_that_only_its_collector_wrote_is_named_by_its_folder(tmp_path):
    events(tmp_path / "breakout" / "4" / "metrics" / "tensorboard", {"Train/AverageReturns": [(0, 1.0)]})
    assert list(read_scores(tmp_path).raw["breakout"]) == [4]


@pytest.mark.parametrize("step", [-1, 10**9])
def test_steps_that_are_no_iterations_are_refused(tmp_path, step):
    events(tmp_path / "breakout-s1", {"Train/AverageReturns": [(step, 1.0)]})
    with pytest.raises(UserError, match="at each iteration"):
        read_scores(tmp_path)


def test_pickles_are_not_loaded_and_the_user_is_told_why(tmp_path):
    """This one would run a command."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "log_3").write_bytes(b"cos\nsystem\n(S'touch " + str(tmp_path / "ran").encode() + b"'\ntR.")
    for path in (tmp_path, tmp_path / "logs" / "log_3"):
        with pytest.raises(UserError, match="is a pickle, which is a program"):
            read_scores(path)
    assert not (tmp_path / "ran").exists()


# ---------------------------------------------------------------------- any other program


def test_a_tag_can_be_declared(tmp_path):
    events(tmp_path / "seaquest-s5", {"returns/raw": [(200, 2.0), (250, 4.0), (2_500, 1.0)]})
    with pytest.raises(UserError, match="it has 'returns/raw'"):
        read_scores(tmp_path)
    declare(tmp_path, tag="returns/raw")
    with pytest.raises(UserError, match="frames_per_step"):
        read_scores(tmp_path)
    declare(tmp_path, tag="returns/raw", frames_per_step=4, returns="evaluation", max_frames=18_000, name="Mine")
    curves = read_scores(tmp_path)
    assert (curves.name, curves.measured) == ("Mine", Measurement("evaluation", max_frames=18_000))
    assert scores(curves, "seaquest", 5) == [3, 3, 3, 3, 3, NAN, NAN, NAN, NAN, 1]


def test_logs_of_two_programs_are_no_source(tmp_path):
    cleanrl(tmp_path, EPISODES)
    events(tmp_path / "pong-s1", {"rollout/ep_rew_mean": [(500, 1.0)]})
    with pytest.raises(UserError, match=r"several programs: CleanRL in .*Stable-Baselines3 in"):
        read_scores(tmp_path)
    events(tmp_path / "c" / "pong-s1", {"rollout/ep_rew_mean": [(500, 1.0)], "charts/episodic_return": [(500, 1.0)]})
    with pytest.raises(UserError, match="tags of CleanRL and of Stable-Baselines3"):
        read_scores(tmp_path / "c")


def test_reading_events_brings_no_torch(tmp_path):
    code = (
        "import sys, pathlib; from benchmarks.imports.detect import read_scores;"
        f"read_scores(pathlib.Path({str(SB3 / 'tb')!r})); sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=SB3.parents[2], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
