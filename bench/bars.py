"""What the benches are held against: a bar that must be met, and a moonshot. Each bench keeps its figures here."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

RESULTS = "BENCH_RESULTS"  # names the file that collects the figures of one `make bench`, a JSON object a line


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A row of the table: a figure is good if it is at most this."""

    row: str
    most: float
    moonshot: float | None = None
    unit: str = ""


BARS: Mapping[str, Bar] = {
    "zstd": Bar(row="backup, zstd ÷ pg_dump -Fd -j2 -Z0 + upload", most=1.0, moonshot=0.7),
    "zstd/gzip": Bar(row="backup, zstd ÷ pg_dump -Fc + upload", most=0.5, moonshot=0.3),
    "zstd/zstd": Bar(row="backup, zstd ÷ pg_dump -Fd -j2 -Z0 through zstd -1 + upload", most=2.0, moonshot=1.0),
    "plain": Bar(row="backup, plain JSON ÷ pg_dump -Fd -j2 -Z0 + upload", most=2.5, moonshot=1.5),
    "restore": Bar(row="restore into an empty database ÷ download + pg_restore -j2", most=1.8, moonshot=1.0),
    "staged": Bar(row="staged restore over a populated one ÷ the same", most=2.5, moonshot=1.5),
    "memory": Bar(row="peak memory of a worker above an idle one", most=150, moonshot=64, unit=" MiB"),
    "assembly": Bar(row="bytes through the worker in assembly, of the document", most=2, unit=" %"),
    "backup growth": Bar(row="backup of twice the rows ÷ of once", most=2.1),
    "restore growth": Bar(row="restore of twice the rows ÷ of once", most=2.1),
    "cpu": Bar(row="CPU of the source database ÷ pg_dump's", most=2.5, moonshot=1.5),
    "airflow": Bar(row="Airflow: trigger to success, 18 small tables", most=30, moonshot=15, unit=" s"),
}


def keep(name: str, value: float) -> None:
    """Print a figure next to its bar, and keep it for the table if somebody collects.

    Raises:
        KeyError: there is no such row.
    """
    print(line(BARS[name], value), flush=True)
    if file := os.environ.get(RESULTS):
        with Path(file).open("a", encoding="utf-8") as results:
            results.write(json.dumps({"name": name, "value": value}) + "\n")


def table(file: Path) -> Iterator[str]:
    """The kept figures as a Markdown table; of a row measured twice, the worse one."""
    kept: dict[str, float] = {}
    for found in map(json.loads, file.read_text(encoding="utf-8").splitlines()):
        kept[found["name"]] = max(found["value"], kept.get(found["name"], 0.0))
    yield "| same data, same servers, same cores, in one run | measured | bar | moonshot | |"
    yield "|---|---|---|---|---|"
    for name, bar in BARS.items():
        measured = f"{kept[name]:.2f}{bar.unit}" if name in kept else "not measured"
        moonshot = f"≤ {bar.moonshot:g}{bar.unit}" if bar.moonshot else ""
        verdict = _verdict(bar, kept[name]) if name in kept else ""
        yield f"| {bar.row} | {measured} | ≤ {bar.most:g}{bar.unit} | {moonshot} | {verdict} |"


def line(bar: Bar, value: float) -> str:
    """One figure in words."""
    return f"{bar.row}: {value:.2f}{bar.unit} (bar {bar.most:g}{bar.unit}: {_verdict(bar, value)})"


def _verdict(bar: Bar, value: float) -> str:
    if bar.moonshot is not None and value <= bar.moonshot:
        return "moonshot"
    return "met" if value <= bar.most else "missed"
