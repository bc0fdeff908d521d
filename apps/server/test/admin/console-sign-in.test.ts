// Signing in to the console in a browser, with a real OpenID provider and with a client certificate.
import { createServer, type RequestListener } from 'node:http'

import { certificateAuthority } from '@proj/testkit/certificates'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { openTab, sharedBrowser } from '@proj/testkit/browser'
import { listening } from '@proj/testkit/listening'
import type { Page } from 'playwright-core'
import { expect, onTestFinished, test, vi } from 'vitest'

import { OidcSignIn } from '../../src/admin/oidc/oidc-sign-in.ts'
import { TlsFront } from '../../src/tls/tls-front.ts'
import { readTlsMaterial } from '../../src/tls/tls-material.ts'
import { silent } from '../store/fixtures.ts'
import { consoleRun, type ConsoleRun, signIn } from './console-fixture.ts'

const browser = sharedBrowser()

const service: RequestListener = (_, response) => void response.end('ok')

/** A provider, as its authors made it, that knows everybody; admins are those whose name begins with `admin`. */
async function realProvider() {
  // It says that it wants a later Node; what is used of it works on ours.
  const warn = vi.spyOn(console, 'info').mockImplementation(() => {})
  const { Provider } = await import('oidc-provider')
  warn.mockRestore()
  let answer: RequestListener = (_, response) => void response.destroy()
  const server = createServer((request, response) => answer(request, response))
  const { port, ...listener } = await listening(server)
  onTestFinished(async () => await listener.close())
  const issuer = `http://localhost:${port}`
  const client = { client_id: 'console', client_secret: 'hidden', redirect_uris: [] as string[] }
  return {
    issuer,
    oidc: new OidcSignIn(
      {
        issuer,
        clientId: 'console',
        clientSecret: undefined,
        scopes: ['openid', 'groups'],
        claim: 'groups',
        allow: ['admins'],
        nameClaim: 'sub',
      },
      { logger: silent, limits: { timeoutMs: 60_000 } },
    ),
    start: (redirect: string) => {
      const provider = new Provider(issuer, {
        clients: [{ ...client, redirect_uris: [redirect], token_endpoint_auth_method: 'none' }],
        claims: { openid: ['sub'], groups: ['groups'] },
        findAccount: (_: unknown, accountId: string) => ({
          accountId,
          claims: () => ({
            sub: accountId,
            groups: accountId.startsWith('admin') ? ['staff', 'admins'] : ['staff'],
          }),
        }),
      })
      answer = provider.callback()
    },
  }
}

/** A console with a provider, and a tab that follows it there. */
async function signInRun() {
  const provider = await realProvider()
  const run = await consoleRun(service, { server: { oidc: provider.oidc } })
  provider.start(run.url)
  const page = await openTab(browser())
  return { provider, run, page }
}

/** Does what a person does at the provider. */
async function atProvider(page: Page, login: string): Promise<void> {
  await page.locator('input[name=login]').fill(login)
  await page.locator('input[name=password]').fill('any')
  await page.locator('button[type=submit]').click()
  await page.getByRole('button', { name: 'Continue' }).click()
}

const providerButton = (page: Page) =>
  page.getByRole('button', { name: /^Sign in with localhost:/ })

async function auditOf({ store }: ConsoleRun, event: string) {
  await store.audit.flush()
  return await store.audit.read({ event })
}

test('a person signs in with a provider, comes back to the same view, and signs out', async () => {
  const { run, page } = await signInRun()
  await page.goto(`${run.url}#/tokens`)
  const sent: { pending: string; answer: string }[] = []
  page.on('request', (request) => {
    if (request.method() === 'POST' && request.url().endsWith('/sign-in')) {
      sent.push(request.postDataJSON() as (typeof sent)[0])
    }
  })
  await providerButton(page).click()
  await atProvider(page, 'admin-ada')
  await page.getByRole('heading', { name: 'Tokens' }).waitFor()
  await page.locator('.who').getByText('oidc:admin-ada').waitFor()
  // The code is not in the address any more, and the page keeps nothing of the sign-in.
  expect(page.url()).toBe(`${run.url}#/tokens`)
  expect(await page.evaluate('sessionStorage.length')).toBe(0)
  expect(await page.evaluate('document.cookie')).toBe('')
  expect(await auditOf(run, 'session.opened')).toMatchObject([{ fields: { by: 'oidc:admin-ada' } }])
  const cookies = await page.context().cookies()
  const [own] = cookies.filter(({ name }) => name.startsWith('adit-console-'))
  expect(own).toMatchObject({ httpOnly: true, sameSite: 'Strict', path: '/api/v1' })
  // What was sent is good once.
  const again = await fetch(new URL('../api/v1/sign-in', run.url), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(sent[0]),
  })
  expect([again.status, ((await again.json()) as { code: string }).code]).toEqual([
    403,
    'sign-in-refused',
  ])
  await page.getByRole('button', { name: 'Sign out' }).click()
  await providerButton(page).waitFor()
  expect(await auditOf(run, 'session.closed')).toMatchObject([{ fields: { by: 'oidc:admin-ada' } }])
})

test('who may not use the console, or says no at the provider, is told so', async () => {
  const { run, page } = await signInRun()
  await page.goto(run.url)
  await providerButton(page).click()
  await atProvider(page, 'eve')
  await page.getByRole('alert').getByText('you may not use this console').waitFor()
  expect(page.url()).toBe(run.url)
  await page.context().clearCookies()
  await providerButton(page).click()
  await page.getByRole('link', { name: 'Cancel' }).click()
  await page.getByRole('alert').getByText('the provider has refused the sign-in').waitFor()
  expect(await auditOf(run, 'session.opened')).toEqual([])
  // A token is another way in.
  await signIn(page, run.key)
  await page.locator('.who').getByText('operator').waitFor()
})

test('an answer that another tab, or somebody else, has asked for signs nobody in', async () => {
  const { run, page } = await signInRun()
  await page.goto(run.url)
  await providerButton(page).click()
  let back = ''
  page.on('request', (request) => {
    if (request.url().startsWith(`${run.url}?`)) back = request.url()
  })
  await atProvider(page, 'admin-eve')
  await page.locator('.who').getByText('oidc:admin-eve').waitFor()
  const victim = await openTab(browser())
  await victim.goto(back)
  await victim.getByRole('alert').getByText('not begun in this browser').waitFor()
  expect(victim.url()).toBe(run.url)
  // Otherwise every page could use up the failures that the address of the victim may have.
  expect(await auditOf(run, 'auth.failed')).toEqual([])
  // Nor does it take the place of a sign-in of their own.
  await providerButton(victim).click()
  await victim.locator('input[name=login]').waitFor()
  await victim.goto(back)
  await victim.getByRole('alert').getByText('not begun in this browser').waitFor()
  expect(await auditOf(run, 'session.opened')).toHaveLength(1)
})

test('a client certificate that the port accepts signs in by itself, and names who acts', async () => {
  const authority = certificateAuthority()
  const folder = temporaryDirectory()
  onTestFinished(() => folder[Symbol.dispose]())
  const own = authority.issue({ name: 'server' })
  const ada = authority.issue({ name: 'Ada', usage: 'client', hosts: [] })
  const eve = authority.issue({ name: 'Eve', usage: 'client', hosts: [] })
  const material = await readTlsMaterial({
    minVersion: 'TLSv1.2',
    cert: [folder.write('cert.pem', own.cert)],
    key: [folder.write('key.pem', own.key)],
    clientCas: folder.write('ca.pem', authority.cert),
    clientCrl: folder.write('crl.pem', authority.revoke(eve)),
  })
  if (Array.isArray(material)) throw new Error('no material')
  const limits = { handshakeTimeoutMs: 60_000, maxHandshakes: 100 }
  const tls = new TlsFront({ listener: 'admin', material, logger: silent, ...limits })
  const run = await consoleRun(service, {
    ports: { admin: { hasClientAuthorities: true } },
    server: { admin: { at: '127.0.0.1:0', tls } },
  })
  const url = run.url.replace('http:', 'https:')
  const { origin } = new URL(url)
  const tabOf = async ({ cert, key }: { cert: string; key: string }) =>
    await openTab(browser(), {
      ignoreHTTPSErrors: true,
      clientCertificates: [{ origin, cert: Buffer.from(cert), key: Buffer.from(key) }],
    })
  const page = await tabOf(ada)
  await page.goto(url)
  await page.locator('.who').getByText('cert:CN:Ada').waitFor()
  await page.getByRole('link', { name: 'Names' }).click()
  await page.getByRole('button', { name: 'Reserve a name' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByRole('textbox', { name: 'Name', exact: true }).fill('shop')
  await dialog.getByRole('textbox', { name: 'Identity', exact: true }).fill('token:k3v9m2ab')
  await dialog.getByRole('button', { name: 'Reserve' }).click()
  await page.getByRole('row', { name: /shop/ }).waitFor()
  expect(await auditOf(run, 'name.reserved')).toMatchObject([{ fields: { by: 'cert:CN:Ada' } }])
  // A revoked one is refused before anything is served.
  const refused = await tabOf(eve)
  expect((await refused.goto(url))?.status()).toBe(403)
})
