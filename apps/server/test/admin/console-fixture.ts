// The console in a real browser: a server with a data directory, an agent with a service, and Chromium.
import type { RequestListener } from 'node:http'

import { openTab } from '@proj/testkit/browser'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { expect, onTestFinished } from 'vitest'

import { makeOperatorKey, readOperatorKey } from '../../src/admin/operator-key.ts'
import { Authenticator, type AuthenticatorOptions } from '../../src/auth/authenticator.ts'
import { openStore, type Store } from '../../src/store/store.ts'
import { storedToken } from '../auth/signed.ts'
import { silent } from '../store/fixtures.ts'
import { type Fixture, type FixtureOptions, tunnel } from '../tunnel-fixture.ts'

/** A server whose console can be opened. */
export interface ConsoleRun {
  readonly fixture: Fixture
  readonly store: Store
  /** A token with the right admin; undefined: the server has none, and asks for no credentials. */
  readonly token: string | undefined
  /** The key of the operator. */
  readonly key: string
  readonly url: string
  /** Opens the page in a tab of its own; requests to other hosts fail the test at its end. */
  readonly openPage: (browser: Browser, options?: BrowserContextOptions) => Promise<Page>
}

/** Runs a server with the endpoint `web`, which an agent serves. */
export async function consoleRun(
  http: RequestListener,
  {
    hasTokens = true,
    ports = {},
    ...more
  }: { hasTokens?: boolean; ports?: AuthenticatorOptions['ports'] } & FixtureOptions = {},
): Promise<ConsoleRun> {
  const directory = temporaryDirectory()
  const store = openStore(directory.path, { uid: process.geteuid?.(), logger: silent })
  const operatorKey = makeOperatorKey(directory.path, silent)
  const { tokens, audit } = store
  const made = hasTokens
    ? await storedToken(tokens, { may: ['admin', 'listen', 'connect'], endpoints: ['*'] })
    : undefined
  const authenticator = new Authenticator({ tokens, audit, logger: silent, operatorKey, ports })
  const fixture = await tunnel({
    http,
    authenticator,
    ...more,
    agent: { ...(made && { token: made.text }), ...more.agent },
    server: { store, ...more.server },
  })
  onTestFinished(async () => {
    await fixture[Symbol.asyncDispose]()
    authenticator[Symbol.dispose]()
    store.close()
    directory[Symbol.dispose]()
  })
  const url = `http://localhost:${fixture.server.listeners.admin.bound[0]?.port}/console/`
  return {
    fixture,
    store,
    token: made?.text,
    key: readOperatorKey(directory.path) ?? '',
    url,
    openPage: async (browser, options) => {
      const page = await openTab(browser, options)
      const foreign: string[] = []
      page.on('request', (request) => {
        if (!/^(?:http:\/\/localhost:|blob:)/.test(request.url())) foreign.push(request.url())
      })
      onTestFinished(() => expect(foreign).toEqual([]))
      await page.goto(url)
      return page
    },
  }
}

/** Signs in on the page that asks for it. */
export async function signIn(page: Page, token: string): Promise<void> {
  await page.getByLabel('Token or key').fill(token)
  await page.getByRole('button', { name: 'Sign in', exact: true }).click()
  await page.getByRole('heading', { name: 'Overview' }).waitFor()
}
