// The page: its frame, the five views by their address, and the keyboard.
import { Accounts } from "./accounts.js";
import { canHide, hidden, toggleEmails } from "./emails.js";
import { Fragment, computed, html, render, signal, useEffect } from "./lib.js";
import { Overview } from "./overview.js";
import { Requests } from "./requests.js";
import { Setup } from "./setup.js";
import { verdict } from "./standing.js";
import { accounts, dismiss, follow, live, notices, now, refresh, signedOut, snapshot, startClock, theme } from "./store.js";
import { Dialog } from "./ui.js";
import { Usage } from "./usage.js";

const VIEWS = [
  ["", "Overview", Overview],
  ["requests", "Requests", Requests],
  ["accounts", "Accounts", Accounts],
  ["usage", "Usage", Usage],
  ["setup", "Setup", Setup],
];
const THEMES = { system: "◐ System", light: "☀ Light", dark: "☾ Dark" };
const FEED = { connecting: "Connecting", open: "Live", lost: "Connection lost" };

const view = signal(named());
const helping = signal(false);

function named() {
  const name = location.hash.replace(/^#\/?/, "").split("?")[0];
  return VIEWS.some(([key]) => key === name) ? name : "";
}

function changeTheme() {
  const names = Object.keys(THEMES);
  theme.value = names[(names.indexOf(theme.value) + 1) % names.length];
  document.documentElement.dataset.theme = theme.value;
  localStorage.setItem("theme", theme.value);
}

function Header() {
  return html`<header>
    <a class="skip" href="#main" onClick=${skip}>Skip to the content</a>
    <a class="brand" href="#/"><img src="/dashboard/icon.svg" alt="" width="24" height="24" />ProxyPal</a>
    <nav aria-label="Views">${VIEWS.map(
      ([key, title], at) => html`<a href=${`#/${key}`} aria-current=${view.value === key ? "page" : undefined}
        title=${`Key ${at + 1}`}>${title}</a>`,
    )}</nav>
    <div class="header-end">
      <span class="feed ${live.value}" role="status"><i aria-hidden="true"></i>${FEED[live.value]}</span>
      ${canHide && html`<button class="quiet" onClick=${toggleEmails} aria-pressed=${hidden.value} aria-label="Hide e-mail addresses" title="Hide e-mail addresses">@</button>`}
      <button class="quiet" onClick=${changeTheme} title="Light, dark or as the system has it">${THEMES[theme.value]}</button>
      <button class="quiet" onClick=${() => (helping.value = true)} aria-label="Keyboard help">?</button>
    </div>
  </header>`;
}

function skip(event) {
  event.preventDefault();
  document.querySelector("main h1")?.focus();
}

const KEYS = [
  ["1 – 5", "Overview, Requests, Accounts, Usage, Setup"],
  ["/", "Search, where the view has a search field"],
  ["j, k", "Next and previous request"],
  ["Enter", "Open what is chosen"],
  ["e", "Hide e-mail addresses, or show them"],
  ["t", "Light, dark or system"],
  ["Esc", "Close a dialog"],
  ["?", "This help"],
];

function Help() {
  return html`<${Dialog} title="Keyboard" onClose=${() => (helping.value = false)}>
    <dl class="keys">${KEYS.map(([key, what]) => html`<dt><kbd>${key}</kbd></dt><dd>${what}</dd>`)}</dl>
  <//>`;
}

function SignedOut() {
  return html`<main id="main" class="sign-in"><h1 tabindex="-1">Sign in</h1>
    <p>This page shows accounts and what they cost, so it opens by a link that only you can make. Run</p>
    <pre tabindex="0">proxypal dashboard</pre>
    <p>and follow the link that it prints. It works once, within a minute.</p>
    <button onClick=${start}>Try again</button>
  </main>`;
}

function Notices() {
  return html`<div class="notices" role="status" aria-live="polite">${notices.value.map(
    (one) => html`<p key=${one.id} class="notice ${one.tone}">${one.text}
      <button class="quiet" onClick=${() => dismiss(one.id)} aria-label="Dismiss">✕</button></p>`,
  )}</div>`;
}

function Lost() {
  return html`<p class="banner warn" role="alert">The connection to ProxyPal is lost; what you see may be old. It is tried again by itself.</p>`;
}

function Dropped() {
  const { usage_dropped: dropped, usage_problem: problem } = snapshot.value ?? {};
  return dropped > 0 && html`<p class="banner warn" role="alert">${dropped} requests could not be written to the
    usage record${problem && `: ${problem}`}. Proxying goes on; their numbers are missing here.</p>`;
}

function App() {
  const [, title, View] = VIEWS.find(([key]) => key === view.value);
  useEffect(() => window.scrollTo(0, 0), [title]);
  if (signedOut.value) return html`<${SignedOut} /><${Notices} />`;
  return html`<${Fragment}>
    <${Header} />
    ${live.value === "lost" && html`<${Lost} />`}
    <${Dropped} />
    <main id="main">${snapshot.value ? html`<${View} key=${title} />` : html`<p class="empty">Loading …</p>`}</main>
    <${Notices} />
    ${helping.value && html`<${Help} />`}
  <//>`;
}

function move(step) {
  const rows = [...document.querySelectorAll("[data-row]")];
  const at = rows.indexOf(document.activeElement);
  rows[Math.max(0, Math.min(rows.length - 1, at + step))]?.focus();
}

const ACTIONS = {
  "/": () => document.querySelector("input[type=search]")?.focus(),
  "?": () => (helping.value = true),
  e: () => canHide && toggleEmails(),
  t: changeTheme,
  j: () => move(1),
  k: () => move(-1),
};

function onKey(event) {
  const typing = event.target.closest?.("input, textarea, select");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const target = VIEWS[Number(event.key) - 1];
  if (target) location.hash = `#/${target[0]}`;
  else if (ACTIONS[event.key]) ACTIONS[event.key]();
  else return;
  event.preventDefault();
}

let following = false;

async function start() {
  await refresh();
  if (signedOut.value || following) return;
  following = true;
  follow();
}

/** The tab's picture, which has a red dot while an account needs a person. */
const icon = computed(() => (verdict(accounts.value, now.value).tone === "bad" ? "icon-bad.svg" : "icon.svg"));
icon.subscribe((name) => {
  document.querySelector("link[rel=icon]").href = `/dashboard/${name}`;
});

addEventListener("hashchange", () => (view.value = named()));
addEventListener("keydown", onKey);
startClock();
start();
render(html`<${App} />`, document.body);
