// Every request that is still recorded, live or by filters; and one of them from within.
import { get, segment } from "./api.js";
import { clock, count, moment, money, tokensIn, took } from "./format.js";
import { html, signal, useEffect } from "./lib.js";
import { reasonOf } from "./standing.js";
import { accounts, attempt, exchanges, seen, snapshot } from "./store.js";
import { Dialog, Empty, Heading, Select, Table, Tag, from, outcomeTone, outcomeWord, said } from "./ui.js";

const PAGE = 50;
const SHOWN_LIVE = 100;
const OUTCOMES = [["", "All"], ["served", "Served"], ["rate_limit", "Rate limit"], ["resting", "All rested"], ["auth", "Login refused"], ["billing", "Billing"], ["overloaded", "Overloaded"], ["server", "Server error"], ["timeout", "Timeout"], ["client_gone", "Client gone"]];
const NO_FILTER = { account: "", model: "", key: "", outcome: "" };

const filter = signal(NO_FILTER);
const text = signal("");
const paused = signal(null); // the rows that stand still, and how many had been seen
const older = signal([]);
const next = signal(undefined); // undefined: not asked yet; null: there is nothing older
const opened = signal(null);

const filtering = () => Object.values(filter.value).some(Boolean);

async function read(before) {
  const wanted = filter.value;
  const page = await attempt(() => get("/api/requests", { ...wanted, limit: PAGE, before }));
  if (page === undefined || wanted !== filter.value) return;
  older.value = before ? [...older.value, ...page.requests] : page.requests;
  next.value = page.next;
}

function choose(change) {
  filter.value = { ...filter.value, ...change };
  read();
}

function rows() {
  const live = filtering() ? [] : (paused.value?.rows ?? exchanges.value).slice(0, SHOWN_LIVE);
  const known = new Set(live.map((row) => row.id));
  const all = [...live, ...older.value.filter((row) => !known.has(row.id))];
  const wanted = text.value.toLowerCase();
  return wanted ? all.filter((row) => words(row).includes(wanted)) : all;
}

const words = (row) =>
  [row.id, row.model, row.served_model, row.account, row.client, row.agent, row.session, row.outcome, row.path].join(" ").toLowerCase();

function togglePause() {
  paused.value = paused.value ? null : { rows: exchanges.value, seen: seen.value };
}

export function Requests() {
  useEffect(() => {
    read();
  }, []);
  const missed = paused.value ? seen.value - paused.value.seen : 0;
  return html`<${Heading} title="Requests">
      <button aria-pressed=${paused.value !== null} onClick=${togglePause}>${paused.value ? `Resume (${count(missed)} new)` : "Pause"}</button>
    <//>
    <${Filters} />
    <${List} rows=${rows()} />
    ${next.value && html`<p class="more"><button onClick=${() => read(next.value)}>Load older</button></p>`}
    ${opened.value && html`<${Details} key=${opened.value.id} row=${opened.value} />`}`;
}

function Filters() {
  const { account, model, key, outcome } = filter.value;
  const models = [["", "All"], ...(snapshot.value?.models ?? []).map((id) => [id, id])];
  const ids = [["", "All"], ...accounts.value.map((one) => [one.id, one.id])];
  return html`<form class="filters" role="search" onSubmit=${(event) => event.preventDefault()}>
    <label class="inline"><span>Search</span><input type="search" placeholder="Press /" value=${text.value}
      onInput=${(event) => (text.value = event.target.value)} /></label>
    <${Select} label="Account" value=${account} options=${ids} onInput=${(value) => choose({ account: value })} />
    <${Select} label="Model" value=${model} options=${models} onInput=${(value) => choose({ model: value })} />
    <label class="inline"><span>Client key</span><input value=${key} size="10" onChange=${(event) => choose({ key: event.target.value.trim() })} /></label>
    <${Select} label="Outcome" value=${outcome} options=${OUTCOMES} onInput=${(value) => choose({ outcome: value })} />
    ${filtering() && html`<button type="button" class="quiet" onClick=${() => choose(NO_FILTER)}>Clear filters</button>`}
  </form>`;
}

/** Whether another model answered than the one asked for; the provider is told by the account. */
const renamed = (row) => row.served_model && ![row.model, row.model.split("/").slice(1).join("/")].includes(row.served_model.split("/").slice(1).join("/"));

const HEAD = ["Time", "Asked for", "Answered by", "From", "Outcome", { name: "First content", number: true }, { name: "Took", number: true }, { name: "In", number: true }, { name: "Out", number: true }, { name: "Cost", number: true }];

function List({ rows }) {
  if (!rows.length) return html`<${Empty}>No request fits.<//>`;
  return html`<${Table} caption="Requests, newest first" className="requests" head=${HEAD}>${rows.map(line)}<//>`;
}

const line = (row) => html`<tr key=${row.id}>
  <td><button class="link" data-row onClick=${() => (opened.value = row)} aria-label=${`Request at ${clock(row.at)} for ${row.model}: details`}>${clock(row.at)}</button></td>
  <td>${row.model}${renamed(row) && html`<small> → ${row.served_model}</small>`}</td>
  <td>${row.account || "–"}</td>
  <td>${from(row)}</td>
  <td><${Tag} tone=${outcomeTone(row)}>${outcomeWord(row)}<//>${row.attempts.length > 1 && html`<small> ${row.attempts.length} tries</small>`}</td>
  <td class="number">${took(row.first_content)}</td><td class="number">${took(row.duration)}</td>
  <td class="number">${count(tokensIn(row.tokens))}</td><td class="number">${count(row.tokens.output)}</td>
  <td class="number">${money(row.cost)}</td>
</tr>`;

// ── one request ──────────────────────────────────────────────────────────────────────────────

function Details({ row }) {
  const whole = useWhole(row);
  const { tokens } = whole;
  const facts = [
    ["When", moment(whole.at)],
    ["Asked", `${whole.model || "–"} on ${whole.path} (${whole.dialect}${whole.stream ? ", streamed" : ""})`],
    ["Answered by", `${whole.account || "nobody"}${whole.served_model ? `, with ${whole.served_model}` : ""}`],
    ["From", [whole.agent, whole.client && `key ${whole.client}`, whole.session && `session ${whole.session}`].filter(Boolean).join(", ") || "unknown"],
    ["Status", `${whole.status}, ${outcomeWord(whole)}`],
    ["Tokens", `${count(tokens.input)} in, ${count(tokens.cache_read)} read from caches, ${count(tokens.cache_write)} written to them, ${count(tokens.output)} out, of which ${count(tokens.reasoning)} thought`],
    ["Cost at list prices", whole.cost == null ? "no price is known for this model" : money(whole.cost)],
    ["Id", whole.id],
  ];
  return html`<${Dialog} title="Request" wide onClose=${() => (opened.value = null)}>
    <dl class="facts">${facts.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>
    <h3>What happened</h3>
    <${Waterfall} row=${whole} />
    <${Route} row=${whole} />
    <${Bodies} id=${row.id} />
  <//>`;
}

const fetched = signal({});

/** *row* with what only the record knows: the feed has no cost. */
function useWhole(row) {
  useEffect(() => {
    get(`/api/requests/${segment(row.id)}`).then(
      (whole) => (fetched.value = { [row.id]: whole }),
      () => {}, // not written yet: what the feed told is shown
    );
  }, [row.id]);
  return fetched.value[row.id] ?? row;
}

const bodies = signal(null);

/** What was asked and answered, where the settings have it kept. */
function Bodies({ id }) {
  const keeps = snapshot.value?.capture_bodies ?? "none";
  useEffect(() => {
    bodies.value = null;
    if (keeps !== "none") get(`/api/requests/${segment(id)}/bodies`).then((value) => (bodies.value = { id, ...value }), () => {});
  }, [id, keeps]);
  const found = bodies.value;
  if (found?.id !== id) return null;
  return [["The request", found.request], ["The answer", found.answer]].map(
    ([title, { text, size, cut }]) => html`<h3>${title}</h3>
      <p>${text === null ? `${count(size)} bytes that are no text.` : cut ? `The beginning of ${count(size)} bytes:` : `${count(size)} bytes:`}</p>
      ${text && html`<textarea class="editor" readonly rows="8" aria-label=${title} value=${text}></textarea>`}`,
  );
}

/** The attempts one after the other, each as wide as it took. */
export function spans(row) {
  let begun = 0;
  const total = Math.max(row.duration, 0.001);
  return row.attempts.map((one, at) => {
    const last = at === row.attempts.length - 1;
    const length = one.duration || (last ? Math.max(0, total - begun) : 0);
    const span = { ...one, begun, length, left: begun / total, width: Math.max(0.004, length / total) };
    begun += length;
    return span;
  });
}

function Waterfall({ row }) {
  if (!row.attempts.length) return html`<p>No account was asked${row.outcome === "served" ? ": it was answered here." : `: ${outcomeWord(row)}.`}</p>`;
  const percentOf = (share) => `${Math.min(100, share * 100)}%`;
  return html`<ol class="waterfall">${spans(row).map(
    (one, at) => html`<li key=${at}>
      <span class="who">${one.account}<small> ${one.model}</small></span>
      <span class="lane" aria-hidden="true"><i class=${one.outcome === "served" ? "good" : "bad"} style=${{ left: percentOf(one.left), width: percentOf(Math.min(one.width, 1 - one.left)) }}></i></span>
      <span class="how">${one.outcome === "served" ? `served in ${took(one.length)}` : `${outcomeWord(one)} after ${took(one.length)}: ${reasonOf(one.outcome)[0]}`}</span>
    </li>`,
  )}
  ${row.first_content > 0 && html`<li class="mark"><span class="who">First content</span>
    <span class="lane" aria-hidden="true"><i class="point" style=${{ left: percentOf(row.first_content / Math.max(row.duration, 0.001)) }}></i></span>
    <span class="how">after ${took(row.first_content)}</span></li>`}</ol>`;
}

const STATES = { ready: "ready", running_low: "ready, but running low", busy: "busy", resting: "rests; asked when nobody else is left", barred: "rests", unfit: "not for this" };

function whyAsked({ attempts, outcome }) {
  if (attempts.length > 1) return "Each account was asked because the one before it failed.";
  if (!attempts.length) return "No account was asked.";
  return outcome === "served" ? "The first account in the order answered." : "One account was asked, and nobody else could be.";
}

const explained = signal(null);

/** Why accounts come in this order now; what it was then, the attempts above tell. */
function Route({ row }) {
  useEffect(() => {
    explained.value = null;
    if (row.model) get("/api/explain", { model: row.model }).then((value) => (explained.value = value), () => {});
  }, [row.id]);
  const found = explained.value;
  if (!found) return null;
  return html`<h3>Why this route</h3>
    <p>${whyAsked(row)} As things stand now, ${found.answers ? html`<strong>${found.answers.account}</strong> would be asked first` : "nobody could answer"}:</p>
    <${Table} caption="Candidates in the order in which they would be asked now" head=${["Place", "Account", "Model", "State"]}>
      ${found.candidates.map(
        (one) => html`<tr key=${one.account + one.model}><td>${one.place || "–"}</td><td>${one.account}</td><td>${one.provider}/${one.model}</td>
          <td>${STATES[one.state] ?? said(one.state)}${one.reason && `: ${reasonOf(one.reason)[0]}`}</td></tr>`,
      )}
    <//>`;
}
