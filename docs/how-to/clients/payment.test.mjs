// Tests of a client. Each test has its own customer; the simulator starts once.

import assert from "node:assert/strict";
import { constants, publicEncrypt } from "node:crypto";
import { after, afterEach, before, beforeEach, test } from "node:test";

import { start } from "./dukcapil-fr-sim.mjs";

const SITI = "3174055708909001"; // one of the fictional people in the simulator's gallery

let sim, customer;
before(async () => { sim = await start(); });
after(() => sim.stop());
beforeEach(async () => { customer = await sim.customer(); });
afterEach(() => customer.delete());

/** The client under test; import yours instead. Returns the code of the answer, after at most three tries. */
async function search(photo) {
  const key = { key: customer.publicKeyPem, padding: constants.RSA_PKCS1_PADDING };
  for (let tries = 1; ; tries++) {
    const fields = { transactionId: "PAY-1", transactionSource: "payment", threshold: "7", ip: "10.0.0.1" };
    fields.image = photo.toString("base64");
    for (const name of ["user_id", "password"])
      fields[name] = publicEncrypt(key, Buffer.from(customer.account[name])).toString("base64");
    const headers = { "content-type": "application/json", accept: "application/json" };
    const answer = await (await fetch(customer.url, { method: "POST", headers, body: JSON.stringify(fields) })).json();
    const code = String(answer.errorCode ?? answer.error.errorCode);
    if (code !== "6014" || tries === 3) return code; // 6014: busy
  }
}

async function photoOf(nik) {
  const answer = await fetch(`${sim.admin}/gallery/${nik}/thumbnail`, { headers: sim.headers });
  return Buffer.from(await answer.arrayBuffer());
}

test("Siti is found", async () => {
  assert.equal(await search(await photoOf(SITI)), "6018");
  await customer.verify({ code: "6018", transaction_id: "PAY-*" }, { exactly: 1 });
});

test("busy is retried", async () => {
  await customer.rule("busy", { times: 2, reply: { code: "6014" } });
  assert.equal(await search(await photoOf(SITI)), "6018");
  await customer.verify({ code: "6014" }, { exactly: 2 });
});

test("a used up quota is not retried", async () => {
  await customer.quota({ per_day: 80, used: 80 });
  assert.equal(await search(await photoOf(SITI)), "5002");
  await customer.verify({}, { exactly: 1 });
});
