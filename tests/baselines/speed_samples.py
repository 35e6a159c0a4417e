"""Speed runs to store, made from a few figures, and a store to put them in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pytest_quantreg.baselines import SpeedKey, SpeedStore
from pytest_quantreg.core.records.run import EffectiveScheme, Machine, ModelIdentity, Software
from pytest_quantreg.core.records.speed import DeviceState, Footprint, Request, Round, Workload
from pytest_quantreg.core.records.speed_run import SpeedRun, SpeedSession

from .store_samples import sha

GPU = "NVIDIA H100 80GB HBM3"
KEY = SpeedKey("org/tiny", "bf16", "transformers", Workload(), GPU)


def make_rounds(
    n: int = 3, *, pace: float = 0.011, requests: int = 1, tokens: int = 64
) -> tuple[Round, ...]:
    """``n`` rounds of ``tokens`` tokens at about ``pace`` seconds each."""
    return tuple(
        Round(
            tuple(
                Request(
                    0.0,
                    round(0.021 + at / 999, 6),
                    round(0.03 + at / 999 + pace * tokens, 6),
                    tokens,
                )
                for _ in range(requests)
            )
        )
        for at in range(n)
    )


def make_session(
    rounds: tuple[Round, ...] | None = None, *, recorded_at: str = "2026-01-02T03:04:05Z"
) -> SpeedSession:
    """A session with all that can be noted of one."""
    state = DeviceState(1980.0, 2619.0, 700.0, 41.0, 0.0, "sw power cap", 8, 1.25)
    return SpeedSession(
        recorded_at=recorded_at,
        rounds=make_rounds() if rounds is None else rounds,
        git_commit="0123abc",
        footprint=Footprint({"bfloat16": 4096, "float32": 16}, 4112, 9000, streamed=4000),
        load_seconds=(4.25, 4.5),
        states=(state, replace(state, temperature_c=55.5, throttled=None)),
        bandwidth=2.9e12,
        warmup=2,
        args={"dtype": "bfloat16", "nested": {"one": [1, None]}},
    )


def make_speed(*sessions: SpeedSession, workload: Workload | None = None) -> SpeedRun:
    """A run that fits `KEY`, of one session where none is given."""
    return SpeedRun(
        model=ModelIdentity(
            name="org/tiny",
            revision="3f2a9c1",
            architecture="LlamaForCausalLM",
            vocab_size=1024,
            shapes={"hidden_size": 256, "num_hidden_layers": 4},
            dtype="bfloat16",
            tokenizer_digest=sha("tokenizer"),
            template_digest=None,
            weights_digest=sha("weights"),
        ),
        scheme="bf16",
        workload=workload or Workload(rounds=3),
        machine=Machine("cuda", GPU, 1, "570.86"),
        software=Software("transformers", {"transformers": "5.17.0", "torch": "2.13.0"}),
        effective=EffectiveScheme("bf16", "bf16", "bf16", "bf16", "torch", "full precision", 0, 28),
        sessions=sessions or (make_session(),),
    )


def saved_speed(root: Path, run: SpeedRun | None = None) -> SpeedStore:
    """A store below ``root`` that holds one run for `KEY`."""
    store = SpeedStore(root / "baselines")
    store.save(KEY, run or make_speed())
    return store


def speed_path(store: SpeedStore) -> Path:
    """The file of `KEY`."""
    return store.root.parent / store.path(KEY)
