"""A backend and an engine with the usual answers filled in; subclasses say what is special."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ...core.codes import EngineCode, ModelCode
from ...core.engine import ChatFormatter, Say
from ...core.errors import MissingExtra, Refusal, WrongUse
from ...core.facts import Quoted, Scheme
from ...core.records.run import EffectiveScheme, Machine, ModelSpec, Software
from ...core.schemes.names import describe, resolve
from ..packages import installed

if TYPE_CHECKING:
    from .lm import NextToken

SCORER = "lm_eval"


class SimpleBackend:
    """All of `pytest_quantreg.core.engine.Backend` but ``identify`` and ``load``.

    ``packages`` are the distributions whose versions decide what a model answers. By default
    nothing is quantized on the fly, nothing is stored quantized, and there are no chats.
    """

    name = ""
    packages: tuple[str, ...] = ()

    def __init__(self, *, cache_dir: Path) -> None:
        self.cache_dir = cache_dir

    def software(self) -> Software:
        """The versions of ``packages`` and of lm-eval; MissingExtra for one that is absent."""
        versions = {package: self._needed(package) for package in (*self.packages, SCORER)}
        return Software(self.name, versions)

    def stored_scheme(self, spec: ModelSpec) -> str | None:  # noqa: ARG002
        """None: full precision."""
        return None

    def check_makes(self, scheme: str) -> None:
        """Raises WrongUse: nothing is made on the fly."""
        raise WrongUse(ModelCode.NOT_MADE_BY_BACKEND, scheme=Scheme(scheme), backend=self.name)

    def chat_formatter(self, spec: ModelSpec, template: bool | str) -> ChatFormatter | None:  # noqa: ARG002
        """None: no template."""
        return None

    def prepare(self, spec: ModelSpec, say: Say) -> ModelSpec:  # noqa: ARG002
        """The spec itself; raises what `check_makes` does when it is to be quantized."""
        if spec.quantize:
            self.check_makes(spec.scheme)
        return spec

    def kept(self, name: str, make: Callable[[Path], object]) -> Path:
        """The folder ``name`` of the cache; ``make`` fills it if it is not there yet.

        It is there whole or not at all, also when making is interrupted or done twice at once.
        """
        folder = self.cache_dir / name
        if folder.is_dir():
            return folder
        self.cache_dir.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=self.cache_dir, prefix=".making-") as place:
            half = Path(place) / name
            make(half)
            try:
                half.replace(folder)
            except OSError:
                # Another process was faster; what it made is the same.
                if not folder.is_dir():
                    raise
        return folder

    def _needed(self, package: str) -> str:
        if (version := installed(package)) is not None:
            return version
        raise MissingPackage(self.name, package)


class MissingPackage(MissingExtra):
    """A package of a backend is missing, and no extra of this package installs it."""

    def __init__(self, backend: str, package: str) -> None:
        WrongUse.__init__(self, EngineCode.BACKEND_NEEDS_PACKAGE, backend=backend, package=package)


class SimpleEngine:
    """Implements `pytest_quantreg.core.engine.Engine` for a model that predicts next tokens.

    ``model`` is all that refers to the weights: closing forgets it, and the engine's LM
    answers no more.
    """

    tokenizer: Any = None

    def __init__(self, model: NextToken, effective: EffectiveScheme, machine: Machine) -> None:
        self._model: NextToken | None = model
        self.effective = effective
        self.machine = machine

    @property
    def model(self) -> Any:
        """The model. Raises WrongUse once the engine is closed."""
        if self._model is None:
            raise WrongUse(EngineCode.THIS_ENGINE_CLOSED)
        return self._model

    def lm(self, batch_size: int) -> Any:
        """An lm-eval model that asks the model for one token after the other."""
        assert self.model is not None
        from .lm import SimpleLM

        return SimpleLM(self, batch_size)

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Return whether it is a MemoryError."""
        return isinstance(error, MemoryError)

    def close(self) -> None:
        """Forgets the model; harmless the second time."""
        self._model = None


def read(path: Path) -> bytes:
    """The bytes of a model's file; Refusal for one that cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise Refusal(
            ModelCode.NOT_THIS_BACKENDS_MODEL,
            name=path.parent.name,
            file=path.name,
            error=Quoted(str(error.strerror)),
        ) from error


def digest(*files: Path) -> str:
    """sha256 in hex over the names and bytes of files; Refusal for one that cannot be read."""
    hasher = hashlib.sha256()
    for path in sorted(files, key=lambda path: path.name):
        raw = read(path)
        hasher.update(f"{path.name} {len(raw)}\n".encode() + raw)
    return hasher.hexdigest()


def effective(scheme: str, *, layers: int, kernel: str, mode: str | None = None) -> EffectiveScheme:
    """What was loaded, in the words of a known scheme, all ``layers`` of it alike.

    ``mode`` is ``full precision`` or ``native`` unless it is given.
    """
    choice = resolve(scheme)
    return EffectiveScheme(
        scheme=choice.identity,
        weights=describe(choice.scheme.weights),
        activations=describe(choice.scheme.activations),
        kv_cache=choice.kv or "unquantized",
        kernel=kernel,
        mode=mode or ("native" if choice.is_quantized else "full precision"),
        quantized_layers=layers if choice.is_quantized else 0,
        linear_layers=layers,
    )


def machine() -> Machine:
    """This computer's processor."""
    return Machine("cpu", platform.processor() or platform.machine() or "cpu")
