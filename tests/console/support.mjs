// What the tests share: a simulator of the binary in FRSIM_BINARY, and a browser page whose errors fail the test.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const BINARY = process.env.FRSIM_BINARY ?? fileURLToPath(new URL('../../target/debug/dukcapil-fr-sim', import.meta.url));
const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';

/** A running simulator, stopped behind the test `t`. Another start with the same `keys` takes the same ports when they are given. */
export async function startSimulator({ token, endpointPort = 0, adminPort = 0, keys, args = [] } = {}, t) {
  const directory = keys ?? await fs.mkdtemp(path.join(os.tmpdir(), 'frsim-console-'));
  const listen = ['--listen', `127.0.0.1:${endpointPort}`, '--admin-listen', `127.0.0.1:${adminPort}`];
  const process = spawn(BINARY, [...listen, '--keys', directory, ...(token ? ['--admin-token', token] : []), ...args], { stdio: ['ignore', 'pipe', 'ignore'], cwd: directory });
  const [line] = await Promise.race([once(createInterface(process.stdout), 'line'), once(process, 'exit').then(([code]) => { throw new Error(`the simulator ended with ${code}`); })]);
  const [, endpoint, admin] = /^ready endpoint=(\S+) admin=(\S+)$/.exec(line);
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  const api = async (method, route, body) => {
    const response = await fetch(admin + route, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
    const answer = await response.json();
    assert.ok(response.ok, `${method} ${route}: ${JSON.stringify(answer)}`);
    return answer;
  };
  const simulator = {
    endpoint, admin, api, keys: directory, token,
    /** Sends a request as a client does, and returns what came back. */
    call: (body) => api('POST', '/call', { customer_id: 'demo', ...body }),
    /** Sends a body as it is to a customer. */
    post: (customer, body, headers = {}) => fetch(`${endpoint}/api/face-recognition/${encodeURIComponent(customer)}/CALL_FN`, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body }),
    async stop() {
      if (process.exitCode !== null || process.signalCode !== null) return;
      process.kill('SIGKILL');
      await once(process, 'exit');
    },
    async remove() {
      await this.stop();
      await fs.rm(directory, { recursive: true, force: true });
    },
  };
  t?.after(() => simulator.remove());
  return simulator;
}

/** A proxy before the admin listener, whose connections can be cut. */
export async function startProxy(simulator, t) {
  const sockets = new Set();
  let isCut = false;
  const server = net.createServer((inner) => {
    if (isCut) return inner.destroy();
    const outer = net.connect(new URL(simulator.admin).port, '127.0.0.1');
    for (const [socket, other] of [[inner, outer], [outer, inner]]) {
      sockets.add(socket);
      socket.pipe(other).on('error', () => {});
      socket.on('close', () => { sockets.delete(socket); other.destroy(); }).on('error', () => {});
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const cut = () => { isCut = true; for (const socket of sockets) socket.destroy(); };
  t.after(() => { cut(); server.close(); });
  return { ...simulator, admin: `http://127.0.0.1:${server.address().port}`, cut, mend: () => { isCut = false; } };
}

export const startBrowser = () => chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });

/** Opens the console in a context of its own. What the browser complains about is in `problems`, but for what `expected` matches. */
export async function open(browser, simulator, { hash = '', theme = 'light', language = 'en', width = 1280, height = 900, expected = /^$/, context, ...more } = {}) {
  context ??= await browser.newContext({ viewport: { width, height }, colorScheme: theme, permissions: ['clipboard-read', 'clipboard-write'], ...more });
  const page = await context.newPage();
  page.problems = [];
  const problem = (text) => { if (!expected.test(text)) page.problems.push(text); };
  page.on('pageerror', (error) => problem(`${error.stack}`));
  page.on('console', (message) => { if (['error', 'warning'].includes(message.type())) problem(message.text()); });
  await page.addInitScript((language) => {
    localStorage.setItem('frsim-language', language);
    addEventListener('securitypolicyviolation', (event) => console.error(`CSP: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
  }, language);
  await page.goto(`${simulator.admin}/${hash}`);
  page.setDefaultTimeout(10_000);
  return page;
}

/** Waits until the page follows the simulator. */
export const live = (page) => page.locator('.connection.live').waitFor();

/** Closes a page's context, and fails if the browser complained. */
export async function close(page) {
  const { problems } = page;
  await page.context().close();
  assert.deepEqual(problems, []);
}

/** Runs a test with a page, and fails on what the browser complains about. */
export async function withPage(browser, simulator, options, run) {
  const page = await open(browser, simulator, options);
  try {
    await run(page);
  } catch (error) {
    if (page.problems.length) error.message += `\nThe browser: ${page.problems.join('\n')}`;
    await page.context().close();
    throw error;
  }
  await close(page);
}

export const clipboard = (page) => page.evaluate(() => navigator.clipboard.readText());
