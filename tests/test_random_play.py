import json
import math
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from benchmarks.__main__ import main
from benchmarks.random_play import HELD, POLICIES, Played, as_record, chance, games_named, markdown, play, stored
from benchmarks.reference import human_and_random
from benchmarks.store import Store
from benchmarks.suites import SUITES
from dqn_ref.config import UserError
from dqn_ref.evaluate import EvaluationEpisode

RANDOM = human_and_random()["qbert"].random


def test_the_error_of_one_policy_is_the_one_between_its_episodes():
    played = Played("qbert", "random", [[2, 4, 9]], 100)
    assert played.mean == 5
    assert played.standard_error == pytest.approx(math.sqrt((9 + 1 + 16) / 2 / 3))


def test_the_error_of_several_networks_is_the_one_between_them():
    """Their episodes are not independent: those of one network resemble each other."""
    played = Played("qbert", "untrained", [[0, 2], [4, 4], [7, 9]], 100)  # means 1, 4, 8
    assert played.mean == pytest.approx(26 / 6)
    means = np.array([1.0, 4.0, 8.0])
    assert played.standard_error == pytest.approx(means.std(ddof=1) / math.sqrt(3))


def test_the_deviation_by_hand():
    """Ours: 100 above, standard error 3. Theirs: 30 episodes with our spread of 3 * sqrt(4) = 6."""
    values = [RANDOM + 100 + x for x in (-6, 6, -6 / math.sqrt(2), 6 / math.sqrt(2))]
    played = Played("qbert", "random", [values], 100)
    spread = math.sqrt((36 + 36 + 18 + 18) / 3)
    expected = 100 / math.sqrt(spread**2 / 4 + spread**2 / 30)
    assert played.deviation(played) == pytest.approx(expected)


def test_equal_scores_without_a_spread_are_no_distance_apart():
    """Chance scores 0 in Freeway, and every episode of ours may too."""
    played = Played("freeway", "random", [[0, 0, 0]], 100)
    assert played.deviation(played) == 0
    assert Played("freeway", "random", [[-1, -1]], 100).deviation(played) == -math.inf


def test_the_published_mean_is_as_uncertain_as_chance_whichever_policy_is_held_against_it():
    """Ours: 100 above, of 98 and 102, standard error 2. Theirs: 30 episodes with the spread of chance, 6."""
    chance_played = Played("qbert", "random", [[RANDOM - 6, RANDOM, RANDOM + 6]], 100)
    played = Played("qbert", "random-10hz", [[RANDOM + 98, RANDOM + 102]], 100)
    assert played.deviation(chance_played) == pytest.approx(100 / math.sqrt(2**2 + 6**2 / 30))


def test_chance_is_played_at_either_rate_and_untrained_networks_are_what_training_starts_from(monkeypatch):
    asked = []

    def evaluate(values, member, **options):
        asked.append((member.seed, *map(options.get, ("epsilon", "frames_per_agent_step", "max_frames", "episodes"))))
        return [EvaluationEpisode(k, 7, 44 - member.seed, "game_over") for k in range(options["episodes"])]

    monkeypatch.setattr("dqn_ref.evaluate.evaluate", evaluate)
    results = {policy: play("qbert", policy, 10) for policy in POLICIES}
    untrained = [(seed, 0.05, 4, 18_000, 2) for seed in range(5)]
    assert asked == [(0, 1.0, 4, 108_000, 10), (0, 1.0, 6, 108_000, 10), *untrained, (0, 1.0, 32, 108_000, 10)]
    assert results["random"] == Played("qbert", "random", [[7] * 10], 44)
    assert results["untrained"] == Played("qbert", "untrained", [[7, 7]] * 5, 44)


def test_the_table_names_the_games_that_disagree():
    """The untrained: 500.9 below 163.9, errors of 10 / sqrt(3) = 5.8 and, with the spread of chance, 50 / sqrt(30)."""
    near = [[int(RANDOM) + k for k in (-50, 0, 50)]]
    far = [[int(RANDOM) + 500 + k for k in (-50, 0, 50)]]
    played = [
        Played("qbert", "random", near, 3_000),
        Played("qbert", "random-10hz", far, 4_000),
        Played("qbert", "untrained", [[int(RANDOM) - 500 + k for k in (-10, 0, 10)]], 5_000),
    ]
    text = markdown([json.loads(json.dumps(as_record(played, 3)))])
    assert "random, every 4th frame: 1 of 1 games within 3 standard errors. Longest episode: 3,000 frames." in text
    assert "random, every 6th frame: 0 of 1 games within 3 standard errors; outside: qbert (+" in text
    assert "epsilon 0.05: 0 of 1 games within 3 standard errors; outside: qbert (-46.4). Longest episode: 5," in text
    assert f"| qbert | {RANDOM:,.1f} | {int(RANDOM)}.0 ± 28.9 " in text


def test_a_real_game_is_played_stored_and_printed(tmp_path, capsys):
    assert main(["random-play", "Q*bert", "--episodes", "2", "--processes", "1", "--results", str(tmp_path)]) == 0
    (record,) = stored(Store(tmp_path))
    assert [(each["game"], each["policy"]) for each in record["played"]] == [("qbert", policy) for policy in POLICIES]
    assert all(np.isfinite(each["returns"]).all() for each in record["played"])
    output = capsys.readouterr().out
    assert "| qbert |" in output
    assert f"Stored in {tmp_path / 'random-play' / 'qbert.json'}" in output


def test_games_are_asked_for_by_suite_and_by_name_and_played_once():
    assert games_named(["atari3", "Phoenix", "ms_pacman"]) == (*SUITES["atari3"], "ms_pacman")
    with pytest.raises(UserError, match=r"'atari4' is none of the 57 Atari games.* Suites are atari10,"):
        games_named(["atari4"])


def test_what_is_stored_is_read_by_name_and_what_was_replaced_is_not(tmp_path):
    store = Store(tmp_path)
    with pytest.raises(UserError, match="holds no random play"):
        stored(store)
    for game, returns in (("qbert", [1, 2]), ("pong", [3, 4]), ("qbert", [5, 6])):
        store.store_random_play(game, as_record([Played(game, "random", [returns], 9)], 2))
    assert [record["played"][0]["returns"] for record in stored(store)] == [[[3, 4]], [[5, 6]]]
    assert len(list((tmp_path / "random-play").iterdir())) == 3
    assert chance(store, "qbert").mean == 5.5
    assert chance(store, "qbert", HELD) is chance(store, "breakout") is None


def test_one_episode_has_no_error_and_is_refused(capsys):
    assert main(["random-play", "atari3", "--episodes", "1"]) == 2
    assert "Got 1 episodes" in capsys.readouterr().err


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_a_command_that_is_told_to_end_leaves_its_games_at_once(told, tmp_path):
    """Workers amid games of minutes end with it, and nothing is said of runs that would be kept."""
    words = ["random-play", "name_this_game", "--episodes", "200", "--processes", "2"]
    command = [sys.executable, "-m", "benchmarks", *words]
    running = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    try:
        while len(workers := psutil.Process(running.pid).children(recursive=True)) < 3:  # with the tracker of resources
            assert running.poll() is None, running.stdout.read()
            time.sleep(0.1)
        time.sleep(1)  # the last of them is known to its parent
        running.send_signal(told)
        said, _ = running.communicate(timeout=60)
    finally:
        running.kill()
    assert (running.returncode, said) == (130, "Interrupted.\n")
    _, alive = psutil.wait_procs(workers, timeout=60)
    assert alive == []
