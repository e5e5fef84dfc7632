"""`python -m include.demo demo` runs the whole story and ends; `… up` starts the same stack and waits for Ctrl-C."""

import argparse
import os
import sys
import time

from include.demo import backup_story, restore_story
from include.demo.console import Console
from include.demo.database.builder import build_database
from include.demo.stack.airflow_server import PROJECT
from include.demo.stack.errors import StackError
from include.demo.stack.stack import OWNER, Stack

FOLDER = PROJECT / ".demo"
UI_PORT = 8080
FOLLOWERS = ("collabhunts_drill", "collabhunts_verify", "collabhunts_restore", "collabhunts_retention")


def demo(size: float) -> int:
    """Back up a marketplace, destroy it, restore it; 0 when what came back equals what was there."""
    console = Console()
    console.line("starting Postgres, an S3 server and Airflow in a temporary folder")
    folder = FOLDER / f"demo-{os.getpid()}"
    with restore_story.empty_server(FOLDER / f"{folder.name}-target", console) as target:

        def prepare(stack: Stack) -> dict[str, str]:
            backup_story.build(stack, console, size)
            return restore_story.connection_to(target)

        with Stack(folder=folder, report=console.line, prepare=prepare, keep=False, durable=False) as stack:
            backup = backup_story.back_up(stack, console, FOLDER)
            rows = backup_story.look_at(stack, backup)
            backup_story.summarise(backup, rows, console)
            before = restore_story.fingerprints(stack.postgres.superuser_dsn(stack.database), rows)
            restore_story.destroy(stack, console)
            restored = restore_story.restore(stack, console, backup)
            after = restore_story.fingerprints(target.superuser_dsn(restore_story.TARGET), rows)
            restore_story.compare(before, after)
            restore_story.summarise(restored, after, target, stack, console)
    console.line("everything is stopped; the document stays where it says")
    return 0


def up(size: float) -> int:
    """Start everything, keep its data in `.demo/up`, and wait for Ctrl-C."""
    console = Console()

    def prepare(stack: Stack) -> dict[str, str]:
        marker = stack.folder / "database.built"
        if not marker.exists():
            build_database(stack.postgres.superuser_dsn(stack.database), owner_password=stack.owner_password, size=size)
            marker.touch()
        if not stack.postgres.has_database(restore_story.TARGET):
            stack.postgres.create_database(restore_story.TARGET, owner=OWNER)
        return {"AIRFLOW_CONN_COLLABHUNTS_RESTORE_DB": stack.connection_to(restore_story.TARGET)}

    with Stack(
        folder=FOLDER / "up", report=console.line, prepare=prepare, triggerer=True, airflow_port=UI_PORT
    ) as stack:
        console.table(
            "Ready, until Ctrl-C",
            [
                ("Airflow", stack.airflow.base_url),
                ("log in as", f"admin, password in {stack.folder / 'airflow' / 'secrets' / 'admin.password'}"),
                ("Backup History", f"{stack.airflow.base_url}/plugin/backup-history"),
                ("backups", "nightly; that of last midnight is taken if it is missing, a drill follows"),
                ("bucket", f"s3://{stack.bucket} on {stack.s3.endpoint_url}"),
                ("restore", f"trigger {restore_story.DAG}, with restore_schema the first time"),
                ("source", f"{stack.postgres.host}:{stack.postgres.port}/{stack.database}"),
                ("empty target", f"{stack.postgres.host}:{stack.postgres.port}/{restore_story.TARGET}"),
                ("data", str(stack.folder)),
            ],
        )
        backup_story.unpause(stack, (backup_story.DAG, *FOLLOWERS))
        while True:
            time.sleep(1)
            stack.airflow.check()


def main() -> int:
    """Run the command that was asked for."""
    parser = argparse.ArgumentParser(prog="python -m include.demo", description=__doc__)
    parser.add_argument("command", choices=["demo", "up"])
    parser.add_argument("--size", type=float, default=1.0, help="rows of the marketplace; 1 means about 65,000")
    options = parser.parse_args()
    try:
        return {"demo": demo, "up": up}[options.command](options.size)
    except (StackError, backup_story.DemoFailed) as error:
        print(f"\nfailed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 0 if options.command == "up" else 130


if __name__ == "__main__":
    sys.exit(main())
