"""Reports travel: no folder, server, user or secret of the machine goes with them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_quantreg.report.redaction import Places

from .report_samples import CONTEXT, LOSES, report

PLACES = Places({"/home/al ice/repo": "", "/home/al ice": "~", "/var/cache/q": "CACHE"})


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("looked for /home/al ice/repo/tests/a.py", "looked for tests/a.py"),
        ("in /home/al ice/repo", "in ."),
        ("in /home/al ice/repo: no such", "in .: no such"),
        ("in /home/al ice/repository/x", "in ~/repository/x"),
        ("at /home/al ice/models/q", "at ~/models/q"),
        ("below /var/cache/q/checkpoints/abc", "below CACHE/checkpoints/abc"),
        ("folder /mnt/nas/team/llama-8b is empty", "folder .../llama-8b is empty"),
        ("--quant-model=/mnt/nas/llama-8b --x", "--quant-model=.../llama-8b --x"),
        ("'/mnt/a folder/llama' is none", "'.../llama' is none"),
        (r"C:\Users\alice\models\llama", ".../llama"),
        ("D:/models/llama, D:/b", ".../llama, .../b"),
        ("~bob/models/x", ".../models/x"),
        ("(/etc/x.json)", "(.../x.json)"),
        ("http://gpu7.corp.example:8000/v1/models", "http://.../v1/models"),
        ("no answer from http://gpu7:8000.", "no answer from http://...."),
        ("https://user:pw@huggingface.co/a", "https://.../a"),
        ("https://huggingface.co/org/a?token=hf_x", "https://huggingface.co/org/a"),
        ("file:///home/bob/x.json", ".../x.json"),
        ("--quant-backend-arg=api_key=sk-123 rest", "--quant-backend-arg=api_key=... rest"),
        ("HF_TOKEN=hf_abc", "HF_TOKEN=..."),
        ("401 with Authorization: Bearer sk-abc123", "401 with Authorization: Bearer ..."),
        ("token hf_abcdefghijklmnopqrst is gated", "token ... is gated"),
        ("--key sk-proj-abcdefghijklmnop12 was sent", "--key ... was sent"),
        (r"from \\nas7\team\alice\llama", "from .../llama"),
        ("bad \udcff byte", "bad ? byte"),
    ],
)
def test_what_is_hidden(text: str, shown: str) -> None:
    """Paths become relative or lose their folders; servers and secrets their names."""
    assert PLACES.hidden(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "org/name@main on transformers",
        "1,000 tok/s, ttft 10/20/30 ms (p50/p90/p99)",
        "int8 per channel / int8 per token",
        "pytest tests/test_a.py::test_b --quant-limit=9 --quant-update",
        "and/or, +/-5, 1/choices, 3 / 4",
        "retention 0.98: 12 lost, a:b, c:d/e",
        "exact_match,strict-match",
        "~ 5 %, ~3,100 items",
        "pytest --quant-update --quant-backend-arg=add_bos_token=true",
    ],
)
def test_what_is_no_place_is_left(text: str) -> None:
    """Ratios, units, hub ids, relative paths and test ids stay as they are."""
    assert PLACES.hidden(text) == text


PIECES = st.sampled_from(
    ["http://", "file://", "/", "a", "b.c", ".", "...", "~", "'", " ", "C:\\", ":", "token=", ")"]
)


AROUND = st.lists(PIECES, max_size=6).map("".join)


@given(AROUND, AROUND)
def test_a_path_is_hidden_wherever_it_stands(before: str, after: str) -> None:
    """Whatever stands around a path, its folders are not shown."""
    shown = PLACES.hidden(f"{before} /mnt/secret/place/end {after}")
    assert "secret" not in shown
    assert "place" not in shown


@given(st.text(max_size=80))
def test_any_text_comes_out_as_valid_unicode(text: str) -> None:
    """Also what came out of file names that are not UTF-8."""
    PLACES.hidden(text).encode("utf-8")


def test_every_text_of_a_report() -> None:
    """Headlines, details, notes, advice, contexts, closing lines and versions are all gone over."""
    place = "/mnt/secret/place/end"
    bad = replace(
        LOSES,
        headline=place,
        details=(place,),
        notes=(place,),
        advice=place,
        task=place,
        context=replace(CONTEXT, model=place, engine=place),
    )
    made = report(
        bad, lines=(place,), incomplete=(place,), model=place, versions={"x": place}, backend=place
    )
    redacted = PLACES.redacted(made)
    assert "secret" not in repr(redacted)
    assert repr(redacted).count(".../end") == 12
    assert redacted.outcomes[0].retention == LOSES.retention
    assert redacted.session.confidence == 0.95
