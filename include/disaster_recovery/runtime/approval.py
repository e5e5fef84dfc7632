"""What an approver is asked: whether to ask at all, the subject, and the differences as a Markdown table."""

import re
from collections.abc import Sequence

from include.disaster_recovery.restore_model import RestorePlan, TableDiff

# Names and notes come out of a document: none of them may become a table, a link, an image or HTML.
_MARKDOWN = re.compile(r"[\\`*_{}\[\]()<>#+!|~&]")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def is_nothing_to_lose(plan: RestorePlan) -> bool:
    """Whether every table to restore was empty, or is made by this restore."""
    return all(table.direct or table.was_empty for table in plan.tables)


def is_needed(plan: RestorePlan) -> bool:
    """Whether somebody has to approve."""
    return plan.run.request.require_approval and not is_nothing_to_lose(plan)


def subject(plan: RestorePlan) -> str:
    """One line: the backup, the target, the mode."""
    return _plain(f"Restore {plan.run.key} into {plan.run.target}, mode {plan.run.request.mode}?")


def body(plan: RestorePlan, diffs: Sequence[TableDiff]) -> str:
    """Markdown: a table of the differences, then the notes of the plan."""
    head = "| table | insert | update | delete | unchanged |\n|---|---:|---:|---:|---:|"
    total = [sum(getattr(each, name) for each in diffs) for name in ("insert", "update", "delete", "unchanged")]
    rows = [_row(f"`{_code(each.table)}`", [each.insert, each.update, each.delete, each.unchanged]) for each in diffs]
    parts = ["\n".join([head, *rows, _row("**all**", total)]), _consequences(plan, total)]
    if plan.notes:
        parts.append("\n".join(f"- {_escaped(note)}" for note in plan.notes))
    return "\n\n".join(parts)


def _consequences(plan: RestorePlan, total: Sequence[int]) -> str:
    run = plan.run
    said = [f"Approve applies this to `{_code(run.target)}` in one transaction; Reject changes nothing."]
    if run.target_is_source:
        said.append("**The target is the source database:** it is backed up first.")
    if total[2]:
        said.append(f"**{total[2]:,} rows are deleted**: the backup does not have them.")
    return " ".join(said)


def _row(name: str, counts: Sequence[int]) -> str:
    return f"| {name} | {' | '.join(f'{count:,}' for count in counts)} |"


def _plain(text: str) -> str:
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def _code(name: str) -> str:
    """For between backticks, where only the backtick and the table's bar mean anything."""
    return _plain(name).replace("`", "'").replace("|", "\N{BROKEN BAR}")


def _escaped(text: str) -> str:
    return _MARKDOWN.sub(r"\\\g<0>", _plain(text))
