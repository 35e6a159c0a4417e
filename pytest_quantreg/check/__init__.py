"""The one sequence: plan, measure or load, pair, compare, judge, outcome."""

from .asking import Ask
from .evidence import Evidence, Measured, Refused
from .judging import fed_by, judge
from .keeping import kept_of
from .recording import Recorded
from .session import Checker
from .speed_judging import speed_fed
from .timing import Timing

__all__ = [
    "Ask",
    "Checker",
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
