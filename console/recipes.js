// @ts-check
// The scenarios of docs/how-to/scenarios.md, as what they add to a customer. A test compares them with the page and puts each of them.

/** @typedef {import('types').Schemas['RuleSpec']} Rule */
/** @typedef {{ rules?: Rule[], quota?: { per_day: number }, capacity?: import('types').Schemas['CapacitySpec'] }} Recipe */

const found = { outcome: '6018' };
/** @param {string} name @param {Partial<Rule>} rest @returns {Rule} */
const rule = (name, rest) => ({ name, when: {}, per: 'customer', ...rest });

/** By the file's name in docs/how-to/scenarios.md. @type {Record<string, Recipe>} */
export const recipes = {
  'busy-twice': { rules: [rule('busy twice per transaction', { when: found, times: 2, per: 'transaction_id', reply: { code: '6014' } })] },
  'rush-hour': { rules: [
    rule('load rises', { when: { ...found, window: '..60s' }, ramp: { from: 0, to: 1, over: '60s' }, reply: { code: '6014' } }),
    rule('nothing gets through', { when: { ...found, window: '60s..90s' }, reply: { code: '6014' } }),
    rule('it eases off', { when: { ...found, window: '90s..120s' }, exact: '1/4', reply: { code: '6014' } }),
  ] },
  'quota-at-midnight': { quota: { per_day: 3 } },
  'flaky-network': { rules: [rule('three of ten are reset', { exact: '3/10', fault: { kind: 'reset' } })] },
  'gateway-page': { rules: [rule("every third answer is the proxy's", { every: 3, fault: { kind: 'gateway_page', status: 502 } })] },
  'half-an-upload': { rules: [rule('the first upload breaks off', { times: 1, fault: { kind: 'close_during_upload', at: 0.5, end: 'rst' } })] },
  'slow-gpu': { rules: [rule('the search takes its time', { when: found, delay: { lognormal: { median: '800ms', p99: '4s' } } })] },
  'stale-keepalive': { rules: [rule('closed when idle for two seconds', { fault: { kind: 'stale_keepalive', after: '2s' } })] },
  'broken-answers': { rules: [
    rule('less than announced', { times: 1, fault: { kind: 'truncate', at: 0.5, end: 'fin' } }),
    rule('half a document', { times: 1, fault: { kind: 'body_cut', at: 0.5 } }),
  ] },
  maintenance: { rules: [rule('closed at night', {
    when: { clock: '22:00..05:00' }, checks: 'skip',
    reply: { status: 503, headers: { 'Content-Type': 'text/plain', 'Retry-After': '3600' }, body: 'Sistem sedang dalam pemeliharaan\n' },
  })] },
  outage: { rules: [
    rule('the third is the last good one', { when: { state: '' }, skip: 2, set_state: 'down' }),
    rule('down', { when: { state: 'down' }, reply: { status: 503 }, fault: { kind: 'empty_close' } }),
    rule('back after the fourth failure', { when: { state: 'down' }, skip: 3, set_state: 'up' }),
  ] },
  'new-release': { rules: [rule('5001 in the other shape', { when: { outcome: '5001', ip: '10.7.0.0/16' }, reply: { code: '5001', shape: 'identification' } })] },
  overload: { capacity: { workers: 2, queue: 4, service_time: '1s' } },
};
