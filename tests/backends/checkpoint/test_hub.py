"""Hub ids: cached snapshots offline, and every refusal of the hub as one line."""

from __future__ import annotations

import hashlib
import http.server
import os
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_quantreg.backends.checkpoint import identity
from pytest_quantreg.backends.checkpoint.hub import remote_digests
from pytest_quantreg.backends.checkpoint.identity import FileDigests
from pytest_quantreg.backends.transformers import TransformersBackend
from pytest_quantreg.core.errors import Category, Refusal
from pytest_quantreg.core.records.run import ModelSpec
from pytest_quantreg.report.words import words_of

from ...wording import refused, says

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SPEC = ModelSpec("org/tiny", "org/tiny", "native", "transformers")


@pytest.fixture
def hub(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub cache that holds one snapshot, its large file named by its sha256; offline."""
    from huggingface_hub import constants

    repo = tmp_path / "hub" / "models--org--tiny"
    snapshot = repo / "snapshots" / COMMIT
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text(COMMIT)
    shutil.copytree(tiny, snapshot)
    weights = snapshot / "model.safetensors"
    blob = repo / "blobs" / hashlib.sha256(weights.read_bytes()).hexdigest()
    blob.parent.mkdir()
    weights.rename(blob)
    weights.symlink_to(blob)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return snapshot


def test_cached_snapshots_work_offline(backend: TransformersBackend, hub: Path, tiny: Path) -> None:
    """A snapshot has its commit as revision and the weights digest of the same folder."""
    identity = backend.identify(SPEC)
    folder = ModelSpec(str(tiny), "org/tiny", "native", "transformers")
    assert identity == replace(backend.identify(folder), revision=COMMIT)
    assert backend.identify(replace(SPEC, revision=COMMIT)) == identity
    assert backend.stored_scheme(SPEC) is None
    assert backend.chat_formatter(SPEC, True) is not None
    lines: list[str] = []
    prepared = backend.prepare(SPEC, lines.append)
    assert lines == []
    assert backend.load(prepared).effective.scheme == "bf16"


@pytest.mark.parametrize("changes", [{"ref": "org/other"}, {"revision": "v2"}])
def test_what_is_not_cached_is_refused_offline(
    backend: TransformersBackend, hub: Path, changes: dict[str, str]
) -> None:
    """Offline, a model or revision that was never fetched is one line with the way out."""
    with refused("not in the local hub cache") as caught:
        backend.identify(replace(SPEC, **changes))  # type: ignore[arg-type]
    assert "HF_HUB_OFFLINE" in says(caught.value)


class Replies(http.server.BaseHTTPRequestHandler):
    """A hub that knows one repository by its metadata and refuses the others."""

    def do_GET(self) -> None:
        """Answers by the repository's name."""
        codes = {"gated": 403, "away": 404, "broken": 500}
        wanted = next((word for word in codes if word in self.path), None)
        if wanted is None:
            self._metadata()
            return
        self.send_response(codes[wanted])
        names = {"gated": "GatedRepo", "away": "RepoNotFound"}
        if wanted in names:
            self.send_header("X-Error-Code", names[wanted])
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET

    def _metadata(self) -> None:
        lfs = '"lfs": {{"sha256": "{0}", "size": 5, "pointerSize": 9}}'
        files = ", ".join(
            f'{{"rfilename": "{name}", "size": 5, {lfs.format(digest * 64)}}}'
            for name, digest in (("model.safetensors", "a"), ("extra.safetensors", "b"))
        )
        body = f'{{"id": "org/tiny", "sha": "{COMMIT}", "siblings": [{files}]}}'.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The refusing hub on loopback, and an empty cache."""
    from huggingface_hub import constants

    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Replies)
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    address = f"http://127.0.0.1:{running.server_address[1]}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    yield address
    running.shutdown()
    running.server_close()
    thread.join()


@pytest.mark.parametrize(
    ("ref", "message", "help"),
    [
        ("org/gated", "org/gated is gated", "hf auth login"),
        ("org/away", "neither a folder here nor a repository", "check the name"),
        ("no such/thing/at all", "neither a folder here nor a hub id", "ORG/NAME"),
    ],
)
def test_refusals_of_the_hub_are_one_line(
    backend: TransformersBackend, server: str, ref: str, message: str, help: str
) -> None:
    """Gated, absent and malformed ids are refused before any work, with what to do."""
    with refused(message) as caught:
        backend.identify(replace(SPEC, ref=ref))
    assert caught.value.category is Category.UNUSABLE_MODEL
    assert help in says(caught.value)
    assert "\n" not in words_of(caught.value.problem).what


def test_a_hub_that_does_not_answer_is_one_line(
    backend: TransformersBackend, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody listens at the address: refused, with the way to work without."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with refused("the hub cannot be reached"):
        backend.identify(SPEC)


def test_weights_on_the_hub_have_a_digest_undownloaded(server: str) -> None:
    """The hub's own sha256 of the weights stands in until they are fetched."""
    assert remote_digests(SPEC, COMMIT) == {"model.safetensors": "a" * 64}


def test_a_path_that_is_none_is_told_offline(backend: TransformersBackend, hub: Path) -> None:
    """org/other may have been meant as a folder: that there is none is said."""
    with pytest.raises(Refusal) as caught:
        backend.identify(replace(SPEC, ref="org/other", name="base"))
    assert words_of(caught.value.problem).what == (
        "org/other is no folder here, and not in the local hub cache, and the hub cannot be reached"
    )


def test_a_snapshot_is_found_without_asking_the_hub(
    backend: TransformersBackend, hub: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By branch or commit, with its weights; nothing is downloaded, nobody is asked."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    for revision in (None, "main", COMMIT):
        here = backend.at_hand(replace(SPEC, revision=revision))
        assert here == replace(SPEC, ref=str(hub))
    assert backend.at_hand(replace(SPEC, revision="v2")) is None
    assert backend.at_hand(replace(SPEC, ref="org/other")) is None
    folder = replace(SPEC, ref=str(tiny))
    assert backend.at_hand(folder) == folder
    (hub / "model.safetensors").unlink()
    assert backend.at_hand(SPEC) is None


def overwritten(path: Path) -> None:
    """Changes the last byte of a file where it lies, and sets its times back."""
    before = path.stat()
    time.sleep(0.05)  # the clock of file systems ticks every few milliseconds
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)[0]
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_blob_overwritten_in_place_kept_its_digest(
    backend: TransformersBackend, hub: Path, tmp_path: Path
) -> None:
    """Neither the blob's name nor its size and times are believed, only its bytes."""
    weights = hub / "model.safetensors"
    name = weights.resolve().name
    assert FileDigests().of(weights) == name
    before = backend.identify(SPEC).weights_digest
    overwritten(weights.resolve())
    again = TransformersBackend(cache_dir=tmp_path / "cache")
    assert backend.identify(SPEC).weights_digest != before
    assert again.identify(SPEC).weights_digest == backend.identify(SPEC).weights_digest
    assert FileDigests().of(weights) != name


def test_files_are_hashed_once_and_large_ones_announced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only what is really read is counted; the digest of all is in the order of the files."""
    monkeypatch.setattr(identity, "LARGE", 5)
    lines: list[str] = []
    digests = FileDigests(lines.append)
    paths = [tmp_path / name for name in ("a", "b", "c")]
    for path in paths:
        path.write_text(path.name * 2)
    hashes = digests.of_all(paths, "org/tiny")
    assert hashes == [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    assert lines == ["hashing 0.0 GB of weights of org/tiny"]
    monkeypatch.setattr(identity, "_sha256", lambda path: "read again")
    assert digests.of_all(paths, "org/tiny") == hashes
    overwritten(paths[1])
    assert digests.of_all(paths, "org/tiny") == [hashes[0], "read again", hashes[2]]
    assert len(lines) == 1
