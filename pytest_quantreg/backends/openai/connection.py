"""A server as long as a model of it is in use: what it is, what it can do, whether it lives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...core.codes import EngineCode, ServerCode
from ...core.errors import Refusal, WrongUse
from ...core.facts import Problem, Scheme
from ...core.records.run import ModelSpec
from .client import Client, OnAnswer, ServerError
from .probe import Abilities
from .server import ServedModel, ask_served_model, last_part


@dataclass
class Connection:
    """One served model; ``gone`` is what happened when its server was last lost.

    A server that was lost is asked once, without retries, before anything else: the next
    test hears at once that it is still away, and one that came back as another is refused.
    """

    spec: ModelSpec
    client: Client
    served: ServedModel
    abilities: Abilities
    gone: Problem | None = None
    closed: bool = False

    async def answers(self, bodies: Sequence[Mapping[str, Any]], on_answer: OnAnswer) -> list[Any]:
        """The answers to completion requests. Raises Refusal for a server that fails."""
        try:
            return await self.client.answers("completions", bodies, on_answer)
        except ServerError as error:
            if error.gone or error.status is None:
                self.gone = error.problem
            step = Problem(EngineCode.ANSWERING_REQUESTS, {"requests": len(bodies)})
            raise self.client.refusal(error, step) from None

    def check(self) -> None:
        """Refuses a server that was lost, or is not what it was. Raises Refusal.

        One that was started anew between two tries of a request was never lost here.
        Raises WrongUse when the engine of this session was closed.
        """
        if self.closed:
            raise WrongUse(
                ServerCode.MODEL_NOT_IN_USE, model=self.spec.name, scheme=Scheme(self.spec.scheme)
            )
        try:
            self.client.get("models")
        except ServerError as error:
            if self.gone is None:
                return  # the requests themselves are tried more often
            raise Refusal(
                ServerCode.SERVER_WAS_LOST,
                server=self.client.args.base_url,
                cause=error.problem,
                before=self.gone,
            ) from None
        now = ask_served_model(self.client, self.spec)
        if replace(now, version=now.version or self.served.version) != self.served:
            raise Refusal(
                ServerCode.SERVER_CAME_BACK_AS_ANOTHER,
                server=self.client.args.base_url,
                model=now.model,
                engine=now.engine,
                version=now.version,
                root=last_part(now.root) if now.root != self.served.root else None,
            )
        self.gone = None
