"""What `quantreg schemes` prints: every scheme, one in full, or what a backend makes of them."""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Iterator, Sequence

from ..core.errors import WrongUse
from ..core.schemes.catalogue import Catalogue, OwnScheme
from ..core.schemes.names import (
    AMBIGUOUS,
    SCHEMES,
    Quantization,
    Scheme,
    SchemeChoice,
    describe,
    resolve,
)
from ..core.schemes.on_the_fly import KV_FROM_FILES, MAKINGS, NO_KV, making
from ..core.schemes.published import PUBLISHED, lowest, suggested

WIDTH = 80

QUANTIZED = tuple(scheme for scheme in SCHEMES if scheme.is_quantized)
_SUGGESTION = (
    "A suggestion, not evidence about your model: {} above, rounded down to two places, at most "
    "0.99."
)
_EMPTY = "-"
_CHECKPOINT = "a checkpoint"
_A_CHECKPOINT_SCHEME = "w4a16-int4"


def schemes_page(catalogue: Catalogue, *, aliases: bool = False) -> str:
    """Every scheme with what it quantizes; the names that `--quant-scheme` takes."""
    rows = [
        (s.name, _short(s.weights), _short(s.activations), _share(lowest(s.name)), s.aliases)
        for s in QUANTIZED
    ]
    rows += [(*_own_row(one), one.aliases) for one in catalogue.own]
    lines = _table(("scheme", "weights", "activations", "published"), [row[:4] for row in rows])
    if aliases:
        lines[1:] = [line for pair in zip(lines[1:], rows, strict=True) for line in _also(*pair)]
    lines += [
        "",
        "Suffixes: -rtn, -gptq, -awq, -smoothquant (how made), +kv-fp8 (fp8 KV cache).",
        "Case, order and separators are free: FP8-W8A8, int8_w8a16_rtn are understood.",
        "published: the lowest retention that was; `quantreg schemes NAME` says by whom.",
    ]
    if aliases:
        lines += ["", *AMBIGUOUS.values()]
    return "\n".join(lines)


def scheme_page(name: str, catalogue: Catalogue) -> str:
    """One scheme in full. Raises WrongUse for an unknown name."""
    choice = catalogue.choose(name)
    own, scheme = catalogue.find(name), choice.scheme
    title = own.title if own is not None else scheme.title
    lines = [f"{choice.name}: {title}" if title else choice.name]
    if own is not None:
        lines += _wrapped(f"defined in pyproject.toml as {own.claims}")
    if choice.note is not None:
        lines += _wrapped(choice.note)
    lines += [
        f"weights      {describe(scheme.weights)}",
        f"activations  {describe(scheme.activations)}",
        f"KV cache     {'fp8' if choice.kv else 'as the model computes'}",
    ]
    names = own.aliases if own is not None else scheme.aliases
    if names:
        lines += _wrapped(f"also called  {', '.join(names)}", " " * 13)
    lines += ["", *_with_backends(choice, own), "", *_published(scheme, own)]
    return "\n".join(lines)


def backend_page(backend: str, catalogue: Catalogue) -> str:
    """How a backend comes by each scheme. Raises WrongUse for one that is not listed."""
    if backend not in MAKINGS:
        close = difflib.get_close_matches(backend, MAKINGS, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise WrongUse(f"--backend={backend}: known are {', '.join(MAKINGS)}{hint}")
    rows = [(s.name, _how(backend, resolve(s.name), None)) for s in QUANTIZED]
    rows += [(one.name, _how(backend, catalogue.choose(one.name), one)) for one in catalogue.own]
    return "\n".join(
        [
            *_table(("scheme", f"with {backend}"), rows),
            "",
            "-gptq, -awq and -smoothquant need data: give a checkpoint. Whether a device has",
            "kernels for a scheme, `quantreg hardware` says.",
        ]
    )


def _also(line: str, row: tuple[str, str, str, str, tuple[str, ...]]) -> list[str]:
    return [line, f"    also {', '.join(row[4])}"] if row[4] else [line]


def _own_row(one: OwnScheme) -> tuple[str, str, str, str]:
    if one.makeable:
        return one.name, f"like {one.claims}", "", _share(one.retention)
    scheme = resolve(one.claims).scheme
    return one.name, _short(scheme.weights), _short(scheme.activations), _share(one.retention)


def _with_backends(choice: SchemeChoice, own: OwnScheme | None) -> Iterator[str]:
    width = max(map(len, MAKINGS)) + 2
    for backend in MAKINGS:
        yield f"{backend:<{width}}{_how(backend, choice, own)}"


def _how(backend: str, choice: SchemeChoice, own: OwnScheme | None) -> str:
    # Data without a name comes in the same box as the other schemes of checkpoints.
    found = making(backend, choice.scheme.name) or making(backend, _A_CHECKPOINT_SCHEME)
    if found is None:
        return _CHECKPOINT
    if choice.kv is not None and backend in NO_KV:
        return "no: it is not known to run an FP8 KV cache"
    # Only what an engine makes at load can have its cache quantized without data.
    cached = choice.kv is None or (found.how == "at load" and backend not in KV_FROM_FILES)
    rounded = choice.method in (None, "rtn") and (own is None or own.makeable)
    made = cached and rounded
    return found.words if made or found.how in ("checkpoint", "no") else _CHECKPOINT


def _published(scheme: Scheme, own: OwnScheme | None) -> Iterator[str]:
    if own is not None and own.retention is not None:
        yield from _wrapped(f"retention {_share(own.retention)}: {own.source}")
        yield from _suggestion(own.retention, "the figure")
        return
    found = PUBLISHED.get(scheme.name, ())
    if not found:
        yield f"Nothing that was published of {scheme.name} is listed here."
        return
    yield f"Published of {scheme.name}:"
    told = ""
    for one in found:
        where = ": ".join([one.source, ", ".join(part for part in (one.model, one.how) if part)])
        if where != told:
            yield from _wrapped(f"  {where.removesuffix(': ')}", " " * 4)
        told = where
        figure = [f"{one.retention:.3f}"] if one.retention is not None else []
        said = "; ".join(part for part in (one.benchmark, one.says) if part)
        yield from _wrapped(f"    {'  '.join([*figure, said])}", " " * 11)
    yield from _suggestion(lowest(scheme.name), "the lowest figure over a whole benchmark")


def _suggestion(retention: float | None, what: str) -> Iterator[str]:
    threshold = suggested(retention)
    if threshold is not None:
        yield f"To start with: @pytest.mark.min_retention({threshold:.2f})"
        yield from _wrapped(_SUGGESTION.format(what))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[at]) for row in (head, *rows)) for at in range(len(head))]
    return [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (head, *rows)
    ]


def _short(quantization: Quantization | None) -> str:
    """In as few words as tell schemes apart: four columns have to fit a terminal."""
    return describe(quantization).replace("fp8 e4m3", "fp8")


def _share(retention: float | None) -> str:
    return _EMPTY if retention is None else f"{retention:.3f}"


def _wrapped(text: str, indent: str = "  ") -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent=indent, break_on_hyphens=False)
