// Pieces of the views of one backup and of two.
import { get, path } from "./api.js";
import { foreign, h, replace } from "./dom.js";
import { say } from "./follow.js";
import { bytes, change, count, plural, words } from "./format.js";
import { taskLink } from "./links.js";

export const facts = (pairs) => h("dl", { class: "facts" }, pairs
  .filter(([, value]) => value !== null && value !== undefined && value !== false && value !== "")
  .map(([name, value]) => [h("dt", { text: name }), h("dd", {}, value)]));

/** A text with a button that copies it. */
export function copyable(text, name) {
  const copy = (event) => copied(text, event.target).then(
    () => say(`Copied: ${name}.`),
    () => say("The browser refused to copy. Select the text instead."),
  );
  return h("span", {}, h("code", { dir: "auto", text }),
    h("button", { type: "button", class: "copy", "aria-label": `Copy the ${name}`, text: "Copy", data: { focus: `copy-${name}` }, on: { click: copy } }));
}

// Airflow's frame does not delegate the clipboard, and plain http has none: the old way works in both.
export async function copied(text, near) {
  const area = h("textarea", { class: "hidden", "aria-hidden": "true", tabindex: "-1", readonly: true });
  area.value = text;
  (near.closest("dialog") ?? document.body).append(area);
  area.select();
  const isCopied = document.execCommand("copy");
  area.remove();
  near.focus({ preventScroll: true });
  if (!isCopied) await navigator.clipboard.writeText(text);
}

export function diffOf(diff, title) {
  if (!diff) return null;
  const kinds = [["added", "+"], ["removed", "−"], ["changed", "~"]];
  const total = kinds.reduce((sum, [kind]) => sum + diff[kind].length, 0);
  return h("section", {}, h("h3", { text: title }), total === 0
    ? h("p", { class: "faint", text: "No difference." })
    : kinds.filter(([kind]) => diff[kind].length).map(([kind, sign]) => h("div", {},
      h("p", { class: kind, text: `${sign} ${diff[kind].length} ${kind}` }),
      h("ul", { class: "diff" }, diff[kind].map((line) => foreign(line, "li"))))));
}

/** The logs of a run's tasks, asked for when they are opened. */
export function taskLinks(dagId, runId) {
  const place = h("div", {});
  const load = async () => {
    const status = await get(`runs/${path(dagId, runId)}`).catch((error) => ({ tasks: [], error }));
    replace(place, status.tasks.length
      ? h("ul", { class: "diff" }, status.tasks.map((task) => h("li", {}, taskLink(dagId, runId, task.task_id, task.label), ` ${words(task.state ?? "not started")}`)))
      : h("p", { class: "faint" }, foreign(status.error?.fact ?? `Airflow knows ${plural(0, "task")} of this run.`)));
  };
  const details = h("details", {}, h("summary", { text: "Logs in Airflow, task by task" }), place);
  details.addEventListener("toggle", () => details.open && !place.firstChild && load());
  return details;
}

const FEW = 3;

/** Something to notice; of many lines the first few are shown at once. */
export function banner(tone, title, lines) {
  const list = (found) => h("ul", { class: "diff" }, found.map((line) => foreign(line, "li")));
  const rest = lines.slice(FEW);
  return h("div", { class: `banner ${tone}` }, h("p", {}, h("strong", { text: title })),
    lines.length === 1 ? h("p", {}, foreign(lines[0])) : list(lines.slice(0, FEW)),
    rest.length > 0 && h("details", {}, h("summary", { text: `${count(rest.length)} more` }), list(rest)));
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
