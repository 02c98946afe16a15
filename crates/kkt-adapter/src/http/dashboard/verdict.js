// Can the shop sell, and if not, what is to be done? Pure: from what the adapter answered to sentences.

const DAY = 24 * 3600;
/** The law's limit for documents that the OFD has not confirmed. */
export const LIMIT = 30 * DAY;
const OLD = 3 * DAY;
const FULL_SOON = 80;

/** The link to the OFD itself. */
export const endpointOf = (health) => health.components.circuit_breaker.breakers.find((one) => one.key === "ofd") ?? health.components.circuit_breaker;

/**
 * @returns {{level: string, title: string, causes: {level: string, text: [string, ...any], todo: [string, ...any], open?: string, act?: string}[]}}
 * Texts are keys of texts.js with their values; `{span: seconds}`, `{size: bytes}` and `{own: text}` are values to be put in
 * words. `open` is the receipt_id of the document that a cause is about, `act` what an operator may do about it here.
 */
export function verdict(health, buffer) {
  const { components } = health;
  const causes = [];
  const add = (level, text, todo, open, act) => causes.push({ level, text, todo, open, act });
  const database = components.database;
  const percent = components.buffer.percent_full;
  const devices = components.kkt.devices;
  const stuck = devices.filter((device) => device.blocked_by || device.trouble);
  const noStore = database.status === "unhealthy";
  const full = percent !== null && percent >= 100;
  const space = { size: components.buffer.free_disk_bytes };
  const floor = { size: components.buffer.min_free_disk_bytes };
  const hasSpaceFor = (times) => space.size == null || space.size >= times * floor.size;
  const noSpace = !hasSpaceFor(1);
  const noRoom = full || noSpace;

  if (noStore) add("bad", ["storageFailed", { own: database.error ?? "?" }], ["storageFailedDo"]);
  if (noSpace) add("bad", ["diskLow", space, floor], ["diskLowDo"]);
  if (full) add("bad", ["full"], ["fullDo"]);
  const severe = devices.length > 0 && stuck.length === devices.length ? "bad" : "warn";
  for (const device of stuck.slice(0, 5)) {
    if (device.blocked_by) add(severe, ["blocked", device.device], ["blockedDo"]);
    else add(severe, ["trouble", device.device, { own: device.trouble }], ["troubleDo"]);
  }
  links(components.circuit_breaker.breakers, noRoom, add);
  if (!noRoom) held(components, add);
  if (!full && percent !== null && percent >= FULL_SOON) add("warn", ["fullSoon", percent], ["fullSoonDo"]);
  if (!noSpace && !hasSpaceFor(2)) add("warn", ["diskSoon", space, floor], ["diskSoonDo"]);
  if (database.status === "degraded") add("warn", ["databaseDamaged", { own: database.error ?? "?" }], ["damagedDo"]);
  if (components.buffer.damaged_open > 0) add("warn", ["damagedSome", components.buffer.damaged_open], ["damagedDo"], undefined, "resolve-damage");
  const oldest = buffer?.oldest_pending_seconds ?? 0;
  if (oldest > OLD) {
    // While the OFD takes documents, what it has not confirmed is held up here.
    const here = endpointOf(health).state === "CLOSED";
    const isDead = buffer.oldest_pending?.state === "dead";
    const todo = oldest >= LIMIT ? ["tooOldDo"] : [isDead ? "oldDeadDo" : here ? "oldHereDo" : "oldDo", { span: LIMIT - oldest }];
    add(oldest > LIMIT - 5 * DAY ? "bad" : "warn", ["old", { span: oldest }], todo, buffer.oldest_pending?.receipt_id);
  }
  const dead = components.buffer.dlq_size ?? 0;
  if (dead > 0) add("warn", ["deadSome", dead], ["deadSomeDo"]);

  let level = "ok";
  let title = "canSell";
  if (causes.some((cause) => cause.level === "warn" || cause.level === "bad")) level = "warn";
  else if (causes.length > 0) level = "info";
  if (stuck.length > 0) title = "canSellSome";
  if (noStore || noRoom || (devices.length > 0 && stuck.length === devices.length)) {
    level = "bad";
    title = "cannotSell";
  }
  return { level, title, causes };
}

/**
 * Lanes that their first document holds up. Where several are while the OFD does not answer, it is the OFD; where the OFD
 * refuses the device, that is said already.
 */
function held({ sync, circuit_breaker: circuit }, add) {
  const state = new Map(circuit.breakers.map((one) => [one.key, one.state]));
  const down = ["OPEN", "HALF_OPEN"].includes(state.get("ofd"));
  const open = (device) => ["OPEN", "HALF_OPEN", "FORCED_OPEN"].includes(state.get(`device:${device}`));
  for (const lane of sync.stuck.filter((one) => one.state === "stopped").slice(0, 3)) add("warn", ["laneStopped", lane.device], ["laneStoppedDo"]);
  for (const lane of sync.stuck.filter((one) => one.state === "failed").slice(0, 3)) add("warn", ["laneFailed", lane.device, { own: lane.last_error ?? "" }], ["laneFailedDo"]);
  const lanes = sync.stuck.filter((one) => !["stopped", "failed"].includes(one.state) && one.head && !open(one.device));
  if (state.get("ofd") === "FORCED_OPEN" || (down && lanes.length > 1)) return;
  for (const { device, head } of lanes.slice(0, 3)) {
    add(down ? "info" : "warn", ["laneHeld", device, String(head.fiscal_doc_number), { span: head.failing_for_seconds }], ["laneHeldDo"]);
  }
}

/** Where there is no room nothing is printed and kept any more, so the sentences that calm a person would be wrong. */
function links(breakers, noRoom, add) {
  for (const breaker of breakers) {
    const own = { own: breaker.reason ?? "" };
    if (breaker.key === "ofd") {
      if (breaker.state === "OPEN") add("info", [noRoom ? "ofdOpenFull" : "ofdOpen"], [noRoom ? "ofdOpenFullDo" : "ofdOpenDo"]);
      if (breaker.state === "HALF_OPEN") add("info", ["ofdProbing"], ["ofdProbingDo"]);
      if (breaker.state === "FORCED_OPEN") add("warn", ["ofdForced", own], ["ofdForcedDo"]);
      if (breaker.state === "FORCED_CLOSED") add("warn", ["ofdForcedClosed", own], ["ofdForcedClosedDo"]);
    }
  }
  const denied = breakers.filter((one) => one.key !== "ofd" && (one.state === "OPEN" || one.state === "FORCED_OPEN"));
  for (const breaker of denied.slice(0, 3)) {
    const name = breaker.key.replace(/^device:/, "");
    const own = { own: breaker.reason ?? "" };
    if (breaker.state === "OPEN") add("warn", ["denied", name, own], ["deniedDo"]);
    else add("warn", ["deviceForced", name, own], ["ofdForcedDo"]);
  }
}
