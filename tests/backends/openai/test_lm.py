"""lm-eval's questions to a server: what is sent, and what is made of the answers."""

from __future__ import annotations

import math
import random
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_quantreg.backends.openai import OpenaiBackend
from pytest_quantreg.core.errors import Category
from pytest_quantreg.report.words import words_of

from ...wording import refused, wrong_use
from .conftest import Spec
from .scripted_server import RIGHT, ScriptedServer

QUESTION = "What is {0} plus {0}?"


def requests(*arguments: tuple[Any, ...]) -> list[Any]:
    """Instances as far as a model looks at them."""
    return [SimpleNamespace(args=args) for args in arguments]


def choices(count: int) -> list[Any]:
    """For each question the right continuation and a wrong one."""
    return requests(
        *(
            (QUESTION.format(number), f" it is {2 * number + wrong}")
            for number in range(count)
            for wrong in (0, 1)
        )
    )


@pytest.mark.parametrize("batch_size", [1, 4])
def test_log_likelihoods(
    backend: OpenaiBackend, server: ScriptedServer, spec: Spec, tokenizer: Any, batch_size: int
) -> None:
    """The continuation's tokens are summed, in the order asked, whatever order was sent."""
    lm = backend.load(spec()).lm(batch_size)
    server.seen.clear()
    scores = lm.loglikelihood(choices(7))
    assert [value > -3 for value, _ in scores] == [True, False] * 7
    assert all(greedy for _, greedy in scores)
    whole = tokenizer.encode("What is 3 plus 3? it is 6")
    context = tokenizer.encode("What is 3 plus 3?")
    expected = sum(RIGHT * (1 + token % 7 / 10) for token in whole[len(context) :])
    assert scores[6][0] == pytest.approx(expected, rel=1e-12)
    assert {len(body["prompt"]) for body in server.seen} <= {batch_size, 14 % batch_size}
    assert all(prompt[0] == 0 for body in server.seen for prompt in body["prompt"])


@pytest.mark.parametrize("how", ["none", "null", "zeros", "rejected"])
def test_scored_tasks_are_refused_before_they_start(
    backend: OpenaiBackend, server: ScriptedServer, spec: Spec, how: str
) -> None:
    """Without log-probabilities of prompts nothing scored is sent, and generating goes on."""
    server.logprobs = how
    lm = backend.load(spec()).lm(4)
    sent = len(server.seen)
    for ask, request in (
        (lm.loglikelihood, choices(2)),
        (lm.loglikelihood_rolling, requests(("some text",))),
    ):
        with refused() as caught:
            ask(request)
        assert caught.value.category is Category.ENGINE
        assert "returns no log-probabilities of prompts" in words_of(caught.value.problem).what
        assert "--max-logprobs=0" in words_of(caught.value.problem).help[0]
        assert "generate_until" in words_of(caught.value.problem).help[1]
    assert len(server.seen) == sent
    assert lm.generate_until(requests((QUESTION.format(4), {"max_gen_toks": 5}))) == ["8"]


def test_too_few_log_probabilities(
    backend: OpenaiBackend, server: ScriptedServer, spec: Spec
) -> None:
    """A server that changes its mind after the probe is refused, not read as zeros."""
    lm = backend.load(spec()).lm(4)
    for how in ("none", "null"):
        server.logprobs = how
        with refused("log-probabilities for a prompt of"):
            lm.loglikelihood(choices(2))


def test_documents(backend: OpenaiBackend, spec: Spec) -> None:
    """A document longer than the context is scored in windows, each document by itself."""
    lm = backend.load(spec(max_length=16)).lm(4)
    long = " ".join(["word"] * 40)
    values = lm.loglikelihood_rolling(requests(("short",), (long,), ("short",)))
    assert values[0] == values[2]
    assert values[1] < 5 * values[0] < 0
    assert all(map(math.isfinite, values))


def test_generated(backend: OpenaiBackend, server: ScriptedServer, spec: Spec) -> None:
    """Answers come in the order asked, and those that reached the limit are known."""
    lm = backend.load(spec()).lm(3)
    questions = requests(
        *((QUESTION.format(n), {"until": ["\n"], "max_gen_toks": 2}) for n in (1, 70, 3, 80))
    )
    assert lm.generate_until(questions) == ["2", "14", "6", "16"]
    assert lm.cut_answers == (False, True, False, True)
    assert type(lm.generate_until(questions)[0]) is str
    assert server.seen[-1]["temperature"] == 0
    assert "\n" in server.seen[-1]["stop"]
    assert "do_sample" not in server.seen[-1]


@pytest.mark.parametrize(
    ("options", "temperature"),
    [
        ({"do_sample": False, "temperature": 0.7}, 0.0),
        ({"do_sample": True}, 1.0),
        ({"do_sample": True, "temperature": 0.7}, 0.7),
        ({"temperature": 0.7}, 0.7),
    ],
)
def test_sampling(
    backend: OpenaiBackend,
    server: ScriptedServer,
    spec: Spec,
    options: dict[str, Any],
    temperature: float,
) -> None:
    """A server knows no do_sample: greedy is temperature 0, and sampling one of its own."""
    lm = backend.load(spec()).lm(1)
    lm.generate_until(requests((QUESTION.format(1), {"max_gen_toks": 2, **options})))
    assert server.seen[-1]["temperature"] == temperature


@pytest.mark.parametrize("until", ["\n", ["", "\n"], "", [], None])
def test_stop_texts(
    backend: OpenaiBackend, server: ScriptedServer, spec: Spec, until: list[str] | str | None
) -> None:
    """Empty stop texts, which servers reject, are not sent; the tokenizer's end always is."""
    lm = backend.load(spec()).lm(1)
    given = {} if until is None else {"until": until}
    lm.generate_until(requests((QUESTION.format(1), {"max_gen_toks": 2, **given})))
    assert server.seen[-1]["stop"] == [*(["\n"] if until and "\n" in until else []), "</s>"]


def test_sampled_answers_have_seeds_of_their_own(
    backend: OpenaiBackend, server: ScriptedServer, spec: Spec
) -> None:
    """The same prompt sampled twice is drawn twice, and alike when seeded alike."""
    lm = backend.load(spec()).lm(8)
    questions = requests(*[(QUESTION.format(1), {"do_sample": True, "max_gen_toks": 2})] * 3)
    drawn = []
    for seed in (1, 1, 2):
        random.seed(seed)
        server.seen.clear()
        lm.generate_until(questions)
        drawn.append(sorted(body["seed"] for body in server.seen))
    assert len(set(drawn[0])) == 3
    assert drawn[0] == drawn[1] != drawn[2]


def test_bos_never_twice(backend: OpenaiBackend, spec: Spec) -> None:
    """BOS stands where the tokenizer puts it; a text that brings its own gets no second."""
    lm = backend.load(spec()).lm(1)
    plain = lm.tok_encode("a", add_special_tokens=False)
    assert plain[0] != 0
    assert lm.tok_encode("a") == lm.tok_encode("<s>a") == [0, *plain]
    assert lm.tok_encode(["a", "<s>a"], add_special_tokens=True) == [[0, *plain]] * 2
    without = backend.load(spec(add_bos_token=False)).lm(1)
    assert without.tok_encode("a") == plain


def test_a_server_that_takes_texts(
    backend: OpenaiBackend, server: ScriptedServer, spec: Spec
) -> None:
    """It encodes prompts itself and puts its own BOS first; scored tasks are refused."""
    server.token_ids = False
    lm = backend.load(spec()).lm(2)
    questions = requests(*(("<s>" + QUESTION.format(n), {"max_gen_toks": 5}) for n in (1, 2)))
    assert lm.generate_until(questions) == ["2", "4"]
    assert set(server.seen[-1]["prompt"]) == {QUESTION.format(1), QUESTION.format(2)}
    with refused("takes no token ids"):
        lm.loglikelihood(choices(1))


def test_a_server_that_takes_one_prompt(
    backend: OpenaiBackend, server: ScriptedServer, spec: Spec
) -> None:
    """Answers that do not fit the prompts are refused, with the argument that sends one."""
    server.many_prompts = False
    with refused("1 answers to 4 prompts") as caught:
        backend.load(spec()).lm(4).loglikelihood(choices(2))
    assert "batch_size=1" in words_of(caught.value.problem).help[0]
    assert len(backend.load(spec()).lm(1).loglikelihood(choices(2))) == 4


def test_the_length_is_the_servers(
    backend: OpenaiBackend, server: ScriptedServer, spec: Spec
) -> None:
    """Prompts are cut to what the server takes, or to what an argument says."""
    server.cards[0]["max_model_len"] = 100
    assert backend.load(spec()).lm(1).max_length == 99
    assert backend.load(spec(max_length=50)).lm(1).max_length == 49


def test_prompts_that_are_too_long(
    backend: OpenaiBackend, spec: Spec, caplog: pytest.LogCaptureFixture
) -> None:
    """A cut prompt is logged as lm-eval logs it; answers that leave no room are refused."""
    lm = backend.load(spec(max_length=24)).lm(1)
    lm.loglikelihood(choices(1))
    lm.generate_until(requests(("short", {"max_gen_toks": 4})))
    assert "Left truncation applied" not in caplog.text
    lm.loglikelihood(requests(("word " * 30, " word")))
    assert caplog.text.count("Left truncation applied") == 1
    lm.generate_until(requests(("word " * 30, {"max_gen_toks": 4})))
    assert caplog.text.count("Left truncation applied") == 2
    with refused("answers of up to 24 tokens leave no room"):
        lm.generate_until(requests(("short", {"max_gen_toks": 24})))


def test_a_closed_engine(backend: OpenaiBackend, spec: Spec) -> None:
    """A model object that is kept beyond its engine answers nothing."""
    engine = backend.load(spec())
    lm = engine.lm(1)
    engine.close()
    with wrong_use("not in use any more"):
        lm.loglikelihood(choices(1))


def test_a_server_that_dies(backend: OpenaiBackend, server: ScriptedServer, spec: Spec) -> None:
    """What it was answering is refused; the next hears at once; back again, it goes on."""
    lm = backend.load(spec(max_retries=0)).lm(1)
    server.lives = len(server.seen) + 3
    with refused("while answering 20 requests") as caught:
        lm.loglikelihood(choices(10))
    assert caught.value.category is Category.ENGINE
    with refused("was lost before, and cannot be reached") as caught:
        lm.loglikelihood(choices(10))
    assert "start it again" in words_of(caught.value.problem).help[0]
    server.lives = None
    server.start()
    assert len(lm.loglikelihood(choices(10))) == 20


def test_a_server_that_comes_back_as_another(
    backend: OpenaiBackend, server: ScriptedServer, spec: Spec
) -> None:
    """A server of another version in its place is not the one that was measured so far."""
    lm = backend.load(spec(max_retries=0)).lm(1)
    server.lives = len(server.seen)
    with refused():
        lm.loglikelihood(choices(1))
    server.lives = None
    server.paths["/version"] = {"version": "0.33.0"}
    server.stop()
    server.start()
    with refused(r"came back as another: tiny-llama on vllm 0\.33\.0"):
        lm.loglikelihood(choices(1))


def test_a_server_that_changed_unnoticed(
    backend: OpenaiBackend, server: ScriptedServer, spec: Spec
) -> None:
    """One that was started anew between two requests, on other files, is refused as well."""
    lm = backend.load(spec()).lm(1)
    assert len(lm.loglikelihood(choices(1))) == 2
    server.cards[0]["root"] = "/models/another"
    with refused(r"came back as another: .*, loaded from another"):
        lm.loglikelihood(choices(1))


def test_a_server_that_does_not_say_who_it_is_now(
    backend: OpenaiBackend, server: ScriptedServer, spec: Spec
) -> None:
    """A version that could not be read just now is no other version."""
    lm = backend.load(spec()).lm(1)
    del server.paths["/version"]
    assert len(lm.loglikelihood(choices(1))) == 2
