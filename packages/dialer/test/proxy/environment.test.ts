import { inspect } from 'node:util'

import { describe, expect, it } from 'vitest'

import { isDialError, proxyFromEnvironment, type Environment } from '../../src/index.ts'
import type { RouteScheme } from '../../src/proxy/environment.ts'

function from(env: Environment, scheme: RouteScheme, host = 'a.test', port = 443): string {
  const { proxy, from: source } = proxyFromEnvironment(env).select(scheme, host, port)
  return proxy === undefined ? `direct: ${source}` : `${proxy.toString()} ${source}`
}

function thrown(call: () => unknown): unknown {
  try {
    call()
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}

describe('proxyFromEnvironment', () => {
  it('prefers the specific variable, and lower case before upper case', () => {
    const all = {
      wss_proxy: 'http://p1',
      WSS_PROXY: 'http://p2',
      https_proxy: 'http://p3',
      HTTPS_PROXY: 'http://p4',
      all_proxy: 'http://p5',
      ALL_PROXY: 'http://p6',
    }
    const left: Record<string, string> = { ...all }
    const order: string[] = []
    while (Object.keys(left).length > 0) {
      const { from: name } = proxyFromEnvironment(left).select('wss', 'a.test', 443)
      order.push(name)
      delete left[name]
    }
    expect(order).toEqual(Object.keys(all))
  })

  it('uses http_proxy for ws and http, https_proxy for wss, https and tls, and only all_proxy for tcp', () => {
    const env = {
      http_proxy: 'http://plain',
      https_proxy: 'http://secure',
      all_proxy: 'socks5://all',
    }
    expect(from(env, 'ws')).toBe('http://plain:80 http_proxy')
    expect(from(env, 'http')).toBe('http://plain:80 http_proxy')
    expect(from(env, 'wss')).toBe('http://secure:80 https_proxy')
    expect(from(env, 'https')).toBe('http://secure:80 https_proxy')
    expect(from(env, 'tls')).toBe('http://secure:80 https_proxy')
    expect(from(env, 'tcp')).toBe('socks5://all:1080 all_proxy')
  })

  it('does not use http_proxy for TLS targets, and warns', () => {
    const { proxy, warnings } = proxyFromEnvironment({ HTTP_PROXY: 'http://p' }).select(
      'wss',
      'a.test',
      443,
    )
    expect(proxy).toBeUndefined()
    expect(warnings[0]).toContain('HTTP_PROXY is set')
  })

  it('treats an empty value as absent', () => {
    expect(from({ https_proxy: ' ', HTTPS_PROXY: 'http://p' }, 'wss')).toBe(
      'http://p:80 HTTPS_PROXY',
    )
  })

  it('ignores upper-case HTTP_PROXY in a CGI process, and warns', () => {
    const env = { REQUEST_METHOD: 'GET', HTTP_PROXY: 'http://evil' }
    expect(from(env, 'ws')).toContain('direct')
    expect(proxyFromEnvironment(env).select('ws', 'a.test', 80).warnings[0]).toContain('CGI')
    expect(from({ ...env, http_proxy: 'http://good' }, 'ws')).toBe('http://good:80 http_proxy')
  })

  it('assumes http for a value without scheme, with a warning', () => {
    const { proxy, warnings } = proxyFromEnvironment({ https_proxy: 'corp:3128' }).select(
      'wss',
      'a.test',
      443,
    )
    expect(proxy?.toString()).toBe('http://corp:3128')
    expect(warnings).toHaveLength(1)
  })

  it('fails with DIAL_PROXY_INVALID for an unknown scheme, and does not connect directly', () => {
    for (const value of [
      'quic://u:hunter2@p',
      'http://u:hunter2@p/x.pac',
      'http://u:hunter2%zz@p',
    ]) {
      const error = thrown(() => from({ HTTPS_PROXY: value }, 'wss'))
      expect(isDialError(error, 'DIAL_PROXY_INVALID')).toBe(true)
      expect(inspect(error)).not.toContain('hunter2')
      expect(String(error)).toContain('HTTPS_PROXY')
    }
  })

  it('uses no proxy for loopback targets and for entries of NO_PROXY', () => {
    const env = { https_proxy: 'http://p', no_proxy: 'b.test', NO_PROXY: 'a.test' }
    expect(from(env, 'wss', 'localhost')).toContain('loopback')
    expect(from(env, 'wss', '127.0.0.9')).toContain('loopback')
    expect(from(env, 'wss', 'x.b.test')).toBe('direct: no_proxy entry b.test')
    expect(from(env, 'wss', 'a.test')).toBe('http://p:80 https_proxy')
  })

  it('contains no credentials in inspection and JSON', () => {
    const proxies = proxyFromEnvironment({
      HTTPS_PROXY: 'http://u:hunter2@p',
      ALL_PROXY: 'http://hunter2:x@q',
    })
    expect(inspect(proxies, { depth: 9, showHidden: true })).not.toContain('hunter2')
    expect(JSON.stringify(proxies)).not.toContain('hunter2')
    expect(proxies.names).toEqual(['HTTPS_PROXY', 'ALL_PROXY'])
  })
})
