"""The README says what the results say, and its commands exist."""

import configparser
import json
import re
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from matplotlib import image as mpl_image

from benchmarks.__main__ import COMMANDS, GROUPS
from benchmarks.failures.drawings import draw_groups
from benchmarks.gates.calibration_drawing import draw_calibration
from benchmarks.readme import PAGES, PARTS, draw_baseline, draw_doctor, draw_published, draw_speeds, update_page
from benchmarks.store import Store
from benchmarks.suites import SUITES
from dqn_ref.config import TRANSITION_BYTES

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
IMAGES = ROOT / "docs" / "images"


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_generated_parts_are_what_the_results_say(page):
    pinned = re.search(r"^torch==(.+)$", (ROOT / "constraints.txt").read_text(), re.M)[1]
    if "generated: counted" in (ROOT / page).read_text() and version("torch").split("+")[0] != pinned:
        pytest.skip("another PyTorch may need another number of operations")
    assert not update_page(ROOT / page, Store(ROOT / "results"), write=False)


def test_every_known_part_is_in_a_page():
    found = [part for page in PAGES for part in re.findall(r"<!-- generated: (.+?) -->", (ROOT / page).read_text())]
    assert set(found) == set(PARTS)


@pytest.mark.slow
def test_every_drawing_is_what_the_results_say(tmp_path):
    """Bytes of the SVG, points of the PNG: how those are compressed is the processor's business."""
    pinned = re.search(r"^matplotlib==(.+)$", (ROOT / "constraints.txt").read_text(), re.M)[1]
    if version("matplotlib") != pinned:
        pytest.skip("another Matplotlib may draw other lines")
    store = Store(ROOT / "results")
    calibration = json.loads(store.score_calibration.read_text())
    drawn = [
        *draw_baseline(store, tmp_path), *draw_published(tmp_path), *draw_speeds(store, tmp_path),
        *draw_calibration(calibration, tmp_path), *draw_groups(store, tmp_path), *draw_doctor(store, tmp_path),
    ]  # fmt: skip
    committed = [path for path in IMAGES.glob("**/*") if path.is_file()]
    assert {path.relative_to(tmp_path) for path in drawn} == {path.relative_to(IMAGES) for path in committed}
    for path in drawn:
        stored = IMAGES / path.relative_to(tmp_path)
        if path.suffix == ".svg":
            assert stored.read_bytes() == path.read_bytes(), stored
        else:
            assert np.array_equal(mpl_image.imread(stored), mpl_image.imread(path)), stored


@pytest.mark.parametrize("page", [README, *sorted((ROOT / "docs").glob("*.md"))], ids=lambda page: page.name)
def test_images_of_the_pages_are_there(page):
    for image in re.findall(r"!\[.*?\]\((.+?)\)", page.read_text()):
        assert (page.parent / image).exists(), image


def test_a_changed_figure_is_noticed_and_mended(tmp_path, monkeypatch):
    folders = []
    monkeypatch.setattr("benchmarks.readme.draw_published", folders.append)
    for name in ("draw_baseline", "draw_speeds"):
        monkeypatch.setattr(f"benchmarks.readme.{name}", lambda store, folder: folders.append(folder))
    text = README.read_text()
    line = next(line for line in text.splitlines() if line.startswith("| amidar"))
    (tmp_path / "README.md").write_text(text.replace(line, line + " 12345 |"))
    store = Store(ROOT / "results")
    assert update_page(tmp_path / "README.md", store, write=False)
    assert folders == []
    assert update_page(tmp_path / "README.md", store, write=True)
    assert folders == 3 * [tmp_path / "docs" / "images"]
    assert (tmp_path / "README.md").read_text() == text


def test_bytes_a_transition_are_those_of_the_replay():
    assert f"{TRANSITION_BYTES:,} bytes a transition" in README.read_text()


@pytest.mark.parametrize("name", sorted(set(re.findall(r"tox -e ([\w-]+)", README.read_text()))))
def test_tox_environments_of_the_readme_exist(name):
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini")
    assert f"testenv:{name}" in tox


def test_commands_and_suites_of_the_readme_are_all_there_are():
    text = README.read_text()
    table = text[text.index("| command of") : text.index("Suites:")]
    named = {word for row in table.splitlines()[2:] if row for word in re.findall(r"`([a-z-]+)`", row.split("|")[1])}
    assert named == {*COMMANDS, *GROUPS}
    suites = text[text.index("Suites:") :].split(".")[0]
    assert set(re.findall(r"`(\w+)`", suites)) == set(SUITES)
