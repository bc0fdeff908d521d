// Pages that agents give for their endpoints, over HTTP on the upstream port, and what visitors get.
import { Agent, reserveName, setOfflinePage } from '@proj/tunnel'
import type { Authorize } from '@proj/tunnel/server'
import { exchangeRaw } from '@proj/testkit/raw-http'
import { RecordingLogger } from '@proj/testkit/recording-logger'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { until } from '@proj/testkit/until'
import { expect, onTestFinished, test } from 'vitest'

import { OfflinePages } from '../../src/proxy/offline-pages.ts'
import { Server } from '../../src/server.ts'
import { openStore } from '../../src/store/store.ts'
import { joinNodes } from '../two-nodes.ts'

/** Everyone is who the token says, and may serve everything but `secret`. */
const byToken: Authorize = ({ headers }) => ({
  identity: /^Bearer (.+)/.exec(headers.authorization ?? '')?.[1] ?? 'anonymous',
  tenant: '',
  permits: (_, endpoint) => endpoint !== 'secret',
})

const HTML = '<!doctype html><title>Back at nine</title><p>{{status}} {{code}}</p>'

async function started() {
  const logger = new RecordingLogger()
  const directory = temporaryDirectory()
  const store = openStore(directory.path, { uid: process.geteuid?.(), logger })
  const anywhere = { at: '127.0.0.1:0' }
  const server = await Server.start({
    proxy: anywhere,
    upstream: anywhere,
    admin: anywhere,
    authorize: byToken,
    software: 'adit-server/test',
    store,
    logger,
  })
  onTestFinished(() => {
    server.destroy()
    store.close()
    directory[Symbol.dispose]()
  })
  const port = (name: 'proxy' | 'upstream'): number => server.listeners[name].bound[0]?.port ?? 0
  const as = (token: string) => ({ url: `http://127.0.0.1:${port('upstream')}`, token })
  /** An agent that serves an endpoint until it is closed. */
  const serve = async (token: string, endpoint: string): Promise<Agent> => {
    const agent = new Agent({ ...as(token), connections: 1 })
    onTestFinished(() => agent.destroy())
    await agent.listen(endpoint).ready()
    return agent
  }
  const visit = async (endpoint: string, accept = 'text/html') =>
    await exchangeRaw(
      port('proxy'),
      `GET / HTTP/1.1\r\nHost: ${endpoint}.localhost\r\nAccept: ${accept}\r\nConnection: close\r\n\r\n`,
    )
  return { as, serve, visit, server }
}

test('browsers get the page of an endpoint while no agent serves it, others what they asked for', async () => {
  const { as, serve, visit } = await started()
  const agent = await serve('alice', 'web')
  const other = await serve('alice', 'other')
  await setOfflinePage(as('alice'), 'web', HTML)
  await agent.close()
  await other.close()
  const page = await visit('web')
  expect(page).toMatchObject({ status: 503, headers: { 'adit-error': 'no_upstream' } })
  expect(page.headers['content-type']).toBe('text/html; charset=utf-8')
  expect(page.headers['content-security-policy']).toContain("default-src 'none'")
  expect(page.headers['content-security-policy']).not.toContain('script-src')
  expect(page.body.toString()).toBe(
    '<!doctype html><title>Back at nine</title><p>503 no_upstream</p>',
  )
  const { body } = await visit('web', 'application/json')
  expect(JSON.parse(body.toString())).toMatchObject({ code: 'no_upstream' })
  expect((await visit('other')).body.toString()).not.toContain('Back at nine')
})

test('a server that cannot be reached does not keep the page from the others', async () => {
  const { as, serve, visit } = await started()
  const agent = await serve('alice', 'web')
  const { url, token } = as('alice')
  const both = { url: ['http://127.0.0.1:1', url], token }
  await expect(setOfflinePage(both, 'web', HTML)).rejects.toMatchObject({
    code: 'DIAL_CONNECT_REFUSED',
  })
  await agent.close()
  expect((await visit('web')).body.toString()).toContain('Back at nine')
})

test('a page is of the identity that serves the endpoint, and ends with it', async () => {
  const { as, serve, visit } = await started()
  const refused = { code: 'TUNNEL_RESERVATION_REFUSED' }
  await expect(setOfflinePage(as('alice'), 'web', HTML)).rejects.toMatchObject(refused)
  const agent = await serve('alice', 'web')
  await expect(setOfflinePage(as('bob'), 'web', HTML)).rejects.toMatchObject(refused)
  await expect(setOfflinePage(as('bob'), 'secret', HTML)).rejects.toMatchObject(refused)
  await expect(setOfflinePage(as('alice'), 'web', 'x'.repeat(65_537))).rejects.toMatchObject(
    refused,
  )
  await setOfflinePage(as('alice'), 'web', '\u0001'.repeat(65_536)) // six bytes each in JSON
  await setOfflinePage(as('alice'), 'web', HTML)
  await agent.close()
  expect((await visit('web')).body.toString()).toContain('Back at nine')
  await reserveName(as('bob'), 'web')
  expect((await visit('web')).body.toString()).not.toContain('Back at nine')
  const next = await serve('bob', 'web')
  await next.close()
  expect((await visit('web')).body.toString()).not.toContain('Back at nine')
})

test('a page ends when an agent serves the endpoint at another node', async () => {
  const [one, other] = [await started(), await started()]
  const nodes = await joinNodes(one.server, other.server)
  onTestFinished(async () => await nodes[Symbol.asyncDispose]())
  const agent = await one.serve('alice', 'web')
  await setOfflinePage(one.as('alice'), 'web', HTML)
  await agent.close()
  expect((await one.visit('web')).body.toString()).toContain('Back at nine')
  const known = (): number => one.server.registry.count({ tenant: '', name: 'web' })
  const next = await other.serve('bob', 'web')
  await until(() => known() === 1)
  await next.close()
  await until(() => known() === 0)
  expect((await one.visit('web')).status).toBe(503)
  expect((await one.visit('web')).body.toString()).not.toContain('Back at nine')
})

test.each([
  ['many', 2_000, ''],
  ['large', 300, 'x'.repeat(65_536)],
])('an identity with %s pages takes the room of its own oldest alone', (_, count, html) => {
  const pages = new OfflinePages()
  const has = (tenant: string, name: string): boolean =>
    pages.find({ tenant, name }, 'no_upstream', () => undefined) !== undefined
  pages.set({ tenant: 'acme', name: 'web' }, 'alice', 'Back at nine')
  for (let at = 0; at < count; at++) pages.set({ tenant: '', name: `web-${at}` }, 'alice', html)
  expect(has('acme', 'web')).toBe(true)
  expect(has('', 'web-0')).toBe(false)
  expect(has('', `web-${count - 1}`)).toBe(true)
  for (let at = 0; at < count; at++) pages.delete({ tenant: '', name: `web-${at}` })
  expect(has('acme', 'web')).toBe(true)
})
