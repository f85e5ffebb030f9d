"""The doctor's confusion matrix: counts worked by hand, what is left out, what a log is read without, bytes."""

import csv
import dataclasses
import json
import math
import re
import signal
from functools import partial
from pathlib import Path

import pytest
from fake_pages import text_of, write_suite
from fake_runs import resample_little, write_run
from synthetic_logs import healthy, with_settings

import benchmarks.__main__ as cli
import benchmarks.page.charts as charts
import benchmarks.page.content as content
from benchmarks.doctor.confusion import tables
from benchmarks.doctor.confusion.counts import (
    Rate,
    answers,
    confusion_matrix,
    first_right,
    lint_finds,
    named_right,
    rates,
)
from benchmarks.doctor.confusion.drawing import draw_confusion
from benchmarks.doctor.confusion.runs import (
    KEPT_SETTINGS,
    NOTHING,
    RIGHT,
    TUNED_GROUP,
    TUNED_ON,
    DiagnosedRun,
    confident,
    look,
)
from benchmarks.doctor.lint_command import rules_table
from benchmarks.doctor.verdicts import diagnose
from benchmarks.doctor.verdicts.causes import BY_ID
from benchmarks.failures.variants import REFERENCE, VARIANTS
from benchmarks.readme import PARTS
from benchmarks.store import Store
from dqn_ref.config import UserError
from dqn_ref.lint import RULES
from dqn_ref.protocols import CI
from dqn_ref.records import PROGRESS_COLUMNS

GROUP = "ci-v1-16k"


@pytest.fixture(autouse=True)
def signals():
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results")


def run(variant, seed, *causes, lint=(), hints=(), group="early-v1-200k", game="breakout"):
    return DiagnosedRun(group, variant, game, seed, lint, hints, causes, ("a processor", "0123456789"))


# Ten that count and, at the end, three that do not.
LOOKED = [
    run("reference", 0),
    run("reference", 1),
    run("reference", 2, "overestimation"),  # a symptom
    run("reference", 3, "overestimation", "no-target-lag", lint=("learning-rate",)),  # a symptom, then a fault
    run("flat-mlp", 0, lint=("network",)),
    run("flat-mlp", 1, "unclipped-errors", lint=("network",)),
    run("gamma-0.5", 0, "horizon-too-short", lint=("life-loss", "horizon-short")),
    run("gamma-0.5", 1, "policy-collapse", "horizon-too-short", lint=("horizon-short",)),
    run("gamma-0.5", 2, "no-target-lag", lint=("horizon-short",)),
    run("mse-unclipped", 0, hints=("errors-not-clipped", "replay-small")),
    run("reference", 3, "no-target-lag", group=TUNED_GROUP, game="ms_pacman"),
    run("reference", 0, "no-target-lag", group=TUNED_GROUP, game="ms_pacman"),
    run("slow-epsilon", 0, "exploration-too-long", group=TUNED_GROUP, game="ms_pacman"),
]


# ---------------------------------------------------------------------- counts


def test_the_matrix_worked_by_hand_has_no_tuned_run_in_it():
    matrix = confusion_matrix(LOOKED)
    assert matrix.rows == ("reference", "flat-mlp", "gamma-0.5", "mse-unclipped")
    assert matrix.columns == ("no-target-lag", "unclipped-errors", "horizon-too-short", "overestimation",
                              "policy-collapse", "nothing")  # fmt: skip
    assert matrix.counts == ((0, 0, 0, 2, 0, 2), (0, 1, 0, 0, 0, 1), (1, 0, 1, 0, 1, 0), (0, 0, 0, 0, 0, 1))


def test_the_rates_worked_by_hand_count_false_alarms_of_either_kind():
    found = rates(LOOKED)
    assert found.healthy_fault == Rate(1, 4)
    assert found.healthy_symptom == Rate(1, 4)
    assert found.healthy_lint == Rate(1, 4)
    assert (found.right_first, found.right_named) == (Rate(1, 4), Rate(2, 4))
    assert (found.wrong_alone, found.passed) == (Rate(1, 4), Rate(1, 4))
    assert (found.unknown_fault, found.unknown_symptom) == (Rate(1, 2), Rate(0, 2))


def test_a_right_answer_to_nothing_is_nothing():
    assert [first_right(each) for each in LOOKED[:4]] == [True, True, False, False]
    assert [named_right(each) for each in LOOKED[:4]] == [True, True, False, False]
    assert answers("reference") == (NOTHING,)
    assert answers("flat-mlp") == ()  # silence on a fault is no right answer, even where no cause stands for it
    assert not any(first_right(each) or named_right(each) for each in LOOKED[4:6])


def test_runs_on_sparse_games_are_told_of_apart_and_change_no_rate():
    sparse = [run("reference", seed, "sparse-reward", game="montezuma_revenge") for seed in (0, 1)]
    sparse.append(run("constant-reward", 0, game="freeway"))
    assert (rates(LOOKED + sparse), confusion_matrix(LOOKED + sparse)) == (rates(LOOKED), confusion_matrix(LOOKED))
    (said,) = [words for name, words in tables.sentences(LOOKED + sparse) if name == "Sparse games"]
    assert said.endswith(
        "sparse-reward (2) in reference on montezuma_revenge; nothing (1) in constant-reward on freeway."
    )
    assert "Sparse games" not in dict(tables.sentences(LOOKED))


def test_a_game_that_no_bar_was_set_on_has_rates_of_its_own():
    """Here all that counts is on breakout."""
    said = dict(tables.sentences([*LOOKED, run("gamma-0.5", 7, game="ms_pacman")]))
    (name,) = [name for name in said if name.startswith("Of these on")]
    assert name == "Of these on breakout, a game that no bar was set on"
    assert said[name].startswith("a fault named in 1 of 4 (25 %")
    assert "the right cause first in 1 of 4 (25 %" in said[name]
    assert "the right cause first in 1 of 5 (20 %" in said["Diagnosis"]
    assert "The same faults on ms_pacman: 0 of 1 (0 %" in said[name]  # slow-epsilon there is another, and tuned


def test_what_others_choose_is_healthy():
    chosen = [run("he-weights", 0), run("glorot-weights", 0, "no-target-lag")]
    found = rates([*LOOKED, *chosen])
    assert found.healthy_fault == Rate(2, 6)
    assert (found.right_first, found.unknown_fault) == (rates(LOOKED).right_first, rates(LOOKED).unknown_fault)
    assert [first_right(each) for each in chosen] == [True, False]
    assert (
        "of the healthy runs (reference, he-weights, glorot-weights)"
        in dict(tables.sentences(LOOKED + chosen))["False alarms"]
    )


@pytest.mark.parametrize(("hits", "runs"), [(0, 5), (5, 5), (2, 7)])
def test_intervals_are_exact(hits, runs):
    """At each bound the tail that it cuts off has 2.5 %, by the binomial's own sum."""
    low, high = Rate(hits, runs).interval

    def tail(share, numbers):
        return sum(math.comb(runs, k) * share**k * (1 - share) ** (runs - k) for k in numbers)

    assert low == 0 if hits == 0 else tail(low, range(hits, runs + 1)) == pytest.approx(0.025)
    assert high == 1 if hits == runs else tail(high, range(hits + 1)) == pytest.approx(0.025)
    assert Rate(hits, runs).words().startswith(f"{hits} of {runs} ({100 * hits / runs:.0f} %, 95 % interval ")


def test_of_no_run_there_is_no_interval():
    assert Rate(0, 0).interval is None
    assert Rate(0, 0).words() == "0 of 0"


def test_lint_is_judged_by_every_group_and_a_hint_is_no_warning():
    assert lint_finds(LOOKED) == {
        "warned": ("flat-mlp", "gamma-0.5"), "hinted": ("mse-unclipped",), "missed": ("slow-epsilon",)
    }  # fmt: skip
    other = [*LOOKED, run("gamma-0.5", 0, lint=("life-loss",), hints=("horizon-short",), group="nature-v1-10M")]
    assert lint_finds(other)["hinted"] == ("gamma-0.5", "mse-unclipped")


# ---------------------------------------------------------------------- what is right


def test_every_fault_has_a_right_answer_that_lint_and_verdicts_can_give():
    assert set(RIGHT) == {variant.name for variant in VARIANTS.values() if variant.claim not in ("reference", "choice")}
    for name, names in RIGHT.items():
        assert names.lint, name
        assert {*names.lint} <= {rule.id for rule in RULES}, name
        assert {*names.log} <= {*BY_ID}, name
        assert all(BY_ID[cause].kind == "fault" for cause in names.log), name


def test_the_development_runs_are_those_eight_of_one_group():
    assert len(TUNED_ON) == 8
    assert {game for _, game, _ in TUNED_ON} == {"ms_pacman"}
    assert {seed for variant, _, seed in TUNED_ON if variant == "reference"} == {0, 3}
    own = {"group": TUNED_GROUP, "game": "ms_pacman"}
    assert run("tiny-replay", 0, **own).tuned
    assert not run("tiny-replay", 1, **own).tuned
    assert not run("gamma-0.5", 0, **own).tuned
    assert not run("tiny-replay", 0, group=TUNED_GROUP, game="breakout").tuned
    assert not run("tiny-replay", 0, group="nature-v1-10M", game="ms_pacman").tuned


def test_no_setting_that_a_variant_changes_reaches_the_verdicts():
    changed = {field for variant in VARIANTS.values() for field in variant.changes}
    assert {"discount", "reward_clip"} <= changed
    assert not changed & set(KEPT_SETTINGS)


def test_a_short_horizon_is_not_read_off_its_setting():
    log = with_settings(healthy(), discount=0.5)
    assert "horizon-too-short" in confident(diagnose(log))
    assert confident(diagnose(log.without_settings(*KEPT_SETTINGS))) == ()


def test_what_is_weakly_shown_or_explained_by_another_is_not_named():
    log = healthy(target_distance=1e-3, q_start=50.0)  # one update behind; values far above returns
    found = diagnose(log)
    assert {each.cause.id for each in found.causes} >= {"no-target-lag", "overestimation"}
    assert "overestimation" not in confident(found)
    assert confident(found)[0] == "no-target-lag"
    weak = tuple(dataclasses.replace(each, confidence="weak") for each in found.causes)
    assert confident(dataclasses.replace(found, causes=weak)) == ()


# ---------------------------------------------------------------------- runs


HEALTHY = healthy(terminal_share=1 / 100)  # the fake runs' games last for 400 frames


def put(store, variant, seed=0, log=None, status="finished", group=GROUP):
    """A run of ``variant`` whose log is ``log``."""
    config = VARIANTS[variant].of(CI.config)
    folder = write_run(
        store.failures(group) / variant / f"breakout-s{seed}", "breakout", seed, score=5.0, config=config, status=status
    )
    if log is not None:
        _write_progress(folder / "progress.csv", log)
    return folder


def _write_progress(path, log):
    frames = next(iter(log.series.values())).frames
    with path.open("w", newline="") as file:
        rows = csv.DictWriter(file, PROGRESS_COLUMNS)
        rows.writeheader()
        for place, frame in enumerate(frames):
            row = {name: float(log.series[name].values[place]) for name in PROGRESS_COLUMNS if name in log.series}
            rows.writerow(row | {"frames": int(frame)} | {name: int(row[name]) for name in ("agent_steps", "updates")})


@pytest.fixture
def three(store):
    """The reference, healthy; one whose target does not lag; one that explores nothing, by its setting alone."""
    put(store, "reference", log=HEALTHY)
    put(store, "no-target-network", log=healthy(terminal_share=1 / 100, target_distance=1e-3))
    put(store, "no-exploration", log=HEALTHY)
    return store


def test_runs_are_read_from_records_and_the_log_alone_is_diagnosed(three):
    found = {each.variant: each for each in look(three)}
    assert list(found) == ["reference", "no-target-network", "no-exploration"]  # as in the suite
    assert (found["reference"].lint, found["reference"].causes) == ((), ())
    assert found["no-target-network"].causes == ("no-target-lag",)
    assert found["no-target-network"].lint == ("target-not-behind",)
    assert found["no-exploration"].causes == ()  # its log was made by a healthy one
    assert "exploration-none" in found["no-exploration"].lint
    assert found["reference"].origin == ("2 cores of a processor", "0123456789")


def test_runs_that_are_not_finished_and_variants_that_are_no_longer_known_are_left_out(three):
    put(three, "gamma-0.5", status="failed")
    put(three, "lr-x10", status="running")
    (three.failures(GROUP) / "reference").rename(three.failures(GROUP) / "former")
    assert [each.variant for each in look(three)] == ["no-target-network", "no-exploration"]


def test_without_runs_it_says_how_to_make_some(store):
    with pytest.raises(UserError, match=r"holds no finished run.*benchmarks failures run"):
        look(store)
    put(store, "reference", status="running")
    with pytest.raises(UserError, match="holds no finished run"):
        look(store)


# ---------------------------------------------------------------------- tables


def test_markdown_of_the_runs_worked_by_hand():
    text = tables.markdown(LOOKED)
    said, faults = text.split("\n\n")
    assert tables.matrix_rows(LOOKED) == (
        ("put in", "no-target-lag", "unclipped-errors", "horizon-too-short", "overestimation", "policy-collapse",
         "nothing"),
        (
            ("reference", "", "", "", "2", "", "2"),
            ("flat-mlp", "", "1", "", "", "", "1"),
            ("gamma-0.5", "1", "", "1", "", "1", ""),
            ("mse-unclipped", "", "", "", "", "", "1"),
        ),
    )  # fmt: skip
    assert faults.splitlines()[2:] == [
        "| reference | 4 | learning-rate | nothing (2), overestimation (2) | 2 of 4 | 2 of 4 |",
        "| flat-mlp | 2 | network | nothing (1), unclipped-errors (1) | no cause stands for it | - |",
        "| slow-epsilon | 0 | nothing | - | - | - |",
        "| gamma-0.5 | 3 | life-loss, horizon-short | horizon-too-short (1), policy-collapse (1), no-target-lag (1) "
        "| 1 of 3 | 2 of 3 |",
        "| mse-unclipped | 1 | errors-not-clipped (hint) | nothing (1) | 0 of 1 | 0 of 1 |",
    ]
    assert "10 on breakout (early-v1-200k); not counted: 3 that" in said
    assert "a fault named in 1 of 4 (25 %, 95 % interval 1 % to 81 %), only a symptom named in 1 of 4" in said
    assert (
        "warns of 2 of 4 faults by a right rule; only a hint for mse-unclipped; nothing right for slow-epsilon." in said
    )
    assert text == tables.markdown(list(LOOKED))


def test_of_lint_it_says_only_what_it_misses():
    assert "Lint" in dict(tables.sentences(LOOKED))
    assert "Lint" not in dict(tables.sentences([each for each in LOOKED if each.variant in ("flat-mlp", "gamma-0.5")]))


def test_docs_doctor_md_says_in_words_what_its_table_shows_to_be_missed():
    """The rows of the table in "How often it is right" by fault: (runs, lint's rules, named first, right first)."""
    page = (Path(__file__).parent.parent / "docs" / "doctor.md").read_text()
    (part,) = re.findall(r"<!-- generated: confusion -->\n(.*?)<!-- end -->", page, re.DOTALL)
    (said,) = re.findall(r"^\*\*What it misses at 100k frames\.\*\* (.+?)\n\n", page, re.MULTILINE | re.DOTALL)
    cells = [line.split(" | ") for line in part.splitlines() if line.startswith("| ")]
    rows = {name.removeprefix("| "): rest for name, *rest in cells if len(rest) == 5}
    right = {name: [int(word) for word in rest[3].split(" of ")] for name, rest in rows.items() if " of " in rest[3]}
    said = said.replace("\n", " ")
    for words, names in {
        "A wrong learning rate": ("lr-x10", "lr-div10"),
        "errors or rewards that are not clipped": ("mse-unclipped", "no-reward-clip"),
        "RMSProp's constant outside the root": ("rmsprop-eps-outside",),
        "an epsilon that falls too quickly": ("fast-epsilon", "article-epsilon-default"),
    }.items():
        assert words in said
        assert all(right[name][0] == 0 < right[name][1] for name in names)
    assert "a short discount in part of the runs" in said
    assert all(0 < right[name][0] < right[name][1] for name in ("gamma-0.5", "gamma-0.9"))
    assert "A network or an observation that lacks something is not seen in a log" in said
    assert all(
        rows[name][2].startswith("nothing") and "(" in rows[name][2]
        for name in ("flat-mlp", "half-width", "single-frame")
    )
    assert "and on Ms. Pac-Man at 100k frames in none of three" in said
    assert right["no-reward-clip"] == [0, 3]
    assert "In a share of healthy runs a symptom is named, but no fault" in said
    healthy = re.search(r"a fault named in (\d+) of \d+ .+?, only a symptom named in (\d+) of (\d+) ", part)
    assert healthy[1] == "0"
    first = re.search(r"the right cause first in (\d+) of (\d+) ", part)
    readme = " ".join((Path(__file__).parent.parent / "README.md").read_text().split())
    assert (
        f"In {first[1]} of {first[2]} runs of 100k frames with a planted fault the first cause that it names is that "
        f"fault; in {healthy[3]} sound ones it names none." in readme
    )
    assert 0 < int(healthy[2]) < int(healthy[3])
    assert "Lint has a rule for each fault but one, an epsilon that is nearly the reference's own" in said
    assert {name for name, rest in rows.items() if rest[1] == NOTHING} == {
        REFERENCE.name, "he-weights", "glorot-weights", "article-epsilon-default",
    }  # fmt: skip


def test_where_all_runs_are_tuned_ones_it_says_so():
    text = tables.markdown(LOOKED[-3:])
    assert text.endswith("\nNo run but those that the bars of the verdicts were set on is finished yet.\n")
    assert "a fault named in 0 of 0, only a symptom named in 0 of 0" in text


def test_json_has_every_run_and_every_rate():
    content = json.loads(json.dumps(tables.as_json(LOOKED), allow_nan=False))
    assert len(content["runs"]) == 13
    assert sum(each["tuned"] for each in content["runs"]) == 3
    assert content["rates"]["right_first"]["hits"] == 1
    assert content["rates"]["right_first"]["interval_95"] == pytest.approx([0.00631, 0.80588], abs=1e-5)
    assert sum(map(sum, content["matrix"]["counts"])) == 10


def test_equal_runs_are_drawn_in_equal_bytes(tmp_path):
    first, second = (draw_confusion(LOOKED, tmp_path / name) for name in ("a", "b"))
    assert [path.name for path in first] == ["confusion.png", "confusion.svg"]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    svg = first[1].read_text()
    for words in ("gamma-0.5 (3)", "horizon-too-short", "a right answer"):
        assert words in svg
    assert "<image" not in svg
    assert draw_confusion(LOOKED[-3:], tmp_path / "c") == []


# ---------------------------------------------------------------------- command and pages


def test_the_command_prints_and_writes_what_the_records_say(three, tmp_path, capsys):
    files = {name: tmp_path / f"out.{name}" for name in ("markdown", "json")}
    words = [word for name, path in files.items() for word in (f"--{name}", str(path))]
    assert cli.main(["confusion", "--results", str(three.root), *words, "--plots", str(tmp_path / "plots")]) == 0
    assert files["markdown"].read_text() == tables.markdown(look(three))
    assert json.loads(files["json"].read_text())["matrix"]["columns"] == ["no-target-lag", "nothing"]
    assert (tmp_path / "plots" / "confusion.svg").exists()
    (tmp_path / "taken").touch()
    assert cli.main(["confusion", "--results", str(three.root), "--plots", str(tmp_path / "taken")]) == 2
    assert "no-target-lag" in capsys.readouterr().out


def test_the_command_without_runs_is_the_users_mistake(tmp_path, capsys):
    assert cli.main(["confusion", "--results", str(tmp_path)]) == 2
    assert "holds no finished run" in capsys.readouterr().err


def test_the_generated_parts_follow_the_records(three, tmp_path):
    assert PARTS["lint-rules"](three) == rules_table()
    assert PARTS["confusion"](Store(tmp_path / "none")).startswith("No run is stored yet")
    part = PARTS["confusion"](three)
    assert part.startswith(tables.markdown(look(three)))
    assert part.endswith("![fault put in by fault diagnosed](images/doctor/confusion.png)\n")


# ---------------------------------------------------------------------- the report's page


@pytest.fixture
def asked(three, monkeypatch):
    resample_little(monkeypatch)
    monkeypatch.setattr(charts, "performance_profile", partial(charts.performance_profile, repetitions=50))
    monkeypatch.setattr(content, "sample_efficiency", partial(content.sample_efficiency, repetitions=50))
    return write_suite(three, seeds=1)


def test_the_page_shows_the_doctor_only_where_runs_are_finished(asked, three):
    page = text_of(asked, three.report(asked.name))
    assert page == text_of(asked, three.report(asked.name))
    (section,) = re.findall(r'<section id="doctor".*?</section>', page, re.DOTALL)
    assert page.count('href="#doctor"') == 1
    assert '<tr><th scope="row">no-target-network</th><td>1</td><td></td></tr>' in section
    assert "a fault named in 0 of 1 (0 %, 95 % interval 0 % to 98 %)" in section
    assert section.count("<table>") == 3  # with what each fault cost
    assert "<script" not in section
    (three.root / "failures").rename(three.root / "elsewhere")
    bare = text_of(asked, three.report(asked.name))
    assert 'id="doctor"' not in bare
    assert 'href="#doctor"' not in bare


def test_a_broken_record_of_the_failures_suite_is_said_and_escaped_and_leaves_the_page(asked, three):
    folder = three.failures("<b>&") / "reference" / "breakout-s0"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text("{")
    page = text_of(asked, three.report(asked.name))
    (section,) = re.findall(r'<section id="doctor".*?</section>', page, re.DOTALL)
    assert "Not shown" in section
    assert "&lt;b&gt;&amp;" in section
    assert "<b>" not in section
