// Pointing clients here: snippets for each agent, client keys, and the settings file.
import { get, post, put, remove, segment } from "./api.js";
import { AGENTS } from "./agents.js";
import { clock, count, day, money } from "./format.js";
import { html, signal, useEffect } from "./lib.js";
import { attempt, exchanges, say, snapshot } from "./store.js";
import { Copyable, Dialog, Empty, Field, Heading, Panel, Select, Table, Tag, fields } from "./ui.js";

export function Setup() {
  return html`<${Heading} title="Setup" /><${Clients} /><${Keys} /><${Settings} />`;
}

// ── clients ──────────────────────────────────────────────────────────────────────────────────

const agent = signal(AGENTS[0].name);
const model = signal("");
const PLACEHOLDER = "YOUR-CLIENT-KEY";

function Clients() {
  const models = snapshot.value?.models ?? [];
  const chosen = model.value || models.find((id) => !id.startsWith("demo/")) || models[0] || "demo/echo";
  const { where, text } = AGENTS.find((one) => one.name === agent.value);
  const last = exchanges.value[0];
  return html`<${Panel} id="clients" title="Point a client here" note="Every dialect at one address: OpenAI Chat and Responses, Anthropic, Gemini.">
    <div class="filters">
      <${Select} label="Client" value=${agent.value} options=${AGENTS.map(({ name }) => [name, name])} onInput=${(value) => (agent.value = value)} />
      <${Select} label="Model" value=${chosen} options=${models.map((id) => [id, id])} onInput=${(value) => (model.value = value)} />
    </div>
    <p class="note">${where}</p>
    <${Copyable} label=${`Setup of ${agent.value}`} text=${text({ at: location.origin, key: fresh.value?.key ?? PLACEHOLDER, model: chosen })} />
    <p class="note" role="status">${last ? `✓ The last request came at ${clock(last.at)}, for ${last.model}.` : "Waiting for the first request …"}</p>
  <//>`;
}

// ── client keys ──────────────────────────────────────────────────────────────────────────────

const keys = signal(null);
const fresh = signal(null); // a new key; this page is the only place that ever shows it
const creating = signal(false);
const revoking = signal(null);

async function readKeys() {
  const found = await attempt(() => get("/api/keys"));
  if (found) keys.value = found.keys;
}

function Keys() {
  useEffect(() => {
    readKeys();
    return () => (fresh.value = null);
  }, []);
  const rows = keys.value ?? [];
  return html`<${Panel} id="keys" title="Client keys" note="One for each agent tells their usage apart. Without any, every program on this machine may ask."
      actions=${html`<button onClick=${() => (creating.value = true)}>Create a key</button>`}>
    ${fresh.value && html`<div class="fresh" role="status"><p><strong>${fresh.value.name}</strong>: copy the key now, it is not shown again.</p>
      <${Copyable} label=${`The key ${fresh.value.name}`} text=${fresh.value.key} /></div>`}
    ${rows.length ? html`<${KeyTable} rows=${rows} />` : html`<${Empty}>No client key yet.<//>`}
    ${creating.value && html`<${Creation} />`}
    ${revoking.value && html`<${Revocation} name=${revoking.value} />`}
  <//>`;
}

const limit = (value, shown) => (value ? shown(value) : "no limit");

function KeyTable({ rows }) {
  return html`<${Table} caption="Client keys and their limits" head=${["Name", "Models", "Requests a minute", "Tokens a minute", "Budget a month", "Expires", "Action"]}>
    ${rows.map(
      (row) => html`<tr key=${row.name}><th scope="row">${row.name}</th><td>${row.models?.length ? row.models.join(", ") : "all"}</td>
        <td>${limit(row.requests_per_minute, count)}</td><td>${limit(row.tokens_per_minute, count)}</td>
        <td>${row.budget_usd ? `${money(row.spent)} of ${money(row.budget_usd)}` : limit(0, money)}</td>
        <td>${row.expired ? html`<${Tag} tone="bad">expired<//>` : row.expires ? day(row.expires) : "never"}</td>
        <td>${row.source === "settings" ? html`<span class="note">in the settings file</span>` : html`<button class="danger" onClick=${() => (revoking.value = row.name)} aria-label=${`Revoke ${row.name}`}>Revoke</button>`}</td></tr>`,
    )}
  <//>`;
}

function Creation() {
  const close = () => (creating.value = false);
  const create = async (event) => {
    event.preventDefault();
    const given = fields(event.target);
    const found = await attempt(() =>
      post("/api/keys", {
        name: given.name,
        models: given.models.split(",").map((one) => one.trim()).filter(Boolean),
        requests_per_minute: Number(given.requests_per_minute),
        tokens_per_minute: Number(given.tokens_per_minute),
        budget_usd: Number(given.budget_usd),
        expires: given.expires,
      }),
    );
    if (!found) return;
    fresh.value = found;
    close();
    readKeys();
  };
  return html`<${Dialog} title="Create a client key" onClose=${close}>
    <form onSubmit=${create}>
      <${Field} label="Name" hint="Such as laptop or codex"><input name="name" required autocomplete="off" autocapitalize="none" /><//>
      <${Field} label="Models" hint="Patterns, separated by commas, such as claude-*; all if empty"><input name="models" autocomplete="off" autocapitalize="none" /><//>
      <div class="pair">
        <${Field} label="Requests a minute" hint="0: no limit"><input name="requests_per_minute" type="number" min="0" value="0" /><//>
        <${Field} label="Tokens a minute" hint="0: no limit"><input name="tokens_per_minute" type="number" min="0" value="0" /><//>
        <${Field} label="Budget a month, US dollars" hint="0: no limit"><input name="budget_usd" type="number" min="0" step="any" value="0" /><//>
        <${Field} label="Expires" hint="Never, if empty"><input name="expires" type="date" /><//>
      </div>
      <div class="actions"><button class="primary">Create</button></div>
    </form>
  <//>`;
}

function Revocation({ name }) {
  const close = () => (revoking.value = null);
  const revoke = async () => {
    if (await attempt(() => remove(`/api/keys/${segment(name)}`))) say(`${name} is revoked.`);
    close();
    if (fresh.value?.name === name) fresh.value = null;
    readKeys();
  };
  return html`<${Dialog} title="Revoke a client key" onClose=${close}>
    <p>Whoever uses <strong>${name}</strong> is refused from now on. This cannot be undone.</p>
    <div class="actions"><button class="danger" onClick=${revoke}>Revoke it</button><button onClick=${close}>Keep it</button></div>
  <//>`;
}

// ── settings ─────────────────────────────────────────────────────────────────────────────────

const settings = signal(null);
const edited = signal("");
const checked = signal(null);

async function readSettings() {
  const found = await attempt(() => get("/api/settings"));
  if (!found) return;
  settings.value = found;
  edited.value = found.yaml ?? "";
  checked.value = null;
}

async function check() {
  const found = await attempt(() => post("/api/settings/check", { yaml: edited.value }));
  checked.value = found ?? null;
}

async function save() {
  const found = await attempt(() => put("/api/settings", { yaml: edited.value }));
  if (!found) return;
  say("The settings are written, and in force.");
  await readSettings();
}

function Settings() {
  return html`<${Panel} id="settings" title="Settings" note=${settings.value?.path ?? "config.yaml, as it is written."}
      actions=${!settings.value && html`<button onClick=${readSettings}>Edit</button>`}>
    ${settings.value && html`<textarea class="editor" rows="18" spellcheck="false" aria-label="The settings, YAML" value=${edited.value}
        onInput=${(event) => ((edited.value = event.target.value), (checked.value = null))}></textarea>
      <div class="actions"><button onClick=${check}>Check</button>
        <button class="primary" disabled=${!checked.value?.ok} onClick=${save}>Write</button></div>
      <${Checked} />`}
  <//>`;
}

/** The change must have been seen before it can be written. */
function Checked() {
  const found = checked.value;
  if (!found) return html`<p class="note">Check first: it shows what would change, and writes nothing.</p>`;
  if (!found.ok) return html`<ul class="why" role="alert">${(found.problems ?? [found.message]).map((one) => html`<li>${one}</li>`)}</ul>`;
  return html`<pre class="diff" tabindex="0" aria-label="What would change">${found.diff || "Nothing would change."}</pre>`;
}
