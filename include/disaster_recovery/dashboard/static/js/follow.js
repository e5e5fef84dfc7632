// Follows the runs that were started here, until they end.
import { get, path } from "./api.js";
import { byId, foreign, h, replace } from "./dom.js";
import { words } from "./format.js";
import { answerLink, dagLink, runLink } from "./links.js";

const EVERY = 2000;
const ENDED = new Set(["success", "failed"]);
const TASK_ENDED = new Set(["success", "failed", "skipped", "upstream_failed", "removed"]);

/** Words for the moment, read out too. */
export function say(text) {
  const card = h("div", { class: "toast" }, h("p", {}, foreign(text)));
  card.append(dismiss(card));
  byId("follow").append(card);
  setTimeout(() => card.remove(), 8000);
}

/** Shows a run until it ended, then calls `finished`. */
export async function follow(run, what, finished) {
  const body = h("div", { class: "toast-body" });
  const progress = h("div", { class: "toast-progress", "aria-live": "off" });
  const card = h("div", { class: "toast" }, body, progress);
  card.append(dismiss(card));
  byId("follow").append(card);
  let shown = null;
  finished();
  while (card.isConnected) {
    const status = await get(`runs/${path(run.dag_id, run.run_id)}`).catch((error) => ({ error }));
    const key = status.error ? `error ${status.error.fact}` : status.state;
    if (key !== shown) replace(body, headline(run, what, status));
    shown = key;
    if (status.tasks) replace(progress, tasks(status));
    if (ENDED.has(status.state) || [401, 403, 404].includes(status.error?.status)) break;
    await new Promise((resolve) => setTimeout(resolve, EVERY));
  }
  finished();
}

function headline(run, what, status) {
  const { dag_id: dagId, run_id: runId } = run;
  const isPaused = run.is_paused && status.state === "queued";
  const state = status.error ? "cannot be followed" : (isPaused ? "waits: its DAG is paused" : said(status.state));
  return [
    h("p", {}, h("strong", { text: `${what}: ` }), state),
    status.error && h("p", {}, foreign(status.error.fact), status.error.hint ? ` – ${status.error.hint}` : ""),
    isPaused && h("p", {}, dagLink(dagId, `Unpause ${dagId} in Airflow`), " to let it start."),
    status.state === "awaiting_input" && h("p", {}, answerLink(dagId, runId)),
    h("p", {}, runLink(dagId, runId)),
  ];
}

const said = (state) => ({
  queued: "queued", running: "running", success: "✓ finished", failed: "✕ failed",
  awaiting_input: "waiting for your approval",
}[state] ?? words(state));

function tasks(status) {
  const ended = status.tasks.filter((task) => TASK_ENDED.has(task.state)).length;
  const now = status.tasks.filter((task) => ["running", "awaiting_input", "failed"].includes(task.state));
  return [
    h("progress", { max: Math.max(status.tasks.length, 1), value: ended, "aria-label": "Tasks that ended" }),
    h("span", { class: "faint" }, `${ended} of ${status.tasks.length} tasks`,
      now.length ? ` · ${now.slice(0, 3).map((task) => `${task.label} ${words(task.state)}`).join(", ")}` : ""),
  ];
}

const dismiss = (card) =>
  h("button", { type: "button", class: "icon", "aria-label": "Dismiss", text: "✕", on: { click: () => card.remove() } });
