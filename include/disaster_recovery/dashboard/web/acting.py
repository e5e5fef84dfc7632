"""The routes that do something. Each asks for the right of its own, and takes JSON of this page only."""

import logging
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.concurrency import run_in_threadpool

from include.disaster_recovery.dashboard.catalogue import Catalogue
from include.disaster_recovery.dashboard.dags import BACKUP, DRILL, RESTORE, VERIFY
from include.disaster_recovery.dashboard.forms import EmptyForm, PinForm, RestoreForm, VerifyForm
from include.disaster_recovery.dashboard.model import BackupEntry, Download, StartedRun
from include.disaster_recovery.dashboard.seams import Gate, Runs, RunsOf
from include.disaster_recovery.plain_text import printable

log = logging.getLogger(__name__)

LONGEST_NAME = 100  # characters of a user in the log


def run_routes(catalogue: Catalogue, gate: Gate, runs_of: RunsOf) -> APIRouter:
    """Those that start a run."""
    router = APIRouter(prefix="/api", tags=["runs"])
    Asked = Annotated[Runs, Depends(runs_of)]  # noqa: N806 - a type

    @router.post("/backups", dependencies=[Depends(gate.may("backup"))])
    async def backup(_form: EmptyForm, runs: Asked) -> StartedRun:
        """Back up now."""
        return await runs.trigger(BACKUP, {})

    @router.post("/backups/{backup_id}/verify", dependencies=[Depends(gate.may("verify"))])
    async def verify(backup_id: str, form: VerifyForm, runs: Asked) -> StartedRun:
        """Read a backup again: every byte, or a quick look."""
        key = await run_in_threadpool(catalogue.key_of, backup_id)
        return await runs.trigger(VERIFY, {"backup_key": key, "depth": form.depth})

    @router.post("/backups/{backup_id}/drill", dependencies=[Depends(gate.may("drill"))])
    async def drill(backup_id: str, _form: EmptyForm, runs: Asked) -> StartedRun:
        """Restore a backup into a scratch database, compare, and drop that."""
        key = await run_in_threadpool(catalogue.key_of, backup_id)
        return await runs.trigger(DRILL, {"backup_key": key})

    @router.post("/restores", dependencies=[Depends(gate.may("restore"))])
    async def restore(form: RestoreForm, runs: Asked) -> StartedRun:
        """Restore, with the DAG's own Params, which the DAG checks again."""
        catalogue.check_wanted(form.backup_key)
        return await runs.trigger(RESTORE, form.to_json())

    return router


def backup_routes(catalogue: Catalogue, gate: Gate) -> APIRouter:
    """Those that are about one backup, and start no run."""
    router = APIRouter(prefix="/api/backups/{backup_id}", tags=["actions"])
    Downloader = Annotated[str, Depends(gate.may("download"))]  # noqa: N806 - types
    Keeper = Annotated[str, Depends(gate.may("pin"))]  # noqa: N806

    @router.post("/download")
    def download(backup_id: str, _form: EmptyForm, user: Downloader) -> Download:
        """A presigned link to the document: a credential for five minutes, which takes ranges."""
        found = catalogue.download(backup_id)
        log.info("%s was given a link to %s for some minutes", printable(user[:LONGEST_NAME]), found.file_name)
        return found

    @router.post("/pin")
    def pin(backup_id: str, form: PinForm, user: Keeper) -> BackupEntry:
        """Keep a backup whatever the policy says."""
        entry = catalogue.pin(backup_id, form.reason, user)
        log.info("%s pinned %s", printable(user[:LONGEST_NAME]), entry.file_name)
        return entry

    @router.post("/unpin")
    def unpin(backup_id: str, _form: EmptyForm, user: Keeper) -> BackupEntry:
        """Leave a backup to the policy again."""
        entry = catalogue.unpin(backup_id)
        log.info("%s unpinned %s", printable(user[:LONGEST_NAME]), entry.file_name)
        return entry

    return router
