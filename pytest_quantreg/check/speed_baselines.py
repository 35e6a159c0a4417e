"""The stored speed baselines of a session: found for the device at hand, or refused by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ..baselines import SpeedKey, SpeedStore
from ..core.comparable import Candidate, refusal
from ..core.comparable_speed import comparable_speed
from ..core.errors import Category, Refusal
from ..core.record import Machine
from ..core.settings import Settings, Update
from ..core.speed import Series, Workload
from ..core.speed_record import SpeedRun
from .stored import Recording


@dataclass(frozen=True)
class Found:
    """The stored sessions of the baseline, by workload; ``scheme`` is the baseline's."""

    series: tuple[tuple[Series, ...], ...]
    scheme: str
    notes: tuple[str, ...]


class SpeedBaselines:
    """What the store holds of one session's model."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.store = SpeedStore(settings.baselines)
        self._kept: Counter[SpeedKey] = Counter()
        self._before: dict[SpeedKey, int] = {}

    def key(self, model: str, scheme: str, workload: Workload, machine: Machine) -> SpeedKey:
        """What a speed baseline is filed under."""
        return SpeedKey(
            model, scheme, self._settings.backend, workload, machine.accelerator, machine.count
        )

    def refuse_absent(
        self,
        model: str,
        schemes: Sequence[str],
        workloads: Sequence[Workload],
        recording: Recording,
    ) -> None:
        """Refuses before loading what is stored for no accelerator at all. Raises Refusal."""
        nowhere = Machine("cpu", "no such accelerator")
        for workload in workloads:
            keys = [self.key(model, scheme, workload, nowhere) for scheme in schemes]
            if not any(self.store.accelerators(key) for key in keys):
                raise Refusal(
                    Category.BASELINE_ABSENT,
                    f"no speed baseline of {model} for {workload.label} is stored, and "
                    "--quant-model does not name it",
                    help=(
                        "run both models side by side, which needs no stored baseline: "
                        "--quant-model=REF",
                        f"or record one on this accelerator: {recording(Update.ABSENT)}",
                    ),
                )

    def find(
        self,
        candidate: Candidate,
        model: str,
        schemes: Sequence[str],
        workloads: Sequence[Workload],
        recording: Recording,
    ) -> Found:
        """The sessions stored for the machine of ``candidate``. Raises Refusal."""
        runs = [
            self._load(candidate, model, schemes, workload, recording) for workload in workloads
        ]
        told: list[str] = []
        for run in runs:
            differences = comparable_speed(run, candidate, drift=self._settings.drift)
            if (error := refusal(differences, "the speed")) is not None:
                raise error
            told += map(str, differences)
        count = min(len(run.sessions) for run in runs)
        stored = (
            f"the baseline's speed is that of {count} stored session"
            f"{'' if count == 1 else 's'}, not of this one (--quant-model=REF runs both side "
            "by side)"
        )
        return Found(
            tuple(run.series() for run in runs),
            runs[0].scheme,
            tuple(dict.fromkeys((stored, *told))),
        )

    def _load(
        self,
        candidate: Candidate,
        model: str,
        schemes: Sequence[str],
        workload: Workload,
        recording: Recording,
    ) -> SpeedRun:
        assert candidate.machine is not None
        keys = [self.key(model, scheme, workload, candidate.machine) for scheme in schemes]
        key = next((one for one in keys if self.store.exists(one)), None)
        if key is not None:
            return self._read(key, recording)
        others = sorted({other for one in keys for other in self.store.accelerators(one)})
        raise Refusal(
            Category.NOT_COMPARABLE if others else Category.BASELINE_ABSENT,
            f"this is {keys[0].devices}, and the stored speed of {model} for {workload.label} is "
            f"that of {', '.join(others) or 'nothing'}: another accelerator has a speed of its own",
            help=(
                "run both models side by side, which needs no stored baseline: --quant-model=REF",
                f"or record one here: {recording(Update.ABSENT)}",
            ),
        )

    def _read(self, key: SpeedKey, recording: Recording) -> SpeedRun:
        try:
            return self.store.load(key)
        except Refusal as error:
            kept = [line for line in error.help if "pytest --quant-update" not in line]
            command = f"or record it again: {recording(Update.ALL)}"
            raise Refusal(error.category, error.what, help=(*kept, command)) from None

    def missing(self, key: SpeedKey) -> int:
        """How many sessions are still to be recorded for ``key``.

        Anew as many as were stored at the least, and once in a session.
        """
        wanted = self._settings.repeats
        if self._settings.update is Update.ALL:
            return max(wanted, self._had(key)) - self._kept[key]
        have = len(self.store.load(key).sessions) if self.store.exists(key) else 0
        return max(wanted - have, 0)

    def keep(self, key: SpeedKey, run: SpeedRun) -> None:
        """Stores a session: with --quant-update=all the first replaces what was."""
        anew = self._settings.update is Update.ALL and not self.fresh(key)
        if anew:
            self.store.save(key, run)
        else:
            self.store.add(key, run)
        self._kept[key] += 1

    def fresh(self, key: SpeedKey) -> bool:
        """Whether this session has recorded some of ``key``."""
        return self._kept[key] > 0

    def refuse_other(self, key: SpeedKey, candidate: Candidate) -> None:
        """Refuses what is stored for ``key`` if it is not of the model that is recorded now."""
        stored = self.store.load(key)
        differences = comparable_speed(stored, candidate, drift=self._settings.drift)
        if (error := refusal(differences, "the speed")) is not None:
            raise error

    def _had(self, key: SpeedKey) -> int:
        """How many sessions were stored when this session began to record ``key`` anew."""
        if key not in self._before:
            try:
                self._before[key] = len(self.store.load(key).sessions)
            except Refusal:  # absent or torn: there is nothing to keep up with
                self._before[key] = 0
        return self._before[key]
