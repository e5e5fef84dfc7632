"""The summary as Prometheus takes it: the text exposition format, version 0.0.4."""

from include.disaster_recovery.dashboard.model import Problem, Summary

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SOURCES = {"bucket", "history", "airflow"}


def exposition(summary: Summary) -> str:
    """One gauge a number; one that is not known is left out, so that an alert on its absence fires."""
    numbers: list[tuple[str, str, float | None]] = [
        ("recoverable", "1 if the platform can be brought back, by what is known.", float(summary.level != "bad")),
        ("newest_verified_age_seconds", "Age of the newest verified backup.", summary.newest_verified_age_seconds),
        (
            "newest_proven_age_seconds",
            "Age of the newest backup that a drill proved.",
            summary.newest_proven_age_seconds,
        ),
        ("restore_seconds", "Seconds that the last drill took to restore.", summary.restore_seconds),
        ("backups", "Backups in the bucket.", float(summary.backups)),
        ("storage_bytes", "Bytes of all backups.", summary.storage_bytes),
    ]
    lines = [line for name, text, value in numbers if value is not None for line in _gauge(name, text, value)]
    return "\n".join([*lines, *_sources(summary.problems)]) + "\n"


def _gauge(name: str, text: str, value: float) -> list[str]:
    return [*_head(name, text), f"collabhunts_{name} {value!r}"]


def _head(name: str, text: str) -> list[str]:
    return [f"# HELP collabhunts_{name} {text}", f"# TYPE collabhunts_{name} gauge"]


def _sources(problems: list[Problem]) -> list[str]:
    down = {problem.source for problem in problems}
    values = [f'collabhunts_source_up{{source="{each}"}} {int(each not in down)}' for each in sorted(_SOURCES)]
    return [*_head("source_up", "1 if the source of the page could be read."), *values]
