// Follows the runs that were started here, until they end.
import { get, path } from "./api.js";
import { byId, foreign, h, replace } from "./dom.js";
import { words } from "./format.js";
import { answerLink, dagLink, runLink, taskLink } from "./links.js";

const EVERY = 2000;
const LASTING = 8000;
const ENDED = new Set(["success", "failed"]);
const TASK_ENDED = new Set(["success", "failed", "skipped", "upstream_failed", "removed"]);
const HOPELESS = [401, 403, 404];
const ASKS = "awaiting_input"; // of a task: Airflow calls the run itself "running"

/** Words for the moment, read out too; with `more` below them they stay for `lasting` milliseconds. */
export function say(text, more = null, lasting = LASTING) {
  const card = h("div", { class: "toast" }, h("div", { class: "toast-body" }, h("p", {}, foreign(text)), more));
  card.append(dismiss(card));
  byId("follow").append(card);
  setTimeout(() => card.remove(), lasting);
}

/** Shows a run until it ended, then calls `finished`; `next(status)` may give what comes after a success. */
export async function follow(run, what, finished, next = () => null) {
  const body = h("div", { class: "toast-body" });
  const progress = h("div", { class: "toast-progress", "aria-live": "off" });
  const card = h("div", { class: "toast" }, body, progress);
  card.append(dismiss(card));
  byId("follow").append(card);
  let shown = null;
  let status = { state: "queued", tasks: [] };
  replace(body, headline(run, what, status));
  finished();
  while (card.isConnected) {
    status = await get(`runs/${path(run.dag_id, run.run_id)}`).catch((error) => ({ error }));
    const key = status.error ? `error ${status.error.fact}` : standing(status);
    if (key !== shown) {
      card.className = `toast ${status.error ? "failed" : key}`;
      replace(body, [headline(run, what, status), key === "success" && next(status)]);
    }
    shown = key;
    if (status.tasks) replace(progress, ENDED.has(status.state) ? [] : tasks(status));
    if (ENDED.has(status.state) || HOPELESS.includes(status.error?.status)) break;
    await new Promise((resolve) => setTimeout(resolve, EVERY));
  }
  finished();
}

/** The run's state; a run that waits for an answer is running, says Airflow. */
const standing = (status) => (status.state === "running" && status.tasks.some((task) => task.state === ASKS) ? ASKS : status.state);

function headline(run, what, status) {
  const { dag_id: dagId, run_id: runId } = run;
  const state = status.error ? null : standing(status);
  const isPaused = run.is_paused && state === "queued";
  const said = status.error ? "cannot be followed" : (isPaused ? "waits: its DAG is paused" : SAID[state] ?? words(state));
  return [
    h("p", {}, h("strong", { text: `${what}: ` }), h("span", { class: TONES[state], text: said })),
    status.error && h("p", {}, foreign(status.error.fact), status.error.hint ? ` – ${status.error.hint}` : ""),
    isPaused && h("p", {}, dagLink(dagId, `Unpause ${dagId} in Airflow`), " to let it start."),
    state === ASKS && h("p", {}, "Nothing is changed until you do. ", answerLink(dagId, runId)),
    state === "failed" && failed(run, status.tasks),
    h("p", {}, runLink(dagId, runId)),
  ];
}

const SAID = {
  queued: "queued", running: "running", success: "✓ finished", failed: "✕ failed", [ASKS]: "waiting for your approval",
};
const TONES = { success: "mark good", failed: "mark bad", [ASKS]: "mark warning" };

/** Where to read why. */
function failed(run, tasks) {
  const found = tasks.filter((task) => task.state === "failed").slice(0, 3);
  return found.length > 0 && h("p", {}, "Read the log of ", found.map((task, index) =>
    [index ? ", " : "", taskLink(run.dag_id, run.run_id, task.task_id, named(task))]));
}

const named = (task) => (task.label === task.task_id ? task.label : `${task.task_id} ${task.label}`);

function tasks(status) {
  const ended = status.tasks.filter((task) => TASK_ENDED.has(task.state)).length;
  const now = status.tasks.filter((task) => ["running", ASKS, "failed"].includes(task.state));
  return [
    h("progress", { max: Math.max(status.tasks.length, 1), value: ended, "aria-label": "Tasks that ended" }),
    h("span", { class: "faint" }, `${ended} of ${status.tasks.length} tasks`,
      now.length ? ` · ${now.slice(0, 3).map((task) => `${named(task)} ${words(task.state)}`).join(", ")}` : ""),
  ];
}

const dismiss = (card) =>
  h("button", { type: "button", class: "icon", "aria-label": "Dismiss", text: "✕", on: { click: () => card.remove() } });
