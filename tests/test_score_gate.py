"""The score gate: its answers, its margin where scores are negative, and that nothing malformed ever passes."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from benchmarks.gates.score_rule import FAIL_LEVEL, game_p_values, together, weigh
from benchmarks.gates.scores import score_gate
from benchmarks.gates.simulation import seeds_to_pass
from benchmarks.gates.verdict import FORMATS, Verdict, as_json
from benchmarks.permutation import Relabellings, iqm
from benchmarks.protocols import Margin, suite_protocol
from benchmarks.sources import published
from benchmarks.suites import suite_games
from dqn_ref.config import UserError

ROOT = Path(__file__).parent.parent
ATARI10 = suite_games("atari10")
MARGIN = Margin(share=0.15)
QUICK = 999  # relabellings
MEANS = np.linspace(0.05, 0.8, 10)


def runs(seeds, noise=0.1, factor=1.0, seed=0):
    """Scores [seeds, 10]: each game's noise is a share of its mean."""
    draw = np.random.default_rng([seed, seeds])
    return factor * MEANS * (1 + noise * draw.standard_normal((seeds, 10)))


def gate(candidate, baseline, margin=MARGIN, games=ATARI10, **rest):
    return score_gate(candidate, baseline, games, margin, permutations=QUICK, **rest)


def check(result, name):
    (found,) = [each for each in result.checks if name in each.name]
    return found


# ---------------------------------------------------------------------- the three answers


def test_a_candidate_that_lost_a_third_fails():
    result = gate(runs(5, factor=0.67, seed=1), runs(5))
    assert result.verdict is Verdict.FAIL
    assert check(result, "worse").verdict is Verdict.FAIL
    assert check(result, "worse").numbers["p"] < FAIL_LEVEL
    assert "worse" in result.headline
    assert not result.notes  # what fails needs no warning that it might


def test_a_candidate_of_the_same_quality_passes():
    result = gate(runs(5, noise=0.05, seed=1), runs(5, noise=0.05))
    assert result.verdict is Verdict.PASS
    assert "15 %" in result.headline
    assert {each.verdict for each in result.checks} == {Verdict.PASS}


@pytest.mark.parametrize(("m", "n"), [(3, 3), (3, 10), (1, 3)])
def test_too_few_noisy_runs_are_inconclusive_and_the_number_of_seeds_is_said(m, n):
    candidate, baseline = runs(m, noise=0.3, factor=0.9, seed=7), runs(n, noise=0.3)
    result = gate(candidate, baseline)
    assert result.verdict is Verdict.INCONCLUSIVE
    seeds = seeds_to_pass(candidate, baseline, MARGIN)
    assert 3 < seeds < 10
    assert f"{m} and {n} seeds. If nothing changed, about {seeds} seeds on each side" in result.headline
    assert f"add {seeds - m} to the candidate and {max(0, seeds - n)} to the baseline" in result.headline
    assert any("One seed" in note for note in result.notes) == (m == 1)


def test_a_loss_that_is_smaller_than_the_margin_but_certain_fails_and_says_so():
    result = gate(runs(30, noise=0.05, factor=0.95, seed=1), runs(30, noise=0.05))
    assert result.verdict is Verdict.FAIL
    assert check(result, "within the margin").verdict is Verdict.PASS
    assert any("smaller than the margin" in note for note in result.notes)


def test_too_good_passes_with_a_warning():
    result = gate(runs(5, factor=1.5, seed=1), runs(5))
    assert result.verdict is Verdict.PASS
    assert any("better than chance explains" in note for note in result.notes)
    assert not any("better than chance explains" in note for note in gate(runs(5, seed=1), runs(5)).notes)


def test_a_low_p_value_that_does_not_fail_warns():
    """A step down until p is between the levels."""
    for factor in np.linspace(1, 0.8, 41):
        result = gate(runs(5, factor=factor, seed=1), runs(5))
        p = check(result, "worse").numbers["p"]
        assert any("chance alone makes it so low" in note for note in result.notes) == (0.01 <= p < 0.05)
        if 0.01 <= p < 0.05:
            assert result.verdict is not Verdict.FAIL
            return
    pytest.fail("no p-value between the levels was tried")


def test_lower_iqm_in_a_few_games_is_no_pass_however_well_the_others_do():
    """Game by game seven of ten are above; the IQM is below its bar, and may not be outvoted."""
    baseline = runs(5, noise=0.02)
    factor = np.where(MEANS > 0.6, 0.2, 1.1)
    candidate = runs(5, noise=0.02, seed=1) * factor
    evidence = weigh(candidate, baseline, MARGIN, Relabellings.of(5, 5, 10, QUICK))
    assert evidence.against_bar["game by game"].p_higher < 0.01
    assert gate(candidate, baseline).verdict is not Verdict.PASS


def test_every_game_a_little_lower_fails_though_the_iqm_is_too_noisy_to_show_it():
    """One game that decides the IQM is noisy, nine others are steady and all lower."""
    noise = np.where(np.arange(10) == 5, 0.9, 0.02)
    draw = np.random.default_rng(3)
    candidate, baseline = (MEANS * (1 + noise * draw.standard_normal((5, 10))) for _ in range(2))
    evidence = weigh(0.88 * candidate, baseline, MARGIN, Relabellings.of(5, 5, 10, QUICK))
    assert evidence.against_baseline["IQM"].p_lower > FAIL_LEVEL
    assert gate(0.88 * candidate, baseline).verdict is Verdict.FAIL


def test_two_tests_share_a_level_by_hand():
    assert together([0.004, 0.3]) == 0.008
    assert together([0.006, 0.3]) == 0.012
    assert together([0.7, 0.8]) == 1.0


# ---------------------------------------------------------------------- the page


def test_the_example_of_the_page_by_its_own_numbers():
    """docs/score-gate.md, "By hand": its scores are read from the table, each number of its text is computed anew."""
    page = (ROOT / "docs" / "score-gate.md").read_text()
    text = page[page.index("## By hand") : page.index("## Why two statistics")]
    rows = re.findall(r"^\| (candidate|baseline) \| ([\d., ]+) \| ([\d., ]+) \|$", text, re.M)
    sides = {name: np.array([[float(each) for each in cell.split(",")] for cell in cells]).T for name, *cells in rows}
    candidate, baseline = sides["candidate"], sides["baseline"]
    result = score_gate(candidate, baseline, ("amidar", "qbert"), MARGIN)
    of_iqm, of_games = (check(result, "worse").numbers[name] for name in ("IQM", "game by game"))
    bar = MARGIN.bar(baseline)
    for said, number in (
        (f"a difference of {of_iqm['difference']:.2f}", -0.15),
        (f"{36 * of_iqm['p_lower']:.0f} of 36, p = {of_iqm['p_lower']:.3f}", 5),
        (f"= {of_games['difference']:.3f}. Relabelled", -1.342),
        (f"p = {36 * of_games['p_lower']:.0f} / 36 = {of_games['p_lower']:.3f}", 3),
        (f"= {check(result, 'worse').numbers['p']:.3f}: not shown", 0.167),
        (", ".join(f"{each:.3g}" for each in bar.T.ravel()), 0.17),
        (f"= {iqm(bar.ravel()):.4f} is above the candidate's {iqm(candidate.ravel()):.2f}", 0.4675),
    ):
        assert said in text.replace("\n", " "), said
        assert re.search(rf"{abs(number):g}", said)
    assert of_iqm["relabellings"] == 36
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "**inconclusive**" in text


def test_the_simpler_rule_of_the_page_fails_most_unchanged_candidates():
    """docs/gates.md says so in words, "with 5 seeds a side"; the shares are those of docs/score-gate.md."""
    said = 'with 5 seeds a side "any game 10 % lower" fails most unchanged candidates'
    assert said in (ROOT / "docs" / "gates.md").read_text().replace("\n", " ")
    page = (ROOT / "docs" / "score-gate.md").read_text()
    ((low,),) = [re.findall(r"^\| any game's mean 10 % lower \| 5 \| \d+ \[(\d+), \d+\]", page, re.M)]
    assert int(low) > 50


# ---------------------------------------------------------------------- the same runs


def test_the_same_runs_pass_and_are_called_that():
    baseline = runs(2, noise=2.0)
    result = gate(baseline[::-1].copy(), baseline)
    assert result.verdict is Verdict.PASS
    assert "same runs" in result.headline


def test_one_score_that_differs_is_judged_by_the_tests():
    baseline = runs(2, noise=2.0)
    candidate = baseline.copy()
    candidate[0, 3] = np.nextafter(candidate[0, 3], np.inf)
    result = gate(candidate, baseline)
    assert "same runs" not in result.headline
    assert len(result.checks) == 3


def test_the_same_runs_with_another_beside_them_are_not_the_same():
    baseline = runs(3)
    assert "same runs" not in gate(np.concatenate([baseline, runs(1, seed=5)]), baseline).headline


# ---------------------------------------------------------------------- the margin


def test_a_bar_by_hand():
    scores = np.array([[0.4, 0.02, -0.3]])
    np.testing.assert_allclose(Margin(share=0.15).bar(scores), [[0.34, 0.017, -0.3]])
    np.testing.assert_allclose(Margin(share=0.15, least=0.02).bar(scores), [[0.34, 0.0, -0.32]])


@settings(max_examples=60, deadline=None)
@given(
    scores=arrays(np.float64, 6, elements=st.floats(-3, 20, allow_subnormal=False)),
    share=st.floats(0.01, 0.5, allow_subnormal=False),
    least=st.sampled_from([0.0, 0.02]),
)
def test_a_bar_is_never_above_the_score_and_keeps_the_order(scores, share, least):
    bar = Margin(share, least).bar(scores)
    assert (bar <= scores).all()
    assert (bar[scores <= 0] == scores[scores <= 0] - least).all()
    assert (np.diff(bar[np.argsort(scores)]) >= -1e-12).all()


@pytest.mark.parametrize(
    ("protocol", "frames", "margin"),
    [
        ("nature", 10_000_000, Margin(0.15)),
        ("nature", 39_000_000, Margin(0.15)),
        ("nature", 40_000_000, Margin(0.10)),
        ("nature", 200_000_000, Margin(0.10)),
        ("nature", 1_000_000, Margin(0.15, least=0.01)),
        ("ci", 16_000, Margin(0.15, least=0.02)),
    ],
)
def test_a_protocol_states_its_margin_at_a_budget(protocol, frames, margin):
    assert suite_protocol(protocol).margin(frames) == margin


@pytest.mark.parametrize("wrong", [(-0.1, 0), (1.0, 0), (0, 0), (0.1, -1), (0.1, np.inf), (np.nan, 0)])
def test_a_margin_that_is_none_is_refused(wrong):
    with pytest.raises(UserError, match="margin"):
        Margin(*wrong)


def test_where_nothing_is_learnt_an_unchanged_agent_passes_and_a_lower_one_does_not():
    """All scores about -0.035: a share of them would put the bar above the baseline."""
    draw = np.random.default_rng(0)
    candidate, baseline = (-0.035 + 0.01 * draw.standard_normal((5, 10)) for _ in range(2))
    margin = suite_protocol("ci").margin(16_000)
    assert gate(candidate, baseline, margin).verdict is Verdict.PASS
    assert gate(candidate - 0.03, baseline, margin).verdict is Verdict.FAIL


# ---------------------------------------------------------------------- advice


def test_a_single_game_that_fell_is_named_and_decides_nothing():
    baseline = runs(5, noise=0.03)
    candidate = runs(5, noise=0.03, seed=1)
    assert "none is lower" in check(gate(candidate, baseline), "advice").words
    candidate[:, 0] = 0.0
    result = gate(candidate, baseline)
    assert result.verdict is Verdict.PASS
    assert check(result, "advice").verdict is Verdict.PASS
    assert "amidar -100 %" in check(result, "advice").words
    assert any("amidar" in note for note in result.notes)
    numbers = check(result, "advice").numbers
    assert set(numbers) == set(ATARI10)
    assert numbers["amidar"]["change"] == pytest.approx(-1)
    assert numbers["amidar"]["p"] == pytest.approx(10 / 252)  # one choice of 252, for ten games


def test_a_drop_of_a_game_at_or_below_random_is_given_in_score():
    baseline = runs(5, noise=0.03) - np.where(np.arange(10) == 4, 1.0, 0.0)
    candidate = baseline - np.where(np.arange(10) == 4, 0.5, 0.0)
    advice = check(gate(candidate, baseline), "advice")
    assert f"{ATARI10[4]} -0.500" in advice.words
    assert advice.numbers[ATARI10[4]]["change"] is None


def test_a_game_is_given_by_the_mean_of_its_runs_and_not_their_median():
    candidate, baseline = runs(3), runs(3, seed=1)
    candidate[:, 0], baseline[:, 0] = (0, 0, 0.9), (0, 0, 1.8)
    numbers = check(gate(candidate, baseline), "advice").numbers["amidar"]
    assert [numbers[name] for name in ("candidate", "baseline", "change")] == pytest.approx([0.3, 0.6, -0.5])


def test_games_are_tested_from_below_only():
    baseline = runs(5, noise=0.03)
    p_values = game_p_values(baseline * 2, baseline, Relabellings.of(5, 5, 1))
    assert (p_values == 1).all()


# ---------------------------------------------------------------------- few runs


def test_one_seed_of_ten_games_can_fail_and_pass_and_says_what_it_cannot():
    low = gate(runs(1, noise=0.05, factor=0.5, seed=1), runs(1, noise=0.05))
    assert low.verdict is Verdict.FAIL
    assert any("One seed" in note for note in low.notes)
    assert gate(runs(1, noise=0.02, seed=1), runs(1, noise=0.02)).verdict is Verdict.PASS


def test_one_noisy_seed_that_decides_nothing_asks_for_seeds_without_a_number():
    result = gate(runs(1, noise=0.5, seed=1), runs(1, noise=0.5))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "try 3 seeds" in result.headline


@pytest.mark.parametrize(("m", "n", "games"), [(1, 1, 3), (2, 2, 2), (3, 1, 3)])
def test_so_few_runs_that_nothing_could_fail_never_pass(m, n, games):
    """Not even where the margin's test alone would be content."""
    baseline = runs(n)[:, :games]
    for candidate in (runs(m, seed=1)[:, :games] * 3, runs(m, seed=1)[:, :games] * 0.1):
        result = gate(candidate, baseline, games=ATARI10[:games])
        assert result.verdict is Verdict.INCONCLUSIVE
        assert "cannot fail" in result.headline
        assert Verdict.PASS not in {each.verdict for each in result.checks if "advice" not in each.name}


def test_unequal_numbers_of_seeds_are_compared():
    result = gate(runs(3, noise=0.03, seed=1), runs(7, noise=0.03))
    assert result.verdict is Verdict.PASS
    assert result.compared["seeds"] == {"candidate": 3, "baseline": 7}


# ---------------------------------------------------------------------- how many seeds


def test_more_noise_asks_for_more_seeds_and_far_too_much_for_none():
    asked = [seeds_to_pass(runs(5, noise, seed=1), runs(5, noise), MARGIN) for noise in (0.05, 0.3, 0.6)]
    assert asked == sorted(asked)
    assert asked[0] < asked[-1]
    assert seeds_to_pass(runs(5, 20.0, seed=1), runs(5, 20.0), MARGIN) is None
    far = gate(runs(5, 20.0, seed=1), runs(5, 20.0))
    assert "More than 100 seeds" in far.headline


def test_so_many_seeds_pass_an_unchanged_agent_about_four_times_in_five():
    """The promise, with runs that the number was not made from."""
    noise = 0.35
    seeds = seeds_to_pass(runs(40, noise, seed=1), runs(40, noise), MARGIN)
    assert seeds > 3
    relabellings = Relabellings.of(seeds, seeds, 10, 400)
    passes = [
        weigh(runs(seeds, noise, seed=100 + k), runs(seeds, noise, seed=900 + k), MARGIN, relabellings).verdict
        for k in range(120)
    ].count(Verdict.PASS)
    assert 0.68 * 120 < passes < 0.95 * 120  # 0.8, give or take what 120 show and what 200 trials decided


def test_one_run_on_each_side_shows_no_variance():
    with pytest.raises(ValueError, match="no variance"):
        seeds_to_pass(runs(1), runs(1, seed=1), MARGIN)


def test_a_few_runs_ask_for_about_as_many_seeds_as_many_runs_do():
    """The variance is divided by what it is estimated from, or few runs would look quieter than they are."""
    noise = 0.35
    asked = [seeds_to_pass(runs(3, noise, seed=k), runs(3, noise, seed=50 + k), MARGIN) for k in range(1, 8)]
    known = seeds_to_pass(runs(40, noise, seed=1), runs(40, noise), MARGIN)
    assert 0.7 * known <= np.median(asked) <= 1.5 * known


def test_enough_seeds_that_do_not_pass_are_not_told_to_be_too_few():
    candidate, baseline = runs(10, noise=0.3, factor=0.89, seed=2), runs(10, noise=0.3)
    assert seeds_to_pass(candidate, baseline, MARGIN) < 10
    result = gate(candidate, baseline)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "either unlucky or somewhat worse" in result.headline


# ---------------------------------------------------------------------- malformed


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("side", [0, 1])
def test_a_score_that_is_no_number_is_an_error_that_names_its_game(bad, side):
    sides = [runs(3, seed=1), runs(3)]
    sides[side][2, 4] = bad
    result = gate(*sides)
    assert result.verdict is Verdict.ERROR
    assert result.verdict.exit_code == 3
    assert ATARI10[4] in result.headline


@pytest.mark.parametrize(
    ("candidate", "baseline"),
    [
        (np.zeros((3, 9)), np.zeros((3, 10))),
        (np.zeros((3, 10)), np.zeros((3, 9))),
        (np.zeros((0, 10)), np.zeros((3, 10))),
        (np.zeros(10), np.zeros((3, 10))),
        (np.zeros((10, 3)), np.zeros((10, 3))),  # transposed
        (np.zeros((3, 10, 1)), np.zeros((3, 10))),
    ],
)
def test_other_shapes_are_errors_and_never_the_same_runs(candidate, baseline):
    assert gate(candidate, baseline).verdict is Verdict.ERROR


def test_a_game_that_is_there_twice_is_an_error():
    assert gate(runs(3), runs(3), games=(*ATARI10[:9], ATARI10[0])).verdict is Verdict.ERROR


# ---------------------------------------------------------------------- said and kept


def test_equal_input_gives_an_equal_answer_and_the_order_of_seeds_does_not_matter():
    candidate, baseline = runs(4, seed=1), runs(4)
    expected = as_json(gate(candidate, baseline))
    assert as_json(gate(candidate, baseline)) == expected
    assert as_json(gate(candidate[[2, 0, 3, 1]], baseline[::-1].copy())) == expected


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("factor", [1.0, 0.5, 2.0])
def test_every_answer_can_be_said_in_every_format(form, factor):
    result = gate(runs(3, factor=factor, seed=1), runs(3), compared={"suite": "atari10"}, notes=["first of all"])
    text = FORMATS[form](result)
    assert "first of all" in text
    if form == "json":
        content = json.loads(text)
        assert content["compared"]["suite"] == "atari10"
        assert content["compared"]["margin"] == {"share": 0.15, "least": 0.0}
        assert content["checks"][0]["numbers"]["IQM"]["relabellings"] == QUICK


def test_two_published_agents_are_told_apart():
    """Adam's scores are about twice RMSProp's at 10M frames, over games of both signs."""
    scores = [
        published(name).at(10_000_000, ATARI10) for name in ("dopamine-dqn-rmsprop-2018", "dopamine-dqn-adam-mse-2021")
    ]
    worse, better = gate(*scores), gate(*scores[::-1])
    assert (worse.verdict, better.verdict) == (Verdict.FAIL, Verdict.PASS)
    assert check(worse, "worse").numbers["iqm_candidate"] == pytest.approx(0.1126, abs=1e-4)
    assert check(worse, "worse").numbers["iqm_baseline"] == pytest.approx(0.2258, abs=1e-4)


def test_scores_are_judged_without_torch():
    rooms = "scores", "calibrate_command", "calibration_drawing"  # which import the others
    code = "import sys; " + "; ".join(f"import benchmarks.gates.{room}" for room in rooms)
    code += "; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
