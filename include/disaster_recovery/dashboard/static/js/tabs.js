// ARIA tabs: arrows move, Home and End jump, the panel of the chosen one is shown.
export function makeTabs(root, chosen) {
  const tabs = [...root.querySelectorAll("[role=tab]")];
  const name = (tab) => tab.id.replace("tab-", "");

  const show = (wanted) => {
    for (const tab of tabs) {
      const isWanted = name(tab) === wanted;
      tab.setAttribute("aria-selected", String(isWanted));
      tab.tabIndex = isWanted ? 0 : -1;
      root.querySelector(`#${tab.getAttribute("aria-controls")}`).hidden = !isWanted;
    }
  };
  const choose = (tab) => {
    show(name(tab));
    tab.focus();
    chosen(name(tab));
  };
  const current = () => name(tabs.find((tab) => tab.getAttribute("aria-selected") === "true"));
  for (const [index, tab] of tabs.entries()) {
    tab.addEventListener("click", () => choose(tab));
    tab.addEventListener("keydown", (event) => {
      const to = { ArrowRight: index + 1, ArrowLeft: index - 1, Home: 0, End: tabs.length - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      choose(tabs[(to + tabs.length) % tabs.length]);
    });
  }
  return {
    current,
    show: (wanted) => {
      if (current() === wanted) return;
      show(wanted);
      chosen(wanted);
    },
  };
}
