// The recipes of the console are the scenarios of docs/how-to/scenarios.md.

import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';

import en from '../../console/i18n/en.js';
import { recipes } from '../../console/recipes.js';
import { startBrowser, startSimulator, withPage } from './support.mjs';

let browser, simulator, fixtures;
before(async () => {
  fixtures = await fs.mkdtemp(path.join(os.tmpdir(), 'frsim-scenarios-'));
  await fs.mkdir(path.join(fixtures, 'customers'));
  const page = await fs.readFile(new URL('../../docs/how-to/scenarios.md', import.meta.url), 'utf8');
  for (const [block, name] of page.matchAll(/^# (customers\/[\w-]+\.toml)\n[^`]*/gm)) await fs.writeFile(path.join(fixtures, name), block);
  [browser, simulator] = await Promise.all([startBrowser(), startSimulator({ args: ['--fixtures', fixtures] })]);
});
after(async () => {
  await browser.close();
  await simulator.remove();
  await fs.rm(fixtures, { recursive: true });
});

/** What holds for a customer, without what every customer has. */
const effects = async (id) => {
  const { rules } = await simulator.api('GET', `/customers/${id}/rules`);
  const { capacity } = await simulator.api('GET', `/customers/${id}`);
  const { per_day } = await simulator.api('GET', `/customers/${id}/quota`);
  return { rules, capacity: capacity ?? null, per_day };
};

test('each recipe is put by its button, and is what the document has', async () => {
  const documented = (await fs.readdir(path.join(fixtures, 'customers'))).map((name) => name.replace('.toml', ''));
  assert.deepEqual(Object.keys(recipes).sort(), documented.sort());
  for (const name of documented) {
    const wanted = await effects(name);
    // The blocks extend demo or load: the recipe adds to a customer that has neither's quota.
    const { customer_id } = await simulator.api('POST', '/customers');
    await withPage(browser, simulator, { hash: `#/customers/${customer_id}` }, async (page) => {
      await page.locator('summary', { hasText: 'Add a recipe' }).click();
      await page.getByRole('button', { name: en[`recipe_${name}`] }).click();
      await page.getByText(`Added: ${en[`recipe_${name}`]}.`).waitFor();
      const got = await effects(customer_id);
      assert.deepEqual({ ...got, per_day: null }, { ...wanted, per_day: null }, name);
      if (recipes[name].quota) assert.equal(got.per_day, wanted.per_day);
    });
  }
});

test('a rule of the form, made from the schema, comes into force, and its mistakes are said', async () => {
  const { customer_id } = await simulator.api('POST', '/customers');
  await withPage(browser, simulator, { hash: `#/customers/${customer_id}/rule`, expected: /400/ }, async (page) => {
    const form = page.locator('form.rule');
    const part = (name) => form.locator('details.part', { has: page.locator(`> summary:text-is("${name}")`) });
    await form.waitFor();
    await form.getByLabel(/^times/).fill('0');
    await form.getByLabel(/^times/).press('Tab');
    await form.getByRole('button', { name: 'Add the rule' }).click();
    await page.locator('.notice.error').waitFor();
    await form.getByLabel(/^times/).fill('2');
    await form.getByLabel(/^name/).fill('of the form');
    await part('fault').locator('summary').click();
    await part('fault').getByLabel(/^kind/).selectOption('truncate');
    await part('fault').getByLabel(/^at/).fill('0.25');
    await part('when').locator('summary').first().click();
    await part('when').getByLabel(/^outcome/).fill('6018');
    await part('when').getByLabel(/^outcome/).press('Tab');
    await form.getByRole('button', { name: 'Add the rule' }).click();
    await page.getByText('Added: of the form.').waitFor();
    const { rules } = await simulator.api('GET', `/customers/${customer_id}/rules`);
    assert.deepEqual(rules, [{ name: 'of the form', when: { outcome: '6018' }, times: 2, per: 'customer', fault: { kind: 'truncate', at: 0.25 } }]);
    // The file that the page shows is one that the simulator takes.
    const toml = await page.locator('.block pre').last().innerText();
    assert.match(toml, /\[\[rules\]\]\nname = "of the form"/);
    const own = path.join(fixtures, 'customers/shown.toml');
    await fs.writeFile(own, toml);
    const { valid, problems } = await simulator.api('POST', '/config/validate');
    assert.deepEqual([valid, problems], [true, []], toml);
    await fs.rm(own);
  });
});
