"""What is started from the page really happens, and what comes of it arrives by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from include.disaster_recovery.s3.store import Store
from tests.support.acts import RUN_MS, ask, card, dialog, do, ended, entries, id_of, press, run_of, runs, see, unpaused
from tests.support.site import Site
from tests.support.visits import Visits

pytestmark = pytest.mark.timeout(900)

VERIFY, DRILL, RESTORE, BACKUP = (f"collabhunts_{name}" for name in ("verify", "drill", "restore", "backup"))


@pytest.fixture(scope="module", autouse=True)
def at_work(site: Site) -> Iterator[None]:
    site.airflow.admin.wait_for_dag(RESTORE)
    with unpaused(site, VERIFY):
        yield


def forget_verdict(site: Site, key: str) -> None:
    """As if nobody had ever verified it."""
    site.store.client.delete_object_tagging(Bucket=site.store.bucket, Key=key)
    site.sql(
        "update public.backup_history set components_backed_up = components_backed_up - 'verification'"
        " where file_name = %s",
        key.rpartition("/")[2],
    )


def damage(store: Store, key: str) -> None:
    """Flip one bit of a row, behind everybody's back; the tags stay."""
    held = store.client.get_object(Bucket=store.bucket, Key=key)
    tags = store.client.get_object_tagging(Bucket=store.bucket, Key=key)["TagSet"]
    data = bytearray(held["Body"].read())
    data[len(data) // 3] ^= 1
    store.client.put_object(Bucket=store.bucket, Key=key, Body=bytes(data))
    store.client.put_object_tagging(Bucket=store.bucket, Key=key, Tagging={"TagSet": tags})


def test_the_verdict_of_a_verification_arrives_without_a_reload(visits: Visits, site: Site):
    key = site.backups[0].run.key
    forget_verdict(site, key)
    page = see(visits, id_of(site, key))
    do(page, "Verify", "Verify")
    ended(page, "Verify")
    expect(page.locator(".panel .verdicts").first).to_contain_text("valid, full")


def test_a_damaged_backup_turns_red_by_itself(visits: Visits, site: Site):
    key = site.planted[7]
    damage(site.store, key)
    page = see(visits, id_of(site, key))
    do(page, "Verify", "Verify")
    ended(page, "Verify", "failed")
    expect(page.locator(".panel .verdicts .mark.bad")).to_contain_text("invalid")
    expect(page.locator(".panel .banner.bad")).to_contain_text("What verifying found")
    expect(page.get_by_role("row").filter(has_text=key.rpartition("/")[2]).locator(".mark.bad")).to_contain_text(
        "invalid"
    )


def test_a_drill_proves_a_backup(visits: Visits, site: Site, small: str):
    page = see(visits, id_of(site, small))
    with unpaused(site, DRILL):  # no longer: it would drill each new backup
        do(page, "Drill", "Start the drill")
        ended(page, "Drill")
    expect(page.locator(".panel .verdicts .mark.good").filter(has_text="proven")).to_be_visible()
    expect(page.locator(".panel .facts")).to_contain_text(re.compile("Drilled.*took"))


def test_a_paused_dag_is_named_with_the_link_to_it(visits: Visits, site: Site):
    page = visits.open()
    do(page, "Back up now", "Back up now")
    waiting = card(page, "Backup: ")
    expect(waiting).to_contain_text("waits: its DAG is paused")
    link = waiting.get_by_role("link", name="Unpause collabhunts_backup in Airflow")
    assert str(link.get_attribute("href")).endswith(f"/dags/{BACKUP}")
    drop(page, site, BACKUP, run_of(page, "Backup"))


def test_a_backup_that_was_started_here_becomes_a_row(visits: Visits, site: Site):
    known = {entry["id"] for entry in entries(site)}
    page = visits.open()
    do(page, "Back up now", "Back up now")
    with unpaused(site, BACKUP):
        ended(page, "Backup")
    new = [entry for entry in entries(site) if entry["id"] not in known]
    row = page.get_by_role("row").filter(has_text=new[0]["file_name"])
    expect(row).to_contain_text("valid, full")


def test_two_clicks_start_one_run(visits: Visits, site: Site):
    page = see(visits, id_of(site, site.backups[1].run.key))
    before = runs(site, RESTORE)
    ask(page, "Restore…").get_by_role("button", name="Start the dry run").dblclick()
    expect(dialog(page)).to_have_count(0)
    expect(card(page, "Dry run: ")).to_have_count(1)
    assert len(runs(site, RESTORE)) == len(before) + 1
    drop(page, site, RESTORE, run_of(page, "Dry run"))


def test_a_refusal_by_airflow_is_told_in_the_dialog_which_stays(visits: Visits, site: Site):
    page = see(visits, id_of(site, site.backups[0].run.key))
    asked = ask(page, "Restore…")
    asked.get_by_label("Target connection").fill("some_other_db")
    page.route(
        "**/api/restores",
        lambda route: route.continue_(post_data={**asked_for(route), "tables": ["messages", "messages"]}),
    )
    press(asked, "Start the dry run")
    expect(asked.get_by_role("alert")).to_contain_text(
        re.compile("Airflow answered 400 .*tables.* \N{EN DASH} mend what it names")
    )
    expect(asked.get_by_label("Target connection")).to_have_value("some_other_db")
    expect(asked.get_by_role("button", name="Start the dry run")).to_be_enabled()
    visits.forgive("400")


def test_a_restore_is_given_exactly_what_was_chosen(visits: Visits, site: Site):
    key = site.backups[1].run.key
    page = see(visits, id_of(site, key))
    asked = ask(page, "Restore…")
    asked.get_by_label("Target connection").fill("some_other_db")
    asked.get_by_label("All tables").uncheck()
    asked.get_by_label("messages").check()
    asked.get_by_label("auth.users").check()
    asked.get_by_label("Mode").select_option("replace")
    asked.get_by_label("Rebuild the schema").check()
    asked.get_by_label("Restore", exact=True).check()
    asked.get_by_label("Ask for approval").uncheck()
    expect(asked.locator(".summary")).to_contain_text("Rows that the backup does not have are deleted")
    expect(asked.locator(".summary")).to_contain_text("Nobody is asked")
    expect(asked.get_by_role("button", name="Start the restore")).to_be_disabled()
    asked.get_by_label("Type RESTORE").fill("RESTORE")
    press(asked, "Start the restore")
    assert given(page, site, "Restore") == {
        "backup_key": key,
        "target_conn_id": "some_other_db",
        "tables": ["messages", "auth.users"],
        "mode": "replace",
        "restore_schema": True,
        "dry_run": False,
        "require_approval": False,
    }


def test_a_form_that_is_left_as_it_is_changes_nothing(visits: Visits, site: Site):
    page = see(visits, id_of(site, site.backups[1].run.key))
    do(page, "Restore…", "Start the dry run")
    assert given(page, site, "Dry run") == {
        "backup_key": site.backups[1].run.key,
        "target_conn_id": "collabhunts_restore_db",
        "tables": None,
        "mode": "upsert",
        "restore_schema": False,
        "dry_run": True,
        "require_approval": True,
    }


def test_an_impossible_connection_cannot_be_sent(visits: Visits, site: Site):
    asked = ask(see(visits, id_of(site, site.backups[1].run.key)), "Restore…")
    for name in ("", "a b", "x;drop", "é"):
        asked.get_by_label("Target connection").fill("collabhunts_restore_db")
        expect(asked.get_by_role("button", name="Start the dry run")).to_be_enabled()
        asked.get_by_label("Target connection").fill(name)
        expect(asked.locator(".summary")).to_contain_text("The target connection is a name of letters")
        expect(asked.get_by_role("button", name="Start the dry run")).to_be_disabled()


def test_no_table_chosen_cannot_be_sent(visits: Visits, site: Site):
    asked = ask(see(visits, id_of(site, site.backups[1].run.key)), "Restore…")
    asked.get_by_label("All tables").uncheck()
    expect(asked.locator(".summary")).to_have_text("Choose at least one table.")
    expect(asked.get_by_role("button", name="Start the dry run")).to_be_disabled()


def test_the_night_of_a_restore(visits: Visits, site: Site, small: str):
    """Into an empty database; then a dry run over it, and from its card the real one, which asks."""
    page = see(visits, id_of(site, small))
    asked = ask(page, "Restore…")
    asked.get_by_label("Rebuild the schema").check()
    asked.get_by_label("Restore", exact=True).check()
    asked.get_by_label("Type RESTORE").fill("RESTORE")
    press(asked, "Start the restore")
    expect(dialog(page)).to_have_count(0)
    with unpaused(site, RESTORE):
        ended(page, "Restore")
        do(page, "Restore…", "Start the dry run")
        expect(ended(page, "Dry run")).to_contain_text("Nothing was changed. See what would change.")
        press(card(page, "Dry run: "), "Now restore…")
        expect(dialog(page).get_by_label("Restore", exact=True)).to_be_checked()
        dialog(page).get_by_label("Type RESTORE").fill("RESTORE")
        press(dialog(page), "Start the restore")
        waiting = card(page, "Restore: ").last
        expect(waiting).to_contain_text("waiting for your approval", timeout=RUN_MS)
    link = str(waiting.get_by_role("link", name="Answer in Required Actions").get_attribute("href"))
    running = site.client(cookie=site.token("admin")).get("api/overview").json()["running"]
    assert [run["state"] for run in running if run["dag_id"] == RESTORE] == ["awaiting_input"]
    assert link.endswith("/required_actions")
    stop(site, link.split("/")[-2])
    expect(waiting).to_contain_text("failed")


def asked_for(route: Route) -> dict[str, Any]:
    return dict(route.request.post_data_json)


def given(page: Page, site: Site, what: str) -> dict[str, Any]:
    """What the run of a card was given; the run, which nobody has started yet, is deleted."""
    expect(card(page, f"{what}: ")).to_contain_text("its DAG is paused")
    run_id = run_of(page, what)
    found = site.airflow.admin.api("GET", f"/api/v2/dags/{RESTORE}/dagRuns/{run_id}")["conf"]
    drop(page, site, RESTORE, run_id)
    return dict(found)


def drop(page: Page, site: Site, dag_id: str, run_id: str) -> None:
    """Delete a run that nobody has started yet, and leave the page, which would ask for it."""
    page.close()
    site.airflow.admin.api("DELETE", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}")


def stop(site: Site, run_id: str) -> None:
    site.airflow.admin.api("PATCH", f"/api/v2/dags/{RESTORE}/dagRuns/{run_id}", {"state": "failed"})
