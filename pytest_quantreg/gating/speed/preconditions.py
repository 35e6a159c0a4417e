"""What may be timed, and compared, at all; and what went on around it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ...core.codes import SpeedCode
from ...core.errors import Refusal
from ...core.facts import Problem
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
                SpeedCode.QUANTIZED_BASELINE,
                effective=effective.scheme or effective.weights,
                scheme=base.scheme,
            )

    return check


def refuse_other_device(baseline: Machine, quantized: Machine) -> Iterator[str]:
    """Refuses models that ran on unlike devices; tells where one had more of them."""
    if (baseline.kind, baseline.accelerator) != (quantized.kind, quantized.accelerator):
        raise Refusal(
            SpeedCode.BASELINE_ON_OTHER_DEVICE,
            baseline=baseline.accelerator,
            baseline_kind=baseline.kind,
            quantized=quantized.accelerator,
            quantized_kind=quantized.kind,
        )
    if baseline.count < quantized.count:
        raise Refusal(
            SpeedCode.BASELINE_ON_FEWER_DEVICES,
            accelerator=baseline.accelerator,
            baseline=baseline.count,
            quantized=quantized.count,
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
            SpeedCode.BASELINE_COMPUTED_WIDER,
            baseline=ours,
            quantized=theirs,
            argument=min(arguments),
        )


def unlike_states(
    ours: Sequence[DeviceState], theirs: Sequence[DeviceState]
) -> tuple[Problem, tuple[float, ...]] | None:
    """Where two models had another number of threads or power limit: the first's, the second's."""
    our_threads, their_threads = (_figures(s.threads for s in states) for states in (ours, theirs))
    if our_threads and their_threads and our_threads != their_threads:
        return Problem(SpeedCode.THREADS, {"values": our_threads}), their_threads
    our_limits, their_limits = (
        _figures(s.power_limit_w for s in states) for states in (ours, theirs)
    )
    if our_limits and their_limits and our_limits != their_limits:
        return Problem(SpeedCode.POWER_LIMIT, {"values": our_limits}), their_limits
    return None


def refuse_other_state(baseline: ModelSpeed, quantized: ModelSpeed) -> None:
    """Refuses models that ran side by side with unequal means."""
    if (unlike := unlike_states(baseline.states, quantized.states)) is not None:
        raise Refusal(SpeedCode.OTHER_DEVICE_STATE, baseline=unlike[0], quantized=unlike[1])


def _figures(values: Iterable[float | None]) -> tuple[float, ...]:
    """The known values, each once and in order, as ints where they are whole."""
    known = sorted({value for value in values if value is not None})
    return tuple(int(value) if float(value).is_integer() else value for value in known)


def unequal_arguments(
    base: ModelSpec, spec: ModelSpec, private: frozenset[str] = frozenset()
) -> Iterator[str]:
    """Notes on engine arguments of one model only, or unlike for both; none of ``private``."""
    for name in sorted({*base.args, *spec.args} - {"quantization_config", "batch_size"} - private):
        ours, theirs = base.args.get(name), spec.args.get(name)
        if ours != theirs:
            shown = (without_secrets(value, name) for value in (ours, theirs))
            yield "engine argument {}: baseline {}, quantized {}".format(name, *shown)


def emulated(scheme: str, kernel: str) -> Refusal:
    """The refusal of what would be timed in place of the kernel that ships."""
    return Refusal(SpeedCode.EMULATED, scheme=scheme, kernel=kernel)


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
