"""Words of options, ini keys, markers and the arguments of fixtures."""

from __future__ import annotations

from collections.abc import Mapping

from ...core.codes import OptionCode
from ...core.facts import Fact
from .template import Lines, Table, Templates


def or_meant(rule: str, meant: str = "{meant:g}", *, otherwise: str = "") -> Templates:
    """A rule, with what was probably meant where that is known."""

    def lines(facts: Mapping[str, Fact]) -> Lines:
        return f"{rule}{otherwise if facts['meant'] is None else f'; did you mean {meant}?'}"

    return lines


_VALUES: Table = {
    OptionCode.BAD_VALUE: ("{name}={value}: {cause}", "{cause:help}"),
    OptionCode.WRONG_AT: ("{where}: {cause}", "{cause:help}"),
    OptionCode.EMPTY_VALUE: ("{name} is empty", "give a value or leave it out"),
    OptionCode.EXPECTED_WHOLE_NUMBER: "allowed is a whole number, {least} or more",
    OptionCode.EXPECTED_NUMBER_WITHIN: "allowed is a whole number from {least:,} to {most:,}",
    OptionCode.EXPECTED_LIMIT: (
        "allowed is a whole number of items, 1 or more (leave it out for all items)"
    ),
    OptionCode.EXPECTED_RETENTION: or_meant(
        "expected a fraction in (0, 1]", otherwise=", e.g. {example:g}"
    ),
    OptionCode.LOW_RETENTION: (
        "a minimum below {least:g} passes a model that lost half of its score; "
        "did you mean {meant:g}?"
    ),
    OptionCode.EXPECTED_PUBLISHED_RETENTION: or_meant("allowed is a share such as 0.97"),
    OptionCode.EXPECTED_LOSS: (
        "allowed is above 0 and below 1, as a loss of retention (0.10 is ten points)"
    ),
    OptionCode.EXPECTED_CONFIDENCE: or_meant("allowed is a number above 0.5 and below 1"),
    OptionCode.EXPECTED_RATIO: or_meant(
        "allowed is how many times the baseline's perplexity, at least 1 and no more than "
        "{most:g}, e.g. 1.02"
    ),
    OptionCode.EXPECTED_SPEEDUP: (
        "allowed are multiples of the baseline's throughput, above 0, e.g. 1.8"
    ),
    OptionCode.HIGH_SPEEDUP: or_meant(
        "expected a multiple of the baseline's throughput, e.g. 1.8, and at most {most:g}"
    ),
    OptionCode.LOW_SPEEDUP: (
        "a minimum of {least:g} or less passes a model far slower than its baseline; "
        "did you mean {meant:g}?"
    ),
    OptionCode.EXPECTED_THROUGHPUT: ("allowed are generated tokens per second, above 0, e.g. 250"),
    OptionCode.EXPECTED_MILLISECONDS: "allowed are milliseconds, above 0, e.g. 50",
    OptionCode.EXPECTED_SECONDS: "allowed are seconds, above 0, e.g. {example:g}",
    OptionCode.EXPECTED_GIB: "allowed are GiB (1024 to the third bytes), above 0, e.g. 24",
    OptionCode.TOO_MANY_GIB: (
        "allowed are GiB, and no more than {most:,.0f}; did you mean {meant:.3g}?"
    ),
    OptionCode.EXPECTED_PERCENTILE: or_meant("allowed is from 1 to below 100, e.g. 99"),
    OptionCode.EXPECTED_TEXT: "allowed is a text",
    OptionCode.EXPECTED_NAME: "allowed is a name as lm-eval spells it",
    OptionCode.EXPECTED_DEVICE: (
        'allowed are words of the device\'s name, e.g. "H100" (`quantreg hardware` prints it)'
    ),
    OptionCode.EXPECTED_FLAG: "allowed are True and False",
    OptionCode.EXPECTED_TEMPLATE: "allowed are True, False and a template's name",
    OptionCode.EXPECTED_CHOICE: or_meant("allowed are {allowed}", "{meant}"),
    OptionCode.EXPECTED_DICT: 'allowed is a dict such as {{"temperature": 0.7}}',
    OptionCode.EXPECTED_JSON: (
        "{error}",
        "allowed are texts, numbers, booleans, None, lists and dicts, for they are stored",
    ),
}

_MODELS: Table = {
    OptionCode.EMPTY_SCHEME_NAME: (
        "an empty name",
        "separate names by one comma: w8a8-fp8,w4a16-int4",
    ),
    OptionCode.NOT_QUANTIZED: "{scheme} is not a quantized scheme",
    OptionCode.BASELINE_SCHEME: (
        "{scheme} is not a quantized scheme",
        "the baseline is named by --quant-model",
    ),
    OptionCode.EXPECTED_MODEL_NAME: "allowed are letters, digits, '.', '_', '-' and one '/'",
    OptionCode.EXPECTED_MODEL: (
        "neither a folder nor a hub id ORG/NAME[@REVISION]",
        "a folder is looked for in {base}",
    ),
    OptionCode.FILE_AS_MODEL: ("a file", "a model is a folder, a hub id or a .gguf file"),
    OptionCode.REVISION_OF_FOLDER: ("a folder has no revisions", "leave out @{revision}"),
    OptionCode.NO_SUCH_FOLDER: ("no such folder", "looked for {folder}"),
    OptionCode.FILE_AS_FOLDER: ("a file, not a folder", "looked for {folder}"),
    OptionCode.FILE_AS_BASELINES: (
        "a file, not a folder",
        "name a folder; it is made when a baseline is recorded",
    ),
    OptionCode.EXPECTED_BACKEND_ARG: (
        "write [baseline:|quantized:]KEY=VALUE",
        "e.g. dtype=float16 or quantized:device_map=auto",
    ),
    OptionCode.TWO_CHECKPOINTS: (
        "{name}: two checkpoints for {scheme}: {first} and {second}",
        "keep one, or say which scheme each holds: {name}=SCHEME={second}",
    ),
    OptionCode.TWO_PLAIN_CHECKPOINTS: (
        "{name}: two checkpoints without a scheme: {first} and {second}",
        "keep one, or say which scheme each holds: {name}=SCHEME={second}",
    ),
    OptionCode.SCHEME_WITHOUT_CHECKPOINT: (
        "{name}={given}: a scheme without its checkpoint",
        "write {name}={scheme}=FOLDER-OR-HUB-ID",
    ),
    OptionCode.SCHEME_NOT_UNDER_TEST: (
        "--quant-checkpoint={scheme}={given}: {scheme} is not under test",
        "--quant-scheme names {schemes}",
    ),
    OptionCode.ONE_CHECKPOINT_FOR_MANY: (
        "--quant-checkpoint={given}: {schemes} schemes are under test, and a checkpoint holds one",
        "say which: --quant-checkpoint={scheme}={given}",
    ),
}

_FILES: Table = {
    OptionCode.HTML_REPORT: ("reports in HTML are not built yet", "allowed are .md and .json"),
    OptionCode.EXPECTED_REPORT_NAME: ("the ending says in which form; allowed are .md and .json"),
    OptionCode.FOLDER_AS_REPORT: ("a folder", "name a file in it"),
    OptionCode.REPORT_NOT_WRITABLE: (
        "--quant-report={path}: cannot be written: {reason}",
        "name a file in a folder that you may write to",
    ),
    OptionCode.REPORT_AMONG_BASELINES: (
        "--quant-report={path}: cannot be written: it is where the store keeps baselines",
        "name a file in a folder that you may write to",
    ),
    OptionCode.NO_CACHE_FOLDER: (
        "no home folder, and {folder} cannot be used: {reason}",
        "name a folder for what is kept between runs: QUANTREG_CACHE_DIR=FOLDER",
    ),
    OptionCode.FOREIGN_CACHE_FOLDER: (
        "no home folder, and {folder} cannot be used: it belongs to somebody else",
        "name a folder for what is kept between runs: QUANTREG_CACHE_DIR=FOLDER",
    ),
}

_SESSIONS: Table = {
    OptionCode.UPDATE_NOT_TYPED: (
        "--quant-update comes from addopts or PYTEST_ADDOPTS, where it would disarm every gate "
        "in silence",
        "type it on the command line when you mean to record",
    ),
    OptionCode.UPDATE_AND_REQUIRE: (
        "--quant-update records and judges nothing, so --quant-require can never hold",
        "use them in two runs: record first, gate afterwards",
        "where an ini file sets quant_require, record with -o quant_require=false",
    ),
    OptionCode.UPDATE_WITHOUT_MODEL: (
        "--quant-update needs to know the full-precision model it records",
        "name it: --quant-model=ORG/NAME or --quant-model=FOLDER",
    ),
    OptionCode.REPEATS_WITHOUT_UPDATE: (
        "--quant-repeats={repeats} says how often a baseline is recorded, and this run records "
        "none",
        "use it together with --quant-update",
    ),
    OptionCode.ACCEPT_NOT_TYPED: (
        "--quant-accept comes from addopts or PYTEST_ADDOPTS, where every green run would move "
        "the reference in silence",
        "type it on the command line when you mean to accept",
    ),
    OptionCode.ACCEPT_AND_UPDATE: (
        "--quant-accept accepts what gates have judged, and --quant-update judges nothing",
        "use them in two runs: record first, accept afterwards",
    ),
    OptionCode.ACCEPT_WITHOUT_SCHEME: (
        "--quant-accept accepts runs of quantized models, and no --quant-scheme is given",
        "name what is tested, e.g. --quant-scheme=w8a8-fp8",
    ),
    OptionCode.ACCEPT_UNDER_POINT: (
        "--quant-accept needs gates that promise something, and --quant-gate=point promises "
        "nothing",
        "accept under detect or certify",
    ),
    OptionCode.WHY_WITHOUT_ACCEPT: (
        "--quant-why says why runs are accepted, and this run accepts none",
        "use it together with --quant-accept",
    ),
    OptionCode.WHY_TOO_LONG: "--quant-why: {most:,} characters are the most",
    OptionCode.MEASURED_RUN_GONE: "the run of {task} is gone from the cache folder",
}

_MARKERS: Table = {
    OptionCode.WRONG_SIGNATURE: "{error}; write {signature}",
    OptionCode.EXPECTED_SCHEME_NAMES: (
        'allowed are scheme names, e.g. quant_schemes("w8a8-fp8", "w4a16-int4")'
    ),
    OptionCode.EMPTY_QUANT_GATE: "says nothing; give mode=, confidence= or both",
    OptionCode.CONTRADICTORY_MARKERS: (
        "{first} and {second} contradict each other at the same place; keep one"
    ),
    OptionCode.EQUAL_SPEED_MARKERS: (
        "{first} and {second} say the same at the same place; keep one"
    ),
    OptionCode.FIXTURE_NOT_REQUESTED: (
        "the test does not request {fixtures:or}, without which this marker does nothing; add it "
        "to the test's arguments"
    ),
    OptionCode.NO_MIN_RETENTION_BESIDE: (
        "no min_retention of this test judges the same: what is lost in steps from one accepted "
        "run to the next would never be seen; add e.g. @pytest.mark.min_retention(0.98)"
    ),
    OptionCode.SCHEME_PARAMETRIZED: (
        "quant_scheme is parametrized by --quant-scheme; choose among the schemes of a test with "
        "@pytest.mark.quant_schemes(...)"
    ),
    OptionCode.MARKER_NOT_BUILT: (
        "{name} is not built yet, so it judges nothing; use {instead} instead (where it is "
        "yours, register it under `markers` in the ini file)"
    ),
    OptionCode.MISSPELT_MARKER: (
        "unknown mark {name}, which judges nothing; did you mean {nearest}? (where it is yours, "
        "register it under `markers` in the ini file)"
    ),
}

_CALLS: Table = {
    OptionCode.SCHEMES_BY_REQUEST: (
        "{schemes} schemes are under test, and a fixture got by request.getfixturevalue cannot "
        "run the test once for each",
        "request the fixture as an argument of the test",
    ),
    OptionCode.CALLED_AFTER_JUDGMENT: (
        "{fixture} was called after the test had ended and was judged",
        "call it in the body of the test or before it, not in a teardown",
    ),
    OptionCode.TWO_KINDS_OF_WORKLOAD: (
        "batch_size= is one batch after another, concurrency= and request_rate= are many requests "
        "in flight; name one kind",
        "measure both with two calls, or with compare_speed() without any",
    ),
}

WORDS: Table = {**_VALUES, **_MODELS, **_FILES, **_SESSIONS, **_MARKERS, **_CALLS}
