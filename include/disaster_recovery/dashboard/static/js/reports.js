// The tabs of restores and drills: what has left a report, and a report in full.
import { get, path } from "./api.js";
import { open } from "./dialogs.js";
import { foreign, h, replace } from "./dom.js";
import { bytes, count, plural, seconds, time } from "./format.js";
import { runLink } from "./links.js";
import { mark } from "./marks.js";
import { failure } from "./overview.js";
import { here, leave, onRoute } from "./routes.js";

const DAGS = { restore: "collabhunts_restore", drill: "collabhunts_drill" };
const NOTHING = {
  restore: "No restore has left a report yet. Open a backup and press “Restore…”; a dry run changes nothing.",
  drill: "No drill has left a report yet. Open a backup and press “Drill”: it proves that the backup can be restored.",
};

export async function reportList(container, kind) {
  if (!container.firstChild) replace(container, [1, 2, 3].map(() => h("p", { class: "skeleton line" })));
  try {
    const found = await get(`reports/${kind}`);
    replace(container, found.length ? table(kind, found) : h("div", { class: "empty" }, h("p", { text: NOTHING[kind] })));
  } catch (error) {
    replace(container, failure(error, () => reportList(container, kind)));
  }
}

const cell = (label, ...content) => h("td", { role: "cell", data: { label } }, content);

function table(kind, found) {
  const names = ["When", "Result", "Backup", "Target", "Took", "Checks"];
  return h("div", { class: "scroller", tabindex: "0", role: "region", "aria-label": `Table of ${kind}s`, data: { focus: `scroller-${kind}` } },
    h("table", { class: "backups", role: "table" }, h("caption", { class: "hidden", text: `Reports of ${kind}s` }),
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, names.map((text) => h("th", { role: "columnheader", scope: "col", text })))),
      h("tbody", { role: "rowgroup" }, found.map((entry) => h("tr", { role: "row" },
        h("th", { role: "rowheader", scope: "row", class: "created" }, h("a", { class: "row-link", data: { focus: `report-${entry.name}` },
          href: `#report/${path(kind, entry.name)}` }, time(entry.at))),
        cell("Result", mark(entry.state)), cell("Backup", foreign(entry.backup)), cell("Target", foreign(entry.target ?? "–")),
        cell("Took", seconds(entry.seconds)), cell("Checks", checksIn(entry)))))));
}

const checksIn = (entry) => `${count(entry.passed)} passed, ${count(entry.failed)} failed, ${count(entry.skipped)} skipped`;

onRoute("report", async (kind, name) => {
  const hash = here();
  const box = open(kind === "drill" ? "Drill" : "Restore", () => h("p", { class: "skeleton line" }), { panel: true });
  const onLeave = () => here() !== hash && box.close();
  window.addEventListener("hashchange", onLeave);
  box.closed.then(() => {
    window.removeEventListener("hashchange", onLeave);
    leave(hash);
  });
  const load = () => get(`reports/${path(kind, name)}`).then((report) => replace(box.body, full(report)), (error) => replace(box.body, failure(error, load)));
  await load();
});

function full({ entry, restore, drill }) {
  const checks = (restore ?? drill)?.checks ?? [];
  return [
    h("p", {}, mark(entry.state), " · ", time(entry.at, { relative: true }), ` · took ${seconds(entry.seconds)}`),
    h("dl", { class: "facts" }, h("dt", { text: "Backup" }), h("dd", {}, foreign(entry.backup)),
      entry.target && [h("dt", { text: "Target" }), h("dd", {}, foreign(entry.target))],
      restore?.approved_by && [h("dt", { text: "Approved by" }), h("dd", {}, foreign(restore.approved_by))],
      h("dt", { text: "Checks" }), h("dd", { text: checksIn(entry) })),
    entry.run_id && h("p", {}, runLink(DAGS[entry.kind], entry.run_id)),
    drill?.failure && h("div", { class: "banner bad" }, h("p", {}, h("strong", { text: `Failed in ${drill.failure.phase}` })),
      h("p", {}, foreign(drill.failure.fact), " – ", foreign(drill.failure.hint))),
    drill && phases(drill.phases),
    restore?.run.request.dry_run && h("p", { class: "banner", text: "Dry run: nothing was changed." }),
    restore?.applied.length > 0 && applied(restore.applied),
    checks.length > 0 && checkTable(checks),
  ];
}

const plain = (caption, heads, rows) => h("div", { class: "scroller", tabindex: "0", role: "region", "aria-label": caption }, h("table", { class: "plain" },
  h("caption", { text: caption }), h("thead", {}, h("tr", {}, heads.map((text) => h("th", { scope: "col", text })))), h("tbody", {}, rows)));

const phases = (found) => plain("Phases", ["Phase", "Took", "Bytes"], found.map((phase) => h("tr", {},
  h("th", { scope: "row", text: phase.name }), h("td", { text: seconds((new Date(phase.ended_at) - new Date(phase.started_at)) / 1000) }), h("td", { text: bytes(phase.bytes) }))));

const applied = (found) => plain("Rows by table", ["Table", "Inserted", "Updated", "Deleted", "Unchanged"], found.map((line) => h("tr", {},
  h("th", { scope: "row" }, foreign(line.table)), ["insert", "update", "delete", "unchanged"].map((key) => h("td", { class: "number", text: count(line[key]) })))));

const ORDER = { failed: 0, skipped: 1, passed: 2 };
const checkTable = (checks) => plain(plural(checks.length, "check"), ["Subject", "Outcome", "Detail"],
  [...checks].sort((a, b) => ORDER[a.outcome] - ORDER[b.outcome]).map((check) => h("tr", {},
    h("th", { scope: "row" }, foreign(check.subject)), h("td", {}, mark(check.outcome)), h("td", {}, foreign(check.detail)))));
