// What the administrator can do; every action asks first, and shows the run that it started.
import { get, path, post } from "./api.js";
import { confirm, field } from "./dialogs.js";
import { foreign, h, hidden, newId } from "./dom.js";
import { follow, say } from "./follow.js";
import { bytes, localText } from "./format.js";
import { restoreForm } from "./restore_form.js";

const REASONS = {
  backup: "needs the permission to trigger collabhunts_backup",
  verify: "needs the permission to trigger collabhunts_verify",
  drill: "needs the permission to trigger collabhunts_drill",
  restore: "needs the permission to trigger collabhunts_restore",
  download: "needs the permission to trigger collabhunts_restore",
  pin: "needs the permission to trigger collabhunts_retention",
};
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
  const props = { type: "button", class: `button ${tone}`, data: { focus: `${action}-${label}` } };
  if (!reason) return h("button", { ...props, text: label, on: { click: run } });
  const button = h("button", { ...props, "aria-disabled": "true", "aria-describedby": id, title: `${label}: ${reason}`, text: label });
  return h("span", { class: "denied" }, button, h("span", { id, class: "hidden", text: reason }));
}

const started = (result, what) => result && follow(result.answer, what, afterwards);

export async function backUpNow() {
  started(await confirm({
    title: "Back up now?",
    lines: ["A backup of the whole source database starts at once. It reads one snapshot and locks nothing.",
      "The running of the platform is not interrupted."],
    label: "Back up now",
    act: () => post("backups"),
  }), "Backup");
}

export async function verify(entry) {
  const depth = h("select", {}, h("option", { value: "full", text: "Full: read and check every byte" }),
    h("option", { value: "quick", text: "Quick: size, ends and manifest only" }));
  started(await confirm({
    title: "Verify this backup?",
    lines: [title(entry), "Verifying reads the backup in the bucket. It changes nothing but the verdict."],
    fields: [field("Depth", depth, "A full reading can take as long as the backup itself; a quick one takes seconds.")],
    label: "Verify",
    act: () => post(`backups/${path(entry.id)}/verify`, { depth: depth.value }),
  }), "Verify");
}

export async function drill(entry) {
  started(await confirm({
    title: "Drill with this backup?",
    lines: [title(entry), "A drill restores the backup into a scratch database, compares everything, and removes it again.",
      "The source database is not touched."],
    label: "Start the drill",
    act: () => post(`backups/${path(entry.id)}/drill`),
  }), "Drill");
}

export async function restore(detail) {
  started(await restoreForm(detail), "Restore");
}

export async function download(entry) {
  const result = await confirm({
    title: "Download this backup?",
    lines: [title(entry), `The document is ${bytes(entry.size)} and holds all data of the platform, personal data too.`,
      "The link is valid for a few minutes, for you only."],
    label: "Download",
    act: () => post(`backups/${path(entry.id)}/download`),
  });
  if (!result) return;
  const anchor = h("a", { href: result.answer.url, download: result.answer.file_name, rel: "noreferrer", hidden: true });
  document.body.append(anchor);
  anchor.click();
  anchor.remove();
  say(`The download of ${result.answer.file_name} has started.`);
}

export async function pin(entry) {
  const reason = h("input", { type: "text", required: true, maxlength: 500, dir: "auto", autocomplete: "off", autofocus: true });
  const result = await confirm({
    title: "Pin this backup?",
    lines: [title(entry), "A pinned backup never expires, until it is unpinned."],
    fields: [field("Reason", reason, "For whoever finds it pinned later, for example: before the migration of March.")],
    isReady: () => reason.value.trim() !== "",
    label: "Pin",
    act: () => post(`backups/${path(entry.id)}/pin`, { reason: reason.value.trim() }),
  });
  if (result) done("The backup is pinned.");
}

export async function unpin(entry) {
  const result = await confirm({
    title: "Unpin this backup?",
    lines: [title(entry), `It was pinned because: ${entry.pinned}`, "The retention policy decides again whether it is kept."],
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
  return h("p", { class: "subject" }, hidden("Backup: "), h("strong", { text: localText(entry.created_at) }), " ",
    foreign(entry.file_name ?? entry.id));
}
