"""The seam between the plugin and the engines that run models: two small Protocols."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol, TypeAlias

from .records.run import EffectiveScheme, Machine, ModelIdentity, ModelSpec, Software
from .records.speed import DeviceState, Footprint, Load, Request
from .schemes.inspection import Checkpoint

ChatFormatter: TypeAlias = Callable[..., str]
"""``(messages, add_generation_prompt=True) -> str``, as lm-eval calls it."""

Say: TypeAlias = Callable[[str], None]
"""Tells the person at the terminal one line, now."""


class Engine(Protocol):
    """A loaded model. Whoever loads it closes it."""

    @property
    def effective(self) -> EffectiveScheme:
        """What was really loaded, read from the modules before the first forward."""
        ...

    @property
    def machine(self) -> Machine:
        """Where it runs."""
        ...

    @property
    def model(self) -> Any:
        """The engine's own model object, for users' tests; None if it is elsewhere."""
        ...

    @property
    def tokenizer(self) -> Any:
        """The engine's own tokenizer, for users' tests; None if it has none."""
        ...

    def lm(self, batch_size: int) -> Any:
        """An ``lm_eval.api.model.LM`` over the loaded weights with this batch size."""
        ...

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Whether ``error`` means that a smaller batch may help."""
        ...

    def close(self) -> None:
        """Frees the memory, also while something still refers to the model object."""
        ...


class TimedEngine(Engine, Protocol):
    """An engine that can be timed. Engines without these methods measure accuracy only."""

    def serve(self, load: Load) -> tuple[Request, ...]:
        """Answers every prompt of ``load`` with exactly its number of tokens.

        The end-of-sequence token ends nothing. The device is idle before and after, and
        times are those at which tokens were there, not those at which work was queued.
        """
        ...

    def footprint(self) -> Footprint:
        """What it occupies now; its peak is that since the last `forget_peak`."""
        ...

    def forget_peak(self) -> None:
        """Starts the peak of `footprint` anew."""
        ...

    def copy_bandwidth(self) -> float | None:
        """Bytes read plus written per second of a large copy on its device."""
        ...

    def state(self) -> DeviceState:
        """How the device is now."""
        ...


DEFAULT_BATCH_SIZE = 32
"""Sequences at a time, where neither a person nor the backend says otherwise."""


@dataclass(frozen=True)
class Capabilities:
    """What a backend can do beside the Protocol.

    - ``own_process``: `load` is called in a worker process, and answers are asked for over a
      pipe. For engines that free their memory only when their process ends.
    - ``exclusive``: an engine takes the whole device, so that two models are timed one after
      the other, by block.
    - ``batch_size``: how many sequences a baseline is recorded with at a time.
    - ``private_args``: names of arguments that are neither stored nor shown, as addresses are.
    - ``software_of(spec)``: versions that depend on the model's place, as those of a server
      do; asked instead of `software`.
    - ``device_kind(spec)``: what `load` puts it on (``cpu``, ``cuda``, ``rocm``), if known.
    - ``listen(say)``: takes what prints a line, for work on files that takes long.
    - ``at_hand(spec)``: the local copy of a model that is not a path, so that a gate can
      compare the full-precision weights without downloading them.
    - ``inspect(spec)``: what files say of their tensors, so that a checkpoint which
      contradicts itself is refused before it is loaded.
    """

    own_process: bool = False
    exclusive: bool = False
    batch_size: int = DEFAULT_BATCH_SIZE
    private_args: frozenset[str] = frozenset()
    software_of: Callable[[ModelSpec], Software] | None = None
    device_kind: Callable[[ModelSpec], str | None] | None = None
    listen: Callable[[Say], None] | None = None
    at_hand: Callable[[ModelSpec], ModelSpec | None] | None = None
    inspect: Callable[[ModelSpec], Checkpoint | None] | None = None


def capabilities_of(backend: Backend) -> Capabilities:
    """Its ``capabilities``, or what its attributes of the same names say."""
    declared = getattr(backend, "capabilities", None)
    if isinstance(declared, Capabilities):
        return declared
    names = [entry.name for entry in fields(Capabilities) if hasattr(backend, entry.name)]
    found = Capabilities(**{name: getattr(backend, name) for name in names})
    return replace(found, private_args=frozenset(found.private_args))


class Backend(Protocol):
    """One engine: everything but `load` works without loading any weights.

    What some backends can do besides is a `Capabilities`: its attribute ``capabilities``, or
    the attributes of these names.
    """

    @property
    def name(self) -> str:
        """What ``--quant-backend`` calls it."""
        ...

    def software(self) -> Software:
        """The versions installed; raises MissingExtra when the engine is not."""
        ...

    def identify(self, spec: ModelSpec) -> ModelIdentity:
        """Reads config, tokenizer and digests; raises Refusal for unusable folders."""
        ...

    def stored_scheme(self, spec: ModelSpec) -> str | None:
        """The canonical scheme that the files of ``spec`` hold, None if unquantized."""
        ...

    def check_makes(self, scheme: str) -> None:
        """Raises WrongUse when this scheme cannot be quantized on the fly; cheap."""
        ...

    def chat_formatter(self, spec: ModelSpec, template: bool | str) -> ChatFormatter | None:
        """Renders chats with the model's template; None when the tokenizer has none."""
        ...

    def prepare(self, spec: ModelSpec, say: Say) -> ModelSpec:
        """Makes what `load` needs (downloads, quantizes on the fly); says what it does."""
        ...

    def load(self, spec: ModelSpec) -> Engine:
        """Loads a prepared model; raises Refusal for weights that do not fit it."""
        ...
