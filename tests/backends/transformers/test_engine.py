"""A loaded model: scoring as lm-eval does, chats, BOS, memory given back."""

from __future__ import annotations

import errno
import gc
import json
import logging
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytest_quantreg.backends.device import cpu_name, nvidia_driver
from pytest_quantreg.backends.quiet import quiet, quietly_imported
from pytest_quantreg.backends.transformers import TransformersBackend
from pytest_quantreg.core.engine import Engine
from pytest_quantreg.core.errors import Category
from pytest_quantreg.core.records.run import ModelSpec
from pytest_quantreg.measure.accuracy.quiet import quiet as muted

from ...wording import refused, says, wrong_use

Spec = Callable[..., ModelSpec]

CHAT = [
    {"role": "system", "content": "be brief"},
    {"role": "user", "content": "the fox?"},
]


def requests(kind: str, *arguments: Any) -> list[Any]:
    """lm-eval requests of one kind."""
    from lm_eval.api.instance import Instance

    return [Instance(kind, {}, args, 0, ("t", i, 1)) for i, args in enumerate(arguments)]


def test_scores_as_hflm_in_float32(backend: TransformersBackend, tiny: Path, spec: Spec) -> None:
    """Choices, texts and rolling scores equal those of lm-eval's own HFLM, to the bit."""
    quietly_imported("lm_eval.models.huggingface")
    from lm_eval.models.huggingface import HFLM

    choices = [("the quick", " brown"), ("the lazy", " fox"), ("over", " the dog")]
    lm = backend.load(spec(tiny)).lm(2)
    with quiet():
        plain = HFLM(str(tiny), device="cpu", batch_size=2, softmax_dtype="float32")
        expected = (
            plain.loglikelihood(requests("loglikelihood", *choices)),
            plain.generate_until(requests("generate_until", ("the", {"max_gen_toks": 8}))),
            plain.loglikelihood_rolling(requests("loglikelihood_rolling", ("the fox jumps",))),
        )
    assert lm.loglikelihood(requests("loglikelihood", *choices)) == expected[0]
    texts = lm.generate_until(requests("generate_until", ("the", {"max_gen_toks": 8})))
    assert texts == expected[1]
    rolling = lm.loglikelihood_rolling(requests("loglikelihood_rolling", ("the fox jumps",)))
    assert rolling == expected[2]


def test_one_lm_changes_only_its_batch_size(
    backend: TransformersBackend, tiny: Path, spec: Spec
) -> None:
    """Asking again sets the batch size of the same HFLM over the same weights."""
    engine: Engine = backend.load(spec(tiny, max_length=32))
    first = engine.lm(8)
    assert (first.batch_size, first.max_length) == (8, 32)
    second = engine.lm(2)
    assert second is first
    assert second.batch_size == 2
    assert second.model is engine.model


def test_nothing_is_printed_logged_or_warned(
    backend: TransformersBackend,
    made: dict[str, Path],
    spec: Spec,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Loading, and scoring as it is measured, leave terminal, logs and warnings alone."""
    before = (logging.root.manager.disable, list(logging.root.handlers), sys.stderr)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        engine = backend.load(spec(made["w8a8-int8"], "w8a8-int8"))
        lm = engine.lm(2)
        with muted():
            lm.loglikelihood(requests("loglikelihood", ("the quick", " brown")))
            lm.generate_until(requests("generate_until", ("the", {"max_gen_toks": 4})))
        engine.close()
    assert caught == []
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")
    assert (logging.root.manager.disable, list(logging.root.handlers), sys.stderr) == before


@pytest.mark.parametrize("generation", [True, False])
@pytest.mark.parametrize("refuses_system", [True, False])
def test_chats_render_as_hflm_does(
    backend: TransformersBackend, copy: Path, spec: Spec, generation: bool, refuses_system: bool
) -> None:
    """The formatter needs no weights and gives HFLM's text, system message or not."""
    if refuses_system:
        template = copy / "chat_template.jinja"
        refusal = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no') }}{% endif %}"
        template.write_text(refusal + template.read_text())
    chat = CHAT if generation else [*CHAT, {"role": "assistant", "content": "it ju"}]
    render = backend.chat_formatter(spec(copy), True)
    assert render is not None
    lm = backend.load(spec(copy)).lm(1)
    with quiet():
        expected = lm.apply_chat_template(chat, add_generation_prompt=generation)
    assert render(chat, add_generation_prompt=generation) == expected
    assert ("be brief" in expected) != refuses_system


def test_a_template_that_prints_the_date_gives_the_same_prompt_every_day(
    backend: TransformersBackend, copy: Path, spec: Spec
) -> None:
    """Today's date in a template (Llama 3.2's) is one fixed day, so baselines do not expire."""
    (copy / "chat_template.jinja").write_text("{{ strftime_now('%d %b %Y') }}")
    render = backend.chat_formatter(spec(copy), True)
    assert render is not None
    assert render([{"role": "user", "content": "hi"}]) == "26 Jul 2024"


def test_chats_without_template_or_with_several(
    backend: TransformersBackend, copy: Path, spec: Spec
) -> None:
    """No template gives None; a named one is found by its name, another name is wrong use."""
    assert backend.chat_formatter(spec(copy), False) is None
    (copy / "chat_template.jinja").unlink()
    assert backend.chat_formatter(spec(copy), True) is None
    path = copy / "tokenizer_config.json"
    config = json.loads(path.read_text())
    config["chat_template"] = [
        {"name": "default", "template": "D{{ messages[0]['content'] }}"},
        {"name": "tools", "template": "T{{ messages[0]['content'] }}"},
    ]
    path.write_text(json.dumps(config))
    plain, tools = (backend.chat_formatter(spec(copy), name) for name in (True, "tools"))
    assert plain is not None
    assert tools is not None
    chat = [{"role": "user", "content": "x"}]
    assert (plain(chat), tools(chat)) == ("Dx", "Tx")
    with wrong_use("no chat template 'rag'") as caught:
        backend.chat_formatter(spec(copy), "rag")
    assert "default, tools" in says(caught.value)


def test_bos_stands_first_once(backend: TransformersBackend, tiny: Path, spec: Spec) -> None:
    """A prompt begins with one BOS, also when the chat template has written it already."""
    lm = backend.load(spec(tiny)).lm(1)
    assert lm.tok_encode("the fox")[:2].count(0) == 1
    assert lm.tok_encode(lm.apply_chat_template(CHAT))[:2].count(0) == 1
    batch, _ = lm.tok_batch_encode([lm.apply_chat_template(CHAT)])
    assert batch[0].tolist()[:2].count(0) == 1


def test_bos_that_is_asked_for_and_absent_is_refused(
    backend: TransformersBackend, copy: Path, spec: Spec
) -> None:
    """add_bos_token without a post-processor does nothing in lm-eval; here it is refused."""
    path = copy / "tokenizer.json"
    value = json.loads(path.read_text())
    value["post_processor"] = None
    path.write_text(json.dumps(value))
    backend.load(spec(copy)).close()
    with refused("do not begin with <s>") as caught:
        backend.load(spec(copy, add_bos_token=True))
    assert "--quant-backend-arg add_bos_token=false" in says(caught.value)


def test_generation_is_greedy_whatever_the_checkpoint_says(
    backend: TransformersBackend, tiny: Path, copy: Path, spec: Spec
) -> None:
    """Penalties and sampling of generation_config.json do not change the answers."""
    settings = {"repetition_penalty": 5.0, "do_sample": True, "temperature": 2.0}
    path = copy / "generation_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **settings}))
    question = ("the", {"max_gen_toks": 12})
    answers = [
        backend.load(spec(folder)).lm(1).generate_until(requests("generate_until", question))
        for folder in (tiny, copy)
    ]
    assert answers[0] == answers[1]


@pytest.mark.parametrize("scheme", ["native", "w8a8-fp8", "w4a16-int4"])
@pytest.mark.parametrize("after_forward", [True, False])
def test_close_frees_what_others_still_hold(
    backend: TransformersBackend,
    tiny: Path,
    made: dict[str, Path],
    spec: Spec,
    scheme: str,
    after_forward: bool,
) -> None:
    """A held module has no storage left after close, and its big tensors are gone."""
    folder = tiny if scheme == "native" else made[scheme]
    engine = backend.load(spec(folder, scheme))
    if after_forward:
        engine.lm(1).loglikelihood(requests("loglikelihood", ("the", " fox")))
    model, lm = engine.model, engine.lm(1)
    pointers = {t.data_ptr() for t in tensors(model) if t.numel()}
    assert held_bytes(model) > 100_000
    engine.close()
    engine.close()
    gc.collect()
    assert held_bytes(model) == 0
    assert lm._model is None
    alive = [t for t in gc.get_objects() if is_big_tensor(t) and t.data_ptr() in pointers]
    assert alive == []
    with wrong_use("is not loaded any more"):
        _ = engine.model


def tensors(model: Any) -> list[Any]:
    """Every parameter and buffer."""
    return [*model.parameters(), *model.buffers()]


def held_bytes(model: Any) -> int:
    """Bytes in the storages of a model."""
    return sum(t.untyped_storage().nbytes() for t in tensors(model))


def is_big_tensor(value: object) -> bool:
    """Whether an object is a tensor of more than a kilobyte."""
    import torch

    return type(value) in (torch.Tensor, torch.nn.Parameter) and value.numel() > 1024  # type: ignore[attr-defined]


def test_out_of_memory_is_recognised(backend: TransformersBackend, tiny: Path, spec: Spec) -> None:
    """An allocation that cannot succeed is out of memory; other errors are not."""
    import torch

    engine = backend.load(spec(tiny))
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60)
    assert engine.is_out_of_memory(caught.value)
    assert engine.is_out_of_memory(MemoryError())
    assert engine.is_out_of_memory(OSError(errno.ENOMEM, "Cannot allocate memory"))
    assert engine.is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert not engine.is_out_of_memory(RuntimeError("shape mismatch"))
    assert not engine.is_out_of_memory(ValueError("out of memory"))


def test_running_out_of_memory_at_load_is_a_refusal(
    backend: TransformersBackend, tiny: Path, spec: Spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model too large for the device is refused with the way out."""
    import torch
    from transformers import AutoModelForCausalLM

    def too_large(*args: Any, **kwargs: Any) -> Any:
        torch.empty(1 << 60)

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", too_large)
    with refused("does not fit into memory") as caught:
        backend.load(spec(tiny))
    assert caught.value.category is Category.OUT_OF_MEMORY
    assert "device_map=auto" in says(caught.value)


def test_arguments_reach_from_pretrained(
    backend: TransformersBackend, tiny: Path, spec: Spec
) -> None:
    """dtype, attn_implementation and device_map are passed on."""
    engine = backend.load(
        spec(tiny, dtype="float32", attn_implementation="eager", device_map={"": "cpu"})
    )
    assert str(engine.model.dtype) == "torch.float32"
    assert engine.model.config._attn_implementation == "eager"
    assert not engine.model.training
    assert not any(parameter.requires_grad for parameter in engine.model.parameters())


def test_software_names_all_that_decides_scores(backend: TransformersBackend) -> None:
    """Versions of the engine and of lm-eval, without importing them."""
    software = backend.software()
    assert software.backend == "transformers"
    assert {"transformers", "torch", "lm_eval", "tokenizers", "compressed-tensors"} <= set(
        software.versions
    )


def test_machine_names_the_processor(
    backend: TransformersBackend, tiny: Path, spec: Spec, tmp_path: Path
) -> None:
    """A CPU run says which processor, and nothing about the host."""
    machine = backend.load(spec(tiny)).machine
    assert machine.kind == "cpu"
    assert machine.accelerator
    info = tmp_path / "cpuinfo"
    info.write_text("processor: 0\nmodel name\t: Example CPU @ 2 GHz\n")
    assert cpu_name(info) == "Example CPU @ 2 GHz"
    assert cpu_name(tmp_path / "none")
    module = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.15  Release\n"
    (tmp_path / "version").write_text(module)
    assert nvidia_driver(tmp_path / "version") == "570.86.15"
    assert nvidia_driver(tmp_path / "none") is None
