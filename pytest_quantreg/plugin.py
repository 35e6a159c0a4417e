"""The pytest hooks and fixtures: they hand things on and decide nothing."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

from .option_table import MARKERS, OPTIONS, OUR_FIXTURES, OUR_MARKERS

if TYPE_CHECKING:
    from .check.handles import ModelHandle
    from .compare import CompareAccuracy
    from .runtime import Runtime

RUNTIME = pytest.StashKey["Runtime"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("quantreg", "gates for quantized language models")
    for option in OPTIONS:
        if option.flag is not None:
            group.addoption(option.flag, default=None, help=option.help, **option.kwargs)
        if option.ini is not None:
            kind: Any = option.ini_type
            parser.addini(option.ini, option.help, type=kind, default=None)


def pytest_configure(config: pytest.Config) -> None:
    for line in MARKERS:
        config.addinivalue_line("markers", line)
    config.pluginmanager.register(_Collector(config), "quantreg-collector")
    if _is_configured(config):
        # Wrong options must be told before collection, also when no test needs them.
        _runtime(config)


def pytest_report_header(config: pytest.Config) -> str | None:
    return config.stash[RUNTIME].header() if RUNTIME in config.stash else None


# First, so that the scheme opens the id: test_x[w8a8-fp8-gsm8k].
@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "quant_scheme" in metafunc.fixturenames:
        _runtime(metafunc.config).parametrize(metafunc)


@pytest.hookimpl(wrapper=True)
def pytest_pycollect_makeitem(
    collector: pytest.Module | pytest.Class,
) -> Generator[None, Any, Any]:
    made = yield
    if isinstance(made, list) and (items := [one for one in made if _is_ours(one)]):
        _runtime(collector.config).check(items, pytest.Collector.CollectError)
    return made


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # Items that pycollect_makeitem did not make, and marks that other plugins added.
    if ours := [item for item in items if _is_ours(item)]:
        _runtime(config).check(ours, pytest.UsageError)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None]:
    if _is_ours(item):
        _runtime(item.config).begin(item)
    return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    try:
        result = yield
    except (KeyboardInterrupt, SystemExit, pytest.exit.Exception):
        raise
    except BaseException as error:
        if RUNTIME in item.config.stash:
            item.config.stash[RUNTIME].end(item, error)
        raise
    if RUNTIME in item.config.stash:
        item.config.stash[RUNTIME].end(item, None)
    return result


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if RUNTIME in item.config.stash:
        item.config.stash[RUNTIME].dress(item, report)
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
    if RUNTIME in config.stash:
        config.stash[RUNTIME].summarize(terminalreporter)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None]:
    if RUNTIME not in session.config.stash:
        return (yield)
    runtime = session.config.stash[RUNTIME]
    runtime.finish(session)
    result = yield
    runtime.last_line()
    return result


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    return config.stash[RUNTIME].scheduler(log) if RUNTIME in config.stash else None


@pytest.fixture(scope="session")
def quant_scheme(request: pytest.FixtureRequest) -> str:
    """The quantization scheme under test, by its canonical name such as "w8a8-fp8".

    A test that uses it, directly or through another fixture, runs once per scheme of
    --quant-scheme and is skipped without that option.
    """
    return _runtime(request.config).scheme_of(request)


@pytest.fixture(scope="session")
def baseline_model(request: pytest.FixtureRequest) -> ModelHandle:
    """The full-precision model: loaded when .model or .tokenizer is first used.

    Only one model is in memory at a time, so take .model anew instead of keeping it.
    """
    return _runtime(request.config).baseline_handle()


@pytest.fixture(scope="session")
def quantized_model(request: pytest.FixtureRequest, quant_scheme: str) -> ModelHandle:
    """The model under test at the current scheme: loaded when .model is first used.

    Only one model is in memory at a time, so take .model anew instead of keeping it.
    """
    return _runtime(request.config).quantized_handle(quant_scheme)


@pytest.fixture
def compare_accuracy(request: pytest.FixtureRequest, quant_scheme: str) -> CompareAccuracy:
    """compare_accuracy("gsm8k"): evaluate an lm-eval task and compare with the baseline.

    Every item is paired with the stored baseline's answer to it. The markers of the
    test (min_retention) are judged when its body has ended. Returns the comparison:
    .retention, .low, .high, .baseline, .quantized, .lost_items and more.

    Arguments: task, limit=, num_fewshot=, metric=, apply_chat_template=,
    fewshot_as_multiturn=, system_instruction=, gen_kwargs=, repeats=1.
    """
    return _runtime(request.config).comparer(request.node, quant_scheme)


class _Collector:
    """Hears every report, under xdist on the controller, where the summary is written."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if hasattr(report, "quantreg"):
            _runtime(self._config).collect(report.quantreg)


def _runtime(config: pytest.Config) -> Runtime:
    """The session's runtime, made (and our other modules imported) on first use."""
    if RUNTIME not in config.stash:
        from .runtime import Runtime

        config.stash[RUNTIME] = Runtime(config)
    return config.stash[RUNTIME]


def _is_configured(config: pytest.Config) -> bool:
    """Whether any option or ini key of ours is set."""
    return any(
        (option.flag and config.getoption(option.dest, None) is not None)
        or (option.ini and config.getini(option.ini) is not None)
        for option in OPTIONS
    )


def _is_ours(item: pytest.Item) -> bool:
    """Whether an item carries one of our markers or uses one of our fixtures."""
    return not OUR_FIXTURES.isdisjoint(getattr(item, "fixturenames", ())) or any(
        mark.name in OUR_MARKERS for mark in item.iter_markers()
    )
