"""A whole backup of CollabHunts over real servers."""

import pytest

from include.disaster_recovery.document import VALUE_OPENING
from tests.support.rig import Rig


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_document_holds_every_row_of_every_table(rig: Rig, compression: str) -> None:
    outcome = rig.with_settings(compression=compression).backup()
    with rig.connect() as connection:
        for name, table in outcome.backup["tables"].items():
            schema, _, bare = name.rpartition(".")
            (count,) = connection.execute(f'select count(*) from "{schema or "public"}"."{bare}"').fetchone()
            assert len(table["rows"]) == table["row_count"] == count, name
    assert outcome.verdict.valid
    assert VALUE_OPENING in outcome.plain
