"""Builds CollabHunts in the database that libpq's variables name: `PGHOST=… python -m include.demo.database`."""

import argparse
import os
import sys

import psycopg

from include.demo.database.builder import DemoDatabaseError, build_database


def main() -> int:
    """Build it once: a database that is not empty is left as it is, so that a container may run this at every start."""
    parser = argparse.ArgumentParser(prog="python -m include.demo.database", description=__doc__)
    parser.add_argument("--size", type=float, default=1.0, help="how many rows; 1 means about 65,000")
    options = parser.parse_args()
    password = os.environ.get("DEMO_OWNER_PASSWORD", "")
    try:
        if _is_built():
            print("the database is built already")
            return 0
        build_database("", owner_password=password, size=options.size)
    except (DemoDatabaseError, ValueError, psycopg.Error) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"built CollabHunts at size {options.size:g}")
    return 0


def _is_built() -> bool:
    with psycopg.connect("") as connection:
        row = connection.execute("select to_regclass('public.profiles') is not null").fetchone()
    return bool(row and row[0])


if __name__ == "__main__":
    sys.exit(main())
