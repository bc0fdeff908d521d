import { describe, expect, test } from 'vitest'

import { alternativeNames } from '../../src/tls/certificates.ts'

describe('alternative names', () => {
  test.for([
    ['', []],
    ['DNS:a.example', ['DNS:a.example']],
    [
      'DNS:a.example, URI:spiffe://office/a?b=c:d, email:jo@example.com',
      ['DNS:a.example', 'URI:spiffe://office/a?b=c:d', 'email:jo@example.com'],
    ],
    ['IP Address:10.0.0.1, DNS:b, othername:<unsupported>', ['DNS:b']],
    // One name that looks like two: Node writes it as a JSON string (CVE-2021-44532).
    ['DNS:"a.example, DNS:admin.example"', ['DNS:a.example, DNS:admin.example']],
    ['URI:"x\\"y, DNS:admin", DNS:b', ['URI:x"y, DNS:admin', 'DNS:b']],
    // What could not stand in one line of a log.
    ['DNS:"a\\nb", URI:"x\\u001b[2J", DNS:c', ['DNS:c']],
    ['not of that form', []],
    ['DNS:a,DNS:b', []],
    ['DNS:"unclosed', []],
  ] as const)('%s', ([written, names]) => {
    expect(alternativeNames(written)).toEqual(names)
  })
})
