// How an account is doing: one of these, each with a colour, a glyph and a word, so that nobody
// needs to see the colour.
import { span } from "./format.js";

export const STANDINGS = {
  ready: { tone: "good", glyph: "●", word: "Ready" },
  unused: { tone: "good", glyph: "○", word: "Not used yet" },
  partly: { tone: "warn", glyph: "◐", word: "Some models rest" },
  low: { tone: "warn", glyph: "◔", word: "Running low" },
  resting: { tone: "warn", glyph: "◔", word: "Resting" },
  login: { tone: "bad", glyph: "✕", word: "Needs a login" },
  billing: { tone: "bad", glyph: "$", word: "Needs credit" },
  blocked: { tone: "bad", glyph: "✕", word: "Refused" },
  disabled: { tone: "off", glyph: "–", word: "Disabled" },
};

// Failures that no waiting cures.
const NEED_A_PERSON = { auth: "login", billing: "billing", forbidden: "blocked" };

/** What went wrong, and what its owner can do. Keys are the kinds of failure. */
export const REASONS = {
  auth: ["the provider refuses its credential", "Log in again, or add a new key."],
  billing: ["its credit is used up, or its plan does not cover this", "Pay or top up at the provider, then reset."],
  forbidden: ["the provider refused this use", "Read the provider's message with Test."],
  rate_limit: ["its limit is used up", "It comes back by itself."],
  overloaded: ["the provider is overloaded", "It is tried again by itself."],
  server: ["the provider had an internal error", "It is tried again by itself."],
  timeout: ["the provider did not answer in time", "It is tried again by itself."],
  unreachable: ["the provider could not be reached", "Check the network, or a proxy setting."],
  truncated: ["the provider's answers broke off", "It is tried again by itself."],
  bad_reply: ["the provider answered what it should not", "Check the provider's base_url."],
  model: ["the provider does not know the model", "Exclude the model from this account."],
};

export const reasonOf = (code) => REASONS[code] || [String(code || "unknown"), "See it with Test."];

const LOW = 0.1;

export function standingOf(account, now) {
  if (account.disabled) return "disabled";
  const rest = resting(account.resting, now);
  if (rest) return NEED_A_PERSON[rest.reason] || "resting";
  if (Object.values(account.models || {}).some((one) => resting(one, now))) return "partly";
  if (account.limits.some((limit) => limit.left < LOW && limit.resets_at > now)) return "low";
  return account.last_used ? "ready" : "unused";
}

export const resting = (rest, now) => (rest && rest.until > now ? rest : null);

export const countdown = (until, now) => span(until - now);

/** The page's first sentence: what needs a person comes first, then what waits. */
export function verdict(accounts, now) {
  if (!accounts.length) return { tone: "off", text: "No account yet. The demo provider answers: add an account to begin." };
  const tones = accounts.map((one) => STANDINGS[standingOf(one, now)].tone);
  const number = (tone) => tones.filter((one) => one === tone).length;
  if (number("bad")) return { tone: "bad", text: `${accountsAre(number("bad"))} your attention.` };
  if (number("warn") && !number("good")) return { tone: "warn", text: soonest(accounts, now) };
  if (number("warn")) return { tone: "warn", text: `${number("good")} of ${accounts.length} accounts ready; the others come back by themselves.` };
  if (!number("good")) return { tone: "off", text: "Every account is disabled." };
  return { tone: "good", text: number("good") === 1 ? "The account is ready." : `All ${number("good")} accounts are ready.` };
}

const accountsAre = (number) => (number === 1 ? "1 account needs" : `${number} accounts need`);

function soonest(accounts, now) {
  const ends = accounts.map((one) => resting(one.resting, now)?.until).filter(Boolean);
  if (!ends.length) return "Every account is running low.";
  return `Every account rests; the first is back in ${countdown(Math.min(...ends), now)}.`;
}
