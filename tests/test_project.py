"""The project's files keep step with one another."""

import importlib.metadata
import re
from importlib.util import find_spec
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import dqn_ref

ROOT = Path(__file__).parent.parent
PINS = {
    canonicalize_name(name): version
    for name, version in re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
}


def requirements(distribution, extras):
    """Canonical names of what ``distribution`` needs here with ``extras``."""
    for text in importlib.metadata.requires(distribution) or []:
        requirement = Requirement(text)
        environments = [{**default_environment(), "extra": extra} for extra in (*extras, "")]
        if not requirement.marker or any(requirement.marker.evaluate(each) for each in environments):
            yield canonicalize_name(requirement.name), frozenset(requirement.extras)


def test_every_dependency_direct_or_transitive_is_pinned():
    extras = {"dev", "peers"} if find_spec("pfrl") else {"dev"}  # `tox -e peers` has both
    waiting, seen = [("dqn-ref", frozenset(extras))], set()
    while waiting:
        name, extras = waiting.pop()
        for needed in requirements(name, extras):
            if needed not in seen:
                seen.add(needed)
                waiting.append(needed)
    assert len(seen) > 30  # the walk reached torch's and rliable's own needs
    assert not {name for name, _ in seen} - PINS.keys()


def test_versions_of_package_and_citation_agree():
    for path, pattern in (("pyproject.toml", r'^version = "(.+)"'), ("CITATION.cff", r"^version: (.+)$")):
        assert re.findall(pattern, (ROOT / path).read_text(), re.MULTILINE) == [dqn_ref.__version__]


def test_readers_of_the_records_page_find_every_column():
    from dqn_ref import records

    page = (ROOT / "docs" / "records.md").read_text()
    for column in (*records.EPISODE_COLUMNS, *records.PROGRESS_COLUMNS, *records.EPISODE_ENDS, *records.STATUSES):
        assert f"`{column}`" in page, column
