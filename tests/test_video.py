"""The episode that is shown is the one that was evaluated, and the file holds what was drawn."""

import dataclasses
import hashlib
import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import imageio.v2
import imageio_ffmpeg
import numpy as np
import pytest
import torch
from conftest import make_tiny_config
from single_game import SingleGame

from dqn_ref import video as module
from dqn_ref.__main__ import main
from dqn_ref.atari import ColourScreen
from dqn_ref.build import game_options
from dqn_ref.config import UserError
from dqn_ref.evaluate import EvaluationEpisode, evaluate
from dqn_ref.evaluate_run import evaluate_folder, inference, load_network
from dqn_ref.mp4 import new_file, write_video
from dqn_ref.panel import Panel
from dqn_ref.protocols import CI
from dqn_ref.records import RunRecord
from dqn_ref.run import run_population
from dqn_ref.seeds import Member
from dqn_ref.video import Evaluation, PlayedEpisode, Recording, draw, in_colour, record_episode, repeat_episode

CPU = torch.device("cpu")
MEMBER = Member("riverraid", 1)  # scores early, and has 18 actions
EPISODES, MAX_FRAMES = 3, 200


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A tiny run whose evaluation explores at every fourth step."""
    folder = tmp_path_factory.mktemp("video") / "riverraid-s1"
    config = make_tiny_config(
        evaluation_episodes=EPISODES, evaluation_max_frames=MAX_FRAMES, evaluation_epsilon=0.25, heldout_states=8
    )
    run_population([MEMBER], [folder], CI, config, device_name="cpu", threads=1)
    return folder


@pytest.fixture
def folder(finished, tmp_path):
    """A copy of that run to write to."""
    return Path(shutil.copytree(finished, tmp_path / "riverraid-s1"))


def recorded(folder, weights="last"):
    return next(each for each in RunRecord.read(folder).evaluations if each["weights"] == weights)


def always_fire(state: torch.Tensor) -> torch.Tensor:
    return torch.tensor([[0.0, 1.0, 0.0, 0.0]]).repeat(len(state), 1)


def breakout(**changes) -> SimpleNamespace:
    """As much of a record as is read of it."""
    return SimpleNamespace(member=Member("breakout", 3), config=make_tiny_config(**changes))


# ---------------------------------------------------------------------- the same episode


def test_every_episode_is_the_one_in_evaluation_json(finished):
    record = RunRecord.read(finished)
    network, _ = load_network(finished / "weights.safetensors", CPU)
    for known in recorded(finished)["episodes"]:
        played = repeat_episode(
            inference(network), record, Evaluation(0.25, MAX_FRAMES, EPISODES), known["episode"], CPU
        )
        assert played.q.shape == (len(played.actions), 18)
        found = (int(played.rewards.sum()), 4 * len(played.actions), played.end)
        assert found == (known["raw_return"], known["frames"], known["end"])
    assert len({each["raw_return"] for each in recorded(finished)["episodes"]}) > 1


def test_the_network_is_asked_what_the_evaluation_asked_it_until_the_episode_ends(monkeypatch):
    """Batch by batch: three episodes in play for the sake of one, which began where another had ended."""
    monkeypatch.setattr("dqn_ref.evaluate.PARALLEL_EPISODES", 3)
    asked: list[list[tuple[int, str]]] = [[], []]

    def keeping(batches):
        def values(state):
            batches.append((len(state), hashlib.sha256(state.numpy()).hexdigest()))
            return always_fire(state)

        return values

    record, options = breakout(max_noops=0), Evaluation(0.5, 4_000, 6)
    evaluated = evaluate(keeping(asked[0]), record.member, **dataclasses.asdict(options), device=CPU, max_noops=0)
    played = repeat_episode(keeping(asked[1]), record, options, 3, CPU)
    assert (int(played.rewards.sum()), 4 * len(played.actions)) == (evaluated[3].raw_return, evaluated[3].frames)
    assert played.end == "game_over"
    chance = record.member.numpy_stream("evaluation-explore", 3)
    for action, explored in zip(played.actions, played.explored, strict=True):
        by_chance = chance.random() < 0.5
        assert (action, explored) == (chance.integers(4) if by_chance else 1, by_chance)
    assert (played.q == [0, 1, 0, 0]).all()
    assert len(played.actions) < len(asked[1]) < len(asked[0])
    assert max(size for size, _ in asked[1]) == 3
    assert asked[1] == asked[0][: len(asked[1])]


def test_watching_an_evaluation_changes_nothing_and_shows_every_step():
    seen = {episode: [] for episode in range(3)}

    def values(state):
        return torch.stack([state.long().sum(dim=(1, 2, 3)) * k % 7 for k in (1, 3, 5, 6)], dim=1).float()

    def watch(step):
        seen[step.episode].append(step)
        return False

    options = {"episodes": 3, "epsilon": 0.5, "max_frames": 800, "device": CPU, "max_noops": 3}
    watched = evaluate(values, Member("breakout", 1), **options, watch=watch)
    assert watched == evaluate(values, Member("breakout", 1), **options)
    for episode in watched:
        steps = seen[episode.episode]
        assert sum(step.reward for step in steps) == episode.raw_return
        assert 4 * len(steps) == episode.frames
        assert [step.end for step in steps] == [None] * (len(steps) - 1) + [episode.end]
        assert all(torch.equal(step.q, values(torch.from_numpy(step.state)[None])[0]) for step in steps)
        assert all(step.action == int(step.q.argmax()) for step in steps if not step.explored)
        assert {step.explored for step in steps} == {True, False}


def test_a_run_on_one_thread_is_played_again_on_one(finished):
    record = RunRecord.read(finished)
    changed = dataclasses.replace(record, run={"provenance": {"torch": {"device": "cpu", "threads": 3}}})
    assert module._threads(changed, CPU) == 3
    assert module._threads(changed, torch.device("cuda")) is None
    on_cuda = dataclasses.replace(record, run={"provenance": {"torch": {"device": "cuda", "threads": 3}}})
    assert module._threads(on_cuda, CPU) is None
    assert module._threads(dataclasses.replace(record, run={}), CPU) is None


def test_the_first_evaluation_with_the_episode_is_the_one(folder):
    evaluate_folder(folder, episodes=5, epsilon=0.25, max_frames=MAX_FRAMES, device_name="cpu")
    own, more = (e for e in RunRecord.read(folder).evaluations if e["weights"] == "last")
    own["episodes"][2]["raw_return"], more["episodes"][2]["raw_return"] = 111, 222
    (folder / "evaluation.json").write_text(json.dumps({"schema": 1, "evaluations": [own, more]}))
    record = RunRecord.read(folder)
    found = [module._find_evaluation(record, "last", episode, None, None) for episode in (2, 4)]
    assert found[0] == (Evaluation(0.25, MAX_FRAMES, 3), EvaluationEpisode(**own["episodes"][2]))
    assert found[0][1].raw_return == 111
    assert found[1] == (Evaluation(0.25, MAX_FRAMES, 5), EvaluationEpisode(**more["episodes"][4]))
    assert module._find_evaluation(record, "last", 2, 0.1, None) == (Evaluation(0.1, MAX_FRAMES, 3), None)
    assert module._find_evaluation(record, "last", 2, None, 80) == (Evaluation(0.25, 80, 3), None)
    assert module._find_evaluation(record, "best", 2, None, None)[1] is None
    with pytest.raises(UserError, match=r"between 0 and 4, got 5.*evaluate"):
        module._find_evaluation(record, "last", 5, None, None)


# ---------------------------------------------------------------------- in colour


@pytest.mark.parametrize("game", ["breakout", "seaquest"])
def test_pictures_are_those_of_the_bare_emulator(game):
    """The maximum of the last two screens, from the no-ops to the end of the game."""
    seed, screen, single = 8, ColourScreen(game, max_noops=30), SingleGame(game, 8, 30)
    single.start()
    assert screen.action_names == [action.name for action in single.actions]
    assert (screen.reset(seed) == single.ale.getScreenRGB()).all()
    draw = np.random.default_rng(0)
    over = False
    while not over:
        action = int(draw.integers(len(single.actions)))
        picture, *answer = screen.step(action)
        reward, screens = 0, [single.ale.getScreenRGB()]
        for _ in range(4):
            reward += single.ale.act(single.actions[action])
            screens.append(single.ale.getScreenRGB())
            over = single.ale.game_over()
            if over:
                break
        assert answer == [reward, over]
        different = (picture != np.max(screens[-2:], axis=0)).any(axis=2).sum()
        assert different <= (200 if over else 0)  # an end within an agent step shows earlier screens of this game


def test_sticky_actions_and_fire_on_reset_are_the_evaluations_own():
    record = breakout(sticky_action_probability=0.25, fire_on_reset=True, frames_per_agent_step=3, total_frames=960,
                      iteration_frames=480)  # fmt: skip
    played = repeat_episode(always_fire, record, Evaluation(0.5, 3_000, 2), 1, CPU)
    seed = record.member.stream_seed("evaluation-emulator", 1)
    options = game_options(record.config)
    assert len(list(in_colour(played, ColourScreen("breakout", **options), seed))) == len(played.actions) + 1
    for name, other in (("sticky_action_probability", 0.0), ("fire_on_reset", False), ("frames_per_agent_step", 4)):
        with pytest.raises(RuntimeError, match="agent step"):
            list(in_colour(played, ColourScreen("breakout", **options | {name: other}), seed))


def test_an_emulator_that_is_out_of_step_is_an_error():
    record = breakout()
    played = repeat_episode(always_fire, record, Evaluation(0.5, 4_000, 1), 0, CPU)
    seed = record.member.stream_seed("evaluation-emulator", 0)

    def replay(seed=seed, **changes):
        return list(in_colour(dataclasses.replace(played, **changes), ColourScreen("breakout"), seed))

    assert played.end == "game_over"
    assert played.rewards.any()
    assert len(replay()) == len(played.actions) + 1
    rewards = played.rewards.copy()
    rewards[0] += 1
    longer = {name: np.append(getattr(played, name), 0) for name in ("actions", "rewards")}
    for wrong in ({"rewards": rewards}, {"end": "truncated"}, longer, {"seed": seed + 1}):
        with pytest.raises(RuntimeError, match="agent step"):
            replay(**wrong)


def test_screens_of_other_heights_have_their_own():
    assert ColourScreen("king_kong").reset(0).shape == (250, 160, 3)


# ---------------------------------------------------------------------- what is drawn


def test_equal_episodes_are_drawn_alike_and_others_are_not(folder, monkeypatch, tmp_path):
    def digest(number, **options):
        kept = []

        def keep(pictures, path, rate):
            kept.extend(hashlib.sha256(picture).hexdigest() for picture in pictures)

        monkeypatch.setattr(module, "write_video", keep)
        out = tmp_path / f"{number}.mp4"
        record_episode(folder, out=out, scale=2, max_frames=80, device_name="cpu", **options)
        return kept

    first, again, other = digest(0), digest(1), digest(2, episode=1)
    assert first == again
    assert len(first) == 20 + 30  # each state once, the last one for two seconds
    assert len(set(first)) == 20 + 1
    assert not set(first) & set(other)


def test_game_and_panel_stand_side_by_side_and_tell_of_the_same_step(monkeypatch):
    """The panel's own picture is left out here, and the number of the step put in its place."""
    shown = []

    class Numbered(Panel):
        def __init__(self, episode, height, scale):
            shown.append(episode)
            super().__init__(episode, height, scale)

        def picture(self, step):
            return np.full_like(super().picture(step), step)

    monkeypatch.setattr("dqn_ref.panel.Panel", Numbered)
    q, rewards = np.zeros((2, 4), np.float32), np.array([0, 0])
    played = PlayedEpisode(q, np.array([1, 0]), np.array([True, False]), rewards, "truncated")
    result = EvaluationEpisode(6, 40, 8, "truncated")
    recording = Recording(Path("a.mp4"), Member("breakout", 3), "best", 2_000_000, 0.5, 30, result, result)
    pictures = list(draw(played, recording, ColourScreen("breakout"), scale=3, hold=5))
    assert [picture.shape for picture in pictures] == [(630, 1056, 3)] * 7
    screen = ColourScreen("breakout")
    seen = [screen.reset(recording.member.stream_seed("evaluation-emulator", 6)), screen.step(1)[0], screen.step(0)[0]]
    for picture, step in zip(pictures, [0, 1, 2, 2, 2, 2, 2], strict=True):
        assert (picture[:, :480].reshape(210, 3, 160, 3, 3) == seen[step][:, None, :, None]).all()
        assert (picture[:, 480:] == step).all()
    (episode,) = shown
    assert (episode.title, episode.ending) == ("Breakout", "cut at 8 frames; evaluation.json: 40")
    assert episode.facts == ("seed 3, best network, 2M training frames", "evaluation episode 6 of 30, epsilon 0.5")
    assert episode.seconds_per_step == pytest.approx(1 / 15)


# ---------------------------------------------------------------------- the command and its file


def test_record_writes_a_video_of_that_length_and_says_what_it_is_of(folder, capsys):
    assert main(["record", str(folder), "--episode", "2", "--scale", "2", "--device", "cpu"]) == 0
    path = folder / "video-last-episode2.mp4"
    known = recorded(folder)["episodes"][2]
    output = capsys.readouterr().out
    assert f"riverraid-s1, last network: episode 2 of 3 returned {known['raw_return']} after 200 frames" in output
    assert "(truncated), as in evaluation.json" in output
    assert f"Recorded in {path}" in output
    reader = imageio.v2.get_reader(path)
    details = reader.get_meta_data()
    assert (details["fps"], details["size"], details["codec"]) == (15, (704, 420), "h264")
    assert details["pix_fmt"].startswith("yuv420p(tv, bt709")
    assert sum(1 for _ in reader) == MAX_FRAMES // 4 + 30
    assert not [p for p in folder.iterdir() if "unfinished" in p.name]
    before = path.read_bytes()
    assert main(["record", str(folder), "--episode", "2", "--device", "cpu"]) == 2
    assert "is there already" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_another_outcome_than_the_recorded_one_is_said(folder, capsys, monkeypatch):
    evaluations = json.loads((folder / "evaluation.json").read_text())
    known = evaluations["evaluations"][0]["episodes"][0]
    known["frames"] -= 4  # equal scores are not enough
    (folder / "evaluation.json").write_text(json.dumps(evaluations))
    monkeypatch.setattr(module, "write_video", lambda pictures, path, rate: None)
    said = record_episode(folder, device_name="cpu").words()
    assert f"returned {known['raw_return']} after 200 frames (truncated), but" in said
    assert f"but {known['raw_return']} after 196 frames (truncated) in evaluation.json" in said
    (folder / "video-last-episode0.mp4").unlink()
    assert "not in evaluation.json" in record_episode(folder, epsilon=0.5, device_name="cpu").words()


def test_the_video_runs_at_the_speed_asked_for(folder, monkeypatch):
    rates = []

    def count(pictures, path, rate):
        rates.append((rate, sum(1 for _ in pictures)))

    monkeypatch.setattr(module, "write_video", count)
    for number, fps in enumerate((60.0, 120.0)):
        record_episode(folder, fps=fps, scale=2, max_frames=40, out=folder / f"{number}.mp4", device_name="cpu")
    assert rates == [(15.0, 10 + 30), (30.0, 10 + 60)]


def test_colours_come_back_as_they_were_given(tmp_path):
    """To within what the encoder loses; another colour matrix would be 20 levels off."""
    colours = np.array([[200, 72, 72], [66, 72, 200], [86, 180, 233], [13, 17, 23], [240, 228, 66], [72, 160, 72]])
    picture = colours.astype(np.uint8).reshape(2, 3, 3).repeat(32, axis=0).repeat(32, axis=1)
    write_video(iter([picture] * 4), tmp_path / "colours.mp4", 15)
    back = imageio.v2.get_reader(tmp_path / "colours.mp4").get_data(2)
    assert np.abs(back[16::32, 16::32].astype(int) - picture[16::32, 16::32]).max() <= 4


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_what_breaks_off_leaves_no_file(tmp_path, error):
    def pictures():
        yield np.zeros((64, 64, 3), np.uint8)
        assert len(list(tmp_path.iterdir())) == 1
        raise error

    with pytest.raises(error), new_file(tmp_path / "a.mp4") as (_, unfinished):
        write_video(pictures(), unfinished, 15)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_not_whole_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(imageio_ffmpeg, "count_frames_and_secs", lambda path: (3, 0.2))
    pictures = [np.zeros((64, 64, 3), np.uint8)] * 4
    with pytest.raises(UserError, match="of 4 pictures 3 are there"), new_file(tmp_path / "a.mp4") as (_, unfinished):
        write_video(iter(pictures), unfinished, 15)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_appears_meanwhile_is_not_overwritten(tmp_path):
    with pytest.raises(UserError, match="never overwritten"), new_file(tmp_path / "a.mp4") as (path, _):
        path.write_text("yours")
    assert [p.read_text() for p in tmp_path.iterdir()] == ["yours"]


# ---------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--episode", "-1"], "between 0 and 2, got -1"),
        (["--episode", "3"], "between 0 and 2, got 3"),
        (["--epsilon", "1.5"], "epsilon 1.5"),
        (["--epsilon", "nan"], "epsilon nan"),
        (["--max-frames", "3"], "3 frames"),
        (["--scale", "1"], "scale 1"),
        (["--fps", "0"], "0.0 frames/s"),
        (["--fps", "nan"], "nan frames/s"),
        (["--out", "video.gif"], "must end in .mp4"),
        (["--out", "nowhere/video.mp4"], "nowhere"),
        (["--out", "run.json/video.mp4"], "run.json"),
        (["--out", "a" * 300 + ".mp4"], "cannot be written"),
        (["--weights", "first"], "first"),
    ],
)
def test_a_mistake_is_one_message_and_no_file(folder, capsys, monkeypatch, options, named):
    monkeypatch.chdir(folder)
    before = sorted(p.name for p in folder.iterdir())
    try:
        code = main(["record", ".", *options, "--device", "cpu"])
    except SystemExit as end:
        code = end.code
    output, errors = capsys.readouterr()
    assert code == 2
    assert named in " ".join((output + errors).split())
    assert sorted(p.name for p in folder.iterdir()) == before


def test_without_weights_there_is_no_video(folder):
    (folder / "weights.safetensors").unlink()
    with pytest.raises(UserError, match="figures but not its weights"):
        record_episode(folder, device_name="cpu")
    assert not list(folder.glob("*.mp4"))


def test_a_run_that_did_not_finish_has_no_episode(folder):
    run = json.loads((folder / "run.json").read_text()) | {"status": "interrupted"}
    (folder / "run.json").write_text(json.dumps(run))
    with pytest.raises(UserError, match="interrupted, not finished"):
        record_episode(folder, device_name="cpu")


@pytest.mark.parametrize("absent", ["imageio", "imageio_ffmpeg", "PIL"])
def test_what_is_not_installed_is_named_with_the_command(folder, monkeypatch, absent):
    for name in list(sys.modules):
        if name.split(".")[0] == absent:
            monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UserError, match=rf"{absent}.*pip install"):
        record_episode(folder, device_name="cpu")


def test_an_evaluation_without_its_episode_is_broken(folder):
    evaluations = json.loads((folder / "evaluation.json").read_text())
    evaluations["evaluations"][0]["episodes"].pop()
    (folder / "evaluation.json").write_text(json.dumps(evaluations))
    with pytest.raises(UserError, match=r"evaluation\.json is broken: no episode 2"):
        record_episode(folder, episode=2, device_name="cpu")
