// Joins the parts of the page.

import { actions } from "./actions.js";
import { get, post, remove } from "./api.js";
import { nameOf, renderBreakers, tickBreakers } from "./breakers.js";
import { STATUSES, openPaper, renderDead, renderHeld, renderReceipts, renderUnknown } from "./documents.js";
import { $, h, say, show } from "./dom.js";
import { Live } from "./live.js";
import { renderFigures, renderTills, renderVerdict } from "./overview.js";
import { clock, deed, half, refused, setLanguage, status, t, translatePage } from "./texts.js";

const FEED_MAX = 40;
/** A forced sync is answered within 25 s. */
const SYNC_PATIENCE_MS = 30_000;

const state = {
  session: null, health: null, buffer: null, healthAt: 0, details: new Map(), detailsAt: -Infinity,
  dead: { entries: [], size: 0, next: null, pages: 1 }, unknown: [], receipts: null, search: { text: "", status: "", pages: 1 },
  link: "connecting", failure: null, lostSince: null, feed: [],
};

const live = new Live(state, render, happened);
const act = actions(() => live.want("all", 0));
const open = (id) => openPaper(id, state.session?.role === "operator", act).catch(() => {});

// While a button is held down nothing is drawn anew: a click whose button was replaced in between would be lost.
let held = false;
let late = false;
addEventListener("pointerdown", () => (held = true), true);
for (const end of ["pointerup", "pointercancel"]) {
  addEventListener(end, () => setTimeout(() => {
    held = false;
    if (late) render();
  }), true);
}

function render() {
  late = held;
  if (held) return;
  if (state.failure?.status === 401) return askForToken();
  renderLink();
  if (!state.health) return;
  show($("board"), true);
  show($("live"), true);
  show($("login"), false);
  show($("not-fiscal"), !state.health.fiscal);
  say($("version"), state.health.version);
  renderVerdict(state, act, open);
  renderFigures(state);
  renderTills(state);
  renderBreakers(state, act);
  renderHeld(state, act, open);
  if (state.receipts) {
    renderReceipts(state, open);
    renderDead(state, act, open);
    renderUnknown(state, act, open);
  }
  renderFeed();
  for (const element of document.querySelectorAll('[data-needs="operator"]')) show(element, state.session?.role === "operator");
}

function renderLink() {
  const look = state.lostSince ? "lost" : state.link;
  const word = { live: "live", polling: "polling", connecting: "connecting", lost: "noConnection" }[look];
  $("live").dataset.live = look;
  $("live").querySelector("use").setAttribute("href", `#i-${{ live: "ok", lost: "bad" }[look] ?? "wait"}`);
  say($("live-text"), t(word));
  document.body.classList.toggle("stale", Boolean(state.lostSince));
  show($("lost"), Boolean(state.failure));
  if (state.lostSince) say($("lost"), t("lost", clock(state.lostSince)));
  else if (state.failure) say($("lost"), t("failing", state.failure.message));
}

function happened(name, data) {
  if (name === "hello" || (name === "receipt" && data.state !== "print_unknown")) return;
  state.feed.unshift({ name, data, at: data.at ?? new Date().toISOString() });
  state.feed.length = Math.min(state.feed.length, FEED_MAX);
}

function sentence({ name, data }) {
  if (name === "breaker") return t("feedBreaker", nameOf(data.key), t(data.from), t(data.to), half(data.reason));
  if (name === "command") return t("feedCommand", nameOf(data.key), deed(data.command), data.by, data.why);
  if (name === "dead_letter") return t({ died: "feedDied", parked: "feedParked", requeued: "feedRequeued" }[data.action] ?? "feedResolved", data.receipt_id, data.action === "died" ? half(data.why) : data.by, data.why);
  return name === "receipt" ? t("feedUnknown", data.device) : t("feedLost");
}

function renderFeed() {
  show($("feed-empty"), state.feed.length === 0);
  $("feed").replaceChildren(...state.feed.map((one) => h("li", {}, h("span", { class: "quiet" }, clock(one.at)), ` ${sentence(one)}`)));
}

function askForToken() {
  live.stop();
  show($("board"), false);
  // Nothing is being connected to: the page waits for a person.
  show($("live"), false);
  show($("lost"), false);
  show($("who"), false);
  show($("login"), true);
  $("login-token").focus();
}

function renderWho() {
  const named = Boolean(state.session?.authenticated && state.session.tokens_required);
  show($("who"), named);
  say($("who-name"), named ? `${state.session.name} (${t(state.session.role)})` : "");
}

async function whoAmI() {
  state.session = await get("/v1/session");
  renderWho();
  if (!state.session.authenticated) return askForToken();
  state.failure = null;
  live.start();
}

function begin() {
  whoAmI().catch((failure) => {
    state.failure = failure;
    state.lostSince ??= Date.now();
    render();
    setTimeout(begin, 3_000);
  });
}

$("login-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  say($("login-error"), "");
  try {
    await post("/v1/session", { token: $("login-token").value });
    $("login-token").value = "";
    await whoAmI();
    $("main").focus();
  } catch (failure) {
    say($("login-error"), { 0: t("noConnection"), 401: t("loginWrong"), 403: t("loginTill"), 429: t("loginSlow") }[failure.status] ?? refused(failure));
    $("login-token").focus();
  }
});

$("logout").addEventListener("click", async () => {
  await remove("/v1/session").catch(() => {});
  location.reload();
});

for (const button of document.querySelectorAll("[data-language]")) {
  button.addEventListener("click", () => {
    setLanguage(button.dataset.language);
    translate();
  });
}

function translate() {
  translatePage();
  const kept = $("search-status").value;
  $("search-status").replaceChildren(h("option", { value: "" }, t("anyStatus")), ...STATUSES.map((name) => h("option", { value: name }, status(name))));
  $("search-status").value = kept;
  say($("sync-result"), "");
  renderWho();
  render();
}

$("search").addEventListener("submit", (event) => {
  event.preventDefault();
  find();
});
$("search-status").addEventListener("change", find);
$("search-text").addEventListener("search", find);

function find() {
  state.search = { text: $("search-text").value.trim(), status: $("search-status").value, pages: 1 };
  live.want("documents", 0);
}

$("receipts-more").addEventListener("click", () => {
  state.search.pages += 1;
  live.want("documents", 0);
});

$("dead-more").addEventListener("click", () => {
  state.dead.pages += 1;
  live.want("documents", 0);
});

$("receipts-body").addEventListener("click", (event) => {
  const row = event.target.closest("tr");
  if (row && !event.target.closest("button") && !String(getSelection())) open(row.dataset.receipt);
});

$("paper-close").addEventListener("click", () => $("paper").close());

$("sync-now").addEventListener("click", async () => {
  const button = $("sync-now");
  button.disabled = true;
  say($("sync-result"), t("syncing"));
  try {
    const report = await post("/v1/kkt/buffer/sync", {}, SYNC_PATIENCE_MS);
    say($("sync-result"), t("synced", report.synced, report.failed, report.skipped));
  } catch (failure) {
    say($("sync-result"), failure.type === "sync_running" ? t("syncRuns") : refused(failure));
  }
  button.disabled = false;
  live.want("all", 0);
});

setInterval(() => {
  if (!state.health || state.lostSince) return;
  tickBreakers(state);
  renderFigures(state);
}, 1_000);

translate();
begin();
