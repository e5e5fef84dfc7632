// The form of a restore: the Params of its DAG, explained, with a summary before it starts.
import { post } from "./api.js";
import { confirm, field } from "./dialogs.js";
import { foreign, h, newId, replace } from "./dom.js";
import { localText, plural } from "./format.js";

const CONNECTION = /^[A-Za-z0-9_.:-]{1,250}$/;
const WORD = "RESTORE";
// A dry run first, as the endpoint has it: nobody changes a database by leaving a form as it is.
const FIRST = { target_conn_id: "collabhunts_restore_db", tables: null, mode: "upsert", restore_schema: false, dry_run: true, require_approval: true };
const HISTORY = "backup_history";

/** Asks for everything, and resolves with { answer: { run, chosen } }, or null. `before`: what was chosen the last time. */
export function restoreForm(detail, before = {}) {
  const inputs = makeInputs(detail, { ...FIRST, ...before });
  const summary = h("div", { class: "summary", "aria-live": "polite" });
  const typed = h("input", { type: "text", autocomplete: "off", spellcheck: "false", autocapitalize: "characters" });
  const gate = field(`Type ${WORD} to go on`, typed, "This is not a dry run: the target database will be changed.");
  const shown = fields(inputs);
  let said = null;
  const isReady = () => {
    const wrong = problems(inputs);
    gate.hidden = isDry(inputs);
    shown.list.hidden = inputs.all.checked;
    shown.approval.hidden = isDry(inputs);
    inputs.target.setAttribute("aria-invalid", String(!CONNECTION.test(inputs.target.value.trim())));
    const words = wrong.length ? wrong.map((text) => h("p", { class: "form-error", text })) : told(detail, inputs);
    const text = words.map((each) => each?.textContent).join("\n");
    if (text !== said) replace(summary, words); // or it would be read out with every key
    said = text;
    return !wrong.length && (isDry(inputs) || typed.value.trim() === WORD);
  };
  const act = async () => {
    const chosen = body(detail, inputs);
    return { run: await post("restores", chosen), chosen };
  };
  return confirm({
    title: "Restore from this backup",
    wide: true,
    lines: [h("p", { class: "subject" }, h("strong", { text: localText(detail.entry.created_at) }), foreign(detail.key))],
    fields: [...shown.all, h("h3", { text: "What will happen" }), summary, gate],
    isReady,
    label: () => (isDry(inputs) ? "Start the dry run" : "Start the restore"),
    tone: () => (isDry(inputs) ? "primary" : "danger"),
    act,
  });
}

function makeInputs(detail, first) {
  const kind = newId("kind");
  const names = detail.tables.filter((line) => line.rows !== null && line.name !== HISTORY).map((line) => line.name);
  return {
    dry: h("input", { type: "radio", name: kind, value: "dry", checked: first.dry_run }),
    real: h("input", { type: "radio", name: kind, value: "real", checked: !first.dry_run }),
    target: h("input", { type: "text", value: first.target_conn_id, autocomplete: "off", spellcheck: "false", required: true, maxlength: 250 }),
    all: h("input", { type: "checkbox", checked: first.tables === null }),
    tables: names.map((name) => h("input", { type: "checkbox", value: name, checked: first.tables?.includes(name) })),
    mode: h("select", {}, [["upsert", "upsert: insert and update, delete nothing"], ["replace", "replace: these rows and no others"]]
      .map(([value, text]) => h("option", { value, text, selected: value === first.mode }))),
    schema: h("input", { type: "checkbox", checked: first.restore_schema }),
    approval: h("input", { type: "checkbox", checked: first.require_approval }),
  };
}

function fields(inputs) {
  const list = h("fieldset", { class: "table-choice" }, h("legend", { text: "Tables to restore" }),
    inputs.tables.map((input) => h("label", {}, input, foreign(input.value))));
  const approval = field("Ask for approval", inputs.approval, "The run shows the differences and waits for an answer, unless every table to restore is empty.");
  const all = [
    h("fieldset", { class: "kinds" }, h("legend", { class: "hidden", text: "Dry run or restore" }),
      field("Dry run", inputs.dry, "Loads the backup beside the tables, checks it, shows the differences, cleans up. Nothing is changed. Begin with this."),
      field("Restore", inputs.real, "Changes the target, in one transaction at the very end.")),
    field("Target connection", inputs.target, "The Airflow connection of the database to restore into. Where the old one is gone: that of a new project."),
    field("All tables", inputs.all, `All but ${HISTORY}, with auth's users. Untick to choose.`),
    list,
    field("Mode", inputs.mode, "Upsert keeps rows that the backup does not know, replace deletes them."),
    field("Rebuild the schema", inputs.schema, "Creates types, tables, functions and policies first: only for an empty database or a new project."),
    approval,
  ];
  return { all, list, approval };
}

const isDry = (inputs) => inputs.dry.checked;

const chosen = (inputs) => inputs.tables.filter((input) => input.checked).map((input) => input.value);

function problems(inputs) {
  const wrong = [];
  if (!CONNECTION.test(inputs.target.value.trim())) wrong.push("The target connection is a name of letters, digits and _ . : - only.");
  if (!inputs.all.checked && !chosen(inputs).length) wrong.push("Choose at least one table.");
  return wrong;
}

function told(detail, inputs) {
  const isReal = !isDry(inputs);
  const what = inputs.all.checked ? "all tables" : plural(chosen(inputs).length, "table");
  const verb = isReal ? "are" : "would be";
  return [
    h("p", {}, h("strong", { text: isReal ? "The target is changed. " : "Nothing is changed. " }), "Into ",
      foreign(inputs.target.value.trim(), "strong"), `: ${what}, as of ${localText(detail.entry.created_at)}.`),
    inputs.schema.checked && h("p", { text: isReal ? "The schema is created there first." : "Creating the schema there is rehearsed, and undone." }),
    inputs.mode.value === "replace"
      ? h("p", { class: isReal ? "form-error" : null, text: `Rows that the backup does not have ${verb} deleted.` })
      : h("p", { text: `Missing rows ${verb} inserted, changed ones put back; nothing ${isReal ? "is" : "would be"} deleted.` }),
    isReal && (inputs.approval.checked
      ? h("p", { text: "Before that you are shown the differences, and asked." })
      : h("p", { class: "form-error", text: "Nobody is asked before it is applied." })),
  ].filter(Boolean);
}

function body(detail, inputs) {
  return {
    backup_key: detail.key,
    target_conn_id: inputs.target.value.trim(),
    tables: inputs.all.checked ? null : chosen(inputs),
    mode: inputs.mode.value,
    restore_schema: inputs.schema.checked,
    dry_run: isDry(inputs),
    require_approval: inputs.approval.checked,
  };
}
