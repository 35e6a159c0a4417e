"""What a speed baseline is filed under, and the file name that this makes."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace

from ..core.codes import StoredCode
from ..core.errors import WrongUse
from ..core.facts import Fact, Problem
from ..core.records.run import Json
from ..core.records.speed import SYNCHRONOUS, Workload
from ..core.records.speed_run import SpeedRun
from .file_names import to_component, words_from_component, words_to_component
from .key import first_contradiction

SPEED = "speed"
"""The folder of the speed baselines beside an engine's accuracy baselines."""

WORKLOAD_FIELDS = tuple(
    item.name for item in fields(Workload) if item.name not in ("rounds", "warmup")
)
"""What makes two workloads the same: how often they are repeated does not."""

MOST = 10**9
"""No count of accelerators reaches it, so that every file name stays short."""

_DEVICES = re.compile(r"(?P<name>[^@]+)(?:@(?P<count>[1-9][0-9]{0,8}))?")


@dataclass(frozen=True)
class SpeedKey:
    """One speed baseline: model name, scheme, engine, workload, accelerator and how many.

    The workload's ``rounds`` and ``warmup`` are no part of it: they are set to their
    defaults here. Raises WrongUse for a part that cannot be filed (empty, too long, a
    path).
    """

    model: str
    scheme: str
    engine: str
    workload: Workload
    accelerator: str
    count: int = 1

    def __post_init__(self) -> None:
        if type(self.count) is not int or not 1 <= self.count < MOST:
            raise WrongUse(StoredCode.ACCELERATOR_COUNT, count=repr(self.count))
        plain = Workload()
        same = replace(self.workload, rounds=plain.rounds, warmup=plain.warmup)
        object.__setattr__(self, "workload", same)
        _ = self.folder

    @classmethod
    def of(cls, run: SpeedRun) -> SpeedKey:
        """The key that ``run`` belongs under."""
        return cls(
            run.model.name,
            run.scheme,
            run.software.backend,
            run.workload,
            run.machine.accelerator,
            run.machine.count,
        )

    @property
    def engine_folder(self) -> tuple[str, str, str]:
        """The folders below the store that accuracy baselines have too."""
        return (
            to_component("model", self.model),
            to_component("scheme", self.scheme),
            to_component("engine", self.engine),
        )

    @property
    def folder(self) -> tuple[str, ...]:
        """The folders below the store: model, scheme, engine, ``speed``, accelerator."""
        device = words_to_component(self.accelerator)
        suffix = f"@{self.count}" if self.count > 1 else ""
        return (*self.engine_folder, SPEED, device + suffix)

    @property
    def stem(self) -> str:
        """The file name without its ending: ``batch-1.128+64``.

        ``inflight-64`` when asynchronous, ``.rate-8`` with a request rate, and
        ``.128-requests`` when a round does not have as many as its batch.
        """
        workload = self.workload
        kind = "batch" if workload.deployment == SYNCHRONOUS else "inflight"
        rate = "" if workload.request_rate is None else f".rate-{_rate(workload.request_rate)}"
        requests = (
            "" if workload.requests == workload.batch_size else f".{workload.requests}-requests"
        )
        tokens = f"{workload.prompt_tokens}+{workload.output_tokens}"
        return f"{kind}-{workload.batch_size}{rate}.{tokens}{requests}"

    @property
    def devices(self) -> str:
        """The accelerator as people call it: ``2 x NVIDIA A40``."""
        return _devices(self.accelerator, self.count)

    def __str__(self) -> str:
        workload = self.workload
        label = workload.label
        if workload.request_rate is not None:
            label += f", {workload.batch_size} in flight"
        if workload.requests != workload.batch_size:
            label += f", {workload.requests} requests a round"
        tokens = f"{workload.prompt_tokens}+{workload.output_tokens} tokens"
        return (
            f"{label} ({tokens}) of {self.model} at {self.scheme} on {self.engine}, {self.devices}"
        )

    def plain(self) -> dict[str, Json]:
        """The key as the file holds it."""
        return {
            "model": self.model,
            "scheme": self.scheme,
            "engine": self.engine,
            "workload": {name: getattr(self.workload, name) for name in WORKLOAD_FIELDS},
            "accelerator": self.accelerator,
            "count": self.count,
        }

    def mismatch(self, run: SpeedRun) -> Problem | None:
        """The first part in which ``run`` contradicts this key; None if none."""
        parts: list[tuple[str, Fact, Fact]] = [
            ("model", self.model, run.model.name),
            ("scheme", self.scheme, run.scheme),
            ("engine", self.engine, run.software.backend),
            ("accelerator", self.accelerator, run.machine.accelerator),
            ("count", self.count, run.machine.count),
        ]
        for name in WORKLOAD_FIELDS:
            both = (getattr(self.workload, name), getattr(run.workload, name))
            parts.append((f"workload.{name}", *both))
        return first_contradiction(parts)


def devices_of(folder: str) -> str | None:
    """The accelerators that a folder's name stands for, in words; None if it is not ours."""
    match = _DEVICES.fullmatch(folder)
    name = None if match is None else words_from_component(match["name"])
    if match is None or name is None or match["count"] == "1":
        return None
    return _devices(name, int(match["count"] or 1))


def _devices(name: str, count: int) -> str:
    return name if count == 1 else f"{count} x {name}"


def _rate(rate: float) -> str:
    return repr(float(rate)).removesuffix(".0")
