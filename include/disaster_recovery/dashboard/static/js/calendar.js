// A year's days as a grid: weeks are columns, one day has the focus and arrows move it.
import { h, replace } from "./dom.js";
import { day as dayWords, plural } from "./format.js";

const STATES = {
  proven: ["✓", "proven by a drill"],
  verified: ["·", "verified"],
  unverified: ["?", "backup, not verified"],
  failed: ["✕", "failed"],
  none: ["", "no backup"],
};
const WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const STEPS = { ArrowUp: -1, ArrowDown: 1, ArrowLeft: -7, ArrowRight: 7 };
let focused = null;

const weekday = (day) => (new Date(`${day}T00:00:00Z`).getUTCDay() + 6) % 7;
const said = (day) => `${dayWords(day.day)}: ${STATES[day.state][1]}${day.ids.length > 1 ? `, ${plural(day.ids.length, "backup")}` : ""}`;

export function calendar(days) {
  if (!days.length) return null;
  const line = h("p", { class: "day-line", "aria-live": "polite" });
  const buttons = new Map();
  const last = days[days.length - 1].day;
  const current = days.some((day) => day.day === focused) ? focused : last;
  const cell = (day) => {
    const button = h("button", { type: "button", class: `day ${day.state}`, tabindex: day.day === current ? "0" : "-1", title: said(day),
      "aria-label": said(day), data: { focus: `day-${day.day}` }, text: STATES[day.state][0] });
    button.addEventListener("click", () => tell(day));
    button.addEventListener("keydown", (event) => move(event, day, days, buttons));
    buttons.set(day.day, button);
    return h("td", { role: "gridcell" }, button);
  };
  const tell = (day) => replace(line, `${said(day)}. `, day.ids.slice(0, 6).map((id, index) =>
    h("a", { href: `#backup/${encodeURIComponent(id)}`, data: { focus: `day-link-${id}` }, text: day.ids.length > 1 ? `Open backup ${day.ids.length - index} ` : "Open it " })));
  const scroll = h("div", { class: "calendar-scroll" }, grid(days, cell));
  requestAnimationFrame(() => {
    scroll.scrollLeft = scroll.scrollWidth;
  });
  return h("figure", { class: "chart" }, h("figcaption", { text: "Days (UTC)" }), scroll, legend(), line);
}

function grid(days, cell) {
  const before = weekday(days[0].day);
  const weeks = Math.ceil((before + days.length) / 7);
  const at = (week, row) => days[week * 7 + row - before];
  return h("table", { class: "calendar", role: "grid", "aria-label": "Calendar of backups by day" },
    months(days, before, weeks),
    h("tbody", { role: "rowgroup" }, WEEKDAYS.map((name, row) => h("tr", { role: "row" }, h("th", { scope: "row", role: "rowheader", text: name }),
      Array.from({ length: weeks }, (_, week) => (at(week, row) ? cell(at(week, row)) : h("td", { role: "gridcell" })))))));
}

const MONTH = new Intl.DateTimeFormat("en-GB", { month: "short", timeZone: "UTC" });

/** Above the first whole week of each month its name; a name needs the room of three weeks. */
function months(days, before, weeks) {
  const monday = (week) => days[Math.max(0, week * 7 - before)].day;
  const starts = Array.from({ length: weeks }, (_, week) => week).filter((week) => week === 0 || monday(week).slice(0, 7) !== monday(week - 1).slice(0, 7));
  const named = starts.map((week, index) => ({ week, wide: (starts[index + 1] ?? weeks) - week }));
  return h("thead", { "aria-hidden": "true" }, h("tr", {}, h("td", { class: "corner" }), named.map(({ week, wide }) =>
    h("td", { class: "month", colspan: wide, text: wide > 1 ? MONTH.format(new Date(`${monday(week)}T00:00:00Z`)) : "" }))));
}

function move(event, day, days, buttons) {
  const index = days.indexOf(day);
  const to = { Home: 0, End: days.length - 1 }[event.key] ?? (event.key in STEPS ? index + STEPS[event.key] : null);
  if (to === null) return;
  event.preventDefault();
  if (!days[to]) return;
  focused = days[to].day;
  buttons.get(day.day).tabIndex = -1;
  const button = buttons.get(focused);
  button.tabIndex = 0;
  button.focus();
}

const legend = () => h("ul", { class: "legend", "aria-label": "Legend" }, Object.entries(STATES).map(([state, [sign, name]]) =>
  h("li", {}, h("span", { class: `key ${state}`, "aria-hidden": "true", text: sign }), name)));
