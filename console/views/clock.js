// @ts-check
// The simulator's clock, on every page.

import { changeClock, now, untilMidnight } from '../actions.js';
import { state } from '../store.js';
import { closeMenus, html, menu, nothing, sent, t } from '../ui.js';

/** @typedef {import('types').Schemas['ClockChange']} ClockChange */

/** @param {ClockChange} body @param {(body: ClockChange) => Promise<any>} change */
const button = (body, change, label = '') => html`<button type="button" @click=${() => { closeMenus(); return change(body); }}>${label}</button>`;

/** What can be done with a clock. @param {string} instant @param {boolean} frozen @param {(body: ClockChange) => Promise<any>} change @param {string} back */
export const clockActions = (instant, frozen, change, back) => html`
  <div class="stack">
    ${button({ advance: '1h' }, change, t('plus_hour'))}
    ${button({ advance: '1d' }, change, t('plus_day'))}
    ${button({ advance: `${untilMidnight(instant)}s` }, change, t('to_midnight'))}
    ${frozen ? button({ freeze: false }, change, t('let_run')) : button({ freeze: true }, change, t('freeze'))}
    ${button({ reset: true }, change, back)}
  </div>
  <form class="pair" @submit=${sent(({ at }) => {
    closeMenus();
    if (at) change({ now: `${at.padEnd(19, ':00')}+07:00` });
  })}>
    <label class="field"><span>${t('set_clock')}</span><input type="datetime-local" step="1" name="at" .defaultValue=${instant.slice(0, 19)}></label>
    <button>${t('set')}</button>
  </form>`;

export const clock = () => {
  const instant = now();
  if (!state.clock) return nothing;
  return menu(html`<span class="hidden">${t('clock')}</span> <time datetime=${instant}><span class="date">${instant.slice(0, 10)}</span> <b>${instant.slice(11, 19)}</b></time>
    ${state.clock.frozen ? html`<span class="badge strong">${t('stands_still')}</span>` : nothing}`,
  html`<p>${t('clock_more')}</p>${clockActions(instant, state.clock.frozen, changeClock, t('clock_reset'))}`, { name: 'clock', kind: 'right' });
};
