"""A loaded model of llama.cpp: how it scores, what it runs as, how it is timed and freed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...core.codes import EngineCode
from ...core.errors import WrongUse
from ...core.records.run import EffectiveScheme, Machine, ModelSpec
from ..gguf.files import GgufModel
from ..quiet import quietly_imported
from ..timed_engine import StopwatchEngine, closed_engine_error
from .arguments import LARGEST_CONTEXT
from .effective import effective_scheme, machine
from .native import Native
from .timing import Stopwatch

if TYPE_CHECKING:
    from .lm import LlamacppLM


class LlamacppEngine(StopwatchEngine):
    """Implements `pytest_quantreg.core.engine.TimedEngine`."""

    def __init__(self, spec: ModelSpec, model: GgufModel) -> None:
        self._spec = spec
        self._file = model
        self._native: Native | None = None
        self._lm: LlamacppLM | None = None
        self._stopwatch: Stopwatch | None = None
        native = Native(str(model.paths[0]), spec.name, spec.args)
        try:
            self._limit = limit(spec, native.trained_on)
            self._effective = effective_scheme(model, native, spec.args)
            self._machine = machine(native.log)
        except BaseException:
            native.close()
            raise
        self._native = native

    @property
    def effective(self) -> EffectiveScheme:
        """What was loaded."""
        return self._effective

    @property
    def machine(self) -> Machine:
        """Where most of the weights lie."""
        return self._machine

    @property
    def model(self) -> Any:
        """None: the model is a structure of C."""
        return None

    @property
    def tokenizer(self) -> Any:
        """None: the tokenizer is a part of it."""
        return None

    def lm(self, batch_size: int) -> Any:
        """One model object for lm-eval, set to this batch size."""
        native = self._open()
        if self._lm is None:
            quietly_imported("lm_eval.api.model", "lm_eval.utils")
            from .lm import LlamacppLM

            add_bos = self._spec.args.get("add_bos_token")
            self._lm = LlamacppLM(
                native,
                limit=self._limit,
                add_bos=add_bos if isinstance(add_bos, bool) else None,
            )
        return self._lm.with_batch_size(batch_size)

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Return whether a smaller batch may help."""
        return isinstance(error, MemoryError) or "alloc" in str(error)

    def close(self) -> None:
        """Frees model and context; harmless the second time."""
        native, self._native = self._native, None
        self._lm = self._stopwatch = None
        if native is not None:
            native.close()

    def _timed(self) -> Stopwatch:
        native = self._open()
        if self._stopwatch is None:
            name = f"{self._spec.name} {self._spec.scheme}"
            self._stopwatch = Stopwatch(name, native, self._file, self._spec.args, self._machine)
        return self._stopwatch

    def _open(self) -> Native:
        if self._native is None:
            raise closed_engine_error(f"{self._spec.name} {self._spec.scheme}")
        return self._native


def limit(spec: ModelSpec, trained_on: int) -> int:
    """The most tokens of a prompt with its answer: ``n_ctx``, else what the model was made for.

    Raises WrongUse for more than it was trained on.
    """
    n_ctx = spec.args.get("n_ctx")
    if not isinstance(n_ctx, int):
        return min(trained_on, LARGEST_CONTEXT)
    if n_ctx > trained_on:
        raise WrongUse(
            EngineCode.CONTEXT_ABOVE_TRAINED, n_ctx=n_ctx, model=spec.name, trained_on=trained_on
        )
    return n_ctx
