"""What a speed gate can see: the fewest units, the least visible loss, the units that decide."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import chdtri, ndtr, owens_t

from . import binomial
from .score import FloatArray
from .signed_rank import MOST_LISTED, bound_rank, sign_rank
from .speed_intervals import speeds, tail_of

MOST_UNITS = 100_000
"""Beyond this many units a plan says "never"."""


def least_units(
    confidence: float = 0.95,
    percentile: float | None = None,
    *,
    side: Literal["low", "high"] = "high",
) -> int:
    """The fewest units with which one bound, at this one-sided confidence, is a number.

    ``side`` is the bound. Throughputs and speed-ups (``percentile`` None; both sides are
    alike, 2^-n <= 1-confidence): `detect` needs the high bound to turn red, `certify`
    the low one to turn green. Percentiles of latencies, where less is better: `detect`
    needs the low bound, (1-p)^n <= 1-confidence, `certify` the high one,
    p^n <= 1-confidence. Raises ValueError for an impossible confidence or percentile.
    """
    tail = tail_of(confidence, 1)
    if percentile is not None and not 0.0 < percentile < 100.0:
        raise ValueError(f"percentile={percentile!r} is not between 0 and 100; the median is 50")
    share = 0.5 if percentile is None else percentile / 100.0
    chance = 1.0 - share if side == "low" else share
    least = max(math.floor(math.log(tail) / math.log(chance)) - 1, 1)
    while chance**least > tail:
        least += 1
    return least


def timing_spread(
    baseline: ArrayLike, quantized: ArrayLike | None = None, *, confidence: float = 0.95
) -> float:
    """The standard deviation of log ratios (of one series: of logs) to plan with.

    Rousseeuw and Croux's Qn (1993): a quarter of all pairs of logs differ by less than
    sigma/2.2219, with their factors for few values, so that spikes in a quarter of the
    units do not move it. On it comes what ``confidence`` asks for: sqrt(f/x) with x the
    lower quantile of chi-square with f = 0.8(n-1) - 0.9 degrees of freedom, for a few units say
    little about their spread.
    Simulated with normal noise, what comes out at 95 % is above the true one in 94 % of samples
    or more, whatever the number of units. Infinite for one unit. Raises ValueError as
    `speedup_interval` does.
    """
    tail = tail_of(confidence, 1)
    logs = np.log(speeds(baseline, "baseline"))
    if quantized is not None:
        after = np.log(speeds(quantized, "quantized"))
        if after.size != logs.size:
            raise ValueError(f"{logs.size} baseline and {after.size} quantized throughputs")
        logs = after - logs
    if logs.size < 2:
        return math.inf
    freedom = max(0.8 * (logs.size - 1) - 0.9, 0.5)
    return _robust_spread(logs) * math.sqrt(freedom / float(chdtri(freedom, 1.0 - tail)))


def detectable_ratio(
    spread: float,
    n: int,
    minimum: float,
    confidence: float = 0.95,
    power: float = 0.8,
    *,
    alone: bool = False,
) -> float | None:
    """The highest true speed-up that `detect` at ``minimum`` turns red with ``power``.

    ``spread`` is that of `timing_spread`, of ``n`` units, ``confidence`` one-sided. With
    ``alone`` it is the highest throughput, of `typical`. None where n units can never
    turn red. What `certify` turns green as often lies as far on the other side, at
    minimum**2 / detectable. Raises ValueError for impossible arguments.
    """
    _check(spread, power)
    if n < 1 or not 0.0 < minimum < math.inf:
        raise ValueError(f"n={n!r}, minimum={minimum!r}: both must be above 0, and finite")
    chance = _Chance(n, tail_of(confidence, 1), alone)
    if chance.rank == 0 or math.isinf(spread):
        return None
    detected, missed = 1.0, 0.0
    while chance.at(detected) < power:
        detected *= 2.0
    while detected - missed > 1e-6 * detected:
        middle = (detected + missed) / 2.0
        detected, missed = (middle, missed) if chance.at(middle) >= power else (detected, middle)
    return minimum * math.exp(-spread * detected)


def units_needed(
    spread: float,
    distance: float,
    confidence: float = 0.95,
    power: float = 0.8,
    *,
    alone: bool = False,
) -> int | None:
    """Units until the gate decides rightly with ``power``, the truth lying ``distance`` off.

    ``distance`` is |log(truth / minimum)|, ``spread`` and ``alone`` as in
    `detectable_ratio`; None when no number of units up to 100,000 will do. Ranks being
    whole, power rises in small steps back and forth: the count returned has the power, and is
    the least to within those steps. Raises ValueError for impossible arguments.
    """
    _check(spread, power)
    if not 0.0 <= distance < math.inf:
        raise ValueError(f"distance={distance!r} is not a distance between logarithms")
    least = least_units(confidence)
    if spread == 0.0 and distance > 0.0:
        return least
    shift = distance / spread if spread < math.inf else 0.0
    tail = tail_of(confidence, 1)

    def decides(n: int) -> bool:
        return _Chance(n, tail, alone).at(shift) >= power

    low, high = least - 1, least
    while not decides(high):
        low, high = high, 2 * high
        if high > MOST_UNITS:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if decides(middle) else (middle, high)
    return high


@dataclass(frozen=True)
class _Chance:
    """How often n log ratios, normal with spread 1, decide that their centre is above 0."""

    n: int
    tail: float
    alone: bool

    @property
    def rank(self) -> int:
        """Which order statistic is the bound; 0: none."""
        return (sign_rank if self.alone else bound_rank)(self.n, self.tail)

    def at(self, shift: float) -> float:
        """The chance where the centre is ``shift``.

        Alone: of more than n - rank values above 0, binomial. In pairs: that all but rank - 1
        Walsh averages are. With p1 = P(X > 0), p2 = P(X + Y > 0) and
        p3 = P(X + Y > 0, X + Z > 0) the number above 0 has mean n*p1 + n(n-1)/2*p2 and
        variance n*p1(1-p1) + n(n-1)/2*(2(p1-p2)^2 + 3*p2(1-p2)) + n(n-1)(n-2)(p3-p2^2)
        (Lehmann, Nonparametrics, 1975, section 4.2), and is taken for normal; for rank 1
        the chance is p1^n.
        """
        n, rank, above = self.n, self.rank, float(ndtr(shift))
        if rank <= 1:
            return above**n if rank == 1 else 0.0
        if self.alone:
            return float(binomial.above(n - rank, n, above))
        root = math.sqrt(2.0) * shift
        both = float(ndtr(root))
        three = both - 2.0 * float(owens_t(root, math.sqrt(1.0 / 3.0)))
        pairs = n * (n - 1) / 2.0
        mean = n * above + pairs * both
        variance = n * above * (1.0 - above)
        variance += pairs * (2.0 * (above - both) ** 2 + 3.0 * both * (1.0 - both))
        variance += 2.0 * pairs * (n - 2) * (three - both * both)
        least = n * (n + 1) // 2 - rank + 1
        reached = (mean - least + 0.5) / math.sqrt(max(variance, 1e-12))
        return max(float(ndtr(reached)), above**n)


def _robust_spread(logs: FloatArray) -> float:
    n = logs.size
    if n > MOST_LISTED:
        # So many agree; deviations from the median need no list of pairs.
        return 1.4826 * float(np.median(np.abs(logs - np.median(logs))))
    half = n // 2 + 1
    rank = half * (half - 1) // 2
    lower, upper = np.triu_indices(n, 1)
    gaps = np.abs(logs[lower] - logs[upper])
    gaps.partition(rank - 1)
    return float(gaps[rank - 1]) * 2.2219 * _small_sample_factor(n)


def _small_sample_factor(n: int) -> float:
    """Croux and Rousseeuw's (1992) factors that make Qn right on average for few normal values."""
    small = (0.399, 0.994, 0.512, 0.844, 0.611, 0.857, 0.669, 0.872)
    if n < 10:
        return small[n - 2]
    return n / (n + 1.4) if n % 2 else n / (n + 3.8)


def _check(spread: float, power: float) -> None:
    if not spread >= 0.0:
        raise ValueError(f"spread={spread!r} is not a standard deviation")
    if not 0.0 < power < 1.0:
        raise ValueError(f"power={power!r} is not between 0 and 1; 4 times in 5 is 0.8")
