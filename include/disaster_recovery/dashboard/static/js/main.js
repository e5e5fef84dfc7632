// Starts the page: theme, lists, overview, the address' hash, and looking again every half minute.
import { actionButton, backUpNow, learnWhoLooks, setUp } from "./actions.js";
import { get } from "./api.js";
import { charts } from "./charts.js";
import "./compare.js";
import { refreshDetail } from "./detail.js";
import { byId, replace } from "./dom.js";
import { answer, failure, problems, running } from "./overview.js";
import { reportList } from "./reports.js";
import { go, onRoute, startRouting } from "./routes.js";
import { makeTable } from "./table.js";
import { makeTabs } from "./tabs.js";
import { followTheme } from "./theme.js";
import { tiles } from "./tiles.js";

const EVERY = 30_000;

let asked = 0;

async function loadOverview() {
  const place = byId("answer");
  const mine = (asked += 1);
  try {
    const overview = await get("overview");
    if (mine !== asked) return; // something newer is known
    place.className = `answer ${overview.answer.level}`;
    replace(place, answer(overview.answer));
    replace(byId("problems"), problems(overview.problems));
    replace(byId("running"), running(overview.running));
    replace(byId("tiles"), tiles(overview.tiles));
    charts(byId("charts"), overview);
  } catch (error) {
    if (mine !== asked) return;
    place.className = "answer";
    replace(place, failure(error, refresh));
    if (byId("tiles").querySelector(".skeleton")) byId("tiles").replaceChildren();
  }
  place.removeAttribute("aria-busy");
}

const table = makeTable(byId("panel-backups"), {
  open: (id) => go("backup", id),
  compare: (before, after) => go("compare", before, after),
});
const lists = {
  backups: table.load,
  restores: () => reportList(byId("panel-restores"), "restore"),
  drills: () => reportList(byId("panel-drills"), "drill"),
};
const tabs = makeTabs(byId("lists"), (name) => {
  go(name === "backups" ? "" : name);
  lists[name]();
});

const refresh = () => Promise.all([loadOverview(), lists[tabs.current()]()]);

async function start() {
  followTheme();
  setUp(() => Promise.all([refresh(), refreshDetail()]));
  onRoute("restores", () => tabs.show("restores"));
  onRoute("drills", () => tabs.show("drills"));
  setInterval(() => document.visibilityState === "visible" && refresh(), EVERY);
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && refresh());
  const permissions = learnWhoLooks().catch(() => null);
  await Promise.all([permissions.then(showActions), refresh()]);
  startRouting();
}

const showActions = () => replace(byId("top-actions"), actionButton("backup", "Back up now", backUpNow, { tone: "primary" }));

start();
