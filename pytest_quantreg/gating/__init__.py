"""The one sequence: plan, measure or load, pair, compare, judge, outcome."""

from .accuracy.candidate_runs import kept_of
from .accuracy.record import Recorded
from .accuracy.request import EvalRequest
from .evidence import Evidence, Measured, Refused
from .judge import fed_by, judge
from .session import Checker
from .speed.compare import Timing
from .speed.judge import speed_fed

__all__ = [
    "Checker",
    "EvalRequest",
    "Evidence",
    "Measured",
    "Recorded",
    "Refused",
    "Timing",
    "fed_by",
    "judge",
    "kept_of",
    "speed_fed",
]
