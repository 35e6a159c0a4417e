"""What `quantreg schemes` prints: every scheme, one in full, or what a backend makes of them."""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Iterator, Sequence

from ..core.codes import CommandCode
from ..core.errors import WrongUse
from ..core.schemes.catalogue import Catalogue, ProjectScheme
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
    rows += [(*_project_row(scheme), scheme.aliases) for scheme in catalogue.project_schemes]
    lines = _table(("scheme", "weights", "activations", "published"), [row[:4] for row in rows])
    if aliases:
        lines[1:] = [
            line for pair in zip(lines[1:], rows, strict=True) for line in _with_aliases(*pair)
        ]
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
    project_scheme, scheme = catalogue.find(name), choice.scheme
    title = project_scheme.title if project_scheme is not None else scheme.title
    lines = [f"{choice.name}: {title}" if title else choice.name]
    if project_scheme is not None:
        lines += _wrapped(f"defined in pyproject.toml as {project_scheme.claims}")
    if choice.note is not None:
        lines += _wrapped(choice.note)
    lines += [
        f"weights      {describe(scheme.weights)}",
        f"activations  {describe(scheme.activations)}",
        f"KV cache     {'fp8' if choice.kv else 'as the model computes'}",
    ]
    names = project_scheme.aliases if project_scheme is not None else scheme.aliases
    if names:
        lines += _wrapped(f"also called  {', '.join(names)}", " " * 13)
    lines += ["", *_with_backends(choice, project_scheme), "", *_published(scheme, project_scheme)]
    return "\n".join(lines)


def backend_page(backend: str, catalogue: Catalogue) -> str:
    """How a backend comes by each scheme. Raises WrongUse for one that is not listed."""
    if backend not in MAKINGS:
        close = difflib.get_close_matches(backend, MAKINGS, n=1)
        known = tuple(MAKINGS)
        if not close:
            raise WrongUse(CommandCode.NO_MAKINGS_OF_BACKEND, backend=backend, known=known)
        raise WrongUse(CommandCode.BACKEND_MISSPELLED, backend=backend, known=known, close=close[0])
    rows = [(s.name, _how_made(backend, resolve(s.name), None)) for s in QUANTIZED]
    rows += [
        (scheme.name, _how_made(backend, catalogue.choose(scheme.name), scheme))
        for scheme in catalogue.project_schemes
    ]
    return "\n".join(
        [
            *_table(("scheme", f"with {backend}"), rows),
            "",
            "-gptq, -awq and -smoothquant need data: give a checkpoint. Whether a device has",
            "kernels for a scheme, `quantreg hardware` says.",
        ]
    )


def _with_aliases(line: str, row: tuple[str, str, str, str, tuple[str, ...]]) -> list[str]:
    return [line, f"    also {', '.join(row[4])}"] if row[4] else [line]


def _project_row(project_scheme: ProjectScheme) -> tuple[str, str, str, str]:
    if project_scheme.makeable:
        return (
            project_scheme.name,
            f"like {project_scheme.claims}",
            "",
            _share(project_scheme.retention),
        )
    scheme = resolve(project_scheme.claims).scheme
    return (
        project_scheme.name,
        _short(scheme.weights),
        _short(scheme.activations),
        _share(project_scheme.retention),
    )


def _with_backends(choice: SchemeChoice, project_scheme: ProjectScheme | None) -> Iterator[str]:
    width = max(map(len, MAKINGS)) + 2
    for backend in MAKINGS:
        yield f"{backend:<{width}}{_how_made(backend, choice, project_scheme)}"


def _how_made(backend: str, choice: SchemeChoice, project_scheme: ProjectScheme | None) -> str:
    # Data without a name comes in the same box as the other schemes of checkpoints.
    entry = making(backend, choice.scheme.name) or making(backend, _A_CHECKPOINT_SCHEME)
    if entry is None:
        return _CHECKPOINT
    if choice.kv is not None and backend in NO_KV:
        return "no: it is not known to run an FP8 KV cache"
    # Only what an engine makes at load can have its cache quantized without data.
    cached = choice.kv is None or (entry.how == "at load" and backend not in KV_FROM_FILES)
    rounded = choice.method in (None, "rtn") and (project_scheme is None or project_scheme.makeable)
    buildable = cached and rounded
    return entry.words if buildable or entry.how in ("checkpoint", "no") else _CHECKPOINT


def _published(scheme: Scheme, project_scheme: ProjectScheme | None) -> Iterator[str]:
    if project_scheme is not None and project_scheme.retention is not None:
        yield from _wrapped(
            f"retention {_share(project_scheme.retention)}: {project_scheme.source}"
        )
        yield from _suggestion(project_scheme.retention, "the figure")
        return
    figures = PUBLISHED.get(scheme.name, ())
    if not figures:
        yield f"Nothing that was published of {scheme.name} is listed here."
        return
    yield f"Published of {scheme.name}:"
    last_source = ""
    for result in figures:
        setup = ", ".join(part for part in (result.model, result.how) if part)
        source = f"{result.source}: {setup}" if setup else result.source
        if source != last_source:
            yield from _wrapped(f"  {source}", " " * 4)
        last_source = source
        figure = [f"{result.retention:.3f}"] if result.retention is not None else []
        text = "; ".join(part for part in (result.benchmark, result.says) if part)
        yield from _wrapped(f"    {'  '.join([*figure, text])}", " " * 11)
    yield from _suggestion(lowest(scheme.name), "the lowest figure over a whole benchmark")


def _suggestion(retention: float | None, origin: str) -> Iterator[str]:
    threshold = suggested(retention)
    if threshold is not None:
        yield f"To start with: @pytest.mark.min_retention({threshold:.2f})"
        yield from _wrapped(_SUGGESTION.format(origin))


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
