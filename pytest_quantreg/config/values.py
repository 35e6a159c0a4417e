"""What one value may be: each check takes it as written and says what is allowed instead."""

from __future__ import annotations

import difflib
import json
import math
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from ..core.errors import WrongUse
from ..core.records.run import Json
from ..core.schemes.catalogue import Catalogue
from ..core.schemes.names import SchemeChoice
from ..core.secret_values import HIDDEN, YOUR_OWN, without_secrets
from ..core.settings import ModelRef

BUILT_IN_SCHEMES = Catalogue()
"""No schemes but the built-in ones."""

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")


class OptionValue(NamedTuple):
    """A value with what messages call its source and what its paths are relative to."""

    value: Any
    named: str
    base: Path

    @property
    def text(self) -> str:
        """The value as text without blanks around it. Raises WrongUse when none is left."""
        text = str(self.value).strip()
        if not text:
            raise WrongUse(f"{self.named} is empty", help="give a value or leave it out")
        return text

    @property
    def path(self) -> Path:
        """The absolute path that the value names; links keep their own names."""
        return Path(os.path.abspath(self.base / os.path.expanduser(self.text)))


def check_confidence(value: Any, named: str) -> float:
    """A one-sided confidence, above 0.5 and below 1, or WrongUse naming ``named``."""
    allowed = "allowed is a number above 0.5 and below 1"
    if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value):
        raise WrongUse(f"{named}={value!r}: {allowed}")
    if 0.5 < value < 1:
        return float(value)
    meant = value / 100 if 50 < value < 100 else 1 - value if 0 < value < 0.5 else None
    hint = f"; did you mean {meant:g}?" if meant is not None else ""
    raise WrongUse(f"{named}={value:g}: {allowed}{hint}")


def check_limit(value: Any, named: str) -> int | None:
    """A number of items >= 1, or None for all; WrongUse naming ``named`` otherwise."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise WrongUse(
            f"{named}={value!r}: allowed is a whole number of items, 1 or more "
            "(leave it out for all items)"
        )
    return value


def check_count(value: Any, named: str, *, most: int | None = None) -> int:
    """A whole number from 1 to ``most``, or WrongUse naming ``named``."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or value < 1 or (most is not None and value > most):
        upto = "1 or more" if most is None else f"from 1 to {most:,}"
        raise WrongUse(f"{named}={value!r}: allowed is a whole number, {upto}")
    return int(value)


def check_undetected(value: float, named: str) -> float:
    """A loss of retention between 0 and 1, or WrongUse naming ``named``."""
    if not 0 < value < 1:
        raise WrongUse(
            f"{named}={value:g}: allowed is above 0 and below 1, as a loss of retention "
            "(0.10 is ten points)"
        )
    return float(value)


def check_seconds(value: Any, named: str) -> float:
    """Seconds above 0, or WrongUse naming ``named``."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value <= 0:
        raise WrongUse(f"{named}={value!r}: allowed are seconds, above 0, e.g. 900")
    return float(value)


def check_choice(option: OptionValue, allowed: Sequence[str]) -> str:
    """One of ``allowed``, or WrongUse with the nearest."""
    if option.text in allowed:
        return option.text
    close = difflib.get_close_matches(option.text, allowed, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise WrongUse(f"{option.named}={option.text}: allowed are {', '.join(allowed)}{hint}")


def check_report(option: OptionValue) -> Path:
    """Where a report goes; its ending says in which form."""
    path = option.path
    if path.suffix == ".html":
        raise WrongUse(
            f"{option.named}={option.text}: reports in HTML are not built yet",
            help="allowed are .md and .json",
        )
    if path.suffix not in (".md", ".json"):
        raise WrongUse(
            f"{option.named}={option.text}: the ending says in which form; allowed are .md and "
            ".json"
        )
    if path.is_dir():
        raise WrongUse(f"{option.named}={option.text}: a folder", help="name a file in it")
    return path


def check_model_name(option: OptionValue) -> str:
    """A name for the store: a hub id, with or without organisation."""
    if not _HUB_ID.fullmatch(option.text) or {".", ".."} & {*option.text.split("/")}:
        raise WrongUse(
            f"{option.named}={option.text}: allowed are letters, digits, '.', '_', '-' and one '/'"
        )
    return option.text


def parse_schemes(
    sources: Sequence[OptionValue], catalogue: Catalogue = BUILT_IN_SCHEMES
) -> tuple[str, ...]:
    """Canonical names, each once, of comma-separated lists of quantized schemes."""
    names: dict[str, None] = {}
    for option in sources:
        for word in option.text.split(","):
            if not word.strip():
                raise WrongUse(
                    f"{option.named}={option.text}: an empty name",
                    help="separate names by one comma: w8a8-fp8,w4a16-int4",
                )
            choice = _scheme(word, option.named, catalogue)
            if not choice.is_quantized:
                raise WrongUse(
                    f"{option.named}={word.strip()}: {choice.name} is not a quantized scheme",
                    help="the baseline is named by --quant-model",
                )
            names[choice.name] = None
    return tuple(names)


def _scheme(word: str, named: str, catalogue: Catalogue) -> SchemeChoice:
    try:
        return catalogue.choose(word.strip())
    except WrongUse as error:
        raise WrongUse(f"{named}: {error.what}", help=error.help) from None


def parse_ref(option: OptionValue, name: str | None = None) -> ModelRef:
    """A folder, or a hub id with or without ``@revision``; ``name`` overrides its own."""
    text = option.text
    folder = option.path
    if folder.is_dir():
        return ModelRef(str(folder), name or folder.name, text)
    if folder.is_file() and folder.suffix == ".gguf":
        return ModelRef(str(folder), name or folder.stem, text)
    if folder.exists():
        raise WrongUse(
            f"{option.named}={text}: a file", help="a model is a folder, a hub id or a .gguf file"
        )
    ref, at, revision = text.partition("@")
    if at and option._replace(value=ref or ".").path.is_dir():
        raise WrongUse(
            f"{option.named}={text}: a folder has no revisions", help=f"leave out @{revision}"
        )
    if _looks_like_path(ref):
        raise WrongUse(f"{option.named}={text}: no such folder", help=f"looked for {folder}")
    if not _HUB_ID.fullmatch(ref) or (at and not revision):
        raise WrongUse(
            f"{option.named}={text}: neither a folder nor a hub id ORG/NAME[@REVISION]",
            help=f"a folder is looked for in {option.base}",
        )
    return ModelRef(ref, name or ref, text, revision or None)


def parse_checkpoints(
    sources: Sequence[OptionValue],
    schemes_under_test: Sequence[str] | None = None,
    catalogue: Catalogue = BUILT_IN_SCHEMES,
) -> dict[str | None, ModelRef]:
    """Scheme -> checkpoint of ``[SCHEME=]REF`` words; None stands for a plain REF.

    With ``schemes_under_test``, words for other schemes are passed over, and plain ones
    too when there are none.
    """
    checkpoints: dict[str | None, ModelRef] = {}
    for option in sources:
        scheme, ref = _split_checkpoint(option, catalogue)
        if schemes_under_test is not None and not (
            scheme in schemes_under_test or (scheme is None and schemes_under_test)
        ):
            continue
        parsed = parse_ref(ref)
        first = checkpoints.setdefault(scheme, parsed)
        if (first.ref, first.revision) != (parsed.ref, parsed.revision):
            whose = f"for {scheme}" if scheme else "without a scheme"
            raise WrongUse(
                f"{option.named}: two checkpoints {whose}: {first.given} and {parsed.given}",
                help="keep one, or say which scheme each holds: "
                f"{option.named}=SCHEME={parsed.given}",
            )
    return checkpoints


def checkpoints_alone(
    sources: Sequence[OptionValue], catalogue: Catalogue = BUILT_IN_SCHEMES
) -> tuple[dict[str | None, ModelRef], tuple[ModelRef, ...]]:
    """Where no scheme is named elsewhere: checkpoints by their scheme, and those without one."""
    split = [_split_checkpoint(option, catalogue) for option in sources]
    with_scheme = [option for option, (scheme, _) in zip(sources, split, strict=True) if scheme]
    for scheme, ref in split:
        if scheme is not None:
            parse_schemes([ref._replace(value=scheme)], catalogue)
    plain = tuple(dict.fromkeys(parse_ref(ref) for scheme, ref in split if scheme is None))
    return parse_checkpoints(with_scheme, None, catalogue), plain


def _split_checkpoint(option: OptionValue, catalogue: Catalogue) -> tuple[str | None, OptionValue]:
    left, equals, right = option.text.partition("=")
    # A path may hold an equals sign; the name of a scheme holds no slash.
    if not equals or option.path.exists() or "/" in left or "\\" in left:
        _refuse_bare_scheme(option, catalogue)
        return None, option
    scheme = _scheme(left, option.named, catalogue).name
    return scheme, option._replace(value=right, named=f"{option.named}={left.strip()}")


def _refuse_bare_scheme(option: OptionValue, catalogue: Catalogue) -> None:
    """``--quant-checkpoint=w8a8-fp8`` is a forgotten ``=REF``, not a hub id."""
    if option.path.exists():
        return
    try:
        scheme = catalogue.choose(option.text)
    except WrongUse:
        return
    raise WrongUse(
        f"{option.named}={option.text}: a scheme without its checkpoint",
        help=f"write {option.named}={scheme.name}=FOLDER-OR-HUB-ID",
    )


def parse_backend_args(sources: Sequence[OptionValue]) -> tuple[dict[str, Json], dict[str, Json]]:
    """(baseline's, quantized model's) arguments of ``[SIDE:]KEY=VALUE`` words.

    The later of two words wins, and a word for one side over one for both.
    """
    sides: dict[str, dict[str, Json]] = {"": {}, "baseline": {}, "quantized": {}}
    for option in sources:
        key, equals, text = option.text.partition("=")
        side, colon, name = key.rpartition(":")
        valid_side = side in sides and bool(colon) == bool(side)
        if not (equals and valid_side and name.strip().isidentifier()):
            # A word that is not understood may hold a secret all the same.
            word = re.fullmatch(r"[\w:.-]*", key)
            shown = f"{without_secrets(key) if word else HIDDEN}{equals}{HIDDEN if text else ''}"
            raise WrongUse(
                f"{option.named}={shown}: write [baseline:|quantized:]KEY=VALUE",
                help="e.g. dtype=float16 or quantized:device_map=auto",
            )
        sides[side][name.strip()] = _json_or_text(text.strip())
    both = sides[""]
    return {**both, **sides["baseline"]}, {**both, **sides["quantized"]}


def repeatable(word: str) -> str:
    """Return ``[SIDE:]KEY=VALUE`` with `YOUR_OWN` for a value that holds a secret."""
    key, equals, text = word.partition("=")
    value = _json_or_text(text.strip())
    safe = without_secrets(value, key.rpartition(":")[2].strip()) == value
    return word if safe or not equals else f"{key}={YOUR_OWN}"


def _json_or_text(text: str) -> Json:
    try:
        value: Json = json.loads(text, parse_constant=_no_constant)
    except ValueError:
        return text
    return value


def _no_constant(text: str) -> NoReturn:
    # Python would read NaN and Infinity, which no JSON file may hold.
    raise ValueError(text)


def _looks_like_path(text: str) -> bool:
    return text.startswith((".", "/", "~")) or text.count("/") > 1 or "\\" in text
