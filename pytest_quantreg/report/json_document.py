"""A report to and from its JSON document, checked against the schema both ways."""

from __future__ import annotations

import json
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..baselines.atomic_files import read_whole
from ..baselines.json_values import known_fields, to_plain
from ..baselines.sealed_document import Document, SealedDocument, version_of
from ..core.codes import CommandCode, StoredCode
from ..core.errors import WrongUse
from ..core.facts import Problem
from ..core.records.outcome_row import OutcomeRow
from ..core.strict_json import CorruptFile, digest_of, dump_readable, parse
from .session_report import Report, Session
from .summary import excused_gates


def _to_1_1(document: Document) -> Document:
    """1.1 may name failed gates that an xfail excused, and lost metrics that no gate judges."""
    upgraded: Document = {**document, "schema_version": "1.1"}
    upgraded["digest"] = digest_of(upgraded)
    return upgraded


FORM = SealedDocument(
    (1, 1),
    Path(__file__).parent / "schema" / "report-1.json",
    MappingProxyType({(1, 0): _to_1_1}),
    changed=Problem(StoredCode.CHANGED_AFTER_WRITTEN, {}),
)

MAX_REPORT = 256 * 1024 * 1024
"""Bytes of a file that is read."""


def encode(report: Report) -> bytes:
    """The document in bytes. Raises CorruptFile for what a reader would refuse."""
    document = to_document(report)
    FORM.validate(document)
    return dump_readable(document)


def to_document(report: Report) -> Document:
    """What the file says, the conclusion and what was excused first, a digest of it all last."""
    excused = excused_gates(report.outcomes)
    return FORM.seal(
        {
            "conclusion": report.conclusion,
            **({"excused": excused} if excused else {}),
            "session": {**to_plain(report.session), "ending": report.session.ending()},
            "outcomes": [outcome.to_plain() for outcome in report.outcomes],
            "closing": list(report.lines),
            "runs": [dict(run) for run in report.runs],
        }
    )


def is_document(data: bytes) -> bool:
    """Whether these are the bytes of a report, sound or not, by the names of its fields."""
    try:
        parsed = json.loads(data)
    except (ValueError, RecursionError):
        return False
    fields = {"schema_version", "conclusion", "session", "outcomes"}
    return isinstance(parsed, dict) and fields <= parsed.keys()


def decode(data: bytes) -> Document:
    """The validated document in the bytes of a file. Raises CorruptFile for anything else.

    Fields of a newer minor version stay in it; a newer major version is refused.
    """
    parsed = parse(data)
    if isinstance(parsed, dict) and not {"session", "outcomes"} <= parsed.keys():
        raise CorruptFile(CommandCode.NO_SESSION)
    document = FORM.unseal(parsed)
    if version_of(document) == FORM.current:
        _check_conclusion(document)
    return document


def to_report(document: Any) -> Report:
    """The value that a validated document spells out; what it has no name for is left out."""
    session: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in known_fields(Session, document["session"]).items()
    }
    return Report(
        Session(**session),
        tuple(OutcomeRow.from_plain(plain) for plain in document["outcomes"]),
        tuple(document["closing"]),
        tuple(document.get("runs", ())),
    )


def read(path: Path, label: str) -> Document:
    """Read the document in a file, called ``label`` in errors. Raises WrongUse where it is none."""
    try:
        return decode(read_whole(path, MAX_REPORT))
    except FileNotFoundError:
        raise WrongUse(CommandCode.NO_SUCH_REPORT, report=label) from None
    except CorruptFile as error:
        other = path.is_file() and path.suffix != ".json"
        if other and error.problem.code is not CommandCode.NO_SESSION:
            raise WrongUse(
                CommandCode.NOT_A_JSON_REPORT, report=label, cause=error.problem
            ) from None
        raise WrongUse(CommandCode.UNUSABLE_REPORT, report=label, cause=error.problem) from None


def _check_conclusion(document: Any) -> None:
    follows = to_report(document).conclusion
    if document["conclusion"] != follows:
        raise CorruptFile(
            CommandCode.OTHER_CONCLUSION, said=document["conclusion"], follows=follows
        )
