"""The names of this machine and of who is logged in, which reports leave out."""

from __future__ import annotations

import getpass
import re
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, TypeVar

from ..core.secret_values import HIDDEN, YOUR_OWN, is_secret_name, without_shapes

SHORTEST = 5
"""Letters; shorter names are words of messages too often: max, mark, will."""

COMMON = frozenset(
    {
        *("admin", "administrator", "agent", "azureuser", "build", "builder", "circleci"),
        *("container", "debian", "default", "docker", "ec2-user", "fedora", "github", "gitlab"),
        *("gitlab-runner", "guest", "jenkins", "linux", "local", "localhost", "machine"),
        *("model", "nobody", "pytest", "python", "quantreg", "runner", "runneradmin"),
        *("server", "system", "train", "travis", "ubuntu", "user", "vagrant", "windows", "worker"),
    }
)
"""Names that many machines share: they tell nothing."""


def machine_names() -> tuple[str, ...]:
    """The host's name, whole and without its domain, and the user's, where they tell anything."""
    host = socket.gethostname()
    try:
        user = getpass.getuser()
    # A container may run as a number that nobody has; Windows has no module for it.
    except (ImportError, KeyError, OSError):
        user = ""
    return identifying_names((host, host.partition(".")[0], user))


def identifying_names(names: Iterable[str], spared: Iterable[str] = ()) -> tuple[str, ...]:
    """Those of ``names`` that point at one machine or person, the longest first.

    A name that is a word of ``spared`` (tasks, models) is public there, and stays.
    """
    public = " ".join(spared)
    kept = {
        name
        for name in names
        if (len(name) >= SHORTEST or any(letter.isdigit() for letter in name[1:]))
        and len(name) > 2
        and name.lower() not in COMMON
        and not pattern(name).search(public)
    }
    return tuple(sorted(kept, key=lambda name: (-len(name), name)))


def pattern(name: str) -> re.Pattern[str]:
    """Finds a name as a word of its own, with the domain that follows the name of a host."""
    domain = r"(?:\.[A-Za-z0-9-]*[A-Za-z][A-Za-z0-9-]*)*"
    return re.compile(rf"(?<!\w){re.escape(name)}{domain}(?!\w)", re.IGNORECASE)


T = TypeVar("T")


_PUBLIC = ("huggingface.co", "github.com")
"""The hosts that messages send people to."""

_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<host>(?:[^\s/'\"<>]*[^\s/'\"<>.,;:)\]])?)"
    r"(?P<rest>(?:/[^\s'\"<>]*)?)"
)
_SECRET = re.compile(
    r"(?i)(?P<name>[\w-]*(?:api_?key|token|password|secret|authorization))="
    rf"(?!{YOUR_OWN})(?P<value>[^\s'\",]+)"
)
_SHARE = re.compile(r"(?<![\w\\])\\\\[^\s\\/'\"]+(?:\\[^\s\\/'\"`<>|:;,()]+)+")
_QUOTED = re.compile(r"(?P<quote>['\"])(?:/|[A-Za-z]:[\\/])[^'\"\n]*(?P=quote)")
_POSIX = re.compile(r"(?<![\w.~/+])/(?:[^\s/'\"`<>|:;,()\[\]{}]+/)*[^\s/'\"`<>|:;,()\[\]{}]+/?")
_WINDOWS = re.compile(r"(?<!\w)[A-Za-z]:[\\/](?:[^\s\\/'\"`<>|:;,()]+[\\/])*[^\s\\/'\"`<>|:;,()]+")
_OTHERS_HOME = re.compile(r"(?<![\w/])~\w[\w.-]*/")


@dataclass(frozen=True)
class Places:
    """What is known of the machine: ``folders`` maps absolute paths to what stands for them.

    An empty stand-in makes paths below a folder relative to it. ``names`` are those of the
    machine and its user, which nothing stands for.
    """

    folders: Mapping[str, str]
    names: Sequence[str] = ()

    def hidden(self, text: str) -> str:
        """``text`` without absolute paths, servers, passwords, names or characters that are none.

        Paths below a known folder become relative to it; of others the last part is kept.
        """
        text = text.encode("utf-8", "replace").decode("utf-8")
        text = _SECRET.sub(_without_value, text)
        text = without_shapes(text)
        # Addresses are kept apart, for they hold what looks like a path.
        addresses: list[str] = []

        def set_aside(match: re.Match[str]) -> str:
            addresses.append(_address(match))
            return f"\0{len(addresses) - 1}\0"

        text = _URL.sub(set_aside, text.replace("\0", "\N{REPLACEMENT CHARACTER}"))
        for folder in sorted(self.folders, key=len, reverse=True):
            text = _relative_to(text, folder, self.folders[folder])
        text = _QUOTED.sub(lambda match: _quoted_path(match[0]), text)
        text = _SHARE.sub(lambda match: _last_part(match[0]), text)
        text = _WINDOWS.sub(lambda match: _last_part(match[0]), text)
        text = _POSIX.sub(lambda match: _last_part(match[0]), text)
        text = _OTHERS_HOME.sub(f"{HIDDEN}/", text)
        text = re.sub("\0([0-9]+)\0", lambda match: addresses[int(match[1])], text)
        for name in self.names:
            text = pattern(name).sub(HIDDEN, text)
        return text

    def redacted(self, value: T) -> T:
        """``value`` with every text in it `hidden`: dataclasses, tuples and mappings too."""
        redacted: T = _redacted(value, self)
        return redacted


def _redacted(value: Any, places: Places) -> Any:
    if isinstance(value, str):
        return places.hidden(value)
    if is_dataclass(value) and not isinstance(value, type):
        values = {field.name: getattr(value, field.name) for field in fields(value)}
        return replace(value, **{name: _redacted(inner, places) for name, inner in values.items()})
    if isinstance(value, Mapping):
        return {name: _redacted(inner, places) for name, inner in value.items()}
    if isinstance(value, Sequence):
        return tuple(_redacted(inner, places) for inner in value)
    return value


def _without_value(match: re.Match[str]) -> str:
    # add_bos_token=true stands in commands that are to be typed again.
    return f"{match['name']}={HIDDEN}" if is_secret_name(match["name"]) else match[0]


def _address(match: re.Match[str]) -> str:
    scheme, host, rest = match["scheme"], match["host"], match["rest"].partition("?")[0]
    if scheme.lower() == "file":
        return _last_part(rest or host)
    if not host and not rest:
        return match[0]
    return f"{scheme}://{host if host.lower() in _PUBLIC else HIDDEN}{rest}"


def _relative_to(text: str, folder: str, stand_in: str) -> str:
    """Paths below a known folder, and the folder itself, wherever they stand in ``text``."""
    whole = folder.rstrip("/\\")
    if len(whole) < 2:
        return text
    start = f"{stand_in}/" if stand_in else ""
    text = re.sub(rf"(?<![\w.]){re.escape(whole)}[/\\](?=[^\s/\\'\"])", lambda _: start, text)
    return re.sub(rf"(?<![\w.]){re.escape(whole)}(?![\w.-])", lambda _: stand_in or ".", text)


def _quoted_path(text: str) -> str:
    return f"{text[0]}{_last_part(text[1:-1])}{text[-1]}"


def _last_part(path: str) -> str:
    parts = [part for part in re.split(r"[\\/]", path) if part]
    return f"{HIDDEN}/{parts[-1]}" if parts else path
