import { createServer } from 'node:http'
import { networkInterfaces } from 'node:os'

import { listening } from '@proj/testkit/listening'
import { scriptedPeer } from '@proj/testkit/scripted-peer'
import { describe, expect, it, onTestFinished } from 'vitest'
import { WebSocketServer } from 'ws'

import {
  DIAL_ERRORS,
  DialError,
  diagnose,
  exitCodeFor,
  explainRoute,
  formatDiagnoseReport,
  formatRouteReport,
  isDialError,
  proxyFromEnvironment,
  type DialErrorCode,
} from '../../src/index.ts'
import { connectProxy } from '../connect-proxy.ts'

async function webSocketServer() {
  const server = createServer()
  const wss = new WebSocketServer({ server })
  wss.on('connection', () => {})
  const peer = await listening(server)
  onTestFinished(() => peer.close())
  return peer
}

describe('explainRoute', () => {
  it('reports a direct route with its address and interface', async () => {
    const peer = await scriptedPeer(() => {})
    const report = await explainRoute({ host: '127.0.0.1', port: peer.port })
    expect(report).toMatchObject({
      target: `127.0.0.1:${peer.port}`,
      proxy: null,
      proxyFrom: 'no proxy is set',
      tunnel: null,
      firstHop: `127.0.0.1:${peer.port}`,
      addresses: ['127.0.0.1'],
      sources: [],
      tls: null,
      problems: [],
      warnings: [],
    })
    expect(report.egress[0]).toMatchObject({ source: '127.0.0.1', interface: 'lo' })
    // The target got no connection.
    expect(peer.sockets.size).toBe(0)
  })

  it('reports the proxy, the tunnel and TLS, in text and JSON, without the password', async () => {
    const report = await explainRoute('wss://user:secret1@tunnel.test:8443/x?token=secret2', {
      proxy: proxyFromEnvironment({ HTTPS_PROXY: 'http://alice:secret3@127.0.0.1:3128' }),
      tls: { servername: 'other.test' },
    })
    const text = formatRouteReport(report)
    expect(text).toBe(
      [
        'target    wss://tunnel.test:8443/x',
        'proxy     http://alice:***@127.0.0.1:3128 (HTTPS_PROXY)',
        'tunnel    CONNECT tunnel.test:8443, name looked up by the proxy',
        'connects  127.0.0.1:3128 (127.0.0.1)',
        'source    chosen by the system',
        'leaves by lo from 127.0.0.1 to 127.0.0.1',
        "tls       verified against built-in authorities + the system's, as other.test, TLSv1.2 or newer, ALPN http/1.1",
        'limits    30 s in all (dns 5 s, connect 10 s, proxy 10 s, tls 10 s, upgrade 10 s)',
        'note      port 8443: many proxies allow CONNECT to 443 only',
        'note      the credentials are sent to the proxy without encryption: http has none',
      ].join('\n'),
    )
    expect(`${text}${JSON.stringify(report)}`).not.toContain('secret')
  })

  it('reports problems that would make the dial fail', async () => {
    const cases: [Parameters<typeof explainRoute>[1] & object, DialErrorCode][] = [
      [{ interface: 'nosuch0' }, 'DIAL_BIND_INTERFACE_UNKNOWN'],
      [{ localAddress: 'fe80::1%nosuch0' }, 'DIAL_BIND_ZONE'],
      [{ localAddress: '::1' }, 'DIAL_BIND_FAMILY'],
      [{ proxy: proxyFromEnvironment({ ALL_PROXY: 'x://y' }) }, 'DIAL_PROXY_INVALID'],
    ]
    for (const [options, code] of cases) {
      const report = await explainRoute({ host: '192.0.2.1', port: 1 }, options)
      expect(report.problems.map((problem) => problem.code)).toEqual([code])
      expect(formatRouteReport(report)).toContain(`error     ${code}`)
    }
    const unknown = await explainRoute(
      { host: 'gone.test', port: 1 },
      {
        lookup: async () => {
          throw Object.assign(new Error('no'), { code: 'ENOTFOUND' })
        },
      },
    )
    expect(unknown.problems[0]?.code).toBe('DIAL_DNS_NOT_FOUND')
  })

  it('resolves the interface to the addresses it has now', async () => {
    const loopback = (networkInterfaces()['lo'] ?? []).map(({ address }) => address)
    const report = await explainRoute({ host: '127.0.0.1', port: 1 }, { interface: 'lo' })
    expect(report.sources).toEqual(loopback)
  })
})

describe('diagnose', () => {
  it('reports every step of a successful dial', async () => {
    const { port } = await webSocketServer()
    const proxy = await connectProxy({})
    const report = await diagnose(`ws://localhost:${port}/`, {
      proxy: `http://localhost:${proxy.port}`,
    })
    expect([report.ok, report.exitCode]).toEqual([true, 0])
    expect(report.steps.map(({ name }) => name)).toEqual([
      'proxy name',
      'proxy tcp',
      'proxy tunnel',
      'server upgrade',
    ])
    expect(formatDiagnoseReport(report)).toMatch(/proxy tcp +ok +\d+ ms {2}127\.0\.0\.1 -> 127/)
    expect(formatDiagnoseReport(report)).toContain('result    reachable')
  })

  it('ends with the failed step, its error, hint and exit code', async () => {
    const proxy = await scriptedPeer(async ({ readUntil, socket }) => {
      await readUntil('\r\n\r\n')
      socket.end('HTTP/1.1 403 Forbidden\r\n\r\n')
    })
    const report = await diagnose('wss://tunnel.test:8443/', {
      proxy: `http://alice:hunter2@${proxy.authority}`,
    })
    expect(report).toMatchObject({
      ok: false,
      exitCode: 4,
      error: { code: 'DIAL_PROXY_DENIED', status: 403 },
    })
    const text = formatDiagnoseReport(report)
    expect(text).toMatch(/proxy tunnel +FAIL/)
    expect(text).toContain('error     DIAL_PROXY_DENIED: the proxy')
    expect(text).toContain('hint      many proxies allow CONNECT to port 443 only')
    expect(`${text}${JSON.stringify(report)}`).not.toContain('hunter2')
  })

  it('dials an endpoint without an upgrade', async () => {
    const peer = await scriptedPeer(() => {})
    const report = await diagnose({ host: '127.0.0.1', port: peer.port })
    expect(report.steps.map(({ name }) => name)).toEqual(['server tcp'])
  })

  it('rejects with the reason of the signal', async () => {
    const reason = new Error('enough')
    const signal = AbortSignal.abort(reason)
    await expect(diagnose({ host: '127.0.0.1', port: 1 }, { signal })).rejects.toBe(reason)
  })
})

describe('exitCodeFor', () => {
  const make = (code: DialErrorCode, leg: 'proxy' | 'server' = 'server'): DialError =>
    new DialError(code, 'x', { phase: 'connect', leg })
  it.each([
    [make('DIAL_BIND_NOT_LOCAL'), 2],
    [new TypeError('x'), 2],
    [new RangeError('x'), 2],
    [make('DIAL_CONNECT_REFUSED'), 3],
    [make('DIAL_CONNECT_REFUSED', 'proxy'), 4],
    [make('DIAL_PROXY_DENIED', 'proxy'), 4],
    [make('DIAL_TLS_NAME', 'proxy'), 5],
    [make('DIAL_UPGRADE_REFUSED'), 6],
    [new Error('x'), 1],
    ['x', 1],
  ])('%s: %i', (error, code) => {
    expect(exitCodeFor(error)).toBe(code)
  })
})

describe('isDialError', () => {
  it('recognises the errors of another copy of the package by name and code', () => {
    const foreign = Object.assign(new Error('x'), { name: 'DialError', code: 'DIAL_DEADLINE' })
    expect(isDialError(foreign)).toBe(true)
    expect(isDialError(foreign, 'DIAL_DEADLINE')).toBe(true)
    expect(isDialError(foreign, 'DIAL_TLS_NAME')).toBe(false)
    for (const other of [
      undefined,
      null,
      'DialError',
      new Error('x'),
      Object.assign(new Error('x'), { name: 'DialError' }),
      Object.assign(new Error('x'), { name: 'DialError', code: 'toString' }),
      { name: 'DialError', code: 'DIAL_DEADLINE' },
    ]) {
      expect(isDialError(other)).toBe(false)
    }
  })

  it('has the retry class of its code, or the given one', () => {
    for (const [code, { retry }] of Object.entries(DIAL_ERRORS)) {
      const error = new DialError(code as DialErrorCode, 'x', { phase: 'tls', leg: 'server' })
      expect([error.retry, error.retryable]).toEqual([retry, retry !== 'no'])
    }
  })
})
