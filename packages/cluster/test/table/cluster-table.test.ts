import { describe, expect, it } from 'vitest'
import type { ClusterNode, ClusterRoute } from '../../src/model.ts'
import { ClusterTable } from '../../src/table/cluster-table.ts'

const nodeOf = (id: string, boot = 'b1'): ClusterNode => ({
  id,
  boot,
  address: `${id}.example:8003`,
  fingerprint: 'ab'.repeat(32),
  version: '1.0.0',
  isLeaving: false,
  load: { sessions: 0, streams: 0 },
})
const routeOf = (node: ClusterNode, epoch = 1, identity = 'ann'): ClusterRoute => ({
  node,
  epoch,
  identity,
  kind: 'http',
  sessions: 1,
  exclusive: false,
  peer: undefined,
  reuse: undefined,
  strictness: undefined,
  limits: undefined,
  agents: undefined,
  isDown: false,
  rules: undefined,
})
const web = { tenant: '', name: 'web' }
const named = (table: ClusterTable, endpoint = web) =>
  table.routes(endpoint).map(({ node, identity }) => `${node.id} ${identity}`)

describe('ClusterTable', () => {
  it('has the routes of all nodes for an endpoint, and the same empty list for none', () => {
    const table = new ClusterTable()
    const [a, b] = [table.putNode(nodeOf('a')), table.putNode(nodeOf('b'))]
    table.putRoute(web, routeOf(a))
    table.putRoute(web, routeOf(b))
    table.putRoute({ tenant: 'x', name: 'web' }, routeOf(b, 1, 'bob'))
    expect(named(table)).toEqual(['a ann', 'b ann'])
    expect(named(table, { tenant: 'x', name: 'web' })).toEqual(['b bob'])
    expect(table.size).toBe(2)
    expect(table.routes({ tenant: 'y', name: 'web' })).toBe(table.routes({ tenant: '', name: '' }))
    expect([...table.entries()].length).toBe(2)
  })

  it('replaces the route of the same node and removes those of a node that went', () => {
    const table = new ClusterTable()
    const [a, b] = [table.putNode(nodeOf('a')), table.putNode(nodeOf('b'))]
    table.putRoute(web, routeOf(a))
    table.putRoute(web, { ...routeOf(a), sessions: 2 })
    table.putRoute({ tenant: '', name: 'only-a' }, routeOf(a))
    table.putRoute(web, routeOf(b))
    expect(table.routes(web).map(({ sessions }) => sessions)).toEqual([2, 1])
    table.removeNode('a')
    expect(named(table)).toEqual(['b ann'])
    expect([table.size, [...table.nodes()].length, table.node('a')]).toEqual([1, 1, undefined])
    table.removeRoute(web, 'a')
    table.removeRoute(web, 'b')
    expect(table.size).toBe(0)
  })

  it('shows the highest epoch only, and the one below it when that is gone', () => {
    const table = new ClusterTable()
    const [a, b, c] = ['a', 'b', 'c'].map((id) => table.putNode(nodeOf(id)))
    if (a === undefined || b === undefined || c === undefined) throw new Error('no node')
    table.putRoute(web, routeOf(a, 5, 'ann'))
    table.putRoute(web, routeOf(b, 7, 'bob'))
    expect(named(table)).toEqual(['b bob'])
    table.putRoute(web, routeOf(c, 6, 'cat'))
    expect([named(table), table.size]).toEqual([['b bob'], 1])
    table.removeRoute(web, 'b')
    expect([named(table), table.size]).toEqual([['c cat'], 1])
    table.removeNode('a')
    table.removeRoute(web, 'c')
    expect([named(table), table.size]).toEqual([[], 0])
  })

  it('shows all routes of an identity, also where some know an older epoch of it', () => {
    const table = new ClusterTable()
    const [a, b, c] = ['a', 'b', 'c'].map((id) => table.putNode(nodeOf(id)))
    if (a === undefined || b === undefined || c === undefined) throw new Error('no node')
    table.putRoute(web, routeOf(a, 5))
    table.putRoute(web, routeOf(b, 7))
    table.putRoute(web, routeOf(c, 6, 'cat'))
    expect(named(table)).toEqual(['a ann', 'b ann'])
    table.removeRoute(web, 'b')
    expect(named(table)).toEqual(['c cat'])
    table.removeRoute(web, 'c')
    expect(named(table)).toEqual(['a ann'])
  })

  it('takes a lower epoch of the same node, which a database that was restored gives', () => {
    const table = new ClusterTable()
    const a = table.putNode(nodeOf('a'))
    table.putRoute(web, routeOf(a, 7))
    table.putRoute(web, routeOf(a, 5))
    expect(table.routes(web).map(({ epoch }) => epoch)).toEqual([5])
    expect(table.size).toBe(1)
  })

  it('tells of routes and nodes that came, changed and went', () => {
    const table = new ClusterTable()
    const told: string[] = []
    table.on('node', ({ id, isLeaving }, present) => told.push(`${id} ${isLeaving} ${present}`))
    table.on('route', ({ name }, { node, epoch }, present) =>
      told.push(`${name} ${node.id} ${epoch} ${present}`),
    )
    const a = table.putNode(nodeOf('a'))
    table.putNode({ ...nodeOf('a'), load: { sessions: 9, streams: 9 } })
    expect(a.load.sessions).toBe(9)
    table.putNode({ ...nodeOf('a'), isLeaving: true })
    const b = table.putNode(nodeOf('b'))
    table.putRoute(web, routeOf(a, 1))
    table.putRoute(web, routeOf(b, 2, 'bob'))
    table.removeNode('b')
    expect(told).toEqual([
      'a false true',
      'a false true',
      'a true true',
      'b false true',
      'web a 1 true',
      'web a 1 false',
      'web b 2 true',
      'web b 2 false',
      'web a 1 true',
      'b false false',
    ])
  })

  it('gives the same list of the same routes until one of them changes', () => {
    const table = new ClusterTable()
    const [a, b] = [table.putNode(nodeOf('a')), table.putNode(nodeOf('b'))]
    table.putRoute(web, routeOf(a))
    const [first, list] = [table.routes(web)[0], table.routes(web)]
    table.putRoute({ tenant: '', name: 'other' }, routeOf(b))
    expect(table.routes(web)).toBe(list)
    table.putRoute(web, routeOf(b))
    expect(table.routes(web)).not.toBe(list)
    expect(list.length).toBe(1)
    expect(table.routes(web)[0]).toBe(first)
    table.putRoute(web, { ...routeOf(a), rules: '[]' })
    expect(table.routes(web)[0]).not.toBe(first)
  })

  it('keeps the routes of a node that a snapshot has, and drops the rest', () => {
    const table = new ClusterTable()
    const a = table.putNode(nodeOf('a'))
    for (const name of ['one', 'two', 'three']) table.putRoute({ tenant: '', name }, routeOf(a))
    const kept = table.routes({ tenant: '', name: 'two' })[0]
    table.retainRoutes('a', (route) => route === kept)
    expect([...table.entries()].map(([{ name }]) => name)).toEqual(['two'])
  })
})
