"""On a CUDA device: the same numbers as on the CPU, twice the same, and within the memory that is promised."""

import numpy as np
import pytest
import torch

from dqn_ref.config import CI, NATURE, DQNConfig
from dqn_ref.device import prepare_torch
from dqn_ref.replay import Batch, Replay
from dqn_ref.run import run_population
from dqn_ref.seeds import Member
from dqn_ref.train import make_agent

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]


@pytest.fixture
def device() -> torch.device:
    device = torch.device("cuda")
    prepare_torch(device)
    return device


def moved(batch: Batch, device: torch.device) -> Batch:
    return Batch(**{name: value.to(device) for name, value in vars(batch).items()})


def test_equal_seeds_give_bitwise_equal_results(device, tmp_path, tiny_config):
    config = tiny_config(batch_size=32)
    members = [Member("breakout", 0), Member("pong", 1)]

    def results(name: str) -> list[bytes]:
        folders = [tmp_path / name / member.game for member in members]
        run_population(members, folders, CI, config, device_name=device.type)
        return [(f / file).read_bytes() for f in folders for file in ("episodes.csv", "weights.safetensors")]

    assert results("first") == results("second")


def test_an_update_equals_the_cpus_in_float32(device, new_learner, random_batch):
    """20 updates and a target sync; without TF32 the two differ by the order of float32 sums only."""
    here, there = new_learner(6), new_learner(6, device=device)
    initial = [w.detach().clone() for w in here.weights]
    assert all(torch.equal(w, v.cpu()) for w, v in zip(here.weights, there.weights, strict=True))
    for k in range(20):
        if k == 10:
            here.sync_target()
            there.sync_target()
        batch = random_batch(32, 6, seed=k)
        here.update(batch)
        there.update(moved(batch, device))
    for w, v, start in zip(here.weights, there.weights, initial, strict=True):
        way = (w - start).norm()
        assert way > 0
        assert (w - v.cpu()).norm() < 2e-3 * way
    assert there.loss_sum.item() == pytest.approx(here.loss_sum.item(), rel=1e-4)


def test_updates_are_bitwise_repeatable(device, new_learner, random_batch):
    def weights() -> torch.Tensor:
        learner = new_learner(6, device=device)
        for k in range(10):
            learner.update(moved(random_batch(32, 6, seed=k), device))
        return torch.cat([w.detach().flatten() for w in learner.weights])

    assert torch.equal(weights(), weights())


def test_a_sample_holds_the_stacks_of_the_frames_stored(device):
    """Random pixels, life losses, a cut and a wrapped ring; expected stacks are built from the list of frames."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (120, 84, 84), dtype=np.uint8)
    replay = Replay(60, 20, 0.99, device)
    blank, expected, taken = np.zeros((84, 84), np.uint8), {}, iter(pixels)

    frame = next(taken)
    replay.begin(frame)
    state = [blank, blank, blank, frame]
    for t in range(100):
        frame, terminal = next(taken), t % 9 == 8
        replay.append(t, (t % 3) - 1.0, terminal, frame)
        before, state = state, ([blank] * 3 if terminal else state[1:]) + [frame]
        expected[t] = (np.stack(before), (t % 3) - 1.0, 0.0 if terminal else 0.99, np.stack(state))
        assert np.array_equal(replay.newest_state()[0].cpu().numpy(), np.stack(state))
        if t % 25 == 24 and t < 99:
            frame = next(taken)
            replay.begin(frame)
            state = [blank, blank, blank, frame]
    batch = moved(replay.sample(600, torch.Generator(device).manual_seed(0)), torch.device("cpu"))
    assert set(batch.a_tm1.tolist()) == set(range(40, 100))
    for k, t in enumerate(batch.a_tm1.tolist()):
        s_tm1, reward, discount, s_t = expected[t]
        assert np.array_equal(batch.s_tm1[k].numpy(), s_tm1)
        assert np.array_equal(batch.s_t[k].numpy(), s_t)
        assert batch.r_t[k].item() == reward
        assert batch.discount_t[k].item() == pytest.approx(discount)


def test_successive_batches_differ_and_equal_generators_agree(device):
    """A random state that is frozen, as in a captured graph, would draw the same batch for ever."""
    replay = Replay(200, 200, 0.99, device)
    replay.begin(np.zeros((84, 84), np.uint8))
    for t in range(200):
        replay.append(t, 0.0, False, np.zeros((84, 84), np.uint8))

    def batches() -> list[tuple]:
        draw = torch.Generator(device).manual_seed(3)
        return [tuple(replay.sample(32, draw).a_tm1.tolist()) for _ in range(10)]

    assert len(set(batches())) == 10
    assert batches() == batches()


def test_a_member_of_the_papers_size_takes_at_most_7_3_gb(device):
    """Replay of 1M frames, both networks, optimiser, and the peak of an update."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    agent = make_agent(NATURE.config, Member("breakout", 0), 18, device)
    agent.replay.begin(np.zeros((84, 84), np.uint8))
    for t in range(40):
        agent.replay.append(t % 18, 0.0, False, np.full((84, 84), t, np.uint8))
    agent.learn()
    assert agent.replay.capacity == DQNConfig().replay_capacity == 1_000_000
    assert torch.cuda.memory_allocated(device) - before <= 7.2e9
    assert torch.cuda.max_memory_allocated(device) - before <= 7.3e9
