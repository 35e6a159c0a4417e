"""A server as long as a model of it is in use: what it is, what it can do, whether it lives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...core.errors import Category, Refusal, WrongUse
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
    gone: str | None = None
    closed: bool = False

    async def answers(self, bodies: Sequence[Mapping[str, Any]], on_answer: OnAnswer) -> list[Any]:
        """The answers to completion requests. Raises Refusal for a server that fails."""
        try:
            return await self.client.answers("completions", bodies, on_answer)
        except ServerError as error:
            if error.gone or error.status is None:
                self.gone = error.what
            raise self.client.refusal(error, f"answering {len(bodies)} requests") from None

    def check(self) -> None:
        """Refuses a server that was lost, or is not what it was. Raises Refusal.

        One that was started anew between two tries of a request was never lost here.
        Raises WrongUse when the engine of this session was closed.
        """
        if self.closed:
            raise WrongUse(
                f"{self.spec.name} {self.spec.scheme} is not in use any more",
                help="ask for the model in each test; do not keep it from an earlier one",
            )
        try:
            self.client.get("models")
        except ServerError as error:
            if self.gone is None:
                return  # the requests themselves are tried more often
            raise Refusal(
                Category.ENGINE,
                f"the server at {self.client.args.base_url} was lost before, and {error.what}",
                help=("start it again, and run the tests anew", f"what happened: {self.gone}"),
            ) from None
        now = ask_served_model(self.client, self.spec)
        if replace(now, version=now.version or self.served.version) != self.served:
            raise Refusal(
                Category.ENGINE,
                f"the server at {self.client.args.base_url} came back as another: "
                f"{now.model} on {now.engine} {now.version}"
                + (f", loaded from {last_part(now.root)}" if now.root != self.served.root else ""),
                help="run the tests anew",
            )
        self.gone = None
