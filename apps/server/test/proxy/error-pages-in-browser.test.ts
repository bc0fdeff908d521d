// What a visitor's browser shows of an error: every page, and the policy that it comes with.
import { openTab, sharedBrowser } from '@proj/testkit/browser'
import { accessibilityFaults } from '@proj/testkit/accessibility-faults'
import { VISITOR_WORDING, visitorAnswer } from '@proj/program-kit'
import { expect, test } from 'vitest'

import { tunnel } from '../tunnel-fixture.ts'

const browser = sharedBrowser()

test(
  'pages of errors are accessible, fit every width and run nothing',
  { timeout: 300_000 },
  async () => {
    await using path = await tunnel({ http: (_, res) => res.end() })
    const page = await openTab(browser())
    const shown = async (): Promise<void> => {
      expect(await accessibilityFaults(page)).toEqual([])
      for (const width of [320, 2560]) {
        await page.setViewportSize({ width, height: 800 })
        const excess = await page.evaluate('document.documentElement.scrollWidth - innerWidth')
        expect(excess).toBeLessThanOrEqual(0)
      }
    }
    await page.goto(`http://x.localhost:${path.port}/`)
    await page.getByRole('heading', { name: VISITOR_WORDING['no_upstream']?.title ?? '' }).waitFor()
    await shown()
    // Codes with the same words have the same page.
    const codes = new Map(Object.entries(VISITOR_WORDING).map(([code, words]) => [words, code]))
    for (const code of codes.values()) {
      const error = { status: 503, code, error: '', requestId: 'f409bd765d8a-3', page: undefined }
      await page.setContent(visitorAnswer(error, 'html', Date.now()).body.toString())
      await shown()
    }
  },
)
