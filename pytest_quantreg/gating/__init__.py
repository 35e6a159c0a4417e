"""The one sequence: plan, measure or load, pair, compare, judge, outcome."""

from .accuracy.candidate_runs import candidate_runs_of
from .accuracy.record import RecordedBaseline
from .accuracy.request import EvalRequest
from .evidence import Evidence, RefusalRecord, TaskMeasurement
from .judge import fed_gates, judge_evidence
from .session import Checker
from .speed.compare import Timing
from .speed.judge import fed_speed_gates

__all__ = [
    "Checker",
    "EvalRequest",
    "Evidence",
    "RecordedBaseline",
    "RefusalRecord",
    "TaskMeasurement",
    "Timing",
    "candidate_runs_of",
    "fed_gates",
    "fed_speed_gates",
    "judge_evidence",
]
