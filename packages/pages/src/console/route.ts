/** Which view is shown: the part of the address behind `#`, so that no server has to know it. */
import { signal } from '@preact/signals'

import { notice } from './session.ts'

/** A view, and what of it. */
export interface Route {
  /** `endpoints`; empty: the overview. */
  readonly view: string
  /** Parts of the path behind it, decoded. */
  readonly parts: readonly string[]
}

export const route = signal<Route>(readRoute())

addEventListener('hashchange', () => {
  route.value = readRoute()
  notice.value = '' // it was of the view before
  document.querySelector('main')?.scrollTo(0, 0)
  // A reader of the screen begins where the new view begins.
  requestAnimationFrame(() => document.querySelector<HTMLElement>('h2')?.focus())
})

function readRoute(): Route {
  const [view = '', ...parts] = location.hash.replace(/^#\/?/, '').split('/')
  try {
    return { view: decodeURIComponent(view), parts: parts.map(decodeURIComponent) }
  } catch {
    return { view: '', parts: [] }
  }
}

/** The address of a view. */
export function hrefOf(view: string, ...parts: readonly string[]): string {
  return `#/${[view, ...parts].map(encodeURIComponent).join('/')}`
}
