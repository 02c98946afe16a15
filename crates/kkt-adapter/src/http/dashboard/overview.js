// The top of the page: can the shop sell, the figures, the tills.

import { now } from "./api.js";
import { $, badge, h, icon, keyed, say, show } from "./dom.js";
import { half, number, size, span, t } from "./texts.js";
import { LIMIT, endpointOf, verdict } from "./verdict.js";

const ICONS = { ok: "ok", info: "info", warn: "warn", bad: "bad", wait: "wait" };
const TILLS_SHOWN = 30;

/** How a breaker's state looks: shape, level; the word is a text of the same name. */
export const LOOKS = {
  CLOSED: { icon: "ok", level: "ok" },
  OPEN: { icon: "bad", level: "bad" },
  HALF_OPEN: { icon: "probe", level: "probe" },
  FORCED_OPEN: { icon: "hand", level: "manual" },
  FORCED_CLOSED: { icon: "hand", level: "manual" },
  METRICS_ONLY: { icon: "info", level: "info" },
};

/** Where the guide speaks of a cause. */
export const STEPS = {
  storageFailed: "kkt-restarting",
  full: "kkt-buffer-full",
  fullSoon: "kkt-buffer-filling",
  blocked: "print-unknown",
  trouble: "kkt-till-not-printing",
  ofdOpen: "kkt-ofd-unreachable",
  ofdOpenFull: "kkt-ofd-unreachable",
  ofdForced: "forced-states",
  ofdForcedClosed: "forced-states",
  deviceForced: "forced-states",
  denied: "kkt-device-refused",
  old: "kkt-oldest-pending",
  laneHeld: "kkt-lane-stuck",
  laneStopped: "kkt-lane-stuck",
  laneFailed: "kkt-lane-stuck",
  diskLow: "kkt-disk-low",
  diskSoon: "kkt-disk-filling",
  databaseDamaged: "kkt-damaged",
  damagedSome: "kkt-damaged",
  deadSome: "dead-letters",
};

function steps([name]) {
  return STEPS[name] && h("a", { href: `${t("guideLink")}#${STEPS[name]}`, data: { control: "steps" }, "aria-label": `${t("steps")}: ${t("guide")}, ${STEPS[name]}` }, t("steps"));
}

function words(values) {
  return values.map((value) => {
    if (value && typeof value === "object") return "span" in value ? span(value.span) : "size" in value ? size(value.size) : half(value.own);
    return typeof value === "number" ? value : half(String(value));
  });
}

const sentence = ([key, ...values]) => t(key, ...words(values));

export function renderVerdict(state, act, open) {
  const operator = state.session?.role === "operator";
  const result = verdict(state.health, state.buffer);
  $("verdict").dataset.level = result.level;
  $("verdict-icon").setAttribute("href", `#i-${ICONS[result.level === "info" ? "ok" : result.level]}`);
  say($("verdict-title"), t(result.title));
  document.title = `${t(result.title)} · kkt-adapter`;
  const causes = result.causes.length > 0 ? result.causes : [{ level: "ok", text: ["allWell"], todo: null }];
  keyed($("causes"), causes, (cause) => JSON.stringify(cause.text.slice(0, 2).filter((value) => typeof value === "string")), (cause) => [cause.level, sentence(cause.text), cause.todo && sentence(cause.todo), cause.open, operator], (cause) =>
    h("li", { class: "cause", data: { level: cause.level } },
      cause.todo ? icon(ICONS[cause.level]) : null,
      h("div", {}, h("p", {}, sentence(cause.text)),
        cause.todo && h("p", { class: "todo" }, h("strong", {}, t("todo")), " ", sentence(cause.todo), " ", steps(cause.text)),
        cause.open && h("button", { type: "button", class: "link", data: { control: "open", receipt: cause.open }, onclick: () => open(cause.open) }, t("openOldest")),
        cause.act && operator && h("button", { type: "button", data: { control: "act", action: cause.act, receipt: cause.act }, onclick: () => act(cause.act, { id: cause.act, name: t("endAlarm") }) }, t("resolve")))));
}

/** Seconds until a breaker may be tried again, by the time of the answer that told it. */
export function untilProbe(breaker, state) {
  if (breaker.retry_after_seconds === null || breaker.retry_after_seconds === undefined) return null;
  return breaker.retry_after_seconds - (performance.now() - state.healthAt) / 1000;
}

/** «next try in …», or nothing. */
export function probeText(breaker, state) {
  const left = untilProbe(breaker, state);
  if (breaker.state !== "OPEN" || left === null) return "";
  return left > 0.5 ? t("nextTry", span(left)) : t("nextTryNow");
}

const sinceText = (stamp) => t("sinceAgo", span((now() - Date.parse(stamp)) / 1000));

function ofdFigure(state) {
  const breaker = endpointOf(state.health);
  const look = LOOKS[breaker.state] ?? LOOKS.CLOSED;
  const word = { CLOSED: "ofdOnline", OPEN: "ofdOffline", HALF_OPEN: "ofdTrying", FORCED_OPEN: "ofdStopped", FORCED_CLOSED: "ofdAlways" }[breaker.state] ?? "ofdOnline";
  const note = breaker.state === "OPEN" ? probeText(breaker, state) : sinceText(breaker.since ?? breaker.last_state_change);
  return { name: t("ofd"), value: t(word), level: look.level, icon: look.icon, note };
}

/** Only where a heartbeat is configured. */
function erpFigure({ running, state, last_error }) {
  if (!running) return [];
  const look = { online: LOOKS.CLOSED, offline: { icon: "warn", level: "warn" } }[state] ?? { icon: "wait", level: "info" };
  const word = { online: "erpOnline", offline: "erpOffline" }[state] ?? "erpUnknown";
  return [{ name: t("erp"), value: t(word), level: look.level, icon: look.icon, note: last_error ? half(last_error) : t("erpNote") }];
}

/** Only where there is, or soon will be, too little of it. */
function diskFigure({ free_disk_bytes: free, min_free_disk_bytes: floor }) {
  if (free === null || free >= 2 * floor) return [];
  const level = free < floor ? "bad" : "warn";
  return [{ name: t("disk"), value: size(free), level, icon: level, note: t("diskNote", size(floor)) }];
}

function figures(state) {
  const { buffer } = state;
  const percent = buffer.percent_full;
  const oldest = buffer.oldest_pending_seconds;
  const waits = buffer.pending > 0;
  const delivered = buffer.dlq_size > 0 ? t("waitingDead", number(buffer.dlq_size)) : t("waitingNone");
  const blocked = state.health.components.kkt.devices.some((device) => device.blocked_by);
  return [
    ofdFigure(state),
    { name: t("waiting"), value: number(buffer.pending), level: waits ? "info" : "ok", icon: waits ? "wait" : "ok", note: waits ? t("waitingNote") : delivered },
    { name: t("oldest"), value: oldest === null ? t("oldestNone") : span(oldest), level: oldest > 3 * 86400 ? "warn" : "ok", icon: oldest > 3 * 86400 ? "warn" : oldest === null ? "ok" : "wait",
      note: oldest === null ? delivered : t("oldestNote", span(LIMIT - oldest)) },
    { name: t("unprinted"), value: number(buffer.unprinted), level: buffer.unprinted > 0 ? "warn" : "ok", icon: buffer.unprinted > 0 ? "warn" : "ok",
      note: buffer.unprinted === 0 ? t("unprintedNone") : t(blocked ? "unprintedBlocked" : "unprintedNote") },
    { name: t("bufferFull"), value: `${number(percent)} %`, level: percent >= 100 ? "bad" : percent >= 80 ? "warn" : "ok", icon: percent >= 100 ? "bad" : percent >= 80 ? "warn" : "ok",
      meter: percent, note: t("bufferNote", number(buffer.current_queued), number(buffer.total_capacity)) },
    ...diskFigure(state.health.components.buffer),
    ...erpFigure(state.heartbeat),
  ];
}

export function renderFigures(state) {
  keyed($("figures"), figures(state), (figure) => figure.name, (figure) => figure, (figure) =>
    h("div", { class: "figure", data: { level: figure.level } },
      h("dt", {}, icon(figure.icon), " ", figure.name),
      h("dd", { class: "value" }, figure.value),
      figure.meter !== undefined && h("dd", {}, h("meter", { min: 0, max: 100, low: 80, high: 99, optimum: 0, value: figure.meter, "aria-label": figure.name })),
      h("dd", { class: "quiet" }, figure.note)));
}

function tillRows(state) {
  const rows = new Map();
  const row = (name) => {
    if (!rows.has(name)) rows.set(name, { name, device: null, counts: null });
    return rows.get(name);
  };
  for (const device of state.health.components.kkt.devices) row(device.device).device = device;
  for (const counts of state.buffer.per_pos) row(counts.pos_id).counts = counts;
  const rank = ({ device }) => (device?.blocked_by ? 0 : device?.trouble ? 1 : 2);
  return [...rows.values()].sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name, undefined, { numeric: true }));
}

function printing({ device, counts }) {
  if (device?.blocked_by) return badge({ icon: "warn", level: "warn" }, t("printsBlocked"));
  if (device?.trouble) return h("div", {}, badge({ icon: "bad", level: "bad" }, t("printsNot")), h("div", { class: "quiet" }, half(device.trouble)));
  if (!device || (counts && counts.synced + counts.pending + counts.failed === 0)) return h("span", { class: "quiet" }, device ? t("printsUnknown") : "");
  return badge({ icon: "ok", level: "ok" }, t("printsWell"));
}

export function renderTills(state) {
  const rows = tillRows(state);
  const cell = (value, label) => h("td", { role: "cell", class: "number", data: { label } }, value === undefined ? "" : number(value));
  keyed($("tills-body"), rows.slice(0, TILLS_SHOWN), (row) => row.name, (row) => [row, t("till")], (row) =>
    h("tr", { role: "row" },
      h("th", { scope: "row", role: "rowheader" }, row.name),
      h("td", { role: "cell", data: { label: t("prints") } }, printing(row)),
      cell(row.counts?.unprinted ?? row.device?.unprinted, t("toPrint")),
      cell(row.counts?.pending, t("toSend")),
      cell(row.counts?.synced, t("delivered"))));
  show($("tills"), rows.length > 0);
  show($("tills-empty"), rows.length === 0);
  show($("tills-more"), rows.length > TILLS_SHOWN);
  say($("tills-more"), t("moreRows", rows.length - TILLS_SHOWN));
}
