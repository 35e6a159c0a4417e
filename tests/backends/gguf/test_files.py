"""GGUF files are read whole or refused: torn ones, parts, and what only looks like one."""

from __future__ import annotations

import shutil
import struct
import sys
from pathlib import Path

import gguf
import numpy as np
import pytest

from pytest_quantreg.backends.gguf.files import GgufFiles
from pytest_quantreg.backends.gguf.header import read_header
from pytest_quantreg.core.errors import Category, MissingExtra
from pytest_quantreg.report.words import words_of

from ...wording import refused, says, wrong_use
from .gguf_samples import write_gguf


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A sound file."""
    return write_gguf(tmp_path / "model.gguf", "Q8_0", file_type=7)


def test_it_reads_what_the_package_reads(path: Path) -> None:
    """Fields, shapes, types and places are those that gguf's own reader finds."""
    theirs = gguf.GGUFReader(path)
    ours = read_header(path, "model")
    kept = {name: f for name, f in theirs.fields.items() if not name.startswith("GGUF.")}
    assert set(ours.fields) == set(kept)
    for name, stored_value in kept.items():
        value = ours.fields[name]
        assert (list(value) if isinstance(value, tuple) else value) == stored_value.contents(), name
    assert [
        (tensor.name, tensor.type, tensor.shape, tensor.start, tensor.size)
        for tensor in ours.tensors
    ] == [
        (t.name, t.tensor_type.name, tuple(int(n) for n in t.shape[::-1]), t.data_offset, t.n_bytes)
        for t in theirs.tensors
    ]


def test_every_cut_is_noticed(path: Path) -> None:
    """A file that ends anywhere before its end is torn, never a smaller model."""
    whole = path.read_bytes()
    for length in [*range(4, 400, 7), *range(400, len(whole), len(whole) // 50), len(whole) - 64]:
        path.write_bytes(whole[:length])
        with refused("is torn") as caught:
            read_header(path, "model.gguf")
        assert caught.value.category is Category.UNUSABLE_MODEL


@pytest.mark.parametrize(
    ("start", "said"),
    [
        (b"", "is empty"),
        (b"PK\x03\x04 something else", "is no GGUF file"),
        (b"GGUF" + struct.pack("<I", 1), "of GGUF version 1, and 2 and 3 are read"),
        (b"GGUF" + struct.pack(">I", 3), "byte order of another machine"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1 << 60), "is torn"),
    ],
)
def test_what_is_no_model(tmp_path: Path, start: bytes, said: str) -> None:
    """Other files, other versions and nonsense are told apart."""
    path = tmp_path / "odd.gguf"
    path.write_bytes(start)
    with refused(said):
        read_header(path, "odd.gguf")


def test_unknown_types_ask_for_a_newer_package(path: Path) -> None:
    """A type that gguf does not know yet is no damage."""
    raw = path.read_bytes()
    name = b"blk.0.attn_q.weight"
    at = raw.index(name) + len(name) + 4 + 2 * 8
    path.write_bytes(raw[:at] + struct.pack("<I", 999) + raw[at + 4 :])
    with refused("of type 999, which the installed gguf does not know"):
        read_header(path, "model.gguf")


def test_without_the_package(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line says which extra is missing."""
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(MissingExtra) as caught:
        read_header(path, "model.gguf")
    assert "reading GGUF files needs the package 'gguf'" in says(caught.value)


def test_a_changed_file_is_read_again(path: Path) -> None:
    """What is remembered of a file holds as long as the file does not change."""
    files = GgufFiles()
    before = files.open(str(path))
    assert files.open(str(path)) is before
    write_gguf(path, "F16")
    assert {tensor.type for tensor in files.open(str(path)).tensors} == {"F16", "F32"}


def test_other_things_than_files(tmp_path: Path, path: Path) -> None:
    """Folders and hub ids are answered with what to do instead."""
    with wrong_use("is a folder, and a model") as caught:
        GgufFiles().open(str(tmp_path))
    assert "model.gguf" in words_of(caught.value.problem).help[0]
    (tmp_path / "hf").mkdir()
    with wrong_use("folder without GGUF files") as caught:
        GgufFiles().open(str(tmp_path / "hf"))
    assert "convert_hf_to_gguf.py hf" in words_of(caught.value.problem).help[1]
    with refused("there is no such file"):
        GgufFiles().open(str(tmp_path / "absent.gguf"))
    with wrong_use("downloads none"):
        GgufFiles().open("org/name")


def test_models_in_parts(tmp_path: Path, path: Path) -> None:
    """The first part stands for all; another one, or one that is missing, is refused."""
    first, second = (tmp_path / f"m-0000{at}-of-00002.gguf" for at in (1, 2))
    shutil.copyfile(path, first)
    with refused(r"m-00002-of-00002.gguf is missing"):
        GgufFiles().open(str(first))
    writer = gguf.GGUFWriter(second, "llama")
    writer.add_uint16("split.count", 2)
    writer.add_tensor("more.weight", np.zeros((4, 4), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    model = GgufFiles().open(str(first))
    assert model.tensors[-1].name == "more.weight"
    assert model.size == first.stat().st_size + second.stat().st_size
    with wrong_use("not the first of 2 parts"):
        GgufFiles().open(str(second))


def test_adapters_and_vocabularies_are_no_models(tmp_path: Path) -> None:
    """Files of other kinds are called by their kind."""
    adapter = write_gguf(tmp_path / "lora.gguf", fields={"general.type": "adapter"})
    with refused("it holds no model but: adapter"):
        GgufFiles().open(str(adapter))


NAME = struct.pack("<Q", 20) + b"general.architecture"


def beginning(fields: int, body: bytes) -> bytes:
    """A header of so many fields and no tensors, up to where ``body`` ends."""
    return b"GGUF" + struct.pack("<IQQ", 3, 0, fields) + body


@pytest.mark.parametrize(
    ("start", "said"),
    [
        (
            beginning(1, NAME + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 100_000),
            "arrays in it are nested too deeply",
        ),
        (beginning(1, struct.pack("<Q", 2) + b"\xff\xfe"), "the name of a field is not UTF-8"),
        (
            b"GGUF" + struct.pack("<IQQ", 3, 1, 0) + struct.pack("<Q", 2) + b"\xff\xfe",
            "the name of a tensor is not UTF-8",
        ),
        (beginning(1 << 40, b""), "it counts 0 tensors and 1,099,511,627,776 fields"),
    ],
)
def test_headers_that_no_tool_writes(tmp_path: Path, start: bytes, said: str) -> None:
    """They are torn, in one line that can be printed."""
    path = tmp_path / "odd.gguf"
    path.write_bytes(start + bytes(64))
    with refused(f"is torn: {said}") as caught:
        read_header(path, "odd.gguf")
    assert says(caught.value).encode()


def test_a_header_without_end_is_not_read_to_its_end(tmp_path: Path) -> None:
    """An array of billions of numbers would fill the memory: no header is as long as that."""
    path = tmp_path / "odd.gguf"
    path.write_bytes(beginning(1, NAME + struct.pack("<IIQ", 9, 0, 20 << 30)))
    with path.open("r+b") as file:
        file.truncate(40 << 30)
    with refused("its header has more than 268,435,456 bytes"):
        read_header(path, "odd.gguf")


def test_an_architecture_that_cannot_be_shown(tmp_path: Path) -> None:
    """Bytes that are no text, and commands to a terminal, name no architecture."""
    for name in (b"\xff\xfe", b"\x1b[2J"):
        value = struct.pack("<IQ", 8, len(name)) + name
        path = tmp_path / "odd.gguf"
        path.write_bytes(beginning(1, NAME + value) + bytes(64))
        with refused("it names no architecture"):
            GgufFiles().open(str(path))


def test_a_folder_that_may_not_be_entered(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's answer becomes the one line, also where it comes before the file is opened."""

    def closed(self: Path, **_: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "stat", closed)
    with refused(r"model\.gguf: it cannot be read: Permission denied"):
        GgufFiles().open(str(path))
