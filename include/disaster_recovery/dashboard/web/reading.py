"""The routes that read. Whatever asks the bucket or the database runs in a thread of the pool."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, FastAPI, Query, Request
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.concurrency import run_in_threadpool

from include.disaster_recovery.dashboard.catalogue import Catalogue
from include.disaster_recovery.dashboard.model import (
    BackupDetail,
    BackupPage,
    Comparison,
    Me,
    Overview,
    RunStatus,
    SortKey,
    Summary,
)
from include.disaster_recovery.dashboard.report_model import Report, ReportEntry, ReportKind
from include.disaster_recovery.dashboard.seams import Gate, Runs, RunsOf
from include.disaster_recovery.dashboard.web.metrics import CONTENT_TYPE, exposition

Shown = Literal["all", "success", "failed", "expired", "in_progress"]
Text = Annotated[str | None, Query(max_length=200)]


def data_routes(catalogue: Catalogue) -> APIRouter:
    """Backups and reports."""
    router = APIRouter(prefix="/api", tags=["backups"])

    @router.get("/backups")
    def backups(
        status: Shown = "all",
        search: Text = None,
        sort: SortKey = "created_at",
        descending: bool = True,
        offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
        limit: Annotated[int, Query(ge=1, le=200)] = 25,
    ) -> BackupPage:
        """A page of the table."""
        return catalogue.page(status, search, sort, descending, offset, limit)

    @router.get("/backups/{backup_id}")
    def detail(backup_id: str, before: Text = None) -> BackupDetail:
        """One backup, beside the one before it or the one named."""
        return catalogue.detail(backup_id, before)

    @router.get("/compare")
    def compare(before: str, after: str) -> Comparison:
        """Two backups side by side: tables, rows and schema."""
        return catalogue.compare(before, after)

    @router.get("/reports/{kind}")
    def reports(kind: ReportKind) -> list[ReportEntry]:
        """The newest reports of restores, or of drills."""
        return catalogue.reports(kind)

    @router.get("/reports/{kind}/{name:path}")
    def report(kind: ReportKind, name: str) -> Report:
        """One report in full."""
        return catalogue.report(kind, name)

    return router


def state_routes(catalogue: Catalogue, gate: Gate, runs_of: RunsOf) -> APIRouter:
    """What needs Airflow's word too."""
    router = APIRouter(tags=["state"])
    Asked = Annotated[Runs, Depends(runs_of)]  # noqa: N806 - types
    Permitted = Annotated[Me, Depends(gate.permissions())]  # noqa: N806

    @router.get("/api/overview")
    async def overview(runs: Asked) -> Overview:
        """The top line, and the numbers and charts below it."""
        return await run_in_threadpool(catalogue.overview, await runs.facts())

    @router.get("/api/summary")
    async def summary(runs: Asked) -> Summary:
        """The top line in numbers, for outside monitors."""
        return await run_in_threadpool(catalogue.summary, await runs.facts())

    @router.get("/metrics", response_class=PlainTextResponse)
    async def metrics(runs: Asked) -> PlainTextResponse:
        """The same for Prometheus."""
        found = await run_in_threadpool(catalogue.summary, await runs.facts())
        return PlainTextResponse(exposition(found), media_type=CONTENT_TYPE)

    @router.get("/api/me")
    def me(found: Permitted) -> Me:
        """Who is looking, and what they may do."""
        return found

    @router.get("/api/runs/{dag_id}/{run_id:path}")
    async def run(dag_id: str, run_id: str, runs: Asked) -> RunStatus:
        """How far a run of one of our DAGs is. What one that has ended brought is listed when this is answered."""
        found = await runs.status(dag_id, run_id)
        await run_in_threadpool(catalogue.catch_up, found)
        return found

    return router


def description_routes(app: FastAPI) -> APIRouter:
    """The description of all routes, for whoever may read."""
    router = APIRouter()

    @router.get("/openapi.json", include_in_schema=False)
    def openapi(request: Request) -> JSONResponse:
        described: dict[str, Any] = {**app.openapi(), "servers": [{"url": request.scope.get("root_path", "")}]}
        return JSONResponse(described)

    return router
