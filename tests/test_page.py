"""The report's page: its structure, that every number on it is right, and that nothing in a record can break it."""

import base64
import csv
import hashlib
import itertools
import json
import math
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from fake_pages import (
    GAMES,
    HOSTILE,
    SHARES,
    SHOWN,
    content_of,
    hostile_gate,
    score_of,
    text_of,
    write_gate,
    write_hostile,
    write_nature,
    write_suite,
)
from fake_runs import COMMIT, edit_json, evaluation, resample_little, write_run
from html_tree import Element, parse

import benchmarks.page.charts as charts
import benchmarks.page.content as content
from benchmarks.page.drawing import linear, round_ticks, score_axis, short
from benchmarks.page.page import render
from benchmarks.report import format_interval
from benchmarks.store import Store
from dqn_ref.config import DQNConfig
from dqn_ref.protocols import CI, NATURE
from dqn_ref.run_writer import add_evaluation

PAGE_FILES = Path(charts.__file__).parent


@pytest.fixture(autouse=True, scope="module")
def little_resampling():
    with pytest.MonkeyPatch.context() as monkeypatch:
        resample_little(monkeypatch)
        share = charts.performance_profile
        monkeypatch.setattr(charts, "performance_profile", lambda scores, at: share(scores, at, repetitions=50))
        rising = content.sample_efficiency
        monkeypatch.setattr(content, "sample_efficiency", lambda scores: rising(scores, repetitions=50))
        yield


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    return write_suite(Store(tmp_path_factory.mktemp("suite") / "results"))


@pytest.fixture(scope="module")
def text(asked):
    return text_of(asked, asked.store.report(asked.name), write_gate(asked.store.root / "gate.json"))


@pytest.fixture(scope="module")
def page(text):
    return parse(text)


@pytest.fixture(scope="module")
def nature(tmp_path_factory):
    return write_nature(Store(tmp_path_factory.mktemp("nature") / "results"))


@pytest.fixture(scope="module")
def nature_page(nature):
    return parse(text_of(nature, nature.store.report(nature.name)))


@pytest.fixture
def page_of(tmp_path):
    """The page of a suite written anew; ``change`` does something to its folder first."""

    def make(change=lambda folder: None, **suite) -> Element:
        asked = write_suite(Store(tmp_path / "results"), **suite)
        change(asked.folder)
        return parse(text_of(asked, asked.store.report(asked.name)))

    return make


def body_of(page: Element, caption: str) -> list[list[str]]:
    """Text of the rows of the table with that caption."""
    [table] = [table for table in page.all("table") if caption in table.elements[0].text]
    return [[cell.text for cell in row.elements] for row in rows_of(table)]


def rows_of(table: Element) -> list[Element]:
    """Rows of a table's own body, without those of tables inside."""
    return [row for body in table.elements if body.tag == "tbody" for row in body.elements]


def games_of(page: Element) -> dict[str, list[str]]:
    """The table of games: the text of each row's cells by game."""
    rows = [row for row in rows_of(page.one("table", "games")) if "detail" not in row.classes]
    return {row.elements[0].text: [cell.text for cell in row.elements[1:]] for row in rows}


def hover(page: Element) -> dict:
    return json.loads(page.one("script", id="data").text)


def svg_of(page: Element, key: str) -> Element:
    return page.one("div", "plot", data_chart=key).one("svg")


# ---------------------------------------------------------------------- structure


@pytest.mark.parametrize("which", ["page", "nature_page"])
def test_the_page_has_a_language_a_title_and_headings_in_order(which, request):
    page = request.getfixturevalue(which)
    assert page.one("html")["lang"] == "en"
    assert "atari3" in page.one("title").text
    levels = [int(each.tag[1]) for each in page.walk() if re.fullmatch(r"h[1-6]", each.tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert max(b - a for a, b in itertools.pairwise(levels)) == 1


def test_the_character_set_is_declared_where_a_browser_looks_for_it(text):
    assert b'<meta charset="utf-8">' in text.encode()[:1024]
    assert text.startswith("<!doctype html>\n")


@pytest.mark.parametrize("which", ["page", "nature_page"])
def test_ids_are_unique_and_every_reference_has_its_target(which, request):
    page = request.getfixturevalue(which)
    ids = [each["id"] for each in page.walk() if "id" in each.attributes]
    assert len(ids) == len(set(ids))
    named = [
        each[name] for each in page.walk() for name in ("aria-labelledby", "aria-controls") if name in each.attributes
    ]
    links = [each["href"][1:] for each in page.all("a") if each["href"].startswith("#")]
    assert len(links) >= 8
    assert {*named, *links} <= set(ids)
    assert page.one("a", "skip")["href"] == "#result"
    assert page.one("body").elements[0].classes == ["skip"]  # the first stop of the keyboard


@pytest.mark.parametrize("which", ["page", "nature_page"])
def test_tables_have_captions_scopes_and_as_many_cells_as_columns(which, request):
    page = request.getfixturevalue(which)
    tables = page.all("table")
    assert len(tables) > 8
    for table in tables:
        caption, head = table.elements[:2]
        assert caption.text, "a caption comes first"
        columns = head.elements[0].elements
        assert {each.attributes.get("scope") for each in columns} == {"col"}
        for row in rows_of(table):
            assert sum(int(cell.attributes.get("colspan", 1)) for cell in row.elements) == len(columns)
            heads = [cell.attributes.get("scope") for cell in row.elements if cell.tag == "th"]
            assert heads in ([["row"], ["rowgroup"]] if "detail" not in row.classes else [[]])


def test_drawings_are_well_formed_named_and_without_script(text, page):
    drawings = re.findall(r"<svg.*?</svg>", text, re.DOTALL)
    assert len(drawings) == 4 + len(GAMES) + 3  # over the suite, a game, in the legend
    for drawing in drawings:
        names = {name for each in ElementTree.fromstring(drawing).iter() for name in each.attrib}
        assert not {name for name in names if name.startswith("on") or name in ("style", "href")}
    for drawing in page.all("svg"):
        assert drawing.attributes.get("aria-hidden") == "true" or (drawing["role"], bool(drawing["aria-label"])) == (
            "img",
            True,
        )


def test_no_number_in_a_drawing_is_not_a_number(text):
    assert not re.search(r'="[^"]*\b(nan|inf)\b', text, re.I)


@pytest.mark.parametrize("which", ["page", "nature_page"])
def test_the_page_asks_for_nothing_from_anywhere(which, request):
    page = request.getfixturevalue(which)
    for each in page.walk():
        assert not {"src", "srcset", "style", "action", "poster"} & set(each.attributes)
        assert not [name for name in each.attributes if name.startswith("on")]
        assert each.tag not in ("img", "iframe", "object", "embed", "base", "form", "video", "audio")
    assert [each["href"].split(",")[0] for each in page.all("link")] == ["data:image/svg+xml"]
    elsewhere = [each["href"] for each in page.all("a") if not each["href"].startswith("#")]
    assert elsewhere == ["https://doi.org/10.1038/nature14236"]
    assert "@import" not in page.one("style").text
    assert "url(" not in page.one("style").text


def test_only_the_pages_own_style_and_script_are_allowed(page):
    policy = page.one("meta", http_equiv="Content-Security-Policy")["content"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    [script] = [each for each in page.all("script") if "type" not in each.attributes]
    for name, element in (("style-src", page.one("style")), ("script-src", script)):
        digest = hashlib.sha256("".join(element.children).encode()).digest()
        assert rules[name] == f"'sha256-{base64.b64encode(digest).decode()}'"
    assert "unsafe" not in policy


def test_the_script_and_the_style_sheet_are_readable_and_small():
    assert len((PAGE_FILES / "page.js").read_text().splitlines()) < 400
    for name in ("page.js", "page.css"):  # as they are, no tag can end early
        assert "</" not in (PAGE_FILES / name).read_text()


def test_every_chart_on_the_page_has_its_data_and_no_other(page, nature_page):
    for each in (page, nature_page):
        assert {plot["data-chart"] for plot in each.all("div", "plot")} == set(hover(each))
    assert set(hover(page)) == {"intervals", "games", "profile", "efficiency", *(f"curve-{game}" for game in GAMES)}


# ---------------------------------------------------------------------- numbers


def test_the_headline_and_the_aggregates_are_worked_by_hand(page, asked):
    """Six scores -0.5 0 0.5 0.5 1 2: IQM cuts one at each end; the games' means are 0.25 0.75 0.75."""
    found = {row[0]: row[1:] for row in body_of(page, "Over 6 runs: 3 games")}
    assert [name.split(" ")[0] for name in found] == ["IQM", "median", "mean", "optimality", "predicted"]
    assert [row[0] for row in found.values()][:4] == ["0.500", "0.750", "0.583", f"{(1.5 + 1 + 0.5 + 0.5) / 6:.3f}"]
    assert page.one("p", "big").text == "IQM 0.500"
    shown = content_of(asked, asked.store.report(asked.name))
    for interval, row in zip(shown.aggregates.values(), found.values(), strict=False):
        assert row[1] == f"{interval.low:.3f} to {interval.high:.3f}"
    assert page.one("p", "interval").text.endswith(next(iter(found.values()))[1])
    assert format_interval(shown.aggregates["IQM"]) in page.one("title").text


def test_the_predicted_median_is_the_published_formula_on_the_games_means(page):
    rows = csv.DictReader((PAGE_FILES.parent / "data" / "atari5_subsets_coefficients.csv").open())
    by_letters = {game.replace("_", ""): game for game in GAMES}
    means = {"battle_zone": 0.25, "name_this_game": 0.75, "phoenix": 0.75}
    coefficients = {
        by_letters[row["game"]]: float(row["coef_published_in_author_repo"])
        for row in rows
        if row["subset"].lower().replace("_", "") == "atari3"
    }
    assert set(coefficients) == set(GAMES)
    expected = (10 ** sum(c * math.log10(1 + 100 * means[game]) for game, c in coefficients.items()) - 1) / 100
    [row] = [row for row in body_of(page, "Over 6 runs") if row[0].startswith("predicted")]
    assert row[1:] == [f"{expected:.3f}", "-"]
    assert "13 % too low on average" in page.one("section", id="result").text


def test_a_games_row_is_mean_and_standard_deviation_over_seeds(page):
    """battle_zone: 2,360 and half of the span above it; of two seeds the deviation is their distance over root 2."""
    found = games_of(page)
    assert list(found) == list(GAMES)
    half = (37187.5 - 2360.0) / 2
    assert found["battle_zone"] == [
        "0.250",
        f"{2360 + half / 2:,.1f} ± {half / math.sqrt(2):,.1f}",
        "2,360.0",
        "37,187.5",
    ]
    for game, row in found.items():
        scores = [score_of(game, seed) for seed in range(2)]
        assert row[0] == f"{np.mean(SHARES[game]):.3f}"
        assert row[1] == f"{np.mean(scores):,.1f} ± {np.std(scores, ddof=1):,.1f}"


def test_what_sorting_goes_by_is_what_is_shown(page):
    for row in rows_of(page.one("table", "games")):
        for cell in row.elements[1:] if "detail" not in row.classes else ():
            shown = cell.text.split(" ±")[0].replace(",", "")
            digits = len(shown.partition(".")[2])
            assert f"{float(cell['data-value']):.{digits}f}" == shown


def test_each_seed_stands_in_the_games_detail(page_of):
    def play(folder):
        add_evaluation(folder / "phoenix-s1", evaluation(CI.config, 777.0, weights="best"))

    rows = body_of(page_of(play), "Seeds of phoenix")
    scores = [score_of("phoenix", seed) for seed in range(2)]
    assert [row[:3] for row in rows] == [[str(s), f"{scores[s]:,.1f}", f"{SHARES['phoenix'][s]:.3f}"] for s in range(2)]
    assert [row[3] for row in rows] == ["-", "777.0"]  # the best network, where it was evaluated
    assert rows[1][4] == ", ".join([f"{scores[1]:,.0f}"] * CI.config.evaluation_episodes)


def unbent(x, at):
    """What an axis of scores shows at ``at``: inverted from two ticks, whose labels are read off the drawing."""
    (x0, v0), (x1, v1) = x
    a0, a1 = math.asinh(v0 / 0.1), math.asinh(v1 / 0.1)
    return 0.1 * math.sinh(a0 + (at - x0) / (x1 - x0) * (a1 - a0))


def ticks_of(svg):
    return [(float(t["x"]), float(t.text)) for t in svg.all("text", "tick") if "middle" in t.classes]


def test_bars_and_dots_lie_where_the_axis_says(page):
    svg = svg_of(page, "games")
    ticks = ticks_of(svg)
    axis = (ticks[0], ticks[-1])
    zero = next(x for x, value in ticks if value == 0)
    dots = [unbent(axis, float(dot["cx"])) for dot in svg.all("circle", "dot")]
    assert dots == pytest.approx([share for game in GAMES for share in SHARES[game]], abs=0.01)
    for bar, game in zip(svg.all("rect", "bar"), GAMES, strict=True):
        ends = sorted([zero, float(bar["x"]), float(bar["x"]) + float(bar["width"])])
        assert ends[0] == pytest.approx(zero, abs=0.02)
        assert unbent(axis, ends[2]) == pytest.approx(np.mean(SHARES[game]), abs=0.01)


def test_the_profile_is_the_share_of_runs_above_each_score(page):
    everything = [share for shares in SHARES.values() for share in shares]
    svg, [series] = svg_of(page, "profile"), hover(page)["profile"]["series"]
    ticks = ticks_of(svg)
    bottom, top = 210.0, 10.0
    for (x, y), words in zip(series["at"], series["text"], strict=True):
        value = unbent((ticks[0], ticks[-1]), x)
        if min(abs(value - each) for each in everything) > 0.02:  # beside a step
            share = sum(each > value for each in everything) / 6
            assert (bottom - y) / (bottom - top) == pytest.approx(share, abs=0.001)
            assert words.startswith(f"{share:.0%} of runs")
    assert svg.all("path", "band")


def test_intervals_are_drawn_from_end_to_end(page, asked):
    found = content_of(asked, asked.store.report(asked.name)).aggregates
    svg = svg_of(page, "intervals")
    (x0, v0), *_, (x1, v1) = ticks_of(svg)
    value = lambda x: v0 + (x - x0) / (x1 - x0) * (v1 - v0)  # noqa: E731
    for name, box, point in zip(("IQM", "median", "mean"), svg.all("rect"), svg.all("line", "point"), strict=True):
        ends = [value(float(box["x"])), value(float(box["x"]) + float(box["width"])), value(float(point["x1"]))]
        assert ends == pytest.approx([found[name].low, found[name].high, found[name].point], abs=0.004)


def points_of(path: Element) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"[ML](-?[\d.]+),(-?[\d.]+)", path["d"])]


def test_curves_are_means_of_the_episodes_of_a_span_and_the_thick_one_their_mean_where_all_have_one(tmp_path):
    """Spans of 1,600 frames. Only the second span, up to 3,200, has an episode of either seed."""
    asked = write_suite(Store(tmp_path / "results"), without=("phoenix-s0", "phoenix-s1"))
    episodes = [
        [(100, 10, "game_over"), (1600, 20, "truncated"), (3200, 40, "game_over"), (3201, 9, "iteration_end")],
        [(1601, 60, "game_over"), (16000, 100, "game_over")],
    ]
    for seed, rows in enumerate(episodes):
        write_run(asked.folder / f"phoenix-s{seed}", "phoenix", seed, score=1, episodes=rows)
    page = parse(text_of(asked, asked.store.report(asked.name)))
    chart = hover(page)["curve-phoenix"]
    assert [(each["name"], each["x"], each["y"]) for each in chart["series"]] == [
        ("seed 0", [1600, 3200], [15, 40]),
        ("seed 1", [3200, 16000], [60, 100]),
        ("mean of seeds", [3200], [50]),
    ]
    svg = svg_of(page, "curve-phoenix")
    x, y = chart["scale"]["x"], chart["scale"]["y"]
    lines = [each for each in svg.all("path") if "dots" not in each.classes]
    assert [each.classes for each in lines] == [["seed"], ["seed"], ["mean"]]
    for drawn, series in zip(lines, chart["series"], strict=True):
        back = [
            (x[0] + (px - x[2]) / (x[3] - x[2]) * (x[1] - x[0]), y[0] + (py - y[2]) / (y[3] - y[2]) * (y[1] - y[0]))
            for px, py in points_of(drawn)
        ]
        assert np.array(back) == pytest.approx(np.array(list(zip(series["x"], series["y"], strict=True))), rel=0.01)
    random = svg.one("line", "random")
    shown = y[0] + (float(random["y1"]) - y[2]) / (y[3] - y[2]) * (y[1] - y[0])
    assert shown == pytest.approx(761.4, rel=0.01)


def test_a_game_in_which_no_episode_ended_says_so(page_of):
    page = page_of(episodes=[(400, 9, "iteration_end")])
    assert [svg_of(page, f"curve-{game}").one("text", "empty").text for game in GAMES] == [
        "no episode ran to its end"
    ] * 3


def test_times_are_worked_by_hand(page_of):
    """Three runs of 60, 90 and 120 s that start 10 s apart; evaluations take 5 s each."""

    def set_times(folder):
        for number, (game, seconds) in enumerate(zip(GAMES, (60, 90, 120), strict=True)):
            minute, second = divmod(10 * number + seconds, 60)
            run, rows = folder / f"{game}-s0" / "run.json", folder / f"{game}-s0" / "progress.csv"
            edit_json(
                run,
                started=f"2026-01-02T03:00:{10 * number:02}+00:00",
                ended=f"2026-01-02T03:{minute:02}:{second:02}+00:00",
            )
            lines = rows.read_text().splitlines()
            last = dict(zip(lines[0].split(","), lines[-1].split(","), strict=True))
            last["wall_seconds"] = str(40 * (number + 1))
            rows.write_text("\n".join([*lines[:-1], ",".join(last.values())]) + "\n")
            for weights in ("best", "iteration"):  # the same network, once played
                add_evaluation(folder / f"{game}-s0", evaluation(CI.config, 5.0, weights=weights))

    page = page_of(set_times, seeds=1)
    figures = {each.one("dt").text: each.one("dd").text for each in page.one("dl", "facts-list").elements}
    assert figures == {
        "first start to last end": "2.3 min",  # 140 s
        "all runs added up": "4.5 min",  # 270 s
        "of it evaluation": "15 s",
        "frames trained": "48,000",
        "frames/s of a run (median)": "200",  # 16,000 in 40, 80 and 120 s: 400, 200, 133
    }
    rows = body_of(page, "Seconds, frames/s of training with its warm-up")
    assert rows[1] == ["name_this_game-s0", "2.0", "80.0", "5.0", "90.0", "200.0"]
    assert "started 2026-01-02 03:00 UTC, the last ended 2026-01-02 03:02 UTC" in page.text


def test_a_sum_with_an_unknown_part_is_not_given(page_of):
    def spoil(folder):
        edit_json(folder / "phoenix-s0" / "run.json", ended=None)
        played = evaluation(CI.config, 5.0, seconds="soon")
        edit_json(folder / "phoenix-s0" / "evaluation.json", evaluations=[played])

    page = page_of(spoil, seeds=1)
    figures = {each.one("dt").text: each.one("dd").text for each in page.one("dl", "facts-list").elements}
    for name in ("first start to last end", "all runs added up", "of it evaluation"):
        assert figures[name] == "not recorded"
    [row] = [row for row in body_of(page, "Seconds, frames/s") if row[0] == "phoenix-s0"]
    assert row[3:5] == ["-", "-"]


def test_published_scores_stand_beside_the_papers_protocol_only(nature_page, page):
    rows = csv.DictReader((PAGE_FILES.parent / "data" / "published_dqn_scores.csv").open())
    scores = [
        float(row["score"])
        for row in rows
        if (row["source"], row["game"], row["frames_millions"]) == ("dopamine-dqn-rmsprop-2018", "phoenix", "10")
    ]
    assert len(scores) == 5
    assert games_of(nature_page)["phoenix"][-1] == f"{np.mean(scores):,.1f}"
    assert len(games_of(page)["phoenix"]) == len(games_of(nature_page)["phoenix"]) - 1
    rivals = body_of(nature_page, "Published DQNs on the same games after 10M frames")
    assert [row[0] for row in rivals] == [
        "dopamine-dqn-rmsprop-2018",
        "dopamine-dqn-adam-mse-2021",
    ]  # nnabla lacks phoenix
    differences = (
        "kind of returns: evaluation returns against training returns",
        "epsilon: epsilon 0.05 against epsilon 0.01",
        "sticky actions: no sticky actions against sticky actions 0.25",
        "what a score is: one point alone against mean of the newest five points",
    )
    assert rivals[0][3] == "; ".join(differences)
    assert "; ".join(differences) in nature_page.one("section", id="games").text
    diamonds = hover(nature_page)["curve-phoenix"]["series"][-1]
    assert (diamonds["name"], diamonds["x"][-1], round(diamonds["y"][-1])) == (
        "published",
        10_000_000,
        round(np.mean(scores)),
    )
    assert not svg_of(page, "curve-phoenix").all("path", "published")


def test_sample_efficiency_is_the_iqm_at_each_budget(nature_page):
    """Scores rise as share * frames / 10M with shares 0.2 to 0.4, the same in each game; five points are averaged."""
    [series] = hover(nature_page)["efficiency"]["series"]
    assert series["x"] == [1_000_000 * k for k in range(1, 11)]
    middle = 0.3  # the shares are symmetric about it, so their interquartile mean is it
    spans = [
        np.mean([0.25, 0.5, 0.75, 1.0]) + k for k in range(10)
    ]  # mean end of the episodes of each span, in millions
    expected = [middle * np.mean(spans[max(0, k - 4) : k + 1]) / 10 for k in range(10)]
    assert series["y"] == pytest.approx(expected, abs=0.001)


# ---------------------------------------------------------------------- words


def test_a_scaled_down_protocol_is_said_to_be_one_and_the_papers_is_not(page, nature_page):
    assert CI.label() in page.one("h1").text
    notice = page.one("div", "notices").text
    assert "Not the paper's protocol." in notice
    assert "not comparable with published scores" in notice
    assert "scaled-down protocol" in page.one("ul", "chips").text
    assert "Not the paper's protocol" not in nature_page.text
    assert "stopped early: 10M of its 200M frames" in nature_page.text


def test_few_seeds_are_said_to_be_few(page, nature_page, page_of):
    assert "With 2 seeds these intervals are too narrow" in page.text
    assert "With 5 seeds these intervals are too narrow" in nature_page.text
    alone = page_of(seeds=1)
    assert alone.one("p", "interval").text == "no interval: one seed"
    assert "One seed allows no interval." in alone.text
    assert svg_of(alone, "intervals").all("rect") == []
    assert svg_of(alone, "profile").all("path", "band") == []
    assert [each.classes[0] for each in svg_of(alone, "curve-phoenix").all("path")] == ["mean", "mean"]  # and its dots
    assert "±" not in "".join(itertools.chain(*games_of(alone).values()))


def test_an_incomplete_suite_has_no_aggregate_and_names_what_is_missing(page_of):
    def fail(folder):
        write_run(folder / "phoenix-s0", "phoenix", 0, status="failed", error="Traceback ...\nMemoryError: 3 GB\n")

    page = page_of(fail, without=("phoenix-s0", "phoenix-s1", "battle_zone-s1"))
    assert page.one("p", "big").text == "No aggregate"
    assert "3 of 6 runs have no score" in page.one("p", "interval").text
    assert [item.text for item in page.one("ul", "missing").elements] == [
        "battle_zone-s1 missing", "phoenix-s0 failed: MemoryError: 3 GB", "phoenix-s1 missing",
    ]  # fmt: skip
    assert set(hover(page)) == {"games", *(f"curve-{game}" for game in GAMES)}
    assert not [table for table in page.all("table") if "Over 6 runs" in table.text]
    assert "predicted median" not in page.text
    found = games_of(page)
    assert found["battle_zone"][:2] == ["0.000", "2,360.0"]  # its other seed is shown
    assert found["phoenix"][:2] == ["-", "-"]
    assert "incomplete" in page.one("title").text
    assert "python -m benchmarks run atari3" in page.one("section", id="result").text


def test_a_run_that_is_still_going_has_no_curve_and_no_score(page_of):
    def start(folder):
        write_run(folder / "phoenix-s1", "phoenix", 1, status="running")

    page = page_of(start, without=("phoenix-s1",))
    assert [each["name"] for each in hover(page)["curve-phoenix"]["series"]] == ["seed 0"]
    assert page.one("ul", "missing").text == "phoenix-s1 running"


def test_gates_say_what_their_files_say(page):
    gate = page.one("article", "gate")
    assert gate.classes == ["gate", "inconclusive"]
    assert gate.one("h3").text == "? inconclusive scores gate"
    assert "Neither worse nor as good: add 3 seeds." in gate.text
    assert body_of(page, "Checks") == [
        ["worse", "✓ pass", "difference of IQM +0.01, p = .6 Numbersp 0.6"],
        ["as good", "? inconclusive", "p = .12 Numbersp 0.12"],
    ]
    assert "scores gate: inconclusive" in page.one("ul", "chips").text
    assert "From gate.json, baseline: atari3-ci-v1-16k" in gate.text
    assert "judged" not in page.one("div", "notices").text


def test_a_gate_that_judged_something_else_is_told_so(asked, tmp_path):
    """Its verdict stands, and the page says that it is not about these runs."""
    compared = {"suite": "atari3", "protocol": "nature-v1", "frames": 10_000_000, "measured": {"epsilon": [0.05, 1e-9]}}
    gate = write_gate(tmp_path / "other.json", compared=compared)
    page = parse(text_of(asked, tmp_path / "page.html", gate))
    notices = page.one("div", "notices").text
    assert "The scores gate of other.json judged protocol nature-v1, not ci-v1, which is shown here." in notices
    assert "judged frames 10000000, not 16000" in notices
    assert "judged suite" not in notices
    assert page.one("article").all("dd")[-1].text == "epsilon 0.05, 1e-09"


def test_without_a_gate_none_is_claimed(nature_page):
    assert nature_page.all("article") == []
    assert "No gate's verdict was given" in nature_page.one("section", id="gates").text
    assert "pass" not in nature_page.one("ul", "chips").text


def test_every_hyperparameter_is_there_with_its_words_and_marked_if_it_is_not_the_papers(page, nature_page):
    for each, config in ((page, CI.config), (nature_page, replace(NATURE.config, total_frames=10_000_000))):
        table = each.one("table", "config")
        rows = {row.elements[0].text: row for row in rows_of(table)}
        assert list(rows) == [field.name for field in fields(DQNConfig)]
        assert all(len(row.elements[3].text) > 10 for row in rows.values())
        left = {name for name, row in rows.items() if "differs" in row.classes}
        assert left == {f.name for f in fields(config) if getattr(config, f.name) != getattr(NATURE.config, f.name)}
    assert rows["learning_rate"].elements[1].text == "0.00025"
    assert (
        rows["replay_capacity"].elements[3].text == "Transitions kept, 7,084 bytes each. Paper, code: 1M most recent."
    )
    assert rows["total_frames"].elements[1:3][1].text == "200,000,000"


def test_provenance_is_said_once_where_all_runs_agree(page):
    facts = {row[0]: row[1:] for row in body_of(page, "The same for all 6 finished runs") if len(row) > 1}
    assert facts["commit"] == [COMMIT]
    assert facts["uncommitted changes"] == ["no"]
    assert facts["memory bytes"] == ["7.5 GiB"]  # 8e9 / 2**30
    assert facts["cpu"] == ["a processor"]
    assert facts["constraints.txt, SHA-256"] == ["none"]
    assert not page.one("div", "notices").all(css="warning")
    assert "Mind." not in page.text


def test_runs_of_different_origin_are_told_apart_aloud(page_of):
    def edit(folder):
        run = json.loads((folder / "phoenix-s1" / "run.json").read_text())["provenance"]
        source = {"commit": "e" * 40, "dirty": True}
        edit_json(folder / "phoenix-s1" / "run.json", provenance=run | {"source": source, "rom_md5": "1" * 32})
        del run["machine"]
        edit_json(folder / "phoenix-s0" / "run.json", provenance=run)

    page = page_of(edit)
    rows = body_of(page, "Of the 6 finished runs")
    assert ["commit", "e" * 40, "1 of 6 runs: phoenix-s1"] in rows
    assert ["cpu", "not recorded", "1 of 6 runs: phoenix-s0"] in rows
    assert [row[2] for row in rows if row[0] == "threads"] == ["all runs"]
    notices = page.one("div", "notices").text
    assert "not all of one origin: source, commit" in notices
    assert "The source of 1 of 6 runs: phoenix-s1 had uncommitted changes" in notices
    assert "The ROM of phoenix is not the same" in notices
    assert not [step for step in page.all("pre") if "git checkout" in step.text]


def test_the_page_names_its_maker(text, page):
    assert page.one("meta", name="generator")["content"] == f"dqn-ref report, version 0.0.0, source {'f' * 40}"
    assert "f" * 40 in page.one("footer").text
    assert "Apache-2.0" in page.one("footer").text


def test_videos_are_linked_relative_to_the_page(tmp_path):
    asked = write_suite(Store(tmp_path / "re sults"))
    video = asked.folder / "phoenix-s1" / "video-last-#1.mp4"
    video.write_bytes(b"")
    page = tmp_path / "elsewhere" / "page.html"
    [link] = [a for a in parse(text_of(asked, page)).all("a") if "mp4" in a.text]
    assert link["href"] == f"../re%20sults/runs/{asked.matrix.group}/phoenix-s1/video-last-%231.mp4"
    assert link.text == "video-last-#1.mp4"


# ---------------------------------------------------------------------- foreign text


def test_nothing_in_a_record_becomes_markup(tmp_path, page_of):
    asked = write_hostile(Store(tmp_path / "hostile"))
    text = text_of(asked, tmp_path / "page.html", write_gate(tmp_path / "gate.json", hostile_gate()))
    page = parse(text)
    assert [each.attributes for each in page.all("script")] == [{"type": "application/json", "id": "data"}, {}]
    assert page.all("img") == []
    assert page.text.count(SHOWN) > 20
    assert "{{ 7*7 }}" in page.text
    assert not {c for c in text if c in "\u2028\u2029\u202e\x07" or "\ud800" <= c <= "\udfff"}
    text.encode()  # could not, with half a surrogate


def test_nothing_in_the_charts_data_can_end_its_script(asked):
    shown = content_of(asked, asked.store.report(asked.name))
    series = [{"name": HOSTILE, "at": [[0, 0]], "text": ["\u2029<!--"]}]
    chart = replace(shown.charts["games"], hover={"series": series})
    text = render(replace(shown, charts={**shown.charts, "games": chart}))
    raw = re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1]
    assert not set(raw) & set("<>&'\u2028\u2029")
    assert json.loads(raw)["games"]["series"][0]["name"] == HOSTILE
    assert len(parse(text).all("script")) == 2


def test_text_in_a_drawing_is_escaped():
    chart = charts.game_bars({'<b>&"': {0: 0.5}})
    assert "<b>" not in chart.svg
    [name] = [e.text for e in ElementTree.fromstring(chart.svg).iter("text") if e.attrib["class"] == "name end"]
    assert name == '<b>&"'


# ---------------------------------------------------------------------- axes


@pytest.mark.parametrize("values", [[0.0], [5.0, 5.0], [-1e-9, 1e-9], [0, 1e9], [-2.4, 0.04], [1e6, 1e6 + 1]])
def test_axes_hold_their_values_and_have_round_ticks(values):
    axis = linear(values, 0, 100)
    places = [axis.at(value) for value in values]
    assert all(0 <= place <= 100 for place in places)
    assert 1 <= len(axis.ticks) <= 6
    assert all(axis.low <= tick <= axis.high for tick in axis.ticks)


def test_round_ticks_worked_by_hand():
    assert round_ticks(-0.3, 9.7, 4) == (0.0, 2.5, 5.0, 7.5)
    assert round_ticks(0.13, 0.87, 3) == pytest.approx((0.25, 0.5, 0.75))
    assert [short(v) for v in (0, -0.5, 2500, 10e6, 999.9, 1e9, -0.0)] == ["0", "-0.5", "2.5k", "10M", "1k", "1G", "0"]


@pytest.mark.parametrize("values", [[], [0.0], [-2.4, 0.04], [0.1, 25.0], [-0.001, 0.002], [-900.0, 900.0]])
def test_the_axis_of_scores_is_ascending_and_labels_zero(values):
    axis = score_axis(values, 100, 400)
    assert 0 in axis.ticks
    places = [axis.at(value) for value in sorted({0.0, *values})]
    assert places == sorted(places)
    assert all(100 <= place <= 400 for place in places)
    gaps = np.diff([axis.at(tick) for tick in axis.ticks])
    assert (gaps >= 34).all()


# ---------------------------------------------------------------------- bytes, colours


def test_equal_records_give_an_equal_page(asked, text):
    gate = asked.store.root / "gate.json"
    assert text_of(asked, asked.store.report(asked.name), gate) == text


def test_another_score_gives_another_page(page_of, page):
    def change(folder):
        edit_json(folder / "phoenix-s1" / "evaluation.json", evaluations=[evaluation(CI.config, 5.0)])

    other = page_of(change)
    assert games_of(other)["phoenix"] != games_of(page)["phoenix"]
    assert games_of(other)["battle_zone"] == games_of(page)["battle_zone"]
    assert other.one("p", "big").text != page.one("p", "big").text


def luminance(colour: str) -> float:
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(first: str, second: str) -> float:
    low, high = sorted([luminance(first), luminance(second)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_text_and_charts_have_the_contrast_that_wcag_asks_for(theme):
    css = (PAGE_FILES / "page.css").read_text()
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", re.findall(r":root \{(.*?)\}", css, re.DOTALL)[theme]))
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    for text in ("ink", "soft", "link"):
        assert contrast(colours[text], colours["ground"]) >= 4.5
        assert contrast(colours[text], colours["raised"]) >= 4.5
    for kind in ("good", "bad", "care"):
        assert contrast(colours[kind], colours[f"{kind}-ground"]) >= 4.5
        assert contrast(colours["ink"], colours[f"{kind}-ground"]) >= 4.5
    for line in ("series", "random", "published"):
        assert contrast(colours[line], colours["ground"]) >= 3
        assert contrast(colours[line], colours["band"]) >= 3 or line != "series"
