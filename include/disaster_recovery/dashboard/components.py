"""What the JSON of a history row says beside the verdicts; other shapes than ours are left out."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

Components = Mapping[str, Any]
LONGEST_REASON, MOST_REASONS = 300, 20
MOST_SECONDS = 10 * 365 * 86400  # no drill takes ten years; a number of thousand digits is valid JSON


def why_expired(components: Components) -> list[str]:
    """Why retention let go of a backup."""
    expired = components.get("expired")
    reason = expired.get("reason") if isinstance(expired, dict) else None
    return [reason[:LONGEST_REASON]] if isinstance(reason, str) else []


def expired_at(components: Components) -> datetime | None:
    """When retention let go of a backup."""
    expired = components.get("expired")
    try:
        found = datetime.fromisoformat(expired["at"]) if isinstance(expired, dict) else None
    except (KeyError, TypeError, ValueError):
        return None
    return found.replace(tzinfo=timezone.utc) if found and found.tzinfo is None else found


def unusual(components: Components) -> list[str]:
    """The reasons for which the watch found a backup unusual."""
    watch = components.get("watch")
    findings = watch.get("findings") if isinstance(watch, dict) else None
    return list(_reasons(findings[:MOST_REASONS])) if isinstance(findings, list) else []


def _reasons(findings: Sequence[object]) -> Iterator[str]:
    for finding in findings:
        reason = finding.get("reason") if isinstance(finding, dict) else None
        if isinstance(reason, str):
            yield reason[:LONGEST_REASON]


def phases_of(components: Components) -> dict[str, float]:
    """The phases of the last drill, in seconds."""
    drill = components.get("drill")
    phases = drill.get("phases") if isinstance(drill, dict) else None
    if not isinstance(phases, dict):
        return {}
    return {str(name): float(found) for name, found in phases.items() if _is_duration(found)}


def _is_duration(found: object) -> bool:
    """JSON numbers may be endless as text, and infinite once they are read."""
    if not isinstance(found, (int, float)) or isinstance(found, bool):
        return False
    return 0 <= found < MOST_SECONDS  # which no NaN is
