// What the page knows: the newest overview, the last minutes of each figure, the events.

/** Number of samples kept: five minutes, one a second. */
export const SAMPLES = 300;

const EVENTS = 500;

export const state = { overview: null, events: [], series: new Map(), spans: [] };

function put(name, value) {
  let list = state.series.get(name);
  if (!list) state.series.set(name, (list = { values: [], at: 0 }));
  // A series that was away has a gap there.
  const missing = Math.min(SAMPLES, state.samples - list.at - 1);
  if (list.at && missing > 0) list.values.push(...new Array(missing).fill(null));
  list.values.push(value);
  if (list.values.length > SAMPLES) list.values.splice(0, list.values.length - SAMPLES);
  list.at = state.samples;
}

/** Seconds that charts show: what there is, from one minute up. */
export const span = () => Math.min(SAMPLES, Math.max(60, state.samples));

/** The last values of a figure. */
export const series = (name) => (state.series.get(name) || { values: [] }).values;

/** Key of an endpoint. */
export const endpointKey = (pool, endpoint) => `endpoint ${pool.name} ${endpoint.address}`;

function traffic(name, it) {
  put(`${name} rate`, it.per_second);
  put(`${name} failed`, it.failed_per_second ?? it.pool_failed_per_second);
  for (const q of ["p50", "p90", "p99"]) put(`${name} ${q}`, it.latency[`${q}_ms`]);
}

state.samples = 0;

/** Milliseconds between two overviews from which on the time between them is a gap in the charts. */
const GAP = 2500;

/** Takes a new overview in. */
export function sample(overview) {
  // What another process has counted says nothing about this one.
  const before = state.overview && state.overview.status.pid === overview.status.pid ? state.overview : null;
  const passed = state.overview ? overview.time_unix_ms - state.overview.time_unix_ms : 0;
  state.overview = overview;
  // The proxy tells all pages the same sample, and one page may ask twice within a second.
  if (before && passed === 0) return;
  state.samples += passed > GAP ? Math.round(passed / 1000) : 1;
  // After a break more time has passed than was measured: the proxy may have gone on for another page.
  const seconds = (before && passed > 0 ? passed : overview.over_ms) / 1000;
  traffic("all", overview.requests);
  for (const it of overview.routes) traffic(`route ${it.name}`, it);
  for (const it of overview.attempts) traffic(`pool ${it.pool} ${it.version}`, it);
  const picks = new Map();
  for (const pool of before ? before.pools : []) {
    for (const it of pool.endpoints) picks.set(endpointKey(pool, it), it.picks);
  }
  for (const pool of overview.pools) {
    for (const it of pool.endpoints) {
      const key = endpointKey(pool, it);
      const old = picks.has(key) ? picks.get(key) : it.picks;
      put(`${key} rate`, Math.max(0, it.picks - old) / seconds);
    }
  }
  const rollouts = new Map((before ? before.rollouts : []).map((it) => [it.name, it]));
  for (const it of overview.rollouts) {
    put(`rollout ${it.name} share`, it.share * 100);
    for (const side of ["baseline", "candidate"]) {
      const now = it.versions[side];
      const old = (rollouts.get(it.name) || it).versions[side];
      const served = Math.max(0, now.served.requests - old.served.requests);
      const failed = Math.max(0, now.served.failures - old.served.failures);
      put(`rollout ${it.name} ${side} rate`, served / seconds);
      put(`rollout ${it.name} ${side} failed`, served > 0 ? (failed / served) * 100 : null);
      put(`rollout ${it.name} ${side} p99`, now.step.requests > 0 ? now.step.p99_ms : null);
    }
  }
  for (const [name, list] of state.series) {
    if (state.samples - list.at > SAMPLES) state.series.delete(name);
  }
}

/** Takes an event in; after a break some come again. */
export function event(data) {
  const last = state.events[0];
  if (last && data.id <= last.id) {
    // Ids that begin anew are of a new process.
    if (state.events.some((it) => it.id === data.id && it.time === data.time)) return false;
  }
  state.events.unshift(data);
  state.events.length = Math.min(state.events.length, EVENTS);
  return true;
}
