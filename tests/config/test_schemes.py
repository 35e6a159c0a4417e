"""[tool.quantreg.schemes] of a pyproject.toml: what it may say, and how a mistake is told."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from pytest_quantreg.config.schemes import ProjectSchemes, nearest_file, read_file

from ..wording import says, wrong_use

T = "pyproject.toml [tool.quantreg.schemes.ours]"


def read(tmp_path: Path, text: str) -> ProjectSchemes:
    """What a file with this text says."""
    path = tmp_path / "pyproject.toml"
    path.write_text(dedent(text), "utf-8")
    return read_file(path)


def ours(tmp_path: Path, *lines: str) -> ProjectSchemes:
    """What a table about the scheme ``ours`` says."""
    return read(tmp_path, "\n".join(["[tool.quantreg.schemes.ours]", *lines]))


def test_a_scheme_like_another(tmp_path: Path) -> None:
    """Every field, read as written; ``like`` may be any spelling, with suffixes."""
    project = ours(
        tmp_path,
        'like = "INT4-W4A16-AWQ"',
        'title = "tuned on our texts"',
        'aliases = ["o4", "our_4"]',
        'checkpoint = "org/ours@v2"',
        "retention = 0.975",
        'source = "report of May"',
    )
    (scheme,) = project.catalogue.project_schemes
    assert (scheme.name, scheme.claims, scheme.makeable) == ("ours", "w4a16-int4-awq", True)
    assert (scheme.title, scheme.aliases) == ("tuned on our texts", ("o4", "our_4"))
    assert (scheme.retention, scheme.source) == (0.975, "report of May")
    ref = project.checkpoint("ours", None)
    assert ref is not None
    assert (ref.ref, ref.revision) == ("org/ours", "v2")


@pytest.mark.parametrize(
    ("lines", "claims", "makeable"),
    [
        (
            ['weights = {type = "int", bits = 3, granularity = "group", group_size = 64}'],
            "int3 in groups of 64 weights",
            False,
        ),
        (
            ['weights = {type = "int", bits = 4, granularity = "group", group_size = 64}'],
            "w4a16-int4",
            False,
        ),
        (
            ['weights = {type = "int", bits = 4, granularity = "group", group_size = 128}'],
            "w4a16-int4",
            True,
        ),
        (
            [
                'weights = {type = "float", bits = 8, granularity = "channel"}',
                'activations = {type = "float", bits = 8, granularity = "token", dynamic = true}',
                'kv_cache = {type = "float", bits = 8, granularity = "tensor"}',
            ],
            "w8a8-fp8+kv-fp8",
            True,
        ),
        (
            [
                'weights = {type = "float", bits = 4, granularity = "group", scale = "e8m0"}',
                'activations = {type = "int", bits = 8, granularity = "token"}',
            ],
            "mxfp4 in groups weights with int8 per token activations",
            False,
        ),
    ],
)
def test_schemes_written_out(tmp_path: Path, lines: list[str], claims: str, makeable: bool) -> None:
    """Data that has a name claims it, other data its own words; only a built-in's is made."""
    (scheme,) = ours(tmp_path, *lines).catalogue.project_schemes
    assert (scheme.claims, scheme.makeable) == (claims, makeable)


WEIGHTS = 'weights = {type = "int", bits = 3, granularity = "group"}'


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ["lik = 'fp8'"],
            f"{T} lik: no such key, allowed are like, weights, *; did you mean like?",
        ),
        ([], f"{T}: neither like nor weights says what it is"),
        (["title = 'x'"], f"{T}: neither like nor weights says what it is"),
        (["like = 'w4a61'"], f"{T} like = 'w4a61': unknown scheme 'w4a61'\n  nearest: w4a16*"),
        (["like = 'bf16'"], f"{T} like = 'bf16': bf16 is not a quantized scheme"),
        (["like = 4"], f"{T} like = 4: allowed is a text"),
        (["like = ''"], f"{T} like = '': allowed is a text"),
        (["like = 'fp8'", WEIGHTS], f"{T}: like says what weights says too"),
        (["weights = 4"], f"{T} weights = 4: allowed is a table"),
        (["weights = {type = 'int'}"], f"{T} weights: bits, granularity is missing"),
        (
            ["weights = {type = 'itn', bits = 3, granularity = 'group'}"],
            f"{T} weights type = 'itn': allowed are int, float; did you mean int?",
        ),
        (
            ["weights = {type = 'int', bits = 3, granularity = 'rows'}"],
            f"{T} weights granularity = 'rows': allowed are tensor, channel, token, group, block",
        ),
        (
            ["weights = {type = 'int', bits = 9, granularity = 'group'}"],
            f"{T} weights bits = 9: allowed is a whole number from 1 to 8",
        ),
        (
            ["weights = {type = 'int', bits = true, granularity = 'group'}"],
            f"{T} weights bits = True: allowed is a whole number*",
        ),
        (
            ["weights = {type = 'int', bits = 3, granularity = 'channel', group_size = 8}"],
            f"{T} weights group_size = 8: allowed is a whole number, 1 or more, where gran*",
        ),
        (
            ["weights = {type = 'int', bits = 3, granularity = 'group', dynamic = 1}"],
            f"{T} weights dynamic = 1: allowed are true and false",
        ),
        (
            ["weights = {type = 'int', bits = 3, granularity = 'group', scale = 'fp8'}"],
            f"{T} weights scale = 'fp8': allowed are float, e4m3, e8m0",
        ),
        (
            ["weights = {type = 'int', bits = 3, granularity = 'group', groups = 8}"],
            f"{T} weights groups: no such key, allowed are type, *; did you mean group_size?",
        ),
        (
            [WEIGHTS, "kv_cache = {type = 'int', bits = 8, granularity = 'tensor'}"],
            f"{T} kv_cache: int in 8 bits is not known\n  allowed is fp8*",
        ),
        (["like = 'fp8'", "retention = 97"], f"{T} retention = 97: allowed is a share*mean 0.97?"),
        (["like = 'fp8'", "retention = '1'"], f"{T} retention = '1': allowed is a share such as*"),
        (["like = 'fp8'", "retention = 0.9"], f"{T}: retention and source go together*"),
        (["like = 'fp8'", "source = 'us'"], f"{T}: retention and source go together*"),
        (["like = 'fp8'", "aliases = 'o'"], f"{T} aliases = 'o': allowed is a list of names*"),
        (["like = 'fp8'", "aliases = ['a b']"], f"{T} aliases = *: allowed is a list of names*"),
        (["like = 'fp8'", "aliases = ['AWQ']"], f"{T} aliases: 'AWQ' is built in already, as w4*"),
        (["like = 'fp8'", "aliases = ['Ours']"], None),
        (["like = 'fp8'", "checkpoint = 4"], f"{T} checkpoint = 4: allowed is a REF, or a table*"),
        (["like = 'fp8'", "checkpoint = {}"], f"{T} checkpoint = *: allowed is a REF, or a table*"),
        (["like = 'fp8'", "checkpoint = {a = 4}"], f"{T} checkpoint = *: allowed is a REF*"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, lines: list[str], message: str | None) -> None:
    """File, table, key and value, what is allowed, and the nearest; one alias too many is none."""
    if message is None:
        assert ours(tmp_path, *lines).catalogue.project_schemes[0].aliases == ("Ours",)
        return
    with wrong_use() as caught:
        ours(tmp_path, *lines)
    pattern = re.escape(message).replace(r"\*", ".*")
    assert re.match(pattern, says(caught.value), re.DOTALL), says(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[tool.quantreg]\nscheme = 1",
            "[tool.quantreg] scheme: no such key, allowed are schemes;",
        ),
        ("[tool]\nquantreg = 1", "pyproject.toml [tool.quantreg] = 1: allowed is a table"),
        ("[tool.quantreg]\nschemes = []", "[tool.quantreg.schemes] = []: allowed is a table"),
        ("[tool.quantreg.schemes]\nours = 'fp8'", f"{T} = 'fp8': allowed is a table"),
        ("[tool.quantreg.schemes.'a b']\nlike = 'fp8'", "a b]: allowed in a name are letters"),
        ("[tool.quantreg.schemes.'x+kv-fp8']\nlike = 'fp8'", "allowed in a name are letters"),
        ("[tool.quantreg.schemes.w8a8-fp8]\nlike = 'int8'", "fp8] like: w8a8-fp8 is built in and"),
        ("[tool.quantreg.schemes.FP8]\ntitle = 'x'", "FP8, which is w8a8-fp8, is built in and"),
        ("[tool.quantreg.schemes.bf16]\ncheckpoint = 'x'", "bf16 is built in, and quantizes noth"),
        (
            "[tool.quantreg.schemes.fp8]\ncheckpoint = 'x'\n"
            "[tool.quantreg.schemes.w8a8-fp8]\ncheckpoint = 'y'",
            "schemes.w8a8-fp8]: another table is about w8a8-fp8 too",
        ),
        (
            "[tool.quantreg.schemes.our-a]\nlike = 'fp8'\n[tool.quantreg.schemes.A_OUR]\n"
            "like = 'int8'",
            "schemes.A_OUR]: 'A_OUR' is our-a already",
        ),
        (
            "[tool.quantreg.schemes.a]\nlike = 'fp8'\naliases = ['z']\n"
            "[tool.quantreg.schemes.b]\nlike = 'int8'\naliases = ['z']",
            "schemes.b]: 'z' is a already",
        ),
        ("[tool.quantreg", "pyproject.toml cannot be read"),
    ],
)
def test_tables_that_clash(tmp_path: Path, text: str, message: str) -> None:
    """Built-in names are not redefined, names are there once, and a torn file is told."""
    with wrong_use() as caught:
        read(tmp_path, text)
    assert message in says(caught.value)


def test_files_without_schemes(tmp_path: Path) -> None:
    """No file, no tool of ours, no schemes: nothing is defined."""
    for project in (
        read_file(tmp_path / "pyproject.toml"),
        read(tmp_path, ""),
        read(tmp_path, "[project]\nname = 'x'"),
        read(tmp_path, "[tool.other]\nschemes = 1"),
        read(tmp_path, "[tool.quantreg]"),
    ):
        assert (project.catalogue.project_schemes, project.checkpoints) == ((), {})


def test_checkpoints_of_built_in_schemes(tmp_path: Path) -> None:
    """A table of a built-in scheme gives its checkpoint, under any of its names."""
    (tmp_path / "models" / "fp8").mkdir(parents=True)
    project = read(
        tmp_path,
        """
        [tool.quantreg.schemes.fp8]
        checkpoint = "models/fp8"
        [tool.quantreg.schemes."w8a8-fp8+kv-fp8"]
        checkpoint = "./models/none"
        """,
    )
    ref = project.checkpoint("w8a8-fp8", None)
    assert ref is not None
    assert ref.ref == str(tmp_path / "models" / "fp8")
    assert project.checkpoint("w8a8-int8", None) is None
    with wrong_use(r"checkpoint=\./models/none: no such folder") as told:
        project.checkpoint("w8a8-fp8+kv-fp8", None)
    assert str(tmp_path) in says(told.value)


def test_checkpoints_by_model(tmp_path: Path) -> None:
    """Of several models each has its own; one without an entry is never made in silence."""
    project = ours(
        tmp_path, 'like = "fp8"', 'checkpoint = {"org/a" = "org/a-fp8", b = "org/b-fp8"}'
    )
    checkpoints = project.checkpoint("ours", "org/a"), project.checkpoint("ours", "b")
    assert [checkpoint.ref if checkpoint is not None else "" for checkpoint in checkpoints] == [
        "org/a-fp8",
        "org/b-fp8",
    ]
    with wrong_use("ours] checkpoint has no entry for org/c") as caught:
        project.checkpoint("ours", "org/c")
    assert "it knows org/a, b" in says(caught.value)
    assert "--quant-checkpoint=ours=REF" in says(caught.value)
    with wrong_use("goes by model, and no model is named"):
        project.checkpoint("ours", None)


def test_the_nearest_file_counts(tmp_path: Path) -> None:
    """The command reads the pyproject.toml of its folder or of the first above with one."""
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "pyproject.toml").touch()
    assert nearest_file(inner) == tmp_path / "pyproject.toml"
    (tmp_path / "a" / "pyproject.toml").touch()
    assert nearest_file(inner) == tmp_path / "a" / "pyproject.toml"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: path.write_text(f"a = {'[' * 100_000}{']' * 100_000}"), "nested too deeply"),
        (lambda path: path.write_bytes(b"\xff\xfea\0"), "codec can't decode"),
        (lambda path: os.truncate(path, 100 << 30), "has 107,374,182,400 bytes"),
    ],
)
def test_a_file_that_is_none(tmp_path: Path, spoil: Callable[[Path], object], said: str) -> None:
    """Each is one line that names the file; a huge one is not read."""
    path = tmp_path / "pyproject.toml"
    path.touch()
    spoil(path)
    with wrong_use(rf"pyproject\.toml cannot be read: .*{said}"):
        read_file(path)
