// The libraries, bound together once.
import { Fragment, h, render } from "./vendor/preact.js";
import { useEffect, useRef } from "./vendor/preact-hooks.js";
import htm from "./vendor/htm.js";
import { computed, signal, useSignal } from "./vendor/signals.js";

export const html = htm.bind(h);
export { Fragment, computed, render, signal, useEffect, useRef, useSignal };
