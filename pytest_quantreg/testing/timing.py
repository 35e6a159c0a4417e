"""What an engine that can be timed must tell; engines without these methods are left out."""

from __future__ import annotations

import math
from typing import Any

import pytest

from ..core.engine import Engine
from ..core.records.speed import DeviceState, Footprint, Load, Request
from .demand import demand
from .shared import Conformance, Slot

TIMED = ("serve", "footprint", "forget_peak", "copy_bandwidth", "state")
TOKENS = 4


class TimingConformance(Conformance):
    """The methods of ``TimedEngine``; ``prompt_tokens`` must be ids of the vocabulary."""

    prompt_tokens: tuple[int, ...] = (5, 6, 7, 8, 9, 10)

    @pytest.fixture
    def timed(self, slot: Slot, engine: Engine) -> Any:
        """The baseline, if it can be timed."""
        missing = [name for name in TIMED if not hasattr(engine, name)]
        if slot.untimed or len(missing) == len(TIMED):
            pytest.skip("this engine cannot be timed: compare_speed refuses it")
        demand(
            not missing,
            f"an engine has all of {', '.join(TIMED)}, or none",
            why="compare_speed needs them all",
            found=f"no {', '.join(missing)}",
        )
        return engine

    def test_every_request_is_served(self, timed: Any) -> None:
        """Each prompt gets exactly the tokens asked for, and its times are in order."""
        requests = self._served(timed, Load((self.prompt_tokens,) * 3, TOKENS, in_flight=3))
        for request in requests:
            demand(
                request.output_tokens == TOKENS,
                "serve generates exactly output_tokens; the end-of-sequence token ends nothing",
                why="a model that ends early would look faster",
                found=request,
            )
            ordered = 0 <= request.arrived <= request.first_token <= request.ended
            demand(
                ordered and math.isfinite(request.ended) and request.ended > 0,
                "0 <= arrived <= first_token <= ended, in seconds since the round began",
                why="latencies are differences of these",
                found=request,
            )

    def test_in_flight_is_respected(self, timed: Any) -> None:
        """Never more requests than in_flight are under way at once."""
        load = Load((self.prompt_tokens,) * 4, TOKENS, in_flight=2)
        requests = self._served(timed, load)
        edges = [(request.ended, -1) for request in requests] + [
            (request.arrived, 1) for request in requests
        ]
        # What ends and what begins at one moment are not under way together.
        most = running = 0
        for _, change in sorted(edges):
            running += change
            most = max(most, running)
        demand(
            most <= load.in_flight,
            "at most in_flight requests are under way",
            why="throughput and latency hang on it",
            found=f"{most} at once: {requests}",
        )

    def test_arrivals_are_waited_for(self, timed: Any) -> None:
        """A request does not begin before it arrives, and arrives when it is told to."""
        load = Load((self.prompt_tokens,) * 2, TOKENS, in_flight=2, arrivals=(0.0, 0.05))
        requests = self._served(timed, load)
        late = requests[1]
        demand(
            abs(late.arrived - 0.05) < 1e-6 and late.first_token >= 0.05,
            "a request counts from its arrival, and does not begin before",
            why="time spent in the queue is what a user waits too",
            found=requests,
        )

    def test_footprint_and_state(self, timed: Any) -> None:
        """Sizes are whole numbers of bytes, bandwidth is positive, and unknown is None."""
        timed.forget_peak()
        footprint, state, bandwidth = timed.footprint(), timed.state(), timed.copy_bandwidth()
        rule = "footprint gives bytes, copy_bandwidth bytes per second; None where unknown"
        why = "memory gates and the roofline are made of them, and 0 is not 'unknown'"
        plain = isinstance(footprint, Footprint) and isinstance(state, DeviceState)
        demand(plain, rule, why=why, found=(footprint, state))
        sizes = [
            footprint.weights,
            footprint.peak,
            footprint.streamed,
            footprint.kv_per_token,
            footprint.disk,
        ]
        known_sizes = [size for size in sizes if size is not None] + list(footprint.loaded.values())
        demand(
            all(isinstance(size, int) and size > 0 for size in known_sizes),
            rule,
            why=why,
            found=footprint,
        )
        demand(bandwidth is None or bandwidth > 0, rule, why=why, found=bandwidth)

    def _served(self, timed: Any, load: Load) -> tuple[Request, ...]:
        requests = tuple(timed.serve(load))
        demand(
            len(requests) == len(load.prompts),
            "serve gives one Request per prompt, in the order of the prompts",
            why="requests left out would make throughput what it is not",
            found=f"{len(requests)} for {len(load.prompts)} prompts",
        )
        return requests
