// What a person may do: one dialog, one description an action.

import { part, post } from "./api.js";
import { $, h } from "./dom.js";
import { refused, t } from "./texts.js";

const receipt = (verb) => (target) => `/v1/kkt/receipt/${part(target.id)}/${verb}`;
const breaker = (verb) => (target) => `/v1/kkt/circuit-breakers/${part(target.key)}/${verb}`;
const reason = { name: "reason", label: "reason", hint: "reasonHint", required: true };
const optional = { ...reason, required: false };

const FOR = [["", "untilReleased"], ["900", "minutes", 15], ["3600", "hours", 1], ["28800", "hours", 8], ["86400", "hours", 24]];

const ACTIONS = {
  "force-open": { title: "forceOpen", text: "forceOpenText", path: breaker("force-open"), fields: [reason, { name: "for_seconds", label: "howLong", choices: FOR, as: (text) => (text ? Number(text) : undefined) }] },
  "force-closed": { title: "forceClosed", text: "forceClosedText", path: breaker("force-closed"), fields: [reason] },
  release: { title: "release", text: "releaseText", path: breaker("release"), fields: [optional] },
  reset: { title: "reset", text: "resetText", path: breaker("reset"), fields: [optional] },
  park: { title: "park", text: "parkText", path: receipt("park"), fields: [reason] },
  requeue: { title: "requeue", text: "requeueText", path: (target) => `/v1/kkt/dlq/${part(target.id)}/requeue`, fields: [optional] },
  resolve: { title: "resolve", text: "resolveText", path: (target) => `/v1/kkt/dlq/${part(target.id)}/resolve`, fields: [{ ...reason, name: "note", label: "note" }] },
  printed: {
    title: "wasPrinted", text: "printedText", path: receipt("decide"), fixed: { printed: true },
    fields: [{ name: "fiscal_doc_number", label: "fdNumber", required: true, digits: true, as: Number }, { name: "fiscal_sign", label: "fiscalSign", required: true, digits: true }, reason],
  },
  "not-printed": { title: "wasNotPrinted", text: "notPrintedText", path: receipt("decide"), fixed: { printed: false }, fields: [reason] },
};

function control(field) {
  const id = `act-${field.name}`;
  if (field.choices) {
    return h("select", { id, name: field.name }, field.choices.map(([value, key, count]) => h("option", { value }, t(key, count))));
  }
  return h("input", { id, name: field.name, type: "text", maxlength: field.digits ? 20 : 500, inputmode: field.digits ? "numeric" : null, autocomplete: "off", "aria-required": field.required ? "true" : null });
}

/** An empty `aria-invalid` would mean that all is well; the error is read out with the field, after its hint. */
function complain(input, field, wrong) {
  const described = [field.hint && `${input.id}-hint`, wrong && "act-error"].filter(Boolean).join(" ");
  for (const [name, value] of [["aria-invalid", wrong && "true"], ["aria-describedby", described]]) {
    if (value) input.setAttribute(name, value);
    else input.removeAttribute(name);
  }
}

function body(action) {
  const values = { ...action.fixed };
  for (const field of action.fields) {
    const input = $(`act-${field.name}`);
    const text = input.value.trim();
    const problem = field.required && !text ? "needed" : field.digits && !/^\d+$/.test(text) ? "digitsOnly" : null;
    complain(input, field, Boolean(problem));
    if (problem) {
      $("act-error").textContent = `${t(field.label)}: ${t(problem)}`;
      input.focus();
      return null;
    }
    const value = field.as ? field.as(text) : text;
    if (value !== "" && value !== undefined) values[field.name] = value;
  }
  return values;
}

/** Makes the function that opens an action's dialog; `done` is called after a success. */
export function actions(done) {
  const dialog = $("act");
  let submit = null;
  let opener = null;
  // The browser gives the focus back to the button, unless its row was made anew meanwhile.
  dialog.addEventListener("close", () => {
    if (document.activeElement && document.activeElement !== document.body) return;
    (document.querySelector(opener) ?? $("main")).focus();
  });
  $("act-cancel").addEventListener("click", () => dialog.close());
  $("act-form").addEventListener("submit", (event) => {
    event.preventDefault();
    submit?.();
  });
  return (name, target) => {
    const action = ACTIONS[name];
    const row = target.key ? `[data-key="${CSS.escape(target.key)}"]` : `[data-receipt="${CSS.escape(target.id)}"]`;
    opener = `button[data-action="${name}"]${row}`;
    $("act-title").textContent = `${t(action.title).replace("…", "")} · ${target.name}`;
    $("act-text").textContent = t(action.text);
    $("act-error").textContent = "";
    $("act-submit").textContent = t(action.title).replace("…", "");
    $("act-fields").replaceChildren(...action.fields.map((field) => h("div", { class: "field" },
      h("label", { for: `act-${field.name}` }, t(field.label)), control(field),
      field.hint && h("p", { class: "quiet small", id: `act-${field.name}-hint` }, t(field.hint)))));
    for (const field of action.fields) complain($(`act-${field.name}`), field, false);
    submit = async () => {
      const values = body(action);
      if (!values) return;
      $("act-submit").disabled = true;
      try {
        await post(action.path(target), values);
        dialog.close();
        done();
      } catch (failure) {
        $("act-error").textContent = refused(failure);
      } finally {
        $("act-submit").disabled = false;
      }
    };
    dialog.showModal();
    $("act-fields").querySelector("input, select")?.focus();
  };
}
