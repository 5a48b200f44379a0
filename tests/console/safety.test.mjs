// What comes from outside is text, and the token stays where it belongs.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';

import en from '../../console/i18n/en.js';
import { live, open, startBrowser, startSimulator, withPage } from './support.mjs';

const CONSOLE = new URL('../../console/', import.meta.url);
let browser;
before(async () => { browser = await startBrowser(); });
after(() => browser.close());

const MARKUP = `<img src=x onerror="document.title='hacked'"><script>document.title='hacked'</script><b>`;
const RIGHT_TO_LEFT = 'abc\u202Etxt.exe\u2066\u200B';
const CONTROLS = 'a\u0000\u0007\u001b[31m\u009b\r\n\tb';

test('hostile texts in every field of a request are shown as text', async (t) => {
  const simulator = await startSimulator({ args: ['--max-body', '32MiB'] }, t);
  const fields = ['transactionId', 'transactionSource', 'threshold', 'image', 'user_id', 'password', 'ip'];
  const texts = { markup: MARKUP, right: RIGHT_TO_LEFT, controls: CONTROLS, long: 'x'.repeat(1 << 20), template: '${1+1}{{1+1}}' };
  await withPage(browser, simulator, { width: 800 }, async (page) => {
    await live(page);
    for (const text of Object.values(texts)) {
      for (const field of fields) {
        const body = Object.fromEntries(fields.map((name) => [name, 'x']));
        await simulator.post('demo', JSON.stringify({ ...body, [field]: text }));
      }
      await simulator.post('demo', JSON.stringify({ [text]: text }));
      await simulator.post('demo', text);
      await simulator.post(text.slice(0, 100), '{}', { 'user-agent': text.replace(/[^\x20-\x7e]/g, '?').slice(0, 4000) });
    }
    // Nothing of it becomes an element, and nothing turns the direction of what follows.
    const hostile = () => page.evaluate(() => ({
      elements: document.querySelectorAll('main img:not([src^="blob:"]), main script, main b b').length,
      title: document.title, hidden: /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2066-\u2069]/.test(document.body.innerText),
      isWide: document.documentElement.scrollWidth > innerWidth,
      isLong: document.querySelector('main').innerText.length > 200_000,
    }));
    const harmless = { elements: 0, hidden: false, isWide: false, isLong: false };
    const { requests } = await simulator.api('GET', '/requests?limit=200');
    assert.ok(requests.length >= 50, `${requests.length}`);
    await page.locator(`table.requests tbody tr:nth-child(${requests.length})`).waitFor();
    const { title, ...found } = await hostile();
    assert.deepEqual(found, harmless);
    assert.doesNotMatch(title, /hacked/);
    for (const { id } of requests) {
      await page.evaluate((id) => { location.hash = `#/requests/${id}`; }, id);
      await page.locator('h1 .mark').waitFor();
      await page.waitForFunction((id) => document.title.includes(`${id}`), id);
      await page.evaluate(() => document.querySelectorAll('details:not(.menu)').forEach((details) => { details.open = true; }));
      const { title, ...found } = await hostile();
      assert.deepEqual(found, harmless, `request ${id}`);
      assert.doesNotMatch(title, /hacked/);
    }
  });
});

test('hostile texts of rules, customers, people and tries are shown as text', async (t) => {
  const simulator = await startSimulator({}, t);
  await simulator.api('PUT', `/customers/demo/rules/${encodeURIComponent("<b>'x' \u202E")}`, { reply: { status: 200, body: MARKUP + RIGHT_TO_LEFT + CONTROLS, headers: { 'x-evil': MARKUP } } });
  const face = (await fs.readFile(new URL('../../fixtures/gallery/mei.jpg', import.meta.url))).toString('base64');
  await simulator.api('POST', '/gallery', { name: MARKUP, pictures: [face] });
  await simulator.api('PUT', '/customers/demo/state', { state: MARKUP });
  await withPage(browser, simulator, { hash: '#/customers/demo' }, async (page) => {
    await page.getByText("<b>'x' ⟨202E⟩").first().waitFor();
    assert.equal(await page.locator('.rules b b').count(), 0);
    // A name that a shell or a path would act upon comes through the call log and back.
    await page.locator('.rules button.danger').click();
    await page.getByText('The rule is removed.').waitFor();
    assert.deepEqual((await simulator.api('GET', '/customers/demo/rules')).rules, []);
    assert.match(await page.locator('.calls code').first().textContent(), /^curl -sS -X DELETE '?http:\S+%3Cb%3E'\\''x'\\''%20%E2%80%AE'?$/);
    await page.goto(`${simulator.admin}/#/gallery`);
    await page.locator('.card h2', { hasText: '<script>' }).waitFor();
    await simulator.api('PUT', '/customers/demo/rules/evil', { reply: { status: 200, body: MARKUP + RIGHT_TO_LEFT + CONTROLS, headers: { 'x-evil': MARKUP } } });
    await page.goto(`${simulator.admin}/#/try`);
    await page.locator('input[name=customer_id]').fill('demo');
    await page.locator('.try form button.primary').click();
    const bytes = await page.locator('.bytes').innerText();
    assert.match(bytes, /<img·src=x/);
    assert.match(bytes, /⟨202E⟩/);
    assert.match(bytes, /␀␇␛\[31m⟨009B⟩␍↵/);
    await page.locator('input[name=customer_id]').fill(MARKUP);
    await page.locator('.try form button.primary').click();
    await page.locator('.result .headline', { hasText: 'no customer has the id' }).waitFor();
    assert.equal(await page.locator('main script, main .result img:not([src^="blob:"])').count(), 0);
  });
});

test('the token is asked for once, and is in no address, no storage that lasts and no logged call', async (t) => {
  const simulator = await startSimulator({ token: 'open-sesame+1/=' }, t);
  await withPage(browser, simulator, { expected: /401/ }, async (page) => {
    const addresses = [];
    page.on('request', (request) => addresses.push(request.url()));
    await page.locator('input[name=token]').fill('wrong');
    await page.keyboard.press('Enter');
    await page.locator('input[name=token]').waitFor();
    await page.locator('input[name=token]').fill(simulator.token);
    await page.keyboard.press('Enter');
    await live(page);
    await simulator.call();
    await page.locator('table.requests tbody tr').waitFor();
    await page.goto(`${simulator.admin}/#/gallery`);
    await page.locator('.card img').first().waitFor();
    await page.goto(`${simulator.admin}/#/customers/demo`);
    await page.getByRole('button', { name: 'Use up' }).click();
    await page.getByText('The quota is changed.').waitFor();
    assert.match(await page.locator('.calls code').first().textContent(), /-H "Authorization: Bearer \$FRSIM_ADMIN_TOKEN"/);
    const secret = /sesame/;
    assert.doesNotMatch(await page.content(), secret);
    assert.deepEqual(addresses.filter((url) => secret.test(url)), []);
    assert.doesNotMatch(await page.evaluate(() => JSON.stringify({ ...localStorage }) + document.cookie), secret);
    assert.deepEqual(await page.evaluate(() => Object.keys(localStorage).filter((key) => !['frsim-theme', 'frsim-language'].includes(key))), []);
    // A reload keeps it, another tab does not have it.
    await page.reload();
    await live(page);
    const other = await open(browser, simulator, { context: page.context(), expected: /401/ });
    await other.locator('input[name=token]').waitFor();
    assert.doesNotMatch(await other.locator('body').innerText(), /demo/);
    // An address may bring it, and loses it at once.
    const third = await open(browser, simulator, { context: page.context(), hash: `#token=${encodeURIComponent(simulator.token)}` });
    await live(third);
    assert.equal(await third.evaluate(() => location.href), `${simulator.admin}/#/requests`);
    assert.equal(await third.evaluate(() => history.length), 2);
    assert.deepEqual(third.problems, []);
  });
});

test('edited fixtures that were refused stand above every page', async (t) => {
  const directory = await fs.mkdtemp(path.join(os.tmpdir(), 'frsim-fixtures-'));
  t.after(() => fs.rm(directory, { recursive: true }));
  await fs.mkdir(`${directory}/customers`);
  const file = `${directory}/customers/bank.toml`;
  await fs.writeFile(file, 'extends = "demo"\n');
  const simulator = await startSimulator({ args: ['--fixtures', directory] }, t);
  await withPage(browser, simulator, {}, async (page) => {
    await live(page);
    await fs.writeFile(file, 'extends = "demo"\nquotta = 5\n');
    await page.locator('.banner', { hasText: /bank\.toml:2:1: .*quotta/ }).waitFor();
    await page.reload();
    await page.locator('.banner', { hasText: /bank\.toml:2:1: .*quotta/ }).waitFor();
    await fs.writeFile(file, 'extends = "demo"\n');
    await page.locator('.banner').waitFor({ state: 'detached' });
  });
});

test('the vendored files are those that npm publishes, and SOURCE says so', async () => {
  const source = await fs.readFile(new URL('vendor/SOURCE', CONSOLE), 'utf8');
  const lines = source.match(/^[0-9a-f]{64} {2}\S+$/gm);
  const files = (await fs.readdir(new URL('vendor/', CONSOLE), { recursive: true })).filter((name) => name.includes('.js') || name === 'LICENSE');
  assert.deepEqual(lines.map((line) => line.slice(66)).sort(), files.sort());
  const root = new URL('node_modules/lit-html/', import.meta.url);
  for (const line of lines) {
    const bytes = await fs.readFile(new URL(`vendor/${line.slice(66)}`, CONSOLE));
    assert.equal(createHash('sha256').update(bytes).digest('hex'), line.slice(0, 64), line);
    assert.deepEqual(bytes, await fs.readFile(new URL(line.slice(66), root)), line);
  }
  assert.match(source, new RegExp(`lit-html ${JSON.parse(await fs.readFile(new URL('package.json', root), 'utf8')).version.replaceAll('.', '\\.')}[, ]`));
});

test('each text that is used is there, and each module has its types checked', async () => {
  const names = (await fs.readdir(CONSOLE, { recursive: true })).filter((name) => name.endsWith('.js') && !name.startsWith('vendor'));
  for (const name of names) {
    const source = await fs.readFile(new URL(name, CONSOLE), 'utf8');
    assert.match(source, /^\/\/ @ts-check\n/, name);
    for (const [, key] of source.matchAll(/\bt\('(\w+)'/g)) assert.ok(key in en, `${name}: ${key}`);
  }
});
