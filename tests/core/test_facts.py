"""Problems as values: equal ones are one, and schemes in them bear the project's own names."""

from __future__ import annotations

from pytest_quantreg.core.codes import GateCode
from pytest_quantreg.core.facts import Fact, Problem, Quoted, Scheme, with_alias

OURS = Scheme("ours", "w8a8-fp8")


def naming(scheme: Fact) -> Problem:
    """Return some problem that names a scheme."""
    return Problem(GateCode.NOTHING_TO_TEST, {"scheme": scheme})


def test_an_alias_stands_for_what_it_claims_everywhere() -> None:
    """In facts, in tuples and in nested problems; what others said is not searched."""
    claimed, other = Scheme("w8a8-fp8"), Scheme("w8a8-int8")
    facts: dict[str, Fact] = {
        "cause": naming(claimed),
        "schemes": (other, claimed, (claimed, naming(other))),
        "name": "w8a8-fp8",
        "said": Quoted("w8a8-fp8"),
        "nothing": None,
    }
    problem = with_alias(Problem(GateCode.NOTHING_TO_TEST, facts), OURS)
    assert problem.facts == {
        **facts,
        "cause": naming(OURS),
        "schemes": (other, OURS, (OURS, naming(other))),
    }
    assert facts["cause"] == naming(claimed)


def test_equal_problems_are_told_once() -> None:
    """They are keys, whatever order their facts were given in."""
    first = Problem(GateCode.DIFFERS, {"field": "a", "cause": naming(OURS)})
    second = Problem(GateCode.DIFFERS, {"cause": naming(OURS), "field": "a"})
    assert len({first, second, naming(OURS)}) == 2
