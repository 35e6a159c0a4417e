"""The llama.cpp backend itself: each step handed to the file that knows how."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...core.engine import ChatFormatter, Say
from ...core.errors import MissingExtra
from ...core.records.run import ModelIdentity, ModelSpec, Software
from ...core.schemes.inspection import Checkpoint
from ..checkpoint.identity import FileDigests
from ..gguf.chat import chat_formatter
from ..gguf.files import GgufFiles
from ..gguf.identity import identify
from ..gguf.scheme import stored_scheme
from ..packages import installed
from .arguments import check_arguments
from .quantize import check_makes, make_gguf

if TYPE_CHECKING:
    from .engine import LlamacppEngine

REQUIRED = ("llama-cpp-python", "gguf", "lm_eval")


class LlamacppBackend:
    """Implements `pytest_quantreg.core.engine.Backend` with llama.cpp.

    A model is a GGUF file. ``cache_dir`` keeps the files that are quantized on the fly.
    """

    name = "llamacpp"
    own_process = True
    """A fault in its C code ends the process that it runs in."""

    def __init__(self, *, cache_dir: Path) -> None:
        self._cache_dir = cache_dir
        self._files = GgufFiles()
        self._digests = FileDigests()

    def software(self) -> Software:
        """Installed versions, read without importing anything."""
        return Software(self.name, {package: _installed_version(package) for package in REQUIRED})

    def identify(self, spec: ModelSpec) -> ModelIdentity:
        """Return the identity in the file's metadata, with its digest."""
        self.software()
        check_arguments(spec)
        return identify(spec, self._files.open(spec.ref), self._digests)

    def stored_scheme(self, spec: ModelSpec) -> str | None:
        """Return the scheme of its tensors."""
        return stored_scheme(self._files.open(spec.ref))

    def listen(self, say: Say) -> None:
        """Set the function that announces long work on files."""
        self._digests.say = say

    def inspect(self, spec: ModelSpec) -> Checkpoint:
        """All that is known of it without loading it."""
        # Late, here and below: numpy is not needed to name a backend.
        from ..gguf.inspect import checkpoint

        return checkpoint(self._files.open(spec.ref))

    def check_makes(self, scheme: str) -> None:
        """Raises WrongUse for a scheme that llama.cpp does not make."""
        check_makes(scheme)

    def chat_formatter(self, spec: ModelSpec, template: bool | str) -> ChatFormatter | None:
        """Renders chats with the file's own template; None without one."""
        return chat_formatter(self._files.open(spec.ref), template)

    def prepare(self, spec: ModelSpec, say: Say) -> ModelSpec:
        """Makes the scheme from the file when the spec says so."""
        self.software()
        check_arguments(spec)
        model = self._files.open(spec.ref)
        if not spec.quantize:
            return spec
        identity = identify(spec, model, self._digests)
        return make_gguf(spec, model, identity, self._cache_dir, self._digests, say)

    def load(self, spec: ModelSpec) -> LlamacppEngine:
        """The engine of a prepared spec; raises Refusal for a file that is no use."""
        from .engine import LlamacppEngine

        self.software()
        check_arguments(spec)
        return LlamacppEngine(spec, self._files.open(spec.ref))


def _installed_version(package: str) -> str:
    if (version := installed(package)) is None:
        raise MissingExtra("llamacpp", needed_by="the llamacpp backend", package=package)
    return version
