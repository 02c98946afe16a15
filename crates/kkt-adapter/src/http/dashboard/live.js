// Keeps the figures fresh: server-sent events say when to look, polling looks anyway, more often while there are none.

import { Failure, get, part } from "./api.js";
import { shownBreakers } from "./breakers.js";

const POLL_LIVE_MS = 10_000;
const POLL_ALONE_MS = 3_000;
/** A burst of events makes one look, soon; then at most one in this time. */
const SOON_MS = 60;
const APART_MS = 700;
/** The stream's heartbeat comes each 15 s, but comments cannot be seen here: a dead one is noticed by the polling. */
/** Rows of a list; a phone gets fewer. */
const LIST = matchMedia("(min-width: 48rem)").matches ? 25 : 10;

export class Live {
  constructor(state, changed, happened) {
    this.state = state;
    this.changed = changed;
    this.happened = happened;
    this.wanted = new Set();
    this.timer = null;
    this.lastLook = 0;
    this.looking = false;
    this.source = null;
  }

  start() {
    this.stopped = false;
    this.want("all", 0);
    this.listen();
  }

  stop() {
    this.stopped = true;
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
  }

  listen() {
    this.source?.close();
    const source = new EventSource("/v1/kkt/events");
    this.source = source;
    source.onopen = () => this.link("live");
    source.onerror = () => {
      this.link("polling");
      // The browser comes back by itself, except after an answer that is none (401, 503).
      if (source.readyState === EventSource.CLOSED && !this.stopped) setTimeout(() => this.source === source && !this.stopped && this.listen(), 5_000);
    };
    const on = (name, ...parts) => source.addEventListener(name, (event) => {
      this.happened(name, JSON.parse(event.data));
      parts.forEach((one) => this.want(one, SOON_MS));
    });
    on("hello", "all");
    on("lost", "all");
    on("breaker", "core", "details");
    on("command", "core", "details");
    on("receipt", "core", "documents");
    on("dead_letter", "core", "documents");
  }

  link(link) {
    if (this.state.link === link) return;
    this.state.link = link;
    this.changed();
    this.plan(link === "live" ? POLL_LIVE_MS : 0);
  }

  /** Asks for a look at a part of the figures. */
  want(one, delay = SOON_MS) {
    for (const name of one === "all" ? ["core", "details", "documents"] : [one]) this.wanted.add(name);
    const apart = Math.max(0, this.lastLook + APART_MS - performance.now());
    this.plan(delay === 0 ? 0 : Math.max(delay, this.wanted.has("details") && !this.wanted.has("documents") ? 0 : apart));
  }

  plan(delay) {
    if (this.stopped) return;
    const at = performance.now() + delay;
    if (this.timer && this.at <= at) return;
    clearTimeout(this.timer);
    this.at = at;
    this.timer = setTimeout(() => this.look(), delay);
  }

  async look() {
    this.timer = null;
    if (this.looking || this.stopped) return;
    this.looking = true;
    const wanted = this.wanted.size > 0 ? this.wanted : new Set(["core", "documents"]);
    this.wanted = new Set();
    try {
      await this.core();
      if (wanted.has("details") || this.state.detailsAt + 60_000 < performance.now()) await this.details();
      if (wanted.has("documents")) await this.documents();
      this.state.failure = null;
      this.state.lostSince = null;
    } catch (failure) {
      if (!(failure instanceof Failure)) throw failure;
      for (const one of wanted) this.wanted.add(one);
      this.state.failure = failure;
      if (failure.status === 0) this.state.lostSince ??= Date.now();
    } finally {
      this.looking = false;
      this.lastLook = performance.now();
    }
    const calm = this.state.link === "live" && !this.state.failure;
    this.plan(this.wanted.size > 0 && calm ? APART_MS : calm ? POLL_LIVE_MS : POLL_ALONE_MS);
    this.changed();
  }

  async core() {
    const [health, buffer, heartbeat] = await Promise.all([get("/v1/health"), get("/v1/kkt/buffer/status"), get("/v1/kkt/heartbeat/status")]);
    Object.assign(this.state, { health, buffer, heartbeat, healthAt: performance.now() });
    this.changed();
  }

  /** History and commands of the breakers that are shown; what is shown first comes first. */
  async details() {
    const fresh = new Map();
    for (const { key, state } of shownBreakers(this.state)) {
      const path = `/v1/kkt/circuit-breakers/${part(key)}`;
      const [history, { audit }, whole] = await Promise.all([get(`${path}/history`), get(`/v1/kkt/audit?limit=5&subject=${part(`breaker:${key}`)}`), state === "FORCED_OPEN" ? get(path) : null]);
      fresh.set(key, { history: { known_since: history.known_since, stays: history.stays }, audit, forcedUntil: whole?.forced_until ?? null });
    }
    this.state.details = fresh;
    this.state.detailsAt = performance.now();
    this.changed();
  }

  async documents() {
    const [dead, unknown, receipts] = await Promise.all([get(`/v1/kkt/dlq?limit=${Math.min(1_000, LIST * this.state.dead.pages)}`), get("/v1/kkt/receipts?status=print_unknown&limit=20"), this.found()]);
    Object.assign(this.state.dead, { entries: dead.dead_letters, size: dead.dlq_size, next: dead.next_cursor });
    this.state.unknown = unknown.receipts;
    this.state.receipts = receipts;
  }

  /** The documents that the search is for. */
  async found() {
    const { text, status, pages } = this.state.search;
    const filter = status ? `&status=${part(status)}` : "";
    if (!text) return this.page(filter, pages);
    const list = /^[A-Za-z0-9._-]{1,64}$/.test(text) ? await this.page(`${filter}&pos_id=${part(text)}`, pages) : { entries: [], next: null };
    if (list.entries.length > 0) return list;
    const entry = await get(`/v1/kkt/receipt/${part(text)}`).catch(unlessMissing);
    return { entries: entry && (!status || entry.state === status) ? [entry] : [], next: null };
  }

  async page(filter, pages) {
    const answer = await get(`/v1/kkt/receipts?limit=${Math.min(1_000, LIST * pages)}${filter}`);
    return { entries: answer.receipts, next: answer.next_cursor };
  }
}

function unlessMissing(failure) {
  if (failure.status === 404 || failure.status === 422) return null;
  throw failure;
}
