"""A loaded GGUF model answers what transformers answers with the same weights."""

from __future__ import annotations

import json
import logging
import math
import shutil
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_quantreg.backends.gguf.files import GgufFiles
from pytest_quantreg.backends.llamacpp import LlamacppBackend
from pytest_quantreg.backends.llamacpp.engine import LlamacppEngine
from pytest_quantreg.backends.llamacpp.generating import GenerationRequest, generate
from pytest_quantreg.backends.llamacpp.native import Entry
from pytest_quantreg.backends.quiet import quiet, quietly_imported
from pytest_quantreg.backends.transformers import TransformersBackend
from pytest_quantreg.core.errors import Category
from pytest_quantreg.core.records.run import Json, ModelSpec

from ...wording import refused, wrong_use
from .conftest import EXAMPLES, TINY
from .convert import convert

Load = Callable[..., LlamacppEngine]


def spec(path: Path, scheme: str = "native", **args: Json) -> ModelSpec:
    """A model as the plugin would ask for it."""
    return ModelSpec(
        str(path),
        "tiny-llama",
        scheme,
        "llamacpp",
        quantize=scheme != "native",
        args={"n_threads": 1, **args},
    )


@pytest.fixture
def load(f16: Path, shared: Path) -> Iterator[Load]:
    """Loads f16, or a scheme made from it, and frees it in the end."""
    backend = LlamacppBackend(cache_dir=shared / "cache" / "checkpoints")
    engines: list[LlamacppEngine] = []

    def loaded(scheme: str = "native", path: Path = f16, **args: Json) -> LlamacppEngine:
        prepared = backend.prepare(spec(path, scheme, **args), lambda _: None)
        engines.append(backend.load(prepared))
        return engines[-1]

    yield loaded
    for engine in engines:
        engine.close()


def requests(kind: str, arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
    """What lm-eval asks."""
    (instances,) = quietly_imported("lm_eval.api.instance")
    return [
        instances.Instance(
            request_type=kind, doc={}, arguments=arguments, idx=0, metadata=("", at, 1)
        )
        for at, arguments in enumerate(arguments)
    ]


def docs(task: str, count: int) -> list[dict[str, Any]]:
    """The first items of an example task."""
    lines = (EXAMPLES / "tasks" / f"{task}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines[:count]]


CHOICES = [
    (f"Q: {doc['question']}\nA:", f" {choice}")
    for doc in docs("recall", 20)
    for choice in doc["choices"]
]
STORIES = [(doc["text"],) for doc in docs("stories", 10)]
GREEDY = {"until": ["\n"], "max_gen_toks": 6, "do_sample": False, "temperature": 0.0}
SUMS = [(doc["prompt"], GREEDY) for doc in docs("sum", 30)]


def answers(lm: Any) -> tuple[list[tuple[float, bool]], list[float], list[str], tuple[bool, ...]]:
    """What a model says to choices, stories and sums."""
    scored = lm.loglikelihood(requests("loglikelihood", CHOICES))
    rolled = lm.loglikelihood_rolling(requests("loglikelihood_rolling", STORIES))
    texts = lm.generate_until(requests("generate_until", SUMS))
    return scored, rolled, texts, lm.cut_answers


def furthest(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The largest difference."""
    return max(abs(a - b) for a, b in zip(ours, theirs, strict=True))


@pytest.fixture(scope="module")
def reference() -> Any:
    """transformers in float32, with the same text: its answers and its tokens."""
    backend = TransformersBackend(cache_dir=Path("unused"))
    reference = ModelSpec(str(TINY), "tiny", "native", "transformers", args={"dtype": "float32"})
    with quiet():
        engine = backend.load(reference)
        lm = engine.lm(8)
        answer_texts = answers(lm)
        texts = [text for text, _ in CHOICES] + [story for (story,) in STORIES]
        tokens = [lm.tok_encode(text) for text in texts]
        ids = engine.tokenizer.encode(STORIES[0][0])
        (torch,) = quietly_imported("torch")
        with torch.no_grad():
            logits = engine.model(torch.tensor([ids])).logits[0].tolist()
        engine.close()
    return answer_texts, dict(zip(texts, tokens, strict=True)), ids, logits


def test_converted_files_hold_the_same_model(reference: Any, tmp_path: Path, load: Load) -> None:
    """In float32 all logits of a story are those of transformers, to 1e-3 of some 10."""
    _, _, ids, wanted = reference
    whole = convert(TINY, tmp_path / "tiny-f32.gguf", "f32")
    engine = load(path=whole, type_k="f32", type_v="f32", flash_attn=False)
    native = engine._open()
    native.reserve(256, 1)
    logits_of: list[list[float]] = []
    native.forget()
    native.decode(
        [Entry(token, at, (0,), True) for at, token in enumerate(ids)],
        lambda _, logits: logits_of.append(logits.tolist()),
    )
    assert (
        max(furthest(ours, theirs) for ours, theirs in zip(logits_of, wanted, strict=True)) < 1e-3
    )


def test_texts_become_the_same_tokens(reference: Any, load: Load) -> None:
    """Prompts begin with BOS once, also where the text brings its own."""
    lm = load().lm(8)
    _, tokens, _, _ = reference
    assert all(lm.tok_encode(text) == wanted for text, wanted in tokens.items())
    text = STORIES[0][0]
    assert lm.tok_encode(text)[0] == lm.prefix_token_id == 0
    assert lm.tok_encode("<s>" + text) == lm.tok_encode(text)
    assert lm.tok_encode(text, add_special_tokens=False) == lm.tok_encode(text)[1:]


def test_bos_can_be_left_out(load: Load) -> None:
    """add_bos_token=false is obeyed, and told apart in the identity."""
    lm = load(add_bos_token=False).lm(1)
    assert lm.tok_encode(STORIES[0][0])[0] != 0


def test_scores_are_those_of_transformers(reference: Any, load: Load) -> None:
    """float16 differs from float32 by less than .03 on any choice or story; answers by none."""
    (scored, rolled, texts, cut), *_ = reference
    ours, ours_rolled, ours_texts, ours_cut = answers(load().lm(8))
    assert furthest([score[0] for score in ours], [score[0] for score in scored]) < 0.03
    assert [score[1] for score in ours] == [score[1] for score in scored]
    assert furthest(ours_rolled, rolled) < 0.03
    assert ours_texts == texts
    assert ours_cut == cut


def test_batches_and_order_change_nothing_of_note(load: Load) -> None:
    """One at a time, eight at a time and backwards give the same to .001 per token."""
    lm = load().lm(8)
    scored, rolled, texts, _ = answers(lm)
    backwards = lm.loglikelihood(requests("loglikelihood", CHOICES[::-1]))[::-1]
    alone = answers(lm.with_batch_size(1))
    assert furthest([score[0] for score in scored], [score[0] for score in backwards]) < 0.01
    assert furthest([score[0] for score in scored], [score[0] for score in alone[0]]) < 0.01
    assert furthest(rolled, alone[1]) < 0.05
    assert texts == alone[2]


def test_a_continuation_is_the_sum_of_its_parts(load: Load) -> None:
    """The log-likelihood of two words is that of the first and of the second after it."""
    lm = load().lm(4)
    context, first, second = "Q: Who is it?\nA:", " it", " is"
    whole, from_first, from_second = (
        value
        for value, _ in lm.loglikelihood(
            requests(
                "loglikelihood",
                [(context, first + second), (context, first), (context + first, second)],
            )
        )
    )
    assert math.isclose(whole, from_first + from_second, abs_tol=0.01)


def test_answers_end_at_stops_and_limits(load: Load) -> None:
    """A stop string is left out with what follows; an answer at the limit counts as cut."""
    lm = load().lm(4)
    prompt = SUMS[0][0]
    (plain,) = lm.generate_until(requests("generate_until", [(prompt, {**GREEDY, "until": []})]))
    assert plain
    stopped = lm.generate_until(
        requests("generate_until", [(prompt, {**GREEDY, "until": [plain[1:2] or plain]})])
    )
    assert plain.startswith(stopped[0])
    assert plain != stopped[0]
    assert lm.cut_answers == (False,)
    lm.generate_until(
        requests("generate_until", [(STORIES[0][0][:80], {**GREEDY, "max_gen_toks": 2})])
    )
    assert lm.cut_answers == (True,)


def test_random_answers_are_refused(load: Load) -> None:
    """A task that asks for a temperature is told how to be greedy."""
    lm = load().lm(1)
    wanted = {**GREEDY, "do_sample": True, "temperature": 0.7}
    with refused("random answers"):
        lm.generate_until(requests("generate_until", [(SUMS[0][0], wanted)]))


def test_long_prompts_lose_their_beginning(load: Load) -> None:
    """What exceeds n_ctx is cut from the left, scored as its end alone is, and told of."""
    messages: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("lm_eval").addHandler(handler)
    lm = load(n_ctx=32).lm(2)
    text = STORIES[0][0] + STORIES[1][0]
    tokens = lm.tok_encode(text)
    assert len(tokens) > 40
    try:
        ((value, _),) = lm.loglikelihood(requests("loglikelihood", [(text, " the")]))
        (answer,) = lm.generate_until(requests("generate_until", [(text, GREEDY)]))
    finally:
        logging.getLogger("lm_eval").removeHandler(handler)
    assert [message.split(" (")[0].split(". ")[0] for message in messages] == [
        "Combined length of context",
        "Left truncation applied",
    ]
    whole = lm.tok_encode(text + " the")
    last = whole[len(tokens) :]
    ((alone, _),) = lm._loglikelihood_tokens([(None, whole[-33 : -len(last)], last)])
    assert value == alone
    request = GenerationRequest(tuple(tokens[-26:]), 6, ("\n",))
    assert [answer] == [answer.text for answer in next(generate(lm._native, [request], 1, 32))]


def test_longer_prompts_than_it_was_trained_on(load: Load) -> None:
    """A larger n_ctx than the model's own is refused while loading."""
    with wrong_use("was trained on 256 tokens"):
        load(n_ctx=100_000)


def test_what_was_loaded_is_told(load: Load) -> None:
    """Names of types, counted layers and the cache come from what runs."""
    plain = load().effective
    assert (plain.scheme, plain.mode, plain.quantized_layers) == ("fp16", "full precision", 0)
    made = load("gguf-q4_k_m", type_k="q8_0", type_v="q8_0")
    runs = made.effective
    assert (runs.scheme, runs.mode) == ("gguf-q4_k_m", "native")
    assert (runs.quantized_layers, runs.linear_layers) == (21, 21)
    assert runs.weights == "q4_k and q6_k"
    assert runs.kv_cache == "q8_0"
    assert made.machine.kind == "cpu"


def test_a_quantized_cache_is_really_used(load: Load) -> None:
    """Keys and values in 4 bits change the scores, by more than batches do."""
    scored = load().lm(8).loglikelihood(requests("loglikelihood", CHOICES))
    other = load(type_k="q4_0", type_v="q4_0").lm(8)
    changed = other.loglikelihood(requests("loglikelihood", CHOICES))
    assert furthest([score[0] for score in scored], [score[0] for score in changed]) > 0.05


@pytest.mark.parametrize("scheme", ["native", "gguf-q8_0", "gguf-q4_k_m"])
def test_weights_that_are_no_numbers(
    scheme: str, f16: Path, shared: Path, tmp_path: Path, load: Load
) -> None:
    """A single NaN in a tensor, or in a scale of one, is found while loading."""
    backend = LlamacppBackend(cache_dir=shared / "cache" / "checkpoints")
    path = tmp_path / "nan.gguf"
    shutil.copyfile(backend.prepare(spec(f16, scheme), lambda _: None).ref, path)
    tensor = next(t for t in GgufFiles().open(str(path)).tensors if "blk.1.ffn_up" in t.name)
    with path.open("r+b") as file:
        file.seek(tensor.start)
        file.write(struct.pack("<e", math.nan))
    with refused(r"tensor 'blk.1.ffn_up.weight' has invalid data"):
        load(path=path)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"llama", b"lxyza", "unknown model architecture: 'lxyza'"),
        (b"blk.1.attn_k.weight", b"blk.1.attn_K.weight", "'blk.1.attn_k.weight' not found"),
    ],
)
def test_files_that_llamacpp_does_not_load(
    old: bytes, new: bytes, said: str, f16: Path, tmp_path: Path, load: Load
) -> None:
    """The cause is llama.cpp's own, its first word on it and not the last."""
    path = tmp_path / "odd.gguf"
    path.write_bytes(f16.read_bytes().replace(old, new))
    with refused(said) as caught:
        load(path=path)
    assert caught.value.category is Category.UNUSABLE_MODEL


def test_closing_twice_and_asking_later(load: Load) -> None:
    """A closed model is no model any more, and closing it again is harmless."""
    engine = load()
    engine.close()
    engine.close()
    with wrong_use("not loaded any more"):
        engine.lm(1)
