// Moments, sizes and durations in words. Moments arrive in UTC and are shown in the reader's time, UTC in the title.
import { h } from "./dom.js";

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];
const number = new Intl.NumberFormat("en");
const local = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });
const SPANS = [[86400 * 365, "year"], [86400 * 30, "month"], [86400, "day"], [3600, "hour"], [60, "minute"]];

export const NONE = "–";

export const count = (value) => (value === null || value === undefined ? NONE : number.format(value));

export const plural = (value, one, many = `${one}s`) => `${count(value)} ${value === 1 ? one : many}`;

export function bytes(value) {
  if (value === null || value === undefined) return NONE;
  let size = value;
  let unit = 0;
  while (Math.abs(size) >= 999.5 && unit < UNITS.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${unit && Math.abs(size) < 10 ? size.toFixed(1) : Math.round(size)} ${UNITS[unit]}`;
}

export function seconds(value) {
  if (value === null || value === undefined) return NONE;
  if (value < 10) return `${Number(value.toFixed(1))} s`;
  const whole = Math.round(value);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** "7 hours ago", "in 3 minutes". */
export function age(moment, now = Date.now()) {
  const difference = (new Date(moment) - now) / 1000;
  const size = Math.abs(difference);
  const [span, name] = SPANS.find(([least]) => size >= least) ?? [1, null];
  if (!name) return difference < 0 ? "just now" : "in a moment";
  const amount = plural(Math.floor(size / span), name);
  return difference < 0 ? `${amount} ago` : `in ${amount}`;
}

export const utc = (moment) => `${new Date(moment).toISOString().slice(0, 19).replace("T", " ")} UTC`;

export const localText = (moment) => local.format(new Date(moment));

/** A moment in the reader's time; `relative` adds its age. */
export function time(moment, { relative = false, only = false } = {}) {
  if (!moment) return h("span", { text: NONE });
  const words = only ? age(moment) : localText(moment) + (relative ? ` (${age(moment)})` : "");
  return h("time", { datetime: moment, title: utc(moment), text: words });
}

export function change(now, before, words = count) {
  if (before === null || before === undefined || now === null || now === undefined) return NONE;
  const difference = now - before;
  return difference === 0 ? "±0" : `${difference > 0 ? "+" : "−"}${words(Math.abs(difference))}`;
}

export function percent(part, whole) {
  return whole ? `${Math.round((1000 * part) / whole) / 10} %` : NONE;
}

export const day = (iso) =>
  new Intl.DateTimeFormat("en-GB", { dateStyle: "full", timeZone: "UTC" }).format(new Date(`${iso}T00:00:00Z`));

export const words = (name) => name.replaceAll("_", " ");
