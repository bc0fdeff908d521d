import { gzipSync } from 'node:zlib'

import { listening } from '@proj/testkit/listening'
import { exchangeRaw } from '@proj/testkit/raw-http'
import { expect, it } from 'vitest'

import { createAdminServer } from '../../src/admin/admin-server.ts'
import type { PageFile } from '../../src/admin/page-files.ts'

it.each([
  ['gzip', true],
  ['br;q=1.0, GZIP ; q=0.5', true],
  ['gzip;q=0', false],
  ['gzip; q=0.000, br', false],
  ['x-gzip-other', false],
  ['', false],
])('a client that accepts "%s" gets gzip: %s', async (accepted, isGzip) => {
  let reads = 0
  const file: PageFile = {
    path: 'index.html',
    type: 'text/html',
    isHashed: false,
    get gzip() {
      reads += 1
      return gzipSync('page')
    },
  }
  const site = { path: '/console', files: async () => [file] }
  await using server = await listening(createAdminServer({ pages: new Map(), hosts: [], site }))
  const ask = async () =>
    await exchangeRaw(
      server.port,
      `GET /console/ HTTP/1.1\r\nhost: localhost\r\naccept-encoding: ${accepted}\r\nconnection: close\r\n\r\n`,
    )
  const answers = [await ask(), await ask()]
  for (const { status, headers, body } of answers) {
    expect([status, headers['content-encoding']]).toEqual([200, isGzip ? 'gzip' : undefined])
    expect(body).toEqual(isGzip ? gzipSync('page') : Buffer.from('page'))
  }
  // It is decompressed once.
  expect(reads).toBe(isGzip ? 2 : 1)
})

it.each([
  ['GET', 'text/html,*/*', 307],
  ['GET', '*/*', 404],
  ['POST', 'text/html', 404],
])('answers %s of / that accepts %s with %i', async (method, accept, expected) => {
  const site = { path: '/console', files: async () => [] }
  await using server = await listening(createAdminServer({ pages: new Map(), hosts: [], site }))
  const { status, headers } = await exchangeRaw(
    server.port,
    `${method} / HTTP/1.1\r\nhost: localhost\r\naccept: ${accept}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`,
  )
  expect(status).toBe(expected)
  expect(headers['location']).toBe(expected === 307 ? 'console/' : undefined)
})
