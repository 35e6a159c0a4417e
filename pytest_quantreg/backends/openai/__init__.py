"""The openai engine: any server that speaks the completions protocol of OpenAI."""

from .backend import OpenaiBackend

__all__ = ["OpenaiBackend"]
