// Dante, a SOCKS server: with its own accounts and host names, which need a mount namespace.
import { readFileSync } from 'node:fs'

import { passwordHash, realProxy, type RealProxy } from './real-proxy.ts'

/** Settings of dante. */
export interface DanteOptions {
  /** After how many seconds it ends an idle connection. */
  readonly idleSeconds: number
}

/** Starts dante on 1080, open to all. It refuses port 8443. */
export function danteProxy(program: string, options: DanteOptions): Promise<RealProxy> {
  return realProxy(
    program,
    (_folder, host) => ({ 'danted.conf': danteConf(host, 'none', options) }),
    (folder) => ['-f', `${folder}/danted.conf`],
    1080,
  )
}

/**
 * Starts dante on 1080, for one user. It takes the accounts of the system; a mount namespace gives it
 * its own, and its own names of hosts.
 *
 * @param hosts - content of its /etc/hosts.
 */
export function danteProxyFor(
  { danted, unshare }: { readonly danted: string; readonly unshare: string },
  { user, password }: { readonly user: string; readonly password: string },
  { hosts = '127.0.0.1 localhost\n', ...options }: DanteOptions & { readonly hosts?: string },
): Promise<RealProxy> {
  return realProxy(
    unshare,
    (folder, host) => ({
      'danted.conf': danteConf(host, 'username', options),
      passwd: `${readFileSync('/etc/passwd', 'utf8')}${user}:x:4242:4242::/:/bin/false\n`,
      shadow: `${readFileSync('/etc/shadow', 'utf8')}${user}:${passwordHash('6', password)}:19000:0:99999:7:::\n`,
      hosts,
      'start.sh': [
        '#!/bin/sh',
        ...['passwd', 'shadow', 'hosts'].map(
          (file) => `mount --bind ${folder}/${file} /etc/${file}`,
        ),
        `exec ${danted} -f ${folder}/danted.conf`,
        '',
      ].join('\n'),
    }),
    (folder) => ['--mount', `${folder}/start.sh`],
    1080,
  )
}

function danteConf(host: string, method: string, { idleSeconds }: DanteOptions): string {
  return [
    'logoutput: stderr',
    `internal: ${host} port = 1080`,
    `external: ${host}`,
    `socksmethod: ${method}`,
    'clientmethod: none',
    'user.privileged: root',
    'user.unprivileged: nobody',
    `timeout.io: ${idleSeconds}`,
    'client pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }',
    'socks block { from: 0.0.0.0/0 to: 0.0.0.0/0 port = 8443 }',
    'socks pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }',
    '',
  ].join('\n')
}
