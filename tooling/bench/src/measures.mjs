// @ts-check
// What is measured on a leg in one round. Every value is keyed by the row of the table it goes to.
import { cpuSeconds } from './process-usage.mjs'

/** @typedef {import('./legs.mjs').Leg} Leg */
/** @typedef {(kind: string, options: object) => Promise<any>} Load - runs one task in the load process */

const MIB = 1024 * 1024
export const SMALL_BYTES = 1024
export const LARGE_BYTES = 100 * MIB
const LARGE_GIB = LARGE_BYTES / (1024 * MIB)
const BUSY_CONNECTIONS = 64
// short, so that a change in what else the machine does meets all legs
const BUSY_MS = 1_000
const SINGLE_MS = 500
const MIXED_MS = 700
// after its first three seconds a request costs half of what it did, after ten seconds it stays the same
const WARM_UP_MS = 10_000
// a transfer runs a function some hundred times, and the compiler wants thousands
const WARM_UP_TRANSFERS = 40

/** @type {import('./results.mjs').Rows} */
export const ROWS = {
  busyRate: { title: '1 KiB, 64 connections', unit: 'req/s', better: 'more' },
  busyP99: { title: '1 KiB, 64 connections, p99', unit: 'ms', better: 'less' },
  singleP50: { title: '1 KiB, 1 connection, p50', unit: 'ms', better: 'less' },
  mixedP50: { title: '1 KiB, 1 connection, while downloads run, p50', unit: 'ms', better: 'less' },
  mixedTimes: { title: 'the same, to the p50 without them', unit: 'times', better: 'less' },
  mixedBulk: { title: 'these downloads, 100 MiB each', unit: 'MiB/s', better: 'more' },
  download: { title: 'HTTP download, 100 MiB', unit: 'MiB/s', better: 'more' },
  upload: { title: 'HTTP upload, 100 MiB', unit: 'MiB/s', better: 'more' },
  rawDown: { title: 'TCP (adit access) download', unit: 'MiB/s', better: 'more' },
  rawUp: { title: 'TCP (adit access) upload', unit: 'MiB/s', better: 'more' },
  cpuRequests: { title: 'CPU per 100 k requests', unit: 's', better: 'less' },
  cpuDownload: { title: 'CPU per GiB, download', unit: 's', better: 'less' },
  cpuUpload: { title: 'CPU per GiB, upload', unit: 's', better: 'less' },
  cpuRaw: { title: 'CPU per GiB, TCP', unit: 's', better: 'less' },
}

/**
 * Runs everything on one leg until its processes, which are started for this, are as quick as those of
 * a tunnel that has been up for a minute.
 *
 * @param {Leg} leg
 * @param {Load} load
 * @param {Load} background - of another process, for what runs at the same time
 */
export async function warmUp(leg, load, background) {
  const small = { ...leg.web, path: `/${SMALL_BYTES}` }
  await load('requests', { ...small, connections: BUSY_CONNECTIONS, durationMs: WARM_UP_MS })
  await measure(leg, load, background)
  for (let transfer = 0; transfer < WARM_UP_TRANSFERS; transfer++) await transfers(leg, load)
}

/**
 * Runs everything once on one leg.
 *
 * @param {Leg} leg
 * @param {Load} load
 * @param {Load} background - of another process, for what runs at the same time
 * @returns {Promise<Record<string, number>>}
 */
export async function measure(leg, load, background) {
  const small = { ...leg.web, path: `/${SMALL_BYTES}` }

  const [busy, busyCpu] = await withCpu(leg, () =>
    load('requests', { ...small, connections: BUSY_CONNECTIONS, durationMs: BUSY_MS }),
  )
  const single = await load('requests', { ...small, connections: 1, durationMs: SINGLE_MS })
  const bulk = { ...leg.web, path: `/${LARGE_BYTES}`, durationMs: MIXED_MS }
  const [mixedBulk, mixed] = await Promise.all([
    background('stream', bulk),
    load('requests', { ...small, connections: 1, durationMs: MIXED_MS }),
  ])
  const { down, downCpu, up, upCpu, raw } = await transfers(leg, load)
  const values = {
    busyRate: busy.perSecond,
    busyP99: busy.p99Ms,
    singleP50: single.p50Ms,
    mixedP50: mixed.p50Ms,
    mixedTimes: mixed.p50Ms / single.p50Ms,
    mixedBulk: mixedBulk.bytesPerSecond / MIB,
    download: down.bytesPerSecond / MIB,
    upload: up.bytesPerSecond / MIB,
    cpuRequests: (busyCpu / busy.requests) * 100_000,
    cpuDownload: downCpu / LARGE_GIB,
    cpuUpload: upCpu / LARGE_GIB,
  }
  return raw === undefined ? values : { ...values, ...raw }
}

/**
 * Runs each bulk transfer once.
 *
 * @param {Leg} leg
 * @param {Load} load
 */
async function transfers(leg, load) {
  const large = { path: `/${LARGE_BYTES}`, bytes: LARGE_BYTES }
  const [down, downCpu] = await withCpu(leg, () => load('download', { ...leg.web, ...large }))
  const [up, upCpu] = await withCpu(leg, () =>
    load('upload', { ...leg.sink, path: '/upload', bytes: LARGE_BYTES }),
  )
  const raw = leg.raw === undefined ? undefined : await measureRaw(leg, load)
  return { down, downCpu, up, upCpu, raw }
}

/**
 * @param {Leg} leg
 * @param {Load} load
 */
async function measureRaw(leg, load) {
  const options = { port: leg.raw, bytes: LARGE_BYTES }
  const [[down, up], cpu] = await withCpu(leg, async () => [
    await load('raw', { ...options, direction: 'D' }),
    await load('raw', { ...options, direction: 'U' }),
  ])
  return {
    rawDown: down.bytesPerSecond / MIB,
    rawUp: up.bytesPerSecond / MIB,
    cpuRaw: cpu / (2 * LARGE_GIB),
  }
}

/**
 * @param {Leg} leg
 * @param {() => Promise<any>} work
 * @returns {Promise<[result: any, cpuSeconds: number]>}
 */
async function withCpu({ processes }, work) {
  const used = () => processes.reduce((total, { pid }) => total + cpuSeconds(pid), 0)
  const before = used()
  const result = await work()
  return [result, used() - before]
}
