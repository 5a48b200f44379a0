// dukcapil-fr-sim for tests in JavaScript, in one file to copy beside them. No dependencies; Node 18 or newer.
//
//   const sim = await start();                  // once; sim.stop() at the end
//   const customer = await sim.customer();      // one per test: its own account, rules, quota, clock, state, people and view of the
//   await customer.delete();                    // journal, so tests can run in parallel
//
// The binary is FRSIM_BINARY, or `dukcapil-fr-sim` on the PATH, or the newest build in a `target` directory above this file.
//
// A started simulator is ready when it prints a line; then the port file has its addresses. Reading the line needs no polling and ends
// when the process ends. It is stopped by `POST /shutdown`, which works on every operating system, unlike signals.

import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs/promises";
import http from "node:http";
import os from "node:os";
import path from "node:path";
import { AssertionError } from "node:assert";
import { fileURLToPath } from "node:url";

const START_TIMEOUT = 60_000; // milliseconds; a process that is not ready by then is killed
const RESPONSE_TIMEOUT = 30_000; // milliseconds for a response of the admin API
const WAIT_TIMEOUT = 660_000; // milliseconds; the admin API itself limits a wait to ten minutes

/** An error response of the admin API. `path` points to the invalid part of the body, `hint` says what to do; either may be null. */
export class ApiError extends Error {
  constructor(status, answer) {
    const { code, message, path = null, hint = null } = answer.error;
    super(`${status} ${code}: ${message}${path ? ` (at ${path})` : ""}${hint ? `; ${hint}` : ""}`);
    Object.assign(this, { name: "ApiError", status, code, path, hint, answer, detail: message });
  }
}

/** A client of a running simulator, started here or elsewhere. `token` is the value of --admin-token. */
export class Simulator {
  constructor(endpoint, admin, token) {
    this.endpoint = endpoint;
    this.admin = admin;
    this.headers = token ? { authorization: `Bearer ${token}` } : {};
    this.stop = async () => {};
  }

  /** Calls the admin API and returns its JSON response. Throws ApiError. */
  async ask(method, path, body, timeout = RESPONSE_TIMEOUT) {
    const options = { method, headers: this.headers, signal: AbortSignal.timeout(timeout), agent: false };
    const request = http.request(this.admin + path, options).end(body === undefined ? "" : JSON.stringify(body));
    const [response] = await once(request, "response");
    const json = JSON.parse(Buffer.concat(await response.toArray()).toString());
    if (response.statusCode >= 300) throw new ApiError(response.statusCode, json);
    return json;
  }

  /** Resets `journal`, `rules`, `quota`, `state`, `clock`, `gallery`, `customers` or `all`: of every customer, or of one. */
  async reset(scope = "all", customer_id) {
    await this.ask("POST", `/reset?${new URLSearchParams({ scope, ...(customer_id && { customer_id }) })}`);
  }

  /** Returns the simulator's clock, after a change as of `Customer.clock` if given. Customers' own clocks stay. */
  clock(change) {
    return this.ask(change ? "PUT" : "GET", "/clock", change);
  }

  /** Creates a customer with a generated id and account and no quota; `spec` is a customer's fixture file as JSON, with a `ttl`. */
  async customer(spec = {}) {
    return new Customer(this, await this.ask("POST", "/customers", { ttl: "10m", ...spec }));
  }
}

/** A customer of the simulator: the URL, account and key for the client under test, and the controls for the test. */
export class Customer {
  constructor(simulator, view) {
    this.simulator = simulator;
    this.id = view.customer_id;
    this.url = simulator.endpoint + view.path;
    this.account = view.account;
    this.publicKeyPem = view.public_key_pem;
    this.path = `/customers/${encodeURIComponent(this.id)}`;
  }

  /** Deletes it with its rules. Does nothing when it no longer exists. */
  async delete() {
    await this.simulator.ask("DELETE", this.path).catch((error) => {
      if (error.status !== 404) throw error;
    });
  }

  /** Creates or replaces a rule, ahead of the fixture rules: `rule("busy", { times: 2, reply: { code: "6014" } })`. */
  rule(name, spec) {
    return this.simulator.ask("PUT", `${this.path}/rules/${encodeURIComponent(name)}`, spec);
  }

  /** Returns today's quota, after setting `per_day` or `used` if given. */
  quota(change) {
    return this.simulator.ask(change ? "PUT" : "GET", `${this.path}/quota`, change);
  }

  /** Returns its clock, after `{ advance: "25h" }`, `{ now: "2026-11-21T23:59:00+07:00" }`, `{ freeze: true }` or `{ reset: true }`. */
  clock(change) {
    return this.simulator.ask(change ? "PUT" : "GET", `${this.path}/clock`, change);
  }

  /** Returns the state of its scenario, which rules test with `when: { state: ... }`, after setting it if given. */
  async state(state) {
    const answer = await this.simulator.ask(state === undefined ? "GET" : "PUT", `${this.path}/state`, state === undefined ? state : { state });
    return answer.state;
  }

  /** Enrols a person whom only this customer finds: JPG or PNG files as Buffers, and nik, name, similar. Returns the person, with NIK. */
  enrol(pictures, person = {}) {
    const files = [pictures].flat().map((picture) => Buffer.from(picture).toString("base64"));
    return this.simulator.ask("POST", "/gallery", { ...person, customer_id: this.id, pictures: files });
  }

  /** Resets its `journal`, `rules`, `quota`, `state`, `clock`, `gallery`, or `all` of them. */
  reset(scope = "all") {
    return this.simulator.reset(scope, this.id);
  }

  /** Returns its journal entries, newest first; `code`, `since`, `state` and `limit` filter them. */
  async requests(query = {}) {
    const parameters = new URLSearchParams({ limit: 10_000, ...query, customer_id: this.id });
    return (await this.simulator.ask("GET", `/requests?${parameters}`)).requests;
  }

  /** Returns the response that a body would get, and why; consumes nothing. */
  explain(body) {
    return this.simulator.ask("POST", "/explain", { customer_id: this.id, body });
  }

  /** Asserts the number of its matching requests; `count` has exactly, at_least, at_most or the last two. Failures report near misses. */
  async verify(match = {}, count = { at_least: 1 }) {
    return (await this.#assert("/requests/verify", match, { count }, RESPONSE_TIMEOUT)).count;
  }

  /** Waits for `count` of its requests, earlier ones included, and returns them, newest first. AssertionError on timeout. */
  async wait(match = {}, count = 1, timeout = "10s") {
    return (await this.#assert("/requests/wait", match, { count, timeout }, WAIT_TIMEOUT)).requests;
  }

  async #assert(path, conditions, more, timeout) {
    const match = { ...conditions, customer_id: this.id };
    try {
      return await this.simulator.ask("POST", path, { match, ...more }, timeout);
    } catch (error) {
      if (!error.answer?.nearest) throw error;
      throw new AssertionError({ message: await this.#failure(match, error) });
    }
  }

  async #failure(match, { detail, hint, answer }) {
    const lines = [];
    for (const id of answer.matched) lines.push(`  matched  #${id}  ${await this.#answer(id)}`);
    for (const { id, differs } of answer.nearest) {
      if (differs.customer_id) continue; // requests of other tests do not help
      lines.push(`  nearest  #${id}  ${await this.#answer(id)}`);
      for (const [field, { want, got }] of Object.entries(differs))
        lines.push(`           ${field}: want ${JSON.stringify(want)}, got ${JSON.stringify(got)}`);
    }
    if (lines.length === 0) lines.push(`  the journal has no requests of ${this.id}`);
    return [`${detail}: ${JSON.stringify(match)}`, ...lines, `  hint: ${hint}`].join("\n");
  }

  async #answer(id) {
    try {
      const { answer } = await this.simulator.ask("GET", `/requests/${id}`);
      return `${answer.code ?? answer.status ?? "no answer"}: ${answer.reason ?? "no reason given"}`;
    } catch (error) {
      if (error.status !== 404) throw error;
      return "no longer in the journal"; // which is a ring buffer
    }
  }
}

/** Starts a simulator on free ports with its own keys. `flags` are additional flags of `serve`, such as "--seed", "7". */
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

/** Starts a process and waits until it is ready. */
async function launch(directory, flags) {
  const args = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--keys", path.join(directory, "keys")];
  args.push("--port-file", path.join(directory, "ports"));
  // Otherwise it would load a `fixtures` directory of the project under test.
  if (!process.env.FRSIM_FIXTURES && !flags.includes("--fixtures")) {
    const empty = path.join(directory, "fixtures");
    await fs.mkdir(empty);
    args.push("--fixtures", empty);
  }
  const log = await fs.open(path.join(directory, "log"), "w");
  const child = spawn(await findBinary(), [...args, ...flags], { stdio: ["ignore", "pipe", log.fd] });
  // Resolves when the process ends, or with the error when it could not be spawned.
  child.ended = new Promise((resolve) => child.once("error", resolve).once("close", () => resolve()));
  await log.close();
  const watchdog = setTimeout(() => child.kill("SIGKILL"), START_TIMEOUT);
  // One line, once the port file is written; nothing when the process exits first.
  const ready = await Promise.race([once(child.stdout, "data"), child.ended]);
  clearTimeout(watchdog);
  if (ready instanceof Error) throw ready;
  if (ready) {
    child.stdout.resume();
    return child;
  }
  const output = await fs.readFile(path.join(directory, "log"), "utf8");
  throw new Error(`dukcapil-fr-sim did not start (exit status ${child.exitCode}): ${output.trim()}`);
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
