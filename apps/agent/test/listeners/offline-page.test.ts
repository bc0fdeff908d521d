// When the page of a listener is sent, and what is said when a server does not take it.
import { createServer } from 'node:http'

import { listening } from '@proj/testkit/listening'
import { RecordingLogger } from '@proj/testkit/recording-logger'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { until } from '@proj/testkit/until'
import { Agent } from '@proj/tunnel'
import { expect, test } from 'vitest'

import { keepOfflinePage } from '../../src/listeners/offline-page.ts'

/** A server that answers requests for pages with a status, and counts them. */
async function pageServer(status: number) {
  let asked = 0
  const server = await listening(
    createServer((request, response) => {
      asked += 1
      request.resume().on('end', () => response.writeHead(status).end())
    }),
  )
  return { server, url: `http://${server.authority}`, asked: () => asked }
}

test('the page is sent for each session that serves the endpoint, once at a time', async () => {
  using folder = temporaryDirectory()
  const file = folder.write('closed.html', 'Back at nine')
  const [one, other] = [await pageServer(204), await pageServer(409)]
  await using _one = one.server
  await using _other = other.server
  const logger = new RecordingLogger()
  const agent = new Agent({ url: 'http://127.0.0.1:1' })
  const listener = agent.listen('web')
  keepOfflinePage(listener, file, { url: [one.url, other.url] }, logger)
  for (let session = 0; session < 3; session++) listener.emit('registered', [])
  await until(() => one.asked() === 2 && other.asked() === 2)
  listener.emit('registered', [])
  await until(() => one.asked() === 3 && other.asked() === 3)
  agent.destroy()
  await listener.closed
  expect(logger.records.filter(({ level }) => level === 'warn')).toEqual([])
})

test.each([
  [404, 'update the server, or remove offline_page'],
  [409, undefined],
])('a server that answers %i is a warning', async (status, hint) => {
  using folder = temporaryDirectory()
  const file = folder.write('closed.html', 'Back at nine')
  const { server, url } = await pageServer(status)
  await using _server = server
  const logger = new RecordingLogger()
  const agent = new Agent({ url: 'http://127.0.0.1:1' })
  const listener = agent.listen('web')
  keepOfflinePage(listener, file, { url }, logger)
  listener.emit('registered', [])
  const said = () => logger.find('visitors do not get the offline page')
  await until(() => said().length === 1)
  agent.destroy()
  expect(said()[0]?.fields).toMatchObject({ endpoint: 'web', hint })
})
