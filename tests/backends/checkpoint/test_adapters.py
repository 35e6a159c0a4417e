"""LoRA adapters: one left in a checkpoint's folder, and one that is requested openly."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_quantreg.backends.checkpoint.headers import inspect_spec
from pytest_quantreg.backends.quiet import quietly_imported
from pytest_quantreg.backends.transformers import TransformersBackend
from pytest_quantreg.backends.transformers import loading as applying
from pytest_quantreg.backends.transformers.effective import effective_scheme
from pytest_quantreg.backends.transformers.loading import apply_adapter
from pytest_quantreg.cli import main
from pytest_quantreg.core.errors import Category
from pytest_quantreg.core.records.run import ModelSpec

from ...wording import refused, says, wrong_use

Spec = Callable[..., ModelSpec]


def make_adapter(folder: Path, *, rank: int = 4, kind: str = "LORA", weights: bytes = b"w") -> Path:
    """Writes the two files of an adapter; no engine needs to load them."""
    folder.mkdir(exist_ok=True)
    config = {"peft_type": kind, "r": rank, "base_model_name_or_path": str(folder)}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    (folder / "adapter_model.safetensors").write_bytes(weights)
    return folder


def test_an_adapter_beside_the_weights_was_applied_and_seen_by_no_digest(
    backend: TransformersBackend, copy: Path, spec: Spec
) -> None:
    """Identifying, inspecting, loading and making all refuse it, before weights are loaded."""
    make_adapter(copy)
    ways: list[Callable[[], object]] = [
        lambda: backend.identify(spec(copy)),
        lambda: inspect_spec(spec(copy, "w8a8-int8")),
        lambda: backend.load(spec(copy)),
    ]
    for way in ways:
        with refused(r"adapter_config\.json lies beside the weights") as caught:
            way()
        assert caught.value.category is Category.SUSPICIOUS
        assert "--quant-backend-arg peft=FOLDER" in says(caught.value)


def test_the_config_of_an_adapter_is_enough(
    backend: TransformersBackend, copy: Path, spec: Spec
) -> None:
    """transformers looks for nothing else; weights without a config are applied by nothing."""
    make_adapter(copy)
    (copy / "adapter_model.safetensors").unlink()
    with refused("lies beside the weights"):
        backend.identify(spec(copy))
    (copy / "adapter_config.json").rename(copy / "adapter_model.safetensors")
    assert backend.identify(spec(copy)).name == "tiny"


def test_an_adapter_in_a_hub_snapshot_was_applied(
    backend: TransformersBackend, copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A repository may hold both; its snapshot is refused like a folder."""
    from huggingface_hub import constants

    commit = "0123456789abcdef0123456789abcdef01234567"
    repo = tmp_path / "hub" / "models--org--tiny"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text(commit)
    shutil.copytree(make_adapter(copy), repo / "snapshots" / commit)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with refused(r"org/tiny: adapter_config\.json lies beside"):
        backend.identify(ModelSpec("org/tiny", "org/tiny", "native", "transformers"))


def test_inspect_was_silent_on_an_adapter(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`quantreg inspect` lists it with the contradictions, and exits with 1."""
    assert main(["inspect", str(make_adapter(copy))]) == 1
    page = " ".join(capsys.readouterr().out.split())
    assert "1 contradiction: - adapter_config.json lies beside the weights: transformers" in page


def test_a_requested_adapter_is_part_of_the_identity(
    backend: TransformersBackend, tiny: Path, tmp_path: Path, spec: Spec
) -> None:
    """Its weights and its config count; where it lies and what it calls its base do not."""
    adapter = make_adapter(tmp_path / "one")
    others = [
        make_adapter(tmp_path / "weights", weights=b"x"),
        make_adapter(tmp_path / "rank", rank=8),
    ]
    bare = backend.identify(spec(tiny)).weights_digest
    first = backend.identify(spec(tiny, peft=str(adapter))).weights_digest
    assert bare != first
    for other in others:
        assert backend.identify(spec(tiny, peft=str(other))).weights_digest not in (bare, first)
    moved = make_adapter(tmp_path / "moved")
    assert backend.identify(spec(tiny, "bf16", peft=str(moved))).weights_digest == first


def test_peft_is_needed_and_its_version_recorded(
    backend: TransformersBackend,
    tiny: Path,
    tmp_path: Path,
    spec: Spec,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without the package nothing loads; with it, its version stands beside transformers'."""
    adapted_spec = spec(tiny, peft=str(make_adapter(tmp_path / "one")))
    monkeypatch.setattr(applying, "installed", lambda name: None)
    with refused("needs the package peft"):
        backend.load(adapted_spec)
    monkeypatch.setattr(
        "pytest_quantreg.backends.transformers.backend.installed", lambda name: "1.2.3"
    )
    assert backend.software_of(adapted_spec).versions["peft"] == "1.2.3"
    assert "peft" not in backend.software_of(spec(tiny)).versions


@pytest.mark.parametrize(
    ("kind", "says"), [("LORA", "no local folder with"), ("IA3", "only LORA is supported")]
)
def test_what_is_no_lora_is_wrong_use(
    backend: TransformersBackend, tiny: Path, tmp_path: Path, spec: Spec, kind: str, says: str
) -> None:
    """A hub id or a folder without weights, and adapters of another type."""
    folder = make_adapter(tmp_path / "it", kind=kind)
    if kind == "LORA":
        (folder / "adapter_model.safetensors").unlink()
    with wrong_use(says):
        backend.identify(spec(tiny, peft=str(folder)))


def test_a_scheme_is_not_made_of_a_model_with_an_adapter(
    backend: TransformersBackend, tiny: Path, tmp_path: Path
) -> None:
    """Quantizing the base and adding the adapter unquantized is not what ships."""
    args: dict[str, Any] = {"peft": str(make_adapter(tmp_path / "one"))}
    adapted_spec = ModelSpec(
        str(tiny), "tiny", "w8a8-int8", "transformers", quantize=True, args=args
    )
    with wrong_use("not made on the fly of a model with an adapter"):
        backend.prepare(adapted_spec, print)


class Model:
    """Stands in for a transformers model that peft loads an adapter into."""

    def __init__(self, missing: set[str], unexpected: set[str], error: str = "") -> None:
        self.found = SimpleNamespace(missing_keys=missing, unexpected_keys=unexpected)
        self.error = error

    def load_adapter(self, folder: str, **_: object) -> SimpleNamespace:
        """The report of what was loaded."""
        if self.error:
            raise ValueError(self.error)
        return self.found


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (Model({"b.lora_A", "a.lora_A"}, set()), "lacks 2 tensors, a.lora_A first"),
        (Model(set(), {"z.lora_B"}), "has unused 1 tensors, z.lora_B first"),
        (Model(set(), set(), "size mismatch\nmore"), "cannot be applied: size mismatch"),
    ],
)
def test_an_adapter_of_another_model_is_refused(model: Model, says: str, tmp_path: Path) -> None:
    """peft would leave what does not fit as it was initialised, with a log line."""
    with refused(f"the adapter one {says}"):
        apply_adapter(model, tmp_path / "one", "tiny")
    apply_adapter(Model(set(), set()), tmp_path / "one", "tiny")


def test_the_matrices_of_an_adapter_are_no_layers_of_the_model() -> None:
    """Only the layer that they are added to counts towards quantized and linear layers."""
    (torch,) = quietly_imported("torch")
    wrapped = torch.nn.Module()
    wrapped.base_layer = torch.nn.Linear(4, 4)
    wrapped.lora_A = torch.nn.ModuleDict({"default": torch.nn.Linear(4, 2)})
    wrapped.lora_B = torch.nn.ModuleDict({"default": torch.nn.Linear(2, 4)})
    model = torch.nn.ModuleDict({"q_proj": wrapped, "k_proj": torch.nn.Linear(4, 4)})
    assert effective_scheme(model).linear_layers == 2
