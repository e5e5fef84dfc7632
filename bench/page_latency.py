"""Latency of Backup History under load, next to Airflow's own page of DAGs, in the same run, on the same api-server.

    make bench        # or: PYTHONPATH=. .venv/bin/python bench/page_latency.py --clients 8 --rounds 40

Postgres, S3 and Airflow are started as in the tests, with `--rows` more rows of history. Every client asks for each
address in turn, again and again, each beginning with another one, so that whatever slows the machine slows all of them.
Ours is the page and the calls that it makes when it is opened; Airflow's are `/dags` and the call that fills it.
Prints p50 and p95, and the ratios to Airflow's.
"""

import argparse
import logging
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from tests.support.site import PAGE, Site, running_site

OURS = {
    "page": f"{PAGE}/",
    "overview": f"{PAGE}/api/overview",
    "table": f"{PAGE}/api/backups?limit=25",
    "me": f"{PAGE}/api/me",
}
# As the page of DAGs asks for its list.
THEIRS = {
    "/dags": "/dags",
    "/ui/dags": "/ui/dags?limit=50&offset=0&exclude_stale=true&dag_runs_limit=14&order_by=dag_display_name",
}
WARM_UP = 3  # rounds that are not counted
# Like the newest backup's row, one every night and a half; what their documents were is gone from the bucket.
ROWS = """
insert into public.backup_history (backup_type, status, file_name, file_size, execution_time_ms, tables_backed_up,
  components_backed_up, migration_count, function_count, backup_version, created_at)
select backup_type, case when n %% 50 = 7 then 'failed' else 'success' end,
  'collabhunts-backup-' || to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24-MI-SS-MS') || 'Z.json',
  file_size + n, execution_time_ms, tables_backed_up,
  components_backed_up || '{"expired": {"at": "2026-01-01T00:00:00Z", "reason": "no rule keeps it"}}',
  migration_count, function_count, backup_version, at
from (select * from public.backup_history order by created_at desc limit 1) newest,
  generate_series(1, %s) n, lateral (select newest.created_at - n * interval '36 hours' as at) moments
"""
Seconds = Mapping[str, Sequence[float]]


def one_client(site: Site, token: str, rounds: int, first: int) -> dict[str, list[float]]:
    """Ask for everything in turn, so many times, beginning with the address of that number."""
    addresses = [*OURS.items(), *THEIRS.items()]
    order = addresses[first % len(addresses) :] + addresses[: first % len(addresses)]
    seconds: dict[str, list[float]] = defaultdict(list)
    with httpx.Client(base_url=site.origin, cookies={"_token": token}, trust_env=False, timeout=60) as client:
        for number in range(rounds + WARM_UP):
            for name, address in order:
                started = time.perf_counter()
                answer = client.get(address)
                took = time.perf_counter() - started
                answer.raise_for_status()
                if number >= WARM_UP:
                    seconds[name].append(took)
    return seconds


def measure(site: Site, clients: int, rounds: int) -> dict[str, list[float]]:
    """All seconds by address, of so many clients at once."""
    token = site.token("viewer")
    together: dict[str, list[float]] = defaultdict(list)
    with ThreadPoolExecutor(clients) as pool:
        jobs = [pool.submit(one_client, site, token, rounds, number) for number in range(clients)]
        for job in jobs:
            for name, found in job.result().items():
                together[name] += found
    return together


def quantile(seconds: Sequence[float], percent: int) -> float:
    """The percentile in milliseconds."""
    return 1000 * statistics.quantiles(seconds, n=100)[percent - 1]


def report(found: Seconds) -> None:
    """A line an address, and the ratios."""
    for name, seconds in found.items():
        print(f"{name:10} p50 {quantile(seconds, 50):7.1f} ms   p95 {quantile(seconds, 95):7.1f} ms")
    for ours, theirs in (("page", "/dags"), ("overview", "/ui/dags"), ("table", "/ui/dags")):
        ratios = [quantile(found[ours], percent) / quantile(found[theirs], percent) for percent in (50, 95)]
        print(f"{ours} is {ratios[0]:.2f} x {theirs} at p50, {ratios[1]:.2f} x at p95")
    # The page's calls run side by side, after it: what somebody waits for is the page and the slowest of them.
    waits = [
        [a + max(calls) for a, *calls in zip(*(found[name] for name in group), strict=True)] for group in (OURS, THEIRS)
    ]
    for percent in (50, 95):
        ours_ms, theirs_ms = (quantile(each, percent) for each in waits)
        print(f"opened: {ours_ms:.1f} ms, Airflow's {theirs_ms:.1f} ms at p{percent}: {ours_ms / theirs_ms:.2f} x")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=40, help="how often each client asks for each address")
    parser.add_argument("--rows", type=int, default=1500)
    options = parser.parse_args()
    logging.disable(logging.WARNING)  # the test database has more tables than the settings of the tests name
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, running_site(Path(folder) / "site") as site:
        site.sql(ROWS, options.rows)
        report(measure(site, options.clients, options.rounds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
