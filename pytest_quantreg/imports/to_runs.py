"""Imported results as runs of the project's own format, with nothing that is nobody's business."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from ..baselines import BaselineKey, Changed, RunSettings, Store, rows
from ..baselines.key import canonical_settings
from ..core.codes import ImportCode
from ..core.comparison.partial_comparability import UNKNOWN, UNKNOWN_DIGEST
from ..core.errors import Refusal, WrongUse
from ..core.facts import Problem
from ..core.records.evaluation import Evaluation, Result
from ..core.records.run import (
    UNVERIFIED,
    Accuracy,
    EffectiveScheme,
    Json,
    Machine,
    ModelIdentity,
    Protocol,
    Provenance,
    Run,
    Software,
)
from ..core.redact_settings import sealed
from .figures_document import task_document
from .figures_store import FiguresStore

_LATEST = 253_402_300_799
"""Seconds to the end of the year 9999."""


def store_result(
    root: Path,
    evaluation: Evaluation,
    result: Result,
    scheme: str,
    suspicions: Mapping[str, str],
) -> tuple[str, bool]:
    """Stores one result below ``root``: its items as a run, and beside it all else that is known.

    ``suspicions`` are the words of those of the result, by metric. Returns where, and whether
    it was there already. Raises as `_keep_items` and `FiguresStore.keep` do.
    """
    figures = FiguresStore(root)
    if result.accuracy is None:
        return figures.keep(task_document(evaluation, result, scheme, suspicions))
    store = Store(root)
    key, items, present = _keep_items(store, evaluation, result, scheme)
    figures.keep(task_document(evaluation, result, scheme, suspicions, items=items), key.stem)
    return store.path(key), present


def _keep_items(
    store: Store, evaluation: Evaluation, result: Result, scheme: str
) -> tuple[BaselineKey, str, bool]:
    """Stores the items of one result.

    Returns what they are filed under, the sha256 of their rows, and whether they were there
    already.

    Raises Refusal for a result that no run can be made of, and WrongUse where another run
    stands in its place or the folder cannot be written.
    """
    run = run_of(evaluation, result, scheme)
    key = key_of(run)
    digest = rows.encode(run.accuracy.items, run.accuracy.protocol.metrics)[1].sha256
    state = store.state(key)
    if state:
        stored = store.load(key)
        if stored.accuracy.items == run.accuracy.items:
            return key, digest, True
        raise WrongUse(ImportCode.ANOTHER_RUN_STORED, file=store.path(key), task=result.task)
    try:
        store.save(key, run, seen=state)
    except Changed:
        return _keep_items(store, evaluation, result, scheme)
    return key, digest, False


def run_of(evaluation: Evaluation, result: Result, scheme: str) -> Run:
    """The run that a result with items amounts to; what its file did not say is unknown.

    Raises Refusal where items or what a run cannot do without are missing.
    """
    if result.run is not None:
        return result.run
    accuracy = _accuracy_of(result)
    # Stop words and arguments may be anything; what decides is compared by the file beside it.
    arguments = {name: sealed(value) for name, value in accuracy.protocol.gen_kwargs.items()}
    accuracy = replace(accuracy, protocol=replace(accuracy.protocol, gen_kwargs=arguments))
    facts = result.known
    return Run(
        Provenance(
            model=ModelIdentity(
                name=evaluation.model,
                revision=None,
                architecture=UNKNOWN,
                vocab_size=1,
                shapes={},
                dtype=_text(facts, "model.dtype"),
                tokenizer_digest=UNKNOWN_DIGEST,
                template_digest=accuracy.protocol.template_digest,
                weights_digest=UNKNOWN_DIGEST,
            ),
            claimed=scheme,
            effective=EffectiveScheme(None, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNVERIFIED, 0, 0),
            software=Software(evaluation.engine, _versions(facts)),
            machine=Machine(_text(facts, "machine.kind"), _text(facts, "machine.family")),
            recorded_at=_recorded_at(result),
        ),
        accuracy,
    )


def key_of(run: Run) -> BaselineKey:
    """What an imported run is filed under: runs that were asked differently lie side by side."""
    protocol, provenance = run.accuracy.protocol, run.provenance
    settings = RunSettings(
        chat_template=None if protocol.chat_template == UNKNOWN else protocol.chat_template,
        system_instruction_digest=_known_digest(protocol),
        gen_kwargs=canonical_settings(protocol.gen_kwargs),
        repeats=protocol.repeats,
        seed=protocol.seed,
    )
    return BaselineKey(
        provenance.model.name,
        provenance.claimed,
        provenance.software.backend,
        protocol.task,
        protocol.num_fewshot,
        settings,
    )


def _accuracy_of(result: Result) -> Accuracy:
    if result.accuracy is None:
        raise _no_run(result, Problem(ImportCode.NO_ITEM_SCORES, {}))
    if "protocol.num_fewshot" not in result.known:
        raise _no_run(result, Problem(ImportCode.UNKNOWN_FEWSHOT, {}))
    return result.accuracy


def _no_run(result: Result, cause: Problem) -> Refusal:
    return Refusal(ImportCode.NO_RUN, task=result.task, cause=cause)


def _recorded_at(result: Result) -> str:
    date = result.written if result.date is None else result.date
    if date is None or not math.isfinite(date) or not 0 < date < _LATEST:
        raise _no_run(result, Problem(ImportCode.UNKNOWN_DATE, {}))
    return datetime.fromtimestamp(int(date), timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _versions(facts: Mapping[str, Json]) -> dict[str, str]:
    """Versions that look like some: a text with a path in it is none."""
    versions = {
        name.removeprefix("version."): value
        for name, value in facts.items()
        if name.startswith("version.") and isinstance(value, str)
    }
    return {
        name: version
        for name, version in versions.items()
        if re.fullmatch(r"[\w.+!-]{1,60}", version)
    }


def _text(facts: Mapping[str, Json], name: str) -> str:
    value = facts.get(name)
    printable = isinstance(value, str) and re.fullmatch(r"[\w .()+-]{1,100}", value)
    return str(value) if printable else UNKNOWN


def _known_digest(protocol: Protocol) -> str | None:
    digest = protocol.system_instruction_digest
    return None if digest == UNKNOWN_DIGEST else digest
