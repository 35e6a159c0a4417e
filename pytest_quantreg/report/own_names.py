"""The names of this machine and of who is logged in, which reports leave out."""

from __future__ import annotations

import getpass
import re
import socket
from collections.abc import Iterable

SHORTEST = 5
"""Letters; shorter names are words of messages too often: max, mark, will."""

COMMON = frozenset(
    {
        *("admin", "administrator", "azureuser", "build", "builder", "circleci", "container"),
        *("debian", "default", "docker", "ec2-user", "fedora", "github", "gitlab"),
        *("gitlab-runner", "guest", "jenkins", "linux", "local", "localhost", "machine"),
        *("model", "nobody", "pytest", "python", "quantreg", "runner", "runneradmin"),
        *("accepted", "agent", "answer", "answers", "baseline", "baselines", "certify", "detect"),
        *("evaluation", "gates", "items", "judged", "layers", "linear", "metric", "noted", "point"),
        *("quant", "quantized", "recorded", "refused", "retention", "scheme", "session", "speed"),
        *("tasks", "tests", "tokens", "train", "weights", "wrong"),
        *("server", "system", "travis", "ubuntu", "user", "vagrant", "windows", "worker"),
    }
)
"""Names that many machines share: they tell nothing, and stand in messages for other reasons."""


def own_names() -> tuple[str, ...]:
    """The host's name, whole and without its domain, and the user's, where they tell anything."""
    host = socket.gethostname()
    try:
        user = getpass.getuser()
    # A container may run as a number that nobody has; Windows has no module for it.
    except (ImportError, KeyError, OSError):
        user = ""
    return telling((host, host.partition(".")[0], user))


def telling(names: Iterable[str], spared: Iterable[str] = ()) -> tuple[str, ...]:
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
