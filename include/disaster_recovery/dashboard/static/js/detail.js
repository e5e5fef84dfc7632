// One backup in full, in a side panel with its own address: #backup/<id>.
import { actionButton, download, drill, pin, restore, unpin, verify } from "./actions.js";
import { get, path } from "./api.js";
import { copyable, diffOf, facts, taskLinks } from "./detail_parts.js";
import { open } from "./dialogs.js";
import { foreign, h, replace } from "./dom.js";
import { bytes, change, count, localText, plural, seconds, time } from "./format.js";
import { runLink, BACKUP } from "./links.js";
import { badges, drillMark, kept, statusMark, verifiedMark } from "./marks.js";
import { failure } from "./overview.js";
import { here, leave, onRoute } from "./routes.js";

let reload = async () => {};

/** Shows the open backup anew, as after an action; nothing if none is open. */
export const refreshDetail = () => reload();

onRoute("backup", async (id) => {
  const hash = here();
  const box = open("Backup", () => [1, 2, 3].map(() => h("p", { class: "skeleton line" })), { panel: true });
  const onLeave = () => here() !== hash && box.close();
  window.addEventListener("hashchange", onLeave);
  const load = async () => {
    try {
      const detail = await get(`backups/${path(id)}`);
      box.dialog.querySelector("h2").textContent = `Backup of ${localText(detail.entry.created_at)}`;
      replace(box.body, full(detail));
    } catch (error) {
      replace(box.body, failure(error, load));
    }
  };
  reload = load;
  box.closed.then(() => {
    window.removeEventListener("hashchange", onLeave);
    if (reload === load) reload = async () => {};
    leave(hash);
  });
  await load();
});

function full(detail) {
  const { entry } = detail;
  return [
    h("div", { class: "detail-actions" }, buttons(detail)),
    h("p", { class: "badges" }, statusMark(entry), verifiedMark(entry), drillMark(entry), badges(entry), kept(entry)),
    entry.error && banner("bad", "It failed", [entry.error]),
    entry.finding && banner("bad", "What verifying found", [entry.finding]),
    detail.findings.length > 0 && banner("bad", "Findings", detail.findings),
    detail.drill_failures.length > 0 && banner("bad", "What the drill found", detail.drill_failures),
    entry.unusual.length > 0 && banner("warning", "Unusual", entry.unusual),
    detail.warnings.length > 0 && banner("warning", plural(detail.warnings.length, "warning"), detail.warnings),
    detail.notes.length > 0 && banner("", "Could not be read", detail.notes),
    about(detail),
    detail.before && h("p", {}, h("a", { href: `#compare/${path(detail.before, entry.id)}`, text: "Compare with the backup before it" })),
    tables(detail.tables, "Tables, and the change against the backup before"),
    diffOf(detail.schema_diff, "Schema against the backup before"),
    schemaCounts(detail.schema_counts),
    functions(detail.edge_functions),
    phases(detail),
    entry.run_id && taskLinks(BACKUP, entry.run_id),
  ];
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

const banner = (tone, title, lines) => h("div", { class: `banner ${tone}` }, h("p", {}, h("strong", { text: title })),
  lines.length === 1 ? h("p", {}, foreign(lines[0])) : h("ul", { class: "diff" }, lines.map((line) => foreign(line, "li"))));

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
    ["Format", detail.version && `${detail.version}${detail.fragments === null ? "" : ` · ${plural(detail.fragments, "fragment")}`}${detail.compression ? ` · ${detail.compression}` : ""}`],
    ["Snapshot", detail.snapshot && copyable(detail.snapshot, "snapshot")],
    ["Checksum", detail.checksum && copyable(detail.checksum, "checksum")],
    ["Manifest SHA-256", detail.manifest_sha256 && copyable(detail.manifest_sha256, "SHA-256 of the manifest")],
  ]);
}

export function tables(lines, caption) {
  if (!lines.length) return null;
  const cell = (text) => h("td", { class: "number", text });
  return h("div", { class: "scroller", tabindex: "0", role: "region", "aria-label": caption }, h("table", { class: "plain" }, h("caption", { text: caption }),
    h("thead", {}, h("tr", {}, ["Table", "Rows", "Change", "Bytes", "Change"].map((text, index) => h("th", { scope: "col", class: index ? "number" : null, text })))),
    h("tbody", {}, lines.map((line) => h("tr", {}, h("th", { scope: "row" }, foreign(line.name), note(line)),
      cell(count(line.rows)), cell(change(line.rows, line.rows_before)), cell(bytes(line.bytes)), cell(change(line.bytes, line.bytes_before, bytes)))))));
}

function note(line) {
  if (line.rows === null && line.rows_before !== null) return h("span", { class: "removed", text: " gone" });
  if (line.rows !== null && line.rows_before === null) return h("span", { class: "added", text: " new" });
  return null;
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
