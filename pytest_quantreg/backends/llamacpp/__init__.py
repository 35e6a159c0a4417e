"""The llama.cpp backend: GGUF files, run by llama-cpp-python's bindings of llama.cpp."""

from .backend import LlamacppBackend

__all__ = ["LlamacppBackend"]
