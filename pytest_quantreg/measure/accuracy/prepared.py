"""A task made ready: every request built once, the items in their one permuted order."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeAlias

from ...core.codes import TaskCode
from ...core.engine import ChatFormatter
from ...core.errors import QuantregError, Refusal
from ...core.facts import Quoted
from ...core.records.run import AccuracyRequest, Json, Protocol
from . import chance, digests, item_facts
from .metrics import declared
from .overrides import Setting, apply
from .quiet import quiet, seeded
from .task_loading import TaskLibrary, cause_of, no_items
from .templates import compiled_once

FEWSHOT_SEED = 1234
"""lm-eval's own default: it decides the prompts, so it is the same for every seed."""

Chat: TypeAlias = Callable[["bool | str"], "ChatFormatter | None"]


@dataclass(frozen=True)
class PreparedTask:
    """A task as it will be put to any model of the same tokenizer and chat template.

    ``requests``, ``digests``, ``doc_ids`` and ``answers`` have one entry per item, in
    the order the items are measured; ``requests`` holds the lm-eval Instances of
    each, which nobody writes to. ``task`` is lm-eval's object, for its scoring.
    ``notes`` tell what was decided about the prompts without having been asked for.
    ``clusters`` numbers the passages that items share, one entry per item, or is empty.
    ``copy_keys`` are what copies of an item have in common, one per item
    (`core.comparison.item_clusters`).
    """

    protocol: Protocol
    digests: tuple[str, ...]
    doc_ids: tuple[int, ...]
    requests: tuple[tuple[Any, ...], ...]
    answers: tuple[chance.Answer, ...]
    task: Any
    notes: tuple[str, ...] = ()
    clusters: tuple[int, ...] = ()
    copy_keys: tuple[tuple[str, str], ...] = ()

    def __len__(self) -> int:
        return len(self.digests)

    def chance_of(self, n: int) -> float:
        """The share of the first ``n`` items that guessing gets right, 0..1."""
        return chance.chance_of(self.answers[:n])

    def rearranged(self, positions: Sequence[int]) -> PreparedTask:
        """The items at ``positions``, in that order, and no others."""
        return replace(
            self,
            digests=tuple(self.digests[at] for at in positions),
            doc_ids=tuple(self.doc_ids[at] for at in positions),
            requests=tuple(self.requests[at] for at in positions),
            answers=tuple(self.answers[at] for at in positions),
            clusters=tuple(self.clusters[at] for at in positions) if self.clusters else (),
            copy_keys=tuple(self.copy_keys[at] for at in positions) if self.copy_keys else (),
        )

    @cached_property
    def protocol_digest(self) -> str:
        """Covers all of the protocol."""
        return digests.sha(json.dumps(digests.plain(self.protocol), sort_keys=True))


def prepare(
    request: AccuracyRequest,
    *,
    chat: Chat,
    template_digest: str | None,
    library: TaskLibrary,
) -> PreparedTask:
    """Loads a task, applies what was asked, and builds the requests of all its items.

    Never of some items only: lm-eval's few-shot sampler draws document by document,
    so that a part of the documents would get other prompts. ``chat`` gives the
    formatter of the default (True) or a named chat template, None without one.
    Raises a Refusal for everything that cannot be measured as asked.
    """
    with quiet(), compiled_once(), seeded(python=0, numpy=1234, torch=1234):
        # The seeds of lm-eval's simple_evaluate: some tasks shuffle while they load.
        task = library.load(request.task, request.include_paths)
        setting = apply(task, request, chat)
        _build(task, request, setting)
        return _ordered(task, request, setting, template_digest)


def _build(task: Any, request: AccuracyRequest, setting: Setting) -> None:
    task.set_fewshot_seed(FEWSHOT_SEED)
    try:
        task.build_all_requests(
            limit=None,
            samples=None,
            rank=0,
            world_size=1,
            system_instruction=request.system_instruction,
            apply_chat_template=setting.formatter is not None,
            fewshot_as_multiturn=setting.multiturn,
            chat_template=setting.formatter,
        )
    except QuantregError:
        raise
    except Exception as error:
        # A task's templates and functions run here, on every document.
        if "did not find any docs" in str(error):
            raise no_items(request.task) from error
        raise Refusal(
            TaskCode.PROMPTS_NOT_BUILT,
            task=request.task,
            cause=cause_of(error),
            shots=setting.num_fewshot,
        ) from error


def _ordered(
    task: Any, request: AccuracyRequest, setting: Setting, template_digest: str | None
) -> PreparedTask:
    by_doc: dict[int, list[Any]] = {}
    for instance in task.instances:
        by_doc.setdefault(instance.doc_id, []).append(instance)
    items = [
        sorted(instances, key=lambda instance: int(instance.idx)) for instances in by_doc.values()
    ]
    gen_kwargs = _generation(task, request)
    targets = [task.doc_to_target(item[0].doc) for item in items]
    names = [
        digests.item_digest(item, item[0].doc, target)
        for item, target in zip(items, targets, strict=True)
    ]
    order = digests.permutation(names, request.task, request.seed)
    answers = [
        _answer(task, setting, item, target) for item, target in zip(items, targets, strict=True)
    ]
    return PreparedTask(
        protocol=_protocol(task, request, setting, template_digest, gen_kwargs, len(items)),
        digests=tuple(names[i] for i in order),
        doc_ids=tuple(int(items[i][0].doc_id) for i in order),
        requests=tuple(tuple(items[i]) for i in order),
        answers=tuple(answers[i] for i in order),
        task=task,
        notes=setting.notes,
        clusters=item_facts.clusters([items[i][0].doc for i in order]),
        copy_keys=tuple(digests.copy_keys(items[i], items[i][0].doc, targets[i]) for i in order),
    )


def _answer(task: Any, setting: Setting, item: list[Any], target: Any) -> chance.Answer:
    scored = [request for request in item if request.request_type == "loglikelihood"]
    # The unconditional requests of acc_mutual_info come after the choices' own.
    choices = len(scored) // (2 if "acc_mutual_info" in task.aggregation() else 1)
    gold = task.doc_to_text(item[0].doc) if getattr(task, "multiple_input", 0) else target
    return chance.answer_of(setting.output_type, scored, gold, choices)


def _generation(task: Any, request: AccuracyRequest) -> Mapping[str, Json]:
    """The generation arguments that the built requests really carry."""
    generating = [
        instance for instance in task.instances if instance.request_type == "generate_until"
    ]
    if not generating:
        return {}
    carried: dict[str, Json] = digests.plain(generating[0].args[1])
    ignored = {
        name: value
        for name, value in request.gen_kwargs.items()
        if carried.get(name) != digests.plain(value)
    }
    if ignored:
        # Tasks written in Python may fix their arguments themselves.
        raise Refusal(
            TaskCode.GEN_KWARGS_NOT_TAKEN,
            task=request.task,
            ignored=tuple(sorted(ignored)),
            generates_with=Quoted(str(carried)),
        )
    return carried


def _protocol(
    task: Any,
    request: AccuracyRequest,
    setting: Setting,
    template_digest: str | None,
    gen_kwargs: Mapping[str, Json],
    total: int,
) -> Protocol:
    instruction = request.system_instruction
    files, packages = digests.code_of(task)
    return Protocol(
        task=request.task,
        task_version=str(task.VERSION),
        output_type=setting.output_type,
        num_fewshot=setting.num_fewshot,
        chat_template=setting.template,
        template_digest=template_digest if setting.formatter is not None else None,
        fewshot_as_multiturn=setting.multiturn,
        system_instruction_digest=digests.sha(instruction) if instruction else None,
        gen_kwargs=gen_kwargs,
        repeats=request.repeats,
        seed=request.seed,
        config_digest=digests.config_digest(task),
        metrics=declared(task, averaged=request.repeats > 1),
        total_items=total,
        code_files=files,
        code_packages=packages,
    )
