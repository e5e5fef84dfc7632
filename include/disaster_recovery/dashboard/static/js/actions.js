// What the administrator can do; every action asks first, and shows the run that it started.
import { get, path, post } from "./api.js";
import { confirm, field } from "./dialogs.js";
import { foreign, h, hidden, newId } from "./dom.js";
import { follow, say } from "./follow.js";
import { bytes, localText } from "./format.js";
import { copied } from "./detail_parts.js";
import { taskLink } from "./links.js";
import { restoreForm } from "./restore_form.js";

const REASONS = {
  backup: "needs the permission to trigger collabhunts_backup",
  verify: "needs the permission to trigger collabhunts_verify",
  drill: "needs the permission to trigger collabhunts_drill",
  restore: "needs the permission to trigger collabhunts_restore",
  download: "needs the permission to trigger collabhunts_restore",
  pin: "needs the permission to trigger collabhunts_retention",
};
const LASTING = 300_000; // of the card of a download: as long as its link
let me = null;
let afterwards = () => {};

export function setUp(refresh) {
  afterwards = refresh;
}

export async function learnWhoLooks() {
  me = await get("me");
  return me;
}

/** A button of an action. One that may not be used stays reachable and says why. */
export function actionButton(action, label, run, { tone = "", without = null } = {}) {
  const reason = without ?? (me && !me.may[action] ? REASONS[action] : null);
  const id = newId("why");
  const props = { type: "button", class: `button ${tone}`, data: { focus: `do-${action}` } };
  if (!reason) return h("button", { ...props, text: label, on: { click: run } });
  const button = h("button", { ...props, "aria-disabled": "true", "aria-describedby": id, title: `${label}: ${reason}`, text: label });
  return h("span", { class: "denied" }, button, h("span", { id, class: "hidden", text: reason }));
}

const started = (result, what, next) => result && follow(result.answer, what, afterwards, next);

export async function backUpNow() {
  started(await confirm({
    title: "Back up now?",
    lines: ["A backup of the whole source database starts at once. It reads one snapshot, locks nothing, and the platform stays up."],
    label: "Back up now",
    act: () => post("backups"),
  }), "Backup");
}

export async function verify(entry) {
  const depth = h("select", {}, h("option", { value: "full", text: "Full: read and check every byte" }),
    h("option", { value: "quick", text: "Quick: size, ends and manifest only" }));
  started(await confirm({
    title: "Verify this backup?",
    lines: [title(entry), "It is read in the bucket. Nothing but its verdict is changed."],
    fields: [field("Depth", depth, "A full reading can take as long as the backup itself; a quick one takes seconds.")],
    label: "Verify",
    act: () => post(`backups/${path(entry.id)}/verify`, { depth: depth.value }),
  }), "Verify");
}

export async function drill(entry) {
  started(await confirm({
    title: "Drill with this backup?",
    lines: [title(entry), "It is restored into a scratch database, compared in full, and that database is removed again. The source is not touched."],
    label: "Start the drill",
    act: () => post(`backups/${path(entry.id)}/drill`),
  }), "Drill");
}

export async function restore(detail, chosen) {
  const result = await restoreForm(detail, chosen);
  if (!result) return;
  const { dry_run: isDry } = result.answer.chosen;
  started({ answer: result.answer.run }, isDry ? "Dry run" : "Restore", () => isDry && realOne(detail, result.answer));
}

/** What somebody wants after a dry run: to see what would change, then the same without "dry". */
function realOne(detail, { run, chosen }) {
  const again = () => restore(detail, { ...chosen, dry_run: false });
  return [
    h("p", {}, "Nothing was changed. ", taskLink(run.dag_id, run.run_id, "diff", "See what would change"), "."),
    h("p", {}, h("button", { type: "button", class: "button", text: "Now restore…", on: { click: again } })),
  ];
}

export async function download(entry) {
  const result = await confirm({
    title: "Download this backup?",
    lines: [title(entry), `${bytes(entry.size)}, with all data of the platform, personal data too.`,
      "The link that is made for it is a key to this file for whoever has it. It ends after 5 minutes; a download that has begun goes on."],
    label: "Download",
    act: () => post(`backups/${path(entry.id)}/download`),
  });
  if (!result) return;
  const { url, file_name: name } = result.answer;
  const anchor = h("a", { href: url, download: name, rel: "noreferrer", hidden: true });
  document.body.append(anchor);
  anchor.click();
  anchor.remove();
  sayDownload(name, url);
}

// The link itself is in no element: only this button knows it, until it has ended.
function sayDownload(name, url) {
  const copy = (event) => copied(url, event.target).then(
    () => say("Copied: the link."),
    () => say("The browser refused to copy the link."),
  );
  say(`The download of ${name} has started.`, [
    h("p", { class: "help", text: "If nothing happens, or for a tool that can resume: the link is good for 5 minutes." }),
    h("p", {}, h("button", { type: "button", class: "button", text: "Copy the link", on: { click: copy } })),
  ], LASTING);
}

export async function pin(entry) {
  const reason = h("input", { type: "text", required: true, maxlength: 500, dir: "auto", autocomplete: "off", autofocus: true });
  const result = await confirm({
    title: "Pin this backup?",
    lines: [title(entry), "A pinned backup never expires, until it is unpinned."],
    fields: [field("Reason (needed)", reason, "For whoever finds it pinned later: “before the migration of March”. 500 characters at most.")],
    isReady: () => reason.value.trim() !== "",
    label: "Pin",
    act: () => post(`backups/${path(entry.id)}/pin`, { reason: reason.value.trim() }),
  });
  if (result) done("The backup is pinned.");
}

export async function unpin(entry) {
  const result = await confirm({
    title: "Unpin this backup?",
    lines: [title(entry), h("p", {}, "It was pinned because: ", foreign(entry.pinned, "q")), "From then on the retention policy decides whether it is kept: its next run may delete it."],
    label: "Unpin",
    act: () => post(`backups/${path(entry.id)}/unpin`),
  });
  if (result) done("The backup is no longer pinned.");
}

function done(words) {
  say(words);
  afterwards();
}

function title(entry) {
  return h("p", { class: "subject" }, hidden("Backup: "), h("strong", { text: localText(entry.created_at) }),
    foreign(entry.file_name ?? entry.id));
}
