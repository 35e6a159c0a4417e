"""The one sequence: plan, measure or load, pair, compare, judge, outcome."""

from .judging import Evidence, Measured, Refused, judge
from .session import Ask, Checker

__all__ = ["Ask", "Checker", "Evidence", "Measured", "Refused", "judge"]
