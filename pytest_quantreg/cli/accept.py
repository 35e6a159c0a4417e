"""`quantreg accept`: the runs that a JSON report holds become the reference of no_regression."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.codes import CommandCode
from ..core.errors import Refusal, WrongUse
from ..core.printable import printable

if TYPE_CHECKING:
    from typing import TypeAlias

    from ..baselines import BaselineKey
    from ..core.records.acceptance import CandidateRun
    from ..core.records.run import Run

    Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_accept(commands: Commands) -> None:
    """The argparse lines of the command."""
    accept = commands.add_parser(
        "accept",
        help="make the runs in a JSON report of a green session the reference of no_regression",
        description="Reads a report that pytest --quant-report=PATH.json wrote. If its session was "
        "green, the runs that min_retention judged in it become the reference of no_regression, "
        "and one line is added to the history of each scheme.",
    )
    accept.set_defaults(page=accept_page)
    accept.add_argument("run", metavar="RUN", help="the JSON report")
    accept.add_argument(
        "--why", default="", metavar="TEXT", help="why, in a few words, for the history"
    )
    accept.add_argument(
        "--force",
        action="store_true",
        help="also where gates are undecided; the history names them",
    )
    accept.add_argument(
        "--baselines", default="baselines", metavar="DIR", help="the store (default baselines)"
    )


def accept_page(chosen: argparse.Namespace) -> str:
    """Return what was accepted. Raises WrongUse and Refusal for what may not be."""
    # The command line is read before numpy and jsonschema are paid for.
    from ..baselines import AcceptedRuns
    from ..baselines.accept_runs import AcceptanceNote, accept_runs
    from ..core.records.acceptance import MOST_WHY
    from ..gating.provenance import git_commit, now
    from ..report.json_document import read, to_report

    if len(chosen.why) > MOST_WHY:
        raise WrongUse(CommandCode.REASON_TOO_LONG, most=MOST_WHY)
    folder = Path(os.path.expanduser(chosen.baselines)).absolute()
    if not folder.is_dir():
        raise WrongUse(CommandCode.NO_SUCH_STORE, folder=chosen.baselines)
    document = read(Path(os.path.expanduser(chosen.run)), chosen.run)
    report = to_report(document)
    kept, runs = _unpack_runs(chosen.run, report.runs)
    open_gates = _check_gates(chosen.run, report, kept, force=chosen.force)
    statement = AcceptanceNote(now(), git_commit(folder.parent), chosen.why, open_gates)

    def run_of(measurement: CandidateRun) -> tuple[BaselineKey, Run]:
        return runs[measurement.owner, measurement.stem, measurement.items]

    lines = accept_runs(AcceptedRuns(folder), kept, run_of, statement)
    return "\n".join(map(printable, lines))


def _check_gates(
    named: str, report: Any, kept: list[CandidateRun], *, force: bool
) -> dict[str, tuple[str, ...]]:
    """By scheme the gates that are accepted although they are open."""
    from ..core.gates.acceptance_blockers import findings
    from ..report.session_report import GATES, GREEN

    if report.session.purpose != GATES or report.conclusion != GREEN:
        raise WrongUse(CommandCode.NOT_GREEN, report=named, cause=report.not_green())
    # A run at a scheme that the session does not name has been judged by nobody.
    schemes = dict.fromkeys(
        (*report.session.schemes, *(measurement.scheme for measurement in kept))
    )
    by_scheme = {scheme: findings(scheme, report.outcomes, kept) for scheme in schemes}
    reasons = tuple(why for scheme_findings in by_scheme.values() for why in scheme_findings.never)
    if reasons:
        raise WrongUse(CommandCode.NOT_ACCEPTABLE, report=named, reasons=reasons)
    undecided = {
        scheme: scheme_findings.undecided
        for scheme, scheme_findings in by_scheme.items()
        if scheme_findings.undecided
    }
    if undecided and not force:
        gates = tuple(gate for names in undecided.values() for gate in names)
        raise WrongUse(CommandCode.GATES_UNDECIDED, report=named, gates=gates)
    return undecided


def _unpack_runs(
    named: str, packed: tuple[Any, ...]
) -> tuple[list[CandidateRun], dict[tuple[object, ...], tuple[BaselineKey, Run]]]:
    """What a report kept, and the runs by (owner, stem, items). Raises WrongUse."""
    from ..baselines.json_values import known_fields
    from ..baselines.run_codec import unpack
    from ..core.records.acceptance import CandidateRun
    from ..core.strict_json import CorruptFile

    kept: list[CandidateRun] = []
    runs: dict[tuple[object, ...], tuple[BaselineKey, Run]] = {}
    for document in packed:
        measurement = CandidateRun(**known_fields(CandidateRun, document["kept"]))
        try:
            key, run = unpack(document)
        except (CorruptFile, Refusal) as error:
            raise WrongUse(
                CommandCode.RUN_OF_REPORT_UNUSABLE,
                report=named,
                task=measurement.task,
                cause=error.problem,
            ) from None
        owner = key.model, key.scheme, key.engine
        if (owner, key.stem) != (measurement.owner, measurement.stem) or len(
            run.accuracy.items
        ) != measurement.items:
            raise WrongUse(CommandCode.NOT_THE_RUN_JUDGED, report=named, task=measurement.task)
        kept.append(measurement)
        runs[owner, key.stem, measurement.items] = key, run
    return kept, runs
