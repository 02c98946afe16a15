// Shows /openapi.json. All text of the document goes into the page as text; the few signs of CommonMark that it uses
// become elements here.

import { get, post } from "./api.js";
import { $, h, say, show } from "./dom.js";

const METHODS = ["get", "post", "put", "delete"];
const SAMPLE_BASE = "http://127.0.0.1:8000";

let document_ = null;

/** `code` and **bold** of a line. */
function inline(text) {
  return text.split(/(`[^`]+`|\*\*[^*]+\*\*)/).map((part) => {
    if (part.startsWith("`")) return h("code", {}, part.slice(1, -1));
    return part.startsWith("**") ? h("strong", {}, part.slice(2, -2)) : part;
  });
}

/** Paragraphs and lists. */
function prose(text) {
  const blocks = [];
  let list = null;
  for (const line of (text ?? "").split(/\n+/)) {
    if (line.startsWith("- ")) {
      if (!list) blocks.push(list = h("ul"));
      list.append(h("li", {}, inline(line.slice(2))));
    } else if (line.trim()) {
      list = null;
      blocks.push(h("p", {}, inline(line)));
    }
  }
  return h("div", { class: "prose" }, blocks);
}

function resolve(schema) {
  if (!schema?.$ref) return schema ?? {};
  const { $ref, ...beside } = schema;
  const target = $ref.slice(2).split("/").reduce((place, step) => place[step], document_);
  // What stands beside a reference narrows it: errors name their codes so.
  const properties = beside.properties && merged(target.properties, beside.properties);
  return { ...target, ...beside, ...(properties && { properties }) };
}

function merged(before, more) {
  const all = { ...before };
  for (const [name, schema] of Object.entries(more)) all[name] = { ...all[name], ...schema };
  return all;
}

const nullable = (schema) => [].concat(schema.type ?? []).includes("null") || choices(schema).some((one) => one.type === "null");
const choices = (schema) => schema.anyOf ?? schema.oneOf ?? [];
const real = (schema) => choices(schema).filter((one) => one.type !== "null" && !one.required);

/** In a few words what a value is. */
function typeOf(given) {
  const schema = resolve(given);
  const words = real(schema);
  let text;
  if (schema.enum || "const" in schema) text = "one of";
  else if (words.length) text = [...new Set(words.map(typeOf))].join(" or ");
  else {
    const type = [].concat(schema.type ?? "any").filter((one) => one !== "null").join(" or ");
    text = type === "array" ? `list of ${typeOf(schema.items)}` : type;
  }
  if (schema.format) text += `, ${schema.format}`;
  return nullable(schema) && !given.$ref ? `${text} or null` : text;
}

/** The bounds of a value. */
function boundsOf(given) {
  const schema = resolve(given);
  const bounds = [];
  const range = (least, most, unit) => {
    if (least !== undefined && most !== undefined) bounds.push(`${least} to ${most}${unit}`);
    else if (least !== undefined) bounds.push(`at least ${least}${unit}`);
    else if (most !== undefined) bounds.push(`at most ${most}${unit}`);
  };
  const values = schema.enum ?? ("const" in schema ? [schema.const] : []);
  if (values.length) bounds.push(values.filter((one) => one !== null).join(", "));
  range(schema.minimum, schema.maximum, "");
  range(schema.minLength, schema.maxLength, " characters");
  range(schema.minItems, schema.maxItems, " entries");
  // The patterns of free text and of numbers say no more to people than what stands there already.
  if (schema.pattern && !schema.pattern.includes("\\u0000") && !schema.pattern.includes("eE")) bounds.push(schema.pattern);
  if ("default" in schema && schema.default !== null) bounds.push(`default ${schema.default}`);
  const ofChoices = [...new Set(real(schema).map(boundsOf).filter(Boolean))];
  const words = real(schema).every((one) => "const" in one);
  return [...bounds, words ? ofChoices.join(", ") : ofChoices.join("; ")].filter(Boolean).join("; ");
}

/** The object whose fields are to be shown: of the value itself, of a list's entries, of one of its choices. */
function objectOf(given) {
  const schema = resolve(given);
  if (schema.properties) return schema;
  if (schema.items) return objectOf(schema.items);
  return real(schema).map(objectOf).find(Boolean);
}

/** One field: its name, what it is, what bounds it, what it means. */
function head(name, must, type, bounds, about) {
  return [
    h("div", { class: "field" },
      h("span", { class: "field-name" }, name),
      must && h("span", { class: "must" }, "required"),
      type && h("span", { class: "type" }, type),
      bounds && h("code", { class: "bounds" }, bounds)),
    about && h("div", { class: "quiet small" }, inline(about)),
  ];
}

function fieldsOf(given, asked, above = []) {
  const schema = objectOf(given);
  // A type that contains itself is shown once.
  if (!schema || above.includes(schema.properties)) return null;
  const path = [...above, schema.properties];
  const extra = schema.then?.properties ? Object.entries(schema.then.properties).filter(([name]) => !(name in schema.properties)) : [];
  const must = new Set(schema.required);
  const rows = [...Object.entries(schema.properties), ...extra].map(([name, value]) => {
    return h("li", {}, head(name, asked && must.has(name), typeOf(value), boundsOf(value), value.description ?? resolve(value).description), fieldsOf(value, asked, path));
  });
  return h("ul", { class: "fields" }, rows);
}

async function copy(text, code) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without TLS on another machine there is no clipboard: the text is selected, and the browser's own copy takes it.
    getSelection().selectAllChildren(code);
    if (!document.execCommand("copy")) return say($("copied"), "Selected: copy it by the keyboard");
  }
  say($("copied"), "Copied");
  setTimeout(() => say($("copied"), ""), 2_000);
}

function sample(text, name) {
  const code = h("code", {}, text);
  const button = h("button", { type: "button", "aria-label": `Copy ${name}`, onclick: () => {
    copy(text, code);
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 2_000);
  } }, "Copy");
  return h("div", { class: "sample" }, h("pre", { tabindex: "0", role: "region", "aria-label": name }, code), button);
}

function parameters(list) {
  const rows = list.map((one) =>
    h("li", {}, head(one.name, one.required, `in the ${one.in}, ${typeOf(one.schema)}`, boundsOf(one.schema), one.description)));
  return [h("h4", {}, "Parameters"), h("ul", { class: "fields" }, rows)];
}

function body(given, of) {
  const { schema, example } = given.content["application/json"];
  const about = resolve(schema).description;
  return [h("h4", {}, given.required ? "Request body" : "Request body (may be left out)"), about && prose(about), fieldsOf(schema, true),
    sample(JSON.stringify(example, null, 2), `the body of: ${of}`)];
}

function answer(status, one, of) {
  const [first, ...more] = one.description.split("\n\n");
  const headers = Object.entries(one.headers ?? {}).filter(([name]) => name !== "X-Request-Id").map(([name, header]) =>
    h("li", {}, head(name, false, "header", "", resolve(header).description)));
  const content = Object.entries(one.content ?? {}).map(([kind, { schema, example }]) => [
    h("p", { class: "type" }, kind), fieldsOf(schema, false),
    example !== undefined && typeof example !== "string" && sample(JSON.stringify(example, null, 2), `the answer ${status} of: ${of}`)]);
  return h("details", { class: "answer" },
    h("summary", {}, h("span", { class: "status" }, status), h("span", {}, inline(first))),
    h("div", {}, more.length > 0 && prose(more.join("\n")), headers.length > 0 && h("ul", { class: "fields" }, headers), content.flat()));
}

function roles(operation) {
  const names = operation["x-roles"];
  if (names.length === 0) return "none; everybody may ask";
  return names.map((name) => (name === "pos" ? "pos (its own tills)" : name)).join(", ");
}

function operation(path, method, one) {
  const source = one["x-codeSamples"][0].source.replaceAll(SAMPLE_BASE, location.origin);
  return h("details", { class: "operation", id: one.operationId },
    h("summary", {},
      h("span", { class: "method", data: { method } }, method.toUpperCase()), h("span", { class: "path" }, path), h("h3", {}, one.summary)),
    h("div", { class: "inside" },
      one.description && prose(one.description),
      h("p", { class: "roles" }, h("strong", {}, "Role: "), roles(one)),
      sample(source, `the command of: ${one.summary}`),
      one.parameters && parameters(one.parameters),
      one.requestBody && body(one.requestBody, one.summary),
      h("h4", {}, "Answers"),
      h("div", { class: "answers" }, Object.entries(one.responses).map(([status, given]) => answer(status, given, one.summary))),
      one["x-event-data"] && [h("h4", {}, "Data of the events"), resolve(one["x-event-data"]).anyOf.map((event) =>
        [h("p", { class: "small" }, inline(resolve(event).description ?? "")), fieldsOf(event, false)])].flat(2)));
}

function operations() {
  return Object.entries(document_.paths).flatMap(([path, methods]) =>
    METHODS.filter((method) => methods[method]).map((method) => ({ path, method, one: methods[method] })));
}

function render() {
  const { title, version, description } = document_.info;
  say($("version"), version);
  say($("title"), `${title} API`);
  $("about").replaceChildren(prose(description));
  const all = operations();
  const contents = [];
  const groups = [];
  for (const { name, description: about } of document_.tags) {
    const own = all.filter(({ one }) => one.tags.includes(name));
    contents.push(h("div", { class: "group" }, h("h2", {}, name), own.map(({ path, method, one }) =>
      h("a", { href: `#${one.operationId}`, data: { find: `${one.operationId} ${method} ${path} ${one.summary}`.toLowerCase() } }, one.summary))));
    groups.push(h("section", { class: "card", "aria-label": name }, h("h2", {}, name), h("p", { class: "quiet" }, inline(about)),
      own.map(({ path, method, one }) => operation(path, method, one))));
  }
  $("contents").replaceChildren(...contents);
  $("groups").replaceChildren(...groups);
  show($("login"), false);
  show($("docs"), true);
  openLinked();
}

/** The operation that the address names is open and has the focus. */
function openLinked() {
  const linked = location.hash && $(decodeURIComponent(location.hash.slice(1)));
  if (!linked || !linked.matches("details.operation")) return;
  linked.open = true;
  linked.scrollIntoView();
  linked.querySelector("summary").focus({ preventScroll: true });
}

function filter() {
  const wanted = $("filter").value.trim().toLowerCase().split(/\s+/).filter(Boolean);
  let found = 0;
  for (const group of $("contents").children) {
    let any = false;
    for (const link of group.querySelectorAll("a")) {
      const fits = wanted.every((word) => link.dataset.find.includes(word));
      show(link, fits);
      any ||= fits;
      found += fits;
    }
    show(group, any);
  }
  document.querySelector(".contents").classList.toggle("searching", wanted.length > 0);
  say($("filter-none"), found ? "" : "No operation like that");
}

async function begin() {
  try {
    document_ = await get("/openapi.json");
    render();
  } catch (failure) {
    if (failure.status === 401 || failure.status === 403) {
      show($("login"), true);
      $("login-token").focus();
      return;
    }
    say($("lost"), `The adapter did not answer: ${failure.message}`);
    show($("lost"), true);
  }
}

$("login-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  say($("login-error"), "");
  try {
    await post("/v1/session", { token: $("login-token").value });
    $("login-token").value = "";
    await begin();
    $("main").focus();
  } catch (failure) {
    say($("login-error"), failure.status === 401 ? "There is no such token." : failure.message);
    $("login-token").focus();
  }
});

$("filter").addEventListener("input", filter);
addEventListener("hashchange", openLinked);
begin();
