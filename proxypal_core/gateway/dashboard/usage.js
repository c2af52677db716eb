// What was used and what it cost: by time, model, account, key, agent or provider.
import { get } from "./api.js";
import { count, money, percent, roundMoney, tokensAll } from "./format.js";
import { html, signal, useEffect } from "./lib.js";
import { Plot } from "./plot.js";
import { attempt, now, scheme } from "./store.js";
import { Bar, Empty, Heading, Panel, Select, Table } from "./ui.js";

const HOUR = 3600;
const DAY = 24 * HOUR;
const BY = [["day", "Day"], ["week", "Week"], ["hour", "Hour"], ["model", "Model"], ["account", "Account"], ["key", "Client key"], ["agent", "Agent"], ["provider", "Provider"]];
const RANGES = [["1", "24 hours"], ["7", "7 days"], ["30", "30 days"], ["90", "90 days"], ["365", "A year"]];
const STEPS = { hour: HOUR, day: DAY, week: 7 * DAY };

const by = signal("day");
const days = signal("30");
const usage = signal(null);

async function read() {
  const asked = { by: by.value, since: Math.floor(now.value - days.value * DAY) };
  const found = await attempt(() => get("/api/usage", asked));
  if (found && asked.by === by.value) usage.value = found;
}

function choose(change) {
  change();
  read();
}

export function Usage() {
  useEffect(() => {
    read();
  }, []);
  const found = usage.value;
  return html`<${Heading} title="Usage">
      <${Select} label="By" value=${by.value} options=${BY} onInput=${(value) => choose(() => (by.value = value))} />
      <${Select} label="Since" value=${days.value} options=${RANGES} onInput=${(value) => choose(() => (days.value = value))} />
    <//>
    ${!found ? html`<${Empty}>Loading …<//>` : html`
      <${Totals} found=${found} />
      <${Savings} savings=${found.savings} />
      <${Panel} id="usage-rows" title=${`By ${BY.find(([key]) => key === found.by)?.[1].toLowerCase() ?? found.by}`}
        actions=${html`<button onClick=${() => download(found)}>Download CSV</button>`}>
        ${STEPS[found.by] && found.rows.length > 0 && html`<${OverTime} found=${found} />`}
        <${Rows} found=${found} />
      <//>`}`;
}

function Totals({ found: { total, coverage } }) {
  const { tokens } = total;
  const input = tokens.input + tokens.cache_read + tokens.cache_write;
  const numbers = [
    ["Requests", count(total.requests), total.failed ? `${count(total.failed)} failed` : "none failed"],
    ["Tokens in", count(input), input ? `${percent(tokens.cache_read / input)} read from caches` : ""],
    ["Tokens out", count(tokens.output), tokens.reasoning ? `${count(tokens.reasoning)} of them thought` : ""],
    ["Cost at list prices", money(total.cost), `priced ${count(coverage.priced)} of ${count(coverage.requests)} requests`],
  ];
  return html`<${Panel} id="totals" title="In all"><dl class="numbers">${numbers.map(
    ([name, value, note]) => html`<div key=${name}><dt>${name}</dt><dd>${value}</dd><dd class="note">${note}</dd></div>`,
  )}</dl><//>`;
}

/** Only where a plan's price is set: without one there is nothing to compare with. */
function Savings({ savings }) {
  if (!savings) return null;
  const { plans } = savings;
  const reached = plans ? savings.value / plans : 0;
  const told = savings.saved >= 0
    ? `${money(savings.saved)} more than the plans cost.`
    : `${money(-savings.saved)} less than the plans cost, so far.`;
  return html`<${Panel} id="savings" title="What your plans gave" note="In this time, at the list prices of the API.">
    <p><strong>${money(savings.value)}</strong> worth of use for ${money(plans)} of plans: ${told}</p>
    <p class="limit"><span>Break-even</span><${Bar} share=${reached} tone=${reached >= 1 ? "good" : "warn"} /><span class="note">${percent(reached)}</span></p>
  <//>`;
}

// Hours, days and weeks (by their Mondays) come as the daemon's local time, and are shown as they come: as if it were UTC.
const startOf = (name) => Date.parse(name.includes("T") ? `${name}Z` : name) / 1000;

const shownTime = (kind) => (at) =>
  new Date(at * 1000).toLocaleString("en-GB", {
    timeZone: "UTC",
    day: "numeric",
    month: "short",
    ...(kind === "hour" && { hour: "2-digit", minute: "2-digit" }),
  });

/** The rows with the hours, days or weeks between them in which nothing was asked. */
export function overTime(rows, step) {
  const found = new Map(rows.map((row) => [startOf(row.name), row]).sort(([a], [b]) => a - b));
  const times = [...found.keys()];
  const all = [];
  for (let at = times[0]; at <= times.at(-1); at += step) all.push(at);
  return { times: all, rows: all.map((at) => found.get(at)) };
}

function OverTime({ found }) {
  const { times, rows } = overTime(found.rows, STEPS[found.by]);
  const series = [
    { label: "Requests", values: rows.map((row) => row?.requests ?? 0), shown: count },
    { label: "Cost", values: rows.map((row) => row?.cost ?? 0), shown: money, round: roundMoney },
  ];
  return html`<${Plot} key=${found.since + found.by} label=${`Requests and cost by ${found.by}; the table below holds the numbers`}
    times=${times} series=${series} step=${STEPS[found.by]} scheme=${scheme.value} shownTime=${shownTime(found.by)} />`;
}

const HEAD = ["Name", { name: "Requests", number: true }, { name: "Failed", number: true }, { name: "In", number: true }, { name: "From caches", number: true }, { name: "Out", number: true }, { name: "Cost", number: true }, "Tokens, compared"];

function Rows({ found }) {
  if (!found.rows.length) return html`<${Empty}>Nothing was asked in this time.<//>`;
  const inTime = STEPS[found.by] !== undefined;
  const rows = inTime ? [...found.rows].reverse() : found.rows;
  const most = Math.max(1, ...rows.map((row) => tokensAll(row.tokens)));
  return html`<${Table} caption=${`Usage by ${found.by}`} head=${HEAD}>
    ${rows.map(
      (row) => html`<tr key=${row.name}><th scope="row">${nameOf(row, found.by)}</th>
        <td class="number">${count(row.requests)}</td><td class="number">${count(row.failed)}</td>
        <td class="number">${count(row.tokens.input + row.tokens.cache_write)}</td><td class="number">${count(row.tokens.cache_read)}</td>
        <td class="number">${count(row.tokens.output)}</td>
        <td class="number">${row.priced ? money(row.cost) : "no price"}</td>
        <td><${Bar} share=${tokensAll(row.tokens) / most} /></td></tr>`,
    )}
  <//>`;
}

function nameOf(row, kind) {
  if (!STEPS[kind]) return row.name || "none";
  const time = shownTime(kind)(startOf(row.name));
  return kind === "week" ? `Week of ${time}` : time;
}

// A name that begins like a formula would be one in a spreadsheet.
const cell = (value) => `"${String(value ?? "").replace(/^[=+\-@\t\r]/, "'$&").replaceAll('"', '""')}"`;

function download({ by: kind, rows }) {
  const head = ["name", "requests", "failed", "input", "cache_read", "cache_write", "output", "reasoning", "cost"];
  const lines = rows.map((row) => [row.name, row.requests, row.failed, row.tokens.input, row.tokens.cache_read, row.tokens.cache_write, row.tokens.output, row.tokens.reasoning, row.priced ? row.cost : ""]);
  const text = [head, ...lines].map((line) => line.map(cell).join(",")).join("\r\n");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  link.download = `proxypal-usage-by-${kind}.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
