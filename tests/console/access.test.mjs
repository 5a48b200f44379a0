// The console for everybody: axe-core on every page, theme, language and state; the keyboard alone; 320 pixels.

import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';

import { clipboard, live, startBrowser, startSimulator, withPage } from './support.mjs';

const AXE = await fs.readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const PAGES = ['requests', 'requests/2', 'try', 'customers', 'customers/demo', 'gallery'];
let browser, empty, full, guarded;

before(async () => {
  [browser, empty, full, guarded] = await Promise.all([startBrowser(), startSimulator(), startSimulator(), startSimulator({ token: 'sesame' })]);
  await fill(full);
});
after(async () => {
  await browser.close();
  await Promise.all([empty, full, guarded].map((simulator) => simulator.remove()));
});

/** Requests of every kind, a rule, an own clock, a used quota and a face. */
async function fill(simulator) {
  for (const call of [{}, { account: { user_id: 'nobody' }, ip: '192.0.2.1' }, { customer_id: 'reset' }, { customer_id: 'gateway-down' }, { customer_id: 'crowded' }, { customer_id: 'no-such' }, { break: 'typographic_quotes' }, { customer_id: 'flaky', transaction_id: 'x'.repeat(60) }]) await simulator.call(call);
  await simulator.api('PUT', '/customers/demo/rules/slow', { rate: 0.3, delay: '1ms', ttl: '1h' });
  await simulator.api('PUT', '/customers/demo/clock', { now: '2026-11-21T23:59:00+07:00' });
  await simulator.api('POST', '/customers', { customer_id: 'own', ttl: '1h', quota: { per_day: 2 } });
}

/** What axe-core finds. */
async function findings(page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }));
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html, any }) => `${html.slice(0, 200)} ${any[0]?.message ?? ''}`).join('\n')}`);
}

/** The page as a test finds it: with what it shows loaded, and with its panels open. */
async function settled(page, name) {
  await live(page);
  if (name === 'requests/2') await page.getByRole('heading', { level: 1, name: /5001/ }).waitFor();
  if (name === 'gallery') await page.locator('.card img').first().waitFor();
  if (name === 'customers') await page.locator('tbody tr').first().waitFor();
  if (name === 'customers/demo') await page.locator('.columns section').first().waitFor();
}

for (const theme of ['light', 'dark']) {
  for (const language of ['en', 'id']) {
    test(`axe-core finds nothing: ${theme}, ${language}, empty and full`, async () => {
      const all = {};
      for (const [state, simulator] of [['empty', empty], ['full', full]]) {
        for (const name of PAGES) {
          if (state === 'empty' && name === 'requests/2') continue;
          await withPage(browser, simulator, { hash: `#/${name}`, theme, language, reducedMotion: 'reduce' }, async (page) => {
            await settled(page, name);
            all[`${state} ${name}`] = await findings(page);
            await page.evaluate(() => document.querySelectorAll('details').forEach((details) => { details.open = true; }));
            if (name === 'customers/demo') await page.locator('.form.rule').waitFor();
            all[`${state} ${name}, everything open`] = await findings(page);
          });
        }
      }
      assert.deepEqual(Object.entries(all).filter(([, found]) => found.length), []);
      assert.equal(Object.keys(all).length, 22);
    });
    test(`axe-core finds nothing: ${theme}, ${language}, token, help, and a result`, async () => {
      await withPage(browser, guarded, { theme, language, expected: /401/ }, async (page) => {
        await page.locator('input[name=token]').waitFor();
        assert.deepEqual(await findings(page), []);
      });
      await withPage(browser, full, { theme, language, hash: '#/try', reducedMotion: 'reduce' }, async (page) => {
        await live(page);
        await page.locator('.try form button.primary').click();
        await page.locator('.result').waitFor();
        assert.deepEqual(await findings(page), []);
        await page.keyboard.press('?');
        await page.locator('dialog[open]').waitFor();
        assert.deepEqual(await findings(page), []);
      });
    });
  }
}

test('at 320 pixels everything flows, in one column', async () => {
  for (const simulator of [empty, full]) {
    for (const name of PAGES) {
      if (simulator === empty && name === 'requests/2') continue;
      await withPage(browser, simulator, { hash: `#/${name}`, width: 320, height: 640, language: 'id' }, async (page) => {
        await settled(page, name);
        await page.evaluate(() => document.querySelectorAll('details:not(.menu)').forEach((details) => { details.open = true; }));
        assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 320, name);
        for (const menu of await page.locator('details.menu > summary:visible').all()) {
          await menu.click();
          const panel = await menu.evaluate((summary) => { const { left, right } = summary.nextElementSibling.getBoundingClientRect(); return [left, right]; });
          assert.ok(panel[0] >= 0 && panel[1] <= 320, `${name}: ${panel}`);
          await page.keyboard.press('Escape');
        }
      });
    }
  }
});

test('targets have 24 pixels, and the language of each text is said', () => withPage(browser, full, { hash: '#/requests/2', language: 'id' }, async (page) => {
  await settled(page, 'requests/2');
  const small = await page.locator('a, button, summary, select').evaluateAll((all) => all.filter((one) => one.offsetParent && !one.closest('p, li, td, dd')).map((one) => [one.textContent.trim(), one.getBoundingClientRect().height]).filter(([, height]) => height < 24));
  assert.deepEqual(small, []);
  assert.equal(await page.getAttribute('html', 'lang'), 'id');
  assert.equal(await page.locator('.headline .reason bdi').getAttribute('lang'), 'en');
}));

test('the flows go with the keyboard alone', async (t) => {
  const simulator = await startSimulator({}, t);
  await withPage(browser, simulator, {}, async (page) => {
    const press = async (...keys) => { for (const key of keys) await page.keyboard.press(key); };
    const focused = () => page.evaluate(() => document.activeElement?.textContent?.trim().slice(0, 60));
    /** Goes with Tab until something with this text has the focus. */
    const tab = async (text) => {
      for (let n = 0; n < 120; n++) {
        await press('Tab');
        if (text.test(await focused() ?? '') || text.test(await page.evaluate(() => document.activeElement?.getAttribute('name') ?? ''))) return;
      }
      assert.fail(`${text} cannot be reached`);
    };
    await live(page);
    await tab(/^Skip/);
    await press('Enter');
    await tab(/^Send a test request/);
    await press('Enter');
    await page.locator('.detail').getByRole('heading', { name: /6018/ }).waitFor();
    for (let n = 0; n < 3; n++) await simulator.call({ account: { user_id: 'nobody' } });
    await page.locator('table.requests tbody tr:nth-child(4)').waitFor();
    await page.locator('table.requests tbody tr:first-child.chosen').waitFor();
    // Through the list and into a request, and its curl.
    await press('j', 'j', 'k', 'ArrowDown', 'Enter');
    await page.getByRole('heading', { level: 1, name: /5001/ }).waitFor();
    await press('c');
    await page.getByText(/^Copied:/).waitFor();
    assert.match(await clipboard(page), /^curl /);
    // The next ones, from its menu.
    await tab(/^Make the next ones/);
    await press('Enter');
    await tab(/^Busy/);
    await press('Enter');
    await page.getByText(/^The next 2 requests of demo/).waitFor();
    await press('Escape');
    await page.waitForFunction(() => location.hash === '#/requests');
    await press('/');
    await page.keyboard.type('5001 nobody-has-this');
    await page.getByText('None of 4 requests match').waitFor();
    await page.keyboard.press('Control+a');
    await press('Backspace', 'Escape');
    // Letters act on the page, not where one types, and pages have keys.
    await press('p');
    await page.locator('.connection.paused').waitFor();
    await press('p', 'g', 'g');
    await page.getByRole('heading', { level: 1, name: 'Gallery' }).waitFor();
    await press('g', 'c');
    await page.getByRole('heading', { level: 1, name: 'Customers' }).waitFor();
    await tab(/^New customer/);
    await press('Enter');
    await tab(/^Create/);
    await press('Enter');
    await page.locator('h1', { hasText: /-/ }).waitFor();
    await tab(/^Copy env/);
    await press('Enter');
    await page.getByText('Copied: environment block.').waitFor();
    await page.goto(`${simulator.admin}/#/customers/demo`);
    await tab(/^Leave 1/);
    await press('Enter');
    await page.getByText('The quota is changed.').waitFor();
    await press('t');
    await page.getByRole('heading', { level: 1, name: 'Try' }).waitFor();
    await tab(/^Send$/);
    await press('Enter');
    await page.locator('.result').waitFor();
    await page.goto(`${simulator.admin}/#/requests`);
    await tab(/^Clock/);
    await press('Enter');
    await tab(/^To the next midnight/);
    await press('Enter');
    await page.getByText('The clock is changed.').waitFor();
    await tab(/^Reset$/);
    await press('Enter');
    await tab(/^scope$/);
    await press('Tab', 'Enter');
    await page.getByRole('heading', { name: 'Nothing yet' }).waitFor();
    await press('?');
    await page.locator('dialog[open]').waitFor();
    await press('Escape');
    // Turned off, a letter is only a letter.
    await page.getByText('language and theme').locator('..').click();
    await page.getByLabel('Keys of one letter').uncheck();
    await press('Escape', 'g', 'g');
    assert.equal(await page.evaluate(() => location.hash), '#/requests');
  });
});
