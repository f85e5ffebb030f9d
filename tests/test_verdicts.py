"""Logs made from the definition of each cause: that cause is found first, and a healthy log shows none."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from synthetic_logs import FRAMES, ROWS, flat, healthy, with_episodes, with_settings

from benchmarks.doctor.verdicts import diagnose
from benchmarks.doctor.verdicts.bars import BARS
from benchmarks.doctor.verdicts.causes import BY_ID, CAUSES
from benchmarks.doctor.verdicts.diagnosis import Unlooked, confidence
from benchmarks.doctor.verdicts.learning import early, frames_to_tell, learning
from benchmarks.doctor.verdicts.log import METRICS, Series
from benchmarks.doctor.verdicts.quantities import QUANTITIES
from benchmarks.doctor.verdicts.report import brief, lines
from benchmarks.doctor.verdicts.signs import VIEWS, Evidence, Sign

done = np.arange(1, ROWS + 1) / ROWS


def nan_from(row: int, values) -> np.ndarray:
    column = np.array(np.broadcast_to(values, (ROWS,)), np.float64)
    column[row:] = math.nan
    return column


def spiked(values, factor: float) -> np.ndarray:
    column = np.array(np.broadcast_to(values, (ROWS,)), np.float64)
    column[ROWS // 2] *= factor
    return column


# Of each cause: a log that shows it by its definition.
SHOWN = {
    "numbers-broken": flat(healthy(loss=nan_from(20, 0.4), q_mean=nan_from(20, 1.0), q_max=nan_from(20, 2.0))),
    "learning-not-begun": flat(healthy(updates=0.0, loss=math.nan, gradient_norm=math.nan)),
    "blank-input": flat(healthy(input_min=0.0, input_mean=0.0, input_max=0.0)),
    "unscaled-input": flat(healthy(input_mean=76.5, input_max=237.0)),
    # a target that is copied after each update is as far away as the newest step, at most
    "no-target-lag": flat(healthy(target_distance=0.0)),
    # 4M frames are 1M agent steps; less the warm-up, two copies fit in
    "target-stale": with_settings(flat(healthy(target_distance=1.4)), target_period_agent_steps=400_000),
    "learning-rate-too-high": flat(
        healthy(
            update_ratio=0.2,
            td_error_ratio=1.5 + done,
            policy_churn=0.7,
            loss=0.3 * 10 ** (3 * done),
            target_distance=3.0,
        )
    ),
    "learning-rate-too-low": flat(
        healthy(update_ratio=1e-6, td_error_ratio=0.99, q_mean=0.1 + 1e-5 * done, target_distance=1e-3)
    ),
    "unclipped-errors": flat(healthy(gradient_norm=spiked(5.0, 100), loss=spiked(0.4, 50))),
    # a full ring of 1,000: mean age 500; of 500 states drawn, 1000 (1 - (1 - 1/1000)**500) / 500 are distinct
    "correlated-batches": with_settings(
        flat(healthy(replay_age=500.0, replay_fill=1.0, unique_state_share=0.787, terminal_share=1 / 300)),
        replay_capacity=1_000,
    ),
    "terminals-odd": flat(healthy(terminal_share=0.0)),
    "reward-scale": flat(healthy(start_return=400 + 300 * done, q_start=500 + 200 * done)),
    "no-exploration": flat(healthy(epsilon=0.0)),
    "exploration-too-short": flat(healthy(epsilon=0.1)),
    "exploration-too-long": flat(healthy(epsilon=1 - 0.1 * done)),
    "sparse-reward": flat(healthy(game="montezuma_revenge", nonzero_reward_share=1e-5, q_mean=0.0, q_max=0.01), 0.0),
    # rewards in every 50th transition, and values that settle at 10 steps' worth of them: discount 0.9
    "horizon-too-short": with_settings(flat(healthy(q_mean=0.2 * np.minimum(1, 3 * done))), discount=0.9),
    "values-diverge": flat(healthy(q_max=200 * done, q_mean=1 + 150 * done**2)),
    "overestimation": flat(healthy(q_start=1 + 20 * done, start_return=1.0)),
    "errors-not-shrinking": flat(healthy(td_error_ratio=1.5)),
    "policy-collapse": flat(healthy(top_action_share=1.0, action_entropy=0.0)),
    "dead-units": flat(healthy(dormant_hidden=0.1 + 0.89 * done, dormant_conv3=0.99)),
}


def test_a_healthy_log_shows_no_cause():
    found = diagnose(healthy())
    assert (found.causes, found.top, found.healthy, found.outcome) == ((), None, True, "healthy so far")


def test_a_healthy_log_that_has_learnt_nothing_shows_no_cause_either():
    found = diagnose(flat(healthy()))
    assert (found.causes, found.outcome) == ((), "not learning, no cause found")


def test_every_cause_has_a_log_that_shows_it():
    assert set(SHOWN) == {cause.id for cause in CAUSES}


@pytest.mark.parametrize("name", SHOWN)
def test_a_cause_is_first_in_a_log_made_from_its_definition(name):
    found = diagnose(SHOWN[name])
    assert found.top == name
    assert not found.healthy
    assert found.causes[0].evidence
    assert found.next_experiment == BY_ID[name].experiment


@pytest.mark.parametrize("name", SHOWN)
def test_what_is_diagnosed_can_be_told_to_a_program_and_to_a_reader(name):
    found = diagnose(SHOWN[name])
    told = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert told["top"] == name == told["causes"][0]["id"]
    text = "\n".join(lines(found))
    order = [text.index(words) for words in ("Verdict:", "Causes", "Evidence:", "Next experiment:", "Not looked at:")]
    assert order == sorted(order)
    evidence = found.causes[0].evidence[0]
    for part in (name, f"{evidence.value:.4g}", f"frame {evidence.frame:,}", f"{evidence.bar.at:g}"):
        assert part in text
    first = list(brief(found))
    assert set(first) <= set(lines(found))
    assert first[1].startswith("Verdict:")
    assert sum(f". {each.cause.id} (" in line for each in found.causes for line in first) == len(found.causes)
    assert first[-1] == f"Next experiment: {found.next_experiment}"


@pytest.mark.parametrize("name", SHOWN)
def test_other_faults_are_not_found_beside_it(name):
    """What is found besides is a symptom, or said to follow from a fault, or the known companions below."""
    companions = {
        "unscaled-input": set(), "learning-rate-too-low": {"horizon-too-short"}, "reward-scale": set(),
    }.get(name, set())  # fmt: skip
    faults = {each.cause.id for each in diagnose(SHOWN[name]).causes if each.cause.kind != "symptom"}
    assert faults - {name} <= companions


# ---------------------------------------------------------------------- signs and bars

SIGNS = [(cause, sign) for cause in CAUSES for sign in (*cause.signs, *cause.conditions, *cause.support)]


def values_for(sign: Sign, value: float) -> np.ndarray:
    """Rows of the sign's quantity that its view reads as ``value``, by independent arithmetic."""
    flat_view = np.full(9, value)
    return {
        "growth": np.array([1.0] * 3 + [5.0] * 3 + [value] * 3),
        "late growth": np.array([7.0] * 3 + [1.0] * 2 + [3.0] * 2 + [value] * 2),
        "change": np.array([1.0] * 3 + [0.0] * 3 + [1.0 + value] * 3),
        "moved": np.array([1.0] * 3 + [0.0] * 3 + [1.0 - value] * 3),
        "spike": np.array([1.0] * 4 + [value] + [1.0] * 4),
        "largest": np.array([value - 1] * 4 + [value] + [value - 1] * 4),
        "smallest": np.array([value + 1] * 4 + [value] + [value + 1] * 4),
        "late": np.array([99.0] * 6 + [value - 1, value, value + 1]),
        "last": np.array([99.0] * 8 + [value]),
        "for long above": np.array([99.0] * 4 + [value] + [value + 1] * 4),
        "for long below": np.array([-99.0] * 4 + [value] + [value - 1] * 4),
    }.get(sign.view, flat_view)


@pytest.mark.parametrize(("cause", "sign"), SIGNS, ids=lambda each: getattr(each, "id", None) or each.bar)
def test_every_sign_is_crossed_just_beyond_its_bar_and_not_just_before_it(cause, sign, monkeypatch):
    bar = BARS[sign.bar]
    step = max(abs(bar.at), 1e-3) * 1e-3 * (1 if bar.above else -1)
    for value, crossed in ((bar.at + step, True), (bar.at - step, False), (bar.at, False)):
        rows = values_for(sign, value)
        made = Series(np.arange(1, len(rows) + 1, dtype=np.int64) * 100, rows)
        monkeypatch.setitem(QUANTITIES, sign.quantity, replace(QUANTITIES[sign.quantity], make=lambda _, s=made: s))
        read = replace(sign, only_without="").read(healthy())
        assert read is not None
        assert read.value == pytest.approx(value, rel=1e-9, abs=1e-12)
        assert read.crossed is crossed
        assert read.frame in made.frames


# What a healthy log, changed as said, makes of a quantity last; None: nothing. Of what it is made: HEALTHY_SETTINGS,
# 4M frames or 1M agent steps, 200 games of 1,500 agent steps and five lives, a reward in every 50th transition.
WORKED = [
    ("value_bound", healthy(q_max=-50.0), 0.5),  # 50 of 1 / (1 - 0.99)
    ("value_bound", with_settings(healthy(q_max=50.0), discount=0.9, reward_clip=2.0), 2.5),
    ("value_bound", with_settings(healthy(), discount=1.0), 0.0),  # of infinitely much
    ("value_bound", with_settings(healthy(), reward_clip=None), None),
    ("overestimate", healthy(q_start=7.0, start_return=1.0), 3.0),  # 6 / (1 + 1)
    ("overestimate", healthy(q_start=7.0, start_return=-1.0), 4.0),
    ("values_over_rewards", healthy(q_mean=3.0), 1.5),  # of 100 steps' 0.02
    ("values_over_rewards", healthy(nonzero_reward_share=0.0), None),
    ("settled_horizon", healthy(q_mean=-0.5), 25.0),  # 0.5 / 0.02
    ("settled_horizon", healthy(q_mean=done**0.25), 50.0),  # of the last rows' medians 0.97 / 0.89
    ("settled_horizon", healthy(q_mean=done**0.5), None),  # 0.94 / 0.80
    ("settled_horizon", healthy(q_mean=0.0), None),
    ("target_lag", healthy(), 50.0),  # 0.05 / 0.001
    ("target_lag", healthy(update_ratio=0.0), None),
    ("target_period", healthy(), 2_500.0),  # 10,000 / 4
    ("target_period", with_settings(healthy(), target_period_updates=1), 1.0),
    ("target_period", with_settings(healthy(), target_period_agent_steps=1), 1.0),  # no less than an update
    ("target_copies", healthy(), 95.0),  # (1M - 50k) / 10k
    ("target_copies", with_settings(healthy(), frames_per_agent_step=2), 195.0),
    ("target_copies", with_settings(healthy(), frames_per_agent_step=None), 95.0),
    ("target_copies", with_settings(healthy(), target_period_updates=5_000), 47.5),  # 950k / (4 x 5k)
    ("target_copies", healthy(frames=100_000), 0.0),  # still warming up
    ("rewards_beyond_horizon", healthy(), 0.5),  # 50 / 100
    ("horizon", healthy(), 100.0),
    ("horizon", with_settings(healthy(), discount=1.0), None),
    ("replay_capacity", healthy(), 1_000_000.0),
    ("replay_episodes", healthy(replay_age=500.0), 2 / 3),  # 1,000 / 1,500
    ("replay_episodes", with_settings(healthy(replay_age=500.0), frames_per_agent_step=2), 1 / 3),
    ("replay_episodes", with_settings(healthy(replay_age=500.0), frames_per_agent_step=None), 2 / 3),
    ("replay_episodes", with_episodes(healthy(replay_age=500.0), lengths=np.repeat([6_000, 4_000], 100)), 1.0),
    ("zero_returns", with_episodes(healthy(), returns=np.repeat([0.0, 5.0], 100)), 0.0),
    ("zero_returns", with_episodes(healthy(), returns=np.repeat([5.0, 0.0], [150, 50])), 0.5),
    ("returns_seen", with_episodes(healthy(), returns=np.repeat([5.0, 0.0], [175, 25])), 0.75),
    ("terminals_per_game", healthy(), 5.0),  # 1,500 / 300
    ("terminals_per_game", with_settings(healthy(), frames_per_agent_step=2), 10.0),
    ("terminals_per_life", healthy(), 1.0),
    ("terminals_per_life", with_episodes(healthy(), lives_lost=2), 2.5),
    ("terminals_per_life", with_episodes(healthy(), lives_lost=1), None),  # then a life is a game
    ("learner_returns", with_episodes(healthy(start_return=-3.0), clipped=np.repeat([-6.0, 2.0], 100)), 0.5),
    ("learner_returns", with_episodes(healthy(start_return=3.0), clipped=0.5), 3.0),  # over 1 at least
    ("realised_over_bound", healthy(start_return=-50.0), 0.5),
    ("raw_over_clipped", with_episodes(healthy(), returns=[40.0, -20.0] * 100, clipped=[2.0, -2.0] * 100), 15.0),
    ("raw_over_clipped", with_episodes(healthy(), clipped=0.0), None),
    ("epsilon_rest_share", healthy(), 0.7),  # (3M - 200k) / 4M
    ("epsilon_rest_share", with_settings(healthy(), replay_start_agent_steps=None), 0.75),
    ("epsilon_rest_share", healthy(epsilon=0.1), 0.0),
    ("epsilon_rest_share", healthy(epsilon=1 - 0.1 * done), None),  # still falling
    ("epsilon_rest_frames", healthy(), 3_000_000.0),
    ("training_done", healthy(frames=1_000_000), 0.25),
    ("input_range", healthy(input_min=-1.0, input_max=2.0), 3.0),
]  # fmt: skip


@pytest.mark.parametrize(("name", "log", "value"), WORKED)
def test_a_quantity_is_what_was_worked_out_by_hand(name, log, value):
    with np.errstate(divide="ignore"):  # as diagnose has it
        made = QUANTITIES[name].make(log)
    assert made.values[-1:].tolist() == pytest.approx([] if value is None else [value])
    assert made.frames[-1:].tolist() == [log.frames_done] * (value is not None)


@pytest.mark.parametrize(
    ("ratio", "status"),
    [
        (0.9, "learning"),
        (0.91, "scoring"),
        (1.3, "scoring"),
        (np.repeat([0.95, 0.5, 0.95], [30, 9, 1]), "learning"),  # of the last third's 14 rows, 9 are 0.5
        (np.repeat([0.5, 0.95], [30, 10]), "scoring"),
    ],
)
def test_a_score_above_random_is_no_sign_of_learning_where_values_explain_nothing(ratio, status):
    found = diagnose(healthy(td_error_ratio=ratio)).learning
    assert (found.status, found.shown) == (status, status == "learning")
    assert ("need not be learning" in found.words) == (status == "scoring")
    assert found.p_above_random < 0.01


def test_every_bar_is_used_and_every_sign_has_a_bar_a_quantity_and_a_view():
    assert {sign.bar for _, sign in SIGNS} == set(BARS) - {"unexplained"}  # which qualifies learning, and is no sign
    for _, sign in SIGNS:
        assert sign.quantity in QUANTITIES
        assert sign.view in VIEWS


def test_every_bar_says_where_it_comes_from():
    for name, bar in BARS.items():
        assert bar.why, name
        assert bar.at != bar.clear, name


def test_a_quantity_names_what_it_needs_in_words_that_a_log_can_have():
    known = {*METRICS, "episodes", "episodes.lengths", "episodes.clipped", "episodes.lives_lost"}
    for quantity in QUANTITIES.values():
        assert set(quantity.needs) <= known


def evidence(*, at=1.0, clear=2.0, value=1.5, quantity="loss", direct=False) -> Evidence:
    return Evidence(
        Sign(quantity, "late", "loss_growth", direct), replace(BARS["loss_growth"], at=at, clear=clear), value, 1
    )


@pytest.mark.parametrize(
    ("crossed", "wanted"),
    [
        ([evidence()], "weak"),
        ([evidence(value=2.0)], "moderate"),
        ([evidence(direct=True)], "moderate"),
        ([evidence(), evidence(quantity="q_mean")], "moderate"),
        ([evidence(), evidence()], "weak"),  # twice the same is not two
        ([evidence(value=2.0), evidence(quantity="q_mean")], "strong"),
        ([evidence(value=2.0, direct=True)], "strong"),
        ([evidence(value=2.0), evidence(value=3.0)], "moderate"),
        ([evidence(at=1.0, clear=0.5, value=0.5)], "moderate"),
        ([evidence(at=1.0, clear=0.5, value=0.6)], "weak"),
    ],
)
def test_confidence_counts_independent_signs_and_how_far_they_are_beyond(crossed, wanted):
    assert confidence(crossed) == wanted


# ---------------------------------------------------------------------- groups and order


def test_a_symptom_comes_after_the_fault_that_explains_it():
    log = flat(healthy(target_distance=0.0, q_max=300 * done, q_mean=1 + 200 * done**2, td_error_ratio=1.5))
    found = diagnose(log)
    assert found.top == "no-target-lag"
    assert {each.cause.id: each.explained_by for each in found.causes}["values-diverge"] == ("no-target-lag",)


def test_a_symptom_that_nothing_explains_names_its_group_and_the_experiment():
    found = diagnose(SHOWN["values-diverge"])
    assert found.causes[0].explained_by == ()
    assert "Shared by" in found.next_experiment
    assert "To tell them apart" in found.next_experiment


@pytest.mark.parametrize("cause", [cause for cause in CAUSES if cause.kind == "symptom"], ids=lambda cause: cause.id)
def test_every_symptom_is_explained_by_some_fault_and_says_how_to_separate_them(cause):
    assert any(cause.id in other.leads_to for other in CAUSES)
    assert "Shared by" in cause.experiment
    assert "tell them apart" in cause.experiment


def test_what_only_matters_to_a_run_that_does_not_learn_is_not_raised_of_one_that_does():
    assert diagnose(healthy(epsilon=0.1)).causes == ()
    assert diagnose(flat(healthy(epsilon=0.1))).top == "exploration-too-short"


def test_values_that_do_not_move_speak_only_where_the_size_of_updates_is_not_logged():
    settled = flat(healthy(q_mean=1.0))
    assert diagnose(settled).top != "learning-rate-too-low"
    unknown = replace(settled, series={name: each for name, each in settled.series.items() if name != "update_ratio"})
    assert diagnose(unknown).top == "learning-rate-too-low"


def test_a_fault_is_found_in_a_run_that_learns_all_the_same():
    found = diagnose(healthy(target_distance=0.0))
    assert (found.top, found.outcome) == ("no-target-lag", "learning, with something to mend")


# ---------------------------------------------------------------------- is it learning? is it too early?


def test_returns_above_random_and_rising_returns_count_as_learning():
    assert learning(healthy()).status == "learning"
    assert learning(flat(healthy())).status == "not learning"
    assert learning(replace(healthy(), game=None)).status == "rising"
    assert learning(replace(healthy(), episodes=None)).status == "unknown"


def test_the_tests_of_learning_equal_those_worked_out_another_way():
    """A permutation of signs and of labels, with 20,000 draws, in place of the t test and of Mann-Whitney's."""
    log = healthy()
    generator = np.random.default_rng(0)
    returns = 1.7 + generator.normal(0.35, 1.0, 200)
    log = replace(log, episodes=replace(log.episodes, returns=returns))
    found = learning(log)
    late, first = returns[150:], returns[:50]  # ends are at 20,000 frames times 1 .. 200
    signs = generator.choice([-1.0, 1.0], (20_000, 50))
    above = np.mean((signs * (late - 1.7)).mean(axis=1) >= (late - 1.7).mean())
    both = np.concatenate([first, late]).argsort().argsort()
    drawn = np.array([generator.permutation(both)[50:].sum() for _ in range(20_000)])
    rising = np.mean(drawn >= both[50:].sum())
    assert found.p_above_random == pytest.approx(above, abs=0.01)
    assert found.p_rising == pytest.approx(rising, abs=0.01)
    assert found.late_mean == pytest.approx(late.mean())
    assert found.normalised == pytest.approx((late.mean() - 1.7) / (30.5 - 1.7))


@pytest.mark.parametrize(("episodes", "status"), [(4, "unknown"), (5, "learning")])
def test_fewer_than_five_late_returns_say_nothing(episodes, status):
    log = healthy()
    ends = np.array([FRAMES - 1_000 + each for each in range(episodes)])
    few = replace(log.episodes, frames=ends, returns=np.full(episodes, 50.0), clipped=np.full(episodes, 50.0))
    assert learning(replace(log, episodes=few)).status == status


@pytest.mark.parametrize(
    ("game", "means", "status"),
    [
        ("breakout", 1 + 20 * done, "learning"),
        (None, 1 + 20 * done, "rising"),
        ("breakout", np.repeat([10.0, 12.0], ROWS // 2) + [0.0, 20.0] * (ROWS // 2), "not learning"),  # 10, 30; 12, 32
        ("pong", -21 + 0.1 * done, "not learning"),  # and random play has -20.7
    ],
)
def test_running_means_are_compared_and_not_tested(game, means, status):
    """They show learning where the least of the last quarter is above the largest of the first, and above random."""
    found = learning(replace(healthy(game=game, mean_return=means), episodes=None))
    assert (found.status, found.p_above_random, found.p_rising) == (status, None, None)
    assert "no test" in found.words


@pytest.mark.parametrize(
    ("frames", "mean", "said"), [(1_000_000, 0.0, True), (1_000_000, 1.75, False), (FRAMES, 0.0, False)]
)
def test_returns_below_random_play_are_excused_only_where_it_is_early(frames, mean, said):
    """Random play has 1.7 in breakout, and from 2M frames a score can tell."""
    found = learning(flat(healthy(frames=frames), mean))
    assert found.status == "not learning"
    assert ("Early DQNs are often below random play" in found.words) is said


@pytest.mark.parametrize(
    ("settings", "frames"),
    [
        ({}, 2_000_000),  # the paper's schedules
        ({"epsilon_span_agent_steps": 25_000, "replay_start_agent_steps": 2_000}, 500_000),  # floor
        ({"epsilon_span_agent_steps": 100_000, "replay_start_agent_steps": 10_000}, 880_000),  # 2 x 4 x 110,000
        ({"epsilon_span_agent_steps": 900_000}, 2_000_000),
    ],
)
def test_from_when_on_a_score_can_tell(settings, frames):
    assert frames_to_tell(with_settings(healthy(), **settings)) == frames


def test_a_short_run_that_has_learnt_nothing_is_too_early_and_not_a_failure():
    found = diagnose(flat(healthy(frames=1_000_000)))
    assert early(found.log)
    assert (found.outcome, found.top, found.healthy) == ("too early to tell", "not-enough-frames", True)
    assert "2,000,000" in found.next_experiment


def test_a_fault_is_named_however_early_it_is():
    found = diagnose(flat(healthy(frames=1_000_000, target_distance=0.0)))
    assert (found.outcome, found.top) == ("too early to tell, but something is wrong", "no-target-lag")


# ---------------------------------------------------------------------- what a log lacks


@pytest.mark.parametrize("name", sorted(METRICS))
def test_a_log_without_a_metric_is_diagnosed_and_says_so(name):
    log = flat(healthy())
    found = diagnose(replace(log, series={each: made for each, made in log.series.items() if each != name}))
    assert name in found.as_json()["lacks"]
    assert found.causes == ()


def test_a_log_of_returns_alone_names_for_each_cause_what_it_lacks():
    log = flat(healthy())
    found = diagnose(replace(log, series={}, facts={}))
    assert not found.causes
    by_id = {each.cause.id: each.lacks for each in found.unlooked}
    assert by_id["no-target-lag"][0] == ("target_distance", "update_ratio")
    assert by_id["values-diverge"] == (("q_max", "setting discount", "setting reward_clip"),)
    text = "\n".join(lines(found))
    assert "cannot look for values-diverge: the log has no q_max, setting discount, setting reward_clip" in text
    # from returns alone only rewards can be looked for
    assert {cause.id for cause in CAUSES} - set(by_id) == {"sparse-reward"}


def test_of_signs_that_lack_more_than_another_nothing_is_said():
    lacks = (("share",), ("share", "lengths"), ("lengths",), ("share",))
    assert Unlooked(CAUSES[0], lacks).words() == "share; nor, in its place, lengths"


def test_an_empty_log_is_no_failure_and_no_guess():
    log = replace(healthy(), series={}, facts={}, episodes=None, game=None, frames_done=0)
    found = diagnose(log)
    assert (found.causes, found.learning.status) == ((), "unknown")
    assert {each.cause.id for each in found.unlooked} == {cause.id for cause in CAUSES}


def test_settings_are_not_needed_where_behaviour_shows_the_cause():
    log = SHOWN["correlated-batches"].without_settings("discount", "reward_clip")
    assert set(log.facts) == {"discount", "reward_clip"}
    found = diagnose(log)
    assert found.top == "correlated-batches"
    assert all(not each.sign.quantity.startswith("replay_capacity") for each in found.causes[0].evidence)


# ---------------------------------------------------------------------- numbers that are none


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", sorted(set(METRICS) - {"mean_return"}))
def test_no_number_that_is_none_breaks_the_diagnosis(name, bad):
    for column in (np.full(ROWS, bad), np.where(np.arange(ROWS) % 3, 1.0, bad)):
        found = diagnose(healthy(**{name: column}))
        json.dumps(found.as_json(), allow_nan=False)
        "\n".join(lines(found))
        broken = "numbers-broken" in {each.cause.id for each in found.causes}
        assert broken == (name in ("loss", "q_mean", "q_max", "gradient_norm"))


def test_a_row_without_an_update_may_have_no_loss():
    """As in the warm-up, or where rows are written more often than there are updates."""
    updates = np.repeat(np.arange(ROWS // 2) * 10.0, 2)
    loss = np.where(np.diff(updates, prepend=0.0) > 0, 0.4, math.nan)
    assert diagnose(healthy(updates=updates, loss=loss, q_mean=1.0, q_max=2.0, gradient_norm=3.0)).causes == ()
    loss[-1] = math.nan
    loss[-2] = math.nan  # 19 x 10 updates, and no loss
    assert diagnose(healthy(updates=updates, loss=loss)).top == "numbers-broken"


def test_a_slow_machine_is_reported_and_is_no_cause():
    fps = np.concatenate([np.full(20, 1_000.0), np.full(20, 100.0)])
    found = diagnose(healthy(frames_per_second=fps))
    assert found.causes == ()
    assert found.machine is not None
    assert found.machine.slowdown == pytest.approx(10)
    assert found.machine.shares == pytest.approx({"emulator": 0.1, "network": 0.2, "learner": 0.7})
    assert "10.0 times slower" in found.machine.words()
