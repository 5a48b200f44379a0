#!/usr/bin/env node
// Identifies the person in a picture with the Dukcapil face recognition 1:N endpoint. Needs Node 18.11 or newer and no package.
//
//     node client.mjs --url http://127.0.0.1:8080 --customer demo --image siti.jpg --public-key public.pem
//
// Exit status: 0 answered with 6018, 1 with another code, 2 no valid answer, 64 not sent (invalid arguments or files).

import { constants, createPublicKey, publicEncrypt, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";

const SUCCESS = "6018";
const BUSY = "6014";

// The score is -log10 of the false accept rate, 0 to 20. Among 285 million people 285e6 * 10**-score strangers reach a
// score: 28 reach 7, 0.03 reach 10. A best candidate above the threshold is therefore not yet "found".
const SURE = 10;

/** No answer, or one that is not from the endpoint. */
class NoAnswer extends Error {
  constructor(words, again = true) {
    super(words);
    this.again = again;
  }
}

function options() {
  const { values } = parseArgs({
    options: {
      url: { type: "string" },
      customer: { type: "string" },
      image: { type: "string" },
      "public-key": { type: "string" },
      user: { type: "string", default: "demo-user" },
      password: { type: "string", default: "demo-password" },
      threshold: { type: "string", default: "7" },
      // Your own registered address, not the endpoint's; any other is rejected with 5003.
      ip: { type: "string", default: "127.0.0.1" },
      // Seconds. The real matcher is slow: 30 to 60 are usual.
      timeout: { type: "string", default: "30" },
      retries: { type: "string", default: "2" },
      backoff: { type: "string", default: "1" }, // seconds
    },
  });
  for (const name of ["url", "customer", "image", "public-key"]) {
    if (values[name] === undefined) throw new Error(`--${name} is needed`);
  }
  for (const name of ["threshold", "timeout", "retries", "backoff"]) {
    if (!Number.isFinite(Number(values[name]))) throw new Error(`--${name} ${values[name]} is not a number`);
  }
  return { ...values, image: readFileSync(values.image), key: createPublicKey(readFileSync(values["public-key"])) };
}

function encrypted(plain, key) {
  // publicEncrypt pads with OAEP by default, and OAEP is answered with 5006.
  const ciphertext = publicEncrypt({ key, padding: constants.RSA_PKCS1_PADDING }, Buffer.from(plain));
  return ciphertext.toString("base64"); // not base64url
}

function requestBody({ threshold, image, user, password, key, ip }, transactionId) {
  return JSON.stringify({
    transactionId,
    transactionSource: "node",
    threshold: Number(threshold), // a number, as the document's table says; its sample sends a string: both are accepted
    image: image.toString("base64"),
    user_id: encrypted(user, key),
    password: encrypted(password, key),
    ip,
  });
}

// fetch says "fetch failed" or "terminated"; the reason is in the cause: ECONNREFUSED, ECONNRESET, UND_ERR_SOCKET, ...
function words(error) {
  const { cause } = error;
  return `${error.name}: ${error.message}` + (cause ? ` (${cause.code ?? cause.name}: ${cause.message})` : "");
}

/** Sends one request. */
async function exchange({ url, customer, timeout }, body) {
  let content;
  try {
    const response = await fetch(`${url}/api/face-recognition/${customer}/CALL_FN`, {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/json" },
      body,
      // Covers the whole call, body included. Without it fetch waits 300 s for the head and again 300 s for each piece.
      signal: AbortSignal.timeout(1000 * timeout),
    });
    // Rejections have status 200. Any other status, and its body, come from a proxy or gateway.
    if (response.status !== 200) {
      await response.body?.cancel();
      throw new NoAnswer(`HTTP status ${response.status}`, response.status >= 500);
    }
    content = await response.text();
  } catch (error) {
    throw error instanceof NoAnswer ? error : new NoAnswer(words(error));
  }
  let answer;
  try {
    answer = JSON.parse(content);
  } catch (error) {
    throw new NoAnswer(`bad JSON: ${error.message}`);
  }
  if (answer?.error === undefined) throw new NoAnswer("JSON, but no answer of the endpoint");
  return answer;
}

/** Reads code and message from both answer shapes, the code as a string. */
function outcome({ error, errorCode }) {
  const [code, message] =
    typeof error === "object"
      ? [error?.errorCode, error?.errorMessage] // 5001 and 5005: nested, the code a number, and all else strings, "false" too
      : [errorCode, error]; // all others: flat, the code a string
  return { code: String(code), message: String(message).trim() }; // some messages have surrounding spaces
}

/** Returns all candidates, best first. */
function candidates(answer) {
  try {
    // JSON inside a string. 5004 has no "response", so it is read only after 6018.
    return Object.entries(JSON.parse(answer.response).face.FACE_T5)
      .map(([nik, score]) => ({ nik: nik.trim(), score }))
      .sort((a, b) => b.score - a.score);
  } catch (error) {
    throw new NoAnswer(`bad response: ${error.message}`);
  }
}

/** Sends requests until the answer is final or the retries are used up. */
async function identify(options) {
  // One id for all tries, at most 20 characters: a try whose answer was lost may have been charged, and this id is how
  // you and the operator find out. Each try encrypts again, because the padding is random.
  const transactionId = randomBytes(10).toString("hex");
  for (let attempt = 0; ; attempt++) {
    const last = attempt >= Number(options.retries);
    let reason;
    try {
      const answer = await exchange(options, requestBody(options, transactionId));
      const { code, message } = outcome(answer);
      const found = code === SUCCESS ? candidates(answer) : [];
      // Retries only 6014 (busy). A wrong account, quota, address or parameter stays wrong.
      if (code !== BUSY || last) return { code, message, found };
      reason = `${code} ${message}`;
    } catch (error) {
      if (last || !error.again) throw error;
      reason = error.message;
    }
    // Exponential backoff with jitter, so that many clients do not retry at the same time.
    const pause = options.backoff * 2 ** attempt * (0.5 + Math.random());
    console.error(`try ${attempt + 1}: ${reason}; again in ${pause.toFixed(1)} s`);
    await sleep(1000 * pause);
  }
}

async function main() {
  let given;
  try {
    given = options();
  } catch (error) {
    console.error(error.message);
    return 64;
  }
  try {
    const { code, message, found } = await identify(given);
    if (code !== SUCCESS) {
      console.log(`${code}\t${message}\nrefused`);
      return 1;
    }
    for (const { nik, score } of found) console.log(`${nik}\t${score.toFixed(2)}`);
    const sure = found.filter(({ score }) => score >= SURE).length;
    // Two nearly certain candidates are look-alikes, twins, or one person registered twice: a human decides.
    console.log(found.length === 0 ? "none" : sure === 1 ? "found" : "unsure");
    return 0;
  } catch (error) {
    if (!(error instanceof NoAnswer)) throw error;
    console.log(`${error.message}\nfailed`);
    return 2;
  }
}

process.exitCode = await main();
