"""docker-compose.yaml, Dockerfile and .env.example say the same, and no service can start unhealthy or insecure."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
COMPOSE = (ROOT / "docker-compose.yaml").read_text()
DOCKERFILE = (ROOT / "Dockerfile").read_text()
ENV_EXAMPLE = (ROOT / ".env.example").read_text()

ONE_SHOT = {"airflow-init", "demo-seed"}
DEMO = {"demo-source", "demo-seed", "demo-s3"}
AIRFLOW = {
    "airflow-init",
    "airflow-apiserver",
    "airflow-scheduler",
    "airflow-dag-processor",
    "airflow-triggerer",
    "airflow-worker",
}
SHARED_SECRETS = {
    "AIRFLOW__CORE__FERNET_KEY",
    "AIRFLOW__API_AUTH__JWT_SECRET",
    "AIRFLOW__API__SECRET_KEY",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
    "AIRFLOW__CELERY__RESULT_BACKEND",
    "AIRFLOW__CELERY__BROKER_URL",
}
# `$$` is a literal dollar for the container's shell, so only a single one is an interpolation.
INTERPOLATION = re.compile(r"(?<!\$)(?:\$\$)*\$\{(\w+)(:?[-?+][^}]*)?\}")
SECRET_NAME = re.compile(
    r"(PASSWORD|SECRET|FERNET_KEY|JWT_SECRET|ACCESS_KEY|AUTH)$|^AIRFLOW_CONN_|CONN$|_URL$|BACKEND$"
)


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load(COMPOSE)


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return compose["services"]


def test_compose_file_follows_the_compose_schema():
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    result = subprocess.run([*command, "docker-compose.yaml"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_services_are_the_known_ones(services: dict[str, dict[str, Any]]):
    assert set(services) == AIRFLOW | DEMO | {"airflow-db", "redis"}
    assert {name for name, service in services.items() if service.get("profiles") == ["demo"]} == DEMO


def test_every_long_running_service_has_a_healthcheck_and_restarts(services: dict[str, dict[str, Any]]):
    for name in set(services) - ONE_SHOT:
        assert services[name].get("healthcheck", {}).get("test"), name
        assert services[name]["restart"] == "unless-stopped", name
    for name in ONE_SHOT:
        assert services[name]["restart"] == "no", name


def test_dependencies_exist_and_wait_for_the_right_state(services: dict[str, dict[str, Any]]):
    for name, service in services.items():
        for dependency, how in service.get("depends_on", {}).items():
            expected = "service_completed_successfully" if dependency in ONE_SHOT else "service_healthy"
            assert how["condition"] == expected, f"{name} -> {dependency}"


def test_all_airflow_services_share_one_environment(compose: dict[str, Any], services: dict[str, dict[str, Any]]):
    shared = compose["x-airflow-env"]
    assert set(shared) >= SHARED_SECRETS
    for name in AIRFLOW:
        environment = services[name]["environment"]
        assert {key: environment.get(key) for key in shared} == shared, name


def test_all_airflow_services_run_the_same_image_unprivileged(services: dict[str, dict[str, Any]]):
    for name in AIRFLOW | {"demo-seed"}:
        assert services[name]["build"] == "."
        assert services[name]["image"] == services["airflow-scheduler"]["image"]
        assert services[name]["user"].split(":")[0] not in {"0", "root"}, name


def test_the_worker_gets_a_warm_shutdown(services: dict[str, dict[str, Any]]):
    assert services["airflow-worker"]["environment"]["DUMB_INIT_SETSID"] == "0"


def test_any_number_of_workers_fits_beside_each_other(services: dict[str, dict[str, Any]]):
    """`--scale airflow-worker=2`: a name or a published port could be had by one only."""
    assert {"container_name", "hostname", "ports", "deploy"} & set(services["airflow-worker"]) == set()
    (ping,) = [part for part in services["airflow-worker"]["healthcheck"]["test"] if "inspect ping" in part]
    assert ping.strip().endswith('-d "celery@$${HOSTNAME}"')


def test_the_pool_that_backups_run_in_is_made_before_anything_starts(services: dict[str, dict[str, Any]]):
    pool = services["airflow-init"]["environment"]["DISASTER_RECOVERY_SOURCE_POOL"]
    command = services["airflow-init"]["command"]
    assert command[:3] == ["pools", "set", pool]
    assert command[3] == "${SOURCE_POOL_SLOTS:-8}"
    for name in AIRFLOW - {"airflow-init"}:
        assert services[name]["depends_on"]["airflow-init"]["condition"] == "service_completed_successfully"


def test_no_task_is_queued_again_while_it_is_at_work(services: dict[str, dict[str, Any]]):
    """Redis gives a task to another worker after the visibility timeout, beside the one that is at it."""
    name = "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT"
    dags = "\n".join(path.read_text() for path in (ROOT / "dags").glob("*.py"))
    hours = [int(found) for found in re.findall(r"execution_timeout=timedelta\(hours=(\d+)\)", dags)]
    assert max(hours) * 3600 < int(services["airflow-worker"]["environment"][name])


def test_the_values_for_the_helm_chart_say_what_compose_says(services: dict[str, dict[str, Any]]):
    page = (ROOT / "docs" / "deploying-kubernetes.md").read_text()
    (block,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    values, environment = yaml.safe_load(block), services["airflow-worker"]["environment"]
    base = re.search(r"^FROM apache/airflow:slim-([\d.]+)-", DOCKERFILE, re.MULTILINE)
    assert base is not None
    assert (values["airflowVersion"], values["executor"]) == (base[1], environment["AIRFLOW__CORE__EXECUTOR"])
    given = {entry["name"]: entry["value"] for entry in values["env"]}
    for name in ("PYTHONPATH", "DISASTER_RECOVERY_SOURCE_POOL"):
        assert given[name] == environment[name]
    connections = {name for name, value in environment.items() if name.startswith("AIRFLOW_CONN_") and value}
    assert {entry["envName"] for entry in values["secret"]} == connections
    timeout = values["config"]["celery_broker_transport_options"]["visibility_timeout"]
    assert str(timeout) == environment["AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT"]
    assert given["DISASTER_RECOVERY_SOURCE_POOL"] in page.partition("airflow pools set")[2].splitlines()[0]


def test_the_demo_seed_knows_no_real_connection(services: dict[str, dict[str, Any]]):
    environment = services["demo-seed"]["environment"]
    assert environment["PGHOST"] == "demo-source"
    assert not [key for key in environment if key.startswith("AIRFLOW")]


def test_ports_are_published_on_loopback_only(services: dict[str, dict[str, Any]]):
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def variables() -> dict[str, set[str]]:
    """Each interpolated variable with the suffixes (`:?hint`, `:-default`, none) it is used with."""
    found: dict[str, set[str]] = {}
    for name, suffix in INTERPOLATION.findall(COMPOSE):
        found.setdefault(name, set()).add(suffix)
    return found


def documented() -> dict[str, str]:
    return dict(re.findall(r"^(?:# )?([A-Z][A-Z0-9_]*)=(.*)$", ENV_EXAMPLE, re.MULTILINE))


def passed_through(services: dict[str, dict[str, Any]]) -> set[str]:
    """Variables without a value are taken from .env as they are."""
    return {
        key for service in services.values() for key, value in service.get("environment", {}).items() if value is None
    }


def test_every_variable_is_documented_and_nothing_else(services: dict[str, dict[str, Any]]):
    assert set(documented()) == set(variables()) | passed_through(services)


def test_a_variable_without_default_stops_compose_by_name():
    bare = {name: suffixes for name, suffixes in variables().items() if not all(suffixes)}
    assert bare == {}


def test_the_example_requires_what_compose_requires_and_holds_no_secret():
    to_fill_in = set(re.findall(r"^([A-Z][A-Z0-9_]*)=$", ENV_EXAMPLE, re.MULTILINE))
    required = {name for name, suffixes in variables().items() if any(suffix.startswith(":?") for suffix in suffixes)}
    assert to_fill_in == required | {"DEMO_DB_PASSWORD", "DEMO_S3_ACCESS_KEY", "DEMO_S3_SECRET_KEY"}
    assert re.findall(r"^[A-Z][A-Z0-9_]*=.+$", ENV_EXAMPLE, re.MULTILINE) == []


def test_no_secret_is_literal_or_has_a_default(services: dict[str, dict[str, Any]]):
    for name, service in services.items():
        for key, value in service.get("environment", {}).items():
            if not SECRET_NAME.search(key) or key in {
                "AIRFLOW__API__BASE_URL",
                "AIRFLOW__CORE__EXECUTION_API_SERVER_URL",
            }:
                continue
            if value is None:  # passed on from .env, where it is optional
                continue
            assert re.search(r"\$\{\w+(:\?[^}]+|:-)\}", value), f"{name}: {key} is not taken from .env"
    # user:password@host with anything but a variable for the password
    assert re.findall(r"://[^\s:/@]*:(?!\$\{\w+:\?)[^\s@/]+@", COMPOSE) == []
    assert "PASSWORD=" not in DOCKERFILE


def test_the_broker_asks_for_its_password(services: dict[str, dict[str, Any]]):
    command = services["redis"]["command"]
    assert command[command.index("--requirepass") + 1].startswith("${REDIS_PASSWORD:?")


def test_the_image_is_of_the_pinned_airflow():
    pin = re.search(r"^apache-airflow==(\S+)", (ROOT / "requirements.in").read_text(), re.MULTILINE)
    base = re.search(r"^FROM apache/airflow:(?:slim-)?([\d.]+)-python3\.(\d+)$", DOCKERFILE, re.MULTILINE)
    assert pin is not None
    assert base is not None
    assert base[1] == pin[1]
    assert 10 <= int(base[2]) <= 13


def test_pg_dump_in_the_image_is_not_older_than_any_server(services: dict[str, dict[str, Any]]):
    client = re.search(r"\bpostgresql-client-(\d+)\b", DOCKERFILE)
    servers = [re.fullmatch(r"postgres:(\d+)\S*", service["image"]) for service in services.values()]
    majors = [int(server[1]) for server in servers if server]
    assert client is not None
    assert majors
    assert int(client[1]) >= max(majors)


def test_the_image_installs_by_hash_and_carries_the_code():
    assert re.search(r"pip install .*--require-hashes", DOCKERFILE)
    for folder in ("dags", "plugins", "include", "config"):
        assert re.search(rf"^COPY .*{folder} /opt/airflow/{folder}$", DOCKERFILE, re.MULTILINE)
    assert re.search(r"^ENV PYTHONPATH=/opt/airflow$", DOCKERFILE, re.MULTILINE)
    assert re.findall(r"^USER (\w+)$", DOCKERFILE, re.MULTILINE)[-1] == "airflow"


def test_the_build_context_is_an_allow_list():
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    copied = re.findall(r"^COPY (?:--\S+ )*(\S+) ", DOCKERFILE, re.MULTILINE)
    assert {line[1:] for line in lines if line.startswith("!")} == set(copied)


def test_a_celery_that_the_airflow_provider_cannot_import_is_not_in_the_image():
    """celery 5.7 lost `celery.backends.database.retry`: the worker and the scheduler then fail at start."""
    (version,) = re.findall(r"^celery==(\d+)\.(\d+)", (ROOT / "requirements-image.txt").read_text(), re.MULTILINE)
    assert (5, 5) <= tuple(map(int, version)) < (5, 7)
