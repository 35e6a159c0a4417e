"""Reads the header of one GGUF file: its fields, and where its tensors lie.

The layout is that of the GGUF specification of ggml (docs/gguf.md), versions 2 and 3. The
reader of the package ``gguf`` is not used: it takes 7 s for the vocabulary of a Llama 3,
this one .3 s.
"""

from __future__ import annotations

import math
import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core.codes import ModelCode
from ...core.errors import MissingExtra, Refusal
from ...core.facts import Problem, Quoted

MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_ALIGNMENT = 32
_MOST_DIMENSIONS = 4
_MOST_BYTES = 256 * 1024 * 1024
"""Of a header: the largest vocabularies, with their merges, take some 20 MB."""
_MOST_ENTRIES = 1_000_000
"""Fields or tensors of one file; models have some thousands."""

_NUMBERS: Mapping[int, str] = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
"""struct's letter for each type of a field that is a number."""
_TEXT, _ARRAY = 8, 9
_LENGTH = struct.Struct("<Q")


@dataclass(frozen=True)
class Tensor:
    """One tensor: ``shape`` outermost first, ``start`` and ``size`` in bytes of its file."""

    name: str
    shape: tuple[int, ...]
    type: str
    path: Path
    start: int
    size: int

    @property
    def parameters(self) -> int:
        """The number of parameters in it."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Header:
    """The fields and tensors of one file, in their order."""

    path: Path
    fields: Mapping[str, Any]
    tensors: tuple[Tensor, ...]


def read_header(path: Path, name: str) -> Header:
    """The header of ``path``; raises Refusal for a file that is torn or no GGUF.

    ``name`` is what messages call the model. Raises MissingExtra without the package gguf,
    which knows how large the blocks of each type are.
    """
    sizes = block_sizes()
    try:
        with path.open("rb") as file:
            if not (start := file.read(4)):
                raise Refusal(ModelCode.EMPTY_GGUF, name=name, file=path.name)
            if start != MAGIC:
                raise Refusal(ModelCode.NOT_GGUF, name=name, file=path.name)
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _Reader(data, path, name).header(sizes)
    except OSError as error:
        raise Refusal(
            ModelCode.UNREADABLE_FILE,
            name=name,
            file=path.name,
            error=Quoted(str(error.strerror)),
        ) from error


def block_sizes() -> Mapping[int, tuple[str, int, int]]:
    """Number of a type -> its name, values in a block, and bytes of a block."""
    try:
        from gguf import constants
    except ImportError:
        raise MissingExtra("llamacpp", needed_by="reading GGUF files", package="gguf") from None
    return {
        kind.value: (kind.name, values, size)
        for kind, (values, size) in constants.GGML_QUANT_SIZES.items()
    }


class _Reader:
    """A place in the bytes of a file."""

    def __init__(self, data: mmap.mmap, path: Path, name: str) -> None:
        self._data = data
        self._path = path
        self._name = name
        self._at = len(MAGIC)
        self._end = min(len(data), _MOST_BYTES)

    def header(self, sizes: Mapping[int, tuple[str, int, int]]) -> Header:
        version = self._number("I")
        if version not in _VERSIONS:
            raise Refusal(
                ModelCode.GGUF_VERSION,
                name=self._name,
                file=self._path.name,
                version=version,
                known=_VERSIONS,
            )
        tensors, entries = self._number("Q"), self._number("Q")
        if max(tensors, entries) > _MOST_ENTRIES:
            raise self._torn(
                Problem(ModelCode.TOO_MANY_ENTRIES, {"tensors": tensors, "fields": entries})
            )
        fields = {self._field_name(): self._field() for _ in range(entries)}
        infos = [self._info() for _ in range(tensors)]
        step = int(fields.get("general.alignment", _ALIGNMENT)) or _ALIGNMENT
        base = -(-self._at // step) * step
        located_tensors = tuple(self._tensor(info, base, sizes) for info in infos)
        return Header(self._path, fields, located_tensors)

    def _tensor(
        self,
        info: tuple[str, tuple[int, ...], int, int],
        base: int,
        sizes: Mapping[int, tuple[str, int, int]],
    ) -> Tensor:
        name, shape, kind, offset = info
        if kind not in sizes:
            raise Refusal(
                ModelCode.UNKNOWN_TENSOR_TYPE,
                name=self._name,
                file=self._path.name,
                tensor=name,
                type=kind,
            )
        words, values, size = sizes[kind]
        if not shape or shape[-1] % values:
            width = shape[-1] if shape else 0
            raise self._torn(
                Problem(
                    ModelCode.ROWS_NOT_IN_BLOCKS,
                    {"tensor": name, "width": width, "values": values},
                )
            )
        length = math.prod(shape) // values * size
        if base + offset + length > len(self._data):
            missing = base + offset + length - len(self._data)
            raise self._torn(Problem(ModelCode.DATA_CUT_OFF, {"tensor": name, "missing": missing}))
        return Tensor(name, shape, words, self._path, base + offset, length)

    def _info(self) -> tuple[str, tuple[int, ...], int, int]:
        not_text = Problem(ModelCode.TENSOR_NAME_NOT_TEXT, {})
        name, dimensions = self._name_or(not_text), self._number("I")
        if dimensions > _MOST_DIMENSIONS:
            raise self._torn(
                Problem(ModelCode.TOO_MANY_DIMENSIONS, {"tensor": name, "dimensions": dimensions})
            )
        # ggml counts the innermost dimension first.
        shape = tuple(reversed([self._number("Q") for _ in range(dimensions)]))
        return name, shape, self._number("I"), self._number("Q")

    def _field(self) -> Any:
        kind = self._number("I")
        try:
            return self._value(kind)
        except RecursionError:
            raise self._torn(Problem(ModelCode.FIELD_NESTED_TOO_DEEPLY, {})) from None

    def _value(self, kind: int) -> Any:
        if kind in _NUMBERS:
            return self._number(_NUMBERS[kind])
        if kind == _TEXT:
            return self._text()
        if kind == _ARRAY:
            inner, count = self._number("I"), self._number("Q")
            if inner in _NUMBERS:
                return self._numbers(_NUMBERS[inner], count)
            # Even an empty entry takes eight bytes: a count beyond that is damage.
            if inner in (_TEXT, _ARRAY) and count <= len(self._data) // 8:
                return tuple(self._value(inner) for _ in range(count))
        raise self._torn(Problem(ModelCode.UNKNOWN_FIELD_TYPE, {"type": kind}))

    def _number(self, letter: str) -> Any:
        return self._numbers(letter, 1)[0]

    def _numbers(self, letter: str, count: int) -> tuple[Any, ...]:
        start = self._at
        self._pass_to(start + struct.calcsize(f"<{letter}") * count)
        return struct.unpack_from(f"<{count}{letter}", self._data, start)

    def _text(self) -> str:
        # Tokens of byte-level vocabularies need not be whole characters.
        return self._bytes().decode("utf-8", errors="surrogateescape")

    def _field_name(self) -> str:
        return self._name_or(Problem(ModelCode.FIELD_NAME_NOT_TEXT, {}))

    def _name_or(self, not_text: Problem) -> str:
        """A name, which people are shown; ``not_text`` is the damage of one that is no UTF-8."""
        try:
            return self._bytes().decode("utf-8")
        except UnicodeDecodeError:
            raise self._torn(not_text) from None

    def _bytes(self) -> bytes:
        # Hundreds of thousands of tokens come this way.
        length = self._at
        self._pass_to(length + _LENGTH.size)
        start = self._at
        self._pass_to(start + _LENGTH.unpack_from(self._data, length)[0])
        return self._data[start : self._at]

    def _pass_to(self, end: int) -> None:
        """Counts the bytes up to ``end`` as read, if they may belong to a header."""
        if end > self._end:
            if self._end < _MOST_BYTES:
                raise self._torn(Problem(ModelCode.HEADER_CUT_OFF, {}))
            raise self._torn(Problem(ModelCode.HEADER_TOO_LONG, {"most": _MOST_BYTES}))
        self._at = end

    def _torn(self, damage: Problem) -> Refusal:
        return Refusal(ModelCode.TORN_FILE, name=self._name, file=self._path.name, damage=damage)
