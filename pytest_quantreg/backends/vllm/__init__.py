"""The vLLM backend: Hugging Face checkpoints on vLLM, scored through lm-eval's vLLM class."""

from .backend import VllmBackend

__all__ = ["VllmBackend"]
