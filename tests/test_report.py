"""Tables and words say what the records say: each number worked by hand."""

import io
import re

import pytest
import tyro
from fake_runs import resample_little, write_matrix, write_run
from rich.console import Console

from benchmarks.__main__ import Bench
from benchmarks.baselines import create
from benchmarks.costs import Costs
from benchmarks.readme import IMAGES, update_page
from benchmarks.report import (
    HEADER,
    ScoreReport,
    format_interval,
    markdown,
    score_report,
    score_table,
    what_it_shows,
)
from benchmarks.runner import Matrix
from benchmarks.scores import score_matrix
from benchmarks.statistics import Interval
from benchmarks.store import Store
from benchmarks.tables import cost_table, status_table
from dqn_ref.config import UserError
from dqn_ref.protocols import CI

GAMES = ("battle_zone", "name_this_game", "phoenix")
# random + share * (human - random), from the anchors of Wang et al.
SPANS = {"battle_zone": (2360.0, 37187.5), "name_this_game": (2292.3, 8049.0), "phoenix": (761.4, 7242.6)}
SHARES = {"battle_zone": (0.0, 0.5), "name_this_game": (1.0, 0.5), "phoenix": (-0.5, 2.0)}
COSTS = Costs(startup=2.0, warm_up_step=0.002, learning_step=0.05, evaluation_step=0.004, at_once=2)


@pytest.fixture(autouse=True)
def little_resampling(monkeypatch):
    resample_little(monkeypatch)


def score_of(game, seed):
    random, human = SPANS[game]
    return random + SHARES[game][seed] * (human - random)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results")


@pytest.fixture
def report(store):
    """The report of atari3 with two seeds, of which ``without`` are not there."""

    def make(without=(), seeds=2):
        matrix = Matrix.of("atari3", "ci", seeds=seeds)
        for member in matrix.members:
            name = f"{member.game}-s{member.seed}"
            if name not in without:
                folder = store.runs(matrix.group) / name
                write_run(folder, member.game, member.seed, score=score_of(member.game, member.seed))
        return score_report(matrix, score_matrix(matrix.games, matrix.cells(store)))

    return make


def printed(what) -> str:
    console = Console(width=200, file=io.StringIO())
    console.print(what)
    return console.file.getvalue()


# ---------------------------------------------------------------------- scores


def test_rows_worked_by_hand(report):
    """Human-normalised means: (0 + 0.5) / 2, (1 + 0.5) / 2 and (-0.5 + 2) / 2."""
    assert report().rows == [
        ("battle_zone", "2", "11,066.9", "2,360.0", "37,187.5", "0.250"),
        ("name_this_game", "2", "6,609.8", "2,292.3", "8,049.0", "0.750"),
        ("phoenix", "2", "5,622.3", "761.4", "7,242.6", "0.750"),
    ]


def test_aggregates_worked_by_hand(report):
    """Six scores -0.5 0 0.5 0.5 1 2: IQM cuts one at each end; the games' means are 0.25 0.75 0.75."""
    found = report().aggregates
    assert found["IQM"].point == pytest.approx((0 + 0.5 + 0.5 + 1) / 4)
    assert found["median"].point == pytest.approx(0.75)
    assert found["mean"].point == pytest.approx(3.5 / 6)
    assert found["optimality gap"].point == pytest.approx((1.5 + 1 + 0.5 + 0.5) / 6)
    assert list(found) == ["IQM", "median", "mean", "optimality gap"]  # the mean never first


def test_the_protocol_and_what_a_score_is_are_said(report):
    notes = " ".join(report().notes)
    assert CI.label() in notes
    assert "not the paper's" in notes
    assert f"{CI.config.evaluation_episodes} episodes" in notes
    assert f"epsilon {CI.config.evaluation_epsilon}" in notes
    assert "With 2 seeds these intervals are too narrow" in notes


def test_a_missing_cell_is_named_and_there_is_no_aggregate(report):
    found = report(without=("phoenix-s0", "phoenix-s1", "battle_zone-s1"))
    assert found.aggregates is None
    assert found.rows[0][1:3] == ("1", "2,360.0")  # its other seed is still shown
    assert found.rows[2] == ("phoenix", "0", "-", "761.4", "7,242.6", "-")
    assert "No aggregate: 3 of 6 runs have no score." in found.notes
    for cell in ("battle_zone seed 1: missing", "phoenix seed 0: missing", "phoenix seed 1: missing"):
        assert f"  {cell}" in found.notes
    for text in (markdown(found), printed(score_table(found))):
        assert "IQM" not in text
        assert "median" not in text


def test_one_seed_has_points_without_intervals(report):
    found = report(seeds=1)
    assert "One seed allows no interval." in found.notes
    assert "| **IQM** | | | | | **0.167** |" in markdown(found)  # 0, 1, -0.5: nothing is cut


def test_intervals_in_figures():
    assert format_interval(Interval(0.1234, 0.05, 1.0)) == "0.123 [0.050, 1.000]"
    assert format_interval(Interval(-0.0506, None, None)) == "-0.051"


def test_markdown_contains_every_number(report):
    found = report()
    lines = markdown(found).splitlines()
    table = lines[: lines.index("")]
    assert len(table) == 2 + len(GAMES) + len(found.aggregates)
    assert {line.count("|") for line in table} == {len(HEADER) + 1}
    for row in found.rows:
        assert "| " + " | ".join(row) + " |" in table
    for name, interval in found.aggregates.items():
        assert interval.low < interval.high
        figures = f"{interval.point:.3f} [{interval.low:.3f}, {interval.high:.3f}]"
        assert f"| **{name}** | | | | | **{figures}** |" in table
    assert lines[len(table) + 1 :] == found.notes


def test_the_terminals_table_contains_every_number(report):
    found = report()
    text = printed(score_table(found))
    for row in found.rows:
        assert re.search(r"\s+".join(map(re.escape, row)), text)
    for name, interval in found.aggregates.items():
        assert re.search(rf"{name}\s+{re.escape(format_interval(interval))}", text)


# ---------------------------------------------------------------------- status and costs


def test_status_has_games_down_and_seeds_across(store):
    matrix = Matrix.of("atari3", "ci", seeds=2)
    write_run(store.runs(matrix.group) / "name_this_game-s1", "name_this_game", 1, score=5)
    write_run(store.runs(matrix.group) / "phoenix-s0", "phoenix", 0, status="failed")
    lines = [line.split() for line in printed(status_table(matrix.cells(store))).splitlines()]
    assert lines == [
        ["game", "seed", "0", "seed", "1"],
        ["battle_zone", "missing", "missing"],
        ["name_this_game", "missing", "finished"],
        ["phoenix", "failed", "missing"],
    ]


def test_costs_of_what_is_missing_worked_by_hand():
    """A run is 2 s, 50,000 steps at 2 ms, 200,000 at 50 ms, 2 x 30 episodes of 1,500 steps at 4 ms: 10,462 s."""
    matrix = Matrix.of("atari3", "nature", 1_000_000, seeds=2)
    assert COSTS.job_seconds(matrix.config) == pytest.approx(10_462)
    lines = printed(cost_table([(matrix, 5, 2), (matrix, 0, 2)], COSTS, evaluate_iterations=False)).splitlines()
    assert re.split(r"\s{2,}", lines[1].strip()) == [
        "nature-v1", "1M", "6", "5", "2", "2.9 h", "8.7 h"  # three rounds
    ]  # fmt: skip
    assert lines[2].split()[-1] == "done"


# ---------------------------------------------------------------------- plain words


def complete(suite, protocol, frames=None):
    return ScoreReport(Matrix.of(suite, protocol, frames, seeds=1), rows=[], aggregates=None, notes=[])


def test_a_small_machine_is_told_what_it_cannot_see_and_what_it_would_cost():
    """Phases of the paper's run: 50,000 steps at 2 ms, 49,950,000 at 50 ms, 90,000 at 4 ms; 25 rounds of 2."""
    words = what_it_shows(complete("atari10", "ci"), COSTS, 2)
    seconds = 25 * (2 + 50_000 * 0.002 + 49_950_000 * 0.05 + 90_000 * 0.004)
    assert "cannot show" in words
    assert "IQM over Atari-10 is 0.006 at 1M frames" in words
    assert "50 runs of 200M frames" in words
    assert f"about {seconds / 86_400:.0f} days" in words
    assert "--evaluate-iterations" not in words


def test_who_evaluated_every_iteration_is_told_what_that_costs():
    """199 iterations more, each 30 episodes of 1,500 steps at 4 ms: 180 s each."""
    words = what_it_shows(complete("atari10", "ci"), COSTS, 2, evaluate_iterations=True)
    seconds = 25 * (2 + 50_000 * 0.002 + 49_950_000 * 0.05 + 90_000 * 0.004 + 199 * 180)
    assert words.count("--seeds 5 --evaluate-iterations\n") == 2
    assert f"about {seconds / 86_400:.0f} days" in words


@pytest.mark.parametrize("suite", ["atari10", "atari3"])
def test_the_commands_that_are_recommended_are_commands(suite):
    words = what_it_shows(complete(suite, "ci"), COSTS, 2)
    found = [line.split(":  ")[1].strip() for line in words.splitlines() if ":  " in line]
    prefix = "tox -e bench-atari10 -- " if suite == "atari10" else f"python -m benchmarks bench {suite} "
    assert [command.startswith(prefix) for command in found] == [True, True]
    asked = [tyro.cli(Bench, args=[suite, *command.removeprefix(prefix).split()]).matrix() for command in found]
    assert asked == [Matrix.of(suite, "nature", seeds=5), Matrix.of(suite, "nature", 10_000_000, seeds=5)]


def test_the_papers_protocol_is_compared_at_its_own_budget():
    words = what_it_shows(complete("atari10", "nature", 10_000_000), COSTS, 2)
    assert "0.113 at 10M frames" in words
    assert "sticky actions" in words
    assert "cannot show" not in words


def test_a_budget_without_published_figures_has_none_made_up():
    words = what_it_shows(complete("atari10", "nature", 11_000_000), COSTS, 2)
    assert "no published figure is stored for this budget" in words
    assert not re.search(r"0\.\d", words)


# ---------------------------------------------------------------------- the README's parts

README = "# Title\n\n<!-- generated: scores -->\nold\n<!-- end -->\n\nby hand\n"


@pytest.fixture
def readme(tmp_path):
    path = tmp_path / "README.md"
    path.write_text(README)
    return path


@pytest.fixture
def baseline(store):
    matrix = Matrix.of("atari10", "ci")
    write_matrix(store.runs(matrix.group), matrix.games, matrix.num_seeds)
    create(store, matrix, "a test")
    store.promote_baseline(matrix.name, "a test")
    return matrix


def test_a_check_tells_that_the_readme_is_old_and_changes_nothing(readme, store, baseline):
    assert update_page(readme, store, write=False)
    assert readme.read_text() == README
    assert not (readme.parent / IMAGES).exists()


def test_the_readmes_part_is_the_baselines_table_and_the_rest_is_left_alone(readme, store, baseline):
    assert update_page(readme, store, write=True)
    text = readme.read_text()
    cells = baseline.cells(store, store.baseline(baseline.name))
    expected = markdown(score_report(baseline, score_matrix(baseline.games, cells)))
    assert text == README.replace("old\n", expected)
    assert not update_page(readme, store, write=False)
    assert {path.suffix for path in (readme.parent / IMAGES).iterdir()} == {".png", ".svg"}


def test_a_part_that_nobody_makes_is_refused(readme, store):
    readme.write_text(README.replace("scores", "praise"))
    with pytest.raises(UserError, match="'praise'"):
        update_page(readme, store, write=True)
    assert "old" in readme.read_text()


@pytest.mark.parametrize("part", ["scores", "speed"])
def test_a_readme_is_not_written_from_results_that_are_not_there(readme, store, part):
    readme.write_text(README.replace("scores", part))
    with pytest.raises(UserError):
        update_page(readme, store, write=True)
    assert "old" in readme.read_text()


def test_a_part_of_broken_results_is_named(readme, store):
    """Whole JSON, of another form than its part expects."""
    readme.write_text(README.replace("scores", "mutants"))
    (store.root / "gates").mkdir(parents=True)
    (store.root / "gates" / "mutants.json").write_text("{}")
    with pytest.raises(UserError, match=r"the part mutants cannot be made of .*KeyError: 'mutants'.*restore it"):
        update_page(readme, store, write=True)
    assert "old" in readme.read_text()
