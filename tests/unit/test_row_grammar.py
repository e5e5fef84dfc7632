"""The grammar that rows are checked with is JSON's."""

import json
import math
import string

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from include.disaster_recovery.stream import checker

ROWS = msgspec.json.Decoder(list[msgspec.Raw])


def by_msgspec(data: bytes) -> bool:
    try:
        data.decode("utf-8")
        ROWS.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True


class _KnownDifferenceError(Exception):
    """NaN and the infinities, which the json module takes and JSON does not know."""


def _refuse(constant: str) -> None:
    raise _KnownDifferenceError(constant)


def by_json(data: bytes) -> bool:
    try:
        return isinstance(json.loads(data.decode("utf-8"), parse_constant=_refuse), list)
    except (ValueError, _KnownDifferenceError):
        return False


def has_lone_surrogate(data: bytes) -> bool:
    """Such an escape is JSON, but msgspec refuses it; Postgres never writes one."""
    try:
        json.dumps(json.loads(data), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    except ValueError:
        return False
    return False


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
valid = st.builds(
    lambda value, ascii_only, indent: json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode(),
    st.lists(json_values, max_size=4),
    st.booleans(),
    st.sampled_from([None, 1, "\t"]),
)
TELLING = [*string.printable.encode(), 0, 0x1F, 0x7F, 0x80, 0xC0, 0xED, 0xFF]


@given(valid)
def test_what_json_takes_as_rows_is_taken(data: bytes):
    assert by_msgspec(data)


@given(valid, st.data())
@settings(max_examples=600, deadline=None)
def test_a_mutated_text_is_taken_exactly_if_it_is_still_json(data: bytes, draw: st.DataObject):
    at = draw.draw(st.integers(0, len(data) - 1))
    byte = bytes([draw.draw(st.sampled_from(TELLING))])
    mutated = draw.draw(
        st.sampled_from(
            [
                data[:at] + byte + data[at + 1 :],
                data[:at] + byte + data[at:],
                data[:at] + data[at + 1 :],
                data[:at],
                data[:at] + data[at : at + 4] + data[at:],
            ]
        )
    )
    if not has_lone_surrogate(mutated):
        assert by_msgspec(mutated) == by_json(mutated), mutated


@given(st.text('{}[],:"\\0123456789.eE+-truefalsn \n/u', max_size=12).map(lambda text: f"[{text}]".encode()))
@example(b'["\\/"]')
@example(b"[-0]")
@example(b"[-0.0e-0]")
@example(b"[1e999999]")
@settings(max_examples=600, deadline=None)
def test_a_text_of_jsons_own_characters_is_taken_exactly_if_it_is_json(data: bytes):
    if not has_lone_surrogate(data):
        assert by_msgspec(data) == by_json(data), data


@pytest.mark.parametrize("text", [b"[NaN]", b"[Infinity]", b"[-Infinity]", b'["\\ud800"]', b'["\\udc00\\ud800"]'])
def test_the_known_differences_are_refused(text: bytes):
    assert isinstance(json.loads(text), list)
    assert not by_msgspec(text)


def test_large_numbers_are_not_read_as_numbers():
    assert by_msgspec(b"[1e999999]")
    assert math.isinf(json.loads(b"[1e999999]")[0])


def test_values_nested_deeper_than_pythons_limit_are_checked_too():
    deep = b"[" * 5000 + b"1" + b"]" * 5000
    assert checker._parsed(bytearray(b'{"a":%b}' % deep), 1) == 1
    with pytest.raises(ValueError, match="batch 1 is not valid JSON"):
        checker._parsed(bytearray(b'{"a":%b}' % deep.replace(b"1]", b"1}", 1)), 1)
