"""Alerts as text, mail and JSON; and that every kind is described."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.disaster_recovery.alerting import (
    KINDS,
    LONGEST_SUBJECT,
    firing,
    html,
    one_line,
    payload,
    plain_text,
    resolved,
)

PROJECT = Path(__file__).resolve().parents[2]
NOON = datetime(2026, 3, 1, 13, 0, tzinfo=timezone(timedelta(hours=1)))


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_says_what_it_means_and_what_to_do(kind: str):
    text = plain_text(firing(kind, "messages", "0 rows", link=None, at=NOON))
    assert text.splitlines()[0].startswith("[CollabHunts backup] ")
    for said in ("What happened: 0 rows", f"What it means: {KINDS[kind].meaning}", f"What to do: {KINDS[kind].action}"):
        assert said in text
    assert "When: 2026-03-01 12:00:00 UTC" in text


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_is_on_the_alerts_page(kind: str):
    page = (PROJECT / "docs" / "alerts.md").read_text()
    assert f"| `{kind}` |" in page


def test_an_unknown_kind_is_told_all_the_same():
    assert "what it is" in plain_text(firing("new-kind", "x", "what it is", link=None, at=NOON))


def test_the_all_clear_names_what_is_over():
    alert = resolved("backup-late", "the bucket", "there is one", link=None, at=NOON)
    assert alert.headline == "[CollabHunts backup] all clear: no longer: the backup is late: the bucket"


@given(text=st.text(), subject=st.text())
def test_whatever_it_says_the_headline_is_one_line_and_the_json_valid(text: str, subject: str):
    alert = firing("backup-unusual", subject, text, link=None, at=NOON)
    assert alert.headline.isprintable()
    assert len(alert.headline) <= LONGEST_SUBJECT
    assert json.loads(json.dumps(payload(alert)))["subject"] == one_line(subject)
    assert alert.fact.isprintable()


@given(text=st.text(alphabet="<>&\"' a"))
def test_mail_is_escaped(text: str):
    marked = html(firing("backup-unusual", "t", f"<script>{text}", link=None, at=NOON))
    assert "<script" not in marked


def test_only_web_addresses_become_links():
    assert "<a href" not in html(firing("backup-failed", "x", "y", link="javascript:alert(1)", at=NOON))
    assert '<a href="https://a.example/?x=1&amp;y=2">' in html(
        firing("backup-failed", "x", "y", link="https://a.example/?x=1&y=2", at=NOON)
    )
