"""`python -m include.demo demo` runs the whole story and ends; `… up` starts the same stack and waits for Ctrl-C."""

import argparse
import os
import sys
import time
from functools import partial

from include.demo import backup_story
from include.demo.console import Console
from include.demo.database.builder import build_database
from include.demo.stack.airflow_server import PROJECT
from include.demo.stack.errors import StackError
from include.demo.stack.stack import Stack

FOLDER = PROJECT / ".demo"
UI_PORT = 8080


def demo(size: float) -> int:
    """Back up a marketplace under a real scheduler; 0 when the backup is verified."""
    console = Console()
    console.line("starting Postgres, an S3 server and Airflow in a temporary folder")
    prepare = partial(backup_story.build, console=console, size=size)
    folder = FOLDER / f"demo-{os.getpid()}"
    with Stack(folder=folder, report=console.line, prepare=prepare, keep=False, durable=False) as stack:
        backup = backup_story.back_up(stack, console, FOLDER)
        rows = backup_story.look_at(stack, backup)
        backup_story.summarise(backup, rows, console)
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
        return {}

    with Stack(
        folder=FOLDER / "up", report=console.line, prepare=prepare, triggerer=True, airflow_port=UI_PORT
    ) as stack:
        console.table(
            "Ready, until Ctrl-C",
            [
                ("Airflow", stack.airflow.base_url),
                ("log in as", f"admin, password in {stack.folder / 'airflow' / 'secrets' / 'admin.password'}"),
                ("back up now", f"unpause or trigger {backup_story.DAG}"),
                ("bucket", f"s3://{stack.bucket} on {stack.s3.endpoint_url}"),
                ("source", f"{stack.postgres.host}:{stack.postgres.port}/{stack.database}"),
                ("data", str(stack.folder)),
            ],
        )
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
