"""What a server says of itself: which model it serves, on which engine, at which version."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core.codes import ServerCode
from ...core.errors import Refusal
from ...core.facts import Fact, Problem
from ...core.records.run import ModelSpec
from ..checkpoint.hub import display_name
from .client import Client, ServerError

UNKNOWN = "unknown"

_VERSIONS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "vllm": (("version", "version"),),
    "tensorrt_llm": (("version", "version"),),
    "sglang": (("get_server_info", "version"), ("server_info", "version")),
    "llamacpp": (("props", "build_info"),),
}
"""Engine -> where, beside the versioned part of its address, which field has its version.

vLLM and TensorRT-LLM (docs/source/commands/trtllm-serve.rst) have /version, SGLang
/get_server_info, llama.cpp /props (tools/server/README.md).
"""


@dataclass(frozen=True)
class ServedModel:
    """One model of a server: its name there, what it was loaded from, and by which engine.

    ``root`` and ``max_length`` (tokens) are None where the server does not tell.
    """

    model: str
    engine: str
    version: str | None = None
    root: str | None = None
    max_length: int | None = None

    def versions(self) -> dict[str, str]:
        """The engine and its version, as packages are listed."""
        versions = {self.engine: self.version} if self.version is not None else {}
        return {"server": self.engine, **versions}


def ask_served_model(client: Client, spec: ModelSpec) -> ServedModel:
    """Return what the server of ``spec`` serves. Raises Refusal for another model, or no answer."""
    try:
        cards = _cards(client.get("models"))
    except ServerError as error:
        raise client.refusal(error) from None
    card = _choose_card(cards, client.args.model, spec)
    name, root = str(card["id"]), card.get("root")
    if client.args.model is None:
        _refuse_other_model(spec, name, root)
    engine = re.sub(r"[^a-z0-9]+", "_", str(card.get("owned_by") or UNKNOWN).lower()).strip("_")
    longest = card.get("max_model_len")
    return ServedModel(
        name,
        engine or UNKNOWN,
        _version(client, engine),
        root if isinstance(root, str) else None,
        longest if isinstance(longest, int) else None,
    )


def _cards(listing: Any) -> list[Mapping[str, Any]]:
    data = listing.get("data") if isinstance(listing, Mapping) else None
    cards = [card for card in data or () if isinstance(card, Mapping) and card.get("id")]
    if not cards:
        raise ServerError(Problem(ServerCode.NO_MODEL_LISTED, {}), again=False)
    # Adapters have the model that they belong to as their parent.
    return [card for card in cards if not card.get("parent")] or cards


def _choose_card(
    cards: Sequence[Mapping[str, Any]], wanted: str | None, spec: ModelSpec
) -> Mapping[str, Any]:
    names = [str(card["id"]) for card in cards]
    if wanted is not None:
        if wanted in names:
            return cards[names.index(wanted)]
        raise Refusal(ServerCode.SERVES_NO_SUCH_MODEL, **_naming(spec, names), wanted=wanted)
    if len(cards) == 1:
        return cards[0]
    fitting = [card for card in cards if _is_called(spec, str(card["id"]), card.get("root"))]
    if len(fitting) == 1:
        return fitting[0]
    raise Refusal(ServerCode.SERVES_SEVERAL_MODELS, **_naming(spec, names))


def _refuse_other_model(spec: ModelSpec, name: str, root: Any) -> None:
    if not _is_called(spec, name, root):
        raise Refusal(ServerCode.SERVES_ANOTHER_MODEL, **_naming(spec, [name]))


def _naming(spec: ModelSpec, names: Sequence[str]) -> dict[str, Fact]:
    """The facts of a server that serves ``names`` where the model of ``spec`` is expected."""
    return {
        "role": spec.role,
        "model": display_name(spec),
        "served": tuple(map(last_part, names[:5])),
        "name": names[0],
    }


def _is_called(spec: ModelSpec, name: str, root: Any) -> bool:
    """Return whether the server's own words for a model fit the files that it is said to serve."""
    ours = {spec.ref, last_part(spec.ref), *_cached_hub_id(spec.ref)}
    theirs = {
        text for label in (name, root) if isinstance(label, str) for text in _spellings(label)
    }
    return not ours.isdisjoint(theirs)


def _spellings(label: str) -> tuple[str, ...]:
    return (label, last_part(label), *_cached_hub_id(label))


def last_part(path: str | None) -> str:
    """The last part of a path or hub id, as it may be shown."""
    path = path or "nowhere"
    return path.rstrip("/\\").replace("\\", "/").rpartition("/")[2] or path


def _cached_hub_id(path: str) -> tuple[str, ...]:
    """The hub id of a snapshot folder in a hub cache, and its name."""
    for part in Path(path).parts:
        if part.startswith("models--"):
            hub_id = part.removeprefix("models--").replace("--", "/")
            return (hub_id, last_part(hub_id))
    return ()


def _version(client: Client, engine: str) -> str | None:
    for path, field in _VERSIONS.get(engine, (("version", "version"),)):
        try:
            answer = client.get(path, of_root=True)
        except ServerError:
            # Not every server has it, and some hide it behind a proxy.
            continue
        if isinstance(answer, Mapping) and isinstance(answer.get(field), str):
            return str(answer[field])
    return None
