"""The servers together: up in parallel, down whatever happens, without and with Airflow."""

import contextlib
import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest

from include.demo.stack.airflow_client import TaskStatus
from include.demo.stack.errors import AirflowApiError, ProcessFailed, StackError
from include.demo.stack.stack import Stack
from include.disaster_recovery.postgres import scratch

# A shell starts background jobs with SIGINT ignored, and children inherit that.
HEED_INTERRUPTS = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
PROJECT = Path(__file__).resolve().parents[2]
DAG_FILE = '''
"""Reads a row and lists the bucket over the stack's own connections."""
from airflow.sdk import dag, task

@dag(schedule=None)
def tiny():
    @task
    def numbers():
        from airflow.providers.amazon.aws.hooks.s3 import S3Hook
        from airflow.providers.postgres.hooks.postgres import PostgresHook

        user = PostgresHook(postgres_conn_id="collabhunts_db").get_first("select current_user")[0]
        keys = S3Hook(aws_conn_id="collabhunts_s3").list_keys(bucket_name="collabhunts-backups") or []
        return [user, *keys]

    @task
    def show(name):
        import os
        import shutil

        import include.demo.stack
        print("shown:", name, os.environ["GREETING"], shutil.which("airflow"))

    show.expand(name=numbers())

tiny()
'''
UP_AND_WAIT = """
import sys, time
from pathlib import Path
from include.demo.stack.stack import Stack
with Stack(folder=Path(sys.argv[1]), with_airflow=False, durable=False, report=lambda line: print(line, flush=True)):
    print("up", flush=True)
    time.sleep(300)
"""


def below(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


def assert_gone(processes: list[psutil.Process]) -> None:
    assert processes
    _, alive = psutil.wait_procs(processes, timeout=15)
    assert alive == []


def test_it_comes_up_with_its_connections(tmp_path: Path) -> None:
    lines: list[str] = []
    folder = tmp_path / "stack"
    with Stack(folder=folder, with_airflow=False, durable=False, report=lines.append) as stack:
        variables = {name: json.loads(value) for name, value in stack.connections().items()}
        database, bucket = variables["AIRFLOW_CONN_COLLABHUNTS_DB"], variables["AIRFLOW_CONN_COLLABHUNTS_S3"]
        assert (database["conn_type"], database["login"], database["schema"]) == ("postgres", "postgres", "collabhunts")
        assert database["extra"] == {"sslmode": "require"}
        drills = variables["AIRFLOW_CONN_COLLABHUNTS_DRILL_DB"]
        assert (drills["login"], drills["schema"], drills["port"]) == ("postgres", "postgres", stack.postgres.port)
        with psycopg.connect(stack.postgres.dsn("postgres", "postgres", drills["password"]), autocommit=True) as server:
            scratch.require_rights(server, "collabhunts_drill_db", ["postgres"])
        assert bucket["extra"] == {"region_name": stack.s3.region, "endpoint_url": stack.s3.endpoint_url}
        dsn = stack.postgres.dsn("collabhunts", "postgres", database["password"], sslmode="require")
        with psycopg.connect(dsn) as connection:
            connection.execute("create table kept as select 1 as value")
        first = {"password": stack.owner_password, "keys": stack.s3.identity("writer")}
        with pytest.raises(StackError, match="has no airflow"):
            _ = stack.airflow
        shown = "\n".join([*lines, repr(stack)])
        for secret in (stack.owner_password, stack.postgres.password, stack.s3.identity("admin").secret_key):
            assert secret not in shown
    assert any(re.fullmatch(r"postgres 17\.\d+ ready on 127\.0\.0\.1:\d+ \(\d+\.\d s\)", line) for line in lines)
    assert any(
        re.fullmatch(r"s3 \(seaweedfs .*\) ready on http://127\.0\.0\.1:\d+ \(\d+\.\d s\)", line) for line in lines
    )

    with Stack(folder=folder, with_airflow=False, durable=False, keep=False) as stack:
        assert {"password": stack.owner_password, "keys": stack.s3.identity("writer")} == first
        with psycopg.connect(stack.postgres.superuser_dsn("collabhunts")) as connection:
            assert connection.execute("select value from kept").fetchone() == (1,)
        home = (folder / "postgres" / "home").resolve()
    assert not folder.exists()
    assert not home.exists()


def test_an_error_while_starting_takes_everything_down(tmp_path: Path) -> None:
    def explode(stack: Stack) -> dict[str, str]:
        raise ValueError("no database today")

    before = set(psutil.Process().children(recursive=True))
    with pytest.raises(ValueError, match="no database today"):
        Stack(folder=tmp_path / "stack", with_airflow=False, durable=False, keep=False, prepare=explode).__enter__()
    assert set(psutil.Process().children(recursive=True)) - before == set()
    assert not (tmp_path / "stack").exists()


def test_one_at_a_time_in_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "stack"
    with Stack(folder=folder, with_airflow=False, durable=False, keep=False) as stack:
        with pytest.raises(StackError, match=r"another stack is running in .*\nhint: stop it"):
            Stack(folder=folder, with_airflow=False, keep=False).__enter__()
        assert stack.postgres.has_database("collabhunts")


def test_two_at_a_time(tmp_path: Path) -> None:
    def run(name: str) -> None:
        with Stack(folder=tmp_path / name, with_airflow=False, durable=False, keep=False) as stack:
            ports[name] = (stack.postgres.port, stack.s3.port)
            met.wait(60)

    ports: dict[str, tuple[int, int]] = {}
    met = threading.Barrier(2)
    threads = [threading.Thread(target=run, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({port for pair in ports.values() for port in pair}) == 4


@pytest.mark.parametrize(
    "number, status", [(signal.SIGTERM, 143), (signal.SIGINT, -signal.SIGINT), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_a_signal_leaves_nothing_running(tmp_path: Path, number: int, status: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HEED_INTERRUPTS + UP_AND_WAIT, str(tmp_path / "stack")],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout as output:
        lines = list(iter(output.readline, "up\n"))
        assert len(lines) == 2
        children = below(process.pid)
        process.send_signal(number)
        assert process.wait(30) == status
    assert_gone(children)
    # The next start finds the data of the killed one.
    with Stack(folder=tmp_path / "stack", with_airflow=False, durable=False, keep=False) as stack:
        assert stack.postgres.has_database("collabhunts")


@pytest.fixture(scope="module")
def airflow_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("airflow")
    for name in ("dags", "plugins"):
        (folder / name).mkdir()
    (folder / "dags" / "tiny.py").write_text(DAG_FILE)
    (folder / "dags" / "broken.py").write_text("from airflow.sdk import dag\nraise RuntimeError('broken on purpose')\n")

    def prepare(stack: Stack) -> dict[str, str]:
        stack.s3.client("writer").put_object(Bucket=stack.bucket, Key="a-key", Body=b"x")
        return {"GREETING": "hello"}

    stack = Stack(
        folder=folder / "stack",
        dags=folder / "dags",
        plugins=folder / "plugins",
        prepare=prepare,
        durable=False,
        keep=False,
        parallelism=4,
    )
    with stack:
        yield stack


def test_a_dag_runs_over_the_stacks_connections(airflow_stack: Stack) -> None:
    admin = airflow_stack.airflow.admin
    admin.wait_for_dag("tiny")
    admin.unpause("tiny")
    changes: list[TaskStatus] = []
    run_id = admin.trigger("tiny", {"why": "a test"})
    assert admin.wait_for_run("tiny", run_id, timeout_s=120, on_change=changes.append) == "success"
    assert admin.run_state("tiny", run_id) == "success"
    tasks = {task.label: task.state for task in admin.task_instances("tiny", run_id)}
    assert tasks == {"numbers": "success", "show[0]": "success", "show[1]": "success"}
    assert {(change.label, change.state) for change in changes} >= set(tasks.items())
    programs = Path(sys.executable).parent / "airflow"
    assert f"shown: postgres hello {programs}" in admin.task_log("tiny", run_id, "show", map_index=0)
    assert f"shown: a-key hello {programs}" in admin.task_log("tiny", run_id, "show", map_index=1)


def test_a_dag_that_does_not_parse_is_explained(airflow_stack: Stack) -> None:
    with pytest.raises(AirflowApiError, match=r"DAG broken was not parsed within 0 s\nhint: [\s\S]*broken on purpose"):
        airflow_stack.airflow.admin.wait_for_dag("broken", timeout_s=0)


def test_a_run_that_does_not_end_is_explained(airflow_stack: Stack) -> None:
    admin = airflow_stack.airflow.admin
    admin.wait_for_dag("tiny")
    admin.api("PATCH", "/api/v2/dags/tiny", {"is_paused": True})
    run_id = admin.trigger("tiny")
    with pytest.raises(
        AirflowApiError, match=r"is queued after 1 s: .*\nhint: a queued run may mean that the DAG is paused"
    ):
        admin.wait_for_run("tiny", run_id, timeout_s=1)


def test_the_viewer_only_looks(airflow_stack: Stack) -> None:
    viewer = airflow_stack.airflow.viewer
    assert viewer.request("GET", "/api/v2/dags").status_code == 200
    assert viewer.request("PATCH", "/api/v2/dags/tiny", {"is_paused": True}).status_code == 403
    with pytest.raises(AirflowApiError, match="answered 403"):
        viewer.trigger("tiny")


def test_an_expired_token_is_replaced(airflow_stack: Stack) -> None:
    admin = airflow_stack.airflow.admin
    admin._token = admin.token()[:-3] + "xxx"
    with pytest.raises(AirflowApiError, match="answered 403"):  # a forged one is not the same as an expired one
        admin.api("GET", "/api/v2/dags")
    admin._token = ""
    assert admin.api("GET", "/api/v2/dags")["total_entries"] >= 1


def test_it_listens_on_loopback_only(airflow_stack: Stack) -> None:
    sockets = psutil.net_connections("tcp")  # those of Airflow hide whose they are, unless root asks: known by port
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        with contextlib.suppress(psutil.AccessDenied):
            sockets += process.net_connections("tcp")
    ports = {httpx.URL(airflow_stack.airflow.base_url).port, airflow_stack.postgres.port, airflow_stack.s3.port}
    own = [s for s in sockets if s.status == psutil.CONN_LISTEN and (s.laddr.port in ports or not hasattr(s, "pid"))]
    assert ports <= {socket.laddr.port for socket in own}
    assert {socket.laddr.ip for socket in own} == {"127.0.0.1"}


def test_its_passwords_are_in_private_files_only(airflow_stack: Stack) -> None:
    airflow = airflow_stack.airflow
    secrets = [airflow.password("admin"), airflow.password("viewer"), airflow_stack.owner_password]
    for log in airflow.logs.glob("*.log"):
        assert not [secret for secret in secrets if secret in log.read_text()]
    for file in (airflow.home / "secrets").iterdir():
        assert file.stat().st_mode & 0o777 == 0o600
    for process in psutil.Process().children(recursive=True):
        assert not [secret for secret in secrets if secret in " ".join(process.cmdline())]


def test_a_dead_component_ends_the_wait(airflow_stack: Stack) -> None:
    """The last test: it kills the scheduler."""
    airflow = airflow_stack.airflow
    scheduler = airflow.process("scheduler")
    scheduler.signal(signal.SIGKILL)
    while scheduler.running:
        pass
    with pytest.raises(ProcessFailed, match="airflow scheduler ended with status 137"):
        airflow.check()
