// The numbers below the sentence.
import { foreign, h } from "./dom.js";
import { age, bytes, count, NONE, percent, seconds, time } from "./format.js";

const tile = (name, value, ...notes) =>
  h("div", { class: "tile" }, h("dt", { text: name }), h("dd", { class: "tile-value" }, value),
    notes.filter(Boolean).map((note) => h("dd", { class: "tile-note" }, note)));

export const tiles = (facts) => [
  tile("Backups", count(facts.backups), facts.pinned ? `${count(facts.pinned)} pinned` : null),
  success(facts.success_rates),
  storage(facts),
  tile("Last backup took", seconds(facts.last_seconds)),
  next(facts),
  drill(facts),
  retention(facts.retention),
];

function success(rates) {
  const known = rates.filter((rate) => rate.ended > 0);
  const first = known[0];
  const lines = rates.map((rate) => h("span", { class: "whole", text: `${rate.days} days: ${rate.ended ? percent(rate.succeeded, rate.ended) : NONE}` }));
  return tile("Success rate", first ? percent(first.succeeded, first.ended) : NONE, lines.length ? h("span", { class: "wholes" }, lines) : null);
}

function storage(facts) {
  const before = facts.storage_30_days_ago;
  const known = facts.storage !== null && before !== null;
  const difference = known ? facts.storage - before : 0;
  const arrow = difference > 0 ? "▲" : difference < 0 ? "▼" : "=";
  return tile("Storage", bytes(facts.storage), known ? `${arrow} ${bytes(Math.abs(difference))} in 30 days` : null);
}

function next(facts) {
  if (facts.is_paused) return tile("Next run", "paused", "Unpause collabhunts_backup in Airflow");
  if (!facts.next_run) return tile("Next run", NONE);
  return tile("Next run", time(facts.next_run, { only: true }), time(facts.next_run));
}

function drill(facts) {
  const names = { proven: "✓ proven", failed: "✕ failed", none: "none yet" };
  const took = facts.drill_seconds === null ? "" : ` · took ${seconds(facts.drill_seconds)}`;
  return tile("Last drill", h("span", { class: `verdict ${facts.drill}`, text: names[facts.drill] }),
    facts.drilled_at ? `${age(facts.drilled_at)}${took}` : null);
}

function retention(rules) {
  const lines = rules.map((rule) => h("span", { class: "fill" },
    h("span", { text: rule.rule }), h("span", { text: `${rule.kept}/${rule.wanted}` }),
    h("meter", { min: 0, max: Math.max(rule.wanted, 1), value: Math.min(rule.kept, rule.wanted), "aria-label": `${rule.rule} ${rule.kept} of ${rule.wanted}` })));
  return tile("Retention", lines.length ? h("span", { class: "fills" }, lines) : foreign(NONE));
}
