"""Packed columns read like the tuples that they stand for."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_quantreg.core.comparison.alignment import items_at
from pytest_quantreg.core.records.columns import Numbers, Texts, has_duplicates, picked, places
from pytest_quantreg.core.records.run import Items

PLACES = st.none() | st.integers(-9, 9)
STEPS = st.none() | st.integers(-3, 3).filter(bool)
SLICES = st.builds(slice, PLACES, PLACES, STEPS)
FLOATS = st.lists(st.floats(allow_nan=False), max_size=7)
IDS = st.lists(st.integers(-(2**63), 2**63 - 1), max_size=7)


def _packed(values: list[float] | list[int]) -> Numbers[float] | Numbers[int]:
    whole = all(isinstance(value, int) for value in values)
    return Numbers(np.array(values, dtype=np.int64 if whole else np.float64))


@given(values=FLOATS | IDS, at=SLICES)
@settings(max_examples=200, derandomize=True, deadline=None)
def test_numbers_read_like_a_tuple(values: list[float] | list[int], at: slice) -> None:
    """Length, order, slices, equality both ways, text and hash are the tuple's."""
    plain, packed = tuple(values), _packed(values)
    assert packed == plain
    assert plain == packed
    assert packed == _packed(values)
    assert packed[at] == plain[at]
    assert (len(packed), repr(packed), hash(packed)) == (len(plain), repr(plain), hash(plain))
    assert [type(column) for column in packed] == [type(column) for column in plain]
    assert [packed[place] for place in range(len(plain))] == list(plain)


@given(
    texts=st.integers(1, 3).flatmap(
        lambda width: st.lists(st.text("0aé", min_size=width, max_size=width), min_size=1)
    ),
    at=SLICES,
)
@settings(max_examples=200, derandomize=True, deadline=None)
def test_texts_read_like_a_tuple(texts: list[str], at: slice) -> None:
    """As numbers do; a slice of some of them is packed again or a tuple."""
    plain, packed = tuple(texts), Texts("".join(texts), len(texts[0]))
    assert packed == plain
    assert plain == packed
    assert packed == Texts("".join(texts), len(texts[0]))
    assert packed[at] == plain[at]
    assert (len(packed), repr(packed), hash(packed)) == (len(plain), repr(plain), hash(plain))
    assert tuple(packed) == plain
    assert [packed[place] for place in range(-len(plain), len(plain))] == [*plain, *plain]


def test_others_are_not_equal() -> None:
    """Other values, other widths, other kinds."""
    numbers, texts = _packed([1, 2]), Texts("abcd", 2)
    assert numbers != _packed([1, 3])
    assert numbers != (1, 2, 3)
    assert numbers != [1, 2]
    assert texts != Texts("abcd", 1)
    assert texts != ("ab", "ce")
    assert texts != ["ab", "cd"]


def test_a_place_beyond_the_end_is_an_error() -> None:
    """As with tuples, so that loops over places end."""
    for column in (_packed([1.5]), Texts("ab", 2)):
        with pytest.raises(IndexError):
            column[1]
        with pytest.raises(IndexError):
            column[-2]


def test_arrays_are_taken_as_they_are_and_cannot_be_written() -> None:
    """Judging a million items copies none of them, and changes none by mistake."""
    packed = Numbers(np.array([0.0, 1.0]))
    assert np.shares_memory(np.asarray(packed, dtype=np.float64), packed.values)
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(packed)[0] = 5.0
    np.array(packed)[0] = 5.0
    assert packed == (0.0, 1.0)
    assert np.asarray(_packed([1, 2]), dtype=np.float64).dtype == np.float64


def test_packed_items_are_the_items() -> None:
    """Whole, in part, copied and sent elsewhere."""
    plain = Items((3, 1, 2), ("aa", "bb", "cc"), {"acc": (1.0, 0.0, 1.0)})
    ids, scores = Numbers[int](np.array([3, 1, 2])), Numbers[float](np.array([1.0, 0.0, 1.0]))
    packed = Items(ids, Texts("aabbcc", 2), {"acc": scores})
    assert packed == plain
    assert packed.first(2) == plain.first(2)
    assert copy.deepcopy(packed) == plain
    assert pickle.loads(pickle.dumps(packed)) == plain


@pytest.mark.parametrize(
    ("ids", "twice"), [([], False), ([5], False), ([2, 1], False), ([1, 2, 1], True)]
)
def test_what_is_there_twice_is_seen(ids: list[int], twice: bool) -> None:
    """In tuples and packed."""
    assert has_duplicates(tuple(ids)) is twice
    assert has_duplicates(Numbers(np.array(ids, dtype=np.int64))) is twice


@given(known=st.lists(st.integers(0, 99), unique=True, min_size=1), data=st.data())
@settings(max_examples=100, derandomize=True, deadline=None)
def test_places_lead_from_one_order_to_another(known: list[int], data: st.DataObject) -> None:
    """Packed or not, some of the numbers in any order are found, and picked with their values."""
    wanted = data.draw(st.lists(st.sampled_from(known), unique=True))
    expected = tuple(known.index(number) for number in wanted)
    packed = [Numbers[int](np.array(numbers, dtype=np.int64)) for numbers in (known, wanted)]
    assert tuple(places(tuple(known), tuple(wanted))) == expected
    assert tuple(places(packed[0], packed[1])) == expected
    for column in (tuple(known), packed[0]):
        assert tuple(picked(column, places(packed[0], packed[1]))) == tuple(wanted)


@pytest.mark.parametrize("wanted", [(5, 4), (0,), (99,)])
def test_a_number_that_is_not_there_is_an_error(wanted: tuple[int, ...]) -> None:
    """Between, below and above the others, and where there are none; it is named."""
    missing = wanted[-1]
    for known in ((5, 3, 7), ()):
        with pytest.raises(KeyError) as plain:
            places(known, (missing,))
        ids = [Numbers[int](np.array(numbers, dtype=np.int64)) for numbers in (known, (missing,))]
        with pytest.raises(KeyError) as packed:
            places(ids[0], ids[1])
        assert plain.value.args == packed.value.args == (missing,)


def test_picked_items_keep_all_that_is_known_of_them() -> None:
    """Scores, weights, facts and reruns follow their item."""
    items = Items(
        (4, 9, 2),
        Texts("aabbcc", 2),
        {"m": (0.4, 0.9, 0.2)},
        {"m": (40.0, 90.0, 20.0)},
        {"tokens": (4.0, 9.0, 2.0)},
        ({"m": (0.5, 1.0, 0.3)},),
    )
    assert items_at(items, (2, 0)) == Items(
        (2, 4),
        ("cc", "aa"),
        {"m": (0.2, 0.4)},
        {"m": (20.0, 40.0)},
        {"tokens": (2.0, 4.0)},
        ({"m": (0.3, 0.5)},),
    )
