"""A model in GGUF: one file or several parts, found, opened once and put together."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core.errors import WrongUse
from ..checkpoint.identity import state_of
from .header import Header, Tensor, read_header, unusable

_PART = re.compile(r"(?P<stem>.+)-(?P<part>\d{5})-of-(?P<count>\d{5})\.gguf")
_CONVERT = "python convert_hf_to_gguf.py {} --outtype f16 --outfile {}-f16.gguf"


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
            raise unusable(name, f"it cannot be read: {error.strerror}", "check the path") from None
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
            shown = ", ".join(inside[:4]) + (", ..." if len(inside) > 4 else "")
            raise WrongUse(
                f"{path.name} is a folder, and a model of llama.cpp is a file",
                help=f"name one of its files: {path.name}/NAME.gguf ({shown})",
            )
        raise WrongUse(
            f"{path.name} is a folder without GGUF files, and llama.cpp reads nothing else",
            help=(
                "convert a full-precision model once, with the script of llama.cpp's repository:",
                _CONVERT.format(path.name, path.name),
                f"and give the file: --quant-model={path.name}-f16.gguf",
            ),
        )
    if path.suffix == ".gguf":
        raise unusable(path.name, "there is no such file", "check the path")
    raise WrongUse(
        f"{ref} is no file here, and the llamacpp backend downloads none",
        help="download it: hf download ORG/NAME FILE.gguf --local-dir . and give the file",
    )


def _parts(path: Path) -> Iterator[Path]:
    match = _PART.fullmatch(path.name)
    if match is None:
        yield path
        return
    count = int(match["count"])
    if int(match["part"]) != 1:
        raise WrongUse(
            f"{path.name} is not the first of {count} parts",
            help=f"give the first: {match['stem']}-00001-of-{count:05}.gguf",
        )
    for part in range(1, count + 1):
        part_path = path.with_name(f"{match['stem']}-{part:05}-of-{count:05}.gguf")
        if not part_path.is_file():
            raise unusable(path.name, f"{part_path.name} is missing", "download all of its parts")
        yield part_path


def _open(paths: tuple[Path, ...]) -> GgufModel:
    name = paths[0].name
    headers = [read_header(path, name) for path in paths]
    first = headers[0].fields
    _check(headers, name)
    tensors = tuple(tensor for header in headers for tensor in header.tensors)
    if len({tensor.name for tensor in tensors}) != len(tensors):
        raise unusable(name, "a tensor stands in it twice", "download its parts again")
    return GgufModel(name, paths, first, tensors)


def _check(headers: list[Header], name: str) -> None:
    fields, count = headers[0].fields, headers[0].fields.get("split.count", 0)
    architecture = fields.get("general.architecture")
    if not isinstance(architecture, str) or not architecture.isprintable():
        raise unusable(name, "it names no architecture", "is it an adapter or a vocabulary alone?")
    if count and count != len(headers):
        raise unusable(
            name,
            f"it is the first of {count} parts, and its name does not say so",
            f"give all parts the names they had: NAME-00001-of-{count:05}.gguf",
        )
    if (kind := fields.get("general.type")) and kind != "model":
        raise unusable(name, f"it holds no model but: {kind}", "give the model's own file")
    if not any(header.tensors for header in headers):
        raise unusable(name, "it holds no tensors", "a vocabulary alone is no model")
