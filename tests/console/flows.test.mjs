// The nine flows of the console, each within its number of clicks.

import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { clipboard, live, startBrowser, startSimulator, withPage } from './support.mjs';

const PHOTO = fileURLToPath(new URL('../../fixtures/gallery/siti.jpg', import.meta.url));
let simulator, browser;
before(async () => { [simulator, browser] = [await startSimulator(), await startBrowser()]; });
after(async () => { await browser.close(); await simulator.remove(); });
beforeEach(() => simulator.api('POST', '/reset?scope=all'));

/** Runs a flow; `click` counts. */
const flow = (name, clicks, options, run) => test(`${name}: ${clicks} clicks`, () => withPage(browser, simulator, options, async (page) => {
  let clicked = 0;
  await live(page);
  await run(page, async (locator, act = (found) => found.click()) => { clicked += 1; await act(locator); });
  assert.ok(clicked <= clicks, `${clicked} clicks`);
}));

const button = (page, name) => page.getByRole('button', { name, exact: true });
const summary = (page, name) => page.locator('summary', { hasText: name });

test('why did the last request fail: 0 clicks with a wide window', () => withPage(browser, simulator, {}, async (page) => {
  await live(page);
  await simulator.call({ account: { user_id: 'nobody' } });
  await page.getByRole('heading', { name: /5001/ }).waitFor();
  const headline = page.locator('.detail .headline');
  assert.match(await headline.innerText(), /user_id was decrypted, but is not this customer's/);
  assert.equal(await page.locator('.check.failed').count(), 1);
  assert.equal(await page.locator('.check').count(), 8);
  assert.match(await page.locator('.check.failed').innerText(), /Account.*answered: 5001/s);
}));

flow('why did the last request fail', 1, { width: 800 }, async (page, click) => {
  await simulator.call({ account: { user_id: 'nobody' }, ip: '192.0.2.1' });
  await click(page.locator('table.requests tbody a').first());
  await page.getByRole('heading', { level: 1, name: /5001/ }).waitFor();
  assert.match(await page.locator('.headline').innerText(), /is not this customer's/);
  assert.match(await page.locator('.check', { hasText: 'IP' }).innerText(), /next would be 5003/);
});

flow('send a first request', 1, {}, async (page, click) => {
  await page.getByRole('heading', { name: 'Nothing yet' }).waitFor();
  await click(button(page, 'Send a test request'));
  await page.locator('.detail').getByRole('heading', { name: /6018/ }).waitFor();
});

flow('send a request later', 2, {}, async (page, click) => {
  await click(page.getByRole('link', { name: 'Try' }));
  await click(button(page, 'Send'));
  await page.getByText('What came back').waitFor();
  assert.match(await page.locator('.bytes').innerText(), /"errorCode":·"6018"/);
  assert.match(await page.locator('.result .headline').innerText(), /6018/);
});

flow('the next two are busy', 2, {}, async (page, click) => {
  await simulator.call();
  await page.locator('.detail').getByRole('heading', { name: /6018/ }).waitFor();
  await click(summary(page, 'Make the next ones'));
  await click(button(page, 'Busy (6014)'));
  await page.getByText('The next 2 requests of demo: Busy (6014).').waitFor();
  const codes = [];
  for (let n = 0; n < 3; n++) codes.push((await simulator.call()).entry.answer.code);
  assert.deepEqual(codes, ['6014', '6014', '6018']);
  const { rules } = await simulator.api('GET', '/customers/demo/rules');
  assert.equal(rules[0].ttl, '10m');
  await button(page, 'Take back').first().click();
  await page.getByText('Taken back.').waitFor();
  assert.deepEqual((await simulator.api('GET', '/customers/demo/rules')).rules, []);
});

flow('past midnight: quota is new', 2, {}, async (page, click) => {
  await simulator.api('PUT', '/customers/demo/quota', { used: 80 });
  assert.equal((await simulator.call()).entry.answer.code, '5002');
  await click(page.locator('details[data-name=clock] > summary'));
  await click(button(page, 'To the next midnight'));
  await page.getByText('The clock is changed.').waitFor();
  assert.equal((await simulator.call()).entry.answer.code, '6018');
});

flow('leave one of the quota', 3, {}, async (page, click) => {
  await click(page.getByRole('link', { name: 'Customers' }));
  await click(page.getByRole('link', { name: 'demo', exact: true }));
  await click(button(page, 'Leave 1'));
  await page.getByText('The quota is changed.').waitFor();
  assert.equal((await simulator.api('GET', '/customers/demo/quota')).left, 1);
});

flow('enrol a face', 3, {}, async (page, click) => {
  await click(page.getByRole('link', { name: 'Gallery' }));
  await click(page.locator('.enrol input[type=file]'), (input) => input.setInputFiles(PHOTO));
  await page.getByRole('textbox', { name: 'Name' }).fill('Baru');
  await click(button(page, 'Enrol'));
  await page.getByText('Enrolled: Baru.').waitFor();
  const { identities } = await simulator.api('GET', '/gallery');
  assert.equal(identities.filter(({ name, source }) => name === 'Baru' && source === 'api').length, 1);
});

flow('a customer for a test, its environment copied', 4, {}, async (page, click) => {
  await click(page.getByRole('link', { name: 'Customers' }));
  await click(summary(page, 'New customer'));
  await click(button(page, 'Create'));
  await page.locator('h1', { hasText: /-/ }).waitFor();
  await click(button(page, 'Copy env environment block'));
  await page.getByText('Copied: environment block.').waitFor();
  const { customers } = await simulator.api('GET', '/customers');
  const made = customers.find(({ source }) => source === 'api');
  const view = await simulator.api('GET', `/customers/${made.customer_id}`);
  const copied = await clipboard(page);
  for (const value of [made.customer_id, view.account.user_id, view.account.password, simulator.endpoint + view.path]) assert.ok(copied.includes(value), copied);
});

flow('copy curl', 2, { width: 800 }, async (page, click) => {
  await simulator.call({ threshold: '9' });
  await click(page.locator('table.requests tbody a').first());
  await click(page.getByRole('button', { name: /^Copy curl/ }));
  await page.getByText(/^Copied:/).waitFor();
  assert.match(await clipboard(page), /^curl -sS -X POST http:\S+\/call -H 'Content-Type: application\/json' -d '\{"customer_id":"demo".*"threshold":"9"/);
});

flow('undo everything', 2, {}, async (page, click) => {
  await simulator.call();
  await simulator.api('PUT', '/customers/demo/rules/busy', { reply: { code: '6014' } });
  await page.locator('table.requests tbody tr').first().waitFor();
  await click(page.locator('details[data-name=reset] > summary'));
  await click(page.locator('details[data-name=reset] button.danger'));
  await page.getByRole('heading', { name: 'Nothing yet' }).waitFor();
  assert.deepEqual((await simulator.api('GET', '/customers/demo/rules')).rules, []);
  assert.deepEqual((await simulator.api('GET', '/requests')).requests, []);
});

test('each mistake of "Break it" gives the code that the menu says, with its reason', () => withPage(browser, simulator, { hash: '#/try' }, async (page) => {
  await live(page);
  const menu = page.locator('details[data-name=break]');
  const kinds = await menu.locator('.stack').evaluateAll((stacks) => stacks.flatMap((stack) => [...stack.children].map((child) => [stack.previousElementSibling.textContent.trim().slice(0, 4), child.textContent.trim()])));
  assert.equal(kinds.length, 10);
  for (const [code, name] of kinds) {
    await menu.locator('summary').click();
    await button(page, name).click();
    await page.locator('.result > p.quiet', { hasText: name }).waitFor();
    assert.match(await page.locator('.result .headline').innerText(), new RegExp(code), name);
  }
  assert.equal(await page.locator('.tries li').count(), 10);
}));

test('what this page called is a list of commands that do the same', () => withPage(browser, simulator, { hash: '#/customers/demo' }, async (page) => {
  await button(page, 'Use up').click();
  await page.getByText('The quota is changed.').waitFor();
  await summary(page, 'What this page called').click();
  const command = await page.locator('.calls code').first().innerText();
  assert.equal(command, `curl -sS -X PUT ${simulator.admin}/customers/demo/quota -H 'Content-Type: application/json' -d '{"used":80}'`);
}));
