import math
import random
import shutil
import subprocess
import sys
from dataclasses import asdict
from functools import partial
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import psutil
import pytest
import torch
from conftest import make_tiny_config
from safetensors.torch import load_file

import dqn_ref
from dqn_ref import evaluate_run, group
from dqn_ref import run as module
from dqn_ref.atari import AtariStreams, Step
from dqn_ref.build import make_population, make_streams
from dqn_ref.config import MAX_OF_THE_EMULATOR, TRANSITION_BYTES, UserError
from dqn_ref.device import check_memory, select_device
from dqn_ref.evaluate_run import evaluate_folder, load_network
from dqn_ref.in_play import Episode, InPlay
from dqn_ref.protocols import CI, NATURE
from dqn_ref.recorder import MemberRecorder
from dqn_ref.records import RunRecord
from dqn_ref.run import run_population
from dqn_ref.seeds import Member
from dqn_ref.train import Tick, train

CPU = torch.device("cpu")
BREAKOUT, PONG = Member("breakout", 0), Member("pong", 1)


def run(folder, config, member: Member = BREAKOUT, **changes) -> RunRecord:
    run_population([member], [folder], CI, config, device_name="cpu", **changes)
    return RunRecord.read(folder)


def test_there_are_no_graphs_on_a_cpu(tmp_path):
    assert run(tmp_path / "run", tiny()).run["provenance"]["torch"]["graphs"] is False


def results(folder) -> tuple[bytes, bytes, list]:
    """All that a run's seed decides: episodes, weights, evaluation episodes."""
    evaluations = [evaluation["episodes"] for evaluation in RunRecord.read(folder).evaluations]
    return (folder / "episodes.csv").read_bytes(), (folder / "weights.safetensors").read_bytes(), evaluations


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One tiny run that several tests look at: breakout, cut every 50 agent steps."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    seen = []
    run_population([BREAKOUT], [folder], CI, tiny(), device_name="cpu", report=seen.append)
    return SimpleNamespace(folder=folder, record=RunRecord.read(folder), reports=seen)


def tiny(**changes):
    """A tiny run in which episodes are truncated too."""
    return make_tiny_config(**({"max_episode_frames": 200} | changes))


# ---------------------------------------------------------------------- what is recorded


def test_a_finished_run_says_so_and_by_what_it_came_about(finished):
    record = finished.record
    assert (record.status, record.frames_done, record.run["error"]) == ("finished", 960, None)
    assert record.member == BREAKOUT
    assert record.config == tiny()
    assert record.protocol == "ci-v1"
    assert record.overrides == CI.overrides(tiny())
    cause = record.run["provenance"]
    assert cause["rom_md5"] == "f34f08e5eb96e500e851a80be3277a56"
    assert cause["versions"]["torch"] == torch.__version__
    assert cause["torch"]["device"] == "cpu"
    assert {"source", "machine", "command", "lock_sha256"} <= set(cause)


def test_every_frame_belongs_to_one_episode(finished):
    """120 agent steps an iteration, cut every 50 or earlier at game over; the iteration's end cuts the rest."""
    episodes = finished.record.episodes()
    assert sum(row["length_frames"] for row in episodes) == 960
    assert np.cumsum([row["length_frames"] for row in episodes]).tolist() == [row["frame"] for row in episodes]
    assert [(row["length_frames"], row["end"]) for row in episodes] == [
        (200, "truncated"), (200, "truncated"), (80, "iteration_end"),
    ] * 2  # fmt: skip


def test_progress_counts_frames_steps_and_updates(finished):
    """Updates at agent steps 64, 68 ... 236 of 240: none, 14, 29 and 44 of them by 60, 120, 180 and 240 steps."""
    rows = finished.record.progress()
    assert [row["frames"] for row in rows] == [240, 480, 720, 960]
    assert [row["agent_steps"] for row in rows] == [60, 120, 180, 240]
    assert [row["updates"] for row in rows] == [0, 14, 29, 44]
    assert [row["epsilon"] for row in rows] == pytest.approx([1.0, 1 - 0.9 * 0.59, 0.1, 0.1])
    assert math.isnan(rows[0]["loss"])
    assert math.isnan(rows[0]["gradient_norm"])
    assert all(row["loss"] >= 0 and row["gradient_norm"] > 0 for row in rows[1:])
    assert all(row["q_max"] >= row["q_mean"] for row in rows)
    assert all(row["frames_per_second"] > 0 for row in rows)
    assert np.all(np.diff([row["wall_seconds"] for row in rows]) > 0)


def test_held_out_q_is_that_of_the_weights_written(finished, tiny_config):
    """The last row's q_mean, from weights.safetensors and the held-out states of an equal run's replay."""
    config = tiny()
    population = make_population(config, [BREAKOUT], [4], CPU)
    streams = make_streams(config, ["breakout"])
    for tick in train(config, population, streams, module.TimeSplit()):
        if tick.agent_step == config.replay_start_agent_steps:
            held = population.heldout_batch(0, config.heldout_states).s_tm1
            break
    network, _ = load_network(finished.folder / "weights.safetensors", CPU)
    q = network(held).amax(dim=1)
    last = finished.record.progress()[-1]
    assert last["q_mean"] == pytest.approx(q.mean().item(), rel=1e-4)
    assert last["q_max"] == pytest.approx(q.max().item(), rel=1e-4)


def test_the_report_follows_the_run_to_its_end(finished):
    assert [(report.frames, report.total_frames) for report in finished.reports] == [
        (240, 960), (480, 960), (720, 960), (960, 960),
    ]  # fmt: skip
    first, _, third, last = (report.seconds_left for report in finished.reports)
    assert first is None  # in the warm-up, which tells nothing of how fast it learns
    assert third == pytest.approx(240 / finished.reports[2].frames_per_second)
    assert last == 0
    full = [row["raw_return"] for row in finished.record.episodes() if row["end"] != "iteration_end"]
    assert finished.reports[-1].mean_return == pytest.approx(np.mean(full))


def test_the_final_network_is_evaluated_under_the_configurations_protocol(finished):
    evaluation, best = finished.record.evaluations
    assert best["weights"] == "best"
    assert (evaluation["num_episodes"], evaluation["max_frames"], evaluation["epsilon"]) == (2, 200, 0.05)
    assert (evaluation["training_frames"], evaluation["weights"]) == (960, "last")
    returns = [episode["raw_return"] for episode in evaluation["episodes"]]
    assert evaluation["mean_return"] == pytest.approx(np.mean(returns))


def test_an_iterations_evaluation_is_that_of_a_run_that_ends_with_it_and_changes_nothing(tmp_path, finished):
    record = run(tmp_path / "run", tiny(), evaluate_iterations=True)
    iteration, last, _ = record.evaluations
    assert (iteration["weights"], iteration["training_frames"]) == ("iteration", 480)
    shorter = run(tmp_path / "shorter", tiny(total_frames=480)).evaluations[0]
    assert iteration["episodes"] == shorter["episodes"]
    assert last["episodes"] == finished.record.evaluations[0]["episodes"]
    assert results(tmp_path / "run")[:2] == results(finished.folder)[:2]
    assert record.run["evaluates_iterations"] is True
    assert finished.record.run["evaluates_iterations"] is False


@pytest.mark.fidelity(27, 28)
def test_the_best_network_is_that_of_the_iteration_with_the_highest_training_returns(tmp_path, monkeypatch):
    """Four iterations of two capped episodes each, their scores made up: 3, 8, 8 and 5 a game. The first 8 wins."""
    config = tiny(total_frames=960, iteration_frames=240, max_episode_frames=120, progress_frames=240)
    scores, weights = iter([1, 5, 6, 10, 10, 6, 2, 8]), {}
    follow, end_iteration = InPlay.follow, module.MemberRecorder.end_iteration

    def made_up(self, tick):
        if tick.step.truncated[0]:
            self._raw[0] = next(scores) - tick.step.reward[0]
        return follow(self, tick)

    def kept(self):
        weights[self.frames_done] = self.learner.online.head.weight.detach().clone()
        end_iteration(self)

    monkeypatch.setattr(InPlay, "follow", made_up)
    monkeypatch.setattr(module.MemberRecorder, "end_iteration", kept)
    run(tmp_path / "run", config)
    last, best = RunRecord.read(tmp_path / "run").evaluations
    assert (last["training_frames"], best["training_frames"]) == (960, 480)
    for name, frames in (("weights", 960), ("weights-best", 480)):
        saved = load_file(tmp_path / "run" / f"{name}.safetensors")["head.weight"]
        assert torch.equal(saved, weights[frames])
    assert not torch.equal(weights[480], weights[960])
    again = evaluate_folder(
        tmp_path / "run", episodes=3, epsilon=0.05, max_frames=200, weights="best", device_name="cpu"
    )
    assert again["episodes"][:2] == best["episodes"]
    assert again["training_frames"] == 480


def test_without_a_full_episode_the_last_network_is_the_best(tmp_path):
    """120 agent steps of Breakout fit an iteration, but here the cap is far and an iteration is 10."""
    run(tmp_path / "run", tiny(total_frames=320, iteration_frames=40, progress_frames=40))
    record = RunRecord.read(tmp_path / "run")
    assert {row["end"] for row in record.episodes()} == {"iteration_end"}
    last, best = record.evaluations
    assert best == {**last, "weights": "best"}
    more = evaluate_folder(
        tmp_path / "run", episodes=3, epsilon=0.05, max_frames=200, weights="best", device_name="cpu"
    )
    assert more["episodes"][:2] == last["episodes"]


def test_weights_written_are_what_training_made_of_the_first(finished):
    weights = load_file(finished.folder / "weights.safetensors")
    fresh = make_population(tiny(), [BREAKOUT], [4], CPU).agents[0].learner.online.state_dict()
    assert {name: value.shape for name, value in weights.items()} == {name: v.shape for name, v in fresh.items()}
    assert all(not torch.equal(weights[name], fresh[name]) for name in fresh)
    assert not list(finished.folder.glob("*.tmp"))


@pytest.mark.fidelity(20)
def test_the_score_recorded_is_raw_and_the_clipped_one_stands_beside_it(tmp_path, tiny_config):
    """Rewards 200, -5, 0, 1 make 196, clipped 1 - 1 + 0 + 1 = 1; the next episode starts from 0."""
    config = tiny_config()
    population = make_population(config, [BREAKOUT], [4], CPU)
    recorder = MemberRecorder(tmp_path / "run", {"config": asdict(config)}, population, 0, 4)
    in_play = InPlay(1, 4, config.discount)

    def observe(agent_step: int, reward: int, *, game_over=False, truncated=False, iteration_ended=False) -> None:
        frame, no = np.zeros((1, 84, 84), np.uint8), np.array([False])
        over, cut = np.array([game_over]), np.array([truncated])
        step = Step(frame, frame, np.array([reward]), over | no, over, cut, over)
        recorder.frames_done = 4 * agent_step
        for episode in in_play.follow(
            Tick(agent_step, 0, 1.0, np.array([0]), step, np.array([0.0], np.float32), iteration_ended)
        ):
            recorder.end_episode(episode)

    for agent_step, reward in enumerate([200, -5, 0], start=1):
        observe(agent_step, reward)
    observe(4, 1, game_over=True)
    observe(5, 30, truncated=True)
    observe(6, 7)
    observe(7, 7, iteration_ended=True)
    recorder.close("finished", 28)
    rows = (tmp_path / "run" / "episodes.csv").read_text().splitlines()
    assert rows == [
        "frame,raw_return,clipped_return,length_frames,end,lives_lost",
        "16,196,1,16,game_over,1",
        "20,30,1,4,truncated,0",
        "28,14,2,8,iteration_end,0",
    ]
    assert recorder.returns == [196, 30]  # an episode that the iteration cut is no score


def test_a_row_of_progress_is_of_what_came_since_the_row_before(tmp_path):
    """Losses 6 and 8 in sum, of 3 and then 2 updates; of 70 games worth 0 to 69, the newest 64 have a mean of 37.5."""
    population = make_population(tiny(), [BREAKOUT], [4], CPU)
    recorder = MemberRecorder(tmp_path / "run", {"config": asdict(tiny())}, population, 0, 4)

    def games(*start_returns: float, end: str = "game_over") -> None:
        for value in start_returns:
            recorder.end_episode(Episode(0, end, 0, 0, 4, 1, np.zeros((84, 84), np.uint8), value))

    def row(agent_step: int, updates: int, losses: float) -> None:
        recorder.learner.loss_sum.add_(losses)
        recorder.progress(Tick(agent_step, updates, 1.0, np.array([0]), None, None, False), 1.0, {}, 1.0)

    games(*range(70))
    games(999, end="truncated")
    row(1, 3, 6.0)
    games(5)
    row(2, 5, 8.0)
    row(3, 5, 0.0)
    recorder.close("finished")
    rows = np.genfromtxt(tmp_path / "run" / "progress.csv", delimiter=",", names=True)
    assert rows["loss"] == pytest.approx([2.0, 4.0, math.nan], nan_ok=True)
    assert rows["start_return"] == pytest.approx([37.5, 5.0, math.nan], nan_ok=True)


# ---------------------------------------------------------------------- determinism


def test_equal_seeds_give_bitwise_equal_results_and_another_seed_does_not(finished, tmp_path):
    run(tmp_path / "again", tiny())
    run(tmp_path / "other", tiny(), Member("breakout", 1))
    assert results(tmp_path / "again") == results(finished.folder)
    for mine, other in zip(results(finished.folder)[1:], results(tmp_path / "other")[1:], strict=True):
        assert mine != other


def test_another_seed_plays_other_episodes(tmp_path):
    """River Raid scores in every episode, so that other play shows in episodes.csv."""
    config = tiny(total_frames=480)
    for seed in (0, 1):
        run(tmp_path / str(seed), config, Member("riverraid", seed))
    assert results(tmp_path / "0")[0] != results(tmp_path / "1")[0]


def test_members_side_by_side_get_what_each_gets_alone(finished, tmp_path):
    members = [PONG, BREAKOUT, Member("breakout", 5)]
    folders = [tmp_path / f"{member.game}-{member.seed}" for member in members]
    run_population(members, folders, CI, tiny(), device_name="cpu")
    assert results(folders[1]) == results(finished.folder)
    run(tmp_path / "alone", tiny(), PONG)
    assert results(folders[0]) == results(tmp_path / "alone")
    assert results(folders[2])[1] != results(folders[1])[1]


def test_halves_that_take_turns_get_what_each_member_gets_alone(finished, tmp_path):
    members = [PONG, Member("breakout", 5), BREAKOUT]
    folders = [tmp_path / f"{member.game}-{member.seed}" for member in members]
    reports = []
    run_population(members, folders, CI, tiny(), device_name="cpu", halves=2, report=reports.append)
    assert results(folders[2]) == results(finished.folder)
    for member, folder in zip(members[:2], folders[:2], strict=True):
        run(tmp_path / "alone" / member.game, tiny(), member)
        assert results(folder) == results(tmp_path / "alone" / member.game)
    assert [report.frames for report in reports] == [240, 480, 720, 960]
    for folder in folders:
        rows = RunRecord.read(folder).progress()
        assert [row["updates"] for row in rows] == [0, 14, 29, 44]
        assert all(0 < row["emulator_seconds"] + row["learner_seconds"] < row["wall_seconds"] for row in rows)


def test_several_streams_of_a_member_are_recorded_as_one_run(tmp_path):
    """Every frame of every stream belongs to one episode, and the schedule counts the member's agent steps."""
    run(tmp_path / "run", tiny(streams_per_member=4, progress_frames=200))
    record = RunRecord.read(tmp_path / "run")
    assert sum(row["length_frames"] for row in record.episodes()) == record.frames_done == 960
    assert sum(row["end"] == "iteration_end" for row in record.episodes()) in range(1, 9)
    rows = record.progress()
    assert [row["frames"] for row in rows] == [208, 400, 608, 800, 960]  # a step of all is 16 frames
    assert rows[-1]["updates"] == 44
    assert record.overrides["streams_per_member"] == 4


def test_there_are_no_more_halves_than_members(tmp_path):
    record = run(tmp_path / "run", tiny(total_frames=480), halves=2)
    assert record.status == "finished"
    assert record.run["provenance"]["torch"]["halves"] == 1


def test_a_member_that_is_evaluated_is_kept_when_the_next_one_fails(tmp_path, monkeypatch):
    evaluation, calls = evaluate_run.evaluation, []

    def second_fails(values, member, **options):
        calls.append(member)
        if member == PONG:
            raise RuntimeError("no evaluation today")
        return evaluation(values, member, **options)

    monkeypatch.setattr(evaluate_run, "evaluation", second_fails)
    folders = [tmp_path / "first", tmp_path / "second"]
    with pytest.raises(RuntimeError):
        run_population([BREAKOUT, PONG], folders, CI, tiny(total_frames=480), device_name="cpu")
    assert [RunRecord.read(folder).status for folder in folders] == ["finished", "failed"]


def test_networks_that_are_evaluated_together_score_what_they_score_alone(tmp_path, monkeypatch):
    """As on a GPU, here three and two: after an iteration, at the end, and the best where it is another."""
    members = [Member("breakout", 0), PONG, Member("qbert", 0)]
    found = []
    for size in (1, 3, 2):
        monkeypatch.setattr("dqn_ref.run.networks_at_once", lambda episodes, device, size=size: size)
        folders = [tmp_path / str(size) / member.name for member in members]
        run_population(members, folders, CI, tiny(), device_name="cpu", evaluate_iterations=True)
        found.append([results(folder) for folder in folders])
    assert found[0] == found[1] == found[2]
    evaluations = [RunRecord.read(folder).evaluations for folder in folders]
    assert [[each["weights"] for each in some] for some in evaluations] == [["iteration", "last", "best"]] * 3
    assert all(each["seconds"] > 0 for some in evaluations for each in some)
    best_is_last = [best["training_frames"] == last["training_frames"] for _, last, best in evaluations]
    assert set(best_is_last) == {True, False}  # so that both ways were gone


def test_a_gpu_evaluates_as_many_networks_at_once_as_keep_its_cores_busy(monkeypatch):
    """Four emulators a core, eight episodes a network; of fewer episodes more networks."""
    monkeypatch.setattr(dqn_ref, "CORES", 16)
    cuda, cpu = torch.device("cuda"), torch.device("cpu")
    assert [evaluate_run.networks_at_once(episodes, cuda) for episodes in (30, 8, 4, 1)] == [8, 8, 16, 64]
    assert evaluate_run.networks_at_once(30, cpu) == 1
    monkeypatch.setattr(dqn_ref, "CORES", 1)
    assert evaluate_run.networks_at_once(30, cuda) == 1


def test_the_number_of_emulator_threads_changes_nothing(tmp_path, monkeypatch):
    members = [Member("breakout", seed) for seed in (0, 1, 2)]
    found = []
    for threads in (1, 3):
        used = Mock(side_effect=partial(AtariStreams, num_threads=threads))
        monkeypatch.setattr("dqn_ref.build.AtariStreams", used)
        folders = [tmp_path / f"{threads}-threads" / str(member.seed) for member in members]
        run_population(members, folders, CI, tiny(total_frames=480), device_name="cpu")
        assert used.call_count >= 1
        found.append([results(folder) for folder in folders])
    assert found[0] == found[1]


def test_measuring_more_often_changes_nothing(finished, tmp_path):
    run(tmp_path / "run", tiny(progress_frames=40, heldout_states=16))
    assert results(tmp_path / "run") == results(finished.folder)


def test_a_smaller_budget_is_the_same_run_stopped_earlier(finished, tmp_path):
    run(tmp_path / "run", tiny(total_frames=480))
    shorter = (tmp_path / "run" / "episodes.csv").read_text()
    assert (finished.folder / "episodes.csv").read_text().startswith(shorter)


def test_a_run_draws_from_no_global_generator(tmp_path):
    def states():
        return torch.get_rng_state().tolist(), random.getstate(), str(np.random.get_state())

    before = states()
    run(tmp_path / "run", tiny(total_frames=480))
    assert states() == before


# ---------------------------------------------------------------------- how runs end


def test_a_run_that_fails_is_recorded_as_failed_with_its_traceback(tmp_path, monkeypatch):
    def broken(*args, **kwargs):
        raise RuntimeError("no evaluation today")

    monkeypatch.setattr(evaluate_run, "evaluation", broken)
    with pytest.raises(RuntimeError, match="today"):
        run(tmp_path / "run", tiny(total_frames=480))
    record = RunRecord.read(tmp_path / "run")
    assert (record.status, record.frames_done) == ("failed", 480)
    assert "no evaluation today" in record.run["error"]
    assert record.evaluations == []


def test_records_are_closed_whatever_comes_while_they_are_made(tmp_path, monkeypatch):
    """Three members; making the third's record is interrupted, and closing the first's breaks off at its events."""
    made = []

    def no_space():
        raise OSError("no space left")

    def make(*arguments):
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(MemberRecorder(*arguments))
        if len(made) == 1:
            monkeypatch.setattr(made[0]._events, "close", no_space)
        return made[-1]

    monkeypatch.setattr(group, "MemberRecorder", make)
    folders = [tmp_path / str(seed) for seed in range(3)]
    with pytest.raises(KeyboardInterrupt):
        run_population([Member("breakout", seed) for seed in range(3)], folders, CI, tiny(), device_name="cpu")
    assert [RunRecord.read(folder).status for folder in folders[:2]] == ["interrupted", "interrupted"]
    assert list(folders[2].iterdir()) == []  # claimed, and free again


def test_a_run_that_is_interrupted_says_how_far_it_came(tmp_path):
    def stop(progress):
        if progress.frames == 480:
            raise KeyboardInterrupt

    members, folders = [BREAKOUT, PONG], [tmp_path / "a", tmp_path / "b"]
    with pytest.raises(KeyboardInterrupt):
        run_population(members, folders, CI, tiny(), device_name="cpu", report=stop)
    for folder in folders:
        record = RunRecord.read(folder)
        assert record.status == "interrupted"
        assert 476 <= record.frames_done <= 480
        assert record.evaluations == []
        with pytest.raises(UserError, match="interrupted"):
            evaluate_folder(folder, episodes=1, epsilon=0.05, max_frames=100)


@pytest.mark.parametrize(
    ("members", "folders"),
    [
        ([Member("brekout", 0)], ["a"]),
        ([BREAKOUT, Member("brekout", 0)], ["a", "b"]),
        ([BREAKOUT, PONG], ["a", "taken"]),
        ([BREAKOUT, PONG], ["a", "a"]),  # two members, one folder
    ],
)
def test_a_users_mistake_leaves_nothing_behind(tmp_path, members, folders):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.tex").touch()
    with pytest.raises(UserError):
        run_population(members, [tmp_path / name for name in folders], CI, tiny(total_frames=480), device_name="cpu")
    assert [path.name for path in tmp_path.rglob("*")] == ["taken", "thesis.tex"]


def test_a_run_is_never_overwritten(finished):
    before = results(finished.folder)
    with pytest.raises(UserError, match="already holds a run"):
        run(finished.folder, tiny())
    assert results(finished.folder) == before


# ---------------------------------------------------------------------- device and memory


def test_cuda_that_is_not_there_is_a_users_mistake(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="--device cuda"):
        select_device("cuda")
    assert select_device("auto") == select_device("cpu") == CPU


def test_replay_that_does_not_fit_is_refused_with_one_that_does(monkeypatch, tmp_path):
    """1M transitions are 7.07 GB; 4 members need 28.3 GB."""

    def free(bytes_free: float) -> None:
        monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=bytes_free, total=64e9))

    free(28e9)
    with pytest.raises(UserError, match=r"28\.3 GB") as error:
        check_memory(NATURE.config.transitions_kept, 4, CPU)
    suggested = int(str(error.value).split("--replay-capacity ")[1].split()[0])
    assert 4 * suggested * TRANSITION_BYTES <= 28e9 < 4 * 1_000_000 * TRANSITION_BYTES
    check_memory(NATURE.config.transitions_kept, 3, CPU)
    free(1e6)
    with pytest.raises(UserError, match="GB free"):
        run(tmp_path / "run", tiny())
    assert not (tmp_path / "run").exists()


def test_a_gpu_keeps_room_for_what_lies_beside_the_replay(monkeypatch):
    """20 members of the paper's size are 141.7 GB and 300 MB each, of 95 % of 154 GB; 19 fit."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (154e9, 154e9))
    gpu = torch.device("cuda")
    with pytest.raises(UserError, match=r"141\.7 GB") as error:
        check_memory(NATURE.config.transitions_kept, 20, gpu)
    suggested = int(str(error.value).split("--replay-capacity ")[1].split()[0])
    assert suggested == (int(154e9 * 0.95) - 20 * 300_000_000) // (20 * TRANSITION_BYTES) < 1_000_000
    check_memory(NATURE.config.transitions_kept, 19, gpu)


def test_a_short_run_needs_no_more_than_it_fills(monkeypatch):
    """1M frames are 250,000 transitions, 1.8 GB."""
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=2e9, total=64e9))
    check_memory(module.DQNConfig(total_frames=1_000_000).transitions_kept, 1, CPU)


# ---------------------------------------------------------------------- evaluating a folder


def test_an_evaluation_of_a_folder_repeats_the_runs_own_from_the_weights_on_disk(finished, tmp_path):
    """Same protocol: returned as it stands. Another one: played, and added."""
    folder = tmp_path / "run"
    run(folder, tiny(total_frames=480))
    own, _ = RunRecord.read(folder).evaluations
    assert evaluate_folder(folder, episodes=2, epsilon=0.05, max_frames=200, device_name="cpu") == own
    assert len(RunRecord.read(folder).evaluations) == 2
    more = evaluate_folder(folder, episodes=3, epsilon=0.05, max_frames=200, device_name="cpu")
    assert more["episodes"][:2] == own["episodes"]
    assert [e["num_episodes"] for e in RunRecord.read(folder).evaluations] == [2, 2, 3]


@pytest.mark.parametrize(
    "arguments", [{"episodes": 0}, {"epsilon": 1.5}, {"epsilon": float("nan")}, {"max_frames": 3}, {"episodes": -1}]
)
def test_a_bad_evaluation_is_a_users_mistake(finished, arguments):
    with pytest.raises(UserError):
        evaluate_folder(finished.folder, **{"episodes": 1, "epsilon": 0.05, "max_frames": 100} | arguments)


@pytest.mark.parametrize("damage", ["missing", "broken", "foreign", "half"])
def test_weights_that_cannot_be_read_are_a_users_mistake_that_names_them(tmp_path, finished, damage):
    path = tmp_path / "weights.safetensors"
    whole = (finished.folder / "weights.safetensors").read_bytes()
    if damage == "broken":
        path.write_bytes(b"not weights")
    elif damage == "half":
        path.write_bytes(whole[: len(whole) // 2])
    elif damage == "foreign":
        from safetensors.torch import save_file

        save_file({"head.bias": torch.zeros(4)}, path)
    with pytest.raises(UserError, match=r"weights\.safetensors"):
        load_network(path, CPU)


# ---------------------------------------------------------------------- what surrounds a run


def test_the_longest_cap_of_an_episode_can_be_played(finished):
    """One more is refused: the engine counts in 32 bits, and adds a little of its own."""
    assert AtariStreams(["breakout"], max_episode_frames=MAX_OF_THE_EMULATOR).num_actions.tolist() == [4]
    options = {"episodes": 1, "epsilon": 0.05, "device_name": "cpu"}
    with pytest.raises(UserError, match="to 1,000,000,000 frames"):
        evaluate_folder(finished.folder, max_frames=MAX_OF_THE_EMULATOR + 1, **options)


@pytest.mark.parametrize("halves", [0, 3])
def test_other_numbers_of_halves_are_refused_and_nothing_is_written(tmp_path, halves):
    with pytest.raises(UserError, match=f"halves must be 1 or 2, got {halves}"):
        run(tmp_path / "run", tiny(), halves=halves)
    assert not (tmp_path / "run").exists()


def test_training_goes_on_where_nobody_reads_what_is_printed(tmp_path):
    command = [sys.executable, "-m", "dqn_ref", "train", "--game", "breakout", "--protocol", "ci", "--device", "cpu"]
    options = ["--out", str(tmp_path / "run"), "--threads", "1", "--evaluation-episodes", "1",
               "--evaluation-max-frames", "200", "--frames", "16k", "--progress-frames", "400"]  # fmt: skip
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
    assert RunRecord.read(tmp_path / "run").status == "finished", errors
    assert "Traceback" not in errors


def test_evaluations_that_end_together_are_all_kept(finished, tmp_path):
    folder = shutil.copytree(finished.folder, tmp_path / "run")
    known = RunRecord.read(folder).evaluations
    one = """
import sys
from pathlib import Path
from dqn_ref.records import RunRecord
from dqn_ref.run_writer import add_evaluation
folder = Path(sys.argv[1])
known = RunRecord.read(folder).evaluations[0]
sys.stdin.readline()
for number in range(40):
    add_evaluation(folder, {**known, "training_frames": 1_000 * int(sys.argv[2]) + number})
"""
    both = [subprocess.Popen([sys.executable, "-c", one, folder, str(n)], stdin=subprocess.PIPE) for n in (1, 2)]
    for process in both:
        process.stdin.write(b"\n")
        process.stdin.flush()
    assert [process.wait() for process in both] == [0, 0]
    for process in both:
        process.stdin.close()
    added = [each["training_frames"] for each in RunRecord.read(folder).evaluations[len(known) :]]
    assert sorted(added) == [1_000 * n + number for n in (1, 2) for number in range(40)]
