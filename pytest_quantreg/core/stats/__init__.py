"""The statistics behind every gate: plain numbers in, intervals and evidence out."""

from .counts import PairedCounts
from .discordance import Flips, flips, mcnemar, planning_discordance
from .intervals import (
    Interval,
    Intervals,
    IntervalVerdict,
    evidence,
    retention_interval,
    retention_intervals,
    wilson,
)
from .means import mean_ratio_interval, perplexity_ratio, perplexity_ratio_interval
from .planning import (
    ItemsNeeded,
    can_turn_red,
    detectable_retention,
    detection_power,
    items_needed,
    verdict_chance,
)
from .planning_model import Truth, paired_truth
from .pooled_intervals import pooled_quantile, pooled_retention, pooled_statistic
from .pooled_planning import (
    Layer,
    pooled_detectable_retention,
    pooled_items_needed,
    pooled_power,
    pooled_verdict_chance,
)
from .quantiles import quantile_interval
from .repeats import repeats_ratio
from .reruns import RerunNoise, rerun_noise
from .score import DEFAULT_METHOD, METHODS, Method, normal_quantile, score_statistic
from .sessions import session_ratio
from .speed_intervals import Estimate, speedup_interval, typical
from .speed_planning import detectable_ratio, least_units, timing_spread, units_needed
from .strata import HEAVY_ITEM, LEAST_RIGHT, LEAST_UNITS, Stratum, Support, pooled_estimate, support
from .unpaired import Means, Shares, unpaired_retention

__all__ = [
    "DEFAULT_METHOD",
    "HEAVY_ITEM",
    "LEAST_RIGHT",
    "LEAST_UNITS",
    "METHODS",
    "Estimate",
    "Flips",
    "Interval",
    "IntervalVerdict",
    "Intervals",
    "ItemsNeeded",
    "Layer",
    "Means",
    "Method",
    "PairedCounts",
    "RerunNoise",
    "Shares",
    "Stratum",
    "Support",
    "Truth",
    "can_turn_red",
    "detectable_ratio",
    "detectable_retention",
    "detection_power",
    "evidence",
    "flips",
    "items_needed",
    "least_units",
    "mcnemar",
    "mean_ratio_interval",
    "normal_quantile",
    "paired_truth",
    "perplexity_ratio",
    "perplexity_ratio_interval",
    "planning_discordance",
    "pooled_detectable_retention",
    "pooled_estimate",
    "pooled_items_needed",
    "pooled_power",
    "pooled_quantile",
    "pooled_retention",
    "pooled_statistic",
    "pooled_verdict_chance",
    "quantile_interval",
    "repeats_ratio",
    "rerun_noise",
    "retention_interval",
    "retention_intervals",
    "score_statistic",
    "session_ratio",
    "speedup_interval",
    "support",
    "timing_spread",
    "typical",
    "units_needed",
    "unpaired_retention",
    "verdict_chance",
    "wilson",
]
