// The page in a browser, against a real inspector and a real service; the test opens the streams, as a server would.
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import { join } from 'node:path'
import { createServer as createTcpServer, type AddressInfo } from 'node:net'

import { accessibilityFaults } from '@proj/testkit/accessibility-faults'
import { sharedBrowser } from '@proj/testkit/browser'
import { freePorts } from '@proj/testkit/free-ports'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { until } from '@proj/testkit/until'
import type { Page } from 'playwright-core'
import { expect, onTestFinished, test } from 'vitest'

import { request } from '../listeners/served.ts'
import { inspectedPage, type InspectedPage } from './inspected-page.ts'

const folder = temporaryDirectory()
// A page of another name that resolves to this machine.
const browser = sharedBrowser('--host-resolver-rules=MAP rebind.test 127.0.0.1')

const ORDER = '{"reference":"A-4811","count":2}'

const service: RequestListener = (incoming, response) => {
  incoming.resume().on('end', () => {
    if (incoming.method === 'POST') {
      response.writeHead(500, {
        'content-type': 'application/json',
        'set-cookie': 'sid=abc; Path=/',
      })
      response.end('{"error":"duplicate key","where":{"table":"orders"}}')
    } else {
      response.writeHead(200, { 'content-type': 'application/json' })
      response.end(`{"path":${JSON.stringify(incoming.url)}}`)
    }
  })
}

/** Sends requests in turn, and waits until the last one is captured whole. */
async function visit(run: InspectedPage, ...requests: readonly string[]): Promise<void> {
  const stream = run.open()
  for (const text of requests) {
    const before = run.capture.store.all().filter(({ state }) => state !== 'open').length
    stream.write(text)
    await until(
      () => run.capture.store.all().filter(({ state }) => state !== 'open').length > before,
    )
  }
}

const order = (): string =>
  request(
    'POST /orders?token=abc',
    'Authorization: Bearer topsecret',
    'X-Forwarded-For: 203.0.113.9',
    'Content-Type: application/json',
    `Content-Length: ${ORDER.length}`,
  ) + ORDER

const rowOf = (page: Page, name: RegExp) => page.getByRole('row', { name })

test('an exchange is listed and shown, and its secrets after a press', async () => {
  const run = await inspectedPage(folder, createServer(service))
  const page = await run.openPage(browser())
  await page.getByText('Waiting for the first visitor').waitFor()
  expect(page.url()).toBe(run.url) // the token is not in the address any more
  await visit(run, request('GET /first'), order())
  await rowOf(page, /orders/).click()
  await page.getByText('duplicate key').waitFor()
  await page.getByText('sent by the service').waitFor()
  await page.getByRole('tab', { name: 'Request' }).click()
  const text = await page.locator('body').innerText()
  expect(text).not.toMatch(/topsecret|token=abc/)
  await page.getByRole('button', { name: 'hidden, 16 characters' }).click()
  await page.getByText('Bearer topsecret').waitFor()
  await page.getByRole('button', { name: 'Hide' }).click()
  await expect.poll(() => page.getByText('topsecret').count()).toBe(0)
  await page.getByRole('button', { name: /^hidden ?: show$/ }).click()
  await page.getByText('/orders?token=abc').waitFor()
})

test('replay and edited replay show how the answers differ', async () => {
  const run = await inspectedPage(folder, createServer(service))
  const page = await run.openPage(browser())
  await visit(run, order())
  await rowOf(page, /orders/).click()
  await page.getByRole('button', { name: 'Replay', exact: true }).click()
  await page.getByText('The answer is the same.').waitFor()
  await page.getByRole('button', { name: 'Edit and replay' }).click()
  await expect.poll(() => page.getByLabel('Body', { exact: true }).inputValue()).toBe(ORDER)
  await page.getByLabel('Method').fill('GET')
  await page.getByLabel('Path').fill('/changed')
  await page.getByRole('button', { name: 'Add' }).click()
  await page.getByLabel('Name of header 5').fill('x-new')
  await page.getByLabel('Value of header 5').fill('1')
  await page.getByRole('button', { name: 'Remove header 4' }).click()
  await page.getByLabel('Body', { exact: true }).press('Control+Enter')
  const answer = page.getByRole('region', { name: 'Answer to the replay' })
  await answer.getByText('"/changed"').waitFor()
  expect(await answer.innerText()).toMatch(/500[\s\S]*200/)
  await answer.getByRole('button', { name: 'Answer' }).click()
  await answer.getByRole('button', { name: 'Open' }).click()
  await page.getByText('replay of 1').waitFor()
  const sent = run.capture.store.all().at(-1)?.request
  expect(sent?.method).toBe('GET')
  expect(sent?.headers).toEqual(expect.arrayContaining(['Bearer topsecret', 'x-new']))
  // Its connection is another one: nothing of the tunnel is in it.
  expect(sent?.headers).toEqual(expect.arrayContaining(['connection', 'close']))
})

test('each button of the list does what it says', async () => {
  const run = await inspectedPage(folder, createServer(service))
  const page = await run.openPage(browser())
  await visit(run, request('GET /one'), request('GET /two'), order())
  const filter = page.getByRole('searchbox', { name: 'Filter' })
  const listed = async (): Promise<number> => await page.locator('.rows .row').count()
  await filter.fill('status:5xx')
  await expect.poll(listed).toBe(1)
  await filter.fill('body:A-4811')
  await expect.poll(listed).toBe(1)
  await filter.fill('stat:5')
  await page.getByText('did you mean status?').waitFor()
  await filter.press('Escape')
  await expect.poll(listed).toBe(3)
  await page.getByRole('button', { name: 'WS' }).click()
  await page.getByText('Nothing matches the filter.').waitFor()
  await page.getByRole('button', { name: 'TCP' }).click()
  await page.getByRole('button', { name: 'HTTP' }).click()
  await expect.poll(listed).toBe(3)
  await page.getByRole('button', { name: 'All' }).click()
  await page.getByRole('button', { name: 'Pause' }).click()
  await visit(run, request('GET /three'))
  await page.getByRole('button', { name: 'Go on (1 new)' }).click()
  await expect.poll(listed).toBe(4)
  await rowOf(page, /two/).click()
  await page.getByRole('button', { name: 'Pin' }).click()
  await page.getByRole('button', { name: 'Unpin' }).waitFor()
  await page.getByRole('button', { name: 'Export' }).click()
  const download = page.waitForEvent('download')
  await page.getByRole('button', { name: 'Save', exact: true }).last().click()
  const archive = readFileSync(await (await download).path(), 'utf8')
  expect(archive).not.toMatch(/topsecret|token=abc/)
  expect(JSON.parse(archive)).toMatchObject({ log: { version: '1.2' } })
  const single = page.waitForEvent('download')
  await page.getByRole('button', { name: 'Save HAR' }).click()
  expect((await single).suggestedFilename()).toBe('adit-2.har')
  await page.getByRole('button', { name: 'Clear' }).click()
  await expect.poll(listed).toBe(1)
  await page.getByLabel('HAR file').setInputFiles({
    name: 'a.har',
    mimeType: 'application/json',
    buffer: Buffer.from(archive),
  })
  await page.getByText('4 exchanges read').waitFor()
  await expect.poll(listed).toBe(5)
  await page.getByRole('button', { name: 'Copy as curl' }).click()
  await page.getByRole('button', { name: 'Keys' }).click()
  await page.getByRole('dialog').getByText('edit and replay').waitFor()
  await page.getByRole('checkbox', { name: 'Single letters are keys' }).click()
  await page.getByRole('button', { name: 'Close' }).click()
  await page.locator('h1').click()
  await page.keyboard.press('p')
  expect(await page.getByRole('button', { name: 'Pause' }).count()).toBe(1)
})

test('the keyboard does all of it', async () => {
  const run = await inspectedPage(folder, createServer(service))
  const page = await run.openPage(browser())
  await visit(run, request('GET /one'), request('GET /two'))
  await rowOf(page, /two/).waitFor()
  const isSelected = async (name: RegExp): Promise<unknown> =>
    await rowOf(page, name).getAttribute('aria-selected')
  await page.keyboard.press('j')
  await expect.poll(() => isSelected(/two/)).toBe('true')
  await page.keyboard.press('j')
  await expect.poll(() => isSelected(/one/)).toBe('true')
  await page.keyboard.press('k')
  await expect.poll(() => isSelected(/two/)).toBe('true')
  await page.getByText('"/two"').waitFor()
  await page.keyboard.press('r')
  await page.getByText('The answer is the same.').waitFor()
  await page.keyboard.press('2')
  await page.getByRole('tab', { name: 'Request', selected: true }).waitFor()
  await page.keyboard.press('e')
  await page.getByRole('button', { name: 'Send to the service' }).waitFor()
  await page.keyboard.press('/')
  await page.keyboard.type('one')
  await expect.poll(() => page.locator('.rows .row').count()).toBe(1)
  await page.keyboard.press('Escape')
  await page.keyboard.press('Escape')
  await page.keyboard.press('p')
  await page.getByRole('button', { name: 'Go on' }).waitFor()
  await page.keyboard.press('p')
  await page.keyboard.press('.')
  await page.getByRole('button', { name: 'Unpin' }).waitFor()
  await page.keyboard.press('x')
  await expect.poll(() => page.locator('.rows .row').count()).toBe(1)
  await page.keyboard.press('?')
  await page.getByRole('dialog').waitFor()
})

test('a TCP connection shows its bytes, and is sent again', async () => {
  const echo = createTcpServer({ allowHalfOpen: true }, (socket) => {
    socket.on('data', (chunk: Buffer) => socket.end(`got ${chunk.toString()}`))
  })
  const run = await inspectedPage(folder, echo, { protocol: 'tcp' })
  const page = await run.openPage(browser())
  const stream = run.open({ visitorAddress: '198.51.100.7' })
  stream.write('hello')
  await until(() => stream.text() === 'got hello')
  stream.end()
  await rowOf(page, /198\.51\.100\.7/).click()
  await page.getByText('68 65 6c 6c 6f').first().waitFor()
  await page.getByRole('button', { name: 'Text', exact: true }).click()
  await page.getByText('got hello').waitFor()
  await page.getByRole('button', { name: 'Replay', exact: true }).click()
  await until(() => run.capture.store.all()[1]?.state === 'done')
  expect(run.capture.store.all()[1]?.responseBody.content.toString()).toBe('got hello')
})

test('a service that is down is named, and its return is marked', async () => {
  const path = join(folder.path, 'service.sock')
  const run = await inspectedPage(folder, `unix:${path}`)
  const page = await run.openPage(browser())
  run.open().write(request('GET /down'))
  await page.getByRole('alert').getByText('does not answer').waitFor()
  await rowOf(page, /down/).click()
  await page.getByText('made by Adit, not by the service').waitFor()
  const back = createServer(service)
  back.listen(path)
  await once(back, 'listening')
  onTestFinished(() => void back.close())
  run.open().write(request('GET /back'))
  await page.getByText('first after it was down').or(page.getByText('"/back"')).first().waitFor()
  await expect.poll(() => page.getByRole('alert').count()).toBe(0)
})

const NASTY = [
  '<img src=x onerror=alert(1)>',
  '</script><script>alert(1)</script>',
  'a\u202egnp.exe',
  'javascript:alert(1)',
  '{{constructor}}',
]

test('hostile content is text: in paths, headers, bodies and messages', async () => {
  const bytes = Buffer.concat([
    Buffer.from(
      `{"__proto__":{"x":"<b>"},"html":${JSON.stringify(NASTY.join(' '))},"nul":"\\u0000"}`,
    ),
  ])
  const run = await inspectedPage(
    folder,
    createServer((_, response) => {
      response.writeHead(200, {
        'content-type': 'text/html',
        location: 'javascript:alert(1)',
        'x-nasty': NASTY[0],
      })
      response.end(bytes)
    }),
  )
  const page = await run.openPage(browser())
  page.on('dialog', () => expect.unreachable('a script ran'))
  const path = encodeURI(NASTY.join('/')).replaceAll('%3C', '<').replaceAll('%3E', '>')
  await visit(
    run,
    request(
      `GET /${path.replaceAll('%E2%80%AE', '%e2%80%ae')}`,
      `X-Nasty: ${NASTY[1]}`,
      'X-Latin: \u00e2\u0080\u00ae',
    ),
    request('GET /bin'),
  )
  await rowOf(page, /onerror/).click()
  await page.getByText('__proto__').waitFor()
  await page.getByRole('button', { name: 'Raw' }).click()
  await page.getByText('U+202E').first().waitFor()
  await page.getByRole('button', { name: 'Hex' }).click()
  await page.getByRole('tab', { name: 'Request' }).click()
  await page.getByRole('button', { name: 'Edit and replay' }).click()
  expect(await page.locator('#app img, #app script, #app a[href^="javascript"]').count()).toBe(0)
})

test('other sites cannot read or do anything', async () => {
  const run = await inspectedPage(folder, createServer(service))
  await visit(run, order())
  const { port } = new URL(run.url)
  const context = await browser().newContext()
  onTestFinished(async () => await context.close())
  const page = await context.newPage()
  const other = createServer((_, response) => {
    response.writeHead(200, { 'content-type': 'text/html' })
    response.end('<!doctype html><title>other</title>')
  })
  other.listen(0, '127.0.0.1')
  await once(other, 'listening')
  onTestFinished(() => {
    other.close()
    other.closeAllConnections()
  })
  // A name that resolves to this machine: the whole page is refused, so no script of it runs.
  const rebound = await page.goto(`http://rebind.test:${port}/`)
  expect(rebound?.status()).toBe(403)
  expect(await page.evaluate(`fetch('/api/exchanges').then((answer) => answer.status)`)).toBe(403)
  for (const host of ['127.0.0.1', 'localhost']) {
    await page.goto(`http://${host}:${(other.address() as AddressInfo).port}/`)
    const attempts = await page.evaluate<Record<string, unknown>>(`(async () => {
      const to = 'http://127.0.0.1:${port}'
      const outcome = async (run) => { try { return await run() } catch { return 'refused' } }
      return {
        read: await outcome(async () => (await fetch(to + '/api/exchanges')).status),
        token: await outcome(async () => (await fetch(to + '/api/exchanges', { headers: { 'x-adit-token': 'a' } })).status),
        post: await outcome(async () => (await fetch(to + '/api/clear', { method: 'POST', mode: 'no-cors', body: '{}' })).type),
        script: await outcome(() => new Promise((resolve) => {
          const script = document.createElement('script')
          script.src = to + '/'
          script.onload = () => resolve('loaded')
          script.onerror = () => resolve('refused')
          document.head.append(script)
        })),
      }
    })()`)
    expect(attempts).toMatchObject({ read: 'refused', token: 'refused', script: 'refused' })
  }
  expect(run.capture.store.size).toBe(1)
})

test('10 000 exchanges pass while the page is open: few nodes, no loss, the place in the list stays', async () => {
  const run = await inspectedPage(folder, createServer(service), { keep: 10_000 })
  const page = await run.openPage(browser())
  const { store } = run.capture
  const add = (count: number): void => {
    for (let at = 0; at < count; at++) {
      const exchange = store.begin('http', 'web')
      exchange.request = { method: 'GET', target: `/item/${exchange.id}`, headers: [] }
      exchange.response = { status: 200, reason: 'OK', headers: [] }
      exchange.state = 'done'
      store.touch(exchange)
    }
  }
  add(200)
  await rowOf(page, /item.200/).waitFor()
  const scroller = page.locator('.scroller')
  await page.evaluate("document.querySelector('.scroller').scrollTop = 3000")
  await rowOf(page, /item.100(?!\d)/).waitFor()
  const placeOf = async (): Promise<number | undefined> => {
    const [list, row] = await Promise.all([
      scroller.boundingBox(),
      rowOf(page, /item.100(?!\d)/).boundingBox(),
    ])
    return row === null || list === null ? undefined : Math.round(row.y - list.y)
  }
  const before = await placeOf()
  for (let part = 0; part < 49; part++) {
    add(200)
    await new Promise((resolve) => setImmediate(resolve))
  }
  await expect
    .poll(async () => await page.evaluate("document.querySelector('.scroller').scrollHeight"))
    .toBe(300_000)
  expect(await placeOf()).toBe(before)
  expect(await page.locator('.rows .row').count()).toBeLessThan(100)
  await page.getByRole('button', { name: /9800 new/ }).click()
  await rowOf(page, /item.10000/).waitFor()
})

test('requests that run at once are listed by when they came, not by when they changed', async () => {
  const run = await inspectedPage(folder, createServer(service))
  const page = await run.openPage(browser())
  const { store } = run.capture
  const [first, second] = ['/first', '/second'].map((target) => {
    const exchange = store.begin('http', 'web')
    exchange.request = { method: 'GET', target, headers: [] }
    return exchange
  })
  for (const exchange of [second, first]) if (exchange !== undefined) store.touch(exchange)
  await rowOf(page, /first/).waitFor()
  const listed = await page.locator('.rows .row').allInnerTexts()
  expect(listed.map((text) => /\/\w+/.exec(text)?.[0])).toEqual(['/second', '/first'])
})

test('the events of a stream are shown while more come all the time', async () => {
  let sent = 0
  const run = await inspectedPage(
    folder,
    createServer((_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      const events = setInterval(() => response.write(`data: ${(sent += 1)}\n\n`), 20)
      response.on('close', () => clearInterval(events))
    }),
  )
  const page = await run.openPage(browser())
  run.open().write(request('GET /events'))
  await rowOf(page, /events/).click()
  await page.getByRole('tab', { name: /^Events/ }).click()
  const shown = async (): Promise<number> =>
    Number(/data: (\d+)/.exec(await page.locator('.messages li').last().innerText())?.[1])
  const before = await shown()
  await expect.poll(shown, { timeout: 30_000 }).toBeGreaterThan(before)
})

test('the agent ends and starts again while the page is open', async () => {
  const { first: port } = await freePorts(1)
  const run = await inspectedPage(folder, createServer(service), { port })
  const page = await run.openPage(browser())
  await visit(run, request('GET /before'))
  await rowOf(page, /before/).waitFor()
  await run.close()
  await page.getByText('The agent has stopped.').waitFor()
  const next = await inspectedPage(folder, createServer(service), { port })
  expect(next.url).toBe(run.url)
  await visit(next, request('GET /after'))
  await rowOf(page, /after/).waitFor()
  expect(await rowOf(page, /before/).count()).toBe(0)
})

test('without the token the page asks for it', async () => {
  const run = await inspectedPage(folder, createServer(service))
  const context = await browser().newContext()
  onTestFinished(async () => await context.close())
  const page = await context.newPage()
  await page.goto(run.url)
  await page.getByLabel('Address or token').fill('wrong')
  await page.getByRole('button', { name: 'Open' }).click()
  await page.getByLabel('Address or token').fill(run.openUrl)
  await page.getByRole('button', { name: 'Open' }).click()
  await page.getByText('Waiting for the first visitor').waitFor()
  expect(page.url()).toBe(run.url)
})

test('two pages see the same, and pause alone', async () => {
  const run = await inspectedPage(folder, createServer(service))
  const [one, other] = [await run.openPage(browser()), await run.openPage(browser())]
  await one.getByRole('button', { name: 'Pause' }).click()
  await visit(run, request('GET /both'))
  await rowOf(other, /both/).waitFor()
  await one.getByText('1 new').waitFor()
  await other.getByRole('button', { name: 'Clear' }).click()
  await expect.poll(() => rowOf(other, /both/).count()).toBe(0)
})

test(
  'no rule of accessibility is broken, light and dark, wide and narrow',
  { timeout: 300_000 },
  async () => {
    const run = await inspectedPage(folder, createServer(service))
    const page = await run.openPage(browser(), { reducedMotion: 'reduce' })
    expect(await accessibilityFaults(page)).toEqual([])
    await visit(run, request('GET /one'), order())
    await rowOf(page, /orders/).waitFor()
    expect(await accessibilityFaults(page)).toEqual([])
    await page.setViewportSize({ width: 1280, height: 800 })
    await rowOf(page, /orders/).click()
    await page.getByText('duplicate key').waitFor()
    expect(await accessibilityFaults(page)).toEqual([])
    await page.getByRole('button', { name: 'Edit and replay' }).click()
    await page.getByRole('button', { name: 'Send to the service' }).click()
    await page.getByRole('region', { name: 'Answer to the replay' }).waitFor()
    expect(await accessibilityFaults(page)).toEqual([])
    await page.locator('h1').click()
    await page.keyboard.press('?')
    expect(await accessibilityFaults(page)).toEqual([])
  },
)

test('nothing is cut off from 320 to 2560 px', async () => {
  const run = await inspectedPage(folder, createServer(service))
  const page = await run.openPage(browser())
  await visit(run, order())
  const excess = async (): Promise<unknown> =>
    await page.evaluate('document.documentElement.scrollWidth - innerWidth')
  for (const part of ['list', 'detail']) {
    if (part === 'detail') {
      await rowOf(page, /orders/).click()
      await page.getByText('duplicate key').waitFor()
    }
    for (const width of [2560, 1920, 1280, 1100, 760, 640, 390, 320]) {
      await page.setViewportSize({ width, height: 800 })
      expect({ part, width, excess: await excess() }).toEqual({ part, width, excess: 0 })
    }
  }
})
