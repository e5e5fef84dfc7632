// The table of backups: filter, search, sorting and paging are the server's.
import { get } from "./api.js";
import { debounced, foreign, h, hidden, replace } from "./dom.js";
import { bytes, count, NONE, plural, seconds, time } from "./format.js";
import { badges, drillMark, kept, statusMark, verifiedMark } from "./marks.js";
import { failure } from "./overview.js";

const COLUMNS = [
  ["Created", "created_at"], ["Status", "status"], ["Type", null], ["Tables", null], ["Rows", "rows"], ["Size", "size"],
  ["Duration", "seconds"], ["Verification", null], ["Drill", null], ["Kept as", null],
];
const NUMBERS = new Set(["Tables", "Rows", "Size", "Duration"]);
const FILTERS = [["all", "All"], ["success", "Successful"], ["failed", "Failed"], ["expired", "Expired"], ["in_progress", "In progress"]];
const SIZES = [25, 50, 100];

export function makeTable(container, { open, compare }) {
  const wanted = { status: "all", search: "", sort: "created_at", descending: true, offset: 0, limit: SIZES[0] };
  const chosen = new Map();
  const list = h("div", { class: "list" });
  const summary = h("p", { class: "list-summary", role: "status" });
  const bar = h("div", { class: "compare-bar", hidden: true });
  let asked = null;

  const load = async () => {
    asked?.abort();
    asked = new AbortController();
    const mine = asked;
    list.setAttribute("aria-busy", "true");
    try {
      const page = await get("backups", wanted, mine.signal);
      if (page.total > 0 && page.entries.length === 0 && wanted.offset > 0) return change({ offset: 0 });
      show(page);
    } catch (error) {
      if (mine.signal.aborted) return undefined;
      replace(list, failure(error, load));
    }
    list.removeAttribute("aria-busy");
    return undefined;
  };
  const change = (values) => {
    Object.assign(wanted, { offset: 0 }, values);
    return load();
  };
  const show = (page) => {
    const text = summarised(page, wanted);
    if (summary.textContent !== text) summary.textContent = text;
    if (!page.entries.length) return replace(list, empty(page, wanted, () => clear()));
    return replace(list, h("div", { class: "scroller", tabindex: "0", role: "region", "aria-label": "Table of backups", data: { focus: "scroller" } }, table(page)), pager(page, wanted, change));
  };
  const table = (page) => h("table", { class: "backups", role: "table" },
    h("caption", { class: "hidden", text: "Backups" }),
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, h("th", { role: "columnheader", scope: "col" }, hidden("Compare")),
      COLUMNS.map(([name, key]) => header(name, key, wanted, change)))),
    h("tbody", { role: "rowgroup" }, page.entries.map((entry) => row(entry, chosen, choose, open))));
  const choose = (entry, isChosen) => {
    if (isChosen) chosen.set(entry.id, entry);
    else chosen.delete(entry.id);
    const [oldest] = chosen.keys();
    if (chosen.size > 2) {
      chosen.delete(oldest);
      for (const box of list.querySelectorAll("input[type=checkbox]")) box.checked = chosen.has(box.dataset.id);
    }
    bar.hidden = chosen.size === 0;
    replace(bar, compareBar(chosen, compare, () => [...chosen.values()].forEach((each) => choose(each, false))));
    if (!isChosen) for (const box of list.querySelectorAll("input[type=checkbox]")) box.checked = chosen.has(box.dataset.id);
  };
  const controls = filters(wanted, change);
  const clear = () => {
    controls.reset();
    change({ status: "all", search: "" });
  };
  replace(container, controls, h("div", { class: "list-line" }, summary, bar), list);
  replace(list, [1, 2, 3, 4, 5].map(() => h("p", { class: "skeleton line" })));
  return { load };
}

function filters(wanted, change) {
  const search = h("input", { type: "search", id: "search", dir: "auto", placeholder: "File name, run, error…", autocomplete: "off" });
  search.addEventListener("input", debounced(300, () => change({ search: search.value.trim() })));
  const status = h("select", { id: "status" }, FILTERS.map(([value, text]) => h("option", { value, text })));
  status.addEventListener("change", () => change({ status: status.value }));
  const form = h("form", { class: "filters", role: "search", "aria-label": "Backups" },
    h("label", { for: "status", text: "Show" }), status, h("label", { for: "search", text: "Search" }), search);
  form.addEventListener("submit", (event) => event.preventDefault());
  return form;
}

function header(name, key, wanted, change) {
  const kind = NUMBERS.has(name) ? "number" : null;
  if (!key) return h("th", { role: "columnheader", scope: "col", class: kind, text: name });
  const isSorted = wanted.sort === key;
  const order = isSorted ? (wanted.descending ? "descending" : "ascending") : "none";
  const arrow = isSorted && !wanted.descending ? "▲" : "▼";
  return h("th", { role: "columnheader", scope: "col", class: kind, "aria-sort": order },
    h("button", { type: "button", class: "sort", data: { focus: `sort-${key}` },
      on: { click: () => change({ sort: key, descending: wanted.sort === key ? !wanted.descending : true }) } },
    name, h("span", { class: "arrow", "aria-hidden": "true", text: arrow })));
}

const cell = (label, ...content) => h("td", { role: "cell", class: content[0] === NONE ? "blank" : null, data: { label } }, content);
const number = (label, text) => h("td", { role: "cell", class: text === NONE ? "number blank" : "number", data: { label } }, text);

function row(entry, chosen, choose, open) {
  const box = h("input", { type: "checkbox", "aria-label": `Compare the backup of ${entry.created_at}`, checked: chosen.has(entry.id),
    data: { id: entry.id, focus: `compare-${entry.id}` }, on: { change: (event) => choose(entry, event.target.checked) } });
  const name = h("a", { href: `#backup/${encodeURIComponent(entry.id)}`, class: "row-link", data: { focus: `open-${entry.id}` } }, time(entry.created_at));
  const line = h("tr", { role: "row", class: entry.status },
    h("td", { role: "cell", class: "choose", data: { label: "Compare" } }, box),
    h("th", { role: "rowheader", scope: "row", class: "created" }, name,
      entry.file_name && h("span", { class: "file faint", title: entry.file_name }, foreign(entry.file_name))),
    cell("Status", statusMark(entry), entry.error && h("span", { class: "error-line", title: entry.error }, foreign(entry.error))),
    cell("Type", entry.backup_type ?? NONE),
    number("Tables", count(entry.tables)), number("Rows", count(entry.rows)), number("Size", bytes(entry.size)), number("Duration", seconds(entry.seconds)),
    cell("Verification", verifiedMark(entry)), cell("Drill", drillMark(entry)),
    cell("Kept as", h("span", { class: "badges" }, badges(entry), kept(entry))));
  line.addEventListener("click", (event) => !event.target.closest("a, button, input, .choose") && !getSelection().toString() && open(entry.id));
  return line;
}

function compareBar(chosen, compare, forget) {
  const [one, two] = [...chosen.values()].sort((a, b) => a.created_at.localeCompare(b.created_at));
  return [
    h("span", { text: two ? "Two backups chosen." : "Choose one more to compare." }),
    two && h("button", { type: "button", class: "button primary", data: { focus: "compare" }, text: "Compare", on: { click: () => compare(one.id, two.id) } }),
    h("button", { type: "button", class: "button", data: { focus: "forget" }, text: "Clear", on: { click: forget } }),
  ];
}

function summarised(page, wanted) {
  if (!page.total) return "No entry";
  const all = plural(page.total, "entry", "entries"); // failed attempts and expired ones too: more than the backups above
  const last = Math.min(wanted.offset + page.entries.length, page.total);
  return page.total > page.entries.length ? `${count(wanted.offset + 1)}–${count(last)} of ${all}` : all;
}

function pager(page, wanted, change) {
  const { offset, limit } = wanted;
  const step = (by) => {
    const to = Math.max(0, wanted.offset + by); // of now: the page before may not be shown yet
    if (to < page.total) change({ offset: to });
  };
  const go = (text, by, focus, isPossible) => h("button", { type: "button", class: "button", text, data: { focus }, disabled: !isPossible, on: { click: () => step(by) } });
  const size = h("select", { id: "page-size", on: { change: (event) => change({ limit: Number(event.target.value) }) } },
    SIZES.map((each) => h("option", { value: each, text: String(each), selected: each === limit })));
  const pages = Math.max(1, Math.ceil(page.total / limit));
  return h("nav", { class: "pager", "aria-label": "Pages of backups" },
    go("‹ Previous", -limit, "page-back", offset > 0),
    h("span", { text: `Page ${count(Math.floor(offset / limit) + 1)} of ${count(pages)}` }),
    go("Next ›", limit, "page-next", offset + limit < page.total),
    h("label", { for: "page-size", text: "Per page" }), size);
}

const PLACES = { bucket: "the bucket", history: "the history" };

function empty(page, wanted, clear) {
  const isFiltered = wanted.search || wanted.status !== "all";
  const away = page.problems.map((problem) => PLACES[problem.source]).filter(Boolean);
  if (away.length && !isFiltered) {
    return h("div", { class: "empty" }, h("p", {}, h("strong", { text: `Nothing can be listed: ${away.join(" and ")} cannot be read.` })),
      h("p", { text: "That says nothing about the backups themselves. What is wrong stands at the top of the page." }));
  }
  return h("div", { class: "empty" },
    h("p", {}, h("strong", { text: isFiltered ? "No backup matches." : "There is no backup yet." })),
    isFiltered
      ? h("button", { type: "button", class: "button", text: "Show all", on: { click: clear } })
      : h("p", { text: "Press “Back up now” above, or unpause collabhunts_backup in Airflow: it then runs by its schedule." }));
}
