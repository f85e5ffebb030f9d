"""A peer's word: what installed implementations answer to the same input, and a table of it (`tox -e peers`).

Each test adds its rows by ``say``, with what it measured; without the peers nothing here is collected.
"""

import importlib.metadata
from importlib.util import find_spec

import pytest

HERE = all(find_spec(package) for package in ("stable_baselines3", "pfrl", "gym", "cv2"))
collect_ignore_glob = [] if HERE else ["test_*.py"]

ROWS = pytest.StashKey[list]()
NAMES = {"sb3": "stable-baselines3", "pfrl": "pfrl", "gymnasium": "gymnasium"}


@pytest.fixture
def say(request):
    """Add a row: what was compared, the peer, the difference measured, and why it is what it should be."""

    def row(what: str, peer: str, measured: str, why: str) -> None:
        name = NAMES[peer]
        rows = request.config.stash.setdefault(ROWS, [])
        rows.append((what, f"{name} {importlib.metadata.version(name)}", measured, why))

    return row


def pytest_terminal_summary(terminalreporter, config):
    rows = config.stash.get(ROWS, [])
    if rows:
        rows = [("compared on the same input", "peer", "largest difference", "expected, and why"), *rows]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)][:3]
        terminalreporter.section("a peer's word")
        for *cells, why in rows:
            padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
            terminalreporter.write_line(" | ".join((*padded, why)))
