"""kill -9 of tasks, scheduler, worker, Postgres and S3 under a real scheduler with two workers, at random moments.

Each case: nothing that was proven is lost, nothing is half published, and the next run needs nobody's help.
The id has seed and round: `--chaos-seed 6 --chaos-rounds 10 -k backup-worker-6.3` is that moment again.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import psycopg
import pytest

from include.demo.restore_story import fingerprints
from include.disaster_recovery.backup_record import verification_of
from include.disaster_recovery.s3.store import StoredObject
from include.disaster_recovery.s3.tags import read_tags
from include.disaster_recovery.steps.verify.examining import examine
from include.disaster_recovery.verification import Known
from tests.support.cluster import BACKUP, DRILL, RESTORE, RESTORED, Cluster
from tests.support.kills import EACH_TASK, HOLDER, SUPERVISOR, Killer

pytestmark = pytest.mark.timeout(420)

Fingerprints = dict[str, tuple[int, str]]
SHORT = [(BACKUP, EACH_TASK), (BACKUP, "worker"), (BACKUP, "scheduler"), (RESTORE, "target")]
LONG = [
    *((BACKUP, victim) for victim in (EACH_TASK, HOLDER, SUPERVISOR, "worker", "scheduler", "source", "s3")),
    *((RESTORE, victim) for victim in (EACH_TASK, SUPERVISOR, "worker", "scheduler", "target", "s3")),
    *((DRILL, victim) for victim in (EACH_TASK, SUPERVISOR, "worker", "scheduler", "target", "s3")),
]
RESTORED_TABLES = ("profiles", "notifications", "ballast")
DIVERGED = """
set session_replication_role = 'replica';
delete from notifications where kind = (select min(kind) from notifications);
update profiles set full_name = 'somebody else'
"""
SCHEMAS = "select array_agg(nspname::text order by nspname) from pg_namespace where nspname not like 'pg_t%'"
DATABASES = "select array_agg(datname::text order by datname) from pg_database where not datistemplate"
OPEN = "select count(*) from backup_history where status = 'in_progress' and components_backed_up -> 'run' is not null"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One moment each of a few victims; with --chaos-rounds, so many of every one."""
    if "victim" not in metafunc.fixturenames:
        return
    seed, rounds = metafunc.config.getoption("chaos_seed"), metafunc.config.getoption("chaos_rounds")
    victims = SHORT if rounds == 1 else LONG
    cases = [(dag_id, victim, f"{seed}.{number}") for number in range(rounds) for dag_id, victim in victims]
    ids = ["-".join([dag_id.removeprefix("collabhunts_"), victim, moment]) for dag_id, victim, moment in cases]
    metafunc.parametrize(("dag_id", "victim", "moment"), cases, ids=ids)


@pytest.fixture(scope="module")
def place(cluster: Cluster) -> str:
    """The key of a first backup, which is restored once."""
    key = cluster.first_backup()
    cluster.first_restore(key)
    return key


@pytest.fixture
def drills(cluster: Cluster, dag_id: str) -> Iterator[None]:
    """One after each backup would be too many: they sleep, but where they are what is killed."""
    cluster.pause(DRILL, paused=dag_id != DRILL)
    cluster.settle(DRILL)
    yield
    cluster.pause(DRILL)


def conf_of(dag_id: str, key: str) -> dict[str, Any]:
    if dag_id == RESTORE:
        return {"backup_key": key, "tables": RESTORED_TABLES, "mode": "replace", "require_approval": False}
    return {"backup_key": key} if dag_id == DRILL else {}


def diverged(cluster: Cluster) -> Fingerprints:
    """Make the target another than the backup."""
    with psycopg.connect(cluster.target.superuser_dsn(RESTORED), autocommit=True) as connection:
        connection.execute(DIVERGED)
    return target_state(cluster)


def target_state(cluster: Cluster) -> Fingerprints:
    return fingerprints(cluster.target.superuser_dsn(RESTORED), dict.fromkeys(RESTORED_TABLES, 0))


def source_state(cluster: Cluster) -> Fingerprints:
    return fingerprints(cluster.stack.postgres.superuser_dsn(cluster.stack.database), dict.fromkeys(RESTORED_TABLES, 0))


def documents(cluster: Cluster) -> dict[str, StoredObject | None]:
    """What the history says is a backup, as the bucket has it."""
    query = (
        "select file_name from backup_history where status = 'success' and components_backed_up -> 'run' is not null"
    )
    keys = [f"backups/{name}" for (name,) in cluster.source_sql(query)]
    return {key: cluster.store.head(key) for key in keys}


def unreadable(cluster: Cluster, key: str) -> list[str]:
    """What is wrong with a document; every byte is read."""
    stored = cluster.store.head(key)
    if stored is None:
        return [f"{key} is missing"]
    return examine(cluster.store, stored, Known(where="nowhere"), "full", now=datetime.now(timezone.utc)).findings


def lost(cluster: Cluster, proven: dict[str, StoredObject | None]) -> list[str]:
    """Which earlier backups are not what they were; the newest of them is read."""
    now = documents(cluster)
    changed = [key for key, stored in proven.items() if stored is None or now.get(key) != stored]
    return [*changed, *unreadable(cluster, max(proven))]


def half_published(cluster: Cluster, proven: dict[str, StoredObject | None]) -> list[str]:
    """New documents that somebody says are good, and are not."""
    found: list[str] = []
    success = documents(cluster)
    tagged = {
        key: verification_of(read_tags(cluster.store, key) or {})
        for key in cluster.store.keys("backups/collabhunts-backup-")
    }
    for key in sorted({*success, *(key for key, tag in tagged.items() if tag and tag.state == "valid")} - set(proven)):
        found += unreadable(cluster, key)
        if key in success and tagged.get(key) is None:
            found.append(f"{key} is a success that nobody has verified")
    return found


def left_over(cluster: Cluster) -> list[str]:
    """What a run should have taken away, and has not: of S3, of the target, of the history."""
    store, target = cluster.store, cluster.target
    with psycopg.connect(target.superuser_dsn(RESTORED)) as connection:
        ((schemas,),) = connection.execute(SCHEMAS).fetchall()
        ((databases,),) = connection.execute(DATABASES).fetchall()
    ((made,),), ((open_,),) = cluster.source_sql(SCHEMAS), cluster.source_sql(OPEN)
    return [
        *store.keys("staging/"),
        *(key for prefix in ("staging/", "backups/") for key, _ in store.uploads(prefix)),
        *(f"schema {name}" for name in sorted(set(schemas) - set(made))),
        *(f"database {name}" for name in sorted(set(databases) - {"postgres", RESTORED})),
        *(["a row in_progress"] if open_ else []),
    ]


def test_nothing_is_lost_or_half_published_and_the_next_run_is_clean(
    cluster: Cluster, place: str, drills: None, dag_id: str, victim: str, moment: str
) -> None:
    proven, conf = documents(cluster), conf_of(dag_id, place)
    before = diverged(cluster) if dag_id == RESTORE else {}
    killer = Killer(cluster, dag_id, random.Random(f"{dag_id} {victim} {moment}"))
    runs = killer.strike(victim, conf)
    cluster.settle(dag_id)
    ends = [cluster.api.run_state(dag_id, run_id) for run_id in runs]
    told = [*killer.told, *ends]
    if victim == EACH_TASK:
        assert set(ends) == {"success"}, [told, *(cluster.states(dag_id, run_id) for run_id in runs)]

    assert lost(cluster, proven) == [], told
    assert half_published(cluster, proven) == [], told
    if dag_id == RESTORE:
        whole = source_state(cluster)
        assert target_state(cluster) in ([whole] if "success" in ends else [before, whole]), told

    next_run = cluster.run(dag_id, **conf)
    assert [task for task in cluster.states(dag_id, next_run) if task[3] > 1] == [], told
    assert left_over(cluster) == [], told
    if dag_id == RESTORE:
        assert target_state(cluster) == source_state(cluster), told
