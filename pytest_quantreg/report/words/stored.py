"""Words of stored files: baselines, accepted runs, reports, and how they are damaged.

The headlines of damage complete "FILE ...".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ...core.codes import StoredCode
from ...core.facts import Fact, Problem
from .template import Lines, Table

_NOUNS: Mapping[object, str] = {
    "model": "model name",
    "task": "task name",
    "accelerator": "accelerator name",
}
"""What the parts of file names are called; the others are called as they are."""

_UPDATE = "update it: pip install --upgrade pytest-quantreg"
_UPDATED = (StoredCode.NEWER_SCHEMA, StoredCode.WRITTEN_BY_NEWER)
"""Damage that another version of this package reads: nothing is to be restored."""

_UNCHANGED = "no stored baseline was changed"
_RENAME = "give one of the models another name with the ini key quant_model_name"


def _naming(*lines: str) -> Callable[[Mapping[str, Fact]], Lines]:
    """The lines with the noun of the fact ``part`` in place of ``NOUN``."""

    def chosen(facts: Mapping[str, Fact]) -> Lines:
        noun = _NOUNS.get(facts["part"], str(facts["part"]))
        return tuple(line.replace("NOUN", noun) for line in lines)

    return chosen


def _contradiction(facts: Mapping[str, Fact]) -> Lines:
    part = str(facts["part"])
    nouns = {
        "model": "model name",
        "num_fewshot": "few-shot count",
        "count": "accelerator count",
    }
    noun = nouns.get(part, part.replace("workload.", "workload's "))
    return f"contradicts its key: {noun} is {{found!r}}, filed under {{expected!r}}"


def _violation(facts: Mapping[str, Fact]) -> Lines:
    return f"breaks the schema: {'{where}' if facts['where'] else 'the file'}: {{violation}}"


def _damaged(*usual: str) -> Callable[[Mapping[str, Fact]], Lines]:
    """A damaged file with the usual help, unless an update of this package is what helps."""

    def chosen(facts: Mapping[str, Fact]) -> Lines:
        cause = facts["cause"]
        while isinstance(cause, Problem) and "cause" in cause.facts:
            cause = cause.facts["cause"]
        newer = isinstance(cause, Problem) and cause.code in _UPDATED
        return ("{file} {cause}", _UPDATE) if newer else ("{file} {cause}", *usual)

    return chosen


_WRITABLE = (
    "no stored baseline was changed; make the folder writable,",
    "or name another (--quant-baselines DIR; quantreg import --out DIR)",
)

WORDS: Table = {
    StoredCode.NOT_UTF8: "is not UTF-8 text (byte {byte})",
    StoredCode.NOT_JSON: "is not valid JSON at line {line}: {reason}",
    StoredCode.JSON_CUT_OFF: "is not valid JSON at line {line}: {reason} (cut off?)",
    StoredCode.UNUSABLE_JSON: "is not usable JSON: {reason}",
    StoredCode.NESTED_TOO_DEEPLY: "is nested too deeply",
    StoredCode.NOT_UNICODE: "holds text that is not valid Unicode",
    StoredCode.NAME_TWICE: "names {name!r} twice in one object",
    StoredCode.NUMBER_NOT_FINITE: "holds {number}, which is no finite number",
    StoredCode.NUMBER_TOO_LONG: "holds a whole number of {digits} digits, too large to use",
    StoredCode.LFS_POINTER: "is a Git LFS pointer, not the file (git lfs pull fetches it)",
    StoredCode.MERGE_CONFLICT: "holds the marks of a merge conflict",
    StoredCode.BYTE_ORDER_MARK: "begins with a byte order mark (BOM)",
    StoredCode.UTF16_TEXT: "is UTF-16 text; save it as UTF-8",
    StoredCode.EMPTY_FILE: "is empty",
    StoredCode.BINARY_FILE: "is a binary file, not JSON",
    StoredCode.MISSING_FILE: "is missing",
    StoredCode.NO_PERMISSION: "may not be read (no permission)",
    StoredCode.CANNOT_OPEN: "cannot be opened: {reason}",
    StoredCode.CANNOT_READ: "cannot be read: {reason}",
    StoredCode.CANNOT_LIST: "cannot be listed: {reason}",
    StoredCode.FOLDER_NOT_FILE: "is a folder, not a file",
    StoredCode.DEVICE_NOT_FILE: "is a device or pipe, not a file",
    StoredCode.BELOW_A_FILE: "lies below a file where a folder should be",
    StoredCode.DANGLING_LINK: "is a symbolic link to nothing",
    StoredCode.LINK_OUT_OF_STORE: "is a symbolic link that leads out of the store",
    StoredCode.TOO_MANY_BYTES: "has {bytes:,} bytes where at most {most:,} can be right",
    StoredCode.NOT_AN_OBJECT: "is not a JSON object",
    StoredCode.CHANGED_AFTER_RECORDED: (
        "was changed after it was recorded (its digest does not fit)"
    ),
    StoredCode.CHANGED_AFTER_IMPORTED: (
        "was changed after it was imported (its digest does not fit)"
    ),
    StoredCode.CHANGED_AFTER_WRITTEN: "was changed after it was written (its digest does not fit)",
    StoredCode.NO_SCHEMA_VERSION: "has no schema_version like '1.0': it is no baseline",
    StoredCode.NEWER_SCHEMA: (
        "has schema {version}; this pytest-quantreg reads up to {major}.x",
        _UPDATE,
    ),
    StoredCode.WRITTEN_BY_NEWER: (
        "has schema {version}, and this pytest-quantreg writes {current}: "
        "written again it would lose what a newer one put there",
        _UPDATE,
    ),
    StoredCode.SCHEMA_TOO_OLD: "has schema {version}, which is no longer read",
    StoredCode.BREAKS_SCHEMA: _violation,
    StoredCode.DAMAGED_LINE: ("is damaged in line {line:,}: it {cause}", "{cause:help}"),
    StoredCode.NOT_A_ROW: "is no row of {width} values",
    StoredCode.LAST_LINE_BREAKS_OFF: "breaks off in its last line",
    StoredCode.LINE_OUT_OF_ORDER: (
        "was changed: line {line} does not follow the line before it (lines are only added)"
    ),
    StoredCode.KEY_CANNOT_BE: "is filed under a key that cannot be: {cause}",
    StoredCode.KEY_NOT_READ_BACK: "has a key that cannot be read back",
    StoredCode.CONTRADICTS_KEY: _contradiction,
    StoredCode.FILED_UNDER_ANOTHER_KEY: "holds the baseline of {stored}, not of {key}",
    StoredCode.REWRITTEN_WITHOUT_PAUSE: "is being rewritten without a pause",
    StoredCode.MORE_QUANTIZED_THAN_LAYERS: "counts more quantized layers than there are",
    StoredCode.ITEMS_MISSING: "is missing, and with it the {count:,} items that were recorded",
    StoredCode.OTHER_ITEMS_RECORDED: "does not hold the {count:,} items that were recorded",
    StoredCode.OTHER_ITEMS_MEASURED: "does not hold the {count:,} items that were measured",
    StoredCode.COLUMNS_NOT_OF_METRICS: "names columns that do not fit its metrics",
    StoredCode.NOT_WHOLE_LINES: "does not hold {count} whole lines",
    StoredCode.DIGEST_LENGTH: "has digests that are not {length} digits long",
    StoredCode.DIGEST_NOT_TEXT: "has an item digest that is no text",
    StoredCode.DIGEST_NOT_HEX: (
        "has an item digest that is not 16 to 64 hex digits, all equally long"
    ),
    StoredCode.DOC_ID_NOT_WHOLE: "has a doc_id that is no whole number from 0",
    StoredCode.DOC_ID_TWICE: "holds the same doc_id twice",
    StoredCode.COLUMN_NOT_NUMBERS: "has a {column} that is no number",
    StoredCode.COLUMN_TOO_LARGE: "has a {column} that is too large",
    StoredCode.COLUMN_LENGTHS: "has columns of unequal length",
    StoredCode.NO_ITEMS: "holds no items",
    StoredCode.NOT_ONE_SCORE_EACH: "does not hold one score for each of its metrics",
    StoredCode.NOT_ONE_SCORE_EACH_RERUN: (
        "does not hold one score for each of its metrics in each rerun"
    ),
    StoredCode.NOT_ONE_VALUE_EACH: "does not give one value for each of its metrics",
    StoredCode.MORE_ITEMS_THAN_TASK: "holds {items} items of a task that has {total}",
    StoredCode.WEIGHTS_WITHOUT_PERPLEXITY: "holds weights for a metric that takes none",
    StoredCode.NEGATIVE_WEIGHT: "has a negative weight for {metric}",
    StoredCode.NO_POSITIVE_WEIGHT: "has no weight above 0 for {metric}",
    StoredCode.NO_SUCH_ITEM_FACT: "notes {name!r} of its items, which is unknown",
    StoredCode.ITEM_VALUE_NOT_FINITE: (
        "has {name} = {value} for doc {doc}, which is no finite number"
    ),
    StoredCode.ITEM_VALUE_TOO_LARGE: (
        "has {name} = {value:g} for doc {doc}, and {most:g} is the most"
    ),
    StoredCode.ITEM_VALUE: "has {name} = {value} for doc {doc}, which must be {rule}",
    StoredCode.ZERO_OR_ONE: "0 or 1",
    StoredCode.WHOLE_FROM_ZERO: "a whole number from 0",
    StoredCode.ZERO_TO_ONE: "from 0 to 1",
    StoredCode.FINITE: "finite",
    StoredCode.NO_SESSIONS: "holds no sessions",
    StoredCode.SESSION_TWICE: "holds the same rounds twice, as two sessions",
    StoredCode.SESSION_WITHOUT_ROUNDS: "holds no rounds in session {session}",
    StoredCode.SESSION_WITHOUT_TIME: (
        "has recorded_at = {recorded_at!r} in session {session}, no time"
    ),
    StoredCode.LOAD_SECONDS: (
        "has load_seconds = {seconds} in session {session}, which must be positive"
    ),
    StoredCode.ROUND_SIZE: (
        "holds {requests:,} requests in round {round} of session {session} of a workload that "
        "has {asked:,}"
    ),
    StoredCode.BAD_REQUEST: (
        "has {cause} (request {request} of round {round} of session {session})"
    ),
    StoredCode.REQUEST_TOKENS: "{tokens} tokens of a workload that asks for {asked}",
    StoredCode.TIME_NOT_FINITE: "{name} = {seconds}, which is no finite number",
    StoredCode.TIME_TOO_LARGE: "{name} = {seconds:g}, and {most:g} is the most",
    StoredCode.TIMES_OUT_OF_ORDER: (
        "times out of order: arrived {arrived}, first_token {first_token}, ended {ended}"
    ),
    StoredCode.UNREADABLE_BASELINE: _damaged(
        "restore it with: git checkout -- {checkout}", "or record it again: {again}"
    ),
    StoredCode.UNREADABLE_HISTORY: _damaged("restore it with: git checkout -- {file}"),
    StoredCode.NOT_THE_ACCEPTED_RUN: (
        "{file} is not the run that was accepted as number {number}",
        "restore it with: git checkout -- {folder}",
    ),
    StoredCode.BASELINE_ABSENT: (
        "no baseline of {key}",
        "{file} does not exist",
        "there is {siblings:each}",
        "record it: {record}",
    ),
    StoredCode.SPEED_BASELINE_ABSENT: (
        "no speed baseline of {key}",
        "{file} does not exist",
        "there is {siblings:each}",
        "there is one of {elsewhere:each}, which has a speed of its own",
        "record it: {record}",
    ),
    StoredCode.NOT_STORABLE: ("the measurement of {key} cannot be stored: it {cause}", _UNCHANGED),
    StoredCode.META_TOO_LARGE: "has {bytes:,} bytes beside its items",
    StoredCode.SESSIONS_TOO_LARGE: "has {bytes:,} bytes with its {sessions:,} sessions",
    StoredCode.NOT_REPLACED: _damaged(*_WRITABLE),
    StoredCode.CANNOT_WRITE: ("cannot write {file}: {cause}", *_WRITABLE),
    StoredCode.FILE_IN_THE_WAY: "there is a file where a folder should be",
    StoredCode.FOLDER_IN_THE_WAY: "{name} is a folder",
    StoredCode.LOCKED_TOO_LONG: "another process has been writing there for {seconds:.0f} s",
    StoredCode.CHANGED_MEANWHILE: "another process wrote {file} in the meantime",
    StoredCode.MORE_SESSIONS_STORED: "{file} holds more sessions than would replace them",
    StoredCode.ANOTHER_KEY_STORED: ("{file} already holds the baseline of {stored}", _RENAME),
    StoredCode.NOT_A_FILE_NAME: _naming(
        "{name!r} is no NOUN that a baseline can be filed under",
        "use a hub id (org/name) or a plain name, not a path",
    ),
    StoredCode.NOT_A_DEVICE_NAME: (
        "{name!r} is no accelerator name that a baseline can be filed under",
        "use the name that the engine gives its device",
    ),
    StoredCode.NAME_NOT_UNICODE: _naming(
        "the NOUN {name!r} is no valid Unicode text",
        "give the model another name with the ini key quant_model_name",
    ),
    StoredCode.NAME_TOO_LONG: _naming(
        "the NOUN {name!r}... is too long for a file name",
        "it takes {length} characters as a file name, {most} are the most",
    ),
    StoredCode.FEWSHOT_COUNT: (
        "a baseline cannot be filed under num_fewshot={count}",
        "few-shot counts are whole numbers from 0",
    ),
    StoredCode.ACCELERATOR_COUNT: (
        "a speed baseline cannot be filed under {count} accelerators",
        "their count is a whole number from 1",
    ),
    StoredCode.GENERATION_SETTINGS: (
        "gen_kwargs cannot be stored: {reason}",
        "use plain JSON values: texts, finite numbers, true, false, lists",
    ),
    StoredCode.NO_SUCH_BASELINE: (
        "{store}/ holds no baseline {names}",
        "`quantreg baselines` lists their names",
    ),
    StoredCode.NOT_A_BASELINE: (
        "{names}: not the name of a baseline, so it is not deleted",
        "where it is yours, delete the file itself",
    ),
    StoredCode.SEVERAL_CHECKPOINTS: "the runs at {scheme} are of {count} checkpoints",
    StoredCode.ALREADY_ACCEPTED: "this run of {task} was already accepted as number {number}",
    StoredCode.ACCEPTED_SINCE: (
        "{task} was {cause}, and number {number} was accepted since",
        "judge it again: type the same pytest command once more",
    ),
    StoredCode.JUDGED_AGAINST: "judged against number {number}",
    StoredCode.JUDGED_AGAINST_NONE: "judged when nothing was accepted",
    StoredCode.JUDGED_AGAINST_NAMESAKE: (
        "judged against another number {number}, of another store or history"
    ),
    StoredCode.MEASURED_AT: "measured at {when}",
    StoredCode.FEWER_THAN_ACCEPTED: (
        "{task}: number {number} holds {stored:,} items, and this run {items:,}: a reference "
        "never becomes smaller",
        "run it with as many items (--quant-limit, limit=)",
    ),
    StoredCode.JUDGED_AGAINST_OTHER_BASELINE: (
        "{task} was judged against another baseline than {store}/ holds",
        "judge it with this store: --quant-baselines DIR",
    ),
}
