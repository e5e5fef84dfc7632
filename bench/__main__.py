"""`make bench`: every bench in turn, then one table of all figures next to their bars.

--quick takes a twentieth of the data, to see that the benches themselves work; its ratios say little.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench import bars

HERE = Path(__file__).resolve().parent
# About 3 GB of JSON: two in the marketplace and its TOASTed cells, one in one table. Memory goes to 5 GB.
SOURCE = ("--size", "60", "--large-mib", "1024", "--cells", "100", "--growth")
FULL: dict[str, tuple[str, ...]] = {
    "backup_time.py": SOURCE,
    "restore_time.py": SOURCE,
    "memory.py": ("--mib", "10", "1024", "5120"),
    "airflow_part.py": (),
    "page_latency.py": (),
}
SMALL = ("--size", "3", "--large-mib", "48", "--cells", "6", "--growth")
QUICK = {**FULL, "backup_time.py": SMALL, "restore_time.py": SMALL, "memory.py": ("--mib", "10", "100")}


def main() -> int:
    """Run all; the status is 1 if a bench broke, 0 otherwise: a missed bar is in the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    broken = []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        results = Path(folder) / "results.jsonl"
        results.touch()
        for script, arguments in (QUICK if options.quick else FULL).items():
            print(f"\n== {script} {' '.join(arguments)}", flush=True)
            began = time.monotonic()
            environment = {**os.environ, bars.RESULTS: str(results)}
            done = subprocess.run([sys.executable, str(HERE / script), *arguments], env=environment, check=False)
            print(f"== {script} took {time.monotonic() - began:.0f} s", flush=True)
            if done.returncode:
                broken.append(script)
        print("\n" + "\n".join(bars.table(results)))
    for script in broken:
        print(f"failed: {script} broke off, see above", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
