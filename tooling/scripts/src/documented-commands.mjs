// @ts-check
// Every block of commands in README, docs and examples, and what runs it as a reader would: a test fails
// for a block that is not listed here, and for an entry whose block is gone.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { filesBelow, ROOT } from './workspace.mjs'

/**
 * A block of commands.
 *
 * @typedef {object} CommandBlock
 * @property {string} file - below the root
 * @property {string} name - its first line without the remark behind it
 * @property {string} text
 */

/**
 * What runs a block, or why nothing does.
 *
 * @typedef {object} Account
 * @property {string} [by] - the test or script that runs it as it stands, below the root
 * @property {string} [like] - the test that does the same with names, ports and folders of its own, or reads it
 * @property {string} [not] - why it is not run
 */

const E2E = 'apps/server/test/e2e'
/** The test that runs the blocks as they stand, in a network of their own. */
export const COMMANDS = { by: `${E2E}/documented-commands.test.ts` }
const REAL = { by: `${E2E}/running-it-for-real.test.ts` }
const API = { by: 'apps/server/test/admin/api/api-page.test.ts' }
const NETWORKS = { like: 'apps/agent/test/networks-page.test.ts' }
const SERVICES = { like: `${E2E}/services.test.ts` }
const SERVER_EXAMPLES = { like: `${E2E}/server-examples.test.ts` }
const EXAMPLES = { like: `${E2E}/examples.test.ts` }
const SYSTEMD = {
  not: 'needs a systemd that runs; check-debian-packages.mjs does the same in a bare root, and systemd-units.test.ts has systemd judge the units',
}
const NO_REGISTRY = {
  not: 'nothing is in a registry yet; check-installed.mjs installs the same from tarballs',
}

/** @type {readonly (readonly [file: string, name: string, account: Account])[]} */
export const ACCOUNTS = [
  ['README.md', 'npx -y pnpm@10 demo', { by: '.ci/run' }],
  ['README.md', 'npx -y pnpm@10 build', { by: 'tooling/scripts/src/check-installed.mjs' }],
  ['README.md', 'adit-server', COMMANDS],
  ['apps/agent/README.md', 'adit http web 3000', COMMANDS],
  [
    'apps/server/README.md',
    'adit-server --config server.yaml',
    { not: 'the file is one of the reader' },
  ],
  ['docs/access.md', 'adit access pc1 --bind 127.0.0.1:9901', { like: `${E2E}/access.test.ts` }],
  ['docs/api.md', '*', API],
  [
    'docs/benchmark.md',
    'node tooling/bench/src/line.mjs --rtt 50 --loss 1 --rate 200',
    { not: 'measures another program, which the reader chooses' },
  ],
  [
    'docs/cluster.md',
    'adit-server --cluster.database-url-file /run/secrets/database-url',
    { like: `${E2E}/clusters.test.ts` },
  ],
  [
    'docs/coming-from.md',
    'adit import frpc.toml ~/.config/adit/adit.yaml',
    { like: 'apps/agent/test/coming-from-page.test.ts' },
  ],
  [
    'docs/identity.md',
    "adit-server token create --endpoints 'pc*' --may listen,connect --expires 90d",
    { like: `${E2E}/tokens.test.ts` },
  ],
  ['docs/names.md', 'adit reserve web', COMMANDS],
  ['docs/names.md', 'adit-server token list', { like: `${E2E}/tokens.test.ts` }],
  ['docs/names.md', 'adit-server audit --since 1h', { like: `${E2E}/store-commands.test.ts` }],
  [
    'docs/names.md',
    'adit-server backup /var/backups/adit-2026-01-31.db',
    { like: `${E2E}/store-commands.test.ts` },
  ],
  [
    'docs/names.md',
    'adit-server store copy --to-file /run/secrets/database',
    { like: `${E2E}/cluster-commands.test.ts` },
  ],
  ['docs/networks.md', '*', NETWORKS],
  ['docs/operations.md', 'adit-server upgrade --data-dir DIR', { like: `${E2E}/upgrades.test.ts` }],
  ['docs/operations.md', 'adit upgrade', { like: `${E2E}/agent-upgrades.test.ts` }],
  ['docs/public-ports.md', 'adit tcp pg 5432 --public-port 9901', COMMANDS],
  [
    'docs/running-it-for-real.md',
    'apt install certbot python3-certbot-dns-rfc2136',
    { not: 'asks an authority and a DNS server of the Internet' },
  ],
  ['docs/running-it-for-real.md', '#!/bin/sh', REAL],
  [
    'docs/running-it-for-real.md',
    'runuser -u adit -- adit-server token create --data-dir /var/lib/adit --name first --endpoints web',
    SYSTEMD,
  ],
  [
    'docs/running-it-for-real.md',
    'adit login https://tunnel.example.com:8001',
    { like: `${E2E}/first-hour.test.ts` },
  ],
  [
    'docs/running-it-for-real.md',
    'runuser -u adit -- adit-server backup --data-dir /var/lib/adit /var/lib/adit/backup.db',
    { like: `${E2E}/store-commands.test.ts` },
  ],
  ['docs/services.md', '*', SERVICES],
  ['docs/tls.md', '*', COMMANDS],
  ['examples/access-log/README.md', '*', SERVER_EXAMPLES],
  ['examples/balancer/README.md', '*', SERVER_EXAMPLES],
  [
    'examples/container/README.md',
    'pnpm dist',
    { not: 'needs a builder of images; container-files.test.ts reads the files' },
  ],
  ['examples/corporate-proxy/README.md', '*', EXAMPLES],
  ['examples/dev-server/README.md', '*', { like: `${E2E}/dev-servers.test.ts` }],
  ['examples/domains/README.md', '*', SERVER_EXAMPLES],
  ['examples/dual-stack/README.md', '*', EXAMPLES],
  ['examples/folder/README.md', '*', { like: `${E2E}/folders.test.ts` }],
  ['examples/health/README.md', '*', EXAMPLES],
  ['examples/https-service/README.md', '*', EXAMPLES],
  ['examples/lan-and-wifi/README.md', '*', EXAMPLES],
  ['examples/limits/README.md', '*', SERVER_EXAMPLES],
  ['examples/monitoring/README.md', '*', REAL],
  ['examples/port-conflict/README.md', '*', EXAMPLES],
  ['examples/public-ports/README.md', '*', { like: `${E2E}/public-ports.test.ts` }],
  ['examples/several-services/README.md', '*', EXAMPLES],
  ['examples/systemd/README.md', '*', SYSTEMD],
  ['examples/ten-printers/README.md', '*', { like: `${E2E}/printer-farm.test.ts` }],
  ['examples/visitors/README.md', '*', { like: `${E2E}/visitors.test.ts` }],
  ['examples/weights/README.md', '*', SERVER_EXAMPLES],
  ['packages/portcheck/README.md', 'npm install @proj/portcheck', NO_REGISTRY],
  ...['auth', 'config', 'dialer', 'http1', 'mux', 'program-kit', 'tunnel'].map(
    (name) => /** @type {const} */ ([`packages/${name}/README.md`, '*', NO_REGISTRY]),
  ),
  [
    'tooling/chaos/README.md',
    'pnpm chaos',
    { not: 'takes a quarter of an hour; its parts are tests' },
  ],
]

/**
 * What is said of a block: by its name, else of all blocks of its file.
 *
 * @param {CommandBlock} block
 */
export function accountOf({ file, name }) {
  const ofFile = ACCOUNTS.filter(([of]) => of === file)
  return (ofFile.find(([, of]) => of === name) ?? ofFile.find(([, of]) => of === '*'))?.[2]
}

/** All blocks of commands: fenced as `sh`, and indented ones that begin with one of our programs. */
export function commandBlocks(root = ROOT) {
  const folders = ['docs', 'examples', 'packages', 'apps', 'tooling']
  const files = folders.flatMap((folder) =>
    filesBelow(join(root, folder), ['.md']).map((file) => `${folder}/${file}`),
  )
  return ['README.md', ...files].flatMap((file) =>
    blocksIn(file, readFileSync(join(root, file), 'utf8')),
  )
}

/**
 * @param {string} file
 * @param {string} text
 * @returns {CommandBlock[]}
 */
function blocksIn(file, text) {
  const fenced = [...text.matchAll(/^```sh\n([^]*?)^```/gm)].map(([, block = '']) => block)
  const indented = [
    ...text.matchAll(/^(?: {4}(?:adit|adit-server) [a-z-].*\n)(?: {4}.*\n)*/gm),
  ].map(([block]) => block.replaceAll(/^ {4}/gm, ''))
  return [...fenced, ...indented].map((block) => ({ file, name: nameOf(block), text: block }))
}

/** @param {string} block */
function nameOf(block) {
  return (block.split('\n')[0] ?? '').replace(/\s+#.*$/, '').trim()
}
