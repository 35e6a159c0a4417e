"""`quantreg compare` and the same weights under another name: refused unless declared a rerun."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..conftest import Run
from ..lm_eval_folders import BASE, GOOD, N, Row, answers, evaluated, rows

pytestmark = pytest.mark.usefixtures("in_empty_folder")

COMMIT = "0123456789abcdef0123456789abcdef01234567"
POINT = ("--min-retention", ".9", "--gate", "point")
GATES = ("detect", "certify", "point")


def told(who: str, words: int, count: int = N) -> list[Row]:
    """A sample log of generated answers of so many words; the texts are the model's own."""
    log = answers(BASE[:count])
    for row in log:
        row["resps"] = [[" ".join(f"{who}{row['doc_id']}-{at}" for at in range(words))]]
    return log


@pytest.mark.parametrize("gate", GATES)
def test_a_rerun_passed_as_a_quantized_model(said: Run, gate: str) -> None:
    """One hub id on both sides is refused by every gate, and judged with a note if declared."""
    for folder in ("bf16", "again"):
        evaluated(folder, {"t": list(rows("same", BASE))[:400]}, arguments="org/model")
    words = ("compare", "bf16", "again", "--min-retention", ".9", "--gate", gate)
    status, page = said(*words)
    assert status == 2
    assert "REFUSED (suspicious) again t: bf16 and again both name org/model" in page
    assert "nothing was quantized" in page
    assert "if this is a rerun of the baseline on purpose: --allow-rerun" in page
    status, page = said(*words, "--allow-rerun")
    assert status == 0
    assert "judged as a rerun, declared by --allow-rerun" in page
    status, page = said("compare", "bf16", "again")
    assert status == 0
    assert "both name org/model as their model" in page


def test_a_rerun_in_a_folder_called_nvfp4(said: Run) -> None:
    """The name of a folder claims a scheme, and the files name the baseline's own weights."""
    for folder in ("bf16", "nvfp4"):
        evaluated(folder, {"t": list(rows(folder, BASE))}, arguments="org/model")
    status, page = said("compare", "bf16", "nvfp4", "--min-retention", ".9")
    assert status == 2
    assert "nvfp4 claims w4a4-nvfp4, and its files name the baseline's own weights" in page
    assert "nvfp4 claims w4a4-nvfp4" in said("compare", "bf16", "nvfp4")[1]


@pytest.mark.parametrize(
    ("arguments", "others"),
    [
        ("org/model", "org/model,revision=main"),
        ("org/model", "Org/Model"),
        ("org/model", "org/model/"),
        ("org/model", "https://huggingface.co/org/model"),
        ("org/model", "https://hf.co/org/model/tree/main"),
        ("org/model,revision=v2", "https://huggingface.co/org/model/tree/v2"),
        (f"org/model,revision={COMMIT}", f"/h/models--org--model/snapshots/{COMMIT}"),
        ("model", "./model"),
        ("/models/one", "/models/other/../one//"),
        ("link", "real"),
        ("org/model", "org/model,quantization=none"),
        ("org/model", "org/model,subfolder=.,load_format=safetensors"),
        ("org/model", "org/model,bnb_4bit_quant_type=nf4,llm_int8_threshold=6.0"),
    ],
)
def test_another_spelling_hid_the_same_weights(said: Run, arguments: str, others: str) -> None:
    """Revision main, addresses, slashes, letters, dots, links; arguments that quantize nothing."""
    Path("real").mkdir()
    Path("link").symlink_to("real")
    evaluated("base", {"t": list(rows("base", BASE[:200]))}, arguments=arguments)
    evaluated("quantized", {"t": list(rows("quantized", GOOD[:200]))}, arguments=others)
    status, page = said("compare", "base", "quantized", *POINT)
    assert status == 2
    assert "nothing was quantized" in page


@pytest.mark.parametrize(
    ("arguments", "others"),
    [
        ("org/model", "org/model,revision=int8"),
        ("org/model", "org/model-fp8"),
        ("/models/full/model", "/models/small/model"),
        ("org/model", f"/h/models--org--model/snapshots/{COMMIT}"),
        ("org/model", "org/model,quantization=fp8"),
    ],
)
def test_other_weights_are_judged(said: Run, arguments: str, others: str) -> None:
    """Another revision, folder or argument makes other weights of the same name."""
    evaluated("base", {"t": list(rows("base", BASE[:200]))}, arguments=arguments)
    evaluated("quantized", {"t": list(rows("quantized", GOOD[:200]))}, arguments=others)
    assert said("compare", "base", "quantized", *POINT)[0] == 0


def test_an_import_forgot_where_the_model_lay(said: Run) -> None:
    """What names the same folder is known after the import too, and the folder is not."""
    for folder, scores in (("base", BASE), ("quantized", GOOD)):
        evaluated(folder, {"t": list(rows(folder, scores))}, arguments="/secret/place/model")
        scheme = "bf16" if folder == "base" else "w8a8-int8"
        assert said("import", folder, "--scheme", scheme, "--out", f"{folder}-kept")[0] == 0
    status, page = said("compare", "base-kept", "quantized-kept", "--min-retention", ".9")
    assert status == 2
    assert "nothing was quantized" in page
    kept = "".join(path.read_text("utf-8") for path in Path("base-kept").rglob("*.json*"))
    assert "secret" not in kept


@pytest.mark.parametrize("gate", GATES)
def test_the_same_texts_passed_under_another_name(said: Run, gate: str) -> None:
    """Generated texts that are all the baseline's came from its weights, whatever the names say."""
    for folder in ("base", "quantized"):
        evaluated(folder, {"t": told("same", 70, 150)})
    words = ("compare", "base", "quantized", "--min-retention", ".8", "--gate", gate)
    status, page = said(*words)
    assert status == 2
    assert "all 150 generated answers of 64 tokens or more to t are the baseline's" in page
    assert said(*words, "--allow-rerun")[0] == 0


@pytest.mark.parametrize(
    ("words", "count", "changed"), [(70, 99, 0), (70, 150, 1), (20, 110, 0), (2, N, 0)]
)
def test_few_or_short_texts_may_be_equal(said: Run, words: int, count: int, changed: int) -> None:
    """A good copy repeats short answers, and some long ones; one that differs clears it."""
    evaluated("base", {"t": told("same", words, count)})
    log = told("same", words, count)
    for row in log[:changed]:
        row["resps"] = [[f"{row['resps'][0][0]} otherwise"]]
    evaluated("quantized", {"t": log})
    assert "the same weights answered" not in said("compare", "base", "quantized")[1]


def test_one_candidate_twice_in_a_table(said: Run) -> None:
    """Two candidates with the same answers may be one model under two names: a note says so."""
    evaluated("base", {"t": told("base", 70)})
    for folder in ("int8", "fp8"):
        evaluated(folder, {"t": told("quantized", 70)})
    status, page = said("compare", "base", "int8", "fp8", "--min-retention", ".9")
    assert status == 0
    assert "int8 and fp8 gave identical answers on t: they may be one model" in page
