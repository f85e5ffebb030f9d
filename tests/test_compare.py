"""Two sets of scores: like is compared with like, what differs is said, and no sentence claims more than was shown."""

import functools
import json

import numpy as np
import pytest
from fake_runs import evaluation, write_matrix, write_run

from benchmarks import baselines
from benchmarks import compare as comparison
from benchmarks.__main__ import main
from benchmarks.compare import aggregate_rows, as_json, compare, game_rows, markdown, notes, verdict
from benchmarks.curves import Curves, Measurement
from benchmarks.reference import human_and_random
from benchmarks.runner import Matrix
from benchmarks.sources import alike, find_scores, published
from benchmarks.statistics import predicted_median
from benchmarks.store import Store
from benchmarks.suites import suite_games
from dqn_ref.config import UserError
from dqn_ref.protocols import CI, NATURE
from dqn_ref.records import RunRecord
from dqn_ref.run_writer import add_evaluation

M = 1_000_000
EVALUATION = Measurement("evaluation", 0.05, 0.0, 108_000, False, False)
TRAINING = Measurement("training", 0.01, 0.25, 108_000, False, False)
GAMES = ("pong", "breakout")


def raw(game, normalised):
    """The raw score that a human-normalised one stands for."""
    anchors = human_and_random()[game]
    return anchors.random + normalised * (anchors.human - anchors.random)


def source(name, scores, games=GAMES, frames=(M,), measured=EVALUATION):
    """``scores`` [seeds][games] are human-normalised, and the same at every budget."""
    cells = {
        game: {seed: np.full(len(frames), raw(game, row[place])) for seed, row in enumerate(scores)}
        for place, game in enumerate(games)
    }
    return Curves(name, measured, np.array(frames), cells)


LOW = [[0.0, 0.1], [0.1, 0.2], [0.05, 0.15], [0.02, 0.12]]
HIGH = [[1.0, 1.1], [1.1, 1.2], [1.05, 1.15], [1.02, 1.12]]


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    for name in ("aggregates", "iqm_difference", "probability_of_improvement"):
        full = getattr(comparison, name)
        monkeypatch.setattr(comparison, name, functools.partial(full, repetitions=100))


# ---------------------------------------------------------------------- what is compared


def test_games_and_budget_are_what_both_have():
    first = source("a", LOW, frames=(M, 2 * M, 5 * M))
    second = source("b", [[0.5, 0.5, 0.5]], games=("breakout", "qbert", "pong"), frames=(M, 2 * M))
    found = compare(first, second)
    assert found.games == GAMES
    assert found.frames == 2 * M
    assert compare(first, second, frames=M).frames == M
    assert compare(first, second, games=["breakout"]).games == ("breakout",)


def test_the_games_of_a_suite_are_in_its_order():
    games = suite_games("atari3")
    found = compare(source("a", [[1.0, 2.0, 3.0]], games=games[::-1]), source("b", [[1.0, 2.0, 3.0]], games=games))
    assert found.games == games
    assert found.suite == "atari3"


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (source("b", [[0.5]], games=("qbert",)), "no game in common: pong, breakout against qbert"),
        (source("b", LOW, frames=(3 * M,)), "no budget in common: 1M against 3M frames"),
    ],
)
def test_nothing_in_common_is_no_comparison(second, words):
    with pytest.raises(UserError, match=words):
        compare(source("a", LOW), second)


def test_a_missing_run_is_named_before_any_number():
    incomplete = source("b", LOW)
    cells = {game: dict(seeds) for game, seeds in incomplete.raw.items()}
    del cells["breakout"][2]
    for frames in (None, M):
        with pytest.raises(UserError, match="breakout seed 2"):
            compare(source("a", LOW), Curves("b", EVALUATION, incomplete.frames, cells), frames=frames)


# ---------------------------------------------------------------------- what is said


def test_numbers_worked_by_hand():
    """IQM of 4 scores drops one at each end: (1 + 2) / 2 less (2 + 3) / 2; of 4 pairs a game, 1 is above."""
    found = compare(source("a", [[0.0, 1.0], [2.0, 3.0]]), source("b", [[1.0, 2.0], [3.0, 4.0]]))
    assert found.difference.point == pytest.approx(-1.0)
    np.testing.assert_allclose(found.improvement.by_game, [0.25, 0.25])
    assert found.improvement.average.point == 0.25
    assert game_rows(found)[0] == (
        "pong",
        f"{raw('pong', 1.0):,.1f}",
        f"{raw('pong', 2.0):,.1f}",
        "1.000",
        "2.000",
        "0.25",
    )
    assert [each.split(" [")[0] for each in aggregate_rows(found)[0]] == ["IQM", "1.500", "2.500"]
    content = as_json(found)
    assert [content[side]["aggregates"]["IQM"]["point"] for side in ("first", "second")] == [1.5, 2.5]
    assert content["probability_of_improvement"]["point"] == 0.25


def test_the_predicted_medians_are_in_the_order_of_the_sides():
    games = suite_games("atari3")
    found = compare(source("a", [[1.0, 2.0, 3.0]], games=games), source("b", [[2.0, 3.0, 4.0]], games=games))
    [row] = [row for row in aggregate_rows(found) if row[0] == "predicted median of 57 games"]
    first, second = (predicted_median(scores, games, "atari3") for scores in found.scores)
    assert first < second
    assert row[1:] == (f"{first:.3f}", f"{second:.3f}")


def test_a_clear_difference_is_told_from_both_sides():
    below = compare(source("a", LOW), source("b", HIGH))
    above = compare(source("b", HIGH), source("a", LOW))
    assert verdict(below).startswith("a scores below b over 2 games at 1M frames: IQM -1.000")
    assert verdict(above).startswith("b scores above a over 2 games at 1M frames: IQM +1.000")
    assert below.test.exact
    assert below.p_value == above.p_value == pytest.approx(2 / 70**2)  # C(8, 4) = 70 relabellings in each game


def test_no_difference_is_not_called_equality():
    found = compare(source("a", LOW), source("b", LOW))
    assert found.difference.point == 0
    assert verdict(found).startswith("No difference between a and b is shown")
    assert "not shown either" in verdict(found)
    assert found.p_value == 1.0


def test_what_is_next_to_nothing_below_0_is_said_without_its_sign():
    """-0.0001 rounds to 0; a minus before it would be read as a difference."""
    found = compare(source("a", [[-1e-4, -1e-4]]), source("b", [[0.0, 0.0]]))
    assert "IQM +0.000" in verdict(found)
    assert [row[3] for row in game_rows(found)] == ["0.000", "0.000"]
    assert dict(row[:2] for row in aggregate_rows(found))["IQM"] == "0.000"


def test_what_was_not_measured_alike_is_warned_of_and_weakens_the_verdict():
    alike_ones = compare(source("a", LOW), source("b", HIGH))
    other = compare(source("a", LOW), source("b", HIGH, measured=TRAINING))
    assert "not measured alike" not in " ".join([*notes(alike_ones), verdict(alike_ones)])
    assert sum(note.startswith("Warning, not measured alike") for note in notes(other)) == 3
    assert "may come from that alone" in verdict(other)


def test_both_protocols_and_the_number_of_seeds_are_said():
    lines = notes(compare(source("a", LOW), source("b", HIGH[:1], measured=TRAINING)))
    assert lines[0] == f"First: a, 4 seeds: {EVALUATION.words()}."
    assert lines[1] == f"Second: b, 1 seed: {TRAINING.words()}."
    assert "One seed allows no interval." in lines


def test_a_game_of_no_suite_that_was_asked_for_is_not_named_as_missing():
    """The three of Atari-3 are all among the ten of Atari-10, too."""
    games = suite_games("atari3")
    three = published("dopamine-dqn-rmsprop-2018").only(games)
    found = compare(three, published("dopamine-dqn-adam-mse-2021"), games=games)
    assert not [note for note in notes(found) if "lacks" in note]


def test_a_game_that_one_side_lacks_is_named():
    games = tuple(game for game in suite_games("atari10") if game != "phoenix")
    found = compare(published("dopamine-dqn-rmsprop-2018"), published("nnabla-rl-dqn"), games=games, frames=10 * M)
    assert "nnabla-rl-dqn lacks phoenix: left out of every number here." in notes(found)
    assert found.suite is None


def test_of_many_games_that_one_side_lacks_the_number_is_said():
    """nnabla-rl's curves have 49 games."""
    one = published("dopamine-dqn-rmsprop-2018").only(["assault"])
    found = compare(one, published("nnabla-rl-dqn"), frames=10 * M)
    lacks = "dopamine-dqn-rmsprop-2018 lacks 48 games that nnabla-rl-dqn has: left out of every number here."
    assert [note for note in notes(found) if "lacks" in note] == [lacks]


def test_published_agents_at_10m_frames():
    """The published IQMs, and an order that five seeds a side show."""
    found = compare(
        published("dopamine-dqn-rmsprop-2018"), published("dopamine-dqn-adam-mse-2021"),
        frames=10 * M, games=suite_games("atari10"),
    )  # fmt: skip
    assert [round(each["IQM"].point, 3) for each in found.aggregates] == [0.113, 0.226]
    assert found.p_value < 0.001
    assert "scores below" in verdict(found)


def test_a_name_from_elsewhere_breaks_no_table_and_shows_nothing():
    page = markdown(compare(source("a|b <script> ![x](y) @me", LOW), source("c", HIGH)))
    assert "a&#124;b" in page
    for line in page.splitlines():
        if line.startswith("| aggregate"):
            assert line.count("|") == 4
    assert not any(sign in page for sign in ("<script", "![", "@me"))


def test_the_file_for_programs_holds_every_score():
    found = compare(source("a", LOW), source("b", HIGH))
    content = json.loads(json.dumps(as_json(found), allow_nan=False))
    np.testing.assert_allclose(content["first"]["scores"], LOW, atol=1e-12)
    assert content["second"]["seeds"] == [0, 1, 2, 3]
    assert content["verdict"] == verdict(found)
    assert content["p_value"] == pytest.approx(2 / 70**2)


# ---------------------------------------------------------------------- where scores come from


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results")


@pytest.fixture
def runs(store):
    matrix = Matrix.of("atari3", "ci", seeds=2)
    folder = store.runs(matrix.group)
    write_matrix(folder, matrix.games, 2, score=lambda game, seed: 3_000.0 + seed)
    return folder


def test_a_folder_of_runs_has_evaluation_scores_and_training_returns(store, runs):
    evaluated, training = find_scores(str(runs), store)
    assert evaluated.measured.returns == "evaluation"
    assert evaluated.frames.tolist() == [CI.config.total_frames]
    assert evaluated.raw["phoenix"][1].tolist() == [3_001.0]
    assert training.measured.returns == "training"
    assert training.measured.epsilon == CI.config.epsilon_end
    assert len(training.frames) == 10
    # episodes at 1/5 .. 4/5 of the run score 3,001 + 1 .. 4; the last five points hold those of the third and fourth
    assert training.raw["phoenix"][1][-1] == pytest.approx(3_001 + 3.5)


def evaluated_after_iterations(folder, scores, seed=0):
    """A finished run of seven iterations of 1M frames, whose networks scored ``scores``, the final one's last."""
    *iterations, last = scores
    write_run(folder, "assault", seed, score=last, frames=7 * M, protocol=NATURE)
    for number, score in enumerate(iterations, start=1):
        changes = {"weights": "iteration", "training_frames": number * M}
        add_evaluation(folder, evaluation(RunRecord.read(folder).config, score, **changes))


def test_evaluations_after_every_iteration_make_scores_as_published_ones_are(store, tmp_path):
    """Means of the last five, or of as many as there are: 10, 15, 20, 25, 30, and then of 20 to 60 and of 30 to 80."""
    evaluated_after_iterations(tmp_path / "runs" / "assault-s0", [10, 20, 30, 40, 50, 60, 80])
    evaluated_after_iterations(tmp_path / "runs" / "assault-s1", [1] * 7, seed=1)
    found = find_scores(str(tmp_path / "runs"), store)[0]
    assert found.frames.tolist() == [number * M for number in range(1, 8)]
    assert found.raw["assault"][0].tolist() == [10, 15, 20, 25, 30, 40, 52]
    assert found.raw["assault"][1].tolist() == [1] * 7
    comparison = compare(*alike([found], [published("nnabla-rl-dqn")]))
    assert comparison.frames == 5 * M
    assert comparison.games == ("assault",)


def test_runs_that_were_evaluated_on_their_way_meet_those_that_were_not_by_their_final_networks(store, tmp_path):
    """Equal final networks: the mean of five evaluations beside one alone would tell them apart."""
    evaluated_after_iterations(tmp_path / "followed" / "assault-s0", [10, 20, 30, 40, 50, 60, 80])
    write_run(tmp_path / "not" / "assault-s0", "assault", 0, score=80, frames=7 * M, protocol=NATURE)
    pair = alike(*(find_scores(str(tmp_path / name), store) for name in ("followed", "not")))
    assert [each.raw["assault"][0].tolist() for each in pair] == [[80], [80]]
    assert pair[0].measured.differences(pair[1].measured) == []
    theirs = published("nnabla-rl-dqn")
    followed, alone = (alike(find_scores(str(tmp_path / name), store), [theirs])[0] for name in ("followed", "not"))
    assert followed.raw["assault"][0][-1] == 52
    difference = "what a score is: one point alone against mean of the newest five points"
    assert [difference in each.measured.differences(theirs.measured) for each in (followed, alone)] == [False, True]


def test_the_epsilon_of_training_is_the_one_that_a_run_ended_with(store, tmp_path):
    """At 2M frames 450,000 of epsilon's 1M agent steps are done: 1 - .9 * .45."""
    write_run(tmp_path / "runs" / "assault-s0", "assault", 0, score=1, frames=2 * M, protocol=NATURE)
    assert find_scores(str(tmp_path / "runs"), store)[-1].measured.epsilon == pytest.approx(0.595)


def test_runs_in_folders_of_folders_are_ours_too_and_failed_attempts_are_not(store, runs):
    above = runs.parent
    write_run(runs / "attempts" / "phoenix-s1-1", "phoenix", 1, status="failed")
    assert [sorted(each.raw) for each in find_scores(str(above), store)] == [
        ["battle_zone", "name_this_game", "phoenix"]
    ] * 2
    assert find_scores(str(above), store)[0].measured.returns == "evaluation"


def test_runs_of_which_one_lacks_an_iteration_have_their_final_evaluation_alone(store, tmp_path):
    evaluated_after_iterations(tmp_path / "runs" / "assault-s0", [10, 20, 30, 40, 50, 60, 80])
    write_run(tmp_path / "runs" / "assault-s1", "assault", 1, score=7, frames=7 * M, protocol=NATURE)
    found = find_scores(str(tmp_path / "runs"), store)[0]
    assert found.frames.tolist() == [7 * M]
    assert [values.tolist() for values in found.raw["assault"].values()] == [[80], [7]]


def test_a_baseline_has_the_same_scores_by_its_name_as_by_its_path(store, runs):
    """Also where its runs were evaluated after every iteration."""
    for folder in runs.iterdir():
        changes = {"weights": "iteration", "training_frames": CI.config.iteration_frames}
        add_evaluation(folder, evaluation(RunRecord.read(folder).config, 1_000.0, **changes))
    matrix = Matrix.of("atari3", "ci", seeds=2)
    baselines.create(store, matrix, "to be compared with")
    folder = store.promote_baseline(matrix.name, "it is the first")
    by_name, by_path = (find_scores(word, store) for word in (matrix.name, str(folder)))
    assert by_name[0].frames.tolist() == [CI.config.iteration_frames, CI.config.total_frames]
    assert by_name[0].raw["phoenix"][1].tolist() == [1_000.0, 2_000.5]
    for one, other in zip(by_name, by_path, strict=True):
        assert (one.name, one.measured, one.frames.tolist()) == (other.name, other.measured, other.frames.tolist())
        assert repr(one.raw) == repr(other.raw)


@pytest.fixture
def runs_with_best(runs):
    """Those of ``runs``, whose best networks scored 99."""
    for folder in runs.iterdir():
        add_evaluation(folder, evaluation(RunRecord.read(folder).config, 99.0, weights="best"))
    return runs


def test_the_scores_of_the_best_networks_are_those_of_their_own_evaluation(store, runs_with_best):
    found = find_scores(str(runs_with_best), store, "best")[0]
    assert found.raw["phoenix"][1].tolist() == [99.0]
    assert found.measured.best_network
    last = find_scores(str(runs_with_best), store)[0]
    assert last.raw["phoenix"][1].tolist() == [3_001.0]
    assert last.measured.best_network is False


def test_the_best_network_of_a_run_evaluated_after_every_iteration_has_one_score(store, tmp_path):
    evaluated_after_iterations(tmp_path / "runs" / "assault-s0", [10, 20, 30, 40, 50, 60, 80])
    best = evaluation(RunRecord.read(tmp_path / "runs" / "assault-s0").config, 5.0, weights="best")
    add_evaluation(tmp_path / "runs" / "assault-s0", best)
    found = find_scores(str(tmp_path / "runs"), store, "best")[0]
    assert (found.frames.tolist(), found.raw["assault"][0].tolist()) == ([7 * M], [5.0])


def test_one_run_is_a_source_too(store, runs):
    [evaluated, _] = find_scores(str(runs / "phoenix-s1"), store)
    assert {game: list(seeds) for game, seeds in evaluated.raw.items()} == {"phoenix": [1]}


def test_the_pair_that_was_measured_most_alike_is_compared(store, runs):
    ours = find_scores(str(runs), store)
    games = suite_games("atari3")
    theirs = source("theirs", [[1.0] * 3], games=games, measured=TRAINING)
    assert alike(ours, [theirs])[0].measured.returns == "training"
    assert alike([theirs], ours)[1].measured.returns == "training"
    assert alike(ours, [source("theirs", [[1.0] * 3], games=games)])[0].measured.returns == "evaluation"
    assert [each.measured.returns for each in alike(ours, ours)] == ["evaluation"] * 2


def test_an_unfinished_run_is_named(store, runs):
    write_run(runs / "pong-s0", "pong", 0, status="interrupted")
    with pytest.raises(UserError, match=r"pong-s0 \(interrupted\)"):
        find_scores(str(runs), store)


def test_runs_of_different_budgets_are_not_mixed(store, runs):
    write_run(runs / "pong-s0", "pong", 0, score=1.0, frames=2 * CI.config.total_frames)
    with pytest.raises(UserError, match="another configuration"):
        find_scores(str(runs), store)


def test_a_run_that_is_there_twice_is_refused(store, runs):
    write_run(runs / "again", "phoenix", 1, score=1.0)
    with pytest.raises(UserError, match="phoenix seed 1 is there twice"):
        find_scores(str(runs), store)


def test_a_word_that_names_nothing_is_refused_with_what_is_known(store):
    with pytest.raises(UserError, match=r"no file or folder mine.*Known by name are: dopamine-dqn-rmsprop-2018"):
        find_scores("mine", store)


# ---------------------------------------------------------------------- the command


def scores_file(path, normalised):
    """A table of the games of Atari-5: human-normalised, ``normalised`` after 1M frames, 10 more after 2M."""
    rows = [
        f"{game},0,{frames},{raw(game, normalised + more)}"
        for game in suite_games("atari5")
        for frames, more in ((M, 0), (2 * M, 10))
    ]
    path.write_text("\n".join(["game,seed,frames,score", *rows]))
    return str(path)


def test_the_command_compares_what_was_asked_for_and_says_and_writes_it(tmp_path, capsys, monkeypatch):
    """1 against 3 in three games of one run each: of the 2^3 relabellings one is as low, and twice 1/8 is 0.25."""
    drawn = []

    def draw(first, second, *rest):
        drawn.append((first.name, second.name, *rest))
        return [plots / "profile.png", plots / "profile.svg"]

    monkeypatch.setattr("benchmarks.plots.draw_comparison", draw)
    files = [scores_file(tmp_path / "mine.csv", 1), scores_file(tmp_path / "theirs.csv", 3)]
    content_file, page, plots = (tmp_path / name for name in ("out.json", "out.md", "plots"))
    asked = ["--suite", "atari3", "--frames", "1M", "--json", str(content_file), "--markdown", str(page),
             "--plots", str(plots)]  # fmt: skip
    assert main(["compare", *files, *asked]) == 0
    said, content = capsys.readouterr().out, json.loads(content_file.read_text())
    assert content["verdict"].startswith(
        "No difference between mine and theirs is shown over atari3 at 1M frames: IQM -2.000, p = 0.25."
    )
    assert content["verdict"] in said
    assert (content["frames"], content["games"]) == (M, [*suite_games("atari3")])
    for line in ("first: mine", "second: theirs", "First: mine, 1 seed", "phoenix", "predicted median"):
        assert line in said
    assert page.read_text().startswith(content["verdict"])
    assert drawn == [("mine", "theirs", M, suite_games("atari3"), plots)]
    assert f"Drawn in {plots}: profile.png (and SVG)" in said


def test_the_command_writes_only_where_it_was_told_to(tmp_path, capsys):
    files = [scores_file(tmp_path / "mine.csv", 1), scores_file(tmp_path / "theirs.csv", 3)]
    assert main(["compare", *files]) == 0
    assert "at 2M frames" in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == {"mine.csv", "theirs.csv"}


def test_the_command_takes_the_best_networks_if_it_is_told_to(store, runs_with_best, tmp_path, capsys):
    words = ["--weights", "best", "--results", str(store.root), "--json", str(tmp_path / "out.json")]
    assert main(["compare", str(runs_with_best), str(runs_with_best), *words]) == 0
    content = json.loads((tmp_path / "out.json").read_text())
    assert [content[side]["measured"]["best_network"] for side in ("first", "second")] == [True, True]
    assert "99.0" in capsys.readouterr().out


def test_a_name_that_is_too_long_is_a_message(tmp_path, capsys):
    """No file system takes 300 letters, and what asks it for such a file raises an OSError."""
    files, long = [scores_file(tmp_path / "mine.csv", 1), scores_file(tmp_path / "theirs.csv", 3)], "x" * 300
    for words, said in (
        ([*files, "--markdown", str(tmp_path / long)], "cannot be written: File name too long"),
        ([files[0], long], "There is no file or folder"),
    ):
        assert main(["compare", *words]) == 2
        assert said in " ".join(capsys.readouterr().err.split())
