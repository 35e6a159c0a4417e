"""What files of llama.cpp are called, and which types of tensors bear such a name out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from ..codes import ModelCode
from ..facts import Problem

PLAIN: Mapping[str, str] = {"F16": "fp16", "BF16": "bf16", "F32": "fp32", "F64": "fp64"}
"""Types that quantize nothing, as schemes are called."""

MIXTURES: Mapping[str, frozenset[str]] = {
    "Q8_0": frozenset({"Q8_0"}),
    # llama-quantize gives some layers more bits, and others where rows have no 256 values.
    "Q4_K_M": frozenset({"Q4_K", "Q5_K", "Q6_K", "Q5_0", "Q5_1", "Q8_0"}),
}
"""Types that the layers of a file of this name have."""

MAIN: Mapping[str, frozenset[str]] = {
    "Q8_0": frozenset({"Q8_0"}),
    # Q5_0 stands in for Q4_K where rows have no 256 values.
    "Q4_K_M": frozenset({"Q4_K", "Q5_0"}),
}
"""Types of which one holds most of the numbers in a file of this name."""

NAMES: Mapping[str, str] = {"Q8_0": "gguf-q8_0", "Q4_K_M": "gguf-q4_k_m"}
"""Names of files that are schemes here."""

LEAST = 0.9
"""Share of the quantized numbers that must be of the types that go with a name."""


def scheme_of(declared: str | None, types: Mapping[str, int]) -> str | None:
    """The scheme of a file that calls itself ``declared``, None for an unquantized one.

    ``types`` maps the types of its layers to how many numbers are held in each. The name
    counts only where they bear it out; without one they decide. A quantized file of no
    known scheme gives a description, which is the identity of none.
    """
    quantized = Counter({kind: n for kind, n in types.items() if kind not in PLAIN})
    if not quantized:
        return None
    called = declared if declared in NAMES and not list(differences(declared, types)) else None
    if called is None and (_share(quantized, MIXTURES["Q8_0"]) == 1):
        called = "Q8_0"
    if called is None and declared is None and quantized.most_common(1)[0][0] == "Q4_K":
        # Q4_K_S has no Q6_K in its layers.
        called = "Q4_K_M" if "Q6_K" in quantized else None
    listed = " and ".join(kind for kind, _ in quantized.most_common())
    return NAMES[called] if called else f"GGUF {declared or listed} (not a known scheme)"


def differences(declared: str | None, types: Mapping[str, int]) -> Iterator[Problem]:
    """Why layers of ``types`` are not what a file called ``declared`` holds; nothing if they are.

    Of names whose mixture is not known here only whether anything is quantized.
    """
    if declared is None or not types:
        return
    quantized = Counter({kind: n for kind, n in types.items() if kind not in PLAIN})
    most = Counter(types).most_common(1)[0][0]
    if declared in PLAIN:
        if quantized:
            yield Problem(ModelCode.GGUF_LAYERS_QUANTIZED, {"types": _shares(quantized)})
    elif not quantized:
        yield Problem(ModelCode.GGUF_LAYERS_PLAIN, {"held": PLAIN[most]})
    elif declared in MIXTURES and (
        _share(quantized, MIXTURES[declared]) < LEAST
        or quantized.most_common(1)[0][0] not in MAIN[declared]
    ):
        yield Problem(ModelCode.GGUF_LAYERS_OTHER_TYPES, {"types": _shares(quantized)})


def _share(quantized: Mapping[str, int], kinds: frozenset[str]) -> float:
    return sum(n for kind, n in quantized.items() if kind in kinds) / sum(quantized.values())


def _shares(quantized: Counter[str]) -> tuple[Problem, ...]:
    whole = sum(quantized.values())
    return tuple(
        Problem(ModelCode.SHARE_OF_TYPE, {"type": kind, "share": n / whole})
        for kind, n in quantized.most_common()
    )
