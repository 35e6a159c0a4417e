"""Which `gpu=` name means a device, and what an unknown name was perhaps meant to be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_quantreg.core.hardware.accelerators import (
    Accelerator,
    find,
    fit,
    matching_devices,
    nearest,
    nearest_names,
    not_applicable_words,
)
from pytest_quantreg.core.hardware.devices import DEVICES

H100 = "NVIDIA H100 80GB HBM3"
SLICE = "NVIDIA A100-SXM4-80GB MIG 3g.40gb"


@pytest.mark.parametrize(
    ("gpu", "device", "count"),
    [
        ("H100", H100, 1),
        ("h100", H100, 1),
        ("nvidia h100", H100, 2),
        ("H100 80GB HBM3", H100, 3),
        ("H100-80GB", H100, 2),
        ("H100 H100", H100, 1),
        ("A10", "NVIDIA A100-SXM4-80GB", 0),
        ("A100", "NVIDIA A10", 0),
        ("A100 SXM4", "NVIDIA A100-SXM4-80GB", 2),
        ("A100 PCIe", "NVIDIA A100-SXM4-80GB", 0),
        ("H10", H100, 0),
        ("L40", "NVIDIA L40S", 0),
        ("RTX 4090", "NVIDIA GeForce RTX 4090", 2),
        ("MI300X", "AMD Instinct MI300X", 1),
        ("EPYC", "AMD EPYC 9554 64-Core Processor", 1),
        ("", H100, 0),
        (" - ", H100, 0),
        ("A100", SLICE, 0),
        ("A100 MIG", SLICE, 2),
        ("MIG 3g.40gb", SLICE, 2),
        ("A100 MIG", "NVIDIA A100-SXM4-80GB", 0),
    ],
)
def test_fit_counts_whole_words(gpu: str, device: str, count: int) -> None:
    """Every word must stand whole in the device's name; a slice is meant only by MIG."""
    assert fit(gpu, device) == count


NAMES = st.text("aA10- xX", max_size=12)


@given(NAMES, NAMES)
def test_fit_never_exceeds_either_name(gpu: str, device: str) -> None:
    """A fit is no more than the words of either side, and every name fits itself."""
    count = fit(gpu, device)
    distinct = [len(set(n.lower().replace("-", " ").split())) for n in (gpu, device)]
    assert 0 <= count <= min(distinct)
    assert fit(device, device) == distinct[1]


def test_every_known_name_finds_itself() -> None:
    """Each name of the table means its own entry, alone and behind its maker's words."""
    for known in DEVICES:
        assert find(known.name) is known
        assert find(f"Maker {known.name} OAM") is known
        assert nearest(known.name) is None


def test_known_names_differ_by_words() -> None:
    """No two entries have the same words, so that a name means one of them."""
    assert len({frozenset(k.name.lower().split()) for k in DEVICES}) == len(DEVICES)


@pytest.mark.parametrize(
    ("gpu", "near"),
    [
        ("H1000", "H100"),
        ("NVIDIA H1OO", "H100"),
        ("RTX4090", "RTX 4090"),
        ("M1300X", "MI300X"),
        ("4090", None),
        ("H100 80GB", None),
        ("quantum abacus", None),
    ],
)
def test_nearest_known_name(gpu: str, near: str | None) -> None:
    """A misspelt name gets the nearest known one; a known name and nonsense get none."""
    assert nearest(gpu) == near


def test_nearest_names_best_first() -> None:
    """Several suggestions come with the likeliest first."""
    assert nearest_names("H1000")[0] == "H100"
    assert len(nearest_names("H1000")) == 3


def test_words_for_the_report() -> None:
    """The report says for which name a threshold was meant, and what this device is."""
    assert not_applicable_words(["A40", "L4", "A40"], H100) == f"for A40 and L4, this is {H100}"
    hinted = not_applicable_words(["H1000"], "NVIDIA A40")
    assert hinted.endswith("('H1000' is no known name, the nearest is H100)")


def test_a_processor_is_called_cpu() -> None:
    """gpu="CPU" means any processor, whether its own name says so or not."""
    for name in ("AMD EPYC 9554", "Intel(R) Xeon(R) CPU @ 2.20GHz"):
        assert fit("cpu", Accelerator(name, "cpu").called) == 1
    assert Accelerator("NVIDIA H100 PCIe", "cuda").called == "NVIDIA H100 PCIe"


@pytest.mark.parametrize(
    ("name", "meant_names"),
    [
        ("NVIDIA H100 80GB HBM3", ["H100 80GB HBM3"]),
        ("NVIDIA H100 PCIe", ["H100 PCIe"]),
        ("NVIDIA A100-SXM4-80GB", ["A100 SXM4 80GB"]),
        ("NVIDIA A100 80GB PCIe", ["A100 80GB PCIe"]),
        ("NVIDIA GeForce RTX 4090", ["RTX 4090"]),
        ("AMD Instinct MI300X OAM", ["MI300X"]),
        ("4090", ["RTX 4090"]),
        ("RTX 6000", ["RTX 6000 Ada", "RTX PRO 6000 Blackwell"]),
        ("GeForce GT 1030", []),
        ("", []),
    ],
)
def test_names_that_drivers_report_are_known(name: str, meant_names: list[str]) -> None:
    """The fullest known name that stands in a device's name is meant, else all that have it."""
    assert [known.name for known in matching_devices(name)] == meant_names
