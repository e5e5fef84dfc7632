"""The DAGs behind the page, and whose right to be triggered each action needs."""

from collections.abc import Mapping

from include.disaster_recovery.dashboard.model import Action

BACKUP, RESTORE, VERIFY = "collabhunts_backup", "collabhunts_restore", "collabhunts_verify"
DRILL, RETENTION, WATCH = "collabhunts_drill", "collabhunts_retention", "collabhunts_watch"
OURS = (BACKUP, RESTORE, VERIFY, DRILL, RETENTION, WATCH)
# Whoever may restore may hold the data, so may download it.
NEEDED_BY: Mapping[Action, str] = {
    "backup": BACKUP,
    "verify": VERIFY,
    "drill": DRILL,
    "restore": RESTORE,
    "download": RESTORE,
    "pin": RETENTION,
}
