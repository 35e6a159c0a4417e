"""What a backend must say of a model before it loads it."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
import socket
from collections.abc import Callable
from dataclasses import asdict, replace
from importlib.metadata import Distribution, PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest

from ..core.engine import Backend, capabilities_of
from ..core.errors import MissingExtra, QuantregError, WrongUse
from ..core.records.run import UNSTATED, ModelIdentity, ModelSpec, Software
from ..core.schemes.names import resolve, same_identity
from .demand import demand, demand_error, refuse
from .shared import Conformance, unsaid

UNKNOWN = "no-such-scheme"
CHAT = [{"role": "user", "content": "How are you, Ann?"}]


class FilesConformance(Conformance):
    """``name``, ``software``, ``identify``, ``stored_scheme``, ``check_makes``, ``prepare``."""

    def test_name(self, backend: Backend, baseline_spec: ModelSpec) -> None:
        """The backend has one name, which a command line can hold."""
        demand(
            bool(re.fullmatch(r"[a-z0-9][a-z0-9_.-]*", backend.name))
            and baseline_spec.backend == backend.name,
            "name is what --quant-backend calls the backend: small letters, digits, - and _",
            why="it stands in every stored baseline, and another engine's are never compared",
            found=f"{backend.name!r}, and {baseline_spec.backend!r} in the spec",
        )

    def test_software(self, backend: Backend, baseline_spec: ModelSpec) -> None:
        """The versions are plain texts, the same each time, lm-eval's among them."""
        software = _software(backend, baseline_spec)
        again = _software(backend, baseline_spec)
        rule = "software gives package -> version, lm_eval among them"
        why = "a baseline of another minor version is not comparable"
        plain = isinstance(software, Software) and all(
            isinstance(word, str) and word for pair in software.versions.items() for word in pair
        )
        demand(plain and software == again, rule, why=why, found=software)
        demand(
            software.backend == backend.name, "software names its backend", why=why, found=software
        )
        names = {re.sub(r"[-_.]+", "_", name).lower() for name in software.versions}
        demand("lm_eval" in names, rule, why=why, found=sorted(names))

    def test_a_missing_package_is_told(
        self, backend: Backend, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Without its packages, software raises MissingExtra and nothing else."""

        def absent(name: str) -> Distribution:
            raise PackageNotFoundError(name)

        monkeypatch.setattr(Distribution, "from_name", absent)
        try:
            backend.software()
        except MissingExtra:
            pass
        except Exception as error:
            refuse(
                "software raises MissingExtra for a package that is not installed",
                why="people are told what to install in place of a traceback",
                found=f"{type(error).__name__}: {error}",
            )

    def test_identity_is_plain(self, backend: Backend, baseline_spec: ModelSpec) -> None:
        """The identity is a value of plain texts and numbers, with digests in it."""
        identity = backend.identify(baseline_spec)
        rule = "identify gives a ModelIdentity of plain values, its digests in sha256 hex"
        why = "it is stored as JSON and compared with what is found next year"
        demand(isinstance(identity, ModelIdentity), rule, why=why, found=type(identity).__name__)
        flat = asdict(identity)
        try:
            plain = (
                json.loads(json.dumps(flat)) == flat
                and pickle.loads(pickle.dumps(identity)) == identity
            )
        except (TypeError, ValueError):
            plain = False
        demand(plain, rule, why=why, found=flat)
        for name in ("tokenizer_digest", "weights_digest", "template_digest"):
            digest = flat[name]
            sound = digest is None and name == "template_digest"
            sound = sound or bool(re.fullmatch(r"[0-9a-f]{64}", str(digest)))
            demand(sound, rule, why=why, found=f"{name}: {digest!r}")
        filled = identity.name == baseline_spec.name and identity.architecture and identity.dtype
        demand(
            bool(filled and identity.shapes) and identity.vocab_size > 0,
            rule,
            why=why,
            found=identity,
        )

    def test_identity_is_the_same_again(self, backend: Backend, baseline_spec: ModelSpec) -> None:
        """The same files give the same identity, whatever scheme they are said to hold."""
        once, again = backend.identify(baseline_spec), backend.identify(baseline_spec)
        demand(
            once == again,
            "identify depends on the files alone",
            why="a baseline would never be found again",
            found=_differences(once, again),
        )

    def test_identity_has_no_place_in_it(
        self, backend: Backend, baseline_spec: ModelSpec, cache_dir: Path
    ) -> None:
        """No path, home or host is in it, so that it is the same on each machine."""
        text = json.dumps(asdict(backend.identify(baseline_spec)))
        places = [str(cache_dir), os.path.expanduser("~"), str(Path.cwd())]
        if (local := _local(baseline_spec)) is not None:
            places += [str(local), str(local.parent)]
        leaks = [place for place in places if len(place) > 1 and place in text]
        words = re.split(r"[^\w.-]+", text)
        leaks += [host for host in [socket.gethostname()] if len(host) > 3 and host in words]
        demand(
            not leaks,
            "an identity names no path and no host",
            why="it is committed with the baseline, and compared on other machines",
            found=leaks,
        )

    def test_equal_files_are_equal(
        self, backend: Backend, baseline_spec: ModelSpec, tmp_path: Path
    ) -> None:
        """A copy elsewhere has the same identity; with one byte changed it has another."""
        local = _local(baseline_spec)
        if local is None:
            pytest.skip("the model is no folder or file of this machine")
        once = backend.identify(baseline_spec)
        copied = _copy(local, tmp_path / "elsewhere" / local.name)
        again = backend.identify(replace(baseline_spec, ref=str(copied)))
        demand(
            replace(again, revision=once.revision) == once,
            "equal files have equal digests, wherever they are",
            why="a model that was moved would be refused as another one",
            found=_differences(once, again),
        )
        spoiled = _copy(local, tmp_path / "spoiled" / local.name)
        _flip_last_byte(spoiled)
        try:
            other = backend.identify(replace(baseline_spec, ref=str(spoiled)))
        except QuantregError:
            return
        demand(
            other.weights_digest != once.weights_digest,
            "weights_digest covers every byte of the weights",
            why="a changed model would pass as the one that the baseline was recorded from",
            found=f"the same weights_digest {once.weights_digest[:12]} after a byte was changed",
        )

    def test_an_absent_model_is_refused(
        self, backend: Backend, baseline_spec: ModelSpec, tmp_path: Path
    ) -> None:
        """A folder that is not there, and one without a model, are refused with words."""
        if _local(baseline_spec) is None:
            pytest.skip("the model is no folder or file of this machine")
        (tmp_path / "empty").mkdir()
        for place in ("absent", "empty"):
            spec = replace(baseline_spec, ref=str(tmp_path / place))
            for ask in (backend.identify, backend.stored_scheme):
                with demand_error(
                    QuantregError,
                    "identify and stored_scheme raise a Refusal for what is no model",
                    why="people read which folder is wrong in place of a traceback",
                ):
                    ask(spec)

    def test_stored_scheme(
        self, backend: Backend, baseline_spec: ModelSpec, quantized: ModelSpec | None
    ) -> None:
        """Nothing is stored in the full-precision files, and in quantized ones their scheme."""
        why = "it is compared with --quant-scheme before anything is loaded"
        scheme = backend.stored_scheme(baseline_spec)
        demand(scheme is None, "stored_scheme is None for full precision", why=why, found=scheme)
        if quantized is None or quantized.quantize:
            return
        scheme = backend.stored_scheme(quantized)
        demand(
            scheme is not None and same_identity(quantized.scheme, scheme),
            f"stored_scheme names the canonical scheme of the files, {quantized.scheme}",
            why=why,
            found=scheme,
        )
        resolve(str(scheme))

    def test_an_unknown_scheme_is_not_made(self, backend: Backend) -> None:
        """A scheme that cannot be made on the fly is wrong use, before anything is loaded."""
        with demand_error(
            WrongUse,
            "check_makes raises WrongUse for what the backend cannot quantize",
            why="a session would load the baseline first and fail an hour later",
        ):
            backend.check_makes(UNKNOWN)

    def test_prepare_twice(
        self, backend: Backend, baseline_spec: ModelSpec, quantized: ModelSpec | None
    ) -> None:
        """What is prepared already stays as it is, and is plain enough for another process."""
        for spec in (baseline_spec, quantized):
            if spec is None:
                continue
            once = backend.prepare(spec, unsaid)
            again, anew = backend.prepare(once, unsaid), backend.prepare(spec, unsaid)
            demand(
                once == again == anew,
                "prepare changes nothing that it has prepared, and gives the same each time",
                why="each process prepares what it loads, and would quantize a second time",
                found=f"{once}, then {again}, and {anew} from the beginning",
            )
            _demand_plain_spec(once)
            same = (once.scheme, once.backend) == (spec.scheme, spec.backend)
            demand(
                same,
                "prepare keeps scheme and backend",
                why="they are what the gate claims",
                found=once,
            )

    def test_the_quantized_model_belongs_to_the_baseline(
        self, backend: Backend, baseline_spec: ModelSpec, quantized: ModelSpec | None
    ) -> None:
        """Both have one tokenizer, vocabulary, architecture and dtype, and other weights."""
        if quantized is None:
            pytest.skip("no quantized_spec given")
        ours = backend.identify(baseline_spec)
        theirs = backend.identify(backend.prepare(quantized, unsaid))
        fields = ["architecture", "vocab_size", "tokenizer_digest"]
        # Files of some formats do not say what quantized weights are computed in.
        fields += ["dtype"] if UNSTATED not in (ours.dtype, theirs.dtype) else []
        unlike = [name for name in fields if getattr(ours, name) != getattr(theirs, name)]
        shared = set(ours.shapes) & set(theirs.shapes)
        unlike += [name for name in shared if ours.shapes[name] != theirs.shapes[name]]
        if ours.weights_digest == theirs.weights_digest:
            unlike.append("weights_digest, which is the same")
        demand(
            not unlike,
            "identify tells a quantized model as the one it was made of, with other weights",
            why="the gate refuses candidates that belong to another baseline",
            found=", ".join(unlike),
        )

    def test_chats_are_rendered(self, backend: Backend, baseline_spec: ModelSpec) -> None:
        """A chat holds what was said, rendered alike each time; None without a template."""
        render: Callable[..., str] | None = backend.chat_formatter(baseline_spec, True)
        digest = backend.identify(baseline_spec).template_digest
        demand(
            (render is None) == (digest is None),
            "chat_formatter is None exactly when template_digest is",
            why="another template makes other prompts, and the digest is what tells",
            found=f"{render}, and the digest {digest}",
        )
        if render is None:
            return
        texts = [render(CHAT, add_generation_prompt=True) for _ in range(2)]
        demand(
            CHAT[0]["content"] in texts[0] and texts[0] == texts[1],
            "a chat formatter renders every message, alike each time",
            why="prompts of baseline and candidate must be equal to the letter",
            found=texts,
        )


def _software(backend: Backend, spec: ModelSpec) -> Software:
    software_of = capabilities_of(backend).software_of
    return backend.software() if software_of is None else software_of(spec)


def _local(spec: ModelSpec) -> Path | None:
    path = Path(spec.ref)
    return path if path.is_absolute() and path.exists() else None


def _copy(source: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True)
    if source.is_dir():
        return Path(shutil.copytree(source, target))
    return Path(shutil.copyfile(source, target))


def _flip_last_byte(place: Path) -> None:
    """Of the largest file: weights are most of a model."""
    files = [place] if place.is_file() else [path for path in place.rglob("*") if path.is_file()]
    largest = max(files, key=lambda path: path.stat().st_size)
    raw = bytearray(largest.read_bytes())
    raw[-1] ^= 1
    largest.write_bytes(raw)


def _differences(once: ModelIdentity, again: ModelIdentity) -> str:
    theirs = asdict(again)
    return ", ".join(
        f"{name} {value!r} and {theirs[name]!r}"
        for name, value in asdict(once).items()
        if theirs[name] != value
    )


def _demand_plain_spec(spec: ModelSpec) -> None:
    flat: dict[str, Any] = asdict(spec)
    try:
        plain = ModelSpec(**json.loads(json.dumps(flat))) == spec
    except (TypeError, ValueError):
        plain = False
    demand(
        plain and pickle.loads(pickle.dumps(spec)) == spec,
        "a prepared spec holds plain values alone",
        why="it travels to the process that loads it",
        found=spec,
    )
