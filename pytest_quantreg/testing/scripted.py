"""A backend without weights that answers from a small JSON file: the shipped test double.

The file is ``scripted.json`` in the model's folder; every key may be left out::

    {
      "architecture": "ScriptedForCausalLM", "vocab_size": 100, "shapes": {"hidden_size": 8},
      "dtype": "bfloat16", "tokenizer": "words", "template": "<{role}>{content}\\n",
      "scheme": "w8a8-int8",                      what the files hold; none: unquantized
      "effective": {"quantized_layers": 0},       overrides of EffectiveScheme's fields
      "machine": {"kind": "cuda", "accelerator": "NVIDIA A40"},
      "weights": "v2",                            any text; changes the weights digest
      "tasks": {
        "sum": {
          "target": "answer",                     doc field with the right text or choice index
          "index": "id",                          doc field that tells items apart; none: doc_id
          "wrong": {"seed": 1, "share": 0.2},     or a list of index values, as all below
          "also_wrong": [3, 7], "fixed": [12],    losses and wins against another script
          "ambiguous": {"seed": 1, "share": 0.1}, right or wrong as the batch, or a sample, falls
          "empty": [4], "endless": [5],           answers with no text, or up to max_gen_toks
          "wrong_text": "?", "nats_per_char": 1.0
        },
        "*": {"wrong": []}                        every other task
      },
      "on_the_fly": {"w8a8-int8": {"scheme": "w8a8-int8", "tasks": {"sum": {"fixed": [3]}}}},
      "unusable": "text of a refusal while the files are read",
      "fail": {"kind": "out_of_memory", "at": "load"},
      "speed": {"seconds_per_token": 0.01},       how fast and large: see `scripted_speed`
      "log": "events.log"                         one line per event, in the model's folder
    }

``fail`` has ``kind`` (``out_of_memory``, ``error``, ``interrupt``, ``exit`` with status 137)
and one of ``"at": "load"``, ``"after": N`` requests, ``"above_batch": N``; ``text`` is what
an ``error`` says. What
``on_the_fly`` holds for a scheme is laid over the file, tasks key by key.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from ..backends.packages import installed
from ..core.codes import EngineCode
from ..core.engine import ChatFormatter, Say
from ..core.errors import MissingExtra, Refusal, WrongUse
from ..core.facts import Quoted, Scheme
from ..core.records.run import EffectiveScheme, Machine, ModelIdentity, ModelSpec, Software
from ..core.records.speed import DeviceState, Footprint, Load, Request
from ..core.schemes.names import describe, resolve
from .scripted_speed import ScriptedTiming

FILE = "scripted.json"
_NO_SCRIPT: Mapping[str, Any] = {}


@dataclass(frozen=True)
class Script:
    """The contents of one ``scripted.json``, defaults filled in; see the module's text."""

    architecture: str = "ScriptedForCausalLM"
    vocab_size: int = 100
    shapes: Mapping[str, int] = field(default_factory=lambda: {"hidden_size": 8})
    dtype: str = "bfloat16"
    tokenizer: str = "words"
    template: str | None = None
    scheme: str | None = None
    effective: Mapping[str, Any] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=dict)
    weights: str = ""
    tasks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    on_the_fly: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    unusable: str | None = None
    fail: Mapping[str, Any] = field(default_factory=dict)
    speed: Mapping[str, Any] = field(default_factory=dict)
    log: str | None = None

    def task(self, name: str) -> Mapping[str, Any]:
        """The part about one task, laid over what ``*`` says of every task."""
        every = self.tasks.get("*", _NO_SCRIPT)
        return {**every, **self.tasks.get(name, _NO_SCRIPT)}


class ScriptedOutOfMemory(Exception):
    """Raised where a real engine would run out of memory."""


class ScriptedBackend:
    """Implements `pytest_quantreg.core.engine.Backend` from JSON files."""

    name = "scripted"

    def __init__(self, *, cache_dir: Path) -> None:
        self._cache_dir = cache_dir

    def software(self) -> Software:
        """lm-eval's real version beside a fixed one of the script."""
        if (scorer := installed("lm_eval")) is None:
            raise MissingExtra("transformers", needed_by="the scripted backend", package="lm_eval")
        return Software(self.name, {"scripted": "1.0", "lm_eval": scorer})

    def identify(self, spec: ModelSpec) -> ModelIdentity:
        """What the script says; Refusal for a folder without one or ``unusable``."""
        script = read(spec)
        text = json.dumps([script.weights, script.scheme, dict(script.effective)], default=dict)
        template = script.template
        return ModelIdentity(
            name=spec.name,
            revision=spec.revision,
            architecture=script.architecture,
            vocab_size=script.vocab_size,
            shapes=dict(script.shapes),
            dtype=str(spec.args.get("dtype", script.dtype)),
            tokenizer_digest=_digest(script.tokenizer),
            template_digest=None if template is None else _digest(template),
            weights_digest=_digest(text),
        )

    def stored_scheme(self, spec: ModelSpec) -> str | None:
        """The scheme of the script."""
        scheme = read(spec).scheme
        return None if scheme is None else resolve(scheme).identity

    def check_makes(self, scheme: str) -> None:
        """Every scheme can be scripted; whether one is, the model's file says in `prepare`."""

    def chat_formatter(self, spec: ModelSpec, template: bool | str) -> ChatFormatter | None:
        """Puts role and content of each message into the script's template."""
        text = read(spec).template
        return None if text is None or template is False else formatter(text)

    def prepare(self, spec: ModelSpec, say: Say) -> ModelSpec:
        """Writes the script that ``on_the_fly`` gives for the scheme, if it is asked for."""
        if not spec.quantize:
            return spec
        script = _raw(Path(spec.ref))
        changes = script.get("on_the_fly", {}).get(spec.scheme)
        if changes is None:
            scheme = Scheme(spec.scheme)
            raise WrongUse(EngineCode.SCRIPT_MAKES_NO_SCHEME, scheme=scheme, model=spec.name)
        text = json.dumps(_laid_over(script, changes), indent=1, sort_keys=True)
        folder = self._cache_dir / f"scripted-{_digest(text)[:12]}"
        say(f"quantizing {spec.name} to {spec.scheme}")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILE).write_text(text, encoding="utf-8")
        return replace(spec, ref=str(folder), quantize=False)

    def load(self, spec: ModelSpec) -> ScriptedEngine:
        """A ScriptedEngine, or the failure that the script asks for."""
        script = read(spec)
        engine = ScriptedEngine(spec, script)
        if script.fail.get("at") == "load":
            if script.fail.get("kind") == "out_of_memory":
                raise Refusal(EngineCode.SCRIPT_OUT_OF_MEMORY, model=spec.name)
            fail(script.fail)
        engine.log(f"loaded {spec.name} {spec.scheme}")
        return engine


class ScriptedEngine:
    """Implements `pytest_quantreg.core.engine.Engine`; ``model`` is the Script itself."""

    def __init__(self, spec: ModelSpec, script: Script) -> None:
        self._spec = spec
        self._script: Script | None = script
        before = sum(line.startswith("loaded ") for line in self._logged())
        self._timing = ScriptedTiming(spec.name, script.speed, before)
        self.requests = 0

    @property
    def script(self) -> Script:
        """The script; RuntimeError once the engine is closed, as with freed weights."""
        if self._script is None:
            raise RuntimeError(f"{self._spec.name} {self._spec.scheme} is closed")
        return self._script

    @property
    def effective(self) -> EffectiveScheme:
        """What the scheme amounts to, with the script's overrides."""
        return replace(_effective(self.script.scheme), **self.script.effective)

    @property
    def machine(self) -> Machine:
        """A CPU called ``scripted`` unless the script names another."""
        return Machine(**{"kind": "cpu", "accelerator": "scripted", **self.script.machine})

    @property
    def model(self) -> Any:
        """The Script."""
        return self.script

    @property
    def tokenizer(self) -> Any:
        """There is none."""
        return None

    def lm(self, batch_size: int) -> Any:
        """An lm-eval model that answers from the script."""
        from .scripted_lm import ScriptedLM

        return ScriptedLM(self, batch_size)

    @property
    def load_seconds(self) -> float | None:
        """What a worker reports in place of the time it took."""
        return self._timing.load_seconds

    def serve(self, load: Load) -> tuple[Request, ...]:
        """Times computed from the script."""
        requests = self._timing.serve(load)
        self.log(f"served {len(load.prompts)} requests of {load.output_tokens} tokens")
        return requests

    def footprint(self) -> Footprint:
        """The sizes of the script."""
        return self._timing.footprint()

    def forget_peak(self) -> None:
        """The script's peak stays what it is."""

    def copy_bandwidth(self) -> float | None:
        """The bandwidth of the script."""
        return self._timing.copy_bandwidth()

    def state(self) -> DeviceState:
        """The state of the script's device."""
        return self._timing.state()

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Return whether the script caused ``error`` as running out of memory."""
        return isinstance(error, (ScriptedOutOfMemory, MemoryError))

    def close(self) -> None:
        """Forgets the script; scoring afterwards raises RuntimeError."""
        if self._script is not None:
            self.log(f"closed {self._spec.name} {self._spec.scheme}")
        self._script = None

    def log(self, event: str) -> None:
        """Appends one line to the script's log file, if it names one."""
        if self.script.log is not None:
            path = Path(self._spec.ref) / self.script.log
            with path.open("a", encoding="utf-8") as lines:
                lines.write(f"{event}\n")

    def _logged(self) -> list[str]:
        """What the log holds by now; nothing where none is kept."""
        path = Path(self._spec.ref) / (self.script.log or "")
        return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []


def read(spec: ModelSpec) -> Script:
    """The script of a model's folder; raises Refusal when there is none to use."""
    raw = _raw(Path(spec.ref))
    known_keys = {entry.name for entry in fields(Script)}
    if unknown := sorted(set(raw) - known_keys):
        raise Refusal(
            EngineCode.SCRIPT_HAS_UNKNOWN_KEYS,
            model=spec.name,
            part=FILE,
            keys=tuple(unknown),
            known=tuple(sorted(known_keys)),
        )
    script = Script(**raw)
    if script.unusable is not None:
        text = Quoted(script.unusable)
        raise Refusal(EngineCode.SCRIPT_IS_UNUSABLE, model=spec.name, text=text)
    return script


def formatter(template: str) -> ChatFormatter:
    """Renders chats with a template that holds ``{role}`` and ``{content}``."""

    def render(messages: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        turns = list(messages)
        if add_generation_prompt:
            turns.append({"role": "assistant", "content": ""})
        return "".join(
            template.replace("{role}", turn["role"]).replace("{content}", turn["content"])
            for turn in turns
        )

    return render


def fail(how: Mapping[str, Any]) -> None:
    """Fails the way a script's ``fail`` entry says."""
    kind = how.get("kind", "error")
    if kind == "out_of_memory":
        raise ScriptedOutOfMemory("scripted: out of memory")
    if kind == "interrupt":
        raise KeyboardInterrupt
    if kind == "exit":
        os._exit(137)
    raise RuntimeError(how.get("text", "scripted: the engine failed"))


def _raw(folder: Path) -> dict[str, Any]:
    try:
        raw = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Refusal(
            EngineCode.SCRIPT_UNREADABLE,
            folder=folder.name,
            file=FILE,
            error=Quoted(str(error)),
        ) from error
    if not isinstance(raw, dict):
        raise Refusal(EngineCode.SCRIPT_IS_NO_OBJECT, folder=folder.name, file=FILE)
    return raw


def _laid_over(script: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    tasks = {name: dict(task) for name, task in script.get("tasks", {}).items()}
    for name, task in changes.get("tasks", {}).items():
        tasks[name] = {**tasks.get(name, {}), **task}
    merged = {**script, **changes, "tasks": tasks}
    merged.pop("on_the_fly", None)
    return merged


def _effective(scheme: str | None) -> EffectiveScheme:
    choice = resolve(scheme or "native")
    quantized = choice.scheme.weights is not None
    return EffectiveScheme(
        scheme=choice.identity,
        weights=describe(choice.scheme.weights),
        activations=describe(choice.scheme.activations),
        kv_cache=choice.kv or "unquantized",
        kernel="scripted",
        mode="native" if quantized else "full precision",
        quantized_layers=8 if quantized else 0,
        linear_layers=8,
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
