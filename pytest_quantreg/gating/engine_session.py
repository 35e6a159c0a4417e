"""Loads and measures models once per session: identities, prompts, engines and their results."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import asdict, dataclass, replace
from functools import partial

from ..backends import find
from ..backends.engine_slot import EngineSlot
from ..backends.process.remote import RemoteEngine
from ..core.codes import GateCode, SpeedCode
from ..core.engine import Backend, Capabilities, Engine, capabilities_of
from ..core.errors import Refusal
from ..core.facts import Scheme
from ..core.records.run import (
    UNVERIFIED,
    Accuracy,
    AccuracyRequest,
    EffectiveScheme,
    Machine,
    ModelIdentity,
    ModelSpec,
    Software,
)
from ..core.records.speed import MOST
from ..core.settings import Settings
from ..measure import (
    Journal,
    PreparedTask,
    Progress,
    TaskGroup,
    TaskLibrary,
    chat_note,
    measure,
    prepare,
)
from .memo import Memo
from .scheme_alias_backend import with_scheme_aliases


@dataclass(frozen=True)
class LoadedModel:
    """What was read from a model while it was loaded, kept after it is gone."""

    effective: EffectiveScheme
    machine: Machine
    software: Software


class EngineSession:
    """Does everything once: a model is loaded, and a task measured, when first needed."""

    def __init__(self, settings: Settings, progress: Progress) -> None:
        self.settings = settings
        self.slot = EngineSlot(self._start)
        self._progress = progress
        self._journal = Journal(settings.cache_dir / "journal")
        self._library = TaskLibrary(progress.say)
        self._backend: Backend | None = None
        self._capabilities = Capabilities()
        self._identities: Memo[ModelIdentity] = Memo()
        self._loaded: dict[tuple[object, ...], LoadedModel] = {}
        self._groups: Memo[TaskGroup | None] = Memo()
        self._prepared: dict[str, PreparedTask] = {}
        self._measured: dict[tuple[object, ...], Accuracy] = {}
        self._chat_noted: set[str] = set()
        self._session = secrets.token_hex(8)

    @property
    def backend(self) -> Backend:
        """The engine of this session. Raises WrongUse for an unknown name."""
        if self._backend is None:
            backend = find(self.settings.backend, cache_dir=self.settings.cache_dir / "checkpoints")
            self._backend = with_scheme_aliases(backend, self.settings.catalogue)
            self._capabilities = capabilities_of(self._backend)
            if self._capabilities.listen is not None:
                self._capabilities.listen(self._progress.say)
        return self._backend

    @property
    def capabilities(self) -> Capabilities:
        """What the engine of this session can do beside the Protocol."""
        self.backend  # noqa: B018  # which reads them
        return self._capabilities

    def software(self, spec: ModelSpec) -> Software:
        """The versions that run ``spec``: a server's where one does. Raises MissingExtra."""
        software_of = self.capabilities.software_of
        return self.backend.software() if software_of is None else software_of(spec)

    def say(self, text: str) -> None:
        """Tells the person at the terminal one line, now."""
        self._progress.say(text)

    def announce(self, text: str) -> None:
        """One line also where there is no terminal: what is about to cost much."""
        self._progress.announce(text)

    def identify(self, spec: ModelSpec) -> ModelIdentity:
        """What the files of ``spec`` say. Raises Refusal for files that are no use."""
        # Files are the same whatever they claim to be, and large ones take long to digest.
        key = replace(spec, scheme="").key()
        return self._identities.of(key, lambda: self.backend.identify(spec))

    def prepare(self, request: AccuracyRequest, spec: ModelSpec) -> PreparedTask:
        """The task with all its prompts, as ``spec`` is asked it. Raises Refusal."""
        identity = self.identify(spec)
        # Prompts depend on the tokenizer's template and on nothing else of the model.
        key = repr((request, identity.tokenizer_digest, identity.template_digest))
        if key not in self._prepared:
            self._prepared[key] = prepare(
                request,
                chat=partial(self.backend.chat_formatter, spec),
                template_digest=identity.template_digest,
                library=self._library,
            )
        return self._prepared[key]

    def group(self, request: AccuracyRequest) -> TaskGroup | None:
        """The group that a request names; None when it names a task. Raises Refusal."""
        key = (request.task, request.include_paths)
        return self._groups.of(key, lambda: self._library.group(*key))

    def engine_of(self, spec: ModelSpec) -> Engine:
        """The loaded engine of ``spec``; frees any other first."""
        engine = self.slot.acquire(spec, self.backend, self._progress.say)
        loaded = LoadedModel(engine.effective, engine.machine, self.software(spec))
        earlier = self._loaded.setdefault(spec.key(), loaded)
        if earlier != loaded:
            self.slot.close()
            raise Refusal(
                GateCode.OTHER_WHEN_LOADED_AGAIN,
                model=spec.name,
                scheme=Scheme(spec.scheme),
                runs=str(loaded.effective.scheme),
                device=loaded.machine.accelerator,
                ran=str(earlier.effective.scheme),
                earlier_device=earlier.machine.accelerator,
            )
        return engine

    def load(self, spec: ModelSpec) -> LoadedModel:
        """What is known of ``spec`` once it was loaded; loads it if it never was."""
        if spec.key() not in self._loaded:
            self.engine_of(spec)
        return self._loaded[spec.key()]

    def measure(
        self,
        spec: ModelSpec,
        prepared: PreparedTask,
        n: int,
        *,
        batch_size: int,
        rerun: int = 0,
        runs: int = 1,
    ) -> Accuracy:
        """The first ``n`` items of a task on ``spec``, measured once per session.

        ``batch_size`` gives way to ``--quant-backend-arg=batch_size=N``. ``rerun`` counts
        the ``runs`` of a recording from 0; each has a batch order of its own.
        """
        size = _batch_size(spec, batch_size)
        fingerprint = self._fingerprint(spec)
        key = (fingerprint, prepared.protocol_digest, n, size, rerun)
        if key not in self._measured:
            self._measured[key] = measure(
                prepared,
                self.engine_of(spec),
                n=n,
                batch_size=size,
                fingerprint=fingerprint,
                journal=self._journal,
                progress=self._progress,
                rerun=rerun,
                label=f"run {rerun + 1} of {runs}" if runs > 1 else "",
                # Where nobody can read the weights, these tell whether they are others.
                likelihoods=self.load(spec).effective.mode == UNVERIFIED,
            )
        return self._measured[key]

    def measurement_notes(
        self, spec: ModelSpec, accuracy: Accuracy, *, batch_size: int
    ) -> tuple[str, ...]:
        """Return the notes on how a measurement came about.

        A chat template that nobody requested is noted once per task of a session.
        """
        task, notes = accuracy.protocol.task, accuracy.notes
        if task in self._chat_noted:
            notes = tuple(note for note in notes if note != chat_note(task))
        elif chat_note(task) in notes:
            self._chat_noted.add(task)
        requested = _batch_size(spec, batch_size)
        if accuracy.batch_size == requested:
            return notes
        return (
            *notes,
            f"{task}: out of memory at batch size {requested}, measured with {accuracy.batch_size}",
        )

    def _start(self, spec: ModelSpec) -> Engine:
        return RemoteEngine.start(
            spec,
            cache_dir=self.settings.cache_dir / "checkpoints",
            timeout=self.settings.speed_timeout,
            timed=False,
        )

    def close(self, *, forget: bool) -> None:
        """Frees the engine; with ``forget`` drops what an interrupted session would resume."""
        self.slot.close()
        if forget:
            self._journal.discard()

    def _fingerprint(self, spec: ModelSpec) -> str:
        """Everything but task and batch size that decides what a model answers."""
        identity, loaded = self.identify(spec), self.load(spec)
        parts = {
            "weights": identity.weights_digest,
            "tokenizer": identity.tokenizer_digest,
            "scheme": spec.scheme if spec.quantize else None,
            "args": {key: value for key, value in spec.args.items() if key != "batch_size"},
            "effective": asdict(loaded.effective),
            "machine": asdict(loaded.machine),
            "software": asdict(self.software(spec)),
            # Another model may stand behind a server's address by the next session.
            "session": self._session if loaded.effective.mode == UNVERIFIED else None,
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def _batch_size(spec: ModelSpec, default: int) -> int:
    size = spec.args.get("batch_size", default)
    if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= MOST:
        raise Refusal(
            SpeedCode.NOT_A_COUNT,
            name="--quant-backend-arg=batch_size",
            value=str(size),
            least=1,
            most=MOST,
        )
    return size
