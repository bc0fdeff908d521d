// @ts-check
// What is measured on a leg in one round. Every value is keyed by the row of the table it goes to.
import { cpuSeconds } from './process-usage.mjs'

/** @typedef {import('./legs.mjs').Leg} Leg */
/** @typedef {(kind: string, options: object) => Promise<any>} Load - runs one task in the load process */

const MIB = 1024 * 1024
export const SMALL_BYTES = 1024
export const LARGE_BYTES = 100 * MIB
const BUSY_CONNECTIONS = 64
const BUSY_MS = 2_000
const SINGLE_MS = 1_000

/**
 * The rows, in order. `better` says which direction a ratio should go.
 *
 * @type {Readonly<Record<string, { title: string, unit: string, better: 'more' | 'less' }>>}
 */
export const ROWS = {
  busyRate: { title: '1 KiB, 64 connections', unit: 'req/s', better: 'more' },
  busyP99: { title: '1 KiB, 64 connections, p99', unit: 'ms', better: 'less' },
  singleP50: { title: '1 KiB, 1 connection, p50', unit: 'ms', better: 'less' },
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
 * Runs everything once on one leg.
 *
 * @param {Leg} leg
 * @param {Load} load
 * @returns {Promise<Record<string, number>>}
 */
export async function measure(leg, load) {
  const small = { ...leg.web, path: `/${SMALL_BYTES}` }
  const large = { path: `/${LARGE_BYTES}`, bytes: LARGE_BYTES }
  const gib = LARGE_BYTES / (1024 * MIB)

  const [busy, busyCpu] = await withCpu(leg, () =>
    load('requests', { ...small, connections: BUSY_CONNECTIONS, durationMs: BUSY_MS }),
  )
  const single = await load('requests', { ...small, connections: 1, durationMs: SINGLE_MS })
  const [down, downCpu] = await withCpu(leg, () => load('download', { ...leg.web, ...large }))
  const [up, upCpu] = await withCpu(leg, () =>
    load('upload', { ...leg.sink, path: '/upload', bytes: LARGE_BYTES }),
  )
  const values = {
    busyRate: busy.perSecond,
    busyP99: busy.p99Ms,
    singleP50: single.p50Ms,
    download: down.bytesPerSecond / MIB,
    upload: up.bytesPerSecond / MIB,
    cpuRequests: (busyCpu / busy.requests) * 100_000,
    cpuDownload: downCpu / gib,
    cpuUpload: upCpu / gib,
  }
  return leg.raw === undefined ? values : { ...values, ...(await measureRaw(leg, load, gib)) }
}

/**
 * @param {Leg} leg
 * @param {Load} load
 * @param {number} gib
 */
async function measureRaw(leg, load, gib) {
  const options = { port: leg.raw, bytes: LARGE_BYTES }
  const [[down, up], cpu] = await withCpu(leg, async () => [
    await load('raw', { ...options, direction: 'D' }),
    await load('raw', { ...options, direction: 'U' }),
  ])
  return {
    rawDown: down.bytesPerSecond / MIB,
    rawUp: up.bytesPerSecond / MIB,
    cpuRaw: cpu / (2 * gib),
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
