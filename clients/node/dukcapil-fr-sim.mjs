// dukcapil-fr-sim for tests in JavaScript, in one file to copy beside them. No dependencies; Node 18 or newer.
//
//   const sim = await start();                  // once; sim.stop() at the end
//   const customer = await sim.customer();      // one a test: its own account, rules, quota, clock and view of the journal,
//   await customer.delete();                    // so tests that run in parallel never meet
//
// The binary is FRSIM_BINARY, or `dukcapil-fr-sim` on the PATH, or the newest built in a `target` directory above this file.

import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs/promises";
import http from "node:http";
import os from "node:os";
import path from "node:path";
import { AssertionError } from "node:assert";
import { fileURLToPath } from "node:url";

const START_LIMIT = 60_000; // milliseconds; what has not started by then is ended
const ANSWER_LIMIT = 30_000; // milliseconds for an answer of the admin API
const WAIT_LIMIT = 660_000; // milliseconds; the admin API itself ends a wait after ten minutes at most

/** The admin API refuses. `path` points to what is wrong in the body, `hint` says what to do; either may be null. */
export class ApiError extends Error {
  constructor(status, answer) {
    const { code, message, path = null, hint = null } = answer.error;
    super(`${status} ${code}: ${message}${path ? ` (at ${path})` : ""}${hint ? `; ${hint}` : ""}`);
    Object.assign(this, { name: "ApiError", status, code, path, hint, answer, said: message });
  }
}

/** A running simulator, whoever started it. The token is that of --admin-token. */
export class Simulator {
  constructor(endpoint, admin, token) {
    this.endpoint = endpoint;
    this.admin = admin;
    this.headers = token ? { authorization: `Bearer ${token}` } : {};
    this.stop = async () => {};
  }

  /** Calls the admin API; gives the JSON that it answers. Throws ApiError. */
  async ask(method, path, body, timeout = ANSWER_LIMIT) {
    const options = { method, headers: this.headers, signal: AbortSignal.timeout(timeout), agent: false };
    const request = http.request(this.admin + path, options).end(body === undefined ? "" : JSON.stringify(body));
    const [answer] = await once(request, "response");
    const json = JSON.parse(Buffer.concat(await answer.toArray()).toString());
    if (answer.statusCode >= 300) throw new ApiError(answer.statusCode, json);
    return json;
  }

  /** A customer with a made-up id and account and no quota; `spec` is a customer's fixture file as JSON, with a `ttl`. */
  async customer(spec = {}) {
    return new Customer(this, await this.ask("POST", "/customers", { ttl: "10m", ...spec }));
  }
}

/** A customer of the simulator: what a client under test is given, and what a test steers and asks. */
export class Customer {
  constructor(simulator, view) {
    this.simulator = simulator;
    this.id = view.customer_id;
    this.url = simulator.endpoint + view.path;
    this.account = view.account;
    this.publicKeyPem = view.public_key_pem;
    this.path = `/customers/${encodeURIComponent(this.id)}`;
  }

  /** Takes it away with its rules. That it is gone already is no error. */
  async delete() {
    await this.simulator.ask("DELETE", this.path).catch((error) => {
      if (error.status !== 404) throw error;
    });
  }

  /** Puts a rule, before those of the fixtures: `rule("busy", { times: 2, reply: { code: "6014" } })`. */
  rule(name, spec) {
    return this.simulator.ask("PUT", `${this.path}/rules/${encodeURIComponent(name)}`, spec);
  }

  /** Today's quota, after setting `per_day` or `used` where given. */
  quota(change) {
    return this.simulator.ask(change ? "PUT" : "GET", `${this.path}/quota`, change);
  }

  /** The customer's clock, after `{ advance: "25h" }`, `{ now: "2026-11-21T23:59:00+07:00" }`, `{ freeze: true }` or `{ reset: true }`. */
  clock(change) {
    return this.simulator.ask(change ? "PUT" : "GET", `${this.path}/clock`, change);
  }

  /** Its journal, newest first; `code`, `since`, `state` and `limit` narrow it. */
  async requests(query = {}) {
    const wanted = new URLSearchParams({ limit: 10_000, ...query, customer_id: this.id });
    return (await this.simulator.ask("GET", `/requests?${wanted}`)).requests;
  }

  /** What would be answered to a body, and why; consumes nothing. */
  explain(body) {
    return this.simulator.ask("POST", "/explain", { customer_id: this.id, body });
  }

  /** Asserts how many of its requests there were; `count` is exactly, at_least, at_most or the last two. The failure says what came near. */
  async verify(match = {}, count = { at_least: 1 }) {
    return (await this.#assert("/requests/verify", match, { count }, ANSWER_LIMIT)).count;
  }

  /** Its requests, newest first, once there are `count`; those made before count too. An AssertionError when the time is over. */
  async wait(match = {}, count = 1, timeout = "10s") {
    return (await this.#assert("/requests/wait", match, { count, timeout }, WAIT_LIMIT)).requests;
  }

  async #assert(path, wanted, more, timeout) {
    const match = { ...wanted, customer_id: this.id };
    try {
      return await this.simulator.ask("POST", path, { match, ...more }, timeout);
    } catch (error) {
      if (!error.answer?.nearest) throw error;
      throw new AssertionError({ message: await this.#failure(match, error) });
    }
  }

  async #failure(match, { said, hint, answer }) {
    const lines = [];
    for (const id of answer.matched) lines.push(`  matched  #${id}  ${await this.#answer(id)}`);
    for (const { id, differs } of answer.nearest) {
      if (differs.customer_id) continue; // what other tests did is no help
      lines.push(`  nearest  #${id}  ${await this.#answer(id)}`);
      for (const [field, { want, got }] of Object.entries(differs))
        lines.push(`           ${field}: want ${JSON.stringify(want)}, got ${JSON.stringify(got)}`);
    }
    if (lines.length === 0) lines.push(`  the journal has nothing of ${this.id}`);
    return [`${said}: ${JSON.stringify(match)}`, ...lines, `  hint: ${hint}`].join("\n");
  }

  async #answer(id) {
    try {
      const { answer } = await this.simulator.ask("GET", `/requests/${id}`);
      return `${answer.code ?? answer.status ?? "no answer"}: ${answer.reason ?? "no reason given"}`;
    } catch (error) {
      if (error.status !== 404) throw error;
      return "no longer in the journal"; // which is a ring
    }
  }
}

/** A simulator on free ports with keys of its own. `flags` are more flags of `serve`, such as "--seed", "7". */
export async function start(...flags) {
  const directory = await fs.mkdtemp(path.join(os.tmpdir(), "frsim-"));
  let child;
  const end = async () => {
    child?.kill("SIGKILL");
    await child?.ended;
    await fs.rm(directory, { recursive: true, force: true });
  };
  try {
    child = await launch(directory, flags);
    const { endpoint, admin } = JSON.parse(await fs.readFile(path.join(directory, "ports"), "utf8"));
    const simulator = new Simulator(endpoint, admin, process.env.FRSIM_ADMIN_TOKEN);
    simulator.stop = () => shutDown(simulator, child).finally(end);
    return simulator;
  } catch (error) {
    await end();
    throw error;
  }
}

async function shutDown(simulator, child) {
  if (child.exitCode !== null) return;
  await simulator.ask("POST", "/shutdown");
  await child.ended;
}

/** A process that has said it is ready. */
async function launch(directory, flags) {
  const args = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--keys", path.join(directory, "keys")];
  args.push("--port-file", path.join(directory, "ports"));
  // Without this it would take a `fixtures` directory of the project under test for its own.
  if (!process.env.FRSIM_FIXTURES && !flags.includes("--fixtures")) {
    const none = path.join(directory, "fixtures");
    await fs.mkdir(none);
    args.push("--fixtures", none);
  }
  const log = await fs.open(path.join(directory, "log"), "w");
  const child = spawn(await findBinary(), [...args, ...flags], { stdio: ["ignore", "pipe", log.fd] });
  // Ended or never begun; an error is the reason for the latter.
  child.ended = new Promise((resolve) => child.once("error", resolve).once("close", () => resolve()));
  await log.close();
  const tooLate = setTimeout(() => child.kill("SIGKILL"), START_LIMIT);
  // One line, after the port file is written; nothing, when it ends before.
  const ready = await Promise.race([once(child.stdout, "data"), child.ended]);
  clearTimeout(tooLate);
  if (ready instanceof Error) throw ready;
  if (ready) {
    child.stdout.resume();
    return child;
  }
  const said = await fs.readFile(path.join(directory, "log"), "utf8");
  throw new Error(`dukcapil-fr-sim did not start (exit status ${child.exitCode}): ${said.trim()}`);
}

async function findBinary() {
  const name = `dukcapil-fr-sim${process.platform === "win32" ? ".exe" : ""}`;
  if (process.env.FRSIM_BINARY) return process.env.FRSIM_BINARY;
  for (const directory of (process.env.PATH ?? "").split(path.delimiter))
    if (await built(path.join(directory, name))) return path.join(directory, name);
  const here = fileURLToPath(import.meta.url);
  for (let directory = path.dirname(here), above; directory !== above; above = directory, directory = path.dirname(directory)) {
    const found = await Promise.all(["release", "debug"].map((profile) => built(path.join(directory, "target", profile, name))));
    const [newest] = found.filter(Boolean).sort((a, b) => b.time - a.time);
    if (newest) return newest.file;
  }
  throw new Error(`no ${name}: set FRSIM_BINARY, put it on the PATH, or \`cargo build\` above ${here}`);
}

async function built(file) {
  const found = await fs.stat(file).catch(() => null);
  return found?.isFile() ? { file, time: found.mtimeMs } : null;
}
