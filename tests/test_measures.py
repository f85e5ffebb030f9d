"""What is measured inside a learner, against its definition computed again in NumPy."""

import csv
import dataclasses
import math
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from dqn_ref.build import make_population, make_streams
from dqn_ref.measures import Measures, _dormant, _ratio
from dqn_ref.protocols import CI
from dqn_ref.records import OLD_EPISODE_COLUMNS, OLD_PROGRESS_COLUMNS, PROGRESS_COLUMNS, RunRecord
from dqn_ref.run import run_population
from dqn_ref.seeds import Member
from dqn_ref.time_split import TimeSplit
from dqn_ref.train import train

CPU = torch.device("cpu")
MEMBER = Member("breakout", 3)
STATES = 40


def config(**changes):
    values = {
        "total_frames": 1_600, "iteration_frames": 1_600, "replay_capacity": 300, "replay_start_agent_steps": 60,
        "target_period_agent_steps": 40, "max_episode_frames": 400, "heldout_states": STATES, "progress_frames": 400,
        "evaluation_episodes": 1, "evaluation_max_frames": 80,
    }  # fmt: skip
    return dataclasses.replace(CI.config, **values | changes)


def population_after(agent_step, **changes):
    population = make_population(config(**changes), [MEMBER], [4], CPU)
    loop = train(config(**changes), population, make_streams(config(**changes), ["breakout"]), TimeSplit())
    next(tick for tick in loop if tick.agent_step == agent_step)
    return population


@pytest.fixture(scope="module")
def trained():
    """A population after 398 agent steps: two updates after the newest copy to the target."""
    return population_after(370)


@pytest.fixture(scope="module")
def row(trained):
    frame = np.full((84, 84), 9, np.uint8)
    return Measures(trained, 0, STATES).row([frame, frame + 1])


@pytest.fixture(scope="module")
def heldout(trained):
    return trained.heldout_batch(0, STATES).s_tm1


def flat(tensors) -> np.ndarray:
    return np.concatenate([tensor.detach().double().numpy().ravel() for tensor in tensors])


def test_values_and_greedy_actions(trained, row, heldout):
    q = trained.agents[0].learner.online(heldout).detach().numpy()
    assert row["q_mean"] == pytest.approx(q.max(axis=1).mean(), rel=1e-5)
    assert row["q_max"] == pytest.approx(q.max(), rel=1e-5)
    shares = np.bincount(q.argmax(axis=1), minlength=4) / STATES
    assert row["top_action_share"] == pytest.approx(shares.max())
    assert row["action_entropy"] == pytest.approx(-sum(p * math.log(p, 4) for p in shares if p), abs=1e-6)


def test_the_sizes_of_weights_steps_and_lag(trained, row):
    learner = trained.agents[0].learner
    size = np.linalg.norm(flat(learner.weights))
    assert row["target_distance"] == pytest.approx(
        np.linalg.norm(flat(learner.weights) - flat(learner.target.parameters())) / size, rel=1e-4
    )
    d, optimizer = flat(learner.gradient), learner.optimizer
    step = 0.00025 * d / np.sqrt(flat(optimizer.mean_square) - flat(optimizer.mean) ** 2 + 0.01)
    assert row["update_ratio"] == pytest.approx(np.linalg.norm(step) / size, rel=1e-4)
    assert row["gradient_norm"] == pytest.approx(np.linalg.norm(d), rel=1e-5)


def test_churn_is_the_share_of_states_whose_greedy_action_the_newest_update_changed(tmp_path):
    """With a learning rate that changes actions: against the network kept from before an update."""
    population = make_population(config(learning_rate=0.02), [MEMBER], [4], CPU)
    streams = make_streams(config(), ["breakout"])
    learner, changed = population.agents[0].learner, []
    measures = None
    for tick in train(config(learning_rate=0.02), population, streams, TimeSplit()):
        if tick.agent_step == 60:
            measures = Measures(population, 0, STATES)
            states = population.heldout_batch(0, STATES).s_tm1
        if tick.agent_step > 100 and tick.agent_step % 4 == 0:  # the next step updates
            before = learner.values(states).argmax(dim=1)
        if tick.agent_step > 101 and tick.agent_step % 4 == 1:
            expected = (learner.values(states).argmax(dim=1) != before).float().mean().item()
            assert measures.row([])["policy_churn"] == pytest.approx(expected, abs=1.5 / STATES)  # ties may turn
            changed.append(expected)
        if tick.agent_step == 180:
            break
    assert max(changed) > 0.5
    assert min(changed) < 0.5


def test_dormant_units_are_those_below_a_fortieth_of_their_layers_mean(trained, row, heldout):
    learner = trained.agents[0].learner
    x, found = heldout.float() / 255, {}
    for name in ("conv1", "conv2", "conv3", "hidden"):
        layer = getattr(learner.online, name)
        x = torch.relu(layer(x.flatten(1) if name == "hidden" else x))
        units = x.detach().numpy().mean(axis=(0, 2, 3) if x.dim() == 4 else 0)
        found[f"dormant_{name}"] = np.mean(units <= 0.025 * units.mean())
    assert {name: row[name] for name in found} == pytest.approx(found)
    assert 0 < found["dormant_hidden"] < 1


@pytest.mark.parametrize(
    ("units", "share"), [([0, 0, 0, 0], 1.0), ([1, 39, 40, 80], 0.25), ([1.1, 38.9, 40, 80], 0.0), ([2, 2, 2, 2], 0.0)]
)
def test_a_layer_that_is_wholly_dead_is_wholly_dormant(units, share):
    """The mean of 1, 39, 40 and 80 is 40, a fortieth of which is 1: at the bar is dormant, and so is 0 of 0."""
    activation = torch.tensor([units, units], dtype=torch.float32)
    assert _dormant(SimpleNamespace(HIDDEN=["hidden"]), [activation])["dormant_hidden"] == share


def test_inputs_are_pixels_over_255(row, heldout):
    x = heldout.numpy() / 255
    assert [row[f"input_{name}"] for name in ("min", "mean", "max")] == pytest.approx([x.min(), x.mean(), x.max()])
    assert x.min() < x.mean() < x.max()


def test_a_layer_that_a_network_lacks_is_not_dormant_but_unknown():
    found = Measures(population_after(1, network="flat_mlp"), 0, STATES).row([])
    assert [math.isnan(found[f"dormant_{name}"]) for name in ("conv1", "conv2", "conv3", "hidden")] == [1, 1, 1, 0]


def test_replay_is_counted_whole(trained, row):
    replay = trained.replay
    held = np.array([replay.info[slot, 0].tolist() for slot in replay.slots_of(np.arange(replay.size))])
    assert len(held) == 300
    assert row["nonzero_reward_share"] == pytest.approx(np.mean(held[:, 1] != 0))
    assert row["terminal_share"] == pytest.approx(np.mean(held[:, 2]))
    assert (row["replay_fill"], row["replay_age"]) == (1.0, np.mean(np.arange(300)))


def test_of_streams_side_by_side_replay_is_as_many_times_as_old():
    """10 slots of four streams: 40 transitions, the newest four of age 0, the oldest of 4 x 9."""
    population = population_after(40, streams_per_member=4)
    assert population.replay.size == 10
    assert Measures(population, 0, STATES).row([])["replay_age"] == np.mean(4 * np.arange(10))


def test_the_error_of_a_fresh_sample_is_compared_with_its_target(trained):
    batch = trained.sampled(0, MEMBER.numpy_stream("measures"), STATES)
    learner = trained.agents[0].learner
    target = batch.r_t.numpy() + batch.discount_t.numpy() * learner.target(batch.s_t).numpy().max(axis=1)
    value = learner.online(batch.s_tm1).detach().numpy()[np.arange(STATES), batch.a_tm1.numpy()]
    found = Measures(trained, 0, STATES).row([])
    assert found["td_error_ratio"] == pytest.approx(np.var(target - value) / np.var(target), rel=1e-4)
    distinct = len({state.numpy().tobytes() for state in batch.s_tm1})
    assert found["unique_state_share"] == pytest.approx(distinct / STATES)


def test_targets_that_are_all_equal_have_no_variance_to_explain():
    """Their mean may be rounded, and then the variance is not 0."""
    equal = torch.full((200,), 0.5703125 + 1e-3)
    assert all(math.isnan(_ratio(torch.tensor(error), equal)) for error in (0.0, 1.0))
    assert _ratio(torch.tensor(1.0), torch.tensor([0.0, 2.0])) == 0.5


def test_the_first_states_of_episodes_are_stacked_as_replay_stacks_them(trained, row):
    frames = np.zeros((2, 4, 84, 84), np.uint8)
    frames[0, 3], frames[1, 3] = 9, 10
    q = trained.agents[0].learner.online(torch.from_numpy(frames)).detach().amax(dim=1)
    assert row["q_start"] == pytest.approx(q.mean().item(), rel=1e-5)
    assert math.isnan(Measures(trained, 0, STATES).row([])["q_start"])


def test_where_replay_repeats_the_first_frame_so_does_the_first_state():
    population = population_after(1, history_padding="first_frame")
    frame = np.full((84, 84), 200, np.uint8)
    q = population.agents[0].learner.online(torch.full((1, 4, 84, 84), 200, dtype=torch.uint8)).max()
    assert Measures(population, 0, STATES).row([frame])["q_start"] == pytest.approx(q.item(), rel=1e-5)


def test_measuring_changes_nothing(tmp_path):
    """Runs that measure at every tenth step and never are equal, weight for weight."""
    for name, progress in (("often", 40), ("once", 1_600)):
        run_population([MEMBER], [tmp_path / name], CI, config(progress_frames=progress), threads=1)
    files = [(tmp_path / name / "weights.safetensors").read_bytes() for name in ("often", "once")]
    assert files[0] == files[1]
    assert len(RunRecord.read(tmp_path / "often").progress()) == 40


def test_the_return_from_the_start_is_discounted_as_learnt_from_and_ends_at_the_first_life(tmp_path):
    """Against replay, which holds every transition of the run."""
    changes = {"max_episode_frames": 108_000, "total_frames": 8_000, "iteration_frames": 8_000,
               "replay_capacity": 2_000, "progress_frames": 8_000, "replay_start_agent_steps": 1_990}  # fmt: skip
    folder = tmp_path / "run"
    run_population([MEMBER], [folder], CI, config(**changes), threads=1)
    record = RunRecord.read(folder)
    episodes = [row for row in record.episodes() if row["end"] == "game_over"]
    assert all(row["lives_lost"] == 5 for row in episodes)
    population = make_population(config(**changes), [MEMBER], [4], CPU)
    rewards, terminals = [], []
    for tick in train(config(**changes), population, make_streams(config(**changes), ["breakout"]), TimeSplit()):
        rewards.append(np.clip(tick.step.reward[0], -1, 1))
        terminals.append(tick.step.terminal[0])
    expected = []
    for first, last in pairwise(episodes):  # the first of the iteration was not seen to begin
        steps = range(first["frame"] // 4, last["frame"] // 4)
        life = next(number for number, step in enumerate(steps) if terminals[step])
        expected.append(sum(0.99**number * rewards[step] for number, step in enumerate(steps) if number <= life))
    assert len(expected) > 3
    assert record.progress()[-1]["start_return"] == pytest.approx(np.mean(expected), rel=1e-4)


def test_records_from_before_the_measures_are_read_as_not_measured(tmp_path):
    run_population([MEMBER], [tmp_path / "run"], CI, config(), threads=1)
    for name, columns in (("episodes.csv", OLD_EPISODE_COLUMNS), ("progress.csv", OLD_PROGRESS_COLUMNS)):
        path = tmp_path / "run" / name
        rows = list(csv.DictReader(path.open()))
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    record = RunRecord.read(tmp_path / "run")
    assert all(row["lives_lost"] is None and row["raw_return"] >= 0 for row in record.episodes())
    row = record.progress()[-1]
    assert tuple(row) == PROGRESS_COLUMNS
    assert all(math.isnan(row[name]) for name in PROGRESS_COLUMNS[len(OLD_PROGRESS_COLUMNS) :])
    assert row["loss"] >= 0


def test_a_target_copied_at_every_step_is_one_copied_after_every_update(tmp_path):
    """Updates are four steps apart, so both are the online network whenever an update asks for its values."""
    for name, changes in (("steps", {"target_period_agent_steps": 1}), ("updates", {"target_period_updates": 1})):
        run_population([MEMBER], [tmp_path / name], CI, config(**changes), threads=1)
    assert len({(tmp_path / name / "weights.safetensors").read_bytes() for name in ("steps", "updates")}) == 1


@pytest.mark.parametrize("capacity", [1, 32])
def test_replay_of_the_newest_transitions_alone_learns_from_nothing_else(capacity):
    population = make_population(config(replay_capacity=capacity), [MEMBER], [4], CPU)
    newest = []
    for tick in train(config(replay_capacity=capacity), population, make_streams(config(), ["breakout"]), TimeSplit()):
        newest = [*newest, tick.step.frame[0]][-capacity:]
        if tick.agent_step == 90:
            break
    batch = population.sampled(0, np.random.default_rng(0), 200)
    seen = {frame.numpy().tobytes() for frame in batch.s_t[:, -1]}
    assert seen <= {frame.tobytes() for frame in newest}
    assert len(seen) == len({frame.tobytes() for frame in newest})
