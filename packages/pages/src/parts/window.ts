/** Which rows of a long list are in view: the others are not in the document. All rows have one height. */
import { type Signal, signal, useSignal } from '@preact/signals'
import type { RefObject } from 'preact'
import { useEffect, useRef } from 'preact/hooks'

/** Rows above and below the view that are drawn too. */
const MARGIN = 6

/** Whether the screen is narrow: a detail takes the place of its list, rows are cards. */
export const isNarrow = signal(matchMedia('(max-width: 759px)').matches)
matchMedia('(max-width: 759px)').addEventListener(
  'change',
  ({ matches }) => (isNarrow.value = matches),
)

/** The rows in view of a scrolled element. */
export interface RowsInView {
  readonly scroller: RefObject<HTMLDivElement | null>
  /** How far it is scrolled, and how high it is, px. */
  readonly top: Signal<number>
  readonly view: Signal<number>
  /** The first row to draw, and the one behind the last. */
  readonly first: number
  readonly last: number
  /** @param then - called with how far it is scrolled now, once per frame. */
  readonly onScroll: (
    event: { readonly currentTarget: HTMLElement },
    then?: (scrollTop: number) => void,
  ) => void
}

/**
 * Follows the rows in view.
 *
 * @param count - of all rows.
 * @param height - of each of them, px.
 */
export function useWindow(count: number, height: number): RowsInView {
  const scroller = useRef<HTMLDivElement>(null)
  const top = useSignal(0)
  const view = useSignal(600)
  useEffect(() => {
    const element = scroller.current
    if (element === null) return undefined
    const watch = new ResizeObserver(() => (view.value = element.clientHeight))
    watch.observe(element)
    return () => watch.disconnect()
  }, [])
  return {
    scroller,
    top,
    view,
    first: Math.max(0, Math.floor(top.value / height) - MARGIN),
    last: Math.min(count, Math.ceil((top.value + view.value) / height) + MARGIN),
    onScroll: ({ currentTarget }, then) => {
      const { scrollTop } = currentTarget
      requestAnimationFrame(() => {
        top.value = scrollTop
        then?.(scrollTop)
      })
    },
  }
}
