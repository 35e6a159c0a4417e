"""JSON in folders of models: what no two readers agree on is refused in one clear line."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_quantreg.backends.checkpoint import plain_json
from pytest_quantreg.backends.checkpoint.headers import inspect
from pytest_quantreg.backends.checkpoint.identity import FileDigests
from pytest_quantreg.backends.checkpoint_cache import MANIFEST, is_whole
from pytest_quantreg.core.errors import Category
from pytest_quantreg.report.words import words_of

from ...wording import refused

DEEP = "[" * 100_000 + "]" * 100_000
ODD = [
    (DEEP.encode(), "nested too deeply"),
    (f'{{"a": {DEEP}}}'.encode(), "nested too deeply"),
    (b'{"a": 1, "b": {"c": 1, "c": 2}}', "names 'c' twice"),
    (b'{"a": NaN}', "holds NaN"),
    (b'{"a": 1e999}', "holds 1e999, which is no finite number"),
    (b'{"a": "\\ud800"}', "not valid Unicode"),
    (b'{"\\udfff": 1}', "not valid Unicode"),
    (b'{"a": "\xe9"}', "not UTF-8 text"),
    (b'\xef\xbb\xbf{"a": 1}', "byte order mark"),
    ('{"a": 1}'.encode("utf-16"), "UTF-16 text"),
    (b'{"a": 1', "delimiter"),
    (b"", "it is empty"),
    (b'{"a": ' + b"9" * 5_000 + b"}", "limit"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoint of one tensor, its weights in one shard."""
    header = {"a.weight": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}}
    text = json.dumps(header).encode()
    shard = tmp_path / "model-00001-of-00001.safetensors"
    shard.write_bytes(struct.pack("<Q", len(text)) + text + bytes(16))
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    index = {"weight_map": {"a.weight": shard.name}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    return tmp_path


@pytest.mark.parametrize(("data", "said"), ODD)
@pytest.mark.parametrize("name", ["config.json", "model.safetensors.index.json"])
def test_odd_files_are_refused(folder: Path, name: str, data: bytes, said: str) -> None:
    """Each is one refusal that names the file and what is wrong, never a traceback."""
    (folder / name).write_bytes(data)
    with refused(said) as caught:
        inspect(str(folder))
    assert caught.value.category is Category.UNUSABLE_MODEL
    assert f"{name} cannot be read: " in words_of(caught.value.problem).what
    assert words_of(caught.value.problem).help


@pytest.mark.parametrize("name", ["config.json", "model.safetensors.index.json"])
def test_a_file_of_any_size_is_refused_unread(folder: Path, name: str) -> None:
    """A hundred gigabytes where some kilobytes should be do not fill the memory."""
    with (folder / name).open("r+b") as file:
        file.truncate(100 << 30)
    with refused("has 107,374,182,400 bytes where at most 268,435,456"):
        inspect(str(folder))


def test_infinity_is_let_through(folder: Path) -> None:
    """Published models have it in config.json: "time_step_limit": [0.0, Infinity]."""
    (folder / "config.json").write_text('{"model_type": "mamba2", "limit": [0.0, Infinity]}')
    assert inspect(str(folder)).architecture == "mamba2"
    assert plain_json.parse(b'[-Infinity, "\\u00e9", "\\ud83d\\ude00"]') == [
        -float("inf"),
        "é",
        "😀",
    ]


@pytest.mark.parametrize(
    "header",
    [
        DEEP,
        '{"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}, '
        '"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}',
        '{"a": {"dtype": "F32", "shape": [1e999], "data_offsets": [0, 16]}}',
        '{"a": {"dtype": "F32", "shape": [4.0], "data_offsets": [0, 16]}}',
        '{"a": {"dtype": "F32", "shape": "4", "data_offsets": [0, 16]}}',
        '{"a": {"dtype": "F32", "shape": [-2, -2], "data_offsets": [0, 16]}}',
        '{"a": {"dtype": "F32", "shape": [true, 4], "data_offsets": [0, 16]}}',
        '{"a": {"dtype": "F32", "shape": [4], "data_offsets": [Infinity, 16]}}',
        '{"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 8, 16]}}',
        '{"\\ud800": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}',
    ],
)
def test_odd_headers_are_torn(folder: Path, header: str) -> None:
    """Shapes and offsets are whole numbers from 0, each name stands once and can be shown."""
    (shard,) = folder.glob("*.safetensors")
    shard.write_bytes(struct.pack("<Q", len(header)) + header.encode() + bytes(16))
    with refused("is torn: its header is not readable"):
        inspect(str(folder))


def test_a_quantization_config_of_infinite_groups_is_refused(folder: Path) -> None:
    """No number of a claim is taken on trust."""
    claim = '{"quant_method": "gptq", "bits": 4, "group_size": Infinity}'
    (folder / "config.json").write_text(f'{{"quantization_config": {claim}}}')
    with refused(r"quantization_config of config\.json cannot be read"):
        inspect(str(folder))


def manifest(folder: Path, write: Callable[[Path], object]) -> bool:
    """Whether a kept folder counts as whole, its manifest spoilt by ``write``."""
    (folder / "weights").write_bytes(b"weights")
    write(folder / MANIFEST)
    return is_whole(folder, FileDigests())


@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.write_text(DEEP),
        lambda path: path.write_text('{"files": {}}'),
        lambda path: path.write_text('{"files": []}'),
        lambda path: path.write_text('{"files": {"weights": "0"}}'),
        lambda path: path.write_text('{"files": {"absent": "0"}}'),
        lambda path: path.write_bytes(b"\xff\xfe"),
        lambda path: path.write_text("null"),
        lambda path: path.mkdir(),
        lambda path: path.symlink_to(path.name),
        lambda path: path.symlink_to("/dev/zero"),
        os.mkfifo,
    ],
)
def test_a_spoilt_manifest_vouches_for_nothing(
    tmp_path: Path, write: Callable[[Path], object]
) -> None:
    """What was quantized on the fly is then made again, whatever stands in the manifest."""
    assert not manifest(tmp_path, write)


def test_a_sound_manifest_vouches_for_its_files(tmp_path: Path) -> None:
    """Without this the refusals above would show nothing."""
    (tmp_path / "weights").write_bytes(b"weights")
    digest = FileDigests().of(tmp_path / "weights")
    text = json.dumps({"files": {"weights": digest}})
    assert manifest(tmp_path, lambda path: path.write_text(text))
