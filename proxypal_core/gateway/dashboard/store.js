// What every view shares: the snapshot, the live feed, the clock, and what is said to the user.
import { get } from "./api.js";
import { computed, signal } from "./lib.js";
import { verdict } from "./standing.js";

const KEPT = 200;
const FLUSH_EVERY = 250; // ms; at hundreds of exchanges a second the page is painted four times
const REFRESH_AFTER = 250;

export const snapshot = signal(null);
export const exchanges = signal([]); // the last ones, newest first
export const seen = signal(0); // exchanges since the page was opened
export const live = signal("connecting"); // connecting, open or lost
export const signedOut = signal(false);
export const notices = signal([]);
export const tick = signal(Date.now() / 1000);

export const theme = signal(document.documentElement.dataset.theme); // light, dark or system
const preference = matchMedia("(prefers-color-scheme: dark)");
const systemDark = signal(preference.matches);
preference.addEventListener("change", () => (systemDark.value = preference.matches));

/** What *theme* comes to: light or dark. */
export const scheme = computed(() =>
  theme.value === "system" ? (systemDark.value ? "dark" : "light") : theme.value,
);

const ahead = signal(0); // the daemon's clock less ours, in seconds

/** The daemon's time: rests and resets are said in it. */
export const now = computed(() => tick.value + ahead.value);
export const accounts = computed(() => snapshot.value?.accounts ?? []);

let numbered = 0;

export function say(text, tone = "good") {
  const notice = { id: ++numbered, text, tone };
  notices.value = [...notices.value.slice(-3), notice];
  if (tone !== "bad") setTimeout(() => dismiss(notice.id), 6000);
}

export const dismiss = (id) => {
  notices.value = notices.value.filter((one) => one.id !== id);
};

/** What *work* gives; if it is refused, that is said and nothing is given. */
export async function attempt(work) {
  try {
    return await work();
  } catch (error) {
    if (error.status === 401) signedOut.value = true;
    else say(error.message, "bad");
    return undefined;
  }
}

export async function refresh() {
  try {
    const value = await get("/api/state");
    tick.value = Date.now() / 1000;
    ahead.value = value.now - tick.value;
    snapshot.value = value;
    signedOut.value = false;
  } catch (error) {
    if (error.status === 401) signedOut.value = true; // the feed tells of the rest
  }
}

let due = Infinity;
let refreshing;

/** Ask for the snapshot within *delay* ms, once for all who want it. */
export function refreshSoon(delay = REFRESH_AFTER) {
  const at = performance.now() + delay;
  if (at >= due) return;
  due = at;
  clearTimeout(refreshing);
  refreshing = setTimeout(() => {
    due = Infinity;
    refresh();
  }, delay);
}

/** An exchange as the feed tells it, in the words of `/api/requests`. */
export function rowOf(record) {
  const usage = record.usage ?? {};
  const cached = usage.input_cached ?? 0;
  const written = usage.input_cache_write ?? 0;
  return {
    agent: "",
    session: "",
    cost: null,
    ...record,
    account: record.account ?? record.served_by,
    tokens: record.tokens ?? {
      input: Math.max(0, (usage.input_total ?? 0) - cached - written),
      output: usage.output_total ?? 0,
      cache_read: cached,
      cache_write: written,
      reasoning: usage.output_reasoning ?? 0,
    },
  };
}

let arrived = [];
let flushing = null;

function flush() {
  flushing = null;
  seen.value += arrived.length;
  exchanges.value = [...arrived.reverse(), ...exchanges.value].slice(0, KEPT);
  arrived = [];
  refreshSoon(2000); // the counters of the accounts
}

export function follow() {
  const source = new EventSource("/api/events");
  source.addEventListener("exchange", (event) => {
    arrived.push(rowOf(JSON.parse(event.data)));
    if (arrived.length > KEPT) arrived.shift();
    flushing ??= setTimeout(flush, FLUSH_EVERY);
  });
  source.addEventListener("accounts", () => refreshSoon());
  source.onopen = () => {
    live.value = "open";
    refreshSoon(); // what happened while nobody listened
  };
  source.onerror = () => {
    live.value = "lost";
    // A browser reconnects by itself, unless the answer was a refusal.
    if (source.readyState === EventSource.CLOSED) {
      refreshSoon();
      setTimeout(follow, 5000);
    }
  };
}

export function startClock() {
  setInterval(() => {
    tick.value = Date.now() / 1000;
    document.title = titled();
  }, 1000);
}

function titled() {
  const { text, tone } = verdict(accounts.value, now.value);
  return tone === "good" || tone === "off" ? "ProxyPal" : `${text} · ProxyPal`;
}
