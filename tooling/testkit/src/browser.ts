// A browser for the tests of pages.
import { accessSync, constants } from 'node:fs'

import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, expect, onTestFinished, vi } from 'vitest'

const CHROMIUM = '/usr/bin/chromium'

/** How long a part of the page may take to appear, ms: less than a test, so that the failure names it. */
const LOCATOR_MS = 30_000

/** How long a test may take, ms: a browser on a busy machine. */
const TEST_MS = 120_000

/**
 * A browser for the tests of a file, which are skipped where there is none.
 *
 * @param more - further arguments.
 * @returns gives the browser to a test that runs.
 */
export function sharedBrowser(...more: readonly string[]): () => Browser {
  vi.setConfig({ testTimeout: TEST_MS })
  const missing = missingBrowser()
  let browser: Browser | undefined
  beforeAll(async () => {
    if (missing === undefined) browser = await launchBrowser(...more)
  }, 60_000)
  afterAll(async () => await browser?.close())
  beforeEach(({ skip }) => {
    if (missing !== undefined) skip(true, missing)
  })
  return () => {
    if (browser === undefined) throw new Error('no test runs')
    return browser
  }
}

/** Why pages are not tested; undefined where they are. */
function missingBrowser(): string | undefined {
  // The page does not depend on Node, and a browser takes a while.
  if (!process.version.startsWith('v20.')) return 'tested on the oldest Node alone'
  try {
    accessSync(CHROMIUM, constants.X_OK)
    return undefined
  } catch {
    return 'no chromium'
  }
}

async function launchBrowser(...more: readonly string[]): Promise<Browser> {
  return await chromium.launch({
    executablePath: CHROMIUM,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--no-first-run',
      '--disable-dev-shm-usage',
      ...more,
    ],
  })
}

/** Opens an empty tab; what the browser complains about fails the test at its end. */
export async function openTab(
  browser: Browser,
  options: BrowserContextOptions = {},
): Promise<Page> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options })
  const page = await context.newPage()
  page.setDefaultTimeout(LOCATOR_MS)
  const complaints: string[] = []
  page.on('pageerror', ({ message }) => complaints.push(message))
  page.on('console', (message) => {
    // What a refused connection logs is the browser's own.
    const isNetwork = /Failed to load resource|ERR_/.test(message.text())
    if (message.type() === 'error' && !isNetwork) complaints.push(message.text())
  })
  await page.addInitScript(
    "document.addEventListener('securitypolicyviolation', (event) => console.error('policy ' + event.violatedDirective))",
  )
  onTestFinished(async () => {
    await context.close()
    expect(complaints).toEqual([])
  })
  return page
}
