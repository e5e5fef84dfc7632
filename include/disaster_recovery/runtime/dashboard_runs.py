"""Airflow's public REST API, asked in this process with the caller's own credentials: it checks rights and Params."""

import logging
from collections.abc import Container, Mapping
from typing import Any
from urllib.parse import quote

import httpx
from fastapi import Request

from include.disaster_recovery.dashboard.dags import BACKUP, OURS, RESTORE
from include.disaster_recovery.dashboard.model import DagFacts, Problem, RunningRun, RunStatus, StartedRun, TaskState
from include.disaster_recovery.dashboard.traces import trace_of
from include.disaster_recovery.errors import RunRefused, fact_of
from include.disaster_recovery.runtime.lazy_app import PARENT

log = logging.getLogger(__name__)

CREDENTIALS = ("authorization", "cookie")
PAGE = 100
MOST_TASKS = 1000
ASKS = "awaiting_input"  # as Airflow calls the task that asks
SHOWN = 300  # characters of what Airflow says
HINTS = {
    401: "log in again",
    403: "ask for the right to start runs of this DAG",
    404: "check that the DAG has been parsed: Browse > Import errors",
    409: "wait until the other run is over",
}


class AirflowRuns:
    """The runs of our DAGs as one user sees them."""

    def __init__(self, app: Any, headers: Mapping[str, str]) -> None:
        self._app, self._headers = app, dict(headers)

    async def facts(self) -> DagFacts:
        """Of the backup's DAG; a failure is a problem in the answer, not an exception."""
        try:
            dag = await self._ask("GET", f"/dags/{BACKUP}")
            wanted = {"dag_ids": list(OURS), "states": ["queued", "running"], "page_limit": PAGE}
            runs = (await self._ask("POST", "/dags/~/dagRuns/list", wanted))["dag_runs"]
            asking = await self._asking() if any(run["dag_id"] == RESTORE for run in runs) else set()
            return DagFacts(
                is_paused=dag["is_paused"],
                next_run=dag["next_dagrun_run_after"],
                running=tuple(_running(run, asking) for run in runs),
            )
        except RunRefused as error:
            return DagFacts(problem=Problem(source="airflow", fact=error.fact, hint=error.hint))
        except Exception as error:  # noqa: BLE001 - the page does without
            log.error("Airflow's answer was not understood: %s", trace_of(error))  # noqa: TRY400 - not its text
            fact = f"Airflow's answer was not understood: {fact_of(error)}"
            return DagFacts(problem=Problem(source="airflow", fact=fact, hint="read the api-server's log"))

    async def trigger(self, dag_id: str, conf: Mapping[str, Any]) -> StartedRun:
        """Start a run.

        Raises:
            RunRefused: Airflow refused it.
        """
        body = {"logical_date": None, "conf": dict(conf)}
        run = await self._ask("POST", f"/dags/{quote(dag_id, safe='')}/dagRuns", body)
        try:
            is_paused = bool((await self._ask("GET", f"/dags/{quote(dag_id, safe='')}"))["is_paused"])
        except RunRefused:  # the run has been started, which is what matters
            is_paused = False
        return StartedRun(dag_id=dag_id, run_id=run["dag_run_id"], is_paused=is_paused)

    async def status(self, dag_id: str, run_id: str) -> RunStatus:
        """How far a run is.

        Raises:
            RunRefused: there is no such run, or Airflow could not be asked.
        """
        if dag_id not in OURS:
            raise RunRefused(f"{dag_id[:100]!r} is none of our DAGs", hint=f"ask for {', '.join(OURS)}", status=404)
        if run_id.strip() in {"", ".", ".."}:  # the client would make another path of it
            raise RunRefused(f"there is no run {run_id!r}", hint="ask for a run's id", status=404)
        path = f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}"
        run = await self._ask("GET", path)
        return RunStatus(
            dag_id=dag_id,
            run_id=run["dag_run_id"],
            state=run["state"],
            started_at=run["start_date"],
            ended_at=run["end_date"],
            tasks=[_task(each) for each in await self._tasks(path)],
        )

    async def _asking(self) -> set[str]:
        """The restores that wait for an answer: Airflow calls such a run itself running."""
        try:
            path = f"/dags/{RESTORE}/dagRuns/~/hitlDetails?response_received=false&limit={PAGE}"
            found = (await self._ask("GET", path))["hitl_details"]
        except RunRefused:  # who may not answer need not know
            return set()
        return {each["task_instance"]["dag_run_id"] for each in found}

    async def _tasks(self, path: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while len(found) < MOST_TASKS:
            page = await self._ask("GET", f"{path}/taskInstances?limit={PAGE}&offset={len(found)}")
            found += page["task_instances"]
            if not page["task_instances"] or len(found) >= page["total_entries"]:
                break
        return found

    async def _ask(self, method: str, path: str, body: Any = None) -> Any:
        transport = httpx.ASGITransport(app=self._app, raise_app_exceptions=False)
        url = f"{getattr(self._app, 'root_path', '')}/api/v2{path}"
        async with httpx.AsyncClient(transport=transport, base_url="http://airflow", headers=self._headers) as client:
            answer = await client.request(method, url, json=body)
        if answer.is_error:
            raise _refused(answer, path)
        return answer.json()


def runs_of(request: Request) -> AirflowRuns:
    """The runs with the credentials of the request, from the very application that serves it."""
    headers = {name: request.headers[name] for name in CREDENTIALS if name in request.headers}
    return AirflowRuns(request.scope[PARENT], headers)


def _refused(answer: httpx.Response, path: str) -> RunRefused:
    status = answer.status_code if answer.status_code < 500 else 502
    said = _detail(answer)
    hint = HINTS.get(status, "mend what it names" if status < 500 else "read the api-server's log")
    return RunRefused(f"Airflow answered {answer.status_code} to {path[:SHOWN]}: {said}", hint=hint, status=status)


def _detail(answer: httpx.Response) -> str:
    try:
        detail = answer.json()["detail"]
    except (ValueError, LookupError, TypeError):
        return "no reason given"
    return " ".join(str(detail).split())[:SHOWN]


def _running(run: Mapping[str, Any], asking: Container[str]) -> RunningRun:
    run_id = run["dag_run_id"]
    state = ASKS if run["dag_id"] == RESTORE and run_id in asking else run["state"]
    return RunningRun(dag_id=run["dag_id"], run_id=run_id, state=state, started_at=run["start_date"])


def _task(task: Mapping[str, Any]) -> TaskState:
    mapped = str(task["map_index"]) if task["map_index"] >= 0 else ""
    label = task.get("rendered_map_index") or mapped
    return TaskState(task_id=task["task_id"], label=label or task["task_id"], state=task["state"])
