"""A model in GGUF: one file or several parts, found, opened once and put together."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core.codes import ModelCode
from ...core.errors import Refusal, WrongUse
from ...core.facts import Quoted
from ..checkpoint.identity import state_of
from .header import Header, Tensor, read_header

_SHOWN = 4
"""How many files of a folder an error names."""

_PART = re.compile(r"(?P<stem>.+)-(?P<part>\d{5})-of-(?P<count>\d{5})\.gguf")


@dataclass(frozen=True)
class GgufModel:
    """The fields of the first part, and the tensors of all."""

    name: str
    paths: tuple[Path, ...]
    fields: Mapping[str, Any]
    tensors: tuple[Tensor, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(path.stat().st_size for path in self.paths)

    @property
    def architecture(self) -> str:
        """The architecture's name in llama.cpp: ``llama``."""
        return str(self.fields["general.architecture"])

    def of_architecture(self, key: str) -> Any:
        """The field ``key`` of the model's own architecture, None where there is none."""
        return self.fields.get(f"{self.architecture}.{key}")


class GgufFiles:
    """Opens each model once, as long as its files do not change."""

    def __init__(self) -> None:
        self._models: dict[tuple[object, ...], GgufModel] = {}

    def open(self, ref: str) -> GgufModel:
        """The model of ``ref``. Raises what `find_file` and `read_header` raise."""
        try:
            path = find_file(ref)
            paths = tuple(_parts(path))
            key = (path, *(state_of(part) for part in paths))
        except OSError as error:  # of a folder that may not be entered
            name = Path(ref).name
            raise Refusal(
                ModelCode.UNREADABLE_GGUF, name=name, error=Quoted(str(error.strerror))
            ) from None
        if key not in self._models:
            self._models[key] = _open(paths)
        return self._models[key]


def find_file(ref: str) -> Path:
    """The file that ``ref`` names; raises WrongUse for folders and hub ids."""
    path = Path(ref)
    if path.is_file():
        return path
    if path.is_dir():
        inside = sorted(file.name for file in path.glob("*.gguf"))
        if inside:
            shown = inside if len(inside) <= _SHOWN else [*inside[:_SHOWN], "..."]
            raise WrongUse(ModelCode.GGUF_IN_NAMED_FOLDER, name=path.name, files=tuple(shown))
        raise WrongUse(ModelCode.FOLDER_WITHOUT_GGUF, name=path.name)
    if path.suffix == ".gguf":
        raise Refusal(ModelCode.NO_SUCH_GGUF, name=path.name)
    raise WrongUse(ModelCode.GGUF_NOT_DOWNLOADED, ref=ref)


def _parts(path: Path) -> Iterator[Path]:
    match = _PART.fullmatch(path.name)
    if match is None:
        yield path
        return
    count = int(match["count"])
    if int(match["part"]) != 1:
        raise WrongUse(
            ModelCode.NOT_THE_FIRST_PART, name=path.name, count=count, stem=match["stem"]
        )
    for part in range(1, count + 1):
        part_path = path.with_name(f"{match['stem']}-{part:05}-of-{count:05}.gguf")
        if not part_path.is_file():
            raise Refusal(ModelCode.PART_MISSING, name=path.name, part=part_path.name)
        yield part_path


def _open(paths: tuple[Path, ...]) -> GgufModel:
    name = paths[0].name
    headers = [read_header(path, name) for path in paths]
    first = headers[0].fields
    _check(headers, name)
    tensors = tuple(tensor for header in headers for tensor in header.tensors)
    if len({tensor.name for tensor in tensors}) != len(tensors):
        raise Refusal(ModelCode.TENSOR_TWICE, name=name)
    return GgufModel(name, paths, first, tensors)


def _check(headers: list[Header], name: str) -> None:
    fields, count = headers[0].fields, headers[0].fields.get("split.count", 0)
    architecture = fields.get("general.architecture")
    if not isinstance(architecture, str) or not architecture.isprintable():
        raise Refusal(ModelCode.NO_ARCHITECTURE, name=name)
    if count and count != len(headers):
        raise Refusal(ModelCode.PARTS_RENAMED, name=name, count=count)
    if (kind := fields.get("general.type")) and kind != "model":
        raise Refusal(ModelCode.GGUF_NOT_A_MODEL, name=name, kind=Quoted(str(kind)))
    if not any(header.tensors for header in headers):
        raise Refusal(ModelCode.NO_TENSORS, name=name)
