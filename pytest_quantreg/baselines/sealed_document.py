"""Stored documents: sealed by a digest, of a version that is understood, valid by their schema."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar

from jsonschema import Draft202012Validator

from ..core.codes import Category, StoredCode
from ..core.errors import Refusal
from ..core.facts import Problem, Quoted
from ..core.records.run import Json
from ..core.strict_json import CorruptFile, digest_of, parse

Version: TypeAlias = "tuple[int, int]"
Document: TypeAlias = "dict[str, Json]"
Step: TypeAlias = "Callable[[Document], Document]"
K = TypeVar("K")

_CHANGED = Problem(StoredCode.CHANGED_AFTER_RECORDED, {})
_VERSION = re.compile(r"([1-9][0-9]{0,5})\.(0|[1-9][0-9]{0,5})")


@dataclass(frozen=True)
class SealedDocument:
    """One kind of document: its present version, its schema, and how older versions get there.

    ``steps`` has a function per older version, which takes a document of that version and
    returns one of a later. ``changed`` is what a document is whose digest does not fit.
    """

    current: Version
    schema: Path
    steps: Mapping[Version, Step] = field(default_factory=dict)
    changed: Problem = _CHANGED

    def seal(self, fields: Mapping[str, Any]) -> Document:
        """The document of these fields, its version first and its digest last."""
        document: Document = {"schema_version": version_text(self.current), **fields}
        document["digest"] = digest_of(document)
        return document

    def open(self, data: bytes) -> Document:
        """The document in the bytes of a file, at this version or a newer minor one.

        Raises CorruptFile for all but what `seal` made, and for a newer major version.
        """
        return self.unseal(parse(data))

    def unseal(self, document: Json) -> Document:
        """The same of JSON that is parsed already."""
        if not isinstance(document, dict):
            raise CorruptFile(StoredCode.NOT_AN_OBJECT)
        self._refuse_newer(document)
        if document.get("digest") != digest_of(document):
            raise CorruptFile.of(self.changed)
        document = self.upgrade(document)
        self.validate(document)
        return document

    def upgrade(self, document: Document) -> Document:
        """The document at the current or a newer minor version; steps run one by one.

        Raises CorruptFile for a newer major version and for one that no step leads on from.
        """
        version = self._refuse_newer(document)
        while version < self.current:
            step = self.steps.get(version)
            if step is None:
                raise CorruptFile(StoredCode.SCHEMA_TOO_OLD, version=version_text(version))
            document = step(dict(document))
            after = version_of(document)
            if after <= version:
                raise RuntimeError(f"the upgrade step from {version_text(version)} leads nowhere")
            version = after
        return document

    def validate(self, document: Document) -> None:
        """Raises CorruptFile with the first violation of the schema, and where it is.

        Fields and columns that the schema does not know are passed over where a newer minor
        version wrote them; in a document of this very version they are a violation.
        """
        newer = version_of(document) > self.current
        try:
            for error in _validator(self.schema).iter_errors(document):
                if newer and _is_new(error):
                    continue
                where = ".".join(str(part) for part in error.absolute_path)
                violation = Quoted(_shortened(error.message))
                raise CorruptFile(StoredCode.BREAKS_SCHEMA, where=where, violation=violation)
        except RecursionError:
            raise CorruptFile(StoredCode.NESTED_TOO_DEEPLY) from None

    def refuse_rewriting(self, data: bytes) -> None:
        """Raises CorruptFile where a file of a newer version, minor too, would be written again.

        What this version has no name for would be lost. Whatever is no document passes.
        """
        try:
            document = parse(data)
            version = version_of(document) if isinstance(document, dict) else self.current
        except CorruptFile:
            return
        if version > self.current:
            raise CorruptFile(
                StoredCode.WRITTEN_BY_NEWER,
                version=version_text(version),
                current=version_text(self.current),
            )

    def _refuse_newer(self, document: Document) -> Version:
        version = version_of(document)
        if version[0] > self.current[0]:
            raise CorruptFile(
                StoredCode.NEWER_SCHEMA, version=version_text(version), major=self.current[0]
            )
        return version


@dataclass(frozen=True)
class Codec(Generic[K]):
    """How runs of one kind lie in files: the document, its most bytes, its key and its layout."""

    kind: SealedDocument
    max_bytes: int
    key_of: Callable[[Document], K]
    dump: Callable[[Document], bytes]

    def encode(self, key: K, fields: Mapping[str, Any]) -> bytes:
        """The bytes of a file. Raises CorruptFile for what a reader would refuse."""
        document = self.kind.seal(fields)
        self.kind.validate(document)
        if self.key_of(document) != key:
            raise CorruptFile(StoredCode.KEY_NOT_READ_BACK)
        return self.dump(document)

    def decode(self, key: K, data: bytes) -> Document:
        """The document in the bytes of a file. Raises CorruptFile for all but one of ``key``."""
        document = self.kind.open(data)
        stored = self.key_of(document)
        if stored != key:
            raise CorruptFile(StoredCode.FILED_UNDER_ANOTHER_KEY, stored=str(stored), key=str(key))
        return document


@contextmanager
def storing(key: object, *, empty: bool) -> Iterator[None]:
    """Refuses to store what raises CorruptFile or ValueError in the body."""
    try:
        yield
    except ValueError as error:
        cause = error.problem if isinstance(error, CorruptFile) else Quoted(str(error))
        problem = Problem(StoredCode.NOT_STORABLE, {"key": str(key), "cause": cause})
        raise Refusal.of(problem, Category.NOTHING_MEASURED if empty else None) from None


def version_of(document: Document) -> Version:
    """``schema_version`` as numbers; raises CorruptFile when it is none."""
    text = document.get("schema_version")
    match = _VERSION.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise CorruptFile(StoredCode.NO_SCHEMA_VERSION)
    return int(match[1]), int(match[2])


def version_text(version: Version) -> str:
    """A version as documents hold it: ``1.2``."""
    return f"{version[0]}.{version[1]}"


def _is_new(error: Any) -> bool:
    """Whether a violation is something that this version has no name for."""
    column = error.validator == "pattern" and list(error.absolute_path)[:2] == ["items", "columns"]
    return column or error.validator == "additionalProperties"


def _shortened(message: str) -> str:
    return message if len(message) <= 160 else f"{message[:90]} ... {message[-60:]}"


@cache
def _validator(schema: Path) -> Any:
    return Draft202012Validator(json.loads(schema.read_text(encoding="utf-8")))
