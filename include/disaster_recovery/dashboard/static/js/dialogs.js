// The page's own dialogs: Airflow's frame allows no confirm(). The browser's <dialog> keeps the focus inside.
import { byId, foreign, h, newId } from "./dom.js";
import { say } from "./follow.js";

/** Opens a dialog; `build(close)` gives its content. `closed` resolves with what `close` was given. */
export function open(title, build, { panel = false, wide = false, describe = false, opener = remembered(document.activeElement) } = {}) {
  const id = newId("dialog");
  const kind = panel ? "panel" : wide ? "box wide" : "box";
  const dialog = h("dialog", { class: kind, "aria-labelledby": id, "aria-describedby": describe ? `${id}-says` : null });
  let result = null;
  const close = (value = null) => {
    result = value;
    dialog.close();
    placeFollow();
  };
  const heading = h("h2", { id, tabindex: "-1", class: "foreign", dir: "auto", text: title });
  const leave = h("button", { type: "button", class: "icon", "aria-label": "Close", text: "✕", on: { click: () => close() } });
  const body = h("div", { class: "dialog-body", id: `${id}-says` });
  dialog.append(h("header", { class: "dialog-head" }, heading, leave), body);
  dialog.addEventListener("click", (event) => event.target === dialog && panel && close());
  body.append(...[build(close)].flat(Infinity).filter(Boolean));
  document.body.append(dialog);
  dialog.showModal();
  placeFollow();
  if (!dialog.querySelector("[autofocus]")) heading.focus();
  const closed = new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      placeFollow(); // before it is removed: the cards may be in it
      dialog.remove();
      opener()?.focus({ preventScroll: true });
      resolve(result);
    });
  });
  return { dialog, heading, body, close, closed, opener };
}

/** The dialogs that were opened over this one. */
export const boxesAbove = (dialog) => [...document.querySelectorAll("dialog[open]")]
  .filter((each) => dialog.compareDocumentPosition(each) & Node.DOCUMENT_POSITION_FOLLOWING);

// What is outside a modal dialog can neither be pressed nor read out, and lies behind it: the cards go with the panel.
function placeFollow() {
  const place = [...document.querySelectorAll("dialog.panel[open]")].at(-1) ?? document.body;
  const cards = byId("follow");
  if (cards.parentElement !== place) place.append(cards);
}

/** Finds what had the focus, or what was drawn anew in its place meanwhile. */
function remembered(element) {
  const key = element?.dataset?.focus;
  return () => (element?.isConnected || !key ? element
    : [...document.querySelectorAll("[data-focus]")].find((each) => each.dataset.focus === key));
}

const now = (value) => (typeof value === "function" ? value() : value);

const worded = (error) => (error.hint ? `${error.fact} – ${error.hint}` : (error.fact ?? error.message));

/**
 * Asks before something is done; `act` runs inside the dialog, so that a refusal is shown there.
 * Resolves with { answer }, or with null. `label` and `tone` may be functions, asked again with each change of the form.
 * One that is closed while `act` runs is not undone by that: what comes of it is told all the same.
 */
export async function confirm({ title, lines, label, act, fields = [], isReady = () => true, tone = "primary", wide = false }) {
  let asked = null;
  const result = await open(title, (close) => {
    const says = h("p", { class: "form-error", role: "alert" });
    const button = h("button", { type: "submit", autofocus: !wide && !fields.some((each) => each.querySelector("[autofocus]")) });
    const cancel = h("button", { type: "button", class: "button", text: "Cancel", on: { click: () => close() } });
    const show = () => {
      const isBlocked = asked !== null || !isReady();
      button.className = `button ${now(tone)}`;
      if (button.textContent !== now(label)) button.textContent = now(label);
      button.toggleAttribute("disabled", isBlocked);
      button.toggleAttribute("data-busy", asked !== null);
      cancel.disabled = asked !== null;
    };
    const form = h("form", { class: "form", on: { input: show, change: show } },
      lines.filter(Boolean).map((line) => (typeof line === "string" ? h("p", {}, foreign(line)) : line)),
      fields, says, h("div", { class: "form-actions" }, cancel, button));
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (asked || !isReady()) return;
      says.textContent = "";
      asked = act();
      show();
      try {
        close({ answer: await asked });
      } catch (error) {
        asked = null;
        says.textContent = worded(error);
        show();
        button.focus();
      }
    });
    show();
    return form;
  }, { wide, describe: !wide }).closed;
  return result ?? (asked && late(asked));
}

const late = (asked) => asked.then((answer) => ({ answer }), (error) => {
  say(worded(error));
  return null;
});

/** A labelled field with its explanation and a place for what is wrong with it. */
export function field(label, input, explanation) {
  const id = newId("field");
  input.id = id;
  if (explanation) input.setAttribute("aria-describedby", `${id}-help`);
  const help = explanation && h("span", { class: "help", id: `${id}-help`, text: explanation });
  const isTick = input.type === "checkbox" || input.type === "radio";
  return h("div", { class: isTick ? "field tick" : "field" },
    isTick ? input : null, h("label", { for: id, text: label }), isTick ? null : input, help);
}
