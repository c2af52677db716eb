// Adding an account: an API key, or a login in the browser or by a device code.
import { Refused, get, post, segment } from "./api.js";
import { webAddress } from "./format.js";
import { html, signal, useEffect } from "./lib.js";
import { attempt, say, snapshot } from "./store.js";
import { Dialog, Field, Tag, fields } from "./ui.js";

const WAYS = [
  ["key", "API key"],
  ["browser", "Login in the browser"],
  ["device", "Login by a code"],
  ["cli", "From a program or a file"],
];
const POLL = 2000; // ms

const way = signal("key");
const login = signal(null); // what POST /api/logins gave

export function Connect({ onClose, onAdded }) {
  useEffect(() => {
    login.value = null;
  }, []);
  const body = { key: KeyForm, browser: LoginForm, device: LoginForm, cli: Commands }[way.value];
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

const COMMANDS = [
  ["Use the login of a program on this machine", "proxypal auth link LOGIN"],
  ["A token that you were given", "proxypal auth paste-token PROVIDER"],
  ["A year-long Claude token", "proxypal auth setup-token"],
  ["A file of accounts", "proxypal auth import FILE"],
];

function Commands() {
  return html`<p>These touch files on the machine where ProxyPal runs, so they are commands. The accounts appear here by themselves.</p>
    <dl class="commands">${COMMANDS.map(([what, command]) => html`<dt>${what}</dt><dd><code>${command}</code></dd>`)}</dl>`;
}
