// @ts-check
// The list of requests, newest first, and beside it the request that was chosen, or else the newest.

import { call, curl } from '../api.js';
import { act, send } from '../actions.js';
import { older } from '../events.js';
import { state, update } from '../store.js';
import { block, copyButton, duration, empty, english, html, isSpoiled, menu, nothing, outcome, pill, repeat, shown, t, timeOfDay, typed, visible } from '../ui.js';
import { detail } from './detail.js';

/** @typedef {import('types').Schemas['Entry']} Entry */

/** Rows drawn at most. */
export const DRAWN = 200;

/** Texts that the filter looks into. @type {WeakMap<Entry, string>} */
const searched = new WeakMap();

/** @param {Entry} entry */
function text(entry) {
  let known = searched.get(entry);
  if (known === undefined) {
    const { customer_id, request, answer, rules, fault, sent } = entry;
    known = [customer_id, request.transaction_id, answer.code, answer.reason, fault?.kind, outcome(entry).text, sent.end, ...rules.map(({ rule }) => rule)].join(' ').toLowerCase();
    searched.set(entry, known);
  }
  return known;
}

/** @param {Entry} entry */
const isProblem = (entry) => outcome(entry).kind !== 'good' || entry.warnings.length > 0 || !!entry.fault;

/** The entries that the filters let pass, newest first. */
export function listed() {
  const words = state.filter.toLowerCase().split(/\s+/).filter(Boolean);
  return (state.frozen ?? state.entries).filter((entry) =>
    (!state.onlyProblems || isProblem(entry)) &&
    (state.onlyCustomer === null || entry.customer_id === state.onlyCustomer) &&
    words.every((word) => text(entry).includes(word)));
}

/** @param {Entry} entry */
export function badges({ fault, delay, warnings, answer }) {
  return html`${fault ? html`<span class="badge fault"><span aria-hidden="true">⚡</span> ${fault.kind}</span>` : nothing}
    ${delay ? html`<span class="badge"><span aria-hidden="true">◷</span> ${duration(delay.us)}</span>` : nothing}
    ${warnings.length ? html`<span class="badge"><span aria-hidden="true">⚠</span> ${t('n_warnings', { n: warnings.length })}</span>` : nothing}
    ${answer.charged ? html`<span class="badge quiet"><span aria-hidden="true">¢</span> ${t('charged')}</span>` : nothing}`;
}

/** Why it ended so, in a line: a fault hides the decided answer. @param {Entry} entry */
export const why = (entry) => (isSpoiled(entry) && entry.fault
  ? html`${t('fault_of_rule', { rule: visible(entry.fault.rule, 64) })} ${entry.answer.code ? html`· ${t('decided_was', { code: entry.answer.code })}` : nothing}`
  : english(entry.answer.reason || ''));

/** @param {Entry} entry @param {number | null} chosen */
const row = (entry, chosen) => html`
  <tr role="row" class=${entry.id === chosen ? 'chosen' : ''}>
    <td role="cell" class="what"><a href="#/requests/${entry.id}" aria-current=${entry.id === chosen ? 'true' : nothing}>${pill(entry)}<span class="hidden">, ${t('request')} ${entry.id}</span></a></td>
    <td role="cell" class="who">${entry.customer_id === null ? html`<i>${t('no_customer')}</i>` : shown(entry.customer_id, 64)}</td>
    <td role="cell" class="tx">${shown(entry.request.transaction_id ?? '', 40)}</td>
    <td role="cell" class="when"><time datetime=${entry.at}>${timeOfDay(entry.at)}</time></td>
    <td role="cell" class="took">${entry.sent.end === 'pending' ? '' : duration(entry.elapsed_us)}</td>
    <td role="cell" class="why"><span>${why(entry)}</span> ${badges(entry)}</td>
  </tr>`;

const HEADS = /** @type {const} */ (['what', 'who', 'tx', 'when', 'took', 'why']);

/** @param {Entry[]} entries @param {number | null} chosen */
const table = (entries, chosen) => html`
  <div class="scroll" tabindex="0" role="region" aria-label=${t('requests')}>
    <table role="table" class="requests" aria-rowcount=${entries.length}>
      <thead role="rowgroup"><tr role="row">${HEADS.map((name) => html`<th role="columnheader" scope="col" class=${name}>${t(`head_${name}`)}</th>`)}</tr></thead>
      <tbody role="rowgroup">${repeat(entries.slice(0, DRAWN), (entry) => entry.id, (entry) => row(entry, chosen))}</tbody>
    </table>
    ${entries.length > DRAWN ? html`<p class="more">${t('more_not_drawn', { n: entries.length - DRAWN })}</p>` : nothing}
    ${state.hasOlder && !state.frozen && state.entries.length < 1000 ? html`<p class="more"><button type="button" @click=${() => act(older)}>${t('load_older')}</button></p>` : nothing}
    ${state.dropped ? html`<p class="more">${t('dropped', { n: state.dropped })}</p>` : nothing}
  </div>`;

/** @param {string | null} customer */
const clear = (customer) => act(() => call('DELETE /requests', { query: customer === null ? {} : { customer_id: customer } }), t('cleared'));

export const togglePause = () => update({ frozen: state.frozen ? null : state.entries });

/** @param {Entry | null} entry */
const bar = (entry) => {
  const waiting = state.frozen ? state.entries.filter(({ id }) => id > (state.frozen?.[0]?.id ?? 0)).length : 0;
  const customer = state.onlyCustomer ?? entry?.customer_id ?? null;
  return html`
    <div class="bar">
      <input type="search" id="filter" placeholder=${t('filter')} aria-label=${t('filter_label')} .value=${state.filter} @input=${typed((filter) => update({ filter }))}>
      <button type="button" class="chip" aria-pressed=${state.onlyProblems} @click=${() => update({ onlyProblems: !state.onlyProblems })}>${t('only_problems')}</button>
      ${customer === null ? nothing : html`<button type="button" class="chip" aria-pressed=${state.onlyCustomer !== null}
        @click=${() => update({ onlyCustomer: state.onlyCustomer === null ? customer : null })}>${t('only')} ${shown(customer, 24)}</button>`}
      <span class="spring"></span>
      <button type="button" aria-pressed=${!!state.frozen} @click=${togglePause}>${state.frozen ? html`${t('resume')} <b>${t('n_new', { n: waiting })}</b>` : t('pause')}</button>
      ${menu(t('clear'), html`
        <button type="button" @click=${() => clear(null)}>${t('clear_all')}</button>
        ${customer === null ? nothing : html`<button type="button" @click=${() => clear(customer)}>${t('clear_of')} ${shown(customer, 24)}</button>`}`, { kind: 'right' })}
    </div>`;
};

const nothingYet = () => {
  const endpoint = `${state.config?.endpoint ?? ''}/api/face-recognition/demo/CALL_FN`;
  const command = curl('POST', '/call', { customer_id: 'demo' });
  return empty(t('nothing_sent'), html`
    <p>${t('nothing_sent_more')}</p>
    <p><button type="button" class="primary" ?disabled=${state.isSending} @click=${() => send()}>${t('send_test')}</button></p>
    <dl class="facts">
      <dt>${t('endpoint')}</dt><dd><code>${endpoint}</code> ${copyButton(t('endpoint'), () => endpoint)}</dd>
      <dt>${t('account')}</dt><dd><code>demo-user</code> / <code>demo-password</code></dd>
      <dt>${t('public_key')}</dt><dd><a href="keys/public.pem" download>public.pem</a></dd>
    </dl>
    ${block('curl', command)}`);
};

const clearFilters = () => update({ filter: '', onlyProblems: false, onlyCustomer: null });

/** The newest request is followed at this pace, in milliseconds, so that it can be read. */
const PACE = 400;
let followed = { id: 0, since: 0 };

/** The entry that is shown while none is chosen. @param {Entry[]} entries */
function newest(entries) {
  const left = followed.since + PACE - performance.now();
  const old = left > 0 && entries[0]?.id !== followed.id && entries.find(({ id }) => id === followed.id);
  if (old) {
    setTimeout(update, left);
    return old;
  }
  if (entries[0] && entries[0].id !== followed.id) followed = { id: entries[0].id, since: performance.now() };
  return entries[0] ?? null;
}

export function requests() {
  const { id } = state.route;
  const chosen = id === null ? null : Number(id);
  const entries = listed();
  const entry = chosen === null ? newest(entries) : state.entries.find((known) => known.id === chosen) ?? (state.shown?.id === chosen ? state.shown : null);
  if (!state.entries.length && !state.frozen && chosen === null) {
    return html`<h1 class="hidden" tabindex="-1">${t('requests')}</h1>${state.connection === 'connecting' ? nothing : nothingYet()}`;
  }
  return html`
    <div class="split ${chosen === null ? 'following' : 'pinned'}">
      <div class="list">
        ${chosen === null ? html`<h1 class="hidden" tabindex="-1">${t('requests')}</h1>` : nothing}
        ${bar(entry)}
        ${entries.length ? table(entries, entry?.id ?? null) : empty(t('none_match', { n: state.entries.length }), nothing, html`<button type="button" @click=${clearFilters}>${t('clear_filter')}</button>`)}
      </div>
      <article class="detail" aria-label=${t('request')}>
        <p class="above">${chosen === null ? html`<span>${t('following_newest')}</span>` : html`<a href="#/requests">${t('back_to_newest')}</a>`}</p>
        ${entry ? detail(entry, { level: chosen === null ? 2 : 1 }) : chosen !== null && state.missing === chosen ? empty(t('entry_gone', { n: 2, id: chosen }), t('entry_gone_more')) : nothing}
      </article>
    </div>`;
}
