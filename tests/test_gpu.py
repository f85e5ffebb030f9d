"""On a CUDA device: the same numbers as on the CPU, twice the same, and within the memory that is promised."""

import gc

import numpy as np
import pytest
import torch

from dqn_ref.build import make_population, make_streams
from dqn_ref.config import DQNConfig
from dqn_ref.device import prepare_torch
from dqn_ref.population import Population
from dqn_ref.protocols import CI, NATURE
from dqn_ref.records import RunRecord
from dqn_ref.replay import Batch, Replay
from dqn_ref.resume import resume_population
from dqn_ref.run import run_population
from dqn_ref.seeds import Member
from dqn_ref.time_split import TimeSplit
from dqn_ref.train import train

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]


@pytest.fixture
def device() -> torch.device:
    device = torch.device("cuda")
    prepare_torch(device)
    return device


def moved(batch: Batch, device: torch.device) -> Batch:
    return Batch(**{name: value.to(device) for name, value in vars(batch).items()})


def test_equal_seeds_give_bitwise_equal_results_with_graphs_and_without(device, tmp_path, tiny_config):
    config = tiny_config(batch_size=32)
    members = [Member("breakout", 0), Member("pong", 1)]

    def results(name: str, graphs: bool = True) -> list[bytes]:
        folders = [tmp_path / name / member.game for member in members]
        run_population(members, folders, CI, config, device_name=device.type, graphs=graphs)
        assert RunRecord.read(folders[0]).run["provenance"]["torch"]["graphs"] is graphs
        return [(f / file).read_bytes() for f in folders for file in ("episodes.csv", "weights.safetensors")]

    assert results("first") == results("second") == results("plain", graphs=False)


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


def test_a_batch_holds_the_stacks_of_the_frames_stored(device):
    """Random pixels, life losses, truncations, iterations and a wrapped ring, in two streams: as on the CPU."""
    cpu, rng = torch.device("cpu"), np.random.default_rng(0)
    replays = [
        Replay(2, 60, shortest_iteration=25, shortest_episode=10, discount=0.99, device=d) for d in (cpu, device)
    ]
    for t in range(100):
        if t % 25 == 0:
            first = rng.integers(0, 256, (2, 84, 84), dtype=np.uint8)
            for replay in replays:
                replay.begin(first)
        frame, final = rng.integers(0, 256, (2, 2, 84, 84), dtype=np.uint8)
        values = rng.integers(18, size=2), rng.integers(-1, 2, 2).astype(np.float32), rng.random(2) < 0.1
        truncated = np.array([t % 10 == 4, t % 12 == 7])
        for replay in replays:
            replay.append(*values, frame, truncated, final)
        assert torch.equal(replays[0].newest_states(), replays[1].newest_states().cpu())
    here, there = (
        replay.batch(
            torch.from_numpy(replay.slots_of(np.repeat(np.arange(60), 2))).to(replay.frames.device),
            torch.arange(2, device=replay.frames.device).repeat(60),
        )
        for replay in replays
    )
    for name, value in vars(here).items():
        assert torch.equal(value, getattr(there, name).cpu()), name


def trained(config: DQNConfig, members: list[Member], device: torch.device, capture: bool) -> list[torch.Tensor]:
    """The members' weights after a run, each as one vector."""
    gc.collect()  # graphs of an earlier population go now, not while this one works
    streams = make_streams(config, [member.game for member in members])
    plain = make_population(config, members, streams.num_actions[:: config.streams_per_member].tolist(), device)
    population = Population(plain.agents, plain.replay, config.batch_size, capture=capture)
    for _ in train(config, population, streams, TimeSplit()):
        pass
    return [torch.cat([w.detach().flatten() for w in agent.learner.weights]) for agent in population.agents]


def test_the_captured_graph_gives_what_the_plain_calls_give(device, tiny_config):
    """44 updates and 40 greedy steps of three members, of which all but three calls are replayed: bitwise."""
    members = [Member("breakout", 0), Member("pong", 1), Member("breakout", 2)]
    config = tiny_config(batch_size=32)
    plain, captured = (trained(config, members, device, capture) for capture in (False, True))
    for a, b in zip(plain, captured, strict=True):
        assert torch.equal(a, b)


def test_a_member_gets_in_a_population_what_it_gets_alone(device, tiny_config):
    members = [Member("breakout", 0), Member("pong", 1), Member("seaquest", 2), Member("qbert", 3)]
    config = tiny_config(batch_size=32)
    together = trained(config, members, device, True)
    for member, weights in zip(members, together, strict=True):
        assert torch.equal(trained(config, [member], device, True)[0], weights)


def test_halves_on_streams_of_their_own_give_what_each_member_gets_alone(device, tmp_path, tiny_config):
    members = [Member("breakout", 0), Member("pong", 1), Member("seaquest", 2)]
    config, found = tiny_config(batch_size=32), []
    for halves in (1, 2):
        folders = [tmp_path / str(halves) / member.name for member in members]
        run_population(members, folders, CI, config, device_name=device.type, halves=halves)
        found.append([(folder / "weights.safetensors").read_bytes() for folder in folders])
    assert found[0] == found[1]


def test_runs_that_were_stopped_end_as_if_they_had_not_been(device, tmp_path, tiny_config):
    """Broken off at the last of four rows, with a checkpoint of the third, which lies within an iteration."""
    members = [Member("breakout", 0), Member("pong", 1)]
    whole, stopped = ([tmp_path / name / member.game for member in members] for name in ("whole", "stopped"))
    config = tiny_config(batch_size=32)

    def stop(progress):
        if progress.frames == config.total_frames:
            raise KeyboardInterrupt

    run_population(members, whole, CI, config, device_name=device.type)
    with pytest.raises(KeyboardInterrupt):
        run_population(members, stopped, CI, config, device_name=device.type, checkpoint_seconds=0, report=stop)
    resume_population(stopped, device_name=device.type)
    for one, other in zip(whole, stopped, strict=True):
        assert RunRecord.read(other).run["resumed"][0]["frames"] == 720
        for name in ("episodes.csv", "weights.safetensors"):
            assert (one / name).read_bytes() == (other / name).read_bytes()


@pytest.mark.parametrize("changes", [{"streams_per_member": 4}, {"precision": "bfloat16"}], ids=str)
def test_named_deviations_are_repeatable_too(device, tiny_config, changes):
    config = tiny_config(batch_size=32, **changes)
    first, second = (trained(config, [Member("breakout", 0)], device, True) for _ in range(2))
    assert torch.equal(first[0], second[0])


def test_a_member_of_the_papers_size_takes_at_most_7_3_gb(device):
    """Replay of 1M frames, both networks, optimiser, and the peak of an update."""
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    population = make_population(NATURE.config, [Member("breakout", 0)], [18], device)
    blank = np.zeros((1, 84, 84), np.uint8)
    population.begin(blank)
    for t in range(40):
        population.replay.append(np.array([t % 18]), np.zeros(1, np.float32), np.array([False]), blank)
    for _ in range(5):
        population.learn()
    assert population.replay.capacity == DQNConfig().replay_capacity == 1_000_000
    assert torch.cuda.memory_allocated(device) - before <= 7.2e9
    assert torch.cuda.max_memory_allocated(device) - before <= 7.3e9
