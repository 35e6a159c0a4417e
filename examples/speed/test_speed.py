"""Gates on speed and memory: what a quantized model must win where it will run."""

import pytest


@pytest.mark.min_speedup(1.2, gpu="cpu")
@pytest.mark.min_speedup(1.5, gpu="H100")
def test_single_requests(compare_speed):
    """One request after another: every token reads all weights, so fewer bytes should show."""
    compare_speed(batch_size=1, prompt_tokens=32, output_tokens=24)


@pytest.mark.min_speedup(1.0)
@pytest.mark.max_latency(2000, kind="e2e", gpu="cpu")
def test_many_in_flight(compare_speed):
    """Eight at once: a step reads the weights for all of them, so their bytes count less."""
    compare_speed(concurrency=8, prompt_tokens=32, output_tokens=24)


@pytest.mark.max_memory(0.2)
def test_fits(compare_speed):
    """The weights take 0.2 GiB at most, two thirds of what they took."""
    compare_speed(batch_size=1, prompt_tokens=32, output_tokens=24)
