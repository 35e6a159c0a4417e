"""The transformers backend: Hugging Face checkpoints, scored through lm-eval's HFLM."""

from .backend import TransformersBackend

__all__ = ["TransformersBackend"]
