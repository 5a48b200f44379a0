// @ts-check
// The frame of the page: where one is, the keys, and what is drawn.

import { setToken } from './api.js';
import { loadEntry, loadFrame, reload, reset } from './actions.js';
import { follow } from './events.js';
import { onDraw, remember, remembered, state, update } from './store.js';
import { closeMenus, copy, copyButton, html, menu, nothing, outcome, radios, repeat, sent, t, visible } from './ui.js';
import { render } from './vendor/lit-html.js';
import { clock } from './views/clock.js';
import { customers } from './views/customers.js';
import { copyCurl } from './views/detail.js';
import { gallery } from './views/gallery.js';
import { listed, requests, togglePause } from './views/requests.js';
import { token } from './views/token.js';
import { tryPage } from './views/try.js';

/** @type {Record<string, () => unknown>} */
const PAGES = { requests, try: tryPage, customers, gallery };
const SCOPES = /** @type {const} */ (['all', 'journal', 'rules', 'quota', 'state', 'clock', 'gallery', 'customers']);

/** @param {string} name @param {string} value */
function prefer(name, value) {
  remember(name, value);
  document.documentElement.dataset.theme = name === 'theme' ? value : state.theme;
  document.documentElement.lang = name === 'language' ? value : state.language;
  update({ [name]: value });
}

/** Goes where the address says. @param {boolean} [isFirst] */
function navigate(isFirst = false) {
  const given = /^#token=(.+)$/.exec(location.hash);
  if (given) {
    setToken(decode(given[1]));
    history.replaceState(null, '', '#/requests');
  }
  const [page, id, part] = location.hash.replace(/^#\/?/, '').split('/').map(decode);
  closeMenus();
  update({ route: page in PAGES ? { page, id: id || null, part } : { page: 'requests', id: null }, notice: state.notice?.isError ? null : state.notice });
  if (state.route.page === 'requests' && state.route.id) loadEntry(Number(state.route.id));
  reload();
  if (!isFirst) requestAnimationFrame(() => requestAnimationFrame(() => { document.querySelector('h1')?.focus(); }));
}

/** @param {string} text */
function decode(text) { try { return decodeURIComponent(text); } catch { return text; } }

const connection = () => html`<span role="status" class="connection ${state.frozen ? 'paused' : state.connection}" title=${t(`${state.frozen ? 'paused' : state.connection}_more`)}>${t(state.frozen ? 'paused' : state.connection)}</span>`;

const resetMenu = () => menu(t('reset'), html`
  <p>${t('reset_more')}</p>
  <form class="form" @submit=${sent(({ scope }) => {
    closeMenus();
    reset(/** @type {typeof SCOPES[number]} */ (scope));
  })}>
    <label class="field"><span>${t('what')}</span><select name="scope">${SCOPES.map((scope) => html`<option value=${scope}>${t(`scope_${scope}`)}</option>`)}</select></label>
    <button class="danger">${t('reset_now')}</button>
  </form>`, { name: 'reset', kind: 'right' });

const settings = () => menu(html`<span aria-hidden="true">◐</span> ${state.language.toUpperCase()}<span class="hidden"> ${t('display')}</span>`, html`
  ${radios(t('language'), 'language', state.language, (value) => prefer('language', value), [['en', 'English'], ['id', 'Bahasa Indonesia']])}
  ${radios(t('theme'), 'theme', state.theme, (value) => prefer('theme', value), [['system', t('theme_system')], ['light', t('theme_light')], ['dark', t('theme_dark')]])}
  <label><input type="checkbox" .checked=${state.keys} @change=${(/** @type {any} */ event) => update({ keys: event.target.checked })}> ${t('single_keys')}</label>
  <p class="quiet">${state.version ? `${state.version.name} ${state.version.version}` : ''}</p>`, { name: 'settings', kind: 'right' });

const KEYS = [['/', 'key_filter'], ['j k ↓ ↑', 'key_move'], ['Enter', 'key_open'], ['Esc', 'key_back'], ['p', 'key_pause'], ['c', 'key_curl'], ['t', 'key_try'], ['g r', 'requests'], ['g t', 'try'], ['g c', 'customers'], ['g g', 'gallery'], ['?', 'key_help']];

const help = () => html`<dialog id="help" aria-labelledby="help-title"><h2 id="help-title">${t('keys')}</h2>
  <dl class="facts">${KEYS.map(([key, text]) => html`<dt><kbd>${key}</kbd></dt><dd>${t(text)}</dd>`)}</dl>
  <p class="quiet">${t('keys_more')}</p><form method="dialog"><button class="primary">${t('close')}</button></form></dialog>`;

const openHelp = () => /** @type {HTMLDialogElement | null} */ (document.querySelector('#help'))?.showModal();

const banner = () => (state.problems.length ? html`<div class="banner" role="alert"><b>${t('fixtures_refused')}</b>
  <ul>${state.problems.slice(0, 5).map((problem) => html`<li lang="en"><code>${visible(problem, 500)}</code></li>`)}</ul></div>` : nothing);

const said = () => {
  const { notice: shown } = state;
  return html`<div class="notice-place" role="status">${shown ? html`<div class="notice ${shown.isError ? 'error' : ''}">
    <div><span lang=${shown.isEnglish ? 'en' : nothing}>${visible(shown.said, 600)}</span>${shown.hint ? html`<small lang="en">${visible(shown.hint, 600)}</small>` : nothing}
      ${shown.text === undefined ? nothing : html`<textarea readonly rows="4" aria-label=${t('text_to_copy')} .value=${shown.text} @focus=${(/** @type {any} */ event) => event.target.select()}></textarea>`}</div>
    ${shown.action ? html`<button type="button" @click=${shown.action.run}>${shown.action.label}</button>` : nothing}
    <button type="button" class="plain" aria-label=${t('close')} @click=${() => update({ notice: null })}>✕</button></div>` : nothing}</div>`;
};

const calls = () => html`<footer><details class="calls"><summary>${t('what_this_page_called')} <span class="badge">${state.calls.length}</span></summary>
  ${state.calls.length ? html`<ol>${repeat(state.calls, ({ id }) => id, ({ curl, status }) => html`<li><span class="badge ${status >= 400 ? 'strong' : 'quiet'}">${status || '…'}</span><code>${visible(curl, 4000)}</code>${copyButton('curl', () => curl)}</li>`)}</ol>`
    : html`<p class="quiet">${t('nothing_called')}</p>`}</details></footer>`;

function frame() {
  const { page } = state.route;
  document.title = `${page === 'requests' && state.route.id ? `${t('request')} ${state.route.id}` : state.route.id ?? t(page)} – dukcapil-fr-sim`;
  return html`<a class="skip" href="#main" @click=${(/** @type {Event} */ event) => { event.preventDefault(); document.querySelector('main')?.focus(); }}>${t('skip')}</a>
    <header class="top"><a class="name" href="#/requests"><img src="console/icon.svg" alt="" width="20" height="20"> <span>dukcapil-fr-sim</span></a>
      ${state.waitingForToken ? nothing : html`<nav aria-label=${t('pages')}>${Object.keys(PAGES).map((name) => html`<a href="#/${name}" aria-current=${name === page ? 'page' : nothing}>${t(name)}</a>`)}</nav>`}
      <span class="spring"></span>${connection()}${state.waitingForToken ? nothing : html`${clock()}${resetMenu()}`}${settings()}
      <button type="button" class="plain" @click=${openHelp} aria-label=${t('key_help')}>?</button></header>
    ${banner()}
    ${state.connection === 'lost' ? html`<div class="banner" role="alert">${t('lost_more')}</div>` : nothing}
    <main id="main" tabindex="-1" class=${state.waitingForToken ? 'token' : page}>${state.waitingForToken ? token() : PAGES[page]()}</main>
    ${said()}${state.waitingForToken ? nothing : calls()}${help()}
    <div class="hidden" aria-live="polite">${state.announcement}</div>`;
}

/** Opens and focuses rows. @param {number} step */
function move(step) {
  const links = [.../** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll('table.requests tbody a'))];
  const at = links.indexOf(/** @type {any} */ (document.activeElement));
  const start = at >= 0 ? at + step : Math.max(0, links.findIndex((link) => link.hasAttribute('aria-current')));
  links[Math.min(Math.max(start, 0), links.length - 1)]?.focus();
}

/** @type {Record<string, () => void>} */
const KEY_ACTIONS = {
  '/': () => { if (state.route.page !== 'requests') location.hash = '#/requests'; requestAnimationFrame(() => /** @type {any} */ (document.querySelector('#filter'))?.focus()); },
  j: () => move(1), k: () => move(-1), ArrowDown: () => move(1), ArrowUp: () => move(-1),
  p: () => { if (state.route.page === 'requests') togglePause(); },
  t: () => { location.hash = '#/try'; },
  c: () => {
    const id = Number(state.route.id);
    const entry = state.route.page === 'requests' && (id ? state.entries.find((known) => known.id === id) ?? state.shown : listed()[0]);
    if (entry) copy(t('curl_of_request'), copyCurl(entry));
  },
  '?': openHelp,
  gr: () => { location.hash = '#/requests'; }, gt: () => { location.hash = '#/try'; },
  gc: () => { location.hash = '#/customers'; }, gg: () => { location.hash = '#/gallery'; },
};

let isAfterG = false;

/** Keys of one letter act only in the list and the frame: not where one types, and not where arrows have a meaning. @param {KeyboardEvent} event */
function pressed(event) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  const target = /** @type {HTMLElement} */ (event.target);
  if (event.key === 'Escape') {
    if (closeMenus()) return;
    if (target.id === 'filter') return target.blur();
    if (state.route.page === 'requests' && state.route.id) location.hash = '#/requests';
    return;
  }
  if (!state.keys || target.closest('input, textarea, select, dialog, details.menu[open], pre, .detail .scroll')) return;
  if (event.key.startsWith('Arrow') && !target.closest('table.requests')) return;
  const action = KEY_ACTIONS[isAfterG ? `g${event.key}` : event.key];
  isAfterG = !isAfterG && event.key === 'g';
  if (isAfterG) setTimeout(() => { isAfterG = false; }, 1500);
  if (!action || isAfterG) return;
  event.preventDefault();
  action();
}

let announced = 0;

/** Says at most every five seconds what came, to those who do not see it. */
function announce() {
  const newest = state.entries[0];
  if (!newest || state.frozen || state.waitingForToken) return;
  const n = newest.id - announced;
  if (announced && n > 0) update({ announcement: t('announce', { n, customer: visible(newest.customer_id ?? '', 40), outcome: outcome(newest).text }) });
  announced = newest.id;
}

let reloading = 0, seen = 0;

/** Something changed in the simulator, here or elsewhere: reads again what is shown, once for many changes. @param {any} change */
function changed({ what, problems }) {
  if (what === 'fixtures') update({ problems: problems ?? [] });
  clearTimeout(reloading);
  reloading = setTimeout(() => { if (what === 'clock' || what === 'reset' || what === 'fixtures') loadFrame(); reload(); }, 150);
}

const language = remembered('language') ?? (navigator.language.startsWith('id') ? 'id' : 'en');
Object.assign(state, { theme: remembered('theme') ?? 'system', language: language === 'id' ? 'id' : 'en' });
document.documentElement.dataset.theme = state.theme;
document.documentElement.lang = state.language;
onDraw(() => render(frame(), document.body));
addEventListener('hashchange', () => navigate());
addEventListener('keydown', pressed);
// A file that misses its place must not replace the page.
for (const name of ['dragover', 'drop']) addEventListener(name, (event) => event.preventDefault());
addEventListener('click', (event) => {
  for (const menu of document.querySelectorAll('details.menu[open]')) if (!menu.contains(/** @type {Node} */ (event.target))) menu.removeAttribute('open');
});
// A second has passed: the clock shows it, and a success that was read goes.
setInterval(() => {
  const old = state.notice;
  if (old && !old.isError && old.text === undefined && Date.now() - old.at > 8000) update({ notice: null });
  if (state.clock && !state.clock.frozen) update();
  // Requests use up quotas and draw rules.
  const newest = state.entries[0]?.id ?? 0;
  if (state.route.page === 'customers' && newest !== seen) reload();
  seen = newest;
}, 1000);
setInterval(announce, 5000);
navigate(true);
follow({ changed, connected: () => { loadFrame(); reload(); } });
