"""Drawings hold the data, as PNG and SVG, and equal data give an equal file."""

import itertools
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from fake_runs import COMMIT, resample_little, write_run
from scipy import stats

from benchmarks.baselines import create
from benchmarks.curves import Curves, Measurement
from benchmarks.plots import aggregates, draw_all, draw_comparison, stored_baseline
from benchmarks.plots.aggregates import intervals, profile
from benchmarks.plots.curves import BAND_REPETITIONS, efficiency, learning_curves, mean_band
from benchmarks.plots.games import game_bars, improvement
from benchmarks.plots.shown import Shown
from benchmarks.plots.style import save_figure
from benchmarks.reference import human_and_random, published_points
from benchmarks.runner import Matrix
from benchmarks.scores import score_matrix, training_curves
from benchmarks.sources import ORIGINS, PUBLISHED, published
from benchmarks.store import Store
from benchmarks.suites import suite_games
from benchmarks.words import revisions
from dqn_ref.config import UserError, format_frames
from dqn_ref.protocols import CI, NATURE
from dqn_ref.records import RunRecord

NAMES = {"learning_curves", "games", "intervals", "profile", "sample_efficiency"}
MATRIX = Matrix.of("atari3", "ci", seeds=2)
GAMES = MATRIX.games  # battle_zone, name_this_game, phoenix
ADAM, RMSPROP = "dopamine-dqn-adam-mse-2021", "dopamine-dqn-rmsprop-2018"


@pytest.fixture(autouse=True, scope="module")
def little_resampling():
    with pytest.MonkeyPatch.context() as monkeypatch:
        resample_little(monkeypatch)
        monkeypatch.setattr("benchmarks.plots.style.DPI", 50)
        yield


def made(folder, without=(), score=lambda game, seed: 1_000.0 * (seed + 1) + len(game), matrix=MATRIX, **rest):
    """Scores and records of a matrix; ``without`` names runs that are not there."""
    store = Store(folder)
    for member in matrix.members:
        run = store.runs(matrix.group) / f"{member.game}-s{member.seed}"
        if run.name not in without:
            write_run(run, member.game, member.seed, score=score(member.game, member.seed), frames=matrix.frames,
                      protocol=matrix.protocol, **rest)  # fmt: skip
    cells = matrix.cells(store)
    return score_matrix(matrix.games, cells), [cell.record for cell in cells if cell.record]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Folder of the drawings of a complete matrix."""
    folder = tmp_path_factory.mktemp("drawn")
    style, state = dict(mpl.rcParams), np.random.get_state()[1].copy()
    files = draw_all(MATRIX, *made(folder), folder / "plots")
    assert set(files) == set((folder / "plots").iterdir())
    assert dict(mpl.rcParams) == style  # nothing of this process changes by drawing
    np.testing.assert_array_equal(np.random.get_state()[1], state)
    return folder / "plots"


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def words(path):
    """All text of an SVG, its lines joined."""
    root = ElementTree.parse(path).getroot()
    return " ".join(element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text"))


def said(figure):
    """All text that stands beside the axes of a figure, its lines joined."""
    return " ".join(text.get_text().replace("\n", " ") for text in figure.texts)


def legend(figure):
    return [text.get_text() for each in figure.legends for text in each.get_texts()]


def source(frames, raw, name="a source", **measured):
    """A source with raw scores by game, [seeds, T] each."""
    curves = {game: dict(enumerate(np.array(values, float))) for game, values in raw.items()}
    return Curves(name, Measurement(**measured), np.array(frames), curves)


def shown(scores, name="ours", caption=""):
    return Shown(name, np.array(scores, float), caption)


def lines(axis, width):
    """The lines of that width."""
    return [line for line in axis.get_lines() if line.get_linewidth() == width]


# ---------------------------------------------------------------------- files


def test_every_drawing_is_there_as_png_and_svg(drawn):
    assert {path.name for path in drawn.iterdir()} == {f"{name}{kind}" for name in NAMES for kind in (".png", ".svg")}
    for path in drawn.iterdir():
        if path.suffix == ".png":
            assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
        else:
            assert ElementTree.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg"


def test_equal_data_give_equal_files_whatever_style_a_user_has_set(drawn, tmp_path):
    with mpl.rc_context({"font.size": 30, "axes.grid": True, "svg.hashsalt": None, "lines.linewidth": 9}):
        draw_all(MATRIX, *made(tmp_path), tmp_path / "plots")
    assert contents(tmp_path / "plots") == contents(drawn)


def test_other_data_give_other_files(drawn, tmp_path):
    draw_all(MATRIX, *made(tmp_path, score=lambda game, seed: 1_500.0 * (seed + 1)), tmp_path / "plots")
    other, first = contents(tmp_path / "plots"), contents(drawn)
    assert [name for name in first if other[name] == first[name]] == []


def test_every_drawing_names_its_protocol_its_budget_its_seeds_and_its_source(drawn):
    for name in NAMES:
        text = words(drawn / f"{name}.svg")
        assert (
            f"atari3, {CI.label()} (not the paper's protocol), {format_frames(MATRIX.frames)} frames, 2 seeds, "
            f"source {COMMIT[:10]}." in text
        )
        assert "No published score stands beside these: the first are at 1M frames." in text
        assert "2 seeds" in text


def test_an_incomplete_matrix_has_curves_and_no_aggregates_and_older_drawings_go(tmp_path):
    folder = tmp_path / "plots"
    folder.mkdir()
    for name in ("games.png", "profile.svg", "improvement.png", "notes.txt"):
        (folder / name).write_text("older")
    files = draw_all(MATRIX, *made(tmp_path, without=("phoenix-s0", "phoenix-s1", "battle_zone-s1")), folder)
    assert {path.name for path in files} == {"learning_curves.png", "learning_curves.svg"}
    assert set(folder.iterdir()) == {*files, folder / "notes.txt"}
    text = words(folder / "learning_curves.svg")
    assert "no finished run" in text
    assert "1 of 2 seeds" in text


def test_source_revisions_are_all_named_or_counted(tmp_path):
    def records(*sources):
        return [
            RunRecord.read(write_run(tmp_path / f"{len(sources)}-{k}", "qbert", k, score=1,
                                     provenance={"source": {"commit": commit, "dirty": dirty}}))
            for k, (commit, dirty) in enumerate(sources)
        ]  # fmt: skip

    assert revisions(records(("a" * 40, False))) == "source aaaaaaaaaa"
    assert revisions(records(("b" * 40, True), (None, False))) == "source bbbbbbbbbb with uncommitted changes, unknown"
    assert revisions(records(*((f"{k}" * 40, False) for k in range(4)))) == "4 source revisions"


# ---------------------------------------------------------------------- learning curves


def test_curves_show_each_seed_and_their_mean_where_every_seed_has_a_score():
    nan = np.nan
    ours = source([10, 20, 30], {"phoenix": [[nan, 100, 300], [5, 200, 500]], "qbert": [[1, 2, 3], [2, 4, 6]]})
    figure = learning_curves([ours], ("phoenix", "qbert"), ["budget"])
    axis = figure.axes[0]
    assert axis.get_title() == "phoenix"
    (mean,) = lines(axis, 2)
    assert mean.get_xdata().tolist() == [20, 30]
    assert mean.get_ydata().tolist() == [150, 400]
    assert [line.get_ydata().tolist() for line in lines(axis, 0.7)] == [[100, 300], [5, 200, 500]]
    (random,) = lines(axis, 1)
    assert set(random.get_ydata()) == {human_and_random()["phoenix"].random}
    assert list(axis.collections) == []  # no interval of two seeds, and it is said
    assert "No interval of a source's mean: 2 seeds are too few for one." in said(figure)
    assert legend(figure) == ["mean of the seeds, 2 seeds", "each seed", "random policy"]


def test_the_band_of_three_seeds_goes_from_the_lowest_to_the_highest():
    """All three draws hit the same seed in 1 of 27 cases, more than 2.5 %."""
    values = [[1.0, 10.0], [2.0, 30.0], [6.0, 20.0]]
    np.testing.assert_allclose(mean_band(np.array(values)), [[1, 10], [6, 30]])
    figure = learning_curves([source([1, 2], {"qbert": values})], ["qbert"], [])
    (band,) = figure.axes[0].collections
    assert band.get_paths()[0].get_extents().bounds == pytest.approx((1, 1, 1, 29))  # x, y, width, height
    assert "mean and its 95 % interval, 3 seeds" in legend(figure)


def test_the_band_of_five_seeds_is_that_of_all_resamples():
    values = np.random.default_rng(3).normal(size=(5, 4))
    everything = np.array([values[list(chosen)].mean(axis=0) for chosen in itertools.product(range(5), repeat=5)])
    expected = np.percentile(everything, [2.5, 97.5], axis=0)
    np.testing.assert_allclose(mean_band(values, 50_000), expected, atol=0.02)
    np.testing.assert_allclose(mean_band(values), expected, atol=4 / np.sqrt(BAND_REPETITIONS))
    np.testing.assert_array_equal(mean_band(values), mean_band(values))


def test_one_seed_has_neither_mean_nor_band():
    figure = learning_curves([source([1, 2], {"qbert": [[3, 4]]})], ["qbert"], [])
    assert lines(figure.axes[0], 0.7) == []
    assert legend(figure) == ["one seed", "random policy"]


@pytest.mark.parametrize("episodes", [[], [(400, 9, "iteration_end")]])
def test_a_run_in_which_no_episode_ended_has_an_empty_panel(tmp_path, episodes):
    record = RunRecord.read(write_run(tmp_path / "run", "phoenix", 0, score=1, episodes=episodes))
    axis = learning_curves([training_curves("ours", [record])], GAMES, []).axes[2]
    assert [text.get_text() for text in axis.texts] == ["no episode ran to its end"]
    assert len(axis.get_lines()) == 1  # the random policy's
    assert [text.get_text() for text in axis.figure.axes[0].texts] == ["no finished run"]


def test_the_published_curve_lies_behind_up_to_our_budget():
    ours = source([1_000_000, 4_000_000], {"qbert": [[100, 200], [300, 400]]}, name="ours")
    figure = learning_curves([ours, published(RMSPROP)], ["qbert"], [])
    behind, mine = sorted(lines(figure.axes[0], 2), key=lambda line: line.get_zorder())
    assert mine.get_ydata().tolist() == [200, 300]
    assert behind.get_xdata().tolist() == [1_000_000, 2_000_000]  # its next is 5M
    points = published_points()[RMSPROP]["qbert"]
    expected = [np.mean([points[seed][frames] for seed in points]) for frames in (1_000_000, 2_000_000)]
    np.testing.assert_allclose(behind.get_ydata(), expected)
    assert len(lines(figure.axes[0], 0.7)) == 2  # seeds of the first alone
    assert figure.axes[0].get_xlim() == (0, 4_160_000)


# ---------------------------------------------------------------------- by budget


def test_the_iqm_by_budget_is_that_of_scipy_where_every_run_has_a_score():
    values = np.random.default_rng(1).uniform(0, 20_000, (3, 4, 5))  # seeds, games, budgets
    values[1, 2, 0] = np.nan
    games = suite_games("atari10")[:4]
    ours = source([10, 20, 50, 100, 1000], {game: values[:, k] for k, game in enumerate(games)}, returns="training")
    figure = efficiency([ours], games, ["budget"], mark=50)
    axis = figure.axes[0]
    (line,) = lines(axis, 2)
    assert line.get_xdata().tolist() == [20, 50, 100, 1000]
    anchors = [human_and_random()[game] for game in games]
    normal = np.array([[anchors[g].normalise(values[s, g]) for g in range(4)] for s in range(3)])
    expected = [stats.trim_mean(normal[:, :, t].ravel(), 0.25) for t in range(1, 5)]
    np.testing.assert_allclose(line.get_ydata(), expected)
    low, high = (np.asarray(edge.get_ydata()) for edge in lines(axis, 0.6))
    assert (low < expected).all()
    assert (high > expected).all()
    assert axis.get_xscale() == "log"
    assert "a source: training returns." in said(figure)
    assert "3 seeds: these intervals are too narrow." in said(figure)


def test_a_short_span_of_budgets_is_linear_and_one_seed_has_no_band():
    figure = efficiency([source([10, 20], {"qbert": [[1, 2]]})], ["qbert"], [])
    assert figure.axes[0].get_xscale() == "linear"
    assert lines(figure.axes[0], 0.6) == []
    assert "1 seed: no interval." in said(figure)


def test_a_source_without_a_complete_budget_is_refused():
    with pytest.raises(ValueError, match="no budget at which every run has a score"):
        efficiency([source([10], {"qbert": [[np.nan], [1]]})], ["qbert"], [])


# ---------------------------------------------------------------------- scores


def test_bars_are_the_means_of_the_games_best_first_and_dots_their_seeds():
    rows = [shown([[0.0, 1.0, -1.0], [0.5, 3.0, -2.0]]), shown([[0.1, 0.2, 0.3]], "theirs")]
    figure = game_bars(rows, GAMES, ["budget"])
    axis = figure.axes[0]
    order = [label.get_text() for label in axis.get_yticklabels()]
    assert order == ["name_this_game", "battle_zone", "phoenix"]
    ours, theirs = axis.containers
    assert [bar.get_width() for bar in ours] == pytest.approx([2.0, 0.25, -1.5])
    assert [bar.get_width() for bar in theirs] == pytest.approx([0.2, 0.1, 0.3])
    for bars, at in ((ours, "first"), (theirs, "second")):
        places = [bar.get_y() + bar.get_height() / 2 for bar in bars]
        assert [round(place) for place in places] == [0, 1, 2], at
    dots = {(line.get_ydata()[0], line.get_marker()): list(line.get_xdata()) for line in axis.get_lines()[:-1]}
    assert sorted(map(sorted, dots.values())) == sorted([[1, 3], [0, 0.5], [-2, -1], [0.2], [0.1], [0.3]])
    assert [text.get_text() for text in axis.texts[:3]] == ["2.000", "0.250", "\N{MINUS SIGN}1.500"]
    assert legend(figure) == ["ours", "theirs"]
    assert ours[0].get_hatch() != theirs[0].get_hatch()  # told apart without colour


def test_intervals_are_drawn_from_their_low_to_their_high_end_a_row_a_source():
    first = [[0.0, 1.0, 2.0], [1.0, 1.5, 6.0], [0.5, 1.0, 4.0]]
    rows = [shown(first, "ours", "our protocol"), shown(np.array(first) + 1, "theirs"), shown([[1.0, 2.0, 4.0]], "one")]
    figure = intervals(rows, ["budget"])
    for axis, name in zip(figure.axes, ("IQM", "median", "mean", "optimality gap"), strict=True):
        assert axis.get_title().split("\n")[0] == name
        expected = [aggregates.aggregates(row.scores)[name] for row in rows]
        drawn = {round(bar.get_y() + bar.get_height() / 2): (bar.get_x(), bar.get_x() + bar.get_width())
                 for bar in axis.patches}  # fmt: skip
        assert set(drawn) == {0, 1}  # one seed has a point and no interval
        for place, ends in drawn.items():
            assert ends == pytest.approx((expected[place].low, expected[place].high))
        assert [line.get_xdata()[0] for line in axis.get_lines()] == pytest.approx([each.point for each in expected])
        numbers = [text.get_text() for text in axis.texts[:3]]
        assert numbers == [f"{each.point:.3f}" for each in expected]
    assert figure.axes[0].get_ylim()[0] > figure.axes[0].get_ylim()[1]  # the first row on top
    labels = [text.get_text() for text in figure.axes[0].texts[3:]]
    assert labels == ["ours", "our protocol", "theirs", "", "one", ""]
    assert "1 seed: no interval; 3 seeds: these intervals are too narrow." in said(figure)


def test_the_share_of_runs_above_a_threshold_is_counted():
    rows = [shown([[-0.2, 1.0, 2.0], [0.0, 1.0, 3.0]]), shown([[0.1, 0.2, 0.3]], "theirs")]
    figure = profile(rows, [])
    axis = figure.axes[0]
    ours, theirs = lines(axis, 2)
    for line, row in ((ours, rows[0]), (theirs, rows[1])):
        x = np.asarray(line.get_xdata())
        expected = [sum(score > threshold for score in row.scores.ravel()) / row.scores.size for threshold in x]
        np.testing.assert_allclose(line.get_ydata(), expected)
    assert np.asarray(ours.get_ydata())[[0, -1]].tolist() == [1, 0]
    assert ours.get_linestyle() != theirs.get_linestyle()
    assert len(axis.collections) == 1  # one seed has no band
    assert legend(figure) == ["ours, 95 % band", "theirs", "random policy"]


def test_the_probability_of_improvement_is_counted_pair_by_pair():
    first = [[1.0, 5.0, 0.0], [2.0, 6.0, 1.0]]
    second = [[1.0, 7.0, 0.0], [1.5, 8.0, -1.0], [3.0, 9.0, -2.0]]
    figure = improvement(shown(first, "A"), shown(second, "B"), GAMES, [])
    wins = [
        np.mean([(a > b) + 0.5 * (a == b) for a in np.array(first)[:, g] for b in np.array(second)[:, g]])
        for g in range(3)
    ]
    axis = figure.axes[0]
    names = [label.get_text() for label in axis.get_yticklabels()]
    assert names == ["average", "phoenix", "battle_zone", "name_this_game"]
    dots, average = (line for line in axis.get_lines() if line.get_linestyle() == "None")
    np.testing.assert_allclose(dots.get_xdata(), [wins[2], wins[0], wins[1]])
    np.testing.assert_allclose(average.get_xdata(), [np.mean(wins)])
    (bar,) = axis.patches
    assert bar.get_x() < np.mean(wins) < bar.get_x() + bar.get_width()
    assert "Probability that a run of A scores above one of B" in said(figure)
    assert "2 seeds: these intervals are too narrow; 3 seeds" in said(figure)
    assert improvement(shown(first[:1]), shown(second), GAMES, []).axes[0].patches[:] == []


def test_scores_that_are_no_matrix_or_not_finite_are_refused():
    for scores in ([1.0, 2.0], [[]], [[np.nan]]):
        with pytest.raises(ValueError, match="expected finite scores"):
            shown(scores)


# ---------------------------------------------------------------------- beside others


def test_published_scores_of_the_same_budget_stand_beside_ours(tmp_path):
    matrix = Matrix.of("atari3", "nature", 1_000_000, 1)
    episodes = [(500_000, 700, "game_over"), (1_000_000, 900, "game_over")]
    draw_all(matrix, *made(tmp_path, matrix=matrix, episodes=episodes), tmp_path / "plots")
    files = tmp_path / "plots"
    assert {path.stem for path in files.iterdir()} == {*NAMES, "improvement"} - {"sample_efficiency"}
    text = words(files / "intervals.svg")
    for name in ("dqn-ref (evaluation)", "dqn-ref (training)", RMSPROP, ADAM):
        assert name in text
    assert f"published figures, not runs of this project ({ORIGINS[ADAM]})" in text.replace("google/ ", "google/")
    assert "Predicted median over 57 games: dqn-ref (evaluation) 0." in text
    assert NATURE.label() in text
    assert "not the paper's protocol" not in text
    assert "No published score" not in text
    title = f"Probability that a run of dqn-ref (training) scores above one of {RMSPROP}"  # training beside training
    assert title in words(files / "improvement.svg")
    assert RMSPROP in words(files / "learning_curves.svg")


def test_the_stored_baseline_stands_beside_a_machines_own_runs(tmp_path):
    scores, records = made(tmp_path)
    store = Store(tmp_path)
    assert stored_baseline(MATRIX, store) is None
    create(store, MATRIX, "a test")
    store.promote_baseline(MATRIX.name, "a test")
    baseline = stored_baseline(MATRIX, store)
    np.testing.assert_array_equal(baseline.scores, scores.matrix())
    assert baseline.caption.endswith(f"16k frames, 2 seeds, source {COMMIT[:10]}")
    assert stored_baseline(Matrix.of("atari3", "ci", seeds=3), store) is None
    draw_all(MATRIX, scores, records, tmp_path / "plots", [baseline])
    assert "of dqn-ref (evaluation) scores above one of stored baseline" in words(tmp_path / "plots/improvement.svg")
    assert "stored baseline" in words(tmp_path / "plots/games.svg")


def test_a_comparison_draws_everything_that_two_sources_allow(tmp_path):
    files = draw_comparison(published(RMSPROP), published(ADAM), 2_000_000, GAMES, tmp_path, prefix="published-")
    assert {path.name for path in files} == {
        f"published-{name}{kind}" for name in (*NAMES, "improvement") for kind in (".png", ".svg")
    }
    assert set(files) == set(tmp_path.iterdir())
    for path in files:
        if path.suffix == ".svg":
            text = words(path)
            assert "3 games at 2M frames. Published figures, not runs of this project (google/dopamine 5873" in text
            assert "5 seeds" in text


def test_a_comparison_of_one_budget_has_no_curves_and_names_who_is_published(tmp_path):
    mine = source([2_000_000], {game: [[1_000.0], [2_000.0]] for game in GAMES}, name="mine", returns="evaluation")
    files = draw_comparison(mine, published(ADAM), 2_000_000, GAMES, tmp_path)
    assert {path.stem for path in files} == {"games", "intervals", "profile", "improvement"}
    text = words(tmp_path / "profile.svg")
    assert f"{ADAM}: published figures, not runs of this project" in text
    assert "mine: evaluation returns, 2M frames, 2 seeds." in text
    with pytest.raises(UserError, match="mine has no scores at 1M frames"):
        draw_comparison(mine, published(ADAM), 1_000_000, GAMES, tmp_path)


def test_a_name_with_a_dot_keeps_it(tmp_path):
    figure = game_bars([shown([[1.0]])], ["qbert"], [])
    assert [path.name for path in save_figure(figure, tmp_path / "v1.5-games")] == ["v1.5-games.png", "v1.5-games.svg"]


def test_where_figures_were_published_is_what_their_list_of_sources_says():
    listed = (Path(__file__).parent.parent / "benchmarks" / "data" / "SOURCES.md").read_text()
    assert set(ORIGINS) == set(PUBLISHED)
    for origin in ORIGINS.values():
        assert origin in listed
