// @ts-check
// One request: what was sent, why, and what to do about it.

import { curl, json } from '../api.js';
import { NEXT_ONES, act, makeNext, takeBack, thumbnail } from '../actions.js';
import { state, update } from '../store.js';
import { block, closeMenus, copyButton, count, duration, english, guess, html, isSpoiled, meaning, menu, nothing, outcome, radios, shown, t, visible } from '../ui.js';

/** @typedef {import('types').Schemas['Entry']} Entry */
/** @typedef {import('types').Schemas['Finding']} Finding */

/** Which check was answered, and which would have been next: the failed ones, by the customer's precedence. @param {Entry} entry */
export function answered(entry) {
  const own = state.customer?.view?.customer_id === entry.customer_id ? state.customer?.view?.policy?.precedence : null;
  const order = /** @type {string[]} */ (own ?? state.config?.policy.precedence ?? []);
  const place = (/** @type {Finding} */ finding) => (order.indexOf(finding.check) + order.length + 1) % (order.length + 1);
  const sorted = [...entry.findings].sort((a, b) => place(a) - place(b));
  const failed = sorted.filter(({ status }) => status === 'failed');
  const byRule = entry.rules.find(({ decides }) => decides.includes('reply'))?.rule ?? null;
  return { sorted, first: byRule === null ? failed[0] : undefined, next: byRule === null ? failed[1] : failed[0], byRule };
}

const MARKS = { passed: '✓', failed: '✕', unknown: '–' };

/** @param {Finding} finding @param {{ first?: Finding, next?: Finding }} chosen */
const check = (finding, { first, next }) => html`
  <li class="check ${finding.status}">
    <span class="mark"><span aria-hidden="true">${MARKS[finding.status]}</span><span class="hidden">${t(finding.status)}</span></span>
    <b>${t(`check_${finding.check}`)}</b>
    <div>${finding === first ? html`<span class="badge strong">${t('answered')} ${finding.code}</span>` : nothing}
      ${finding === next ? html`<span class="badge">${t('would_be_next')} ${finding.code}</span>` : nothing}
      <p>${english(finding.reason)}</p>${finding.hint && finding !== first ? html`<p class="hint">${english(finding.hint)}</p>` : nothing}
    </div>
  </li>`;

/** @param {Entry} entry */
const ruleList = ({ rules, customer_id }) => html`
  <section><h2 class="minor">${t('rules_met')}</h2>
    ${rules.length ? html`<ul class="plain">${rules.map(({ rule, ordinal, draw, decides }) => html`
      <li><a href="#/customers/${encodeURIComponent(customer_id ?? '')}">${shown(rule, 64)}</a>
        <span>${t('rule_decided', { effects: decides.map((effect) => t(`effect_${effect}`)).join(', ') })}</span>
        <small>${t('rule_counts', { ordinal, draw: draw.ordinal })}${draw.rate != null ? ` · ${t('draw_rate', { rate: draw.rate.toFixed(3) })}` : ''}</small></li>`)}</ul>`
    : html`<p class="quiet">${t('no_rule_met')}</p>`}
  </section>`;

/** @param {unknown} name @param {unknown} value */
const fact = (name, value) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`;

/** @param {Entry} entry */
function wire({ sent, fault, delay, elapsed_us, answer }) {
  const { kind, rule, ...more } = fault ?? {};
  return html`<section><h2 class="minor">${t('on_the_wire')}</h2><dl class="facts grid">
    ${fact(t('status'), sent.status ?? t('no_status'))}
    ${fact(t('bytes_sent'), count(sent.bytes))}
    ${fact(t('ended_by'), t(`end_${sent.end}`))}
    ${fact(t('took'), sent.end === 'pending' ? '…' : duration(elapsed_us))}
    ${fault ? fact(t('fault'), html`${kind} ${Object.keys(more).length ? html`<code>${shown(json(more))}</code>` : nothing}`) : nothing}
    ${delay ? fact(t('delay'), `${duration(delay.us)} (${visible(delay.rule, 64)})`) : nothing}
    ${fact(t('decided'), html`${answer.code ?? (answer.status ? `HTTP ${answer.status}` : t('nothing'))}${answer.charged ? ` · ${t('charged')}` : ` · ${t('not_charged')}`}`)}
  </dl></section>`;
}

/** A candidate's person, if the masked NIK leaves only one. @param {string} nik */
function person(nik) {
  const digits = nik.replace(/X+$/, '');
  const fit = state.gallery?.identities.filter((identity) => identity.nik.startsWith(digits)) ?? [];
  return fit.length === 1 ? fit[0] : null;
}

/** @param {Entry} entry */
const candidates = ({ answer }) => (answer.candidates.length ? html`
  <section><h2 class="minor">${t('candidates')}</h2><ol class="faces">${answer.candidates.map(({ nik, region, score }) => {
    const known = person(nik);
    const picture = known ? thumbnail(known) : '';
    return html`<li>${picture ? html`<img src=${picture} alt="">` : html`<span class="face" aria-hidden="true"></span>`}
      <div><b>${known ? shown(known.name, 64) : t('not_in_gallery')}</b><code>${shown(nik, 40)}</code><small>${shown(region ?? '')}</small></div>
      <span class="score"><meter min="0" max="20" .value=${score} aria-label=${t('score')}></meter> ${score.toFixed(2)}</span></li>`;
  })}</ol></section>` : nothing);

/** @param {Entry} entry */
const fields = ({ request, methode, connection, ordinal, trace_id, at, id }) => html`
  <section><h2 class="minor">${t('the_request')}</h2><dl class="facts grid">
    ${fact('transactionId', shown(request.transaction_id ?? '–', 100))}
    ${fact('transactionSource', shown(request.transaction_source ?? '–', 100))}
    ${fact('threshold', request.threshold ?? '–')}
    ${fact('ip', shown(request.ip ?? '–', 100))}
    ${fact('methode', shown(methode, 64))}
    ${fact(t('image'), request.image ? html`${request.image.format ?? '?'} ${request.image.width ?? '?'} × ${request.image.height ?? '?'}, ${t('n_bytes', { n: request.image.bytes })}` : '–')}
    ${fact(t('body'), t('n_bytes', { n: request.body_bytes }))}
    ${fact('User-Agent', shown(request.user_agent ?? '–', 200))}
    ${trace_id ? fact('trace_id', trace_id) : nothing}
    ${fact(t('peer'), request.peer ?? '–')}
    ${fact(t('number'), t('number_more', { id, connection, ordinal: ordinal ?? '–' }))}
    ${fact(t('at'), html`<time datetime=${at}>${at}</time>`)}
  </dl></section>`;

const PARTS = /** @type {const} */ (['code', 'text', 'shape', 'white_space', 'head']);

/** Which assumptions the answer rests on, and where its parts are known from. @param {Entry} entry */
const grounds = ({ rests_on, basis, answer }) => (answer.code || rests_on.length ? html`
  <section><h2 class="minor">${t('rests_on')}</h2>
    ${rests_on.length ? html`<ul class="plain">${rests_on.map(({ key, other_value, other_answer }) => html`
      <li><code>${key}</code> ${t('rests_on_with')} <code>${shown(json(other_value), 100)}</code>: ${english(other_answer)}</li>`)}</ul>`
    : html`<p class="quiet">${t('rests_on_none')}</p>`}
    ${basis ? html`<dl class="facts grid">${PARTS.map((part) => fact(t(`basis_${part}`), html`${t(`standing_${basis[part].standing ?? 'rule'}`)} <small>${english(basis[part].source)}</small>`))}</dl>` : nothing}
  </section>` : nothing);

/** The call that sends a request like this one: the journal keeps neither photo nor account. @param {Entry} entry */
const likeThis = ({ customer_id, methode, request }) => ({
  customer_id: customer_id ?? '', methode,
  ...(request.threshold == null ? {} : { threshold: String(request.threshold) }), ...(request.ip == null ? {} : { ip: request.ip }),
});

/** @param {Entry} entry */
const verification = ({ customer_id, request, answer, sent, fault }) => {
  const spoiled = fault && sent.end !== 'complete';
  const match = { customer_id, transaction_id: request.transaction_id, ...(spoiled ? { sent: { end: sent.end } } : answer.code ? { code: answer.code } : { status: sent.status }) };
  return { match: Object.fromEntries(Object.entries(match).filter(([, value]) => value != null)), count: { exactly: 1 } };
};

/** @param {Entry} entry */
export const copyCurl = (entry) => curl('POST', '/call', likeThis(entry));

/** @param {Entry} entry */
function again(entry) {
  const { customer_id, methode, request } = entry;
  update({ trial: { ...state.trial, customer_id: customer_id ?? '', methode, threshold: String(request.threshold ?? ''), ip: request.ip ?? '', transaction_id: request.transaction_id ?? '' } });
  location.hash = '#/try';
}

const next = (/** @type {Partial<import('types').State['next']>} */ change) => update({ next: { ...state.next, ...change } });

/** @param {string} customer */
export const nextMenu = (customer) => menu(t('make_next'), html`
  <p>${t('make_next_of', { customer: visible(customer, 40) })}</p>
  ${radios(t('how_many'), 'times', state.next.times, (times) => next({ times }), [['1', '1'], ['2', '2'], ['10', '10'], ['all', t('all')]])}
  ${radios(t('for_how_long'), 'ttl', state.next.ttl, (ttl) => next({ ttl }), [['10m', t('ten_minutes')], ['1h', t('one_hour')], ['', t('no_end')]])}
  <div class="stack">${Object.keys(NEXT_ONES).map((kind) => html`<button type="button" @click=${() => { closeMenus(); return makeNext(customer, kind); }}>${t(`next_${kind}`)}</button>`)}
    <a class="button" href="#/customers/${encodeURIComponent(customer)}/rule">${t('next_own')}</a></div>
  <button type="button" class="plain" @click=${() => { closeMenus(); return act(() => takeBack(customer), t('taken_back')); }}>${t('take_back')}</button>`, { name: 'next', kind: 'primary' });

/** @param {Entry} entry @param {{ level?: number, isBeside?: boolean }} [options] */
export function detail(entry, { level = 1, isBeside = false } = {}) {
  const { kind, mark, text } = outcome(entry);
  const { sorted, first, next, byRule } = answered(entry);
  const { answer, customer_id, fault, warnings } = entry;
  const spoiled = isSpoiled(entry);
  const title = html`<span class="mark" aria-hidden="true">${mark}</span> ${text}${guess(entry)}${spoiled || kind === 'waiting' ? nothing : html` <span class="meaning">${meaning(answer.code)}</span>`}`;
  return html`
    <header class="headline ${kind}">
      ${level === 1 ? html`<h1 tabindex="-1">${title}</h1>` : html`<h2>${title}</h2>`}
      <p class="whose">${customer_id === null ? t('no_customer') : html`<a href="#/customers/${encodeURIComponent(customer_id ?? '')}">${shown(customer_id, 64)}</a>`}
        · ${shown(entry.request.transaction_id ?? t('no_transaction'), 40)} · <time datetime=${entry.at}>${entry.at.slice(11, 23)}</time></p>
      ${spoiled && fault ? html`<p class="reason">${t('spoiled', { kind: fault.kind, rule: visible(fault.rule, 64) })}</p>
        <p class="hint">${answer.code ? html`${t('decided_was', { code: answer.code })}: ` : nothing}${english(answer.reason)}</p>`
      : html`<p class="reason">${english(answer.reason)}</p>
        ${byRule === null ? nothing : html`<p class="hint">${t('answered_by_rule')} ${shown(byRule, 64)}</p>`}
        ${answer.hint ? html`<p class="hint">${english(answer.hint)}</p>` : nothing}`}
    </header>
    ${isBeside ? html`<p><a href="#/requests/${entry.id}">${t('open_request', { id: entry.id })}</a></p>` : html`<div class="bar">
      ${customer_id ? nextMenu(customer_id) : nothing}
      ${copyButton(t('curl_of_request'), () => copyCurl(entry), t('copy_curl'))}
      ${copyButton(t('verify_of_request'), () => curl('POST', '/requests/verify', verification(entry)), t('copy_verify'))}
      <button type="button" @click=${() => again(entry)}>${t('try_again')}</button>
    </div>`}
    ${entry.findings.length ? html`<section><h2 class="minor">${t('checks')}</h2><ol class="checks">${sorted.map((finding) => check(finding, { first, next }))}</ol></section>` : nothing}
    ${warnings.length ? html`<section><h2 class="minor">${t('warnings')}</h2><ul class="plain">${warnings.map(({ name, message }) => html`<li><code>${name}</code> ${english(message)}</li>`)}</ul></section>` : nothing}
    ${grounds(entry)}
    ${candidates(entry)}
    ${ruleList(entry)} ${wire(entry)}
    ${isBeside ? nothing : html`${fields(entry)}
    <details class="raw"><summary>${t('raw_entry')}</summary>${block(t('raw_entry'), json(entry, 2))}</details>`}`;
}
