"""What a baseline is filed under, and the file names that this makes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields

from ..core.codes import StoredCode
from ..core.errors import WrongUse
from ..core.facts import Fact, Problem, Quoted
from ..core.records.run import AccuracyRequest, Json, Run
from .file_names import MAX_COMPONENT, to_component, too_long


@dataclass(frozen=True)
class RunSettings:
    """How a task was asked for beyond its few-shot count; None leaves it to the task.

    These are the wishes, not what became of them: they are known before any engine is
    imported. What became of them is the run's protocol, and `core.comparison.comparability` refuses
    when that has changed. ``chat_template`` is ``off``, ``on`` or a template's name;
    ``gen_kwargs`` is canonical JSON, so that the value stays hashable.
    """

    chat_template: str | None = None
    fewshot_as_multiturn: bool | None = None
    system_instruction_digest: str | None = None
    gen_kwargs: str = "{}"
    repeats: int = 1
    seed: int = 1234

    @classmethod
    def of(cls, request: AccuracyRequest) -> RunSettings:
        """The settings of a request; the task and its few-shot count are in the key."""
        return cls(
            chat_template=_template_mode(request.apply_chat_template),
            fewshot_as_multiturn=request.fewshot_as_multiturn,
            system_instruction_digest=text_digest(request.system_instruction),
            gen_kwargs=canonical_settings(request.gen_kwargs),
            repeats=request.repeats,
            seed=request.seed,
        )

    def non_defaults(self) -> dict[str, Json]:
        """Only what differs from the defaults, as plain JSON values."""
        plain: dict[str, Json] = {
            item.name: getattr(self, item.name)
            for item in fields(self)
            if getattr(self, item.name) != item.default
        }
        if "gen_kwargs" in plain:
            plain["gen_kwargs"] = json.loads(self.gen_kwargs)
        return plain

    def suffix(self) -> str:
        """Empty for the defaults, else ``-`` and 8 hex digits that stand for the rest."""
        settings = self.non_defaults()
        if not settings:
            return ""
        # Only what was given is hashed: a setting added later changes no file name.
        text = json.dumps(settings, sort_keys=True, separators=(",", ":"))
        return "-" + hashlib.sha256(text.encode()).hexdigest()[:8]


@dataclass(frozen=True)
class BaselineKey:
    """One baseline: model name, its scheme, the engine, the task, few-shot, settings.

    ``num_fewshot`` is the count in effect, the task's own where none was asked for.
    Raises WrongUse for a part that cannot be filed (empty, too long, a path).
    """

    model: str
    scheme: str
    engine: str
    task: str
    num_fewshot: int
    settings: RunSettings = RunSettings()

    def __post_init__(self) -> None:
        if type(self.num_fewshot) is not int or self.num_fewshot < 0:
            raise WrongUse(StoredCode.FEWSHOT_COUNT, count=repr(self.num_fewshot))
        _ = self.folder
        if len(self.stem) > MAX_COMPONENT:
            raise too_long("task", self.task, self.stem)

    @property
    def folder(self) -> tuple[str, str, str]:
        """The folders below the store: model, scheme, engine."""
        return (
            to_component("model", self.model),
            to_component("scheme", self.scheme),
            to_component("engine", self.engine),
        )

    @property
    def stem(self) -> str:
        """The file names without their endings."""
        task = to_component("task", self.task)
        return f"{task}.{self.num_fewshot}shot{self.settings.suffix()}"

    def __str__(self) -> str:
        settings = (
            json.dumps(self.settings.non_defaults(), sort_keys=True)
            if self.settings.non_defaults()
            else ""
        )
        return (
            f"{self.task} ({self.num_fewshot}-shot{', ' if settings else ''}{settings}) of "
            f"{self.model} at {self.scheme} on {self.engine}"
        )

    def plain(self) -> dict[str, Json]:
        """The key as the file holds it."""
        return {
            "model": self.model,
            "scheme": self.scheme,
            "engine": self.engine,
            "task": self.task,
            "num_fewshot": self.num_fewshot,
            "settings": self.settings.non_defaults(),
        }

    def mismatch(self, run: Run) -> Problem | None:
        """The first part in which ``run`` contradicts this key; None if none."""
        protocol, provenance = run.accuracy.protocol, run.provenance
        parts: tuple[tuple[str, Fact, Fact], ...] = (
            ("model", self.model, provenance.model.name),
            ("scheme", self.scheme, provenance.claimed),
            ("engine", self.engine, provenance.software.backend),
            ("task", self.task, protocol.task),
            ("num_fewshot", self.num_fewshot, protocol.num_fewshot),
            ("repeats", self.settings.repeats, protocol.repeats),
            ("seed", self.settings.seed, protocol.seed),
        )
        return first_contradiction(parts)


def first_contradiction(parts: Iterable[tuple[str, Fact, Fact]]) -> Problem | None:
    """The first of the parts, with what a key and its run say of each, that differs."""
    for part, expected, found in parts:
        if expected != found:
            return Problem(
                StoredCode.CONTRADICTS_KEY, {"part": part, "expected": expected, "found": found}
            )
    return None


def text_digest(text: str | None) -> str | None:
    """sha256 in hex of a text, None for none or an empty one, as measuring sees it."""
    return None if not text else hashlib.sha256(text.encode()).hexdigest()


def canonical_settings(gen_kwargs: Mapping[str, Json]) -> str:
    """Canonical JSON in which 0 and 0.0 are one value; raises WrongUse for NaN."""
    try:
        return json.dumps(
            _plain_numbers(dict(gen_kwargs)),
            sort_keys=True,
            separators=(",", ":"),
            allow_nan=False,
        )
    except (TypeError, ValueError, RecursionError) as error:
        raise WrongUse(StoredCode.GENERATION_SETTINGS, reason=Quoted(str(error))) from None


def _plain_numbers(value: Json) -> Json:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {name: _plain_numbers(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain_numbers(inner) for inner in value]
    return value


def _template_mode(template: bool | str | None) -> str | None:
    if isinstance(template, bool):
        return "on" if template else "off"
    return template
