// Receipts, dead letters, documents a person must decide on, and one document in full.

import { get, part } from "./api.js";
import { $, badge, h, keyed, say, show } from "./dom.js";
import { actor, clock, deed, half, number, span, status, t } from "./texts.js";

const LOOKS = {
  accepted: { icon: "wait", level: "info" },
  printing: { icon: "wait", level: "info" },
  buffered: { icon: "warn", level: "warn" },
  printed: { icon: "wait", level: "info" },
  print_unknown: { icon: "warn", level: "warn" },
  synced: { icon: "ok", level: "ok" },
  dead: { icon: "bad", level: "bad" },
  cancelled: { icon: "off", level: "none" },
};
const HELD_SHOWN = 5;
/** What one answer of the API holds at most. */
const LIST_MAX = 1_000;
export const STATUSES = Object.keys(LOOKS);

const word = (name) => badge(LOOKS[name] ?? LOOKS.accepted, status(name));
const kind = (entry) => t(entry.type ?? entry.document);
const isReceipt = (entry) => entry.document === "receipt";
/** Money comes as decimal text; it never becomes a float. */
const money = (value) => (value === null || value === undefined ? "" : String(value).replace(/^(-?\d+)(?:\.(\d+))?$/, (_, whole, cents = "") => `${whole.replace(/\B(?=(\d{3})+$)/g, "\u00a0")}${t("decimal")}${(cents + "00").slice(0, 2)}`));
const short = (text) => (text.length > 13 ? `${text.slice(0, 8)}…${text.slice(-4)}` : text);

export function renderReceipts(state, open) {
  const { entries, next } = state.receipts;
  keyed($("receipts-body"), entries, (entry) => entry.receipt_id, (entry) => [entry.state, t("time")], (entry) =>
    h("tr", { role: "row", data: { receipt: entry.receipt_id } },
      h("td", { role: "cell", data: { label: t("time") } }, clock(entry.created_at)),
      h("td", { role: "cell", data: { label: t("till") } }, entry.pos_id),
      h("td", { role: "cell", data: { label: t("document") } }, kind(entry)),
      h("td", { role: "cell", class: "number", data: { label: t("total") } }, isReceipt(entry) ? money(entry.total) : ""),
      h("td", { role: "cell", class: "number", data: { label: t("fd") } }, entry.fiscal_doc ? String(entry.fiscal_doc.fiscal_doc_number) : ""),
      h("td", { role: "cell", data: { label: t("status") } }, word(entry.state)),
      h("td", { role: "cell", data: { label: t("key") } }, h("button", { type: "button", class: "link", data: { control: "open" }, title: entry.idempotency_key, onclick: () => open(entry.receipt_id) }, short(entry.idempotency_key)))));
  show($("receipts"), entries.length > 0);
  show($("receipts-empty"), entries.length === 0);
  say($("receipts-empty"), state.search.text || state.search.status ? t("nothingFound") : t("nothingSold"));
  show($("receipts-more"), Boolean(next));
}

function row(entry, open, ...buttons) {
  return h("li", { class: "row", data: { receipt: entry.receipt_id } },
    h("div", { class: "row-head" }, h("strong", {}, `${kind(entry)}${isReceipt(entry) ? ` ${money(entry.total)} ₽` : ""}`), h("span", {}, `${entry.pos_id} · ${clock(entry.created_at)}`)),
    entry.last_error && h("p", { class: "error-text" }, half(entry.last_error)),
    entry.state === "dead" && !entry.fiscal_doc && h("p", {}, t("nothingToSend")),
    h("p", { class: "quiet small" }, [entry.fiscal_doc && `${t("fd")} ${entry.fiscal_doc.fiscal_doc_number}`, entry.attempts > 0 && t("attempts", entry.attempts), entry.idempotency_key].filter(Boolean).join(" · ")),
    h("div", { class: "buttons" }, h("button", { type: "button", class: "link", data: { control: "open" }, "aria-label": `${t("facts")} ${entry.idempotency_key}`, onclick: () => open(entry.receipt_id) }, t("facts")), ...buttons));
}

const lever = (action, label, entry, act, primary) =>
  h("button", { type: "button", class: primary ? "primary" : null, data: { control: action, action, receipt: entry.receipt_id }, "aria-label": `${t(label)} ${entry.idempotency_key}`, onclick: () => act(action, { id: entry.receipt_id, name: entry.idempotency_key }) }, t(label));

/** What an operator may do with a document: requeue or close a dead letter, say whether it was printed. */
function levers(entry, act) {
  if (entry.state === "dead" && !entry.resolved) return [entry.fiscal_doc && lever("requeue", "requeue", entry, act), lever("resolve", "resolve", entry, act)];
  if (entry.state === "print_unknown") return [lever("printed", "wasPrinted", entry, act, true), lever("not-printed", "wasNotPrinted", entry, act)];
  return [];
}

export function renderDead(state, act, open) {
  const operator = state.session?.role === "operator";
  keyed($("dead"), state.dead.entries, (entry) => entry.receipt_id, (entry) => [entry.attempts, entry.last_error, operator, t("dead")], (entry) =>
    row(entry, open, ...(operator ? levers(entry, act) : [])));
  say($("dead-count"), state.dead.size > 0 ? number(state.dead.size) : "");
  show($("dead-empty"), state.dead.entries.length === 0);
  show($("dead-more"), Boolean(state.dead.next) && state.dead.entries.length < LIST_MAX);
  say($("dead-more"), t("moreDead", number(state.dead.size - state.dead.entries.length)));
}

export function renderUnknown(state, act, open) {
  const operator = state.session?.role === "operator";
  keyed($("unknown-list"), state.unknown, (entry) => entry.receipt_id, (entry) => [entry.last_error, operator, t("dead")], (entry) =>
    row(entry, open, ...(operator ? levers(entry, act) : [])));
  show($("unknown"), state.unknown.length > 0);
}

/** The first documents of lanes that have not got through for long; what health tells of them is enough. */
export function renderHeld(state, act, open) {
  const operator = state.session?.role === "operator";
  const lanes = state.health.components.sync.stuck.filter((lane) => !["stopped", "failed"].includes(lane.state) && lane.head).slice(0, HELD_SHOWN);
  keyed($("held-list"), lanes, (lane) => lane.head.receipt_id, (lane) => [lane, operator, t("dead")], ({ device, last_error, head }) => {
    const entry = { receipt_id: head.receipt_id, idempotency_key: `${device}, ${t("fd")} ${head.fiscal_doc_number}` };
    return h("li", { class: "row", data: { receipt: head.receipt_id } },
      h("div", { class: "row-head" }, h("strong", {}, entry.idempotency_key), h("span", {}, t("heldFor", span(head.failing_for_seconds)))),
      last_error && h("p", { class: "error-text" }, half(last_error)),
      h("p", { class: "quiet small" }, `${t("attempts", head.tries)} · ${head.receipt_id}`),
      h("div", { class: "buttons" }, h("button", { type: "button", class: "link", data: { control: "open" }, "aria-label": `${t("facts")} ${entry.idempotency_key}`, onclick: () => open(head.receipt_id) }, t("facts")),
        operator && lever("park", "park", entry, act)));
  });
  show($("held"), lanes.length > 0);
}

function facts(entry) {
  const doc = entry.fiscal_doc;
  const rows = [
    ["status", word(entry.state)], ["till", entry.pos_id], ["key", entry.idempotency_key], ["receiptId", entry.receipt_id], ["createdAt", clock(entry.created_at)],
    ["printedAt", entry.printed_at && clock(entry.printed_at)], ["syncedAt", entry.synced_at && clock(entry.synced_at)],
    ["closedAs", entry.resolved && `${clock(entry.resolved.at)}: ${entry.resolved.note}`],
    ["fn", doc?.fn_number], ["fd", doc && String(doc.fiscal_doc_number)], ["sign", doc?.fiscal_sign], ["shift", doc && String(doc.shift_number)], ["lastError", entry.last_error && half(entry.last_error)],
  ];
  return h("dl", { class: "facts" }, rows.filter(([, value]) => value).flatMap(([name, value]) => [h("dt", {}, t(name)), h("dd", {}, value)]));
}

function goods(entry) {
  if (!isReceipt(entry)) return null;
  if (!entry.receipt) return h("p", { class: "quiet" }, t("bodyGone"));
  const items = entry.receipt.items.map((item) => h("tr", {}, h("th", { scope: "row" }, item.name), h("td", { class: "number" }, money(item.price)), h("td", { class: "number" }, String(item.quantity)), h("td", { class: "number" }, money(item.total))));
  const payments = entry.receipt.payments.map((payment) => `${t(payment.type)} ${money(payment.amount)}`).join(", ");
  return [
    h("h3", {}, t("items")),
    h("div", { class: "scroll" }, h("table", {}, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("name")), h("th", { scope: "col", class: "number" }, t("price")), h("th", { scope: "col", class: "number" }, t("quantity")), h("th", { scope: "col", class: "number" }, t("total")))), h("tbody", {}, items))),
    h("p", {}, `${t("payments")}: ${payments}`),
  ];
}

/** Opens one document in full, with what may be done about it. */
export async function openPaper(id, operator, act) {
  const [entry, { audit }] = await Promise.all([get(`/v1/kkt/receipt/${part(id)}`), get(`/v1/kkt/audit?limit=50&subject=${part(id)}`)]);
  $("paper-title").textContent = `${kind(entry)}${isReceipt(entry) ? ` · ${money(entry.total)} ₽` : ""}`;
  const story = [...audit].reverse().map((line) => h("li", {}, h("span", { class: "quiet" }, clock(line.at)), ` ${deed(line.action)} · ${actor(line.by)}${line.detail ? `: ${half(line.detail)}` : ""}`));
  const hands = operator && levers(entry, (name, target) => {
    $("paper").close();
    act(name, target);
  }).filter(Boolean);
  $("paper-body").replaceChildren(...[facts(entry), hands && hands.length > 0 && h("div", { class: "buttons" }, hands), goods(entry), h("h3", {}, t("story")), h("ol", { class: "feed" }, story)].flat().filter(Boolean));
  $("paper").showModal();
}
