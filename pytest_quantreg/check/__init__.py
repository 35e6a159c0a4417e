"""The one sequence: plan, measure or load, pair, compare, judge, outcome."""

from .judging import Evidence, Measured, Refused, judge
from .session import Ask, Checker, Recorded

__all__ = ["Ask", "Checker", "Evidence", "Measured", "Recorded", "Refused", "judge"]
