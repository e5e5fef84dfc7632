"""The embedded S3 server refuses what S3 refuses, fills up, and keeps its data."""

import json
import os
import secrets
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from include.demo.stack.errors import StackError
from include.demo.stack.ports import GRPC_OFFSET
from include.demo.stack.s3_server import S3Server

MIB = 1024 * 1024
LISTING = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::collabhunts-backups"}],
}
ONE_TRY = Config(retries={"total_max_attempts": 1})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    server = S3Server(folder=tmp_path_factory.mktemp("s3"))
    try:
        server.start().create_bucket()
        yield server
    finally:
        server.destroy()


def status_of(error: pytest.ExceptionInfo[ClientError]) -> tuple[int, str]:
    return error.value.response["ResponseMetadata"]["HTTPStatusCode"], error.value.response["Error"]["Code"]


def read(client: Any, bucket: str, key: str, **options: str) -> bytes:
    return bytes(client.get_object(Bucket=bucket, Key=key, **options)["Body"].read())


def test_put_get_range_and_delete(server: S3Server) -> None:
    client = server.client("writer")
    client.put_object(Bucket=server.bucket, Key="a/b.json", Body=b"0123456789", ServerSideEncryption="AES256")
    assert read(client, server.bucket, "a/b.json") == b"0123456789"
    assert read(client, server.bucket, "a/b.json", Range="bytes=2-4") == b"234"
    client.delete_object(Bucket=server.bucket, Key="a/b.json")
    with pytest.raises(ClientError) as error:
        client.get_object(Bucket=server.bucket, Key="a/b.json")
    assert status_of(error) == (404, "NoSuchKey")


def test_multipart_with_a_copied_range_and_one_winner(server: S3Server) -> None:
    client, bucket = server.client("writer"), server.bucket
    source, small = secrets.token_bytes(6 * MIB), b"the end"
    client.put_object(Bucket=bucket, Key="source", Body=source)
    checksum: dict[str, Any] = {"ChecksumAlgorithm": "CRC64NVME", "ChecksumType": "FULL_OBJECT"}
    upload = client.create_multipart_upload(Bucket=bucket, Key="whole", **checksum)["UploadId"]
    part = {"Bucket": bucket, "Key": "whole", "UploadId": upload}
    copied = client.upload_part_copy(
        **part, PartNumber=1, CopySource=f"{bucket}/source", CopySourceRange=f"bytes=0-{5 * MIB - 1}"
    )["CopyPartResult"]
    sent = client.upload_part(**part, PartNumber=2, Body=small, ChecksumAlgorithm="CRC64NVME")
    parts = [
        {"PartNumber": number, "ETag": piece["ETag"], "ChecksumCRC64NVME": piece["ChecksumCRC64NVME"]}
        for number, piece in ((1, copied), (2, sent))
    ]
    client.complete_multipart_upload(
        **part, MultipartUpload={"Parts": parts}, IfNoneMatch="*", ChecksumType="FULL_OBJECT"
    )
    assert read(client, bucket, "whole") == source[: 5 * MIB] + small


def test_only_the_first_writer_of_a_key_wins(server: S3Server) -> None:
    client = server.client("writer")
    client.put_object(Bucket=server.bucket, Key="lock", Body=b"first", IfNoneMatch="*")
    with pytest.raises(ClientError) as error:
        client.put_object(Bucket=server.bucket, Key="lock", Body=b"second", IfNoneMatch="*")
    assert status_of(error) == (412, "PreconditionFailed")
    assert read(client, server.bucket, "lock") == b"first"


def test_a_wrong_checksum_is_refused(server: S3Server) -> None:
    with pytest.raises(ClientError) as error:
        server.client("writer").put_object(Bucket=server.bucket, Key="x", Body=b"x", ChecksumCRC64NVME="AAAAAAAAAAA=")
    assert status_of(error)[0] == 400


def test_the_reader_reads_and_nothing_else(server: S3Server) -> None:
    server.client("writer").put_object(Bucket=server.bucket, Key="read me", Body=b"x")
    reader = server.client("reader")
    assert read(reader, server.bucket, "read me") == b"x"
    for refused in (
        lambda: reader.put_object(Bucket=server.bucket, Key="y", Body=b"y"),
        lambda: reader.delete_object(Bucket=server.bucket, Key="read me"),
        lambda: reader.create_multipart_upload(Bucket=server.bucket, Key="y"),
    ):
        with pytest.raises(ClientError) as error:
            refused()
        assert status_of(error) == (403, "AccessDenied")


def test_the_writer_is_confined_to_its_bucket(server: S3Server) -> None:
    other = server.create_bucket("another-bucket")
    with pytest.raises(ClientError) as error:
        server.client("writer").put_object(Bucket=other, Key="y", Body=b"y")
    assert status_of(error) == (403, "AccessDenied")


def test_nobody_comes_in_without_a_key(server: S3Server) -> None:
    for lease in server._leases:
        with pytest.raises(urllib.error.URLError):
            urllib.request.urlopen(f"http://{server.host}:{lease.port}/{server.bucket}/read%20me", timeout=5)


def test_secrets_stay_in_one_private_file(server: S3Server) -> None:
    config = server.folder / "s3.json"
    assert config.stat().st_mode & 0o777 == 0o600
    for name in ("admin", "writer", "reader"):
        secret = server.identity(name).secret_key  # type: ignore[arg-type]
        assert secret in config.read_text()
        assert secret not in repr(server) + repr(server.identity(name))  # type: ignore[arg-type]
        assert secret not in server.log_file.read_text()
        assert secret not in Path(f"/proc/{server.process.pid}/cmdline").read_text()


def test_a_bucket_is_created_once(server: S3Server) -> None:
    assert server.create_bucket() == server.create_bucket() == server.bucket


@pytest.mark.parametrize("how", ["stop", "kill", "new process"])
def test_data_and_keys_outlive_a_restart(tmp_path: Path, how: str) -> None:
    policies = {"lister": [json.dumps(LISTING)]}
    server = S3Server(folder=tmp_path / "s3", policies=policies)
    try:
        server.start().create_bucket()
        keys = dict(server.identities)
        server.client("writer").put_object(Bucket=server.bucket, Key="kept", Body=b"x" * MIB)
        endpoint = server.endpoint_url
        server.stop(kill=how == "kill")
        if how == "new process":
            server.close()
            server = S3Server(folder=tmp_path / "s3", policies=policies)
        server.start()
        assert (server.endpoint_url == endpoint) is (how != "new process")
        assert server.identities == keys
        assert read(server.client("reader"), server.bucket, "kept") == b"x" * MIB
        lister = server.client("lister")
        assert [each["Key"] for each in lister.list_objects_v2(Bucket=server.bucket)["Contents"]] == ["kept"]
        with pytest.raises(ClientError, match="AccessDenied"):
            read(lister, server.bucket, "kept")
    finally:
        server.destroy()
    assert not server.folder.exists()


def test_its_sockets_are_its_own_and_go_with_it(tmp_path: Path) -> None:
    """weed's defaults, /tmp/seaweedfs-s3-PORT.sock, outlive it; one of another user then kept a bucket from working.

    Those of gRPC (/tmp/seaweedfs-volume-grpc-PORT.sock) no flag moves: they are removed with the server.
    """
    server = S3Server(folder=tmp_path / "s3")
    try:
        server.start()
        assert server._sockets is not None
        folder = Path(server._sockets.name)
        assert {"filer.sock", "s3.sock"} >= {path.name for path in folder.iterdir()} > set()
        assert not [name for name in ("s3", "filer") if Path(f"/tmp/seaweedfs-{name}-{server.port}.sock").exists()]
        of_grpc = [
            path
            for lease in server._leases
            for path in Path("/tmp").glob(f"seaweedfs-*-grpc-{lease.port + GRPC_OFFSET}.sock")
        ]
        assert of_grpc
    finally:
        server.destroy()
    assert not [path for path in (folder, *of_grpc) if path.exists()]


def put_one_mib(client: Any, bucket: str, key: str) -> bool:
    """Whether the disk had room for it."""
    try:
        client.put_object(Bucket=bucket, Key=key, Body=os.urandom(MIB))
    except client.exceptions.ClientError as error:
        if error.response["Error"]["Code"] != "InternalError":
            raise
        return False
    return True


def test_a_full_disk(tmp_path: Path) -> None:
    server = S3Server(folder=tmp_path / "s3", capacity_mb=16)
    try:
        server.start().create_bucket()
        client = server.client("writer", ONE_TRY)
        stored = 0
        while stored < 64 and put_one_mib(client, server.bucket, str(stored)):
            stored += 1
        assert 8 <= stored <= 24
        upload = client.create_multipart_upload(Bucket=server.bucket, Key="big")["UploadId"]
        with pytest.raises(ClientError) as error:
            client.upload_part(Bucket=server.bucket, Key="big", UploadId=upload, PartNumber=1, Body=os.urandom(5 * MIB))
        assert status_of(error) == (500, "InternalError")
        assert len(read(client, server.bucket, "0")) == MIB
        server.stop()
        server.capacity_mb = None
        server.start()
        client.put_object(Bucket=server.bucket, Key="room again", Body=os.urandom(MIB))
        assert len(client.list_objects_v2(Bucket=server.bucket)["Contents"]) == stored + 1
    finally:
        server.destroy()


def test_two_at_a_time(tmp_path: Path) -> None:
    servers = [S3Server(folder=tmp_path / str(number)) for number in range(2)]
    try:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(S3Server.start, servers))
        for number, server in enumerate(servers):
            server.create_bucket()
            server.client("writer").put_object(Bucket=server.bucket, Key="whose", Body=str(number).encode())
        assert [read(one.client("reader"), one.bucket, "whose") for one in servers] == [b"0", b"1"]
        with pytest.raises(ClientError) as error:
            servers[0].client("writer").copy_object(  # a key of one server is unknown to the other
                Bucket=servers[0].bucket, Key="x", CopySource="no-such-bucket/whose"
            )
        assert status_of(error)[0] in (403, 404)
    finally:
        for server in servers:
            server.destroy()


def test_a_stopped_server_continues_where_it_was(server: S3Server) -> None:
    """SIGSTOP is a hung server: the client's read times out, and nothing is lost after."""
    from botocore.exceptions import ReadTimeoutError

    client = server.client("writer", Config(read_timeout=1, retries={"total_max_attempts": 1}))
    client.put_object(Bucket=server.bucket, Key="before", Body=b"x")
    server.process.signal(signal.SIGSTOP)
    with pytest.raises(ReadTimeoutError):
        client.get_object(Bucket=server.bucket, Key="before")
    server.process.signal(signal.SIGCONT)
    assert read(client, server.bucket, "before") == b"x"


def test_it_has_no_port_before_it_starts(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="has no port before it is started"):
        _ = S3Server(folder=tmp_path).endpoint_url
