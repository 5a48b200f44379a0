// @ts-check
// A simulator with a token: the page asks for it once, and keeps it for this tab.

import { setToken } from '../api.js';
import { html, sent, t } from '../ui.js';

const submit = sent(({ token }) => { if (token) setToken(token.trim()); });

export const token = () => html`
  <div class="empty"><h1 tabindex="-1">${t('token_needed')}</h1>
    <p>${t('token_where')}</p>
    <form class="form" method="dialog" @submit=${submit}>
      <label class="field"><span>${t('token')}</span><input name="token" type="password" autocomplete="off" required></label>
      <div class="bar"><button class="primary">${t('token_use')}</button></div>
    </form>
    <p class="quiet">${t('token_kept')}</p>
  </div>`;
