"""What may be timed, and compared, at all; and what went on around it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ...core.errors import Category, Refusal
from ...core.records.run import EffectiveScheme, Machine, ModelSpec
from ...core.records.speed import DeviceState, ModelSpeed
from ...core.secret_values import without_secrets
from ...measure.accelerator import detect
from .engine_process import Check

_WIDTH = {"float32": 4, "bfloat16": 2, "float16": 2}
"""Bytes of the types that models are computed in."""

FULL_PRECISION = ("bf16", "fp16", "fp32")

MANY, MANY_ON_CPU = 64, 8
"""Requests in flight that saturate an accelerator, or a CPU, unless a test says otherwise."""


def saturating() -> int:
    """How many requests in flight keep the device at hand busy: `MANY`, fewer on a CPU."""
    return MANY_ON_CPU if detect().kind == "cpu" else MANY


def refuse_emulated(scheme: str, effective: EffectiveScheme) -> None:
    """Refuses to time what is unpacked before it runs: not the kernel that ships."""
    if "emulated" in effective.mode:
        raise emulated(scheme, effective.kernel)


def refuse_unfit_baseline(base: ModelSpec) -> Check:
    """What refuses to time a baseline that was quantized on the way, or is emulated."""

    def check(effective: EffectiveScheme, _machine: Machine) -> None:
        refuse_emulated(base.scheme, effective)
        if effective.quantized_layers and base.scheme in FULL_PRECISION:
            raise Refusal(
                Category.NOT_COMPARABLE,
                f"the baseline runs as {effective.scheme or effective.weights}, and its files hold "
                f"{base.scheme}",
                help="an engine argument quantizes both models; give it to one: "
                "--quant-backend-arg=quantized:quantization_config=...",
            )

    return check


def refuse_other_device(baseline: Machine, quantized: Machine) -> Iterator[str]:
    """Refuses models that ran on unlike devices; tells where one had more of them."""
    if (baseline.kind, baseline.accelerator) != (quantized.kind, quantized.accelerator):
        raise Refusal(
            Category.NOT_COMPARABLE,
            f"the baseline runs on {baseline.accelerator} ({baseline.kind}), the quantized model "
            f"on {quantized.accelerator} ({quantized.kind}): their speeds do not compare",
            help="run both on one kind of device; look at --quant-backend-arg=baseline:...",
        )
    if baseline.count < quantized.count:
        raise Refusal(
            Category.NOT_COMPARABLE,
            f"the baseline runs on {baseline.count} x {baseline.accelerator}, and the quantized "
            f"model on {quantized.count}: that would be the speed-up of more devices",
            help="give both as many; look at --quant-backend-arg",
        )
    if baseline.count != quantized.count:
        yield (
            f"the baseline ran on {baseline.count} x {baseline.accelerator}, the quantized model "
            f"on {quantized.count}"
        )


def refuse_wider(base: ModelSpec, ours: str, theirs: str) -> None:
    """Refuses a baseline that an argument computes in a wider type than the other model's."""
    arguments = {"dtype", "torch_dtype"} & {*base.args}
    if arguments and _WIDTH.get(ours, 0) > _WIDTH.get(theirs, 0):
        raise Refusal(
            Category.NOT_COMPARABLE,
            f"the baseline is computed in {ours} because an argument says so, the quantized model "
            f"in {theirs}: a slower baseline is no speed-up",
            help=f"leave {sorted(arguments)[0]} out, or give both the same",
        )


def unlike_states(
    ours: Sequence[DeviceState], theirs: Sequence[DeviceState]
) -> tuple[str, str] | None:
    """Where two models had another number of threads or power limit: both, in words."""
    for name, unit in (("threads", "threads"), ("power_limit_w", "W power limit")):
        our_values = {getattr(state, name) for state in ours} - {None}
        their_values = {getattr(state, name) for state in theirs} - {None}
        if our_values and their_values and our_values != their_values:
            return f"{_listed(our_values)} {unit}", _listed(their_values)
    return None


def refuse_other_state(baseline: ModelSpeed, quantized: ModelSpeed) -> None:
    """Refuses models that ran side by side with unequal means."""
    if (unlike := unlike_states(baseline.states, quantized.states)) is not None:
        raise Refusal(
            Category.NOT_COMPARABLE,
            f"the baseline ran with {unlike[0]}, the quantized model with {unlike[1]}",
            help="let both run alike",
        )


def _listed(values: set[Any]) -> str:
    return " or ".join(f"{value:g}" for value in sorted(values))


def unequal_arguments(
    base: ModelSpec, spec: ModelSpec, private: frozenset[str] = frozenset()
) -> Iterator[str]:
    """Notes on engine arguments of one model only, or unlike for both; none of ``private``."""
    for name in sorted({*base.args, *spec.args} - {"quantization_config", "batch_size"} - private):
        ours, theirs = base.args.get(name), spec.args.get(name)
        if ours != theirs:
            shown = (without_secrets(value, name) for value in (ours, theirs))
            yield "engine argument {}: baseline {}, quantized {}".format(name, *shown)


def emulated(scheme: str, why: str) -> Refusal:
    """The refusal of what would be timed in place of the kernel that ships."""
    return Refusal(
        Category.NOT_JUDGED,
        f"{scheme} is emulated here ({why}), which is not the kernel you ship",
        help=(
            "its accuracy can be judged, its speed and memory cannot",
            "use an engine, or a format, that has kernels for it on this device: "
            "`quantreg hardware` lists them",
        ),
    )


def disturbances(quantized: ModelSpeed, baseline: ModelSpeed | None) -> Iterator[str]:
    """What went on around the models while they were timed, as notes."""
    states = [*quantized.states, *(baseline.states if baseline is not None else ())]
    if throttled := sorted({state.throttled for state in states if state.throttled}):
        yield f"the device held its clocks down: {', '.join(throttled)}"
    on_card = [state.others for state in states if state.power_limit_w is not None and state.others]
    # That both models may live at once is reckoned with where states are read.
    if others := max(on_card, default=0.0):
        noun = "process" if others == 1 else "processes"
        yield f"{others:.0f} other {noun} used the card while the models were timed"
