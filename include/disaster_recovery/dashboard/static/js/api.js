// The JSON endpoints. An error carries what the page shows: a fact and what to do.
export const BASE = new URL("../../", import.meta.url);
const PATIENCE = 60_000;

export class ApiError extends Error {
  constructor(status, fact, hint) {
    super(fact);
    this.status = status;
    this.fact = fact;
    this.hint = hint;
  }
}

export const path = (...parts) => parts.map((part) => encodeURIComponent(part)).join("/");

export async function get(name, params = {}, signal = undefined) {
  const url = new URL(`api/${name}`, BASE);
  for (const [key, value] of Object.entries(params)) {
    if (value !== null && value !== undefined && value !== "") url.searchParams.set(key, value);
  }
  return ask(url, { signal });
}

export async function post(name, body = {}) {
  const headers = { "Content-Type": "application/json", "X-Requested-With": "backup-history" };
  return ask(new URL(`api/${name}`, BASE), { method: "POST", headers, body: JSON.stringify(body) });
}

async function ask(url, options) {
  const signals = [AbortSignal.timeout(PATIENCE), ...(options.signal ? [options.signal] : [])];
  let response;
  try {
    response = await fetch(url, { credentials: "same-origin", ...options, signal: AbortSignal.any(signals) });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new ApiError(0, "Airflow's API server does not answer", "check your network, then try again");
  }
  const answer = await response.json().catch(() => null);
  if (response.ok && answer !== null) return answer;
  throw refusal(response.status, answer);
}

function refusal(status, answer) {
  if (status === 401) return new ApiError(401, "your login has ended", "log in again");
  if (status === 403) return new ApiError(403, "you may not do this", "ask an Airflow administrator for the permission");
  const fact = answer?.fact ?? (typeof answer?.detail === "string" ? answer.detail : `the server answered ${status}`);
  return new ApiError(status, fact, answer?.hint ?? "see the log of Airflow's API server");
}
