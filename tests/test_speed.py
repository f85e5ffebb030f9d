"""The speed benches: names, arithmetic by hand on a made-up measurement, drawings, the real command in tiny sizes."""

import dataclasses
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.readme import draw_speeds
from benchmarks.speed import bench_speed, catalogue, host_work, result, workloads
from benchmarks.speed.catalogue import BENCHES, RATIOS, expected_names, stream_counts
from benchmarks.speed.clocks import Watched, bytes_of_tensors, time_split
from benchmarks.speed.drawings import DRAWINGS, draw_speed
from benchmarks.store import Store
from dqn_ref.build import make_population
from dqn_ref.config import UserError
from dqn_ref.launch import Captured
from dqn_ref.provenance import machine_words
from dqn_ref.seeds import Member
from dqn_ref.time_split import TimeSplit

cli = importlib.import_module("benchmarks.speed.__main__")
ROOT = Path(__file__).parent.parent


def split(**changes):
    """A second and a half of 100 steps."""
    return {
        "agent_steps": 100, "wall": 1.5, "emulator": 0.6, "network": 0.3, "learner": 0.4, "device_wait": 0.25,
    } | changes  # fmt: skip


def training(members, iteration_seconds):
    return {
        "unit": "frames", "work": 16 * members, "members": members, "iterations_per_sample": 1,
        "seconds": [iteration_seconds * factor for factor in (0.5, 1.0, 3.0)],  # the median is what counts
        "replay_bytes": 70_000_000 * members, "memory_bytes": 100_000_000 * members,
        "split": [split(), split(wall=1.7)],
    }  # fmt: skip


def sample(name, seconds, work):
    return {"unit": BENCHES[name].unit, "work": work, "iterations_per_sample": 10, "seconds": [seconds] * 3}


def made_up():
    """Round numbers: a step of P members takes 0.010 + 0.005 P seconds."""
    measured = {
        "convolution": sample("convolution", 0.002, 1),
        "arithmetic": sample("arithmetic", 0.064, 8),
        "memory_copy": sample("memory_copy", 0.010, 1),
        "emulator": sample("emulator", 0.001, 4),
        "evaluation": sample("evaluation", 3.0, 1_500),
    }
    for members in (1, 2, 4):
        measured |= {
            f"playing[{members}]": sample("playing", 0.006, 4 * members),
            f"acting[{members}]": sample("acting", 0.001 * members, members),
            f"replay_sample[{members}]": sample("replay_sample", 0.005 * members, members),
            f"update[{members}]": sample("update", 0.020 * members, members),
            f"training[{members}]": training(members, 4 * (0.010 + 0.005 * members)),
        }
    return measured


def stored(measured=None, **changes):
    measured = measured or made_up()
    return {
        "schema": 1, "seconds": 60.0, "quick": False, "device": "cpu", "machine": {"cpu": "Abacus", "cores": 2},
        "torch": {"precision": "float32"}, "source": {"commit": "0123456789abcdef", "dirty": False},
        "benchmarks": measured,
    } | changes  # fmt: skip


def printed(table):
    console = Console(width=200, color_system=None)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


# ---------------------------------------------------------------------- names


def test_an_update_is_set_beside_its_arithmetic():
    """20 ms an update; 64 ms the arithmetic of eight, 8 ms that of one: 2.5 times as long."""
    words = "An update of one member takes 2.50 times what its arithmetic takes"
    [line] = [line for line in result.summary(made_up(), "cpu") if line.startswith(words)]
    # two spans of 100 steps: 1.5 + 1.7 s, of them 0.4 + 0.4 s learning, which would be 0.32 s: 3.2 / 2.72
    assert "Training of one member would be 1.18 times as fast" in line
    assert not any("times as fast" in line for line in result.summary(made_up(), "cuda"))
    older = {name: each for name, each in made_up().items() if name != "arithmetic"}
    assert not any("its arithmetic" in line for line in result.summary(older, "cpu"))


def test_the_arithmetic_of_an_update_is_counted():
    config = workloads.small_config(100, 40)
    population, _ = workloads.filled_population(config, [Member("breakout", 0)], torch.device("cpu"), 60)
    with FlopCounterMode(display=False) as counter:
        population.learn()
    assert counter.get_total_flops() == workloads.UPDATE_FLOP
    product, work = workloads.arithmetic(torch.device("cpu"), 64)
    with FlopCounterMode(display=False) as counter:
        product()
    assert counter.get_total_flops() == pytest.approx(work * workloads.UPDATE_FLOP)


def test_every_kind_has_a_bench_and_every_bench_is_known():
    assert {name.removeprefix("bench_") for name in vars(bench_speed) if name.startswith("bench_")} == set(BENCHES)


def test_the_names_of_a_run_are_fixed():
    assert expected_names([1, 2], cores=2, suite=True) == [
        "convolution", "arithmetic", "memory_copy", "emulator",
        "playing[1]", "playing[2]", "playing[4]", "playing[atari10]", "acting[1]", "acting[2]",
        "replay_store[1]", "replay_store[2]", "replay_sample[1]", "replay_sample[2]",
        "update[1]", "update[2]", "target_sync[1]", "target_sync[2]",
        "host[1]", "host[4]", "host[16]", "host[atari10]",
        "training[1]", "training[2]", "training[atari10]", "evaluation", "statistics",
    ]  # fmt: skip
    assert "statistics" not in expected_names([1], 2, False, without=["rliable"])


@pytest.mark.parametrize(
    ("members", "cores", "counts"),
    [
        ([1], 1, [1, 2]),
        ([1, 2, 4], 2, [1, 2, 4]),
        ([3], 2, [1, 2, 3, 4]),
        ([16], 16, [1, 2, 4, 8, 16, 32]),
        ([100], 192, [1, 2, 4, 8, 16, 32, 64, 100]),
    ],
)
def test_streams_reach_twice_the_cores_and_hold_every_population(members, cores, counts):
    assert stream_counts(members, cores) == counts


def test_ratios_are_of_known_benchmarks():
    assert {name for ratio in RATIOS for name in (ratio.above, ratio.below)} <= set(BENCHES)


# ---------------------------------------------------------------------- the host's own work


def test_the_hosts_work_is_the_loops_without_emulators_and_networks(monkeypatch):
    """Every step is drawn for and stored; no game goes on, nothing is learnt, no network is asked."""
    made = []
    monkeypatch.setattr(host_work, "make_population", lambda *each: made.append(make_population(*each)) or made[0])
    config = dataclasses.replace(
        workloads.small_config(100, 40), max_episode_frames=40
    )  # no game is cut for its length
    call, frames = host_work.host_work(config, [Member("breakout", 0), Member("pong", 1)], torch.device("cpu"))
    (population,) = made
    before = population.replay._added
    assert before == host_work.RING + 1 > population.replay.size
    weights = [weight.clone() for agent in population.agents for weight in agent.learner.weights]
    for agent in population.agents:
        monkeypatch.setattr(agent.learner, "values", None)
        monkeypatch.setattr(agent.learner, "update", None)
    drawn = [agent.random_state()["sampling"] for agent in population.agents]
    call()
    assert frames == 16
    assert population.replay._added - before == 4
    assert all(agent.random_state()["sampling"] != was for agent, was in zip(population.agents, drawn, strict=True))
    some = population.replay.batch(*(torch.tensor(each) for each in ([50, 60], [0, 0])))
    assert torch.equal(some.s_t[0], some.s_t[1])
    assert some.s_t.any()
    assert all(map(torch.equal, weights, (weight for agent in population.agents for weight in agent.learner.weights)))


# ---------------------------------------------------------------------- raw JSON


def raw(*names):
    return {
        "benchmarks": [
            {"name": name, "extra_info": {"work": 2}, "stats": {"iterations": 5, "data": [0.5, 0.25]}} for name in names
        ]
    }


def test_raw_samples_are_kept_with_their_work_and_unit():
    found = result.benchmarks_of(raw("bench_update[2]", "bench_convolution"), ["convolution", "update[2]"])
    assert list(found) == ["convolution", "update[2]"]
    assert found["update[2]"] == {"unit": "updates", "work": 2, "iterations_per_sample": 5, "seconds": [0.5, 0.25]}


@pytest.mark.parametrize("names", [("bench_update[2]",), ("bench_convolution", "bench_update[2]", "bench_other"),
                                   ("bench_convolution", "bench_update[2]", "bench_update[2]")])  # fmt: skip
def test_a_missing_an_unknown_and_a_double_benchmark_are_refused(names):
    with pytest.raises(UserError, match="not those asked for"):
        result.benchmarks_of(raw(*names), ["convolution", "update[2]"])


# ---------------------------------------------------------------------- arithmetic by hand


def test_a_unit_is_the_median_sample_over_its_work():
    assert result.unit_seconds({"x": {"seconds": [3.0, 1.0, 8.0], "work": 2}}, "x") == 1.5
    assert result.spread([1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx((4 - 2) / 3)


def test_ratios():
    found = result.ratios(made_up())
    # playing 4 frames in 6 ms, training 16 frames in 4 * 15 ms: 6 ms against 15 ms a step
    assert found["training_over_playing[1]"] == pytest.approx(6 / 15)
    assert found["training_over_playing[4]"] == pytest.approx(6 / 30)
    assert found["update_over_convolution[4]"] == pytest.approx(10)  # each of 4 updates takes 20 ms, one pass 2 ms
    assert found["sample_over_copy[2]"] == pytest.approx(0.5)
    assert found["acting_over_update[1]"] == pytest.approx(0.05)
    assert found["playing_over_emulator[2]"] == pytest.approx((6 / 8) / (1 / 4))
    assert len(found) == 5 * 3


def test_the_fit_recovers_a_straight_line_and_says_how_far_it_is_off():
    fit = result.step_fit(made_up())
    assert fit == pytest.approx({"base": 0.010, "per_member": 0.005, "largest_misfit": 0, "most": 4}, abs=1e-12)
    bent = made_up() | {"training[4]": training(4, 4 * 0.040)}  # steps of 15, 20 and 40 ms
    mean_p, mean_t = 7 / 3, 25.0  # least squares by hand, in milliseconds
    slope = sum((p - mean_p) * (t - mean_t) for p, t in ((1, 15), (2, 20), (4, 40))) / (16 / 9 + 1 / 9 + 25 / 9)
    fit = result.step_fit(bent)
    assert fit["per_member"] == pytest.approx(slope / 1e3)
    assert fit["base"] == pytest.approx((mean_t - slope * mean_p) / 1e3)
    assert fit["largest_misfit"] == pytest.approx(abs(mean_t + slope * (2 - mean_p) - 20) / 20)


def test_one_population_allows_no_fit():
    assert result.step_fit({"training[2]": training(2, 0.1)}) is None


def test_the_split_of_a_step():
    """Two chunks, 200 steps in 3.2 s; 1.2 s of it for the emulators, 0.6 and 0.8 s of network and learner."""
    parts = result.split_of(made_up(), "2", "cpu")
    assert parts == pytest.approx(
        {"wall": 0.016, "emulator": 0.006, "network": 0.003, "learner": 0.004, "rest": 0.003,
         "host_overhead": 0.003, "emulators_alone": 0.006}
    )  # fmt: skip
    on_gpu = result.split_of(made_up(), "2", "cuda")  # there only 0.5 s were spent waiting for the device
    assert on_gpu["host_overhead"] == pytest.approx(0.016 - 0.006 - 0.0025)


def test_memory_of_a_member_is_what_the_replay_leaves():
    assert result.member_bytes(made_up()["training[4]"]) == 30_000_000
    assert "30.0 MB" in result.summary(made_up(), "cpu")[1]
    assert "7.11 GB" in result.summary(made_up(), "cpu")[1]  # 1M transitions of 7,084 bytes, and 30 MB


def test_the_hosts_work_is_set_beside_a_stream_that_plays_alone():
    """3.6 ms for four steps, which are 16 frames of each member; a stream plays 4 frames in 6 ms: 0.9 of 6."""
    measured = made_up() | {"host[16]": sample("host", 0.0036, 16)}
    words = "The host's own work for 16 members takes 15% of the time in which one stream plays its step"
    assert [words in line for line in result.summary(measured, "cuda")].count(True) == 1
    assert not any("own work" in line for line in result.summary(made_up(), "cuda"))


# ---------------------------------------------------------------------- tables


def test_the_tables_show_the_numbers():
    text = printed(result.benchmark_table(made_up()))
    row = next(line.split() for line in text.splitlines() if "update[4]" in line)
    assert row == ["update[4]", "3", "20,000.00", "0.0%", "50", "updates"]
    row = next(line for line in printed(result.ratio_table(made_up())).splitlines() if "training_over" in line)
    assert row.split()[1:4] == ["0.4", "0.3", "0.2"]
    text = printed(result.split_table(made_up(), "cpu"))
    assert ["host", "overhead", "3,000.0", "18.8%", "3,000.0", "18.8%"] in [line.split() for line in text.splitlines()]
    assert "over emulators" in text
    assert "50.0%" in text
    assert result.summary(made_up(), "cpu")[0].startswith(
        "A step of P members of one game takes about 10,000 + 5,000 * P µs (up to 4 of them; largest misfit 0%)."
    )
    assert "Not measured: statistics." in result.summary(made_up(), "cpu")


# ---------------------------------------------------------------------- drawings


def test_equal_measurements_give_equal_drawings_and_others_others(tmp_path):
    files = draw_speed(stored(), tmp_path / "a")
    assert {path.name for path in files} == {f"{name}{kind}" for name in DRAWINGS for kind in (".png", ".svg")}
    draw_speed(json.loads(json.dumps(stored())), tmp_path / "b")
    faster = made_up()
    for each in faster.values():
        each["seconds"] = [seconds / 2 for seconds in each["seconds"]]
        each["memory_bytes"] = each.get("memory_bytes", 0) * 2
    draw_speed(stored(faster), tmp_path / "c")
    for path in files:
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
        assert path.read_bytes() != (tmp_path / "c" / path.name).read_bytes()


def test_a_drawing_names_its_machine_and_a_tiny_one_says_so(tmp_path):
    draw_speed(stored(quick=True), tmp_path)
    for path in tmp_path.glob("*.svg"):
        text = path.read_text()
        assert "2 cores of Abacus" in text
        assert "0123456789" in text
        assert "mean nothing" in text


def test_the_readmes_drawings_are_those_of_every_stored_machine(tmp_path):
    store = Store(tmp_path)
    store.store_speed("speed", stored())
    store.store_speed("speed", stored(machine={"cpu": "Abacus", "cores": 2, "gpu": "Slide Rule"}))
    folders = {path.parent.name for path in draw_speeds(store, tmp_path / "images")}
    assert folders == {"speed-abacus-2-cores", "speed-abacus-2-cores-slide-rule"}


# ---------------------------------------------------------------------- the measured things


SETTING = bench_speed.Setting(torch.device("cpu"), (1, 2), 2, False, True)


def test_the_split_is_of_the_steps_asked_for_and_leaves_the_population_as_it_was():
    population = bench_speed.filled_population(SETTING, "2")[0]
    launch, timer = population._choose, TimeSplit()
    timer.seconds["learner"] = 99.0  # of steps before

    def steps(count):
        for _ in range(count):
            with timer.lap("network"):
                population.act(0.0)

    found = time_split(population, timer, steps, 3, cuda=False)
    assert found["agent_steps"] == 3
    assert found["learner"] == found["device_wait"] == 0
    assert 0 < found["network"] <= found["wall"]
    assert population._choose is launch


def test_the_wait_for_the_device_is_timed_after_the_launch(monkeypatch):
    tape = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: tape.append("wait"))
    watched = Watched(Captured(False))
    for _ in range(2):
        watched(lambda: tape.append("launch"))
    assert tape == ["launch", "wait"] * 2
    assert watched.wait_seconds > 0


def test_bytes_of_tensors_are_those_of_replay_networks_optimiser_and_gradient():
    population = bench_speed.filled_population(SETTING, "2")[0]
    weights = sum(weight.nbytes for weight in population.agents[0].learner.weights)
    kept = population.replay.frames.nbytes + population.replay.info.nbytes
    # two networks, two running means, the newest gradient
    assert bytes_of_tensors(population) == kept + 2 * 5 * weights


def test_a_populations_benches_do_what_they_say():
    population, store, batch = bench_speed.filled_population(SETTING, "2")
    size = population.replay.size
    store()
    assert population.replay.size == size + 1
    assert batch.s_t.shape == (32, 4, 84, 84)
    assert len(bench_speed.members_of(catalogue.SUITE)) == 10
    assert [member.seed for member in bench_speed.members_of("3")] == [0, 1, 2]


# ---------------------------------------------------------------------- the command


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--members", "0"], "at least 1, got '0'"),
        (["--members", "1", "two"], "got 'two'"),
        (["--members"], "--members"),
        (["--device", "tpu"], "'tpu'"),
        (["--device", "cuda"], "finds no CUDA device"),
        (["--members", "1000000"], "1000000 members do not fit"),
        (["--show", "nowhere.json"], "nowhere.json cannot be read"),
        (["--show", __file__], "cannot be read"),
        (["--results", __file__], "Choose another --results"),
    ],
)
def test_a_mistake_gets_one_message_and_measures_nothing(words, message, capsys, monkeypatch, tmp_path):
    if message == "finds no CUDA device":
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(cli, "run_benches", lambda *_: pytest.fail("measured"))
    monkeypatch.chdir(tmp_path)
    try:
        code = cli.main(words)
    except SystemExit as leaving:
        code = leaving.code
    said = capsys.readouterr().err
    assert code == 2
    assert message in said
    assert "Traceback" not in said
    assert not list(tmp_path.iterdir())


def test_a_stored_measurement_is_shown_and_drawn_again(capsys, tmp_path):
    path = Store(tmp_path).store_speed("speed", stored())
    before = path.read_bytes()
    assert cli.main(["--show", str(path), "--results", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "training_over_playing" in said
    assert "Stored" not in said
    assert path.read_bytes() == before
    assert len(list((tmp_path / "plots" / "speed-abacus-2-cores").iterdir())) == 2 * len(DRAWINGS)
    path.write_text(json.dumps(stored() | {"schema": 2}))
    assert cli.main(["--show", str(path), "--results", str(tmp_path)]) == 2


def measure_quickly(folder, device):
    """The real command in tiny sizes, in a process of its own: what it printed, and what it stored."""
    command = [sys.executable, "-m", "benchmarks.speed", "--quick", "--device", device, "--members", "2", "1", "1",
               "--results", str(folder)]  # fmt: skip
    # pytest-benchmark measures nothing in a worker of pytest-xdist, and would take the command's own pytest for one.
    outside = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST_")}
    done = subprocess.run(command, cwd=ROOT, env=outside, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.glob("speed/*/*.json")
    assert path.name == "speed-quick.json"
    assert str(path) in done.stdout
    return done.stdout, json.loads(path.read_text())


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quick")
    return *measure_quickly(folder, "cpu"), folder


@pytest.mark.slow
def test_the_real_command_measures_stores_prints_and_draws(quick):
    said, found, folder = quick
    cores = found["machine"]["cores"]
    assert list(found["benchmarks"]) == expected_names([1, 2], cores, suite=False)
    assert found["members"] == [1, 2]
    assert found["torch"]["threads"] >= 1
    assert found["versions"]["torch"] == torch.__version__
    assert found["source"].keys() == {"commit", "dirty"}
    for name, each in found["benchmarks"].items():
        assert name in said
        assert each["work"] > 0
        assert len(each["seconds"]) >= 3
        assert min(each["seconds"]) > 0
    for size in ("1", "2"):
        parts = result.split_of(found["benchmarks"], size, "cpu")
        assert parts["rest"] >= 0
        assert np.isclose(sum(parts[name] for name in result.PARTS), parts["wall"])
    assert len(list(folder.glob("plots/speed-*/*.svg"))) == len(DRAWINGS)


@pytest.mark.slow
def test_the_numbers_of_the_command_are_of_the_right_size(quick):
    """A member's frame is 7,084 bytes in replay; an update of two takes longer than of one; and so on."""
    found = quick[1]["benchmarks"]
    assert found["training[1]"]["replay_bytes"] >= 1_000 * 84 * 84
    assert found["training[2]"]["memory_bytes"] == pytest.approx(2 * found["training[1]"]["memory_bytes"], rel=1e-3)
    assert found["evaluation"]["work"] == 2 * 10  # two episodes of 40 frames
    assert found["training[2]"]["work"] == 2 * 16
    assert np.median(found["update[1]"]["seconds"]) > np.median(found["acting[1]"]["seconds"])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu_the_wait_for_the_device_is_no_host_overhead(tmp_path):
    _, found = measure_quickly(tmp_path, "cuda")
    assert found["machine"]["gpu"] == torch.cuda.get_device_name()
    for size in ("1", "2"):
        parts = result.split_of(found["benchmarks"], size, "cuda")
        assert 0 < parts["host_overhead"] < parts["wall"] - parts["emulator"]
        measured = found["benchmarks"][f"training[{size}]"]
        assert measured["replay_bytes"] < measured["memory_bytes"] <= measured["reserved_bytes"]


@pytest.mark.filterwarnings("ignore:Not saving anything")
@pytest.mark.parametrize("without", [[], ["rliable"]])
def test_exactly_the_expected_benches_are_run(without, monkeypatch, capsys, tmp_path):
    names, collect = expected_names([1, 2], 2, True, without), pytest.main
    setting = bench_speed.Setting(torch.device("cpu"), (1, 2), 2, True, True)

    def main(options, plugins):
        code = collect([*options, "--collect-only", "-qq"], plugins)
        Path(next(word for word in options if "json" in word).partition("=")[2]).write_text('{"benchmarks": []}')
        return code

    monkeypatch.setattr(pytest, "main", main)
    with pytest.raises(UserError, match="missing"):
        cli.run_benches(setting, names, tmp_path)
    collected = [line.split("::bench_")[1] for line in capsys.readouterr().out.splitlines() if "::bench_" in line]
    assert sorted(collected) == sorted(names)


@pytest.mark.parametrize(
    ("code", "error"),
    [(pytest.ExitCode.TESTS_FAILED, UserError), (pytest.ExitCode.INTERRUPTED, KeyboardInterrupt)],
)
def test_a_bench_that_ends_early_does_not_take_the_others_with_it(code, error, monkeypatch, tmp_path):
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "bench-speed-failed-0.json").write_text("an earlier one")

    def main(options, plugins):
        Path(next(word for word in options if "json" in word).partition("=")[2]).write_text('{"benchmarks": [1]}')
        return code

    monkeypatch.setattr(pytest, "main", main)
    setting = bench_speed.Setting(torch.device("cpu"), (1,), 2, True, True)
    with pytest.raises(error, match=r"kept in .*results/bench-speed-failed-1\.json"):
        cli.run_benches(setting, [], folder)
    assert (folder / "bench-speed-failed-1.json").read_text() == '{"benchmarks": [1]}'
    assert (folder / "bench-speed-failed-0.json").read_text() == "an earlier one"


def test_what_judges_a_measurement_needs_no_torch():
    code = "import sys; import benchmarks.speed.result, benchmarks.speed.drawings; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_a_machine_is_named_with_its_gpu_where_it_has_one():
    machine = {"cpu": "AMD EPYC", "vector": "avx2", "cores": 2, "gpu": None}
    assert machine_words(machine) == "2 cores of AMD EPYC (avx2)"
    assert machine_words(machine | {"gpu": "NVIDIA H100"}) == "NVIDIA H100, 2 cores of AMD EPYC (avx2)"
