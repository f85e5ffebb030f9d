"""Limits of containers and batch jobs, from files as Linux writes them."""

import pytest

from dqn_ref.control_group import granted_cores, memory_left


@pytest.fixture
def group(tmp_path):
    """Writes files of this process's group, or of the one around it; returns where to look."""
    membership, root = tmp_path / "cgroup", tmp_path / "fs"
    membership.write_text("12:cpu:/old\n0::/batch/job\n")
    (root / "batch" / "job").mkdir(parents=True)

    def write(place, **files):
        for name, text in files.items():
            (root / place / name.replace("_", ".")).write_text(text + "\n")
        return membership, root

    return write


def test_without_limits_there_is_none(group, tmp_path):
    assert granted_cores(*group("batch/job", cpu_max="max 100000")) is None
    assert memory_left(*group("batch/job", memory_max="max", memory_current="5")) is None
    nowhere = tmp_path / "nothing", tmp_path / "nowhere"
    assert (granted_cores(*nowhere), memory_left(*nowhere)) == (None, None)


@pytest.mark.parametrize(("quota", "cores"), [("250000 100000", 2), ("50000 100000", 1), ("400000 100000", 4)])
def test_cores_are_whole_ones_and_one_at_least(group, quota, cores):
    assert granted_cores(*group("batch/job", cpu_max=quota)) == cores


def test_the_narrowest_group_counts(group):
    group("batch", cpu_max="200000 100000", memory_max="1000", memory_current="400")
    where = group("batch/job", cpu_max="300000 100000", memory_max="900", memory_current="200")
    assert granted_cores(*where) == 2
    assert memory_left(*where) == 600


def test_cached_files_are_free_and_an_overdrawn_group_has_nothing(group):
    used = {"memory_max": "1000", "memory_current": "900"}
    assert memory_left(*group("batch/job", **used, memory_stat="anon 500\ninactive_file 300")) == 400
    assert memory_left(*group("batch/job", memory_max="800", memory_stat="")) == 0
