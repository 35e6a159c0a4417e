"""How fast a model is beside a stored baseline that ran in other sessions."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from .means import student_quantile
from .speed_intervals import Estimate, speeds


def session_ratio(
    stored: ArrayLike, quantized: float, *, confidence: float = 0.95, sides: int = 2
) -> Estimate:
    """Speed-up over a baseline that did not run beside the quantized model.

    ``stored`` holds one typical throughput per stored session (a fresh process each,
    perhaps on another day), ``quantized`` is that of today's only session. What a session
    adds to all of its rounds (where memory came to lie, heat, neighbours) nobody averages out
    within it, so the unit is the session. With k logarithms of ``stored``, mean m and
    unbiased variance v, today's session scatters by v too, and the ratio lies in
    exp(log(quantized) - m +- t * sqrt(v * (1 + 1/k))), t of k-1 degrees of freedom: the
    prediction interval of one further session (Hahn and Meeker 1991, section 4.7). With one
    stored session nothing is known about the spread: (0, inf).

    ``sides`` as in `retention_interval`. Raises ValueError for no stored session, throughputs
    that are not positive numbers, an impossible confidence.
    """
    before = speeds(stored, "stored")
    after = float(speeds([quantized], "quantized")[0])
    ratios = after / before
    # Deviations from the first, so that equal sessions give their ratio itself.
    logs = np.log(ratios / ratios[0])
    centre = float(ratios[0]) * math.exp(float(logs.mean()))
    quantile = student_quantile(confidence, sides, before.size - 1)
    if not math.isfinite(quantile):
        return Estimate(centre, 0.0, math.inf)
    variance = float(np.var(logs, ddof=1))
    reach = quantile * math.sqrt(variance * (1.0 + 1.0 / before.size))
    return Estimate(
        centre, centre * math.exp(-reach), centre * math.exp(reach) if reach < 500 else math.inf
    )
