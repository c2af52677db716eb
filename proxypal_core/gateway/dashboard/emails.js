// Hides e-mail addresses, for those who share their screen. They are painted over wherever they
// stand, so that no view can forget to.
import { signal } from "./lib.js";

const ADDRESS = /[^\s:/@]+@[^\s:/@]+\.[^\s:/@]+/g;
const NAME = "emails"; // of the highlight, and of what is remembered

export const canHide = "highlights" in CSS;
export const hidden = signal(canHide && localStorage.getItem(NAME) === "hidden");

export function toggleEmails() {
  hidden.value = !hidden.value;
  localStorage.setItem(NAME, hidden.value ? "hidden" : "shown");
}

// It is told of changes before they are painted, so that nothing flashes up.
const observer = new MutationObserver(mark);

hidden.subscribe((hide) => {
  observer.disconnect();
  if (!canHide) return;
  CSS.highlights.delete(NAME);
  if (!hide) return;
  observer.observe(document.body, { childList: true, characterData: true, subtree: true });
  mark();
});

function mark() {
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    for (const { index, 0: address } of node.data.matchAll(ADDRESS)) {
      const [startOffset, endOffset] = [index, index + address.length];
      found.push(new StaticRange({ startContainer: node, startOffset, endContainer: node, endOffset }));
    }
  }
  CSS.highlights.set(NAME, new Highlight(...found));
}
