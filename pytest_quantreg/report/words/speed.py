"""Words of workloads and what is timed."""

from __future__ import annotations

from collections.abc import Mapping

from ...core.codes import SpeedCode
from ...core.facts import Fact
from ...core.settings import GateMode
from .template import Lines, Table

_UNEQUAL_WORK = "times of unequal work are not compared; is the engine made for other requests?"

_ONE_SESSION = (
    "one stored session of the baseline says nothing of how sessions differ, so that it could "
    "never turn red"
)

_SIDE_BY_SIDE = "run both models side by side: --quant-model=REF"
_SIDE_BY_SIDE_UNSTORED = (
    "run both models side by side, which needs no stored baseline: --quant-model=REF"
)

_ANOTHER_ENGINE = "take the marker off, or measure with an engine that can"


def _too_few_rounds(facts: Mapping[str, Fact]) -> Lines:
    goal = "turn red" if facts["mode"] == GateMode.DETECT.value else "be kept"
    return (
        "{gate} under {workload}: with {rounds} rounds it could never "
        f"{goal} at {{confidence:.6g}} % confidence",
        "measure at least {least}: rounds={least}",
    )


WORDS: Table = {
    SpeedCode.UNKNOWN_DEPLOYMENT: (
        "deployment {deployment!r} is not known",
        "known: {known}",
    ),
    SpeedCode.NOT_A_COUNT: "{name}={value}: allowed is a whole number from {least} to {most:,}",
    SpeedCode.NOT_A_RATE: "request_rate={value}: allowed are requests per second, above 0",
    SpeedCode.FEWER_REQUESTS_THAN_AT_ONCE: (
        "requests={requests}: a round with so few never has {at_once} at once",
        "give it {at_once} or more, or leave it out",
    ),
    SpeedCode.IMPOSSIBLE_WORKLOAD: "has a workload that cannot be: {cause}",
    SpeedCode.NO_WORKLOAD: "no workload to measure",
    SpeedCode.SAME_WORKLOAD_TWICE: "the same workload is given twice",
    SpeedCode.WORKERS_SHARE_DEVICE: (
        "{workers} xdist workers would time models side by side and slow each other down",
        "run the tests of speed without -n, or with -n 1",
        'where each worker has a device of its own: ini key quant_speed_xdist = "allow"',
    ),
    SpeedCode.EQUALLY_SPECIFIC_GPUS: (
        "{gate} and {other} both fit {device}, with as many words each",
        "name one of them more fully, as nvidia-smi -L spells it",
    ),
    SpeedCode.REQUESTS_UNANSWERED: (
        "{model}, {workload}: the engine answered {answered} of {asked} requests",
        _UNEQUAL_WORK,
    ),
    SpeedCode.OTHER_NUMBER_OF_TOKENS: (
        "{model}, {workload}: the engine generated {generated} tokens where {asked} were asked for",
        _UNEQUAL_WORK,
    ),
    SpeedCode.IMPOSSIBLE_TIMES: (
        "{model}, {workload}: the engine gave impossible times ({times})",
        _UNEQUAL_WORK,
    ),
    SpeedCode.FAILED_WHILE_TIMED: ("{cause}", "{cause:help}", "it was {when}, {workload}"),
    SpeedCode.WARMING_UP: "warming up",
    SpeedCode.BEFORE_ROUND: "before round {round}",
    SpeedCode.IN_ROUND: "in round {round} of {rounds}",
    SpeedCode.EMULATED: (
        "{scheme} is emulated here ({kernel}), which is not the kernel you ship",
        "its accuracy can be judged, its speed and memory cannot",
        "use an engine, or a format, that has kernels for it on this device: "
        "`quantreg hardware` lists them",
    ),
    SpeedCode.QUANTIZED_BASELINE: (
        "the baseline runs as {effective}, and its files hold {scheme}",
        "an engine argument quantizes both models; give it to one: "
        "--quant-backend-arg=quantized:quantization_config=...",
    ),
    SpeedCode.BASELINE_ON_OTHER_DEVICE: (
        "the baseline runs on {baseline} ({baseline_kind}), the quantized model on {quantized} "
        "({quantized_kind}): their speeds do not compare",
        "run both on one kind of device; look at --quant-backend-arg=baseline:...",
    ),
    SpeedCode.BASELINE_ON_FEWER_DEVICES: (
        "the baseline runs on {baseline} x {accelerator}, and the quantized model on "
        "{quantized}: that would be the speed-up of more devices",
        "give both as many; look at --quant-backend-arg",
    ),
    SpeedCode.BASELINE_COMPUTED_WIDER: (
        "the baseline is computed in {baseline} because an argument says so, the quantized model "
        "in {quantized}: a slower baseline is no speed-up",
        "leave {argument} out, or give both the same",
    ),
    SpeedCode.OTHER_DEVICE_STATE: (
        "the baseline ran with {baseline}, the quantized model with {quantized:or}",
        "let both run alike",
    ),
    SpeedCode.THREADS: "{values:or} threads",
    SpeedCode.POWER_LIMIT: "{values:or} W power limit",
    SpeedCode.TIMED_AGAINST_ITSELF: (
        "the model tested as {scheme} is compared with itself: its weights are those of the "
        "baseline, to the bit",
        "name the full-precision model with --quant-model",
        "if this is a rerun of the baseline on purpose: ini key quant_allow_rerun = true",
    ),
    SpeedCode.TIMED_AS_RERUN: "{cause}: judged as a rerun (quant_allow_rerun)",
    SpeedCode.NO_SPEED_BASELINE: (
        "no speed baseline of {model} for {workload} is stored, and --quant-model does not name it",
        _SIDE_BY_SIDE_UNSTORED,
        "or record one on this accelerator: {record}",
    ),
    SpeedCode.SPEED_OF_OTHER_ACCELERATOR: (
        "this is {here}, and the stored speed of {model} for {workload} is that of {others}: "
        "another accelerator has a speed of its own",
        _SIDE_BY_SIDE_UNSTORED,
        "or record one here: {record}",
    ),
    SpeedCode.STORED_UNDER_OTHER_STATE: (
        "the stored speed is of {stored}, and this session has {now:or}",
        _SIDE_BY_SIDE,
        "or make the device as it was when the baseline was recorded",
    ),
    SpeedCode.STORED_AFTER_LESS_WARMUP: (
        "a stored session of {workload} has {stored} rounds of warm-up, and {asked} are asked "
        "for: colder rounds are slower ones",
        "record the baseline again: {record}",
    ),
    SpeedCode.ONE_STORED_SESSION: (
        _ONE_SESSION,
        _SIDE_BY_SIDE,
        "or record more sessions: {record} --quant-repeats=5",
    ),
    SpeedCode.SHORT_SPEED_BASELINE: (
        "a speed baseline of {rounds} rounds after {warmup} of warm-up is none: {least} after 1 "
        "are the least",
        "record it with compare_speed(rounds=10, warmup=2), which are the defaults",
    ),
    SpeedCode.NOTHING_TIMED: (
        "the test timed nothing, so {gate} judged nothing",
        "call compare_speed() in the body of the test, or take the marker off it",
    ),
    SpeedCode.BASELINE_NOT_TIMED: (
        "{gate} under {workload}: the baseline was not timed",
        "name the full-precision model with --quant-model, to run both side by side",
    ),
    SpeedCode.LOAD_TIME_UNKNOWN: (
        "{gate}: this engine cannot tell how long a model takes to load",
        _ANOTHER_ENGINE,
    ),
    SpeedCode.MEMORY_UNKNOWN: ("{gate}: this engine cannot tell {quantity}", _ANOTHER_ENGINE),
    SpeedCode.GATE_ON_ONE_SESSION: f"{{gate}} under {{workload}}: {_ONE_SESSION}",
    SpeedCode.TOO_FEW_LOADS: (
        "{gate}: the model was loaded {loads} times, and {least} are the least",
        "put the marker on the test itself, its class or its module",
    ),
    SpeedCode.TOO_FEW_ROUNDS: _too_few_rounds,
    SpeedCode.NO_FURTHER_TOKEN: (
        "{gate}: one token is generated, and none after it",
        "generate more: output_tokens=64",
    ),
    SpeedCode.PACED_BY_ARRIVALS: (
        "{gate} under {workload}: what is generated per second is then what arrives, however "
        "fast the model is",
        "bound its latency (max_latency), or keep requests in flight (concurrency=)",
    ),
}
