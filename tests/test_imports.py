"""Tables of scores, published results, this project's runs; declarations, names, and what is told apart by whom."""

import csv
import json
import os
from pathlib import Path

import ale_py
import gymnasium
import numpy as np
import pytest
from fake_runs import write_run

from benchmarks.curves import Measurement
from benchmarks.imports import cleanrl, dopamine, stable_baselines3
from benchmarks.imports.declared import MEASURED, SETTINGS, Declared
from benchmarks.imports.detect import read_scores
from benchmarks.imports.naming import emulator, frames_per_step, named
from benchmarks.scores import training_curves
from dqn_ref.config import UserError
from dqn_ref.protocols import CI, NATURE
from dqn_ref.records import RunRecord

NAN = float("nan")
HEADER = "game,seed,frames,score\n"


def table(folder: Path, text: str | bytes, name: str = "scores.csv") -> Path:
    folder.mkdir(exist_ok=True, parents=True)
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def declare(path: Path, content) -> None:
    path.write_text(content if isinstance(content, str) else json.dumps(content))


# ---------------------------------------------------------------------- tables of scores


def test_a_table_of_scores_is_read_as_it_is(tmp_path):
    curves = read_scores(table(tmp_path, HEADER + "pong,0,1000000,-20.5\nBreakout,3,200,1e2\npong,0,200,-21\n"))
    assert curves.name == "scores"
    assert curves.frames.tolist() == [200, 1_000_000]
    assert {game: list(seeds) for game, seeds in curves.raw.items()} == {"pong": [0], "breakout": [3]}
    assert curves.raw["pong"][0].tolist() == [-21.0, -20.5]
    assert curves.raw["breakout"][3].tolist() == pytest.approx([100.0, NAN], nan_ok=True)
    assert curves.measured == Measurement()  # nothing is known of it


@pytest.mark.parametrize(
    "text",
    [
        "game;seed;frames;score\npong;1;200;3.5\n",
        "game\tseed\tframes\tscore\npong\t1\t200\t3.5\n",
        'score,note,frames,game,seed\n3.5,"a, b",200,pong,1\n',
        "\ufeffgame,seed,frames,score\r\npong,1,200,3.5\r\n",
        "Game, Seed, Frames, Score\n\n ALE/Pong-v5 , 1 , 2e2 , 3.50 \n\n",
        "game,seed,frames,score\npong,1,200.0,+3.5",
    ],
)
def test_a_table_may_be_written_in_many_ways(tmp_path, text):
    curves = read_scores(table(tmp_path, text))
    assert (curves.frames.tolist(), curves.raw["pong"][1].tolist()) == ([200], [3.5])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no header that names game, seed, frames, score"),
        (HEADER, "a header and no rows"),
        ("pong,1,200,3.5\n", "no header that names"),
        ("game,seed,frames\npong,1,200\n", "no header that names score once"),
        ("game,seed,frames,score,score\npong,1,200,1,2\n", "no header that names score once"),
        (HEADER + "pong,1,200,3.5\npong,1,200\n", "line 3: 3 fields where the header names 4"),
        (HEADER + "pong,1,200,3.5\npong,1,40", "line 3: 3 fields"),
        (HEADER + "pong,1,200,3,5\n", "line 2: 5 fields.*decimal comma"),
        ("game;seed;frames;score\npong;1;200;3,5\n", "line 2: score is '3,5'"),
        (HEADER + "\npong,1,200,3.5\npong,1,400,nan\n", "line 4: score is 'nan'"),
        (HEADER + "pong,1,200,inf\n", "line 2: score is 'inf'"),
        (HEADER + "pong,1,200,1e999\n", "line 2: score is"),
        (HEADER + "pong,1,200,\n", "line 2: score is ''"),
        (HEADER + "pong,1,200,1_0\n", "line 2: score is '1_0'"),
        (HEADER + "pong,1,200,0x10\n", "line 2: score is"),
        (HEADER + "pong,1,200,\u0663\n", "line 2: score is"),  # a digit, but of another script
        (HEADER + "pong,-1,200,3\n", "line 2: seed is '-1'"),
        (HEADER + "pong,1.5,200,3\n", "line 2: seed is '1.5'"),
        (HEADER + "pong,1,-200,3\n", "line 2: frames is '-200'"),
        (HEADER + "pong,1,1e15,3\n", "line 2: frames is '1e15'"),
        (HEADER + "tetris,1,200,3\n", "line 2: game is 'tetris'; 'tetris' is none of the 57"),
        (HEADER + "pong,1,200,3\nPong,1,2e2,3\n", "line 3: pong seed 1 at 200 frames is there already, in line 2"),
        (HEADER + '"pong,1,200,3\npong,2,200,3\n', "no table of UTF-8 text"),  # a quote that is never closed
        (HEADER.encode() + b"pong,1,200,3\xff\n", "no table of UTF-8 text"),
        ((HEADER + "pong,1,200,3\n").encode("utf-16"), "no header"),
        (b"\x00\x01\x02" * 100, "no header"),
        (HEADER + "x" * 200_000 + ",1,200,3\n", "no table of UTF-8 text"),
    ],
)
def test_a_table_that_is_wrong_is_refused_with_the_line(tmp_path, text, message):
    path = table(tmp_path, text)
    with pytest.raises(UserError, match=message) as caught:
        read_scores(path)
    assert str(path) in str(caught.value)


def test_a_terminal_obeys_nothing_that_a_foreign_file_says(tmp_path):
    with pytest.raises(UserError) as caught:
        read_scores(table(tmp_path, HEADER + "\x1b[2Jpong,1,200,3\n"))
    assert "\x1b" not in str(caught.value)


# ---------------------------------------------------------------------- declarations


def test_what_is_declared_wins_and_the_rest_stays_open(tmp_path):
    path = table(tmp_path, HEADER + "pong,1,200,3.5\n")
    declare(tmp_path / "scores.measured.json", {"returns": "evaluation", "epsilon": 0, "max_frames": 9})
    curves = read_scores(path)
    assert (curves.name, curves.measured) == ("scores", Measurement("evaluation", 0, None, 9, None))
    declare(tmp_path / "scores.measured.json", {"name": "Theirs"})
    assert (read_scores(path).name, read_scores(path, name="Mine").name) == ("Theirs", "Mine")


def test_a_folder_has_its_declaration_inside(tmp_path):
    table(tmp_path, HEADER + "pong,1,200,3.5\n")
    declare(tmp_path / "measured.json", {"life_loss_ends_episode": False, "sticky_action_probability": 0.25})
    curves = read_scores(tmp_path)
    assert (curves.name, curves.measured) == (tmp_path.name, Measurement(None, None, 0.25, None, False))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("[1]", "must hold a JSON object, got a list"),
        ({"sticky": 0.25}, "unknown are 'sticky'; known are name,.*sticky_action_probability"),
        ({"returns": "eval"}, 'returns must be "training" or "evaluation", got "eval"'),
        ({"returns": ["training"]}, "returns must be"),
        ({"epsilon": 5}, "epsilon must be a number from 0 to 1, got 5"),
        ('{"epsilon": NaN}', "epsilon must be a number from 0 to 1, got NaN"),
        ({"epsilon": True}, "epsilon must be a number"),
        ({"max_frames": 0}, "max_frames must be a whole number above 0"),
        ({"max_frames": 1.5}, "max_frames must be"),
        ({"life_loss_ends_episode": 0}, "must be true or false, got 0"),
        ({"name": " "}, "name must be a text"),
        ({"name": "a\nb"}, "name must be a text of one line"),
        ({"name": None}, "name must be a text"),
        ({"frames_per_step": "4"}, "frames_per_step must be"),
        ({"runs": []}, "runs must be an object"),
        ({"runs": {"a": "pong"}}, r"'a' must be \[\"game\", seed\]"),
        ({"runs": {"a": ["pong", "1"]}}, "'a' must be"),
        ({"runs": {"a": ["pong", -1]}}, "'a' must be"),
        ({"runs": {"a": ["tetris", 1]}}, "'a': 'tetris' is none of the 57"),
        ({"tag": "x"}, "tag says nothing about a table of scores"),
        ({"frames_per_step": 4}, "frames_per_step says nothing about a table"),
    ],
)
def test_a_wrong_declaration_is_refused(tmp_path, content, message):
    path = table(tmp_path, HEADER + "pong,1,200,3.5\n")
    declare(tmp_path / "scores.measured.json", content)
    with pytest.raises(UserError, match=message) as caught:
        read_scores(path)
    assert "scores.measured.json" in str(caught.value)


# ---------------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("path", "game", "seed"),
    [
        ("breakout-s0", "breakout", 0),
        ("space_invaders-s12", "space_invaders", 12),
        ("breakout/seed3", "breakout", 3),
        ("dqn_Breakout_seed-3_2024", "breakout", 3),
        ("seed_2/UpNDown", "up_n_down", 2),
        ("results/breakout/7", "breakout", 7),  # DQN Zoo's and Dopamine's own way
        ("dqn/BreakoutNoFrameskip-v4_1", "breakout", 1),  # RL Zoo's
        ("tb/MsPacmanNoFrameskip-v4/DQN_2", "ms_pacman", 2),  # Stable-Baselines3's, in RL Zoo
        ("ALE-Qbert-v5_3", "qbert", 3),
        ("BreakoutNoFrameskip-v4__dqn_atari__1__1700000000", "breakout", 1),
        ("ALE/Breakout-v5__dqn_atari__4__1700000000", "breakout", 4),
        ("Breakout-v5__ppo_atari_envpool__2__1700000000", "breakout", 2),
        ("hero/breakout-s1", "breakout", 1),  # the inner name counts
        ("s3/breakout/1", "breakout", 1),  # a bucket of that name
        ("breakout-seed3/DQN_1", "breakout", 3),  # each seed has a first run
        ("breakout/s3/DQN_1", "breakout", 3),
        ("H.E.R.O.-s1", "hero", 1),
    ],
)
def test_game_and_seed_are_in_the_names_that_programs_give(tmp_path, path, game, seed):
    who = named(tmp_path, tmp_path / path, Declared(tmp_path / "measured.json"))
    assert (who.game, who.seed) == (game, seed)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("run", "says its game and its seed.*Name the folder GAME-sSEED"),
        ("breakout", "says its seed"),
        ("seed3", "says its game"),
        ("breakout-20240131", "says its seed"),  # a date
        ("breakout/tb-2024/x", "says its seed"),
        ("3/breakout/tb", "says its seed"),  # too far from the run to be sure
        ("atari-10/breakout", "says its seed"),
        ("pong_breakout-s1", "names several games: breakout, pong"),
        ("breakout-s1-seed2", "names several seeds: 1, 2"),
        ("Breakout__2__1__1700000000", "names several seeds: 1, 2"),
        ("Breakou-s1", "says its game"),
    ],
)
def test_a_name_that_does_not_say_it_is_not_guessed_at(tmp_path, path, message):
    with pytest.raises(UserError, match=message):
        named(tmp_path, tmp_path / path, Declared(tmp_path / "measured.json"))


def test_the_name_of_the_folder_pointed_at_counts(tmp_path):
    root = tmp_path / "pong-s4"
    assert named(root, root, Declared(root / "measured.json")).seed == 4


def test_a_declared_run_wins_over_its_log_and_its_name(tmp_path):
    declared = Declared(tmp_path / "measured.json", runs={"pong-s1/tb": ("breakout", 5)})
    who = named(tmp_path, tmp_path / "pong-s1" / "tb", declared, env_id="PongNoFrameskip-v4", seed=1)
    assert (who.game, who.seed, who.emulator.sticky) == ("breakout", 5, 0.0)


@pytest.mark.parametrize(
    ("env_id", "skip", "sticky"),
    [
        ("BreakoutNoFrameskip-v4", 1, 0.0), ("BreakoutNoFrameskip-v0", 1, 0.25),
        ("Breakout-v4", None, 0.0), ("Breakout-v0", None, 0.25), ("BreakoutDeterministic-v4", None, 0.0),
        ("Breakout-ramNoFrameskip-v4", 1, 0.0), ("ALE/Breakout-v5", None, 0.25), ("ALE-Breakout-v5", None, 0.25),
        ("Breakout-v5", None, None), ("MyBreakout", None, None), (None, 1, None),
    ],
)  # fmt: skip
def test_an_id_says_of_its_emulator_what_gymnasium_registers(env_id, skip, sticky):
    found = emulator(env_id)
    assert (found.skip, found.sticky) == (skip, sticky)
    gymnasium.register_envs(ale_py)
    if env_id in gymnasium.registry:
        kwargs = gymnasium.spec(env_id).kwargs
        assert sticky == kwargs["repeat_action_probability"]
        assert skip in (None, kwargs["frameskip"])


def test_frames_of_a_step_are_those_of_the_emulator_times_the_wrappers(tmp_path):
    nothing = Declared(tmp_path / "measured.json")
    assert frames_per_step(emulator("PongNoFrameskip-v4"), 4, nothing, tmp_path) == 4
    assert frames_per_step(emulator(None), 4, nothing, tmp_path) == 4
    assert frames_per_step(emulator("PongNoFrameskip-v4"), 1, nothing, tmp_path) == 1
    assert frames_per_step(emulator("ALE/Pong-v5"), 4, Declared(tmp_path, frames_per_step=16), tmp_path) == 16
    with pytest.raises(UserError, match="1 with frameskip=1, 4 with frameskip=4"):
        frames_per_step(emulator("ALE/Pong-v5"), 1, nothing, tmp_path)


def test_a_declared_run_that_is_not_there_is_a_slip(tmp_path):
    zoo(tmp_path / "a", [(0, 0, 1.0)])
    declare(tmp_path / "measured.json", {"runs": {"A": ["pong", 1]}})
    with pytest.raises(UserError, match="no run is at A; runs are at a"):
        read_scores(tmp_path)
    declare(tmp_path / "measured.json", {"runs": {"./a/": ["pong", 1]}})
    assert list(read_scores(tmp_path).raw["pong"]) == [1]


# ---------------------------------------------------------------------- DQN Zoo

ZOO_COLUMNS = (
    "iteration", "frame", "eval_episode_return", "train_episode_return", "eval_num_episodes", "train_num_episodes",
    "eval_frame_rate", "train_frame_rate", "train_exploration_epsilon", "train_state_value", "normalized_return",
    "capped_normalized_return", "human_gap",
)  # fmt: skip  # those of run_atari.py, in its order


def zoo(folder: Path, rows: list[tuple[int, int, float]], more: dict | None = None, name: str = "results.csv") -> Path:
    """A table as its CsvWriter makes it: csv.DictWriter, and nan where an iteration had no frames."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / name).open("w") as file:
        writer = csv.DictWriter(file, [*(more or {}), *ZOO_COLUMNS])
        writer.writeheader()
        for iteration, frame, value in rows:
            known = {"iteration": iteration, "frame": frame, "eval_episode_return": value}
            writer.writerow(dict.fromkeys(ZOO_COLUMNS, "nan") | known | (more or {}))
    return folder / name


def test_results_of_dqn_zoo_are_evaluations_and_the_untrained_network_is_apart(tmp_path):
    for seed in (1, 2):
        zoo(tmp_path / "dqn" / "up_n_down" / str(seed), [(k, k * 1_000_000, 10.0 * k + seed) for k in range(8)])
    curves = read_scores(tmp_path / "dqn")
    assert curves.frames.tolist() == [k * 1_000_000 for k in range(8)]
    assert list(curves.raw["up_n_down"]) == [1, 2]
    # at k the mean of k-4 .. k, but never of iteration 0
    assert curves.raw["up_n_down"][1].tolist() == [1, 11, 16, 21, 26, 31, 41, 51]
    assert curves.measured == Measurement("evaluation", None, 0.0, None, False)


@pytest.mark.parametrize(
    ("agent", "epsilon"),
    [("dqn", 0.05), ("double_q", 0.01), ("prioritized", 0.01), ("c51", 0.001), ("qrdqn", 0.001), ("iqn", 0.001),
     ("rainbow", 0.0)],
)  # fmt: skip
def test_the_published_table_of_an_agent_is_of_the_default_flags(tmp_path, agent, epsilon):
    path = zoo(tmp_path, [(1, 1_000_000, 3.0)], {"": 0, "environment_name": "ms_pacman", "seed": 5}, f"{agent}.csv")
    curves = read_scores(path)
    assert curves.raw["ms_pacman"][5].tolist() == [3.0]
    assert curves.measured == Measurement("evaluation", epsilon, 0.0, 108_000, False)
    path.rename(tmp_path / "mine.csv")
    assert read_scores(tmp_path / "mine.csv").measured.epsilon is None


def test_an_iteration_that_is_there_twice_is_a_run_that_was_started_twice(tmp_path):
    path = zoo(tmp_path / "pong" / "1", [(0, 0, 1.0), (1, 1_000_000, 2.0), (1, 1_000_000, 3.0)])
    with pytest.raises(UserError, match=f"{path}, line 4: frame 1,000,000 of pong seed 1 is there already, in line 3"):
        read_scores(tmp_path)


def test_an_evaluation_without_frames_has_no_score(tmp_path):
    zoo(tmp_path / "pong" / "1", [(0, 0, NAN), (1, 1_000_000, 2.0)])
    assert read_scores(tmp_path).frames.tolist() == [1_000_000]


# ---------------------------------------------------------------------- Dopamine's JSON


def baseline(path: Path, rows: list[tuple[int, float, str]]) -> Path:
    content = [{"Iteration": iteration, "Value": value, "Agent": agent} for iteration, value, agent in rows]
    path.write_text(json.dumps(content, indent=1))
    return path


BY_RUN = [(0, 1.0), (1, 2.0), (2, 6.0), (0, 10.0), (1, 20.0), (2, 60.0)]
BY_ITERATION = [(0, 1.0), (0, 10.0), (1, 2.0), (1, 20.0), (2, 6.0), (2, 60.0)]


@pytest.mark.parametrize("order", [BY_RUN, BY_ITERATION])
def test_baselines_of_dopamine_number_their_runs_in_the_order_of_the_file(tmp_path, order):
    rows = [(k, value, "DQN") for k, value in order] + [(k, 7.0, "C51") for k, _ in order]
    curves = read_scores(baseline(tmp_path / "mspacman.json", rows), name="DQN")
    assert curves.frames.tolist() == [1_000_000, 2_000_000, 3_000_000]
    assert curves.raw["ms_pacman"][0].tolist() == [1.0, 1.5, 3.0]
    assert curves.raw["ms_pacman"][1].tolist() == [10.0, 15.0, 30.0]
    assert curves.measured == Measurement("training", 0.01, 0.25, 108_000, False)


def test_of_several_agents_one_is_chosen(tmp_path):
    path = baseline(tmp_path / "pong.json", [(0, 1.0, "DQN"), (0, 2.0, "C51")])
    with pytest.raises(UserError, match=r"there are C51, DQN. Give one of them as the name"):
        read_scores(path)
    declare(tmp_path / "pong.measured.json", {"agent": "C51"})
    assert (read_scores(path).name, read_scores(path).raw["pong"][0].tolist()) == ("pong C51", [2.0])
    declare(tmp_path / "pong.measured.json", {"agent": "c51"})
    with pytest.raises(UserError, match="none is called 'c51'"):
        read_scores(path)


def test_a_folder_of_baselines_is_read_less_the_games_beyond_the_57_and_less_the_drawings(tmp_path):
    for game in ("pong", "airraid", "elevatoraction"):
        baseline(tmp_path / f"{game}.json", [(0, 1.0, "DQN")])
    (tmp_path / "pong.vg.json").write_text('{"$schema": "https://vega.github.io"}')
    with pytest.warns(UserWarning, match=r"not among the 57 games: airraid.json, elevatoraction.json\.$"):
        assert read_scores(tmp_path).games == ("pong",)


def test_an_iteration_that_not_every_run_has_is_of_none(tmp_path):
    rows = [(0, 1.0, "DQN"), (0, 10.0, "DQN"), (1, 2.0, "DQN"), (2, 3.0, "DQN"), (2, 30.0, "DQN")]
    with pytest.warns(UserWarning, match=r"not all of the 2 runs have iterations \[1\]"):
        curves = read_scores(baseline(tmp_path / "pong.json", rows))
    assert curves.frames.tolist() == [1_000_000, 3_000_000]
    assert curves.raw["pong"][1].tolist() == [10.0, 20.0]


def test_a_game_in_two_files_is_there_twice(tmp_path):
    baseline(tmp_path / "pong.json", [(0, 1.0, "DQN")])
    baseline(tmp_path / "pong_CNN.json", [(0, 1.0, "DQN")])
    with pytest.raises(UserError, match=r"pong seed 0 is there twice: .*pong.json and .*pong_CNN.json"):
        read_scores(tmp_path)


@pytest.mark.parametrize("name", ["pong_CNN.json", "pong_Impala.json"])
def test_the_cap_of_the_later_files_is_open(tmp_path, name):
    curves = read_scores(baseline(tmp_path / name, [(0, 1.0, "DQN")]))
    assert (list(curves.raw), curves.measured.max_frames) == (["pong"], None)


@pytest.mark.parametrize(
    "row", [5, None, {}, {"Iteration": -1}, {"Iteration": 1.0}, {"Iteration": True}, {"Iteration": 10**9},
            {"Value": "1"}, {"Value": NAN}, {"Value": 1e300}, {"Value": True}, {"Agent": 3}, {"Agent": "\x1b"}],
)  # fmt: skip
def test_a_broken_row_of_a_baseline_is_refused_with_its_number(tmp_path, row):
    good = {"Iteration": 0, "Value": 1.0, "Agent": "DQN"}
    path = tmp_path / "pong.json"
    path.write_text(json.dumps([good, good | row if isinstance(row, dict) and row else row]))
    with pytest.raises(UserError, match="row 1: expected") as caught:
        read_scores(path)
    assert "\x1b" not in str(caught.value)


# ---------------------------------------------------------------------- this project's runs

FRAMES = 16_000  # of the protocol ci; points of 1,600
SOME = [(800, 2, "game_over"), (1_600, 4, "truncated"), (1_601, 10, "game_over"), (8_000, 99, "iteration_end"),
        (15_999, 6, "game_over")]  # fmt: skip


def test_training_curves_of_own_runs_are_those_of_whole_episodes(tmp_path):
    write_run(tmp_path / "breakout-s0", "breakout", 0, frames=FRAMES, episodes=SOME)
    curves = read_scores(tmp_path)
    assert curves.frames.tolist() == list(range(1_600, 16_001, 1_600))
    expected = [3, 13 / 2, 13 / 2, 13 / 2, 13 / 2, 10, NAN, NAN, NAN, 6]
    assert curves.raw["breakout"][0].tolist() == pytest.approx(expected, nan_ok=True)
    assert curves.measured == training_curves("", [RunRecord.read(tmp_path / "breakout-s0")]).measured
    assert curves.measured.epsilon == CI.config.epsilon_end
    assert curves.measured.max_frames == CI.config.max_episode_frames
    for path in (tmp_path / "breakout-s0", tmp_path / "breakout-s0" / "run.json"):
        assert np.array_equal(read_scores(path).raw["breakout"][0], curves.raw["breakout"][0], equal_nan=True)


def test_unfinished_runs_are_named(tmp_path):
    write_run(tmp_path / "breakout-s0", "breakout", 0, frames=FRAMES)
    write_run(tmp_path / "pong-s0", "pong", 0, frames=FRAMES, status="failed")
    write_run(tmp_path / "pong-s1", "pong", 1, frames=FRAMES, status="running")
    with pytest.raises(UserError, match=r"Not finished: .*pong-s0 \(failed\), .*pong-s1 \(running\)"):
        read_scores(tmp_path)


def test_attempts_that_a_runner_set_aside_are_no_runs_of_the_source(tmp_path):
    write_run(tmp_path / "breakout-s0", "breakout", 0, frames=FRAMES)
    write_run(tmp_path / "attempts" / "breakout-s0-1", "breakout", 0, frames=FRAMES, status="failed")
    assert list(read_scores(tmp_path).raw["breakout"]) == [0]
    with pytest.raises(UserError, match="Not finished"):
        read_scores(tmp_path / "attempts")


def test_runs_of_different_protocols_are_no_source_but_of_different_lengths_they_are(tmp_path):
    write_run(tmp_path / "breakout-s0", "breakout", 0, frames=32_000)
    write_run(tmp_path / "breakout-s1", "breakout", 1, frames=16_000)
    assert read_scores(tmp_path).at(16_000, ["breakout"]).shape == (2, 1)
    assert np.isnan(read_scores(tmp_path).raw["breakout"][1][5:]).all()
    write_run(tmp_path / "breakout-s2", "breakout", 2, frames=1_000_000, protocol=NATURE)
    with pytest.raises(UserError, match=r"several protocols: ci-v1.*nature-v1"):
        read_scores(tmp_path)


def test_a_record_that_no_run_wrote_is_broken(tmp_path):
    folder = write_run(tmp_path / "breakout-s0", "breakout", 0, frames=FRAMES, episodes=[(10**30, 2, "game_over")])
    with pytest.raises(UserError, match=r"episodes.csv is broken"):
        read_scores(tmp_path)
    content = json.loads((folder / "run.json").read_text())
    content["protocol"]["overrides"] = ["batch_size"]
    (folder / "run.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"protocol.overrides is \['batch_size'\], expected an object"):
        read_scores(tmp_path)


def test_records_that_the_project_stands_by_can_be_read():
    folder = Path(__file__).parent.parent / "results" / "baselines" / "atari10-ci-v1-16k"
    curves = read_scores(folder)
    assert curves.name == "atari10-ci-v1-16k"
    assert (len(curves.games), curves.seeds(curves.games), curves.frames[-1]) == (10, (0, 1), 16_000)


# ---------------------------------------------------------------------- what is there


@pytest.mark.parametrize("name", ["scores.npz", "archive.tar.gz", "notes.md", "run.json.bak"])
def test_what_is_not_known_is_refused_with_what_is(tmp_path, name):
    (tmp_path / name).write_text("something")
    for path in (tmp_path, tmp_path / name):
        with pytest.raises(UserError, match=r"is known here. Expected a table of scores .*DQN Zoo"):
            read_scores(path)


def test_a_path_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UserError, match="neither a file nor a folder"):
        read_scores(tmp_path / "nothing")
    with pytest.raises(UserError, match="cannot be read: File name too long"):
        read_scores(tmp_path / ("x" * 300))


def test_a_pipe_keeps_nobody_waiting(tmp_path):
    os.mkfifo(tmp_path / "breakout.json")
    with pytest.raises(UserError, match="is known here"):
        read_scores(tmp_path)
    with pytest.raises(UserError, match="neither a file nor a folder"):
        read_scores(tmp_path / "breakout.json")


def test_several_kinds_at_once_are_refused(tmp_path):
    table(tmp_path, HEADER + "pong,1,200,3.5\n")
    zoo(tmp_path / "pong" / "1", [(1, 1_000_000, 2.0)])
    with pytest.raises(UserError, match=r"several kinds of scores: a table of scores .* results of DQN Zoo"):
        read_scores(tmp_path)
    (tmp_path / "pong" / "1" / "results.csv").unlink()
    table(tmp_path, "a,b\n1,2\n", "progress.csv")  # some other table
    assert read_scores(tmp_path).games == ("pong",)
    table(tmp_path, HEADER + "pong,1,200,3.5\n", "again.csv")
    with pytest.raises(UserError, match="several tables of scores"):
        read_scores(tmp_path)


def test_links_are_followed_and_circles_end(tmp_path):
    zoo(tmp_path / "elsewhere", [(1, 1_000_000, 2.0)])
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "pong-s3").symlink_to(tmp_path / "elsewhere")
    for name in ("back", "again"):  # two: what goes round and round goes 2**40 ways
        (tmp_path / "elsewhere" / name).symlink_to(tmp_path / "runs")
    assert list(read_scores(tmp_path / "runs").raw["pong"]) == [3]


def test_a_link_and_a_dot_have_the_name_that_the_user_sees(tmp_path, monkeypatch):
    zoo(tmp_path / "elsewhere", [(1, 1_000_000, 2.0)])
    (tmp_path / "pong-s3").symlink_to(tmp_path / "elsewhere")
    assert read_scores(tmp_path / "pong-s3").name == "pong-s3"
    (tmp_path / "qbert-s4").mkdir()
    zoo(tmp_path / "qbert-s4", [(1, 1_000_000, 2.0)])
    monkeypatch.chdir(tmp_path / "qbert-s4")
    curves = read_scores(Path("."))
    assert (curves.name, list(curves.raw["qbert"])) == ("qbert-s4", [4])


def test_a_folder_that_must_not_be_read_is_named(tmp_path, monkeypatch):
    path = table(tmp_path, HEADER + "pong,1,200,3.5\n")

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("benchmarks.imports.detect.os.walk", refuse)
    with pytest.raises(UserError, match=r"scores.csv cannot be read: Permission denied"):
        read_scores(tmp_path)


def test_the_page_names_every_key_of_a_declaration_and_every_tag():
    page = (Path(__file__).parent.parent / "docs" / "imports.md").read_text()
    for word in (*SETTINGS, *MEASURED, cleanrl.TAG, stable_baselines3.ROLLOUT, stable_baselines3.EVALUATION,
                 dopamine.TRAINING):  # fmt: skip
        assert f"`{word}`" in page
