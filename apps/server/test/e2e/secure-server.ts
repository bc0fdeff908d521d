// A server that speaks TLS on all its ports, with the files it reads.
import { join } from 'node:path'
import type { Spawned } from '@proj/testkit/spawned'
import { type CertificateAuthority, certificateAuthority } from '@proj/testkit/certificates'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { onTestFinished } from 'vitest'

import { adit, type RunningServer, startServer } from './programs.ts'

/** A server with TLS. */
export interface SecureServer extends RunningServer {
  /** Who has issued its certificate. */
  readonly authority: CertificateAuthority
  /** File of that authority. */
  readonly ca: string
  /** Writes a file beside its certificates, and returns its path. */
  readonly write: (name: string, content: string) => string
  /** Files of a client certificate, as flags of `adit`. */
  readonly clientFlags: (authority: CertificateAuthority) => string[]
}

/** Starts it; `server.pem` and `server.key` are its files. */
export async function secureServer(args: readonly string[] = []): Promise<SecureServer> {
  const folder = temporaryDirectory()
  onTestFinished(() => folder[Symbol.dispose]())
  const authority = certificateAuthority('Adit e2e authority')
  const own = authority.issue({
    name: 'server',
    hosts: ['localhost', 'web.localhost', '127.0.0.1'],
  })
  const cert = folder.write('server.pem', own.cert)
  const key = folder.write('server.key', own.key)
  const ca = folder.write('ca.pem', authority.cert)
  const files = ['proxy', 'upstream', 'admin'].flatMap((name) => [
    `--${name}.tls.cert=${cert}`,
    `--${name}.tls.key=${key}`,
  ])
  const server = await startServer(undefined, [
    ...files,
    ...args.map((arg) => arg.replace('FOLDER', folder.path)),
  ])
  return {
    ...server,
    authority,
    ca,
    write: (name, content) => folder.write(name, content),
    clientFlags: (issuer) => {
      const shown = issuer.issue({ name: 'agent 7', usage: 'client', hosts: ['agent7.example'] })
      return [
        `--connect.tls.cert=${folder.write('agent.pem', shown.cert)}`,
        `--connect.tls.key=${folder.write('agent.key', shown.key)}`,
      ]
    },
  }
}

/** Where the server's authorities of clients are read from: a flag, and the file that is written first. */
export function clientCas(name: 'proxy' | 'upstream' | 'admin'): string {
  return `--${name}.tls.client-cas=${join('FOLDER', 'ca.pem')}`
}

/** Starts `adit` towards a port of the server, trusting its authority. */
export function aditTo(
  server: SecureServer,
  port: 'proxy' | 'upstream',
  command: readonly string[],
  args: readonly string[] = [`--connect.tls.root-cas=${server.ca}`],
): Spawned {
  const url = `https://localhost:${server.ports[port]}`
  return adit([...command, '--connect.url', url, '--connect.proxy-url', 'direct', ...args])
}
