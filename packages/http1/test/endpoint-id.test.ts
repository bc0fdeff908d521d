import { describe, expect, it } from 'vitest'
import { endpointId } from '../src/endpoint-id.ts'
import { getHeader } from '../src/header-list.ts'
import { parseHost } from '../src/host.ts'

/** Returns the part of a head that endpointId reads. */
function headOf(headers: readonly string[], host: string) {
  const hostParts = parseHost(host)
  if (hostParts === undefined) throw new Error('not valid')
  return { hostParts, header: (name: string) => getHeader(headers, name) }
}

describe('endpointId', () => {
  it.each([
    ['ep1.example.com:8000', 'ep1'],
    ['EP1.example.com', 'ep1'],
    ['ep1.', 'ep1'],
    ['ep1.:80', 'ep1'],
    ['a.b.c.d', 'a'],
    ['1.2.3', '1'],
    ['web.localhost:8000', 'web'],
    ['ep1', undefined],
    ['localhost:8000', undefined],
    ['10.0.0.1', undefined],
    ['10.0.0.1:80', undefined],
    ['[::1]:8000', undefined],
    ['[::ffff:1.2.3.4]', undefined],
  ])('of host %j is %j', (host, id) => {
    expect(endpointId(headOf(['Host', host], host))).toBe(id)
  })

  it.each([
    [['x-piko-endpoint', 'Ep.2'], 'Ep.2'],
    [['X-Piko-Endpoint', 'one', 'x-piko-endpoint', 'two'], 'one'],
    [['X-Piko-Endpoint', ''], 'ep1'],
    [['X-Piko-Endpoints', 'x'], 'ep1'],
  ])('of headers %j is %j', (headers, id) => {
    expect(endpointId(headOf(headers, 'ep1.example.com'))).toBe(id)
    expect(endpointId(headOf(headers, 'ep1.example.com'), { baseDomain: 'example.com' })).toBe(id)
  })

  it.each([
    ['web.tunnel.example', 'web'],
    ['WEB.Tunnel.Example.:8000', 'web'],
    ['tunnel.example', undefined],
    ['a.b.tunnel.example', undefined],
    ['web.other.example', undefined],
    ['webtunnel.example', undefined],
    ['web.xtunnel.example', undefined],
    ['10.0.0.1', undefined],
  ])('of host %j with a base domain is %j', (host, id) => {
    expect(endpointId(headOf([], host), { baseDomain: 'Tunnel.example' })).toBe(id)
  })

  it('may have a base domain of one label', () => {
    const head = headOf([], 'web.localhost:8000')
    expect(endpointId(head, { baseDomain: 'localhost' })).toBe('web')
  })
})
