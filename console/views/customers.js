// @ts-check
// Customers: all at a glance, and one with its account, quota, rules, state and clock.

import { call, json } from '../api.js';
import { act, change, environment, loadCustomers, reset, send } from '../actions.js';
import { state, update } from '../store.js';
import { block, copyButton, count, empty, english, field, html, menu, nothing, radios, sent, shown, t, visible } from '../ui.js';
import { clockActions } from './clock.js';
import { nextMenu } from './detail.js';
import { isSaid, loadSchemas, recipeList, ruleForm, ruleList } from './rules.js';

/** @typedef {import('types').Schemas['CustomerLine']} Line */

/** Customers that the program comes with, beside always-* and sample-*. */
const SHIPPED = ['demo', 'load', 'busy-then-ok', 'flaky', 'slow', 'quota-one-left', 'reset', 'hang', 'truncated', 'gateway-down', 'crowded'];

/** @param {Line} line */
const group = ({ customer_id, source }) => (source === 'api' ? 'own' : customer_id.startsWith('always-') ? 'always' : customer_id.startsWith('sample-') ? 'sample' : SHIPPED.includes(customer_id) ? 'ready' : 'own');

/** @param {import('types').Schemas['QuotaOfDay']} quota */
const meter = ({ per_day, used }) => (per_day == null ? html`<span class="quiet">${t('no_limit')}</span>`
  : html`<meter min="0" max=${Math.max(per_day, 1)} high=${per_day * 0.8} .value=${Math.min(used, per_day)} aria-label=${t('quota')}></meter> <span class="nowrap">${t('used_of', { used: count(used), per_day: count(per_day) })}</span>`);

/** @param {Line} line */
const row = (line) => html`<tr>
  <th scope="row"><a href="#/customers/${encodeURIComponent(line.customer_id)}">${shown(line.customer_id, 64)}</a>${line.expires ? html` <span class="badge">${t('until')} ${line.expires.slice(11, 16)}</span>` : nothing}</th>
  <td>${meter(line.quota)}</td>
  <td class="number">${line.rules || ''}</td>
  <td>${line.state ? shown(line.state, 40) : ''}</td>
  <td>${line.clock.own ? html`<time datetime=${line.clock.now}>${line.clock.now.slice(0, 16).replace('T', ' ')}</time>` : ''}</td>
  <td class="number">${line.requests ? count(line.requests) : ''}</td></tr>`;

/** @param {Line[]} lines @param {string} caption */
const table = (lines, caption) => html`<div class="scroll" tabindex="0" role="region" aria-label=${caption}><table>
  <thead><tr><th scope="col">${t('customer')}</th><th scope="col">${t('quota_today')}</th><th scope="col" class="number">${t('rules')}</th><th scope="col">${t('state')}</th><th scope="col">${t('own_clock')}</th><th scope="col" class="number">${t('requests')}</th></tr></thead>
  <tbody>${lines.map(row)}</tbody></table></div>`;

const create = sent(async ({ customer_id, ttl, per_day }) => {
  /** @type {any} */
  const body = {};
  if (customer_id) body.customer_id = customer_id;
  if (ttl) body.ttl = ttl;
  if (per_day) body.quota = { per_day: Number(per_day) };
  await act(async () => {
    const made = await call('POST /customers', { body });
    location.hash = `#/customers/${encodeURIComponent(made.customer_id ?? '')}`;
  }, t('customer_made'));
});

const newCustomer = () => menu(t('new_customer'), html`<form class="form" @submit=${create}>
    ${field(t('id'), html`<input name="customer_id" autocomplete="off" placeholder=${t('made_up')}>`)}
    ${field(t('per_day'), html`<input name="per_day" type="number" min="0" placeholder=${t('no_limit')}>`)}
    ${field('ttl', html`<input name="ttl" autocomplete="off" placeholder="30m">`, t('ttl_more'))}
    <button class="primary">${t('create')}</button></form>`, { name: 'new', kind: 'primary right' });

const all = () => {
  const lines = state.customers ?? [];
  const of = (/** @type {string} */ name) => lines.filter((line) => group(line) === name);
  const folded = (/** @type {string} */ name) => (of(name).length ? html`<details class="group"><summary><h2>${t(`group_${name}`)} <span class="quiet">${of(name).length}</span></h2></summary>${table(of(name), t(`group_${name}`))}</details>` : nothing);
  return html`<div class="bar"><h1 tabindex="-1">${t('customers')}</h1><span class="spring"></span>${newCustomer()}</div>
    ${state.customers ? html`<h2>${t('group_own')}</h2>${of('own').length ? table(of('own'), t('group_own')) : html`<p class="quiet">${t('no_own')}</p>`}
    <h2>${t('group_ready')}</h2>${table(of('ready'), t('group_ready'))}${folded('always')}${folded('sample')}` : nothing}`;
};

/** Keys of a customer that a file does not have. */
const READ_ONLY = ['customer_id', 'path', 'public_key_pem', 'source', 'expires', 'ttl'];

/** Writes a value as TOML, on one line. @param {any} value @returns {string} */
const inline = (value) => (Array.isArray(value) ? `[${value.map(inline).join(', ')}]`
  : typeof value === 'object' && value !== null ? `{ ${Object.entries(value).map(([key, inner]) => `${bare(key)} = ${inline(inner)}`).join(', ')} }` : json(value));

/** @param {string} key */
const bare = (key) => (/^[\w-]+$/.test(key) ? key : json(key));

/** Writes a customer as a file of customers/. @param {Record<string, any>} customer */
export function toml(customer) {
  const isTable = (/** @type {any} */ value) => typeof value === 'object' && value !== null && !Array.isArray(value);
  const lines = (/** @type {Record<string, any>} */ table) => Object.entries(table).filter(([, value]) => value !== null).map(([key, value]) => `${bare(key)} = ${inline(value)}`);
  const entries = Object.entries(customer).filter(([, value]) => value !== null && !(isTable(value) && !Object.keys(value).length));
  const parts = [lines(Object.fromEntries(entries.filter(([key, value]) => key !== 'rules' && !isTable(value))))];
  for (const [key, value] of entries) if (isTable(value)) parts.push([`[${bare(key)}]`, ...lines(value)]);
  for (const rule of customer.rules ?? []) parts.push(['[[rules]]', ...lines(rule)]);
  return parts.filter((part) => part.length).map((part) => part.join('\n')).join('\n\n');
}

/** The customer as a file, with the rules that are in force now. @param {import('types').CustomerPage} customer */
export function asFile({ view, rules = [] }) {
  const kept = Object.entries(view ?? {}).filter(([key]) => !READ_ONLY.includes(key));
  const inForce = rules.map(({ ttl, ...rule }) => Object.fromEntries(Object.entries(rule).filter(isSaid)));
  return { ...Object.fromEntries(kept), rules: inForce };
}

/** @param {string} customer_id @param {import('types').Schemas['QuotaOfDay']} quota */
const quotaPart = (customer_id, quota) => {
  const put = (/** @type {{ per_day?: number | null, used?: number }} */ body) => change(customer_id, () => call('PUT /customers/{customer_id}/quota', { path: { customer_id }, body: /** @type {any} */ (body) }), t('quota_changed'));
  const limit = quota.per_day;
  return html`<section><h2>${t('quota')}</h2><p>${meter(quota)}</p>
    <div class="bar">${limit == null ? nothing : html`<button type="button" ?disabled=${limit < 1} @click=${() => put({ used: limit - 1 })}>${t('leave_one')}</button>
      <button type="button" @click=${() => put({ used: limit })}>${t('use_up')}</button>`}
      <button type="button" @click=${() => put({ used: 0 })}>${t('refill')}</button></div>
    <form class="pair" @submit=${sent(({ per_day }) => put({ per_day: per_day === '' ? null : Number(per_day) }))}><label class="field"><span>${t('per_day')}</span><input name="per_day" type="number" min="0" placeholder=${t('no_limit')} .defaultValue=${String(limit ?? '')}></label><button>${t('set')}</button></form>
  </section>`;
};

/** @param {string} customer_id @param {import('types').CustomerPage} customer */
const statePart = (customer_id, customer) => {
  const path = { customer_id };
  const { clock } = customer;
  return html`<section><h2>${t('state_and_clock')}</h2>
    <form class="pair" @submit=${sent((body) => change(customer_id, () => call('PUT /customers/{customer_id}/state', { path, body: { state: body.state } }), t('state_changed')))}><label class="field"><span>${t('state')}</span><input name="state" maxlength="256" autocomplete="off" .defaultValue=${customer.state ?? ''}></label><button>${t('set')}</button></form>
    ${clock ? html`<p><time datetime=${clock.now}>${clock.now.slice(0, 19).replace('T', ' ')}</time> ${clock.frozen ? html`<span class="badge strong">${t('stands_still')}</span>` : nothing}</p>
      ${menu(t('change_clock'), clockActions(clock.now, clock.frozen, (body) => change(customer_id, () => call('PUT /customers/{customer_id}/clock', { path, body }), t('clock_changed')), t('clock_follow')), { name: 'own-clock' })}` : nothing}
  </section>`;
};

/** @param {string} id */
function one(id) {
  const customer = state.customer?.id === id ? state.customer : null;
  const view = customer?.view;
  if (!customer || !view) {
    return html`<p class="above"><a href="#/customers">${t('all_of_them')}</a></p><h1 tabindex="-1">${shown(id, 64)}</h1>${customer?.problem ? empty(t('no_such_customer'), english(customer.problem)) : nothing}`;
  }
  const remove = () => act(async () => {
    await call('DELETE /customers/{customer_id}', { path: { customer_id: id } });
    location.hash = '#/customers';
    await loadCustomers();
  }, t('removed'));
  const account = { user_id: '', password: '', ...view.account };
  return html`<p class="above"><a href="#/customers">${t('all_of_them')}</a></p>
    <div class="bar"><h1 tabindex="-1">${shown(id, 64)}</h1><span class="badge">${view.source === 'api' ? t('put_over_api') : t('of_fixtures')}</span>
      ${view.expires ? html`<span class="badge">${t('until')} ${view.expires.slice(0, 16).replace('T', ' ')}</span>` : nothing}<span class="spring"></span>
      ${copyButton(t('env_block'), () => environment(view), t('copy_env'))}
      <button type="button" @click=${() => { update({ trial: { ...state.trial, customer_id: id, methode: '', user_id: '', password: '' } }); location.hash = '#/try'; return send(); }}>${t('send_test')}</button>
      <button type="button" @click=${() => { update({ onlyCustomer: id }); location.hash = '#/requests'; }}>${t('its_requests')}</button>
      ${nextMenu(id)}</div>
    <div class="columns">
      <section><h2>${t('account')}</h2><dl class="facts">
        ${[['user_id', account.user_id], ['password', account.password], ['methode', (view.methode ?? []).join(', ')], [t('path'), view.path]].map(([name, value]) => html`<dt>${name}</dt><dd><code>${shown(value, 200)}</code> ${copyButton(String(name), () => value ?? '')}</dd>`)}
        <dt>${t('public_key')}</dt><dd>${copyButton(t('public_key'), () => view.public_key_pem)}</dd></dl></section>
      ${customer.quota ? quotaPart(id, customer.quota) : nothing}
      ${statePart(id, customer)}
    </div>
    <section id="rules"><h2>${t('rules')}</h2>${ruleList(id, customer)}
      <details class="group"><summary><h3>${t('add_recipe')}</h3></summary>${recipeList(id)}</details>
      <details class="group" ?open=${state.route.part === 'rule'} @toggle=${(/** @type {any} */ event) => { if (event.target.open) loadSchemas(); }}><summary><h3>${t('add_rule')}</h3></summary>${ruleForm(id)}</details></section>
    <section><h2>${t('as_file')}</h2><p class="quiet">${t('as_file_more', { file: `customers/${visible(id, 64)}.toml` })}</p>
      ${radios(t('format'), 'file', state.fileFormat, (fileFormat) => update({ fileFormat }), [['toml', 'TOML'], ['json', 'JSON']])}
      ${block(t('as_file'), state.fileFormat === 'toml' ? toml(asFile(customer)) : json(asFile(customer), 2))}</section>
    <div class="bar"><button type="button" @click=${() => reset('all', id)}>${t('reset_this')}</button>
      ${view.source === 'api' ? html`<button type="button" class="danger" @click=${remove}>${t('remove_customer')}</button>` : nothing}</div>`;
}

export const customers = () => (state.route.id === null ? all() : one(state.route.id));
