"""``gate scores``: what is compared is what was asked for, and whatever cannot be judged is exit code 3."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from fake_runs import COMMIT, edit_json, evaluation, write_matrix, write_run

from benchmarks import __main__ as cli
from benchmarks import baselines
from benchmarks.__main__ import main
from benchmarks.gates.score_command import GateScores, answer, gate_scores
from benchmarks.gates.verdict import Verdict
from benchmarks.reference import human_and_random
from benchmarks.runner import Matrix
from benchmarks.sources import published
from benchmarks.store import Store
from benchmarks.suites import suite_games
from dqn_ref.protocols import CI, NATURE
from dqn_ref.run_writer import add_evaluation

MATRIX = Matrix.of("atari5", "ci", seeds=3)
ATARI10 = suite_games("atari10")
RMSPROP, ADAM, NNABLA = "dopamine-dqn-rmsprop-2018", "dopamine-dqn-adam-mse-2021", "nnabla-rl-dqn"
TEN_MILLION = {"protocol": "nature", "frames": 10_000_000}


def scored(normalised, noise=0.02):
    """A score for write_matrix: human-normalised, a little different for each seed."""

    def score(game, seed):
        anchors = human_and_random()[game]
        draw = np.random.default_rng([seed, len(game), ord(game[0])])
        return anchors.random + (normalised + noise * draw.standard_normal()) * (anchors.human - anchors.random)

    return score


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results")


@pytest.fixture
def runs(store):
    """This machine's runs: five games, three seeds."""
    write_matrix(store.runs(MATRIX.group), MATRIX.games, 3, scored(0.5))
    return store.runs(MATRIX.group)


@pytest.fixture
def ask(store):
    def gate(**options):
        return answer(GateScores(**({"suite": "atari5", "seeds": 3, "results": store.root} | options)))

    return gate


def table(path, cells, frames=16_000):
    """A CSV of (game, seed, raw score)."""
    rows = "".join(f"{game},{seed},{frames},{score}\n" for game, seed, score in cells)
    path.write_text(f"game,seed,frames,score\n{rows}")
    return str(path)


def cells(normalised, games=MATRIX.games, seeds=3, noise=0.02, shift=0):
    score = scored(normalised, noise)
    return [(game, seed, score(game, seed + shift)) for game in games for seed in range(seeds)]


# ---------------------------------------------------------------------- runs and baselines


def test_this_machines_runs_are_judged_against_the_stored_baseline_by_default(store, runs, ask):
    baselines.create(store, MATRIX, "to be compared with")
    store.promote_baseline(MATRIX.name, "it is the first")
    result = ask()
    assert result.verdict is Verdict.PASS
    assert "same runs" in result.headline
    assert result.compared["baseline"] == MATRIX.name
    assert result.compared["protocol"] == "ci-v1"
    assert result.compared["frames"] == 16_000
    assert result.compared["source"] == {"candidate": [COMMIT], "baseline": [COMMIT]}


def test_runs_that_lost_a_half_fail_and_their_folder_may_be_named(store, runs, ask, tmp_path):
    write_matrix(tmp_path / "changed", MATRIX.games, 3, scored(0.25))
    result = ask(candidate=str(tmp_path / "changed"), baseline=str(runs))
    assert result.verdict is Verdict.FAIL
    assert result.compared["candidate"] == "changed"
    assert "IQM 0.2" in result.headline
    assert ask(candidate=str(runs), baseline=str(tmp_path / "changed")).verdict is Verdict.PASS


def test_the_answer_says_which_source_each_side_is_of(runs, ask, tmp_path):
    provenance = {"source": {"commit": "f" * 40, "dirty": False}}
    write_matrix(tmp_path / "changed", MATRIX.games, 3, scored(0.25), provenance=provenance)
    sources = ask(candidate=str(tmp_path / "changed"), baseline=str(runs)).compared["source"]
    assert sources == {"candidate": ["f" * 40], "baseline": [COMMIT]}


def test_a_folder_is_taken_with_all_its_seeds_and_seeds_takes_the_first(runs, ask, tmp_path):
    write_matrix(tmp_path / "more", MATRIX.games, 4, scored(0.5))
    more = str(tmp_path / "more")
    assert ask(candidate=more, baseline=str(runs), seeds=None).compared["seeds"] == {"candidate": 4, "baseline": 3}
    assert "same runs" in ask(candidate=more, baseline=str(runs), seeds=3).headline
    lacking = ask(candidate=str(runs), baseline=more, seeds=5)
    assert lacking.verdict is Verdict.ERROR
    assert "lacks seed 3, 4" in lacking.headline


def test_best_networks_are_judged_against_best_networks(runs, ask, tmp_path):
    """Of both sides the last networks score 0.5; the candidate's best ones 0.8, the baseline's 0.6."""
    write_matrix(tmp_path / "other", MATRIX.games, 3, scored(0.5))
    for folder, best in ((runs, scored(0.6)), (tmp_path / "other", scored(0.8))):
        for game in MATRIX.games:
            for seed in range(3):
                add_evaluation(folder / f"{game}-s{seed}", evaluation(MATRIX.config, best(game, seed), weights="best"))
    numbers = ask(candidate=str(tmp_path / "other"), baseline=str(runs), weights="best").checks[0].numbers
    assert numbers["iqm_candidate"] == pytest.approx(0.8, abs=0.02)
    assert numbers["iqm_baseline"] == pytest.approx(0.6, abs=0.02)


def test_last_and_best_networks_are_never_mixed(runs, ask):
    """These runs hold no evaluation of a best network."""
    result = ask(candidate=str(runs), baseline=str(runs), weights="best")
    assert result.verdict is Verdict.ERROR
    assert "best" in result.headline


def test_the_margin_is_the_protocols(ask):
    assert ask(candidate=RMSPROP, baseline=RMSPROP, seeds=None, **TEN_MILLION).compared["margin"]["share"] == 0.15
    at_40m = ask(candidate=RMSPROP, baseline=RMSPROP, seeds=None, protocol="nature", frames=40_000_000)
    assert at_40m.compared["margin"]["share"] == 0.10


# ---------------------------------------------------------------------- published scores and files


def test_published_scores_are_compared_at_the_budget():
    result = answer(GateScores(candidate=RMSPROP, baseline=ADAM, **TEN_MILLION))
    assert result.verdict is Verdict.FAIL
    assert result.compared["games"] == list(ATARI10)
    assert result.checks[0].numbers["iqm_candidate"] == pytest.approx(0.1126, abs=1e-4)


def test_a_table_of_scores_is_judged_against_another(ask, tmp_path):
    good, bad = table(tmp_path / "good.csv", cells(0.5)), table(tmp_path / "bad.csv", cells(0.2, shift=7))
    assert ask(candidate=bad, baseline=good).verdict is Verdict.FAIL
    result = ask(candidate=good, baseline=bad)
    assert result.verdict is Verdict.PASS
    assert any("not known of either side" in note for note in result.notes)


def test_training_returns_are_compared_with_training_returns(ask, tmp_path):
    """Runs of ours against a published source of training returns: the kind is alike, the rest differs."""
    config = replace(NATURE.config, total_frames=1_000_000)
    score = scored(0.1)
    for game in MATRIX.games:
        episodes = [(200_000 * k, int(score(game, k)), "game_over") for k in range(1, 5)]
        write_run(
            tmp_path / "runs" / f"{game}-s0", game, 0, score=score(game, 0), config=config, protocol=NATURE,
            episodes=episodes,
        )  # fmt: skip
    options = {"candidate": str(tmp_path / "runs"), "baseline": RMSPROP, "protocol": "nature", "frames": 1_000_000}
    result = ask(seeds=None, **options)
    assert result.verdict is Verdict.ERROR
    assert "epsilon" in result.headline
    assert "evaluation returns" not in result.headline
    judged = ask(seeds=None, despite_different_measurement=True, **options)
    assert judged.verdict in (Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE)
    assert any("epsilon 0.82 against epsilon 0.01" in note for note in judged.notes)


def test_scores_that_were_not_measured_alike_are_an_error_unless_it_is_wanted():
    games = tuple(published(NNABLA).only([game for game in ATARI10 if game != "phoenix"]).games)
    options = {"candidate": NNABLA, "baseline": RMSPROP, "games": games, **TEN_MILLION}
    result = answer(GateScores(**options))
    assert result.verdict is Verdict.ERROR
    assert "evaluation returns against training returns" in result.headline
    judged = answer(GateScores(**options, despite_different_measurement=True))
    assert judged.verdict is not Verdict.ERROR
    assert sum("Not measured alike" in note for note in judged.notes) == 4
    assert [judged.compared["measured"][side].split()[0] for side in ("candidate", "baseline")] == [
        "evaluation", "training",
    ]  # fmt: skip
    assert judged.compared["suite"] is None


def test_games_may_be_named_in_any_spelling():
    result = answer(GateScores(candidate=RMSPROP, baseline=ADAM, games=("ALE/Qbert-v5", "river raid"), **TEN_MILLION))
    assert result.compared["games"] == ["qbert", "riverraid"]


# ---------------------------------------------------------------------- errors, never a pass


def wrong_inputs():
    """A name, and what makes the input wrong: (store, runs, tmp_path) -> options."""

    def broken_cell(store, runs, tmp_path):
        shutil.rmtree(runs / "phoenix-s1")
        return {"candidate": str(runs), "baseline": str(runs)}

    def missing_cell_of_this_machine(store, runs, tmp_path):
        shutil.rmtree(runs / "phoenix-s1")
        return {"baseline": str(runs)}

    def unfinished(store, runs, tmp_path):
        shutil.rmtree(runs / "phoenix-s1")
        write_run(runs / "phoenix-s1", "phoenix", 1, status="failed")
        return {"candidate": str(runs), "baseline": str(runs)}

    def no_game_of_the_suite(store, runs, tmp_path):
        return {"candidate": str(runs), "baseline": str(runs), "games": ("pong",)}

    def another_budget(store, runs, tmp_path):
        write_matrix(tmp_path / "longer", MATRIX.games, 3, scored(0.5), frames=32_000)
        return {"candidate": str(tmp_path / "longer"), "baseline": str(runs)}

    def another_protocol(store, runs, tmp_path):
        return {"candidate": str(runs), "baseline": str(runs), "protocol": "nature", "frames": 1_000_000}

    def overridden(store, runs, tmp_path):
        config = replace(CI.config, learning_rate=0.1)
        write_matrix(tmp_path / "other", MATRIX.games, 3, scored(0.5), config=config)
        return {"candidate": str(tmp_path / "other"), "baseline": str(runs)}

    def protocol_that_meant_something_else(store, runs, tmp_path):
        for path in runs.glob("*/run.json"):  # made before the numbers behind the name were changed
            config = json.loads(path.read_text())["config"]
            edit_json(path, config={**config, "learning_rate": 0.1})
        return {"candidate": str(runs), "baseline": str(runs)}

    def score_not_finite(store, runs, tmp_path):
        path = runs / "phoenix-s1" / "evaluation.json"
        content = json.loads(path.read_text())["evaluations"]
        edit_json(path, evaluations=[{**content[0], "mean_return": float("nan")}])
        return {"candidate": str(runs), "baseline": str(runs)}

    def duplicate_seed(store, runs, tmp_path):
        path = table(tmp_path / "twice.csv", [*cells(0.5), cells(0.5)[0]])
        return {"candidate": path, "baseline": path}

    def empty_score(store, runs, tmp_path):
        rows = cells(0.5)
        path = table(tmp_path / "hole.csv", [*rows[:-1], (*rows[-1][:2], "nan")])
        return {"candidate": path, "baseline": table(tmp_path / "whole.csv", rows)}

    def table_without_a_game(store, runs, tmp_path):
        path = table(tmp_path / "four.csv", cells(0.5, games=MATRIX.games[:4]))
        return {"candidate": path, "baseline": path}

    def table_of_another_budget(store, runs, tmp_path):
        path = table(tmp_path / "long.csv", cells(0.5), frames=1_000_000)
        return {"candidate": path, "baseline": path}

    def table_against_runs(store, runs, tmp_path):
        return {"candidate": table(tmp_path / "foreign.csv", cells(0.5)), "baseline": str(runs)}

    def changed_baseline(store, runs, tmp_path):
        baselines.create(store, MATRIX, "to be compared with")
        folder = store.promote_baseline(MATRIX.name, "it is the first")
        edit_json(folder / "phoenix-s1" / "run.json", frames_done=1)
        return {}

    return {
        "the runs lack a cell": (broken_cell, "phoenix seed 1"),
        "this machine lacks a run": (missing_cell_of_this_machine, "phoenix-s1 (missing)"),
        "a run failed": (unfinished, "phoenix-s1 (failed)"),
        "no run of the game": (no_game_of_the_suite, "pong"),
        "another budget": (another_budget, "32k frames"),
        "another protocol": (another_protocol, "ci-v1 at 16k"),
        "another setting": (overridden, "learning_rate = 0.1"),
        "the protocol of another day": (protocol_that_meant_something_else, "another configuration"),
        "a score that is no number": (score_not_finite, "phoenix-s1"),
        "a seed twice": (duplicate_seed, ""),
        "a score is missing": (empty_score, ""),
        "a game is missing": (table_without_a_game, MATRIX.games[4]),
        "a table of another budget": (table_of_another_budget, "1M"),
        "measured in an unknown way": (table_against_runs, "not measured alike"),
        "a baseline that was edited": (changed_baseline, "phoenix-s1"),
        "no such source": (lambda *_: {"candidate": "nowhere"}, "nowhere"),
        "no baseline": (lambda *_: {}, MATRIX.name),
        "no such suite": (lambda *_: {"suite": "atari4"}, "atari4"),
        "no such game": (lambda *_: {"games": ("tetris",)}, "tetris"),
        "no seeds": (lambda *_: {"seeds": 0}, "--seeds"),
        "a game twice": (lambda store, runs, _: {"candidate": str(runs), "baseline": str(runs),
                                                 "games": ("phoenix", "Phoenix")}, "once"),
    }  # fmt: skip


@pytest.mark.parametrize("name", wrong_inputs())
def test_what_cannot_be_judged_is_an_error_with_its_reason_and_exit_code_3(name, store, runs, tmp_path, capsys):
    make, words = wrong_inputs()[name]
    options = {"suite": "atari5", "seeds": 3, "results": store.root} | make(store, runs, tmp_path)
    assert gate_scores(GateScores(**options)) == 3
    said = capsys.readouterr().out
    assert said.startswith("scores gate: ERROR.")
    assert words in said
    assert "Traceback" not in said


def test_a_fault_of_the_gates_own_is_an_error_too_and_never_a_loss(monkeypatch, capsys):
    def broken(arguments):
        raise RuntimeError("not foreseen")

    monkeypatch.setitem(cli.GROUPS["gate"], "scores", (GateScores, broken))
    assert main(["gate", "scores"]) == 3
    assert "RuntimeError: not foreseen" in capsys.readouterr().err


# ---------------------------------------------------------------------- said and written


@pytest.mark.parametrize(
    ("form", "reads"),
    [
        ("text", lambda text: text.startswith("scores gate: FAIL")),
        ("json", lambda text: json.loads(text)["exit_code"] == 1),
        ("junit", lambda text: ElementTree.fromstring(text.partition("\n")[2]).get("failures") == "1"),
        ("markdown", lambda text: "| worse than the baseline | fail |" in text),
    ],
)
def test_the_terminal_gets_the_text_and_the_file_the_format(form, reads, tmp_path, capsys):
    file = tmp_path / "answer"
    options = GateScores(candidate=RMSPROP, baseline=ADAM, format=form, output=file, **TEN_MILLION)
    assert gate_scores(options) == 1
    assert capsys.readouterr().out.startswith("scores gate: FAIL")
    assert reads(file.read_text())
    assert gate_scores(replace(options, output=None)) == 1
    printed = capsys.readouterr()
    assert reads(printed.out)
    assert ("scores gate: FAIL" in printed.err) == (form != "text")


def test_no_output_takes_the_place_of_what_is_judged_or_of_a_baseline(tmp_path, capsys):
    mine, stored = Path(table(tmp_path / "mine.csv", cells(0.5))), tmp_path / "results/baselines/x/baseline.json"
    stored.parent.mkdir(parents=True)
    stored.write_text("{}")
    before = mine.read_text()
    for file in (mine, stored):
        words = ["gate", "scores", "--candidate", str(mine), "--results", str(tmp_path / "results")]
        assert main([*words, "--output", str(file)]) == 3
        assert "it is left alone" in " ".join(capsys.readouterr().err.split())
    assert (mine.read_text(), stored.read_text()) == (before, "{}")


@pytest.mark.parametrize("words", [[], ["score"], ["--format", "json", "scores"]])
def test_a_gate_that_is_mistyped_is_an_error_and_not_inconclusive(words, capsys):
    assert main(["gate", *words]) == 3


def test_a_mistake_in_what_is_no_gate_is_one_of_the_users(capsys):
    assert main(["gate", "speed-baseline", "--nonsense"]) == 2


@pytest.mark.parametrize("option", ["candidate", "baseline"])
def test_an_empty_name_is_an_error_that_says_so(option, capsys):
    """As an empty variable of a CI's job gives it."""
    assert gate_scores(GateScores(**{option: ""})) == 3
    assert f"--{option} is empty." in capsys.readouterr().out


def test_an_error_is_written_in_the_format_too(tmp_path, capsys):
    file = tmp_path / "answer.xml"
    assert gate_scores(GateScores(suite="atari4", format="junit", output=file)) == 3
    assert ElementTree.fromstring(file.read_text().partition("\n")[2]).get("errors") == "1"


def test_the_folder_of_an_answer_is_made(tmp_path, capsys):
    file = tmp_path / "new" / "folder" / "answer"
    gate_scores(GateScores(candidate=ADAM, baseline=RMSPROP, output=file, **TEN_MILLION))
    assert file.read_text().startswith("scores gate: PASS")


def test_an_answer_that_cannot_be_written_is_no_pass(tmp_path, capsys):
    (tmp_path / "file").touch()
    words = ["--candidate", ADAM, "--baseline", RMSPROP, "--protocol", "nature", "--frames", "10M"]
    assert main(["gate", "scores", *words, "--output", str(tmp_path / "file" / "answer")]) == 3
    said = capsys.readouterr()
    assert "cannot be written" in said.err
    assert "PASS" in said.out


def test_the_same_question_gets_the_same_bytes():
    options = GateScores(candidate=RMSPROP, baseline=ADAM, **TEN_MILLION)
    assert answer(options) == answer(options)
