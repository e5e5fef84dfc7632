// What is open is in the hash (#backup/<id>), so that it can be shared, and Back closes it.
// In Airflow the hash stands in Airflow's own address too.
import { parentPage } from "./links.js";

const routes = new Map();

export const onRoute = (name, action) => routes.set(name, action);

export const here = () => window.location.hash.slice(1);

export function go(...parts) {
  const hash = parts.map((part) => encodeURIComponent(part)).join("/");
  if (hash !== here()) window.location.hash = hash;
}

/** Back to the list, unless something else was opened meanwhile. */
export function leave(hash, list = "") {
  if (here() === hash) go(list);
}

export function startRouting() {
  window.addEventListener("hashchange", follow);
  follow();
}

function follow() {
  const [name, ...parts] = here().split("/").map(decoded);
  share();
  routes.get(name)?.(...parts);
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function airflowPage() {
  const parent = parentPage();
  return parent?.location.pathname.includes("/plugin/") ? parent : null;
}

// At once: as soon as the frame is loaded, Airflow writes the frame's address into its own, and the hash there is gone.
const shared = airflowPage()?.location.hash.slice(1);
if (shared && !here()) window.location.replace(`#${shared}`);

function share() {
  const parent = airflowPage();
  if (!parent || parent.location.hash.slice(1) === here()) return;
  const { pathname, search } = parent.location;
  parent.history.replaceState(parent.history.state, "", `${pathname}${search}${here() ? `#${here()}` : ""}`);
}
