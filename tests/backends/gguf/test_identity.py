"""What a GGUF file is: its scheme, its shapes, its digests, its chats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_quantreg.backends.checkpoint.identity import FileDigests
from pytest_quantreg.backends.gguf.chat import chat_formatter
from pytest_quantreg.backends.gguf.files import GgufFiles, GgufModel
from pytest_quantreg.backends.gguf.identity import identify
from pytest_quantreg.backends.gguf.inspect import checkpoint
from pytest_quantreg.backends.gguf.scheme import kind_of, stored_scheme
from pytest_quantreg.backends.quiet import quietly_imported
from pytest_quantreg.core.comparison.comparability import RULES, Candidate, DifferenceLog
from pytest_quantreg.core.records.run import ModelIdentity, ModelSpec, Software
from pytest_quantreg.core.schemes.contradictions import contradictions
from pytest_quantreg.core.schemes.inspection import Checkpoint
from pytest_quantreg.report.words import words_of

from ...wording import shown, wrong_use
from .gguf_samples import FEED, HIDDEN, write_gguf

MIXED = {"attn_q": "Q4_K", "attn_output": "Q4_K", "ffn_up": "Q4_K", "ffn_down": "Q6_K"}
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}\n"
    "  {%- if m.role == 'system' and loop.index0 > 0 %}{{ raise_exception('late') }}{% endif %}\n"
    "<{{ m['role'] }}>{{ m['content'] | trim }}{{ eos_token }}\n"
    "{% endfor %}{{ strftime_now('%d %b %Y') }}{{ {'ü': [1]} | tojson }}\n"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def sentences(checkpoint: Checkpoint) -> tuple[str, ...]:
    """The words of a checkpoint's contradictions."""
    return tuple(words_of(problem).what for problem in contradictions(checkpoint))


def opened(path: Path, *args: Any, **options: Any) -> GgufModel:
    """A sample, written and read."""
    return GgufFiles().open(str(write_gguf(path, *args, **options)))


def identity_of(model: GgufModel, **args: Any) -> ModelIdentity:
    """Its identity."""
    spec = ModelSpec(str(model.paths[0]), "tiny", "native", "llamacpp", args=args)
    return identify(spec, model, FileDigests())


@pytest.mark.parametrize(
    ("types", "file_type", "scheme", "wrong"),
    [
        ("F16", 1, None, None),
        ("F16", None, None, None),
        ("Q8_0", 7, "gguf-q8_0", None),
        ("Q8_0", None, "gguf-q8_0", None),
        (MIXED, 15, "gguf-q4_k_m", None),
        (MIXED, None, "gguf-q4_k_m", None),
        ("Q4_K", 14, "GGUF Q4_K_S (not a known scheme)", None),
        ("Q4_K", None, "GGUF Q4_K (not a known scheme)", None),
        ("Q4_0", 2, "GGUF Q4_0 (not a known scheme)", None),
        ("F16", 15, None, "says Q4_K_M, but none of the layers is quantized: they are fp16"),
        ("Q8_0", 1, "gguf-q8_0", "says F16, but layers are quantized: Q8_0 (100%)"),
        ("Q4_K", 7, "GGUF Q8_0 (not a known scheme)", "says Q8_0, but the layers are Q4_K"),
        ("Q4_0", 15, "GGUF Q4_K_M (not a known scheme)", "says Q4_K_M, but the layers are Q4_0"),
        ("Q8_0", 15, "gguf-q8_0", "says Q4_K_M, but the layers are Q8_0 (100%)"),
        ({"attn_q": "Q8_0"}, 1, "gguf-q8_0", "says F16, but layers are quantized"),
    ],
)
def test_the_tensors_decide(
    tmp_path: Path, types: Any, file_type: int | None, scheme: str | None, wrong: str | None
) -> None:
    """A file is the scheme that its tensors are; a name that they do not bear out is told."""
    model = opened(tmp_path / "m.gguf", types, file_type=file_type)
    assert stored_scheme(model) == scheme
    contradiction_lines = sentences(checkpoint(model))
    assert len(contradiction_lines) == (wrong is not None)
    assert not wrong or wrong in contradiction_lines[0]


def test_kinds_of_tensors() -> None:
    """Names as llama.cpp gives them, of several architectures."""
    named = {
        "token_embd.weight": "embeddings",
        "output.weight": "lm_head",
        "output_norm.weight": "norms",
        "blk.3.attn_norm.weight": "norms",
        "blk.3.attn_q.bias": "attention",
        "blk.3.attn_q_norm.weight": "norms",
        "blk.10.ffn_gate_exps.weight": "mlp",
        "blk.10.ssm_in.weight": "attention",
        "rope_freqs.weight": "other",
    }
    assert {name: kind_of(name) for name in named} == named


def test_identities(tmp_path: Path) -> None:
    """Figures go by the names of config.json; a renamed file is the same model."""
    model = opened(tmp_path / "m.gguf")
    identity = identity_of(model)
    assert (identity.architecture, identity.vocab_size, identity.dtype) == ("llama", 10, "float16")
    assert identity.shapes == {
        "hidden_size": HIDDEN,
        "intermediate_size": FEED,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "head_dim": HIDDEN // 4,
    }
    renamed = tmp_path / "other name.gguf"
    model.paths[0].rename(renamed)
    assert identity_of(GgufFiles().open(str(renamed))) == identity


def test_digests_follow_what_counts(tmp_path: Path) -> None:
    """Weights, tokenizer, template and what cuts prompts each have their digest."""
    base = identity_of(opened(tmp_path / "a.gguf"))
    other = identity_of(opened(tmp_path / "b.gguf", scale=0.02, types="Q8_0", file_type=7))
    assert other.weights_digest != base.weights_digest
    assert other.tokenizer_digest == base.tokenizer_digest
    pre = identity_of(opened(tmp_path / "c.gguf", fields={"tokenizer.ggml.pre.x": "y"}))
    assert pre.tokenizer_digest == base.tokenizer_digest
    chat = identity_of(opened(tmp_path / "d.gguf", template=TEMPLATE))
    assert base.template_digest is None
    assert chat.template_digest is not None
    assert chat.tokenizer_digest == base.tokenizer_digest
    model = opened(tmp_path / "e.gguf")
    assert identity_of(model, n_ctx=32).tokenizer_digest != base.tokenizer_digest
    assert identity_of(model, n_threads=2).tokenizer_digest == base.tokenizer_digest


def test_quantized_files_state_no_compute_type(tmp_path: Path) -> None:
    """A quantized candidate is compared with baselines of any type, a plain one is not."""
    base = identity_of(opened(tmp_path / "a.gguf"))
    quantized = identity_of(opened(tmp_path / "b.gguf", "Q8_0", file_type=7))
    assert quantized.dtype == "unstated"
    for model, count in ((quantized, 0), (identity_of(opened(tmp_path / "c.gguf", "F32")), 1)):
        differences = DifferenceLog(RULES, "refuse")
        differences.differ_models(base, Candidate(model, Software("llamacpp", {})))
        assert [shown(difference.field) for difference in differences.in_order()] == [
            "model.dtype"
        ] * count


def test_chats_are_rendered_as_transformers_does(tmp_path: Path) -> None:
    """The same template and messages give the same text, whole and to be continued."""
    (transformers,) = quietly_imported("transformers")
    from ..conftest import make_tokenizer

    tokenizer = make_tokenizer()
    assert isinstance(tokenizer, transformers.PreTrainedTokenizerFast)
    template = TEMPLATE.replace("{{ strftime_now('%d %b %Y') }}", "")
    render = chat_formatter(opened(tmp_path / "m.gguf", template=template), True)
    assert render is not None
    chat = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": " a question "},
        {"role": "assistant", "content": "The answer is"},
    ]
    for messages, generate in ((chat[:2], True), (chat, False)):
        wanted = tokenizer.apply_chat_template(
            messages,
            chat_template=template,
            tokenize=False,
            add_generation_prompt=generate,
            continue_final_message=not generate,
        )
        assert render(messages, add_generation_prompt=generate) == wanted


def test_odd_chats(tmp_path: Path) -> None:
    """No template is None; dates stand still; refused system messages are left out."""
    assert chat_formatter(opened(tmp_path / "none.gguf"), True) is None
    model = opened(tmp_path / "m.gguf", template=TEMPLATE)
    assert chat_formatter(model, False) is None
    render = chat_formatter(model, True)
    assert render is not None
    text = render([{"role": "user", "content": "x"}, {"role": "system", "content": "y"}])
    assert text == '<s><user>x</s>\n26 Jul 2024{"ü": [1]}\n<assistant>'


def test_templates_by_name(tmp_path: Path) -> None:
    """Of several templates one is chosen by name; a wrong name lists them."""
    named = {"tokenizer.chat_template.rag": "rag"}
    model = opened(tmp_path / "m.gguf", template="plain", fields=named)
    chosen = chat_formatter(model, "rag"), chat_formatter(model, True)
    assert [formatter([]) for formatter in chosen if formatter is not None] == ["rag", "plain"]
    with wrong_use("has no chat template 'tools'") as caught:
        chat_formatter(model, "tools")
    assert "default, rag" in words_of(caught.value.problem).help[0]
