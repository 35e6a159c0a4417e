"""Command line before ini file before default, for every option, and what paths start from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pytest_quantreg.core.records.run import Json
from pytest_quantreg.core.settings import GateMode, Settings, Update
from pytest_quantreg.plugin.cache_folder import cache_dir
from pytest_quantreg.plugin.option_table import OPTIONS
from pytest_quantreg.plugin.options import read, recording_command


@dataclass(frozen=True)
class Row:
    """One setting by each of its sources; None where the source cannot give it."""

    field: str
    typed: tuple[str, ...]
    toml: str
    by_command: Any
    by_ini: Any
    by_default: Any


def _given(ref: Any) -> Any:
    """Model references as written, everything else as it is."""
    if isinstance(ref, dict):
        return {key: _given(value) for key, value in ref.items()}
    return getattr(ref, "given", ref)


TABLE = {
    "quant_scheme": Row(
        "schemes",
        ("--quant-scheme=FP8-W8A8,w8a8-int8", "--quant-scheme=w4a16-awq"),
        '["nvfp4", "w8a8-fp8,bnb-nf4"]',
        ("w8a8-fp8", "w8a8-int8", "w4a16-int4-awq"),
        ("w4a4-nvfp4", "w8a8-fp8", "bnb-nf4"),
        (),
    ),
    "quant_model": Row(
        "model", ("--quant-model=org/b",), '"org/a@main"', "org/b", "org/a@main", None
    ),
    "quant_checkpoint": Row(
        "checkpoints",
        ("--quant-checkpoint=w8a8-fp8=org/b",),
        '["w8a8-fp8=org/a", "w8a8-int8=org/i"]',
        {"w8a8-fp8": "org/b"},
        {"w8a8-fp8": "org/a", "w8a8-int8": "org/i"},
        {},
    ),
    "quant_backend": Row(
        "backend", ("--quant-backend=scripted",), '"other"', "scripted", "other", "transformers"
    ),
    "quant_backend_arg": Row(
        "quantized_args", ("--quant-backend-arg=n=2",), '["n=1"]', {"n": 2}, {"n": 1}, {}
    ),
    "quant_include_path": Row(
        "include_paths", ("--quant-include-path=typed",), '["here"]', ("typed",), ("here",), ()
    ),
    "quant_baselines": Row(
        "baselines", ("--quant-baselines=typed",), '"here"', "typed", "here", "baselines"
    ),
    "quant_accept": Row("accept", ("--quant-accept",), "", True, None, False),
    "quant_why": Row("why", ("--quant-why=release",), "", "release", None, ""),
    "quant_update": Row("update", ("--quant-update",), "", Update.ABSENT, None, Update.NO),
    "quant_gate": Row(
        "gate",
        ("--quant-gate=point",),
        '"certify"',
        GateMode.POINT,
        GateMode.CERTIFY,
        GateMode.DETECT,
    ),
    "quant_confidence": Row("confidence", ("--quant-confidence=0.8",), "0.9", 0.8, 0.9, 0.95),
    "quant_limit": Row("limit", ("--quant-limit=5",), "7", 5, 7, None),
    "quant_require": Row("require", ("--quant-require",), "true", True, True, False),
    "quant_report": Row(
        "reports",
        ("--quant-report=typed.md", "--quant-report=a.json", "--quant-report=typed.md"),
        '["here.md"]',
        ("typed.md", "a.json"),
        ("here.md",),
        (),
    ),
    "quant_gpu": Row("gpu", ("--quant-gpu=H100 80GB",), '"A40"', "H100 80GB", "A40", None),
    "quant_speed_xdist": Row("share_device", (), '"allow"', None, True, False),
    "quant_speed_timeout": Row("speed_timeout", (), "2.5", None, 2.5, 900.0),
    "quant_max_undetected": Row("max_undetected", (), "0.2", None, 0.2, 0.10),
    "quant_repeats": Row("repeats", ("--quant-repeats=3", "--quant-update"), "2", 3, 2, 1),
    "quant_family_size": Row("family", (), "20", None, 20, 1),
    "quant_allow_better": Row("allow_better", (), "true", None, True, False),
    "quant_allow_rerun": Row("allow_rerun", (), "true", None, True, False),
    "quant_effective": Row("effective", (), '"warn"', None, "warn", "refuse"),
    "quant_seed": Row("seed", (), "7", None, 7, 1234),
    "quant_model_name": Row("model_name", (), '"org/name"', None, "org/name", None),
    "quant_baseline_drift": Row("drift", (), '"warn"', None, "warn", "refuse"),
}


@pytest.fixture
def settings(pytester: pytest.Pytester) -> Any:
    """Reads options with an ini file of this text, in a folder with some folders."""
    for folder in ("here", "typed", "sub/typed", "sub/here", "model", "sub/model"):
        (pytester.path / folder).mkdir(parents=True)

    def make(*args: str, ini: str = "", name: str = "pytest.toml") -> Settings:
        (pytester.path / name).write_text(ini, "utf-8")
        return read(pytester.parseconfig(*args))

    return make


def _plain(value: Any, root: Path) -> Any:
    """Values as the table writes them: paths relative to the root, references as written."""
    if isinstance(value, Path):
        return str(value.relative_to(root))
    if isinstance(value, tuple) and value and str(value[0]).startswith(str(root)):
        return tuple(str(Path(path).relative_to(root)) for path in value)
    return _given(value)


def test_table_is_complete() -> None:
    """Every option and ini key of the plugin stands in the table."""
    assert {option.ini or option.dest for option in OPTIONS} == set(TABLE)


@pytest.mark.parametrize("key", TABLE)
def test_precedence(key: str, settings: Any, pytester: pytest.Pytester) -> None:
    """The command line wins over the ini file, and that over the default."""
    row = TABLE[key]
    needed = {
        "quant_update": ["--quant-model=org/m"],
        "quant_accept": ["--quant-scheme=w8a8-fp8"],
        "quant_why": ["--quant-scheme=w8a8-fp8", "--quant-accept"],
        "quant_repeats": ["--quant-model=org/m"],
        # Runs that gate nothing write no report that the ini file names.
        "quant_report": ["--quant-scheme=w8a8-fp8"],
        # Checkpoints of the ini file count for schemes under test.
        "quant_checkpoint": ["--quant-scheme=w8a8-fp8,w8a8-int8"],
    }.get(key, [])

    def value(*args: str, ini: str = "") -> Any:
        read_value = getattr(settings(*args, *needed, ini=ini), row.field)
        return _plain(read_value, pytester.path)

    assert value() == row.by_default
    if row.toml:
        ini = f"[pytest]\n{key} = {row.toml}\n"
        assert value(ini=ini) == row.by_ini
        if row.typed and key != "quant_checkpoint":
            assert value(*row.typed, ini=ini) == row.by_command
    if row.typed:
        assert value(*row.typed) == row.by_command


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "pytest.ini",
            "[pytest]\nquant_scheme = w8a8-fp8 w8a8-int8\nquant_limit = 7\nquant_confidence = 0.9\n"
            "quant_require = true\nquant_include_path = here typed\n"
            "quant_checkpoint =\n    w8a8-fp8=org/a\n    w8a8-int8=org/b\n",
        ),
        (
            "pyproject.toml",
            "[tool.pytest.ini_options]\nquant_scheme = ['w8a8-fp8', 'w8a8-int8']\n"
            "quant_limit = '7'\nquant_confidence = '0.9'\nquant_require = 'true'\n"
            "quant_include_path = ['here', 'typed']\n"
            "quant_checkpoint = ['w8a8-fp8=org/a', 'w8a8-int8=org/b']\n",
        ),
        (
            "pyproject.toml",
            "[tool.pytest]\nquant_scheme = ['w8a8-fp8', 'w8a8-int8']\nquant_limit = 7\n"
            "quant_confidence = 0.9\nquant_require = true\nquant_include_path = ['here', 'typed']\n"
            "quant_checkpoint = ['w8a8-fp8=org/a', 'w8a8-int8=org/b']\n",
        ),
    ],
    ids=["pytest.ini", "ini_options", "tool.pytest"],
)
def test_other_ini_files(name: str, text: str, settings: Any, pytester: pytest.Pytester) -> None:
    """pytest.ini and both tables of pyproject.toml say the same as pytest.toml."""
    options = settings(ini=text, name=name)
    assert (options.schemes, options.limit) == (("w8a8-fp8", "w8a8-int8"), 7)
    assert (options.confidence, options.require) == (0.9, True)
    assert _plain(options.include_paths, pytester.path) == ("here", "typed")
    assert _given(options.checkpoints) == {"w8a8-fp8": "org/a", "w8a8-int8": "org/b"}


PATHS = """[pytest]
quant_model = "model"
quant_include_path = ["here"]
quant_baselines = "here"
quant_checkpoint = ["w8a8-fp8=model"]
"""


def test_ini_paths_start_at_the_ini_file(
    settings: Any, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Started in a subfolder, paths of the ini file still mean the folder of that file."""
    monkeypatch.chdir(pytester.path / "sub")
    options = settings("--quant-scheme=w8a8-fp8", ini=PATHS)
    root = pytester.path
    assert options.model.ref == str(root / "model")
    assert options.include_paths == (str(root / "here"),)
    assert options.baselines == root / "here"
    assert options.checkpoints["w8a8-fp8"].ref == str(root / "model")


def test_typed_paths_start_where_pytest_was_started(
    settings: Any, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Started in a subfolder, typed paths mean that subfolder, the default the rootdir."""
    sub = pytester.path / "sub"
    monkeypatch.chdir(sub)
    assert settings(ini="[pytest]").baselines == pytester.path / "baselines"
    options = settings(
        "--quant-model=model",
        "--quant-include-path=typed",
        "--quant-baselines=typed",
        "--quant-checkpoint=w8a8-fp8=../model",
        ini=PATHS,
    )
    assert options.model.ref == str(sub / "model")
    assert options.include_paths == (str(sub / "typed"),)
    assert options.baselines == sub / "typed"
    assert options.checkpoints["w8a8-fp8"].ref == str(pytester.path / "model")


@pytest.mark.parametrize(
    ("ini", "typed", "expected"),
    [
        (["w8a8-fp8=org/a"], ["org/b"], {None: "org/b"}),
        (["org/a"], ["w8a8-fp8=org/b"], {None: "org/a", "w8a8-fp8": "org/b"}),
        (["w8a8-int8=org/a"], ["w8a8-fp8=org/b"], {"w8a8-fp8": "org/b"}),
        (["FP8-W8A8=org/a"], ["w8a8-fp8=org/b"], {"w8a8-fp8": "org/b"}),
    ],
)
def test_checkpoints_by_scheme(
    ini: list[str], typed: list[str], expected: dict[str | None, str], settings: Any
) -> None:
    """A typed checkpoint replaces the configured one of its scheme; a plain one, all of them.

    Those configured for schemes that are not under test are passed over.
    """
    words = [f"--quant-checkpoint={word}" for word in typed]
    quoted = ", ".join(f'"{word}"' for word in ini)
    text = f"[pytest]\nquant_checkpoint = [{quoted}]\n"
    options = settings("--quant-scheme=w8a8-fp8", *words, ini=text)
    assert _given(options.checkpoints) == expected
    assert options.checkpoint_of("w8a8-fp8").given == "org/b"


def test_backend_args_by_side(settings: Any) -> None:
    """One side's word wins over one for both; each typed word over those configured."""
    options = settings(
        "--quant-backend-arg=quantized:c=typed",
        "--quant-backend-arg=b=typed",
        ini='[pytest]\nquant_backend_arg = ["quantized:a=one", "a=both", "b=ini", "c=ini"]\n',
    )
    assert options.baseline_args == {"a": "both", "b": "typed", "c": "ini"}
    assert options.quantized_args == {"a": "one", "b": "typed", "c": "typed"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("x=1", 1),
        ("x=0.5", 0.5),
        ("x=true", True),
        ("x=null", None),
        ('x={"a": [1]}', {"a": [1]}),
        ("x=float16", "float16"),
        ("x=True", "True"),
        ("x=NaN", "NaN"),
        ("x=http://host:80/?a=b", "http://host:80/?a=b"),
        ("x=", ""),
    ],
)
def test_backend_arg_values(text: str, value: Json, settings: Any) -> None:
    """A value is JSON where it reads as JSON, and text where it does not."""
    assert settings(f"--quant-backend-arg={text}").baseline_args == {"x": value}


def test_model_reference(settings: Any, pytester: pytest.Pytester) -> None:
    """A folder is named by its last component, a hub id by itself; the ini key renames both."""
    (pytester.path / "link").symlink_to(pytester.path / "model")
    folder = settings("--quant-model=./sub/../link").model
    assert (folder.name, folder.revision) == ("link", None)
    hub = settings("--quant-model=org/name@v1.0").model
    assert (hub.ref, hub.name, hub.revision) == ("org/name", "org/name", "v1.0")
    named = settings("--quant-model=model", ini='[pytest]\nquant_model_name = "mine"').model
    assert named.name == "mine"


def test_recording_command_repeats_what_was_typed(settings: Any) -> None:
    """It repeats what decides the recording, and nothing that only gates."""
    options = settings(
        "--quant-scheme=w8a8-fp8",
        "--quant-model=org/m",
        "--quant-checkpoint=org/q",
        "--quant-backend-arg=dtype=float16",
        "--quant-backend-arg=quantized:x=1",
        "--quant-include-path=here",
        "--quant-limit=9",
        "--quant-gate=certify",
        "--quant-baselines=a folder",
    )
    assert recording_command(options, "test_a.py::test_b") == (
        "pytest test_a.py::test_b --quant-model=org/m '--quant-baselines=a folder' "
        "--quant-limit=9 --quant-include-path=here --quant-backend-arg=dtype=float16 "
        "--quant-update"
    )


def test_recording_command_can_run(settings: Any) -> None:
    """Where the ini file requires gates, the command lifts that; an unknown model is asked for."""
    options = settings("--quant-scheme=w8a8-fp8", ini="[pytest]\nquant_require = true")
    assert recording_command(options, None) == (
        "pytest -o quant_require=false --quant-model=MODEL --quant-update"
    )


def test_cache_folder() -> None:
    """QUANTREG_CACHE_DIR before XDG_CACHE_HOME before ~/.cache."""
    assert cache_dir({"QUANTREG_CACHE_DIR": "/a", "XDG_CACHE_HOME": "/b"}) == Path("/a")
    assert cache_dir({"XDG_CACHE_HOME": "/b"}) == Path("/b/pytest-quantreg")
    assert cache_dir({}) == Path.home() / ".cache" / "pytest-quantreg"
