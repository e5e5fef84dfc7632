"""A multipart upload whose completion is done while its answer is lost."""

from __future__ import annotations

import pytest

from tests.support.faulty_wire import Exchange, FaultyWire, lose_answer, once

# AWS forgets a completed upload after a while, SeaweedFS knows it by its object: the request sent again differs.
forgetful = pytest.mark.parametrize("forgets", [False, True], ids=["remembers", "forgets"])


def lose_complete(wire: FaultyWire, forgets: bool) -> None:
    """The first completion is done but its answer lost; the second finds no upload, where the server forgets."""
    wire.after = once("Complete", lose_answer)

    def second(exchange: Exchange) -> None:
        if wire.count("Complete") == 2 and exchange.operation == "Complete":
            no_such_upload(exchange)

    wire.before = second if forgets else None


def no_such_upload(exchange: Exchange) -> None:
    exchange.answer(404, b"<?xml version='1.0'?><Error><Code>NoSuchUpload</Code><Message>gone</Message></Error>")
