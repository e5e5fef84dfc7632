"""The rules the bucket applies by itself: shown each day, applied only when asked for."""

import logging
from dataclasses import replace

from include.disaster_recovery.errors import StoreRefused
from include.disaster_recovery.lifecycle import dangerous, difference, merge, wanted_rules
from include.disaster_recovery.model import Value
from include.disaster_recovery.s3.lifecycle import read_configuration, write_configuration
from include.disaster_recovery.s3.store import Store
from include.disaster_recovery.settings import Settings

log = logging.getLogger(__name__)


class RulesReport(Value):
    """What differs from the settings, which rules of the bucket endanger backups, and whether ours were applied."""

    differences: list[str]
    dangers: list[str]
    applied: bool
    refused: str | None = None


def check_rules(store: Store, settings: Settings, *, apply: bool) -> RulesReport:
    """Show what differs, and apply it where asked for. A server or key that cannot do so is a warning.

    Raises:
        SettingsError: the bucket has too many rules of its own.
        StoreUnavailable: the request failed.
    """
    try:
        return _check(store, settings, apply=apply)
    except StoreRefused as error:
        log.warning("the bucket's lifecycle rules are not checked: %s; hint: %s", error.fact, error.hint)
        return RulesReport(differences=[], dangers=[], applied=False, refused=error.fact)


def _check(store: Store, settings: Settings, *, apply: bool) -> RulesReport:
    found, wanted = read_configuration(store), wanted_rules(settings.s3, settings.lifecycle)
    dangers, differences = dangerous(found.rules, settings.s3.prefix), difference(found.rules, wanted)
    for danger in dangers:
        log.error("DANGER: %s; hint: remove the rule, or have it ask for another prefix or the tag expired", danger)
    for line in differences:
        log.info("%s", line)
    if not differences:
        log.info("the bucket's lifecycle rules are as the settings want them")
    elif apply:
        write_configuration(store, replace(found, rules=merge(found.rules, wanted)))
        log.info("applied %d changes to the bucket's lifecycle rules", len(differences))
    else:
        log.warning(
            "%d lifecycle rules of the bucket differ; hint: trigger collabhunts_retention with apply_lifecycle",
            len(differences),
        )
    return RulesReport(differences=differences, dangers=dangers, applied=apply and bool(differences))
