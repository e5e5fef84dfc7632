// The page's own dialogs: Airflow's frame allows no confirm(). The browser's <dialog> keeps the focus inside.
import { foreign, h, newId } from "./dom.js";

/** Opens a dialog; `build(close)` gives its content. Resolves when it is closed, with what `close` was given. */
export function open(title, build, { panel = false, wide = false } = {}) {
  const id = newId("dialog");
  const opener = document.activeElement;
  const kind = panel ? "panel" : wide ? "box wide" : "box";
  const dialog = h("dialog", { class: kind, "aria-labelledby": id });
  let result = null;
  const close = (value = null) => {
    result = value;
    dialog.close();
  };
  const heading = h("h2", { id, tabindex: "-1", class: "foreign", dir: "auto", text: title });
  const leave = h("button", { type: "button", class: "icon", "aria-label": "Close", text: "✕", on: { click: () => close() } });
  const body = h("div", { class: "dialog-body" });
  dialog.append(h("header", { class: "dialog-head" }, heading, leave), body);
  dialog.addEventListener("click", (event) => event.target === dialog && panel && close());
  body.append(...[build(close)].flat(Infinity).filter(Boolean));
  document.body.append(dialog);
  dialog.showModal();
  if (!dialog.querySelector("[autofocus]")) heading.focus();
  const closed = new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      if (opener?.isConnected) opener.focus({ preventScroll: true });
      resolve(result);
    });
  });
  return { dialog, body, close, closed };
}

/** Asks before something is done; the answer's `act` runs inside the dialog, so that a refusal is shown there. */
export function confirm({ title, lines, label, act, fields = [], isReady = () => true, tone = "primary", wide = false }) {
  return open(title, (close) => {
    const says = h("p", { class: "form-error", role: "alert" });
    const button = h("button", { type: "submit", class: `button ${tone}`, text: label });
    const check = () => button.toggleAttribute("disabled", !isReady());
    const form = h("form", { class: "form", on: { input: check, change: check } },
      lines.filter(Boolean).map((line) => (typeof line === "string" ? h("p", {}, foreign(line)) : line)),
      fields, says,
      h("div", { class: "form-actions" },
        h("button", { type: "button", class: "button", text: "Cancel", on: { click: () => close() } }), button));
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (!isReady()) return;
      says.textContent = "";
      button.disabled = true;
      button.setAttribute("aria-busy", "true");
      try {
        close({ answer: await act() });
      } catch (error) {
        says.textContent = error.hint ? `${error.fact} – ${error.hint}` : (error.fact ?? error.message);
      } finally {
        button.removeAttribute("aria-busy");
        check();
      }
    });
    check();
    return form;
  }, { wide }).closed;
}

/** A labelled field with its explanation and a place for what is wrong with it. */
export function field(label, input, explanation) {
  const id = newId("field");
  input.id = id;
  if (explanation) input.setAttribute("aria-describedby", `${id}-help`);
  const help = explanation && h("span", { class: "help", id: `${id}-help`, text: explanation });
  const isTick = input.type === "checkbox";
  return h("div", { class: isTick ? "field tick" : "field" },
    isTick ? input : null, h("label", { for: id, text: label }), isTick ? null : input, help);
}
