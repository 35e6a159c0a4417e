"""Which kernels transformers, torchao and llama.cpp have."""

from __future__ import annotations

from ..schemes.names import SCHEMES
from .kernel_rules import (
    COMPRESSED_TENSORS,
    Engine,
    Where,
    cpu,
    cuda,
    emulated,
    native,
    no_kernel,
    not_known,
    rocm,
)


def _schemes(*containers: str) -> str:
    return " ".join(s.name for s in SCHEMES if s.is_quantized and s.container in containers)


_TRIED = "tried on an x86 CPU"

_UNPACKS = "compressed-tensors files are unpacked to bf16 in the first forward pass"
_OPTIMIZED = f"{_UNPACKS}; use_optimized_inference=True runs FP8 products from 8.9 on"
_FINE_GRAINED = f"{_UNPACKS}; files of the method fp8 run natively from 8.9 on"
_QUANTIZER = "transformers 5.17, quantizers/quantizer_compressed_tensors.py"
_BF16 = "bf16 matmul"
_CT = COMPRESSED_TENSORS

_BNB = "bitsandbytes 0.50, README, accelerator support"
_BNB_AMD = rocm(
    "gfx908", "gfx90a", "gfx942", "gfx950", "gfx101", "gfx103", "gfx110", "gfx115", "gfx120"
)

_INT4 = "w4a16-int4 w8a16-int8"
_FP8_FILES = "transformers 5.17, quantizers/quantizer_finegrained_fp8.py"
_FBGEMM = "transformers 5.17, quantizers/quantizer_fbgemm_fp8.py"
_TURNED = "files of the method fp8 are turned into bf16 there, and nothing quantized would run"
_GPTQMODEL = "gptqmodel compiles its CPU kernel when it first loads a model, which takes minutes"

_OTHER_FILES = (
    native(
        "w4a16-int4",
        cpu(),
        "gptqmodel",
        f"{_TRIED} with gptqmodel 7.7 and optimum 2.3",
        _GPTQMODEL,
        needs="gptqmodel optimum",
        measured=True,
        methods="gptq",
    ),
    native(
        "w4a16-int4",
        cpu(),
        "gptqmodel",
        f"{_TRIED} with gptqmodel 7.7",
        _GPTQMODEL,
        needs="gptqmodel",
        measured=True,
        methods="awq",
    ),
    native(
        _INT4,
        Where(),
        "gptqmodel",
        "transformers 5.17, quantizers/quantizer_gptq.py",
        needs="gptqmodel optimum",
        methods="gptq",
    ),
    native(
        _INT4,
        Where(),
        "gptqmodel",
        "transformers 5.17, quantizers/quantizer_awq.py",
        needs="gptqmodel",
        methods="awq",
    ),
    not_known(
        _INT4,
        Where(),
        "transformers 5.17, quantizers/quantizer_auto_round.py",
        "auto-round chooses among the kernels that it finds",
        needs="auto-round",
        methods="auto-round",
    ),
    no_kernel(
        "w8a8-fp8 w8a8-fp8-block",
        cpu(),
        f"{_TRIED}; {_FP8_FILES}",
        _TURNED,
        measured=True,
        methods="fp8",
    ),
    no_kernel("w8a8-fp8 w8a8-fp8-block", cuda(None, (8, 8)), _FP8_FILES, _TURNED, methods="fp8"),
    native("w8a8-fp8 w8a8-fp8-block", cuda((8, 9)), "fp8 matmul", _FP8_FILES, methods="fp8"),
    native("w8a8-fp8", cuda((9, 0)), "FBGEMM", _FBGEMM, needs="fbgemm-gpu", methods="fbgemm_fp8"),
    *(
        no_kernel(
            "w8a8-fp8", where, _FBGEMM, "FBGEMM's FP8 files need a GPU of 9.0", methods="fbgemm_fp8"
        )
        for where in (cpu(), cuda())
    ),
    no_kernel(
        _schemes("tensors"),
        Where(),
        "transformers 5.17, quantizers/auto.py",
        "transformers does not read ModelOpt's files: it would take the numbers for weights",
        methods="modelopt",
    ),
)

TRANSFORMERS = Engine(
    "transformers",
    ("transformers",),
    ((5, 17), (5, 24)),
    (
        emulated(
            "w8a8-int8 w8a16-int8 w4a16-int4 w8a8-fp8 w4a16-nvfp4",
            cpu(),
            _BF16,
            _TRIED,
            _UNPACKS,
            needs=_CT,
            measured=True,
            methods=_CT,
        ),
        emulated("w8a8-fp8", cuda((8, 9)), _BF16, _QUANTIZER, _OPTIMIZED, needs=_CT, methods=_CT),
        emulated(
            "w8a8-fp8-block",
            cuda((8, 9)),
            _BF16,
            f"{_QUANTIZER}; quantizer_finegrained_fp8.py",
            _FINE_GRAINED,
            needs=_CT,
            methods=_CT,
        ),
        emulated(_schemes("tensors"), Where(), _BF16, _QUANTIZER, _UNPACKS, needs=_CT, methods=_CT),
        *_OTHER_FILES,
        native(
            "bnb-int8 bnb-nf4",
            cpu(),
            "bitsandbytes",
            f"{_TRIED}; {_BNB}",
            needs="bitsandbytes",
            measured=True,
        ),
        native(
            "bnb-int8",
            cuda((6, 0), (7, 4)),
            "bitsandbytes",
            _BNB,
            "slow: its fast 8-bit products begin at 7.5",
            needs="bitsandbytes",
        ),
        *(
            native("bnb-int8 bnb-nf4", where, "bitsandbytes", _BNB, needs="bitsandbytes")
            for where in (cuda((6, 0)), _BNB_AMD, Where("xpu"))
        ),
        native(
            "bnb-int8 bnb-nf4",
            Where("mps"),
            "bitsandbytes",
            _BNB,
            "not optimized there, says bitsandbytes",
            needs="bitsandbytes",
        ),
        not_known(
            _schemes("gguf"),
            Where(),
            "transformers 5.17, quantizers/quantizer_gguf.py",
            "depends on a kernel for the device; without one the model is dequantized",
        ),
    ),
)

_AO = "torchao 0.18, quantization/quant_api.py"

TORCHAO = Engine(
    "torchao",
    ("torchao",),
    ((0, 18), (0, 19)),
    (
        native("w8a16-int8 w8a8-int8 w4a8-int8 w8a16-fp8", cpu(), "torchao", _TRIED, measured=True),
        no_kernel(
            "w4a16-int4",
            cpu(),
            _TRIED,
            "int4 weights alone need the package mslk",
            measured=True,
        ),
        no_kernel(
            "w8a8-fp8", cpu(), _TRIED, "FP8 activations need a GPU of 8.9 or MI300", measured=True
        ),
        native("w8a8-fp8", cuda((8, 9)), "torchao", _AO),
        native("w8a8-fp8", rocm("gfx942", "gfx950"), "torchao", _AO),
        no_kernel("w8a8-fp8", cuda(), _AO, "FP8 activations need compute capability 8.9"),
        no_kernel(
            _schemes("bitsandbytes", "gguf"), Where(), _AO, "torchao has types of its own alone"
        ),
    ),
)

LLAMACPP = Engine(
    "llamacpp",
    ("llama-cpp-python",),
    ((0, 3), (0, 4)),
    (
        native(_schemes("gguf"), cpu(), "ggml", _TRIED, measured=True),
        native(
            _schemes("gguf"),
            Where(),
            "ggml",
            "llama.cpp, README, supported backends",
            "if it was built for this device; a plain install is for the CPU",
        ),
        no_kernel(
            _schemes("tensors", "bitsandbytes"),
            Where(),
            "llama.cpp, README",
            "llama.cpp reads GGUF files alone",
        ),
    ),
)
