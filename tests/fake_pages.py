"""Reports of suites that nobody trained: records with scores given as data, and what gates would write."""

import json
from dataclasses import replace
from pathlib import Path

from fake_runs import edit_json, write_run

from benchmarks.gates.verdict import Check, GateResult, Verdict, as_json
from benchmarks.page.asked import Asked
from benchmarks.page.content import Content, Generator, collect
from benchmarks.page.gates import read_gate
from benchmarks.page.page import render
from benchmarks.store import Store
from dqn_ref.protocols import CI, NATURE

GAMES = ("battle_zone", "name_this_game", "phoenix")
# random + share * (human - random), from the anchors of Wang et al.
SPANS = {"battle_zone": (2360.0, 37187.5), "name_this_game": (2292.3, 8049.0), "phoenix": (761.4, 7242.6)}
SHARES = {"battle_zone": (0.0, 0.5), "name_this_game": (1.0, 0.5), "phoenix": (-0.5, 2.0)}
GENERATOR = Generator("0.0.0", "f" * 40, False, (("rliable", "1.2.0"), ("numpy", "2.0.0")))
GATE = GateResult(
    "scores", Verdict.INCONCLUSIVE, "Neither worse nor as good: add 3 seeds.",
    (Check("worse", Verdict.PASS, "difference of IQM +0.01, p = .6", {"p": 0.6}),
     Check("as good", Verdict.INCONCLUSIVE, "p = .12", {"p": 0.12})),
    ("phoenix dropped; advice only",), {"baseline": "atari3-ci-v1-16k"},
)  # fmt: skip
HOSTILE = (
    "</script><script>alert(1)</script><!-- <img src=x onerror=alert(2)> \" ' & {{ 7*7 }} \u2028 ]]> \u202e\x07\ud800"
)
SHOWN = HOSTILE.replace("\u2028", "").replace("  ", " ").translate(dict.fromkeys((0x202E, 0x07, 0xD800), "\ufffd"))


def score_of(game: str, seed: int) -> float:
    """Human-normalised, these scores are SHARES."""
    random, human = SPANS[game]
    return random + SHARES[game][seed % 2] * (human - random)


def write_suite(store: Store, *, seeds: int = 2, without=(), protocol=CI, frames=None, **rest) -> Asked:
    """Runs of atari3 in ``store``, without those that are named."""
    asked = Asked.of(store, suite="atari3", protocol=protocol.name, frames=frames, seeds=seeds)
    for member in asked.matrix.members:
        folder = asked.folder / f"{member.game}-s{member.seed}"
        if folder.name not in without:
            score = score_of(member.game, member.seed)
            write_run(folder, member.game, member.seed, score=score, protocol=protocol, frames=frames, **rest)
    return asked


def write_hostile(store: Store) -> Asked:
    """A suite with markup in everything that a record may hold, and one run that failed with some."""
    provenance = {
        "source": {"commit": HOSTILE, "dirty": True},
        "lock_sha256": HOSTILE,
        "versions": {"torch": HOSTILE, HOSTILE: "1"},
        "rom_md5": HOSTILE,
        "machine": {"cpu": HOSTILE, "cores": HOSTILE, "memory_bytes": HOSTILE, "system": [HOSTILE]},
        "torch": {"device": HOSTILE, "gpu": {HOSTILE: HOSTILE}},
        "command": HOSTILE,
    }
    asked = write_suite(store, without=("phoenix-s1",), provenance=provenance)
    write_run(asked.folder / "phoenix-s1", "phoenix", 1, status="failed", error=f"Traceback\n{HOSTILE}")
    for folder in asked.folder.glob("*-s0"):
        edit_json(folder / "run.json", started=HOSTILE, ended=HOSTILE, startup_seconds=HOSTILE)
    return asked


def hostile_gate() -> GateResult:
    """A gate's answer with markup in every string."""
    checks = (Check(HOSTILE, Verdict.FAIL, HOSTILE, {HOSTILE: HOSTILE}),)
    return GateResult(HOSTILE, Verdict.FAIL, HOSTILE, checks, (HOSTILE,), {HOSTILE: HOSTILE})


def write_gate(path: Path, result: GateResult = GATE, **changes) -> Path:
    """A gate's JSON file."""
    path.write_text(json.dumps(json.loads(as_json(result)) | changes))
    return path


def content_of(asked: Asked, page: Path, *gates: Path) -> Content:
    """What a page at ``page`` says."""
    return collect(asked, [(path.name, read_gate(path)) for path in gates], page, GENERATOR)


def text_of(asked: Asked, page: Path, *gates: Path, **changes) -> str:
    """The page itself."""
    return render(replace(content_of(asked, page, *gates), **changes))


def write_nature(store: Store, *, seeds: int = 5) -> Asked:
    """The paper's protocol, stopped at 10M frames: curves of ten points, and published scores beside."""
    frames = 10_000_000

    def episodes(game, seed):
        random, human = SPANS[game]
        rise = (human - random) * (0.2 + 0.05 * seed)
        return [(f, int(random + rise * f / frames), "game_over") for f in range(250_000, frames + 1, 250_000)]

    asked = Asked.of(store, suite="atari3", protocol="nature", frames=frames, seeds=seeds)
    for member in asked.matrix.members:
        folder, rows = asked.folder / f"{member.game}-s{member.seed}", episodes(member.game, member.seed)
        write_run(folder, member.game, member.seed, score=rows[-1][1], protocol=NATURE, frames=frames, episodes=rows)
    return asked
