"""The README says what the results say, and its commands exist."""

import configparser
import json
import re
from importlib.metadata import version
from math import comb
from pathlib import Path

import numpy as np
import pytest
from matplotlib import image as mpl_image

from benchmarks.__main__ import COMMANDS, GROUPS
from benchmarks.doctor.probes.ladder import LADDER
from benchmarks.failures.effects import Verdict
from benchmarks.failures.findings import find
from benchmarks.readme import DRAWINGS, PAGES, PARTS, update_page
from benchmarks.store import Store
from benchmarks.suites import SUITES
from dqn_ref.config import TRANSITION_BYTES, format_frames
from dqn_ref.protocols import NATURE

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
    drawn = [path for draws in DRAWINGS.values() for draw in draws for path in draw(store, tmp_path)]
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
    monkeypatch.setitem(DRAWINGS, "README.md", (lambda store, folder: folders.append(folder),))
    text = README.read_text()
    line = next(line for line in text.splitlines() if line.startswith("| amidar"))
    (tmp_path / "README.md").write_text(text.replace(line, line + " 12345 |"))
    store = Store(ROOT / "results")
    assert update_page(tmp_path / "README.md", store, write=False)
    assert folders == []
    assert update_page(tmp_path / "README.md", store, write=True)
    assert folders == [tmp_path / "docs" / "images"]
    assert (tmp_path / "README.md").read_text() == text


def test_bytes_a_transition_are_those_of_the_replay():
    assert f"{TRANSITION_BYTES:,} bytes a transition" in README.read_text()
    frames = NATURE.config.replay_capacity * NATURE.config.frames_per_agent_step
    replay = f"{NATURE.config.replay_capacity * TRANSITION_BYTES / 1e9:.1f} GB"
    assert f"From {format_frames(frames)} frames on a run of the paper's protocol has {replay} of replay" in " ".join(
        README.read_text().split()
    )


def test_seeds_that_the_score_gate_needs_at_least():
    """So many ways to relabel a game's runs, two statistics: the gate fails below .01 (docs/gates.md)."""
    text = (ROOT / "docs" / "gate-your-own.md").read_text()
    assert "One seed of two games can decide nothing" in text
    assert "with two games give three seeds a side or more, with ten games two" in text
    least = {(games, seeds): 2 / comb(2 * seeds, seeds) ** games for games in (2, 10) for seeds in (1, 2, 3)}
    assert least[2, 1] == 0.5
    assert least[2, 3] < 0.01 < least[2, 2]
    assert least[10, 2] < 0.01


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


def test_what_the_readme_calls_shown_and_not_shown():
    """The 28 details are counted in test_fidelity.py."""
    text = README.read_text()
    assert f"{len(LADDER)} tiny environments, each isolating one cause" in text
    assert "on a CPU than three other implementations" in text
    details = (ROOT / "docs" / "fidelity.md").read_text()
    rows = [line for line in details.splitlines() if line.startswith("| ")]
    assert sum("**deviation**" in row for row in rows) == 9
    assert "pinned by tests, nine of them named deviations" in text
    assert "| [nine details](docs/fidelity.md#deviations-and-why) |" in text
    speed = text[text.index("<!-- generated: speed -->") :]
    peers = re.findall(r"^\| [\w-]+ \| .*\| \*\*\S+\*\* \((\S+) to \S+\) \| \*\*\S+\*\* \((\S+) to", speed, re.M)
    assert len(peers) == 3
    assert all(float(lowest) > 1 for ratios in peers for lowest in ratios)
    words = " ".join(text.split())
    assert (
        "2M frames, 1 % of the paper's. At that budget [nine of ten networks play better than chance](#does-it-learn)"
        in words
    )
    assert "it scores about as that DQN does, in six games, as far as so few seeds can tell. No GPU" in words
    assert "No GPU has run it." in words
    kept = [path for path in (ROOT / "results").glob("*/**/run.json") if path.parts[len(ROOT.parts) + 1] != "runs"]
    runs = [json.loads(path.read_text()) for path in kept]
    assert len(runs) > 100
    assert max(run["frames_done"] for run in runs) == 2_000_000 == NATURE.config.total_frames // 100
    assert all(run["provenance"]["torch"]["gpu"] is None for run in runs)
    assert all(
        json.loads(path.read_text())["machine"].get("gpu") is None
        for path in (ROOT / "results" / "speed").glob("*/*.json")
    )


def test_the_layout_in_the_readme_has_every_page():
    house = README.read_text().split("## Layout")[1]
    assert {path.name for path in (ROOT / "docs").glob("*.md")} == set(re.findall(r"([\w-]+\.md)(?=[,\n])", house))


def test_no_score_decides_an_explanation_at_100k_frames_and_values_that_run_away_show():
    """What the README says of why-dqn-fails.md, and the table of protocols of the protocol `early`."""
    text = " ".join(README.read_text().split())
    assert "At 100k frames no score can settle any of them: even the reference is not shown to be above its" in text
    assert "100k frames: values that run away show, and little else" in text
    found = find(Store(ROOT / "results"), "early-v1-100k")
    assert not {row.judged.verdict for row in found.rows} & {Verdict.CONFIRMED, Verdict.OPPOSITE}
    assert any(each.adjusted is not None and each.adjusted < 0.05 for each in found.inside)
