"""What one session was asked to do, as frozen values; `options` is the only maker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from .records.run import Json
from .schemes.catalogue import Catalogue


class GateMode(str, Enum):
    """On which evidence a gate fails."""

    DETECT = "detect"
    CERTIFY = "certify"
    POINT = "point"


class Update(str, Enum):
    """Whether this session gates (``no``) or records baselines."""

    NO = "no"
    ABSENT = "absent"
    ALL = "all"


@dataclass(frozen=True)
class ModelRef:
    """A hub id or a folder, as named by an option.

    ``ref`` is what the engine loads (an absolute folder or a hub id), ``name`` what
    people and files call it, ``given`` what was typed (for messages and commands).
    """

    ref: str
    name: str
    given: str
    revision: str | None = None


@dataclass(frozen=True)
class Settings:
    """Every option of a session after precedence, validated.

    ``repeats`` is how many runs of a baseline are recorded, ``family`` how many gates
    share the session's confidence under ``detect``, and ``allow_better`` lets a candidate
    be far above its baseline, ``allow_rerun`` be the baseline's own weights.
    ``gpu`` names the accelerator whose thresholds hold instead of the detected one's.
    ``workers`` is how many processes run the tests, ``share_device`` lets several of them
    measure speed at once, and ``speed_timeout`` is in seconds.
    ``checkpoints`` maps a canonical scheme to its checkpoint; the key None holds the
    one for every scheme. ``invocation`` is the part of the command line that must be
    repeated to record a baseline (model, backend, folders). ``catalogue`` holds the
    schemes that the project defines for itself: everything here, in verdicts and in ids
    calls them by their own names, and backends are told what those claim. ``reports`` are
    the files that --quant-report names, ``step_summary`` the one that a CI job shows.
    ``unnamed`` are checkpoints typed without a scheme in a session that names none, and
    ``of_files`` the schemes that the files of such checkpoints said.
    ``accept`` makes the runs of a green session the reference of no_regression, and ``why``
    is what their history then says.
    """

    schemes: tuple[str, ...]
    model: ModelRef | None
    checkpoints: Mapping[str | None, ModelRef]
    backend: str
    baseline_args: Mapping[str, Json] = field(repr=False)
    quantized_args: Mapping[str, Json] = field(repr=False)
    include_paths: tuple[str, ...]
    baselines: Path
    update: Update
    gate: GateMode
    confidence: float
    limit: int | None
    require: bool
    seed: int
    model_name: str | None
    drift: str
    effective: str
    max_undetected: float
    cache_dir: Path
    repeats: int = 1
    family: int = 1
    allow_better: bool = False
    allow_rerun: bool = False
    gpu: str | None = None
    workers: int = 1
    share_device: bool = False
    speed_timeout: float = 900.0
    invocation: tuple[str, ...] = field(default=())
    catalogue: Catalogue = field(default=Catalogue())
    reports: tuple[Path, ...] = ()
    step_summary: Path | None = None
    accept: bool = False
    why: str = ""
    unnamed: tuple[ModelRef, ...] = ()
    of_files: tuple[str, ...] = ()

    def checkpoint_of(self, scheme: str) -> ModelRef | None:
        """The checkpoint given for ``scheme``, by its own name or for all."""
        return self.checkpoints.get(scheme, self.checkpoints.get(None))
