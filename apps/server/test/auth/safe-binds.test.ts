import { UserError } from '@proj/program-kit'
import { formatListenAddress, parseListenAddress } from '@proj/config/address'
import { describe, expect, test } from 'vitest'

import { type PortBinds, safeBinds } from '../../src/auth/safe-binds.ts'

function port(name: PortBinds['name'], bind: string, more: Partial<PortBinds> = {}): PortBinds {
  const addresses = bind.split(',').map(parseListenAddress)
  return { name, addresses, isChosen: true, hasAllowList: false, isProtected: false, ...more }
}

/** Where the ports end up, or the refusal. */
function decided(ports: readonly PortBinds[], insecureOpen = false): unknown {
  try {
    return safeBinds(ports, insecureOpen).map(({ addresses, isWithheld, isOpen }) => {
      const where = addresses.map(formatListenAddress).join(',')
      return `${where}${isWithheld ? ' withheld' : ''}${isOpen ? ' open' : ''}`
    })
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    return [error.exitCode, error.message]
  }
}

describe('safeBinds', () => {
  test.for([
    'localhost:8001',
    '127.0.0.1:8001',
    '127.8.9.1:8001',
    '[::1]:8001',
    '127.0.0.1:8001,[::1]:8001',
  ])('leaves %s alone', (bind) => {
    expect(decided([port('upstream', bind)])).toEqual([bind])
  })

  test.for([
    ':8001',
    '0.0.0.0:8001',
    '[::]:8001',
    'tcp6://[::]:8001',
    '192.0.2.1:8001',
    '[2001:db8::1]:8001',
    'tunnel.example:8001',
    'fd:3',
  ])('refuses %s where no credentials are required', (bind) => {
    expect(decided([port('upstream', bind)])).toEqual([
      2,
      expect.stringMatching(/^upstream\.bind_addr: other machines can connect to .*8001|fd:3/),
    ])
  })

  test('refuses one address among others', () => {
    expect(decided([port('admin', '127.0.0.1:8002,192.0.2.1:8002')])).toEqual([
      2,
      'admin.bind_addr: other machines can connect to 192.0.2.1:8002 without credentials',
    ])
  })

  test('takes it with protection, an allow list, or in so many words', () => {
    expect(decided([port('upstream', ':8001', { isProtected: true })])).toEqual([':8001'])
    expect(decided([port('upstream', ':8001', { hasAllowList: true })])).toEqual([':8001'])
    expect(decided([port('upstream', ':8001')], true)).toEqual([':8001 open'])
    expect(decided([port('upstream', 'localhost:8001')], true)).toEqual(['localhost:8001'])
  })

  test('withholds a default, and only as long as nothing protects it', () => {
    const byDefault = { isChosen: false }
    expect(decided([port('proxy', ':8000', byDefault)])).toEqual(['localhost:8000 withheld'])
    expect(decided([port('proxy', ':8000', { ...byDefault, isProtected: true })])).toEqual([
      ':8000',
    ])
    expect(decided([port('proxy', ':8000', byDefault)], true)).toEqual([':8000 open'])
  })

  test('opens the proxy port where agents are known, and the admin port only for itself', () => {
    const agents = port('upstream', ':8001', { isProtected: true })
    expect(decided([port('proxy', ':8000'), agents])).toEqual([':8000', ':8001'])
    expect(decided([agents, port('admin', ':8002')])).toEqual([2, expect.any(String)])
    const visitors = port('proxy', ':8000', { isProtected: true })
    expect(decided([visitors, port('upstream', ':8001')])).toEqual([2, expect.any(String)])
  })
})
