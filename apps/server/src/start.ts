// Length: the start of the program, in one place: each setting is given to the part that it is for.
import { setTimeout as delay } from 'node:timers/promises'

import {
  accessLists,
  CLOSE_MS,
  conflictPolicy,
  drainOnStop,
  drainTimes,
  EXIT,
  hostNames,
  type Invocation,
  movedBinds,
  reloading,
  type Successor,
} from '@proj/program-kit'
import type { Resolved, ResolvedValue, SettingsChange } from '@proj/config'
import { formatHostPort, type ListenAddress, type PortRange } from '@proj/config/address'
import type { Logger } from '@proj/tunnel'
import { type InheritedSockets, isPortcheckError } from '@proj/portcheck'

import { httpProof } from './domains/http-proof.ts'
import { txtProof } from './domains/txt-proof.ts'
import { limitRules } from './endpoint-limits/endpoint-limiter.ts'
import { type ConnectionShares, perSource } from './connection-budget.ts'
import { readDescriptorLimit, shareDescriptors } from './descriptors.ts'
import { proxyProtocol } from './proxy-protocol.ts'
import { openAccessLog } from './access-log/access-log-settings.ts'
import { addressTaken } from './address-taken.ts'
import { announce, lookAt } from './announce.ts'
import type { OwnCommands } from './commands/commands.ts'
import { canonicalDomain, domainRules } from './proxy/domains.ts'
import { ErrorPages } from './proxy/error-pages.ts'
import { PROXY_LIMITS, type TenantDomain } from './proxy/proxy-options.ts'
import type { PortName } from './auth/authenticator.ts'
import { configuredOidc } from './admin/oidc/oidc-sign-in.ts'
import { makeOperatorKey } from './admin/operator-key.ts'
import { configuredAuthenticator } from './auth/configured-authenticator.ts'
import { Cluster, type ClusterOptions } from './cluster/cluster.ts'
import { aloneMember } from './cluster/cluster-member.ts'
import { nodeIdentity } from './cluster/node-identity.ts'
import { configuredBinds } from './auth/configured-binds.ts'
import { PortRanges } from './public-ports/port-ranges.ts'
import { PUBLIC_PORT_LIMITS } from './public-ports/public-port-options.ts'
import { publicPortOptions, safePortHosts } from './public-ports/public-port-settings.ts'
import { nameRetryAfterMs, Server } from './server.ts'
import type { ServerListener } from './server-listener.ts'
import { openLog, type ServerLog } from './server-log.ts'
import { openOwnStore } from './store/open-own-store.ts'
import { type ServerTree, settings as definition } from './settings.ts'
import { portsWithTls, TlsPorts } from './tls/tls-ports.ts'
import { UPSTREAM_PORT_LIMITS } from './upstream/upstream-connections.ts'
import { openTracer } from './tracing/open-tracer.ts'
import { warnOfUnusedSettings } from './unused-settings.ts'
import type { ProcessOrigin } from './process-origin.ts'
import { handedState, noteOutcome, upgrade } from './upgrade.ts'
import { SOFTWARE, VERSION } from './version.ts'
import { standingPolicies } from './auth/visitor-gates.ts'
import { WorkerRole } from './workers/worker-role.ts'

/** Runs the server until a signal stops it, or its successor has taken over. */
export async function start(
  invocation: Invocation<ServerTree, OwnCommands>,
  origin: ProcessOrigin,
): Promise<number> {
  const { predecessor, restart, worker } = origin
  // Closed also where the start fails before `inherited` has them.
  using _early = origin.inherited
  const { loaded, json, around } = invocation
  const { settings } = loaded
  const role = worker && new WorkerRole(worker)
  // Of several workers one says what concerns all of them.
  const speaks = role === undefined || role.hasAdmin
  const { stdout, signals } = around
  using log = openLog(invocation)
  const { logger, rate } = log
  if (role !== undefined) logger.setBindings({ worker: role.id })
  // From the beginning: without a listener the signal ends the process.
  let beginUpgrade = (): void => logger.warn('upgrade not begun: the server is starting')
  signals.onUpgrade(() => beginUpgrade())
  for (const why of origin.inherited.problems) {
    logger.warn({ why }, 'inherited sockets are not used')
  }
  if (role === undefined) warnOfUnusedSettings(loaded, logger)
  const handed = predecessor && handedState(predecessor)
  const descriptors = readDescriptorLimit()
  const { handshakes, ...connections } = shareDescriptors(
    descriptors,
    portsWithTls(settings).length,
  )
  await using tls = await TlsPorts.open(settings, logger, {
    mostHandshakes: handshakes,
    ticketKeys: role?.ticketKeys ?? handed?.ticketKeys,
  })
  await using accessLog = await openAccessLog(settings.accessLog, logger)
  await using tracer = openTracer(settings.tracing, logger)
  const errorPages = await ErrorPages.read(settings.proxy.errorPages)
  if (accessLog !== undefined) signals.onReopen(() => accessLog.reopen())
  // All that can fail without the data directory has been done: from here on it belongs to this process.
  await predecessor?.prepared()
  await using own = role?.openStore() ?? (await openOwnStore(settings, { env: around.env, logger }))
  using inherited = role === undefined ? origin.inherited : await role.sockets()
  const { store } = own
  const notBegun = (why: string): void => {
    logger.warn({ why }, 'upgrade not begun')
    noteOutcome(own.directory, { pid: process.pid, why })
  }
  // From here on the command `upgrade` finds this process.
  beginUpgrade = () => notBegun('the server is starting')
  const identity =
    role?.identity ?? nodeIdentity({ ...settings.cluster, directory: own.directory, logger })
  await using cluster = await openCluster(settings, {
    identity,
    role,
    inherited,
    reservations: store.reservations,
    heldNames: handed?.heldNames,
    logger,
  })
  const operatorKey = makeOperatorKey(own.directory, logger)
  const shownKey = operatorKey ?? role?.operatorKey
  using authenticator = configuredAuthenticator(settings, { store, logger, operatorKey: shownKey })
  const oidc = configuredOidc(settings.admin.oidc, logger)
  const binds = role?.state.binds ?? configuredBinds(loaded, { authenticator, inherited, logger })
  // A worker cannot open ports beside those that its parent has.
  const portSettings = ({ publicPorts: all }: typeof settings) =>
    publicPortOptions(role === undefined ? all : { ...all, range: [] })
  const publicPorts = {
    ...portSettings(settings),
    proxyProtocol: proxyProtocol(settings.publicPorts.proxyProtocolFrom, {
      listener: 'public_ports',
      logger,
    }),
  }
  const portHosts = safePortHosts({
    hosts: publicPorts.hosts,
    hasAllowList: publicPorts.allow !== undefined,
    agentsAreKnown: authenticator.isProtected('upstream'),
    insecureOpen: settings.insecureOpen,
  })
  const listener = (name: PortName): ServerListener => {
    const own = settings[name]
    const policy = conflictPolicy(own, { listener: name, logger })
    const front = tls.fronts[name]
    return {
      at: binds[name],
      ...policy,
      ...accessLists(own),
      proxyProtocol:
        'proxyProtocolFrom' in own
          ? proxyProtocol(own.proxyProtocolFrom, { listener: name, logger })
          : undefined,
      signal: signals.stop,
      ...(front !== undefined && { tls: front }),
    }
  }
  if (speaks) warnOfFewDescriptors(settings, { descriptors, ...connections }, logger)
  const processes = role?.state.count ?? 1
  // Of what is bounded for the whole server.
  const share = (limit: number): number => Math.ceil(limit / processes)
  // Replaced when the settings are read again.
  let inForce = loaded.values
  let server: Server
  try {
    server = await Server.start({
      proxy: listener('proxy'),
      upstream: listener('upstream'),
      admin: role?.hasAdmin === false ? 'elsewhere' : listener('admin'),
      edge: {
        ...settings.proxy,
        maxConnections: share(settings.proxy.maxConnections),
        maxRequests: Math.max(settings.proxy.minRequests, share(settings.proxy.maxRequests)),
        maxConnectionsPerSource: perSource(settings.proxy),
        tenantDomains: tenantDomains(settings.upstream.tenants),
        domains: domainRules(settings.domains),
        tenantsShareNames: settings.upstream.tenantsShareNames,
      },
      connections,
      descriptors,
      upstreamPort: {
        ...settings.upstream,
        maxConnections: share(settings.upstream.maxConnections),
      },
      publicPorts: { ...publicPorts, hosts: portHosts },
      inherited,
      processes,
      ...(role !== undefined && { workers: role }),
      expected: handed?.expected,
      ready: settings.ready,
      hosts: portHostNames(binds, settings.proxy),
      domainProof: {
        ...settings.domainProof,
        checks: proofChecks(settings.domainProof),
      },
      store,
      cluster: cluster ?? aloneMember(identity, VERSION),
      probeTimeoutMs: settings.names.probeTimeoutMs,
      waits: { ...settings.upstream, maxWaiting: share(settings.upstream.maxWaiting) },
      quota: settings.upstream,
      visitors: await standingPolicies(settings.endpoints),
      limits: limitRules(settings.endpoints),
      balances: settings.endpoints,
      authenticator,
      oidc,
      accessLog,
      tracer,
      errorPages,
      software: SOFTWARE,
      logger,
      configuration: () => inForce,
      leftOutLines: () => rate.leftOut,
    })
  } catch (error) {
    if (signals.stop.aborted) return EXIT.ok
    if (!isPortcheckError(error)) throw error
    throw addressTaken(error)
  }
  closeUnwanted(inherited, publicPorts.ranges, logger)
  for (const [name, listeners] of Object.entries(server.listeners)) {
    for (const moved of role === undefined ? movedBinds(listeners) : []) {
      logger.warn({ listener: name, ...moved }, 'port taken, listening on the next free one')
    }
  }
  // Whether or not there is a configuration file that may have changed.
  if (Object.keys(tls.fronts).length > 0) signals.onReload(() => void tls.readAgain())
  if (loaded.files.length > 0 || errorPages.folder !== undefined) {
    signals.onReload(() => void server.readErrorPages())
  }
  await using _reloading = await reloading(invocation, {
    settings: definition,
    logger,
    apply: async (next, changes) => {
      const takeTls = await tls.prepare(next.settings)
      server.setVisitors(await standingPolicies(next.settings.endpoints))
      const pages = await ErrorPages.read(next.settings.proxy.errorPages)
      server.setDomains(domainRules(next.settings.domains))
      server.setErrorPages(pages)
      server.setLimits(limitRules(next.settings.endpoints))
      server.setBalances(next.settings.endpoints)
      const { proxy, upstream, admin } = server.listeners
      proxy.restrict(accessLists(next.settings.proxy))
      upstream.restrict(accessLists(next.settings.upstream))
      admin.restrict(accessLists(next.settings.admin))
      takeTls()
      server.publicPorts.configure(portSettings(next.settings))
      logger.level = next.settings.log.level
      inForce = valuesInForce(inForce, next.values, changes)
    },
  })
  void authenticator.prepare()
  try {
    // It connects to every port, so the process before must not accept any more.
    await predecessor?.ready()
    await cluster?.start(signals.stop)
    await server.publicPorts.holdInherited()
    if (role === undefined) announce(await lookAt(server.listeners), { stdout, json, cluster })
    else role.ready()
  } catch (error) {
    // A start that is stopped ends as a run does. After another error open ports would keep the process alive.
    if (!signals.stop.aborted) {
      server.destroy()
      throw error
    }
  }
  const { gracePeriodMs, upgrade: limits } = settings
  const ended = new AbortController()
  const end = (): void => ended.abort()
  signals.stop.addEventListener('abort', end, { once: true })
  if (signals.stop.aborted) end()
  const killed = new AbortController()
  const kill = (): void => killed.abort()
  signals.kill.addEventListener('abort', kill, { once: true })
  if (signals.kill.aborted) kill()
  let isRelieved = false
  let isOrphan = false
  void role?.stopped.then(({ isReplaced }) => {
    isRelieved = isReplaced
    isOrphan = !role.hasParent
    // Without its parent a worker has no store, and a new server waits for the ports.
    if (isOrphan) setTimeout(kill, CLOSE_MS).unref()
    end()
  })
  let successor: Successor | undefined
  let isUpgrading = false
  beginUpgrade = () => {
    if (role !== undefined) return logger.warn('upgrade not begun: this is a worker')
    if (isUpgrading || successor !== undefined) {
      logger.warn('upgrade not begun: one is running') // and its outcome is noted
      return
    }
    if (ended.signal.aborted) return notBegun('the server is stopping')
    isUpgrading = true
    const parts = {
      server,
      cluster,
      store: own,
      operatorKey,
      tls,
      restart,
      logger,
      ...limits,
      signal: ended.signal,
    }
    void upgrade(parts).then((found) => {
      isUpgrading = false
      successor = found
      if (found !== undefined) end()
    })
  }
  await drainOnStop({
    signals: { stop: ended.signal, kill: killed.signal },
    gracePeriodMs,
    logger,
    drain: async ({ signal }) => {
      const isReplaced = successor !== undefined || isRelieved
      const times = drainTimes(settings, {
        isReplaced,
        isInterrupted: signals.isInterrupted() || isOrphan,
      })
      if (isRelieved) {
        // Kept-alive visitors connect again after their next answer; this process still serves them.
        server.discourageKeepAlive(true)
        await delay(limits.delayMs, undefined, { signal }).catch(() => {})
      }
      // Visitors at other workers reach the agents of this one until these have moved.
      if (!isReplaced || isRelieved) cluster?.leave()
      // The successor joins when it is released: this process has left the cluster by then.
      const onClosed = async (): Promise<void> => {
        if (!isRelieved) await cluster?.handOver()
        successor?.release()
      }
      if (isReplaced) await server.leave({ ...times, signal, onClosed })
      else await server.close({ ...times, signal })
    },
  })
  role?.close()
  return EXIT.ok
}

function proofChecks({ servers = [], privateAddresses }: Resolved<ServerTree>['domainProof']) {
  const asked = servers.map(({ host, port }) => formatHostPort(host, port || 53))
  return { txt: txtProof(asked), http: httpProof({ servers: asked, alsoFrom: privateAddresses }) }
}

/** The settings in force after a reload: what needs a restart is as it was before. */
function valuesInForce(
  before: readonly ResolvedValue[],
  next: readonly ResolvedValue[],
  changes: readonly SettingsChange[],
): readonly ResolvedValue[] {
  const waiting = changes.filter(({ reload }) => reload === 'restart')
  const waits = ({ key }: ResolvedValue): boolean =>
    waiting.some(
      (one) =>
        key === one.key || (/^[.[]/.test(key.slice(one.key.length)) && key.startsWith(one.key)),
    )
  return [...next.filter((value) => !waits(value)), ...before.filter(waits)]
}

/** This server as a node, where there is a database of a cluster. */
async function openCluster(
  { cluster: settings, upstream, names }: Resolved<ServerTree>,
  {
    role,
    ...parts
  }: Pick<ClusterOptions, 'identity' | 'inherited' | 'reservations' | 'heldNames'> & {
    readonly role: WorkerRole | undefined
    readonly logger: ServerLog['logger']
  },
): Promise<Cluster | undefined> {
  if (settings.databaseUrl === undefined && role === undefined) return undefined
  const { identity, logger } = parts
  if (role === undefined) logger.setBindings({ nodeId: identity.id, boot: identity.boot })
  try {
    return await Cluster.open({
      ...parts,
      settings,
      ...(role !== undefined && { engine: role.engine(), localSocket: role.socket }),
      rebalance: upstream.rebalance,
      version: VERSION,
      nameRetryAfterMs: nameRetryAfterMs(names.probeTimeoutMs),
    })
  } catch (error) {
    throw isPortcheckError(error) ? addressTaken(error) : error
  }
}

/** Closes inherited sockets that no listener uses and no public port may use later. */
function closeUnwanted(
  inherited: InheritedSockets,
  publicPorts: readonly PortRange[] | undefined,
  logger: Logger,
): void {
  const ranges = new PortRanges(publicPorts ?? [])
  for (const { name, host, port } of inherited.closeUnused((socket) => ranges.has(socket.port))) {
    logger.warn(
      {
        name,
        address: formatHostPort(host, port),
        hint: 'name it proxy, upstream or admin, or set the bind_addr of a listener to its address',
      },
      'inherited socket closed: no listener has its address',
    )
  }
}

/** Host names that requests without credentials may name: those of the addresses and of the domain. */
function portHostNames(
  binds: Readonly<Record<PortName, readonly ListenAddress[]>>,
  {
    baseDomain,
    publicUrl,
  }: { readonly baseDomain: readonly string[]; readonly publicUrl: string | undefined },
): Record<PortName, readonly string[]> {
  const outside = publicUrl === undefined ? [] : [new URL(publicUrl).hostname]
  const domains = [...baseDomain.map((one) => canonicalDomain(one) ?? one), ...outside]
  const below = domains.flatMap((domain) => [domain, `*.${domain}`])
  return {
    proxy: [...hostNames(binds.proxy), ...below],
    upstream: [...hostNames(binds.upstream), ...below],
    admin: hostNames(binds.admin),
  }
}

/** Warns where more connections are configured than this process has file descriptors for. */
function warnOfFewDescriptors(
  settings: Readonly<
    Record<'proxy' | 'publicPorts' | 'upstream', { readonly maxConnections: number }>
  >,
  { descriptors, visitors, all }: ConnectionShares & { readonly descriptors: number },
  logger: Logger,
): void {
  const ports = [
    ['proxy.max_connections', settings.proxy, PROXY_LIMITS, visitors],
    ['public_ports.max_connections', settings.publicPorts, PUBLIC_PORT_LIMITS, visitors],
    ['upstream.max_connections', settings.upstream, UPSTREAM_PORT_LIMITS, all],
  ] as const
  for (const [setting, { maxConnections: configured }, limits, maxConnections] of ports) {
    if (maxConnections >= configured) continue
    // The default fits to what the process has; only a number that was configured is worth a warning.
    const level = configured === limits.maxConnections.default ? 'debug' : 'warn'
    logger[level](
      {
        setting,
        maxConnections,
        configured,
        descriptors,
        hint: 'raise ulimit -n, or LimitNOFILE of the service',
      },
      'fewer connections than configured: the process may open too few files',
    )
  }
}

/** Tenants that have a domain of their own. */
function tenantDomains(
  tenants: readonly { readonly id: string; readonly baseDomain: string | undefined }[],
): TenantDomain[] {
  return tenants.flatMap(({ id: tenant, baseDomain }) =>
    baseDomain === undefined ? [] : [{ tenant, baseDomain }],
  )
}
