"""The store of baselines: a folder of small files meant for git goes in, runs come out."""

from __future__ import annotations

from .accepted import AcceptedRuns
from .key import BaselineKey, RunSettings
from .speed_key import SpeedKey
from .speed_store import Smaller, SpeedStore
from .store import Changed, Store

__all__ = [
    "AcceptedRuns",
    "BaselineKey",
    "Changed",
    "RunSettings",
    "Smaller",
    "SpeedKey",
    "SpeedStore",
    "Store",
]
