"""A run inside another document, such as a report: its two files as values of one object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.codes import StoredCode
from ..core.records.run import Json, Run
from ..core.strict_json import CorruptFile, dump_readable, parse
from . import rows
from .document import encode_run, key_of, metrics_of, rows_of, to_run
from .key import BaselineKey
from .versions import RUN


def pack(key: BaselineKey, run: Run) -> dict[str, Json]:
    """``meta`` as the store's file has it, ``items`` the rows as text."""
    item_bytes, (meta, _) = encode_run(key, run)
    return {"meta": parse(meta), "items": item_bytes.decode()}


def digest(key: BaselineKey, run: Run) -> str:
    """The digest that the run carries once it is stored."""
    _, (meta, _) = encode_run(key, run)
    return str(RUN.open(meta)["digest"])


def unpack(packed: Mapping[str, Any]) -> tuple[BaselineKey, Run]:
    """What `pack` was given. Raises CorruptFile for anything but that, and for a newer version."""
    meta = dump_readable(packed["meta"])
    document = RUN.open(meta)
    RUN.refuse_rewriting(meta)
    info = rows_of(document)
    data = rows.matches(packed["items"].encode(), info)
    if data is None:
        raise CorruptFile(StoredCode.OTHER_ITEMS_MEASURED, count=info.count)
    return key_of(document), to_run(document, rows.decode(data, info, metrics_of(document)))
