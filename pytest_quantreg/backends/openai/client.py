"""Requests to a server: time-outs, retries with backoff, and errors without the key."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from ...core.codes import ServerCode
from ...core.errors import Refusal
from ...core.facts import Problem, Quoted
from .api_key import Key
from .arguments import ServerArgs

if TYPE_CHECKING:
    import aiohttp

Value = TypeVar("Value")
OnAnswer: TypeAlias = Callable[[int], None]
Sleep: TypeAlias = Callable[[float], Awaitable[None]]

CONNECT_SECONDS = 10.0
FIRST_WAIT, LONGEST_WAIT = 0.5, 10.0
"""Seconds before the first retry, doubled each time, and at most."""

IDLE_SECONDS = 3.0
"""Servers drop idle connections after 5 s and more; one that is just being dropped fails."""

_BUSY = (408, 425, 429, 500, 502, 503, 504)
_SHOWN = 300


class ServerError(Exception):
    """A request that failed: the ``problem``, and whether it may help to send it again.

    ``status`` is what the server answered with, None where it did not answer; ``gone``
    says that nobody listens any more, or that the connection broke.
    """

    def __init__(
        self, problem: Problem, *, again: bool, status: int | None = None, gone: bool = False
    ) -> None:
        super().__init__(problem)
        self.problem, self.again, self.status, self.gone = problem, again, status, gone


class Client:
    """Talks to one server; holds no connection between calls.

    ``sleep`` waits between retries.
    """

    def __init__(self, args: ServerArgs, key: Key, *, sleep: Sleep = asyncio.sleep) -> None:
        self.args = args
        self._key = key
        self._sleep = sleep

    def get(self, path: str, *, of_root: bool = False) -> Any:
        """One answer, asked for once; ``of_root`` leaves the version out. Raises ServerError."""
        url = f"{self.args.root if of_root else self.args.base_url}/{path}"

        async def request() -> Any:
            async with self.session() as session:
                return await self._request_once(session, "GET", url, None)

        return run(request())

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """One answer, asked for again where that may help. Raises ServerError."""

        async def ask() -> Any:
            async with self.session() as session:
                return await self._request_with_retries(session, path, body)

        return run(ask())

    async def answers(
        self, path: str, bodies: Sequence[Mapping[str, Any]], on_answer: OnAnswer
    ) -> list[Any]:
        """The answers to all ``bodies``, ``num_concurrent`` at a time; ``on_answer`` each place.

        Raises ServerError for the first that fails for good; the others are given up then.
        """
        answers: list[Any] = [None] * len(bodies)
        waiting = iter(enumerate(bodies))

        async def work(session: aiohttp.ClientSession) -> None:
            for place, body in waiting:
                answers[place] = await self._request_with_retries(session, path, body)
                on_answer(place)

        async with self.session() as session:
            workers = min(self.args.num_concurrent, len(bodies))
            await run_together([work(session) for _ in range(workers)])
        return answers

    def session(self) -> aiohttp.ClientSession:
        """A pool of connections; whoever opens it closes it."""
        import aiohttp

        return aiohttp.ClientSession(
            headers=self._key.headers(),
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_SECONDS),
            timeout=aiohttp.ClientTimeout(total=self.args.timeout, sock_connect=CONNECT_SECONDS),
        )

    @contextlib.asynccontextmanager
    async def response(
        self, session: aiohttp.ClientSession, method: str, url: str, body: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The server's answer while it comes in; whatever fails meanwhile is a ServerError."""
        import aiohttp

        try:
            async with session.request(method, url, json=body, allow_redirects=False) as response:
                if response.status != 200:
                    raise self._declined(response.status, await response.text())
                yield response
        except aiohttp.ConnectionTimeoutError:
            problem = Problem(ServerCode.NOT_CONNECTED_IN_TIME, {"seconds": CONNECT_SECONDS})
            raise ServerError(problem, again=True, gone=True) from None
        except (asyncio.TimeoutError, TimeoutError):
            seconds = self.args.timeout
            problem = Problem(
                ServerCode.NO_ANSWER_IN_TIME, {"seconds": seconds, "longer": 2 * seconds}
            )
            raise ServerError(problem, again=True) from None
        except aiohttp.ClientConnectorError as error:
            problem = Problem(ServerCode.CANNOT_BE_REACHED, {"reason": _system_reason(error)})
            raise ServerError(problem, again=True, gone=True) from None
        except (aiohttp.ClientError, OSError) as error:
            problem = Problem(ServerCode.CONNECTION_BROKEN, {"error": type(error).__name__})
            raise ServerError(problem, again=True, gone=True) from None
        except ValueError as error:
            reason = Quoted(str(error)[:80])
            problem = Problem(ServerCode.ANSWER_IS_NOT_JSON, {"reason": reason})
            raise ServerError(problem, again=False) from None

    def refusal(self, trouble: ServerError, step: Problem | None = None) -> Refusal:
        """Return the refusal of a request that failed for good in a ``step``."""
        server, cause = self.args.base_url, trouble.problem
        if step is None:
            return Refusal(ServerCode.SERVER_FAILED, server=server, cause=cause)
        return Refusal(ServerCode.SERVER_FAILED_WHILE, server=server, cause=cause, step=step)

    async def _request_with_retries(
        self, session: aiohttp.ClientSession, path: str, body: Mapping[str, Any]
    ) -> Any:
        url = f"{self.args.base_url}/{path}"
        for attempt in range(self.args.max_retries + 1):
            if attempt:
                await self._sleep(min(FIRST_WAIT * 2 ** (attempt - 1), LONGEST_WAIT))
            try:
                return await self._request_once(session, "POST", url, body)
            except ServerError as error:
                trouble = error
                if not trouble.again:
                    raise
        tries = self.args.max_retries + 1
        if tries > 1:
            tried = Problem(ServerCode.TRIED_AGAIN, {"cause": trouble.problem, "tries": tries})
            trouble = ServerError(tried, again=False, status=trouble.status, gone=trouble.gone)
        raise trouble

    async def _request_once(
        self, session: aiohttp.ClientSession, method: str, url: str, body: Any
    ) -> Any:
        async with self.response(session, method, url, body) as response:
            # Names and versions are shown and stored, and a server may repeat anything there.
            return json.loads(self._key.hidden_in(await response.text()))

    def _declined(self, status: int, text: str) -> ServerError:
        message = self._key.hidden_in(_message(text))
        facts = {"status": status, "message": Quoted(message) if message else None}
        problem = Problem(ServerCode.REQUEST_DECLINED, facts)
        if status == 404:
            problem = Problem(ServerCode.ADDRESS_NOT_FOUND, facts)
        elif status in (401, 403) and self._key:
            problem = Problem(ServerCode.KEY_REJECTED, facts)
        elif status in (401, 403):
            problem = Problem(ServerCode.KEY_WANTED, facts)
        return ServerError(problem, again=status in _BUSY, status=status)


async def run_together(work: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Runs all of ``work`` at once; when one fails, the others are ended first."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in work]
    try:
        await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


def run(work: Coroutine[Any, Any, Value]) -> Value:
    """Runs ``work`` to its end; its errors come without the frames that hold the key."""
    try:
        return asyncio.run(work)
    except BaseException as error:
        raise without_frames(error) from None


def without_frames(error: BaseException) -> BaseException:
    """An error without what led to it: a pytest that shows locals would show headers."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def _system_reason(error: Any) -> Quoted:
    system = getattr(error, "os_error", None)
    number = getattr(system, "errno", None) or 0
    # Those below 0 are of the name service, and aiohttp's own words name the address again.
    reason = os.strerror(number) if number > 0 else getattr(system, "strerror", None)
    return Quoted(reason or type(error).__name__)


def _message(text: str) -> str:
    """Return the message in an error's body, its first lines on one."""
    try:
        body = json.loads(text)
    except ValueError:
        body = text
    while isinstance(body, dict):
        body = next((body[key] for key in ("error", "message", "detail") if body.get(key)), "")
    return " ".join(str(body).split())[:_SHOWN]
