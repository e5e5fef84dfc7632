// Size and rows over time, durations, and the calendar. Beside each chart stands the same as a table.
import uPlot from "../vendor/uplot/uPlot.esm.js";
import { calendar } from "./calendar.js";
import { h } from "./dom.js";
import { bytes, count, localText, seconds, time } from "./format.js";
import { colour, onTheme } from "./theme.js";

const HEIGHT = 215;
const PHASES = ["plan", "rebuild", "load", "check", "apply", "compare"];
const NUMBERS = new Set(["Size", "Rows"]);
const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400]; // seconds
let shown = null;
let drawn = [];
let last = null;

/** Draws anew only if something changed: what the reader points at stays. */
export function charts(container, overview) {
  const key = JSON.stringify([overview.points, overview.drills, overview.calendar]);
  last = { container, overview };
  if (key === shown) return;
  shown = key;
  draw(last);
}

onTheme(() => last && draw(last));

function draw({ container, overview }) {
  const open = new Set([...container.querySelectorAll("details[open]")].map((each) => each.dataset.name));
  const focus = container.contains(document.activeElement) ? document.activeElement.dataset.focus : null;
  for (const { plot, observer } of drawn) {
    observer.disconnect();
    plot.destroy();
  }
  drawn = [];
  const figures = [
    figure("size", "Size and rows", overview.points.length && sizes(overview.points), sizeTable(overview.points)),
    figure("durations", "Duration of backups and drills", overview.points.length + overview.drills.length && durations(overview), durationTable(overview)),
  ];
  container.replaceChildren(...[...figures.map(({ element }) => element), calendar(overview.calendar)].filter(Boolean));
  for (const { element, make, name } of figures) {
    element.querySelector("details")?.toggleAttribute("open", open.has(name));
    if (make) mount(element.querySelector(".chart-plot"), make);
  }
  if (focus) [...container.querySelectorAll("[data-focus]")].find((each) => each.dataset.focus === focus)?.focus({ preventScroll: true });
}

function figure(name, title, make, table) {
  const element = h("figure", { class: "chart" }, h("figcaption", { text: title }),
    make ? h("div", { class: "chart-plot", "aria-hidden": "true" }) : h("p", { class: "faint", text: "Nothing to draw yet." }),
    make && h("details", { data: { name } }, h("summary", { text: "As a table", data: { focus: `summary-${name}` } }), table));
  return { name, element, make };
}

function mount(place, make) {
  const { options, data } = make;
  const width = () => Math.max(place.clientWidth, 200);
  const plot = new uPlot({ width: width(), height: HEIGHT, ...options }, data, place);
  const observer = new ResizeObserver(() => plot.width !== width() && plot.setSize({ width: width(), height: HEIGHT }));
  observer.observe(place);
  drawn.push({ plot, observer });
}

const at = (moment) => new Date(moment).getTime() / 1000;
const shownValue = (words) => (plot, value) => (value === null || value === undefined ? "" : words(value));
const axis = (words, more = {}) => ({ stroke: colour("faint"), grid: { stroke: colour("line"), width: 1 }, ticks: { stroke: colour("line"), width: 1 },
  size: 62, values: words && ((plot, values) => values.map(words)), ...more });
const moments = () => ({ label: "", value: (plot, value) => (value ? localText(value * 1000) : "") });

const format = (options) => new Intl.DateTimeFormat("en-GB", options);
const [MONTH, DATE, HOUR] = [{ month: "short", year: "2-digit" }, { day: "numeric", month: "short" }, { hour: "2-digit", minute: "2-digit" }].map(format);
const isMidnight = (moment) => moment.getHours() + moment.getMinutes() === 0;
const stamp = (moment, step) => (step >= 28 * 86400 ? MONTH : step >= 86400 || isMidnight(moment) ? DATE : HOUR).format(moment);
const days = () => axis(null, { size: 34, space: 64, values: (plot, splits, index, space, step) => splits.map((split) => stamp(new Date(split * 1000), step)) });
const dots = (tone) => ({ size: 9, fill: tone, stroke: tone, show: true });
const DAY = 86_400;
/** A first backup alone would stand at the edge of some other year: uPlot gives a single moment 1,000 days. */
const atLeastADay = (plot, least, most) => {
  const last = plot.data[0].length === 1 ? least : most;
  const missing = Math.max(0, DAY - (last - least)) / 2;
  return [least - missing, last + missing];
};
const fromZero = (plot, least, most) => [0, (most || 1) * 1.1];

function sizes(points) {
  const sorted = [...points].sort((a, b) => at(a.at) - at(b.at));
  const unusual = sorted.map((point) => (point.unusual.length ? point.size : null));
  const few = { show: sorted.length < 40 };
  return {
    data: [sorted.map((point) => at(point.at)), sorted.map((point) => point.size), sorted.map((point) => point.rows), unusual],
    options: {
      scales: { x: { range: atLeastADay }, y: { range: fromZero }, rows: { range: fromZero } },
      axes: [days(), axis(bytes), axis(compact, { scale: "rows", side: 1, grid: { show: false } })],
      series: [moments(),
        { label: "Size", stroke: colour("phase-2"), width: 2, value: shownValue(bytes), points: few },
        { label: "Rows", scale: "rows", stroke: colour("phase-5"), width: 2, dash: [6, 4], value: shownValue(count), points: few },
        { label: "Unusual", stroke: colour("bad"), width: 0, points: dots(colour("bad")), paths: () => null, value: shownValue(bytes) }],
    },
  };
}

const compact = (value) => new Intl.NumberFormat("en", { notation: "compact" }).format(value);

// Stacked: each phase is drawn from zero to the sum of it and those before it, the longest bar first.
function durations({ points, drills }) {
  const stamps = [...new Set([...points, ...drills].map((each) => at(each.at)))].sort((a, b) => a - b);
  const backups = new Map(points.map((point) => [at(point.at), point.seconds]));
  const byTime = new Map(drills.map((drill) => [at(drill.at), drill.phases]));
  const names = PHASES.filter((name) => drills.some((drill) => drill.phases[name]));
  const sum = (phases, upTo) => names.slice(0, upTo + 1).reduce((total, name) => total + (phases[name] ?? 0), 0);
  const stacks = names.map((name, index) => ({
    name,
    tone: colour(`phase-${PHASES.indexOf(name) + 1}`),
    values: stamps.map((stamp) => (byTime.has(stamp) ? sum(byTime.get(stamp), index) : null)),
  })).reverse();
  const bars = uPlot.paths.bars({ size: [0.6, 14, 3] });
  const own = (name) => (plot, value, series, index) => shownValue(seconds)(plot, byTime.get(stamps[index])?.[name]);
  return {
    data: [stamps, ...stacks.map((stack) => stack.values), stamps.map((stamp) => backups.get(stamp) ?? null)],
    options: {
      scales: { x: { range: atLeastADay }, y: { range: fromZero } },
      axes: [days(), axis(seconds, { incrs: STEPS, size: 82 })],
      series: [moments(),
        ...stacks.map(({ name, tone }) => ({ label: `Drill: ${name}`, stroke: tone, fill: tone, width: 0, paths: bars, points: { show: false }, value: own(name) })),
        { label: "Backup", stroke: colour("text"), width: 2, spanGaps: true, value: shownValue(seconds), points: { show: points.length < 40 } }],
    },
  };
}

const link = (each) => h("a", { href: `#backup/${encodeURIComponent(each.id)}` }, time(each.at));
const newest = (found) => [...found].sort((a, b) => at(b.at) - at(a.at)).slice(0, 100);
const plain = (caption, heads, rows) => h("div", { class: "scroller", tabindex: "0", role: "region", "aria-label": caption }, h("table", { class: "plain" },
  h("caption", { class: "hidden", text: caption }), h("thead", {}, h("tr", {}, heads.map((text) => h("th", { scope: "col", class: NUMBERS.has(text) ? "number" : null, text })))), h("tbody", {}, rows)));

const sizeTable = (points) => plain("Size and rows of the newest backups", ["Backup", "Size", "Rows", "Unusual"], newest(points).map((point) =>
  h("tr", {}, h("th", { scope: "row" }, link(point)), h("td", { class: "number", text: bytes(point.size) }), h("td", { class: "number", text: count(point.rows) }), h("td", { dir: "auto", text: point.unusual.join("; ") }))));

const durationTable = ({ points, drills }) => plain("Durations of the newest backups and drills", ["When", "What", "Took"], newest([...points, ...drills]).map((each) =>
  h("tr", {}, h("th", { scope: "row" }, link(each)), h("td", { text: each.phases ? "drill" : "backup" }),
    h("td", { text: each.phases ? PHASES.filter((name) => each.phases[name]).map((name) => `${name} ${seconds(each.phases[name])}`).join(", ") : seconds(each.seconds) }))));
