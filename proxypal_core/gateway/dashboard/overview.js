// Is it working, is anything about to run out, and what did today cost?
import { get } from "./api.js";
import { clock, count, money, percent, sentence, tokensAll, took } from "./format.js";
import { html, signal, useEffect } from "./lib.js";
import { accounts, exchanges, now, seen } from "./store.js";
import { STANDINGS, countdown, reasonOf, resting, standingOf, verdict } from "./standing.js";
import { Empty, Heading, Limits, Panel, Table, Tag, from, outcomeTone, outcomeWord } from "./ui.js";
import { overTime } from "./usage.js";

const DAY = 24 * 3600;
const TAIL = 12;
const EVERY = 10; // seconds between two looks at the usage
const AFTER = 1000; // ms; it is written a moment after the request

export function Overview() {
  const { tone, text } = verdict(accounts.value, now.value);
  const told = html`<p class="verdict ${tone}"><span aria-hidden="true">${GLYPHS[tone]}</span> ${text}
    ${tone === "bad" && html` <a href="#/accounts">See what to do</a>`}</p>`;
  return html`<${Heading} title="Overview" beside=${told} />
    ${accounts.value.length > 0 && html`<ul class="tiles" aria-label="Accounts">${urgentFirst(accounts.value).map((one) => html`<${Tile} key=${one.id} account=${one} />`)}</ul>`}
    <${Today} />
    <${Panel} id="tail" title="Live" note="Requests as they end." actions=${html`<a href="#/requests">All requests</a>`}>
      <${Tail} />
    <//>`;
}

const GLYPHS = { good: "●", warn: "◔", bad: "✕", off: "○" };

/** What waits for a person before what helps itself; else as the daemon has them. */
function urgentFirst(all) {
  const urgent = (one) => STANDINGS[standingOf(one, now.value)].tone === "bad";
  return [...all].sort((a, b) => urgent(b) - urgent(a));
}

function Tile({ account }) {
  const standing = standingOf(account, now.value);
  const { tone, glyph, word } = STANDINGS[standing];
  return html`<li class="tile ${tone}">
    <h2><span class="glyph" aria-hidden="true">${glyph}</span><span class="id" title=${account.id}>${account.id}</span>
      <${Tag} tone=${tone}>${word}${standing === "resting" && html`<span class="hidden">, back in</span> <time class="countdown">${countdown(account.resting.until, now.value)}</time>`}<//></h2>
    <${Trouble} account=${account} tone=${tone} />
    <${Limits} account=${account} />
    <p class="note">${count(account.served)} served${account.failed ? `, ${count(account.failed)} failed` : ""}${account.in_flight ? `, ${account.in_flight} now` : ""}</p>
  </li>`;
}

function Trouble({ account, tone }) {
  const rest = resting(account.resting, now.value);
  if (rest) {
    const [why, fix] = reasonOf(rest.reason);
    return html`<p class="why">${sentence(why)} ${fix}${tone === "bad" && html` <a href="#/accounts">Fix it</a>`}</p>`;
  }
  const models = Object.entries(account.models || {}).filter(([, one]) => resting(one, now.value));
  if (!models.length) return null;
  return html`<ul class="why">${models.slice(0, 3).map(
    ([model, one]) => html`<li key=${model}>${model}: ${reasonOf(one.reason)[0]}, back in <time class="countdown">${countdown(one.until, now.value)}</time></li>`,
  )}${models.length > 3 && html`<li>and ${models.length - 3} more</li>`}</ul>`;
}

const today = signal(null);

async function readToday() {
  try {
    today.value = await get("/api/usage", { by: "hour", since: Math.floor(now.value - DAY) });
  } catch {
    today.value = null; // the live numbers below still tell
  }
}

function Today() {
  useEffect(() => {
    readToday();
  }, []);
  useEffect(() => {
    const timer = setTimeout(readToday, AFTER);
    return () => clearTimeout(timer);
  }, [Math.floor(now.value / EVERY), seen.value > 0]);
  if (!today.value) return null;
  const { total, rows, coverage } = today.value;
  const hours = [...Array(24).fill(null), ...overTime(rows, 3600).rows].slice(-24);
  const input = total.tokens.input + total.tokens.cache_read + total.tokens.cache_write;
  const numbers = [
    ["Requests", count(total.requests), total.requests ? `${percent(1 - total.failed / total.requests)} served` : "none yet", (row) => row.requests],
    ["Tokens", count(tokensAll(total.tokens)), input ? `${percent(total.tokens.cache_read / input)} of the input from caches` : "", (row) => tokensAll(row.tokens)],
    ["Cost at list prices", money(total.cost), `priced ${count(coverage.priced)} of ${count(coverage.requests)}`, (row) => row.cost ?? 0],
    ["First content", took(median(exchanges.value.map((one) => one.first_content).filter(Boolean))), "median of the latest", null],
  ];
  return html`<${Panel} id="today" title="The last 24 hours">
    <dl class="numbers">${numbers.map(
      ([name, value, note, of]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd>
        ${of && html`<${Spark} values=${hours.map((row) => (row ? of(row) : 0))} />`}<dd class="note">${note}</dd></div>`,
    )}</dl>
  <//>`;
}

/** The hours as bars; the numbers stand beside them and in the Usage view. */
function Spark({ values }) {
  const top = Math.max(...values, 0) || 1;
  return html`<dd class="spark" aria-hidden="true">${values.map(
    (value, at) => html`<i key=${at} style=${{ height: `${value && Math.max(6, (100 * value) / top)}%` }}></i>`,
  )}</dd>`;
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

function Tail() {
  const rows = exchanges.value.slice(0, TAIL);
  if (!rows.length) {
    return html`<${Empty}>Nothing yet since this page was opened. Point a client at <code>${location.origin}/v1</code>, as <a href="#/setup">Setup</a> shows.<//>`;
  }
  return html`<${Table} caption="Requests as they end" className="tail" head=${["Time", "Asked for", "Answered by", "From", "Outcome", { name: "Took", number: true }, { name: "Tokens", number: true }, { name: "Cost", number: true }]}>
    ${rows.map(
      (row) => html`<tr key=${row.id}><td>${clock(row.at)}</td><td>${row.model}</td><td>${row.account || "–"}</td><td>${from(row)}</td>
        <td><${Tag} tone=${outcomeTone(row)}>${outcomeWord(row)}<//>${row.attempts.length > 1 && html` <span class="note">${row.attempts.length} tries</span>`}</td>
        <td class="number">${took(row.duration)}</td><td class="number">${count(tokensAll(row.tokens))}</td><td class="number">${money(row.cost)}</td></tr>`,
    )}
  <//>`;
}
