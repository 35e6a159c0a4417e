"""The only reader of command line, ini file and environment: options in, Settings out."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from ..config.scheme_fields import FILE
from ..config.schemes import ProjectSchemes, read_file
from ..config.values import (
    OptionValue,
    checkpoints_alone,
    model_name,
    parse_backend_args,
    parse_checkpoints,
    parse_ref,
    parse_schemes,
    repeatable,
    report_path,
)
from ..core import checks
from ..core.codes import OptionCode
from ..core.errors import WrongUse
from ..core.facts import Problem
from ..core.records.acceptance import MOST_WHY
from ..core.records.run import Json
from ..core.schemes.catalogue import Catalogue
from ..core.secret_values import Secrets
from ..core.settings import GateMode, ModelRef, Settings, Update
from .cache_folder import cache_dir
from .option_table import ACCEPT, RECORD, RECORD_ALL, WITHOUT_TESTS

_MODES = tuple(mode.value for mode in GateMode)
MOST_GATES = 1_000_000
"""Of a family; beyond it nothing is left of what each gate may err."""

_LENIENCE = ("refuse", "warn")
_SHARING = ("refuse", "allow")


def read(config: pytest.Config) -> Settings:
    """All options of ``config`` after precedence: command line, ini, default.

    Raises:
        WrongUse: a value that cannot work; names it, the rule and the way out.
    """
    source = Sources(config)
    update = _update(config)
    # While recording, schemes are ignored: their checkpoints need not even exist yet.
    project = read_file(config.rootpath / FILE)
    catalogue = project.catalogue
    gates = update is Update.NO
    names = parse_schemes(source.listed("quant_scheme"), catalogue) if gates else ()
    alone, unnamed = _checkpoints_alone(source, catalogue) if gates and not names else ({}, ())
    names = names or tuple(name for name in alone if name is not None)
    idle = gates and not names and not unnamed
    baseline_args, quantized_args = _backend_args(source)
    limit = source.optional("quant_limit")
    model, stored_name = _model(source, idle=idle), _model_name(source)
    checkpoints = alone
    if gates and not alone and not unnamed:
        stored_as = stored_name or (model.name if model is not None else None)
        checkpoints = _checkpoints(source, names, project, stored_as)
    settings = Settings(
        schemes=names,
        model=model,
        checkpoints=checkpoints,
        backend=source.first("quant_backend", "transformers").text,
        baseline_args=baseline_args,
        quantized_args=quantized_args,
        include_paths=_include_paths(source, idle=idle),
        baselines=_baselines(source),
        update=update,
        gate=GateMode(_choice(source, "quant_gate", _MODES)),
        confidence=source.first("quant_confidence", 0.95).checked(checks.check_confidence),
        limit=limit.checked(checks.check_limit) if limit is not None else None,
        require=bool(source.first("quant_require", False).value),
        seed=int(source.first("quant_seed", 1234).value),
        model_name=stored_name,
        drift=_choice(source, "quant_baseline_drift", _LENIENCE),
        effective=_choice(source, "quant_effective", _LENIENCE),
        max_undetected=source.first("quant_max_undetected", 0.10).checked(
            checks.check_retention_loss
        ),
        cache_dir=cache_dir(os.environ),
        catalogue=catalogue,
        unnamed=unnamed,
    )
    settings = _with_session_options(_with_gate_options(settings, source), source, idle=idle)
    return _checked(settings)


def _checked(settings: Settings) -> Settings:
    """Return the settings. Raises WrongUse for options that do not go together."""
    refuse_not_recording(settings)
    refuse_not_accepting(settings)
    return settings


def _with_gate_options(settings: Settings, source: Sources) -> Settings:
    """Add how often baselines are recorded, and what gates allow. Raises WrongUse."""
    family = source.first("quant_family_size", 1)
    gpu = source.optional("quant_gpu")
    return replace(
        settings,
        repeats=_repeats(source, settings.update),
        family=family.checked(checks.check_count, most=MOST_GATES),
        allow_better=bool(source.first("quant_allow_better", False).value),
        allow_rerun=bool(source.first("quant_allow_rerun", False).value),
        gpu=gpu.checked(checks.check_device) if gpu is not None else None,
    )


def _with_session_options(settings: Settings, source: Sources, *, idle: bool) -> Settings:
    """Add how the session runs, and what it writes and accepts at its end. Raises WrongUse."""
    timeout = source.first("quant_speed_timeout", 900.0)
    sharing = _choice(source, "quant_speed_xdist", _SHARING)
    return replace(
        settings,
        workers=int(getattr(source.config, "workerinput", {}).get("workercount", 1)),
        share_device=sharing == _SHARING[1],
        speed_timeout=timeout.checked(checks.check_seconds, example=900),
        invocation=_invocation(source),
        reports=_reports(source, idle=idle),
        step_summary=step_summary(os.environ),
        accept=accepts(source.config),
        why=source.config.getoption("quant_why", None) or "",
    )


def reports_at_start(config: pytest.Config) -> tuple[Path, ...]:
    """The files that --quant-report or its ini key names, before options can be read.

    None where no test is to run and on a worker of xdist; those of the ini file only in a
    session that gates or records.
    """
    options = config.known_args_namespace
    resting = any(getattr(options, name, False) for name in WITHOUT_TESTS)
    if resting or "PYTEST_XDIST_WORKER" in os.environ:
        return ()
    typed, base = options.quant_report, Path(config.invocation_params.dir)
    if typed:
        return tuple(OptionValue(value, "--quant-report", base).path for value in typed)
    gating = options.quant_scheme or options.quant_checkpoint or _ini(config, "quant_scheme")
    if not (gating or options.quant_update):
        return ()
    configured, base = _ini(config, "quant_report") or (), _ini_folder(config)
    return tuple(OptionValue(value, "quant_report", base).path for value in configured)


def _ini(config: pytest.Config, key: str) -> Any:
    """What the ini file says, None also where it cannot be read: that is refused later."""
    try:
        return config.getini(key)
    except (TypeError, ValueError, pytest.UsageError):
        return None


def _ini_folder(config: pytest.Config) -> Path:
    """What paths in the ini file are relative to."""
    return config.inipath.parent if config.inipath is not None else config.invocation_params.dir


def step_summary(environ: Mapping[str, str]) -> Path | None:
    """The file whose Markdown GitHub shows on the page of a job; None elsewhere."""
    named = environ.get("GITHUB_STEP_SUMMARY")
    return Path(named).absolute() if named else None


def recording_command(
    settings: Settings, target: str | None, update: Update = Update.ABSENT
) -> str:
    """The exact command that records the baseline that ``target`` (a test) misses.

    With ``update`` ALL the one that records it anew, and then whole: a limit of the
    session that found it useless says nothing about how many items were stored.
    """
    words = ["pytest", *([target] if target else []), *settings.invocation]
    if update is Update.ALL:
        words = [word for word in words if not word.startswith("--quant-limit=")]
    if settings.model is None:
        words.append("--quant-model=MODEL")
    flag = RECORD_ALL if update is Update.ALL else RECORD
    return " ".join([*(shlex.quote(word) for word in words), flag])


def secrets_of(config: pytest.Config) -> Secrets:
    """Return the secrets among the engine arguments of ``config``, also where others are wrong."""
    arguments: list[Mapping[str, Json]] = []
    for option in chain(*Sources(config).both("quant_backend_arg")):
        with suppress(WrongUse):
            arguments += parse_backend_args([option])
    return Secrets.of(*arguments)


class Sources:
    """Where values come from, the command line before the ini file."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.invoked_from = Path(config.invocation_params.dir)
        self.ini_folder = _ini_folder(config)

    def typed(self, key: str) -> Any:
        """What the command line says, None when it says nothing."""
        return self.config.getoption(key, None)

    def configured(self, key: str) -> Any:
        """What the ini file says, None when it says nothing."""
        return self.config.getini(key)

    def first(self, key: str, default: Any) -> OptionValue:
        """The value of one key; with an empty name and folder for the default."""
        if (typed := self.typed(key)) is not None:
            return self._of_command(key, typed)
        if (configured := self.configured(key)) is not None:
            return self._of_ini(key, configured)
        return OptionValue(default, key, self.invoked_from)

    def optional(self, key: str) -> OptionValue | None:
        """The value of a key without a default."""
        option = self.first(key, None)
        return option if option.value is not None else None

    def both(self, key: str) -> tuple[list[OptionValue], list[OptionValue]]:
        """What the ini file and what the command line say of a repeatable option."""
        return (
            [self._of_ini(key, value) for value in self.configured(key) or ()],
            [self._of_command(key, value) for value in self.typed(key) or ()],
        )

    def listed(self, key: str) -> list[OptionValue]:
        """The values of a repeatable option, those typed instead of those configured."""
        configured, typed = self.both(key)
        return typed or configured

    def _of_command(self, key: str, value: Any) -> OptionValue:
        return OptionValue(value, f"--{key.replace('_', '-')}", self.invoked_from)

    def _of_ini(self, key: str, value: Any) -> OptionValue:
        return OptionValue(value, key, self.ini_folder)


def _update(config: pytest.Config) -> Update:
    chosen = config.getoption("quant_update", None)
    if chosen is None:
        return Update.NO
    if not is_typed(config, RECORD, RECORD_ALL):
        raise WrongUse(OptionCode.UPDATE_NOT_TYPED)
    return Update(chosen)


def _choice(source: Sources, key: str, allowed: Sequence[str]) -> str:
    """One of ``allowed``, of which the first is the default."""
    return source.first(key, allowed[0]).checked(checks.check_choice, allowed=allowed)


def _repeats(source: Sources, update: Update) -> int:
    option = source.first("quant_repeats", 1)
    if update is Update.NO and source.typed("quant_repeats") is not None:
        raise WrongUse(OptionCode.REPEATS_WITHOUT_UPDATE, repeats=option.value)
    return option.checked(checks.check_count)


def _model(source: Sources, *, idle: bool) -> ModelRef | None:
    option = source.optional("quant_model")
    if option is None:
        return None
    try:
        return parse_ref(option, _model_name(source))
    except WrongUse:
        if _may_be_absent(source, "quant_model", idle=idle):
            return None
        raise


def _may_be_absent(source: Sources, key: str, *, idle: bool) -> bool:
    """Whether the ini file alone names it, in a run that neither gates nor records.

    A release job's ini file may name what only that job builds; that is no reason to
    stop every other run of the repository.
    """
    return idle and source.typed(key) is None


def _model_name(source: Sources) -> str | None:
    option = source.optional("quant_model_name")
    return model_name(option) if option is not None else None


def _checkpoints(
    source: Sources, names: Sequence[str], project: ProjectSchemes, model: str | None
) -> dict[str | None, ModelRef]:
    """Those given by options, and for the other schemes those of the project's file."""
    of_options = _option_checkpoints(source, names, project.catalogue)
    if None in of_options:
        return of_options
    of_file = {name: project.checkpoint(name, model) for name in names if name not in of_options}
    return {**{name: ref for name, ref in of_file.items() if ref is not None}, **of_options}


def _checkpoints_alone(
    source: Sources, catalogue: Catalogue
) -> tuple[dict[str | None, ModelRef], tuple[ModelRef, ...]]:
    """Checkpoints typed without --quant-scheme: they say what is under test.

    Those of the ini file do not: they may be there for other runs of the project.
    """
    return checkpoints_alone(source.both("quant_checkpoint")[1], catalogue)


def _option_checkpoints(
    source: Sources, names: Sequence[str], catalogue: Catalogue
) -> dict[str | None, ModelRef]:
    configured, typed = source.both("quant_checkpoint")
    # What the ini file names for schemes that are not under test may not be built yet.
    of_ini = parse_checkpoints(configured, names, catalogue)
    of_command = parse_checkpoints(typed, None, catalogue)
    for scheme, ref in of_command.items():
        if names and scheme is not None and scheme not in names:
            raise WrongUse(
                OptionCode.SCHEME_NOT_UNDER_TEST,
                scheme=scheme,
                given=ref.given,
                schemes=tuple(names),
            )
    if None in of_command:
        # A plain checkpoint typed for this run is the one meant, whatever the ini says.
        of_ini = {}
    merged = {**of_ini, **of_command}
    lacking = [name for name in names if name not in merged]
    if None in merged and lacking and len(names) > 1:
        raise WrongUse(
            OptionCode.ONE_CHECKPOINT_FOR_MANY,
            given=merged[None].given,
            schemes=len(names),
            scheme=lacking[0],
        )
    return merged


def _backend_args(source: Sources) -> tuple[dict[str, Any], dict[str, Any]]:
    of_ini, of_command = map(parse_backend_args, source.both("quant_backend_arg"))
    return {**of_ini[0], **of_command[0]}, {**of_ini[1], **of_command[1]}


def _include_paths(source: Sources, *, idle: bool) -> tuple[str, ...]:
    folders = []
    for option in source.listed("quant_include_path"):
        folder = option.path
        if not folder.is_dir() and _may_be_absent(source, "quant_include_path", idle=idle):
            continue
        if folder.exists() and not folder.is_dir():
            raise option.wrong(Problem(OptionCode.FILE_AS_FOLDER, {"folder": str(folder)}))
        if not folder.exists():
            raise option.wrong(Problem(OptionCode.NO_SUCH_FOLDER, {"folder": str(folder)}))
        folders.append(str(folder))
    return tuple(folders)


def _reports(source: Sources, *, idle: bool) -> tuple[Path, ...]:
    """Those that the ini file names are left alone by runs that neither gate nor record."""
    if _may_be_absent(source, "quant_report", idle=idle):
        return ()
    return tuple(dict.fromkeys(map(report_path, source.listed("quant_report"))))


def _baselines(source: Sources) -> Path:
    option = source.optional("quant_baselines")
    if option is None:
        return source.config.rootpath / "baselines"
    folder = option.path
    if folder.exists() and not folder.is_dir():
        raise option.wrong(Problem(OptionCode.FILE_AS_BASELINES, {}))
    return folder


def _invocation(source: Sources) -> tuple[str, ...]:
    """What was typed that the recording command must repeat, as typed."""
    words = ["-o", "quant_require=false"] if source.configured("quant_require") else []
    for key in ("quant_model", "quant_backend", "quant_baselines", "quant_limit", "quant_repeats"):
        value = source.typed(key)
        words += [] if value is None else [f"--{key.replace('_', '-')}={value}"]
    for key in ("quant_include_path", "quant_backend_arg"):
        values = [str(option.value) for option in source.both(key)[1]]
        flag = f"--{key.replace('_', '-')}"
        if key == "quant_backend_arg":
            values = list(map(repeatable, values))
        words += [f"{flag}={value}" for value in values if not value.startswith("quantized:")]
    return tuple(words)


def accepts(config: pytest.Config) -> bool:
    """Whether a green session becomes a reference. Raises WrongUse where nobody typed it."""
    if not config.getoption("quant_accept", None):
        return False
    if not is_typed(config, ACCEPT):
        raise WrongUse(OptionCode.ACCEPT_NOT_TYPED)
    return True


def is_typed(config: pytest.Config, *flags: str) -> bool:
    """Whether one of the flags was typed for this very run."""
    # A worker gets the controller's options but not its command line.
    typed = {str(word) for word in config.invocation_params.args}
    return hasattr(config, "workerinput") or not typed.isdisjoint(flags)


def refuse_not_accepting(settings: Settings) -> None:
    """Raises WrongUse for what accepting cannot go with."""
    if not settings.accept:
        if settings.why:
            raise WrongUse(OptionCode.WHY_WITHOUT_ACCEPT)
        return
    if settings.update is not Update.NO:
        raise WrongUse(OptionCode.ACCEPT_AND_UPDATE)
    if not settings.schemes:
        raise WrongUse(OptionCode.ACCEPT_WITHOUT_SCHEME)
    if settings.gate is GateMode.POINT:
        raise WrongUse(OptionCode.ACCEPT_UNDER_POINT)
    if len(settings.why) > MOST_WHY:
        raise WrongUse(OptionCode.WHY_TOO_LONG, most=MOST_WHY)


def refuse_not_recording(settings: Settings) -> None:
    """Raises WrongUse for what recording cannot go with."""
    if settings.update is Update.NO:
        return
    if settings.require:
        raise WrongUse(OptionCode.UPDATE_AND_REQUIRE)
    if settings.model is None:
        raise WrongUse(OptionCode.UPDATE_WITHOUT_MODEL)
