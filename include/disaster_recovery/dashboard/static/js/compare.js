// Two backups side by side: #compare/<before>/<after>.
import { get, path } from "./api.js";
import { diffOf, tables } from "./detail_parts.js";
import { foreign, h } from "./dom.js";
import { bytes, change, count, seconds, time } from "./format.js";
import { drillMark, statusMark, verifiedMark } from "./marks.js";
import { panel } from "./panels.js";
import { onRoute } from "./routes.js";

onRoute("compare", (before, after) => panel("Compare two backups", async () => full(await get("compare", { before, after }))));

const full = (found) => [
  sides(found.before, found.after),
  found.notes.map((note) => h("p", { class: "banner" }, foreign(note))),
  tables(found.tables, "Tables of the later, and the change since the earlier"),
  diffOf(found.schema_diff, "Schema of the later against the earlier"),
];

function sides(before, after) {
  const line = (name, show, difference = "") => h("tr", {}, h("th", { scope: "row", text: name }),
    h("td", {}, show(before)), h("td", {}, show(after)), h("td", { class: "number", text: difference }));
  const link = (entry) => h("a", { href: `#backup/${path(entry.id)}` }, time(entry.created_at));
  return h("div", { class: "scroller", tabindex: "0", role: "region", "aria-label": "Both backups" }, h("table", { class: "plain" },
    h("caption", { class: "hidden", text: "Both backups" }),
    h("thead", {}, h("tr", {}, h("td"), ["Earlier", "Later"].map((text) => h("th", { scope: "col", text })),
      h("th", { scope: "col", class: "number", text: "Change" }))),
    h("tbody", {},
      line("Created", link),
      line("Status", statusMark),
      line("Verification", verifiedMark),
      line("Drill", drillMark),
      line("Tables", (entry) => count(entry.tables), change(after.tables, before.tables)),
      line("Rows", (entry) => count(entry.rows), change(after.rows, before.rows)),
      line("Size", (entry) => bytes(entry.size), change(after.size, before.size, bytes)),
      line("Duration", (entry) => seconds(entry.seconds), change(after.seconds, before.seconds, seconds)))));
}
