// Each breaker: state, why, since when, the countdown to the next probe, its last hours, and the levers.

import { now } from "./api.js";
import { $, badge, h, keyed, say, show, svg } from "./dom.js";
import { LOOKS, probeText } from "./overview.js";
import { actor, clock, deed, half, number, span, t } from "./texts.js";

const HOURS = 6;
const SHOWN = 8;
/** Heights in the strip, of 24: the state is told by the height as well as by the colour. */
const HEIGHTS = { CLOSED: 7, METRICS_ONLY: 7, FORCED_CLOSED: 12, HALF_OPEN: 16, OPEN: 24, FORCED_OPEN: 24 };

export function nameOf(key) {
  return key === "ofd" ? t("endpoint") : t("device", key.replace(/^device:/, ""));
}

/** The breakers that are shown: the endpoint's, then those that need a look, then a few others. */
export function shownBreakers(state) {
  const all = state.health.components.circuit_breaker.breakers;
  const rank = (one) => (one.key === "ofd" ? 0 : one.state === "CLOSED" ? 2 : 1);
  return [...all].sort((a, b) => rank(a) - rank(b)).slice(0, SHOWN);
}

/** The stays of the last hours: from, to in milliseconds, state. */
function stays(history, from, to) {
  return history.stays
    .map((stay, index) => ({ state: stay.state, from: Math.max(from, Date.parse(stay.since)), to: Math.min(to, index + 1 < history.stays.length ? Date.parse(history.stays[index + 1].since) : to) }))
    .filter((stay) => stay.to > stay.from);
}

function strip(history) {
  const to = now();
  // A young adapter's strip shows what there is, five minutes at least.
  const length = Math.min(HOURS * 3600_000, Math.max(300_000, to - Date.parse(history.known_since)));
  const from = to - length;
  const parts = stays(history, from, to);
  const spent = new Map();
  const picture = svg("svg", { viewBox: "0 0 1000 24", preserveAspectRatio: "none", class: "strip", "aria-hidden": "true", focusable: "false" });
  picture.append(svg("rect", { class: "strip-none", x: 0, y: 22, width: 1000, height: 2 }));
  for (const part of parts) {
    spent.set(part.state, (spent.get(part.state) ?? 0) + (part.to - part.from) / 1000);
    const height = HEIGHTS[part.state] ?? 7;
    const x = ((part.from - from) / length) * 1000;
    // A short stay is shown at least as a line.
    const width = Math.max(2, ((part.to - part.from) / length) * 1000);
    picture.append(svg("rect", { class: `strip-${part.state}`, x: x.toFixed(1), y: 24 - height, width: width.toFixed(1), height }));
  }
  const summary = [...spent].map(([state, seconds]) => t("spent", t(state), span(seconds))).join(", ");
  return h("figure", { class: "history" }, picture,
    h("div", { class: "axis quiet", "aria-hidden": "true" }, h("span", {}, t("ago", span(length / 1000))), h("span", {}, t("nowWord"))),
    h("figcaption", { class: "quiet" }, `${t("history", span(length / 1000))}: ${summary}`));
}

function levers(breaker, act) {
  const button = (action, label, primary) =>
    h("button", { type: "button", class: primary ? "primary" : null, data: { control: action, action, key: breaker.key }, "aria-label": `${t(label)} ${nameOf(breaker.key)}`,
      onclick: () => act(action, { key: breaker.key, name: nameOf(breaker.key) }) }, t(label));
  const forced = breaker.state.startsWith("FORCED_");
  return h("div", { class: "buttons" },
    forced && button("release", "release", true),
    breaker.state !== "FORCED_OPEN" && button("force-open", "forceOpen"),
    breaker.state !== "FORCED_CLOSED" && button("force-closed", "forceClosed"),
    (breaker.state === "OPEN" || breaker.state === "HALF_OPEN") && button("reset", "reset"));
}

function commands(lines) {
  if (!lines?.length) return null;
  return h("details", { class: "commands" }, h("summary", { data: { control: "commands" } }, t("commands")),
    h("ul", { class: "small" }, lines.map((line) => h("li", {}, `${clock(line.at)} · ${deed(line.action)} · ${actor(line.by)}${line.detail ? `: ${half(line.detail)}` : ""}`))));
}

/** A breaker in full; one of a register that works is folded up. */
function card(breaker, state, act) {
  const look = LOOKS[breaker.state] ?? LOOKS.CLOSED;
  const head = [h("h3", {}, nameOf(breaker.key)), badge(look, t(breaker.state), breaker.state)];
  const data = { level: look.level, breaker: breaker.key, state: breaker.state };
  const folded = breaker.key !== "ofd" && breaker.state === "CLOSED";
  if (!folded) return h("li", { class: "breaker", data }, h("div", { class: "breaker-head" }, head), inside(breaker, state, act));
  return h("li", { class: "breaker", data }, h("details", { class: "fold" },
    h("summary", { data: { control: "fold" } }, h("span", { class: "breaker-head" }, head)),
    h("div", { class: "fold-inside" }, inside(breaker, state, act))));
}

function inside(breaker, state, act) {
  const more = state.details.get(breaker.key);
  const since = t("since", clock(breaker.since));
  return [
    h("p", { class: "breaker-since" }, since, h("span", { class: "countdown", data: { role: "age" } }), h("strong", { class: "countdown", data: { role: "probe" } })),
    breaker.reason && h("p", {}, h("span", { class: "quiet" }, t("why")), " ", half(breaker.reason)),
    more?.history && strip(more.history),
    h("p", { class: "quiet small" }, t("counts", number(breaker.success_count), number(breaker.failure_count))),
    commands(more?.audit),
    state.session?.role === "operator" && levers(breaker, act),
  ].filter(Boolean);
}

/** What changes with each second is filled in apart, so that the cards stay as they are. */
export function tickBreakers(state) {
  for (const element of $("breakers").children) {
    const breaker = state.health.components.circuit_breaker.breakers.find((one) => one.key === element.dataset.breaker);
    if (!breaker) continue;
    const age = span((now() - Date.parse(breaker.since)) / 1000);
    say(element.querySelector('[data-role="age"]'), `, ${t("sinceAgo", age)}`);
    const until = breaker.state === "FORCED_OPEN" ? state.details.get(breaker.key)?.forcedUntil : null;
    const forced = until ? t("forcedUntil", span((Date.parse(until) - now()) / 1000)) : "";
    const next = probeText(breaker, state) || forced;
    say(element.querySelector('[data-role="probe"]'), next ? ` · ${next}` : "");
  }
}

export function renderBreakers(state, act) {
  const shown = shownBreakers(state);
  const all = state.health.components.circuit_breaker.breakers.length;
  // The strips move on every ten seconds.
  const moment = Math.floor(now() / 10_000);
  keyed($("breakers"), shown, (breaker) => breaker.key, (breaker) => {
    const { retry_after_seconds: _, ...rest } = breaker;
    return [rest, state.details.get(breaker.key), state.session?.role, moment, t("endpoint")];
  }, (breaker) => {
    const old = $("breakers").querySelector(`[data-breaker="${CSS.escape(breaker.key)}"]`);
    const fresh = card(breaker, state, act);
    for (const one of ["fold", "commands"]) {
      if (old?.querySelector(`details.${one}`)?.open) fresh.querySelector(`details.${one}`)?.setAttribute("open", "");
    }
    return fresh;
  });
  show($("breakers-more"), all > shown.length);
  say($("breakers-more"), t("moreBreakers", all - shown.length));
  keyed($("legend"), ["CLOSED", "HALF_OPEN", "OPEN", "FORCED_OPEN"], (name) => name, (name) => t(name), (name) =>
    h("span", { class: "legend-item" }, svg("svg", { viewBox: "0 0 12 24", class: "swatch", "aria-hidden": "true" }, svg("rect", { class: `strip-${name}`, x: 0, y: 24 - HEIGHTS[name], width: 12, height: HEIGHTS[name] })), ` ${t(name)}`));
  tickBreakers(state);
}
