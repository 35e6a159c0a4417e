"""What the hardware itself computes: the number types of its matrix units, with sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .accelerators import Accelerator, words

NUMBERS = ("fp16", "bf16", "fp8", "int8", "fp4", "int4")
"""The types that the tables below speak about; fp8 and fp4 include the MX and NV formats."""


@dataclass(frozen=True)
class Silicon:
    """What one device computes natively, in the order of `NUMBERS`, and who says so."""

    numbers: tuple[str, ...]
    source: str
    remark: str = ""

    def has(self, number: str) -> bool:
        """Whether matrix units take this type."""
        return number in self.numbers


@dataclass(frozen=True)
class Span:
    """The compute capabilities, both ends included, whose tensor cores take one type."""

    number: str
    first: tuple[int, int]
    last: tuple[int, int] | None
    source: str


_PTX = "LLVM, NVPTX: wmma of PTX ISA 6.3 (s8 from sm_72, s4 from sm_75)"
_TE = "NVIDIA, Transformer Engine, datatype and hardware support matrix"

SPANS: tuple[Span, ...] = (
    Span(
        "fp16",
        (7, 0),
        None,
        "NVIDIA, CUDA C Programming Guide 9.0, table 13",
    ),
    Span("bf16", (8, 0), None, _TE),
    Span("fp8", (8, 9), None, _TE),
    Span("int8", (7, 2), None, _PTX),
    Span("fp4", (10, 0), None, _TE),
    Span("int4", (7, 5), (8, 9), "CUTLASS, architecture overview (none listed for Hopper)"),
)

_SLOW_INT8 = "INT8 is there, but at about a thirtieth of FP8: Blackwell Ultra traded it for FP4"
_NO_CORES = "GTX cards of this capability have no tensor cores"

_RDNA3 = ("fp16", "bf16", "int8", "int4")
_CDNA = "LLVM, AMDGPU MFMA instructions; AMD, ROCm, hipBLASLt data type support"
_RDNA = "LLVM, AMDGPU WMMA instructions; AMD, ROCm, hipBLASLt data type support"

GFX: Mapping[str, tuple[tuple[str, ...], str]] = {
    "gfx90a": (("fp16", "bf16", "int8"), f"{_CDNA}: CDNA 2"),
    "gfx942": (("fp16", "bf16", "fp8", "int8"), f"{_CDNA}: CDNA 3, fp8 in the FNUZ form"),
    "gfx950": (("fp16", "bf16", "fp8", "int8", "fp4"), f"{_CDNA}: CDNA 4"),
    "gfx1100": (_RDNA3, f"{_RDNA}: RDNA 3"),
    "gfx1101": (_RDNA3, f"{_RDNA}: RDNA 3"),
    "gfx1102": (_RDNA3, f"{_RDNA}: RDNA 3"),
    "gfx1150": (_RDNA3, f"{_RDNA}: RDNA 3.5"),
    "gfx1151": (_RDNA3, f"{_RDNA}: RDNA 3.5"),
    "gfx1200": (("fp16", "bf16", "fp8", "int8", "int4"), f"{_RDNA}: RDNA 4"),
    "gfx1201": (("fp16", "bf16", "fp8", "int8", "int4"), f"{_RDNA}: RDNA 4"),
}
"""AMD's architectures by name."""

_X86 = "Intel, oneDNN developer guide, dnnl_cpu_isa_t"
_ARM = "Linux kernel, ARM64 ELF hwcaps"

FLAGS: Mapping[str, tuple[str | None, str]] = {
    "avx2": (None, _X86),
    "avx512f": (None, _X86),
    "avx_vnni": ("int8", _X86),
    "avx512_vnni": ("int8", _X86),
    "avx512_bf16": ("bf16", _X86),
    "avx512_fp16": ("fp16", _X86),
    "amx_tile": (None, _X86),
    "amx_int8": ("int8", _X86),
    "amx_bf16": ("bf16", _X86),
    "amx_fp16": ("fp16", _X86),
    "sve": (None, _ARM),
    "asimdhp": ("fp16", _ARM),
    "asimddp": ("int8", _ARM),
    "i8mm": ("int8", _ARM),
    "bf16": ("bf16", _ARM),
}
"""The flags of /proc/cpuinfo that matter here, and the type whose dot products they bring."""


def silicon(device: Accelerator) -> Silicon | None:
    """What ``device`` computes natively; None for a device that no table knows."""
    if device.kind == "cuda" and device.capability is not None:
        return _cuda(device, device.capability)
    if device.kind == "rocm" and device.gfx is not None and device.gfx in GFX:
        numbers, source = GFX[device.gfx]
        return Silicon(_ordered(numbers), source)
    if device.kind == "cpu" and device.features:
        matches = [FLAGS[flag] for flag in device.features if flag in FLAGS]
        numbers = tuple(number for number, _ in matches if number is not None)
        return Silicon(_ordered(numbers), "; ".join(dict.fromkeys(source for _, source in matches)))
    return None


def _cuda(device: Accelerator, capability: tuple[int, int]) -> Silicon:
    if capability == (7, 5) and "gtx" in words(device.name):
        return Silicon((), "NVIDIA, Turing TU116 and TU117", _NO_CORES)
    spans = [
        span
        for span in SPANS
        if span.first <= capability and (span.last is None or capability <= span.last)
    ]
    source = "; ".join(dict.fromkeys(span.source for span in spans))
    remark = _SLOW_INT8 if capability == (10, 3) else ""
    return Silicon(_ordered(tuple(span.number for span in spans)), source, remark)


def _ordered(numbers: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(number for number in NUMBERS if number in numbers)
