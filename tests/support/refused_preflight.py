"""A preflight that refuses, and the proof that it has written nothing."""

from __future__ import annotations

import pytest

from include.disaster_recovery.errors import DisasterRecoveryError, PreflightFailed
from tests.support.rig import Rig


def failure(rig: Rig, kind: type[DisasterRecoveryError] = PreflightFailed, **parameters: str) -> DisasterRecoveryError:
    """What preflight refuses with; the bucket must hold nothing afterwards, the database no new history."""
    history = history_rows(rig)
    with pytest.raises(kind) as caught:
        rig.preflight(**parameters)
    assert rig.store.keys("") == []
    assert rig.store.uploads("") == []
    assert history_rows(rig) == history
    assert caught.value.hint
    return caught.value


def history_rows(rig: Rig) -> list[tuple[object, ...]] | None:
    with rig.connect() as connection:
        if connection.execute("select to_regclass('public.backup_history')").fetchone() == (None,):
            return None
        return connection.execute("select id, status from public.backup_history order by id").fetchall()
