// Small pieces that several views are made of.
import { percent, shortMoment, span } from "./format.js";
import { html, useEffect, useRef } from "./lib.js";
import { now, say } from "./store.js";

export function Heading({ title, beside, children }) {
  return html`<div class="heading"><h1 tabindex="-1">${title}</h1>${beside}<div class="actions">${children}</div></div>`;
}

export function Panel({ title, note, actions, children, id }) {
  return html`<section class="panel" aria-labelledby=${id}>
    <div class="panel-head"><h2 id=${id}>${title}</h2>${note && html`<p class="note">${note}</p>`}
      <div class="actions">${actions}</div></div>
    ${children}
  </section>`;
}

export const Empty = ({ children }) => html`<p class="empty">${children}</p>`;

/** A table that scrolls sideways by itself, where a narrow page cuts it. */
export function Table({ caption, head, children, className = "" }) {
  return html`<div class="scroller" role="region" aria-label=${caption} tabindex="0">
    <table class=${className}>
      <caption class="hidden">${caption}</caption>
      <thead><tr>${head.map((one) => html`<th scope="col" class=${one.number ? "number" : ""}>${one.name ?? one}</th>`)}</tr></thead>
      <tbody>${children}</tbody>
    </table>
  </div>`;
}

export const Tag = ({ tone = "off", children }) => html`<span class="tag ${tone}">${children}</span>`;

/** Which tone an exchange's outcome has; the word is shown beside it. */
export function outcomeTone(row) {
  if (row.outcome === "served") return "good";
  return row.outcome === "client_gone" || row.status === 429 ? "warn" : "bad";
}

/** Which program asked, and with whose key. */
export const from = (row) => [row.agent, row.client].filter(Boolean).join(" · ") || "–";

export const said = (name) => String(name || "unknown").replaceAll("_", " ");

// Where the name of the outcome alone says too little.
const OUTCOMES = { model: "unknown model", auth: "login refused", server: "server error", invalid: "bad request", resting: "all rest", client_key: "client key refused" };

/** How an exchange, or one of its attempts, ended. */
export const outcomeWord = ({ outcome }) => OUTCOMES[outcome] ?? said(outcome);

/** A dialog of the browser's own: it keeps the focus inside, and Escape closes it. */
export function Dialog({ title, onClose, children, wide }) {
  const place = useRef(null);
  useEffect(() => {
    const dialog = place.current;
    if (!dialog.open) dialog.showModal();
    return () => dialog.close();
  }, []);
  return html`<dialog ref=${place} class=${wide ? "wide" : ""} aria-labelledby="dialog-title" onClose=${onClose}>
    <div class="panel-head"><h2 id="dialog-title">${title}</h2>
      <button class="quiet" onClick=${onClose} aria-label="Close">✕</button></div>
    ${children}
  </dialog>`;
}

export function Field({ label, hint, children }) {
  return html`<label class="field"><span>${label}</span>${children}${hint && html`<small>${hint}</small>`}</label>`;
}

export function Select({ label, value, options, onInput }) {
  return html`<label class="inline"><span>${label}</span>
    <select value=${value} onChange=${(event) => onInput(event.target.value)}>
      ${options.map(([key, text]) => html`<option value=${key} selected=${key === value}>${text}</option>`)}
    </select></label>`;
}

export function Copyable({ text, label }) {
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      say("Copied.");
    } catch {
      say("The browser does not allow copying here; select the text instead.", "warn");
    }
  };
  return html`<div class="copyable"><pre tabindex="0" aria-label=${label}>${text}</pre>
    <button class="quiet" onClick=${copy} aria-label=${`Copy: ${label}`}>Copy</button></div>`;
}

/** A share, 0 to 1, as a bar; its words stand beside it for those who do not see it. */
export function Bar({ share, tone = "accent" }) {
  const width = `${Math.max(0, Math.min(1, share)) * 100}%`;
  return html`<span class="bar" aria-hidden="true"><span class=${tone} style=${{ width }}></span></span>`;
}

/** What is left of an account's limits, and when each is full again. */
export function Limits({ account }) {
  return account.limits.map(({ name, scope, left, resets_at }) => {
    const resets = resets_at > now.value;
    return html`<p key=${name + scope} class="limit"><span>${said(name)}</span>
      <${Bar} share=${left} tone=${left < 0.1 ? "bad" : left < 0.3 ? "warn" : "good"} />
      <span class="note" title=${resets ? `Full again ${shortMoment(resets_at)}` : ""}>${percent(left)} left${resets && html`<span class="hidden">, full again in</span> <span aria-hidden="true">↻</span> ${span(resets_at - now.value)}`}</span></p>`;
  });
}

/** The values of a form by the names of its fields, without the surrounding blanks. */
export const fields = (form) =>
  Object.fromEntries([...new FormData(form)].map(([name, value]) => [name, value.trim()]));
