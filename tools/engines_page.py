"""Which engine runs which scheme on which device, as the page of the documentation shows it."""

from __future__ import annotations

from pytest_quantreg.core.hardware.accelerators import Accelerator
from pytest_quantreg.core.hardware.kernels import KernelChoice, runs_as
from pytest_quantreg.core.schemes.names import SCHEMES

CPU = Accelerator("x86 CPU", "cpu", features=("avx2", "avx512f", "avx512_vnni", "avx512_bf16"))
PLACES: tuple[tuple[str, str, str, Accelerator], ...] = (
    ("transformers, CPU", "transformers", "5.17.0", CPU),
    ("vLLM, CPU", "vllm", "0.32.0+cpu", CPU),
    ("llama.cpp, CPU", "llamacpp", "0.3.36", CPU),
    ("vLLM, A100 (8.0)", "vllm", "0.32.0", Accelerator("A100", "cuda", capability=(8, 0))),
    ("L40S (8.9)", "vllm", "0.32.0", Accelerator("L40S", "cuda", capability=(8, 9))),
    ("H100 (9.0)", "vllm", "0.32.0", Accelerator("H100", "cuda", capability=(9, 0))),
    ("B200 (10.0)", "vllm", "0.32.0", Accelerator("B200", "cuda", capability=(10, 0))),
    ("MI300X (gfx942)", "vllm", "0.32.0", Accelerator("MI300X", "rocm", gfx="gfx942")),
)
"""The columns: head, engine, release, device."""


def engines_table() -> str:
    """The table as Markdown; `docs/engines.md` holds it. Bold is what was really run."""
    heads = ["scheme", *(head for head, *_ in PLACES)]
    lines = [f"| {' | '.join(heads)} |", f"|{'|'.join(['---'] * len(heads))}|"]
    for scheme in SCHEMES:
        if scheme.is_quantized:
            choices = [
                runs_as(scheme.name, engine, version, device)
                for _, engine, version, device in PLACES
            ]
            lines.append(f"| `{scheme.name}` | {' | '.join(map(_cell, choices))} |")
    return "\n".join(lines)


def _cell(choice: KernelChoice) -> str:
    word = {"no kernel": "-", "not known": "?"}.get(choice.mode, choice.mode)
    if choice.mode == "weight-only fallback":
        word = f"as {choice.runs_as}" if choice.runs_as else "weights only"
    return f"**{word}**" if choice.measured else word


if __name__ == "__main__":
    print(engines_table())
