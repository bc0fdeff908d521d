// The rules of accessibility that axe knows, in both themes and two widths.
import axe from 'axe-core'
import type { Page } from 'playwright-core'

/** Widths of a phone and of a computer, px. */
const WIDTHS = [390, 1280]

/** A rule that a page breaks: at which width, in which theme, which rule, and where. */
export type AccessibilityFault = readonly [
  width: number,
  theme: 'light' | 'dark',
  rule: string,
  elements: readonly string[],
]

/** What a page breaks as it is now: light and dark, narrow and wide. */
export async function accessibilityFaults(page: Page): Promise<readonly AccessibilityFault[]> {
  const before = page.viewportSize()
  if (!(await page.evaluate<boolean>('"axe" in globalThis'))) await page.evaluate(axe.source)
  const broken: AccessibilityFault[] = []
  for (const width of WIDTHS) {
    await page.setViewportSize({ width, height: 800 })
    for (const colorScheme of ['light', 'dark'] as const) {
      // A colour on its way to another one would be judged.
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
      const found: axe.AxeResults = await page.evaluate("axe.run({ resultTypes: ['violations'] })")
      for (const { id, nodes } of found.violations) {
        broken.push([width, colorScheme, id, nodes.map(({ html }) => html)])
      }
    }
  }
  if (before !== null) await page.setViewportSize(before)
  return broken
}
