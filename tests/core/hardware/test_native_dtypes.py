"""What devices compute natively, and the table of devices by name."""

from __future__ import annotations

import pytest

from pytest_quantreg.core.hardware.accelerators import Accelerator, gpu_family
from pytest_quantreg.core.hardware.devices import DEVICES
from pytest_quantreg.core.hardware.native_dtypes import FLAGS, GFX, NUMBERS, SPANS, silicon


def cuda(major: int, minor: int, name: str = "NVIDIA card") -> Accelerator:
    """A card of this compute capability."""
    return Accelerator(name, "cuda", capability=(major, minor))


@pytest.mark.parametrize(
    ("capability", "numbers"),
    [
        ((6, 1), ""),
        ((7, 0), "fp16"),
        ((7, 2), "fp16 int8"),
        ((7, 5), "fp16 int8 int4"),
        ((8, 0), "fp16 bf16 int8 int4"),
        ((8, 6), "fp16 bf16 int8 int4"),
        ((8, 9), "fp16 bf16 fp8 int8 int4"),
        ((9, 0), "fp16 bf16 fp8 int8"),
        ((10, 0), "fp16 bf16 fp8 int8 fp4"),
        ((12, 0), "fp16 bf16 fp8 int8 fp4"),
    ],
)
def test_tensor_cores_by_capability(capability: tuple[int, int], numbers: str) -> None:
    """FP8 from 8.9, INT8 from 7.2, INT4 from 7.5 to 8.9, BF16 from 8.0, FP4 from 10.0."""
    native = silicon(cuda(*capability))
    assert native is not None
    assert native.numbers == tuple(numbers.split())
    assert all(native.has(number) == (number in numbers.split()) for number in NUMBERS)


def test_turing_without_tensor_cores() -> None:
    """A GTX card reports the capability of Turing and has none of its tensor cores."""
    assert silicon(cuda(7, 5, "NVIDIA GeForce GTX 1660 Ti")).numbers == ()  # type: ignore[union-attr]
    assert silicon(cuda(7, 5, "Tesla T4")).has("int8")  # type: ignore[union-attr]


def test_slow_int8_is_told() -> None:
    """Blackwell Ultra has INT8, and the page must say that it is slow."""
    ultra = silicon(cuda(10, 3))
    assert ultra is not None
    assert ultra.has("int8")
    assert "INT8" in ultra.remark


@pytest.mark.parametrize(
    ("gfx", "has", "lacks"),
    [
        ("gfx90a", "fp16 bf16 int8", "fp8 fp4"),
        ("gfx942", "fp8 int8 bf16", "fp4"),
        ("gfx950", "fp8 fp4 int8", "int4"),
        ("gfx1100", "bf16 int8 int4", "fp8"),
        ("gfx1201", "fp8 int8 bf16", "fp4"),
    ],
)
def test_matrix_cores_by_gfx(gfx: str, has: str, lacks: str) -> None:
    """AMD's FP8 begins with CDNA 3 and RDNA 4, its FP4 with CDNA 4."""
    native = silicon(Accelerator("AMD card", "rocm", gfx=gfx))
    assert native is not None
    assert all(native.has(number) for number in has.split())
    assert not any(native.has(number) for number in lacks.split())


@pytest.mark.parametrize(
    ("features", "numbers"),
    [
        (("avx2",), ""),
        (("avx512f", "avx512_vnni"), "int8"),
        (("avx512_bf16", "avx512_vnni"), "bf16 int8"),
        (("amx_tile", "amx_int8", "amx_bf16"), "bf16 int8"),
        (("asimddp", "i8mm", "bf16", "sve"), "bf16 int8"),
        (("asimdhp",), "fp16"),
    ],
)
def test_dot_products_by_flag(features: tuple[str, ...], numbers: str) -> None:
    """A processor computes the types whose flags it has, each named once."""
    native = silicon(Accelerator("Some CPU", "cpu", features=features))
    assert native is not None
    assert native.numbers == tuple(numbers.split())


@pytest.mark.parametrize(
    "device",
    [
        Accelerator("NVIDIA card", "cuda"),
        Accelerator("AMD card", "rocm", gfx="gfx9999"),
        Accelerator("AMD card", "rocm"),
        Accelerator("Some CPU", "cpu"),
        Accelerator("Apple M4 GPU", "mps"),
    ],
)
def test_what_is_not_in_the_tables(device: Accelerator) -> None:
    """Without capability, architecture or flags nothing is claimed."""
    assert silicon(device) is None


def test_every_statement_has_a_source() -> None:
    """Each row of the tables says where it is from, figures included."""
    assert all(span.source for span in SPANS)
    assert all(source for _, source in GFX.values())
    assert all(source for _, source in FLAGS.values())
    assert all(known.source for known in DEVICES)
    assert all(known.figures for known in DEVICES if known.bandwidth is not None)


def test_every_known_device_has_known_silicon() -> None:
    """Each device of the table has an architecture that the silicon table knows."""
    for known in DEVICES:
        kind = "cuda" if known.capability else "rocm"
        device = Accelerator(
            known.name,
            "cuda" if kind == "cuda" else "rocm",
            capability=known.capability,
            gfx=known.gfx,
        )
        assert silicon(device) is not None, known.name


def test_families_have_one_architecture() -> None:
    """GPUs that share a family elsewhere in the package share an architecture here."""
    seen: dict[str, set[object]] = {}
    for known in DEVICES:
        seen.setdefault(gpu_family(known.name), set()).add(known.capability or known.gfx)
    assert {family for family, found in seen.items() if len(found) > 1} == set()
