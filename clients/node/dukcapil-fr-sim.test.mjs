// Tests of the helper: `node --test clients/node`.

import assert from "node:assert/strict";
import { constants, publicEncrypt } from "node:crypto";
import fs from "node:fs/promises";
import http from "node:http";
import os from "node:os";
import path from "node:path";
import { once } from "node:events";
import { after, afterEach, before, beforeEach, test } from "node:test";

import { ApiError, Simulator, start } from "./dukcapil-fr-sim.mjs";

// One pixel instead of a photo: these tests are about the other checks.
const PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==";

let sim, customer;
before(async () => { sim = await start(); });
after(() => sim.stop());
beforeEach(async () => { customer = await sim.customer(); });
afterEach(() => customer.delete());

/** Returns a valid request of the customer. */
function body(customer, changed = {}) {
  const key = { key: customer.publicKeyPem, padding: constants.RSA_PKCS1_PADDING };
  const encrypt = (text) => publicEncrypt(key, Buffer.from(text)).toString("base64");
  return {
    transactionId: "T-1",
    transactionSource: "node",
    threshold: "7",
    image: PIXEL,
    user_id: encrypt(customer.account.user_id),
    password: encrypt(customer.account.password),
    ip: "10.0.0.1",
    ...changed,
  };
}

/** Posts a request as a client does and returns the code of the response. */
async function post(customer, changed) {
  const headers = { "content-type": "application/json", accept: "application/json" };
  const request = http.request(customer.url, { method: "POST", headers, agent: false });
  request.end(JSON.stringify(body(customer, changed)));
  const [response] = await once(request, "response");
  const answer = JSON.parse(Buffer.concat(await response.toArray()).toString());
  return String(answer.error?.errorCode ?? answer.errorCode);
}

test("a valid request is answered and verified", async () => {
  assert.equal(await post(customer), "6018");
  assert.equal(await customer.verify({ code: "6018", transaction_id: "T-*" }, { exactly: 1 }), 1);
  assert.equal(await customer.verify(), 1);
  assert.equal((await customer.requests({ code: "6018" }))[0].request.transaction_id, "T-1");
  assert.deepEqual(await customer.requests({ code: "5001" }), []);
});

test("parallel tests are isolated", async () => {
  await Promise.all([0, 1, 2, 3].map(async (number) => {
    const own = await sim.customer({ quota: { per_day: number } });
    const codes = await Promise.all(Array.from({ length: number + 2 }, () => post(own)));
    assert.deepEqual(codes.sort(), ["5002", "5002", ...Array(number).fill("6018")]);
    await own.verify({ code: "6018" }, { exactly: number });
    await own.delete();
    await own.delete();
    await assert.rejects(own.quota(), { name: "ApiError", status: 404, code: "not_found" });
  }));
  assert.deepEqual(await customer.requests(), []);
});

test("a rule scripts the next answers", async () => {
  await customer.rule("busy twice", { when: { outcome: "6018" }, times: 2, reply: { code: "6014" } });
  assert.deepEqual([await post(customer), await post(customer), await post(customer)], ["6014", "6014", "6018"]);
});

test("quota is reset when the clock passes midnight", async () => {
  await customer.clock({ now: "2026-11-21T23:59:00+07:00" });
  assert.equal((await customer.quota({ per_day: 1 })).left, 1);
  assert.deepEqual([await post(customer), await post(customer)], ["6018", "5002"]);
  assert.match((await customer.clock({ advance: "2m" })).now, /^2026-11-22T00:01:00/);
  assert.equal(await post(customer), "6018");
  assert.equal((await customer.quota()).used, 1);
  assert.equal((await customer.clock()).frozen, true);
});

test("a scenario has a state", async () => {
  await customer.rule("down", { when: { state: "down" }, reply: { code: "6014" } });
  assert.equal(await customer.state(), "");
  assert.equal(await customer.state("down"), "down");
  assert.equal(await post(customer), "6014");
  assert.equal(await customer.state(""), "");
  assert.equal(await post(customer), "6018");
});

test("an enrolled person is found by this customer only", async () => {
  const photo = await fs.readFile(new URL("../../fixtures/gallery/andi.png", import.meta.url));
  const person = await customer.enrol(photo, { nik: "3273010101909777", name: "Baru" });
  assert.deepEqual([person.nik, person.name, person.customer_id], ["3273010101909777", "Baru", customer.id]);
  const other = await sim.customer();
  for (const [one, number] of [[other, 1], [customer, 2]]) {
    assert.equal(await post(one, { image: photo.toString("base64") }), "6018");
    assert.equal((await one.requests())[0].answer.candidates.length, number);
  }
  await other.delete();
});

test("reset takes a customer back to its start", async () => {
  await customer.rule("busy", { reply: { code: "6014" } });
  await customer.state("down");
  assert.equal(await post(customer), "6014");
  await customer.reset("journal");
  assert.deepEqual(await customer.requests(), []);
  await customer.reset();
  assert.deepEqual([await customer.state(), await post(customer)], ["", "6018"]);
});

test("explain says why and consumes nothing", async () => {
  const explained = await customer.explain(body(customer, { threshold: "21" }));
  assert.equal(explained.code, "5005");
  assert.match(explained.findings.find(({ check }) => check === "threshold").reason, /21/);
  assert.deepEqual(await customer.requests(), []);
});

test("a failed verify reports near misses and reasons", async () => {
  await post(customer, { transactionId: "T-2", password: "AAAA" });
  const error = await customer.verify({ code: "6018", transaction_id: "T-1" }, { exactly: 1 }).catch((error) => error);
  assert.equal(error.name, "AssertionError");
  const lines = error.message.split("\n");
  const [{ id }] = await customer.requests();
  assert.equal(lines[0], `0 requests found, expected exactly 1: {"code":"6018","transaction_id":"T-1","customer_id":"${customer.id}"}`);
  assert.ok(lines[1].startsWith(`  nearest  #${id}  5006: password has the wrong length for the key: 3 bytes`), lines[1]);
  assert.deepEqual(lines.slice(2, 4), ['           code: want "6018", got "5006"', '           transaction_id: want "T-1", got "T-2"']);
  assert.match(lines[4], /^ {2}hint: /);
});

test("a failed verify lists the matches when there are too many, and nothing of other tests", async () => {
  const other = await sim.customer();
  await post(other);
  await assert.rejects(customer.verify({ code: "6018" }), { message: new RegExp(`the journal has no requests of ${customer.id}`) });
  await assert.rejects(other.verify({}, { at_most: 0 }), { message: /^1 request found, expected at most 0.*\n {2}matched {2}#\d+ {2}6018: / });
  await other.delete();
});

test("wait waits for requests that others make", async () => {
  const waiting = customer.wait({ state: "done" }, 2);
  await post(customer);
  await post(customer);
  assert.deepEqual((await waiting).map(({ ordinal }) => ordinal), [2, 1]);
  await assert.rejects(customer.wait({}, 3, "1ms"), { name: "AssertionError", message: /^2 requests of 3 came within 1ms/ });
});

test("an error of the API is an error with a hint", async () => {
  await assert.rejects(customer.rule("x", { tims: 2 }), (error) => {
    assert.ok(error instanceof ApiError);
    assert.deepEqual([error.status, error.code, error.path, error.hint], [400, "invalid", "/tims", "did you mean `times`?"]);
    assert.match(error.message, /^400 invalid: unknown key `tims`.*\(at \/tims\); did you mean/);
    return true;
  });
});

/** Runs `work` with its own temporary directory and returns the names of the files left in it. */
async function withTemporary(environment, work) {
  const directory = await fs.mkdtemp(path.join(os.tmpdir(), "frsim-test-"));
  const kept = { ...process.env };
  const temporary = { TMPDIR: directory, TEMP: directory, TMP: directory };
  Object.assign(process.env, temporary, environment);
  try {
    await work(directory);
    return await fs.readdir(directory);
  } finally {
    for (const name of [...Object.keys(temporary), ...Object.keys(environment)])
      if (name in kept) process.env[name] = kept[name];
      else delete process.env[name];
    await fs.rm(directory, { recursive: true });
  }
}

test("a stopped simulator leaves nothing behind", async () => {
  const left = await withTemporary({ FRSIM_ADMIN_TOKEN: "secret" }, async (directory) => {
    const own = await start("--seed", "7");
    assert.equal((await fs.readdir(directory)).length, 1);
    assert.equal((await own.ask("GET", "/config")).seed, 7);
    assert.equal((await own.clock({ now: "2026-11-21T10:00:00+07:00" })).now, "2026-11-21T10:00:00+07:00");
    await own.reset("clock");
    assert.equal((await own.clock()).frozen, false);
    await assert.rejects(new Simulator(own.endpoint, own.admin).ask("GET", "/customers"), { status: 401 });
    await own.stop();
    await own.stop();
    await assert.rejects(own.ask("GET", "/ready"), { code: "ECONNREFUSED" });
  });
  assert.deepEqual(left, []);
});

test("a failed start reports the reason", async () => {
  const left = await withTemporary({}, async () => {
    await assert.rejects(start("--layout", "pretty"), { message: /did not start \(exit status 2\): .*--layout/s });
  });
  assert.deepEqual(left, []);
  const nowhere = await withTemporary({ FRSIM_BINARY: "/no/such/binary" }, () => assert.rejects(start(), { code: "ENOENT" }));
  assert.deepEqual(nowhere, []);
});
