"""Quantizes one GGUF file with llama.cpp; run as a process of its own.

llama.cpp writes its log to the terminal, and its process gives the memory back.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any


def main(request: dict[str, Any]) -> None:
    """Writes ``source`` to ``target`` as the llama.cpp file type ``file_type``."""
    from llama_cpp import llama_cpp

    llama_cpp.llama_backend_init()
    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype = request["file_type"]
    status = llama_cpp.llama_model_quantize(
        os.fsencode(request["source"]), os.fsencode(request["target"]), parameters
    )
    if status != 0:
        raise SystemExit(f"llama_model_quantize returned {status}")


def serve() -> None:
    """The whole of the process: one request on its standard input."""
    main(json.load(sys.stdin))
