"""The statistics behind every gate: plain numbers in, intervals and evidence out."""

from .counts import PairedCounts
from .discordance import mcnemar, planning_discordance
from .evidence import Evidence, evidence
from .intervals import Interval, Intervals, retention_interval, retention_intervals, wilson
from .planning import (
    ItemsNeeded,
    can_turn_red,
    detectable_retention,
    detection_power,
    items_needed,
    verdict_chance,
)
from .score import DEFAULT_METHOD, METHODS, Method, normal_quantile, score_statistic
from .truth import Truth, paired_truth

__all__ = [
    "DEFAULT_METHOD",
    "METHODS",
    "Evidence",
    "Interval",
    "Intervals",
    "ItemsNeeded",
    "Method",
    "PairedCounts",
    "Truth",
    "can_turn_red",
    "detectable_retention",
    "detection_power",
    "evidence",
    "items_needed",
    "mcnemar",
    "normal_quantile",
    "paired_truth",
    "planning_discordance",
    "retention_interval",
    "retention_intervals",
    "score_statistic",
    "verdict_chance",
    "wilson",
]
