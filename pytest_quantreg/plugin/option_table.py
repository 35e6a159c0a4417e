"""The plain table of options, ini keys and markers; all that pytest needs at start-up."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple


class _Recording(argparse.Action):
    """``--quant-update`` and ``--quant-update=all``: two literal strings without a value.

    With ``nargs="?"`` the path of ``--quant-update tests/`` would be read as a value.
    """

    def __init__(self, option_strings: list[str], dest: str, **options: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, **options)

    def __call__(
        self,
        _parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        _values: object,
        option_string: str | None = None,
    ) -> None:
        setattr(namespace, self.dest, "all" if option_string == RECORD_ALL else "absent")


class Option(NamedTuple):
    """One command-line option with its ini key; either may be absent."""

    flag: str | None
    help: str
    ini: str | None = None
    ini_type: str = "string"
    kwargs: dict[str, Any] = {}
    more_flags: tuple[str, ...] = ()

    @property
    def flags(self) -> tuple[str, ...]:
        """Every option string, none for an ini key without one."""
        return (self.flag, *self.more_flags) if self.flag else ()

    @property
    def ini_help(self) -> str:
        """What ``pytest --help`` says of the ini key."""
        return f"Default of {self.flag}." if self.flag else self.help

    @property
    def dest(self) -> str:
        """Where argparse puts it."""
        return (self.flag or "").lstrip("-").replace("-", "_")


RECORD, RECORD_ALL = "--quant-update", "--quant-update=all"
ACCEPT = "--quant-accept"


OPTIONS: tuple[Option, ...] = (
    Option(
        "--quant-scheme",
        "Quantization scheme(s) to gate, e.g. w8a8-fp8 (`quantreg schemes` lists them). "
        "Without it, tests that need a quantized model are skipped.",
        "quant_scheme",
        "args",
        {"action": "append", "metavar": "NAME[,NAME...]"},
    ),
    Option(
        "--quant-model",
        "The full-precision baseline: a hub id or a folder, @revision allowed.",
        "quant_model",
        "string",
        {"metavar": "REF"},
    ),
    Option(
        "--quant-checkpoint",
        "An already quantized checkpoint, for one scheme or for the only one "
        "(repeatable). Without it the backend quantizes on the fly where it can. Without "
        "--quant-scheme its files say which scheme is tested.",
        "quant_checkpoint",
        "linelist",
        {"action": "append", "metavar": "[SCHEME=]REF"},
    ),
    Option(
        "--quant-backend",
        "The engine that runs the models (default: transformers).",
        "quant_backend",
        "string",
        {"metavar": "NAME"},
    ),
    Option(
        "--quant-backend-arg",
        "Passed to the engine, for both models or one of them (repeatable); VALUE is "
        "read as JSON, else as text, e.g. dtype=float16 or quantized:device_map=auto.",
        "quant_backend_arg",
        "linelist",
        {"action": "append", "metavar": "[baseline:|quantized:]KEY=VALUE"},
    ),
    Option(
        "--quant-include-path",
        "Folder with lm-eval task files of your own (repeatable).",
        "quant_include_path",
        "args",
        {"action": "append", "metavar": "DIR"},
    ),
    Option(
        "--quant-baselines",
        "Where baselines are stored (default: baselines/ under the rootdir).",
        "quant_baselines",
        "string",
        {"metavar": "DIR"},
    ),
    Option(
        RECORD,
        "Record baselines instead of gating: those that are absent, or with =all every "
        "one anew, replacing what is stored.",
        kwargs={"action": _Recording},
        more_flags=(RECORD_ALL,),
    ),
    Option(
        ACCEPT,
        "When the session is green, make the runs of the quantized models that it measured the "
        "reference of no_regression: one line is added to their history.",
        kwargs={"action": "store_true"},
    ),
    Option(
        "--quant-why",
        "With --quant-accept: why, in a few words, for the history.",
        kwargs={"metavar": "TEXT"},
    ),
    Option(
        "--quant-repeats",
        "With --quant-update: record N runs of the baseline in different batch orders. Their "
        "mean narrows the intervals, and their disagreement shows what is noise (default: 1).",
        "quant_repeats",
        "int",
        {"type": int, "metavar": "N"},
    ),
    Option(
        "--quant-gate",
        "detect: fail when a loss is proven (default); certify: fail unless its absence "
        "is proven; point: compare the plain ratio, no promise.",
        "quant_gate",
        "string",
        {"choices": ("detect", "certify", "point")},
    ),
    Option(
        "--quant-confidence",
        "One-sided confidence of every gate (default: 0.95).",
        "quant_confidence",
        "float",
        {"type": float, "metavar": "C"},
    ),
    Option(
        "--quant-limit",
        "At most N items per task.",
        "quant_limit",
        "int",
        {"type": int, "metavar": "N"},
    ),
    Option(
        "--quant-gpu",
        "Judge by the thresholds of this accelerator (gpu= of markers) instead of the one found.",
        "quant_gpu",
        "string",
        {"metavar": "NAME"},
    ),
    Option(
        "--quant-report",
        "Write a report of the session, as .md or .json by its ending (repeatable).",
        "quant_report",
        "args",
        {"action": "append", "metavar": "PATH"},
    ),
    Option(
        "--quant-require",
        "Exit 1 unless every requested scheme was judged and every test that measured had a gate "
        "judged on what it measured; a failed gate that an xfail excused does not count.",
        "quant_require",
        "bool",
        {"action": "store_true"},
    ),
    Option(
        None,
        "Under detect, refuse a gate that would miss a retention this far below its "
        "minimum more than 20 % of the time (default: 0.10).",
        "quant_max_undetected",
        "float",
    ),
    Option(
        None,
        "Under detect, how many gates the confidence is for together (default: 1, each for "
        "itself): with N, each gate is judged at 1 - (1 - confidence)/N.",
        "quant_family_size",
        "int",
    ),
    Option(
        None,
        "Let a quantized model be far above its baseline, as after further training "
        "(default: refuse, for it was probably asked differently).",
        "quant_allow_better",
        "bool",
    ),
    Option(
        None,
        "Let a model under test be the baseline's own weights, as in a rerun on purpose; the "
        "verdict says so (default: refuse).",
        "quant_allow_rerun",
        "bool",
    ),
    Option(
        None,
        "'warn' allows certify and --quant-require when the engine runs another scheme "
        "than the one claimed (default: refuse).",
        "quant_effective",
    ),
    Option(None, "Seed of the choice of items (default: 1234).", "quant_seed", "int"),
    Option(
        None,
        "'allow' lets several xdist workers measure speed at once, each on a device of its own "
        "(default: refuse, for they would slow each other down).",
        "quant_speed_xdist",
    ),
    Option(
        None,
        "Seconds after which an engine that measures speed counts as hung: to load, or for one "
        "round (default: 900).",
        "quant_speed_timeout",
        "float",
    ),
    Option(None, "Name of the model in the store instead of its own.", "quant_model_name"),
    Option(
        None,
        "'warn' compares with a baseline of other engine or lm-eval versions (default: refuse).",
        "quant_baseline_drift",
    ),
)

MARKERS: tuple[str, ...] = (
    "min_retention(r, *, task=None, metric=None): the quantized model must keep at least "
    "this share of the baseline's score, e.g. 0.98, in every task that the test compares or in "
    'the named task or metric alone; task="*" pools all tasks of the test into one gate. Needs '
    "the fixture compare_accuracy.",
    "max_perplexity_ratio(x): the quantized model's perplexity per token may be at most this "
    "many times the baseline's, e.g. 1.02. Needs the fixture compare_accuracy.",
    "no_regression(margin=0.99, *, task=None, metric=None): the quantized model must keep at "
    "least this share of the score of the run that was accepted last (--quant-accept) for the "
    "same model, scheme, engine and task. Always needs min_retention beside it, so that small "
    "steps cannot add up. Needs the fixture compare_accuracy.",
    "min_speedup(x, *, gpu=None): the quantized model must generate at least this many times the "
    "baseline's tokens per second, e.g. 1.8, in every workload that the test measures; with gpu= "
    "on that accelerator only. Needs the fixture compare_speed.",
    'min_throughput(tokens_per_second, *, gpu=None, per="server"): generated tokens per second of '
    'the quantized model, in all or (per="gpu") for each accelerator. Needs the fixture '
    "compare_speed.",
    'max_latency(ms, *, kind="ttft", percentile=50, gpu=None): time to the first token ("ttft"), '
    'per further token ("tpot") or end to end ("e2e") of the quantized model. Needs the fixture '
    "compare_speed.",
    'max_memory(gib, *, kind="weights", gpu=None): what the weights of the quantized model take '
    'after warm-up, or ("peak") all of it under load. Needs the fixture compare_speed.',
    "max_load_time(s, *, gpu=None): seconds from the start of a fresh process until the quantized "
    "model can answer. Needs the fixture compare_speed.",
    "quant_schemes(*names): run this test only for those of the schemes under test "
    "(--quant-scheme) that are named here.",
    "quant_gate(mode=None, confidence=None): judge this test with another gate (detect, "
    "certify, point) or one-sided confidence than the session's.",
)

WITHOUT_TESTS = (
    *("help", "version", "markers", "collectonly"),
    *("showfixtures", "show_fixtures_per_test", "cacheshow"),
)
"""The options of pytest with which no test is meant to run, by their destinations."""

COMPARE_FIXTURES = frozenset({"compare_accuracy", "compare_speed"})
"""The fixtures that measure; while recording, only tests with one of them run."""

_SPEED = frozenset({"compare_speed"})

MARKER_FIXTURES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "min_retention": frozenset({"compare_accuracy"}),
        "max_perplexity_ratio": frozenset({"compare_accuracy"}),
        "no_regression": frozenset({"compare_accuracy"}),
        "min_speedup": _SPEED,
        "min_throughput": _SPEED,
        "max_latency": _SPEED,
        "max_memory": _SPEED,
        "max_load_time": _SPEED,
        "quant_schemes": frozenset({"quant_scheme"}),
        "quant_gate": COMPARE_FIXTURES,
    }
)
"""Marker -> the fixtures one of which a test must request for it to mean anything."""

OUR_FIXTURES = COMPARE_FIXTURES | {
    *("quant_scheme", "quantized_model", "baseline_model", "accelerator"),
}

OUR_MARKERS = frozenset(MARKER_FIXTURES)
