"""Kept runs beside published ones: every number of the table worked by hand."""

import pytest
from fake_runs import evaluation, write_run

from benchmarks.learning import markdown
from benchmarks.store import Store
from dqn_ref.config import NATURE, UserError
from dqn_ref.records import RunRecord, add_evaluation

M = 1_000_000


def run(store, seed, first, last, game="assault"):
    """A run of two iterations, evaluated at ``first`` and ``last``."""
    folder = store.root / "learning" / "nature-v1-2M" / f"{game}-s{seed}"
    write_run(folder, game, seed, score=last, frames=2 * M, protocol=NATURE)
    after_one = {"weights": "iteration", "training_frames": M}
    add_evaluation(folder, evaluation(RunRecord.read(folder).config, first, **after_one))


def test_scores_are_means_over_iterations_beside_those_of_nnabla_at_the_same_frames(tmp_path):
    """Ours: 300 and 310 at 1M; (300 + 500) / 2 = 400 and (310 + 600) / 2 = 455 at 2M. Published: data/."""
    store = Store(tmp_path)
    run(store, 0, 300, 500)
    run(store, 1, 310, 600)
    text = markdown(store)
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| assault")
    ]
    assert rows == [
        ["assault", "1M", "305.0 (2 seeds, 300.0 to 310.0)", "320.7 (3 seeds, 310.8 to 329.1)", "222.4", "742.0"],
        ["assault", "2M", "427.5 (2 seeds, 400.0 to 455.0)", "398.3 (3 seeds, 359.7 to 426.0)", "222.4", "742.0"],
    ]
    assert "The evaluations of assault-s1: 310.0 after 1M, 600.0 after 2M." in text
    assert "Protocol nature-v1 in float32, stopped at 2M frames." in text
    assert "the smallest p that a permutation test could give here is 0.2." in text  # 2 of the 10 ways to choose 2 of 5
    assert "cap of an episode: at most 108,000 frames an episode on one side, not known on the other" in text


def test_a_game_that_was_not_published_has_no_row(tmp_path):
    store = Store(tmp_path)
    run(store, 0, 300, 500)
    run(store, 0, 1, 2, game="phoenix")
    assert "| phoenix" not in markdown(store)


def test_a_run_that_has_not_finished_is_named(tmp_path):
    store = Store(tmp_path)
    write_run(tmp_path / "learning" / "nature-v1-2M" / "assault-s0", "assault", 0, status="interrupted")
    with pytest.raises(UserError, match=r"assault-s0 \(interrupted\)"):
        markdown(store)


def test_nothing_kept_is_said(tmp_path):
    with pytest.raises(UserError, match="holds no runs"):
        markdown(Store(tmp_path))
