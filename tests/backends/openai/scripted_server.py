"""A small server of completions that does what a test tells it: answers, fails, hangs, dies."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

RIGHT, WRONG = -0.1, -2.0
"""Log-probability per token of a prompt that says what is so, and of another."""

SUM = re.compile(r"What is (\d+) plus (\d+)\?(?: it is (\d+))?")


class ScriptedServer:
    """Serves one model on loopback; its attributes may change while it runs.

    ``logprobs`` is what it does when asked for those of a prompt: ``yes``, ``none`` (only
    of what it generates), ``null``, ``zeros`` or ``rejected``. ``failures`` are used up one
    per completion request: a status, ``drop``, ``hang``, ``die`` or ``page`` (of a proxy).
    After ``lives`` of them it is gone. ``shift`` moves every log-probability, as quantizing
    does. ``chunk`` is how many tokens one event of a stream holds.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str], name: str = "tiny-llama") -> None:
        self.decode = decode
        self.cards: list[dict[str, Any]] = [
            {"id": name, "root": f"/models/{name}", "owned_by": "vllm", "max_model_len": 256}
        ]
        self.paths: dict[str, Any] = {"/version": {"version": "0.32.0"}}
        self.key = ""
        self.logprobs = "yes"
        self.shift = 0.0
        self.token_ids = True
        self.many_prompts = True
        self.failures: list[int | str] = []
        self.lives: int | None = None
        self.wrong: Callable[[int], bool] = lambda number: False
        self.unknown: tuple[str, ...] = ()
        self.usage = True
        self.pause = 0.002
        self.chunk = 1
        self.short = 0
        self.seen: list[dict[str, Any]] = []
        self.keys: set[str] = set()
        self.under_way = self.most_under_way = 0
        self._lock, self._ending = threading.Lock(), threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._http: ThreadingHTTPServer | None = None
        self.port = 0
        self.start()

    @property
    def url(self) -> str:
        """The address to give as base_url."""
        return f"http://127.0.0.1:{self.port}/v1"

    def start(self) -> None:
        """Listens, on the port it had before."""
        self.stop()
        owner = self

        class Handler(_Handler):
            served = owner

        class Http(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, *_: Any) -> None:
                """Clients that go away are none of its business."""

        self._http = Http(("127.0.0.1", self.port), Handler)
        self.port = self._http.server_address[1]
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Ends at once, open connections too; harmless the second time."""
        # One that was told to die may be about it already: whoever comes second waits.
        with self._ending:
            http, self._http = self._http, None
            if http is None:
                return
            http.shutdown()
            http.server_close()
            for connection in list(self._sockets):
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def enter(self, body: dict[str, Any]) -> int | str | None:
        """Notes a completion request; what is to go wrong with it."""
        with self._lock:
            self.seen.append(body)
            self.under_way += 1
            self.most_under_way = max(self.most_under_way, self.under_way)
            if self.lives is not None and len(self.seen) > self.lives:
                return "die"
            return self.failures.pop(0) if self.failures else None

    def leave(self) -> None:
        """A request has ended."""
        with self._lock:
            self.under_way -= 1

    def text(self, prompt: Any) -> str:
        """The words of a prompt."""
        return prompt if isinstance(prompt, str) else self.decode(prompt)

    def answer(self, prompt: Any) -> str:
        """The sum that is asked for, wrong where `wrong` says so."""
        sums = SUM.findall(self.text(prompt))
        if not sums:
            return "x"
        number = int(sums[-1][0])
        return str(2 * number + (1 if self.wrong(number) else 0))

    def likelihoods(self, prompt: Sequence[int]) -> list[float | None]:
        """One log-probability per token after the first."""
        sums = SUM.findall(self.text(prompt))
        number, sign = (int(sums[-1][0]), sums[-1][2]) if sums else (0, "")
        right = not sign or (int(sign) == 2 * number) != self.wrong(number)
        each = RIGHT if right else WRONG
        return [None, *(each * (1 + token % 7 / 10) for token in prompt[1:])]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Else small events wait for each other.
    disable_nagle_algorithm = True
    served: ScriptedServer

    def setup(self) -> None:
        super().setup()
        self.served._sockets.add(self.connection)

    def log_message(self, *_: Any) -> None:
        """Silent."""

    def do_GET(self) -> None:
        if not self._allowed():
            return
        if self.path == "/v1/models":
            self._send(200, {"object": "list", "data": self.served.cards})
        elif self.path in self.served.paths:
            self._send(200, self.served.paths[self.path])
        else:
            self._send(404, {"detail": "Not Found"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self._allowed():
            return
        wrong = self.served.enter(body)
        try:
            self._complete(body, wrong)
        finally:
            self.served.leave()

    def _allowed(self) -> bool:
        given = self.headers.get("Authorization", "")
        self.served.keys.add(given)
        if self.served.key and given != f"Bearer {self.served.key}":
            # Some servers repeat the key that they were given.
            self._send(401, {"error": {"message": f"Incorrect API key provided: {given}"}})
            return False
        return True

    def _complete(self, body: dict[str, Any], wrong: int | str | None) -> None:
        served = self.served
        time.sleep(served.pause)
        prompt = body["prompt"]
        ids = not isinstance(prompt, str) and not isinstance(prompt[0], str)
        many = isinstance(prompt, list) and not (ids and isinstance(prompt[0], int))
        if wrong == "hang":
            time.sleep(5)
        elif wrong in ("drop", "die"):
            if wrong == "die":
                threading.Thread(target=served.stop, daemon=True).start()
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        elif wrong == "page":
            self._send(200, b"<html>Please sign in</html>")
        elif isinstance(wrong, int):
            self._send(wrong, {"error": {"message": f"scripted {wrong}"}})
        elif unknown := [name for name in served.unknown if name in body]:
            self._send(400, {"error": {"message": f"unknown field {unknown[0]}"}})
        elif ids and not served.token_ids:
            self._send(400, {"error": {"message": "prompt must be a string"}})
        elif body.get("echo") and served.logprobs == "rejected":
            self._send(400, {"error": {"message": "echo is not supported"}})
        elif body.get("stream"):
            self._stream(body, prompt)
        else:
            prompts = prompt if many else [prompt]
            prompts = prompts if served.many_prompts else prompts[:1]
            choices = [self._choice(body, place, prompt) for place, prompt in enumerate(prompts)]
            # A client must go by their index.
            self._send(200, {"choices": choices[::-1]})

    def _choice(self, body: Mapping[str, Any], place: int, prompt: Any) -> dict[str, Any]:
        text = self.served.answer(prompt)
        limit = body["max_tokens"]
        reason = "length" if len(text) > limit else "stop"
        choice = {"index": place, "text": text[:limit], "finish_reason": reason}
        if body.get("echo"):
            choice["logprobs"] = self._logprobs(prompt)
        return choice

    def _logprobs(self, prompt: Sequence[int]) -> dict[str, Any]:
        plain: list[float | None] = self.served.likelihoods(prompt)
        shifted = [None if value is None else value - self.served.shift for value in plain]
        how = self.served.logprobs
        if how == "none":
            shifted = []
        elif how in ("null", "zeros"):
            shifted = [None if how == "null" else 0.0 for _ in shifted]
        values = [*shifted, -0.5]
        tops = [{"a": -9.0 if value is None else value} for value in values]
        return {"token_logprobs": values, "top_logprobs": tops}

    def _stream(self, body: Mapping[str, Any], prompt: Sequence[int]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        count = body["max_tokens"] - self.served.short
        for start in range(0, count, self.served.chunk):
            tokens = list(range(start, min(start + self.served.chunk, count)))
            choice: dict[str, Any] = {"index": 0, "text": "x" * len(tokens)}
            if body.get("return_token_ids"):
                choice["token_ids"] = tokens
            time.sleep(self.served.pause)
            self._event({"choices": [choice]})
        if self.served.usage and body.get("stream_options"):
            usage = {"prompt_tokens": len(prompt), "completion_tokens": count}
            self._event({"choices": [], "usage": usage})
        self._piece(b"data: [DONE]\n\n")
        self._piece(b"")

    def _event(self, event: Mapping[str, Any]) -> None:
        self._piece(b"data: " + json.dumps(event).encode() + b"\n\n")

    def _piece(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def _send(self, status: int, body: Any) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
