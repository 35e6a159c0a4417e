"""Words of servers that speak OpenAI's protocol."""

from __future__ import annotations

from collections.abc import Mapping

from ...core.codes import ServerCode
from ...core.facts import Fact
from .template import Lines, Table, Templates

_UNEQUAL = "times of unequal work are not compared"
_SERVED_ROLE = "the server of the {role} model serves "
_OTHER_NAME = (
    "check --quant-backend-arg={role}:base_url=..., and which model it was started with",
    "where that name stands for {model}, say so: --quant-backend-arg={role}:model={name}",
)
_LOGPROBS_BY_ENGINE: Mapping[Fact, str] = {
    "vllm": "vLLM returns them unless it was started with --max-logprobs=0",
    "tensorrt_llm": "TensorRT-LLM: start trtllm-serve with logits of the context gathered",
    "llamacpp": "the llama.cpp server has none: use --quant-backend=llamacpp",
}
_LOGPROBS_ELSEWHERE = "vLLM and SGLang return them: /v1/completions with echo and logprobs"


def _answered(help: str) -> Templates:
    """An HTTP status, with the server's own message where there is one."""

    def choose(facts: Mapping[str, Fact]) -> Lines:
        return ("answered {status}: {message}" if facts["message"] else "answered {status}", help)

    return choose


def _came_back(facts: Mapping[str, Fact]) -> Lines:
    version = " {version}" if facts["version"] else ""
    root = ", loaded from {root}" if facts["root"] else ""
    return (
        "the server at {server} came back as another: {model} on {engine}" + version + root,
        "run the tests anew",
    )


def _no_logprobs(facts: Mapping[str, Fact]) -> Lines:
    return (
        "the server returns no log-probabilities of prompts, and this task is scored by them: "
        "{cause}",
        _LOGPROBS_BY_ENGINE.get(facts["engine"], _LOGPROBS_ELSEWHERE),
        "tasks that generate (output_type: generate_until) can be measured",
    )


_ARGUMENTS: Table = {
    ServerCode.ADDRESS_MISSING: (
        "the openai backend needs the address of the server of the {role} model",
        "add --quant-backend-arg={role}:base_url=http://127.0.0.1:8000/v1",
    ),
    ServerCode.KEY_ON_COMMAND_LINE: (
        "--quant-backend-arg={name}=...: a key on a command line ends up in logs",
        "set it in the environment instead: OPENAI_API_KEY",
    ),
    ServerCode.NO_SUCH_SERVER_ARGUMENT: (
        "--quant-backend-arg={name}: the openai backend has no such argument",
        "did you mean {near}?",
        "known: {known}",
        "the server's own are given to the server",
    ),
    ServerCode.MUST_BE_ADDRESS: (
        "an address such as http://127.0.0.1:8000/v1, without a key in it"
    ),
    ServerCode.MUST_BE_SERVED_NAME: "the served name",
    ServerCode.MUST_BE_SECONDS: "seconds above 0",
    ServerCode.MUST_BE_TOKENS: "a whole number of tokens",
    ServerCode.SERVERS_MAKE_NO_SCHEME: (
        "the openai backend cannot make {scheme}: a server serves what it was started with",
        "name what the server serves: --quant-checkpoint={scheme:name}=FOLDER-OR-HUB-ID",
        "and where: --quant-backend-arg=quantized:base_url=http://127.0.0.1:8000/v1",
    ),
}

_REQUESTS: Table = {
    ServerCode.SERVER_FAILED: ("the server at {server} {cause}", "{cause:help}"),
    ServerCode.SERVER_FAILED_WHILE: (
        "the server at {server} {cause}, while {step}",
        "{cause:help}",
    ),
    ServerCode.STREAMING_ANSWERS: "streaming the answers to {requests} requests",
    ServerCode.PROBING_SERVER: "telling what it can do",
    ServerCode.NOT_CONNECTED_IN_TIME: (
        "cannot be reached (nothing within {seconds:g} s)",
        "is it running? look at its own log",
    ),
    ServerCode.NO_ANSWER_IN_TIME: (
        "did not answer within {seconds:g} s",
        "give it longer: --quant-backend-arg=timeout={longer:g} (seconds)",
    ),
    ServerCode.CANNOT_BE_REACHED: (
        "cannot be reached ({reason})",
        "is it running? look at its own log",
    ),
    ServerCode.CONNECTION_BROKEN: (
        "broke the connection off ({error})",
        "is it running? look at its own log",
    ),
    ServerCode.ANSWER_IS_NOT_JSON: (
        "sent something that is not JSON ({reason})",
        "look at the server's own log",
    ),
    ServerCode.KEY_WANTED: _answered("it wants a key: set it in the environment as OPENAI_API_KEY"),
    ServerCode.KEY_REJECTED: _answered("the key in OPENAI_API_KEY is not one that it takes"),
    ServerCode.ADDRESS_NOT_FOUND: _answered(
        "is this the right address? --quant-backend-arg=base_url=... usually ends in /v1"
    ),
    ServerCode.REQUEST_DECLINED: _answered("look at the server's own log"),
    ServerCode.TRIED_AGAIN: ("{cause}, asked {tries} times", "{cause:help}"),
    ServerCode.NO_MODEL_LISTED: ("lists no model under /models", "look at the server's own log"),
    ServerCode.STREAM_BROKEN_OFF: (
        "broke an answer off with an error",
        "look at the server's own log",
    ),
    ServerCode.STREAM_ENDED_EARLY: (
        "ended an answer before it was done",
        "is it running? look at its own log",
    ),
}

_CONNECTION: Table = {
    ServerCode.MODEL_NOT_IN_USE: (
        "{model} {scheme} is not in use any more",
        "ask for the model in each test; do not keep it from an earlier one",
    ),
    ServerCode.SERVER_WAS_LOST: (
        "the server at {server} was lost before, and {cause}",
        "start it again, and run the tests anew",
        "what happened: {before}",
    ),
    ServerCode.SERVER_CAME_BACK_AS_ANOTHER: _came_back,
    ServerCode.SERVES_NO_SUCH_MODEL: (_SERVED_ROLE + "no {wanted!r}: {served}", *_OTHER_NAME),
    ServerCode.SERVES_SEVERAL_MODELS: (_SERVED_ROLE + "several: {served}", *_OTHER_NAME),
    ServerCode.SERVES_ANOTHER_MODEL: (
        _SERVED_ROLE + "another one than {model}: {served}",
        *_OTHER_NAME,
    ),
}

_SCORING: Table = {
    ServerCode.NO_PROMPT_LOGPROBS: _no_logprobs,
    ServerCode.REJECTS_SCORING: "it {cause}",
    ServerCode.REJECTS_TOKEN_IDS: "it takes no token ids as a prompt (it {cause})",
    ServerCode.ANSWER_WITHOUT_LOGPROBS: "its answer holds no logprobs",
    ServerCode.FEW_PROMPT_LOGPROBS: "it gave {given} of them for a prompt of {tokens} tokens",
    ServerCode.LOGPROBS_NOT_FINITE: "it gave null in place of numbers",
    ServerCode.LOGPROBS_ALL_EQUAL: "it gave {value:g} for every token",
    ServerCode.ANSWERS_TOO_LONG_FOR_SERVER: (
        "answers of up to {answer} tokens leave no room for a prompt in the {context} that the "
        "server takes",
        "ask for shorter ones: gen_kwargs={{'max_gen_toks': N}}",
    ),
    ServerCode.WRONG_NUMBER_OF_ANSWERS: (
        "the server gave {given} answers to {prompts} prompts in one request",
        "send one at a time: --quant-backend-arg=batch_size=1",
    ),
    ServerCode.WRONG_NUMBER_OF_LOGPROBS: (
        "the server gave {given} log-probabilities for a prompt of {tokens} tokens",
        "prompts may be too long for it: --quant-backend-arg=max_length=N",
    ),
    ServerCode.NULL_AMONG_LOGPROBS: (
        "the server gave {given} log-probabilities for a prompt of {tokens} tokens, null among "
        "them",
        "prompts may be too long for it: --quant-backend-arg=max_length=N",
    ),
}

_TIMING: Table = {
    ServerCode.TOKENS_NOT_COUNTED: (
        "the server does not say how many tokens it generated",
        _UNEQUAL,
        "it must take stream_options.include_usage, as vLLM, SGLang, TensorRT-LLM and llama.cpp do",
    ),
    ServerCode.PROMPTS_CHANGED: (
        "the server read {read} tokens where prompts of {sent} were sent",
        _UNEQUAL,
        "something between here and the engine changes requests",
    ),
    ServerCode.ANSWER_ENDED_EARLY: (
        "the server generated {generated} tokens where {requested} were asked for",
        _UNEQUAL,
        "it ends at the end-of-sequence token, and rejects ignore_eos: its speed cannot be "
        "compared",
    ),
    ServerCode.ANSWER_OF_WRONG_LENGTH: (
        "the server generated {generated} tokens where {requested} were asked for",
        _UNEQUAL,
        "prompts and answers may be too long for it together",
    ),
    ServerCode.STREAM_HELD_BACK: (
        "the server sent {whole} of {answers} answers of {tokens} tokens in one piece",
        _UNEQUAL,
        "something between here and the engine holds the stream back (a proxy that buffers), or "
        "this machine is too busy to read it",
    ),
}

WORDS: Table = {**_ARGUMENTS, **_REQUESTS, **_CONNECTION, **_SCORING, **_TIMING}
