// Many requests, a simulator that goes and comes back, two tabs.

import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, test } from 'node:test';

import { close, live, open, startBrowser, startProxy, startSimulator, withPage } from './support.mjs';

let browser;
before(async () => { browser = await startBrowser(); });
after(() => browser.close());

const ids = (page) => page.locator('table.requests tbody a').evaluateAll((links) => links.map((link) => Number(link.hash.split('/').pop())));
/** Numbers from the newest down to the oldest. */
const down = (from, to = 1) => Array.from({ length: from - to + 1 }, (_, index) => from - index);
const rows = (page, count) => page.waitForFunction((count) => document.querySelectorAll('table.requests tbody tr').length === count, count);
const GONE = /ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|Failed to fetch/;

/** Sends requests at a rate a second; returns when all are answered. */
async function burst(simulator, total, rate) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
  const url = `${simulator.endpoint}/api/face-recognition/demo/CALL_FN`;
  const one = () => new Promise((resolve, reject) => {
    const request = http.request(url, { method: 'POST', agent, headers: { 'content-type': 'application/json' } }, (response) => response.resume().on('end', resolve));
    request.on('error', reject).end('{}');
  });
  const start = performance.now(), sent = [];
  for (let n = 0; n < total; n++) {
    const early = start + (n * 1000) / rate - performance.now();
    if (early > 1) await new Promise((resolve) => setTimeout(resolve, early));
    sent.push(one());
  }
  await Promise.all(sent);
  agent.destroy();
  return (performance.now() - start) / 1000;
}

/** The longest task of a page in a trace, in milliseconds of its processor time: what others take of a shared machine is not the page's. */
function longestTask(trace) {
  const { traceEvents } = JSON.parse(trace);
  const mains = traceEvents.filter(({ name, args }) => name === 'thread_name' && args.name === 'CrRendererMain').map(({ pid, tid }) => `${pid} ${tid}`);
  const tasks = traceEvents.filter(({ name, pid, tid, tdur }) => name.endsWith('RunTask') && tdur > 0 && mains.includes(`${pid} ${tid}`));
  return Math.max(0, ...tasks.map(({ tdur }) => tdur / 1000));
}

test('3,000 requests at 500 a second leave the page usable: at most 200 rows, no frame over 250 ms', async (t) => {
  const simulator = await startSimulator({}, t);
  await withPage(browser, simulator, {}, async (page) => {
    await live(page);
    await page.evaluate(() => {
      Object.assign(window, { gap: 0, most: 0, sawSampling: false });
      let last = performance.now();
      const frame = (now) => {
        window.gap = Math.max(window.gap, now - last);
        window.most = Math.max(window.most, document.querySelectorAll('table.requests tbody tr').length);
        window.sawSampling ||= !!document.querySelector('.connection.sampling');
        last = now;
        requestAnimationFrame(frame);
      };
      requestAnimationFrame(frame);
    });
    await browser.startTracing(page, { categories: ['toplevel'] });
    const seconds = await burst(simulator, 3000, 500);
    // It follows again afterwards, and has the newest request.
    await live(page);
    const newest = (await simulator.api('GET', '/requests?limit=1')).requests[0].id;
    await page.waitForFunction((id) => document.querySelector('table.requests tbody a')?.hash === `#/requests/${id}`, newest);
    const longest = longestTask(await browser.stopTracing());
    const seen = await page.evaluate(() => ({ gap: window.gap, most: window.most, sawSampling: window.sawSampling }));
    t.diagnostic(`${Math.round(3000 / seconds)} requests a second; longest task ${Math.round(longest)} ms of processor time, longest gap between frames ${Math.round(seen.gap)} ms; ${seen.most} rows`);
    assert.ok(seen.most <= 200 && seen.most > 50, `${seen.most} rows`);
    assert.ok(seen.sawSampling, 'the page gave its stream back');
    assert.deepEqual(await ids(page), down(newest, newest - 199));
    assert.ok(longest > 1 && longest <= 250, `a task took ${longest} ms`);
  });
});

test('a lost connection is said and survived, without a gap and without a duplicate', async (t) => {
  const first = await startSimulator({}, t);
  const [endpointPort, adminPort] = [first.endpoint, first.admin].map((url) => new URL(url).port);
  const page = await open(browser, first, { expected: GONE });
  await live(page);
  for (let n = 0; n < 3; n++) await first.call();
  await rows(page, 3);
  await first.stop();
  await page.locator('.connection.lost').waitFor();
  await page.getByText('The simulator does not answer. Is it running? This page connects again by itself.').waitFor();
  // An action meanwhile tells so, too.
  await page.getByRole('button', { name: /^Clear/ }).or(page.locator('summary', { hasText: 'Clear' })).first().click();
  await page.getByRole('button', { name: 'Clear all requests' }).click();
  await page.locator('.notice.error').waitFor();
  // Another run of the simulator counts from 1 again: old rows must not stand among the new ones.
  const second = await startSimulator({ endpointPort, adminPort, keys: first.keys }, t);
  for (let n = 0; n < 5; n++) await second.call({ transaction_id: `second-${n}` });
  await live(page);
  await rows(page, 5);
  await second.call({ transaction_id: 'second-5' });
  await rows(page, 6);
  assert.deepEqual(await ids(page), down(6));
  assert.deepEqual(await page.locator('td.tx').allInnerTexts(), down(5, 0).map((n) => `second-${n}`));
  await close(page);
});

test('a stream that was cut resumes with what was missed', async (t) => {
  const simulator = await startSimulator({}, t);
  const proxy = await startProxy(simulator, t);
  await withPage(browser, proxy, { expected: GONE }, async (page) => {
    await live(page);
    await simulator.call();
    await rows(page, 1);
    proxy.cut();
    await page.locator('.connection.lost').waitFor();
    for (let n = 0; n < 4; n++) await simulator.call();
    proxy.mend();
    await live(page);
    await rows(page, 5);
    await simulator.call();
    await rows(page, 6);
    assert.deepEqual(await ids(page), down(6));
    // What was cleared meanwhile is gone, too.
    proxy.cut();
    await page.locator('.connection.lost').waitFor();
    await simulator.api('DELETE', '/requests');
    await simulator.call();
    proxy.mend();
    await live(page);
    await rows(page, 1);
    assert.deepEqual(await ids(page), [7]);
  });
});

test('two tabs follow the same simulator, and a change in one shows in the other', async (t) => {
  const simulator = await startSimulator({}, t);
  await withPage(browser, simulator, {}, async (one) => {
    const two = await open(browser, simulator, { context: one.context(), hash: '#/customers/demo' });
    await Promise.all([live(one), live(two)]);
    await simulator.call();
    await rows(one, 1);
    await two.getByText('1 of 80 used').waitFor();
    await two.getByRole('button', { name: 'Use up' }).click();
    await one.goto(`${simulator.admin}/#/customers/demo`);
    await one.getByText('80 of 80 used').waitFor();
    await one.getByRole('button', { name: 'Refill' }).click();
    await two.getByText('0 of 80 used').waitFor();
    await two.goto(`${simulator.admin}/#/requests`);
    await rows(two, 1);
    await simulator.api('DELETE', '/requests');
    await two.getByRole('heading', { name: 'Nothing yet' }).waitFor();
    // The clock is one for all.
    await one.locator('details[data-name=clock] > summary').click();
    await one.getByRole('button', { name: 'Freeze' }).click();
    await two.getByText('stands still').first().waitFor();
    assert.deepEqual(two.problems, []);
  });
});

test('a request under way shows as such, and then how it ended', async (t) => {
  const simulator = await startSimulator({}, t);
  await withPage(browser, simulator, {}, async (page) => {
    await live(page);
    await simulator.api('PUT', '/customers/demo/rules/late', { delay: '1h' });
    const aborted = new AbortController();
    const sent = fetch(`${simulator.endpoint}/api/face-recognition/demo/CALL_FN`, { method: 'POST', body: '{}', signal: aborted.signal }).catch(() => 'aborted');
    await page.locator('td.what', { hasText: 'nothing yet' }).waitFor();
    aborted.abort();
    assert.equal(await sent, 'aborted');
    await page.locator('td.what', { hasText: 'client left' }).waitFor();
    assert.equal((await ids(page)).length, 1);
  });
});

test('pausing keeps the list, and says how many came', async (t) => {
  const simulator = await startSimulator({}, t);
  await withPage(browser, simulator, {}, async (page) => {
    await live(page);
    await simulator.call();
    await rows(page, 1);
    await page.getByRole('button', { name: 'Pause' }).click();
    for (let n = 0; n < 2; n++) await simulator.call();
    await page.getByRole('button', { name: 'Resume 2 new' }).click();
    await rows(page, 3);
  });
});

test('older requests are loaded, found by the filters, and cleared for one customer', async (t) => {
  const simulator = await startSimulator({}, t);
  await simulator.call({ customer_id: 'load', transaction_id: 'the-first' });
  for (let n = 0; n < 250; n++) await simulator.post('demo', '{}');
  await withPage(browser, simulator, {}, async (page) => {
    await live(page);
    await rows(page, 200);
    const filter = page.getByRole('searchbox');
    await filter.fill('the-first');
    await page.getByText('None of 200 requests match').waitFor();
    await page.getByRole('button', { name: 'Clear the filter' }).click();
    await page.getByRole('button', { name: 'Load older' }).click();
    await page.getByText('51 more are not drawn').waitFor();
    await filter.fill('the-first 6018');
    await rows(page, 1);
    assert.deepEqual(await ids(page), [1]);
    await page.getByRole('button', { name: 'Only problems' }).click();
    await page.getByText('None of 251 requests match').waitFor();
    await page.getByRole('button', { name: 'Clear the filter' }).click();
    await page.getByRole('button', { name: 'Only demo' }).click();
    await page.locator('details.menu > summary', { hasText: 'Clear' }).click();
    await page.getByRole('button', { name: 'Clear those of demo' }).click();
    await page.getByText('The only request does not match').waitFor();
    assert.equal((await simulator.api('GET', '/requests')).requests.length, 1);
  });
});
