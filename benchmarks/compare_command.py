"""python -m benchmarks compare: two sets of scores side by side."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.arguments import Compare
from benchmarks.console import console, say, say_drawn
from benchmarks.outputs import write_text
from benchmarks.store import Store
from benchmarks.suites import suite_games


def compare(arguments: Compare) -> int:
    """Print the comparison."""
    from benchmarks import compare as comparison
    from benchmarks.sources import alike, find_scores
    from benchmarks.tables import plain_table

    store = Store(arguments.results)
    first, second = alike(
        *(find_scores(word, store, arguments.weights) for word in (arguments.first, arguments.second))
    )
    games = suite_games(arguments.suite) if arguments.suite else None
    found = comparison.compare(first, second, frames=arguments.frames, games=games)
    console.print(plain_table(comparison.HEADER, comparison.game_rows(found), numbers=True))
    say("")
    aggregate_header = ("aggregate", f"first: {first.name}", f"second: {second.name}")
    console.print(plain_table(aggregate_header, comparison.aggregate_rows(found), numbers=True))
    say("")
    for note in comparison.notes(found):
        say(note)
    say("")
    say(comparison.verdict(found))
    for path, text in (
        (arguments.json, json.dumps(comparison.as_json(found), indent=1) + "\n"),
        (arguments.markdown, comparison.markdown(found)),
    ):
        if path:
            write_text(path, text, [Path(arguments.first), Path(arguments.second)], arguments.results)
    if arguments.plots:
        from benchmarks.plots import draw_comparison

        files = draw_comparison(found.first, found.second, found.frames, found.games, arguments.plots)
        say_drawn(files)
    return 0
