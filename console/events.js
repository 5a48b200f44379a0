// @ts-check
// What happens in the simulator: a stream of events, or, when there are too many of them, a sample each second.
//
// Each time the stream opens, the journal is read behind it, and replaces what is shown. So a restart, a lost connection, a hidden tab
// and a gap in the stream are one case, without a gap and without a duplicate; a Last-Event-ID would not survive a restart.

import { call, request } from './api.js';
import { KEPT, state, update } from './store.js';

/** @typedef {import('types').Schemas['Entry']} Entry */

/** Events a second above which the stream is given back, requests a second below which it is opened again. */
const BUSY = 200, CALM = 60;
/** Waits before connecting again, in milliseconds. */
const PAUSES = [250, 500, 1000, 2000, 4000];
/** A hidden tab gives its stream back after this time, in milliseconds: browsers open six connections to a host. */
const HIDDEN = 60_000;
/** A stream without even a ping for this time is dead, in milliseconds. The server pings every 15 s. */
const SILENCE = 40_000;

let stream = new AbortController();
/** @type {(change: any) => void} */
let onChanged = () => {};
let onConnected = () => {};

/** Follows the simulator until the page is left. @param {{ changed: (change: any) => void, connected: () => void }} handlers */
export async function follow({ changed, connected }) {
  onChanged = changed; onConnected = connected;
  let failures = 0, hiding = 0;
  document.addEventListener('visibilitychange', () => {
    clearTimeout(hiding);
    if (document.hidden) hiding = setTimeout(() => stream.abort('hidden'), HIDDEN);
  });
  for (;;) {
    stream = new AbortController();
    try {
      await read(() => { failures = 0; });
    } catch { /* The connection is gone, or was given back: why is in the signal. */ }
    if (stream.signal.reason === 'busy') { await sample(); continue; }
    if (stream.signal.reason === 'hidden') { await visible(); continue; }
    if (state.waitingForToken) { await until(() => !state.waitingForToken); continue; }
    update({ connection: 'lost' });
    await sleep(PAUSES[Math.min(failures++, PAUSES.length - 1)]);
  }
}

/** @param {number} ms */
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
/** @param {() => boolean} holds */
async function until(holds) { while (!holds()) await sleep(200); }
const visible = () => until(() => !document.hidden);

/** Reads the stream until it ends. @param {() => void} opened */
async function read(opened) {
  const response = await request('/events', { signal: stream.signal });
  if (response.status === 429) return stream.abort('busy');
  if (!response.ok || !response.body) return;
  await refresh();
  opened();
  update({ connection: 'live' });
  onConnected();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '', count = 0, since = performance.now(), alive = 0;
  for (;;) {
    alive = setTimeout(() => stream.abort('silence'), SILENCE);
    const { value, done } = await reader.read().finally(() => clearTimeout(alive));
    if (done) return;
    const blocks = (text + value).split('\n\n');
    text = blocks.pop() ?? '';
    for (const block of blocks) await event(block);
    count += blocks.length;
    const elapsed = performance.now() - since;
    if (count > BUSY) return stream.abort('busy');
    if (elapsed >= 1000) [count, since] = [0, performance.now()];
  }
}

/** @param {string} block */
async function event(block) {
  const name = /^event: (.*)$/m.exec(block)?.[1];
  if (!name) return;
  const data = JSON.parse(/^data: (.*)$/m.exec(block)?.[1] ?? 'null');
  if (name === 'request' || name === 'done' || name === 'aborted') put(data);
  else if (name === 'cleared') clear(data.customer_id);
  else if (name === 'changed') onChanged(data);
  else if (name === 'lagged') await refresh();
}

/** Adds an entry, or what has become of it. Entries end in another order than they begin. @param {Entry} entry */
function put(entry) {
  const { entries } = state;
  const at = entries.findIndex((known) => known.id <= entry.id);
  if (at >= 0 && entries[at].id === entry.id) {
    if (entry.sent.end === 'pending') return;
    update({ entries: entries.with(at, entry) });
  } else if (at >= 0 || entries.length < KEPT) {
    update({ entries: entries.toSpliced(at < 0 ? entries.length : at, 0, entry).slice(0, KEPT), hasOlder: state.hasOlder || entries.length >= KEPT });
  }
}

/** @param {string | null} customer */
function clear(customer) {
  const left = (/** @type {Entry[]} */ entries) => (customer === null ? [] : entries.filter((entry) => entry.customer_id !== customer));
  update({ entries: left(state.entries), frozen: state.frozen && left(state.frozen), hasOlder: customer !== null && state.hasOlder });
}

/** Reads the newest entries. @param {number} [limit] */
export async function refresh(limit = Math.max(200, Math.min(state.entries.length, KEPT))) {
  const { requests, dropped } = await call('GET /requests', { query: { limit } });
  update({ entries: requests, dropped, hasOlder: requests.length === limit });
}

/** Reads entries older than those shown. */
export async function older() {
  const before = state.entries.at(-1)?.id;
  const { requests, dropped } = await call('GET /requests', { query: { limit: 200, before } });
  update({ entries: [...state.entries, ...requests].slice(0, KEPT), dropped, hasOlder: requests.length === 200 });
}

/** Reads a sample each second, until there is less to see. */
async function sample() {
  update({ connection: 'sampling' });
  for (;;) {
    const newest = state.entries[0]?.id ?? 0;
    await sleep(1000);
    await visible();
    try { await refresh(50); } catch { return; }
    if ((state.entries[0]?.id ?? 0) - newest < CALM) return;
  }
}
