"""Looks into task files without lm-eval's index: which declares a name, which is broken."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path


def broken_files(folders: tuple[str, ...]) -> list[tuple[Path, str]]:
    """The task files below ``folders`` that cannot be read, each with the cause."""
    paths = sorted(path for folder in folders for path in Path(folder).glob("**/*.yaml"))
    causes = ((path, _why_unreadable(path)) for path in paths)
    return [(path, cause) for path, cause in causes if cause is not None]


def _why_unreadable(path: Path) -> str | None:
    import yaml
    from lm_eval.tasks._yaml_loader import load_yaml

    try:
        load_yaml(path, resolve_func=False)
    except (yaml.YAMLError, OSError, ValueError, TypeError, AttributeError) as error:
        return " ".join(str(error).split()) or type(error).__name__
    return None


def _declaration(name: str) -> re.Pattern[bytes]:
    quoted = rb"(['\"]?)" + re.escape(name.encode()) + rb"\1[ \t]*(?:#.*)?\r?$"
    return re.compile(rb"^(?:task|group|tag)[ \t]*:[ \t]*" + quoted, re.MULTILINE)


def declares(path: Path, name: str) -> bool:
    """Whether a file has a line ``task: NAME``, or group or tag."""
    try:
        return _declaration(name).search(path.read_bytes()) is not None
    except OSError:
        return False


def files_declaring(name: str) -> list[Path]:
    """lm-eval's own files with a line ``task: NAME``, in the order of its own index."""
    pattern = _declaration(name)
    return sorted(_matching(name, pattern), key=lambda path: path.as_posix())


def mentioned_outside(name: str, folders: Sequence[str]) -> bool:
    """Whether any of lm-eval's own files that are not below ``folders`` holds the name."""
    whole = re.compile(rb"(?<![\w-])" + re.escape(name.encode()) + rb"(?![\w-])")
    inside = [Path(folder) for folder in folders]
    return any(
        not any(folder in path.parents for folder in inside) for path in _matching(name, whole)
    )


def _matching(name: str, pattern: re.Pattern[bytes]) -> Iterator[Path]:
    import lm_eval.tasks

    needle = name.encode()
    for folder, _, names in os.walk(Path(lm_eval.tasks.__file__).parent):
        for file in names:
            if file.endswith(".yaml"):
                with open(os.path.join(folder, file), "rb") as stream:
                    text = stream.read()
                if needle in text and pattern.search(text):
                    yield Path(folder, file)
