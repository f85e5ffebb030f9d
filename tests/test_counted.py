import pytest

from benchmarks.speed.counted import ACTION_SECONDS, STEP_SECONDS, Counted, count_work, estimate


def test_flop_by_hand():
    """Multiply-adds of a state: 20*20*32*256 + 81*64*512 + 49*64*576 + 3136*512 + 512*18. A batch of 32 goes forward
    through both networks, and back twice: to the weights, and to the inputs of all layers but the first."""
    layers = [20 * 20 * 32 * 256, 81 * 64 * 512, 49 * 64 * 576, 3136 * 512, 512 * 18]
    expected = 2 * 32 * (4 * sum(layers) - layers[0])
    assert count_work(1).update_flop == expected
    assert count_work(2).update_flop == 2 * expected


def test_estimates_by_hand():
    """Little arithmetic: a period of 4 agent steps is emulators and choices alone, and the update hides."""
    light = Counted(1, update_operations=40, update_flop=1, action_operations=20, upload_bytes=1, memory_bytes=1)
    found = estimate(light)
    assert found.update_seconds == pytest.approx(40 * 2.5e-6)
    assert found.frames_per_second == pytest.approx(16 / (4 * (STEP_SECONDS + ACTION_SECONDS)))
    assert found.share_of_playing == pytest.approx(STEP_SECONDS / (STEP_SECONDS + ACTION_SECONDS))
    heavy = Counted(16, 640, update_flop=int(25e12 * 2e-3), action_operations=20, upload_bytes=1, memory_bytes=1)
    assert estimate(heavy).update_seconds == pytest.approx(2e-3)
    waited = 2e-3 - STEP_SECONDS
    assert estimate(heavy).frames_per_second == pytest.approx(16 * 16 / (4 * (STEP_SECONDS + ACTION_SECONDS) + waited))
    halves = Counted(32, 640, update_flop=int(25e12 * 5e-3), action_operations=20, upload_bytes=1, memory_bytes=1)
    period = 5e-3 + 2 * ACTION_SECONDS + 3 * 2 * STEP_SECONDS  # the device is slower in the step that learns
    assert estimate(halves).share_of_playing == pytest.approx(8 * STEP_SECONDS / period)
