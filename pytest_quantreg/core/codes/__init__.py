"""Codes of all errors: one enumeration per subject, whose words lie in `report.words`."""

from __future__ import annotations

from .base import Category, Code
from .commands import CommandCode
from .config import ConfigCode
from .engines import EngineCode
from .gates import GateCode
from .imports import ImportCode
from .models import ModelCode
from .options import OptionCode
from .servers import ServerCode
from .shared import SharedCode
from .speed import SpeedCode
from .stored import StoredCode
from .tasks import TaskCode

__all__ = [
    "Category",
    "Code",
    "CommandCode",
    "ConfigCode",
    "EngineCode",
    "GateCode",
    "ImportCode",
    "ModelCode",
    "OptionCode",
    "ServerCode",
    "SharedCode",
    "SpeedCode",
    "StoredCode",
    "TaskCode",
]
