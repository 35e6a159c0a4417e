"""The page of `quantreg hardware`: what it says, and that it fits a terminal."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_quantreg.core.errors import WrongUse
from pytest_quantreg.core.hardware.accelerators import Accelerator, Kind
from pytest_quantreg.core.hardware.devices import DEVICES
from pytest_quantreg.core.hardware.kernels import ENGINES
from pytest_quantreg.core.schemes.names import SCHEMES
from pytest_quantreg.report.hardware_page import WIDTH, hardware_page, named_page

from ..wording import says

INSTALLED = {"transformers": "5.17.0", "torchao": "0.18.0+cpu", "vllm": "0.32.0"}
CPU = Accelerator(
    "AMD EPYC", "cpu", memory=24 << 30, features=("avx2", "avx512_vnni", "avx512_bf16")
)
H100 = Accelerator("NVIDIA H100 80GB HBM3", "cuda", 8, (9, 0), memory=80 << 30, driver="595.45")
SLICE = replace(H100, name="NVIDIA A100-SXM4-80GB MIG 3g.40gb", mig=True, capability=(8, 0))


def everything(_: str) -> bool:
    """Says of any package that it is installed."""
    return True


def nothing(_: str) -> bool:
    """Says of any package that it is not."""
    return False


def table(page: str) -> dict[str, list[str]]:
    """Scheme -> the words of its line, from the table of a page."""
    names = {scheme.name for scheme in SCHEMES if scheme.is_quantized}
    lines = (line.split() for line in page.splitlines() if line and line[0] != " ")
    return {words[0]: words[1:] for words in lines if words[0] in names}


def test_devices_of_a_machine() -> None:
    """Each device has its figures, the GPU how to mean it, and the first the kernels."""
    page = hardware_page([H100, CPU], INSTALLED, everything)
    for part in (
        "8 x NVIDIA H100 80GB HBM3 (NVIDIA GPU)",
        "capability    9.0",
        "memory        80.0 GiB",
        "driver        595.45",
        "natively      fp16, bf16, fp8, int8; not fp4, int4",
        'gpu=          "H100 80GB HBM3", or any other words',
        "AMD EPYC (processor)",
        "flags         avx2 avx512_vnni avx512_bf16",
        "natively      bf16, int8; not fp16, fp8, fp4, int4",
        "What has a kernel on NVIDIA H100 80GB HBM3:",
    ):
        assert part in page
    assert table(page)["w8a8-fp8"] == ["emulated", "native", "native"]


def test_the_table_has_every_scheme_and_engine() -> None:
    """One line per quantized scheme, one column per installed engine, without local versions."""
    page = hardware_page([CPU], INSTALLED, everything)
    rows = table(page)
    assert list(rows) == [scheme.name for scheme in SCHEMES if scheme.is_quantized]
    assert all(len(cells) == len(INSTALLED) for cells in rows.values())
    assert rows["w8a8-int8"] == ["emulated*", "native*", "native*"]
    assert rows["w8a16-int8"] == ["emulated*", "native*", "-*"]
    assert "0.18.0+cpu" not in page
    assert "Not installed: llamacpp." in page


def test_columns_stand_under_their_heads() -> None:
    """Every cell begins where its engine's name begins."""
    lines = hardware_page([CPU], INSTALLED, everything).splitlines()
    head = next(line for line in lines if line.split() == list(INSTALLED))
    row = next(line for line in lines if line.startswith("w8a8-fp8 "))
    starts = [head.index(engine) for engine in INSTALLED]
    assert all(row[start - 1] == " " and row[start] != " " for start in starts)


def test_reasons_are_given_once() -> None:
    """A reason for many schemes is said once, a fallback names what runs."""
    page = named_page("A40", INSTALLED, everything)
    assert page.count("unpacked to bf16 in the first") == 1
    assert "most schemes: compressed-tensors files" in page
    reason = "w8a8-fp8: no FP8 units before 8.9: weights stay FP8, activations 16 bits; runs as"
    assert f"{reason} w8a16-fp8" in " ".join(page.split())


def test_missing_packages_are_named() -> None:
    """What a kernel needs beside the engine is named where it is not installed, and only there."""
    assert "needs bitsandbytes, which is not installed" in hardware_page([CPU], INSTALLED, nothing)
    assert "which is not installed" not in hardware_page([CPU], INSTALLED, everything)


def test_another_release_is_told() -> None:
    """A release that the table was not made for gives question marks and says why."""
    page = hardware_page([CPU], {"vllm": "0.99.0"}, everything)
    assert table(page)["w8a8-int8"] == ["?"]
    assert "most schemes: the table was made for vllm 0.32 to 0.33, not for 0.99.0" in page


def test_no_engine_at_all() -> None:
    """Without engines the page still says what the device is."""
    page = hardware_page([CPU], {}, nothing)
    assert "natively      bf16, int8" in page
    assert table(page) == {}
    assert "Not installed: transformers, torchao, vllm, llamacpp." in page


def test_a_slice_says_how_to_mean_it() -> None:
    """A slice of a card tells that gpu= must say MIG."""
    page = hardware_page([SLICE, CPU], {}, nothing)
    assert "meant only by a gpu= that says MIG" in page
    assert '"A100 SXM4 80GB MIG"' in page


@pytest.mark.parametrize("kind", ["cuda", "rocm", "mps", "xpu", "cpu"])
def test_devices_that_no_table_knows(kind: Kind) -> None:
    """An unknown device is named, and that nothing is known of it."""
    page = hardware_page([Accelerator("Mystery 3000", kind)], INSTALLED, everything)
    assert "Mystery 3000" in page
    assert "not in the tables" in page
    assert table(page)["w8a8-int8"][0] in ("emulated", "emulated*")


def test_an_accelerator_that_is_not_here() -> None:
    """--gpu shows all engines; those that are absent with the release their table is for."""
    page = named_page("nvidia h100 pcie", {"vllm": "0.32.1"}, nothing)
    assert page.startswith("H100 PCIe (NVIDIA GPU)")
    assert "bandwidth     2,000 GB/s" in page
    assert "0.32.1" in page
    assert "(5.23, absent)" in page
    assert len(table(page)["w8a8-int8"]) == len(ENGINES)


def test_amd_by_name() -> None:
    """AMD's cards have an architecture instead of a capability."""
    page = named_page("MI300X", {}, nothing)
    assert "architecture  gfx942" in page
    assert "capability" not in page


def test_versions_of_one_name() -> None:
    """A name for several cards lists what they differ in."""
    page = named_page("H100", {}, nothing)
    assert "80 GB (H100 PCIe), 94 GB (H100 NVL)" in page
    assert "bandwidth" not in page


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("RTX 9090", "nearest: RTX 5090"),
        ("quantum abacus", "write it like H100"),
        ("", "no known accelerator"),
        ("RTX 6000", "can mean several: RTX 6000 Ada, RTX PRO 6000 Blackwell"),
        ("RTX", "and others"),
    ],
)
def test_names_that_mean_nothing_or_too_much(name: str, words: str) -> None:
    """An unknown or unclear name is wrong use, with names that would do."""
    with pytest.raises(WrongUse) as raised:
        named_page(name, {}, nothing)
    assert words in says(raised.value)
    assert "\n" not in says(raised.value)


@pytest.mark.parametrize("known", DEVICES, ids=lambda known: known.name)
def test_every_page_fits_a_terminal(known: object) -> None:
    """No line is wider than 80 columns or ends in blanks, for any device of the table."""
    page = named_page(known.name, INSTALLED, nothing)  # type: ignore[attr-defined]
    assert max(map(len, page.splitlines())) <= WIDTH
    assert all(line == line.rstrip() for line in page.splitlines())


def test_a_long_name_is_wrapped_by_no_table() -> None:
    """A page of this machine's own devices fits a terminal too."""
    page = hardware_page([H100, SLICE, CPU], INSTALLED, nothing)
    assert max(map(len, page.splitlines())) <= WIDTH
