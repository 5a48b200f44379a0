// @ts-check
// Small parts that the views share. Texts of requests are only ever text: lit-html escapes them, and `visible` shows what cannot be seen.

import { repeat as keyed } from './vendor/directives/repeat.js';
import { html, nothing } from './vendor/lit-html.js';
import en from './i18n/en.js';
import id from './i18n/id.js';
import { state, update } from './store.js';

/** @typedef {import('types').Schemas['Entry']} Entry */
/** @typedef {import('types').Schemas['Finding']} Finding */

const texts = { en, id };

/** A text of the page in its language; `one|many` chooses by `n`. @param {string} key @param {Record<string, unknown>} [values] */
export function t(key, values = {}) {
  const [one, many = one] = (texts[state.language][key] ?? key).split('|');
  return (values.n === 1 ? one : many).replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

/** Shows the characters that a browser would hide or act upon, and cuts what is too long.
 * @param {unknown} text @param {number} [max] in characters */
export function visible(text, max = 300) {
  const whole = String(text ?? '');
  const cut = whole.length > max ? `${whole.slice(0, max)}…` : whole;
  return cut
    .replace(/[\0-\x1f]/g, (c) => String.fromCharCode(0x2400 + c.charCodeAt(0)))
    .replace(/[\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g, (c) => `⟨${c.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}⟩`);
}

/** A text that came from outside. @param {unknown} text @param {number} [max] */
export const shown = (text, max) => html`<bdi>${visible(text, max)}</bdi>`;

/** A text of the server, which speaks English. @param {string | null | undefined} text */
export const english = (text) => html`<bdi lang="en">${visible(text, 2000)}</bdi>`;

/** Faults that leave the decided answer whole. */
const HARMLESS = ['slow_read', 'dribble', 'bandwidth', 'slow_headers', 'stale_keepalive', 'late_close'];
/** @param {Entry} entry */
export const isSpoiled = (entry) => !!entry.fault && !HARMLESS.includes(entry.fault.kind);

/** What was sent: kind, mark and text. @param {Entry} entry
 * @returns {{ kind: 'good' | 'refused' | 'broken' | 'waiting', mark: string, text: string }} */
export function outcome(entry) {
  const { sent, answer } = entry;
  if (sent.end === 'pending') return { kind: 'waiting', mark: '…', text: t('nothing_yet') };
  if (sent.end === 'none') return { kind: 'broken', mark: '✕', text: t('gone') };
  if (sent.end !== 'complete') return { kind: 'broken', mark: '⚡', text: sent.end.toUpperCase() };
  if (!answer.code || isSpoiled(entry)) return { kind: 'broken', mark: '⚡', text: sent.status ? `HTTP ${sent.status}` : t('raw_bytes') };
  return answer.code === '6018' ? { kind: 'good', mark: '✓', text: answer.code } : { kind: 'refused', mark: '✕', text: answer.code };
}

/** @param {Entry} entry */
export const pill = (entry) => {
  const { kind, mark, text } = outcome(entry);
  return html`<span class="pill ${kind}"><span aria-hidden="true">${mark}</span> ${text}${guess(entry)}</span>`;
};

/** The mark behind a code that rests on an assumption: another code or status is possible. @param {Entry} entry */
export const guess = (entry) => (entry.sent.end === 'complete' && !isSpoiled(entry) && entry.rests_on.some(({ differs }) => differs === 'code')
  ? html`<span class="guess" title=${t('guess_more')}><span aria-hidden="true">~</span><span class="hidden">, ${t('guess')}</span></span>` : nothing);

/** What the code means, in a few words. @param {string | null | undefined} code */
export const meaning = (code) => (code && `code_${code}` in texts.en ? t(`code_${code}`) : '');

/** @param {number} us microseconds */
export function duration(us) {
  const ms = us / 1000;
  const number = (/** @type {number} */ value, /** @type {number} */ digits) => value.toLocaleString(state.language, { maximumFractionDigits: digits });
  return ms < 1000 ? `${number(ms, ms < 10 ? 1 : 0)} ms` : `${number(ms / 1000, 1)} s`;
}

/** @param {number} value */
export const count = (value) => value.toLocaleString(state.language);

/** The time of day of an instant: all of them are written in Jakarta time. @param {string} instant */
export const timeOfDay = (instant) => instant.slice(11, 19);

/** @param {string} what @param {() => string} text */
export const copyButton = (what, text, label = t('copy')) => html`
  <button type="button" @click=${() => copy(what, text())}>${label}<span class="hidden"> ${what}</span></button>`;

/** @param {string} what @param {string} text */
export async function copy(what, text) {
  try {
    await navigator.clipboard.writeText(text);
    notice(t('copied', { what }));
  } catch {
    // Browsers give the clipboard to https and to this machine only.
    notice(t('copy_yourself', { what }), { text });
  }
}

/** Tells what happened. An error stays until it is closed.
 * @param {string} text @param {Partial<import('types').Notice>} [more] */
export function notice(text, more = {}) {
  update({ notice: { said: text, ...more, at: Date.now() } });
}

/** A button that opens a panel below itself. @param {unknown} label @param {unknown} content @param {{ name?: string, kind?: string }} [more] */
export const menu = (label, content, { name = '', kind = '' } = {}) => html`
  <details class="menu ${kind}" data-name=${name}>
    <summary>${label}</summary>
    <div class="panel">${content}</div>
  </details>`;

/** Closes the panels; the one with the focus gives it back to its button. */
export function closeMenus() {
  let closed = false;
  for (const menu of document.querySelectorAll('details.menu[open]')) {
    if (menu.contains(document.activeElement)) menu.querySelector('summary')?.focus();
    menu.removeAttribute('open');
    closed = true;
  }
  return closed;
}

/** @param {string} title @param {unknown} [text] @param {unknown} [actions] */
export const empty = (title, text = nothing, actions = nothing) => html`
  <div class="empty"><h2>${title}</h2><div>${text}</div><div class="actions">${actions}</div></div>`;

/** A copyable block of text. @param {string} what @param {string} text */
export const block = (what, text) => html`
  <div class="block"><pre tabindex="0" role="region" aria-label=${what}>${visible(text, 20_000).replaceAll('␊', '\n').replaceAll('␉', '\t')}</pre>${copyButton(what, () => text)}</div>`;

/** A set of choices of which one holds. @param {string} legend @param {string} name @param {string} value @param {(value: string) => void} set @param {[string, string][]} options */
export const radios = (legend, name, value, set, options) => html`
  <fieldset class="segments"><legend>${legend}</legend>
    ${options.map(([key, label]) => html`<label><input type="radio" name=${name} value=${key} .checked=${key === value} @change=${() => set(key)}><span>${label}</span></label>`)}
  </fieldset>`;

/** Hears what is typed or chosen. @param {(value: string) => void} set */
export const typed = (set) => (/** @type {any} */ event) => set(event.target.value);

/** Hears a form that is sent. @param {(data: Record<string, string>, form: HTMLFormElement) => unknown} done */
export const sent = (done) => (/** @type {any} */ event) => {
  event.preventDefault();
  return done(/** @type {any} */ (Object.fromEntries(new FormData(event.target))), event.target);
};

/** @param {string} label @param {unknown} control @param {unknown} [hint] */
export const field = (label, control, hint = nothing) => html`<label class="field"><span>${label}</span>${control}${hint === nothing ? nothing : html`<small>${hint}</small>`}</label>`;

/** Draws a list so that an item keeps its elements, and with them the focus.
 * @template T @param {T[]} items @param {(item: T) => unknown} key @param {(item: T) => unknown} template */
export const repeat = (items, key, template) => keyed(items, key, template);

export { html, nothing };
