"""The project's files keep step with one another."""

import re
import sys
import tomllib
from importlib.metadata import Distribution
from importlib.util import find_spec
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import dqn_ref

ROOT = Path(__file__).parent.parent
PINS = {
    canonicalize_name(name): version
    for name, version in re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
}
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def applying(texts, extras):
    """Canonical names of the requirements that hold here with ``extras``, each with its own extras."""
    for requirement in map(Requirement, texts):
        environments = [{**default_environment(), "extra": extra} for extra in (*extras, "")]
        if not requirement.marker or any(requirement.marker.evaluate(each) for each in environments):
            yield canonicalize_name(requirement.name), frozenset(requirement.extras)


def needed(start, path):
    """Names of everything that the requirements ``start`` bring in, as installed on ``path``."""
    waiting, seen = list(start), set(start)
    while waiting:
        name, extras = waiting.pop()
        (distribution,) = list(Distribution.discover(name=name, path=path))[:1]
        for each in applying(distribution.requires or [], extras):
            if each not in seen:
                seen.add(each)
                waiting.append(each)
    return {name for name, _ in seen} - {"dqn-ref"}


def test_every_dependency_direct_or_transitive_is_pinned():
    extras = {"dev", "peers"} if find_spec("pfrl") else {"dev"}  # `tox -e peers` has both
    found = needed([("dqn-ref", frozenset(extras))], sys.path)
    assert len(found) > 30  # the walk reached torch's and rliable's own needs
    assert not found - PINS.keys()


def test_every_requirement_of_every_extra_is_pinned():
    for extra, texts in EXTRAS.items():
        assert not {name for name, _ in applying(texts, [])} - {"dqn-ref"} - PINS.keys(), extra


@pytest.mark.parametrize("extra", [extra for extra in EXTRAS if extra.startswith("peer-")])
def test_every_dependency_of_a_peer_is_pinned(extra):
    """Where `tox -e bench-peers` has made its environment, beside this one."""
    path = [str(path) for path in (Path(sys.prefix).parent / extra).glob("lib/*/site-packages")]
    if not path:
        pytest.skip(f"there is no environment {extra} here")
    found = needed(list(applying(EXTRAS[extra], [])), path)
    assert {"torch", "ale-py"} < found
    assert not found - PINS.keys()


def test_versions_of_package_and_citation_agree():
    for path, pattern in (("pyproject.toml", r'^version = "(.+)"'), ("CITATION.cff", r"^version: (.+)$")):
        assert re.findall(pattern, (ROOT / path).read_text(), re.MULTILINE) == [dqn_ref.__version__]


def test_readers_of_the_records_page_find_every_column():
    from dqn_ref import records

    page = (ROOT / "docs" / "records.md").read_text()
    for column in (*records.EPISODE_COLUMNS, *records.PROGRESS_COLUMNS, *records.EPISODE_ENDS, *records.STATUSES):
        assert f"`{column}`" in page, column
