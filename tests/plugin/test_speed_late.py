"""Markers that a test or its fixtures add on the way, and thresholds taken for another device."""

from __future__ import annotations

import pytest

from .conftest import Suite
from .events import loads
from .gated_speed import H100, Gated, ended


@pytest.fixture
def gated(suite: Suite) -> Gated:
    """Two timed models, the quantized one twice as fast for a single request."""
    return Gated(suite)


def test_a_looser_marker_changes_nothing(gated: Gated) -> None:
    """Added by a fixture or by the body, before or after timing: the stricter one is judged."""
    gated.test(
        """
        LOOSE = pytest.mark.min_speedup(1.1)

        @pytest.fixture
        def looser(request):
            request.node.add_marker(LOOSE)

        @pytest.fixture
        def looser_first(request):
            request.node.add_marker(LOOSE, append=False)

        @pytest.mark.min_speedup(3)
        def test_fixture(looser, compare_speed):
            compare_speed(batch_size=1)

        @pytest.mark.min_speedup(3)
        def test_first(looser_first, compare_speed):
            compare_speed(batch_size=1)

        @pytest.mark.min_speedup(3)
        def test_body(request, compare_speed):
            compare_speed(batch_size=1)
            request.node.add_marker(LOOSE)

        @pytest.mark.max_latency(5)
        def test_less_is_better(request, compare_speed):
            request.node.add_marker(pytest.mark.max_latency(50))
            compare_speed(batch_size=1)

        @pytest.mark.min_speedup(1.1)
        def test_stricter(request, compare_speed):
            request.node.add_marker(pytest.mark.min_speedup(3))
            compare_speed(batch_size=1)
        """
    )
    result = gated.run("-v")
    assert ended(result) == dict.fromkeys(
        ("test_fixture", "test_first", "test_body", "test_less_is_better", "test_stricter"),
        "FAILED",
    )
    assert loads(gated.path / "int4") == 1


def test_a_load_time_that_comes_too_late(gated: Gated) -> None:
    """One load says nothing at 95 %: the marker is refused, and the rest is judged."""
    gated.test(
        """
        @pytest.mark.min_speedup(1.5)
        def test_speed(request, compare_speed):
            compare_speed(batch_size=1)
            request.node.add_marker(pytest.mark.max_load_time(9.5))
        """
    )
    result = gated.run()
    assert result.ret == 1
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            "REFUSED (too weak) w4a16-int4 speed: max_load_time(9.5): the model was loaded 1 times,"
            " and 5 are the least",
            "  put the marker on the test itself, its class or its module",
            "batch 1 *speed-up *kept",
        ]
    )
    result = gated.run("--quant-gate=point")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["* load time * <= 9.5 *kept"])


def test_a_threshold_for_any_device_taken_for_another(gated: Gated) -> None:
    """Under --quant-gpu every verdict says of which device it is, and which was meant."""
    gated.on(H100)
    gated.test(
        """
        @pytest.mark.min_speedup(1.5)
        @pytest.mark.max_memory(1)
        def test_speed(compare_speed):
            compare_speed(batch_size=1)
        """
    )
    why = "for any device (--quant-gpu=A40; this is NVIDIA H100 80GB HBM3)"
    result = gated.run("-rA", "--quant-gpu=A40")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            f"LOST * weight memory: *; at most 1 GiB was allowed {why}",
            f"kept * speed-up, batch 1: *; at least 1.5x was required {why}",
        ]
    )
    assert f"speed-up >= 1.5x {why}" in " ".join(line.strip() for line in result.outlines)
    gated.run("-rA").stdout.no_fnmatch_line("*for any device*")
