"""The plain table of options, ini keys and markers; all that pytest needs at start-up."""

from __future__ import annotations

from typing import Any, NamedTuple


class Option(NamedTuple):
    """One command-line option with its ini key; either may be absent."""

    flag: str | None
    help: str
    ini: str | None = None
    ini_type: str = "string"
    kwargs: dict[str, Any] = {}

    @property
    def dest(self) -> str:
        """Where argparse puts it: ``quant_update`` for both of its option strings."""
        return (self.flag or "").removesuffix("=all").lstrip("-").replace("-", "_")


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
        "(repeatable). Without it the backend quantizes on the fly where it can.",
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
        "paths",
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
        "--quant-update",
        "Record the baselines that are absent instead of gating.",
        kwargs={"action": "store_const", "const": "absent", "dest": "quant_update"},
    ),
    Option(
        "--quant-update=all",
        "Record every baseline anew, replacing what is stored.",
        kwargs={"action": "store_const", "const": "all", "dest": "quant_update"},
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
        "--quant-require",
        "Fail the session when for any requested scheme no gate was judged.",
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
        "'warn' allows certify and --quant-require when the engine runs another scheme "
        "than the one claimed (default: refuse).",
        "quant_effective",
    ),
    Option(None, "Seed of the choice of items (default: 1234).", "quant_seed", "int"),
    Option(None, "Name of the model in the store instead of its own.", "quant_model_name"),
    Option(
        None,
        "'warn' compares with a baseline of other engine or lm-eval versions (default: refuse).",
        "quant_baseline_drift",
    ),
)

MARKERS: tuple[str, ...] = (
    "min_retention(r, *, task=None, metric=None): the quantized model must keep at least "
    "this share of the baseline's score, e.g. 0.98. Needs the fixture compare_accuracy.",
    "quant_schemes(*names): run this test only for these of the requested schemes.",
    "quant_gate(mode=None, confidence=None): judge this test with another gate (detect, "
    "certify, point) or one-sided confidence than the session's.",
)

GATE_FIXTURES: dict[str, tuple[str, ...]] = {"min_retention": ("compare_accuracy",)}
"""Gate marker -> the fixtures that can feed it."""

COMPARE_FIXTURES = frozenset({"compare_accuracy"})
"""The fixtures that measure; while recording, only tests with one of them run."""

OUR_FIXTURES = COMPARE_FIXTURES | {"quant_scheme", "quantized_model", "baseline_model"}

OUR_MARKERS = frozenset(line.partition("(")[0] for line in MARKERS)
