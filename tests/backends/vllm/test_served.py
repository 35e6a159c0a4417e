"""The openai backend against real servers: scores, verdicts, streams, and a death."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_quantreg.backends.openai import OpenaiBackend
from pytest_quantreg.backends.quiet import quiet, quietly_imported
from pytest_quantreg.core.records.run import ModelSpec
from pytest_quantreg.core.records.speed import Load
from pytest_quantreg.measure.speed.rounds import check_answers
from pytest_quantreg.testing import BackendConformance

from ...wording import refused
from .served import CPU, EXAMPLES, MODELS, VllmServer, running

Servers = dict[str, VllmServer]

OFFLINE = """
import json, sys
from types import SimpleNamespace
from lm_eval.models.vllm_causallms import VLLM
asked = json.load(open(sys.argv[2]))
lm = VLLM(pretrained=sys.argv[1], max_model_len=256, batch_size=8, dtype="bfloat16",
          add_bos_token=True, enforce_eager=True, max_num_seqs=8)
found = lm.loglikelihood([SimpleNamespace(args=tuple(one)) for one in asked])
json.dump([list(one) for one in found], open(sys.argv[3], "w"))
"""


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """The full-precision model, a sound copy and a broken one, each behind a server."""
    with running(tmp_path_factory.mktemp("servers"), "bf16", "int8", "broken") as started:
        yield started


def spec_of(server: VllmServer, scheme: str = "bf16", **args: Any) -> ModelSpec:
    """What is served there."""
    given = {"base_url": server.url, **args}
    return ModelSpec(str(server.model), "tiny-llama", scheme, "openai", args=given)


def questions(count: int) -> list[tuple[str, str]]:
    """Questions of the example task with each of their choices."""
    lines = (EXAMPLES / "tasks" / "recall.jsonl").read_text("utf-8").splitlines()[:count]
    rows = map(json.loads, lines)
    return [
        (f"Q: {row['question']}\nA:", f" {choice}") for row in rows for choice in row["choices"]
    ]


def instances(argument_lists: list[tuple[Any, ...]]) -> list[Any]:
    """Requests as far as a model looks at them."""
    return [SimpleNamespace(args=arguments) for arguments in argument_lists]


def texts(count: int) -> list[str]:
    """Documents of the example task."""
    lines = (EXAMPLES / "tasks" / "stories.jsonl").read_text("utf-8").splitlines()[:count]
    return [json.loads(line)["text"] for line in lines]


def test_what_a_server_tells(servers: Servers, tmp_path: Path) -> None:
    """Engine, version, model and length are read, and log-probabilities are found to be there."""
    backend = OpenaiBackend(cache_dir=tmp_path)
    versions = backend.software_of(spec_of(servers["bf16"])).versions
    assert (versions["server"], versions["vllm"].split("+")[0]) == ("vllm", "0.32.0")
    engine = backend.load(spec_of(servers["int8"], "w8a8-int8"))
    assert (engine.effective.mode, engine.effective.scheme) == ("unverified", "w8a8-int8")
    assert engine.lm(1).max_length == 255
    assert len(engine.lm(1).loglikelihood(instances([("Q: x\nA:", " y")]))) == 1


def test_scores_are_those_of_lm_eval(servers: Servers, tmp_path: Path) -> None:
    """The same requests through lm-eval's own class give the same scores to the last bit."""
    (completions,) = quietly_imported("lm_eval.models.openai_completions")
    with quiet():
        theirs = completions.LocalCompletionsAPI(
            model=str(MODELS["bf16"]),
            base_url=f"{servers['bf16'].url}/completions",
            tokenizer=str(MODELS["bf16"]),
            tokenizer_backend="huggingface",
            add_bos_token=True,
            max_length=256,
            batch_size=8,
        )
    ours = OpenaiBackend(cache_dir=tmp_path).load(spec_of(servers["bf16"])).lm(8)
    scored = instances(list(questions(20)))
    documents = instances([(text,) for text in texts(10)])
    options = {"until": ["\n"], "max_gen_toks": 6, "temperature": 0.0, "do_sample": False}
    generated = instances([(context, options) for context, _ in questions(20)[::4]])
    with quiet():
        assert ours.loglikelihood(scored) == theirs.loglikelihood(scored)
        assert ours.generate_until(generated) == theirs.generate_until(generated)
        # One document at a time there, all together here: batches move the last bits.
        assert ours.loglikelihood_rolling(documents) == pytest.approx(
            theirs.loglikelihood_rolling(documents), rel=2e-3
        )


def test_scores_are_those_of_the_engine_itself(servers: Servers, tmp_path: Path) -> None:
    """lm-eval's offline vLLM model chooses the same answers, with all but the same scores."""
    questions_file, answers_file = tmp_path / "asked.json", tmp_path / "found.json"
    questions_file.write_text(json.dumps(questions(40)), "utf-8")
    environment = {**os.environ, **CPU, "VLLM_ENABLE_V1_MULTIPROCESSING": "0"}
    command = [
        sys.executable,
        "-c",
        OFFLINE,
        str(MODELS["bf16"]),
        str(questions_file),
        str(answers_file),
    ]
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=300)
    offline = json.loads(answers_file.read_text("utf-8"))
    lm = OpenaiBackend(cache_dir=tmp_path).load(spec_of(servers["bf16"])).lm(8)
    with quiet():
        served = lm.loglikelihood(instances(list(questions(40))))
    assert chosen([value for value, _ in served]) == chosen([value for value, _ in offline])
    apart = [abs(ours[0] - other[0]) for ours, other in zip(served, offline, strict=True)]
    assert sum(apart) / len(apart) < 0.01


def chosen(values: list[float]) -> list[int]:
    """Which of the four choices of each question is likeliest."""
    return [
        max(range(4), key=lambda place: values[start + place]) for start in range(0, len(values), 4)
    ]


def test_streams(servers: Servers, tmp_path: Path) -> None:
    """Every request has exactly its tokens, at times in order, in any kind of round."""
    prompts = tuple(tuple(range(3 + at, 35 + at)) for at in range(4))
    loads = (Load(prompts, 6, 1), Load(prompts, 6, 4), Load(prompts, 6, 2, (0.0, 0.1) * 2))
    engine = OpenaiBackend(cache_dir=tmp_path).load(spec_of(servers["bf16"]))
    with contextlib.closing(engine):
        for load in loads:
            check_answers(engine.serve(load), load, "served", "a round")
        # The context has 256 tokens; vLLM cuts the answer short without a word.
        with refused("generated 224 tokens where 256 were asked for"):
            engine.serve(Load(prompts, 256, 1))


class TestConformance(BackendConformance):
    """What any backend promises, kept by one whose models are behind a server."""

    backend_name = "openai"

    @pytest.fixture(scope="class")
    @classmethod
    def baseline_spec(cls, servers: Servers) -> ModelSpec:
        """The full-precision model."""
        return spec_of(servers["bf16"])

    @pytest.fixture(scope="class")
    @classmethod
    def quantized_spec(cls, servers: Servers) -> ModelSpec:
        """The sound copy of it."""
        return spec_of(servers["int8"], "w8a8-int8")


@pytest.fixture(scope="module")
def folder(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with tests and baselines recorded from the server of the full-precision model."""
    made = tmp_path_factory.mktemp("gates")
    lines = [
        "[pytest]",
        f"quant_model = {json.dumps(str(MODELS['bf16']))}",
        f"quant_include_path = [{json.dumps(str(EXAMPLES / 'tasks'))}]",
        'quant_backend = "openai"',
    ]
    (made / "pytest.toml").write_text("\n".join(lines), "utf-8")
    (made / "test_gate.py").write_text(
        "import pytest\n\n"
        '@pytest.mark.parametrize("task", ["recall", "sum", "stories"])\n'
        "def test_measures(task, compare_accuracy):\n"
        "    compare_accuracy(task)\n\n"
        "@pytest.mark.min_retention(0.96)\n"
        "def test_keeps(compare_accuracy):\n"
        '    compare_accuracy("recall")\n',
        "utf-8",
    )
    recorded = plugin(made, "--quant-update", f"--quant-backend-arg=base_url={servers['bf16'].url}")
    assert recorded.returncode == 0, recorded.stdout + recorded.stderr
    return made


def plugin(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """pytest with these words, on 300 items of each task."""
    environment = {
        **os.environ,
        "QUANTREG_CACHE_DIR": str(folder / "cache"),
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "COLUMNS": "80",
    }
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--quant-limit=300"]
    return subprocess.run(
        [*command, *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=600
    )


def gate(folder: Path, server: VllmServer, scheme: str) -> subprocess.CompletedProcess[str]:
    """Gates what a server serves against the recorded baselines."""
    return plugin(
        folder,
        f"--quant-scheme={scheme}",
        f"--quant-checkpoint={server.model}",
        f"--quant-backend-arg=quantized:base_url={server.url}",
    )


def test_a_sound_copy_is_green(servers: Servers, folder: Path) -> None:
    """The w8a8-int8 checkpoint behind a server keeps what the full-precision one scores."""
    run = gate(folder, servers["int8"], "w8a8-int8")
    assert run.returncode == 0, run.stdout + run.stderr
    assert "vllm server" in run.stdout
    assert "runs as w8a8-int8 (unverified)" in run.stdout


def test_a_broken_copy_is_red(servers: Servers, folder: Path) -> None:
    """A checkpoint with shifted scales behind the server loses the gate."""
    run = gate(folder, servers["broken"], "w8a8-fp8")
    assert run.returncode == 1
    assert "LOST w8a8-fp8 recall" in run.stdout


def test_a_server_that_is_killed(servers: Servers, folder: Path) -> None:
    """Without its server every test is refused with the address, and none is judged."""
    servers["broken"].stop()
    run = gate(folder, servers["broken"], "w8a8-fp8")
    assert run.returncode == 1
    assert "cannot be reached (Connection refused)" in run.stdout
    assert "kept" not in run.stdout
