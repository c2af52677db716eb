// The accounts: how each is, what can be done about it, in which order they are asked, new ones.
import { get, post, put, remove, segment } from "./api.js";
import { Connect } from "./connect.js";
import { ago, count, sentence, shortMoment, span } from "./format.js";
import { html, signal, useEffect } from "./lib.js";
import { STANDINGS, countdown, reasonOf, resting, standingOf } from "./standing.js";
import { accounts, attempt, now, refresh, refreshSoon, say } from "./store.js";
import { Dialog, Empty, Heading, Limits, Panel, Tag, said } from "./ui.js";

const adding = signal(false);
const removing = signal(null);
const profiles = signal({}); // by id: what is kept of an account, without its secret
const tested = signal({});

async function readProfiles() {
  const found = await attempt(() => get("/api/accounts"));
  if (found) profiles.value = Object.fromEntries(found.accounts.map((one) => [one.id, one]));
}

export function Accounts() {
  const known = accounts.value.map((one) => one.id).join();
  useEffect(() => {
    readProfiles();
  }, [known]);
  return html`<${Heading} title="Accounts"><button class="primary" onClick=${() => (adding.value = true)}>Add an account</button><//>
    ${groups().map(([title, members]) => html`<${Panel} key=${title} id=${`group-${title}`} title=${title}>
      <ul class="cards">${members.map((one) => html`<${Card} key=${one.id} account=${one} />`)}</ul><//>`)}
    <${Unused} />
    ${!accounts.value.length && html`<${Empty}>No account yet. Add a key or a login, and its models can be asked for at once.<//>`}
    <${Timeline} />
    <${Orders} />
    ${adding.value && html`<${Connect} onClose=${() => (adding.value = false)} onAdded=${added} />`}
    ${removing.value && html`<${Removal} id=${removing.value} />`}`;
}

async function added() {
  adding.value = false;
  await refresh();
  await readProfiles();
}

function groups() {
  const needs = [], asked = [], off = [];
  for (const account of accounts.value) {
    const { tone } = STANDINGS[standingOf(account, now.value)];
    ({ bad: needs, off })[tone]?.push(account) ?? asked.push(account);
  }
  return [["Needs attention", needs], ["In use", asked], ["Disabled", off]].filter(([, members]) => members.length);
}

/** What the vault holds without an account coming of it. */
function Unused() {
  const used = new Set(accounts.value.map((one) => one.id));
  const rows = Object.values(profiles.value).filter((one) => !used.has(one.id) && one.unused);
  if (!rows.length) return null;
  return html`<${Panel} id="unused" title="In the vault, but of no use">
    <ul class="cards">${rows.map((one) => html`<li key=${one.id} class="card warn">
      <h3><span class="id">${one.id}</span></h3><p class="why">${sentence(one.unused)}</p>
      <div class="actions"><button class="danger" onClick=${() => (removing.value = one.id)} aria-label=${`Remove ${one.id}`}>Remove</button></div></li>`)}</ul>
  <//>`;
}

// ── one account ──────────────────────────────────────────────────────────────────────────────

function Card({ account }) {
  const { tone, glyph, word } = STANDINGS[standingOf(account, now.value)];
  const profile = profiles.value[account.id];
  const rest = resting(account.resting, now.value);
  return html`<li class="card ${tone}">
    <h3><span class="glyph" aria-hidden="true">${glyph}</span><span class="id">${account.id}</span> <${Tag} tone=${tone}>${word}<//></h3>
    <p class="note">${[said(account.kind), profile?.email, account.last_used && `used ${ago(now.value - account.last_used)}`, `${count(account.served)} served`, account.failed && `${count(account.failed)} failed`].filter(Boolean).join(" · ")}</p>
    ${rest && html`<${Why} rest=${rest} provider=${account.provider} tone=${tone} />`}
    <${Models} account=${account} />
    <${Limits} account=${account} />
    <${Result} id=${account.id} />
    <${Actions} account=${account} rests=${Boolean(rest) || Object.keys(account.models || {}).length > 0} />
  </li>`;
}

function Why({ rest, provider, tone }) {
  const [why, fix] = reasonOf(rest.reason);
  return html`<p class="why">${sentence(why)} ${fix}${tone === "bad" && rest.reason === "auth" && html` <code>proxypal auth login ${provider}</code>`}
    ${" "}Asked again in <time class="countdown">${countdown(rest.until, now.value)}</time>.</p>`;
}

function Models({ account }) {
  const rests = Object.entries(account.models || {}).filter(([, one]) => resting(one, now.value));
  if (!rests.length) return null;
  return html`<ul class="why">${rests.map(
    ([model, one]) => html`<li key=${model}>${model}: ${reasonOf(one.reason)[0]}; back in <time class="countdown">${countdown(one.until, now.value)}</time></li>`,
  )}</ul>`;
}

function Result({ id }) {
  const result = tested.value[id];
  if (!result) return null;
  return html`<p class="why" role="status">${result}</p>`;
}

const at = (id, action) => `/api/accounts/${segment(id)}${action}`;

async function test(id) {
  tested.value = { ...tested.value, [id]: "Testing …" };
  const found = await attempt(() => post(at(id, "/test")));
  tested.value = { ...tested.value, [id]: found ? testSaid(found) : null };
  refreshSoon();
}

const testSaid = (found) =>
  found.ok ? `The test was answered${found.model ? ` by ${found.model}` : ""}.` : `The test failed: ${found.message || said(found.outcome)}`;

async function change(id, action, done) {
  if (await attempt(() => post(at(id, action)))) {
    say(done);
    await refresh();
  }
}

function Actions({ account, rests }) {
  const { id, disabled } = account;
  const profile = profiles.value[id];
  return html`<div class="actions">
    <button onClick=${() => test(id)} disabled=${disabled} aria-label=${`Test ${id}`}>Test</button>
    ${rests && html`<button onClick=${() => change(id, "/reset", `${id} is asked again.`)} aria-label=${`Reset ${id}`}>Reset</button>`}
    ${!profile ? html`<span class="note">Not in the vault: changed in the settings or the environment.</span>` : disabled
      ? html`<button onClick=${() => change(id, "/enable", `${id} is enabled.`)} aria-label=${`Enable ${id}`}>Enable</button>`
      : html`<button onClick=${() => change(id, "/disable", `${id} is disabled.`)} aria-label=${`Disable ${id}`}>Disable</button>`}
    ${profile && html`<button class="danger" onClick=${() => (removing.value = id)} aria-label=${`Remove ${id}`}>Remove</button>`}
  </div>`;
}

function Removal({ id }) {
  const close = () => (removing.value = null);
  const go = async () => {
    if (await attempt(() => remove(at(id, "")))) say(`${id} is removed.`);
    close();
    await refresh();
    await readProfiles();
  };
  return html`<${Dialog} title="Remove an account" onClose=${close}>
    <p><strong>${id}</strong> and its secret leave the vault. This cannot be undone.</p>
    <div class="actions"><button class="danger" onClick=${go}>Remove it</button><button onClick=${close}>Keep it</button></div>
  <//>`;
}

// ── when everything comes back ───────────────────────────────────────────────────────────────

const AHEAD = 48 * 3600;

function Timeline() {
  const events = accounts.value.flatMap((account) => comings(account)).sort((a, b) => a.until - b.until);
  if (!events.length) return null;
  const left = (until) => `${Math.min(100, (100 * (until - now.value)) / AHEAD)}%`;
  return html`<${Panel} id="timeline" title="What comes back when" note="The next 48 hours; what is later stands at the end.">
    <ol class="timeline">${events.map(
      (one) => html`<li key=${one.id + one.what}><span class="who">${one.id}<small> ${one.what}</small></span>
        <span class="lane" aria-hidden="true"><i class=${one.tone} style=${{ width: left(one.until) }}></i></span>
        <span class="how">${shortMoment(one.until)}, in ${span(one.until - now.value)}</span></li>`,
    )}</ol>
  <//>`;
}

function comings(account) {
  const rest = resting(account.resting, now.value);
  const models = Object.entries(account.models || {}).filter(([, one]) => resting(one, now.value));
  const limits = account.limits.filter((limit) => limit.resets_at > now.value);
  return [
    ...(rest ? [{ id: account.id, what: "rest ends", until: rest.until, tone: "warn" }] : []),
    ...models.map(([model, one]) => ({ id: account.id, what: `${model} again`, until: one.until, tone: "warn" })),
    ...limits.map((limit) => ({ id: account.id, what: `${said(limit.name)} full again`, until: limit.resets_at, tone: "accent" })),
  ];
}

// ── order ────────────────────────────────────────────────────────────────────────────────────

const orders = signal({});

function Orders() {
  const shared = Object.entries(byProvider()).filter(([, ids]) => ids.length > 1);
  useEffect(() => {
    for (const [provider] of shared) readOrder(provider);
  }, [shared.map(([provider]) => provider).join()]);
  if (!shared.length) return null;
  return html`<${Panel} id="orders" title="Order" note="Which account of a provider is asked first. Without an order of yours, they take turns.">
    ${shared.map(([provider, ids]) => html`<${Order} key=${provider} provider=${provider} ids=${ids} />`)}
  <//>`;
}

function byProvider() {
  const found = {};
  for (const { id, provider } of accounts.value) (found[provider] ??= []).push(id);
  return found;
}

async function readOrder(provider) {
  const found = await attempt(() => get(`/api/order/${segment(provider)}`));
  if (found) orders.value = { ...orders.value, [provider]: found.order };
}

function Order({ provider, ids }) {
  const own = orders.value[provider];
  const listed = own ?? ids;
  const left = ids.filter((id) => !listed.includes(id));
  const save = async (order) => {
    if (await attempt(() => put(`/api/order/${segment(provider)}`, { order }))) readOrder(provider);
  };
  const clear = async () => {
    if (await attempt(() => remove(`/api/order/${segment(provider)}`))) readOrder(provider);
  };
  const up = (place) => save(listed.map((id, at) => (at === place - 1 ? listed[place] : at === place ? listed[place - 1] : id)));
  return html`<h3>${provider} <${Tag}>${own ? "your order" : "in turns"}<//></h3>
    <ol class="order">${listed.map(
      (id, place) => html`<li key=${id}><span class="id">${id}</span>
        <button class="quiet" disabled=${place === 0} onClick=${() => up(place)} aria-label=${`Ask ${id} earlier`}>↑ Earlier</button></li>`,
    )}${left.map(
      (id) => html`<li key=${id}><span class="id">${id}</span><${Tag}>not asked<//>
        <button class="quiet" onClick=${() => save([...own, id])} aria-label=${`Ask ${id} too`}>Ask too</button></li>`,
    )}</ol>
    ${own && html`<button class="quiet" onClick=${clear}>Take turns again</button>`}`;
}
