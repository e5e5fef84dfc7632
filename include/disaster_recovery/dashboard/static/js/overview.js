// What stands above the table: the one sentence, problems, and what is running now.
import { foreign, h, hidden } from "./dom.js";
import { age, time, words } from "./format.js";
import { loginLink, runLink, answerLink } from "./links.js";

const LEVELS = { good: ["✓", "Good"], warning: ["!", "Attention"], bad: ["✕", "Bad"] };
const SOURCES = {
  bucket: "The bucket cannot be read. The page shows what the history table knows.",
  history: "The source database cannot be read. The page lists the backups from the bucket.",
  airflow: "Airflow cannot be asked. The next run and what is running now are unknown.",
};

export function answer(said) {
  const [icon, name] = LEVELS[said.level];
  return [
    h("div", { class: `answer-mark ${said.level}`, "aria-hidden": "true", text: icon }),
    h("div", { class: "answer-words" },
      h("p", { class: "answer-sentence", dir: "auto" }, hidden(`${name}: `), said.sentence),
      said.next_action && h("p", { class: "answer-next" }, h("strong", { text: "Next: " }), foreign(said.next_action)),
      h("p", { class: "answer-local" }, ...localTimes(said))),
  ];
}

function localTimes(said) {
  const parts = [];
  if (said.recoverable_to) parts.push("Your time: to ", time(said.recoverable_to), `, ${age(said.recoverable_to)}`);
  if (said.proven_at) parts.push(parts.length ? " · proven " : "Your time: proven ", time(said.proven_at), `, ${age(said.proven_at)}`);
  return parts;
}

export const problems = (found) => found.map((problem) =>
  h("div", { class: "banner warning" },
    h("p", {}, h("strong", { text: SOURCES[problem.source] ?? "Something cannot be read." })),
    h("p", {}, foreign(problem.fact), problem.hint ? " – " : "", foreign(problem.hint))));

export function failure(error, retry) {
  return h("div", { class: "banner bad", role: "alert" },
    h("p", {}, h("strong", { text: error.status === 401 ? "You are not logged in." : "This could not be read." })),
    h("p", {}, foreign(error.fact ?? error.message), error.hint ? " – " : "", foreign(error.hint)),
    h("p", { class: "banner-actions" }, error.status === 401
      ? loginLink()
      : h("button", { type: "button", class: "button", text: "Try again", on: { click: retry } })));
}

export function running(runs) {
  if (!runs.length) return [];
  return [h("section", { class: "running", "aria-labelledby": "running-title" },
    h("h2", { id: "running-title", text: "Running now" }),
    h("ul", {}, runs.map((run) => h("li", {},
      h("span", { class: "spinner", "aria-hidden": "true" }),
      h("span", { class: "run-name", text: words(run.dag_id.replace("collabhunts_", "")) }),
      h("span", { text: words(run.state) }),
      run.started_at && h("span", { class: "faint" }, "started ", time(run.started_at, { only: true })),
      run.state === "awaiting_input" ? answerLink(run.dag_id, run.run_id) : runLink(run.dag_id, run.run_id)))))];
}
