"""Steps in processes of their own that are killed at any moment, as the kernel kills a worker when memory runs out."""

from __future__ import annotations

import multiprocessing
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection as Pipe
from typing import Any

import boto3
from botocore.config import Config

from include.demo.stack.s3_server import S3Server
from include.disaster_recovery.s3.store import Encryption, Store
from include.disaster_recovery.settings import Settings
from include.disaster_recovery.steps.backup.cleaning import remove_staging
from tests.support.restore_rig import RestoreRig
from tests.support.rig import Rig

READY_SECONDS = 60.0
SLACK = 1.2  # of the time a step takes: now and then it has ended before its process is killed, unheard


@dataclass(frozen=True, kw_only=True)
class Given:
    """What another process needs to make the same rig."""

    client: Mapping[str, str]
    bucket: str
    encryption: Encryption
    parameters: Mapping[str, str]
    settings: Mapping[str, Any]
    run_ids: list[str]
    restores: bool


def given(rig: Rig | RestoreRig, server: S3Server) -> Given:
    keys = server.identity("admin")
    restores = isinstance(rig, RestoreRig)
    return Given(
        client={
            "endpoint_url": server.endpoint_url,
            "region_name": server.region,
            "aws_access_key_id": keys.access_key,
            "aws_secret_access_key": keys.secret_key,
        },
        bucket=rig.store.bucket,
        encryption=rig.store.encryption,
        parameters=dict(rig.parameters),
        settings=rig.settings.model_dump(mode="json"),
        run_ids=[rig.run_id] if isinstance(rig, RestoreRig) else list(rig._runs),
        restores=restores,
    )


def _rig(given: Given) -> Rig | RestoreRig:
    client = boto3.client("s3", **given.client, config=Config(s3={"addressing_style": "path"}))  # type: ignore[call-overload]
    store = Store(client=client, bucket=given.bucket, encryption=given.encryption)
    settings = Settings.model_validate(given.settings)
    if given.restores:
        return RestoreRig(given.parameters, store, settings, run_id=given.run_ids[0])
    return Rig(given.parameters, store, settings, _runs=given.run_ids)


def _work(given: Given, step: str, arguments: tuple[Any, ...], ready: Pipe) -> None:
    """Of the process that is killed."""
    rig = _rig(given)
    act: Callable[..., Any] = getattr(rig, step) if hasattr(rig, step) else lambda run: remove_staging(rig.store, run)
    ready.send("ready")
    act(*arguments)


@dataclass
class Killer:
    """Kills steps at random moments of the time that they have taken before.

    `seconds` is how long each step took; `reached` says of each kill whether the step was still at work.
    """

    rig: Rig | RestoreRig
    server: S3Server
    chance: random.Random
    seconds: dict[str, float] = field(default_factory=dict)
    reached: list[tuple[str, bool]] = field(default_factory=list)

    def timed(self, step: str, act: Callable[[], Any]) -> Any:
        """Do a step here, and remember how long it takes."""
        began = time.monotonic()
        done = act()
        self.seconds[step] = max(self.seconds.get(step, 0.0), time.monotonic() - began)
        return done

    def kill(self, step: str, *arguments: Any) -> None:
        """Do a step in a process of its own, and SIGKILL that at a random moment."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(given(self.rig, self.server), step, arguments, theirs))
        process.start()
        try:
            assert ours.poll(READY_SECONDS), f"the process of {step} did not start"
            process.join(self.chance.uniform(0, SLACK * self.seconds[step]))
            self.reached.append((step, process.is_alive()))
        finally:
            process.kill()
            process.join()
            process.close()
