"""The table says what the records say: rows, notes, bytes, and what is left out."""

import dataclasses
import itertools
import json
import signal

import pytest
from fake_runs import write_run

import benchmarks.__main__ as cli
from benchmarks.failures import table
from benchmarks.failures.drawings import draw_failures
from benchmarks.failures.effects import Verdict
from benchmarks.failures.findings import find, groups
from benchmarks.failures.variants import VARIANTS, variant_named
from benchmarks.store import Store
from dqn_ref.config import UserError
from dqn_ref.protocols import CI

GROUP = "ci-v1-16k"
CONTROL = (20.0, 30.0, 40.0)
REFERENCE = (900.0, 1_200.0, 700.0, 1_500.0, 1_100.0)  # mean 1,080; random is 11.5, the bar 168.2


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results")


@pytest.fixture(autouse=True)
def signals():
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def put(store, name, scores, game="road_runner", **rest):
    """Runs that earn ``scores`` in the second half of 16k frames, other returns before, and score 4 less at rest."""
    variant = VARIANTS[name]
    for seed, score in enumerate(scores):
        folder = store.failures(GROUP) / name / f"{game}-s{seed}"
        ends = ((2_000, 7, "game_over"), (8_000, 7_000, "game_over"), (9_000, score - 3, "game_over"))
        episodes = [*ends, (15_000, score + 3, "truncated"), (16_000, 90_000, "iteration_end")]
        config = variant.of(CI.config)
        write_run(folder, game, seed, score=score - 4, episodes=episodes, config=config, **rest)


@pytest.fixture
def two(store):
    """A variant that scores next to nothing and one that is like the reference."""
    put(store, "reference", REFERENCE)
    put(store, "constant-reward", CONTROL)
    put(store, "gamma-0.5", (100.0, 50.0, 0.0))
    put(store, "lr-x10", (800.0, 1_300.0, 950.0))
    return store


def test_the_rows_worked_by_hand(two):
    found = find(two, GROUP)
    assert table.table_rows(found) == [
        ("C7", "gamma-0.5", "road_runner", "3 v 5", "1,080", "50.0", "-1,030 (-1,500 to -600)", "0.036",
         "confirmed here"),
        ("C8", "lr-x10", "road_runner", "3 v 5", "1,080", "1,017", "-63.3 (-700 to +600)", "0.411", "not shown here"),
    ]  # fmt: skip
    assert table.learnt_rows(found) == [
        ("road_runner", "5 v 3", "11.5", "168", "1,080", "0.031", "30.0", "+1,050 (+660 to +1,480)", "0.018", "yes",
         "0.00%")
    ]  # fmt: skip
    first = table.view_rows(found)[0]
    # 1/56 and twice it; evaluations are 4 less than the scores
    assert first[2:5] == ("0.018", "0.036", "0.018")
    assert first[6:] == ("1,076", "46.0")


def test_markdown_and_json_are_equal_bytes_for_equal_records_and_name_every_verdict(two):
    texts = [table.markdown(find(two, GROUP)) for _ in range(2)]
    assert texts[0] == texts[1]
    assert "| C7 | gamma-0.5 | road_runner | 3 v 5 | 1,080 | 50.0 |" in texts[0]
    assert "adjusted for those of the 2 comparisons of this table" in texts[0]
    assert texts[0].count("\n| ") == 4 + 1 + 2 + 2 + 4 - 1  # four headings, less the one at the start; nine rows
    content = table.as_json(find(two, GROUP))
    assert json.loads(json.dumps(content)) == json.loads(json.dumps(content, allow_nan=False))
    assert [row["verdict"] for row in content["comparisons"]] == ["confirmed here", "not shown here"]
    assert content["comparisons"][0]["p_lower_holm"] == pytest.approx(2 / 56)


def test_a_reference_that_had_not_learnt_bears_no_verdict(store):
    put(store, "reference", (11.0, 12.0, 300.0, 20.0, 10.0))
    put(store, "constant-reward", (1.0, 2.0, 3.0))
    put(store, "gamma-0.5", (0.0, 0.0, 0.0))
    (row,) = find(store, GROUP).rows
    assert row.judged.verdict is Verdict.NOT_LEARNT
    assert table.learnt_rows(find(store, GROUP))[0][5:7] == ("0.969", "2.0")
    assert table.learnt_rows(find(store, GROUP))[0][8:10] == ("0.018", "no: not above random")


def test_a_reference_above_random_and_not_above_its_control_bears_no_verdict(store):
    put(store, "reference", REFERENCE)
    put(store, "constant-reward", (800.0, 1_000.0, 1_300.0))
    put(store, "gamma-0.5", (0.0, 0.0, 0.0))
    found = find(store, GROUP)
    assert [row.variant.name for row in found.rows] == ["gamma-0.5"]  # the control is no comparison
    assert found.rows[0].judged.adjusted_lower == 1 / 56  # nor counted as one
    assert found.rows[0].judged.verdict is Verdict.NOT_LEARNT
    everyone, seen = [*REFERENCE, 800.0, 1_000.0, 1_300.0], 3_100.0
    as_low = sum(sum(chosen) <= seen for chosen in itertools.combinations(everyone, 3)) / 56
    (row,) = table.learnt_rows(found)
    assert (*row[5:7], *row[8:10]) == ("0.031", "1,033", f"{as_low:.3f}", "no: not above its control")


def test_a_reference_above_neither_says_both(store):
    put(store, "reference", (0.0,) * 5)
    put(store, "constant-reward", (0.0,) * 3)
    assert table.learnt_rows(find(store, GROUP))[0][9] == "no: not above random nor its control"


def test_without_a_control_there_is_no_conclusion(store):
    put(store, "reference", REFERENCE)
    put(store, "gamma-0.5", (0.0, 0.0, 0.0))
    found = find(store, GROUP)
    assert found.rows[0].judged.verdict is Verdict.NO_CONTROL
    assert table.learnt_rows(found)[0][5:10] == ("0.031", "none", "none", "none", "no control")
    assert table.as_json(found)["games"][0]["p_control"] is None
    json.dumps(table.as_json(found), allow_nan=False)
    assert "no control: no conclusion" in table.markdown(found)


def test_runs_that_are_the_references_own_are_named(store):
    put(store, "reference", REFERENCE)
    put(store, "constant-reward", CONTROL)
    put(store, "no-reward-clip", REFERENCE[:3])
    put(store, "gamma-0.9", [*REFERENCE[:2], 701.0])
    found = find(store, GROUP)
    assert [row.unchanged for row in found.rows] == [False, True]  # gamma-0.9 comes first
    assert any(note.startswith("no-reward-clip on road_runner: the reference's own") for note in table.notes(found))


def test_what_is_not_finished_is_left_out_and_named(two):
    put(two, "gamma-0.9", (5.0,))
    write_run(two.failures(GROUP) / "gamma-0.9" / "road_runner-s1", "road_runner", 1, status="failed",
              config=VARIANTS["gamma-0.9"].of(CI.config))  # fmt: skip
    found = find(two, GROUP)
    assert [len(row.runs) for row in found.rows] == [1, 3, 3]
    assert found.unfinished == ["gamma-0.9/road_runner-s1"]
    assert table.notes(found)[-1] == "Left out, not finished or without a score: gamma-0.9/road_runner-s1."
    assert [str(row.judged.verdict) for row in found.rows] == ["too few seeds", "confirmed here", "not shown here"]


def test_a_selection_is_a_table_of_its_own(two):
    found = find(two, GROUP, ["road_runner"], [variant_named("gamma-0.5")])
    assert [row.variant.name for row in found.rows] == ["gamma-0.5"]
    assert found.rows[0].judged.adjusted_lower == pytest.approx(1 / 56)


def test_games_of_the_reference_only_show_how_sparse_reward_is(two):
    put(two, "reference", (0.0,) * 5, game="montezuma_revenge")
    put(two, "constant-reward", (0.0,) * 3, game="montezuma_revenge")
    for path in (two.failures(GROUP) / "reference").glob("montezuma_revenge-s*/progress.csv"):
        header, *rows = path.read_text().splitlines()
        place = header.split(",").index("nonzero_reward_share")
        cells = [row.split(",") for row in rows]
        for row in cells:
            row[place] = "0.0025"
        path.write_text("\n".join([header, *(",".join(row) for row in cells)]) + "\n")
    rows = table.learnt_rows(find(two, GROUP))
    assert sorted(row[0] for row in rows) == ["montezuma_revenge", "road_runner"]
    (sparse,) = [row for row in rows if row[0] == "montezuma_revenge"]
    assert sparse[-2:] == ("no: not above random nor its control", "0.25%")
    assert len(find(two, GROUP).rows) == 2


def test_a_record_of_another_setting_stops_the_table(two):
    config = dataclasses.replace(CI.config, discount=0.6)
    write_run(two.failures(GROUP) / "gamma-0.5" / "road_runner-s3", "road_runner", 3, score=1, config=config)
    with pytest.raises(UserError, match="was run with another overrides"):
        find(two, GROUP)


def test_without_runs_there_is_a_word_and_no_table(store):
    assert groups(store) == []
    assert "No run is stored yet" in table.markdown_of_all(store, "images")
    with pytest.raises(UserError, match="holds no run that was asked for"):
        find(store, GROUP)
    put(store, "gamma-0.5", (1.0,))
    with pytest.raises(UserError, match="No run of the reference"):
        find(store, GROUP)


def test_the_page_has_a_section_and_the_drawings_of_every_group(two, tmp_path):
    text = table.markdown_of_all(two, "images")
    assert text.startswith(f"### `{GROUP}`\n")
    files = draw_failures(find(two, GROUP), tmp_path / f"failures-{GROUP}")
    assert sorted(path.name for path in files) == [
        f"{kind}-road_runner.{suffix}" for kind in ("curves", "scores") for suffix in ("png", "svg")
    ]
    for path in files:
        if path.suffix == ".png":
            assert f"(images/{path.relative_to(tmp_path)})" in text
    svg = (tmp_path / f"failures-{GROUP}" / "scores-road_runner.svg").read_text()
    assert "confirmed here" in svg
    assert "gamma-0.5" in svg
    assert "constant-reward (control)" in svg
    assert "its control&#x27;s mean" in svg or "its control's mean" in svg


def test_every_variant_is_described_on_the_page():
    text = table.markdown_of_variants()
    assert all(f"| `{name}` |" in text for name in VARIANTS if name != "reference")
    assert "`target-period-1` is `no-target-network`" in text


# ---------------------------------------------------------------------- the commands


def test_the_commands_print_write_and_draw(two, tmp_path, capsys):
    options = ["--protocol", "ci", "--results", str(two.root)]
    page, data = tmp_path / "page.md", tmp_path / "data.json"
    assert cli.main(["failures", "table", *options, "--markdown", str(page), "--json", str(data)]) == 0
    said = capsys.readouterr().out
    assert "-1,030 (-1,500 to -600)" in said
    assert page.read_text() == table.markdown(find(two, GROUP))
    assert json.loads(data.read_text())["group"] == GROUP
    assert cli.main(["failures", "status", *options, "--games", "road_runner", "--variants", "C7"]) == 0
    assert "11 of 18 runs" in capsys.readouterr().out  # gamma-0.5 of three variants of C7
    assert cli.main(["failures", "plot", *options, "--out", str(tmp_path / "drawn")]) == 0
    assert (tmp_path / "drawn" / "scores-road_runner.png").exists()
    assert cli.main(["failures", "table", *options, "--variants", "gama"]) == 2
    assert "No variant is called 'gama'" in capsys.readouterr().err


def test_the_forecast_says_when_so_few_seeds_can_decide_nothing(two, capsys, monkeypatch):
    from test_failures_runner import COSTS

    monkeypatch.setattr("benchmarks.failures.command.measure", lambda *_: COSTS)
    options = ["--protocol", "ci", "--results", str(two.root), "--games", "road_runner", "--device", "cpu"]
    assert cli.main(["failures", "plan", *options, "--variants", "C7", "--reference-seeds", "5"]) == 0
    assert "--reference-seeds 6 would do" in capsys.readouterr().out
    assert cli.main(["failures", "plan", *options, "--variants", "C7", "--reference-seeds", "6"]) == 0
    said = capsys.readouterr().out
    assert "TOO FEW SEEDS" not in said
    assert "Forecast: " in said
    assert "7 are missing" in said
