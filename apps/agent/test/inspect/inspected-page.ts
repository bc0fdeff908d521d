// The page of the inspector in a real browser: a service, a listener whose streams the test opens as a server
// would, the inspector on a free port, and Chromium.
import { once } from 'node:events'
import type { AddressInfo, Server, Socket } from 'node:net'

import { loadSettings } from '@proj/config'
import { InheritedSockets } from '@proj/portcheck'
import { openTab } from '@proj/testkit/browser'
import { RecordingLogger } from '@proj/testkit/recording-logger'
import type { temporaryDirectory } from '@proj/testkit/temporary-directory'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { onTestFinished } from 'vitest'

import { Capture } from '../../src/inspect/capture.ts'
import { openInspector } from '../../src/inspect/open-inspector.ts'
import { settings } from '../../src/settings.ts'
import { served, type Served } from '../listeners/served.ts'

/** An inspector whose page can be opened. */
export interface InspectedPage extends Served {
  readonly capture: Capture
  readonly url: string
  readonly openUrl: string
  /** Opens the page in a tab of its own; what the browser complains about fails the test at its end. */
  readonly openPage: (browser: Browser, options?: BrowserContextOptions) => Promise<Page>
  /** Ends the inspector. */
  readonly close: () => Promise<void>
}

/** The token of the inspectors here. */
export const TOKEN = 'AAAAAAAAAAAAAAAAAAAAAA'

/** Runs an inspector for a service. */
export async function inspectedPage(
  folder: ReturnType<typeof temporaryDirectory>,
  service: Server | string,
  {
    protocol = 'http',
    port = 0,
    maxPerSecond = 100_000,
    keep = 500,
  }: { protocol?: string; port?: number; maxPerSecond?: number; keep?: number } = {},
): Promise<InspectedPage> {
  let address = typeof service === 'string' ? service : ''
  if (typeof service !== 'string') {
    service.on('connection', (socket: Socket) => socket.on('error', () => {}))
    service.listen(0, '127.0.0.1')
    await once(service, 'listening')
    onTestFinished(() => void service.close())
    address = `127.0.0.1:${(service.address() as AddressInfo).port}`
  }
  const capture = new Capture({ keep, bodyBytes: 65_536, maxBytes: 64 * 1024 * 1024, maxPerSecond })
  const listener = `addr: "${address}", protocol: ${protocol}`
  const run = await served(folder, listener, capture)
  const file = folder.write('inspector.yaml', `inspector: { bind_addr: "127.0.0.1:${port}" }`)
  const loaded = await loadSettings(settings, { cwd: folder.path, env: {}, files: [file] })
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
  const inspector = await openInspector(
    loaded.settings.inspector,
    capture,
    {
      software: 'adit/1.0.0',
      link: () => ({ isUp: true, problem: undefined }),
      listeners: () => [
        {
          endpoint: 'web',
          kind: protocol === 'tcp' ? 'tcp' : 'http',
          service: address,
          urls: ['http://web.tunnel.example/'],
          online: true,
          failure: run.made.lastFailure?.text,
          connect: run.made.connect,
        },
      ],
    },
    {
      token: TOKEN,
      inherited: new InheritedSockets(),
      logger: new RecordingLogger(),
      signal: new AbortController().signal,
    },
  )
  const { url, openUrl } = inspector
  if (url === undefined || openUrl === undefined) throw new Error('the inspector has no port')
  let isClosed = false
  const close = async (): Promise<void> => {
    if (isClosed) return
    isClosed = true
    await inspector[Symbol.asyncDispose]()
  }
  onTestFinished(close)
  const openPage: InspectedPage['openPage'] = async (browser, options = {}) => {
    const page = await openTab(browser, options)
    await page.goto(openUrl)
    await page.getByText('Connected').waitFor()
    return page
  }
  return { ...run, capture, url, openUrl, openPage, close }
}
