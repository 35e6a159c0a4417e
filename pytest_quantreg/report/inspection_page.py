"""What `quantreg inspect` prints: what a checkpoint holds, and what contradicts itself in it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping

from ..core.errors import WrongUse
from ..core.facts import Problem
from ..core.hardware.accelerators import Accelerator
from ..core.hardware.kernels import ENGINES, KernelChoice, form_of, runs_as
from ..core.printable import printable
from ..core.schemes.contradictions import contradictions
from ..core.schemes.inspection import KINDS, PLAIN, Checkpoint, Held, Kind, Layer, claimed
from ..core.schemes.names import Quantization, resolve
from .hardware_page import WIDTH, Column
from .words import words_of

LABEL = 14
MANY = 8
"""How many entries of an ignore list are shown; some models name every layer."""

_FORMATS = "{:<12}{:>16}{:>12}  {}"


def inspection_page(
    checkpoint: Checkpoint, device: Accelerator, installed: Mapping[str, str]
) -> str:
    """All that is known of a checkpoint unloaded; ``installed`` maps engines to versions."""
    parts = [
        [_title(checkpoint)],
        list(_table(checkpoint)),
        list(_facts(checkpoint)),
        list(_kernels(checkpoint, device, installed)),
        list(_verdict(checkpoint, contradictions(checkpoint))),
    ]
    return "\n\n".join("\n".join(lines) for lines in parts if lines)


def size_words(size: float) -> str:
    """Bytes in decimal units, as file managers and hubs show them."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:,.0f} {unit}" if unit == "bytes" else f"{size:,.1f} {unit}"
        size /= 1000
    raise AssertionError("the loop ends with the largest unit")


def stored_as(layer: Layer, checkpoint: Checkpoint) -> str:
    """How the weight of a layer lies in the files: ``fp8 e4m3 per channel``, ``bf16``."""
    if layer.held is None:
        return PLAIN.get(layer.dtype, layer.dtype.lower())
    if layer.held.words is not None:
        return f"{layer.held.words}, {8 * layer.size / max(layer.parameters, 1):.4g} bits"
    group = claimed(checkpoint.claim, layer)
    stated = group.weights if group else None
    words = _number(layer.held, layer.dtype)
    if stated and not layer.held.packed and stated.type == "int" and stated.bits < 8:
        words = f"int{stated.bits} in whole bytes"
    return " ".join(word for word in (words, _shared(layer.held, stated)) if word)


def _number(held: Held, dtype: str) -> str:
    if held.packed:
        bits = "packed bits" if held.bits is None else f"{held.bits}-bit"
        return f"int{held.bits}" if held.type == "int" and held.bits else f"{bits} values"
    return {"I8": "int8", "F8_E4M3": "fp8 e4m3", "F8_E5M2": "fp8 e5m2"}.get(dtype, dtype)


def _shared(held: Held, stated: Quantization | None) -> str:
    # A group as wide as the layer is a channel as well, a block as large as it a tensor;
    # the config says which is meant.
    if held.granularity == "channel" and stated and stated.group_size == held.group_size:
        return f"in groups of {held.group_size}"
    if held.granularity == "tensor" and stated and stated.granularity == "block":
        return f"in blocks of {stated.group_size}" if stated.group_size else "in blocks"
    if held.granularity in ("group", "block"):
        return f"in {held.granularity}s of {held.group_size}"
    return f"per {held.granularity}" if held.granularity else ""


def _title(checkpoint: Checkpoint) -> str:
    count = f"{checkpoint.files} file{'s' if checkpoint.files > 1 else ''}"
    parameters = sum(layer.parameters for layer in checkpoint.layers)
    return (
        f"{printable(checkpoint.name)}: {printable(checkpoint.architecture)}, "
        f"{parameters:,} parameters,\n"
        f"{size_words(checkpoint.size)} of weights in {count}"
    )


def _table(checkpoint: Checkpoint) -> Iterator[str]:
    rows: dict[tuple[Kind, str], list[Layer]] = {}
    for kind in KINDS:
        for layer in checkpoint.layers:
            if layer.kind == kind and layer.parameters:
                rows.setdefault((kind, stored_as(layer, checkpoint)), []).append(layer)
    yield _FORMATS.format("kind", "parameters", "on disk", "stored as")
    for (group_kind, words), layers in rows.items():
        parameters = sum(layer.parameters for layer in layers)
        size = size_words(sum(layer.size for layer in layers))
        yield _FORMATS.format(group_kind, f"{parameters:,}", size, printable(words))


def _facts(checkpoint: Checkpoint) -> Iterator[str]:
    claim, quantized = checkpoint.claim, checkpoint.quantized
    linear = [layer for layer in checkpoint.layers if layer.linear]
    held_count = sum(layer.held is not None for layer in linear)
    yield from _labelled("scheme", checkpoint.scheme)
    if claim.container == "gguf":
        yield from _labelled("file says", claim.stated or "nothing of its type")
    elif claim.scheme is not None:
        method = f" ({claim.method})" if claim.method else ""
        yield from _labelled("config says", f"{claim.scheme}{method}")
    yield from _activations(checkpoint)
    yield from _labelled("quantized", f"{held_count:,} of {len(linear):,} linear layers")
    yield from _labelled("left alone", _left_alone(checkpoint))
    if claim.ignore is not None:
        more = len(claim.ignore) - MANY
        rest = [f"{more:,} more"] if more > 0 else []
        yield from _labelled("ignore list", ", ".join([*claim.ignore[:MANY], *rest]) or "empty")
    whole = f"{checkpoint.bits_per_weight(checkpoint.layers):.2f} over all parameters"
    if quantized:
        bits = checkpoint.bits_per_weight(quantized)
        whole = f"{bits:.2f} in the quantized layers with their scales, {whole}"
    yield from _labelled("bits", whole)


def _activations(checkpoint: Checkpoint) -> Iterator[str]:
    if checkpoint.claim.container == "gguf":
        # Engines quantize them inside of each product; the file says nothing of it.
        return
    try:
        choice = resolve(checkpoint.scheme)
    except WrongUse:
        return
    if checkpoint.quantized and choice.scheme.activations is None:
        yield from _labelled("activations", "not quantized")
    elif choice.scheme.activations is not None:
        scaled = any(scale.of_inputs for layer in checkpoint.layers for scale in layer.scales)
        words = f"{choice.scheme.activations.type}{choice.scheme.activations.bits}"
        source = "with scales from the files" if scaled else "scaled while running"
        yield from _labelled("activations", f"{words.replace('float', 'fp')}, {source}")


def _left_alone(checkpoint: Checkpoint) -> str:
    plain = [layer for layer in checkpoint.layers if layer.held is None and layer.parameters]
    kinds = [
        kind for kind in KINDS if any(layer.kind == kind and not layer.linear for layer in plain)
    ]
    count = sum(layer.linear for layer in plain)
    layers = [f"{count:,} linear layer{'s' if count > 1 else ''}"] if count else []
    return ", ".join([*kinds, *layers]) or "nothing"


def _kernels(
    checkpoint: Checkpoint, device: Accelerator, installed: Mapping[str, str]
) -> Iterator[str]:
    if not checkpoint.quantized:
        return
    try:
        scheme = resolve(checkpoint.scheme).identity
    except WrongUse:
        yield from _wrapped("The scheme is none that the tables of kernels know.", "")
        return
    yield from _wrapped(f"Runs on {device.name}, by the tables of `quantreg hardware`:", "")
    for engine in ENGINES:
        column = Column(engine, installed.get(engine.name, engine.newest), engine.name in installed)
        choice = runs_as(scheme, engine.name, column.version, device, form=form_of(checkpoint))
        yield from _wrapped(f"  {engine.name} {column.head}: {_choice(choice, scheme)}", "    ")
    method = checkpoint.claim.method
    if method not in (None, "compressed-tensors", "bitsandbytes"):
        yield from _wrapped(
            "The other tables than that of transformers go by scheme; whether an engine reads "
            f"{method} files, they do not say.",
            "",
        )


def _choice(choice: KernelChoice, scheme: str) -> str:
    other = choice.runs_as if choice.runs_as not in (None, scheme.partition("+")[0]) else None
    words = [f"{choice.mode}, as {other}" if other else choice.mode]
    words += [word for word in (choice.kernel, choice.why) if word]
    needs = " and ".join(choice.packages)
    return "; ".join([*words, f"needs {needs}"] if needs else words)


def _verdict(checkpoint: Checkpoint, problems: tuple[Problem, ...]) -> Iterator[str]:
    if not problems:
        origin = "file type" if checkpoint.claim.container == "gguf" else "config"
        yield f"No contradictions between {origin}, tensors and scales."
        return
    yield f"{len(problems)} contradiction{'s' if len(problems) > 1 else ''}:"
    for problem in problems:
        yield from _wrapped(f"  - {words_of(problem).what}", "    ")


def _labelled(label: str, text: str) -> Iterable[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=f"{label:<{LABEL}}",
        subsequent_indent=" " * LABEL,
        break_on_hyphens=False,
    )


def _wrapped(text: str, later: str) -> Iterable[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent=later, break_on_hyphens=False)
