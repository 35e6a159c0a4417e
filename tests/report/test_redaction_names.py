"""Reports leave out what the machine and its user are called, and nothing that only sounds so."""

from __future__ import annotations

import getpass
import socket
from dataclasses import replace

import pytest

from pytest_quantreg.report.redaction import COMMON, Places, identifying_names, machine_names

from .report_samples import LOSES, report

PLACES = Places({}, ("gpu-node-17", "mallory"))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no route to gpu-node-17", "no route to ..."),
        ("no route to GPU-NODE-17.corp.example.", "no route to ...."),
        ("gpu-node-17:8000 closed", "...:8000 closed"),
        ("mallory@gpu-node-17: denied", "...@...: denied"),
        ("'mallory' may not", "'...' may not"),
        ("/srv/mallory", "/srv/..."),
        ("user=mallory,", "user=...,"),
        ("gpu-node-170 and amallory, mallory_2", "gpu-node-170 and amallory, mallory_2"),
    ],
)
def test_names_are_words_of_their_own(text: str, shown: str) -> None:
    """A host goes with the domain behind it; longer words that hold a name stay."""
    places = Places({}, PLACES.names)
    assert places.hidden(text) == shown.replace("/srv/...", ".../...")


@pytest.mark.parametrize("name", ["", "a", "x1", "max", "mark", "will", *sorted(COMMON)])
def test_common_and_short_names_tell_nothing(name: str) -> None:
    """They are words of messages, and many machines are called so."""
    assert identifying_names([name, name.upper()]) == ()


def test_names_of_models_and_tasks_stay() -> None:
    """A user called as the model is would take its name out of every line; devices stay too."""
    names = ("llama", "piqa3", "gpu-17", "nvidia")
    made = report(
        replace(LOSES, task="piqa3"), model="org/Llama-3", lines=("llama lost piqa3 on gpu-17",)
    )
    assert identifying_names(names, made.public()) == ("gpu-17",)
    shown = Places({}, identifying_names(names, made.public())).redacted(made)
    assert shown.session.model == "org/Llama-3"
    assert shown.lines == ("llama lost piqa3 on ...",)


def test_what_this_machine_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """The host's name with and without its domain and the user's, the longest first."""
    monkeypatch.setattr(socket, "gethostname", lambda: "gpu-node-17.corp.example")
    monkeypatch.setattr(getpass, "getuser", lambda: "mallory")
    assert machine_names() == ("gpu-node-17.corp.example", "gpu-node-17", "mallory")


def test_a_user_without_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Containers run as numbers that nobody has; the report is written all the same."""

    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.setattr(socket, "gethostname", lambda: "localhost")
    monkeypatch.setattr(getpass, "getuser", nobody)
    assert machine_names() == ()
