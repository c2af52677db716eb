// Adding an account: an API key, a login in the browser or by a device code, the login of another
// program, or a file of accounts.
import { Refused, get, post, segment } from "./api.js";
import { webAddress } from "./format.js";
import { html, signal, useEffect } from "./lib.js";
import { attempt, say, snapshot } from "./store.js";
import { Copyable, Dialog, Field, Tag, fields } from "./ui.js";

const WAYS = [
  ["key", "API key"],
  ["browser", "Login in the browser"],
  ["device", "Login by a code"],
  ["link", "Another program's login"],
  ["file", "From a file"],
  ["cli", "A token"],
];
const POLL = 2000; // ms

const way = signal("key");
const login = signal(null); // what POST /api/logins gave

export function Connect({ onClose, onAdded }) {
  useEffect(() => {
    login.value = null;
    taken.value = null;
  }, []);
  const body = { key: KeyForm, browser: LoginForm, device: LoginForm, link: LinkForm, file: FileForm, cli: Commands }[way.value];
  return html`<${Dialog} title="Add an account" onClose=${onClose}>
    <div class="ways" role="group" aria-label="How">${WAYS.map(
      ([name, title]) => html`<button aria-pressed=${way.value === name} onClick=${() => ((login.value = null), (way.value = name))}>${title}</button>`,
    )}</div>
    <${body} key=${way.value} flow=${way.value} onAdded=${onAdded} />
  <//>`;
}

function Providers() {
  const known = new Set((snapshot.value?.models ?? []).map((id) => id.split("/")[0]));
  return html`<datalist id="providers">${[...known].map((name) => html`<option value=${name}></option>`)}</datalist>`;
}

function ProviderField() {
  return html`<${Field} label="Provider" hint="anthropic, openai, gemini, openrouter, or one of your settings">
    <input name="provider" list="providers" required autocomplete="off" autocapitalize="none" /><${Providers} /><//>`;
}

const busy = signal(false);

/** What to do on a form's submission, once at a time. */
const onSubmit = (work) => async (event) => {
  event.preventDefault();
  if (busy.value) return;
  busy.value = true;
  await work(event.target);
  busy.value = false;
};

function KeyForm({ onAdded }) {
  const add = onSubmit(async (form) => {
    const { provider, name, key } = fields(form);
    const found = await attempt(() => post("/api/accounts", { provider, ...(name && { name }), key }));
    if (!found) return;
    form.reset();
    say(`${found.id} is added.`);
    await onAdded();
  });
  return html`<form onSubmit=${add}>
    <${ProviderField} />
    <${Field} label="Name" hint="Your own word for it, such as work; default if empty"><input name="name" autocomplete="off" autocapitalize="none" /><//>
    <${Field} label="API key" hint="It goes into the encrypted vault, and is never shown again"><input name="key" type="password" required autocomplete="off" /><//>
    <div class="actions"><button class="primary" disabled=${busy.value}>Add</button></div>
  </form>`;
}

// ── logins ───────────────────────────────────────────────────────────────────────────────────

function LoginForm({ flow, onAdded }) {
  const begin = onSubmit(async (form) => {
    login.value = (await attempt(() => post("/api/logins", { ...fields(form), flow }))) ?? null;
  });
  if (login.value) return html`<${Waiting} started=${login.value} flow=${flow} onAdded=${onAdded} />`;
  return html`<form onSubmit=${begin}>
    <${ProviderField} />
    <${Field} label="Name" hint="Your own word for it; its e-mail if empty"><input name="name" autocomplete="off" autocapitalize="none" /><//>
    <p class="note">Only providers that offer a login to programs like this one. ${flow === "browser" ? "It works from another machine too: the address at the end is pasted here." : "You enter a short code on the provider's page, on any machine."}</p>
    <div class="actions"><button class="primary" disabled=${busy.value}>Begin</button></div>
  </form>`;
}

function Waiting({ started, flow, onAdded }) {
  const address = webAddress(started.url);
  useEffect(() => {
    const timer = setInterval(() => ended(started.id, onAdded), POLL);
    return () => clearInterval(timer);
  }, [started.id]);
  const paste = onSubmit(async (form) => {
    const given = fields(form).redirect;
    const found = await attempt(() => post(`/api/logins/${segment(started.id)}`, { redirect: given }));
    if (found) await ended(started.id, onAdded);
  });
  return html`<div>
    ${started.user_code && html`<p>Enter this code: <strong class="code">${started.user_code}</strong></p>`}
    <p>${address ? html`<a class="button primary" href=${address} target="_blank" rel="noopener noreferrer">Open the provider's page</a>` : html`<code>${started.url}</code>`}</p>
    <p class="note" role="status"><${Tag} tone="warn">waiting<//> This goes on by itself once you have said yes there.</p>
    ${flow === "browser" && html`<form onSubmit=${paste}>
      <${Field} label="Or paste the address" hint="The browser may end at an address that it cannot open: paste that address here, whole">
        <input name="redirect" type="url" required autocomplete="off" /><//>
      <div class="actions"><button class="primary" disabled=${busy.value}>Finish</button></div>
    </form>`}
  </div>`;
}

async function ended(id, onAdded) {
  const found = await get(`/api/logins/${segment(id)}`).catch((error) => error);
  if (login.value?.id !== id) return;
  if (found instanceof Refused) {
    if (!found.status) return; // the daemon is away: it is asked again
    login.value = null;
    say(found.message, "bad");
    return;
  }
  if (found.state === "done") {
    login.value = null;
    say(`${found.account ?? "The account"} is added.`);
    await onAdded();
  } else if (found.state === "failed") {
    login.value = null;
    say(found.message || "The login did not succeed.", "bad");
  }
}

// ── what other programs keep ─────────────────────────────────────────────────────────────────

const links = signal(null); // what GET /api/accounts/link gave

function LinkForm({ onAdded }) {
  useEffect(() => {
    attempt(() => get("/api/accounts/link")).then((found) => (links.value = found?.logins ?? []));
  }, []);
  const link = async (one) => {
    const found = await attempt(() => post("/api/accounts/link", { login: one.login }));
    if (!found) return;
    say(`${found.id} is added.`);
    await onAdded();
  };
  return html`<p class="note">Programs that you logged in to on the machine where ProxyPal runs. Their files are read when needed and never written: the program renews its login itself.</p>
    <ul class="links">${(links.value ?? []).map(
      (one) => html`<li key=${one.login}><h3><span class="id">${one.program}</span> <${Tag} tone=${one.found ? "good" : "off"}>${one.found ? "found" : "not found"}<//>
        <button onClick=${() => link(one)} aria-label=${`Link ${one.program}`}>Link</button></h3>
        <p class="note">An account of ${one.provider}. ${one.notice}</p></li>`,
    )}</ul>`;
}

const taken = signal(null); // what POST /api/accounts/import gave

function FileForm({ onAdded }) {
  const take = onSubmit(async (form) => {
    const [file] = form.elements.file.files;
    const text = file ? await file.text() : form.elements.text.value;
    const found = await attempt(() => post(`/api/accounts/import`, { text, file: file?.name ?? "" }));
    if (!found) return;
    form.reset();
    taken.value = found;
  });
  if (taken.value) return html`<${Taken} found=${taken.value} onAdded=${onAdded} />`;
  return html`<form onSubmit=${take}>
    <p class="note">An <code>auth-profiles.json</code> of OpenClaw, a login or the <code>config.yaml</code> of CLIProxyAPI, or the key file of a Google service account. What is in the vault stays, and a newer login is not replaced by an older.</p>
    <${Field} label="File"><input name="file" type="file" accept=".json,.yaml,.yml" /><//>
    <${Field} label="Or its text" hint="It goes into the encrypted vault, and is never shown again"><textarea name="text" class="editor" rows="5" autocomplete="off" spellcheck="false"></textarea><//>
    <div class="actions"><button class="primary" disabled=${busy.value}>Import</button></div>
  </form>`;
}

const TONES = { added: "good", changed: "good", unchanged: "off", skipped: "warn" };

function Taken({ found, onAdded }) {
  const sections = Object.entries(found.settings);
  return html`<div role="status">
    <ul class="links">${found.accounts.map(
      (one) => html`<li key=${one.what}><span class="id">${one.what}</span> <${Tag} tone=${TONES[one.action]}>${one.action}<//> <span class="note">${one.reason}</span></li>`,
    )}</ul>
    ${!found.accounts.length && html`<p>There is no account in it.</p>`}
    ${found.notes.map((note) => html`<p class="note" key=${note}>${note}</p>`)}
    ${sections.length > 0 && html`<p>The settings need this besides:</p>
      <${Copyable} label="For the settings" text=${sections.map(([name, rows]) => `${name}:\n${rows.map((row) => `  - ${JSON.stringify(row)}`).join("\n")}`).join("\n")} />`}
    <p class="note">The secrets are still in the file as well, unencrypted.</p>
    <div class="actions"><button class="primary" onClick=${onAdded}>Done</button></div>
  </div>`;
}

const COMMANDS = [
  ["A token that you were given", "proxypal auth paste-token PROVIDER"],
  ["A year-long Claude token", "proxypal auth setup-token"],
];

function Commands() {
  return html`<p>Tokens are typed where ProxyPal runs. The accounts appear here by themselves.</p>
    <dl class="commands">${COMMANDS.map(([what, command]) => html`<dt>${what}</dt><dd><code>${command}</code></dd>`)}</dl>`;
}
