"""The summary as a person reads it: whole, at 80 columns, true in every sentence."""

from __future__ import annotations

from .conftest import SCHEME, Suite


def summary(lines: list[str]) -> list[str]:
    """The lines from our first heading to the short summary or the end."""
    start = next(i for i, line in enumerate(lines) if "= quantreg:" in line)
    stop = next(
        i
        for i, line in enumerate(lines)
        if i > start and ("short test" in line or " in " in line) and line.startswith("==")
    )
    return lines[start:stop]


MIXED = """
pytestmark = pytest.mark.min_retention(0.9)

@pytest.mark.parametrize("task", ["sum", "pick"])
def test_task(task, compare_accuracy):
    compare_accuracy(task)
"""
FREE = """
def test_prose(compare_accuracy):
    compare_accuracy("prose")
"""


def test_kept(suite: Suite) -> None:
    """The common case, line by line."""
    suite.test(MIXED)
    suite.test(FREE, "test_free.py")
    suite.record()
    result = suite.gate()
    assert result.ret == 0
    assert summary(result.outlines) == [
        "================ quantreg: w8a8-int8 against bf16, detect, 95 % ================",
        "model; scripted 1.0; scripted; runs as w8a8-int8 (native); 8 of 8 linear layers",
        "  quantized",
        "task  metric           base quant retention    interval   n lost won",
        "prose word_perplexity 59.75 59.75     1.000 1.000-1.000 400    -   - not judged",
        "sum   exact_match     0.812 0.792     0.975 0.956-0.987 400    8   0 kept",
        "pick  acc             0.805 0.787     0.978 0.960-0.989 400    7   0 kept",
        "2 kept, 1 not judged (no marker such as min_retention says what must hold)",
        "required retention: 0.9",
        "would have turned red 4 times in 5 at a true retention of: sum 0.845, pick",
        "  0.845",
        "loaded: model w8a8-int8 once",
    ]


def test_all_verdicts_hold_80_columns(suite: Suite) -> None:
    """Long task names, every verdict, and notes: no line of ours is longer."""
    for name in ("sum", "pick"):
        path = suite.path / "tasks" / f"{name}.yaml"
        long = f"{name}_pro_high_school_macroeconomics_of_the_nineteenth_century"
        path.write_text(path.read_text().replace(f"task: {name}\n", f"task: {long}\n"))
    suite.test(
        """
        @pytest.mark.parametrize("minimum", [0.5, 0.93, 0.999])
        @pytest.mark.parametrize("task", ["sum", "pick"])
        def test_task(task, minimum, compare_accuracy, request):
            request.node.add_marker(pytest.mark.min_retention(minimum))
            task += "_pro_high_school_macroeconomics_of_the_nineteenth_century"
            compare_accuracy(task, limit=300 if minimum != 0.999 else 301)
        """
    )
    tasks = {"*": {"target": "answer", "index": "id", "wrong": {"seed": 1, "share": 0.2}}}
    suite.model(tasks=tasks)
    suite.record("-k", "sum")
    lossy = {"*": {**tasks["*"], "also_wrong": {"seed": 5, "share": 0.05}}}
    suite.checkpoint(
        "half", tasks=lossy, effective={"scheme": "w8a16-int8", "mode": "weight-only fallback"}
    )
    result = suite.gate(checkpoint="half")
    lines = summary(result.outlines)
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    for word in ("kept 0.5", "undecided 0.93", "LOST 0.999", "REFUSED", "note: runs as w8a16-int8"):
        assert word in text


def test_colours(suite: Suite) -> None:
    """Green, red and yellow verdicts, the columns as without colours."""
    suite.test(MIXED)
    suite.record()
    suite.checkpoint("bad", also_wrong={"seed": 5, "share": 0.3})
    kept = suite.gate("--color=yes").stdout.str()
    lost = suite.gate("--color=yes", checkpoint="bad").stdout.str()
    assert "\x1b[32mkept\x1b[0m" in kept
    assert "\x1b[31m\x1b[1mLOST\x1b[0m" in lost


def test_wide_terminals_get_wide_gaps(suite: Suite) -> None:
    """With room to spare the columns stand apart and nothing wraps."""
    suite.pytester._monkeypatch.setenv("COLUMNS", "120")
    suite.test(MIXED)
    suite.record()
    result = suite.gate()
    result.stdout.fnmatch_lines(
        [
            "model; *8 of 8 linear layers quantized",
            "task  metric        base  quant  retention     interval    n  lost  won",
        ]
    )


def test_two_schemes_have_a_block_each(suite: Suite) -> None:
    """In the order in which they were asked for; loads of both at the end."""
    suite.test(MIXED)
    suite.record()
    suite.checkpoint("fp8", "w8a8-fp8")
    result = suite.run(
        f"--quant-scheme=w8a8-fp8,{SCHEME}",
        "--quant-checkpoint=w8a8-fp8=fp8",
        f"--quant-checkpoint={SCHEME}=int8",
    )
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "*= quantreg: w8a8-fp8 against bf16, detect, 95 % =*",
            "*= quantreg: w8a8-int8 against bf16, detect, 95 % =*",
            "loaded: model w8a8-fp8 once, model w8a8-int8 once",
        ]
    )


def test_refused_before_anything_is_known(suite: Suite) -> None:
    """A heading that claims no baseline and no gate, and the task's line."""
    suite.test(MIXED)
    result = suite.gate("-k", "sum")
    assert summary(result.outlines) == [
        "============================= quantreg: w8a8-int8 ==============================",
        "task  metric  base  quant  retention  interval  n  lost  won",
        "sum   -          -      -          -         -  -     -    -  REFUSED",
        "1 refused",
        "REFUSED (baseline absent) w8a8-int8 sum: no baseline of sum (0-shot) of model",
        "  at bf16 on scripted",
    ]


def test_a_refusal_joins_the_block_of_its_scheme(suite: Suite) -> None:
    """What is known of the model from other tests stands once above both."""
    suite.test(MIXED)
    suite.record("-k", "sum")
    result = suite.gate()
    assert result.ret == 1
    lines = summary(result.outlines)
    assert len([line for line in lines if line.startswith("===")]) == 1
    assert "1 kept, 1 refused" in lines


def test_nothing_of_ours_without_results(suite: Suite) -> None:
    """A session in which all is skipped has no block."""
    suite.test(MIXED)
    result = suite.run()
    assert result.ret == 0
    result.stdout.no_fnmatch_line("*= quantreg*")


def test_one_line_for_what_several_tests_judged_alike(suite: Suite) -> None:
    """Equal outcomes are told and counted once, those of another minimum stay apart."""
    suite.test(
        """
        @pytest.mark.parametrize("minimum", [0.9, 0.9, 0.8])
        def test_sum(minimum, compare_accuracy, request):
            request.node.add_marker(pytest.mark.min_retention(minimum))
            compare_accuracy("sum")
        """
    )
    suite.record()
    result = suite.gate()
    assert result.ret == 0
    result.assert_outcomes(passed=3)
    rows = [line.split()[-2:] for line in summary(result.outlines) if line.startswith("sum ")]
    assert rows == [["kept", "0.9"], ["kept", "0.8"]]
    result.stdout.fnmatch_lines(["2 kept"])
