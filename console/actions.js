// @ts-check
// What the page does: each action is one call of the admin API, or few.

import { ApiProblem, address, call, request } from './api.js';
import { refresh } from './events.js';
import { state, update } from './store.js';
import { notice, t } from './ui.js';

/** @typedef {import('types').Schemas} Schemas */

/** Runs an action and tells how it went. Returns whether it went well.
 * @param {() => Promise<any>} action @param {string} [said] @param {Partial<import('types').Notice>} [more] */
export async function act(action, said, more) {
  try {
    await action();
    if (said) notice(said, more);
    return true;
  } catch (error) {
    if (!(error instanceof ApiProblem)) throw error;
    notice(error.status ? error.message : t('no_answer'), { isError: true, isEnglish: error.status > 0, hint: error.hint });
    return false;
  }
}

/** Reads without telling: the connection's state says that the simulator is gone.
 * @template T @param {Promise<T>} reading @returns {Promise<T | null>} */
async function quietly(reading) {
  try { return await reading; } catch (error) {
    if (error instanceof ApiProblem) return null;
    throw error;
  }
}

/** Reads what every page shows. */
export async function loadFrame() {
  const [clock, config, version, validation] = await Promise.all([
    quietly(call('GET /clock')), quietly(call('GET /config')), quietly(call('GET /version')),
    quietly(call('POST /config/validate', { isRead: true })),
  ]);
  if (clock) setClock(clock);
  const at = (/** @type {Schemas['ProblemView']} */ { file, line, column, message }) => [file, line, column].filter((part) => part != null).concat('').join(':') + ` ${message}`;
  update({ config: config ?? state.config, version: version ?? state.version, problems: validation?.problems.map(at) ?? [] });
}

/** @param {Schemas['ClockView']} clock */
const setClock = (clock) => update({ clock: { ...clock, read: Date.now() } });

/** The simulator's time now, as an instant in Jakarta: between readings this page's clock goes on. @param {number} [plus] in milliseconds */
export function now(plus = 0) {
  if (!state.clock) return '';
  const passed = state.clock.frozen ? 0 : Date.now() - state.clock.read;
  return jakarta(Date.parse(state.clock.now) + passed + plus);
}

/** @param {number} ms since 1970 */
const jakarta = (ms) => `${new Date(ms + 7 * 3_600_000).toISOString().slice(0, 19)}+07:00`;

/** @param {Schemas['ClockChange']} change */
export const changeClock = (change) => act(async () => setClock(await call('PUT /clock', { body: change })), t('clock_changed'));

/** Seconds until the next midnight in Jakarta, of this instant. @param {string} instant */
export const untilMidnight = (instant) => 86_400 - (Math.floor(Date.parse(instant) / 1000) + 7 * 3600) % 86_400;

export async function loadCustomers() {
  const list = await quietly(call('GET /customers'));
  if (list) update({ customers: list.customers });
}

/** Reads everything of one customer. @param {string} customer_id */
export async function loadCustomer(customer_id) {
  const path = { customer_id };
  if (state.customer?.view?.customer_id !== customer_id) update({ customer: { id: customer_id, view: null, problem: null } });
  try {
    const [view, rules, quota, scenario, clock, preview] = await Promise.all([
      call('GET /customers/{customer_id}', { path }), call('GET /customers/{customer_id}/rules', { path }),
      call('GET /customers/{customer_id}/quota', { path }), call('GET /customers/{customer_id}/state', { path }),
      call('GET /customers/{customer_id}/clock', { path }), call('POST /faults/preview', { body: { customer_id, count: 20 }, isRead: true }),
    ]);
    if (state.customer?.id !== customer_id) return;
    update({ customer: { id: customer_id, view, rules: rules.rules, quota, state: scenario.state, clock, draws: preview.rules, problem: null } });
  } catch (error) {
    if (!(error instanceof ApiProblem)) throw error;
    if (state.customer?.id === customer_id) update({ customer: { id: customer_id, view: null, problem: error.status ? error.message : null } });
  }
}

/** Changes one thing of a customer, and reads it again. @param {string} customer_id @param {() => Promise<any>} action @param {string} said @param {Partial<import('types').Notice>} [more] */
export const change = (customer_id, action, said, more) => act(async () => {
  await action();
  await loadCustomer(customer_id);
}, said, more);

export async function loadGallery() {
  const gallery = await quietly(call('GET /gallery', { query: { limit: 1000 } }));
  if (gallery) update({ gallery });
}

/** Entries that the list does not hold, for their own page. @param {number} id */
export async function loadEntry(id) {
  const known = state.entries.find((entry) => entry.id === id) ?? (state.shown?.id === id ? state.shown : null);
  if (known) return update({ shown: known, missing: null });
  const entry = await quietly(call('GET /requests/{id}', { path: { id } }));
  update(entry ? { shown: entry, missing: null } : { missing: id });
}

/** Rules that this page made: one at a time for a customer. */
const NEXT = 'next-ones-';

/** @param {string} customer_id */
export async function takeBack(customer_id) {
  const { rules } = await call('GET /customers/{customer_id}/rules', { path: { customer_id } });
  for (const { name } of rules) {
    if (name?.startsWith(NEXT)) await call('DELETE /customers/{customer_id}/rules/{name}', { path: { customer_id, name } });
  }
}

/** What the next requests can be made to meet. @type {Record<string, Schemas['RuleSpec']>} */
export const NEXT_ONES = {
  busy: { reply: { code: '6014' } },
  reset: { fault: { kind: 'reset' } },
  hang: { fault: { kind: 'hang' } },
  gateway: { fault: { kind: 'gateway_page', status: 502 } },
  truncated: { fault: { kind: 'truncate' } },
  late: { delay: '2s' },
};

/** Makes the next requests of a customer fail. A rule that was met and used up does not fire again, so each gets a new name.
 * @param {string} customer_id @param {string} kind */
export async function makeNext(customer_id, kind) {
  const { times, ttl } = state.next;
  const name = `${NEXT}${kind}-${Date.now().toString(36).slice(-6)}`;
  /** @type {Schemas['RuleSpec']} */
  const rule = { ...NEXT_ONES[kind] };
  if (times !== 'all') rule.times = Number(times);
  if (ttl !== '') rule.ttl = ttl;
  const said = t(times === 'all' ? 'next_all_made' : 'next_made', { n: Number(times), customer: customer_id, what: t(`next_${kind}`) });
  await act(async () => {
    await takeBack(customer_id);
    await call('PUT /customers/{customer_id}/rules/{name}', { path: { customer_id, name }, body: rule });
    if (state.customer?.id === customer_id) await loadCustomer(customer_id);
  }, said, { action: { label: t('take_back'), run: () => act(() => takeBack(customer_id), t('taken_back')) } });
}

/** @param {Schemas['Scope']} scope @param {string} [customer_id] */
export const reset = (scope, customer_id) => act(async () => {
  await call('POST /reset', { query: { scope, customer_id } });
  await Promise.all([loadFrame(), refresh()]);
  await reload();
}, t('reset_done'));

/** Reads what the open page shows. */
export async function reload() {
  const { page, id } = state.route;
  if (page === 'customers' && id) await loadCustomer(id);
  if (page === 'customers' || page === 'try') await loadCustomers();
  if (page === 'gallery' || page === 'try' || page === 'requests') await loadGallery();
}

/** Sends a test request from the server, and shows what came back. @param {string} [breaking] */
export async function send(breaking) {
  const { trial, trialPhoto } = state;
  /** @type {any} */
  const body = { customer_id: trial.customer_id };
  for (const key of /** @type {const} */ (['methode', 'threshold', 'ip', 'transaction_id', 'timeout'])) if (trial[key]) body[key] = trial[key];
  for (const key of /** @type {const} */ (['user_id', 'password'])) if (trial[key]) body.account = { ...body.account, [key]: trial[key] };
  if (trialPhoto) body.image = trialPhoto.base64; else if (trial.nik) body.nik = trial.nik;
  if (breaking) body.break = breaking;
  return resend(body);
}

/** @param {Schemas['CallRequest']} body */
export async function resend(body) {
  update({ isSending: true });
  const began = now();
  await act(async () => {
    const answer = await call('POST /call', { body });
    const trial = { id: (state.trials[0]?.id ?? 0) + 1, at: began, body, answer };
    const said = [answer.status == null ? t('no_answer_came') : `HTTP ${answer.status}`, answer.entry?.answer.reason];
    update({ trials: [trial, ...state.trials].slice(0, 20), trialShown: trial.id, announcement: said.join(': ') });
  });
  update({ isSending: false });
}

/** The account of a customer for a test's environment. @param {Schemas['CustomerView']} view */
export const environment = ({ customer_id, methode, account, path }) => Object.entries({
  FRSIM_ENDPOINT: (state.config?.endpoint ?? '') + path, FRSIM_ADMIN: address('').replace(/\/$/, ''),
  FRSIM_CUSTOMER_ID: customer_id, FRSIM_METHODE: methode?.[0], FRSIM_USER_ID: account?.user_id, FRSIM_PASSWORD: account?.password,
  FRSIM_PUBLIC_KEY_URL: address(`/customers/${encodeURIComponent(customer_id ?? '')}/public.pem`),
}).map(([name, value]) => `${name}=${value}`).join('\n');

/** @type {Map<string, string>} */
const thumbnails = new Map();

/** Address of a thumbnail, once it is there: an image of a page cannot send a token. @param {Schemas['ListedIdentity']} identity */
export function thumbnail({ nik, customer_id, pictures }) {
  const key = `${nik} ${pictures[0]?.sha256} ${customer_id}`;
  if (!thumbnails.has(key) && pictures.length) {
    thumbnails.set(key, '');
    const query = customer_id ? `?${new URLSearchParams({ customer_id })}` : '';
    quietly(request(`/gallery/${encodeURIComponent(nik)}/thumbnail${query}`)).then(async (response) => {
      if (response?.ok) thumbnails.set(key, URL.createObjectURL(await response.blob())); 
      update();
    });
  }
  return thumbnails.get(key) ?? '';
}

/** Reads a photo that was chosen or dropped. @param {File | undefined} file @returns {Promise<import('types').Photo | null>} */
export async function readPhoto(file) {
  if (!file) return null;
  const bytes = new Uint8Array(await file.arrayBuffer());
  let text = '';
  for (let at = 0; at < bytes.length; at += 0x8000) text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return { name: file.name, file, base64: btoa(text), url: URL.createObjectURL(file) };
}
