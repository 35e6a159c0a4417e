"""The values of options: names, schemes, models, checkpoints and arguments of engines."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TypeVar

from ..core.checks import shown
from ..core.codes import OptionCode
from ..core.errors import WrongUse
from ..core.facts import Problem
from ..core.records.run import Json
from ..core.schemes.catalogue import Catalogue
from ..core.schemes.names import SchemeChoice
from ..core.secret_values import HIDDEN, YOUR_OWN, without_secrets
from ..core.settings import ModelRef

T = TypeVar("T")

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
            raise WrongUse(OptionCode.EMPTY_VALUE, name=self.named)
        return text

    @property
    def path(self) -> Path:
        """The absolute path that the value names; links keep their own names."""
        return Path(os.path.abspath(self.base / os.path.expanduser(self.text)))

    def checked(self, check: Callable[..., T], **rule: Any) -> T:
        """What ``check`` makes of the value; its WrongUse names the option and the value."""
        value = self.text if isinstance(self.value, str) else self.value
        try:
            return check(value, **rule)
        except WrongUse as error:
            raise self.wrong(error.problem) from None

    def wrong(self, cause: Problem) -> WrongUse:
        """The error of a value that breaks a rule."""
        value = self.text if isinstance(self.value, str) else shown(self.value)
        return WrongUse(OptionCode.BAD_VALUE, name=self.named, value=value, cause=cause)


def report_path(option: OptionValue) -> Path:
    """Where a report goes; its ending says in which form."""
    path = option.path
    if path.suffix == ".html":
        raise option.wrong(Problem(OptionCode.HTML_REPORT, {}))
    if path.suffix not in (".md", ".json"):
        raise option.wrong(Problem(OptionCode.EXPECTED_REPORT_NAME, {}))
    if path.is_dir():
        raise option.wrong(Problem(OptionCode.FOLDER_AS_REPORT, {}))
    return path


def model_name(option: OptionValue) -> str:
    """A name for the store: a hub id, with or without organisation."""
    if not _HUB_ID.fullmatch(option.text) or {".", ".."} & {*option.text.split("/")}:
        raise option.wrong(Problem(OptionCode.EXPECTED_MODEL_NAME, {}))
    return option.text


def parse_schemes(
    sources: Sequence[OptionValue], catalogue: Catalogue = BUILT_IN_SCHEMES
) -> tuple[str, ...]:
    """Canonical names, each once, of comma-separated lists of quantized schemes."""
    names: dict[str, None] = {}
    for option in sources:
        for word in option.text.split(","):
            if not word.strip():
                raise option.wrong(Problem(OptionCode.EMPTY_SCHEME_NAME, {}))
            choice = _scheme(word, option.named, catalogue)
            if not choice.is_quantized:
                cause = Problem(OptionCode.BASELINE_SCHEME, {"scheme": choice.name})
                raise option._replace(value=word).wrong(cause)
            names[choice.name] = None
    return tuple(names)


def _scheme(word: str, named: str, catalogue: Catalogue) -> SchemeChoice:
    try:
        return catalogue.choose(word.strip())
    except WrongUse as error:
        raise WrongUse(OptionCode.WRONG_AT, where=named, cause=error.problem) from None


def parse_ref(option: OptionValue, name: str | None = None) -> ModelRef:
    """A folder, or a hub id with or without ``@revision``; ``name`` overrides its own."""
    text = option.text
    folder = option.path
    if folder.is_dir():
        return ModelRef(str(folder), name or folder.name, text)
    if folder.is_file() and folder.suffix == ".gguf":
        return ModelRef(str(folder), name or folder.stem, text)
    if folder.exists():
        raise option.wrong(Problem(OptionCode.FILE_AS_MODEL, {}))
    ref, at, revision = text.partition("@")
    if at and option._replace(value=ref or ".").path.is_dir():
        raise option.wrong(Problem(OptionCode.REVISION_OF_FOLDER, {"revision": revision}))
    if _looks_like_path(ref):
        raise option.wrong(Problem(OptionCode.NO_SUCH_FOLDER, {"folder": str(folder)}))
    if not _HUB_ID.fullmatch(ref) or (at and not revision):
        raise option.wrong(Problem(OptionCode.EXPECTED_MODEL, {"base": str(option.base)}))
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
            raise _two_checkpoints(option.named, scheme, first.given, parsed.given)
    return checkpoints


def _two_checkpoints(name: str, scheme: str | None, first: str, second: str) -> WrongUse:
    if scheme is None:
        return WrongUse(OptionCode.TWO_PLAIN_CHECKPOINTS, name=name, first=first, second=second)
    return WrongUse(
        OptionCode.TWO_CHECKPOINTS, name=name, scheme=scheme, first=first, second=second
    )


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
        OptionCode.SCHEME_WITHOUT_CHECKPOINT,
        name=option.named,
        given=option.text,
        scheme=scheme.name,
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
            safe = f"{without_secrets(key) if word else HIDDEN}{equals}{HIDDEN if text else ''}"
            raise option._replace(value=safe).wrong(Problem(OptionCode.EXPECTED_BACKEND_ARG, {}))
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
