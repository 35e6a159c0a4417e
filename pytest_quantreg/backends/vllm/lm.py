"""lm-eval's vLLM model over an engine that is loaded already."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lm_eval.models import vllm_causallms
from lm_eval.models.vllm_causallms import VLLM

from ..quiet import quiet
from ..truncation import CutRecorder, number_prompts, record_cut_answers


class LoadedVLLM(VLLM):  # type: ignore[misc]  # lm-eval ships no types
    """lm-eval's own VLLM, but for two things: its engine, and which answers were cut.

    Prompts begin with BOS exactly when the tokenizer puts it there, and never twice.
    """

    cut_answers: tuple[bool, ...] = ()
    cache_hook: Any

    def __init__(self, engine: Any, folder: str, batch_size: int, **options: Any) -> None:
        with quiet(), _reuse_engine(engine):
            super().__init__(pretrained=folder, batch_size=batch_size, **options)

    def with_batch_size(self, batch_size: int) -> LoadedVLLM:
        """Itself, handing ``batch_size`` requests at a time to the engine from now on."""
        self.batch_size = batch_size
        return self

    def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
        """As VLLM; ``cut_answers`` then says which reached the limit of new tokens."""
        with record_cut_answers(self, len(requests)):
            texts: list[str] = super().generate_until(
                list(number_prompts(requests)), disable_tqdm=disable_tqdm
            )
        return texts

    def _model_generate(self, requests: Any, generate: bool = False, **options: Any) -> Any:
        outputs = super()._model_generate(requests, generate, **options)
        if generate and isinstance(self.cache_hook, CutRecorder):
            reasons = [output.outputs[0].finish_reason for output in outputs]
            self.cache_hook.note_batch([reason == "length" for reason in reasons])
        return outputs


@contextmanager
def _reuse_engine(engine: Any) -> Iterator[None]:
    """VLLM starts an engine when it is made, with no way to hand it one."""
    original = vllm_causallms.LLM
    vllm_causallms.LLM = lambda **_: engine
    try:
        yield
    finally:
        vllm_causallms.LLM = original
