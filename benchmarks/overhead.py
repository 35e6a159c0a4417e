"""What loading the plugin costs a pytest run that does not use it, beside two known plugins.

Each figure is in-process time over fresh processes: importing and registering the plugin,
and its hooks during a run of one trivial test. Prints medians; the target is 5 ms.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

PLUGINS = {
    "pytest-quantreg": "pytest_quantreg.plugin",
    "pytest-benchmark": "pytest_benchmark.plugin",
    "pytest-xdist": "xdist.plugin",
}
TARGET_MS = 5.0

CHILD = """
import inspect, json, sys, time
import pytest

class Timer:
    seconds = {"load": 0.0, "hooks": 0.0}

    @pytest.hookimpl(tryfirst=True)
    def pytest_addoption(self, pluginmanager):
        before = set(sys.modules)
        start = time.perf_counter()
        pluginmanager.import_plugin(sys.argv[1])
        self.seconds["load"] = time.perf_counter() - start
        self.seconds["modules"] = len(set(sys.modules) - before)
        plugin = pluginmanager.get_plugin(sys.argv[1])
        for caller in pluginmanager.get_hookcallers(plugin) or ():
            for impl in caller.get_hookimpls():
                if impl.plugin is plugin and not inspect.isgeneratorfunction(impl.function):
                    impl.function = self.timed(impl.function)

    def timed(self, function):
        def wrapper(*args):
            start = time.perf_counter()
            try:
                return function(*args)
            finally:
                self.seconds["hooks"] += time.perf_counter() - start
        return wrapper

code = pytest.main(["-q", "-p", "no:cacheprovider", sys.argv[2]], plugins=[Timer()])
print("RESULT" + json.dumps(Timer.seconds))
sys.exit(code)
"""


def main() -> None:
    """Runs every plugin in turn, interleaved, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=30, help="fresh processes per plugin")
    count = parser.parse_args().processes
    results: dict[str, list[dict[str, float]]] = {name: [] for name in PLUGINS}
    with tempfile.TemporaryDirectory() as folder:
        test = Path(folder) / "test_one.py"
        test.write_text("def test_one():\n    assert True\n", encoding="utf-8")
        for _ in range(count):
            for name, module in PLUGINS.items():
                results[name].append(measure(module, test))
    print(f"median of {count} fresh processes each, interleaved; milliseconds\n")
    print(f"{'plugin':<18}{'load':>8}{'hooks':>8}{'sum':>8}{'modules imported':>19}")
    for name, runs in results.items():
        load = statistics.median(run["load"] for run in runs) * 1000
        hooks = statistics.median(run["hooks"] for run in runs) * 1000
        total = statistics.median(run["load"] + run["hooks"] for run in runs) * 1000
        modules = statistics.median(run["modules"] for run in runs)
        print(f"{name:<18}{load:>8.2f}{hooks:>8.2f}{total:>8.2f}{modules:>19.0f}")
        if name == "pytest-quantreg":
            verdict = f"target for pytest-quantreg: {TARGET_MS:g} ms, measured {total:.2f} ms"
    print(f"\n{verdict}")


def measure(module: str, test: Path) -> dict[str, float]:
    """The timings of one fresh process."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, module, str(test)],
        env={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PATH": ""},
        cwd=test.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT"))
    seconds: dict[str, float] = json.loads(line.removeprefix("RESULT"))
    return seconds


if __name__ == "__main__":
    main()
