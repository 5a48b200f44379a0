// @ts-check
// The one way from this page to the admin API. Every change that it makes is logged as the curl command that does the same.

import { remember, remembered, state, update } from './store.js';

/** Calls kept for "What this page called". */
const KEPT_CALLS = 50;
let token = remembered('token');

/** An answer of the API that is an error, or no answer (status 0). */
export class ApiProblem extends Error {
  /** @param {number} status @param {{ message: string, code?: string, hint?: string | null, path?: string | null }} error */
  constructor(status, { message, code = '', hint = null, path = null }) {
    super(message);
    this.status = status; this.code = code; this.hint = hint; this.path = path;
  }
}

/** Sets the token of this tab. @param {string | null} value */
export function setToken(value) {
  token = value;
  remember('token', value);
  update({ waitingForToken: false });
}

/** @returns {Record<string, string>} */
const authorization = () => (token ? { authorization: `Bearer ${token}` } : {});

/** Sends a request as it is. A missing or wrong token makes the page ask for it.
 * @param {string} path @param {RequestInit} options */
export async function request(path, options = {}) {
  let response;
  try {
    response = await fetch(`.${path}`, { ...options, headers: { ...options.headers, ...authorization() }, cache: 'no-store' });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new ApiProblem(0, { message: 'the simulator does not answer' });
  }
  if (response.status === 401) update({ waitingForToken: true, connection: 'token' });
  return response;
}

/** Calls an operation of the API: `call('PUT /customers/{customer_id}/quota', { path: { customer_id }, body })`.
 * @type {import('types').Call} */
export const call = async (operation, ...[args]) => {
  const { path = {}, query = {}, body, form, isRead = false } = /** @type {any} */ (args ?? {});
  const [method, template] = operation.split(' ');
  const filled = template.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(path[name]));
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null);
  const url = filled + (given.length ? `?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}` : '');
  const isLogged = method !== 'GET' && !isRead;
  /** @type {Record<string, string>} */
  const headers = body === undefined ? {} : { 'content-type': 'application/json' };
  const line = isLogged ? log(method, url, body, form) : null;
  try {
    const response = await request(url, { method, headers, body: form ?? (body === undefined ? undefined : JSON.stringify(body)) });
    if (line) line.status = response.status;
    const isJson = response.headers.get('content-type')?.startsWith('application/json');
    const answer = isJson ? await response.json() : await response.text();
    if (!response.ok) throw new ApiProblem(response.status, answer?.error ?? { message: `HTTP ${response.status}` });
    return answer;
  } finally {
    if (line) update();
  }
};

/** @param {string} method @param {string} url @param {unknown} body @param {FormData | undefined} form */
function log(method, url, body, form) {
  const line = { id: (state.calls[0]?.id ?? 0) + 1, curl: curl(method, url, body, form), status: 0 };
  update({ calls: [line, ...state.calls].slice(0, KEPT_CALLS) });
  return line;
}

/** The whole address of a path of the API: a proxy may have put a prefix before it. @param {string} path */
export const address = (path) => new URL(`.${path}`, location.href).href;

/** Quotes a text for a POSIX shell. @param {string} text */
export const quoted = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);

/** Characters that a terminal or an editor would act upon, or not show. */
const UNSEEN = /[\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

/** JSON in which every character can be seen. @param {unknown} value @param {number} [indent] */
export const json = (value, indent) =>
  (JSON.stringify(value, null, indent) ?? '').replace(UNSEEN, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** Writes a call as a command. The token is not in it, but the variable that holds it.
 * @param {string} method @param {string} url @param {unknown} [body] @param {FormData} [form] */
export function curl(method, url, body, form) {
  const parts = ['curl -sS', method === 'GET' ? '' : `-X ${method}`, quoted(address(url))];
  if (token) parts.splice(1, 0, '-H "Authorization: Bearer $FRSIM_ADMIN_TOKEN"');
  for (const [name, value] of form ?? []) {
    parts.push('-F', quoted(value instanceof File ? `${name}=@${value.name}` : `${name}=${value}`));
  }
  if (body !== undefined) {
    const text = json(body);
    parts.push("-H 'Content-Type: application/json'", '-d', text.length > 4000 ? '@body.json' : quoted(text));
  }
  return parts.filter(Boolean).join(' ');
}
