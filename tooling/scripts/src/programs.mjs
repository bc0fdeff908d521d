// @ts-check
// Programs of the system that some tests, the benchmark and `pnpm dist` use: real proxies, a real nginx.
// Each is optional: what misses one is skipped, and says so.
// Run by itself with --apt it prints the Debian packages to install for those that are missing.
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { pathToFileURL } from 'node:url'

/**
 * @typedef {object} Program
 * @property {string} name - of the executable
 * @property {string} debian - package that has it
 * @property {string} usedFor
 */

/** @type {readonly Program[]} */
export const OPTIONAL_PROGRAMS = [
  {
    name: 'aarch64-linux-gnu-strip',
    debian: 'binutils-aarch64-linux-gnu',
    usedFor: 'smaller executables of pnpm dist for arm64',
  },
  { name: 'apache2', debian: 'apache2', usedFor: 'a service we did not write' },
  { name: 'buildah', debian: 'buildah', usedFor: 'the images of pnpm dist' },
  { name: 'caddy', debian: 'caddy', usedFor: 'the load balancers of docs/operations.md' },
  {
    name: 'chromium',
    debian: 'chromium fonts-noto-core fonts-noto-cjk',
    usedFor: 'the pages in a browser',
  },
  { name: 'curl', debian: 'curl', usedFor: 'a visitor we did not write' },
  { name: 'danted', debian: 'dante-server', usedFor: 'dialing through SOCKS with a password' },
  { name: 'faketime', debian: 'faketime', usedFor: 'a clock that is set while a program runs' },
  { name: 'fish', debian: 'fish', usedFor: 'the completions of the command line' },
  { name: 'gcc', debian: 'gcc libc6-dev', usedFor: 'sockets with options that Node cannot set' },
  { name: 'groff', debian: 'groff-base', usedFor: 'the manual pages' },
  {
    name: 'gsettings',
    debian: 'libglib2.0-bin gsettings-desktop-schemas',
    usedFor: 'the proxy settings of a desktop',
  },
  { name: 'gunicorn', debian: 'gunicorn', usedFor: 'a service we did not write' },
  {
    name: 'haproxy',
    debian: 'haproxy',
    usedFor: 'the load balancers of docs/operations.md, and dialing through TLS to a proxy',
  },
  { name: 'ip', debian: 'iproute2', usedFor: 'network namespaces' },
  { name: 'microsocks', debian: 'microsocks', usedFor: 'dialing through SOCKS' },
  {
    name: 'nginx',
    debian: 'nginx-light libnginx-mod-stream',
    usedFor: 'the load balancers of docs/operations.md, and the benchmark',
  },
  { name: 'nft', debian: 'nftables', usedFor: 'a port that the system redirects' },
  { name: 'openssl', debian: 'openssl', usedFor: 'a TLS peer we did not write' },
  {
    name: 'pgbouncer',
    debian: 'pgbouncer',
    usedFor: 'a pooler in front of the database of a cluster',
  },
  { name: 'pg_ctlcluster', debian: 'postgresql', usedFor: 'the database of a cluster' },
  { name: 'privoxy', debian: 'privoxy', usedFor: 'dialing through an HTTP proxy' },
  { name: 'promtool', debian: 'prometheus', usedFor: 'examples/monitoring' },
  { name: 'python3', debian: 'python3', usedFor: 'foreign clients and servers' },
  {
    name: 'qemu-aarch64-static',
    debian: 'qemu-user-static',
    usedFor: 'starting what pnpm dist gives for arm64',
  },
  { name: 'squid', debian: 'squid', usedFor: 'dialing through an HTTP proxy' },
  { name: 'ssh', debian: 'openssh-client', usedFor: 'dialing through ssh -D' },
  { name: 'sshd', debian: 'openssh-server', usedFor: 'dialing through ssh -D' },
  { name: 'tinyproxy', debian: 'tinyproxy', usedFor: 'dialing through an HTTP proxy' },
  { name: 'xz', debian: 'xz-utils', usedFor: 'the archives of the executables of pnpm dist' },
  { name: 'zsh', debian: 'zsh', usedFor: 'the completions of the command line' },
]

// daemons are in the sbin folders, which are not on the path of every account
const SYSTEM_FOLDERS = ['/usr/local/sbin', '/usr/sbin', '/sbin']

/**
 * Tells which of the programs cannot be found on the path or in the system folders.
 *
 * @param {readonly Program[]} programs
 * @param {string} [path] - value of PATH
 */
export function missingPrograms(programs = OPTIONAL_PROGRAMS, path = process.env['PATH'] ?? '') {
  return programs.filter(({ name }) => findProgram(name, path) === undefined)
}

/**
 * Finds a program on the path or in the system folders.
 *
 * @param {string} name
 * @param {string} [path] - value of PATH
 * @returns {string | undefined} file
 */
export function findProgram(name, path = process.env['PATH'] ?? '') {
  const folders = [...path.split(delimiter), ...SYSTEM_FOLDERS]
  return folders.map((folder) => join(folder, name)).find(isExecutable)
}

/** @param {string} file */
function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const missing = missingPrograms()
  const lines = process.argv.includes('--apt')
    ? missing.map(({ debian }) => debian)
    : missing.map(({ name, debian, usedFor }) => `${name} (${debian}): ${usedFor}`)
  for (const line of lines) console.log(line)
}
