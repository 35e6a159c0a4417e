"""The engine of the vLLM backend by itself: its scores, its rounds, what it holds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_quantreg.backends.quiet import quietly_imported
from pytest_quantreg.backends.vllm import VllmBackend
from pytest_quantreg.backends.vllm.engine import VllmEngine
from pytest_quantreg.core.records.speed import Load

from ...wording import refused
from .conftest import EXAMPLES, TINY
from .loading import ARGS, loaded, spec_of

# vLLM and what it imports warn of themselves.
pytestmark = pytest.mark.filterwarnings("ignore")

BY_LM_EVAL = """
import json, os, sys
from lm_eval.api.instance import Instance
from lm_eval.models.vllm_causallms import VLLM
asked = json.load(open(sys.argv[1]))
lm = VLLM(dtype="bfloat16", batch_size=16, **asked.pop("arguments"))
made = {
    kind: [Instance(kind, {}, tuple(one), at, ("", at, 1)) for at, one in enumerate(requests)]
    for kind, requests in asked.items()
}
json.dump({kind: getattr(lm, kind)(made[kind]) for kind in made}, open(sys.argv[2], "w"))
os._exit(0)
"""
"""Asks lm-eval's own vLLM model, in a process that knows nothing of this package."""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmEngine]:
    """The example model, loaded once."""
    backend = VllmBackend(cache_dir=tmp_path_factory.mktemp("cache"))
    effective = loaded(backend, spec_of(TINY, "native"))
    yield effective
    effective.close()


def rows(task: str, count: int) -> list[dict[str, Any]]:
    """The first documents of an example task."""
    lines = (EXAMPLES / "tasks" / f"{task}.jsonl").read_text("utf-8").splitlines()[:count]
    return [json.loads(line) for line in lines]


def instances(arguments: list[tuple[Any, ...]]) -> list[Any]:
    """Requests with no more than a worker process gives them."""
    (module,) = quietly_imported("lm_eval.api.instance")
    return [
        module.Instance(
            request_type="", doc={}, arguments=arguments_of, idx=0, metadata=("", at, 1)
        )
        for at, arguments_of in enumerate(arguments)
    ]


def test_answers_are_those_of_lm_eval(engine: VllmEngine, tmp_path: Path) -> None:
    """Every score and text is what lm-eval's own vLLM model gives, to the last digit."""
    greedy = {"until": ["\n"], "max_gen_toks": 6, "do_sample": False}
    questions: dict[str, list[tuple[Any, ...]]] = {
        "loglikelihood": [
            (f"Q: {row['question']}\nA:", f" {choice}")
            for row in rows("recall", 30)
            for choice in row["choices"]
        ],
        "loglikelihood_rolling": [(row["text"],) for row in rows("stories", 30)],
        "generate_until": [(f"{a}+{b}=", greedy) for a in range(3, 8) for b in range(4, 9)],
    }
    theirs = by_lm_eval(questions, tmp_path)
    lm = engine.lm(16)
    for kind, arguments in questions.items():
        answers = json.loads(json.dumps(getattr(lm, kind)(instances(arguments))))
        assert answers == theirs[kind]
        assert len(answers) == len(arguments)
    assert not any(lm.cut_answers)


def by_lm_eval(questions: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The answers of ``lm_eval --model vllm`` to the same requests."""
    asking, answers = folder / "asked.json", folder / "answers.json"
    arguments = {"pretrained": str(TINY), **ARGS}
    asking.write_text(json.dumps({"arguments": arguments, **questions}), encoding="utf-8")
    environment = {
        **os.environ,
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "TORCHDYNAMO_DISABLE": "1",
        "HF_HUB_OFFLINE": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", BY_LM_EVAL, str(asking), str(answers)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    answers_found: dict[str, Any] = json.loads(answers.read_text("utf-8"))
    return answers_found


def test_prompts_begin_with_bos_once(engine: VllmEngine) -> None:
    """BOS comes from the tokenizer, and a text that has it gets no second one."""
    lm = engine.lm(4)
    plain, given = lm.tok_encode("12+3="), lm.tok_encode("<s>12+3=")
    assert plain[0] == given[0] == lm.prefix_token_id
    assert lm.prefix_token_id not in given[1:]
    assert lm.tok_encode("12+3=", add_special_tokens=False) == plain[1:]


def test_cut_answers_are_known(engine: VllmEngine) -> None:
    """An answer that reached the limit of new tokens is told from one that ended."""
    lm = engine.lm(4)
    options = {"until": ["\n"], "max_gen_toks": 1, "do_sample": False}
    prompts = [("1+2+3+4+5+6=", options), ("3+4=", {**options, "max_gen_toks": 8})]
    lm.generate_until(instances(prompts))
    assert lm.cut_answers == (True, False)


def test_rounds(engine: VllmEngine) -> None:
    """A round gives each request exactly its tokens, whatever the model would end with."""
    prompts = tuple(tuple(range(10 + at, 20 + at)) for at in range(6))
    requests = engine.serve(Load(prompts, 7, 3, tuple(0.01 * at for at in range(6))))
    assert [request.output_tokens for request in requests] == [7] * 6
    assert all(request.arrived <= request.first_token < request.ended for request in requests)
    with refused("has 256 positions"):
        engine.serve(Load(prompts, 250, 1))


def test_footprint(engine: VllmEngine) -> None:
    """Weights, KV cache and peak are read from the engine; the sizes follow from the model."""
    engine.forget_peak()
    footprint = engine.footprint()
    # 3 layers x 2 x 4 heads x 32 wide x 2 bytes; the cache in whole blocks of 128 tokens.
    assert footprint.kv_per_token == 1536
    assert footprint.kv_cache_tokens == (1 << 28) // (1536 * 128) * 128
    assert footprint.weights is not None
    assert footprint.disk is not None
    assert abs(footprint.weights - footprint.disk) < 0.01 * footprint.disk
    assert footprint.peak is not None
    assert footprint.peak > 1 << 28
    assert (engine.copy_bandwidth() or 0) > 1e8
    assert engine.state().threads is not None
    assert (engine.machine.kind, engine.machine.count) == ("cpu", 1)


def test_full_precision(engine: VllmEngine) -> None:
    """An unquantized model runs as its type says, KV cache included."""
    effective = engine.effective
    assert (effective.scheme, effective.mode, effective.kv_cache) == (
        "bf16",
        "full precision",
        "bfloat16",
    )
    assert (effective.quantized_layers, effective.linear_layers) == (0, 13)
