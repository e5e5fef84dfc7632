// Links to Airflow's own pages. In Airflow the page stands in a sandboxed frame: no popups, no navigation of the top.
// A link of the parent's own document, clicked from here, is the parent's own navigation: that is allowed.
import { BASE } from "./api.js";
import { h } from "./dom.js";

const AIRFLOW = new URL("../", BASE);
export const BACKUP = "collabhunts_backup";

/** The frame's parent if it is Airflow itself: same origin. */
export function parentPage() {
  if (window.parent === window) return null;
  try {
    return window.parent.document ? window.parent : null;
  } catch {
    return null;
  }
}

export function airflowLink(target, text, props = {}) {
  const href = new URL(target, AIRFLOW).href;
  return h("a", { href, text, ...props, on: { click: (event) => leave(event, href) } });
}

function leave(event, href) {
  const parent = parentPage();
  if (!parent) return;
  event.preventDefault();
  const anchor = parent.document.createElement("a");
  anchor.href = href;
  anchor.hidden = true;
  parent.document.body.append(anchor);
  anchor.click();
  anchor.remove();
}

const run = (dagId, runId) => `dags/${encodeURIComponent(dagId)}/runs/${encodeURIComponent(runId)}`;

export const runLink = (dagId, runId, text = "Open the run in Airflow") => airflowLink(run(dagId, runId), text);

export const taskLink = (dagId, runId, taskId, text) =>
  airflowLink(`${run(dagId, runId)}/tasks/${encodeURIComponent(taskId)}`, text);

export const answerLink = (dagId, runId) => airflowLink(`${run(dagId, runId)}/required_actions`, "Answer in Required Actions");

export const dagLink = (dagId, text) => airflowLink(`dags/${encodeURIComponent(dagId)}`, text);

export function loginLink() {
  const next = encodeURIComponent((parentPage() ?? window).location.href);
  return airflowLink(`api/v2/auth/login?next=${next}`, "Log in again", { class: "button primary" });
}
