"""The arguments of --quant-backend-arg that say which server a model is asked at, and how."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any
from urllib.parse import urlsplit

from ...core.codes import EngineCode, ServerCode
from ...core.errors import WrongUse
from ...core.facts import Problem
from ...core.records.run import Json, ModelSpec
from ...core.secret_values import is_secret_name


@dataclass(frozen=True)
class ServerArgs:
    """Where a model is served and how it is asked.

    ``base_url`` ends in the version (``.../v1``). ``model`` is the served name, None for
    the server's only one. ``timeout`` is in seconds per request; ``max_retries`` is how
    often one is sent again; ``num_concurrent`` is how many are under way at once, each
    with ``batch_size`` prompts. ``max_length`` in tokens, None for what the server says;
    ``add_bos_token`` None for what the tokenizer does by itself.
    """

    base_url: str
    model: str | None = None
    timeout: float = 300.0
    max_retries: int = 3
    num_concurrent: int = 1
    max_length: int | None = None
    add_bos_token: bool | None = None
    batch_size: int | None = None
    trust_remote_code: bool = False

    @property
    def root(self) -> str:
        """The server without the version at its end."""
        return re.sub(r"/v[0-9]+$", "", self.base_url)


KNOWN = tuple(entry.name for entry in fields(ServerArgs))


def server_args(spec: ModelSpec) -> ServerArgs:
    """The arguments of ``spec``, checked. Raises WrongUse; nothing is asked of the server."""
    check_names(spec.args)
    if spec.args.get("base_url") is None:
        raise WrongUse(ServerCode.ADDRESS_MISSING, role=spec.role)
    checked = {
        name: _checked(name, value) for name, value in spec.args.items() if value is not None
    }
    return ServerArgs(**checked)  # type: ignore[arg-type]  # checked one by one


def check_names(args: Mapping[str, Json]) -> None:
    """Raises WrongUse for an argument that the openai backend does not have."""
    for name in args:
        if name in KNOWN:
            continue
        if is_secret_name(name):
            # Without its value: this is printed.
            raise WrongUse(ServerCode.KEY_ON_COMMAND_LINE, name=name)
        near = get_close_matches(name, KNOWN, n=1)
        raise WrongUse(ServerCode.NO_SUCH_SERVER_ARGUMENT, name=name, near=tuple(near), known=KNOWN)


def _checked(name: str, value: Json) -> Json:
    rule, accepts = _RULES[name]
    if not accepts(value):
        # An address may hold a password.
        shown = "..." if name == "base_url" else str(value)
        raise WrongUse(EngineCode.BAD_ENGINE_ARGUMENT, name=name, value=shown, rule=rule)
    if name == "base_url":
        return _address(str(value))
    return float(str(value)) if name == "timeout" else value


def _address(text: str) -> str:
    address = text.rstrip("/")
    for ending in ("/completions", "/chat"):
        address = address.removesuffix(ending)
    if urlsplit(address).path in ("", "/"):
        address += "/v1"
    return address


def _is_address(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.username
    except ValueError:
        return False


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_count(value: Any, least: int = 1) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


_NAME = Problem(ServerCode.MUST_BE_SERVED_NAME, {})
_SECONDS = Problem(ServerCode.MUST_BE_SECONDS, {})
_COUNT = Problem(EngineCode.MUST_BE_WHOLE_NUMBER, {"least": 1})
_BOOLEAN = Problem(EngineCode.MUST_BE_BOOLEAN, {})

_RULES: Mapping[str, tuple[Problem, Callable[[Any], bool]]] = {
    "base_url": (Problem(ServerCode.MUST_BE_ADDRESS, {}), _is_address),
    "model": (_NAME, lambda value: isinstance(value, str) and bool(value)),
    "timeout": (_SECONDS, lambda value: _is_number(value) and value > 0),
    "max_retries": (
        Problem(EngineCode.MUST_BE_WHOLE_NUMBER, {"least": 0}),
        lambda value: _is_count(value, 0),
    ),
    "num_concurrent": (_COUNT, _is_count),
    "max_length": (Problem(ServerCode.MUST_BE_TOKENS, {}), lambda value: _is_count(value, 2)),
    "add_bos_token": (_BOOLEAN, lambda value: isinstance(value, bool)),
    "batch_size": (_COUNT, _is_count),
    "trust_remote_code": (_BOOLEAN, lambda value: isinstance(value, bool)),
}
