"""Kept runs beside published ones: every number of the table worked by hand."""

import dataclasses

import numpy as np
import pytest
import tyro
from fake_runs import evaluation, write_run

from benchmarks.learning import CHOICES, markdown, read_groups
from benchmarks.learning_drawing import long_runs, power_of_ten
from benchmarks.plots.style import look
from benchmarks.random_play import Played, as_record
from benchmarks.sources import NNABLA, published
from benchmarks.store import Store
from dqn_ref.config import DQNConfig, UserError
from dqn_ref.protocols import NATURE
from dqn_ref.records import RunRecord
from dqn_ref.run_writer import add_evaluation

M = 1_000_000


def run(store, seed, first, last, game="assault", group="nature-v1-2M", **changes):
    """A run of two iterations, evaluated at ``first`` and ``last``."""
    folder = store.root / "learning" / group / f"{game}-s{seed}"
    write_run(folder, game, seed, score=last, frames=2 * M, protocol=NATURE, **changes)
    after_one = {"weights": "iteration", "training_frames": M}
    add_evaluation(folder, evaluation(RunRecord.read(folder).config, first, **after_one))


def rows_of(text, game, columns=5):
    """The first cells of each row of the table of ``game``, below its heading."""
    lines = text[text.index(f"| {game} | after 1M") :].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.split("|")[1:-1]][:columns] for line in lines[2:]]


def test_scores_are_means_over_iterations_beside_those_of_nnabla_at_the_same_frames(tmp_path):
    """Ours: (300 + 500) / 2 = 400 and (310 + 600) / 2 = 455 until 2M. Published, in data/: the means alone.

    Of seed 1 these are 310.8 until 1M and 359.7325 until 2M, and twice that less 310.8 is 408.665.
    """
    store = Store(tmp_path)
    run(store, 0, 300, 500)
    run(store, 1, 310, 600)
    text = markdown(store)
    assert rows_of(text, "assault", columns=4) == [
        ["this DQN", "300.0, 310.0", "500.0, 600.0", "427.5"],
        ["nnabla-rl-dqn", "310.8, 329.1, 322.3", "408.7, 522.9, 496.1", "398.3"],
        ["random play, published", "222.4", "222.4", ""],
        ["human", "742.0", "742.0", ""],
    ]
    assert "this DQN: protocol nature-v1 in float32, stopped at 2M frames." in text
    # 2 of the 10 ways to choose 2 of 5.
    assert "No two of these rows can show a difference, whatever they score: the smallest p" in text
    assert "test of any could give is 0.2." in text
    assert "cap of an episode: at most 108,000 frames an episode on one side, not known on the other" in text


def test_over_two_games_two_seeds_against_three_can_differ(tmp_path):
    """Ours above all three published in both games: 1 of the 10 * 10 relabellings is as high, so p is 2 in 100.

    In Assault the five are 500 and 600 against 359.7, 426.0 and 409.2, whose means are 151.7 apart, and which deviate
    from their mean by 83.7 on average of the squares: 1.81. In Crazy Climber 20,000 and 30,000 against 19,690.7,
    13,106.8 and 18,996.1 likewise: 7,735.5 / 5,440.2 = 1.42.
    """
    store = Store(tmp_path)
    for seed, assault, climber in ((0, 500, 20_000), (1, 600, 30_000)):
        run(store, seed, assault, assault)
        run(store, seed, climber, climber, game="crazy_climber")
    text = markdown(store)
    assert "this DQN against nnabla-rl-dqn, over 2 games after 2M frames: difference of means, in units" in text
    assert "each game's spread, +1.62, p = 0.02 (two-sided permutation test within games; 0.02 is" in text
    assert "two of these rows can show" not in text


def test_a_final_network_is_held_against_chance_where_chance_was_played(tmp_path):
    """Evaluations of fake runs score the same in every episode: 500 is above all of chance, 300 above half of it."""
    store = Store(tmp_path)
    run(store, 0, 300, 500)
    run(store, 1, 300, 300)
    store.store_random_play("assault", as_record([Played("assault", "random", [[200, 400] * 15], 9)], 30))
    text = markdown(store)
    assert "(median): seed 0 above random play (p < 0.001); seed 1 not above random play." in text
    assert ["random play, tested against", "300.0", "300.0", ""] in rows_of(text, "assault", columns=4)


def tell(folder, column, value_of):
    """Rewrite ``column`` of a run's progress as ``value_of`` frames."""
    path = folder / "progress.csv"
    header, *rows = (line.split(",") for line in path.read_text().splitlines())
    place = header.index(column)
    for row in rows:
        row[place] = str(value_of(int(row[0])))
    path.write_text("".join(",".join(row) + "\n" for row in [header, *rows]))


def test_values_that_leave_the_range_of_returns_are_told(tmp_path):
    """Rewards of at most 1, discounted by .99, add up to 100: at most 99.9 is none; 2,500 is, and what is no number."""
    store = Store(tmp_path)
    for seed in range(3):
        run(store, seed, 300, 500)
    group = tmp_path / "learning" / "nature-v1-2M"
    tell(group / "assault-s0", "q_max", lambda frames: 99.9)
    tell(group / "assault-s1", "q_max", lambda frames: 2_500 if frames == M else 5)
    tell(group / "assault-s2", "q_max", lambda frames: 5 if frames < M else "nan")
    text = markdown(store)
    assert "(median): seed 0; seed 1, values reach 2.5e+03 where no return can exceed 100; seed 2, values over" in text
    assert "seed 2, values overflow where no return can exceed 100." in text


def test_another_setting_stands_beside_the_papers_own_and_is_named_by_what_it_changes(tmp_path):
    """Its folder comes first by name, its row second. One seed against one allows no p below 1."""
    store = Store(tmp_path)
    he = dataclasses.replace(NATURE.config, total_frames=2 * M, initial_weights="he_normal")
    run(store, 5, 310, 600, group="a-first", config=he)
    run(store, 0, 300, 500)
    run(store, 0, 9, 9, game="breakout")
    text = markdown(store)
    assert rows_of(text, "assault", columns=4)[:2] == [
        ["this DQN", "300.0", "500.0", "400.0"],
        ["this DQN, `initial_weights = he_normal`", "310.0", "600.0", "455.0"],
    ]
    names = ["this DQN", "nnabla-rl-dqn", "random play, published", "human"]
    assert [name for name, *_ in rows_of(text, "breakout")] == names
    assert rows_of(text, "breakout", columns=2)[0] == ["this DQN", "9.0"]
    assert "- this DQN, `initial_weights = he_normal`: protocol nature-v1 in float32" in text
    assert "test of any could give is 0.12." in text  # two games, 2 of the 4 * 4 ways to choose 1 of 4


def test_a_run_of_all_their_choices_is_named_so(tmp_path):
    """And the options that are printed for it make a run of these choices."""
    store = Store(tmp_path)
    theirs = dataclasses.replace(NATURE.config, total_frames=2 * M, **CHOICES)
    run(store, 0, 310, 600, group="theirs", config=theirs)
    run(store, 0, 300, 500)
    text = markdown(store)
    names = ["this DQN", "this DQN, with nnabla-rl's choices", "nnabla-rl-dqn", "random play, published", "human"]
    assert [name for name, *_ in rows_of(text, "assault")] == names
    printed = "--history-padding first_frame --initial-weights he_normal --error-scale 2.0"
    assert f"which here are `{printed}`, and that" in text
    assert tyro.cli(DQNConfig, args=printed.split()) == dataclasses.replace(NATURE.config, **CHOICES)


def test_what_is_changed_beside_their_choices_is_named(tmp_path):
    """It stopped at 1M, where the other went on to 2M: its row has no score there."""
    store = Store(tmp_path)
    theirs = dataclasses.replace(NATURE.config, total_frames=2 * M, **CHOICES)
    run(store, 0, 310, 600, group="theirs", config=theirs)
    no_target = dataclasses.replace(theirs, total_frames=M, target_period_updates=1)
    folder = tmp_path / "learning" / "no-target" / "assault-s0"
    write_run(folder, "assault", 0, score=20, frames=M, protocol=NATURE, config=no_target)
    assert rows_of(markdown(store), "assault", columns=4)[:2] == [
        ["this DQN, with nnabla-rl's choices", "310.0", "600.0", "455.0"],
        ["this DQN, with nnabla-rl's choices, `target_period_updates = 1`", "20.0", "", ""],
    ]


def test_what_values_explain_is_the_median_of_the_500k_frames_before(tmp_path):
    """Nine rows of .9 and one of .2 until 1M, .25 until 2M; what lies before, and a ratio above 1, explain nothing."""
    store = Store(tmp_path)
    run(store, 0, 300, 500)
    run(store, 1, 300, 500)
    group = tmp_path / "learning" / "nature-v1-2M"
    ratios = {M: 0.2} | {M - n * 50_000: 0.9 for n in range(1, 10)} | {2 * M - n * 50_000: 0.25 for n in range(10)}
    tell(group / "assault-s0", "td_error_ratio", lambda frames: ratios.get(frames, 0.0))
    tell(group / "assault-s1", "td_error_ratio", lambda frames: "nan" if frames <= M else 1.5)
    assert rows_of(markdown(store), "assault", columns=6)[0][4:] == ["10%", "75%, 0%"]


def test_games_of_runs_that_stopped_at_1m_share_a_table_and_are_not_drawn(tmp_path):
    """Published of Robotank after 1M frames: 6.282, 3.897 and 4.592. Chance was played of it alone."""
    store = Store(tmp_path)
    run(store, 0, 300, 500)
    for game, seed, score in (("robotank", 0, 5), ("robotank", 1, 7), ("pong", 0, -20), ("pong", 1, -21)):
        folder = tmp_path / "learning" / "nature-v1-1M" / f"{game}-s{seed}"
        write_run(folder, game, seed, score=score, frames=M, protocol=NATURE)
    tell(tmp_path / "learning" / "nature-v1-1M" / "robotank-s1", "td_error_ratio", lambda frames: 0.25)
    store.store_random_play("robotank", as_record([Played("robotank", "random", [[1, 3]], 9)], 2))
    text = markdown(store)
    lines = text[text.index("| game | runs of | after | score |") :].split("\n\n")[0].splitlines()
    assert [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]] == [
        ["pong", "this DQN", "1M", "-20.0, -21.0", "-20.4, -20.4, -20.8", "", "-20.7", "14.6", "100%, 100%"],
        ["robotank", "this DQN", "1M", "5.0, 7.0", "6.3, 3.9, 4.6", "2.0", "2.2", "11.9", "100%, 75%"],
    ]
    assert "| pong | after" not in text
    assert len(long_runs(read_groups(store), published(NNABLA)).axes) == 2  # of Assault alone


def test_a_game_that_was_not_published_has_no_table(tmp_path):
    store = Store(tmp_path)
    run(store, 0, 300, 500)
    run(store, 0, 1, 2, game="phoenix")
    assert "| phoenix" not in markdown(store)


def test_a_run_that_has_not_finished_is_named(tmp_path):
    store = Store(tmp_path)
    write_run(tmp_path / "learning" / "nature-v1-2M" / "assault-s0", "assault", 0, status="interrupted")
    with pytest.raises(UserError, match=r"assault-s0 \(interrupted\)"):
        markdown(store)


def test_nothing_kept_is_said(tmp_path):
    with pytest.raises(UserError, match="holds no runs"):
        markdown(Store(tmp_path))


def test_the_drawing_has_a_mark_for_each_seed_and_a_line_for_its_values(tmp_path):
    """Scores as in the table above; values of 1 at 1M frames and 1e15 at 2M, the first of which is no number yet."""
    store = Store(tmp_path)
    for seed, first, last in ((0, 300, 500), (1, 310, 600)):
        run(store, seed, first, last)
        tell(
            tmp_path / "learning" / "nature-v1-2M" / f"assault-s{seed}",
            "q_max",
            lambda frames: {M: 1, 2 * M: 1e15}.get(frames, "nan"),
        )
    groups = read_groups(store)
    scores, values = long_runs(groups, published(NNABLA)).axes
    marks = {line.get_marker(): [] for line in scores.lines}
    for line in scores.lines:
        marks[line.get_marker()].append(np.asarray(line.get_ydata(), float).round(1).tolist())
    ours, theirs = look(0), look(1)
    assert marks[ours.marker] == [[300, 310], [500, 600]]
    assert [sorted(seeds) for seeds in marks[theirs.marker]] == [[310.8, 322.3, 329.1], [408.7, 496.1, 522.9]]
    means = [305, 305], [320.7, 320.7], [550, 550], [475.9, 475.9]
    levels = [222.4, 222.4], [742.0, 742.0]
    assert marks["None"] == [*map(list, means), *map(list, levels)]
    assert [label.get_text() for label in scores.get_xticklabels()] == ["after 1M frames", "after 2M frames"]
    *seeds, bound = values.lines
    assert list(bound.get_ydata()) == [pytest.approx(100)] * 2
    for line in seeds:
        known = [(frames, value) for frames, value in line.get_xydata().tolist() if value == value]
        assert known == [(M, 1), (2 * M, 1e15)]
    assert len(seeds) == 2
    assert [power_of_ten(value) for value in (1e-3, 1, 10, 100, 1e15)] == ["1e-3", "1", "10", "1e2", "1e15"]
