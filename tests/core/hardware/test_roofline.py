"""What the bytes allow a decoding model, and why one is slower than its baseline."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_quantreg.core.hardware.roofline import Roof, bytes_per_step, roof, slow_reasons
from pytest_quantreg.core.records.run import EffectiveScheme
from pytest_quantreg.core.records.speed import Footprint, Request, Round, Series, Workload

FOOTPRINT = Footprint(streamed=15_000_000_000, kv_per_token=131_072)
NATIVE = EffectiveScheme("w4a16-int4", "int4", "bf16", "bf16", "marlin", "native", 224, 224)


def series(workload: Workload, tpot: float, rounds: int = 3) -> Series:
    """Rounds whose requests all generate at this pace; one round is disturbed."""
    made = []
    for number in range(rounds):
        pace = tpot * (10 if number == 1 else 1)
        ended = 0.1 + pace * (workload.output_tokens - 1)
        request = Request(0.0, 0.1, ended, workload.output_tokens)
        made.append(Round((request,) * workload.requests))
    return Series(workload, tuple(made))


def test_a_step_reads_weights_and_half_filled_caches() -> None:
    """One request of 100 prompt and 20 generated tokens holds 110 on average."""
    alone = Workload(prompt_tokens=100, output_tokens=20)
    assert bytes_per_step(FOOTPRINT, alone) == 15e9 + 110 * 131_072
    many = replace(alone, batch_size=8, requests=8)
    assert bytes_per_step(FOOTPRINT, many) == 15e9 + 8 * 110 * 131_072


def test_no_more_requests_than_a_round_has() -> None:
    """A round of 2 requests keeps 2 in flight, though 8 might be."""
    workload = Workload(batch_size=8, requests=2, request_rate=4.0)
    context = 128 + 32
    assert bytes_per_step(FOOTPRINT, workload) == 15e9 + 2 * context * 131_072


def test_bound_and_share() -> None:
    """Bandwidth over bytes, times the requests of a step; the median round is what was reached."""
    workload = Workload(batch_size=4, requests=4)
    bound = roof(FOOTPRINT, series(workload, 0.01), 2.0e12)
    assert bound is not None
    assert bound.bound == pytest.approx(4 * 2.0e12 / (15e9 + 4 * 160 * 131_072))
    assert bound.decode == pytest.approx(4 / 0.01)
    assert bound.share == pytest.approx(bound.decode / bound.bound)


@pytest.mark.parametrize(
    ("footprint", "tokens", "bandwidth"),
    [
        (Footprint(), 64, 2e12),
        (FOOTPRINT, 1, 2e12),
        (FOOTPRINT, 64, None),
        (FOOTPRINT, 64, 0.0),
    ],
)
def test_nothing_is_said_of_what_is_not_known(
    footprint: Footprint, tokens: int, bandwidth: float | None
) -> None:
    """No bytes, no token after the first or no bandwidth: no bound."""
    workload = Workload(output_tokens=tokens)
    assert roof(footprint, series(workload, 0.01), bandwidth) is None


def test_under_a_rate_nothing_is_said() -> None:
    """How many requests are decoded together is then not known."""
    workload = Workload(batch_size=4, requests=4)
    assert roof(FOOTPRINT, series(workload, 0.01), 2e12) is not None
    paced = replace(workload, request_rate=4.0)
    assert roof(FOOTPRINT, series(paced, 0.01), 2e12) is None


FALLBACK = "activations fell back to bf16"
SMALL = "the model is too small, or the batch too large, to be bound by its bytes"
UNPACKING = "dequantizing, or a slow kernel, takes the time here (marlin)"
PROMPTS = "the prompts take longer, and no token after them"
AS_MANY = "it reads no fewer bytes per token than its baseline"


@pytest.mark.parametrize(
    ("baseline", "quantized", "said"),
    [
        # Bound by bytes, reads half of them and is slower all the same, were it by a hair.
        (Roof(100, 80), Roof(200, 79), [UNPACKING]),
        (Roof(100, 80), Roof(200, 20), [UNPACKING]),
        (Roof(100, 20), Roof(200, 19), [SMALL]),
        (Roof(100, 20), Roof(120, 1), [SMALL, UNPACKING]),
        (Roof(100, 80), Roof(200, 120), [PROMPTS]),
        (Roof(100, 80), Roof(100, 70), [AS_MANY]),
        (None, Roof(200, 19), [UNPACKING]),
        (None, Roof(200, 150), []),
        (None, None, []),
        (Roof(100, 20), None, []),
    ],
)
def test_likely_reasons(baseline: Roof | None, quantized: Roof | None, said: list[str]) -> None:
    """What both models reach of their bounds tells which of several reasons it is."""
    reasons = list(slow_reasons(baseline, quantized, NATIVE))
    assert len(reasons) == len(said)
    for reason, opening in zip(reasons, said, strict=True):
        assert reason.startswith(opening)


def test_a_fallback_comes_first() -> None:
    """That the activations are not quantized is the likeliest reason."""
    fallback = replace(NATIVE, mode="weight-only fallback")
    first, second = slow_reasons(Roof(100, 80), Roof(200, 40), fallback)
    assert first.startswith(FALLBACK)
    assert second == f"{UNPACKING}: it reaches 20 % of what its bytes allow"
