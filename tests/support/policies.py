"""The IAM policies of `include/aws`, filled in as Terraform fills them in, and a server that enforces them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from string import Template
from typing import Any

from include.demo.stack.s3_server import S3Server
from include.disaster_recovery.s3.store import Encryption, Store
from include.disaster_recovery.settings import Settings

AWS = Path(__file__).resolve().parents[2] / "include" / "aws"
POLICIES = AWS / "policies"
IDENTITIES: dict[str, list[str]] = json.loads((AWS / "identities.json").read_text())
BUCKET = "collabhunts-backups"
S3 = Settings().s3
VALUES = {
    "partition": "aws",
    "bucket": BUCKET,
    "prefix": S3.prefix,
    "staging_prefix": S3.staging_prefix,
    "sse": str(S3.sse),
    "kms_key_arn": "arn:aws:kms:eu-central-1:111122223333:key/0a1b",
    "log_bucket": "collabhunts-backups-logs",
    "account_id": "111122223333",
}


def rendered(name: str) -> str:
    """One policy as JSON; `templatefile` of Terraform and `Template` write a variable in the same way."""
    return Template((POLICIES / f"{name}.json").read_text()).substitute(VALUES)


def statements(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(rendered(name))["Statement"]
    return found


def names() -> list[str]:
    return sorted(file.stem for file in POLICIES.glob("*.json"))


def governed_server(folder: Path) -> Iterator[S3Server]:
    """A server with the bucket set up, on which each identity may do what its policies say, and nothing else."""
    policies = {name: [rendered(each) for each in several] for name, several in IDENTITIES.items()}
    server = S3Server(folder=folder, bucket=BUCKET, policies=policies)
    try:
        server.start().create_bucket()
        _set_up(server.client("admin"))
        yield server
    finally:
        server.destroy()


def _set_up(client: Any) -> None:
    """As the Terraform module does, as far as the server has it."""
    default = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": S3.sse}}]}
    client.put_bucket_encryption(Bucket=BUCKET, ServerSideEncryptionConfiguration=default)
    client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    client.put_object_lock_configuration(Bucket=BUCKET, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"})


def store_of(server: S3Server, identity: str) -> Store:
    return Store(client=server.client(identity), bucket=BUCKET, encryption=Encryption(algorithm="AES256"))


def put_bucket_policy(server: S3Server, *left_out: str) -> None:
    """Set the bucket's own policy, less the statements named."""
    document = json.loads(rendered("bucket"))
    document["Statement"] = [each for each in document["Statement"] if each["Sid"] not in left_out]
    server.client("admin").put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(document))
