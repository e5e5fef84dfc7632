// The tabs of restores and drills: what has left a report, and a report in full.
import { get, path } from "./api.js";
import { banner, copyable, facts } from "./detail_parts.js";
import { foreign, h, replace } from "./dom.js";
import { bytes, count, localText, plural, seconds, time } from "./format.js";
import { runLink } from "./links.js";
import { mark } from "./marks.js";
import { failure } from "./overview.js";
import { panel, skeletons } from "./panels.js";
import { onRoute } from "./routes.js";

const DAGS = { restore: "collabhunts_restore", drill: "collabhunts_drill" };
const TITLES = { restore: "Restore", drill: "Drill" };
const NOTHING = {
  restore: "No restore has left a report yet. Open a backup and press “Restore…”. A dry run changes nothing, and leaves none.",
  drill: "No drill has left a report yet. Open a backup and press “Drill”: it proves that the backup can be restored.",
};

export async function reportList(container, kind) {
  if (!container.firstChild) replace(container, skeletons());
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

onRoute("report", (kind, name) => panel(kind === "drill" ? "Drill" : "Restore", async (own) => {
  const report = await get(`reports/${path(kind, name)}`);
  own.name(`${TITLES[kind]} of ${localText(report.entry.at)}`);
  return full(report);
}, `${kind}s`));

function full({ entry, restore, drill }) {
  const checks = (restore ?? drill)?.checks ?? [];
  return [
    h("p", { class: "verdicts" }, mark(entry.state)),
    drill?.failure && banner("bad", `It failed in ${drill.failure.phase}`, [`${drill.failure.fact} – ${drill.failure.hint}`]),
    !restore && !drill && banner("warning", "The report cannot be read", ["It lies in the bucket, beside the backups, under the name below."]),
    facts([
      ["When", time(entry.at, { relative: true })],
      ["Took", entry.seconds !== null && seconds(entry.seconds)],
      ["Backup", foreign(entry.backup)],
      ["Target", entry.target && foreign(entry.target)],
      ["Mode", restore && restore.run.request.mode],
      ["Approved by", restore?.approved_by && foreign(restore.approved_by)],
      ["Checks", checks.length > 0 && checksIn(entry)],
      ["Airflow run", entry.run_id && h("span", {}, foreign(entry.run_id), " · ", runLink(DAGS[entry.kind], entry.run_id))],
      ["Report", copyable(entry.name, "name of the report")],
    ]),
    checkLists(checks),
    drill && phases(drill.phases),
    restore?.applied.length > 0 && applied(restore.applied),
  ];
}

const plain = (caption, heads, rows) => h("div", { class: "scroller", tabindex: "0", role: "region", "aria-label": caption }, h("table", { class: "plain" },
  h("caption", { text: caption }), h("thead", {}, h("tr", {}, heads.map((text, at) => h("th", { scope: "col", class: at && text !== "Detail" ? "number" : null, text })))), h("tbody", {}, rows)));

const number = (text) => h("td", { class: "number", text });

const phases = (found) => plain("Phases", ["Phase", "Took", "Bytes"], found.map((phase) => h("tr", {},
  h("th", { scope: "row" }, foreign(phase.name)), number(seconds((new Date(phase.ended_at) - new Date(phase.started_at)) / 1000)), number(bytes(phase.bytes)))));

const applied = (found) => plain("Rows by table", ["Table", "Inserted", "Updated", "Deleted", "Unchanged"], found.map((line) => h("tr", {},
  h("th", { scope: "row" }, foreign(line.table)), ["insert", "update", "delete", "unchanged"].map((key) => number(count(line[key]))))));

/** What failed and what was left out, in full; what passed is folded. */
function checkLists(checks) {
  const of = (outcome) => checks.filter((check) => check.outcome === outcome);
  const table = (caption, found) => found.length > 0 && plain(caption, ["Check", "Detail"], found.map((check) => h("tr", {},
    h("th", { scope: "row" }, mark(check.outcome, ""), foreign(check.subject)), h("td", {}, foreign(check.detail)))));
  const passed = of("passed");
  return [
    table(`${plural(of("failed").length, "check")} failed`, of("failed")),
    table(`${plural(of("skipped").length, "check")} skipped`, of("skipped")),
    passed.length > 0 && h("details", {}, h("summary", { text: `${plural(passed.length, "check")} passed` }), table("Passed", passed)),
  ];
}
