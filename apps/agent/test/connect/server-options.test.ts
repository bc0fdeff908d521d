import { rmSync } from 'node:fs'
import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { loadSettings } from '@proj/config'
import { explainRoute } from '@proj/dialer'
import { certificateAuthority } from '@proj/testkit/certificates'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'

import { serverOptions } from '../../src/connect/server-options.ts'
import { settings } from '../../src/settings.ts'

/** The options that a `connect` group in a file makes. */
async function optionsOf(connect: object, env: Record<string, string> = {}) {
  using folder = temporaryDirectory()
  const file = folder.write('adit.json', JSON.stringify({ connect }))
  const loaded = await loadSettings(settings, { cwd: folder.path, files: [file] })
  if (!loaded.ok) throw new Error(inspect(loaded.problems))
  return await serverOptions(loaded.settings.connect, env)
}

test('the defaults dial a server here, without TLS', async () => {
  expect(await optionsOf({})).toEqual({
    url: ['http://localhost:8001'],
    pingIntervalMs: 5_000,
    spreadIntervalMs: 5_000,
    connect: { proxy: expect.anything(), timeouts: { totalMs: 30_000 } },
  })
})

test('several servers are a list, or one text with commas', async () => {
  const urls = ['http://a.example:8001', 'http://b.example:8001']
  expect((await optionsOf({ url: urls })).url).toEqual(urls)
  expect((await optionsOf({ url: urls.join(',') })).url).toEqual(urls)
  expect((await optionsOf({ url: 'http://a.example:8001' })).url).toEqual(urls.slice(0, 1))
})

test('an entry of no_proxy without a known form is a problem of its key', async () => {
  const wrong = optionsOf({ no_proxy: 'example.com, 10.0.0.256' })
  await expect(wrong).rejects.toThrow(
    /connect\.no_proxy[\s\S]*the entry \\?"10\.0\.0\.256\\?" has no known form/,
  )
  const { connect } = await optionsOf({ no_proxy: '10.*, <local>' })
  expect(connect).toHaveProperty('noProxy', '10.*, <local>')
})

test('URLs with and without TLS cannot be mixed', async () => {
  const mixed = optionsOf({ url: ['https://a.example', 'http://b.example'] })
  await expect(mixed).rejects.toThrow('URLs with and without TLS cannot be mixed')
  const secure = await optionsOf({ url: ['https://a.example', 'wss://b.example'] })
  expect(secure.connect).toHaveProperty('tls')
})

test('token and tenant are passed on', async () => {
  expect(await optionsOf({ token: 't', tenant_id: 'x' })).toMatchObject({
    token: 't',
    tenantId: 'x',
  })
})

test('a token from a file is the one that stands in it now', async () => {
  using folder = temporaryDirectory()
  const file = folder.write('token', 'first\n')
  const { token } = await optionsOf({ token_file: file })
  if (typeof token !== 'function') throw new Error('it is read once only')
  expect(await token()).toBe('first')
  folder.write('token', 'second\r\n')
  expect(await token()).toBe('second')
  // Half-way through being replaced, and gone.
  folder.write('token', '')
  expect(await token()).toBe('second')
  rmSync(file)
  expect(await token()).toBe('second')
})

test('source address, interface, device and family are passed on', async () => {
  expect((await optionsOf({ bind_addr: ['192.0.2.1', 'fe80::1%eth0'] })).connect).toMatchObject({
    localAddress: ['192.0.2.1', 'fe80::1%eth0'],
  })
  expect((await optionsOf({ bind_interface: 'eth0' })).connect).toMatchObject({ interface: 'eth0' })
  expect((await optionsOf({ bind_device: 'eth0' })).connect).toMatchObject({ device: 'eth0' })
  expect((await optionsOf({ ip_family: '6' })).connect).toMatchObject({ family: 6 })
})

test('a source address and an interface exclude each other', async () => {
  await expect(optionsOf({ bind_addr: '192.0.2.1', bind_interface: 'eth0' })).rejects.toThrow(
    'it cannot be combined with connect.bind_addr',
  )
})

describe('the proxy', () => {
  const env = { HTTPS_PROXY: 'http://env.example:1', HTTP_PROXY: 'http://env.example:1' }

  test('is that of the settings before that of the environment', async () => {
    const { connect } = await optionsOf({ proxy_url: 'http://user:secret@set.example:2' }, env)
    expect(connect).toMatchObject({ proxy: 'http://user:secret@set.example:2' })
  })

  test('is none when the settings say direct, whatever the environment says', async () => {
    expect((await optionsOf({ proxy_url: 'direct' }, env)).connect).toMatchObject({
      proxy: 'direct',
    })
  })

  test.skipIf(process.platform !== 'linux')(
    'is read from the system for each connection when the settings say system',
    async () => {
      using folder = temporaryDirectory()
      const tool = (host: string): void => {
        const lines = [
          "org.gnome.system.proxy mode 'manual'",
          `org.gnome.system.proxy.http host '${host}'`,
          'org.gnome.system.proxy.http port 3128',
        ]
        const script = `#!/bin/sh\n${lines.map((line) => `echo "${line}"`).join('\n')}\n`
        folder.write('gsettings', script, 0o755)
      }
      tool('one.example')
      const path = `${folder.path}:${process.env['PATH'] ?? ''}`
      const { connect } = await optionsOf({ proxy_url: 'system' }, { ...env, PATH: path })
      const chosen = async () => (await explainRoute('ws://192.0.2.1', { ...connect })).proxy
      expect(await chosen()).toBe('http://one.example:3128')
      tool('two.example')
      expect(await chosen()).toBe('http://two.example:3128')
    },
  )
})

describe('TLS', () => {
  test('verifies in full, with the authorities of a file', async () => {
    using folder = temporaryDirectory()
    const { cert } = certificateAuthority()
    const ca = folder.write('ca.pem', cert)
    const { connect } = await optionsOf({ url: 'https://x.example', tls: { root_cas: ca } })
    expect(connect?.tls).toMatchObject({ ca: cert, verify: 'full' })
  })

  test('verifies nothing only when told so', async () => {
    const { connect } = await optionsOf({
      url: 'wss://x.example',
      tls: { insecure_skip_verify: true },
    })
    expect(connect?.tls).toMatchObject({ verify: 'none' })
  })

  test.each(['root_cas', 'proxy_ca'])(
    'a file without a certificate in %s is an error',
    async (key) => {
      using folder = temporaryDirectory()
      const file = folder.write('ca.pem', '')
      const asked = optionsOf({
        url: 'https://x.example',
        ...(key === 'proxy_ca' ? { proxy_ca: file } : { tls: { root_cas: file } }),
      })
      await expect(asked).rejects.toMatchObject({ exitCode: 2, code: 'CONFIG_CERTIFICATE_INVALID' })
    },
  )

  test('names the setting whose file cannot be read, with exit code 2', async () => {
    const asked = optionsOf({ url: 'https://x.example', tls: { key: '/nowhere/key.pem' } })
    await expect(asked).rejects.toMatchObject({
      exitCode: 2,
      message: expect.stringMatching(/^connect\.tls\.key: ENOENT/),
    })
  })
})
