"""Every stored measurement of a machine is in its trend, those that were replaced included, oldest first."""

import json
import shutil
from pathlib import Path
from statistics import median

import pytest

from benchmarks.speed.result import ratios
from benchmarks.speed.trend import draw_trends, lines, measurements, peers_trend, speed_trend

ROOT = Path(__file__).parent.parent
MACHINE = ROOT / "results" / "speed" / "amd-epyc-avx512-bf16-2-cores"
OLDEST_FORM = ROOT / "results" / "speed" / "amd-epyc-2-cores" / "peers.json"
SPEED = json.loads((MACHINE / "speed.json").read_text())
PEERS = json.loads((MACHINE / "peers.json").read_text())


@pytest.fixture(autouse=True)
def coarse(monkeypatch):
    monkeypatch.setattr("benchmarks.plots.style.DPI", 50)


def slower(result, factor):
    """The same, every time ``factor`` times as long but for the calibration kernels."""
    benchmarks = {
        name: each if name in ("convolution", "memory_copy", "emulator")
        else each | {"seconds": [seconds * factor for seconds in each["seconds"]]}
        for name, each in result["benchmarks"].items()
    }  # fmt: skip
    return result | {"benchmarks": benchmarks}


@pytest.fixture
def machine(tmp_path):
    """Three measurements, the newest twice as fast; the names are those the store gives."""
    folder = tmp_path / "machine"
    folder.mkdir()
    early = slower(SPEED, 2.0) | {"started": "2026-01-01T10:00:00+00:00", "source": {"commit": "e" * 40, "dirty": True}}
    middle = slower(SPEED, 2.0) | {"started": "2026-02-01T10:00:00+00:00"}
    (folder / "speed.until-2026-02-01T100500+0000.json").write_text(json.dumps(early))
    (folder / "speed.until-2026-11-22T114900+0000.json").write_text(json.dumps(middle))
    (folder / "speed.json").write_text(json.dumps(SPEED))
    (folder / "speed-quick.json").write_text("not one of them")
    return folder


def panels(figure):
    return {axis.get_title(): axis for axis in figure.axes}


def said(figure):
    return " ".join(text.get_text().replace("\n", " ") for text in figure.texts)


def test_measurements_are_read_oldest_first_with_those_that_were_replaced(machine):
    taken = measurements(machine, "speed")
    assert [each.when[:7] for each in taken] == ["2026-01", "2026-02", "2026-11"]
    assert taken[0].words == "2026-01-01 10:00, source eeeeeeeeee with uncommitted changes"
    assert measurements(machine, "peers") == []


def test_ratios_and_rates_of_each_measurement_are_drawn(machine):
    figure = speed_trend(measurements(machine, "speed"))
    drawn = panels(figure)
    found = ratios(SPEED["benchmarks"])
    playing = drawn["training over playing"].get_lines()
    sizes = [text.get_text() for text in figure.legends[0].get_texts()]
    assert sizes == ["1 member", "2 members", "4 members", "atari10, one of each game"]
    for line, size in zip(playing, ("1", "2", "4", "atari10"), strict=True):
        assert line.get_ydata().tolist() == pytest.approx([found[f"training_over_playing[{size}]"]] * 3)
    update = drawn["update over convolution"].get_lines()[0].get_ydata()
    assert update.tolist() == pytest.approx([found["update_over_convolution[1]"] * factor for factor in (2, 2, 1)])
    each = SPEED["benchmarks"]["training[4]"]
    rate = each["work"] / median(each["seconds"])
    assert drawn["training, frames/s"].get_lines()[2].get_ydata().tolist() == pytest.approx([rate / 2, rate / 2, rate])
    for axis in figure.axes:
        low, high = axis.get_ylim()
        assert low == 0
        assert all(high > max(line.get_ydata()) for line in axis.get_lines() if line.get_ydata().size)
    assert "3 measurements. 1: 2026-01-01 10:00, source eeeeeeeeee with uncommitted changes; 2: " in said(figure)
    assert "no trend" not in said(figure)


def test_one_measurement_is_points_and_says_so():
    figure = speed_trend(measurements(MACHINE, "speed")[:1])
    assert "1 measurement. 1: 2026-11-22 11:48, source e4899e1a35. One measurement: no trend yet." in said(figure)
    axis = panels(figure)["updates/s"]
    assert axis.get_xticks().tolist() == [1]
    assert [len(line.get_xdata()) for line in axis.get_lines()] == [1, 1, 1, 0]  # no update of the suite


def test_sizes_that_were_not_trained_are_left_out():
    assert "playing[2]" in lines(SPEED["benchmarks"])
    assert "playing[2]" not in lines({k: v for k, v in SPEED["benchmarks"].items() if k != "training[2]"})


def test_speeds_beside_peers_are_medians_of_the_rounds_and_their_ends():
    taken = measurements(MACHINE, "peers")
    assert [each.source for each in taken][:2] == ["9a58086535 with uncommitted changes", "34de9043e6"]
    assert taken[-1].source == PEERS["source"]["commit"][:10]
    count = len(list(MACHINE.glob("peers*.json")))
    assert len(taken) == count
    figure = peers_trend(taken)
    drawn = panels(figure)
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    speeds = dict(zip(names, drawn["agent steps/s while learning"].get_lines(), strict=True))
    for name, rounds in PEERS["agent_steps_per_second"].items():
        assert speeds[name].get_ydata()[-1] == median(rounds)
    assert list(drawn) == ["agent steps/s while learning", "dqn-ref float32 : peer", "dqn-ref bfloat16 : peer"]
    for own in ("dqn-ref float32", "dqn-ref bfloat16"):
        *points, one = drawn[f"{own} : peer"].get_lines()
        assert set(one.get_ydata()) == {1}
        bars = [path.get_extents() for each in drawn[f"{own} : peer"].collections for path in each.get_paths()]
        for place, stored in enumerate(PEERS["ratios"][own].values()):  # what the comparison itself computed
            assert points[place].get_ydata()[-1] == pytest.approx(stored["median"])
            assert bars[count * place + count - 1].y0 == pytest.approx(stored["lowest"])
            assert bars[count * place + count - 1].y1 == pytest.approx(stored["highest"])


def test_the_oldest_form_is_drawn_without_a_date(tmp_path):
    shutil.copy(OLDEST_FORM, tmp_path / "peers.json")
    taken = measurements(tmp_path, "peers")
    assert taken[0].words == "undated, source 3b93db30ff"
    figure = peers_trend(taken)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["dqn-ref float32", "stable-baselines3"]
    (point, _) = figure.axes[1].get_lines()
    assert point.get_ydata()[0] == pytest.approx(json.loads(OLDEST_FORM.read_text())["ratio"])


def test_a_contestant_of_some_measurements_only_has_points_there():
    older = PEERS | {"agent_steps_per_second": dict(list(PEERS["agent_steps_per_second"].items())[:3])}
    taken = measurements(MACHINE, "peers")
    mixed = [type(taken[0])("2026-01-01", "a", older), taken[-1]]
    figure = peers_trend(mixed)
    tianshou = figure.axes[0].get_lines()[-1]
    assert len(tianshou.get_xdata()) == 1
    assert round(tianshou.get_xdata()[0]) == 2


def test_trends_are_written_where_there_is_something_and_equal_data_give_equal_files(machine, tmp_path):
    first, second = (draw_trends(machine, tmp_path / name) for name in ("first", "second"))
    assert [path.name for path in first] == ["speed_trend.png", "speed_trend.svg"]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    (tmp_path / "bare").mkdir()
    assert draw_trends(tmp_path / "bare", tmp_path / "none") == []
    assert not (tmp_path / "none").exists()
