// @ts-check
// What a cluster costs: how soon a registration is seen by all of three nodes, what the table takes of memory and
// how long a lookup and its first snapshot take. Needs a build, and a PostgreSQL (Debian package postgresql).
//
//     node --expose-gc tooling/bench/src/cluster.mjs [--seconds 10] [--rate 100] [--endpoints 100000]
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { register } from 'tsx/esm/api'
import { ClusterTable, Membership, PostgresEngine } from '@proj/cluster'

/** @typedef {import('@proj/cluster').ClusterNode} ClusterNode */

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '10' },
    rate: { type: 'string', default: '100' },
    endpoints: { type: 'string', default: '100000' },
  },
})
const seconds = Number(values.seconds)
const rate = Number(values.rate)
const endpoints = Number(values.endpoints)
const NODES = 3
const IDENTITIES = 1_000
const { signal } = new AbortController()

register()
const { PostgresServer, postgresMissing } = await import('@proj/testkit/postgres-server')

measureTable()
const missing = postgresMissing()
if (missing === undefined) {
  const server = await PostgresServer.start()
  try {
    await measureRegistrations(await server.createDatabase())
    await measureSnapshot(server)
  } finally {
    await server[Symbol.asyncDispose]()
  }
} else console.log(`no database: ${missing}`)

/**
 * @param {string} id
 * @returns {ClusterNode}
 */
function nodeOf(id) {
  const load = { sessions: 0, streams: 0 }
  const fingerprint = 'ab'.repeat(32)
  return {
    id,
    boot: `${id}-1`,
    address: `${id}:8003`,
    fingerprint,
    version: '1',
    isLeaving: false,
    load,
  }
}

/** Bytes of each endpoint in the table, and lookups in a small and a large one. */
function measureTable() {
  const { gc } = globalThis
  if (gc === undefined) throw new Error('run it with --expose-gc')
  const small = tableOf(10)
  gc()
  const before = process.memoryUsage().heapUsed
  const large = tableOf(endpoints)
  gc()
  const bytes = (process.memoryUsage().heapUsed - before) / endpoints
  console.log(
    `table of ${endpoints} endpoints of ${IDENTITIES} identities: ${bytes.toFixed(0)} bytes each`,
  )
  const rounds = Array.from({ length: 7 }, () => [lookupNs(small, 10), lookupNs(large, endpoints)])
  const [few = 0, many = 0] = [0, 1].map((at) => median(rounds.map((round) => round[at] ?? 0)))
  console.log(
    `lookup: ${few.toFixed(0)} ns with 10 endpoints, ${many.toFixed(0)} ns with ${endpoints}`,
  )
}

/** @param {number} size */
function tableOf(size) {
  const table = new ClusterTable()
  const node = table.putNode(nodeOf('a'))
  for (let at = 0; at < size; at++) {
    // texts of their own, as they come from a database
    const name = Buffer.from(`endpoint-${at}`).toString()
    const identity = Buffer.from(`token:${at % IDENTITIES}`).toString()
    const none = undefined
    const facts = { identity, kind: /** @type {const} */ ('http'), sessions: 1, exclusive: false }
    const said = { reuse: none, strictness: none, rules: none, limits: none }
    const rest = { peer: none, ...said, agents: none, isDown: false }
    table.putRoute({ tenant: '', name }, { ...facts, ...rest, node, epoch: Date.now() * 1000 + at })
  }
  return table
}

/**
 * @param {ClusterTable} table
 * @param {number} size
 */
function lookupNs(table, size) {
  // the same number of names in both: what is measured is the table and not the cache of the processor
  const names = Array.from({ length: 10 }, (_, at) => {
    return { tenant: '', name: Buffer.from(`endpoint-${(at * (size / 10)) | 0}`).toString() }
  })
  let found = 0
  for (const name of names) found += table.routes(name).length // warm, and the hashes of the names are made
  const startedAt = performance.now()
  for (let round = 0; round < 30_000; round++) {
    for (const name of names) found += table.routes(name).length
  }
  if (found !== 300_010) throw new Error(`${found} found`)
  return ((performance.now() - startedAt) * 1e6) / 300_000
}

/** @param {string} url */
async function measureRegistrations(url) {
  const nodes = await Promise.all(
    Array.from({ length: NODES }, async (_, at) => {
      const membership = new Membership(new PostgresEngine({ url }), nodeOf(`n${at}`))
      await membership.start(signal)
      return membership
    }),
  )
  /** @type {Map<string, { at: number, missing: number }>} */
  const waiting = new Map()
  /** @type {number[]} */
  const times = []
  for (const { table } of nodes) {
    table.on('route', ({ name }, _, present) => {
      const one = waiting.get(name)
      if (!present || one === undefined) return
      one.missing -= 1
      if (one.missing > 0) return
      times.push(performance.now() - one.at)
      waiting.delete(name)
    })
  }
  await delay(2_000)
  const count = rate * seconds
  const startedAt = performance.now()
  for (let at = 0; at < count; at++) {
    await delay(Math.max(0, startedAt + (at * 1_000) / rate - performance.now()))
    const node = nodes[at % NODES]
    const endpoint = { tenant: '', name: `r${at}` }
    waiting.set(endpoint.name, { at: performance.now(), missing: NODES - 1 })
    void node?.take({ endpoint, identity: 'ann' }, new AbortController().signal).then((answer) => {
      if (!('release' in answer)) throw new Error('not granted')
      const none = undefined
      const facts = { kind: /** @type {const} */ ('http'), sessions: 1 }
      node.announce(endpoint, {
        ...facts,
        reuse: none,
        strictness: none,
        rules: none,
        limits: none,
        agents: none,
        isDown: false,
      })
    })
  }
  const limit = performance.now() + 10_000
  while (waiting.size > 0 && performance.now() < limit) await delay(20)
  times.sort((one, other) => one - other)
  const [p50, p99, max] = [0.5, 0.99, 1].map(
    (part) => times[Math.ceil(times.length * part) - 1] ?? 0,
  )
  console.log(
    `registration seen by ${NODES} nodes at ${rate}/s: ${times.length} of ${count}, ` +
      `p50 ${p50?.toFixed(0)} ms, p99 ${p99?.toFixed(0)} ms, max ${max?.toFixed(0)} ms`,
  )
  await Promise.all(nodes.map((node) => node.close()))
}

/**
 * The rows of a node that serves all endpoints are made in SQL: what is measured is reading them.
 *
 * @param {import('@proj/testkit/postgres-server').PostgresServer} server
 */
async function measureSnapshot(server) {
  const url = await server.createDatabase()
  const options = { leaseMs: 600_000 }
  const a = new Membership(new PostgresEngine({ url }), nodeOf('a'), options)
  await a.start(signal)
  await server.query(
    url,
    `insert into adit_cluster_route
       select 'a', '', 'endpoint-' || i, i, false, 1700000000000000 + i, 'token:' || i % ${IDENTITIES}, 'http', 1,
         false, null, null, null, null, now() from generate_series(1, ${endpoints}) i;
     update adit_cluster_node set head = ${endpoints}`,
  )
  const b = new Membership(new PostgresEngine({ url }), nodeOf('b'), options)
  const startedAt = performance.now()
  const before = process.cpuUsage()
  await b.start(signal)
  while (b.table.size < endpoints) await delay(5)
  const { user } = process.cpuUsage(before)
  const ms = performance.now() - startedAt
  console.log(
    `first snapshot of ${endpoints}: ${ms.toFixed(0)} ms, ${(user / 1000).toFixed(0)} of them in this process`,
  )
  await Promise.all([a.close(), b.close()])
}

/** @param {number[]} numbers */
function median(numbers) {
  const sorted = numbers.toSorted((one, other) => one - other)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}
