// The page is built of elements and text only: no text is ever read as markup.

/** An element: `class`, `text`, `data` and `on` (listeners) are special, other props are attributes. */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    set(element, name, value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

function set(element, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name === "class") element.className = value;
  else if (name === "text") element.textContent = value;
  else if (name === "value") element.value = value;
  else if (name === "checked") element.checked = value;
  else if (name === "data") Object.assign(element.dataset, value);
  else if (name === "on") for (const [type, listener] of Object.entries(value)) element.addEventListener(type, listener);
  else element.setAttribute(name, value === true ? "" : String(value));
}

export const byId = (id) => document.getElementById(id);

/** New children in the place of the old ones; what had the focus has it again, and nothing scrolls. */
export function replace(container, ...children) {
  const focused = container.contains(document.activeElement) ? focusKey(document.activeElement) : null;
  container.replaceChildren(...children.flat(Infinity).filter(Boolean));
  if (!focused) return;
  const again = [...container.querySelectorAll("[id], [data-focus]")].find((each) => focusKey(each) === focused);
  again?.focus({ preventScroll: true });
}

const focusKey = (element) => element.dataset.focus || element.id || null;

/** Text of the page's own words for screen readers only. */
export const hidden = (text) => h("span", { class: "hidden", text });

/** Text that somebody else wrote: any length, any direction. */
export const foreign = (text, tag = "span") => h(tag, { class: "foreign", dir: "auto", text: (text ?? "").replace(UNSEEN, "\ufffd") });

// Control characters and those that turn the reading around: they can make a text look like another one.
const UNSEEN = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f\u202a-\u202e\u2066-\u2069]/g;

let counted = 0;
export const newId = (prefix) => `${prefix}-${(counted += 1)}`;

export function debounced(milliseconds, action) {
  let timer = null;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => action(...given), milliseconds);
  };
}
