"""What was measured inside the learner: bounds, counts and medians by hand, Fisher's test by counting hands."""

import dataclasses
import json
import math

import pytest
from fake_runs import write_run

from benchmarks.failures import inside_table, table
from benchmarks.failures.findings import find
from benchmarks.failures.inside import Inside, against, fisher, goes_beyond, measured, value_bound
from benchmarks.failures.variants import VARIANTS
from benchmarks.store import Store
from dqn_ref.protocols import CI

GROUP = "ci-v1-16k"
NAN = math.nan


def rows_of(*q_max):
    return [{"q_max": value} for value in q_max]


def of(variant, beyond, seeds, *, bound=100.0, game="pong"):
    return Inside(variant, game, seeds, bound, beyond, {})


def by_hand(a, m, b, n):
    """Chance that m runs drawn out of m + n, a + b of them marked, hold a marked ones or more (hypergeometric)."""
    marked = a + b
    ways = sum(math.comb(marked, k) * math.comb(m + n - marked, m - k) for k in range(a, min(m, marked) + 1))
    return ways / math.comb(m + n, m)


# ---------------------------------------------------------------------- the bound


def test_the_bound_is_the_largest_reward_over_what_the_discount_leaves():
    config = CI.config
    assert value_bound(config) == pytest.approx(100)
    assert value_bound(dataclasses.replace(config, discount=0.5)) == 2
    assert value_bound(dataclasses.replace(config, discount=1.0)) is None
    assert value_bound(VARIANTS["constant-reward"].of(config)) == pytest.approx(6)
    assert value_bound(VARIANTS["no-reward-clip"].of(config)) is None
    unclipped = dataclasses.replace(config, reward_clip=None, constant_reward=-0.5)
    assert value_bound(unclipped) == pytest.approx(50)  # the constant one is not clipped


@pytest.mark.parametrize(
    ("q_max", "expected"),
    [
        ((1.0, 100.0, 2.0), False),  # no more than the bound
        ((1.0, 100.1, 2.0), True),  # at any time
        ((NAN, 1.0), False),  # no held-out states yet
        ((NAN, 1.0, NAN), True),  # a number once, and then none
        ((1.0, math.inf), True),
        ((NAN, NAN), False),
        ((), False),
    ],
)
def test_a_run_is_beyond_the_bound_if_it_ever_was(q_max, expected):
    assert goes_beyond(rows_of(*q_max), 100.0) is expected


def test_the_second_half_is_summarised_worked_by_hand():
    columns = (
        "q_mean", "q_start", "start_return", "td_error_ratio", "action_entropy", "dormant_hidden",
        "nonzero_reward_share",
    )  # fmt: skip
    table_of = {
        50: (9, 9, 9, 9, 9, 9, 9), 60: (1, 1, 2, 1.0, 0.1, 0.5, 0.1), 80: (2, 4, NAN, 5.0, 0.4, NAN, 0.2),
        100: (3, NAN, 5, 2.0, 0.2, 0.7, 0.6),
    }  # fmt: skip
    rows = [{"frames": frames} | dict(zip(columns, values, strict=True)) for frames, values in table_of.items()]
    assert measured(rows, 50) == pytest.approx({
        "q_mean": 3, "q_start": 4, "start_return": 3.5, "td_error_ratio": 2.0, "action_entropy": 0.2,
        "dormant_hidden": 0.6, "nonzero_reward_share": 0.2,
    })  # fmt: skip
    assert all(math.isnan(value) for value in measured(rows, 100).values())


@pytest.mark.parametrize(
    ("ratios", "expected"),
    [((0.0, NAN, NAN), NAN), ((0.0, NAN), NAN), ((0.0, 3.0, NAN), 1.5), ((0.0, 1.0, 5.0, NAN), 1.0), ((0.0,), 0.0)],
)
@pytest.mark.parametrize("name", ["td_error_ratio", "action_entropy", "dormant_hidden", "nonzero_reward_share"])
def test_a_few_rows_do_not_stand_for_all(name, ratios, expected):
    """A sample of one transition has no variance to explain, but for rounding now and then."""
    rows = [{"frames": 60, name: ratio} for ratio in ratios]
    assert measured(rows, 50)[name] == pytest.approx(expected, nan_ok=True)


def test_few_returns_are_returns_and_values_that_overflowed_have_no_end():
    rows = [{"frames": frames, "start_return": NAN, "q_mean": NAN} for frames in (60, 80, 100)]
    found = measured([rows[0] | {"start_return": 4.0, "q_mean": 9.0}, *rows[1:]], 50)
    assert found["start_return"] == 4
    assert math.isnan(found["q_mean"])


# ---------------------------------------------------------------------- Fisher's test


@pytest.mark.parametrize(
    ("a", "m", "b", "n"), [(3, 3, 0, 6), (2, 3, 0, 6), (3, 3, 1, 6), (0, 3, 0, 6), (1, 3, 6, 6), (5, 5, 3, 10)]
)
def test_p_is_that_of_drawing_marked_runs(a, m, b, n):
    assert fisher(of("v", a, m), of("reference", b, n)) == pytest.approx(by_hand(a, m, b, n))


def test_three_of_three_against_none_of_six_is_one_in_84():
    assert fisher(of("v", 3, 3), of("reference", 0, 6)) == pytest.approx(1 / 84)


def test_the_rows_are_adjusted_together_and_those_without_a_bound_do_not_count():
    references = {"pong": of("reference", 0, 6), "qbert": of("reference", 3, 6, game="qbert")}
    variants = [of("a", 3, 3), of("b", 0, 3), of("c", 0, 3, bound=None), of("a", 3, 3, game="qbert"),
                of("a", 3, 3, game="venture")]  # fmt: skip
    found = against(references, variants)
    assert [each.p for each in found] == pytest.approx([1 / 84, 1.0, None, 20 / 84, None])  # C(6, 3) of C(9, 3)
    assert [each.adjusted for each in found] == pytest.approx([3 / 84, 1.0, None, 40 / 84, None])
    assert [each.reference for each in found] == [(0, 6), (0, 6), None, (3, 6), None]
    assert against({"pong": of("reference", 0, 6, bound=None)}, variants) == variants


def test_a_row_of_so_few_runs_that_it_could_show_nothing_takes_nothing_from_the_others():
    """Of one run against six the lowest p is 1/7, of three 1/84."""
    found = against({"pong": of("reference", 0, 6)}, [of("a", 3, 3), of("b", 1, 1)])
    assert [each.p for each in found] == pytest.approx([1 / 84, 1 / 7])
    assert [each.adjusted for each in found] == pytest.approx([1 / 84, 1.0])


# ---------------------------------------------------------------------- the table


def put(store, name, seeds, q_max, game="road_runner"):
    """Runs that all score 100, whose q_max is ``q_max`` for a row in the first half, and 1 otherwise.

    Seeds 0, 1, 2, ... add 0, 1, 4, ... to a q_mean that counts the rows; the entropy is the frames in thousands.
    """
    for seed in range(seeds):
        folder = store.failures(GROUP) / name / f"{game}-s{seed}"
        write_run(folder, game, seed, score=100.0, config=VARIANTS[name].of(CI.config))
        header, *rows = (folder / "progress.csv").read_text().splitlines()
        columns = header.split(",")
        cells = [row.split(",") for row in rows]
        for place, row in enumerate(cells):
            row[columns.index("q_max")] = str(q_max if place == 0 else 1.0)
            row[columns.index("q_mean")] = str(place + seed**2)
            row[columns.index("action_entropy")] = str(float(row[columns.index("frames")]) / 1_000)
        (folder / "progress.csv").write_text("\n".join([header, *map(",".join, cells)]) + "\n")
    return len(cells)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results")


def test_the_rows_of_a_group_worked_by_hand(store):
    rows = put(store, "reference", 6, 99.0)
    put(store, "constant-reward", 3, 6.5)
    put(store, "no-target-network", 3, 58_112.0)
    put(store, "gamma-0.5", 3, 1.9)
    put(store, "no-reward-clip", 3, 5_000.0)
    found = find(store, GROUP)
    assert [(row[0], row[-2], row[-1]) for row in inside_table.inside_rows(found)] == [
        ("reference", "100", "0 of 6"),
        ("constant-reward", "6", "3 of 3"),
        ("no-target-network", "100", "3 of 3 v 0 of 6, p 0.024"),  # 1/84, and two tests
        ("gamma-0.5", "2", "0 of 3 v 0 of 6"),
        ("no-reward-clip", "none", "no bound"),
    ]
    assert inside_table.inside_rows(found)[1][3] == str(rows - 1 + 1)  # the last row's, of the middle seed
    assert found.inside[1].medians["action_entropy"] == 13  # of 10k, 12k, 14k and 16k frames
    content = table.as_json(found)["inside"]
    json.dumps(content, allow_nan=False)
    assert (content[2]["beyond"], content[2]["reference_beyond"], content[2]["reference_seeds"]) == (3, 0, 6)
    assert (content[2]["p_fisher"], content[2]["p_fisher_holm"]) == pytest.approx((1 / 84, 2 / 84))
    assert (content[4]["beyond"], content[4]["p_fisher"], content[1]["p_fisher"]) == (None, None, None)
    page = table.markdown(found)
    assert "| no-target-network | road_runner | 3 |" in page
    assert "3 of 3 v 0 of 6, p 0.024 |" in page
    assert "Holm for those of the 2 tests of that column" in page
    assert "So few runs" not in page


def test_so_few_runs_that_no_count_could_show_anything_have_a_p_of_1(store):
    put(store, "reference", 3, 1.0)
    put(store, "no-target-network", 3, 500.0)
    found = find(store, GROUP)
    assert (found.inside[-1].p, found.inside[-1].adjusted) == (pytest.approx(1 / 20), 1.0)
    rows = inside_table.inside_rows(found)
    assert rows[-1][-1] == "3 of 3 v 0 of 3, too few seeds"  # 1 / C(6, 3) is .05, and not below it


@pytest.mark.parametrize(
    ("value", "text"),
    [(2.114, "2.11"), (58_112.0, "58,100"), (999.6, "1,000"), (7.01e8, "7.01e+08"), (NAN, "none"),
     (math.inf, "infinite"), (0.0, "0"), (100.0, "100")],
)  # fmt: skip
def test_digits(value, text):
    assert inside_table.digits(value) == text
