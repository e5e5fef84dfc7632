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

/** Back to the list; without an entry in the browser's history for a page that nobody went to. */
export function leave(hash) {
  if (here() === hash) go("");
}

export function startRouting() {
  const shared = sharedHash();
  if (!here() && shared) window.location.replace(`#${shared}`);
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

const sharedHash = () => airflowPage()?.location.hash.slice(1) ?? "";

function share() {
  const parent = airflowPage();
  if (!parent || parent.location.hash.slice(1) === here()) return;
  const { pathname, search } = parent.location;
  parent.history.replaceState(parent.history.state, "", `${pathname}${search}${here() ? `#${here()}` : ""}`);
}
