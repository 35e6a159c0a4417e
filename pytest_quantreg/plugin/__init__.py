"""The pytest hooks and fixtures: they hand things on and decide nothing."""

from __future__ import annotations

import argparse
import contextlib
import uuid
import warnings
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

from .option_table import MARKERS, OPTIONS, OUR_FIXTURES, OUR_MARKERS, WITHOUT_TESTS

if TYPE_CHECKING:
    from ..core.hardware.accelerators import Accelerator
    from .accuracy_fixture import CompareAccuracy
    from .fixtures import ModelHandle
    from .run_context import RunContext
    from .speed_fixture import CompareSpeed

RUN_CONTEXT = pytest.StashKey["RunContext"]()
SESSION = pytest.StashKey[str]()
REQUIRED = pytest.StashKey[bool]()
"""Whether --quant-require was set when the session began."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("quantreg", "quantreg, gates for quantized language models")
    for option in OPTIONS:
        if option.flags:
            group.addoption(*option.flags, default=None, help=option.help, **option.kwargs)
        if option.ini is not None:
            kind: Any = option.ini_type
            parser.addini(option.ini, option.ini_help, type=kind, default=None)


# Before anything can fail: conftests that are imported, options that are checked.
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None]:
    options = early_config.known_args_namespace
    typed = getattr(options, "quant_report", None)
    configured: object = None
    with contextlib.suppress(TypeError, ValueError, pytest.UsageError):  # told later
        configured = early_config.getini("quant_report")
    if typed or configured:
        from .options import reports_at_start
        from .stale_reports import replace_stale

        replace_stale(reports_at_start(early_config))
    try:
        return (yield)
    except SystemExit as error:
        if not error.code and _requires(early_config, options):
            raise pytest.UsageError(
                "--quant-require: no gate was judged: a conftest ended pytest while it was imported"
            ) from None
        raise


def pytest_configure(config: pytest.Config) -> None:
    for line in MARKERS:
        config.addinivalue_line("markers", line)
    config.pluginmanager.register(_Collector(config), "quantreg-collector")
    if _is_configured(config) and not _only_helps(config):
        # Wrong options must be told before collection, also when no test needs them.
        _run_context(config)


# Around all of the session: what hooks do to its exit status is over then.
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> Generator[None, int | None, int | None]:
    # Read before a hook of the session can change it.
    required = config.stash[REQUIRED] = _requires(config, config.option)
    status: int | None = 0
    try:
        status = yield
    except SystemExit as error:
        # sys.exit(0), where pytest does not catch it: while it ends.
        if error.code or not required:
            raise
    if not required:
        return status
    from .requirement import enforce

    return enforce(config, config.stash.get(RUN_CONTEXT, None), status or 0)


def pytest_report_header(config: pytest.Config) -> str | None:
    return config.stash[RUN_CONTEXT].header() if RUN_CONTEXT in config.stash else None


# First, so that the scheme opens the id: test_x[w8a8-fp8-gsm8k].
@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "quant_scheme" in metafunc.fixturenames:
        _run_context(metafunc.config).parametrize(metafunc)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if report.passed and any(_is_ours(node) for node in report.result):
        _run_context(collector.config).check_report(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> Generator[None]:
    timed = [item for item in items if "compare_speed" in getattr(item, "fixturenames", ())]
    if not timed or not config.pluginmanager.has_plugin("pytest-benchmark"):
        return (yield)
    from .benchmark_adapter import as_benchmarks

    with as_benchmarks(config, timed):
        return (yield)


# When all other hooks may have added their marks.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    if any(_is_ours(item) for item in session.items):
        _run_context(session.config).check_collected(session)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    if (ours := _is_ours(item)) or RUN_CONTEXT in item.config.stash:
        # Also a test that is not ours yet: its body may ask for a fixture of ours.
        _run_context(item.config).begin(item, ours=ours)
    return (yield from _run_phase(item, "setup"))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    if RUN_CONTEXT in item.config.stash:
        item.config.stash[RUN_CONTEXT].start_body(item)
    return (yield from _run_phase(item, "call"))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    return (yield from _run_phase(item, "teardown"))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if RUN_CONTEXT in item.config.stash:
        item.config.stash[RUN_CONTEXT].annotate_report(item, call, report)
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(
    report: pytest.CollectReport | pytest.TestReport,
) -> tuple[str, str, str] | None:
    # A refusal is no regression: pytest shows it as "ERROR at call", and exits 1 all the same.
    if report.failed and getattr(report, "quantreg", {}).get("refused"):
        return "error", "E", "ERROR"
    return None


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    if RUN_CONTEXT in config.stash:
        config.stash[RUN_CONTEXT].summarize(terminalreporter)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None]:
    if RUN_CONTEXT not in session.config.stash:
        return (yield)
    run_context = session.config.stash[RUN_CONTEXT]
    run_context.finish(session)
    try:
        result = yield
    except pytest.exit.Exception as stopped:
        if stopped.returncode is not None:
            session.exitstatus = stopped.returncode  # as pytest does after this hook
        run_context.conclude(session)
        raise
    run_context.conclude(session)
    return result


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["quantreg_session"] = _session(node.config)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    return config.stash[RUN_CONTEXT].scheduler(log) if RUN_CONTEXT in config.stash else None


@pytest.fixture(scope="session")
def quant_scheme(request: pytest.FixtureRequest) -> str:
    """The quantization scheme under test, by its canonical name such as "w8a8-fp8".
    A test that uses it, directly or through another fixture, runs once per scheme of
    --quant-scheme and is skipped without that option.
    """
    return _run_context(request.config).fixtures.scheme_of(request)


@pytest.fixture(scope="session")
def baseline_model(request: pytest.FixtureRequest) -> ModelHandle:
    """The full-precision model: loaded when .model or .tokenizer is first used.
    Only one model is in memory at a time, so take .model anew instead of keeping it.
    """
    return _run_context(request.config).fixtures.baseline_handle()


@pytest.fixture(scope="session")
def quantized_model(request: pytest.FixtureRequest, quant_scheme: str) -> ModelHandle:
    """The model under test at the current scheme: loaded when .model is first used.
    Only one model is in memory at a time, so take .model anew instead of keeping it.
    """
    return _run_context(request.config).fixtures.quantized_handle(quant_scheme)


@pytest.fixture
def compare_accuracy(request: pytest.FixtureRequest, quant_scheme: str) -> CompareAccuracy:
    """compare_accuracy("gsm8k"): evaluate an lm-eval task and compare with the baseline.
    Every item is paired with the stored baseline's answer to it. The markers of the
    test (min_retention) are judged when its body has ended. Returns the comparison:
    .retention, .low, .high, .baseline, .quantized, .lost_items and more.
    Arguments: task, limit=, num_fewshot=, metric=, apply_chat_template=,
    fewshot_as_multiturn=, system_instruction=, gen_kwargs=, repeats=1.
    """
    return _run_context(request.config).fixtures.comparer(request.node, quant_scheme)


@pytest.fixture
def compare_speed(request: pytest.FixtureRequest, quant_scheme: str) -> CompareSpeed:
    """compare_speed(batch_size=16, output_tokens=128): time the quantized model and its
    baseline in turns, each in a process of its own, on the same prompts and with the same
    number of generated tokens. Without batch_size=, concurrency= or request_rate= both a
    single request and many in flight are timed. The markers of the test (min_speedup,
    min_throughput, max_latency, max_memory, max_load_time) are judged when its body has
    ended. Returns what was measured: .speedup, .workloads, .weights_gib and more.
    Arguments: batch_size=, concurrency=, request_rate=, prompt_tokens=128,
    output_tokens=64, rounds=10, warmup=2, requests=, blocks=.
    """
    return _run_context(request.config).fixtures.timer(request.node, quant_scheme)


@pytest.fixture(scope="session")
def accelerator(request: pytest.FixtureRequest) -> Accelerator:
    """The device that models run on here: .name, .kind ("cuda", "cpu", ...), .memory,
    .capability and more, as `quantreg hardware` prints it.
    """
    return _run_context(request.config).fixtures.accelerator()


class _Collector:
    """Gets every report, under xdist on the controller, where the summary is written."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if hasattr(report, "quantreg"):
            _run_context(self._config).collect(report, report.quantreg)
        if RUN_CONTEXT in self._config.stash:
            self._config.stash[RUN_CONTEXT].reporter.count_test(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if RUN_CONTEXT in self._config.stash:
            self._config.stash[RUN_CONTEXT].reporter.count_collection(report)

    # Before pytest keeps its text, and xdist sends it.
    @pytest.hookimpl(tryfirst=True)
    def pytest_warning_recorded(self, warning_message: warnings.WarningMessage) -> None:
        if RUN_CONTEXT in self._config.stash:
            from .item_state import clean_warning

            clean_warning(warning_message, self._config.stash[RUN_CONTEXT].secrets)

    # Before hooks that raise instead, as with sys.exit(0).
    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_keyboard_interrupt(
        self, excinfo: pytest.ExceptionInfo[BaseException]
    ) -> Generator[None]:
        if RUN_CONTEXT in self._config.stash:
            self._config.stash[RUN_CONTEXT].reporter.note_interruption(excinfo)
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_internalerror(self) -> Generator[None]:
        if RUN_CONTEXT in self._config.stash:
            self._config.stash[RUN_CONTEXT].reporter.note_internal_error()
        return (yield)


def _run_context(config: pytest.Config) -> RunContext:
    """Return the session's RunContext, made (and our other modules imported) on first use."""
    if RUN_CONTEXT not in config.stash:
        from .run_context import RunContext

        required = config.stash.get(REQUIRED, False)
        config.stash[RUN_CONTEXT] = RunContext(config, _session(config), required=required)
    return config.stash[RUN_CONTEXT]


def _session(config: pytest.Config) -> str:
    """Return the id of this session, shared with its xdist workers and with no other session.

    It names a folder, so it is random: --testrunuid is any text that somebody typed.
    """
    shared = getattr(config, "workerinput", {}).get("quantreg_session")
    return shared or config.stash.setdefault(SESSION, uuid.uuid4().hex)


def _run_phase(item: pytest.Item, when: str) -> Generator[None, object, object]:
    """Run a phase of a test; the RunContext judges its end."""
    error: BaseException | None = None
    result: object = None
    try:
        result = yield
    except (KeyboardInterrupt, pytest.exit.Exception):
        if RUN_CONTEXT in item.config.stash:
            item.config.stash[RUN_CONTEXT].stop_short(item)
        raise
    except BaseException as raised:
        error = raised
    try:
        if RUN_CONTEXT in item.config.stash:
            item.config.stash[RUN_CONTEXT].end(item, when, error)
        if error is not None:
            raise error
        return result
    finally:
        # A frame that an exception holds must not hold the exception.
        del error


def _is_configured(config: pytest.Config) -> bool:
    """Whether any option or ini key of ours is set. Raises UsageError for a wrong type."""
    typed = [config.getoption(option.dest, None) for option in OPTIONS if option.flag]
    configured = [_configured(config, option.ini) for option in OPTIONS if option.ini]
    return any(value is not None for value in (*typed, *configured))


def _configured(config: pytest.Config, key: str) -> object:
    try:
        return config.getini(key)
    except (TypeError, ValueError, pytest.UsageError) as error:
        raise pytest.UsageError(f"{key}: {error}") from None


def _requires(config: pytest.Config, options: argparse.Namespace) -> bool:
    """Whether a session with these ``options`` must end with 1 unless its gates were judged."""
    idle = any(getattr(options, name, False) for name in WITHOUT_TESTS)
    if idle or hasattr(config, "workerinput"):
        return False
    typed = getattr(options, "quant_require", None)
    return bool(_configured(config, "quant_require") if typed is None else typed)


def _only_helps(config: pytest.Config) -> bool:
    """True for --help, --version and --markers."""
    return any(getattr(config.option, name, False) for name in ("help", "version", "markers"))


def _is_ours(node: pytest.Item | pytest.Collector) -> bool:
    """Whether a node is a test that carries one of our markers or uses one of our fixtures."""
    if not isinstance(node, pytest.Item):
        return False
    return not OUR_FIXTURES.isdisjoint(getattr(node, "fixturenames", ())) or any(
        mark.name in OUR_MARKERS for mark in node.iter_markers()
    )
