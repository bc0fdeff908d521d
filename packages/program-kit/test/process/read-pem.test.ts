import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

import { certificateAuthority } from '@proj/testkit/certificates'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { afterAll, expect, test } from 'vitest'

import { readCertificates, readPem } from '../../src/process/read-pem.ts'

const folder = temporaryDirectory()
afterAll(() => folder[Symbol.dispose]())
const { cert } = certificateAuthority()

test('reads what is there, and nothing where no file is named', async () => {
  const file = folder.write('ca.pem', `the first\n${cert}\n${cert}`)
  expect(await readPem('ca', file)).toBe(`the first\n${cert}\n${cert}`)
  expect(await readCertificates('ca', file)).toBe(`the first\n${cert}\n${cert}`)
  expect(await readCertificates('ca', undefined)).toBeUndefined()
})

test.each([
  ['that is empty', '', 'holds no certificate'],
  ['of something else', 'hello', 'holds no certificate'],
  [
    'with a broken certificate behind a good one',
    `${cert}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`,
    'holds a certificate that cannot be read',
  ],
])('a file %s is an error', async (_, text, why) => {
  const file = folder.write('wrong.pem', text)
  await expect(readCertificates('--ca', file)).rejects.toMatchObject({
    name: 'UserError',
    code: 'CONFIG_CERTIFICATE_INVALID',
    exitCode: 2,
    message: `--ca: ${file} ${why}`,
  })
})

test.each([
  ['is missing', () => join(folder.path, 'missing.pem'), /ENOENT/],
  ['is a folder', () => folder.path, /it is no regular file|EISDIR/],
  ['is too large', () => folder.write('large.pem', 'a'.repeat(1024 * 1024 + 1)), /1048576 bytes/],
])('a file that %s is an error', async (_, make, why) => {
  await expect(readPem('--key', make())).rejects.toMatchObject({
    code: 'CONFIG_FILE_UNREADABLE',
    exitCode: 2,
    message: expect.stringMatching(why),
  })
})

test.skipIf(process.platform === 'win32')('a pipe without a writer is not waited for', async () => {
  const file = join(folder.path, 'pipe')
  execFileSync('mkfifo', [file])
  await expect(readPem('--key', file)).rejects.toMatchObject({ code: 'CONFIG_FILE_UNREADABLE' })
})
