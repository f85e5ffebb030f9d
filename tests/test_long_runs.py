"""What the pages say in words of the long runs that are kept, each sentence beside the records."""

import re
from pathlib import Path

import numpy as np
import pytest

from benchmarks import learning
from benchmarks.doctor.confusion.runs import confident
from benchmarks.doctor.verdicts import diagnose, read_log
from benchmarks.failures.inside import value_bound
from benchmarks.permutation import mean_test, number_of
from benchmarks.random_play import chance
from benchmarks.reference import human_and_random
from benchmarks.scores import iteration_scores, protocol_evaluation, run_score
from benchmarks.sources import NNABLA, published
from benchmarks.store import Store
from dqn_ref.protocols import NATURE
from dqn_ref.records import RunRecord

ROOT = Path(__file__).parent.parent
STORE = Store(ROOT / "results")


def words(page):
    """The text of ``page`` in one line."""
    return " ".join((ROOT / page).read_text().split())


def test_what_the_pages_say_of_the_long_runs():
    readme = words("README.md")
    text = words("docs/long-runs.md")
    groups = learning.read_groups(STORE)
    (paper, control, he, like, *_), theirs = groups, published(NNABLA)
    assert [dict(group.records[0].overrides) for group in groups] == [
        {}, {"constant_reward": 0.02}, {"initial_weights": "he_normal"}, learning.CHOICES, learning.CHOICES,
        learning.CHOICES | {"reward_clip": None}, learning.CHOICES | {"target_period_updates": 1},
    ]  # fmt: skip
    curves = (*(group.curves for group in (paper, control, he, like)), theirs)
    ours, idle, larger, alike, others = (each.raw_at("assault", 2_000_000) for each in curves)
    assert (len(ours), len(idle), len(larger), len(alike), len(others)) == (2, 2, 2, 3, 3)
    said = learning.markdown(STORE)
    assert "Of the ten networks that saw a game's rewards for 2M frames nine score above random play." in text
    assert "**Of the ten networks that saw a game's rewards for 2M frames nine score above random play**" in readme
    # Beside these nine two of 1M frames, with rewards not clipped, and three of more games.
    assert said.count(" above random play (p < 0.001)") == 9 + 2 + 3
    assert said.count(" not above random play") == 2 + 1 + 6 + 3  # controls, one that gets stuck, no lag, no clipping
    assert "which learns from a constant reward, scores far below random play" in text
    assert "a control that learns from a constant reward" in readme
    assert max(map(run_score, control.records)) < human_and_random()["assault"].random / 2
    assert "though its values explain nearly as much as those of the reference" in text
    shares = [group.explained("assault", 2_000_000) for group in (paper, control)]
    assert 0.7 < min(shares[1]) < max(shares[1]) < min(shares[0]) < 0.85
    assert "both seeds are below all three published" in text
    assert max(ours) < min(others)
    assert "by 1M frames they explain most of their targets, with the released code's next to nothing" in text
    sooner = he.explained("assault", 1_000_000) + like.explained("assault", 1_000_000)
    assert max(paper.explained("assault", 1_000_000)) < 0.1 < 0.5 < min(sooner)
    assert "on average a little below it on Assault and a little above it on Crazy Climber; a test over" in text
    climbed, published_climbs = (each.raw_at("crazy_climber", 2_000_000) for each in (like.curves, theirs))
    assert published_climbs.mean() < climbed.mean() < 1.05 * published_climbs.mean()
    assert "a test over both shows no difference (p 0.47), which with three seeds a side shows no equality" in text
    assert f"{learning.LIKE_THEIRS} against {NNABLA}, over 2 games after 2M frames: " in said
    assert ", p = 0.47 (two-sided" in said
    assert "ours with its weights alone is on average lower still, and with the released code's, lowest" in text
    assert ours.mean() < larger.mean() < 0.9 * alike.mean() < alike.mean() < others.mean() < 1.1 * alike.mean()
    assert "in the game in which nnabla-rl's published DQN is furthest above random play at 2M frames" in text
    assert "in the third of that order (in the second, Tennis, the episodes of an evaluation may last longer" in text
    assert by_lead(theirs, 2_000_000)[:3] == ["assault", "tennis", "crazy_climber"]
    assert NATURE.config.evaluation_episodes * NATURE.config.evaluation_max_frames > 2_000_000
    page = words("docs/why-dqn-fails.md")
    assert "by 1M frames they explained next to nothing of their targets, and with the larger weights" in page


def test_what_the_page_says_of_the_network_that_gets_stuck():
    text = words("docs/long-runs.md")
    assert "scored 21,183 a million frames before; at the end 29 of its 30 episodes stop at 3,300, with values" in text
    stuck = RunRecord.read(ROOT / "results" / "learning" / "nature-v1-2M-nnabla-choices" / "crazy_climber-s0")
    assert round(iteration_scores(stuck)[1_000_000]) == 21_183
    assert [each["raw_return"] for each in protocol_evaluation(stuck)["episodes"]].count(3_300) == 29
    ratios = [row["td_error_ratio"] for row in stuck.progress()][-10:]
    assert max(ratios) < 0.1


def test_what_the_pages_say_of_more_games():
    *_, more, _, _ = learning.read_groups(STORE)
    theirs, text, readme = published(NNABLA), words("docs/long-runs.md"), words("README.md")
    assert sorted(record.member.name for record in more.records) == [
        "battle_zone-s0", "ms_pacman-s0", "road_runner-s0", "robotank-s0",
    ]  # fmt: skip
    assert (more.config.total_frames, more.records[0].overrides) == (1_000_000, learning.CHOICES)
    order = by_lead(theirs, 1_000_000)
    assert order[:6] == ["robotank", "assault", "road_runner", "tennis", "battle_zone", "ms_pacman"]
    assert "Robotank, Road Runner, Battle Zone and Ms. Pac-Man (Assault is second in that order; Tennis is" in text
    (found,) = [line for line in learning.markdown(STORE).splitlines() if "over 4 games after 1M frames" in line]
    assert f"{learning.LIKE_THEIRS} against {NNABLA}, over 4" in found
    assert ", p = 0.66 (two-sided" in found
    assert "a test shows no difference to its three seeds (p 0.66): above all three in Battle Zone and Ms." in text
    assert "now higher, now lower (p 0.66 over the four)" in readme
    places = {}
    for record in more.records:
        (score,), published_scores = (each.raw_at(record.member.game, 1_000_000) for each in (more.curves, theirs))
        places[record.member.game] = sum(each > score for each in published_scores)
    assert places == {"battle_zone": 0, "ms_pacman": 0, "robotank": 2, "road_runner": 3}
    assert "between them in Robotank, below all three in Road Runner. All four networks are above random play." in text
    assert all(map(above_chance, more.records))
    untrained = {game: chance(STORE, game, "untrained").mean for game in places}
    assert {game: round(mean, 1) for game, mean in untrained.items()} == {
        "battle_zone": 4_000.0, "ms_pacman": 394.3, "road_runner": 403.3, "robotank": 4.7,
    }  # fmt: skip
    assert "five score 4,000 on average in Battle Zone, 403 in Road Runner and 4.7 in Robotank, about" in text
    scores = {record.member.game: run_score(record) for record in more.records}
    high = [game for game in places if untrained[game] > 0.85 * scores[game]]
    assert sorted(high) == ["battle_zone", "road_runner", "robotank"]
    assert "only in Ms. Pac-Man (394) less than half" in text
    assert untrained["ms_pacman"] < scores["ms_pacman"] / 2
    assert "in three of them untrained networks score about as much" in readme
    told = {each.member.game: diagnose(read_log(each.folder)).learning for each in more.records}
    assert (told["road_runner"].status, told["ms_pacman"].status) == ("learning", "rising")
    assert all("No learning is shown" in told[game].words for game in ("robotank", "battle_zone"))
    assert "calls Road Runner's learning, Ms. Pac-Man's rising, and of the other two that nothing is shown." in text
    assert "calls one learning, one rising, and of two it says that nothing is shown yet" in words("docs/doctor.md")
    assert "with a published DQN's choices it scores about as that DQN does, in six games" in readme
    assert len({*places, *learning.read_groups(STORE)[3].curves.games}) == 6


def test_what_the_pages_say_of_the_runs_without_a_lagging_target():
    """README, long-runs.md, and claim C3 of why-dqn-fails.md."""
    *_, like, _, _, no_lag = learning.read_groups(STORE)
    scores = {
        game: [[round(score, 1) for score in group.curves.raw_at(game, 1_000_000)] for group in (no_lag, like)]
        for game in no_lag.curves.games
    }
    assert scores == {
        "assault": [[11.9, 175.0, 151.2], [304.5, 279.3, 331.1]],
        "crazy_climber": [[590.0, 290.0, 960.0], [21_183.3, 13_013.3, 15_633.3]],
    }
    text = words("docs/long-runs.md")
    assert "no network of 1M frames is above random play, and each is below all three that had the lag: 11.9," in text
    assert "11.9, 175.0 and 151.2 on Assault (with it 304.5, 279.3 and 331.1), 590, 290 and 960 on Crazy" in text
    assert "(with it 21,183, 13,013 and 15,633). That is a difference, p 0.005, or 0.035 as one of the seven" in text
    readme = words("README.md")
    assert (
        "Values ran away in all six runs of 1M frames, above 3e4 where no return can exceed 100; no network is above"
        in readme
    )
    assert "below those with the lag, in both games (p 0.005, or 0.035 as one of seven tests)" in readme
    assert [above_chance(record) for record in no_lag.records] == [False] * 6
    assert [above_chance(record) for record in like.records if record.member.game == "assault"] == [True] * 3
    for pair in scores.values():
        assert max(pair[0]) < min(pair[1])  # each below all that had the lag
    assert 2 / number_of(2, 2, 2) > 0.05  # so two seeds a side would have been too few
    said = learning.markdown(STORE)
    assert said.count("(two-sided permutation test") == 7
    no_lag_name = "`target_period_updates = 1`"
    for against in (
        f"{learning.LIKE_THEIRS} against {learning.LIKE_THEIRS}, {no_lag_name}, over 2 games after 1M frames: ",
        f"{learning.LIKE_THEIRS}, {no_lag_name} against {NNABLA}, over 2 games after 1M frames: ",
    ):
        (found,) = [line for line in said.splitlines() if against in line]
        assert ", p = 0.005 (two-sided" in found
    assert (
        "No return can exceed 100: on Assault values are above 2e14 at the end, on Crazy Climber they pass 3e4" in text
    )
    assert "they pass 3e4 by 300k frames, and then fall to about 100 or less." in text
    for record in no_lag.records:
        values = {row["frames"]: row["q_max"] for row in record.progress()}
        if record.member.game == "assault":
            assert np.nanmax([*values.values()]) > 2.95e14
            assert values[1_000_000] > 2e14
        else:
            assert np.nanmax([value for frames, value in values.items() if frames <= 300_000]) > 3e4
            assert values[1_000_000] < 120
    assert value_bound(no_lag.config) == pytest.approx(100)
    page = words("docs/why-dqn-fails.md")
    assert "all six runs without lag had values above 3e4, where no return can exceed 100, and after 1M" in page
    assert "not above random play, each below all three with lag (p 0.005, or 0.035 as one of seven tests)." in page


def test_what_the_pages_say_of_the_runs_whose_rewards_are_not_clipped():
    *_, like, _, unclipped, _ = learning.read_groups(STORE)
    text, said, readme = words("docs/long-runs.md"), learning.markdown(STORE), words("README.md")
    for game, points in (("assault", 21), ("crazy_climber", 100)):
        episodes = [row for record in unclipped.records if record.member.game == game for row in record.full_episodes()]
        ratio = sum(row["raw_return"] for row in episodes) / sum(row["clipped_return"] for row in episodes)
        assert points <= ratio < 1.1 * points
        assert unclipped.curves.raw_at(game, 1_000_000).mean() < like.curves.raw_at(game, 1_000_000).mean()
    assert "Assault gives 21 points at a time, Crazy Climber 100." in text
    assert (
        "(21 points at a time on Assault, 100 on Crazy Climber) scores after 1M frames are lower on average" in readme
    )
    assert (
        "both games: 251.3, 300.3 and 240.8, and 2,747, 7,003 and 16,293. That is no difference shown: p 0.035" in text
    )
    assert [round(score, 1) for score in unclipped.curves.raw_at("assault", 1_000_000)] == [251.3, 300.3, 240.8]
    climbed = unclipped.curves.raw_at("crazy_climber", 1_000_000)
    assert [round(score) for score in climbed] == [2_747, 7_003, 16_293]
    name = f"{learning.LIKE_THEIRS}, `reward_clip = None`"
    (found,) = [line for line in said.splitlines() if f"{learning.LIKE_THEIRS} against {name}, over 2 games" in line]
    assert ", p = 0.035 (two-sided" in found
    assert "p 0.035, or 0.25 as one of the seven tests" in text
    assert "(p 0.035, or 0.25 as one of seven)" in readme
    tests = said.count("(two-sided")
    assert (tests, round(tests * float(re.search(r", p = (\S+) \(two-sided", found)[1]), 2)) == (7, 0.25)
    assert "below random play and below all three that learnt from clipped rewards, looked like more" in text
    clipped = like.curves.raw_at("crazy_climber", 1_000_000)
    assert max(climbed[:2]) < min(human_and_random()["crazy_climber"].random, *clipped)
    assert "The third is above random play.)" in text
    last = next(record for record in unclipped.records if record.member.name == "crazy_climber-s2")
    assert above_chance(last)
    shares = [group.explained("assault", 1_000_000) for group in (unclipped, like)]
    assert "On Assault values explain 2% to 3% of their targets by then, with clipped rewards 59% to 63%" in text
    assert [(round(100 * min(each)), round(100 * max(each))) for each in shares] == [(2, 3), (59, 63)]
    assert (
        "On Assault values explain next to nothing by then; with clipped rewards they explain more than half" in readme
    )
    assert "on Crazy Climber 94% and more either way" in text
    assert min(min(group.explained("crazy_climber", 1_000_000)) for group in (unclipped, like)) > 0.935
    assert "names `reward-scale` first in all three of Crazy Climber and in none of Assault, where it says that" in text
    for record in unclipped.records:
        judged = diagnose(read_log(record.folder))
        assert ("reward-scale" in confident(judged)) is (record.member.game == "crazy_climber")
        assert ("of the variance of their targets" in judged.learning.words) is (record.member.game == "assault")
    answer, doctor = words("docs/why-dqn-fails.md"), words("docs/doctor.md")
    assert "lower scores on average in both games, and no difference shown once seven tests are counted." in answer
    assert (
        "In three more, of Crazy Climber, whose rewards of 100 points and more are not clipped, it names that" in doctor
    )
    assert (
        "on Assault, which gives 21 points at a time, in none of three, and on Ms. Pac-Man at 100k frames in none"
        in doctor
    )


def above_chance(record):
    """Whether its network of 1M frames plays better than random play, by the table's test."""
    evaluation = next(each for each in record.evaluations if each["training_frames"] == 1_000_000)
    returns = [each["raw_return"] for each in evaluation["episodes"]]
    random = chance(STORE, record.member.game).returns[0]
    return mean_test(np.array(returns, float), np.array(random, float)).p_higher < 0.05


def test_the_doctor_tells_the_long_runs_that_learn_and_names_what_the_pages_name():
    """docs/doctor.md: ten learn, two are controls, six have no lag (of two it errs), six no clipping, four more."""
    said = {}
    for folder in sorted((ROOT / "results" / "learning").glob("*/*-s*")):
        found = diagnose(read_log(folder))
        said[folder.parent.name, folder.name] = (found.learning.status, confident(found))
    assert len(said) == 10 + 2 + 6 + 6 + 4
    for (group, run), (status, causes) in said.items():
        if "no-reward-clip" in group:
            assert causes == (("reward-scale",) if "crazy" in run else ()) + ("exploration-too-long",)
        elif "no-target" in group:
            assert causes[0] == "no-target-lag"
            assert (status == "learning") is (run in ("assault-s1", "assault-s2"))
            if status == "learning":
                found = diagnose(read_log(ROOT / "results" / "learning" / group / run)).learning
                assert found.p_above_random < 0.01 < 0.05 < found.p_rising  # above random play, and no rise
        elif group == "nature-v1-1M-nnabla-choices":
            assert causes == ("exploration-too-long",)
            assert (status == "learning") is (run == "road_runner-s0")
        else:
            assert causes == ("exploration-too-long",)
            assert (status == "learning") is (group != "nature-v1-2M-constant-reward")


def by_lead(curves, frames):
    """Games by how much of the way from random play to a human their lowest seed is above random play."""
    anchors = human_and_random()
    lead = {
        game: (curves.raw_at(game, frames).min() - anchors[game].random) / (anchors[game].human - anchors[game].random)
        for game in curves.games
        if anchors[game].human > anchors[game].random
    }
    return sorted(lead, key=lead.__getitem__, reverse=True)
