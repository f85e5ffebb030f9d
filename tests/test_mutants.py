"""The list of mutants keeps up with the source: each edit still has its place. `tox -e mutants` runs them."""

import ast
import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
spec = importlib.util.spec_from_file_location("mutants", ROOT / "tools" / "mutants.py")
mutants = importlib.util.module_from_spec(spec)
sys.modules["mutants"] = mutants  # dataclasses look it up
spec.loader.exec_module(mutants)


@pytest.mark.parametrize("mutant", mutants.MUTANTS, ids=lambda mutant: mutant.name)
def test_each_edit_has_one_place_and_leaves_a_program(mutant, tmp_path):
    path = tmp_path / mutant.file
    path.parent.mkdir()
    path.write_text((ROOT / mutant.file).read_text())
    mutant.apply(tmp_path)
    after = path.read_text()
    assert ast.dump(ast.parse(after)) != ast.dump(ast.parse((ROOT / mutant.file).read_text()))


def test_an_edit_without_a_place_is_refused(tmp_path):
    (tmp_path / "a.py").write_text("x = 1\nx = 1\n")
    for old in ("x = 1", "y = 1"):
        with pytest.raises(ValueError, match="expected once"):
            mutants.Mutant("m", "", "a.py", old, "z").apply(tmp_path)


def test_names_are_unique_and_tests_exist():
    names = [mutant.name for mutant in mutants.MUTANTS]
    assert len(set(names)) == len(names)
    for mutant in mutants.MUTANTS:
        files = mutants.test_files(mutant)
        assert all((ROOT / name).exists() for name in files)
        assert len(files) == len(mutants.TESTS)
