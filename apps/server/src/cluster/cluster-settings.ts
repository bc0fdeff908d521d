import {
  dialAddress,
  duration,
  integer,
  listenAddresses,
  number,
  path,
  type Resolved,
  type RuleProblem,
  secret,
  setting,
  text,
} from '@proj/config'

/** Text of a node id: it is part of log lines, metrics and URLs. */
const NODE_ID = /[A-Za-z0-9][A-Za-z0-9._-]{0,63}/

/** With one slash it is read as a path, and the host would be this machine. */
const DATABASE_URL = /^postgres(?:ql)?:\/\//

/** Settings of the group `cluster`. Without `database_url` a server is alone and uses none of them. */
export const CLUSTER_SETTINGS = {
  databaseUrl: setting(secret(), {
    description:
      'PostgreSQL 13 or newer, postgres://USER:PASSWORD@HOST/DATABASE. With it this server is a node of a cluster.',
  }),
  bindAddr: setting(listenAddresses(), {
    default: ':8003',
    description: 'Where the other nodes connect, with TLS. Not a port for visitors or agents.',
  }),
  advertiseAddr: setting(dialAddress(), {
    description:
      'Host and port that the other nodes connect to. Default: the address in bind-addr, or the first private address of this machine.',
  }),
  nodeId: setting(text({ pattern: NODE_ID, allowed: 'up to 64 letters, digits, dots, - and _' }), {
    description: 'Name of this node. Default: made once and kept in data-dir.',
  }),
  nodeIdPrefix: setting(
    text({ pattern: NODE_ID, allowed: 'up to 64 letters, digits, dots, - and _' }),
    { description: 'Beginning of a node id that is made, such as the name of the machine or pod.' },
  ),
  tls: {
    cert: setting(path(), {
      description:
        'Certificate of this node for the other nodes, PEM. Default: made at each start and known to the others from the database.',
    }),
    key: setting(path(), { description: 'Private key of the certificate, PEM, not encrypted.' }),
    ca: setting(path(), {
      description:
        'Authorities that the certificates of all nodes must be from, PEM, besides being known from the database.',
    }),
  },
  leaseMs: setting(duration({ min: '3s', max: '5m' }), {
    default: '10s',
    description:
      'How long a node counts as present after it renewed its entry in the database; it renews it three times in this time. The same on all nodes.',
  }),
  staleAfterMs: setting(duration({ min: '10s' }), {
    default: '15m',
    description:
      'How old the local copy of tokens and names may be when the database is away; then new credentials are rejected until it is back.',
  }),
} as const

/** Settings of the group `upstream.rebalance`. */
export const REBALANCE_SETTINGS = {
  threshold: setting(number({ min: 0 }), {
    default: '0',
    description:
      'How much more than the average of the nodes, as a fraction such as 0.2, the agent sessions of this node may be; more of them are asked to move. 0: never.',
  }),
  shedRate: setting(number({ min: 0, max: 1 }), {
    default: '0.005',
    description: 'Sessions asked to move in one second, as a fraction of the average.',
  }),
  minConns: setting(integer({ min: 0 }), {
    default: 50,
    description: 'With fewer agent sessions than this, a node does not ask any to move.',
  }),
} as const

/** Values of {@link CLUSTER_SETTINGS}. */
export type ClusterSettings = Resolved<typeof CLUSTER_SETTINGS>

/** A rule for `defineSettings`: what can be checked without the database. */
export function* clusterFitsTogether({
  databaseUrl,
  advertiseAddr,
  tls: { cert, key },
}: Pick<ClusterSettings, 'databaseUrl' | 'advertiseAddr' | 'tls'>): Generator<RuleProblem> {
  if (databaseUrl !== undefined && !DATABASE_URL.test(databaseUrl.reveal())) {
    const message = 'is not a URL of PostgreSQL'
    const hint = 'write postgres://USER:PASSWORD@HOST/DATABASE, with two slashes'
    yield { key: 'cluster.database_url', message, hint }
  }
  if (advertiseAddr?.kind === 'unix') {
    const message = 'other nodes cannot connect to a unix socket: give a host and a port'
    yield { key: 'cluster.advertise_addr', message }
  }
  if ((cert === undefined) === (key === undefined)) return
  const [has, lacks] = cert === undefined ? ['key', 'cert'] : ['cert', 'key']
  const message = `a certificate needs its key: cluster.tls.${lacks} is not set`
  yield { key: `cluster.tls.${has}`, message }
}
