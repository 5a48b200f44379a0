// @ts-check
// Rules of a customer: what there is, ready recipes, and a form made from the schema of a rule.

import { call, json } from '../api.js';
import { act, change } from '../actions.js';
import { recipes } from '../recipes.js';
import { state, update } from '../store.js';
import { block, english, field, html, nothing, sent, shown, t, typed, visible } from '../ui.js';

/** @typedef {import('types').Schemas['RuleSpec']} Rule */

/** @param {string} customer_id @param {string} name */
const remove = (customer_id, name) => change(customer_id, () => call('DELETE /customers/{customer_id}/rules/{name}', { path: { customer_id, name } }), t('rule_removed'));

/** @param {string} customer_id @param {string} key */
const addRecipe = (customer_id, key) => change(customer_id, async () => {
  const { rules = [], quota, capacity } = recipes[key];
  for (const { name, ...body } of rules) await call('PUT /customers/{customer_id}/rules/{name}', { path: { customer_id, name: name ?? key }, body });
  if (quota) await call('PUT /customers/{customer_id}/quota', { path: { customer_id }, body: { ...quota, used: 0 } });
  if (capacity) await call('PATCH /customers/{customer_id}', { path: { customer_id }, body: /** @type {any} */ ({ capacity }) });
}, t('recipe_added', { name: t(`recipe_${key}`) }));

/** Whether a key of a rule says more than its default. @param {[string, any]} entry */
export const isSaid = ([key, value]) => !(key === 'when' && !Object.keys(value).length) && !(key === 'per' && value === 'customer');

/** What a rule says, without its name and what is empty. @param {Rule} rule */
function said(rule) {
  const kept = Object.entries(rule).filter(([key, value]) => key !== 'name' && isSaid([key, value]));
  return kept.map(([key, value]) => `${key} ${typeof value === 'string' ? value : json(value)}`).join('  ·  ');
}

/** The next draws of a rule: which of them fire. @param {string} name */
const draws = (name) => {
  const rule = state.customer?.draws?.find((drawn) => drawn.name === name);
  if (!rule?.draws.length) return nothing;
  const fires = rule.draws.filter((draw) => draw.fires).length;
  return html`<p class="draws"><span class="quiet">${t('fired_so_far', { n: rule.draws[0].ordinal - 1 })}</span>
    ${fires === rule.draws.length ? nothing : html`<span role="img" aria-label=${t('next_draws', { fires, of: rule.draws.length })}>${rule.draws.map((draw) => html`<i class=${draw.fires ? 'fires' : ''}></i>`)}</span>`}</p>`;
};

/** @param {string} customer_id @param {import('types').CustomerPage} customer */
export const ruleList = (customer_id, { rules = [], view }) => {
  // Rules that were put over the API come before those of the customer itself.
  const put = rules.length - (view?.rules?.length ?? 0);
  return rules.length ? html`<ol class="rules">${rules.map((rule, index) => html`<li>
      <div><div><b>${shown(rule.name, 64)}</b> <span class="badge">${index < put ? t('put_over_api') : t('of_customer')}</span>${rule.ttl ? html` <span class="badge">ttl ${rule.ttl}</span>` : nothing}</div>
        <p><code>${visible(said(rule), 500)}</code></p>${draws(rule.name ?? '')}</div>
      ${index < put ? html`<button type="button" class="danger" @click=${() => remove(customer_id, rule.name ?? '')}>${t('remove')}<span class="hidden"> ${visible(rule.name, 64)}</span></button>` : nothing}
    </li>`)}</ol>` : html`<p class="quiet">${t('no_rules')}</p>`;
};

/** @param {string} customer_id */
export const recipeList = (customer_id) => html`<ul class="recipes">${Object.keys(recipes).map((key) => html`
  <li><button type="button" @click=${() => addRecipe(customer_id, key)}><b>${t(`recipe_${key}`)}</b><span>${t(`recipe_${key}_more`)}</span></button></li>`)}</ul>`;

/** @typedef {any} Schema */

/** Reads the schemas of the API, for the form of a rule. */
export async function loadSchemas() {
  if (state.schemas) return;
  await act(async () => {
    const document = /** @type {any} */ (await call('GET /openapi.json'));
    update({ schemas: document.components.schemas });
  });
}

/** A schema without references and without null. @param {Schema} schema @returns {Schema} */
function plain({ $ref, ...schema }) {
  if ($ref) return { ...plain(state.schemas?.[$ref.split('/').pop()] ?? {}), ...schema };
  const types = [schema.type ?? []].flat().filter((type) => type !== 'null');
  if (schema.properties || types.length) return { ...schema, type: types.length === 1 ? types[0] : undefined };
  const some = (schema.anyOf ?? schema.oneOf ?? []).filter((/** @type {Schema} */ one) => one.type !== 'null').map(plain);
  if (some.length === 1) return { ...some[0], ...schema };
  const all = (/** @type {string} */ key) => [...new Set(some.map((/** @type {Schema} */ one) => one[key]))];
  const consts = all('const');
  return { ...schema, type: all('type').length === 1 ? some[0].type : undefined, ...(consts.length && !consts.includes(undefined) ? { enum: consts } : {}) };
}

/** @param {string[]} path @param {unknown} value */
function set(path, value) {
  const rule = structuredClone(state.rule);
  /** @type {any} */
  let at = rule;
  for (const key of path.slice(0, -1)) at = at[key] ??= {};
  const last = path[path.length - 1];
  if (value === undefined) delete at[last]; else at[last] = value;
  update({ rule });
}

/** @param {string[]} path */
const get = (path) => path.reduce((/** @type {any} */ at, key) => at?.[key], state.rule);

/** Reads what was typed: a number or JSON where the schema has more than text. @param {Schema} schema @param {string} text */
function valueOf(schema, text) {
  if (text === '') return undefined;
  if (schema.type === 'string') return text;
  try { return JSON.parse(text); } catch { return text; }
}

/** @param {string} name @param {Schema} given @param {string[]} path @returns {unknown} */
function control(name, given, path) {
  const schema = plain(given);
  const hint = english(schema.description);
  const value = get(path);
  const changed = typed((text) => set(path, valueOf(schema, text)));
  if (schema.properties) {
    return html`<details class="part" ?open=${value !== undefined}><summary>${name}</summary><p class="quiet">${hint}</p>
      ${Object.entries(schema.properties).map(([key, inner]) => control(key, inner, [...path, key]))}</details>`;
  }
  if (schema.enum) {
    return field(name, html`<select @change=${changed}><option value="">–</option>${schema.enum.map((/** @type {any} */ one) => html`<option value=${one} ?selected=${value === one}>${one}</option>`)}</select>`, hint);
  }
  const example = schema.examples?.[0];
  return field(name, html`<input autocomplete="off" spellcheck="false" inputmode=${schema.type === 'integer' ? 'numeric' : nothing}
    placeholder=${example === undefined ? nothing : typeof example === 'string' ? example : json(example)} .value=${value === undefined ? '' : typeof value === 'string' ? value : json(value)} @change=${changed}>`, hint);
}

/** A rule without the empty objects that a form leaves behind. @param {any} value @returns {any} */
function pruned(value) {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const kept = Object.entries(value).map(([key, inner]) => [key, pruned(inner)]).filter(([, inner]) => inner !== undefined && !(typeof inner === 'object' && inner !== null && !Object.keys(inner).length));
  return Object.fromEntries(kept);
}

/** Parts of a rule that are asked for most. */
const FIRST = ['reply', 'delay', 'fault', 'times', 'when'];

/** @param {string} customer_id */
export function ruleForm(customer_id) {
  const properties = state.schemas?.RuleSpec?.properties;
  const rule = pruned(state.rule);
  const put = sent(async () => {
    const name = state.ruleName || 'own rule';
    const done = await change(customer_id, () => call('PUT /customers/{customer_id}/rules/{name}', { path: { customer_id, name }, body: rule }), t('rule_put', { name }));
    if (done) update({ rule: {}, ruleName: '' });
  });
  return properties ? html`<form class="form rule" @submit=${put}>
    ${field('name', html`<input maxlength="64" autocomplete="off" placeholder="own rule" .value=${state.ruleName} @input=${typed((ruleName) => update({ ruleName }))}>`)}
    ${[...new Set([...FIRST, ...Object.keys(properties)])].filter((key) => key in properties && key !== 'name').map((key) => control(key, properties[key], [key]))}
    ${block('JSON', json(rule, 2))}
    <div class="bar"><button class="primary">${t('put_rule')}</button></div>
  </form>` : nothing;
}
