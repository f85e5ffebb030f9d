"""Drawings hold the data, as PNG and SVG, and equal data give an equal file."""

import xml.etree.ElementTree as ElementTree

import matplotlib as mpl
import numpy as np
import pytest
from fake_runs import resample_little, write_run
from matplotlib.figure import Figure

from benchmarks import plots
from benchmarks.plots import curve, draw_all, game_bars, intervals, learning_curves, profile
from benchmarks.runner import Matrix
from benchmarks.scores import ScoreMatrix, score_matrix
from benchmarks.store import Store
from dqn_ref.config import CI, format_frames
from dqn_ref.records import RunRecord

NAMES = {"learning_curves", "games", "intervals", "profile"}
MATRIX = Matrix.of("atari3", "ci", seeds=2)


@pytest.fixture(autouse=True, scope="module")
def little_resampling():
    with pytest.MonkeyPatch.context() as monkeypatch:
        resample_little(monkeypatch)
        yield


def made(folder, without=(), score=lambda game, seed: 1_000.0 * (seed + 1) + len(game), matrix=MATRIX):
    """Scores and records of a matrix; ``without`` names runs that are not there."""
    store = Store(folder)
    for member in matrix.members:
        run = store.runs(matrix.group) / f"{member.game}-s{member.seed}"
        if run.name not in without:
            write_run(run, member.game, member.seed, score=score(member.game, member.seed))
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


# ---------------------------------------------------------------------- files


def test_every_drawing_is_there_as_png_and_svg(drawn):
    assert {path.name for path in drawn.iterdir()} == {f"{name}{kind}" for name in NAMES for kind in (".png", ".svg")}
    for path in drawn.iterdir():
        if path.suffix == ".png":
            assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
        else:
            assert ElementTree.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg"


def test_equal_data_give_equal_files(drawn, tmp_path):
    draw_all(MATRIX, *made(tmp_path), tmp_path / "plots")
    assert contents(tmp_path / "plots") == contents(drawn)


def test_other_data_give_other_files(drawn, tmp_path):
    draw_all(MATRIX, *made(tmp_path, score=lambda game, seed: 1_500.0 * (seed + 1)), tmp_path / "plots")
    other, first = contents(tmp_path / "plots"), contents(drawn)
    assert [name for name in first if other[name] == first[name]] == []


def test_every_drawing_names_its_protocol_its_budget_and_its_seeds(drawn):
    for name in NAMES:
        text = (drawn / f"{name}.svg").read_text()
        assert f"atari3, {CI.label()}, not the paper's protocol, {format_frames(MATRIX.frames)} frames, 2 seeds" in text


def test_an_incomplete_matrix_has_curves_and_no_aggregates(tmp_path):
    files = draw_all(MATRIX, *made(tmp_path, without=("phoenix-s1",)), tmp_path / "plots")
    assert {path.name for path in files} == {"learning_curves.png", "learning_curves.svg"}


def test_one_seed_has_no_band():
    assert labels(profile(MATRIX, np.array([[0.0, 1.0, 2.0]]))) == ["share of runs", "random policy"]
    assert intervals(MATRIX, np.array([[0.0, 1.0, 2.0]])).axes[0].patches[:] == []
    assert "95 % band" in labels(profile(MATRIX, np.array([[0.0, 1.0, 2.0], [1.0, 1.0, 3.0]])))


# ---------------------------------------------------------------------- what they show


def labels(figure: Figure):
    return figure.axes[0].get_legend_handles_labels()[1]


def test_a_curve_is_the_mean_of_the_episodes_between_two_points_worked_by_hand(tmp_path):
    """An end belongs to the interval that it closes; an episode cut by an iteration's end to none."""
    episodes = [(40, 10, "game_over"), (100, 20, "truncated"), (104, 7, "game_over"), (160, 500, "iteration_end"),
                (390, 1, "game_over")]  # fmt: skip
    record = RunRecord.read(write_run(tmp_path / "run", "qbert", 0, score=1, episodes=episodes))
    found = curve(record, np.array([0.0, 100.0, 200.0, 300.0, 400.0]))
    np.testing.assert_array_equal(found, [15.0, 7.0, np.nan, 1.0])


@pytest.mark.parametrize("episodes", [[], [(400, 9, "iteration_end")]])
def test_a_run_in_which_no_episode_ended_has_an_empty_curve(tmp_path, episodes):
    record = RunRecord.read(write_run(tmp_path / "run", "phoenix", 0, score=1, episodes=episodes))
    assert np.isnan(curve(record, np.linspace(0, CI.config.total_frames, 4))).all()
    assert learning_curves(MATRIX, [record]).axes[2].get_lines()[0].get_xdata().size == 0


def test_the_thick_curve_is_the_mean_of_the_seeds(tmp_path):
    end = CI.config.total_frames
    records = [
        RunRecord.read(write_run(tmp_path / str(seed), "name_this_game", seed, score=1,
                                 episodes=[(end // 2, low, "game_over"), (end, high, "game_over")]))
        for seed, (low, high) in enumerate([(10, 100), (20, 300)])
    ]  # fmt: skip
    axis = learning_curves(MATRIX, records).axes[1]
    assert axis.get_title() == "name_this_game"
    thick = max(axis.get_lines(), key=lambda line: line.get_linewidth() if line.get_label() != "random policy" else 0)
    np.testing.assert_allclose(thick.get_xdata(), [end / 2_000, end / 1_000])
    np.testing.assert_array_equal(thick.get_ydata(), [15, 200])
    [random] = [line for line in axis.get_lines() if line.get_label() == "random policy"]
    assert set(random.get_ydata()) == {2292.3}


def test_bars_are_the_means_of_the_games_and_dots_their_seeds():
    raw = {"battle_zone": {0: 2360.0, 1: 37187.5}, "name_this_game": {0: 2292.3, 1: 2292.3},
           "phoenix": {0: 7242.6, 1: 7242.6}}  # fmt: skip
    axis = game_bars(MATRIX, ScoreMatrix(MATRIX.games, raw, ())).axes[0]
    places = dict(zip(axis.get_yticks(), [label.get_text() for label in axis.get_yticklabels()], strict=True))
    bars = {places[round(bar.get_y() + bar.get_height() / 2)]: bar.get_width() for bar in axis.patches}
    assert bars == pytest.approx({"battle_zone": 0.5, "name_this_game": 0.0, "phoenix": 1.0})
    dots = {
        places[line.get_ydata()[0]]: list(line.get_xdata()) for line in axis.get_lines() if line.get_marker() == "o"
    }
    assert dots["battle_zone"] == pytest.approx([0.0, 1.0])


def test_intervals_are_drawn_from_their_low_to_their_high_end():
    scores = np.array([[0.0, 1.0, 2.0], [1.0, 1.5, 6.0], [0.5, 1.0, 4.0]])
    expected = plots.aggregates(scores)
    axis = intervals(MATRIX, scores).axes[0]
    texts = {round(text.get_position()[1]): text.get_text() for text in axis.texts if text.get_position()[0] == -0.02}
    drawn = {texts[round(bar.get_y() + bar.get_height() / 2)]: (bar.get_x(), bar.get_x() + bar.get_width())
             for bar in axis.patches}  # fmt: skip
    assert set(drawn) == {"IQM", "median", "mean", "optimality gap"}
    for name, ends in drawn.items():
        assert ends == pytest.approx((expected[name].low, expected[name].high))


def test_the_profile_starts_at_every_run_and_ends_at_none():
    scores = np.array([[-0.2, 1.0, 2.0], [0.0, 1.0, 3.0]])
    [line] = [line for line in profile(MATRIX, scores).axes[0].get_lines() if line.get_label() == "share of runs"]
    shares = np.asarray(line.get_ydata())
    assert shares[0] == 1.0
    assert shares[-1] == 0.0
    assert (np.diff(shares) <= 0).all()
    at_half = shares[np.searchsorted(line.get_xdata(), 0.5)]
    assert at_half == pytest.approx(4 / 6)
