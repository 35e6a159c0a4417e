"""`vllm serve` on loopback, for the tests of servers: started together, ended for sure."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

EXAMPLES = Path(__file__).parents[3] / "examples"
MODELS: Mapping[str, Path] = {
    "bf16": EXAMPLES / "tiny-llama",
    "int8": EXAMPLES / "checkpoints" / "w8a8-int8",
    "broken": EXAMPLES / "checkpoints" / "broken-w8a8-fp8-shifted-scales",
}
"""Of the broken ones this: static INT8 scales take minutes a request on a CPU without AVX-512."""

READY_SECONDS = 400.0
"""One is ready in half a minute; three at once, on two busy cores, in a few."""

CPU: Mapping[str, str] = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "0",
    "TORCHDYNAMO_DISABLE": "1",
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "WARNING",
    "OMP_NUM_THREADS": "1",
}
"""Without these vLLM refuses to start on a CPU, or takes minutes to."""


@dataclass(frozen=True)
class VllmServer:
    """A running server: its address, its model, and its process, which leads a group."""

    model: Path
    port: int
    log: Path
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        """What to give as base_url."""
        return f"http://127.0.0.1:{self.port}/v1"

    def wait(self, seconds: float) -> None:
        """Until it answers; raises RuntimeError with the end of its log if it does not."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process.poll() is None:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.url}/models"):
                return
            time.sleep(0.5)
        raise RuntimeError(f"vllm serve did not start: {self.log.read_text('utf-8')[-3000:]}")

    def stop(self) -> None:
        """Ends it and its children."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def start(model: Path, folder: Path) -> VllmServer:
    """Starts a server of ``model`` that logs into ``folder``; it is not ready yet."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = folder / f"{model.name}.log"
    command = [str(Path(sys.executable).parent / "vllm"), "serve", str(model)]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    command += ["--enforce-eager", "--max-model-len", "256", "--max-num-seqs", "8"]
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            env={**os.environ, **CPU},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return VllmServer(model, port, log, process)


@contextlib.contextmanager
def running(folder: Path, *names: str) -> Iterator[dict[str, VllmServer]]:
    """Servers of these models, all ready; ended afterwards whatever happens."""
    started: dict[str, VllmServer] = {}
    try:
        for name in names:
            started[name] = start(MODELS[name], folder)
        for server in started.values():
            server.wait(READY_SECONDS)
        yield started
    finally:
        for server in started.values():
            server.stop()
