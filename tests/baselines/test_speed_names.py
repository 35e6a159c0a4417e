"""Keys of speed baselines and their file names: readable, safe, and no two alike."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_quantreg.baselines import SpeedKey
from pytest_quantreg.baselines.file_names import words_from_component, words_to_component
from pytest_quantreg.baselines.speed_key import devices_of
from pytest_quantreg.core.errors import WrongUse
from pytest_quantreg.core.records.speed import ASYNCHRONOUS, Workload
from pytest_quantreg.report.words import words_of

from ..wording import wrong_use
from .speed_samples import KEY
from .test_speed_store import workloads

WORDS = st.text(st.sampled_from("aB0._-+/% :*?\\é\x00\n@x2"), min_size=1, max_size=12) | st.text(
    min_size=1, max_size=12
)


@pytest.mark.parametrize(
    ("workload", "stem", "text"),
    [
        (Workload(), "batch-1.128+64", "batch 1"),
        (Workload(batch_size=16, requests=16), "batch-16.128+64", "batch 16"),
        (
            Workload(ASYNCHRONOUS, 64, 512, 128, requests=256),
            "inflight-64.512+128.256-requests",
            "64 in flight, 256 requests a round",
        ),
        (
            Workload(ASYNCHRONOUS, 64, requests=64, request_rate=8.0),
            "inflight-64.rate-8.128+64",
            "8 requests/s, 64 in flight",
        ),
        (Workload(ASYNCHRONOUS, request_rate=0.5), "inflight-1.rate-0.5.128+64", "0.5 requests/s"),
    ],
)
def test_a_workload_can_be_read_from_its_file_name(
    workload: Workload, stem: str, text: str
) -> None:
    """File names and messages say what was asked of the model."""
    key = replace(KEY, workload=workload)
    assert key.stem == stem
    assert str(key).startswith(text)
    assert f"({workload.prompt_tokens}+{workload.output_tokens} tokens)" in str(key)


@settings(derandomize=True, deadline=None)
@given(workloads(), workloads())
def test_no_two_workloads_share_a_file(first: Workload, second: Workload) -> None:
    """Two keys have one file name only when they are equal; all names are safe everywhere."""
    keys = [replace(KEY, workload=workload) for workload in (first, second)]
    assert (keys[0].stem == keys[1].stem) == (keys[0] == keys[1])
    assert all(re.fullmatch(r"[a-z][a-z0-9.+-]*[a-z0-9]", key.stem) for key in keys)
    roomy = replace(first, requests=first.batch_size + 1)
    for name in ("batch_size", "prompt_tokens", "output_tokens", "requests"):
        more = replace(roomy, **{name: getattr(roomy, name) + 1})
        assert replace(KEY, workload=more).stem != replace(KEY, workload=roomy).stem


@pytest.mark.parametrize(
    ("name", "component"),
    [
        ("NVIDIA H100 80GB HBM3", "NVIDIA_H100_80GB_HBM3"),
        ("NVIDIA A100-SXM4-40GB MIG 1g.5gb", "NVIDIA_A100-SXM4-40GB_MIG_1g.5gb"),
        ("AMD Radeon 7900 XT/7900 XTX", "AMD_Radeon_7900_XT%2F7900_XTX"),
        ("Intel(R) Xeon(R) CPU @ 2.20GHz", "Intel%28R%29_Xeon%28R%29_CPU_%40_2.20GHz"),
        ("x86_64", "x86%5F64"),
        ("CON", "%43ON"),
        ("..", "%2E%2E"),
    ],
)
def test_names_of_devices_are_readable_and_come_back(name: str, component: str) -> None:
    """Spaces are underscores, all that a file system would misread is escaped."""
    assert words_to_component(name) == component
    assert words_from_component(component) == name


@settings(derandomize=True, deadline=None)
@given(WORDS, st.integers(1, 3))
def test_any_device_is_refused_or_one_reversible_safe_folder(name: str, count: int) -> None:
    """No name leads elsewhere, and no two devices, or numbers of them, share a folder."""
    try:
        folder = replace(KEY, accelerator=name, count=count).folder[-1]
    except WrongUse:
        return
    assert re.fullmatch(r"[A-Za-z0-9._+%@-]+", folder)
    assert folder[0] not in ".-"
    assert folder[-1] != "."
    assert devices_of(folder) == replace(KEY, accelerator=name, count=count).devices
    assert words_from_component(folder.split("@")[0]) == name


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"accelerator": ""}, "'' is no accelerator name"),
        ({"accelerator": "\ud800"}, "no accelerator name"),
        ({"accelerator": "x" * 300}, "too long"),
        ({"model": "/home/me"}, "no model name"),
        ({"count": 0}, "0 accelerators"),
        ({"count": True}, "True accelerators"),
    ],
)
def test_what_cannot_be_filed_is_wrong_use(change: dict[str, Any], says: str) -> None:
    """A key that no file could hold names the part and what is allowed."""
    with wrong_use(says) as caught:
        SpeedKey(**{**KEY.__dict__, **change})
    assert words_of(caught.value.problem).help
