"""The only reader of command line, ini file and environment: options in, Settings out."""

from __future__ import annotations

import difflib
import json
import math
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from .core import schemes
from .core.errors import WrongUse
from .core.record import Json
from .core.settings import GateMode, ModelRef, Settings, Update

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
_RECORDING_FLAGS = ("--quant-update", "--quant-update=all")
_REPEATED_FOR_RECORDING = ("--quant-backend", "--quant-baselines")


def read(config: pytest.Config) -> Settings:
    """All options of ``config`` after precedence: command line, ini, default.

    Raises:
        WrongUse: a value that cannot work; names it, the rule and the way out.
    """
    get = _Getter(config)
    update = _update(config)
    names = _schemes(get)
    backend = get.text("quant_backend") or "transformers"
    baseline_args, quantized_args = _backend_args(get)
    settings = Settings(
        schemes=names,
        model=_model(get),
        checkpoints=_checkpoints(get, names),
        backend=backend,
        baseline_args=baseline_args,
        quantized_args=quantized_args,
        include_paths=_include_paths(get),
        baselines=_baselines(get, config.rootpath),
        update=update,
        gate=GateMode(_one_of(get, "quant_gate", ("detect", "certify", "point"))),
        confidence=check_confidence(
            _default(get.value("quant_confidence"), 0.95), "--quant-confidence"
        ),
        limit=check_limit(get.value("quant_limit"), "--quant-limit"),
        require=bool(get.value("quant_require")),
        seed=_seed(get.value("quant_seed")),
        model_name=_model_name(get.text("quant_model_name")),
        drift=_one_of(get, "quant_baseline_drift", ("refuse", "warn")),
        effective=_one_of(get, "quant_effective", ("refuse", "warn")),
        max_undetected=_max_undetected(get.value("quant_max_undetected")),
        cache_dir=cache_dir(os.environ),
        invocation=_invocation(get),
    )
    if settings.require and update is not Update.NO:
        raise WrongUse(
            "--quant-update records and judges nothing, so --quant-require can never hold",
            help="use them in two runs: record first, gate afterwards",
        )
    if update is not Update.NO and settings.model is None:
        raise WrongUse(
            "--quant-update needs to know the full-precision model it records",
            help="name it: --quant-model=ORG/NAME or --quant-model=FOLDER",
        )
    return settings


def cache_dir(environ: Mapping[str, str]) -> Path:
    """Where on-the-fly checkpoints and journals live: QUANTREG_CACHE_DIR or the user's."""
    if own := environ.get("QUANTREG_CACHE_DIR"):
        return Path(own).expanduser().absolute()
    base = environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser().absolute() / "pytest-quantreg"


def check_confidence(value: Any, named: str) -> float:
    """A one-sided confidence, above 0.5 and below 1, or WrongUse naming ``named``."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value):
        raise WrongUse(f"{named}={value!r}: not a number; allowed: above 0.5, below 1")
    if 0.5 < value < 1:
        return float(value)
    hint = f"; did you mean {value / 100:g}?" if 50 < value < 100 else ""
    raise WrongUse(f"{named}={value:g}: allowed is above 0.5 and below 1{hint}")


def check_limit(value: Any, named: str) -> int | None:
    """A number of items >= 1, or None for all; WrongUse naming ``named`` otherwise."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise WrongUse(
            f"{named}={value!r}: allowed is a whole number of items, 1 or more "
            "(leave it out for all items)"
        )
    return value


def parse_ref(given: str, base: Path, named: str, name: str | None = None) -> ModelRef:
    """A folder (relative to ``base``) or a hub id, with ``@revision`` for hub ids."""
    given = given.strip()
    if not given:
        raise WrongUse(f"{named} is empty; give a hub id or a folder")
    folder = base / Path(given).expanduser()
    if folder.is_dir():
        return ModelRef(str(folder.resolve()), name or folder.resolve().name, given)
    if folder.exists():
        raise WrongUse(f"{named}={given}: a file, not a model folder")
    ref, at, revision = given.partition("@")
    if at and (base / Path(ref).expanduser()).is_dir():
        raise WrongUse(f"{named}={given}: a folder has no revision; leave out @{revision}")
    if _looks_like_path(ref) or not _HUB_ID.fullmatch(ref) or (at and not revision):
        raise WrongUse(
            f"{named}={given}: no such folder (paths are relative to {_where(base)}), "
            "and not a hub id ORG/NAME[@REVISION]"
        )
    return ModelRef(ref, name or ref, given, revision or None)


def recording_command(settings: Settings, target: str | None) -> str:
    """The exact command that records the baseline that ``target`` (a test) misses."""
    words = ["pytest", *([target] if target else []), *settings.invocation]
    if settings.model is None:
        words.append("--quant-model=MODEL")
    return " ".join([*(shlex.quote(word) for word in words), "--quant-update"])


class _Getter:
    """Command line before ini; remembers nothing else."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.invoked_from = Path(config.invocation_params.dir)
        ini = config.inipath
        self.ini_folder = ini.parent if ini is not None else self.invoked_from

    def option(self, dest: str) -> Any:
        value = self.config.getoption(dest, None)
        return None if value is False else value

    def value(self, key: str) -> Any:
        """The value of an option or ini key of the same name, None when unset."""
        value = self.option(key)
        return self.config.getini(key) if value is None else value

    def text(self, key: str) -> str | None:
        value = self.value(key)
        return str(value).strip() or None if value is not None else None

    def both(self, key: str) -> tuple[list[str], list[str]]:
        """(command-line values, ini values) of a repeatable option."""
        return list(self.option(key) or ()), [str(v) for v in self.config.getini(key) or ()]


def _update(config: pytest.Config) -> Update:
    chosen = config.getoption("quant_update", None)
    if chosen is None:
        return Update.NO
    # A worker gets the controller's options but not its command line.
    typed = {str(word) for word in config.invocation_params.args}
    if not hasattr(config, "workerinput") and not typed & set(_RECORDING_FLAGS):
        raise WrongUse(
            "--quant-update stands in addopts or PYTEST_ADDOPTS, where it would disarm "
            "every gate in silence",
            help="type it on the command line when you mean to record",
        )
    return Update(chosen)


def _schemes(get: _Getter) -> tuple[str, ...]:
    typed, configured = get.both("quant_scheme")
    names: list[str] = []
    for value in typed or configured:
        for name in value.split(","):
            if not name.strip():
                raise WrongUse(f"--quant-scheme={value}: an empty name; separate by one comma")
            choice = schemes.resolve(name.strip())
            if not choice.is_quantized:
                raise WrongUse(
                    f"--quant-scheme={name.strip()}: {choice.name} is not a quantized scheme; "
                    "a baseline is named by --quant-model"
                )
            if choice.name not in names:
                names.append(choice.name)
    return tuple(names)


def _model(get: _Getter) -> ModelRef | None:
    name = _model_name(get.text("quant_model_name"))
    if (typed := get.option("quant_model")) is not None:
        return parse_ref(typed, get.invoked_from, "--quant-model", name)
    if (configured := get.text("quant_model")) is not None:
        return parse_ref(configured, get.ini_folder, "quant_model", name)
    return None


def _checkpoints(get: _Getter, names: Sequence[str]) -> dict[str | None, ModelRef]:
    typed, configured = get.both("quant_checkpoint")
    of_ini = _parse_checkpoints(configured, get.ini_folder, "quant_checkpoint")
    of_command = _parse_checkpoints(typed, get.invoked_from, "--quant-checkpoint")
    idle = [key for key in of_command if key is not None and key not in names]
    if idle and names:
        raise WrongUse(
            f"--quant-checkpoint={idle[0]}=...: {idle[0]} is not under test; "
            f"--quant-scheme names {', '.join(names)}"
        )
    if None in of_command:
        # A plain checkpoint typed for this run is the one meant, whatever the ini says.
        of_ini = {}
    merged = {**of_ini, **of_command}
    if None in merged and len(names) > 1:
        raise WrongUse(
            f"--quant-checkpoint={merged[None].given}: {len(names)} schemes are under test "
            "and one checkpoint holds one of them",
            help=f"say which: --quant-checkpoint={names[0]}={merged[None].given}",
        )
    return merged


def _parse_checkpoints(values: Sequence[str], base: Path, named: str) -> dict[str | None, ModelRef]:
    found: dict[str | None, ModelRef] = {}
    for value in values:
        scheme: str | None = None
        ref = value
        if "=" in value and not (base / value).exists():
            left, ref = value.split("=", 1)
            scheme = schemes.resolve(left.strip()).name
        parsed = parse_ref(ref, base, named)
        if scheme in found and found[scheme] != parsed:
            whose = f"for {scheme}" if scheme else "without a scheme"
            raise WrongUse(f"{named}: two checkpoints {whose}: {found[scheme].given}, {ref}")
        found[scheme] = parsed
    return found


def _backend_args(get: _Getter) -> tuple[dict[str, Json], dict[str, Json]]:
    typed, configured = get.both("quant_backend_arg")
    baseline: dict[str, Json] = {}
    quantized: dict[str, Json] = {}
    targets = {"baseline": (baseline,), "quantized": (quantized,), None: (baseline, quantized)}
    for word in [*configured, *typed]:
        key, equals, text = word.partition("=")
        side, colon, rest = key.partition(":")
        key = rest if colon else key
        if not equals or not key.strip().isidentifier() or (colon and side not in targets):
            raise WrongUse(
                f"--quant-backend-arg={word}: write [baseline:|quantized:]KEY=VALUE, "
                "e.g. dtype=float16 or quantized:device_map=auto"
            )
        value = _json_or_text(text)
        for target in targets[side if colon else None]:
            target[key.strip()] = value
    return baseline, quantized


def _json_or_text(text: str) -> Json:
    try:
        value: Json = json.loads(text)
    except ValueError:
        return text
    return value


def _include_paths(get: _Getter) -> tuple[str, ...]:
    typed = get.option("quant_include_path")
    named = "--quant-include-path" if typed else "quant_include_path"
    folders = (
        [get.invoked_from / Path(word).expanduser() for word in typed]
        if typed
        else [Path(path) for path in get.config.getini("quant_include_path") or ()]
    )
    for folder in folders:
        if not folder.is_dir():
            raise WrongUse(f"{named}={folder.name}: no such folder ({_where(folder)})")
    return tuple(str(folder.resolve()) for folder in folders)


def _baselines(get: _Getter, rootdir: Path) -> Path:
    if (typed := get.option("quant_baselines")) is not None:
        return Path(get.invoked_from / Path(typed).expanduser()).absolute()
    if (configured := get.text("quant_baselines")) is not None:
        return Path(get.ini_folder / Path(configured).expanduser()).absolute()
    return rootdir / "baselines"


def _one_of(get: _Getter, key: str, allowed: tuple[str, ...]) -> str:
    value = get.text(key)
    if value is None:
        return allowed[0]
    if value not in allowed:
        close = difflib.get_close_matches(value, allowed, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise WrongUse(f"{key}={value}: allowed are {', '.join(allowed)}{hint}")
    return value


def _seed(value: Any) -> int:
    return 1234 if value is None else int(value)


def _max_undetected(value: Any) -> float:
    if value is None:
        return 0.10
    if not 0 < value < 1:
        raise WrongUse(
            f"quant_max_undetected={value:g}: allowed is above 0 and below 1, as a loss of "
            "retention (0.10 is ten points)"
        )
    return float(value)


def _model_name(value: str | None) -> str | None:
    if value is not None and not _HUB_ID.fullmatch(value):
        raise WrongUse(
            f"quant_model_name={value}: allowed are letters, digits, '.', '_', '-' and one '/'"
        )
    return value


def _invocation(get: _Getter) -> tuple[str, ...]:
    """The typed options that the recording command must repeat, as typed."""
    words: list[str] = []
    for flag in ("--quant-model", *_REPEATED_FOR_RECORDING):
        value = get.option(flag[2:].replace("-", "_"))
        if value is not None:
            words.append(f"{flag}={value}")
    for flag in ("--quant-include-path", "--quant-backend-arg"):
        values = get.option(flag[2:].replace("-", "_")) or ()
        words += [f"{flag}={value}" for value in values if not value.startswith("quantized:")]
    if (limit := get.option("quant_limit")) is not None:
        words.append(f"--quant-limit={limit}")
    return tuple(words)


def _default(value: Any, default: Any) -> Any:
    return default if value is None else value


def _looks_like_path(text: str) -> bool:
    return text.startswith((".", "/", "~", "\\")) or text.count("/") > 1 or "\\" in text


def _where(folder: Path) -> str:
    """A folder as people know it: relative to home where that is shorter."""
    try:
        return f"~/{folder.resolve().relative_to(Path.home())}"
    except ValueError:
        return str(folder)
