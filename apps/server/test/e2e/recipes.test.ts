// The units for systemd in docs/operations.md, and the manifest for Kubernetes in examples/: what they say of our
// program is compared with the program.
import { spawnSync } from 'node:child_process'
import { chmodSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { ownNetwork } from '@proj/testkit/load-balancers'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { readYamlDocuments } from '@proj/testkit/yaml-documents'
import { expect, test } from 'vitest'

import { aditServer, portsOf } from './programs.ts'

const OPERATIONS = fileURLToPath(new URL('../../../../docs/operations.md', import.meta.url))
const MANIFEST = fileURLToPath(
  new URL('../../../../examples/kubernetes/adit-server.yaml', import.meta.url),
)

/** Grace period of the server, s. */
const GRACE_S = 60

test('systemd finds no mistake in the units', ({ skip }) => {
  const { error } = spawnSync('systemd-analyze', ['--version'])
  skip(error !== undefined, 'no systemd-analyze')
  using folder = temporaryDirectory()
  const [socket = '', service = ''] = [
    ...readFileSync(OPERATIONS, 'utf8').matchAll(/^```ini\n(.*?)^```/gms),
  ].map(([, block]) => block)
  const [, command = ''] = /^ExecStart=(\S+)/m.exec(service) ?? []
  const program = folder.write('adit-server', '#!/bin/sh\n', 0o755)
  chmodSync(program, 0o755)
  const units = { proxy: '8000', upstream: '8001', admin: '127.0.0.1:8002' }
  const files = Object.entries(units).map(([name, address]) =>
    folder.write(
      `adit-server-${name}.socket`,
      socket
        .replace('ListenStream=8000', `ListenStream=${address}`)
        .replace('FileDescriptorName=proxy', `FileDescriptorName=${name}`),
    ),
  )
  files.push(folder.write('adit-server.service', service.replace(command, program)))
  const { status, stderr, stdout } = spawnSync(
    'systemd-analyze',
    ['verify', '--man=no', ...files],
    {
      encoding: 'utf8',
    },
  )
  // It warns of unknown keys, and ends with 0.
  const ours = `${stdout}${stderr}`.split('\n').filter((line) => line.includes(folder.path))
  expect({ status, ours }).toEqual({ status: 0, ours: [] })
  const [, stopS] = /^TimeoutStopSec=(\d+)/m.exec(service) ?? []
  expect(Number(stopS)).toBeGreaterThan(GRACE_S)
})

interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string }
  readonly periodSeconds: number
  readonly failureThreshold: number
}

interface Container {
  readonly args: readonly string[]
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[]
  readonly readinessProbe: Probe
  readonly livenessProbe: Probe
}

interface Resource {
  readonly kind: string
  readonly metadata: { readonly name: string }
  readonly spec: {
    readonly serviceName?: string
    readonly ports?: readonly { readonly port: number; readonly targetPort?: string }[]
    readonly template?: {
      readonly spec: {
        readonly terminationGracePeriodSeconds: number
        readonly containers: readonly [Container]
      }
    }
  }
}

test.runIf(process.platform === 'linux')(
  'the server runs with the arguments of the manifest, and its probes are answered',
  async () => {
    const resources = readYamlDocuments(MANIFEST) as readonly Resource[]
    const set = resources.find(({ kind }) => kind === 'StatefulSet')
    const { containers, terminationGracePeriodSeconds } = set?.spec.template?.spec ?? {}
    const [container] = containers ?? []
    if (container === undefined) throw new Error('no container')
    const { args, ports, readinessProbe, livenessProbe } = container
    expect(terminationGracePeriodSeconds).toBeGreaterThan(GRACE_S)
    expect(args).toContain('--grace-period=1m')

    using folder = temporaryDirectory()
    const secret = folder.write('hmac-secret', 'a secret that is long enough for the key of a JWT')
    const address = `${ownNetwork()}.1`
    const server = aditServer([
      ...args.map((arg) =>
        arg
          .replace('/var/lib/adit', folder.path)
          .replace('/etc/adit/hmac-secret', secret)
          .replace('10.0.0.0/8', '127.0.0.0/8')
          .replace(/bind-addr=(?=:)/, `bind-addr=${address}`),
      ),
      '--json',
    ])
    const listens = portsOf(await server.event('ready'))
    const declared = Object.fromEntries(ports.map((one) => [one.name, one.containerPort]))
    expect(listens).toEqual(declared)

    const statusOf = async ({ httpGet }: Probe): Promise<number> =>
      (await fetch(`http://${address}:${declared[httpGet.port]}${httpGet.path}`)).status
    expect(await statusOf(readinessProbe)).toBe(200)
    expect(await statusOf(livenessProbe)).toBe(200)
    // Out of the load balancers before the server ends.
    const [, delayS] = /--drain\.delay=(\d+)s/.exec(args.join(' ')) ?? []
    const noticedS = readinessProbe.periodSeconds * readinessProbe.failureThreshold
    expect(Number(delayS)).toBeGreaterThan(noticedS)

    const services = resources.filter(({ kind }) => kind === 'Service')
    for (const { spec } of services) {
      for (const { port, targetPort = port } of spec.ports ?? []) {
        expect([...Object.keys(declared), ...Object.values(declared)]).toContain(targetPort)
      }
    }
    expect(services.map(({ metadata }) => metadata.name)).toContain(set?.spec.serviceName)
  },
)
