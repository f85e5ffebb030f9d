import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from single_game import SingleGame

from dqn_ref import evaluate as module
from dqn_ref.evaluate import EvaluationEpisode, evaluate, evaluation, in_turn, summary
from dqn_ref.seeds import Member

CPU = torch.device("cpu")
MEMBER = Member("breakout", 3)


def by_brightness(num_actions: int):
    """Q values that depend on the state alone, row by row, so that they do not change with the batch."""

    def values(state: torch.Tensor) -> torch.Tensor:
        best = state.long().sum(dim=(1, 2, 3)) // 7 % num_actions
        return torch.nn.functional.one_hot(best, num_actions).float()

    return values


def play(values=None, member: Member = MEMBER, **changes) -> list[EvaluationEpisode]:
    values = values or by_brightness(4)
    return evaluate(
        values, member, **{"episodes": 2, "epsilon": 0.05, "max_frames": 2_000, "device": CPU, "max_noops": 0} | changes
    )


def by_hand(episode: int, epsilon: float, max_frames: int, member: Member = MEMBER) -> EvaluationEpisode:
    """Episode ``episode`` of a policy that would always press FIRE, on the bare emulator: no engine."""
    single = SingleGame(member.game, member.stream_seed("evaluation-emulator", episode))
    single.start()
    explore = member.numpy_stream("evaluation-explore", episode)
    score, frames = 0, 0
    while not single.ale.game_over() and frames < max_frames:
        action = 1
        if explore.random() < epsilon:
            action = int(explore.integers(len(single.actions)))
        score += single.step(action)[1]
        frames += 4
    return EvaluationEpisode(episode, score, frames, "game_over" if single.ale.game_over() else "truncated")


def always_fire(state: torch.Tensor) -> torch.Tensor:
    return torch.tensor([[0.0, 1.0, 0.0, 0.0]]).expand(len(state), 4)


@pytest.mark.fidelity(26, 28)
def test_episodes_are_those_of_the_single_game_played_to_the_end():
    """Raw score, all five lives, exploration at epsilon: life losses end nothing."""
    played = play(always_fire, epsilon=0.5, episodes=3, max_frames=4_000)
    assert played == [by_hand(episode, 0.5, 4_000) for episode in range(3)]
    assert {episode.end for episode in played} == {"game_over"}
    assert sum(episode.raw_return for episode in played) > 0


@pytest.mark.fidelity(28)
def test_an_episode_at_the_cap_is_cut_and_keeps_its_score():
    member = Member("riverraid", 0)

    def shoot(state):
        return torch.eye(18)[[1] * len(state)]

    played = play(shoot, member, episodes=2, epsilon=0.0, max_frames=320)
    expected = [by_hand(episode, 0.0, 320, member) for episode in range(2)]
    assert [(e.frames, e.end) for e in played] == [(320, "truncated")] * 2
    assert [e.raw_return for e in played] == [e.raw_return for e in expected]
    assert min(e.raw_return for e in played) > 1  # raw, not clipped
    shorter_steps = play(shoot, member, episodes=1, epsilon=0.0, max_frames=320, frames_per_agent_step=2)
    assert (shorter_steps[0].frames, shorter_steps[0].end) == (320, "truncated")


def test_results_do_not_depend_on_how_many_play_at_once(monkeypatch):
    results = []
    for at_once in (1, 3):
        monkeypatch.setattr(module, "PARALLEL_EPISODES", at_once)
        results.append(play(epsilon=1.0, episodes=5))
    assert results[0] == results[1]


def test_evaluations_in_turn_find_what_each_finds_alone():
    """Three of different lengths, on two games; each ends when it ends."""
    asked = [(MEMBER, 5), (Member("pong", 0), 1), (Member("breakout", 4), 2)]
    options = {"epsilon": 0.3, "max_frames": 400, "device": CPU, "max_noops": 0}
    together = in_turn([evaluation(by_brightness(4), member, episodes=n, **options) for member, n in asked])
    assert together == [play(member=member, episodes=n, **options) for member, n in asked]
    assert [len(found) for found in together] == [5, 1, 2]


def test_while_the_emulators_of_one_are_at_work_the_other_networks_answer():
    tape = []

    def one(name, steps):
        for _ in range(steps):
            tape.append(f"{name} acts")
            yield
            tape.append(f"{name} hears")
        return name

    assert in_turn([one("a", 2), one("b", 1)]) == ["a", "b"]
    assert tape == ["a acts", "b acts", "a hears", "a acts", "b hears", "a hears"]


@pytest.mark.fidelity(28)
def test_the_first_episodes_started_count_not_the_first_finished(monkeypatch):
    """With 2 at once and 5 wanted, exactly episodes 0 to 4 count, though they end in another order."""
    monkeypatch.setattr(module, "PARALLEL_EPISODES", 2)
    five = play(epsilon=1.0, episodes=5)
    assert [episode.episode for episode in five] == [0, 1, 2, 3, 4]
    assert len({episode.frames for episode in five}) > 1
    assert play(epsilon=1.0, episodes=3) == five[:3]  # asking for more changes none of the earlier


def test_evaluation_is_a_function_of_its_member():
    first, again = (play(epsilon=1.0, episodes=2) for _ in range(2))
    assert first == again
    assert play(member=Member("breakout", 4), epsilon=1.0, episodes=2) != first


@pytest.mark.fidelity(26)
def test_epsilon_is_what_was_asked_for():
    """The share and the spread of actions that are not the greedy one, counted at the emulator's mouth."""
    sent = []

    class Watching(module.AtariStreams):
        def send(self, actions):
            sent.extend(actions.tolist())
            super().send(actions)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "AtariStreams", Watching)
        play(always_fire, episodes=8, epsilon=0.4, max_frames=400)
    counts = np.bincount(sent, minlength=4)
    share = len(sent) * np.array([0.1, 0.7, 0.1, 0.1])
    assert chisquare(counts, share).pvalue > 1e-3
    sent.clear()


def test_no_ops_at_the_start_differ_between_episodes_unless_switched_off():
    def first_frames(max_noops: int) -> int:
        seen = []

        def watching(state):
            seen.append(state.clone())
            return torch.zeros(len(state), 18)

        play(watching, Member("riverraid", 0), episodes=6, max_frames=4, max_noops=max_noops)
        return len({state.numpy().tobytes() for state in seen[0][:, 3]})

    assert first_frames(0) == 1
    assert first_frames(30) >= 4


def test_summary_by_hand():
    episodes = [EvaluationEpisode(0, 10, 400, "game_over"), EvaluationEpisode(1, 16, 800, "truncated")]
    record = summary(episodes, weights="last", epsilon=0.05, max_frames=18_000, training_frames=1_000_000,
                     frames_per_agent_step=4, seconds=1.5)  # fmt: skip
    assert record["mean_return"] == 13
    assert record["std_return"] == pytest.approx(18**0.5)  # ((-3)**2 + 3**2) / (2 - 1)
    assert (record["num_episodes"], record["max_frames"], record["epsilon"]) == (2, 18_000, 0.05)
    assert (record["weights"], record["training_frames"]) == ("last", 1_000_000)
    assert (record["agent_steps"], record["seconds"]) == (300, 1.5)
    assert record["episodes"] == [
        {"episode": 0, "raw_return": 10, "frames": 400, "end": "game_over"},
        {"episode": 1, "raw_return": 16, "frames": 800, "end": "truncated"},
    ]


def test_one_episode_has_no_spread():
    record = summary([EvaluationEpisode(0, 7, 4, "game_over")], weights="last", epsilon=0, max_frames=4,
                     training_frames=4, frames_per_agent_step=4, seconds=0.1)  # fmt: skip
    assert (record["mean_return"], record["std_return"]) == (7, 0)
