"""Loss, update, initialisation, exploration and replay beside the peers'."""

from dataclasses import replace
from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest
import torch
from one_stream import OneStream
from pfrl.agents import dqn as pfrl_dqn
from pfrl.explorers import ConstantEpsilonGreedy, LinearDecayEpsilonGreedy
from pfrl.nn import LargeAtariCNN
from pfrl.optimizers import RMSpropEpsInsideSqrt
from pfrl.q_functions import DiscreteActionValueHead
from pfrl.replay_buffers import ReplayBuffer as PfrlReplayBuffer
from stable_baselines3 import dqn as sb3_dqn
from stable_baselines3.common.atari_wrappers import AtariWrapper
from stable_baselines3.common.buffers import ReplayBuffer as Sb3ReplayBuffer
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.type_aliases import ReplayBufferSamples
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack
from torch import nn

from dqn_ref.agent import linear_epsilon
from dqn_ref.learner import td_loss
from peers.emulators import QUIET, Emulator, FourValues, act, new_streams, pfrl_wrappers

pytestmark = QUIET

ACTIONS, BATCH, UPDATES = 4, 32, 50
SYNCS = (25, 50)  # before or after these updates: every 100 agent steps
FLOAT32 = 1e-5  # relative: one loss or gradient, summed in another order
WAY = 1e-3  # of the way that the weights went in 50 updates
STATES = gymnasium.spaces.Box(0, 255, (4, 84, 84), np.uint8)


def spaces_only() -> gymnasium.Env:
    env = gymnasium.Env()
    env.observation_space, env.action_space = STATES, gymnasium.spaces.Discrete(ACTIONS)
    return env


def new_sb3(**values) -> sb3_dqn.DQN:
    return sb3_dqn.DQN("CnnPolicy", spaces_only(), buffer_size=1, device="cpu", **values)


@pytest.fixture(scope="module")
def played() -> OneStream:
    """500 agent steps of Breakout in our replay."""
    replay, streams = OneStream(500, 100), new_streams("breakout")
    replay.begin(streams.reset([1])[0])
    for action in np.random.default_rng(0).integers(ACTIONS, size=500):
        step = act(streams, action)
        replay.append(action, step.reward[0], bool(step.terminal[0]), step.frame[0])
    return replay


@pytest.fixture
def batches(played, random_batch):
    """Frames of a game; rewards and ends drawn, so that many errors are clipped and many targets terminal.

    (Frames of noise would be all alike to the network: float32 decides which hidden units they switch
    on, and two right programs drift apart by some percent in 50 updates.)
    """
    drawn = [(k, random_batch(BATCH, ACTIONS, seed=k)) for k in range(UPDATES)]
    return [replace(played.sample(BATCH, seed=k), r_t=each.r_t, discount_t=each.discount_t) for k, each in drawn]


def flat(tensors) -> torch.Tensor:
    return torch.cat([tensor.detach().flatten() for tensor in tensors])


def copy_weights(learner, *networks) -> None:
    for network in networks:
        for theirs, ours in zip(network.parameters(), learner.weights, strict=True):
            theirs.data.copy_(ours)


def train_ours(learner, batches, *, sync_first: bool = False) -> list[float]:
    """Our learner's losses. A sync and an update of the same agent step: update first, unless told otherwise."""
    losses = []
    for k, batch in enumerate(batches, 1):
        if sync_first and k in SYNCS:
            learner.sync_target()
        learner.loss_sum.zero_()
        learner.update(batch)
        losses.append(learner.loss_sum.item())
        if not sync_first and k in SYNCS:
            learner.sync_target()
    return losses


class PfrlLearner:
    """PFRL's agent, driven by act and observe; only what it samples from replay is given."""

    def __init__(self, learner) -> None:
        network = nn.Sequential(LargeAtariCNN(), nn.Linear(512, ACTIONS), DiscreteActionValueHead())
        copy_weights(learner, network)
        self.weights = list(network.parameters())
        self.replay = PfrlReplayBuffer(BATCH)
        self.agent = pfrl_dqn.DQN(
            network,
            RMSpropEpsInsideSqrt(self.weights, lr=0.00025, alpha=0.95, momentum=0, eps=0.01, centered=True),
            self.replay,
            gamma=0.99,
            explorer=ConstantEpsilonGreedy(1.0, lambda: 0),
            replay_start_size=BATCH,
            minibatch_size=BATCH,
            update_interval=4,
            target_update_interval=100,
            clip_delta=True,
            batch_accumulator="sum",
            phi=lambda state: np.asarray(state, np.float32) / 255,
        )

    def train(self, batches) -> list[float]:
        waiting, state = iter(batches), np.zeros(STATES.shape, np.uint8)
        self.replay.sample = lambda _: self.experiences(next(waiting))
        for _ in range(BATCH - 4):  # so that it starts to learn at the fourth agent step
            self.replay.append(state, 0, 0.0, state)
        for _ in range(4 * len(batches)):
            self.agent.act(state)
            self.agent.observe(state, 0.0, False, False)
        return list(self.agent.loss_record)

    @staticmethod
    def experiences(batch):
        names = ("state", "action", "reward", "next_state", "is_state_terminal", "next_action")
        values = zip(batch.s_tm1.numpy(), batch.a_tm1.tolist(), batch.r_t.tolist(), batch.s_t.numpy(),
                     (batch.discount_t == 0).tolist(), [None] * BATCH, strict=True)  # fmt: skip
        return [[dict(zip(names, row, strict=True))] for row in values]


class Sb3Learner:
    """SB3's DQN, driven by what its own loop calls; only what it samples from replay is given."""

    def __init__(self, learner, **values) -> None:
        self.model = new_sb3(target_update_interval=100, **values)
        self.model.set_logger(Logger(None, []))
        copy_weights(learner, self.model.q_net, self.model.q_net_target)
        self.weights = list(self.model.q_net.parameters())

    def train(self, batches) -> list[float]:
        """Its losses, which are means."""
        losses = []
        for batch in batches:
            for _ in range(4):
                self.model._on_step()
            samples = ReplayBufferSamples(batch.s_tm1, batch.a_tm1[:, None], batch.s_t,
                                          (batch.discount_t == 0).float()[:, None], batch.r_t[:, None])  # fmt: skip
            self.model.replay_buffer = SimpleNamespace(sample=lambda *_, given=samples, **__: given)
            self.model.train(1, BATCH)
            losses.append(float(self.model.logger.name_to_value["train/loss"]))
        return losses


# Mean loss makes gradients 32 times smaller, so the constant under the root is smaller by 32 squared.
FORMULA = {
    "learning_rate": 0.00025,
    "max_grad_norm": float("inf"),
    "policy_kwargs": {
        "optimizer_class": RMSpropEpsInsideSqrt,
        "optimizer_kwargs": {"alpha": 0.95, "eps": 0.01 / BATCH**2, "centered": True},
    },
}


# ---------------------------------------------------------------------- loss


def test_pfrls_loss_of_equal_values_is_ours(say):
    """Values and targets of any size; terminals; errors in and far beyond the clip."""
    draw = torch.Generator().manual_seed(0)
    q_tm1, q_t = 3 * torch.randn(2, 1_000, ACTIONS, generator=draw)
    a_tm1 = torch.randint(ACTIONS, (1_000,), generator=draw)
    r_t = torch.randint(-1, 2, (1_000,), generator=draw).float()
    discount_t = 0.99 * (torch.rand(1_000, generator=draw) < 0.8)
    y, t = q_tm1.gather(1, a_tm1[:, None])[:, 0], r_t + discount_t * q_t.amax(dim=1)
    assert (y - t).abs().max() > 5
    ours = td_loss(q_tm1, a_tm1, r_t, discount_t, q_t).item()
    relative = abs(pfrl_dqn.compute_value_loss(y, t, clip_delta=True, batch_accumulator="sum").item() / ours - 1)
    mean = pfrl_dqn.compute_value_loss(y, t, clip_delta=True).item() / ours
    say("loss of equal Q values", "pfrl", f"{relative:.1g} relative", "float32; batch_accumulator='sum'")
    say("- by its default, the mean", "pfrl", f"factor {mean:.6f}", "1/1000: mean over that batch")
    assert relative < FLOAT32
    assert mean == pytest.approx(1 / 1_000, rel=FLOAT32)


@pytest.mark.parametrize("peer", ["pfrl", "sb3"])
def test_loss_and_gradient_of_an_equal_network_are_ours(peer, new_learner, batches, say):
    ours = new_learner(ACTIONS)
    theirs, factor = (PfrlLearner(ours), 1) if peer == "pfrl" else (Sb3Learner(ours, **FORMULA), BATCH)
    (expected,) = train_ours(ours, batches[:1])
    (loss,) = theirs.train(batches[:1])
    gradient, expected_gradient = flat(weight.grad for weight in theirs.weights) * factor, flat(ours.gradient)
    relative = abs(loss * factor / expected - 1)
    relative_gradient = ((gradient - expected_gradient).norm() / expected_gradient.norm()).item()
    why = "float32; " + ("the sum, as ours" if factor == 1 else "32 times it: its loss is the mean")
    say("loss of an equal network", peer, f"{relative:.1g} relative", why)
    say("gradient of an equal network", peer, f"{relative_gradient:.1g} relative", why)
    assert relative < FLOAT32
    assert relative_gradient < FLOAT32


# ---------------------------------------------------------------------- updates


def distance(theirs, ours, start) -> float:
    """Between the weights, as a share of the way that ours went."""
    end = flat(ours.weights)
    return ((flat(theirs.weights) - end).norm() / (end - start).norm()).item()


@pytest.mark.parametrize("peer", ["pfrl", "sb3"])
def test_fifty_updates_with_target_syncs_are_ours(peer, new_learner, batches, say):
    """Both copy the target network *before* the update of the same agent step; ours and the released code after it."""
    ours, later = new_learner(ACTIONS), new_learner(ACTIONS)
    theirs = PfrlLearner(ours) if peer == "pfrl" else Sb3Learner(ours, **FORMULA)
    start = flat(ours.weights)
    expected, losses = train_ours(ours, batches, sync_first=True), theirs.train(batches)
    train_ours(later, batches)
    np.testing.assert_allclose(np.multiply(losses, 1 if peer == "pfrl" else BATCH), expected, rtol=WAY)
    equal, order = distance(theirs, ours, start), distance(theirs, later, start)
    setting = "its RMSpropEpsInsideSqrt" if peer == "pfrl" else "PFRL's RMSprop, eps .01/32**2, no clip"
    say(f"{UPDATES} updates, 2 syncs", peer, f"{equal:.1g} of the way", f"< {WAY}: float32; {setting}")
    say(
        "- in our order at a sync",
        peer,
        f"{order:.1g} of the way",
        "> 0: syncs before that step's update, ours after",
    )
    assert equal < WAY
    assert order > 5 * WAY


def test_stable_baselines3s_defaults_are_another_optimiser(new_learner, batches, say):
    """One constant after the other: which of them matters."""
    ours, untrained, found = new_learner(ACTIONS), new_learner(ACTIONS), {}
    train_ours(ours, batches, sync_first=True)
    rmsprop = FORMULA["policy_kwargs"]
    larger_eps = {**rmsprop, "optimizer_kwargs": {**rmsprop["optimizer_kwargs"], "eps": 0.01}}
    for what, values in {
        "defaults": {},
        "mean": {**FORMULA, "policy_kwargs": larger_eps},
        "clip": {**FORMULA, "max_grad_norm": 10},
    }.items():
        theirs = Sb3Learner(untrained, **values)
        theirs.train(batches)
        found[what] = distance(theirs, ours, flat(untrained.weights))
    say(
        "- by its defaults", "sb3", f"{found['defaults']:.2g} of the way", "> 1: Adam, learning rate 1e-4: longer steps"
    )
    say(
        "- eps .01 with a mean loss",
        "sb3",
        f"{found['mean']:.2g} of the way",
        "near 1: barely moves, .01 outweighs g2/32**2",
    )
    say("- with its clip, norm 10", "sb3", f"{found['clip']:.2g} of the way", "the norm of a mean stays below 10 here")
    assert found["defaults"] > 1
    assert found["mean"] > 0.3
    assert found["clip"] < WAY


# ---------------------------------------------------------------------- before and around the updates


def test_initialisation(new_learner, say):
    """Ours is U(+-1/sqrt(fan in)), of standard deviation 1/sqrt(3 fan in), weights and biases alike."""
    ours = new_learner(ACTIONS)
    torch.manual_seed(0)
    networks = {"pfrl": LargeAtariCNN(), "sb3": new_sb3().q_net}
    for peer, expected, bias, why in (
        ("pfrl", 3**0.5, 0.1, "1.73: LeCun normal, std 1/sqrt(fan in); biases .1"),
        ("sb3", 1.0, None, "1: PyTorch's default, which is ours"),
    ):
        parameters = list(networks[peer].parameters())
        hidden = parameters[6]
        assert hidden.shape == ours.online.hidden.weight.shape
        ratio = (hidden.std() / ours.online.hidden.weight.std()).item()
        say("initial weights, std ratio", peer, f"{ratio:.3f}", why)
        assert ratio == pytest.approx(expected, rel=0.01)
        if bias is None:
            assert 0.9 / 16 < parameters[1].abs().max() <= 1 / 16
        else:
            assert all((each == np.float32(bias)).all() for each in parameters[1::2])


def test_both_count_exploration_from_the_first_step_and_ours_from_the_first_update(say):
    total = 50_000_000
    sb3 = new_sb3(exploration_fraction=1_000_000 / total, exploration_final_eps=0.1).exploration_schedule
    pfrl = LinearDecayEpsilonGreedy(1.0, 0.1, 1_000_000, lambda: 0).compute_epsilon
    for peer, theirs in (("sb3", lambda t: sb3(1 - t / total)), ("pfrl", pfrl)):
        for warm_up, expected in ((50_000, 0.045), (0, 0.0)):
            ours = {t: linear_epsilon(t, warm_up=warm_up, span=1_000_000, start=1.0, end=0.1)
                    for t in range(0, 1_200_000, 1_000)}  # fmt: skip
            largest = max(abs(epsilon - theirs(t)) for t, epsilon in ours.items())
            if warm_up:
                say(
                    "epsilon",
                    peer,
                    f"{largest:.3f}",
                    ".045 = .9 * 50k/1M: decays in the warm-up, too",
                )
            assert largest == pytest.approx(expected, abs=1e-9)


# ---------------------------------------------------------------------- replay and stacks


def same_stacks(stacks, frames, begins) -> list[bool]:
    """Whether each stack [4, 84, 84] is the state that our replay holds after the same frames."""
    replay, same = OneStream(len(frames), 100), []
    for stack, frame, begin in zip(stacks, frames, begins, strict=True):
        if begin:
            replay.begin(frame)
        else:
            replay.append(0, 0.0, False, frame)
        same.append(np.array_equal(replay.newest_state()[0].numpy(), stack))
    return same


def played_stacks(peer: str):
    """400 agent steps of Breakout: stacks [4, 84, 84], newest frames [84, 84], and where an episode or life began."""
    rng, stacks, begins = np.random.default_rng(0), [], [True]
    if peer == "sb3":
        env = VecFrameStack(DummyVecEnv([lambda: AtariWrapper(Emulator("breakout"), noop_max=0)]), 4)
        stacks.append(env.reset()[0].transpose(2, 0, 1).copy())
    elif peer == "pfrl":
        env = pfrl_wrappers.wrap_deepmind(pfrl_wrappers.MaxAndSkipEnv(FourValues(Emulator("breakout"))))
        stacks.append(np.array(env.reset()))
    else:
        padding = peer.partition(" ")[2] or "reset"
        env = gymnasium.wrappers.AtariPreprocessing(Emulator("breakout"), noop_max=0, terminal_on_life_loss=True)
        env = gymnasium.wrappers.FrameStackObservation(env, 4, padding_type=padding)
        stacks.append(env.reset()[0])
    for _ in range(400):
        action = int(rng.integers(4))
        state, _, done, *_ = env.step([action] if peer == "sb3" else action)
        if peer == "sb3":  # resets by itself
            state, done = state[0].transpose(2, 0, 1), done[0]
        elif done:
            state = env.reset()
            state = state[0] if isinstance(state, tuple) else state
        stacks.append(np.array(state))
        begins.append(bool(done))
    return stacks, [stack[-1] for stack in stacks], begins


@pytest.mark.parametrize(("peer", "states"), [("sb3", 0), ("pfrl", 3), ("gymnasium", 3), ("gymnasium zero", 0)])
def test_stacks_before_the_fourth_frame(peer, states, say):
    """Ours holds zeros there, as the released code; a repeated first frame is another state three times a life."""
    stacks, frames, begins = played_stacks(peer)
    differ = ~np.array(same_stacks(stacks, frames, begins))
    lives = sum(begins)
    assert lives >= 4
    name, _, padding = peer.partition(" ")
    why = "0: zeros before an episode's first frame, as ours" if states == 0 else "3 a life: repeats the first frame"
    what = "states of 400 steps" + (f", padding '{padding}'" if padding else "")
    say(what, name, f"{differ.sum()} in {lives} lives", why)
    assert differ.sum() == states * lives
    since = np.array([t - max(b for b in np.flatnonzero(begins) if b <= t) for t in range(len(begins))])
    assert np.array_equal(differ, since < states)


def test_a_batch_of_pfrl_holds_no_transition_twice(say):
    """Ours and SB3's draw with replacement; at a million transitions a batch of 32 repeats one in 2,000 times."""
    held, draws = 64, 300
    frame = np.zeros((84, 84), np.uint8)
    ours = OneStream(held, 100)
    ours.begin(frame)
    space = gymnasium.spaces.Box(0, 1, (1,), np.float32)
    sb3 = Sb3ReplayBuffer(held, space, gymnasium.spaces.Discrete(held), device="cpu")
    pfrl = PfrlReplayBuffer(held)
    for k in range(held):
        ours.append(k, 0.0, False, frame)
        sb3.add(np.zeros((1, 1)), np.zeros((1, 1)), np.array([k]), np.zeros(1), np.zeros(1), [{}])
        pfrl.append(frame, k, 0.0)
    np.random.seed(0)
    seeds = iter(range(draws))
    samplers = {
        "ours": lambda: ours.sample(BATCH, seed=next(seeds)).a_tm1.tolist(),
        "sb3": lambda: sb3.sample(BATCH).actions[:, 0].tolist(),
        "pfrl": lambda: [rows[0]["action"] for rows in pfrl.sample(BATCH)],
    }
    distinct = {name: np.mean([len(set(draw())) for _ in range(draws)]) for name, draw in samplers.items()}
    expected = held * (1 - (1 - 1 / held) ** BATCH)
    for peer, why in (("sb3", f"{expected:.1f}: with replacement"), ("pfrl", "32: without replacement")):
        measured = f"{distinct[peer]:.1f} instead of {distinct['ours']:.1f}"
        say(f"distinct in a batch, {held} held", peer, measured, why)
    assert distinct["ours"] == pytest.approx(expected, abs=0.5)
    assert distinct["sb3"] == pytest.approx(expected, abs=0.5)
    assert distinct["pfrl"] == BATCH
