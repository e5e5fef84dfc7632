"""What the administrator sees first."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.support.site import Site
from tests.support.visits import Visits


def test_the_first_look_answers_whether_to_when_and_in_how_long(visits: Visits, site: Site):
    page = visits.open()
    sentence = page.locator(".answer-sentence")
    expect(sentence).to_contain_text("Recoverable to")
    expect(sentence).to_contain_text(re.compile(r"full restore takes about \d+"))
    box = sentence.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] < 300
