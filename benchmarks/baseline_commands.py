"""python -m benchmarks baseline create | promote | list | show."""

from __future__ import annotations

from benchmarks.arguments import BaselineCreate, BaselineList, BaselinePromote, BaselineShow
from benchmarks.console import console, say
from benchmarks.store import Store


def baseline_create(arguments: BaselineCreate) -> int:
    """Store a candidate."""
    from benchmarks.baselines import create

    matrix = arguments.matrix()
    say(f"Stored in {create(arguments.store(), matrix, arguments.reason)}")
    say(f"Nothing compares with it yet: python -m benchmarks baseline promote {matrix.name} --reason ...")
    return 0


def baseline_promote(arguments: BaselinePromote) -> int:
    """Let the candidate take its place."""
    say(f"{Store(arguments.results).promote_baseline(arguments.name, arguments.reason)} is the baseline now.")
    return 0


def baseline_list(arguments: BaselineList) -> int:
    """Print what is stored."""
    from benchmarks.baselines import LISTING_HEADER, listing
    from benchmarks.tables import plain_table

    rows = listing(Store(arguments.results))
    if not rows:
        say(f"There is no baseline in {arguments.results / 'baselines'}.")
        return 0
    console.print(plain_table(LISTING_HEADER, rows))
    return 0


def baseline_show(arguments: BaselineShow) -> int:
    """Print one."""
    from benchmarks.baselines import read, seed_rows
    from benchmarks.report import score_report, score_table
    from benchmarks.tables import plain_table

    found = read(Store(arguments.results), arguments.name)
    for step in ("created", "promoted"):
        if each := found.about[step]:
            say(f"{step.capitalize()} {each['when']}: {each['reason']}")
    say(f"Seal {found.about['sha256'][:16]} holds: no file was changed since.")
    seeds = [f"seed {seed}" for seed in range(found.matrix.num_seeds)]
    console.print(plain_table(("game", *seeds), seed_rows(found)))
    console.print(score_table(score_report(found.matrix, found.scores)))
    return 0
