"""The values of timing that third-party backends import; they live in `core.records.speed`."""

from .records.speed import (
    ASYNCHRONOUS,
    LATENCIES,
    SYNCHRONOUS,
    DeviceState,
    Footprint,
    Load,
    ModelSpeed,
    Request,
    Round,
    Series,
    Workload,
)

__all__ = [
    "ASYNCHRONOUS",
    "LATENCIES",
    "SYNCHRONOUS",
    "DeviceState",
    "Footprint",
    "Load",
    "ModelSpeed",
    "Request",
    "Round",
    "Series",
    "Workload",
]
