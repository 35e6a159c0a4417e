"""What is looked at before a model under test is made or loaded: its files, then its kernel."""

from __future__ import annotations

from dataclasses import replace

from ..core.codes import GateCode, ModelCode
from ..core.errors import Refusal
from ..core.facts import Problem, Quoted, Scheme
from ..core.hardware.accelerators import Accelerator
from ..core.hardware.kernel_rules import Form
from ..core.hardware.kernels import ENGINES, MADE_HERE, KernelChoice, form_of, reader_of, runs_as
from ..core.records.run import ModelSpec
from ..core.schemes.contradictions import contradictions
from ..core.schemes.inspection import Checkpoint
from ..core.schemes.names import SCHEMES
from ..measure.accelerator import all_devices, installed_engines, is_installed
from .engine_session import EngineSession
from .memo import Memo

MOST_NAMED = 4
"""How many contradictions a refusal names; `quantreg inspect` names all."""


class CheckpointChecks:
    """Lets a model under test in, or refuses it; each is looked at once in a session.

    The weights of a hub id may not be here yet. Then only what needs no file is checked
    at first, and the rest when they have been downloaded, still before they are loaded.
    """

    def __init__(self, engines: EngineSession) -> None:
        self._engines = engines
        self._checkpoints: Memo[Checkpoint | None] = Memo()
        self._kernels: Memo[KernelChoice | None] = Memo()
        self._downloaded: Memo[None] = Memo()
        self._devices: tuple[Accelerator, ...] = ()

    def check_files(self, spec: ModelSpec) -> None:
        """Refuses a checkpoint whose files contradict themselves. Raises Refusal."""
        self._checkpoint(spec)

    def kernel(self, spec: ModelSpec) -> KernelChoice | None:
        """How the scheme will run here, as far as tables know; None for an engine without one.

        Raises Refusal for a scheme without a kernel here, or without a package.
        """
        return self._kernels.of(spec.key(), lambda: self._kernel(spec))

    def before_loading(self, spec: ModelSpec) -> None:
        """Looks at files that were still on the hub, once they are here. Raises Refusal."""
        inspect = self._engines.capabilities.inspect
        if inspect is not None and not spec.quantize and self._checkpoint(spec) is None:
            self._downloaded.of(spec.key(), lambda: self._check_downloaded(spec))

    def _check_downloaded(self, spec: ModelSpec) -> None:
        local_spec = replace(
            self._engines.backend.prepare(spec, self._engines.say), scheme=spec.scheme
        )
        self.check_files(local_spec)
        self.kernel(local_spec)

    def _checkpoint(self, spec: ModelSpec) -> Checkpoint | None:
        """What the files hold; None while they are not here, or nobody can read them."""
        if spec.quantize:
            return None
        # Files are the same whatever they claim to be.
        key = replace(spec, scheme="").key()
        return self._checkpoints.of(key, lambda: self._inspect(spec))

    def _inspect(self, spec: ModelSpec) -> Checkpoint | None:
        inspect = self._engines.capabilities.inspect
        checkpoint = inspect(spec) if inspect is not None else None
        if checkpoint is not None:
            refuse_contradicting(checkpoint, spec.ref)
        return checkpoint

    def _kernel(self, spec: ModelSpec) -> KernelChoice | None:
        backend = self._engines.backend.name
        if all(engine.name != backend for engine in ENGINES):
            return None  # asking for devices takes seconds, and nobody knows its kernels
        checkpoint = self._checkpoint(spec)
        form = _form(spec, checkpoint)
        engine = reader_of(backend, form.method)
        version = self._version(spec, engine)
        scheme = self._engines.settings.catalogue.claims(spec.scheme)
        choices = [
            (device, runs_as(scheme, engine, version, device, ENGINES, form=form))
            for device in self._devices_of(spec, version)
        ]
        if not choices:
            return None  # a device that is not seen here, of which nothing can be said
        # Which of unlike cards an engine takes, nobody knows: one that loads it is enough.
        device, choice = next((pair for pair in choices if pair[1].loads), choices[0])
        if not choice.loads:
            raise no_kernel(spec.scheme, engine, version, device, choice)
        # Which loader the files of a hub id need is known once they are here.
        if checkpoint is not None or spec.quantize:
            refuse_missing(spec.scheme, engine, choice, form)
        return choice

    def _version(self, spec: ModelSpec, engine: str) -> str:
        version = self._engines.software(spec).versions.get(engine)
        return version or installed_engines().get(engine, "")

    def _devices_of(self, spec: ModelSpec, version: str) -> list[Accelerator]:
        """The equal and unequal devices of the kind that the engine would load it on."""
        if not self._devices:
            self._devices = all_devices()
        kind_of = self._engines.capabilities.device_kind
        kind = kind_of(spec) if kind_of is not None else None
        if kind is None:
            # A build for CPUs uses no card, however many there are.
            kind = "cpu" if version.endswith("+cpu") else self._devices[0].kind
        return [device for device in self._devices if device.kind == kind]


def refuse_contradicting(checkpoint: Checkpoint, ref: str) -> None:
    """Refuses files of which not all can be true. Raises Refusal."""
    findings = contradictions(checkpoint)
    if not findings:
        return
    raise Refusal(
        ModelCode.CONTRADICTS_ITSELF,
        name=checkpoint.name,
        first=findings[0],
        others=findings[1:MOST_NAMED],
        more=len(findings[MOST_NAMED:]) or None,
        ref=ref,
    )


def no_kernel(
    scheme: str, engine: str, version: str, device: Accelerator, choice: KernelChoice
) -> Refusal:
    """The refusal of a scheme that the engine cannot run on the device at hand."""
    runs = tuple(
        Scheme(built_in.name)
        for built_in in SCHEMES
        if built_in.is_quantized
        and runs_as(built_in.name, engine, version, device, ENGINES).mode == "native"
    )
    return Refusal(
        GateCode.SCHEME_WITHOUT_KERNEL,
        engine=engine,
        version=version,
        scheme=Scheme(scheme),
        device=device.name,
        why=Quoted(choice.why),
        source=Quoted(choice.source),
        runs=runs,
    )


def refuse_missing(scheme: str, engine: str, choice: KernelChoice, form: Form) -> None:
    """Refuses what needs a package that is not installed. Raises Refusal."""
    missing = tuple(package for package in choice.packages if not is_installed(package))
    if not missing:
        return
    typed = " ".join(missing)
    files = Problem(GateCode.FILES_OF_METHOD, {"method": form.method})
    raise Refusal(
        GateCode.KERNEL_NEEDS_PACKAGES,
        engine=engine,
        packages=missing,
        install=typed,
        subject=Scheme(scheme) if form.method == MADE_HERE.method else files,
    )


def _form(spec: ModelSpec, checkpoint: Checkpoint | None) -> Form:
    if checkpoint is not None:
        return form_of(checkpoint)
    requested = spec.args.get("quantization_config")
    if isinstance(requested, dict) and requested.get("quant_method"):
        return Form(str(requested["quant_method"]).lower())
    return MADE_HERE
