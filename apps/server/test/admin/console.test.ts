// The console in a browser, against a real server with a real agent.
import { createServer, request as httpRequest, type RequestListener } from 'node:http'

import { accessibilityFaults } from '@proj/testkit/accessibility-faults'
import { sharedBrowser } from '@proj/testkit/browser'
import { listening } from '@proj/testkit/listening'
import { exchangeRaw } from '@proj/testkit/raw-http'
import type { Page } from 'playwright-core'
import { expect, onTestFinished, test } from 'vitest'

import { issueToken } from '../../src/auth/issue-token.ts'
import { storedToken } from '../auth/signed.ts'
import { request, startServer } from '../tunnel-fixture.ts'
import { consoleRun, signIn } from './console-fixture.ts'

const browser = sharedBrowser()

const service: RequestListener = (_, response) => void response.end('ok')

const dialogOf = (page: Page) => page.getByRole('dialog')
const fieldOf = (page: Page, name: string) =>
  dialogOf(page).getByRole('textbox', { name, exact: true })

test('tokens are made, changed and revoked by who has signed in', async () => {
  const run = await consoleRun(service)
  const page = await run.openPage(browser())
  await page.getByLabel('Token or key').fill('wrong')
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByText('invalid token').waitFor()
  await signIn(page, run.token ?? '')
  expect(await page.evaluate('document.cookie')).toBe('')
  await page.getByRole('link', { name: 'Tokens' }).last().click()
  await page.getByRole('button', { name: 'Make a token' }).click()
  await fieldOf(page, 'Name').fill('printers')
  await fieldOf(page, 'Endpoints').fill('pc* web')
  // twice: one token is made
  await dialogOf(page).getByRole('button', { name: 'Make' }).dblclick()
  const secret = await page.locator('.once code').innerText()
  expect(secret).toMatch(/^adit_/)
  await page.getByRole('button', { name: 'I have copied it' }).click()
  const row = page.getByRole('row', { name: /printers/ })
  await row.getByText('pc*, web').waitFor()
  expect(await page.content()).not.toContain(secret)
  await row.getByRole('button', { name: /Change/ }).click()
  await fieldOf(page, 'Endpoints').fill('pc1')
  await dialogOf(page).getByRole('button', { name: 'Change' }).click()
  await row.getByText('pc1', { exact: true }).waitFor()
  await row.getByRole('button', { name: /Revoke/ }).click()
  await dialogOf(page).getByText('No session of an agent uses it now.').waitFor()
  await dialogOf(page).getByRole('button', { name: 'Cancel' }).click()
  await row.getByText('good').waitFor()
  await row.getByRole('button', { name: /Revoke/ }).click()
  await dialogOf(page).getByRole('button', { name: 'Revoke printers' }).click()
  await row.getByText('revoked').waitFor()
  await page.getByRole('link', { name: 'Audit log' }).click()
  const revoked = page.getByRole('row', { name: /token\.revoked/ })
  await revoked.getByText('token:').first().waitFor()
  await page.getByRole('button', { name: 'Sign out' }).click()
  await page.getByLabel('Token or key').waitFor()
})

test('names are reserved and released', async () => {
  const run = await consoleRun(service)
  const page = await run.openPage(browser())
  await signIn(page, run.key)
  await page.getByRole('link', { name: 'Names' }).click()
  await page.getByText('No name is reserved.').waitFor()
  await page.getByRole('button', { name: 'Reserve a name' }).click()
  await fieldOf(page, 'Name').fill('a/b')
  await fieldOf(page, 'Identity').fill('token:k3v9m2ab')
  await dialogOf(page).getByRole('button', { name: 'Reserve' }).click()
  await dialogOf(page).getByRole('alert').getByText('letters, digits and hyphens').waitFor()
  await fieldOf(page, 'Name').fill('shop')
  await dialogOf(page).getByRole('button', { name: 'Reserve' }).click()
  const row = page.getByRole('row', { name: /shop/ })
  await row.getByRole('button', { name: /Release/ }).click()
  await dialogOf(page).getByText('Nothing serves it now.').waitFor()
  // Another identity gets the name while the question stands: it keeps it.
  const { reservations } = run.store
  const shop = { tenant: '', name: 'shop' }
  const reserved = await reservations.release(shop)
  if (reserved === undefined) throw new Error('shop was not reserved')
  await reservations.reserve({ ...reserved, identity: 'token:b7x4n8cd' })
  await dialogOf(page).getByRole('button', { name: 'Release shop' }).click()
  await page.getByText('shop has another owner now.').waitFor()
  expect(reservations.find(shop)?.identity).toBe('token:b7x4n8cd')
  await row.getByText('token:b7x4n8cd').waitFor()
  await row.getByRole('button', { name: /Release/ }).click()
  await dialogOf(page).getByRole('button', { name: 'Release shop' }).click()
  await page.getByText('shop is released.').waitFor()
  await expect.poll(() => row.count()).toBe(0)
  // Who signs in next sees what there is, although it is as it was.
  await page.getByRole('button', { name: 'Sign out' }).click()
  await page.getByLabel('Token or key').fill(run.key)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByText('No name is reserved.').waitFor()
})

test('a server without credentials lets this machine read, and asks for the key before a change', async () => {
  const run = await consoleRun(service, { hasTokens: false })
  const page = await run.openPage(browser())
  await page.getByText('not signed in: read only').waitFor()
  await page.getByRole('link', { name: 'Endpoints' }).first().click()
  await page.getByRole('cell', { name: 'web', exact: true }).waitFor()
  await page.getByRole('link', { name: 'Tokens' }).last().click()
  await page.getByRole('button', { name: 'Make a token' }).click()
  await page.getByLabel('Token or key').fill(run.key)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByText('Signed in as operator').waitFor()
  await run.store.audit.flush()
  expect((await run.store.audit.read({ event: 'session.opened' })).length).toBe(1)
})

test('a session ends with its token, below the prefix of a proxy too', async () => {
  const run = await consoleRun(service)
  const { text, id } = await storedToken(run.store.tokens, { may: ['admin'], endpoints: [] })
  const port = Number(new URL(run.url).port)
  // It takes the prefix away, as reverse proxies do.
  const proxy = createServer((incoming, response) => {
    const path = (incoming.url ?? '').replace(/^\/a\/b/, '')
    const { method, headers } = incoming
    const passed = httpRequest({ port, host: '127.0.0.1', path, method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 0, answer.headers)
      answer.pipe(response)
    })
    passed.on('error', () => response.destroy())
    incoming.pipe(passed)
  })
  const at = await listening(proxy)
  onTestFinished(async () => await at.close())
  const page = await run.openPage(browser())
  await page.goto(`http://localhost:${at.port}/a/b/console`)
  expect(new URL(page.url()).pathname).toBe('/a/b/console/')
  await signIn(page, text)
  const [cookie] = await page.context().cookies(`http://localhost:${at.port}/a/b/api/v1/`)
  expect(cookie).toMatchObject({ path: '/a/b/api/v1', httpOnly: true, sameSite: 'Strict' })
  await page.reload()
  await page.getByRole('link', { name: 'Agents' }).last().click()
  await page.getByRole('cell', { name: 'web' }).waitFor()
  await run.store.tokens.revoke(id, Date.now())
  await page.getByRole('link', { name: 'Names' }).click()
  await page.getByLabel('Token or key').waitFor()
  expect(await page.getByText('127.0.0.1').count()).toBe(0)
})

test('an endpoint says why it is not reachable, and its agent is disconnected', async () => {
  const run = await consoleRun(service)
  const { fixture } = run
  await fixture.service.close()
  await exchangeRaw(fixture.port, request('GET /orders?token=abc', 'connection: close'))
  const page = await run.openPage(browser())
  await signIn(page, run.token ?? '')
  await page.getByText('1 of 1 endpoints need attention').waitFor()
  await page.locator('main').getByRole('link', { name: 'web' }).click()
  await page.getByText('Not reachable: the service refuses connections').waitFor()
  await page.getByText('The owner of the agent should act.').waitFor()
  await page.getByText('Start the service on the machine of the agent').waitFor()
  const failure = page.getByRole('row', { name: /service_refused/ })
  expect(await failure.innerText()).toMatch(/502[\s\S]*GET[\s\S]*\/orders(?!\?)/)
  await page.getByRole('link', { name: 'Agents' }).last().click()
  const agentId = fixture.server.registry.sessions({ tenant: '', name: 'web' })[0]?.agentId ?? ''
  const row = page.getByRole('row', { name: agentId })
  await row.getByRole('button', { name: /Drain/ }).click()
  await dialogOf(page).getByText('are served all the time').waitFor()
  await dialogOf(page).getByRole('button', { name: 'Cancel' }).click()
  await row.getByRole('button', { name: /Disconnect/ }).click()
  await dialogOf(page).getByText('1 session of the agent will be cut off now').waitFor()
  await dialogOf(page)
    .getByRole('button', { name: `Disconnect ${agentId}` })
    .click()
  await page.getByText(`${agentId} was disconnected.`).waitFor()
  await page.getByRole('link', { name: 'Audit log' }).click()
  await page.getByRole('row', { name: /agent\.disconnected/ }).waitFor()
})

test('of many rows those in view are drawn, and a change is seen without a press', async () => {
  const run = await consoleRun(service)
  const { store, token = '' } = run
  for (let at = 0; at < 700; at++) store.audit.write('auth.failed', { why: `number ${at}.` })
  const page = await run.openPage(browser())
  await signIn(page, token)
  await page.getByRole('link', { name: 'Audit log' }).click()
  const table = page.getByRole('table', { name: 'Events' })
  await table.getByText('number 699.').waitFor()
  const drawn = async (): Promise<number> => await table.getByRole('row').count()
  expect(await drawn()).toBeLessThan(60)
  expect(Number(await table.getAttribute('aria-rowcount'))).toBeGreaterThan(700)
  await page.getByRole('region', { name: 'Events' }).focus()
  await page.evaluate('document.activeElement.scrollTo(0, 1e9)')
  await table.getByText('number 0.').waitFor()
  expect(await drawn()).toBeLessThan(60)
  await page.getByLabel('Filter events').fill('number 350.')
  await page.getByText('1 of 7').waitFor()
  await page.getByRole('link', { name: 'Tokens' }).click()
  const tab = await run.openPage(browser())
  await signIn(tab, token)
  await tab.getByRole('link', { name: 'Tokens' }).click()
  const scope = { name: 'made elsewhere', may: ['listen'], endpoints: ['*'] } as const
  const life = { expiresMs: 60_000, tenant: '', replaces: undefined }
  await issueToken(store, { ...scope, ...life }, { by: 'test', remoteAddress: undefined })
  for (const one of [page, tab]) await one.getByText('made elsewhere').waitFor()
})

test('the page goes on when the server has been started again', async () => {
  const run = await consoleRun(service, { hasTokens: false })
  const page = await run.openPage(browser())
  await page.getByRole('link', { name: 'Agents' }).first().click()
  await page.getByRole('cell', { name: 'web' }).waitFor()
  run.fixture.server.destroy()
  const lost = page.getByText('The server does not answer.')
  await lost.waitFor()
  const admin = { at: `127.0.0.1:${new URL(run.url).port}` }
  const next = await startServer({}, [], undefined, undefined, { admin })
  onTestFinished(() => next.destroy())
  await lost.waitFor({ state: 'detached' })
  await page.getByText('No agent is connected.').waitFor()
  expect(await lost.count()).toBe(0)
})

/** Texts that a peer may choose: markup, marks that change the order of a line, wide characters. */
const HOSTILE = '<img src=x onerror=alert(1)>\u202e gnp.exe עברית 東京'

/** The views by their addresses. */
const VIEWS = [
  '',
  'endpoints',
  'endpoints/web/',
  'agents',
  'accesses',
  'ports',
  'names',
  'domains',
  'tokens',
  'certificates',
  'limits',
  'nodes',
  'audit',
  'configuration',
]

test(
  'every view is accessible, fits every width and shows what others wrote as text',
  { timeout: 300_000 },
  async () => {
    const run = await consoleRun(service)
    const scope = { name: HOSTILE, may: ['listen'], endpoints: ['*'] } as const
    const life = { expiresMs: 60_000, tenant: '', replaces: undefined }
    await issueToken(run.store, { ...scope, ...life }, { by: HOSTILE, remoteAddress: undefined })
    run.store.audit.write('auth.failed', { port: 'upstream', why: HOSTILE })
    await run.store.reservations.reserve({
      tenant: '',
      endpoint: 'shop',
      kind: 'http',
      identity: HOSTILE,
      port: undefined,
      reservedAt: Date.now(),
    })
    await run.store.domains.ask({
      tenant: '',
      identity: HOSTILE,
      domain: 'shop.example.net',
      endpoint: 'shop',
      value: 'v'.repeat(43),
      challenge: 'txt',
      askedAt: Date.now(),
      checkedAt: undefined,
      provedAt: undefined,
      lostAt: undefined,
    })
    const page = await run.openPage(browser(), { reducedMotion: 'reduce' })
    expect(await accessibilityFaults(page)).toEqual([])
    await signIn(page, run.token ?? '')
    for (const view of VIEWS) {
      await page.evaluate(`location.hash = '#/${view}'`)
      await page.locator(`nav a[aria-current][href="#/${view.split('/')[0]}"]`).waitFor()
      await expect.poll(() => page.getByText('Reading…').count()).toBe(0)
      if (view === 'domains') await page.getByRole('row', { name: /_adit-challenge/ }).waitFor()
      if (view.includes('/')) await page.getByRole('heading', { name: 'Last failures' }).waitFor()
      expect(await accessibilityFaults(page)).toEqual([])
      for (const width of [320, 640, 2560]) {
        await page.setViewportSize({ width, height: 800 })
        const wide = await page.evaluate(
          '[...document.querySelectorAll("html, main")].filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.tagName)',
        )
        expect([view, width, wide]).toEqual([view, width, []])
      }
    }
    await page.evaluate(`location.hash = '#/tokens'`)
    await page.getByText('<img src=x onerror=alert(1)>').first().waitFor()
    await page.locator('.escape', { hasText: 'U+202E' }).first().waitFor()
  },
)
