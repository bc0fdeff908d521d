// A browser for the tests of pages.
import { accessSync, constants } from 'node:fs'

import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { expect, onTestFinished } from 'vitest'

const CHROMIUM = '/usr/bin/chromium'

/** How long a part of the page may take to appear, ms: less than a test, so that the failure names it. */
const LOCATOR_MS = 30_000

/** Why the page is not tested; undefined where it is. */
export function missingBrowser(): string | undefined {
  // The page does not depend on Node, and a browser takes a while.
  if (!process.version.startsWith('v20.')) return 'tested on the oldest Node alone'
  try {
    accessSync(CHROMIUM, constants.X_OK)
    return undefined
  } catch {
    return 'no chromium'
  }
}

/** Starts the browser; the caller closes it. */
export async function launchBrowser(...more: readonly string[]): Promise<Browser> {
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
