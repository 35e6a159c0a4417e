"""lm-eval's HFLM over weights that are loaded already, without its noise."""

from __future__ import annotations

from typing import Any

from lm_eval.models.huggingface import HFLM

from ..quiet import quiet
from ..truncation import CutRecorder, find_cut_rows, number_prompts, record_cut_answers


class LoadedHFLM(HFLM):  # type: ignore[misc]  # lm-eval ships no types
    """HFLM that knows which of its answers were cut.

    It is quiet while it is made; later its bars and warnings are for whoever asks it, who
    learns from them how far it is and which prompts did not fit.

    Log-softmax is taken in float32: in bfloat16 rounding is larger than the effect of
    quantization. Prompts begin with BOS exactly when the tokenizer puts it there, and
    never twice: a prompt that begins with its text already is encoded without it.
    """

    cut_answers: tuple[bool, ...] = ()
    cache_hook: Any

    def __init__(self, model: Any, tokenizer: Any, batch_size: int, **options: Any) -> None:
        with quiet():
            super().__init__(
                pretrained=model,
                tokenizer=tokenizer,
                backend="causal",
                batch_size=batch_size,
                softmax_dtype="float32",
                **options,
            )

    def with_batch_size(self, batch_size: int) -> LoadedHFLM:
        """Itself, scoring ``batch_size`` sequences at a time from now on."""
        self.batch_size_per_gpu = batch_size
        return self

    def generate_until(self, requests: list[Any], disable_tqdm: bool = True) -> list[str]:
        """As HFLM; ``cut_answers`` then says which reached the limit of new tokens."""
        with record_cut_answers(self, len(requests)):
            texts: list[str] = super().generate_until(
                list(number_prompts(requests)), disable_tqdm=disable_tqdm
            )
        return texts

    def _model_generate(
        self, context: Any, max_length: int, stop: list[str], **options: Any
    ) -> Any:
        output = super()._model_generate(context, max_length, stop, **options)
        if isinstance(self.cache_hook, CutRecorder):
            prompt = context.shape[1]
            rows = output[:, prompt:].tolist()
            limit = max_length - prompt
            self.cache_hook.note_batch(
                find_cut_rows(rows, limit, self._ends(), stop, self.tok_decode)
            )
        return output

    def _ends(self) -> set[int]:
        """The tokens that end an answer: the model's own, and the tokenizer's."""
        end_ids = self.model.generation_config.eos_token_id
        listed = end_ids if isinstance(end_ids, list) else [end_ids]
        return {token for token in (*listed, self.eot_token_id) if token is not None}
