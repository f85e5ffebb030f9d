"""The DQN's own loop against a second, plain implementation on the bare emulator (single_game.py), bit for bit.

Each game is played twice by the same actions: by ``dqn_ref.train``, with a stand-in for the learner that
plays them and keeps whatever it is shown, and by ``single_game.play``.
"""

import functools
import hashlib
from typing import NamedTuple

import numpy as np
import pytest
import torch
from single_game import SingleGame, play

from dqn_ref import evaluate as evaluation
from dqn_ref.atari import rom_md5
from dqn_ref.build import make_population, make_streams
from dqn_ref.config import DQNConfig
from dqn_ref.replay import Batch
from dqn_ref.seeds import Member
from dqn_ref.time_split import TimeSplit
from dqn_ref.train import train

CPU = torch.device("cpu")
ITERATIONS, STEPS_PER_ITERATION = 2, 1_050
CAPACITY = 1_500  # the replay's ring wraps
MAX_NOOPS = 30

# game: (seed of the member, frames after which episodes are cut)
CASES = {
    "amidar": (6, 108_000),  # begins with no no-op, so that lives rise from 0 in the first step
    "breakout": (1, 644),  # a cut falls on a step that loses a life
    "double_dunk": (1, 1_600),
    "pong": (1, 998),
    "qbert": (1, 1_240),
    "riverraid": (1, 108_000),
    "seaquest": (1, 108_000),
}
GAMES = list(CASES)

# game: (sha256 of the input, sha256 of the output); printed by ``python tests/test_pixels.py``
GOLDEN = {
    "amidar": ("6be139226d81f72afcc38f95c815537b", "c2be26fd4ce1370df2dda5e0c4219048"),
    "breakout": ("892678156ef0cfb8dd2dbec59c196c3d", "ccc1f4c05b9e6ac25d8cd15bb53dab36"),
    "double_dunk": ("54183ae87e6e85dd0b58bfd929788309", "a07e939d53958915a5484d23e8038f7d"),
    "pong": ("83676c7e9c38f29113226de620353167", "5cd5cbc101a728d7af0beb5e8f4381be"),
    "qbert": ("a1d351ee57f1a91a26e32e1205a8e2fc", "da44c237168b10e1b40556e2f1bd0b2f"),
    "riverraid": ("4ca9dd83893fa47c8b8e77bd79e594c9", "d2d0fdd9b3c6828d278ce8f221ff7022"),
    "seaquest": ("cb867f6697ebcfcfd42ee3e377b9c0fb", "547fd6782ef05e3871689eb010b4498b"),
}


class Seen(NamedTuple):
    """An agent step, pictures as their hashes."""

    state: str
    action: int
    frame: str
    final_frame: str
    reward: int
    terminal: bool
    game_over: bool
    truncated: bool


class Learnt(NamedTuple):
    """A transition, states as their hashes."""

    s_tm1: str
    a_tm1: int
    r_t: float
    discount_t: float
    s_t: str


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]


def picture(array: np.ndarray) -> str:
    assert array.dtype == np.uint8
    return f"{array.shape} {sha256(np.ascontiguousarray(array))}"


def transitions(batch: Batch) -> list[Learnt]:
    columns = (batch.s_tm1, batch.a_tm1, batch.r_t, batch.discount_t, batch.s_t)
    return [Learnt(picture(s_tm1), int(a), float(r), float(discount), picture(s_t))
            for s_tm1, a, r, discount, s_t in zip(*(column.numpy() for column in columns), strict=True)]  # fmt: skip


class Watcher:
    """In the learner's place: plays ``actions`` and keeps the states and batches that it is given."""

    def __init__(self, actions: np.ndarray, num_actions: int) -> None:
        self.actions, self.num_actions = iter(actions), num_actions
        self.states: list[str] = []
        self.learnt: set[Learnt] = set()

    def values(self, states: torch.Tensor) -> torch.Tensor:
        (state,) = states.numpy()
        self.states.append(picture(state))
        return torch.eye(self.num_actions)[[int(next(self.actions))]]

    def update(self, batch: Batch) -> None:
        self.learnt.update(transitions(batch))

    def sync_target(self) -> None:
        pass


# ---------------------------------------------------------------------- the two implementations


class Input(NamedTuple):
    game: str
    rom: str
    max_episode_frames: int
    seeds: list[int]  # of the emulator, one per iteration
    actions: np.ndarray  # [iterations, steps]

    def sha256(self) -> str:
        return sha256(repr(self._replace(actions=self.actions.tolist())).encode())


@functools.cache
def given(game: str) -> Input:
    num_actions = len(SingleGame(game, 0).actions)
    actions = np.random.default_rng(2015).integers(num_actions, size=(ITERATIONS, STEPS_PER_ITERATION))
    member_seed, max_episode_frames = CASES[game]
    seeds = [Member(game, member_seed).stream_seed("emulator", iteration) for iteration in range(ITERATIONS)]
    return Input(game, rom_md5(game), max_episode_frames, seeds, actions)


@functools.cache
def plain(game: str) -> tuple[list[Seen], list[Learnt]]:
    """By single_game.py: all steps, and all transitions."""
    seen, learnt = [], []
    _, _, max_episode_frames, seeds, actions = given(game)
    for seed, row in zip(seeds, actions.tolist(), strict=True):
        for step in play(SingleGame(game, seed, MAX_NOOPS), row, max_episode_frames, training=True):
            state, s_t = picture(step.s_tm1), picture(step.s_t)
            clipped, discount = float(np.sign(step.reward)), 0.0 if step.terminal else float(np.float32(0.99))
            pictures = picture(step.frame), picture(step.final_frame)
            ends = step.terminal, step.game_over, step.truncated
            seen.append(Seen(state, step.a_tm1, *pictures, step.reward, *ends))
            learnt.append(Learnt(state, step.a_tm1, clipped, discount, s_t))
    return seen, learnt


@functools.cache
def ours(game: str) -> tuple[list[Seen], list[Learnt], set[Learnt]]:
    """By dqn_ref: all steps, the transitions that replay holds in the end, and those learnt from meanwhile."""
    actions, steps = given(game).actions, ITERATIONS * STEPS_PER_ITERATION
    member_seed, max_episode_frames = CASES[game]
    config = DQNConfig(
        total_frames=4 * steps,
        iteration_frames=4 * STEPS_PER_ITERATION,
        max_episode_frames=max_episode_frames,
        replay_capacity=CAPACITY,
        replay_start_agent_steps=50,
        batch_size=8,
        epsilon_start=0.0,
        epsilon_end=0.0,
    )
    streams = make_streams(config, [game])
    population = make_population(config, [Member(game, member_seed)], streams.num_actions, CPU)
    (agent,) = population.agents
    agent.learner = watcher = Watcher(actions.ravel(), agent.num_actions)
    seen = [
        Seen(
            watcher.states[-1],
            int(tick.actions[0]),
            picture(tick.step.frame[0]),
            picture(tick.step.final_frame[0]),
            int(tick.step.reward[0]),
            bool(tick.step.terminal[0]),
            bool(tick.step.game_over[0]),
            bool(tick.step.truncated[0]),
        )
        for tick in train(config, population, streams, TimeSplit())
    ]
    replay = population.replay
    assert replay.size == CAPACITY
    slot = torch.from_numpy(replay.slots_of(np.arange(replay.size)))  # every row once, in order
    return seen, transitions(replay.batch(slot, torch.zeros_like(slot))), watcher.learnt


def in_the_ring(learnt: list[Learnt]) -> list[Learnt]:
    """The newest ones as a ring holds them: transition t in row t modulo the capacity."""
    newest = range(len(learnt) - CAPACITY, len(learnt))
    return [learnt[t] for t in sorted(newest, key=lambda t: t % CAPACITY)]


def first_difference(a: list, b: list) -> tuple | None:
    return next(((t, *pair) for t, pair in enumerate(zip(a, b, strict=True)) if pair[0] != pair[1]), None)


# ---------------------------------------------------------------------- training


@pytest.mark.parametrize("game", GAMES)
@pytest.mark.fidelity(13, 14, 15, 16, 17, 18, 19, 21, 22, 23)
def test_every_step_shows_what_the_bare_emulator_shows(game):
    """States acted in, frames, rewards, ends of lives and episodes: through no-ops, autoreset and truncation."""
    seen, _, _ = ours(game)
    assert len(seen) == ITERATIONS * STEPS_PER_ITERATION
    assert first_difference(seen, plain(game)[0]) is None


@pytest.mark.parametrize("game", GAMES)
@pytest.mark.fidelity(16, 19, 20, 23)
def test_every_transition_learnt_from_is_one_that_was_played(game):
    """Whatever an update was given, and everything that replay holds in the end."""
    _, held, learnt = ours(game)
    assert len(learnt) > 900
    assert learnt <= set(plain(game)[1])
    assert first_difference(held, in_the_ring(plain(game)[1])) is None


def test_the_games_were_played_through_everything_that_can_happen():
    """Else the tests above would prove less than they say."""
    played = {game: plain(game)[0] for game in GAMES}

    def games_with(event) -> set[str]:
        return {game for game, steps in played.items() if any(map(event, steps))}

    with_lives = {"amidar", "breakout", "qbert", "riverraid", "seaquest"}
    assert games_with(lambda s: s.game_over) == with_lives
    assert games_with(lambda s: s.terminal and not s.game_over) == with_lives
    assert games_with(lambda s: s.truncated) == {"breakout", "double_dunk", "pong", "qbert"}
    assert games_with(lambda s: s.truncated and s.terminal) == {"breakout"}
    assert games_with(lambda s: s.reward < 0) == {"double_dunk", "pong"}
    assert games_with(lambda s: s.reward > 1) >= {"qbert", "riverraid", "seaquest"}  # raw
    assert all(len({step.state for step in steps}) > 1_000 for steps in played.values())


# ---------------------------------------------------------------------- golden hashes


def output_sha256(seen: list[Seen], held: list[Learnt]) -> str:
    return sha256(repr((seen, held)).encode())


def found(game: str) -> tuple[str, str, str]:
    """Hashes of the input, of our output and of the plain one."""
    seen, learnt = plain(game)
    return given(game).sha256(), output_sha256(*ours(game)[:2]), output_sha256(seen, in_the_ring(learnt))


@pytest.mark.parametrize("game", GAMES)
def test_golden_hashes(game):
    """Neither the emulator nor dqn_ref has changed what is seen since the table was made."""
    (given_now, ours_now, plain_now), (given_then, then) = found(game), GOLDEN[game]
    if given_now != given_then:
        moved = "The input moved (ROM, cap, seeds or actions), so its output says nothing."
    elif plain_now != then:
        moved = "Input equal, output differs, the plain one's too: the emulator or single_game.py moved."
    elif ours_now != then:
        moved = "Input equal, output differs, the plain one's does not: dqn_ref moved."
    else:
        return
    pytest.fail(f"{moved} If that is meant, take the table that `python tests/test_pixels.py` prints.")


# ---------------------------------------------------------------------- evaluation


@pytest.mark.parametrize(
    ("game", "max_frames", "end"), [("breakout", 108_000, "game_over"), ("qbert", 1_000, "truncated")]
)
@pytest.mark.fidelity(26)
def test_evaluation_sees_what_the_bare_emulator_shows(game, max_frames, end, monkeypatch):
    """Zeros before the first frame and never after a life loss; the score is the raw one."""
    monkeypatch.setattr(evaluation, "PARALLEL_EPISODES", 1)
    member, num_actions = Member(game, 2), len(SingleGame(game, 0).actions)
    actions = np.random.default_rng(2015).integers(num_actions, size=2_000)
    watcher = Watcher(actions, num_actions)
    episodes = evaluation.evaluate(
        watcher.values, member, episodes=3, epsilon=0.0, max_frames=max_frames, device=CPU, max_noops=MAX_NOOPS
    )

    states, left = [], iter(actions.tolist())
    for episode in episodes:
        single = SingleGame(game, member.stream_seed("evaluation-emulator", episode.episode), MAX_NOOPS)
        steps = []
        for step in play(single, left, max_frames, training=False):
            steps.append(step)
            if step.game_over or step.truncated:
                break
        states += [picture(step.s_tm1) for step in steps]
        assert any(step.terminal for step in steps[:-1])  # lives were lost on the way
        assert episode.raw_return == sum(step.reward for step in steps)
        assert episode.frames == 4 * len(steps)
        assert episode.end == end == ("game_over" if steps[-1].game_over else "truncated")
    assert len(watcher.states) == len(states)
    assert first_difference(watcher.states, states) is None


if __name__ == "__main__":
    torch.set_num_threads(1)
    for game in GAMES:
        given_now, ours_now, plain_now = found(game)
        assert ours_now == plain_now, f"{game}: dqn_ref and the plain implementation differ; mend that first"
        print(f'    "{game}": ("{given_now}", "{ours_now}"),')
