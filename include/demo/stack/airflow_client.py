"""A small client of Airflow's REST API: trigger a DAG, follow its run, read a task's log."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx

from include.demo.stack.errors import AirflowApiError

FINAL_RUN_STATES = frozenset({"success", "failed"})
PAGE = 100
POLL_S = 0.3
HTTP_UNAUTHORIZED = 401
HTTP_NOT_FOUND = 404


@dataclass(frozen=True, kw_only=True)
class TaskStatus:
    """State of one task instance; `map_index` is -1 for a task that is not mapped, `label` names it for people."""

    task_id: str
    map_index: int
    label: str
    state: str
    try_number: int
    duration_s: float | None


def _nothing() -> None:
    """The default check of `AirflowClient`."""


@dataclass(kw_only=True)
class AirflowClient:
    """One user of one Airflow. `check` is called while waiting and raises when a component has died."""

    base_url: str
    username: str
    password: str = field(repr=False)
    check: Callable[[], None] = field(default=_nothing, repr=False)
    timeout_s: float = 60.0
    _http: httpx.Client | None = field(default=None, init=False, repr=False)
    _token: str = field(default="", init=False, repr=False)

    def token(self) -> str:
        """A fresh JWT of the user, for `Authorization: Bearer`. Raises AirflowApiError when the login is refused."""
        login = {"username": self.username, "password": self.password}
        answer = self._client().post("/auth/token", json=login)
        if answer.is_error:
            raise AirflowApiError(f"login of {self.username} answered {answer.status_code}")
        self._token = answer.json()["access_token"]
        return self._token

    def request(self, method: str, path: str, json: Any = None, **params: Any) -> httpx.Response:
        """Send one request with the user's token; `path` begins with /. The answer is returned whatever its status."""
        answer = self._send(method, path, json, params)
        if answer.status_code == HTTP_UNAUTHORIZED:  # the token has expired
            self._token = ""
            answer = self._send(method, path, json, params)
        return answer

    def api(self, method: str, path: str, json: Any = None, **params: Any) -> Any:
        """Send one request and return the parsed JSON (None when empty). Raises AirflowApiError at a status >= 400."""
        answer = self.request(method, path, json, **params)
        if answer.is_error:
            raise AirflowApiError(f"{method} {path} answered {answer.status_code}: {answer.text[:500]}")
        return answer.json() if answer.content else None

    def unpause(self, dag_id: str) -> None:
        """Let the scheduler start runs of the DAG (new DAGs are paused)."""
        self.api("PATCH", f"/api/v2/dags/{_quoted(dag_id)}", {"is_paused": False})

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None) -> str:
        """Create a run with `conf` and return its id; it starts when the DAG is not paused."""
        body = {"logical_date": None, "conf": dict(conf or {})}
        return str(self.api("POST", f"/api/v2/dags/{_quoted(dag_id)}/dagRuns", body)["dag_run_id"])

    def run_state(self, dag_id: str, run_id: str) -> str:
        """State of a run: queued, running, success or failed."""
        return str(self.api("GET", _run_path(dag_id, run_id))["state"])

    def task_instances(self, dag_id: str, run_id: str) -> list[TaskStatus]:
        """Every task instance of a run, mapped ones one by one."""
        found: list[TaskStatus] = []
        while True:
            path = f"{_run_path(dag_id, run_id)}/taskInstances"
            page = self.api("GET", path, limit=PAGE, offset=len(found))
            found += [_task_status(entry) for entry in page["task_instances"]]
            if not page["task_instances"] or len(found) >= page["total_entries"]:
                return found

    def wait_for_run(
        self,
        dag_id: str,
        run_id: str,
        timeout_s: float = 300.0,
        on_change: Callable[[TaskStatus], None] | None = None,
    ) -> str:
        """Follow a run to its end and return success or failed; `on_change` gets each task instance at each new state.

        Raises AirflowApiError, with the states of all tasks, when it has not ended after `timeout_s` seconds.
        """
        deadline = time.monotonic() + timeout_s
        seen: dict[tuple[str, int], tuple[str, int]] = {}
        while True:
            state = self.run_state(dag_id, run_id)
            tasks = self.task_instances(dag_id, run_id)
            _report_changes(tasks, seen, on_change)
            if state in FINAL_RUN_STATES:
                return state
            if time.monotonic() > deadline:
                states = ", ".join(f"{task.label} {task.state}" for task in tasks)
                raise AirflowApiError(
                    f"run {run_id} of {dag_id} is {state} after {timeout_s:.0f} s: {states}",
                    hint="a queued run may mean that the DAG is paused; read the scheduler's log",
                )
            self.check()
            time.sleep(POLL_S)

    def wait_for_dag(self, dag_id: str, timeout_s: float = 120.0) -> None:
        """Wait until the dag-processor has parsed the DAG. Raises AirflowApiError, with the import errors, else."""
        deadline = time.monotonic() + timeout_s
        while self.request("GET", f"/api/v2/dags/{_quoted(dag_id)}").status_code == HTTP_NOT_FOUND:
            if time.monotonic() > deadline:
                errors = "\n".join(self.import_errors().values())
                raise AirflowApiError(
                    f"DAG {dag_id} was not parsed within {timeout_s:.0f} s", hint=errors or "no such DAG"
                )
            self.check()
            time.sleep(POLL_S)

    def import_errors(self) -> dict[str, str]:
        """File name -> traceback of every DAG file that could not be imported."""
        page = self.api("GET", "/api/v2/importErrors", limit=PAGE)
        return {str(entry["filename"]): str(entry["stack_trace"]) for entry in page["import_errors"]}

    def task_log(self, dag_id: str, run_id: str, task_id: str, *, try_number: int = 1, map_index: int = -1) -> str:
        """The log of one try as lines of text."""
        path = f"{_run_path(dag_id, run_id)}/taskInstances/{_quoted(task_id)}/logs/{try_number}"
        content = self.api("GET", path, map_index=map_index, full_content=True)["content"]
        return "\n".join(entry if isinstance(entry, str) else str(entry.get("event", "")) for entry in content)

    def close(self) -> None:
        """Close the connections."""
        if self._http is not None:
            self._http.close()
            self._http = None

    def _send(self, method: str, path: str, json: Any, params: Mapping[str, Any]) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self._token or self.token()}"}
        return self._client().request(method, path, json=json, params=params or None, headers=headers)

    def _client(self) -> httpx.Client:
        if self._http is None:  # trust_env: a proxy has no business with 127.0.0.1
            self._http = httpx.Client(base_url=self.base_url, timeout=self.timeout_s, trust_env=False)
        return self._http


def _report_changes(
    tasks: list[TaskStatus],
    seen: dict[tuple[str, int], tuple[str, int]],
    on_change: Callable[[TaskStatus], None] | None,
) -> None:
    for task in tasks:
        now = (task.state, task.try_number)
        if seen.get((task.task_id, task.map_index)) != now:
            seen[task.task_id, task.map_index] = now
            if on_change is not None:
                on_change(task)


def _task_status(entry: Mapping[str, Any]) -> TaskStatus:
    index = int(entry["map_index"])
    mapped = f"[{entry.get('rendered_map_index') or index}]" if index >= 0 else ""
    return TaskStatus(
        task_id=entry["task_id"],
        map_index=index,
        label=f"{entry['task_id']}{mapped}",
        state=entry["state"] or "none",
        try_number=int(entry["try_number"]),
        duration_s=entry["duration"],
    )


def _run_path(dag_id: str, run_id: str) -> str:
    return f"/api/v2/dags/{_quoted(dag_id)}/dagRuns/{_quoted(run_id)}"


def _quoted(name: str) -> str:
    return quote(name, safe="")
