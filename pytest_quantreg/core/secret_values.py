"""Secrets among the arguments of engines: which values are some, and texts without them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from .printable import printable
from .records.run import Json

HIDDEN = "..."
"""What stands for a secret."""

YOUR_OWN = "<your-own-value>"
"""What stands for one in a command that is to be typed again."""

_WORDS = frozenset(
    {
        *("apikey", "auth", "authorization", "authtoken", "bearer", "cookie", "cookies"),
        *("credential", "credentials", "key", "login", "pass", "passphrase", "passwd"),
        *("password", "passwords", "pat", "pw", "pwd", "secret", "secrets", "signature", "token"),
    }
)
"""Words of an argument's name that say its value is a secret."""

_FUSED = re.compile(r"(?i)(?:api|access|secret|private)keys?$|(?:token|password|secret)$")
"""How such words end that are written as one: hftoken."""

_OF_KEYS = frozenset({"api", "access", "secret", "private", "auth", "subscription"})
"""Before ``key`` or ``keys`` they make it a secret whatever follows: api_keys, api_key_prod."""

_OF_PROMPTS = frozenset(
    {
        *("add", "bos", "cls", "end", "eos", "image", "mask", "pad", "prefix", "sep", "special"),
        *("start", "stop", "unk", "vision", "audio", "video", "per", "max", "min"),
    }
)
"""Before ``token`` they make it one of a vocabulary: bos_token, max_token."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")

_KEY = (
    r"\b(?:(?:hf|gh[pousr]|gsk|r8|npm)_[A-Za-z0-9]{16,}"
    r"|sk-(?:[A-Za-z0-9]+[-_])*(?=[A-Za-z]*[0-9])[A-Za-z0-9]{16,}[\w-]*"
    r"|github_pat_\w{16,}|glpat-[\w-]{16,}|xox[a-z]-[\w-]{10,}|(?:AKIA|ASIA)[A-Z0-9]{16}"
    r"|AIza[\w-]{30,}|nvapi-[\w-]{16,}|pypi-(?=[\w-]*[A-Z])[\w-]{32,}"
    r"|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)"
)
"""What keys of model hubs, model servers, clouds and code hosts look like; JSON web tokens."""
_RANDOM = r"(?<![\w/.-])(?=[A-Za-z0-9]*[a-z])(?=[A-Za-z]*[0-9])(?=[a-z0-9]*[A-Z])[A-Za-z0-9]{32,}\b"
"""Too long and too mixed for a name; digests and commits have no capitals."""
_SENT = re.compile(
    r"\b(?:(?P<bearer>(?i:bearer) +)(?=[\w.~+/-]*(?:[0-9]|[a-z][A-Z]))[\w.~+/-]{6,}=*"
    r"|(?P<basic>(?i:basic) +)(?=[\w+/]*(?:[a-z][A-Z]|=))[A-Za-z0-9+/]{6,}=*)"
)
"""Words of a sentence (a basic test, bearer authentication) are none."""
_LOGIN = re.compile(r"(?<=://)[^\s/'\"<>]+@")
"""Up to the last such sign: a password may hold one, too."""
_QUERY = re.compile(
    r"(?i)(?P<name>[?&][\w-]*(?:auth|key|token|pass|passwd|password|pwd|secret|signature|sig)=)"
    r"[^\s&'\"<>#]+"
)
_PAIR = re.compile(
    r"(?i)(?<![\w-])(?P<name>[\w-]+)(?P<gap>\\*[\"']?\s*[:=]\s*\\*[\"']?|(?<=\w)\s+)"
    r"(?P<value>(?:(?:bearer|basic|token)\s+)?[^\s\"',;&}\\]+)"
)
"""A header, an assignment, an option or JSON in a text, as far as the name says so."""
_PARTS = re.compile(r"(?i)(?:\b(?:bearer|basic|token) +|=)([^\s;,]{8,})")
"""What may be repeated alone of ``Bearer ABC`` and of a cookie."""
_SHAPED = re.compile(_KEY)
_ALONE = re.compile(f"{_KEY}|{_RANDOM}")

_LEAST = 3
"""Letters of a value that is struck wherever it stands; shorter ones stand everywhere."""
_WHOLE_WORD = 8
"""Letters below which it is struck only where it is a word of its own."""

_PLACEHOLDERS = frozenset(
    {"default", "dummy", "key", "local", "model", "none", "null", "test", "token"}
)
"""What is given where a key is asked for and none is needed; sentences of ours hold them."""


def is_secret_name(name: str) -> bool:
    """Return whether an argument of this name holds a secret: api_key, hf_token, Authorization."""
    words = [word.lower() for word in _WORD.findall(name)]
    for place, word in enumerate(words):
        rest, before = words[place + 1 :], words[:place]
        if word in ("key", "keys") and {*before[-1:]} & _OF_KEYS:
            return rest != ["id"]
        if word not in _WORDS and not _FUSED.search(word):
            continue
        of_prompts = {*before, word.removesuffix("token")} & _OF_PROMPTS
        if word.endswith("token") and (rest or of_prompts):
            continue
        if word in ("key", "pass") and rest:
            continue  # key_mapping, key_value_heads, pass_config
        return True
    return False


def without_shapes(text: str) -> str:
    """Return ``text`` without what looks like a key, and without logins in addresses."""
    text = _SENT.sub(
        lambda match: f"{match['bearer'] or match['basic']}{HIDDEN}", _SHAPED.sub(HIDDEN, text)
    )
    return _QUERY.sub(rf"\g<name>{HIDDEN}", _LOGIN.sub(f"{HIDDEN}@", text))


def without_secrets(value: Json, name: str = "") -> Json:
    """Return an argument's value with `HIDDEN` in place of each secret in it."""
    if is_secret_name(name) and _may_be_secret(value):
        return HIDDEN
    if isinstance(value, dict):
        return {inner: without_secrets(item, inner) for inner, item in value.items()}
    if isinstance(value, list):
        return [without_secrets(item, name) for item in value]
    if isinstance(value, str):
        return _ALONE.sub(HIDDEN, without_shapes(_PAIR.sub(_without_value, value)))
    return value


def _without_value(match: re.Match[str]) -> str:
    return f"{match['name']}{match['gap']}{HIDDEN}" if _is_secret_pair(match) else match[0]


def _is_secret_pair(match: re.Match[str]) -> bool:
    """Return whether a name in a text says that what follows is a secret."""
    spaced = not match["gap"].strip()
    return (match["name"].startswith("--") or not spaced) and is_secret_name(match["name"])


def _may_be_secret(value: Json) -> bool:
    """Return whether a value is a text or a long number; a switch and a count are no secrets."""
    if isinstance(value, bool) or value is None:
        return False
    return not isinstance(value, int | float) or len(str(value)) >= 6


@dataclass(frozen=True)
class Secrets:
    """The secrets of a session, which are struck from every text that leaves it."""

    values: tuple[str, ...] = ()

    @classmethod
    def of(cls, *arguments: Mapping[str, Json]) -> Secrets:
        """Return those among the arguments of engines."""
        secrets = {
            text
            for args in arguments
            for name, value in args.items()
            for secret in _secrets_in(value, name)
            for text in _forms(secret)
            if len(text) >= _LEAST and text.lower() not in _PLACEHOLDERS
        }
        return cls(tuple(sorted(secrets, key=lambda text: (-len(text), text))))

    def redact(self, text: str) -> str:
        """Return ``text`` with `HIDDEN` for each of them, and for whatever looks like one."""
        return without_shapes(self.redact_exactly(text))

    def redact_exactly(self, text: str) -> str:
        """Return ``text`` with `HIDDEN` for each of them."""
        for value in self.values:
            if value in text:
                text = _finding(value).sub(HIDDEN, text)
        return text


def _forms(secret: str) -> Iterator[str]:
    """Yield how a secret is written: as it is, on one line, in an address, by its lines."""
    yield from (secret, printable(secret), quote(secret, safe=""))
    yield from (line for line in secret.splitlines() if len(line) >= _WHOLE_WORD)


def _finding(value: str) -> re.Pattern[str]:
    whole = len(value) < _WHOLE_WORD
    before, after = (r"(?<!\w)", r"(?!\w)") if whole else ("", "")
    return re.compile(f"{before}{re.escape(value)}{after}")


def _secrets_in(value: Json, name: str) -> Iterator[str]:
    if isinstance(value, dict):
        secret = is_secret_name(name)
        for inner, item in value.items():
            yield from _secrets_in(item, name if secret else inner)
    elif isinstance(value, list):
        for item in value:
            yield from _secrets_in(item, name)
    elif is_secret_name(name) and _may_be_secret(value):
        yield from (str(value), *_PARTS.findall(str(value)))
    elif isinstance(value, str):
        yield from _ALONE.findall(value)
        for login in _LOGIN.findall(value):
            yield from _login_parts(login[:-1])
        yield from (match[0].partition("=")[2] for match in _QUERY.finditer(value))
        for match in filter(_is_secret_pair, _PAIR.finditer(value)):
            yield from (match["value"], *_PARTS.findall(match["value"]))


def _login_parts(login: str) -> Iterable[str]:
    user, colon, password = login.partition(":")
    return [login, password] if colon else [user]
