"""What an engine says of itself, and how it ends."""

from __future__ import annotations

import gc
import json
import os
import pickle
import weakref
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pytest

from ..core.engine import Backend, Engine
from ..core.errors import Refusal, WrongUse
from ..core.records.run import EffectiveScheme, Machine, ModelSpec
from ..core.schemes.names import resolve, runs_as_claimed
from .demand import demand, demand_error
from .requests import Asker
from .shared import Conformance, Slot, unsaid

MODES = ("full precision", "native", "weight-only fallback", "emulated", "unverified")


class LoadingConformance(Conformance):
    """``load``, ``effective``, ``machine``, ``is_out_of_memory`` and ``close``."""

    @pytest.fixture
    def fresh(self, slot: Slot, backend: Backend, baseline_spec: ModelSpec) -> Iterator[Engine]:
        """A baseline that nobody has asked yet, to be closed."""
        slot.close()
        yield slot.acquire(baseline_spec, backend, unsaid)
        slot.close()

    def test_effective_scheme_of_the_baseline(self, engine: Engine) -> None:
        """The full-precision model says that it is one, in plain values."""
        effective = engine.effective
        rule = "effective is an EffectiveScheme read from what was loaded"
        why = "it decides whether a gate judges the model that it names"
        demand(
            isinstance(effective, EffectiveScheme), rule, why=why, found=type(effective).__name__
        )
        _demand_plain(effective, "effective")
        sound = (
            effective.mode in MODES and 0 <= effective.quantized_layers <= effective.linear_layers
        )
        demand(sound, f"{rule}; mode is one of {', '.join(MODES)}", why=why, found=effective)
        quantized = effective.scheme is not None and resolve(effective.scheme).is_quantized
        full = effective.quantized_layers == 0 and not quantized
        demand(full, f"{rule}: nothing is quantized in the baseline", why=why, found=effective)

    def test_machine(self, engine: Engine) -> None:
        """Where it runs, in plain values without the host's name."""
        machine = engine.machine
        rule = "machine is a Machine with kind, accelerator and count"
        why = "baselines of one kind of device are not compared with candidates of another"
        demand(isinstance(machine, Machine), rule, why=why, found=type(machine).__name__)
        _demand_plain(machine, "machine")
        host = os.uname().nodename
        named = bool(machine.kind and machine.accelerator) and machine.count >= 1
        demand(named and host not in machine.accelerator.split(), rule, why=why, found=machine)

    def test_out_of_memory_is_told_apart(self, engine: Engine) -> None:
        """Only what a smaller batch may help is called out of memory."""
        flags = [
            engine.is_out_of_memory(error) for error in (MemoryError(), ValueError("no such key"))
        ]
        demand(
            flags == [True, False],
            "is_out_of_memory is true of MemoryError and the engine's own kind, and of no other",
            why="other failures would be tried again with ever smaller batches",
            found=f"{flags[0]} for MemoryError, {flags[1]} for ValueError",
        )

    def test_a_closed_engine_gives_no_answers(self, fresh: Engine) -> None:
        """After close nothing is answered, and closing again is harmless."""
        asker, lm = Asker(fresh), fresh.lm(1)
        asker.generated(self.prompts()[:1], {"max_gen_toks": 1, "until": ["\n"]})
        fresh.close()
        fresh.close()
        why = "a test that keeps a model would measure one that is not there any more"
        with demand_error(
            (WrongUse if not hasattr(fresh, "pid") else (WrongUse, Refusal)),
            "a closed engine raises WrongUse",
            why=why,
        ):
            asker.generated(self.prompts()[:1], {"max_gen_toks": 1, "until": ["\n"]})
        with demand_error(Exception, "an LM kept from a closed engine raises", why=why):
            lm.generate_until([_request(self.prompts()[0])])

    def test_memory_is_freed(self, fresh: Engine) -> None:
        """After close the model is gone, though the engine and its LM are still held."""
        asker, lm = Asker(fresh), fresh.lm(1)
        asker.generated(self.prompts()[:1], {"max_gen_toks": 1, "until": ["\n"]})
        pid, remaining = getattr(fresh, "pid", None), _weights(fresh.model)
        fresh.close()
        gc.collect()
        left = f"process {pid}" if pid is not None and _runs(pid) else remaining()
        demand(
            not left,
            "close frees the memory, whoever still holds the engine or its LM",
            why="the next model is loaded beside what is left, and does not fit",
            found=f"{left} still there",
        )
        assert lm is not None

    def test_loaded_again(
        self, slot: Slot, backend: Backend, baseline_spec: ModelSpec, engine: Engine
    ) -> None:
        """The same model loaded a second time answers as it did."""
        prompts, limit = self.prompts(), {"max_gen_toks": 4}
        once, ran_as = Asker(engine).generated(prompts, limit).texts, engine.effective
        slot.close()
        anew = slot.acquire(baseline_spec, backend, unsaid)
        other = Asker(anew).generated(prompts, limit).texts
        demand(
            once == other and anew.effective == ran_as,
            "loading the same spec gives the same model",
            why="what differs by loading is taken for quantization's",
            found=f"{once} and {other}; {ran_as} and {anew.effective}",
        )

    def test_the_quantized_model_runs_quantized(
        self, slot: Slot, backend: Backend, quantized: ModelSpec | None
    ) -> None:
        """The quantized model says what it runs as, and answers."""
        if quantized is None:
            pytest.skip("no quantized_spec given")
        loaded = slot.acquire(quantized, backend, unsaid)
        effective = loaded.effective
        _demand_plain(effective, "effective")
        Asker(loaded).generated(self.prompts(), {"max_gen_toks": 2})
        matches = effective.scheme is not None and runs_as_claimed(
            quantized.scheme, effective.scheme
        )
        sound = effective.mode == "unverified" or (matches and effective.quantized_layers > 0)
        demand(
            sound and effective.mode in MODES and effective.mode != "full precision",
            f"effective tells that the model runs as {quantized.scheme}",
            why="a gate refuses models in which nothing is quantized; published results had some",
            found=effective,
        )

    def test_what_cannot_be_scored_is_refused(self, asker: Asker) -> None:
        """An engine without log-probabilities of prompts raises; it never makes them up."""
        if self.can_score:
            asker.scores(self.pairs()[:1])
            return
        rule = "an engine that cannot score raises"
        why = "0.0 for every choice makes each multiple-choice task read as chance"
        with demand_error(Exception, rule, why=why):
            asker.scores(self.pairs()[:1])
        with demand_error(Exception, rule, why=why):
            asker.rolling(self.texts[:1])


def _request(prompt: str) -> Any:
    from lm_eval.api.instance import Instance

    options = {"max_gen_toks": 1, "until": ["\n"], "do_sample": False}
    return Instance("generate_until", {}, (prompt, options), 0, ("conformance", 0, 1))


def _demand_plain(value: Any, name: str) -> None:
    """Fails unless a value survives JSON and pickle."""
    flat = asdict(value)
    demand(
        json.loads(json.dumps(flat)) == flat and pickle.loads(pickle.dumps(value)) == value,
        f"{name} holds plain values: text, numbers, lists, mappings",
        why="it is stored as JSON, and passes between processes",
        found=flat,
    )


class _Held:
    """Says, while it can, whether a model is still there."""

    def __init__(self, model: Any) -> None:
        self._model = weakref.ref(model)

    def __call__(self) -> str:
        model = self._model()
        return "" if model is None else _bytes_of(model)


def _weights(model: Any) -> Any:
    """A question to ask later: what is left of the model; nothing where it is elsewhere."""
    try:
        return _Held(model)
    except TypeError:
        return lambda: ""


def _bytes_of(model: Any) -> str:
    """What a model that something else still holds occupies."""
    if not callable(getattr(model, "parameters", None)):
        return f"the {type(model).__name__}"
    size = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    return f"{size:,} bytes of weights" if size else ""


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True
