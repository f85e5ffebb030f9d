"""The house's floors: who may import what, and that no random number comes from a global generator."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
AGENT = sorted((ROOT / "dqn_ref").glob("**/*.py"))
SUITE = {
    "compare.py", "curves.py", "page.py", "permutation.py", "reference.py", "report.py", "scores.py",
    "sources.py", "statistics.py",
}  # fmt: skip
WITHOUT_TORCH = [
    *(path for path in AGENT if path.name in ("config.py", "records.py", "seeds.py") or path.parent.name == "lint"),
    *(ROOT / "benchmarks" / "doctor" / f"{name}.py" for name in ("config_files", "dialects", "lint_command")),
    *(path for path in sorted((ROOT / "benchmarks").glob("*.py")) if path.name in SUITE),
    *sorted((ROOT / "benchmarks" / "plots").glob("*.py")),
    *(ROOT / "benchmarks" / "failures" / name for name in ("drawings.py", "table.py")),  # and all that they import
]
NUMPY_OWNED = {"Generator", "default_rng", "SeedSequence", "PCG64"}
TORCH_DRAWS = {
    "manual_seed", "manual_seed_all", "seed", "rand", "randn", "randint", "randperm", "rand_like", "randn_like",
    "bernoulli", "multinomial", "normal",
}  # fmt: skip
IN_PLACE_DRAWS = {"uniform_", "normal_", "random_", "bernoulli_", "exponential_"}


def imported(tree: ast.AST) -> set[str]:
    """Full names of the modules that are imported anywhere in ``tree``, functions and type checking included."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}", *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def roots(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imported(ast.parse(path.read_text()))}


def module(path: Path) -> str:
    """``benchmarks.plots.style`` of its file."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def dotted(node: ast.AST) -> str:
    """``a.b.c`` of an attribute chain, else an empty string."""
    if isinstance(node, ast.Attribute) and (before := dotted(node.value)):
        return f"{before}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def global_draws(tree: ast.AST) -> set[str]:
    """Calls that draw from, or seed, the generators of NumPy, ``random`` and PyTorch that everybody shares."""
    found = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or any(keyword.arg == "generator" for keyword in node.keywords):
            continue
        name = dotted(node.func)
        method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        numpy_draw = name.startswith(("np.random.", "numpy.random.")) and method not in NUMPY_OWNED
        torch_draw = name.startswith("torch.") and method in TORCH_DRAWS
        if numpy_draw or torch_draw or name.startswith("random.") or method in IN_PLACE_DRAWS:
            found.add(name or method)
    return found


# ---------------------------------------------------------------------- the checks can fail


@pytest.mark.parametrize(
    "source",
    ["np.random.rand(3)", "np.random.seed(1)", "random.random()", "torch.manual_seed(0)", "torch.rand(3)",
     "torch.empty(3).uniform_(0, 1)", "numpy.random.choice(4)", "torch.randint(0, 4, (2,))"],
)  # fmt: skip
def test_a_draw_from_a_global_generator_would_be_seen(source):
    assert global_draws(ast.parse(source))


@pytest.mark.parametrize(
    "source",
    ["np.random.default_rng(1).random()", "torch.rand(3, generator=g)", "x.uniform_(0, 1, generator=g)",
     "torch.Generator().manual_seed(3)", "self._explore.random()"],
)  # fmt: skip
def test_a_draw_from_a_generator_of_ones_own_is_allowed(source):
    assert not global_draws(ast.parse(source))


def test_imports_inside_functions_are_seen():
    assert imported(ast.parse("def f():\n    from torch import nn\n    import os.path")) == {
        "torch", "torch.nn", "os.path",
    }  # fmt: skip


# ---------------------------------------------------------------------- the floors


def test_there_is_something_to_check():
    assert {"agent.py", "atari.py", "config.py", "learner.py", "replay.py", "train.py"} <= {path.name for path in AGENT}


@pytest.mark.parametrize("path", AGENT, ids=lambda path: path.stem)
def test_the_agent_knows_nothing_of_the_suite(path):
    assert not roots(path) & {"benchmarks", "pandas", "matplotlib", "scipy", "rliable", "seaborn"}


def test_the_emulator_is_imported_in_one_room_only():
    assert [path.name for path in AGENT if "ale_py" in roots(path)] == ["atari.py"]


@pytest.mark.parametrize("path", WITHOUT_TORCH, ids=module)
def test_rooms_that_read_results_import_no_torch(path):
    assert "torch" not in roots(path)


@pytest.mark.parametrize("path", WITHOUT_TORCH, ids=module)
def test_rooms_that_read_results_bring_no_torch_with_them(path):
    """Nor does anything that they import: checked in an interpreter of its own."""
    code = f"import sys; import {module(path)}; sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", AGENT, ids=lambda path: path.stem)
def test_no_random_number_comes_from_a_global_generator(path):
    assert not global_draws(ast.parse(path.read_text()))


def test_components_take_plain_values_and_not_the_configuration():
    readers = {path.stem for path in AGENT if "dqn_ref.config.DQNConfig" in imported(ast.parse(path.read_text()))}
    of_lint = {"setup", "__init__"}
    of_runs = {"run", "extend", "group", "evaluate_run", "records"}
    assert readers <= {"__main__", "arguments", "build", "train", "protocols"} | of_runs | of_lint


def test_the_command_line_does_not_wait_for_what_it_may_not_need():
    """Each takes a second or more to import."""
    heavy = {"scipy.stats", "rliable", "matplotlib", "pandas", "torch", "tensorboard", "seaborn", "jinja2"}
    program = f"import sys, benchmarks.__main__; print(*({heavy!r} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
