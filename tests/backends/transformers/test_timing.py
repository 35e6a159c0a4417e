"""A real tiny model timed: exact tokens, ordered times, bytes where each format keeps them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_quantreg.backends.peak_memory import Peak, copy_bandwidth
from pytest_quantreg.backends.process.remote import RemoteEngine
from pytest_quantreg.backends.quiet import quietly_imported
from pytest_quantreg.backends.transformers import TransformersBackend
from pytest_quantreg.backends.transformers.engine import TransformersEngine
from pytest_quantreg.backends.transformers.timing import refuse_offloaded
from pytest_quantreg.backends.transformers.weights import kv_per_token, storages, streamed
from pytest_quantreg.core.engine import TimedEngine
from pytest_quantreg.core.errors import Category, Refusal
from pytest_quantreg.core.records.run import ModelSpec
from pytest_quantreg.core.records.speed import Load, Request, Workload
from pytest_quantreg.measure.speed.measure import measure_pair

from ...wording import refused, says, wrong_use

Spec = Callable[..., ModelSpec]

PROMPTS = tuple(tuple(range(10 + at, 26 + at)) for at in range(3))


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Processes of these tests compute on one core, so that busy neighbours do not stall them."""
    (torch,) = quietly_imported("torch")
    before = torch.get_num_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def load(tokens: int = 6, in_flight: int = 3, prompts: Any = PROMPTS) -> Load:
    """Three prompts of 16 tokens."""
    return Load(prompts, tokens, in_flight)


def sane(requests: tuple[Request, ...], tokens: int) -> bool:
    """Whether times are in order and all tokens there."""
    return all(
        0 <= request.arrived < request.first_token <= request.ended
        and request.output_tokens == tokens
        for request in requests
    )


def test_a_round_in_groups(backend: TransformersBackend, tiny: Path, spec: Spec) -> None:
    """Every request has its tokens, the first before the last, and groups follow each other."""
    engine: TimedEngine = backend.load(spec(tiny))
    first, second, third = engine.serve(load(in_flight=2))
    assert sane((first, second, third), 6)
    assert (first.first_token, first.ended) == (second.first_token, second.ended)
    assert first.first_token < first.ended <= third.arrived < third.first_token
    single = engine.serve(load(tokens=1))[0]
    assert single.first_token <= single.ended


def test_the_end_token_ends_nothing(backend: TransformersBackend, tiny: Path, spec: Spec) -> None:
    """A model that would stop at its first token generates all, and its settings stay its own."""
    engine = backend.load(spec(tiny))
    torch = quietly_imported("torch")[0]
    prompt = torch.tensor(PROMPTS[:1])
    natural = engine.model.generate(prompt, max_new_tokens=4, do_sample=False)
    ends = [int(natural[0, prompt.shape[1]])]
    engine.model.generation_config.eos_token_id = ends
    assert engine.model.generate(prompt, max_new_tokens=4, do_sample=False).shape[1] == 17
    assert sane(engine.serve(load(tokens=9, prompts=PROMPTS[:1])), 9)
    assert engine.model.generation_config.eos_token_id == ends


def test_stopping_early_is_refused(
    backend: TransformersBackend, tiny: Path, spec: Spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A generate() with rules of its own that ends sooner has done less work."""
    engine = backend.load(spec(tiny))
    generate = engine.model.generate

    def shorter(*args: Any, **how: Any) -> Any:
        return generate(*args, **{**how, "max_new_tokens": how["max_new_tokens"] - 1})

    monkeypatch.setattr(engine.model, "generate", shorter)
    with refused("generated 5 tokens where 6 were requested") as caught:
        engine.serve(load())
    assert caught.value.category is Category.ENGINE


def test_more_tokens_than_positions(backend: TransformersBackend, tiny: Path, spec: Spec) -> None:
    """Refused with both figures and the way out; exactly full is fine."""
    engine = backend.load(spec(tiny))
    assert sane(engine.serve(load(tokens=112, prompts=PROMPTS[:1])), 112)
    with pytest.raises(Refusal) as caught:
        engine.serve(load(tokens=113))
    assert caught.value.category is Category.WRONG_USE
    words = says(caught.value)
    assert "has 128 positions, and 16 prompt tokens with 113 new ones need 129" in words
    assert "128 or fewer together" in words


def test_prompts_that_cannot_be(backend: TransformersBackend, tiny: Path, spec: Spec) -> None:
    """Tokens outside the vocabulary and prompts of unequal length are wrong use."""
    engine = backend.load(spec(tiny))
    with wrong_use("none of its 291"):
        engine.serve(load(prompts=((5, 291),)))
    with wrong_use("equally long"):
        engine.serve(load(prompts=((5, 6), (7,))))
    engine.close()
    with wrong_use("is not loaded any more"):
        engine.serve(load())


def test_sizes_of_an_unquantized_model(
    backend: TransformersBackend, tiny: Path, spec: Spec
) -> None:
    """Weights, what a step reads of them, KV bytes per token and files, all to the byte."""
    engine = backend.load(spec(tiny))
    parameters = sum(parameter.nbytes for parameter in engine.model.parameters())
    buffers = {buffer.data_ptr(): buffer.nbytes for buffer in engine.model.buffers()}
    footprint = engine.footprint()
    assert footprint.loaded["bfloat16"] == parameters
    assert footprint.weights == parameters + sum(buffers.values()) == sum(footprint.loaded.values())
    assert footprint.streamed == footprint.weights - 291 * 128 * 2
    # keys and values x 2 layers x 4 heads x 32 wide x 2 bytes
    assert footprint.kv_per_token == 2 * 2 * 4 * 32 * 2
    assert footprint.disk == (tiny / "model.safetensors").stat().st_size
    assert footprint.peak_of == "resident"
    assert footprint.peak is not None
    assert footprint.peak > footprint.weights


def test_a_tied_table_is_read_as_the_output_layer(
    backend: TransformersBackend, llama: Callable[..., Path], spec: Spec, tmp_path: Path
) -> None:
    """Tied embeddings count once, and a decoding step reads them."""
    footprint = backend.load(spec(llama(tmp_path / "tied", tied=True))).footprint()
    untied = backend.load(spec(llama(tmp_path / "untied"))).footprint()
    assert footprint.weights is not None
    assert footprint.streamed == footprint.weights == untied.streamed
    assert untied.weights == footprint.weights + 291 * 128 * 2


@pytest.mark.slow
def test_unpacking_shows_in_the_weights(
    backend: TransformersBackend, tiny: Path, spec: Spec
) -> None:
    """compressed-tensors weigh int8 until the first forward and bfloat16 from then on."""
    to_make = replace(spec(tiny, "w8a8-int8"), quantize=True)
    engine = backend.load(backend.prepare(to_make, lambda line: None))
    before = engine.footprint()
    assert before.loaded["int8"] == 2 * (4 * 128 * 128 + 3 * 128 * 256)
    assert engine.effective.mode == "emulated"
    engine.serve(load())
    after = engine.footprint()
    assert after.loaded == before.loaded
    assert before.weights is not None
    assert after.weights is not None
    assert after.weights > 1.3 * before.weights


@pytest.mark.parametrize(
    ("scheme", "dtype", "bits"), [("bnb-int8", "int8", 8), ("bnb-nf4", "uint8", 4)]
)
def test_bitsandbytes_is_timed_and_weighed(
    backend: TransformersBackend, tiny: Path, spec: Spec, scheme: str, dtype: str, bits: int
) -> None:
    """Its real kernels run on a CPU; weights and their statistics are found and stay packed."""
    engine = backend.load(replace(spec(tiny, scheme), quantize=True))
    linear = 2 * (4 * 128 * 128 + 3 * 128 * 256)
    before = engine.footprint()
    assert before.loaded[dtype] >= linear * bits // 8
    assert before.loaded[dtype] < 1.1 * linear * bits // 8
    # Scales per row or per block of 64.
    assert before.loaded["float32"] > 1000
    assert engine.effective.mode == "native"
    assert sane(engine.serve(load()), 6)
    after = engine.footprint()
    assert before.weights is not None
    assert after.weights is not None
    assert after.weights <= before.weights
    assert after.weights < 0.7 * sum(
        parameter.nbytes for parameter in backend.load(spec(tiny)).model.parameters()
    )


def fake_model(**config: Any) -> Any:
    """As much of a model as sizes are read from."""
    return SimpleNamespace(config=SimpleNamespace(**config), dtype=SimpleNamespace(itemsize=2))


def test_sizes_that_nobody_can_tell() -> None:
    """Experts are read as the text wants, and other caches than of keys and values differ."""
    plain = {"num_hidden_layers": 3, "num_attention_heads": 4, "hidden_size": 64}
    nothing: Any = SimpleNamespace(total=1, sizes={})
    assert kv_per_token(fake_model(**plain)) == 2 * 3 * 4 * 16 * 2
    assert kv_per_token(fake_model(**plain, num_key_value_heads=1, head_dim=8)) == 2 * 3 * 8 * 2
    assert kv_per_token(fake_model(**plain, kv_lora_rank=512)) is None
    for kind, has_size in [("full_attention", True), ("mamba", False), ("linear_attention", False)]:
        size = kv_per_token(fake_model(**plain, layer_types=["full_attention", kind]))
        assert (size is not None) == has_size
    assert kv_per_token(fake_model(hidden_size=64)) is None
    assert streamed(fake_model(num_experts=8), nothing) is None


def test_storages_are_counted_once_wherever_they_hang() -> None:
    """Views and shared tensors count once, plain attributes too, meta tensors not."""
    (torch,) = quietly_imported("torch")
    module = torch.nn.Linear(8, 4, bias=False, dtype=torch.float16)
    module.register_buffer("view", module.weight.data[:2])
    module.extra = torch.zeros(5, dtype=torch.int32)
    module.state = SimpleNamespace(hidden=torch.zeros(3, dtype=torch.int8))
    module.nowhere = torch.empty(100, device="meta")
    module_storages = storages(torch.nn.Sequential(module, torch.nn.Sequential(module)))
    assert module_storages.largest_device() == "cpu"
    assert module_storages.by_dtype("cpu") == {"float16": 64, "int32": 20, "int8": 3}
    assert module_storages.total == 87
    assert storages(torch.nn.Identity()).largest_device() is None


def test_the_peak_of_the_process(tmp_path: Path) -> None:
    """The high-water mark after a reset; where none is allowed, the largest size seen."""
    (torch,) = quietly_imported("torch")
    status = tmp_path / "status"
    status.write_text("VmHWM:  900 kB\nVmRSS:  400 kB\n")
    peak = Peak(torch, "cpu", tmp_path)
    assert peak.of == "resident"
    # Before a reset the mark is that of loading, so what is resident now counts.
    assert peak.read() == 400 * 1024
    peak.forget()
    assert (tmp_path / "clear_refs").read_text() == "5"
    assert peak.read() == 900 * 1024
    refused = Peak(torch, "cpu", tmp_path / "nowhere")
    refused.forget()
    assert refused.read() is None
    (tmp_path / "clear_refs").unlink()
    (tmp_path / "clear_refs").mkdir()
    sampled = Peak(torch, "cpu", tmp_path)
    sampled.forget()
    assert sampled.read() == 400 * 1024
    status.write_text("VmHWM:  900 kB\nVmRSS:  300 kB\n")
    assert sampled.read() == 400 * 1024


def test_what_was_freed_before_is_not_in_the_peak() -> None:
    """Memory that came and went before the reset does not count, what came after it does."""
    (torch,) = quietly_imported("torch")
    peak = Peak(torch, "cpu")
    gone = torch.ones(50 << 20, dtype=torch.uint8)
    peak.forget()
    before = peak.read()
    del gone
    peak.forget()
    after = peak.read()
    used = torch.ones(30 << 20, dtype=torch.uint8)
    again = peak.read()
    assert used.sum().item() == 30 << 20
    assert before is not None
    assert after is not None
    assert again is not None
    assert before - after > 40 << 20
    assert again - after > 20 << 20


def test_the_peak_of_the_allocator() -> None:
    """The card that had most counts, and a reset reaches all of them."""
    had = {0: 5, 1: 9}
    cuda = SimpleNamespace(
        device_count=lambda: 2,
        max_memory_allocated=lambda index: had[index],
        reset_peak_memory_stats=lambda index: had.update({index: 0}),
    )
    peak = Peak(SimpleNamespace(cuda=cuda), "cuda")
    assert (peak.of, peak.read()) == ("allocator", 9)
    peak.forget()
    assert peak.read() == 0


def test_bandwidth_is_that_of_a_real_copy() -> None:
    """A copy of a buffer larger than the caches: some bytes per second, none without room."""
    (torch,) = quietly_imported("torch")
    bandwidth = copy_bandwidth(torch, torch.device("cpu"), lambda: None)
    assert bandwidth is not None
    assert 1e8 < bandwidth < 1e13

    def none_left(*_: Any, **__: Any) -> Any:
        raise RuntimeError("out of memory")

    broke = SimpleNamespace(ones=none_left, uint8=None)
    assert copy_bandwidth(broke, torch.device("cpu"), lambda: None) is None


def test_the_device_is_waited_for(
    backend: TransformersBackend, tiny: Path, spec: Spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Queued work is finished before the start, at the first token and at the end."""
    engine = backend.load(spec(tiny))
    assert isinstance(engine, TransformersEngine)
    timing, events = engine._timed(), []
    ticks = iter(range(100))

    def clock() -> float:
        events.append("clock")
        return float(next(ticks))

    monkeypatch.setattr(timing, "_clock", clock)
    monkeypatch.setattr(timing, "_synchronize", lambda: events.append("sync"))
    (request,) = engine.serve(load(prompts=PROMPTS[:1]))
    # Two looks at the clock belong to the queue, the last three to the answer.
    assert events[-6:] == ["sync", "clock"] * 3
    assert request.ended - request.first_token == 1.0


@pytest.mark.slow
def test_two_real_models_in_processes_of_their_own(tiny: Path, spec: Spec, tmp_path: Path) -> None:
    """bf16 against bitsandbytes int8, alternating, with sizes, load times and both states."""
    specs = (spec(tiny), replace(spec(tiny, "bnb-int8"), quantize=True))

    def opener(model: ModelSpec) -> Callable[[], RemoteEngine]:
        return lambda: RemoteEngine.start(model, cache_dir=tmp_path, timeout=120)

    workloads = (
        Workload(prompt_tokens=8, output_tokens=8, rounds=3, warmup=1),
        Workload("asynchronous", 2, 8, 5, rounds=2, warmup=1, requests=4, request_rate=50.0),
    )
    baseline, quantized = measure_pair(
        opener(specs[0]),
        opener(specs[1]),
        workloads,
        exclusive=False,
        seed=1,
        vocab_size=291,
        say=lambda line: None,
    )
    for speed in (baseline, quantized):
        assert [len(series.rounds) for series in speed.series] == [3, 2]
        assert all(sane(timed_round.requests, 8) for timed_round in speed.series[0].rounds)
        assert all(sane(timed_round.requests, 5) for timed_round in speed.series[1].rounds)
        assert speed.load_seconds[0] > 0.5
        assert speed.bandwidth is not None
        assert len(speed.states) == 2
        # One thread, as the processes were told; other processes are counted on cards only.
        assert {(state.threads, state.others) for state in speed.states} == {(1, None)}
        assert all(state.load_average is not None for state in speed.states)
    assert list(baseline.footprint.loaded) == ["bfloat16", "float32"]
    assert next(iter(quantized.footprint.loaded)) == "int8"
    assert quantized.footprint.weights < baseline.footprint.weights  # type: ignore[operator]


@pytest.mark.parametrize("kinds", [{"meta"}, {"cpu", "meta"}, {"cpu", "cuda"}])
def test_offloaded_models_are_not_timed(kinds: set[str]) -> None:
    """Where weights wait elsewhere, moving them is what would be timed."""
    with refused("is offloaded"):
        refuse_offloaded("m", kinds)
    refuse_offloaded("m", {"cpu"})
