"""The JSON report: what is written is read again as it was, and anything else is refused."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from jsonschema import Draft202012Validator

from pytest_quantreg.core.records.outcome_row import Context, OtherLoss, OutcomeRow, SpeedFigures
from pytest_quantreg.core.strict_json import CorruptFile, digest_of, dump_readable
from pytest_quantreg.report.json_document import FORM, decode, encode, read, to_report
from pytest_quantreg.report.session_report import CONCLUSIONS, PURPOSES, Session

from ..wording import corrupt, wrong_use
from .report_samples import EVERY, IS_RECORDED, IS_REFUSED, KEEPS, LOSES, report

MUTATIONS = 2000

SCHEMA = json.loads(FORM.schema.read_text("utf-8"))


def edited(change: Callable[[Any], object]) -> bytes:
    """A written report in which ``change`` has changed the document."""
    document = json.loads(encode(report(*EVERY)))
    change(document)
    document["digest"] = digest_of(document)
    return json.dumps(document).encode()


def test_a_report_is_read_as_it_was_written() -> None:
    """Every field of session and outcomes survives, and the conclusion follows from them."""
    other = OtherLoss("t", "f1,none", 0.9, 0.975, 0.8, 0.6, 0.75, 0.7, 0.8, 400)
    for outcomes in (EVERY, (IS_RECORDED,), (), (replace(KEEPS, also_lost=(other,)),)):
        made = report(*outcomes, lines=("loaded: tiny once",))
        restored = to_report(decode(encode(made)))
        assert restored == made
        assert restored.conclusion == made.conclusion


def test_the_schema_is_one_and_names_every_field() -> None:
    """The schema is valid itself, and knows exactly the fields that the values have."""
    Draft202012Validator.check_schema(SCHEMA)
    kinds = {
        "outcome": OutcomeRow,
        "context": Context,
        "speed": SpeedFigures,
        "other_loss": OtherLoss,
    }
    for name, kind in kinds.items():
        assert set(SCHEMA["$defs"][name]["properties"]) == {field.name for field in fields(kind)}
    named = set(SCHEMA["$defs"]["session"]["properties"])
    assert named == {field.name for field in fields(Session)} | {"ending"}
    assert tuple(SCHEMA["properties"]["conclusion"]["enum"]) == CONCLUSIONS
    assert tuple(SCHEMA["$defs"]["session"]["properties"]["purpose"]["enum"]) == PURPOSES


def test_others_can_check_it_with_the_schema() -> None:
    """A validator of JSON Schema accepts what is written, without our code."""
    jsonschema.validate(json.loads(encode(report(*EVERY))), SCHEMA, cls=Draft202012Validator)


def test_no_number_that_is_none_is_written() -> None:
    """Infinity and NaN in figures become null, and the file is JSON to a strict reader."""
    odd = replace(KEEPS, high=math.inf, retention=math.nan)
    document = decode(encode(report(odd)))
    assert isinstance(document["outcomes"], list)
    [outcome] = document["outcomes"]
    assert isinstance(outcome, dict)
    assert outcome["high"] is outcome["retention"] is None


def _at(*path: str | int, to: Any) -> Callable[[Any], object]:
    def change(document: Any) -> None:
        for step in path[:-1]:
            document = document[step]
        document[path[-1]] = to

    return change


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (_at("conclusion", to="green"), "contradicts itself: it says green, and its .* say red"),
        (_at("conclusion", to="fine"), "breaks the schema: conclusion"),
        (_at("schema_version", to="2.0"), r"has schema 2\.0; this pytest-quantreg reads up to 1"),
        (_at("schema_version", to=1), "has no schema_version"),
        (_at("extra", to=1), "breaks the schema: the file: .*'extra'"),
        (_at("outcomes", 0, "extra", to=1), r"breaks the schema: outcomes\.0: .*'extra'"),
        (_at("outcomes", 0, "result", to="fine"), r"breaks the schema: outcomes\.0\.result"),
        (_at("outcomes", 0, "n", to=-1), r"breaks the schema: outcomes\.0\.n"),
        (_at("outcomes", 0, "n", to="many"), r"breaks the schema: outcomes\.0\.n"),
        (_at("outcomes", 0, "fails", to=None), r"breaks the schema: outcomes\.0\.fails"),
        (_at("session", "confidence", to=95), r"breaks the schema: session\.confidence"),
        (_at("session", "started_at", to="today"), r"breaks the schema: session\.started_at"),
        (lambda document: document.pop("closing"), "'closing' is a required property"),
        (lambda document: document.pop("session"), "is no report of a session"),
    ],
)
def test_what_is_wrong_is_refused(change: Callable[[Any], object], why: str) -> None:
    """Wrong values, missing and unknown fields and a conclusion that does not follow."""
    with corrupt(why):
        decode(edited(change))


def test_an_older_minor_version_is_read() -> None:
    """A report of 1.0, which knew no metrics beside the judged one, is of 1.1 when shown again."""

    def older(document: Any) -> None:
        document["schema_version"] = "1.0"
        for outcome in document["outcomes"]:
            del outcome["also_lost"], outcome["unjudged"]

    document = decode(edited(older))
    assert document["schema_version"] == "1.1"
    assert to_report(document) == report(*EVERY)
    assert decode(dump_readable(document)) == document


def test_a_newer_minor_version_is_read_and_kept() -> None:
    """Its unknown fields are passed over, and stay in the document."""

    def newer(document: Any) -> None:
        document["schema_version"] = "1.7"
        document["novelty"] = [{"items": 3}]
        document["outcomes"][0]["novel"] = {"deep": True}
        document["session"]["shard"] = 2

    document: Any = decode(edited(newer))
    assert document["novelty"] == [{"items": 3}]
    assert document["outcomes"][0]["novel"] == {"deep": True}
    assert to_report(document) == report(*EVERY)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "is empty"),
        (b"[]", "is not a JSON object"),
        (b'{"a": NaN}', "holds NaN"),
        (b'{"a": 1, "a": 2}', "names 'a' twice"),
        (b"[" * 100_000, "is nested too deeply"),
        (b"\x00\x01", "is a binary file"),
        ('{"session": 1}'.encode("utf-16"), "is UTF-16 text"),
        (b'{"session": {}, "outcomes": []}', "has no schema_version"),
        (b'{"key": {}, "schema_version": "1.1"}', "is no report of a session"),
    ],
)
def test_what_is_no_report_is_refused(data: bytes, why: str) -> None:
    """Other files, also stored baselines, with what they are instead."""
    with corrupt(why):
        decode(data)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing file and a folder are told under the name that was typed."""
    with wrong_use(r"^run\.json: no such file$"):
        read(tmp_path / "run.json", "run.json")
    with wrong_use(r"^here is a folder, not a file$"):
        read(tmp_path, "here")
    (tmp_path / "run.md").write_text("## GREEN")
    with wrong_use(r"^run\.md is not valid JSON(?s:.*)PATH\.json writes one$"):
        read(tmp_path / "run.md", "run.md")


def test_what_was_changed_is_refused() -> None:
    """One digit of a figure is enough."""
    data = encode(report(*EVERY))
    with corrupt(r"was changed after it was written \(its digest"):
        decode(data.replace(b"0.9931", b"0.9932", 1))


def test_mutated_files_are_refused() -> None:
    """2,000 damaged files: no crash, and none that is taken for a report."""
    chance = random.Random(7)
    good = encode(report(KEEPS, LOSES, IS_REFUSED))
    for _ in range(MUTATIONS):
        data = bytearray(good)
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(data))
            way = chance.randrange(3)
            if way == 0:
                data[at] ^= chance.randrange(1, 256)
            elif way == 1:
                del data[at : at + chance.randint(1, 40)]
            else:
                data[at:at] = good[chance.randrange(len(good)) :][: chance.randint(1, 40)]
        try:
            decoded = decode(bytes(data))
        except CorruptFile:
            continue
        # White space between fields carries nothing.
        assert decoded == decode(good)
