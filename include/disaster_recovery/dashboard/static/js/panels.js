// The side panel: one view of one thing at a time, under its own address.
import { boxesAbove, open } from "./dialogs.js";
import { foreign, h, replace } from "./dom.js";
import { failure } from "./overview.js";
import { here, leave } from "./routes.js";

let shown = null;

/** Shows anew what stands in the panel, as after an action; nothing if it is closed. */
export const refreshPanel = () => shown?.load();

/**
 * Opens the panel in the place of the one before. `build(panel)` gives the content; `panel.load` builds it again, and
 * `panel.name(title)` changes the title. `list` is the address that is left to.
 */
export function panel(title, build, list = "") {
  const hash = here();
  const opener = shown?.opener;
  shown?.close();
  const box = open(title, () => skeletons(), { panel: true, opener });
  const own = {
    opener: box.opener,
    name: (words) => box.heading.replaceChildren(words),
    close: () => {
      window.removeEventListener("hashchange", onLeave);
      boxesAbove(box.dialog).forEach((each) => each.close());
      box.close();
      box.dialog.remove();
    },
    load: () => load(own, box, build),
  };
  shown = own;
  const onLeave = () => here() !== hash && own.close();
  window.addEventListener("hashchange", onLeave);
  box.closed.then(() => {
    window.removeEventListener("hashchange", onLeave);
    if (shown !== own) return; // replaced by one under the same address, perhaps: that is not to be left
    shown = null;
    leave(hash, list);
  });
  return own.load();
}

async function load(own, box, build) {
  const mine = (own.asked = (own.asked ?? 0) + 1);
  const content = await build(own).catch((error) => (error.status === 404 ? unknown(error, box.close) : failure(error, own.load)));
  if (mine === own.asked) replace(box.body, content);
}

export const skeletons = () => [1, 2, 3].map(() => h("p", { class: "skeleton line" }));

const unknown = (error, close) => h("div", { class: "empty", role: "alert" },
  h("p", {}, h("strong", { text: "It is not here any more." })),
  h("p", {}, foreign(error.fact), error.hint ? " – " : "", foreign(error.hint)),
  h("p", { class: "banner-actions" }, h("button", { type: "button", class: "button", text: "Back to the list", on: { click: () => close() } })));
