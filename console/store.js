// @ts-check
// The state of the page. Views are functions of it; a change draws the page once, in the next frame.

/** @typedef {import('types').State} State */

/** Entries kept; the journal has the older ones. */
export const KEPT = 1000;

/** @returns {State} */
const initial = () => ({
  route: { page: 'requests', id: null },
  language: 'en', theme: 'system', keys: true,
  connection: 'connecting', waitingForToken: false,
  entries: [], dropped: 0, hasOlder: false, frozen: null, shown: null, missing: null,
  filter: '', onlyProblems: false, onlyCustomer: null,
  clock: null, config: null, version: null, problems: [],
  customers: null, customer: null, gallery: null, galleryFilter: '', photo: null,
  next: { times: '2', ttl: '10m' },
  trial: { customer_id: 'demo', methode: '', user_id: '', password: '', threshold: '7', ip: '', transaction_id: '', nik: '', timeout: '10s' },
  trialPhoto: null, trials: [], trialShown: null, isSending: false,
  rule: {}, ruleName: '', schemas: null, fileFormat: 'toml', tab: 'curl',
  calls: [], notice: null, announcement: '',
});

export const state = initial();

let draw = () => {};
let isAsked = false;

/** Sets what draws the page. @param {() => void} f */
export function onDraw(f) { draw = f; }

/** Changes the state, and draws it in the next frame. @param {Partial<State>} change */
export function update(change = {}) {
  Object.assign(state, change);
  if (isAsked) return;
  isAsked = true;
  requestAnimationFrame(() => { isAsked = false; draw(); });
}

/** Reads what the browser keeps: theme and language, and for this tab the token. @param {string} key */
export function remembered(key) {
  try { return (key === 'token' ? sessionStorage : localStorage).getItem(`frsim-${key}`); } catch { return null; }
}

/** @param {string} key @param {string | null} value */
export function remember(key, value) {
  try {
    const storage = key === 'token' ? sessionStorage : localStorage;
    if (value === null) storage.removeItem(`frsim-${key}`); else storage.setItem(`frsim-${key}`, value);
  } catch { /* A browser may forbid storage: then it holds until the page is left. */ }
}
