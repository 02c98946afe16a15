// The way to the adapter. All addresses are its own.

/** What went wrong: `status` 0 means that no answer came; `type` is the adapter's code for it. */
export class Failure extends Error {
  constructor(status, text, type) {
    super(text);
    this.status = status;
    this.type = type;
  }
}

/** What the adapter's clock was ahead of ours at the last answer, in milliseconds. */
let ahead = 0;

/** Now, by the adapter's clock. */
export const now = () => Date.now() + ahead;

const PATIENCE_MS = 10_000;

async function call(method, path, body, patience = PATIENCE_MS) {
  let response;
  try {
    response = await fetch(path, {
      method,
      cache: "no-store",
      credentials: "same-origin",
      headers: body === undefined ? { Accept: "application/json" } : { Accept: "application/json", "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(patience),
    });
  } catch (error) {
    throw new Failure(0, String(error.message || error));
  }
  const stamp = Date.parse(response.headers.get("date") || "");
  // The stamp has whole seconds only.
  if (stamp && Math.abs(stamp + 500 - now()) > 1_500) ahead = stamp + 500 - Date.now();
  if (response.status === 204) return null;
  let answer = null;
  try {
    answer = await response.json();
  } catch {
    throw new Failure(response.ok ? 0 : response.status, "the answer is no JSON");
  }
  if (!response.ok) throw new Failure(response.status, told(answer), answer?.type);
  return answer;
}

function told(answer) {
  const detail = answer?.detail;
  if (Array.isArray(detail)) return detail.map((one) => `${one.loc?.slice(1).join(".")}: ${one.msg}`).join("; ");
  return String(detail ?? "");
}

export const get = (path) => call("GET", path);
export const post = (path, body, patience) => call("POST", path, body, patience);
export const remove = (path) => call("DELETE", path, {});
export const part = (name) => encodeURIComponent(name);
