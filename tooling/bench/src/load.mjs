// @ts-check
// The load generator's process (loader.mjs starts it): one for the whole benchmark, so that every leg meets
// the same warm code. It takes { kind, options } and answers { result } or { error }.
import { connects, download, raw, requests, stream, upload } from './load-client.mjs'

const KINDS = { connects, requests, download, stream, upload, raw }

process.on('message', (/** @type {{ kind: keyof typeof KINDS, options: any }} */ task) => {
  KINDS[task.kind](task.options).then(
    (result) => process.send?.({ result }),
    (error) => process.send?.({ error: String(error) }),
  )
})
process.on('disconnect', () => process.exit())
