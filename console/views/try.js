// @ts-check
// Try: the server builds, encrypts and sends one request to its own endpoint, and says what came back.

import { address, quoted } from '../api.js';
import { readPhoto, resend, send, thumbnail } from '../actions.js';
import { state, update } from '../store.js';
import { block, closeMenus, copyButton, duration, empty, field, html, meaning, menu, nothing, radios, sent, shown, t, typed, visible } from '../ui.js';
import { detail } from './detail.js';
import { photoField } from './gallery.js';

/** @typedef {import('types').Trial} Trial */

/** Mistakes to try, by the code that the document has for them. */
const MISTAKES = {
  5004: ['missing_field', 'typographic_quotes', 'trailing_comma', 'truncated_image', 'data_uri'],
  5006: ['oaep', 'unencrypted', 'url_safe_base64'],
  5003: ['ip_not_allowed'],
  5005: ['threshold_21'],
};

/** @param {keyof import('types').State['trial']} name */
const input = (name, /** @type {{ placeholder?: string, list?: string }} */ attributes = {}) => html`<input name=${name} autocomplete="off" spellcheck="false" placeholder=${attributes.placeholder ?? nothing} list=${attributes.list ?? nothing}
  .value=${state.trial[name]} @input=${typed((value) => update({ trial: { ...state.trial, [name]: value } }))}>`;

const faces = () => {
  const chosen = state.trialPhoto ? '' : state.trial.nik;
  const choose = (/** @type {string} */ nik) => update({ trial: { ...state.trial, nik }, trialPhoto: null });
  return html`<fieldset class="people"><legend>${t('picture')}</legend>
    ${(state.gallery?.identities ?? []).slice(0, 24).map((identity, index) => html`<label title=${visible(identity.name, 64)}>
      <input type="radio" name="nik" value=${identity.nik} .checked=${!state.trialPhoto && (chosen ? chosen === identity.nik : index === 0)} @change=${() => choose(identity.nik)}>
      ${thumbnail(identity) ? html`<img src=${thumbnail(identity)} alt="">` : html`<span class="face"></span>`}<span class="hidden">${visible(identity.name, 64)}</span></label>`)}
    ${photoField(t('own_photo'), state.trialPhoto, async (file) => update({ trialPhoto: await readPhoto(file) }))}
  </fieldset>`;
};

const breakMenu = () => menu(t('break_it'), html`<p>${t('break_it_more')}</p>
  ${Object.entries(MISTAKES).map(([code, kinds]) => html`<b>${code} ${meaning(code)}</b>
    <div class="stack">${kinds.map((kind) => html`<button type="button" ?disabled=${state.isSending} @click=${() => { closeMenus(); return send(kind); }}>${t(`break_${kind}`)}</button>`)}</div>`)}`, { name: 'break' });

const form = () => html`
  <form class="form" @submit=${sent(() => send())}>
    ${field(t('customer'), html`${input('customer_id', { list: 'customers' })}<datalist id="customers">${(state.customers ?? []).map(({ customer_id }) => html`<option value=${customer_id}></option>`)}</datalist>`)}
    <div class="pair">${field('threshold', input('threshold'))}${field('ip', input('ip', { placeholder: t('allowed_one') }))}</div>
    ${faces()}
    <details><summary>${t('more_fields')}</summary>
      <div class="pair">${field('methode', input('methode', { placeholder: t('of_customer') }))}${field('transactionId', input('transaction_id', { placeholder: t('made_up') }))}</div>
      <div class="pair">${field('user_id', input('user_id', { placeholder: t('of_customer') }))}${field('password', input('password', { placeholder: t('of_customer') }))}</div>
      ${field(t('timeout'), input('timeout'))}
    </details>
    <div class="bar"><button class="primary" ?disabled=${state.isSending}>${state.isSending ? t('sending') : t('send')}</button>${breakMenu()}</div>
  </form>`;

/** Bytes with what cannot be seen made visible; line breaks also break the line. @param {string} text */
export const bytesText = (text) => visible(text.replaceAll(' ', '·').replaceAll('\t', '→\t'), 20_000).replaceAll('→␉', '→\t').replaceAll('␊', '↵\n').replaceAll('␍', '␍');

/** The request from the tools that every shell has; the account is that of the try. @param {Trial} trial */
const shell = ({ answer, body }) => {
  const { user_id = 'demo-user', password = 'demo-password' } = { ...body.account };
  const values = [body.transaction_id ?? 'T-1', String(body.threshold ?? 7), body.ip ?? '127.0.0.1'].map(quoted);
  return [
    `curl -sS ${quoted(address(`/customers/${encodeURIComponent(body.customer_id)}/public.pem`))} > public.pem`,
    `enc() { printf '%s' "$1" | openssl pkeyutl -encrypt -pubin -inkey public.pem | base64 | tr -d '\\n'; }`,
    `printf '{"transactionId":"%s","transactionSource":"shell","threshold":"%s","ip":"%s","image":"%s","user_id":"%s","password":"%s"}' \\`,
    `  ${values.join(' ')} "$(base64 < photo.jpg | tr -d '\\n')" "$(enc ${quoted(user_id ?? '')})" "$(enc ${quoted(password ?? '')})" |`,
    `  curl -sS -H 'Content-Type: application/json' -H 'Accept: application/json' --data-binary @- ${quoted(answer.sent.url)}`,
  ].join('\n');
};

/** @param {Trial} trial */
const command = ({ body }) => {
  const flags = { url: state.config?.endpoint, admin: address('').replace(/\/$/, ''), customer: body.customer_id, threshold: body.threshold, ip: body.ip,
    user: body.account?.user_id, password: body.account?.password, methode: body.methode, 'transaction-id': body.transaction_id };
  return ['dukcapil-fr-sim call', ...Object.entries(flags).filter(([, value]) => value != null).map(([name, value]) => `--${name} ${quoted(String(value))}`)].join(' ');
};

/** @param {Trial} trial */
function download({ answer }) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([answer.sent.body], { type: 'application/json' }));
  link.download = 'body.json';
  link.click();
}

/** @param {Trial} trial */
const asCommand = (trial) => html`<section><h2 class="minor">${t('as_command')}</h2>
  ${radios(t('format'), 'tab', state.tab, (tab) => update({ tab }), [['curl', 'curl'], ['shell', 'openssl + curl'], ['call', 'dukcapil-fr-sim call']])}
  ${state.tab === 'curl' ? html`${block('curl', trial.answer.curl)}<p><button type="button" @click=${() => download(trial)}>${t('download_body')}</button></p>` : nothing}
  ${state.tab === 'shell' ? block('openssl + curl', shell(trial)) : nothing}
  ${state.tab === 'call' ? block('dukcapil-fr-sim call', command(trial)) : nothing}
</section>`;

/** @param {number | null | undefined} us */
const took = (us) => (us == null ? '–' : duration(us));

/** @param {Trial} trial */
function result(trial) {
  const { answer, body } = trial;
  const isBroken = answer.status == null || answer.end !== 'complete';
  return html`<div class="result">
    ${body.break ? html`<p class="quiet">${t('broken_on_purpose')} <b>${t(`break_${body.break}`)}</b></p>` : nothing}
    <section><h2>${t('what_came_back')}</h2>
      <p><span class="pill ${isBroken ? 'broken' : 'quiet'}">${answer.status == null ? t('no_answer_came') : `HTTP ${answer.status}`}</span>
        ${t(`end_${answer.end}`)}</p>
      <p class="quiet">${t('timings', { connect: took(answer.connect_us), first: took(answer.first_byte_us), total: took(answer.total_us) })}</p>
      ${answer.headers.length ? html`<details><summary>${t('n_headers', { n: answer.headers.length })}</summary><dl class="facts">${answer.headers.map(({ name, value }) => html`<dt>${shown(name)}</dt><dd>${shown(value)}</dd>`)}</dl></details>` : nothing}
      ${answer.text ? html`<pre class="bytes" tabindex="0" role="region" aria-label=${t('exact_bytes')}>${bytesText(answer.text)}</pre>${copyButton(t('exact_bytes'), () => answer.text)}` : html`<p class="quiet">${t('no_body')}</p>`}
    </section>
    ${answer.entry ? html`<article>${detail(answer.entry, { level: 2, isBeside: true })}</article>` : nothing}
    ${asCommand(trial)}
  </div>`;
}

/** @param {Trial} trial */
const tried = (trial) => html`<li><button type="button" class="plain" aria-pressed=${trial.id === state.trialShown} @click=${() => update({ trialShown: trial.id })}>
    ${trial.at.slice(11, 19)} ${shown(trial.body.customer_id, 24)} ${trial.body.break ? t(`break_${trial.body.break}`) : ''}</button>
  <button type="button" @click=${() => resend(trial.body)}>${t('send_again')}</button></li>`;

export function tryPage() {
  const trial = state.trials.find(({ id }) => id === state.trialShown);
  return html`<h1 tabindex="-1">${t('try')}</h1>
    <div class="split try">
      <div>${form()}
        ${state.trials.length ? html`<h2>${t('last_tries')}</h2><ul class="plain tries">${state.trials.map(tried)}</ul>` : nothing}</div>
      <div>${trial ? result(trial) : empty(t('try_nothing'), t('try_nothing_more'))}</div>
    </div>`;
}
