/** What the page does with exchanges, and which part of one it shows. */
import { type Signal, signal } from '@preact/signals'

import { saveFile } from '../parts/text.tsx'
import { call, get, post } from './api.ts'
import { currentRow } from './live.ts'

/** Part of the detail that is shown. */
export type DetailTab = 'response' | 'request' | 'messages' | 'replays' | 'edit'

export const tab: Signal<DetailTab> = signal('response')

/** What went wrong with the last act, or its result; read out. */
export const notice: Signal<string> = signal('')

/** Does something, and says why it failed. */
export async function act(run: () => Promise<unknown>): Promise<void> {
  notice.value = ''
  try {
    await run()
  } catch (error) {
    notice.value = error instanceof Error ? error.message : String(error)
  }
}

/** Sends an exchange to the service again as it was. */
export async function replayNow(id: number): Promise<void> {
  await act(async () => {
    notice.value = 'Sending…'
    await post(`exchanges/${id}/replay`)
    notice.value = ''
    tab.value = 'replays'
  })
}

/** Pins or unpins. */
export async function togglePin(id: number): Promise<void> {
  await act(
    async () => await post(`exchanges/${id}/pin`, { pinned: currentRow(id)?.pinned !== true }),
  )
}

/** Saves one exchange or all as HAR. */
export async function saveHar(
  ids: readonly number[] | undefined,
  withSecrets: boolean,
): Promise<void> {
  await act(async () => {
    const query = new URLSearchParams({
      ...(ids !== undefined && { ids: ids.join(',') }),
      ...(withSecrets && { secrets: '1' }),
    })
    const response = await call(`har?${query}`)
    saveFile(ids?.length === 1 ? `adit-${ids[0]}.har` : 'adit.har', await response.blob())
  })
}

/** The command of curl. */
export async function curlOf(id: number): Promise<string> {
  return (await get<{ readonly command: string }>(`exchanges/${id}/curl`)).command
}
