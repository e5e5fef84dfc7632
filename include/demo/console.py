"""What the demo prints: lines with the seconds since it began, and a table at the end."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from include.demo.stack.airflow_client import TaskStatus

SHOWN = {"running": "…", "success": "✓", "failed": "✗", "up_for_retry": "↻", "upstream_failed": "✗", "skipped": "-"}


@dataclass
class Console:
    """Prints at once, so that a pipe shows progress too. `began` is a monotonic moment in seconds."""

    began: float = field(default_factory=time.monotonic)

    def line(self, text: str) -> None:
        """One line of progress."""
        print(f"[{time.monotonic() - self.began:6.1f} s] {text}", flush=True)

    def task(self, task: TaskStatus) -> None:
        """A task that has reached a state worth showing."""
        if mark := SHOWN.get(task.state):
            took = f"  {task.duration_s:.1f} s" if task.duration_s and task.state == "success" else ""
            again = f"  (try {task.try_number})" if task.try_number > 1 else ""
            self.line(f"  {mark} {task.label}{again}{took}")

    def table(self, title: str, rows: Sequence[tuple[str, str]]) -> None:
        """Facts under a title, values aligned."""
        width = max(len(name) for name, _ in rows)
        print(f"\n{title}\n{'-' * len(title)}", flush=True)
        for name, value in rows:
            print(f"{name:<{width}}  {value}", flush=True)
