// One backup in full, in the side panel: #backup/<id>.
import { actionButton, download, drill, pin, restore, unpin, verify } from "./actions.js";
import { get, path } from "./api.js";
import { banner, copyable, diffOf, facts, tables, taskLinks } from "./detail_parts.js";
import { foreign, h } from "./dom.js";
import { bytes, count, localText, plural, seconds, time } from "./format.js";
import { runLink, BACKUP } from "./links.js";
import { badges, drillMark, kept, statusMark, verifiedMark } from "./marks.js";
import { panel, refreshPanel } from "./panels.js";
import { onRoute } from "./routes.js";

const OFFERED = 100; // earlier backups to compare with

/** Shows the open backup anew, as after an action; nothing if none is open. */
export const refreshDetail = refreshPanel;

onRoute("backup", (id) => {
  let before = null; // the one to compare with; null: the one before
  return panel("Backup", async (own) => {
    const [detail, others] = await Promise.all([get(`backups/${path(id)}`, { before }), earlier()]);
    own.name(`Backup of ${localText(detail.entry.created_at)}`);
    return full(detail, others, (chosen) => {
      before = chosen;
      own.load();
    });
  });
});

const earlier = () => get("backups", { status: "success", limit: OFFERED }).then((page) => page.entries, () => []);

function full(detail, others, chooseBefore) {
  const { entry } = detail;
  const findings = [...new Set([entry.finding, ...detail.findings].filter(Boolean))];
  return [
    h("div", { class: "detail-actions" }, buttons(detail)),
    h("p", { class: "verdicts" }, statusMark(entry), verifiedMark(entry), drillMark(entry)),
    h("p", { class: "verdicts" }, badges(entry), kept({ retention: entry.retention.filter((reason) => !reason.startsWith("pinned:")) })),
    (detail.error ?? entry.error) && banner("bad", "It failed", [detail.error ?? entry.error]),
    findings.length > 0 && banner("bad", "What verifying found", findings),
    detail.drill_failures.length > 0 && banner("bad", "What the drill found", detail.drill_failures),
    entry.unusual.length > 0 && banner("warning", "Unusual", entry.unusual),
    detail.warnings.length > 0 && banner("warning", plural(detail.warnings.length, "warning"), detail.warnings),
    detail.notes.length > 0 && banner("", "What could not be read", detail.notes),
    about(detail),
    comparedWith(detail, others, chooseBefore),
    tables(detail.tables, detail.before ? "Tables, and the change" : "Tables"),
    diffOf(detail.schema_diff, "Change of the schema"),
    schemaCounts(detail.schema_counts),
    functions(detail.edge_functions),
    phases(detail),
    entry.run_id && taskLinks(BACKUP, entry.run_id),
  ];
}

/** Which earlier backup the changes below are against, to be chosen. */
function comparedWith(detail, others, choose) {
  if (!detail.before) return h("p", { class: "faint", text: "There is no earlier backup to compare with." });
  const found = others.filter((each) => each.created_at < detail.entry.created_at && each.in_bucket !== false);
  const ids = found.map((each) => each.id);
  const select = h("select", { id: "before", on: { change: () => choose(select.value) } },
    !ids.includes(detail.before) && h("option", { value: detail.before, text: "the backup before", selected: true }),
    found.map((each) => h("option", { value: each.id, text: localText(each.created_at), selected: each.id === detail.before })));
  return h("p", { class: "compared" }, h("label", { for: "before", text: "Changes against the backup of" }), select,
    h("a", { href: `#compare/${path(detail.before, detail.entry.id)}`, text: "Side by side" }));
}

function buttons(detail) {
  const { entry } = detail;
  const gone = detail.key ? null : "this backup has no document in the bucket";
  return [
    actionButton("restore", "Restore…", () => restore(detail), { without: gone }),
    actionButton("verify", "Verify", () => verify(entry), { without: gone }),
    actionButton("drill", "Drill", () => drill(entry), { without: gone }),
    actionButton("download", "Download", () => download(entry), { without: gone }),
    entry.pinned !== null
      ? actionButton("pin", "Unpin", () => unpin(entry), { without: gone })
      : actionButton("pin", "Pin", () => pin(entry), { without: gone }),
  ];
}

function about(detail) {
  const { entry } = detail;
  return facts([
    ["Created", time(entry.created_at, { relative: true })],
    ["File", entry.file_name && copyable(entry.file_name, "file name")],
    ["Location", detail.s3_url && copyable(detail.s3_url, "location")],
    ["Type", entry.backup_type],
    ["Size", `${bytes(entry.size)}${entry.tables === null ? "" : ` · ${plural(entry.tables, "table")} · ${plural(entry.rows ?? 0, "row")}`}`],
    ["Took", seconds(entry.seconds)],
    ["Verified", entry.verified_at && time(entry.verified_at, { relative: true })],
    ["Drilled", entry.drilled_at && h("span", {}, time(entry.drilled_at, { relative: true }), entry.drill_seconds === null ? "" : ` · took ${seconds(entry.drill_seconds)}`)],
    ["Drill report", detail.drill_report && copyable(detail.drill_report, "drill report")],
    ["Pinned", entry.pinned !== null && foreign(entry.pinned)],
    ["Started by", detail.triggered_by && foreign(detail.triggered_by)],
    ["Airflow run", entry.run_id && h("span", {}, foreign(entry.run_id), " · ", runLink(BACKUP, entry.run_id))],
    ["Postgres", detail.server_version && foreign(detail.server_version)],
    ["Format", detail.version && `${detail.version}${detail.fragments === null ? "" : ` · ${plural(detail.fragments, "fragment")}`}${detail.compression ? ` · ${detail.compression === "none" ? "not compressed" : detail.compression}` : ""}`],
    ["Snapshot", detail.snapshot && copyable(detail.snapshot, "snapshot")],
    ["Checksum", detail.checksum && copyable(detail.checksum, "checksum")],
    ["Manifest SHA-256", detail.manifest_sha256 && copyable(detail.manifest_sha256, "SHA-256 of the manifest")],
  ]);
}

function schemaCounts(counts) {
  const found = Object.entries(counts);
  if (!found.length) return null;
  return h("section", {}, h("h3", { text: "Schema" }), h("ul", { class: "counts" }, found.map(([name, number]) => h("li", { class: "badge" }, foreign(name.replaceAll("_", " ")), ` ${count(number)}`))));
}

function functions(found) {
  if (!found.length) return null;
  return h("section", {}, h("h3", { text: plural(found.length, "edge function") }), h("ul", { class: "diff" }, found.map((each) => h("li", {},
    foreign(each.name, "strong"), each.description ? " – " : "", foreign(each.description),
    each.verify_jwt === false && h("span", { class: "badge warning", text: "no JWT check" })))));
}

function phases(detail) {
  const found = Object.entries(detail.drill_phases);
  if (!found.length) return null;
  return h("section", {}, h("h3", { text: "Phases of the drill" }), h("ul", { class: "counts" }, found.map(([name, took]) => h("li", { class: "badge" }, foreign(name), ` ${seconds(took)}`))));
}
