// A domain that its owner proves, with the programs as a user starts them.
import { exchangeRaw } from '@proj/testkit/raw-http'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { expect, test } from 'vitest'

import { dnsResponder } from '../domains/dns-responder.ts'
import { adit, startAgent, startServer } from './programs.ts'
import { httpService } from './services.ts'

test('adit domain add shows the record, and visitors of the domain come when it is there', async () => {
  using directory = temporaryDirectory()
  const dns = await dnsResponder()
  const service = await httpService((_request, response) => response.end('shop'))
  const args = ['--data-dir', directory.path, '--domain-proof.servers', dns.address]
  const server = await startServer(undefined, args)
  await startAgent('http', 'shop', service.port, server)
  const domain = async (...words: readonly string[]): Promise<string> => {
    const url = `http://127.0.0.1:${server.ports.upstream}`
    const program = adit(['domain', ...words, '--connect.url', url])
    expect(await program.exited).toMatchObject({ code: 0 })
    return program.stdout
  }
  const shown = await domain('add', '*.example.net', 'shop')
  expect(shown).toMatch(
    /^\*\.example\.net is not proved: .*\n {2}_adit-challenge\.example\.net {2}TXT {2}\w{40}\n$/,
  )
  expect(await domain('list')).toMatch(
    /^DOMAIN .*\n\*\.example\.net +shop +pending +_adit-challenge/,
  )
  dns.records.set('_adit-challenge.example.net', [/\w{40}/.exec(shown)?.[0] ?? ''])
  const proved = '*.example.net is proved and leads to shop\n'
  expect(await domain('add', '*.example.net', 'shop')).toBe(proved)
  const head = 'GET / HTTP/1.1\r\nhost: a.b.example.net\r\nconnection: close\r\n\r\n'
  expect(String((await exchangeRaw(server.ports.proxy, head)).body)).toBe('shop')
  expect(await domain('add', 'shop.example.net', 'shop', '--challenge', 'http')).toMatch(
    /its web server needs this file .*\n {2}http:\/\/shop\.example\.net\/\.well-known\/adit-challenge {2}\w{40}\n$/,
  )
  expect(await domain('remove', '*.example.net')).toBe('*.example.net is removed\n')
  expect(await domain('list')).toMatch(/^DOMAIN .*\nshop\.example\.net +shop +pending +http:.*\n$/)
})
