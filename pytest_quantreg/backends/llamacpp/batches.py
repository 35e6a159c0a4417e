"""Packs texts to be scored into batches of llama.cpp, beginnings that they share only once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from .native import Entry


@dataclass(frozen=True)
class Row:
    """Tokens of which the last are scored.

    ``targets`` are the scored ones; ``inputs`` those that predict them with what stands
    before: as long as context and targets together, less one.
    """

    inputs: tuple[int, ...]
    targets: tuple[int, ...]

    @property
    def context(self) -> tuple[int, ...]:
        """The inputs that nothing is scored from but their last."""
        return self.inputs[: self.first]

    @property
    def first(self) -> int:
        """The place of the first input whose logits are due."""
        return len(self.inputs) - len(self.targets)


@dataclass
class Batch:
    """Entries for one run of the model, and where the logits of each row come out.

    ``due`` maps the number of an entry to the (row, target) pairs that its logits are of.
    """

    rows: list[int] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    due: dict[int, list[tuple[int, int]]] = field(default_factory=dict)


def row_of(context: Sequence[int], continuation: Sequence[int], limit: int) -> Row:
    """The row of a continuation; of what is too long for ``limit`` tokens the end is kept."""
    whole = [*context, *continuation][-(limit + 1) :]
    targets = tuple(continuation[-limit:])
    return Row(tuple(whole[:-1]), targets)


def batches(rows: Sequence[Row], *, sequences: int, capacity: int, share: bool) -> Iterator[Batch]:
    """The rows in their order, at most ``sequences`` and ``capacity`` tokens at a time.

    With ``share``, neighbours that begin alike (the choices of one question) have their
    common beginning computed once; its tokens belong to all of them.
    """
    batch, used = Batch(), 0
    for start, count in _runs(rows, sequences, capacity, share):
        shared = _common(rows[start : start + count]) if count > 1 else 0
        cells = _cells(rows[start : start + count], shared)
        if batch.rows and (len(batch.rows) + count > sequences or used + cells > capacity):
            yield batch
            batch, used = Batch(), 0
        _add(batch, rows, range(start, start + count), shared)
        used += cells
    if batch.rows:
        yield batch


def _runs(
    rows: Sequence[Row], sequences: int, capacity: int, share: bool
) -> Iterator[tuple[int, int]]:
    """(first, how many) rows that are of one context, and fit into one batch."""
    start = 0
    while start < len(rows):
        count = 1
        while share and count < sequences and start + count < len(rows):
            if rows[start + count].context != rows[start].context:
                break
            more = rows[start : start + count + 1]
            if _cells(more, _common(more)) > capacity:
                break
            count += 1
        yield start, count
        start += count


def _common(rows: Sequence[Row]) -> int:
    """Return the number of leading inputs that all rows share."""
    shortest = min(len(row.inputs) for row in rows)
    for at in range(shortest):
        if len({row.inputs[at] for row in rows}) > 1:
            return at
    return shortest


def _cells(rows: Sequence[Row], shared: int) -> int:
    return shared + sum(len(row.inputs) - shared for row in rows)


def _add(batch: Batch, rows: Sequence[Row], numbers: range, shared: int) -> None:
    places = {number: len(batch.rows) + at for at, number in enumerate(numbers)}
    batch.rows += numbers
    first = rows[numbers[0]]
    for at in range(shared):
        due = [(number, at - rows[number].first) for number in numbers]
        _enter(batch, first.inputs[at], at, tuple(places.values()), due)
    for number in numbers:
        row = rows[number]
        for at in range(shared, len(row.inputs)):
            due = [(number, at - row.first)]
            _enter(batch, row.inputs[at], at, (places[number],), due)


def _enter(
    batch: Batch,
    token: int,
    position: int,
    sequences: tuple[int, ...],
    due: Sequence[tuple[int, int]],
) -> None:
    wanted = [(row, target) for row, target in due if target >= 0]
    if wanted:
        batch.due[len(batch.entries)] = wanted
    batch.entries.append(Entry(token, position, sequences, bool(wanted)))
