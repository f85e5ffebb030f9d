import dataclasses

import pytest
from ale_py import roms

from benchmarks.protocols import SUITE_PROTOCOLS, protocols_table, suite_protocol
from benchmarks.reference import human_and_random
from benchmarks.suites import SUITES, game_named, suite_games
from dqn_ref import protocols
from dqn_ref.config import UserError
from dqn_ref.protocols import CI, NATURE


def test_the_subsets_are_those_of_aitchison_et_al():
    """Table 1 of "Atari-5: Distilling the Arcade Learning Environment down to Five Games"."""
    assert set(suite_games("atari10")) == {
        "amidar", "bowling", "frostbite", "kung_fu_master", "riverraid",
        "battle_zone", "double_dunk", "name_this_game", "phoenix", "qbert",
    }  # fmt: skip
    assert set(suite_games("atari5")) == {"battle_zone", "double_dunk", "name_this_game", "phoenix", "qbert"}
    assert set(suite_games("atari3")) == {"battle_zone", "name_this_game", "phoenix"}
    assert len(suite_games("atari57")) == 57


def test_the_subsets_are_nested():
    assert set(SUITES["atari3"]) < set(SUITES["atari5"]) < set(SUITES["atari10"]) < set(SUITES["atari57"])


@pytest.mark.parametrize("suite", SUITES)
def test_no_game_counts_twice_and_each_has_a_rom_and_both_anchors(suite):
    games = suite_games(suite)
    assert len(set(games)) == len(games)
    assert set(games) <= set(roms.get_all_rom_ids())
    assert set(games) <= set(human_and_random())


def test_an_unknown_suite_is_refused_with_the_names_that_are_known():
    with pytest.raises(UserError, match=r"atari_10.*atari10, atari5, atari3, atari57"):
        suite_games("atari_10")


def test_the_suite_runs_the_agents_own_protocols_and_not_copies():
    assert suite_protocol("ci").protocol is CI
    assert suite_protocol("nature").protocol is NATURE
    assert {name: each.protocol.name for name, each in SUITE_PROTOCOLS.items()} == {"ci": "ci", "nature": "nature"}


def test_an_unknown_protocol_is_refused_with_the_names_that_are_known():
    with pytest.raises(UserError, match=r"natura.*nature, ci"):
        suite_protocol("natura")


def test_a_protocol_of_the_agent_that_the_suite_does_not_run_is_refused(monkeypatch):
    monkeypatch.setitem(protocols.PROTOCOLS, "other", protocols.Protocol("other", 1, CI.config))
    with pytest.raises(UserError, match="does not run protocol 'other'"):
        suite_protocol("other")


def test_the_scaled_down_protocol_says_that_it_is_not_the_papers():
    assert "not the paper's" in suite_protocol("ci").caveat
    assert "not comparable" in suite_protocol("ci").caveat
    assert "not" not in suite_protocol("nature").caveat.split()


@pytest.mark.parametrize("name", SUITE_PROTOCOLS)
def test_every_planned_budget_is_one_that_the_protocol_can_run(name):
    known = suite_protocol(name)
    for frames in known.planned_frames:
        dataclasses.replace(known.protocol.config, total_frames=frames)  # raises where it cannot
    assert known.protocol.config.total_frames in known.planned_frames
    assert known.default_seeds >= 2  # one seed allows no interval


# ---------------------------------------------------------------------- names of games


@pytest.mark.parametrize(
    ("name", "game"),
    [
        ("breakout", "breakout"), ("Breakout", "breakout"), ("ALE/Breakout-v5", "breakout"),
        ("BreakoutNoFrameskip-v4", "breakout"), ("BreakoutDeterministic-v0", "breakout"), ("Breakout-v4", "breakout"),
        ("Breakout-ram-v4", "breakout"), ("Breakout-ramNoFrameskip-v4", "breakout"), ("atari_breakout", None),
        ("UpNDown", "up_n_down"), ("up_n_down", "up_n_down"), ("Up'n Down", "up_n_down"), ("Q*Bert", "qbert"),
        ("RiverRaid", "riverraid"), ("Riverraid", "riverraid"), ("River Raid", "riverraid"), ("H.E.R.O.", "hero"),
        ("James Bond", "jamesbond"), ("JamesbondNoFrameskip-v4", "jamesbond"), ("Ms. Pac-Man", "ms_pacman"),
        ("YarsRevenge", "yars_revenge"), ("Yar's Revenge", "yars_revenge"), ("battlezone", "battle_zone"),
        ("ALE/KungFuMaster-v5", "kung_fu_master"), ("NameThisGameNoFrameskip-v4", "name_this_game"),
        ("video_pinball", "video_pinball"), ("Centipede", "centipede"), ("", None), ("Breakou", None), ("tetris", None),
    ],
)  # fmt: skip
def test_a_game_is_known_in_every_common_spelling(name, game):
    if game:
        assert game_named(name) == game
    else:
        with pytest.raises(UserError, match="none of the 57"):
            game_named(name)


def test_every_spelling_of_every_game_is_that_game():
    for game in human_and_random():
        camel = "".join(part.capitalize() for part in game.split("_"))
        for name in (game, camel, f"ALE/{camel}-v5", f"{camel}NoFrameskip-v4", camel.upper(), game.replace("_", " ")):
            assert game_named(name) == game


def test_a_slip_of_the_pen_is_told_what_was_meant():
    with pytest.raises(UserError, match="Did you mean breakout"):
        game_named("ALE/Brekout-v5")


def test_the_table_of_protocols_names_all_and_all_that_they_differ_in():
    (early,) = (line for line in protocols_table().splitlines() if line.startswith("| `early` |"))
    assert early.endswith("| 100,000 | 25,000 | 2,000 | 1,000 | 10,000 | bfloat16 |")  # replay: all of its agent steps
    assert protocols_table().count("\n| `") == len(protocols.PROTOCOLS)
    shown = {"total_frames", "replay_capacity", "replay_start_agent_steps", "target_period_agent_steps",
             "epsilon_span_agent_steps", "precision"}  # fmt: skip
    said = {"iteration_frames", "evaluation_episodes", "evaluation_max_frames", "heldout_states", "progress_frames"}
    for protocol in protocols.PROTOCOLS.values():
        named = {field.name for field in dataclasses.fields(NATURE.config)}
        differ = {name for name in named if getattr(protocol.config, name) != getattr(NATURE.config, name)}
        assert differ <= shown | said
