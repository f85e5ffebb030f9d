"""The calibration: what it draws is what was measured, its counts follow from the gate, and its promises can break."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binomtest

from benchmarks.gates import calibrate_command, calibration, score_rule
from benchmarks.gates.calibrate import calibrate, gate_table, models_table
from benchmarks.gates.calibrate_aside import (
    INTERVAL,
    NAIVE,
    OWN_BAR,
    any_game_lower,
    bars_table,
    interval_below_zero,
    other_gates_table,
    seeds_table,
    single_games_table,
)
from benchmarks.gates.calibrate_command import GateCalibrate, gate_calibrate
from benchmarks.gates.calibration import TABLES, broken_promises, pooled, share
from benchmarks.gates.calibration_drawing import draw_calibration
from benchmarks.gates.cases import Case, counts, learnt, stream, unlearnt
from benchmarks.gates.simulation import MODELS, Noise, comparisons, dropped, weigh_all
from benchmarks.store import Store
from dqn_ref.config import UserError

ROOT = Path(__file__).parent.parent
RESULTS = Store(ROOT / "results")
QUIET, NOISY = Case.of("dopamine-dqn-rmsprop-2018", 10_000_000), Case.of("nnabla-rl-dqn", 10_000_000)


def simulate(case, m, n, count, drop=0.0, model="pooled"):
    draw = stream(7, case, "tests", m, n)
    candidates, baselines = comparisons(Noise.of(case.scores), m, n, count, draw, MODELS[model])
    return counts(weigh_all(dropped(candidates, drop), baselines, case.margin, 11))


# ---------------------------------------------------------------------- what is drawn


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("case", [QUIET, NOISY], ids=lambda case: case.source)
def test_drawn_runs_have_the_mean_and_the_variance_of_the_real_seeds(case, model):
    noise = Noise.of(case.scores)
    runs = MODELS[model](noise, (4_000, 5), np.random.default_rng(0))  # [comparisons, seeds, games]
    unit = noise.deviations
    assert np.abs((runs.mean(axis=(0, 1)) - case.scores.mean(axis=0)) / unit).max() < 0.1
    if (model, len(case.scores)) != ("uncertain", 3):  # of which the variance is infinite
        freedom = len(case.scores) - 1
        expected = unit * (np.sqrt(freedom / (freedom - 2)) if model == "uncertain" else 1)  # of Student's t
        within = 0.1 if model == "uncertain" else 0.025
        assert np.abs(runs.std(axis=(0, 1)) / expected - 1).max() < within


def test_residuals_by_hand():
    noise = Noise.of(np.array([[1.0, 5.0], [3.0, 5.0]]))
    np.testing.assert_allclose(noise.means, [2, 5])
    np.testing.assert_allclose(noise.deviations, [np.sqrt(2), 0])
    np.testing.assert_allclose(noise.residuals, [[-1, 0], [1, 0]])
    with pytest.raises(ValueError, match="two seeds"):
        Noise.of(np.zeros((1, 3)))


def test_a_game_without_noise_is_drawn_without():
    runs = MODELS["pooled"](Noise.of(np.array([[1.0, 5.0], [3.0, 5.0]])), (50, 3), np.random.default_rng(0))
    assert (runs[..., 1] == 5).all()
    assert len(np.unique(runs[..., 0])) == 150


@pytest.mark.parametrize("model", MODELS)
def test_drawn_runs_have_no_ties(model):
    runs = MODELS[model](Noise.of(QUIET.scores), (20, 10), np.random.default_rng(0))
    assert len(np.unique(runs)) == runs.size


def test_candidate_and_baseline_are_drawn_alike_and_apart():
    candidates, baselines = comparisons(Noise.of(QUIET.scores), 2, 3, 2_000, np.random.default_rng(0))
    assert candidates.shape == (2_000, 2, 10)
    assert baselines.shape == (2_000, 3, 10)
    first, second = candidates[:, 0] - QUIET.scores.mean(axis=0), baselines[:, 0] - QUIET.scores.mean(axis=0)
    correlation = (first * second).mean(axis=0) / first.std(axis=0) / second.std(axis=0)
    assert np.abs(correlation).max() < 0.1


def test_a_drop_moves_towards_random_and_never_up():
    np.testing.assert_allclose(dropped(np.array([1.0, 0.0, -0.5]), 0.2), [0.8, 0.0, -0.5])


def test_cells_have_generators_of_their_own():
    draws = {stream(*where).random() for where in [(0, QUIET, 5), (0, QUIET, 3), (1, QUIET, 5), (0, NOISY, 5)]}
    assert len(draws) == 4
    assert stream(0, QUIET, 5).random() == stream(0, QUIET, 5).random()


def test_cases_are_the_published_dqns_and_the_baseline_of_ci(tmp_path):
    assert [(len(case.scores), len(case.games)) for case in learnt()] == [(5, 10), (5, 10), (3, 9)] * 2
    assert [case.source for case in unlearnt(RESULTS)] == ["dopamine-dqn-rmsprop-2018", "atari10-ci-v1-16k"]
    assert [case.source for case in unlearnt(Store(tmp_path))] == ["dopamine-dqn-rmsprop-2018"]


# ---------------------------------------------------------------------- the gate, simulated here and now


@pytest.mark.parametrize(("m", "n"), [(5, 5), (2, 2), (3, 5)])
def test_an_unchanged_agent_fails_no_more_often_than_the_level(m, n):
    count = simulate(NOISY, m, n, 300)
    assert count["comparisons"] == count["pass"] + count["fail"] + count["inconclusive"] == 300
    assert binomtest(count["fail"], 300, 0.01, alternative="greater").pvalue > 1e-3
    assert binomtest(count["found"], 300, 0.05, alternative="greater").pvalue > 1e-3
    assert binomtest(count["too good"], 300, 0.01, alternative="greater").pvalue > 1e-3


@pytest.mark.parametrize("case", learnt()[:3], ids=lambda case: case.source)
def test_a_uniform_drop_of_a_fifth_is_found_four_times_in_five_at_10m_frames(case):
    count = simulate(case, 5, 5, 100, drop=0.2)
    assert count["found"] >= 80
    assert count["pass"] <= 5


def test_the_iqm_alone_would_not_find_it_where_evaluation_is_noisy():
    """Why there are two statistics."""
    count = simulate(NOISY, 5, 5, 100, drop=0.2)
    assert count["IQM: found"] < 65
    assert count["game by game: found"] > 90


def test_game_by_game_alone_would_pass_a_game_that_is_lost():
    """Why there are two statistics: the best game of QUIET falls to the random policy's score."""
    candidates, baselines = comparisons(Noise.of(QUIET.scores), 5, 5, 60, stream(7, QUIET))
    candidates[:, :, QUIET.games.index("kung_fu_master")] = 0.0
    count = counts(weigh_all(candidates, baselines, QUIET.margin, 11))
    assert count["game by game: pass"] > 45
    assert count["pass"] == 0
    assert count["IQM: fail"] > 45


def test_a_candidate_worse_by_just_the_margin_passes_no_more_often_than_the_level():
    count = simulate(QUIET, 5, 5, 200, drop=QUIET.margin.share)
    assert binomtest(count["pass"], 200, 0.05, alternative="greater").pvalue > 1e-3


def test_a_level_that_is_not_kept_would_be_seen(monkeypatch):
    """The checks above can fail: without the correction for two tests, and with a level of a fifth."""
    monkeypatch.setattr(score_rule, "FAIL_LEVEL", 0.2)
    monkeypatch.setattr(score_rule, "together", min)
    count = simulate(NOISY, 5, 5, 200)
    assert binomtest(count["fail"], 200, 0.01, alternative="greater").pvalue < 1e-6


# ---------------------------------------------------------------------- other gates


def test_any_game_lower_by_hand():
    baseline = np.array([[1.0, -0.5], [3.0, -0.5]])
    assert not any_game_lower(np.array([[1.81, -0.54]]), baseline)
    assert any_game_lower(np.array([[1.79, -0.5]]), baseline)
    assert any_game_lower(np.array([[9.0, -0.56]]), baseline)


def test_an_interval_by_hand():
    low, high = np.zeros((3, 4)), np.ones((3, 4))
    assert interval_below_zero(low, high, np.random.default_rng(0))
    assert not interval_below_zero(high, low, np.random.default_rng(0))
    assert not interval_below_zero(low, low, np.random.default_rng(0))


def test_the_naive_gate_fires_on_an_unchanged_agent_more_often_than_not():
    unchanged = other_gates_table(QUIET, 120, 0)[2]
    assert (unchanged["seeds"], unchanged["drop"]) == (5, 0.0)
    assert unchanged[NAIVE] > 30
    assert unchanged[INTERVAL] < 20


# ---------------------------------------------------------------------- tables of counts


def tiny(case, table):
    return table(case, 40, 0)


def test_every_table_gives_rows_of_counts_and_equal_arguments_equal_rows(monkeypatch):
    monkeypatch.setattr("benchmarks.gates.calibrate.SHAPES", ((2, 2),))
    monkeypatch.setattr("benchmarks.gates.calibrate.UNEQUAL", ())
    for table in (gate_table, models_table, single_games_table, other_gates_table, bars_table, seeds_table):
        rows = tiny(QUIET, table)
        assert rows == tiny(QUIET, table), table.__name__
        for row in rows:
            hits = [value for name, value in row.items() if name in ("pass", "fail", "found", "named", NAIVE, INTERVAL)]
            assert all(0 <= each <= row["comparisons"] for each in hits)
    assert gate_table(QUIET, 40, 1) != gate_table(QUIET, 40, 0)


def test_taking_a_share_of_negative_scores_would_fail_an_unchanged_agent_and_the_gates_bar_does_not(tmp_path):
    """On a former baseline, whose scores stay as they are."""
    former = "atari10-ci-v1-16k.until-2026-11-23T002558+0000"
    shutil.copytree(RESULTS.root / "baselines" / former, tmp_path / "baselines" / "atari10-ci-v1-16k")
    case = unlearnt(Store(tmp_path))[1]
    rows = {row["bar"]: row for row in bars_table(case, 100, 0)}
    assert rows["share of every score"]["unchanged"] == 0
    assert rows[OWN_BAR]["unchanged"] >= 20  # of 25
    assert rows[OWN_BAR]["at the margin"] <= 5


# ---------------------------------------------------------------------- what is said of it


def test_a_share_in_words_by_hand():
    """Of ten all: the interval begins at the tenth root of .025, .69."""
    assert share(10, 10) == "100 [69, 100]"
    assert share(0, 10, 1) == "0.0 [0.0, 30.8]"


def test_counts_of_rows_add_up():
    rows = [{"source": "a", "frames": 9, "comparisons": 10, "fail": 1}, {"frames": 9, "comparisons": 30, "fail": 2}]
    assert pooled(rows) == {"comparisons": 40, "fail": 3}


@pytest.fixture(scope="module")
def stored():
    return json.loads(RESULTS.score_calibration.read_text())


def test_the_stored_calibration_keeps_every_promise(stored):
    assert broken_promises(stored) == []
    assert stored["source"]["commit"]
    assert stored["source"]["dirty"] is False
    assert stored["repetitions"] >= 1_000


def test_the_stored_calibration_is_of_todays_data_and_levels(stored):
    known = {(case.source, case.frames): case for case in [*learnt(), *unlearnt(RESULTS)]}
    assert len(stored["cases"]) == len(known)
    for about in stored["cases"]:
        expected = known[about["source"], about["frames"]].about
        assert about["iqm"] == pytest.approx(expected["iqm"])
        assert about["margin"] == expected["margin"]
    assert stored["levels"] == {"fail": score_rule.FAIL_LEVEL, "warn": score_rule.WARN_LEVEL,
                                "margin": score_rule.MARGIN_LEVEL}  # fmt: skip


def test_a_stored_row_can_be_made_again(stored, monkeypatch):
    """The cheapest one, whole: the page's numbers come from this code and these scores."""
    monkeypatch.setattr("benchmarks.gates.calibrate.SHAPES", ((1, 1),))
    monkeypatch.setattr("benchmarks.gates.calibrate.UNEQUAL", ())
    case = learnt()[2]
    made = [case.where | row for row in gate_table(case, stored["repetitions"], stored["seed"])]
    kept = [row for row in stored["gate"] if row["seeds"] == [1, 1] and
            (row["source"], row["frames"]) == (case.source, case.frames)]  # fmt: skip
    assert made == kept


@pytest.mark.parametrize(
    ("where", "changes", "said"),
    [
        ({"seeds": [5, 5], "drop": 0.0}, {"fail": 60}, "60 of"),
        ({"seeds": [3, 3], "drop": 0.0}, {"found": 120}, "120 of"),
        ({"seeds": [5, 5], "drop": 0.2, "frames": 10_000_000}, {"found": 3}, "found in 3"),
    ],
)
def test_a_broken_promise_is_noticed(stored, where, changes, said):
    gate = [dict(row) for row in stored["gate"]]
    row = next(row for row in gate if all(row[name] == value for name, value in where.items()))
    row.update(changes)
    (sentence,) = broken_promises({**stored, "gate": gate})
    assert said in sentence


def test_every_table_is_made_from_the_stored_counts_alone(stored):
    for name, table in TABLES.items():
        text = table(stored)
        assert text.endswith("\n"), name
        assert "nan" not in text, name
        lines = [line for line in text.splitlines() if line.startswith("|")]
        assert len({line.count("|") for line in lines}) <= 1, name


def test_the_drawing_is_the_one_in_the_docs_and_equal_when_drawn_again(stored, tmp_path):
    for path in draw_calibration(stored, tmp_path):
        if path.suffix == ".svg":
            assert path.read_bytes() == (ROOT / "docs" / "images" / path.name).read_bytes()


# ---------------------------------------------------------------------- the command


@pytest.fixture
def little(monkeypatch):
    """A calibration of one case, with two cells."""
    monkeypatch.setattr("benchmarks.gates.calibrate.SHAPES", ((5, 5),))
    monkeypatch.setattr("benchmarks.gates.calibrate.UNEQUAL", ())
    monkeypatch.setattr("benchmarks.gates.calibrate.learnt", lambda: [QUIET])
    for name in ("models_table", "single_games_table", "other_gates_table", "bars_table", "seeds_table"):
        monkeypatch.setattr(f"benchmarks.gates.calibrate.{name}", lambda *_: [])


def test_the_command_prints_stores_and_is_content(little, tmp_path):
    said = []
    assert gate_calibrate(GateCalibrate(repetitions=40, results=tmp_path), said.append) == 0
    kept = json.loads((tmp_path / "gates" / "score-calibration.json").read_text())
    assert kept["seed"] == 0
    assert kept["gate"][0]["comparisons"] == 40
    assert any("lucky" in line for line in said)
    before = (tmp_path / "gates" / "score-calibration.json").read_bytes()
    assert gate_calibrate(GateCalibrate(repetitions=40, results=tmp_path), said.append) == 0
    assert (tmp_path / "gates" / "score-calibration.json").read_bytes() == before
    assert len(list((tmp_path / "gates").iterdir())) == 2  # the older one is kept


def test_a_quick_look_is_not_stored(little, tmp_path):
    assert gate_calibrate(GateCalibrate(quick=True, results=tmp_path), lambda _: None) == 0
    assert not list(tmp_path.iterdir())


def test_a_broken_promise_is_exit_code_1(little, tmp_path, monkeypatch):
    monkeypatch.setattr(calibrate_command, "broken_promises", lambda _: ["so it is"])
    said = []
    assert gate_calibrate(GateCalibrate(quick=True, results=tmp_path), said.append) == 1
    assert said[-1] == "BROKEN: so it is"


def test_too_few_repetitions_are_refused(tmp_path):
    with pytest.raises(UserError, match="at least 40"):
        gate_calibrate(GateCalibrate(repetitions=39, results=tmp_path))


def test_a_calibration_without_the_baseline_of_ci_leaves_it_out(little, tmp_path):
    result = calibrate(Store(tmp_path), 40, 0, lambda _: None)
    assert [case["source"] for case in result["cases"]] == [QUIET.source, QUIET.source]
    assert dataclasses.asdict(QUIET.margin) == result["cases"][0]["margin"]


def test_tables_are_named_once():
    assert len(set(TABLES)) == len(TABLES)
    assert all(name.startswith("gate-") for name in calibration.TABLES)
