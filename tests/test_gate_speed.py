"""The speed gate: p values by hand, the rule, exit codes, what is no comparison; how often it errs, by simulation."""

import itertools
import json
import math
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from speed_rounds import (
    MACHINE,
    SETTINGS,
    drifting,
    equal_differences,
    pair_rounds,
    ratios_of,
    session_times,
    write,
)

import benchmarks.__main__ as cli
from benchmarks.gates import speed, speed_command
from benchmarks.gates.speed_samples import (
    BENCHMARKS,
    PAIRS,
    RATIO_BENCHMARKS,
    RATIO_CHECKS,
    Measurement,
    find_baseline,
    ratio_values,
    round_differences,
    round_numbers,
    session_numbers,
)
from benchmarks.gates.speed_statistics import (
    Comparison,
    compare_pairs,
    compare_sessions,
    fewest_rounds,
    hodges_lehmann,
    holm,
    numbers_needed,
    signed_rank_p,
)
from benchmarks.gates.speed_study import ratio_verdict
from benchmarks.gates.verdict import Verdict
from benchmarks.speed.catalogue import BENCHES, GATE_RATIOS
from dqn_ref.config import UserError

MARGIN = math.log(1.1)


# ---------------------------------------------------------------------- the tests, by hand


@pytest.mark.parametrize(
    ("differences", "p"),
    [
        ([1, 2, 3], 1 / 8),  # only +++ has a rank sum of 6
        ([-1, 2, 3], 2 / 8),  # 5 or more: -++ and +++
        ([1, -2, 3], 3 / 8),  # 4 or more: +-+, -++, +++
        ([-1, -2, -3], 1),
        ([5, 5], 1 / 4),  # ranks 1.5 and 1.5
        ([5, -5], 3 / 4),
        ([0, 2], 1 / 2),  # the zero has no sign to flip
        ([0, 0], 1),
        ([0.1] * 9, 1 / 512),
    ],
)
def test_signed_rank_p_by_hand(differences, p):
    assert signed_rank_p(differences) == pytest.approx(p)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-4, 4), min_size=1, max_size=8))
def test_signed_rank_p_is_the_share_of_all_sign_flips(differences):
    size = np.abs(differences)
    ranks = [(size < s).sum() + ((size == s).sum() + 1) / 2 for s in size]
    seen = sum(rank for rank, d in zip(ranks, differences, strict=True) if d > 0)
    sums = [
        sum(rank for rank, d, sign in zip(ranks, differences, signs, strict=True) if d * sign > 0)
        for signs in itertools.product((-1, 1), repeat=len(differences))
    ]
    assert signed_rank_p(differences) == pytest.approx(np.mean(np.array(sums) >= seen - 1e-9))


def test_signed_rank_p_is_scipys_where_there_are_no_ties():
    from scipy.stats import wilcoxon

    draw = np.random.default_rng(3)
    for _ in range(20):
        differences = draw.normal(0.3, 1, 12)
        expected = wilcoxon(differences, alternative="greater", method="exact").pvalue
        assert signed_rank_p(differences) == pytest.approx(expected)


def test_the_estimate_is_the_median_of_the_pairs_means():
    assert hodges_lehmann([0, 1, 5]) == 1.75  # 0, 0.5, 1, 2.5, 3, 5
    assert hodges_lehmann([7]) == 7
    assert hodges_lehmann([0.1, 0.1, 0.1, 99]) == pytest.approx(0.1)  # one wild round is one of many


def test_a_pair_comparison_tests_against_no_change_and_against_the_margin():
    found = compare_pairs([0.05, 0.06, 0.07, 0.20], 0.10)
    assert found.p_slower == 1 / 16
    assert found.p_within == pytest.approx(7 / 16)  # .05 .04 .03 -.10: ranks 3 2 1 -4; sums of 6 or more


def test_a_session_is_compared_with_how_the_baselines_sessions_differ():
    """Baseline 0, 1, 2 and a later 3: t = 2 / sqrt(1 + 1/3) with two degrees, whose tail has a closed form."""
    found = compare_sessions([0, 1, 2], [3], 2.5)
    t = 2 / math.sqrt(4 / 3)
    assert found.estimate == 2
    assert found.noise == 1
    assert found.p_slower == pytest.approx((1 - t / math.sqrt(2 + t * t)) / 2)
    t = -0.5 / math.sqrt(4 / 3)
    assert found.p_within == pytest.approx((1 + t / math.sqrt(2 + t * t)) / 2)
    assert 0 < compare_sessions([1, 1], [1], 0.1).noise < 1e-6  # what noise is divided by is never nothing
    two = compare_sessions([0, 1, 2], [2, 4], 2.5)
    t = 2 / math.sqrt(1 / 3 + 1 / 2)
    assert two.p_slower == pytest.approx((1 - t / math.sqrt(2 + t * t)) / 2)
    assert two.numbers == (1, 3)  # less the baseline's mean


@pytest.mark.parametrize(
    ("later", "confirmed"), [([9], False), ([9, 9], True), ([9, 1.4], False), ([9, 1.6], True), ([9, 9, 1.4], False)]
)
def test_a_loss_is_confirmed_by_every_one_of_two_sessions_or_more(later, confirmed):
    assert compare_sessions([0, 1, 2], later, 0.5).confirmed is confirmed  # the mean is 1, so 1.5 is the margin


def test_holm_by_hand():
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06})
    assert holm({"a": 0.5, "b": 0.9}) == {"a": 1.0, "b": 1.0}


def test_the_fewest_rounds_are_those_whose_smallest_p_is_below_the_level():
    for comparisons in range(1, 9):
        fewest = fewest_rounds(0.01, comparisons)
        assert comparisons / 2**fewest < 0.01 <= comparisons / 2 ** (fewest - 1)
    assert fewest_rounds(0.5, 1) == 2  # exactly at the level is not below it


def test_the_rounds_needed_are_enough_eight_times_in_ten():
    needed = math.ceil(numbers_needed(0.2, MARGIN, 0.05))
    draw = np.random.default_rng(1)
    found = [compare_pairs(draw.normal(0, 0.2, needed), MARGIN).p_within < 0.05 for _ in range(400)]
    assert 0.74 < np.mean(found) < 0.88
    assert numbers_needed(0.2, 0.0, 0.05) == math.inf


# ---------------------------------------------------------------------- two revisions


def judged(differences):
    return speed.judge_pairs(pair_rounds(differences), {})


def verdicts(result):
    return {check.name: check.verdict for check in result.checks}


def test_a_round_is_the_mean_log_ratio_of_neighbouring_samples():
    done = {"samples": {"candidate": {"x": [2.0, 8.0]}, "baseline": {"x": [1.0, 2.0]}}}
    assert round_differences([done, done]) == {"x": [pytest.approx(math.log(2 * 4) / 2)] * 2}


def test_nothing_changed_passes():
    result = judged(equal_differences())
    assert set(verdicts(result).values()) == {Verdict.PASS}
    assert result.verdict.exit_code == 0


def test_a_slowdown_of_30_percent_fails_and_is_named():
    result = judged(equal_differences(update=math.log(1.3)))
    assert result.verdict.exit_code == 1
    assert [check.name for check in result.checks if check.verdict is Verdict.FAIL] == ["update"]
    assert result.checks[0].name == "update"
    assert result.checks[0].numbers["slower"] == pytest.approx(0.3, abs=0.04)
    assert result.checks[0].numbers["p_slower"] == 2**-12
    assert result.checks[0].numbers["p_slower_holm"] == pytest.approx(5 * 2**-12)
    assert "update lost speed" in result.headline


def test_a_significant_slowdown_within_the_margin_passes_with_a_note():
    result = judged(equal_differences(update=math.log(1.06)))
    assert result.verdict is Verdict.PASS
    assert any("update is slower" in note for note in result.notes)


def test_what_is_clearly_slower_but_hardly_over_the_margin_fails_only_above_it():
    quiet = {name: [0.001 * (-1) ** number for number in range(12)] for name in BENCHMARKS}
    below = quiet | {"acting": [math.log(1.09)] * 12}
    above = quiet | {"acting": [math.log(1.11)] * 12}
    assert judged(below).verdict is Verdict.PASS
    assert judged(above).verdict is Verdict.FAIL


def test_noise_that_hides_the_margin_is_inconclusive_and_says_how_many_rounds_would_do():
    differences = equal_differences()
    differences["playing"] = [0.4, -0.4] * 6
    result = judged(differences)
    assert result.verdict.exit_code == 2
    assert verdicts(result)["playing"] is Verdict.INCONCLUSIVE
    needed = int(result.checks[0].words.split("About ")[1].split()[0])
    noise, wanted = 0.4 * math.sqrt(12 / 11), 1.645 + 0.842  # quantiles of 95 % and 80 %
    assert needed == math.ceil(1.05 * (noise * wanted / MARGIN) ** 2)


def test_slower_by_more_than_the_margin_without_certainty_is_inconclusive_not_a_failure():
    differences = equal_differences()
    differences["playing"] = [0.3, 0.3, 0.3, -0.2, 0.4, 0.1, 0.2, -0.1, 0.3, 0.25, -0.15, 0.3]
    result = judged(differences)
    assert result.checks[0].numbers["slower"] > 0.1
    assert result.checks[0].numbers["p_slower_holm"] > 0.01
    assert result.verdict is Verdict.INCONCLUSIVE


def test_a_difference_at_the_margin_is_not_promised_a_number_of_rounds():
    differences = equal_differences()
    differences["playing"] = [MARGIN - 0.005 + 0.2 * (-1) ** number for number in range(12)]
    assert "More than 400 rounds" in judged(differences).checks[0].words


@pytest.mark.parametrize(
    ("estimate", "noise", "rounds"),
    [
        (0.3, 0.3, 15),  # a loss to show: 1.05 (2.878 + 0.842)^2 = 14.5, at .01 / 5
        (0.0, 0.001, 14),  # enough are there, so two more
    ],
)
def test_the_rounds_that_would_decide_worked_by_hand(estimate, noise, rounds):
    unsure = Comparison(estimate, 0.05, 0.9, noise, (estimate,) * 12)
    assert speed.more_rounds(unsure, 5).startswith(f"About {rounds} rounds")


def test_the_number_of_comparisons_is_paid_for():
    """p = 2/1024 is below .01 alone, and with four quiet neighbours just not any more."""
    lone = [-0.01, 0.3, 0.31, 0.32, 0.33, 0.34, 0.35, 0.36, 0.37, 0.38]
    assert judged({"update": lone}).verdict is Verdict.FAIL
    others = {name: [0.001 * (-1) ** number for number in range(10)] for name in ("a", "b", "c", "d", "e")}
    assert judged(others | {"update": lone}).verdict is Verdict.INCONCLUSIVE


def test_rounds_that_could_never_show_a_loss_are_refused():
    with pytest.raises(UserError, match="8 rounds can never show a loss"):
        judged({name: [0.0] * 8 for name in BENCHMARKS})


def test_a_gain_is_noted():
    assert not any("faster" in note for note in judged(equal_differences(update=-math.log(1.05))).notes)
    result = judged(equal_differences(update=-math.log(1.3)))
    assert result.verdict is Verdict.PASS
    assert any("update seems to be faster" in note for note in result.notes)


# ---------------------------------------------------------------------- a stored baseline


def measurement(sessions=8, *, first=0, noise=0.02, factors=None, **changes):
    times = [session_times(first + number, noise, **(factors or {})) for number in range(sessions)]
    return Measurement("stored.json", ratios_of(times, **changes))


def by_ratios(baseline=None, *, named=False, noise=0.02, candidate=None, **factors):
    later = candidate or measurement(2, first=100, noise=noise, factors=factors)
    return speed.judge_ratios(baseline or measurement(noise=noise), later, named=named)


def test_the_gates_ratios_are_those_of_the_catalogue():
    assert [check.name for check in RATIO_CHECKS] == [ratio.name for ratio in GATE_RATIOS]
    for check, ratio in zip(RATIO_CHECKS, GATE_RATIOS, strict=True):
        assert {check.subject, check.against[0]} == {ratio.above, ratio.below}
    assert {name for pair in PAIRS for name in pair} == set(RATIO_BENCHMARKS) <= set(BENCHES)
    calibration = {"convolution", "memory_copy", "emulator"}
    assert all(check.against[-1] in calibration for check in RATIO_CHECKS)


def test_ratio_values_are_per_unit_of_work():
    """From the table of times of a unit: training 10 ms and playing 0.2 ms a frame, and so on."""
    values = ratio_values(measurement(3, noise=0.0))
    assert values == pytest.approx(
        {"training_over_playing": 0.02, "update_over_convolution": 6, "sample_over_copy": 0.05,
         "acting_over_update": 1 / 30, "playing_over_emulator": 2}, rel=1e-3,
    )  # fmt: skip


def test_a_sessions_number_is_the_median_of_its_rounds():
    rounds = [{name: [1.0, 1.0] for name in RATIO_BENCHMARKS} | {"update": [up, up]} for up in (1.0, 2.0, 9.0)]
    assert session_numbers(list(map(round_numbers, rounds)))["update", "convolution"] == pytest.approx(math.log(2))


def test_the_same_speed_passes():
    result = by_ratios()
    assert set(verdicts(result).values()) == {Verdict.PASS}
    for found in (result, by_ratios(named=True)):
        assert found.compared["same_machine"] is True
        assert not any("Another machine" in note for note in found.notes)


@pytest.mark.parametrize(
    ("slower", "ratio"),
    [("training", "training_over_playing"), ("update", "update_over_convolution"), ("acting", "acting_over_update"),
     ("replay_sample", "sample_over_copy"), ("playing", "playing_over_emulator")],
)  # fmt: skip
def test_a_slowdown_of_30_percent_fails_in_its_own_ratio_only(slower, ratio):
    result = by_ratios(**{slower: 1.3})
    assert result.verdict.exit_code == 1
    assert [name for name, found in verdicts(result).items() if found is Verdict.FAIL] == [ratio]


@pytest.mark.parametrize("faster", ["update", "playing", "training"])
def test_what_became_faster_never_looks_like_a_loss_of_something_else(faster):
    assert Verdict.FAIL not in verdicts(by_ratios(**{faster: 0.6})).values()


def test_a_slower_machine_is_no_loss():
    assert by_ratios(**dict.fromkeys(RATIO_BENCHMARKS, 2.0)).verdict is Verdict.PASS


@pytest.mark.parametrize("factors", [[1.3], [1.3, 1.0], [1.0, 1.3]])
def test_a_loss_that_two_sessions_do_not_both_show_is_inconclusive(factors):
    baseline = [session_times(number, 0.005) for number in range(8)]
    later = [session_times(100 + number, 0.005, update=factor) for number, factor in enumerate(factors)]
    result = by_ratios(Measurement("", ratios_of(baseline)), candidate=Measurement("", ratios_of(later)))
    (unsure,) = [check for check in result.checks if check.verdict is not Verdict.PASS]
    assert unsure.name == "update_over_convolution"
    assert unsure.verdict is Verdict.INCONCLUSIVE
    assert "not in each of two sessions" in unsure.words
    assert speed.wants_confirmation(result.checks)


def test_a_loss_that_is_confirmed_and_noise_alone_want_no_further_session():
    assert not speed.wants_confirmation(by_ratios(update=1.3).checks)
    assert not speed.wants_confirmation(by_ratios(noise=0.1).checks)
    assert not speed.wants_confirmation(by_ratios().checks)


def test_noise_between_sessions_makes_it_inconclusive_and_says_what_would_help():
    result = by_ratios(noise=0.10)
    assert result.verdict.exit_code == 2
    unsure = [check for check in result.checks if check.verdict is Verdict.INCONCLUSIVE]
    assert unsure
    assert all("sessions" in check.words for check in unsure)


@pytest.mark.parametrize(
    ("in_baseline", "words"),
    [
        (20, "About 12 sessions"),  # 1.05 (0.1 (1.645 + 0.842) / log 1.1)^2 = 7.15, and 1 / (1/7.15 - 1/20) = 11.1
        (7, "The baseline's 7 sessions differ too much"),  # not even with any number of the candidate's
    ],
)
def test_sessions_that_would_decide_make_up_for_what_the_baseline_lacks_worked_by_hand(in_baseline, words):
    assert speed.more_sessions(Comparison(0.0, 0.5, 0.5, 0.1, (0.0,)), 5, in_baseline).startswith(words)


def test_a_changed_set_of_benchmarks_is_an_error_that_names_them():
    content = dict(measurement(1, first=100).content)
    content["work"] = {name: 1.0 for name in content["work"] if name != "acting"} | {"dreaming": 1.0}
    with pytest.raises(UserError, match=r"missing: \['acting'\], new: \['dreaming'\]"):
        by_ratios(candidate=Measurement("now", content))


def test_another_way_of_measuring_is_an_error_that_names_it():
    later = measurement(1, first=100, settings=SETTINGS | {"threads": 2})
    with pytest.raises(UserError, match="threads 1 then, 2 now"):
        by_ratios(candidate=later)


def test_a_baseline_of_too_few_sessions_is_an_error():
    with pytest.raises(UserError, match="holds 2 sessions"):
        by_ratios(measurement(2))


def test_another_machines_baseline_decides_nothing_unless_it_was_asked_for():
    other = measurement(machine=MACHINE | {"cpu": "Slide Rule"})
    for factors, named_verdict in (({}, Verdict.PASS), ({"update": 1.3}, Verdict.FAIL)):
        result = by_ratios(other, **factors)
        assert result.verdict is Verdict.INCONCLUSIVE
        assert set(verdicts(result).values()) == {Verdict.INCONCLUSIVE}
        assert "This machine has no baseline" in result.headline
        assert "Slide Rule" in result.headline
        asked_for = by_ratios(other, named=True, **factors)
        assert asked_for.verdict is named_verdict
        assert "Another machine" in asked_for.notes[0]
        assert asked_for.compared["same_machine"] is False


def test_the_nearest_baseline_shares_the_gpu_then_the_instructions_then_the_processor(tmp_path):
    for folder, machine in {
        "gpu": MACHINE | {"gpu": "Loom"}, "vector": {**MACHINE, "cpu": "Quipu", "cores": 9},
        "cpu": {**MACHINE, "vector": "none"},
    }.items():  # fmt: skip
        write(tmp_path / folder / "gate.json", ratios_of([session_times(0)] * 3, machine=machine))

    def found(**machine):
        return find_baseline(tmp_path, MACHINE | machine, None).path.split("/")[-2]

    assert found(gpu="Loom", vector="none") == "gpu"
    assert found() == "vector"
    assert found(vector="none") == "cpu"
    assert find_baseline(tmp_path, MACHINE, "cpu").content["machine"]["vector"] == "none"
    assert find_baseline(tmp_path, MACHINE, str(tmp_path / "gpu" / "gate.json")).content["machine"]["gpu"] == "Loom"
    write(tmp_path / "same" / "gate.json", ratios_of([session_times(0)] * 3))
    assert found() == "same"


def test_other_libraries_are_noted():
    later = measurement(1, first=100, about={"device": "cpu", "gpu": None, "torch": "2.14.0"})
    assert any("torch 2.13.0 then, 2.14.0 now" in note for note in by_ratios(candidate=later).notes)


# ---------------------------------------------------------------------- files


def broken(change):
    content = json.loads(json.dumps(ratios_of([session_times(0)] * 3)))
    change(content)
    return content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read"),
        ([], "no measurement of the speed gate"),
        ({"schema": 1, "benchmarks": {}}, "What python -m benchmarks.speed stores"),
        (broken(lambda c: c.update(schema=2)), "no measurement"),
        (broken(lambda c: c.update(sessions=[])), "broken"),
        (broken(lambda c: c["sessions"][0].update(rounds=[])), "broken"),
        (broken(lambda c: c["sessions"][0]["rounds"][0]["samples"]["tree"].pop("acting")), "lacks samples"),
        (broken(lambda c: c["sessions"][0]["rounds"][0]["samples"]["tree"].update(acting=[1.0])), "lacks samples"),
        (broken(lambda c: c["sessions"][0]["rounds"][0]["samples"]["tree"].update(acting=[1.0, 0.0])), "no time"),
        (broken(lambda c: c["sessions"][0]["rounds"][0]["samples"]["tree"].update(acting=[1.0, "2"])), "broken"),
        (broken(lambda c: c["sessions"][0]["rounds"][0]["samples"].update(other={})), "lacks a side"),
        (broken(lambda c: c["machine"].pop("cpu")), "broken"),
        (broken(lambda c: c.update(kind=[])), "no measurement"),
        (broken(lambda c: c["work"].update(acting=None)), "broken"),
        (broken(lambda c: c["work"].update(acting=0)), "no number above 0"),
        (broken(lambda c: c["work"].update(acting=10**400)), "no number above 0"),
        (broken(lambda c: c["sessions"][0]["rounds"][0]["samples"]["tree"].update(acting=[10**400] * 2)), "no time"),
        (broken(lambda c: c["sessions"][0]["source"].update(commit=5)), "commit is no text"),
        (broken(lambda c: c.pop("about")), "broken"),
    ],
)
def test_a_file_that_is_no_whole_measurement_is_refused(tmp_path, content, message):
    path = tmp_path / "gate.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(UserError, match=message):
        Measurement.read(path)


# ---------------------------------------------------------------------- the command


@pytest.fixture
def results(tmp_path):
    """A results folder with a baseline."""
    write(tmp_path / "results/speed/abacus/gate.json", ratios_of([session_times(number) for number in range(8)]))
    return tmp_path / "results"


def call(*words):
    return cli.main(["gate", *map(str, words)])


@pytest.fixture
def candidate(tmp_path):
    """Writes a candidate; returns its file."""

    def written(**factors):
        return write(tmp_path / "candidate.json", ratios_of([session_times(seed, **factors) for seed in (100, 101)]))

    return written


@pytest.mark.parametrize(
    ("factors", "code", "word"),
    [({}, 0, "PASS"), ({"update": 1.3}, 1, "FAIL"), ({"update": 1.055}, 2, "INCONCLUSIVE")],
)
def test_a_stored_candidate_is_judged_and_the_exit_code_is_the_answer(results, candidate, capsys, factors, code, word):
    assert call("speed", "--candidate", candidate(**factors), "--results", results) == code
    assert f"speed gate: {word}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--baseline", "nobody"], "nobody"),
        (["--candidate", "nothing.json"], "nothing.json"),
        (["--against", "HEAD", "--baseline", "abacus"], "leave out"),
        (["--workloads", __file__], "--against"),
        (["--against", "HEAD", "--rounds", "8"], "can never show a loss"),
        (["--against", "no-such-branch"], "knows no revision 'no-such-branch'"),
        (["--against", "HEAD", "--workloads", "nowhere.py"], "nowhere.py"),
        (["--sessions", "0"], "1 or above"),
        (["--against", ""], "--against is empty"),
        (["--baseline", ""], "--baseline is empty"),
        (["--baseline", "nobody"], "machine whose baseline is stored: abacus"),
    ],
)
def test_a_mistake_is_an_error_and_never_a_pass(results, candidate, capsys, monkeypatch, words, message):
    monkeypatch.setattr(speed_command.revisions, "measure_in_turn", lambda *_: pytest.fail("measured"))
    found = candidate()
    rest = [] if "--candidate" in words or "--against" in words or "--sessions" in words else ["--candidate", found]
    assert call("speed", *words, *rest, "--results", results) == 3
    said = capsys.readouterr().out
    assert said.startswith("speed gate: ERROR. ")
    assert message in said


def test_without_a_baseline_nothing_is_measured_and_it_is_an_error(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(speed_command.revisions, "measure_in_turn", lambda *_: pytest.fail("measured"))
    assert call("speed", "--results", tmp_path) == 3
    assert "gate speed-baseline" in capsys.readouterr().out


def test_a_baseline_that_cannot_be_compared_with_is_told_before_anything_is_measured(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(speed_command.revisions, "measure_in_turn", lambda *_: pytest.fail("measured"))
    write(tmp_path / "speed/abacus/gate.json", ratios_of([session_times(0)] * 2))
    assert call("speed", "--results", tmp_path) == 3
    assert "holds 2 sessions" in capsys.readouterr().out


def test_the_answer_is_written_in_four_formats_and_as_text_to_the_terminal(results, candidate, tmp_path, capsys):
    found = candidate(update=1.3)
    for kind in ("text", "json", "junit", "markdown"):
        file = tmp_path / "out" / f"answer.{kind}"
        assert call("speed", "--candidate", found, "--results", results, "--format", kind, "--output", file) == 1
        assert capsys.readouterr().out.startswith("speed gate: FAIL")
    answer = json.loads((tmp_path / "out" / "answer.json").read_text())
    assert answer["exit_code"] == 1
    assert {check["name"] for check in answer["checks"]} == {ratio.name for ratio in GATE_RATIOS}
    for check in answer["checks"]:
        assert check["numbers"].keys() >= {"slower", "p_slower", "p_slower_holm", "p_within", "log_ratios"}
    suite = ElementTree.parse(tmp_path / "out" / "answer.junit").getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("5", "1", "0")
    assert suite.find("testcase[@name='update_over_convolution']/failure") is not None
    assert "| update_over_convolution | fail |" in (tmp_path / "out" / "answer.markdown").read_text()
    assert (tmp_path / "out" / "answer.text").read_text().startswith("speed gate: FAIL")


def test_without_a_file_the_document_alone_goes_to_standard_output(results, candidate, capsys):
    assert call("speed", "--candidate", candidate(), "--results", results, "--format", "json") == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["verdict"] == "pass"
    assert said.err.startswith("speed gate: PASS")


def test_kept_samples_of_two_revisions_are_judged_again(tmp_path, capsys):
    rounds = pair_rounds(equal_differences(training=math.log(1.3)))
    session = {"started": "2026", "seconds": 1.0, "source": {"commit": None, "dirty": None}, "rounds": rounds}
    content = ratios_of([]) | {
        "kind": "pairs", "sessions": [session], "work": dict.fromkeys(BENCHMARKS, 1.0), "compared": {"baseline": "x"},
    }  # fmt: skip
    assert call("speed", "--candidate", write(tmp_path / "pairs.json", content)) == 1
    assert "training lost speed" in capsys.readouterr().out


# ---------------------------------------------------------------------- measuring now, and storing a baseline


@pytest.fixture
def measured(monkeypatch):
    """Stands in for the measurement: sessions of made-up times; returns the factors that a test may change."""
    factors, count = dict[str, float](), itertools.count()

    def measure(sides, plan, on_round=lambda *_: None):
        (side,) = sides
        assert plan.benchmarks == RATIO_BENCHMARKS
        times = session_times(200 + next(count), 0.01, **factors)
        samples = {side.name: {name: [seconds] * 2 for name, seconds in times.items()}}
        said = {"work": dict.fromkeys(times, 1.0), "about": {"device": "cpu", "gpu": None}}
        return [{"order": [side.name], "samples": samples}] * plan.rounds, said

    monkeypatch.setattr(speed_command.revisions, "measure_in_turn", measure)
    monkeypatch.setattr(speed_command, "source_revision", lambda: {"commit": "1" * 40, "dirty": False})
    return factors


def test_a_baseline_is_made_and_a_later_measurement_judged_by_it(tmp_path, measured, capsys):
    assert call("speed-baseline", "--reason", "first", "--results", tmp_path) == 0
    (path,) = tmp_path.glob("speed/*/gate.json")
    assert len(json.loads(path.read_text())["sessions"]) == 8
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    assert call("speed", "--results", tmp_path, "--keep-samples", good) == 0
    measured["update"] = 1.3
    assert call("speed", "--results", tmp_path, "--keep-samples", bad) == 1
    assert "update_over_convolution lost speed" in capsys.readouterr().out
    assert len(json.loads(good.read_text())["sessions"]) == 1
    assert len(json.loads(bad.read_text())["sessions"]) == 2  # the second confirmed the first
    assert call("speed", "--results", tmp_path, "--candidate", good) == 0
    assert call("speed", "--results", tmp_path, "--candidate", bad) == 1


def test_sessions_of_another_day_are_added_to_the_same_code_only(tmp_path, measured, monkeypatch, capsys):
    call("speed-baseline", "--reason", "first", "--results", tmp_path)
    monkeypatch.setattr(speed_command.revisions, "git", lambda *_: "")  # nothing differs
    assert call("speed-baseline", "--reason", "another day", "--add", "--sessions", "1", "--results", tmp_path) == 0
    (path,) = tmp_path.glob("speed/*/gate.json")
    stored = json.loads(path.read_text())
    assert len(stored["sessions"]) == 9
    assert [each["reason"] for each in stored["reasons"]] == ["first", "another day"]
    assert len(list(tmp_path.glob("speed/*/gate.until-*.json"))) == 1
    monkeypatch.setattr(speed_command.revisions, "git", lambda *_: "dqn_ref/train.py")
    assert call("speed-baseline", "--reason", "x", "--add", "--sessions", "1", "--results", tmp_path) == 2
    assert "other code" in capsys.readouterr().err
    assert len(json.loads(path.read_text())["sessions"]) == 9


def test_what_would_be_refused_is_refused_before_minutes_of_measuring(tmp_path, measured, monkeypatch, capsys):
    call("speed-baseline", "--reason", "first", "--results", tmp_path)
    monkeypatch.setattr(speed_command.revisions, "measure_in_turn", None)  # it would break off
    monkeypatch.setattr(speed_command.revisions, "git", lambda *_: "dqn_ref/train.py")
    assert call("speed-baseline", "--reason", "x", "--add", "--sessions", "1", "--results", tmp_path) == 2
    (tmp_path / "taken").touch()
    assert call("speed-baseline", "--reason", "x", "--results", tmp_path / "taken") == 2
    assert "taken is a file" in capsys.readouterr().err
    assert call("speed", "--results", tmp_path, "--keep-samples", tmp_path / "nowhere" / "s.json") == 3
    assert "There is no folder" in capsys.readouterr().out


def test_no_output_takes_the_place_of_what_is_judged_or_stored(results, candidate, capsys, monkeypatch):
    monkeypatch.setattr(speed_command.revisions, "measure_in_turn", lambda *_: pytest.fail("measured"))
    found, stored = candidate(), results / "speed/abacus/gate.json"
    before = found.read_text(), stored.read_text()
    for words in (["--output", found], ["--output", stored], ["--keep-samples", stored], ["--keep-samples", found],
                  ["--output", results]):  # fmt: skip
        assert call("speed", "--candidate", found, "--results", results, *words) == 3
    assert (found.read_text(), stored.read_text()) == before
    assert "expected a file to write" in capsys.readouterr().err


def test_samples_that_cannot_be_kept_cost_no_answer(tmp_path, measured, monkeypatch, capsys):
    call("speed-baseline", "--reason", "first", "--results", tmp_path)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(speed_command, "write_json", full)
    measured["update"] = 1.3
    assert call("speed", "--results", tmp_path, "--keep-samples", tmp_path / "s.json") == 1
    assert "The samples are not kept" in capsys.readouterr().out


def test_samples_are_kept_though_they_cannot_be_judged(tmp_path, measured, monkeypatch, capsys):
    call("speed-baseline", "--reason", "first", "--results", tmp_path)
    assert call("speed", "--results", tmp_path, "--threads", "7", "--keep-samples", tmp_path / "s.json") == 3
    assert len(json.loads((tmp_path / "s.json").read_text())["sessions"]) == 1


def test_sessions_are_not_added_to_another_machines(tmp_path, measured, capsys):
    """Without one of its own, a machine is shown the nearest one's; it must not grow it."""
    call("speed-baseline", "--reason", "first", "--results", tmp_path)
    (path,) = tmp_path.glob("speed/*/gate.json")
    content = json.loads(path.read_text())
    content["machine"]["cores"] += 62
    (tmp_path / "speed" / "another").mkdir()
    (tmp_path / "speed" / "another" / "gate.json").write_text(json.dumps(content))
    path.unlink()
    assert call("speed-baseline", "--reason", "more", "--add", "--sessions", "1", "--results", tmp_path) == 2
    assert "is of another machine" in capsys.readouterr().err
    assert len(list(tmp_path.glob("speed/*/*.json"))) == 1


@pytest.mark.parametrize(
    ("words", "dirty", "message"),
    [(["--reason", " "], False, "--reason"), (["--reason", "x", "--sessions", "2"], False, "at least 3"),
     (["--reason", "x"], True, "uncommitted changes")],
)  # fmt: skip
def test_a_baseline_without_reason_sessions_or_committed_source_is_refused(
    tmp_path, measured, monkeypatch, capsys, words, dirty, message
):
    monkeypatch.setattr(speed_command, "source_revision", lambda: {"commit": "1" * 40, "dirty": dirty})
    assert call("speed-baseline", *words, "--results", tmp_path) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------------- how often it errs, by simulation


def simulated_pairs(draw, gates, slowdown=1.0):
    """Verdicts of gates of 12 rounds and 5 benchmarks, each round two slots of a busy machine dealt out by a coin."""
    said = []
    for _ in range(gates):
        differences = {}
        for name in BENCHMARKS:
            slots = drifting(draw, 24, bursts=0.1).reshape(12, 2)
            coin = draw.integers(2, size=12)
            first = slots[np.arange(12), coin]
            second = slots[np.arange(12), 1 - coin]
            differences[name] = list(first - second + math.log(slowdown) * (name == "update"))
        said.append(speed.overall(speed.check_pairs(differences)))
    return said


def test_two_equal_revisions_on_a_busy_machine_fail_less_often_than_the_level():
    said = simulated_pairs(np.random.default_rng(7), 300)
    assert said.count(Verdict.FAIL) <= 3  # 1 %; p < .01 is paid once for all five, and 10 % is asked for too


def test_a_slowdown_of_30_percent_is_found_on_a_busy_machine():
    said = simulated_pairs(np.random.default_rng(8), 100, slowdown=1.3)
    assert said.count(Verdict.FAIL) >= 40  # the others: more rounds
    assert said.count(Verdict.PASS) == 0


def test_later_sessions_of_an_equal_tree_fail_less_often_than_the_level_where_rounds_taken_for_independent_fail_often():
    """Sessions differ by 4 % of which their own rounds show nothing."""
    from scipy.stats import ttest_ind

    draw, fails, naive, gates = np.random.default_rng(9), 0, 0, 200
    for _ in range(gates):
        offsets = draw.normal(0, 0.04, (10, len(PAIRS)))
        rounds = offsets[:, None] + draw.normal(0, 0.02, (10, 6, len(PAIRS)))
        numbers = [dict(zip(PAIRS, np.median(each, axis=0), strict=True)) for each in rounds]
        fails += ratio_verdict(numbers[:8], *numbers[8:]) is Verdict.FAIL
        p = ttest_ind(rounds[8], rounds[:8].reshape(-1, len(PAIRS)), alternative="greater").pvalue
        naive += min(p) * len(PAIRS) < 0.01
    assert fails / gates <= 0.01
    assert naive / gates > 0.2
