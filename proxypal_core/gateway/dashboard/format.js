// Numbers and times as people read them. Nothing here touches the page.

const plain = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

export const count = (value) => (value >= 100_000 ? compact.format(value) : plain.format(value || 0));

export function money(value) {
  if (value == null) return "–";
  const digits = value !== 0 && Math.abs(value) < 1 ? 4 : 2;
  return `$${value.toFixed(digits)}`;
}

/** *text* with a capital and a full stop. */
export const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}.`;

/** Money on an axis, where the steps are round. */
export const roundMoney = (value) => `$${Number(value.toPrecision(3))}`;

export const percent = (share) => `${Math.round(share * 100)}%`;

/** Seconds that something took. */
export function took(seconds) {
  if (!seconds) return "–";
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 100) return `${seconds.toFixed(1)} s`;
  return span(seconds);
}

/** Seconds that are left, coarser the longer: 4:07, 2 h 10 m, 3 days. */
export function span(seconds) {
  const whole = Math.max(0, Math.ceil(seconds));
  if (whole < 3600) return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
  if (whole < 48 * 3600) return `${Math.floor(whole / 3600)}\u00a0h\u00a0${Math.floor((whole % 3600) / 60)}\u00a0m`;
  return `${Math.round(whole / 86400)}\u00a0days`;
}

export function ago(seconds) {
  if (seconds < 2) return "just now";
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} days ago`;
}

export const clock = (at) => new Date(at * 1000).toLocaleTimeString("en-GB");

export const moment = (at) =>
  new Date(at * 1000).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "medium" });

export const day = (at) => new Date(at * 1000).toLocaleDateString("en-GB", { dateStyle: "medium" });

export const shortMoment = (at) =>
  new Date(at * 1000).toLocaleString("en-GB", {
    weekday: "short",
    hour: "2-digit",
    minute: "2-digit",
  });

/** Everything that went in, and everything that came out, of the five kinds of tokens. */
export const tokensIn = (tokens) => tokens.input + tokens.cache_read + tokens.cache_write;
export const tokensOut = (tokens) => tokens.output;
export const tokensAll = (tokens) => tokensIn(tokens) + tokensOut(tokens);

/** An answer's address, if a browser may safely be sent there; else nothing. */
export function webAddress(text) {
  try {
    const url = new URL(text);
    return ["http:", "https:"].includes(url.protocol) ? url.href : undefined;
  } catch {
    return undefined;
  }
}
