// Light or dark as Airflow's own page is (a class of its html element), else as the system is.
import { parentPage } from "./links.js";

const system = window.matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set();

function wanted() {
  const marks = parentPage()?.document.documentElement.classList;
  if (marks?.contains("dark")) return "dark";
  if (marks?.contains("light")) return "light";
  const chosen = stored();
  return chosen === "dark" || chosen === "light" ? chosen : system.matches ? "dark" : "light";
}

function stored() {
  try {
    return window.localStorage.getItem("theme")?.replaceAll('"', "");
  } catch {
    return null;
  }
}

function apply() {
  const theme = wanted();
  if (document.documentElement.dataset.theme === theme) return;
  document.documentElement.dataset.theme = theme;
  for (const listener of listeners) listener(theme);
}

export const onTheme = (listener) => listeners.add(listener);

export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

export function followTheme() {
  apply();
  system.addEventListener("change", apply);
  window.addEventListener("storage", apply);
  const parent = parentPage();
  if (!parent) return;
  const observer = new MutationObserver(apply);
  observer.observe(parent.document.documentElement, { attributes: true, attributeFilter: ["class"] });
}
