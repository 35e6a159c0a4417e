"""One model held by llama.cpp: texts to tokens, tokens to logits; the only caller of its C API."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...core.codes import EngineCode
from ...core.errors import Refusal
from ...core.facts import Quoted
from ...core.records.run import Json
from ..quiet import quietly_imported
from .arguments import set_context, set_model
from .log_capture import LogCapture

Logits = npt.NDArray[np.float32]

Take = Callable[[int, Logits], None]
"""Is given the number of an entry and its logits, which are gone when it returns."""

_NO_ROOM = 1
SEQUENCES = 256
"""How many can be under way at once: LLAMA_MAX_SEQ of llama.cpp."""


@dataclass(frozen=True)
class Entry:
    """One token of a batch: where it stands, which sequences it is of, whether logits are due."""

    token: int
    position: int
    sequences: tuple[int, ...]
    wanted: bool = False


class Native:
    """A loaded model and its context, which holds ``capacity`` tokens of all sequences.

    Raises Refusal for a file that llama.cpp does not load, and for want of memory.
    """

    def __init__(self, path: str, name: str, args: Mapping[str, Json]) -> None:
        (self._llama,) = quietly_imported("llama_cpp.llama_cpp")
        self._name = name
        self._args = args
        self._context: Any = None
        self._batch: Any = None
        self.log = LogCapture()
        self.log.listen()
        self._llama.llama_backend_init()
        parameters = self._llama.llama_model_default_params()
        set_model(parameters, args)
        self._model = self._llama.llama_model_load_from_file(os.fsencode(path), parameters)
        if not self._model:
            error = self._not_loaded()
            self.log.stop()
            raise error
        self._vocab = self._llama.llama_model_get_vocab(self._model)
        self.vocab_size = int(self._llama.llama_vocab_n_tokens(self._vocab))
        self.bos = int(self._llama.llama_vocab_bos(self._vocab))
        self.eos = int(self._llama.llama_vocab_eos(self._vocab))
        self.adds_bos = bool(self._llama.llama_vocab_get_add_bos(self._vocab))
        self.trained_on = int(self._llama.llama_model_n_ctx_train(self._model))
        # Their state cannot be shared by sequences that part later.
        self.recurrent = bool(
            self._llama.llama_model_is_recurrent(self._model)
            or self._llama.llama_model_is_hybrid(self._model)
        )
        self.size = int(self._llama.llama_model_size(self._model))
        self.parameters = int(self._llama.llama_model_n_params(self._model))

    @property
    def capacity(self) -> int:
        """Tokens that the KV cache holds, 0 before `reserve`."""
        return int(self._llama.llama_n_ctx(self._context)) if self._context else 0

    @property
    def threads(self) -> int:
        """The number of threads that compute."""
        n_threads = self._args.get("n_threads")
        if isinstance(n_threads, int):
            return n_threads
        # Not every system says which processors a process may use.
        allowed = getattr(os, "sched_getaffinity", None)
        return len(allowed(0)) if allowed is not None else os.cpu_count() or 1

    def reserve(self, tokens: int, sequences: int) -> None:
        """Makes room for so many tokens and sequences, unless it is there already."""
        enough = self._context and int(self._llama.llama_n_seq_max(self._context)) >= sequences
        if enough and self.capacity >= tokens:
            return
        tokens = max(tokens, self.capacity)
        self._drop_context()
        parameters = self._llama.llama_context_default_params()
        set_context(parameters, self._args, self.threads)
        # llama.cpp itself rounds this up.
        parameters.n_ctx = -(-tokens // 256) * 256
        parameters.n_seq_max = max(sequences, 1)
        self._context = self._llama.llama_init_from_model(self._model, parameters)
        if not self._context:
            raise Refusal(
                EngineCode.NO_LLAMACPP_CONTEXT,
                model=self._name,
                tokens=tokens,
                said=self._said(),
            )
        self._pieces = int(self._llama.llama_n_batch(self._context))
        self._batch = self._llama.llama_batch_init(self._pieces, 0, parameters.n_seq_max)

    def tokenize(self, text: str, *, bos: bool) -> list[int]:
        """The tokens of ``text``; names of special tokens in it become those tokens."""
        raw = text.encode("utf-8", errors="surrogatepass")
        room = len(raw) + 8
        while True:
            tokens = (self._llama.llama_token * room)()
            count = self._llama.llama_tokenize(
                self._vocab, raw, len(raw), tokens, room, False, True
            )
            if count >= 0:
                return [self.bos, *tokens[:count]] if bos else list(tokens[:count])
            room = -count

    def text(self, tokens: Sequence[int], *, special: bool = False) -> str:
        """The text of ``tokens``; of special ones only if asked for."""
        raw = b"".join(self.piece(token, special=special) for token in tokens)
        return raw.decode("utf-8", errors="replace")

    def piece(self, token: int, *, special: bool = False) -> bytes:
        """The bytes of one token, which need not be whole characters."""
        room = 64
        while True:
            buffer = ctypes.create_string_buffer(room)
            count = self._llama.llama_token_to_piece(self._vocab, token, buffer, room, 0, special)
            if count >= 0:
                return buffer.raw[:count]
            room = -count

    def ends(self, token: int) -> bool:
        """Return whether a token ends an answer."""
        return bool(self._llama.llama_vocab_is_eog(self._vocab, token))

    def forget(self) -> None:
        """Empties the cache."""
        self._llama.llama_memory_clear(self._llama.llama_get_memory(self._context), True)

    def decode(self, entries: Sequence[Entry], take: Take) -> None:
        """Runs the model over ``entries``, in order, and hands out the logits that are due."""
        for start in range(0, len(entries), self._pieces):
            piece = entries[start : start + self._pieces]
            self._fill(piece)
            status = self._llama.llama_decode(self._context, self._batch)
            if status != 0:
                raise self._failed(status)
            for at, entry in enumerate(piece):
                if entry.wanted:
                    pointer = self._llama.llama_get_logits_ith(self._context, at)
                    take(start + at, np.ctypeslib.as_array(pointer, (self.vocab_size,)))

    def synchronize(self) -> None:
        """Waits until the device has done all that was queued."""
        self._llama.llama_synchronize(self._context)

    def close(self) -> None:
        """Frees everything; harmless the second time."""
        if self._model:
            self._drop_context()
            self._llama.llama_model_free(self._model)
            self._model = None
            self.log.stop()

    def _fill(self, piece: Sequence[Entry]) -> None:
        batch = self._batch
        batch.n_tokens = len(piece)
        for at, entry in enumerate(piece):
            batch.token[at] = entry.token
            batch.pos[at] = entry.position
            batch.n_seq_id[at] = len(entry.sequences)
            for place, sequence in enumerate(entry.sequences):
                batch.seq_id[at][place] = sequence
            batch.logits[at] = entry.wanted

    def _drop_context(self) -> None:
        if self._batch is not None:
            self._llama.llama_batch_free(self._batch)
        if self._context:
            self._llama.llama_free(self._context)
        self._batch = self._context = None

    def _failed(self, status: int) -> Exception:
        if status == _NO_ROOM:
            return MemoryError(f"the KV cache of {self.capacity:,} tokens is full")
        message = self.log.errors[-1] if self.log.errors else "nothing"
        return RuntimeError(f"llama_decode returned {status}; llama.cpp said: {message}")

    def _not_loaded(self) -> Refusal:
        said = self._said()
        if said is not None and "alloc" in said.text:
            return Refusal(EngineCode.LLAMACPP_OUT_OF_MEMORY, model=self._name, said=said)
        return Refusal(EngineCode.LLAMACPP_CANNOT_LOAD, model=self._name, said=said)

    def _said(self) -> Quoted | None:
        """The first error in llama.cpp's log."""
        return Quoted(self.log.first_error) if self.log.first_error else None
