// The management API. The session's cookie goes along by itself.

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

// A page of another site can send the cookie's owner here, but not this header.
const OWN = { "x-proxypal-dashboard": "1" };

async function call(method, path, body) {
  let answer;
  try {
    answer = await fetch(path, {
      method,
      headers: body === undefined ? OWN : { ...OWN, "content-type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new Refused(0, "ProxyPal does not answer. Is it running? Start it with: proxypal serve");
  }
  const text = await answer.text();
  let value = {};
  try {
    value = text ? JSON.parse(text) : {};
  } catch {
    value = { error: { message: `an answer that is not JSON (status ${answer.status})` } };
  }
  if (!answer.ok) {
    throw new Refused(answer.status, value.error?.message || `status ${answer.status}`);
  }
  return value;
}

export const get = (path, query = {}) => call("GET", path + queryString(query));
export const post = (path, body = {}) => call("POST", path, body);
export const put = (path, body) => call("PUT", path, body);
export const remove = (path) => call("DELETE", path);

/** One segment of a path: ids hold colons, at signs and slashes. */
export const segment = encodeURIComponent;

function queryString(query) {
  const given = Object.entries(query).filter(([, value]) => value !== "" && value != null);
  return given.length ? `?${new URLSearchParams(given)}` : "";
}
