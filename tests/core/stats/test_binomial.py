"""The binomial distribution of our own against that of scipy.stats."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import scipy
from packaging.version import Version
from scipy.stats import binom

from pytest_quantreg.core.stats import binomial

ITEMS = (0, 1, 2, 40, 1319, 10**6, 10**9)
SHARES = (0.0, 1e-9, 0.02, 0.3, 0.5, 0.78, 0.999, 1.0)


# P(X <= 659) of Binomial(1319, 1/2) is 1/2 exactly; scipy 1.15 (Python 3.10) misses it.
exact_reference = pytest.mark.skipif(
    Version(scipy.__version__) < Version("1.17"),
    reason="scipy.stats before 1.17 is less exact than what it would check",
)


def _counts(n: int, share: float) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    spread = (n * share * (1.0 - share)) ** 0.5
    around = np.clip(np.floor(n * share + spread * np.linspace(-9.0, 9.0, 99)), 0, n)
    return np.concatenate([around.astype(np.int64), [-2, -1, 0, n - 1, n, n + 1]])


@exact_reference
@pytest.mark.parametrize("n", ITEMS)
@pytest.mark.parametrize("share", SHARES)
def test_both_tails_are_those_of_scipy(n: int, share: float) -> None:
    """To twelve digits, counts outside 0 ... n and shares of 0 and 1 included."""
    counts = _counts(n, share)
    below, above = binomial.at_most(counts, n, share), binomial.above(counts, n, share)
    np.testing.assert_allclose(below, binom.cdf(counts, n, share), rtol=1e-9, atol=2e-12)
    np.testing.assert_allclose(above, binom.sf(counts, n, share), rtol=1e-9, atol=2e-12)


@exact_reference
@pytest.mark.parametrize("n", ITEMS)
@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("tail", [1e-6, 0.05, 0.5, 0.8, 1.0 - 1e-6])
def test_the_quantile_is_that_of_scipy(n: int, share: float, tail: float) -> None:
    """The very same count, for a billion items too."""
    assert binomial.quantile(tail, n, share) == binom.ppf(tail, n, share)


def test_shapes_broadcast() -> None:
    """A column of numbers of items against a row of counts gives a table."""
    n, counts = np.array([[3], [5]]), np.array([-1, 2, 4])
    assert binomial.at_most(counts, n, 0.4) == pytest.approx(binom.cdf(counts, n, 0.4))


def test_judging_imports_no_more_of_scipy_than_its_special_functions() -> None:
    """Importing all of what verdicts are made of leaves the slow rooms of scipy alone."""
    code = (
        "import sys, pytest_quantreg.core.gates.verdict, pytest_quantreg.gating.files.judge; "
        "print(*[one for one in ('scipy.stats', 'scipy.optimize') if one in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == []
