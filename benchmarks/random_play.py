"""Scores of policies that have learnt nothing, beside the published random scores: python -m benchmarks random-play

What it checks is everything of a score but the learning: emulator, no-ops, action sets, episodes, raw
returns, means. The paper's random player chose at 10 Hz, every sixth frame (Methods, "Evaluation
procedure"), while a DQN chooses every fourth: both are played. So is chance that holds each action for as long as
eight of a DQN's steps, which tells how much of a score comes of holding on alone.
"""

from __future__ import annotations

import math
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import active_children, get_context
from typing import Any

import numpy as np

from benchmarks.jobs import end_with_parent
from benchmarks.markdown import table
from benchmarks.reference import human_and_random
from benchmarks.store import Store, read_stored
from benchmarks.suites import SUITES, game_named
from dqn_ref.config import UserError
from dqn_ref.protocols import NATURE
from dqn_ref.provenance import machine, source_revision
from dqn_ref.seeds import Member

PUBLISHED_EPISODES = 30  # taken for what the published means were made of; their source does not say
CAP = 108_000
LIMIT = 3  # standard errors within which two scores agree
UNTRAINED_SEEDS = 5
CHECKED = {
    "random": "random, every 4th frame",
    "random-10hz": "random, every 6th frame",
    "untrained": "untrained networks, epsilon 0.05",
}
HELD = "random-held"
POLICIES = {**CHECKED, HELD: "random, every 32nd frame"}
FRAMES_A_CHOICE = {"random-10hz": 6, HELD: 32}  # else 4


@dataclass(frozen=True)
class Played:
    """The raw returns of a policy on a game, grouped by the network that played."""

    game: str
    policy: str
    returns: list[list[int]]  # [networks][episodes]; a random policy counts as one network
    longest_episode_frames: int

    @property
    def mean(self) -> float:
        """Mean raw return."""
        return float(np.mean(np.concatenate(self.returns)))

    @property
    def standard_error(self) -> float:
        """Of the mean: between episodes, or between networks where there are several."""
        values = [np.mean(group) for group in self.returns] if len(self.returns) > 1 else self.returns[0]
        return float(np.std(values, ddof=1) / math.sqrt(len(values)))

    def deviation(self, random: Played) -> float:
        """Distance from the published random score, in standard errors of the difference.

        The published mean's own error is that of PUBLISHED_EPISODES episodes as spread as those of ``random``.
        """
        published_error = float(np.std(random.returns[0], ddof=1)) / math.sqrt(PUBLISHED_EPISODES)
        error = math.hypot(self.standard_error, published_error)
        distance = self.mean - human_and_random()[self.game].random
        return distance / error if error else math.copysign(math.inf, distance) if distance else 0.0


def play(game: str, policy: str, episodes: int) -> Played:
    """Play ``episodes`` full episodes of ``game`` (seed 0 is a training seed too, but its streams are others)."""
    import torch  # slow to import, and only needed where it is played

    from dqn_ref.atari import AtariStreams
    from dqn_ref.evaluate import evaluate
    from dqn_ref.evaluate_run import inference
    from dqn_ref.network import NatureNetwork

    torch.set_num_threads(1)  # one process a core
    cpu = torch.device("cpu")
    num_actions = int(AtariStreams([game], max_episode_frames=CAP).num_actions[0])
    groups, longest = list[list[int]](), 0
    for seed in range(UNTRAINED_SEEDS if policy == "untrained" else 1):
        member = Member(game, seed)
        network = NatureNetwork(num_actions, torch.Generator().manual_seed(member.stream_seed("init")), cpu)
        played = evaluate(
            inference(network) if policy == "untrained" else lambda state: torch.zeros(len(state), 1),
            member,
            episodes=-(-episodes // UNTRAINED_SEEDS) if policy == "untrained" else episodes,
            epsilon=NATURE.config.evaluation_epsilon if policy == "untrained" else 1.0,
            max_frames=18_000 if policy == "untrained" else CAP,  # one that stands still would stand for half an hour
            device=cpu,
            frames_per_agent_step=FRAMES_A_CHOICE.get(policy, 4),
        )
        groups.append([episode.raw_return for episode in played])
        longest = max(longest, *(episode.frames for episode in played))
    return Played(game, policy, groups, longest)


def play_all(games: Sequence[str], episodes: int, processes: int) -> Iterator[Played]:
    """Every policy on every game, ``processes`` at once, in order."""
    jobs = [(game, policy, episodes) for game in games for policy in POLICIES]
    pool = ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=_begin_worker)
    try:
        for future in [pool.submit(play, *job) for job in jobs]:
            yield future.result()
    except BaseException:
        for worker in active_children():  # each may be amid a game of minutes
            worker.kill()
        raise
    finally:
        pool.shutdown()


def _begin_worker() -> None:
    end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent ends its workers


def games_named(names: Sequence[str]) -> tuple[str, ...]:
    """The games of every suite, or game, among ``names``. Raises UserError: it is neither."""
    try:
        found = [game for name in names for game in (SUITES[name] if name in SUITES else (game_named(name),))]
    except UserError as error:
        raise UserError(f"{error} Suites are {', '.join(SUITES)}.") from None
    return tuple(dict.fromkeys(found))


def as_record(played: Sequence[Played], episodes: int) -> dict[str, Any]:
    """What is stored of a game: every policy."""
    return {
        "schema": 1,
        "episodes": episodes,
        "played": [asdict(each) for each in played],
        "machine": machine(),
        "source": source_revision(),
    }


def stored(store: Store) -> list[dict[str, Any]]:
    """The records of all games, by name. Raises UserError: there is none."""
    paths = sorted(path for path in store.random_play("*").parent.glob("*.json") if ".until-" not in path.name)
    if not paths:
        raise UserError(f"{store.root} holds no random play; run python -m benchmarks random-play --results results.")
    return [read_stored(path) for path in paths]


def chance(store: Store, game: str, policy: str = "random") -> Played | None:
    """Random play of ``game`` with a DQN's frame skip, or another of POLICIES, if any is stored."""
    path = store.random_play(game)
    played = [Played(**each) for each in read_stored(path)["played"]] if path.exists() else []
    return next((each for each in played if each.policy == policy), None)


def markdown(records: Sequence[dict[str, Any]]) -> str:
    """Stored records as a table, and what they show."""
    played = {(each["game"], each["policy"]): Played(**each) for record in records for each in record["played"]}
    games = list(dict.fromkeys(game for game, _ in played))
    episodes = sorted({record["episodes"] for record in records})
    rows = []
    for game in games:
        cells = [f"{human_and_random()[game].random:,.1f}"]
        for policy in CHECKED:
            each = played[game, policy]
            deviation = each.deviation(played[game, "random"])
            cells.append(f"{each.mean:,.1f} ± {each.standard_error:,.1f} ({deviation:+.1f})")
        rows.append((game, *cells))
    lines = [
        table(("game", "published", *CHECKED.values()), rows),
        "Mean raw return ± its standard error; in brackets the distance from the published score in standard errors of "
        f"the difference, taking the published one for a mean of {PUBLISHED_EPISODES} episodes as spread as ours. "
        f"{' or '.join(map(str, episodes))} episodes each; the untrained networks are {UNTRAINED_SEEDS}, and their "
        "error is the one between networks.",
        "",
    ]
    for policy, name in CHECKED.items():
        far = {game: played[game, policy].deviation(played[game, "random"]) for game in games}
        far = {game: deviation for game, deviation in far.items() if abs(deviation) > LIMIT}
        outside = "".join(f", {game} ({deviation:+.1f})" for game, deviation in far.items())
        longest = max(played[game, policy].longest_episode_frames for game in games)
        lines.append(
            f"- {name}: {len(games) - len(far)} of {len(games)} games within {LIMIT} standard errors"
            f"{'; outside: ' + outside[2:] if outside else ''}. Longest episode: {longest:,} frames."
        )
    return "\n".join(lines) + "\n"
