"""The fidelity page, the configuration and the tests say the same."""

import ast
import re
from pathlib import Path

import pytest

from dqn_ref.__main__ import parse
from dqn_ref.protocols import NATURE

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "fidelity.md").read_text()
ROWS = {int(row[0]): row for row in re.findall(r"^\| (\d+) \| (.+?) \| (.+?) \| (.+?) \| (.*?) ?\|$", PAGE, re.M)}


def marked() -> dict[int, list[str]]:
    """Row -> ``file::test`` of the tests with ``@pytest.mark.fidelity(row, ...)``."""
    found: dict[int, list[str]] = {row: [] for row in ROWS}
    for path in sorted(TESTS.glob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            for decorator in getattr(node, "decorator_list", []):
                if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.fidelity":
                    for row in decorator.args:
                        found[row.value].append(f"{path.stem}::{node.name}")
    return found


def test_all_28_rows_are_there():
    assert sorted(ROWS) == list(range(1, 29))


@pytest.mark.parametrize("row", sorted(ROWS))
def test_a_row_names_the_tests_that_pin_it(row):
    tests = marked()[row]
    assert tests, f"no test carries @pytest.mark.fidelity({row})"
    cell = "<br>".join(f"`{name}`" for name in sorted(tests))
    assert ROWS[row][4] == cell, f"row {row} of docs/fidelity.md should name its tests as: {cell}"


def test_values_on_the_page_are_those_of_the_configuration():
    values = re.findall(r"`(\w+) = (.+?)`", PAGE)
    assert len(values) >= 25
    for name, value in values:
        assert getattr(NATURE.config, name) == ast.literal_eval(value), name


def test_options_on_the_page_exist():
    fields = {f"--{name.replace('_', '-')}" for name in vars(NATURE.config)}
    table = PAGE[PAGE.index("## Other people's choices") : PAGE.index("## Playing by chance")]
    options = set(re.findall(r"(--[a-z][a-z-]+)", table))
    assert len(options) >= 9
    assert {option.replace("--no-", "--") for option in options} <= fields
    for row in re.findall(r"`(--.+?)` \|", table):  # as they stand there
        assert parse(["train", "--game", "breakout", *row.split()]).config != NATURE.config
