"""The page in a real browser: what the script adds, with mouse, finger and keyboard; and that it asks for nothing."""

import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest
from chromium import Chromium, find
from fake_pages import HOSTILE, SHOWN, hostile_gate, text_of, write_gate, write_hostile, write_nature, write_suite
from fake_runs import resample_little
from html_tree import parse
from matplotlib.image import imread

import benchmarks.page.charts as charts
import benchmarks.page.content as content
from benchmarks.store import Store

BINARY = find()
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(BINARY is None, reason="no Chromium here: install one, or name it in CHROMIUM"),
]
PHONE = (390, 844)


@pytest.fixture(scope="module")
def browser():
    with Chromium(BINARY) as browser:
        yield browser


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Addresses of three pages: small, the paper's protocol with five seeds, and one full of markup."""
    folder = tmp_path_factory.mktemp("pages")
    with pytest.MonkeyPatch.context() as monkeypatch:
        resample_little(monkeypatch)
        for module, name in ((charts, "performance_profile"), (content, "sample_efficiency")):
            whole = getattr(module, name)
            monkeypatch.setattr(module, name, lambda *data, whole=whole: whole(*data, repetitions=50))
        gate = write_gate(folder / "gate.json")
        made = {
            "small": (write_suite(Store(folder / "small"), without=("phoenix-s1",)), gate),
            "nature": (write_nature(Store(folder / "nature")), gate),
            "hostile": (write_hostile(Store(folder / "hostile")), write_gate(folder / "bad.json", hostile_gate())),
        }
        for name, (asked, gate) in made.items():
            page = folder / f"{name}.html"
            page.write_text(text_of(asked, page, gate), encoding="utf-8")
    return {name: (folder / f"{name}.html").as_uri() for name in made}


@pytest.fixture
def opened(browser, pages):
    """Open a page; when the test ends, nothing was asked for but the page, and nobody has complained."""
    address = None

    def open_page(name="nature", *size, **how):
        nonlocal address
        address = pages[name]
        browser.open(address, *size, **how)
        return browser

    yield open_page
    browser.evaluate("1")  # so that what was reported by now is read
    assert browser.requests() == [address]
    assert browser.complaints() == []


def names(browser, table=".games"):
    return browser.evaluate(
        f"[...document.querySelectorAll('{table} > tbody > tr:not(.detail) > th')].map(e => e.innerText.trim())"
    )


def tip(browser):
    return browser.evaluate("(t => t.hidden ? null : t.innerText)(document.getElementById('tip'))")


def screenshot(browser) -> np.ndarray:
    """RGB values [height, width, 3] of the window."""
    return imread(io.BytesIO(base64.b64decode(browser.call("Page.captureScreenshot", format="png")["data"])))[..., :3]


# ---------------------------------------------------------------------- it loads, and asks for nothing


@pytest.mark.parametrize("name", ["small", "nature", "hostile"])
@pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
def test_a_page_loads_without_a_request_or_a_complaint(opened, name, script):
    browser = opened(name, script=script)
    browser.evaluate("new Promise(done => setTimeout(done, 100))") if script else None
    assert browser.evaluate("document.querySelectorAll('h1').length") == 1


def test_the_policy_is_in_force(browser, pages):
    """A page that tried would be stopped: by script, by style, by image."""
    browser.open(pages["small"])
    tried = browser.evaluate(
        """fetch("https://example.org/").then(() => "fetched", () => "refused").then(first => {
            document.body.insertAdjacentHTML("beforeend", "<p id=probe style='color: rgb(1, 2, 3)'>x</p>");
            const script = document.createElement("script");
            script.textContent = "window.intruded = true";
            document.body.append(script);
            return [first, getComputedStyle(document.getElementById("probe")).color, String(window.intruded)];
        })"""
    )
    assert tried[0] == "refused"
    assert tried[1] != "rgb(1, 2, 3)"
    assert tried[2] == "undefined"
    assert len(browser.complaints()) >= 3


def test_nothing_in_a_record_runs_or_becomes_an_element(opened):
    browser = opened("hostile")
    assert browser.evaluate("document.querySelectorAll('script').length") == 2
    assert browser.evaluate("document.querySelectorAll('img, iframe').length") == 0
    shown = browser.evaluate("document.querySelector('.facts tbody code').textContent")
    assert shown == SHOWN
    assert HOSTILE != SHOWN
    assert "Page.javascriptDialogOpening" not in [event["method"] for event in browser.events]


def test_the_browsers_tree_is_the_one_that_was_written(opened):
    """Nothing had to be mended: the elements are those of a strict reader, in its order."""
    browser = opened("nature", script=False)
    tags = browser.evaluate("[...document.querySelectorAll('*')].map(e => e.tagName.toLowerCase())")
    file = Path(browser.evaluate("location.pathname"))
    written = parse(file.read_text(encoding="utf-8"))
    assert tags == [each.tag for each in written.walk()][1:]


# ---------------------------------------------------------------------- sorting


def test_a_click_sorts_and_another_turns_the_order(opened):
    browser = opened()
    state = "[...document.querySelectorAll('.games > thead th')].map(e => e.getAttribute('aria-sort'))"
    assert names(browser) == ["battle_zone", "name_this_game", "phoenix"]
    assert set(browser.evaluate(state)) == {"none"}
    button = ".games > thead th:nth-child(5) button"  # human: 37,187.5, 8,049.0, 7,242.6
    browser.point(*browser.centre(button), click=True)
    assert names(browser) == ["battle_zone", "name_this_game", "phoenix"]
    assert browser.evaluate(state)[4] == "descending"
    browser.point(*browser.centre(button), click=True)
    assert names(browser) == ["phoenix", "name_this_game", "battle_zone"]
    assert browser.evaluate(state) == ["none"] * 4 + ["ascending", "none"]


def test_the_keyboard_sorts(opened):
    browser = opened()
    browser.evaluate("document.querySelector('.games > thead th button').focus()")
    browser.press("Enter")
    assert names(browser) == ["battle_zone", "name_this_game", "phoenix"]
    browser.press("Enter")
    assert names(browser) == ["phoenix", "name_this_game", "battle_zone"]
    browser.press("Tab", "Enter")  # HNS
    sort = "document.querySelector('.games > thead th:nth-child(2)').getAttribute('aria-sort')"
    assert browser.evaluate(sort) == "descending"


def test_numbers_sort_as_numbers_and_a_seed_stays_with_its_game(opened):
    """As text, 1,000 would stand before 6; and a detail row must not be left behind."""
    browser = opened("small")
    browser.evaluate(
        "[['9', '-2', ''].forEach((value, k) => document.querySelectorAll('.games > tbody')[k].rows[0].cells[2]"
        ".dataset.value = value)]"
    )
    for expected in (["battle_zone", "name_this_game", "phoenix"], ["name_this_game", "battle_zone", "phoenix"]):
        browser.point(*browser.centre(".games > thead th:nth-child(3) button"), click=True)
        assert names(browser) == expected  # without a score: last, both ways
    follow = "[...document.querySelectorAll('.games > tbody')].map(b => b.rows[1].id)"
    assert browser.evaluate(follow) == [f"detail-{name}" for name in names(browser)]


def test_times_of_runs_sort_too(opened):
    browser = opened()
    browser.point(*browser.centre("#cost summary"), click=True)
    before = names(browser, "#cost .sortable")
    browser.point(*browser.centre("#cost .sortable thead th button"), click=True)
    assert names(browser, "#cost .sortable") == sorted(before) != before


# ---------------------------------------------------------------------- unfolding


def visible(browser, selector):
    return browser.evaluate(f"document.querySelector('{selector}').checkVisibility()")


def test_seeds_unfold_by_mouse_and_by_key(opened):
    browser = opened()
    assert not visible(browser, "#detail-phoenix")
    button = "[aria-controls=detail-phoenix]"
    browser.point(*browser.centre(button), click=True)
    assert visible(browser, "#detail-phoenix")
    assert not visible(browser, "#detail-battle_zone")
    assert browser.evaluate(f"document.querySelector('{button}').getAttribute('aria-expanded')") == "true"
    browser.press("Enter")
    assert not visible(browser, "#detail-phoenix")
    every = "#games .plain"
    browser.point(*browser.centre(every), click=True)
    assert visible(browser, "#detail-phoenix")
    assert visible(browser, "#detail-battle_zone")
    assert browser.evaluate(f"document.querySelector('{every}').innerText") == "Hide the seeds"


def test_without_script_everything_is_there(opened):
    browser = opened(script=False)
    assert visible(browser, "#detail-phoenix")
    assert browser.evaluate("document.querySelectorAll('button').length") == 0
    for key in ("intervals", "games", "profile", "efficiency", "curve-phoenix"):
        assert (
            browser.evaluate(f"document.querySelector('[data-chart={key}] svg').getBoundingClientRect().height") > 100
        )
    assert browser.evaluate("document.querySelectorAll('[role=slider]').length") == 0


# ---------------------------------------------------------------------- charts


def where(browser, key, series, point):
    """Where a point of a chart lies in the window: computed here from the page's data and the drawing's place."""
    chart = browser.evaluate(f"JSON.parse(document.getElementById('data').textContent)['{key}']")
    browser.centre(f"[data-chart={key}]")
    left, top, width = browser.evaluate(
        f"(b => [b.x, b.y, b.width])(document.querySelector('[data-chart={key}] svg').getBoundingClientRect())"
    )
    row = chart["series"][series]
    if "at" in row:
        x, y = row["at"][point]
    else:
        x, y = (
            scale[2] + (row[name][point] - scale[0]) / (scale[1] - scale[0]) * (scale[3] - scale[2])
            for name, scale in chart["scale"].items()
        )
    unit = width / float(browser.evaluate(f"document.querySelector('[data-chart={key}] svg').viewBox.baseVal.width"))
    return left + x * unit, top + y * unit


def test_the_mouse_reads_seed_frames_and_value(opened):
    """Phoenix, seed 3: 761.4 + 6,481.2 * 0.35 * frames / 10M, the mean of four episodes."""
    browser = opened()
    browser.point(*where(browser, "curve-phoenix", 3, 8))
    mean = np.mean([int(761.4 + 6481.2 * 0.35 * f / 40) for f in (33, 34, 35, 36)])
    assert tip(browser) == f"seed 3\nreturn {float(f'{mean:.4g}'):,.0f} at 9,000,000 frames"
    lit = "[...document.querySelectorAll('[data-chart=curve-phoenix] .lit')].map(e => e.dataset.series)"
    assert set(browser.evaluate(lit)) == {"3"}
    browser.point(5, 5)
    assert tip(browser) is None
    assert browser.evaluate(lit) == []


def test_every_chart_can_be_read_with_the_mouse(opened):
    browser = opened()
    browser.point(*where(browser, "games", 1, 2))
    assert re.fullmatch(r"name_this_game\nseed 1: 0\.250", tip(browser))
    browser.point(*where(browser, "intervals", 0, 0))
    assert re.fullmatch(r"IQM\n0\.300 \[\S+, \S+\]", tip(browser))
    browser.point(*where(browser, "profile", 0, 0))
    assert tip(browser).startswith("share of runs\n100% of runs score above")
    browser.point(*where(browser, "efficiency", 0, 9))
    assert tip(browser).startswith("IQM\nscore 0.2")


def test_a_finger_reads_too(opened):
    browser = opened("nature", *PHONE)
    x, y = where(browser, "curve-name_this_game", 0, 9)  # at the right edge
    browser.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
    assert tip(browser).startswith("seed 0\n")
    assert tip(browser).endswith("at 10,000,000 frames")
    box = browser.evaluate("(b => [b.left, b.right])(document.getElementById('tip').getBoundingClientRect())")
    assert 0 <= box[0] < box[1] <= PHONE[0]  # whole on the screen
    browser.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])


def test_arrow_keys_read_a_chart_and_say_it(opened):
    browser = opened()
    plot = "document.querySelector('[data-chart=curve-phoenix]')"
    browser.evaluate(f"{plot}.focus({{focusVisible: true}})")
    said = f"{plot}.getAttribute('aria-valuetext')"
    assert tip(browser).startswith("published\n")  # the newest point of the last series
    browser.press("ArrowUp")
    assert browser.evaluate(said).startswith("mean of seeds, return ")
    assert browser.evaluate(said).endswith("at 10,000,000 frames")
    browser.press("ArrowUp", "Home")
    assert browser.evaluate(said).startswith("seed 4, ")
    assert browser.evaluate(said).endswith("at 1,000,000 frames")
    browser.press("ArrowLeft")  # there is nothing further left
    assert browser.evaluate(said).endswith("at 1,000,000 frames")
    browser.press("ArrowRight")
    assert browser.evaluate(said).endswith("at 2,000,000 frames")
    browser.press("ArrowDown", "ArrowDown", "ArrowDown")  # mean, published, and round to the first
    assert browser.evaluate(said).startswith("seed 0, ")
    assert browser.evaluate(said).endswith("at 2,000,000 frames")
    assert tip(browser) == browser.evaluate(said).replace(", ", "\n", 1)
    browser.press("End", "Escape")
    assert tip(browser) is None
    now, most = browser.evaluate(f"[{plot}.ariaValueNow, {plot}.ariaValueMax].map(Number)")
    assert 1 <= now <= most == 5 * 10 + 10 + 4


def test_sections_come_in_order_and_every_stop_of_the_keyboard_is_seen(opened):
    browser = opened()
    stops = []
    for _ in range(100):
        browser.press("Tab")
        stop = browser.evaluate(
            """(e => e === document.body ? null : {
                name: e.dataset.chart || e.getAttribute("aria-label") || e.innerText.trim(),
                top: e.getBoundingClientRect().top + scrollY, tag: e.tagName, section: e.closest("section")?.id ?? null,
                outline: getComputedStyle(e).outlineStyle, seen: e.checkVisibility(),
            })(document.activeElement)"""
        )
        if stop is None:
            break
        stops.append(stop)
    assert stops[0]["name"] == "Skip to the result"
    assert [stop["name"] for stop in stops[1:9]][:3] == ["Result", "Gates", "Games"]
    assert all(stop["outline"] != "none" and stop["seen"] for stop in stops)
    sections = [stop["section"] for stop in stops[9:] if stop["section"]]
    order = ["result", "gates", "games", "curves", "protocol", "provenance", "cost", "reproduce"]
    assert list(dict.fromkeys(sections)) == order
    assert sections == sorted(sections, key=order.index)  # no jumping to and fro
    assert {"intervals", "games", "profile", "curve-phoenix", "efficiency"} <= {stop["name"] for stop in stops}


def test_the_skip_link_leads_to_the_result(opened):
    browser = opened()
    browser.press("Tab")
    assert browser.evaluate("document.activeElement.getBoundingClientRect().top") >= 0
    browser.press("Enter")
    assert browser.evaluate("location.hash") == "#result"
    assert browser.evaluate("document.activeElement.id") == "result"


def test_what_a_screen_reader_is_told_has_names(opened):
    browser = opened()
    nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    shown = [node for node in nodes if not node["ignored"]]
    role = lambda node: node["role"]["value"]  # noqa: E731
    for node in shown:
        if role(node) in (
            "button",
            "link",
            "slider",
            "table",
            "region",
            "image",
            "heading",
            "columnheader",
            "navigation",
        ):
            assert node["name"]["value"].strip(), node
    counts = {kind: sum(role(node) == kind for node in shown) for kind in ("slider", "main", "banner", "contentinfo")}
    assert counts == {"slider": 4 + 3, "main": 1, "banner": 1, "contentinfo": 1}


# ---------------------------------------------------------------------- screens, themes, paper


@pytest.mark.parametrize("name", ["small", "nature", "hostile"])
@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_no_screen_scrolls_sideways(opened, name, width):
    browser = opened(name, width, 844)
    browser.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    browser.point(*browser.centre("#games .plain"), click=True)
    assert browser.evaluate("document.documentElement.scrollWidth") == width
    wide = """[...document.querySelectorAll('main *')].filter(e => !e.closest('.scroll, pre, svg, caption, .big')
        && e.checkVisibility() && e.getBoundingClientRect().right > innerWidth + 1)
        .map(e => e.outerHTML.slice(0, 80))"""
    assert browser.evaluate(wide) == []


def test_letters_on_a_phone_are_large_enough_to_read(opened):
    browser = opened("nature", *PHONE)
    sizes = browser.evaluate(
        """[...document.querySelectorAll('svg text')].map(t =>
            parseFloat(getComputedStyle(t).fontSize) * t.getScreenCTM().a)"""
    )
    assert len(sizes) > 50
    assert min(sizes) >= 8.5
    plain = (
        "[...document.querySelectorAll('p, td, th, dd, li, button')].map(e => parseFloat(getComputedStyle(e).fontSize))"
    )
    assert min(browser.evaluate(plain)) >= 12


def test_what_is_pressed_on_a_phone_is_large_enough(opened):
    """24 CSS pixels, as WCAG 2.2 asks for."""
    browser = opened("nature", *PHONE)
    heights = "[...document.querySelectorAll('button, summary, nav a')].map(e => e.getBoundingClientRect().height)"
    assert min(browser.evaluate(heights)) >= 24


def test_dark_is_dark_and_light_is_light(opened):
    dark = screenshot(opened("nature", prefers_color_scheme="dark"))
    light = screenshot(opened("nature", prefers_color_scheme="light"))
    assert np.median(dark) < 0.15
    assert np.median(light) > 0.95
    assert dark.max() > 0.85  # and there is light text on it
    assert light.min() < 0.2


def test_nothing_moves_for_those_who_asked_for_it(opened):
    scrolling = "getComputedStyle(document.documentElement).scrollBehavior"
    assert opened(prefers_reduced_motion="reduce").evaluate(scrolling) == "auto"
    browser = opened(prefers_reduced_motion="no-preference")
    assert browser.evaluate(scrolling) == "smooth"
    moving = "[...document.querySelectorAll('*')].filter(e => getComputedStyle(e).transitionDuration !== '0s').length"
    assert browser.evaluate(moving) == 0


def test_paper_is_white_shows_what_is_folded_and_no_control(opened):
    browser = opened(prefers_color_scheme="dark")
    browser.call(
        "Emulation.setEmulatedMedia", media="print", features=[{"name": "prefers-color-scheme", "value": "dark"}]
    )
    assert browser.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 255)"
    for gone in ("nav", ".skip", "#games .plain", ".copy"):
        assert not visible(browser, gone), gone
    assert visible(browser, "#detail-phoenix")
    height = "document.querySelector('#protocol details table').getBoundingClientRect().height"
    assert browser.evaluate(height) > 300
    printed = browser.call("Page.printToPDF", preferCSSPageSize=True)
    assert base64.b64decode(printed["data"]).startswith(b"%PDF")
    assert browser.evaluate("document.querySelectorAll('details[open]').length") == 0  # as it was before


def test_a_command_is_copied_whole(opened):
    browser = opened()
    browser.call("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    browser.point(*browser.centre(".steps li:nth-child(2) .copy"), click=True)
    browser.evaluate("new Promise(done => setTimeout(done, 100))")
    copied = browser.evaluate("navigator.clipboard.readText()")
    assert copied == browser.evaluate("document.querySelector('.steps li:nth-child(2) pre').textContent")
    assert copied.startswith("python -m benchmarks run atari3 --protocol nature --frames 10M --seeds 5")
    assert browser.evaluate("document.querySelector('.steps li:nth-child(2) .copy').innerText") == "Copied"


def test_only_what_scrolls_is_a_stop_of_the_keyboard(opened):
    drawn = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
    stops = "[...document.querySelectorAll('.scroll, pre')].map(e => [e.tabIndex === 0, e.scrollWidth > e.clientWidth])"
    found = []
    for width in (1280, 390):
        browser = opened("nature", width, 900)
        browser.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        browser.evaluate(drawn)
        found += browser.evaluate(stops)
    assert [stop for stop, _ in found] == [scrolls for _, scrolls in found]
    assert {stop for stop, _ in found} == {True, False}
