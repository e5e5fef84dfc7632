// Status, verification and drill as marks: colour, sign and word.
import { foreign, h } from "./dom.js";
import { age, plural, utc, words } from "./format.js";

const SIGNS = {
  success: ["✓", "good"], failed: ["✕", "bad"], expired: ["○", "faint"], in_progress: ["…", "info"],
  valid: ["✓", "good"], invalid: ["✕", "bad"], missing: ["✕", "bad"], unverified: ["–", "faint"],
  proven: ["✓", "good"], none: ["–", "faint"], passed: ["✓", "good"], skipped: ["–", "faint"], unreadable: ["!", "warning"],
};

export function mark(state, word = words(state), title = null) {
  const [sign, tone] = SIGNS[state] ?? ["·", "faint"];
  return h("span", { class: `mark ${tone}`, title }, h("span", { "aria-hidden": "true", text: `${sign} ` }), word);
}

export const statusMark = (entry) => mark(entry.status, words(entry.status), entry.error);

export function verifiedMark(entry) {
  const depth = entry.verification === "valid" && entry.verification_depth ? `, ${entry.verification_depth}` : "";
  return mark(entry.verification, entry.verification + depth, when(entry.verified_at, entry.finding));
}

export const drillMark = (entry) => mark(entry.drill, entry.drill === "none" ? "no drill" : entry.drill, when(entry.drilled_at));

const when = (moment, finding) => [moment && `${age(moment)}, ${utc(moment)}`, finding].filter(Boolean).join(" – ") || null;

export function badges(entry) {
  return [
    entry.pinned && h("span", { class: "badge info", title: entry.pinned, text: "pinned" }),
    entry.in_use && h("span", { class: "badge info", title: "A run is reading it", text: "in use" }),
    entry.is_expiring && h("span", { class: "badge warning", text: "expiring" }),
    entry.in_bucket === false && entry.status === "success" && h("span", { class: "badge bad", text: "not in the bucket" }),
    entry.unusual.length > 0 && h("span", { class: "badge warning", title: entry.unusual.join("\n"), text: "unusual" }),
    entry.warnings > 0 && h("span", { class: "badge warning", text: plural(entry.warnings, "warning") }),
  ];
}

export const kept = (entry) => entry.retention.map((reason) => h("span", { class: "badge" }, foreign(reason)));
