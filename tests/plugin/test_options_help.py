"""What pytest --help, --markers and --fixtures say of the plugin."""

from __future__ import annotations

import pytest

from pytest_quantreg.plugin import option_table
from pytest_quantreg.plugin.option_table import COMPARE_FIXTURES, MARKERS, OPTIONS, OUR_FIXTURES

from .conftest import Suite


def test_help_of_options(suite: Suite) -> None:
    """Every option stands in the group quantreg, with its default where it has one."""
    result = suite.run("--help")
    assert result.ret == 0
    lines = result.outlines
    start = lines.index("quantreg, gates for quantized language models:")
    group = "\n".join(lines[start : lines.index("", start + 1)]) + "\n"
    for option in OPTIONS:
        for flag in option.flags:
            assert flag in group
    text = " ".join(group.split())
    assert "--quant-update, --quant-update=all Record baselines instead of gating" in text
    assert "--quant-scheme=NAME[,NAME...]" in text
    assert "(default: transformers)" in text
    assert "(default: 0.95)" in text


def test_help_of_ini_keys(suite: Suite) -> None:
    """Every ini key is explained: by its option, or at length where it has none."""
    text = " ".join(suite.run("--help").stdout.str().split())
    for option in OPTIONS:
        if option.ini and option.flag:
            assert f"{option.ini} ({option.ini_type}): Default of {option.flag}." in text
        elif option.ini:
            assert f"{option.ini} ({option.ini_type}): {option.help}" in text
    assert "quant_update (" not in text


def test_help_lines_fit(suite: Suite) -> None:
    """At 80 columns no line of ours is longer than that."""
    lines = [line for line in suite.run("--help").outlines if "quant" in line]
    assert lines
    assert max(map(len, lines)) <= 80


def test_markers(suite: Suite) -> None:
    """Each marker is listed with its signature and the fixture it needs."""
    result = suite.run("--markers")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "@pytest.mark.min_retention(r, ?, task=None, metric=None): the quantized model *",
            "@pytest.mark.quant_schemes(?names): run this test only for *",
            "@pytest.mark.quant_gate(mode=None, confidence=None): judge this test with *",
        ]
    )
    assert {line.partition("(")[0] for line in MARKERS} == option_table.OUR_MARKERS


def test_strict_markers(suite: Suite) -> None:
    """Our markers are registered, so --strict-markers accepts them."""
    suite.test(
        """
        @pytest.mark.min_retention(0.9)
        @pytest.mark.quant_gate(mode="point")
        @pytest.mark.quant_schemes("w8a8-int8")
        def test_x(compare_accuracy): pass
        """
    )
    assert suite.run("--strict-markers", "--collect-only").ret == 0


def test_fixtures(suite: Suite) -> None:
    """Each fixture is listed with a text, not only with its name."""
    result = suite.run("--fixtures")
    assert result.ret == 0
    lines = result.outlines
    for name in OUR_FIXTURES:
        [at] = [i for i, line in enumerate(lines) if line.startswith((f"{name} ", f"{name} ["))]
        assert len(lines[at + 1].strip()) > 40
    text = " ".join(result.stdout.str().split())
    assert "runs once per scheme of --quant-scheme and is skipped without that option" in text
    assert "The markers of the test (min_retention) are judged when its body has ended" in text


@pytest.mark.parametrize("fixture", sorted(COMPARE_FIXTURES))
def test_verbose_fixtures_name_arguments(fixture: str, suite: Suite) -> None:
    """With -v the arguments are told as well."""
    text = " ".join(suite.run("--fixtures", "-v").stdout.str().split())
    assert "Arguments: task, limit=, num_fewshot=, metric=, apply_chat_template=" in text
