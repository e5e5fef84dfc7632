"""What the bucket itself knows of a backup: verdicts as tags of the object, and the record made of them.

Tags, not metadata: they can be set later without copying the object. S3 takes ten of them, keys of 128, values of 256
characters: letters, digits, spaces and `+ - = . _ : / @` (Amazon S3 user guide, "object tagging").
"""

import re
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Literal

from pydantic import AwareDatetime, FiniteFloat

from include.disaster_recovery.model import Depth, Value

LONGEST_VALUE = 256
# Set by retention before it deletes. The bucket's lifecycle ceiling goes by it, and that asks for an exact value.
EXPIRED_TAG, EXPIRED_VALUE = "expired", "true"
_UNTAGGABLE = re.compile(r"[^A-Za-z0-9 +\-=._:/@]")
_MOMENT = "%Y-%m-%dT%H:%M:%SZ"


class Verification(Value):
    """What the last reading of a document has found. `finding` is the first one, in the characters that a tag takes."""

    state: Literal["valid", "invalid"]
    depth: Depth
    at: AwareDatetime
    finding: str = ""

    def is_superseded_by(self, later: "Verification") -> bool:
        """Whether a later verdict replaces this one: a quick look that finds nothing says less than a full reading."""
        return later.state == "invalid" or later.depth == "full" or self.depth == "quick"


class Proof(Value):
    """What the last drill has found. `seconds` from its beginning to the verdict: the time to recover."""

    state: Literal["proven", "failed"]
    at: AwareDatetime
    seconds: FiniteFloat


class BackupRecord(Value):
    """A backup as the bucket knows it, and as retention and `latest` go by it.

    `size` in bytes. `pinned` is the reason, `in_use` that a run is reading it. `is_expiring`: an earlier retention has
    marked it, and was stopped before it could delete it.
    """

    key: str
    created_at: datetime
    size: int
    verification: Verification | None = None
    proof: Proof | None = None
    pinned: str | None = None
    in_use: bool = False
    is_expiring: bool = False

    @property
    def is_verified(self) -> bool:
        """Whether its bytes were what was written when they were last read."""
        return self.verification is not None and self.verification.state == "valid"

    @property
    def is_invalid(self) -> bool:
        """Whether its bytes were found damaged."""
        return self.verification is not None and self.verification.state == "invalid"

    @property
    def is_proven(self) -> bool:
        """Whether a drill has restored it, and nothing was found wrong with it since."""
        return self.is_verified and self.proof is not None and self.proof.state == "proven"


def verification_tags(verdict: Verification) -> dict[str, str | None]:
    """A verdict as tags; without a finding there is no tag of it, as ten are all that an object takes."""
    return {
        "verification": verdict.state,
        "verified-at": _text(verdict.at),
        "verification-depth": verdict.depth,
        "verification-finding": taggable(verdict.finding) or None,
    }


def proof_tags(proof: Proof) -> dict[str, str]:
    """A drill's result as tags."""
    return {"drill": proof.state, "drilled-at": _text(proof.at), "drill-seconds": f"{proof.seconds:.1f}"}


def verification_of(tags: Mapping[str, str]) -> Verification | None:
    """The verdict in an object's tags; None where there is none that can be read."""
    try:
        return Verification.model_validate(
            {
                "state": tags["verification"],
                "depth": tags["verification-depth"],
                "at": _moment(tags["verified-at"]),
                "finding": tags.get("verification-finding", ""),
            }
        )
    except (KeyError, ValueError):
        return None


def proof_of(tags: Mapping[str, str]) -> Proof | None:
    """The drill's result in an object's tags; None where there is none that can be read."""
    try:
        return Proof.model_validate(
            {"state": tags["drill"], "at": _moment(tags["drilled-at"]), "seconds": tags["drill-seconds"]}
        )
    except (KeyError, ValueError):
        return None


def taggable(text: str) -> str:
    """As much of a text as a tag takes."""
    return _UNTAGGABLE.sub("_", " ".join(text.split()))[:LONGEST_VALUE].strip()


def _text(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).strftime(_MOMENT)


def _moment(text: str) -> datetime:
    return datetime.strptime(text, _MOMENT).replace(tzinfo=timezone.utc)
