// The form of a restore: the Params of its DAG, explained, with a summary before it starts.
import { post } from "./api.js";
import { confirm, field } from "./dialogs.js";
import { foreign, h, replace } from "./dom.js";
import { localText, plural } from "./format.js";

const CONNECTION = /^[A-Za-z0-9_.:-]{1,250}$/;
const WORD = "RESTORE";

/** Asks for everything, and resolves with the started run, or null. */
export function restoreForm(detail) {
  const inputs = makeInputs(detail);
  const summary = h("div", { class: "summary", "aria-live": "polite" });
  const typed = h("input", { type: "text", autocomplete: "off", spellcheck: "false", autocapitalize: "characters" });
  const gate = field(`Type ${WORD} to enable the start`, typed, "Because this is not a dry run: the target database is changed.");
  const isReady = () => {
    const wrong = problems(inputs);
    gate.hidden = inputs.dryRun.checked;
    replace(summary, wrong.length ? wrong.map((text) => h("p", { class: "form-error", text })) : said(detail, inputs));
    inputs.target.setAttribute("aria-invalid", String(!CONNECTION.test(inputs.target.value.trim())));
    return !wrong.length && (inputs.dryRun.checked || typed.value.trim() === WORD);
  };
  return confirm({
    title: "Restore…",
    wide: true,
    lines: [h("p", { class: "subject" }, h("strong", { text: localText(detail.entry.created_at) }), " ", foreign(detail.key))],
    fields: [...fields(detail, inputs), h("h3", { text: "What will happen" }), summary, gate],
    isReady,
    label: "Start the restore",
    tone: "danger",
    act: () => post("restores", body(detail, inputs)),
  });
}

function makeInputs(detail) {
  return {
    target: h("input", { type: "text", value: "collabhunts_restore_db", autocomplete: "off", spellcheck: "false", required: true }),
    all: h("input", { type: "checkbox", checked: true }),
    tables: detail.tables.filter((line) => line.rows !== null && line.name !== "backup_history")
      .map((line) => h("input", { type: "checkbox", value: line.name })),
    mode: h("select", {}, h("option", { value: "upsert", text: "upsert – insert and update, delete nothing" }),
      h("option", { value: "replace", text: "replace – make the tables as they were, delete what is newer" })),
    schema: h("input", { type: "checkbox" }),
    dryRun: h("input", { type: "checkbox", checked: true }),
    approval: h("input", { type: "checkbox", checked: true }),
  };
}

function fields(detail, inputs) {
  const list = h("fieldset", { class: "table-choice" }, h("legend", { text: "Tables to restore" }),
    inputs.tables.map((input) => h("label", {}, input, foreign(input.value))));
  list.hidden = true;
  inputs.all.addEventListener("change", () => {
    list.hidden = inputs.all.checked;
  });
  return [
    field("Target connection", inputs.target, "The Airflow connection of the database to restore into. It need not be the source."),
    field("All tables", inputs.all, "All but backup_history. Untick to choose."),
    list,
    field("Mode", inputs.mode, "Replace also deletes rows that the backup does not have."),
    field("Restore the schema too", inputs.schema, "Creates what is missing in the target: for an empty database. Existing objects are left."),
    field("Dry run", inputs.dryRun, "Stages everything, tells what would change, and changes nothing. Begin with this."),
    field("Ask for approval", inputs.approval, "The run stops before it applies, until somebody approves in Airflow's Required Actions."),
  ];
}

const chosen = (inputs) => inputs.tables.filter((input) => input.checked).map((input) => input.value);

function problems(inputs) {
  const wrong = [];
  if (!CONNECTION.test(inputs.target.value.trim())) wrong.push("The target connection is a name of letters, digits and _ . : - only.");
  if (!inputs.all.checked && !chosen(inputs).length) wrong.push("Choose at least one table.");
  return wrong;
}

function said(detail, inputs) {
  const what = inputs.all.checked ? "all tables" : plural(chosen(inputs).length, "table");
  const verb = inputs.dryRun.checked ? "would be" : "are";
  const how = inputs.mode.value === "replace"
    ? `Rows that are newer than the backup ${verb} deleted.`
    : `Missing rows ${verb} inserted, changed ones put back; nothing is deleted.`;
  return [
    h("p", {}, `${inputs.dryRun.checked ? "Dry run: nothing is changed. " : ""}From the backup of ${localText(detail.entry.created_at)}, ${what} into `,
      foreign(inputs.target.value.trim(), "strong"), ". ", how),
    inputs.schema.checked && h("p", { text: "Missing schema objects are created." }),
    !inputs.approval.checked && !inputs.dryRun.checked && h("p", { class: "form-error", text: "Nobody is asked before it is applied." }),
  ];
}

function body(detail, inputs) {
  return {
    backup_key: detail.key,
    target_conn_id: inputs.target.value.trim(),
    tables: inputs.all.checked ? null : chosen(inputs),
    mode: inputs.mode.value,
    restore_schema: inputs.schema.checked,
    dry_run: inputs.dryRun.checked,
    require_approval: inputs.approval.checked,
  };
}
