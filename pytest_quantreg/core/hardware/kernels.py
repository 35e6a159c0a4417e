"""What an engine has a kernel for: which of its rules holds for a scheme on a device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..schemes.inspection import Checkpoint
from ..schemes.names import resolve
from .accelerators import Accelerator
from .kernel_rules import Engine, Form, Mode, Release, Rule
from .kernels_others import LLAMACPP, TORCHAO, TRANSFORMERS
from .kernels_vllm import VLLM
from .releases import minor_release

ENGINES: tuple[Engine, ...] = (TRANSFORMERS, TORCHAO, VLLM, LLAMACPP)

MADE_HERE = Form()
"""The form of what is quantized on the fly."""


@dataclass(frozen=True)
class KernelChoice:
    """How an engine runs a scheme on a device, and who says so.

    ``runs_as`` is the scheme it amounts to: the one asked for, or what a fallback makes
    of it; None where that has no name, or nothing runs. ``kernel`` is empty where there
    is none. ``needs`` names what must be installed beside the engine, packages with
    spaces between them. ``measured`` is whether it was tried.
    """

    mode: Mode
    kernel: str
    why: str
    source: str
    runs_as: str | None = None
    needs: str | None = None
    measured: bool = False

    @property
    def loads(self) -> bool:
        """False only where it is known that there is no kernel."""
        return self.mode != "no kernel"

    @property
    def packages(self) -> tuple[str, ...]:
        """Those of ``needs``, one by one."""
        return tuple((self.needs or "").split())


def runs_as(
    scheme: str,
    engine: str,
    version: str,
    device: Accelerator,
    engines: Sequence[Engine] = ENGINES,
    *,
    form: Form = MADE_HERE,
) -> KernelChoice:
    """How ``engine`` at ``version`` runs ``scheme`` on ``device``, before anything is loaded.

    ``form`` is that of the checkpoint, where there is one.
    A scheme's method and its KV cache do not matter. What the tables do not know (a
    release they were not made for, an engine or device they lack) is ``not known``, never
    an error. Raises WrongUse for an unknown scheme.
    """
    wanted = resolve(scheme).scheme
    if wanted.weights is None:
        return KernelChoice("full precision", "", "nothing is quantized", "", wanted.name)
    table = next((engine_table for engine_table in engines if engine_table.name == engine), None)
    if table is None:
        return _not_known(f"there is no table of the kernels of {engine}")
    release = _release(version)
    if release is None or not _within(release, table.releases):
        return _not_known(
            f"the table was made for {engine} {table.known_releases}, not for {version}"
        )
    for rule in table.rules:
        if _decides(rule, wanted.name, release, device) and rule.takes(form):
            return _choice(rule, wanted.name)
    files = f"{form.method} files on " if form.method != MADE_HERE.method else ""
    return _not_known(f"the table of {engine} says nothing of {files}this device")


def form_of(checkpoint: Checkpoint) -> Form:
    """What of a checkpoint decides, beside its scheme, which kernels there are."""
    scales = (scale for layer in checkpoint.layers for scale in layer.scales)
    return Form(
        checkpoint.claim.method or MADE_HERE.method, any(scale.of_inputs for scale in scales)
    )


def reader_of(engine: str, method: str) -> str:
    """The engine whose kernels run files of ``method`` in ``engine``: itself, or torchao."""
    return TORCHAO.name if (engine, method) == (TRANSFORMERS.name, TORCHAO.name) else engine


def _choice(rule: Rule, name: str) -> KernelChoice:
    runs = name if rule.runs_as is None else rule.runs_as or None
    return KernelChoice(
        rule.mode,
        rule.kernel,
        rule.why,
        rule.source,
        runs if rule.kernel else None,
        rule.needs,
        rule.measured,
    )


def _decides(rule: Rule, name: str, release: Release, device: Accelerator) -> bool:
    fits = rule.releases is None or _within(release, rule.releases)
    return fits and name in rule.schemes and rule.where.holds(device)


def _within(release: Release, span: tuple[Release, Release]) -> bool:
    return span[0] <= release < span[1]


def _release(version: str) -> Release | None:
    release = minor_release(version)
    return None if release is None or release[0] else release[1:]


def _not_known(why: str) -> KernelChoice:
    return KernelChoice("not known", "", why, "")
