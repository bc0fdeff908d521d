import { spawnSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls'

import { listen } from '@proj/portcheck'
import { type CertificateAndKey, certificateAuthority } from '@proj/testkit/certificates'
import { spawned } from '@proj/testkit/spawned'
import { RecordingLogger } from '@proj/testkit/recording-logger'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { describe, expect, onTestFinished, test, vi } from 'vitest'

import { clientCertificateOf, peerFacts } from '../../src/tls/certificates.ts'
import { TlsFront, type TlsFrontOptions } from '../../src/tls/tls-front.ts'
import { readTlsMaterial, type TlsMaterial, type TlsSources } from '../../src/tls/tls-material.ts'

const authority = certificateAuthority()
const hasOpenssl = spawnSync('openssl', ['version']).status === 0
const server = authority.issue({ name: 'server' })

/** Reads pairs and authorities through files, as the server does. */
async function material(
  pairs: readonly CertificateAndKey[],
  options: { clientCas?: string; clientCrl?: string; minVersion?: TlsSources['minVersion'] } = {},
): Promise<TlsMaterial> {
  using folder = temporaryDirectory()
  const { clientCas, clientCrl, minVersion = 'TLSv1.2' } = options
  const read = await readTlsMaterial({
    minVersion,
    cert: pairs.map(({ cert }, index) => folder.write(`${index}.pem`, cert)),
    key: pairs.map(({ key }, index) => folder.write(`${index}.key`, key)),
    clientCas: clientCas === undefined ? undefined : folder.write('cas.pem', clientCas),
    clientCrl: clientCrl === undefined ? undefined : folder.write('crl.pem', clientCrl),
  })
  if (Array.isArray(read)) throw new Error(read.map(({ message }) => message).join())
  return read
}

/** A port that speaks TLS; what gets through is answered with what is known of it, and echoed. */
async function start(options: Partial<TlsFrontOptions> = {}) {
  const logger = new RecordingLogger()
  const front = new TlsFront({
    listener: 'proxy',
    material: options.material ?? (await material([server])),
    handshakeTimeoutMs: 5_000,
    maxHandshakes: 100,
    logger,
    ...options,
  })
  const secured: Socket[] = []
  const listeners = await listen('127.0.0.1:0', {
    handshake: front.handshake,
    onConnection: (socket) => {
      secured.push(socket)
      socket.on('error', () => {})
      socket.write(JSON.stringify(peerFacts(socket)))
      socket.on('data', (data) => socket.write(data))
      socket.on('end', () => socket.end())
    },
  })
  onTestFinished(() => listeners.destroy())
  const port = listeners.bound[0]?.port ?? 0
  const raw = (): Socket => {
    const socket = connect({ host: '127.0.0.1', port })
    socket.on('error', () => {})
    onTestFinished(() => void socket.destroy())
    return socket
  }
  const dial = (with_: ConnectionOptions = {}): TLSSocket => {
    const socket = connectTls({ host: '127.0.0.1', port, ca: authority.cert, ...with_ })
    socket.on('error', () => {})
    onTestFinished(() => void socket.destroy())
    return socket
  }
  return { front, logger, listeners, secured, raw, dial }
}

/** Connects and says what went wrong, or that nothing did. */
async function attempt(socket: TLSSocket): Promise<string> {
  try {
    await once(socket, 'secureConnect')
    return 'connected'
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error)
  }
}

/** Resolves when a socket is closed, whichever way. */
async function closing(socket: Socket): Promise<void> {
  socket.resume()
  if (!socket.closed) await new Promise<void>((resolve) => socket.once('close', () => resolve()))
}

async function firstWords(socket: Socket): Promise<unknown> {
  const [said] = await once(socket, 'data')
  return JSON.parse(String(said))
}

test('what is secure is handed over half-open, with its version and server name', async () => {
  const { dial, secured, front } = await start()
  const client = dial({ servername: 'localhost' })
  expect(await firstWords(client)).toEqual({ tls: 'TLSv1.3 localhost' })
  client.end('last words')
  expect(await text(client)).toBe('last words')
  expect(secured[0]?.allowHalfOpen).toBe(true)
  expect(front.results).toMatchObject({ completed: 1, gone: 0 })
  expect(front.inProgress).toBe(0)
})

test('a client that names no server, or none of ours, gets the first certificate', async () => {
  const [one, two] = ['one.example', '*.two.example'].map((host) =>
    authority.issue({ name: host, hosts: [host] }),
  ) as [CertificateAndKey, CertificateAndKey]
  const { dial } = await start({ material: await material([one, two]) })
  const shownTo = async (servername: string): Promise<string> => {
    const client = dial({ servername, checkServerIdentity: () => undefined })
    await once(client, 'secureConnect')
    return String(client.getPeerCertificate().subject.CN)
  }
  expect(await shownTo('one.example')).toBe('one.example')
  expect(await shownTo('www.two.example')).toBe('*.two.example')
  expect(await shownTo('three.example')).toBe('one.example')
  expect(await shownTo('')).toBe('one.example')
})

describe('what openssl can do with TLS 1.2', () => {
  /** Runs `openssl s_client` and writes a line to it once it is connected. */
  const sClient = async (port: number, line: string, args: readonly string[] = []) => {
    const own = ['s_client', '-connect', `127.0.0.1:${port}`, '-tls1_2', ...args]
    const client = spawned('openssl', own)
    await Promise.race([client.line(/Verify return code/), client.exited])
    client.write(line)
    return client
  }

  test('a renegotiation is refused', async ({ skip }) => {
    skip(!hasOpenssl, 'no openssl')
    const { listeners } = await start()
    const client = await sClient(listeners.bound[0]?.port ?? 0, 'R\n')
    await client.exited
    expect(client.stderr).toContain('RENEGOTIATING')
    expect(client.stderr).toMatch(/no renegotiation/i)
  })

  test.for(['ECDHE-ECDSA-AES128-SHA', 'ECDHE-ECDSA-AES256-SHA', 'ECDHE-ECDSA-AES128-SHA256'])(
    '%s, which is CBC, is not spoken',
    async (cipher, { skip }) => {
      skip(!hasOpenssl, 'no openssl')
      const { listeners } = await start()
      const client = await sClient(listeners.bound[0]?.port ?? 0, 'Q\n', ['-cipher', cipher])
      expect((await client.exited).code).toBe(1)
      expect(client.stderr).toContain('handshake failure')
    },
  )

  test('AES-GCM is', async ({ skip }) => {
    skip(!hasOpenssl, 'no openssl')
    const { listeners } = await start()
    const cipher = 'ECDHE-ECDSA-AES128-GCM-SHA256'
    const client = await sClient(listeners.bound[0]?.port ?? 0, 'Q\n', ['-cipher', cipher])
    expect((await client.exited).code).toBe(0)
    expect(client.stdout).toContain(cipher)
  })
})

describe('versions and protocols', () => {
  test('TLS 1.2 is spoken, unless 1.3 is the oldest', async () => {
    const old = { maxVersion: 'TLSv1.2' } as const
    const lenient = await start()
    expect(await attempt(lenient.dial(old))).toBe('connected')
    const strict = await start({ material: await material([server], { minVersion: 'TLSv1.3' }) })
    expect(await attempt(strict.dial(old))).toBe('ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION')
    expect(await attempt(strict.dial())).toBe('connected')
    expect(strict.front.results.failed).toBe(1)
  })

  test('http/1.1 is agreed on, also for a second certificate, and h2 alone is refused', async () => {
    const second = authority.issue({ name: 'second', hosts: ['second.example'] })
    const { dial } = await start({ material: await material([server, second]) })
    for (const servername of ['localhost', 'second.example']) {
      const client = dial({ servername, ALPNProtocols: ['h2', 'http/1.1'] })
      expect(await attempt(client)).toBe('connected')
      expect(client.alpnProtocol).toBe('http/1.1')
    }
    expect(await attempt(dial({ ALPNProtocols: ['http/1.0'] }))).toBe('connected')
    expect(await attempt(dial({ ALPNProtocols: ['h2'] }))).toBe(
      'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL',
    )
    expect(await attempt(dial({}))).toBe('connected')
  })
})

describe('connections without TLS do not affect others', () => {
  test('HTTP is rejected in HTTP', async () => {
    const { raw, front } = await start()
    const client = raw()
    client.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n')
    const answer = await text(client)
    expect(answer).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/)
    expect(answer).toContain('adit-error: tls_required\r\n')
    expect(answer).toContain('{"error":"this port speaks TLS: use https"}')
    expect(front.results['plain-http']).toBe(1)
  })

  test('anything else is closed, also what only begins like TLS', async () => {
    const { raw, front, dial } = await start()
    const noise = raw()
    noise.write(Buffer.from([0, 1, 2, 3]))
    await closing(noise)
    const balanced = raw()
    balanced.write('PROXY TCP4 192.0.2.1 192.0.2.2 1234 443\r\n')
    await closing(balanced)
    const almost = raw()
    almost.write(Buffer.concat([Buffer.from([22, 3, 1, 0xff, 0xff]), Buffer.alloc(70_000, 7)]))
    await closing(almost)
    expect(front.results).toMatchObject({ 'no-tls': 2, failed: 1 })
    await expect.poll(() => front.inProgress).toBe(0)
    expect(await attempt(dial())).toBe('connected')
  })

  test('a client that leaves before the first byte, or during the handshake, is forgotten', async () => {
    const { raw, front } = await start()
    const silent = raw()
    await once(silent, 'connect')
    silent.end()
    const half = raw()
    half.end(Buffer.from([22, 3, 1, 2, 0, 1]))
    await expect.poll(() => front.inProgress).toBe(0)
    await expect.poll(() => front.results.gone + front.results.failed).toBe(2)
  })

  test('a client that takes too long is reset: silent, or byte by byte', async () => {
    const { raw, front } = await start({ handshakeTimeoutMs: 100 })
    const [silent, slow] = [raw(), raw()]
    slow.write(Buffer.from([22, 3]))
    const drip = setInterval(() => slow.write(Buffer.from([1])), 10)
    await Promise.all([closing(silent), closing(slow)])
    clearInterval(drip)
    expect(front.results.timeout).toBe(2)
    await expect.poll(() => front.inProgress).toBe(0)
  })

  test('one too many cuts the oldest, and gets through itself', async () => {
    const { raw, front, dial } = await start({ maxHandshakes: 3 })
    const waiting = [raw(), raw(), raw()]
    await Promise.all(waiting.map((socket) => once(socket, 'connect')))
    await expect.poll(() => front.inProgress).toBe(3)
    const cut = closing(waiting[0] as Socket)
    expect(await attempt(dial())).toBe('connected')
    await cut
    await expect.poll(() => front.inProgress).toBe(2)
    expect(front.results).toMatchObject({ 'crowded-out': 1, completed: 1 })
    expect(waiting[1]?.destroyed).toBe(false)
  })
})

describe('client certificates', () => {
  const clients = certificateAuthority('clients')
  const agent = clients.issue({
    name: 'agent 7',
    usage: 'client',
    hosts: ['agent7.example', 'spiffe://office/agent/7', '10.0.0.7'],
  })
  const asking = async () => material([server], { clientCas: clients.cert })

  test('a good one gets through, and its names are known', async () => {
    const { dial, secured } = await start({ material: await asking() })
    const client = dial(agent)
    expect(await firstWords(client)).toMatchObject({
      certificate: {
        names: ['DNS:agent7.example', 'URI:spiffe://office/agent/7'],
        fingerprint256: new X509Certificate(agent.cert).fingerprint256,
      },
    })
    expect(clientCertificateOf(secured[0] as Socket)).toBeDefined()
  })

  test.for([
    ['none', {}, 'missing', 'a client certificate is required'],
    [
      'that of a stranger',
      certificateAuthority('strangers').issue({ name: 'x', usage: 'client' }),
      'refused',
      'the client certificate is not accepted: UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    ],
    [
      'one that has expired',
      clients.issue({ name: 'x', usage: 'client', notAfter: new Date(Date.now() - 1000) }),
      'refused',
      'the client certificate is not accepted: CERT_HAS_EXPIRED',
    ],
    [
      'one of a server',
      clients.issue({ name: 'x', usage: 'server' }),
      'refused',
      'the client certificate is not accepted: INVALID_PURPOSE',
    ],
  ] as const)('%s is refused in HTTP, and said', async ([, shown, result, why]) => {
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      const { dial, front, logger, secured } = await start({ material: await asking() })
      const client = dial({ ...shown, maxVersion })
      client.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n')
      const answer = await text(client)
      expect(answer).toMatch(/^HTTP\/1\.1 403 Forbidden\r\n/)
      expect(answer).toContain(`adit-error: client_certificate_${result}\r\n`)
      expect(answer).toContain(JSON.stringify({ error: why }))
      expect(front.results[`certificate-${result}`]).toBe(1)
      expect(logger.find('TLS handshake failed')).toMatchObject([
        { level: 'warn', fields: { listener: 'proxy', remoteAddress: '127.0.0.1', why } },
      ])
      expect(secured).toEqual([])
    }
  })

  test('a second failure within ten seconds is only for debug', async () => {
    const { dial, logger } = await start({ material: await asking() })
    for (let round = 0; round < 3; round++) await text(dial())
    expect(logger.find('TLS handshake failed').map(({ level }) => level)).toEqual([
      'warn',
      'debug',
      'debug',
    ])
  })

  test('a certificate that was revoked is refused, another one and open connections are not', async () => {
    const other = clients.issue({ name: 'other', usage: 'client' })
    const lists = async (...revoked: CertificateAndKey[]) =>
      material([server], {
        clientCas: clients.cert,
        clientCrl: clients.revoke(...revoked),
      })
    const { dial, front } = await start({ material: await lists(other) })
    const client = dial(agent)
    const [ticket] = (await once(client, 'session')) as [Buffer]
    await firstWords(client)
    expect(await text(dial(other))).toContain('not accepted: CERT_REVOKED')
    front.replace(await lists(agent))
    expect(await text(dial(agent))).toContain('not accepted: CERT_REVOKED')
    expect(await text(dial({ ...agent, session: ticket }))).toContain('CERT_REVOKED')
    expect(await firstWords(dial(other))).toMatchObject({ tls: 'TLSv1.3' })
    client.write('still here')
    expect(String((await once(client, 'data'))[0])).toBe('still here')
  })

  test('a connection ends soon after its certificate', async () => {
    const notAfter = new Date(Date.now() + 86_400_000)
    const brief = clients.issue({ name: 'x', usage: 'client', notAfter })
    const { dial, secured } = await start({ material: await asking() })
    const client = dial(brief)
    const facts = (await firstWords(client)) as { certificate: { notAfter: number } }
    expect(facts.certificate.notAfter).toBe(Math.floor(notAfter.getTime() / 1000) * 1000)
    const [ticket] = [client.getSession()]
    const now = vi.spyOn(Date, 'now')
    onTestFinished(() => now.mockRestore())
    now.mockReturnValue(notAfter.getTime() + 1)
    // Resumed by a ticket, which Node takes for as long as that lives.
    expect(await text(dial({ ...brief, session: ticket }))).toContain('CERT_HAS_EXPIRED')
    expect(secured[0]?.destroyed).toBe(false)
    now.mockReturnValue(notAfter.getTime() + 5_000)
    await closing(client)
  })

  test('a client that a former authority admitted cannot resume by a ticket', async () => {
    const { dial, front } = await start({ material: await asking() })
    const ticketOf = async (): Promise<Buffer> => {
      const client = dial(agent)
      const [ticket] = (await once(client, 'session')) as [Buffer]
      return ticket
    }
    const ticket = await ticketOf()
    const again = dial({ ...agent, session: ticket })
    await firstWords(again)
    expect(again.isSessionReused()).toBe(true)

    const others = certificateAuthority('others')
    front.replace(await material([server], { clientCas: others.cert }))
    const late = dial({ ...agent, session: ticket })
    await once(late, 'secureConnect')
    expect(late.isSessionReused()).toBe(false)
    expect(await text(late)).toMatch(/^HTTP\/1\.1 403 /)
  })

  test('asking begins and ends with a restart only', async () => {
    const { front } = await start()
    const other = await asking()
    expect(() => front.replace(other)).toThrow(/decided at the start/)
  })
})

test('another certificate is for new handshakes; a connection lives on', async () => {
  const { dial, front } = await start()
  const early = dial()
  await firstWords(early)
  const renewed = authority.issue({ name: 'renewed' })
  front.replace(await material([renewed]))
  const late = dial()
  await firstWords(late)
  expect(late.getPeerCertificate().subject.CN).toBe('renewed')
  early.write('still here')
  expect(String((await once(early, 'data'))[0])).toBe('still here')
  expect(early.getPeerCertificate().subject.CN).toBe('server')
})

test('an end of the listener takes connections along in every state, without a crash', async () => {
  const { dial, raw, listeners, front } = await start()
  const states = [raw(), raw(), dial()]
  states[1]?.write(Buffer.from([22, 3, 1, 2, 0, 1]))
  await once(states[2] as TLSSocket, 'secureConnect')
  await expect.poll(() => front.inProgress).toBe(2)
  const closed = states.map(closing)
  listeners.destroy()
  await Promise.all([...closed, listeners.closed])
})

test('a server name finds its certificate in any case and with a final dot', async () => {
  const pairs = ['a.example', '*.b.example'].map((name) => authority.issue({ name, hosts: [name] }))
  const { select } = await material(pairs)
  const [one, below] = [select('a.example'), select('x.b.example')]
  expect(one).toBeDefined()
  expect(below).not.toBe(one)
  expect([select('A.Example'), select('a.example.')]).toEqual([one, one])
  expect(select('X.B.EXAMPLE.')).toBe(below)
  expect(select('c.example')).toBeUndefined()
})
