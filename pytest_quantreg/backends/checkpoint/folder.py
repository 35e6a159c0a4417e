"""Checks a checkpoint folder by its files alone, so that a bad one is refused unloaded."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core.codes import ModelCode
from ...core.errors import Refusal
from ...core.facts import Problem, Quoted
from ...core.strict_json import CorruptFile
from . import plain_json

CONFIG = "config.json"
INDEX = "model.safetensors.index.json"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt")
OTHER_TOKENIZERS = ("tekken.json", "tokenizer_config.json")
_MOST_HEADER_BYTES = 100_000_000

MOST_LAYERS = 20_000
"""Of a model, or experts of one of its layers."""

_COUNT = re.compile(r"^(?:num|n)_\w*(?:layer|expert)s?$|layers$|^n_layer$")

_MOST_DIMENSIONS, _LARGEST = 16, 2**63


@dataclass(frozen=True)
class Tensor:
    """What a safetensors header says of one tensor: type as it is spelt there, shape."""

    dtype: str
    shape: tuple[int, ...]


def read_config(folder: Path, name: str) -> dict[str, Any]:
    """config.json as it stands; raises Refusal when it is absent or no JSON object."""
    if folder.suffix == ".gguf" and folder.is_file():
        raise Refusal(ModelCode.CHECKPOINT_IS_GGUF_FILE, name=name)
    if not folder.is_dir():
        raise Refusal(ModelCode.NO_MODEL_FOLDER, name=name, folder=str(folder))
    path = folder / CONFIG
    if not path.is_file():
        raise Refusal(ModelCode.NO_CONFIG, name=name, folder=str(folder))
    config = read_json(path, name)
    for key, count in _counts(config):
        if count > MOST_LAYERS:
            # transformers would make a list as long, or as many modules.
            raise Refusal(ModelCode.IMPOSSIBLE_COUNT, name=name, key=key, count=count)
    return config


def _counts(config: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """The numbers of layers and experts that a config and its parts give."""
    for key, value in config.items():
        if isinstance(value, int) and not isinstance(value, bool) and _COUNT.search(key):
            yield key, value
        elif isinstance(value, Mapping) and key.endswith("config"):
            yield from _counts(value)


def read_json(path: Path, name: str) -> dict[str, Any]:
    """A JSON object from a model's folder; raises Refusal for anything else."""
    try:
        value = plain_json.read(path)
    except OSError as error:
        raise Refusal(
            ModelCode.UNREADABLE_JSON,
            name=name,
            file=path.name,
            error=Quoted(str(error.strerror)),
        ) from error
    except CorruptFile as error:
        raise Refusal(
            ModelCode.CORRUPT_JSON, name=name, file=path.name, damage=error.problem
        ) from error
    if not isinstance(value, dict):
        raise Refusal(ModelCode.JSON_NOT_AN_OBJECT, name=name, file=path.name)
    return value


def check_custom_code(folder: Path, config: Mapping[str, Any], name: str, trusted: bool) -> None:
    """Refuses a model that needs its own Python code unless the user trusts it."""
    tokenizer = folder / "tokenizer_config.json"
    entries = read_json(tokenizer, name) if tokenizer.is_file() else {}
    if not trusted and ("auto_map" in config or "auto_map" in entries):
        raise Refusal(ModelCode.NEEDS_OWN_CODE, name=name)


def check_tokenizer(folder: Path, name: str) -> None:
    """Refuses a folder without any tokenizer file."""
    if not any((folder / file).is_file() for file in TOKENIZER_FILES + OTHER_TOKENIZERS[:1]):
        raise Refusal(ModelCode.NO_TOKENIZER, name=name, folder=str(folder))


def weight_files(folder: Path, name: str) -> tuple[Path, ...]:
    """The safetensors files that hold the weights, in order of their names.

    Raises Refusal when there are none, a shard of the index is missing, the folder holds
    weights beside the index, or they come in a form that is not loaded (pickle, GGUF).
    """
    index = folder / INDEX
    single = folder / "model.safetensors"
    if index.is_file():
        shards = _shards(index, name)
        if single.is_file() and single not in shards:
            # transformers would load the single file, vLLM the shards.
            raise Refusal(
                ModelCode.TWO_SETS_OF_WEIGHTS, name=name, single=single.name, index=index.name
            )
        return shards
    if single.is_file():
        return (single,)
    raise _no_weights(folder, name)


def tensors(path: Path, name: str) -> dict[str, Tensor]:
    """The header of a safetensors file; raises Refusal when the file is torn.

    Format: 8 bytes length of the header (little endian), the header as JSON, the data.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
        if length + 8 > size or length > _MOST_HEADER_BYTES:
            raise torn_file(path, name, Problem(ModelCode.HEADER_CUT_OFF, {}))
        try:
            header = plain_json.parse(file.read(length))
            entries = {key: _entry(value) for key, value in header.items() if key[:2] != "__"}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise torn_file(path, name, Problem(ModelCode.HEADER_UNREADABLE, {})) from error
    expected = 8 + length + max((end for _, end in entries.values()), default=0)
    if size != expected:
        facts = {"size": size, "expected": expected}
        raise torn_file(path, name, Problem(ModelCode.OTHER_FILE_SIZE, facts))
    return {key: tensor for key, (tensor, _) in entries.items()}


def check_weights(folder: Path, name: str) -> dict[str, Tensor]:
    """Every tensor of the model by name; raises Refusal for torn or missing files."""
    all_tensors: dict[str, Tensor] = {}
    for path in weight_files(folder, name):
        new = tensors(path, name)
        if twice := sorted(set(new) & set(all_tensors)):
            raise Refusal(
                ModelCode.TENSOR_IN_SEVERAL_SHARDS, name=name, tensor=twice[0], file=path.name
            )
        all_tensors.update(new)
    index = folder / INDEX
    if index.is_file():
        lacking = sorted(set(_weight_map(index, name)) - set(all_tensors))
        if lacking:
            raise Refusal(
                ModelCode.SHARDS_LACK_TENSORS, name=name, count=len(lacking), first=lacking[0]
            )
    return all_tensors


def _entry(value: Mapping[str, Any]) -> tuple[Tensor, int]:
    shape = whole_numbers(value["shape"])
    if len(shape) > _MOST_DIMENSIONS or any(size >= _LARGEST for size in shape):
        raise ValueError("no shape of a tensor")
    _, end = whole_numbers(value["data_offsets"])
    return Tensor(str(value["dtype"]), shape), end


def whole_numbers(numbers: Any) -> tuple[int, ...]:
    """The numbers of a header's shape or offsets; raises ValueError where one is none from 0."""
    if not isinstance(numbers, list) or any(type(n) is not int or n < 0 for n in numbers):
        raise ValueError(f"no whole numbers from 0: {numbers}")
    return tuple(numbers)


def _weight_map(index: Path, name: str) -> dict[str, str]:
    weight_map = read_json(index, name).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise Refusal(ModelCode.NO_WEIGHT_MAP, name=name, index=index.name)
    return weight_map


def _shards(index: Path, name: str) -> tuple[Path, ...]:
    files = sorted(set(_weight_map(index, name).values()))
    # A name with a path in it would read outside of the folder.
    strange = [file for file in files if Path(file).name != file]
    missing = [file for file in files if not (index.parent / file).is_file()]
    if strange or missing:
        raise Refusal(
            ModelCode.SHARD_MISSING, name=name, index=index.name, file=(strange or missing)[0]
        )
    return tuple(index.parent / file for file in files)


def _no_weights(folder: Path, name: str) -> Refusal:
    if any(folder.glob("*.gguf")):
        return Refusal(ModelCode.GGUF_IN_FOLDER, name=name)
    if any(folder.glob("*.bin")):
        return Refusal(ModelCode.PICKLED_BIN, name=name)
    if any(folder.glob("*.pth")):
        return Refusal(ModelCode.PICKLED_PTH, name=name)
    return Refusal(ModelCode.NO_WEIGHTS, name=name, folder=str(folder))


def torn_file(path: Path, name: str, damage: Problem) -> Refusal:
    """The refusal of a file that is not whole."""
    return Refusal(ModelCode.TORN_FILE, name=name, file=path.name, damage=damage)


def linear_shapes(tensors_by_name: Mapping[str, Tensor]) -> Iterator[tuple[int, int]]:
    """(outputs, inputs) of the matrices that a quantizer would take."""
    for key, tensor in tensors_by_name.items():
        heads = key.startswith("lm_head") or "embed" in key
        if key.endswith(".weight") and len(tensor.shape) == 2 and not heads:
            yield tensor.shape[0], tensor.shape[1]
