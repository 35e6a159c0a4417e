"""Accelerators by name: architecture, memory and memory bandwidth, as their makers say."""

from __future__ import annotations

from dataclasses import dataclass

NVIDIA = "NVIDIA, CUDA GPU Compute Capability (developer.nvidia.com/cuda-gpus)"
NVIDIA_LEGACY = "NVIDIA, Legacy CUDA GPU Compute Capability (developer.nvidia.com/cuda-legacy-gpus)"
AMD = "AMD, ROCm documentation, AMD GPU specifications (LLVM target name, VRAM)"


@dataclass(frozen=True)
class KnownDevice:
    """An accelerator as its maker sells it; ``memory`` in GB, ``bandwidth`` in GB/s.

    ``memory`` and ``bandwidth`` are None where no document was found, where documents
    differ, or where cards of one name do. ``source`` names where the architecture is
    from, ``figures`` where the memory and its bandwidth are.
    """

    name: str
    capability: tuple[int, int] | None = None
    gfx: str | None = None
    memory: float | None = None
    bandwidth: float | None = None
    source: str = ""
    figures: str = ""

    @property
    def architecture(self) -> str:
        """``9.0``, ``gfx942``: GPUs of one architecture run the same kernels."""
        return ".".join(map(str, self.capability)) if self.capability else self.gfx or self.name


def _nvidia(
    capability: tuple[int, int],
    name: str,
    memory: float | None = None,
    bandwidth: float | None = None,
    figures: str = "",
    source: str = NVIDIA,
) -> KnownDevice:
    return KnownDevice(name, capability, None, memory, bandwidth, source, figures)


def _amd(
    gfx: str,
    name: str,
    memory: float | None = None,
    bandwidth: float | None = None,
    figures: str = "",
) -> KnownDevice:
    return KnownDevice(name, None, gfx, memory, bandwidth, AMD, figures)


_OTHERS = "listings of third parties"
_SHEET = "the card's data sheet, read in copies of it"
_CLOUD = "Google Cloud, GPU machine types, read in a copy"
_PAGE = "NVIDIA H100 product page, quoted by others"
_BRIEF = "NVIDIA H100 PCIe product brief PB-11133-001"
_INSTINCT = "AMD Instinct product page, quoted by Vultr's documentation"

_SIBLING = "a variant of a card in NVIDIA's list, with its architecture"

# The device names are those that drivers report, so that `A100 80GB PCIe` finds its entry.
DEVICES: tuple[KnownDevice, ...] = (
    _nvidia((7, 0), "V100", None, 900, _CLOUD, NVIDIA_LEGACY),
    _nvidia((7, 5), "T4", 16, 320, _CLOUD),
    _nvidia((8, 0), "A100"),
    _nvidia((8, 0), "A100 SXM4 40GB", 40, 1555, _SHEET),
    _nvidia((8, 0), "A100 PCIE 40GB", 40, 1555, _SHEET),
    _nvidia((8, 0), "A100 SXM4 80GB", 80, 2039, _SHEET),
    _nvidia((8, 0), "A100 80GB PCIe", 80, 1935, _SHEET),
    _nvidia((8, 0), "A30"),
    _nvidia((8, 6), "A2"),
    _nvidia((8, 6), "A10"),
    _nvidia((8, 6), "A10G", 24, 600, _SHEET),
    _nvidia((8, 6), "A16"),
    _nvidia((8, 6), "A40", 48, 696, _SHEET),
    _nvidia((8, 6), "RTX A4000"),
    _nvidia((8, 6), "RTX A5000"),
    _nvidia((8, 6), "RTX A6000", 48),
    _nvidia((8, 6), "RTX 3090", 24),
    _nvidia((8, 9), "L4", 24, 300, _CLOUD),
    _nvidia((8, 9), "L40", 48, 864, _SHEET),
    _nvidia((8, 9), "L40S", 48, 864, _SHEET),
    _nvidia((8, 9), "RTX 4090", 24),
    _nvidia((8, 9), "RTX 6000 Ada", 48),
    _nvidia((9, 0), "H100"),
    _nvidia((9, 0), "H100 80GB HBM3", 80, 3350, f"{_PAGE} (SXM)"),
    _nvidia((9, 0), "H100 PCIe", 80, 2000, _BRIEF),
    _nvidia((9, 0), "H100 NVL", 94, 3900, f"{_PAGE} (NVL)"),
    _nvidia((9, 0), "H200", 141, 4800, "NVIDIA H200 product page, quoted by others"),
    _nvidia(
        (9, 0),
        "H20",
        96,
        4000,
        "third-party listings",
        "a Hopper card, so 9.0 (not in NVIDIA's list)",
    ),
    _nvidia((9, 0), "GH200"),
    _nvidia((10, 0), "B200"),
    _nvidia((10, 0), "GB200"),
    _nvidia((10, 3), "B300"),
    _nvidia((10, 3), "GB300"),
    _nvidia((12, 0), "RTX 5090"),
    _nvidia((12, 0), "RTX PRO 6000 Blackwell"),
    _nvidia((12, 1), "GB10"),
    _amd("gfx90a", "MI210"),
    _amd("gfx90a", "MI250"),
    _amd("gfx90a", "MI250X"),
    _amd("gfx942", "MI300A"),
    _amd("gfx942", "MI300X", 192, 5300, _INSTINCT),
    _amd("gfx942", "MI325X", 256, 6000, _INSTINCT),
    _amd("gfx950", "MI350X", 288),
    _amd("gfx950", "MI355X", 288),
    _nvidia((7, 0), "V100S", source=NVIDIA_LEGACY),
    *(_nvidia((7, 5), f"RTX {number}") for number in (2060, 2070, 2080)),
    _nvidia((7, 5), "T4G", source=_SIBLING),
    *(_nvidia((8, 0), name, source=_SIBLING) for name in ("A100X", "A800", "A30X")),
    *(_nvidia((8, 6), f"RTX {number}") for number in (3050, 3060, 3070, 3080)),
    *(_nvidia((8, 6), f"RTX A{number}") for number in (2000, 4500, 5500)),
    _nvidia((8, 6), "A10M", source=_SIBLING),
    *(_nvidia((8, 9), f"RTX {number}") for number in (4060, 4070, 4080)),
    *(_nvidia((8, 9), name, source=_SIBLING) for name in ("L2", "L20", "L40G")),
    _nvidia((9, 0), "H800", source=_SIBLING),
    _nvidia((10, 0), "B100", source=_SIBLING),
    *(_nvidia((12, 0), f"RTX {number}") for number in (5060, 5070, 5080)),
    _amd("gfx942", "MI308X"),
)
"""Ordered so that the first of several that a short name could mean is the plain one."""
