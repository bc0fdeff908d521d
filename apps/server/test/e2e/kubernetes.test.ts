// examples/kubernetes: the fields are those of Kubernetes, what the files refer to is there, containers have few rights,
// and the agent takes its file. recipes.test.ts starts the server with the arguments of its manifest. Nothing is applied to a cluster.
import { execFile } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { readYamlDocuments } from '@proj/testkit/yaml-documents'
import { expect, test } from 'vitest'

import { adit } from './programs.ts'

interface Container {
  readonly args: readonly string[]
  readonly ports: readonly { readonly name: string }[]
  readonly securityContext: unknown
  readonly volumeMounts: readonly { readonly name: string }[]
}

interface Resource {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> }
  readonly data?: Readonly<Record<string, string>>
  readonly resources?: readonly string[]
  readonly spec?: {
    readonly selector?: Selector & Readonly<Record<string, unknown>>
    readonly podSelector?: Selector
    readonly ports?: readonly { readonly name: string }[]
    readonly ingress?: readonly { readonly ports: readonly { readonly port: string }[] }[]
    readonly endpoints?: readonly { readonly port: string }[]
    readonly volumeClaimTemplates?: readonly Resource[]
    readonly template?: {
      readonly metadata: { readonly labels: Readonly<Record<string, string>> }
      readonly spec: {
        readonly containers: readonly [Container]
        readonly volumes: readonly {
          readonly name: string
          readonly configMap?: { name: string }
        }[]
        readonly securityContext: unknown
      }
    }
  }
}

interface Selector {
  readonly matchLabels?: Readonly<Record<string, string>>
}

const FOLDER = fileURLToPath(new URL('../../../../examples/kubernetes', import.meta.url))
const files = readdirSync(FOLDER).filter((name) => name !== 'kustomization.yaml')
const resources = files.flatMap((name) => readYamlDocuments(`${FOLDER}/${name}`) as Resource[])
const workloads = resources.flatMap(({ spec }) => spec?.template ?? [])
const ofKind = (kind: string): Resource[] => resources.filter((one) => one.kind === kind)

/** The pods that a selector finds, by the label that all of ours have. */
function podsOf(labels: unknown) {
  return workloads.filter(({ metadata }) => expectsLabels(metadata.labels, labels))
}

function expectsLabels(labels: Readonly<Record<string, string>>, wanted: unknown): boolean {
  return Object.entries(wanted as object).every(([key, value]) => labels[key] === value)
}

const SERVER = fileURLToPath(new URL('../..', import.meta.url))

/** Kinds that are no part of Kubernetes: their types are not in the package. */
const FOREIGN = ['monitoring.coreos.com/v1']

/**
 * What the types of Kubernetes say against resources: a field that they do not have, another type, a missing field.
 *
 * @returns one line for each mistake
 */
async function judge(judged: readonly unknown[]): Promise<readonly string[]> {
  using folder = temporaryDirectory()
  const text = (judged as Resource[]).map((resource) => {
    const { apiVersion, kind } = resource
    const group = apiVersion.includes('/') ? apiVersion.replace(/[.]k8s[.]io/, '') : 'core/v1'
    const types = `${SERVER}node_modules/kubernetes-types/${group}.d.ts`
    return `;(${JSON.stringify(resource)}) satisfies import('${types}').${kind}\n`
  })
  const file = folder.write('resources.ts', text.join(''))
  const tsc = `${SERVER}node_modules/typescript/bin/tsc`
  const flags = ['--noEmit', '--strict', '--types', '', '--pretty', 'false', '--ignoreConfig']
  try {
    await promisify(execFile)(process.execPath, [tsc, ...flags, file], { cwd: folder.path })
    return []
  } catch (error) {
    const { stdout } = error as { readonly stdout: string }
    return stdout.split('\n').filter((line) => line.includes('error TS'))
  }
}

test('every field is one of Kubernetes', { timeout: 60_000 }, async () => {
  const own = resources.filter(({ apiVersion }) => !FOREIGN.includes(apiVersion))
  expect(own).toHaveLength(8)
  expect(await judge(own)).toEqual([])
})

test('a misspelt, a missing and a wrong field are found', { timeout: 60_000 }, async () => {
  const metadata = { name: 'one' }
  const found = await judge([
    { apiVersion: 'v1', kind: 'Service', metadata, spec: { selectors: {} } },
    { apiVersion: 'apps/v1', kind: 'StatefulSet', metadata, spec: {} },
    { apiVersion: 'policy/v1', kind: 'PodDisruptionBudget', metadata: { name: 1 } },
  ])
  expect(found.map((line) => /\((\d+),/.exec(line)?.[1])).toEqual(['1', '2', '3'])
})

test('kustomization.yaml lists files that are there', () => {
  const [{ resources: listed = [] } = {}] = readYamlDocuments(
    `${FOLDER}/kustomization.yaml`,
  ) as Partial<Resource>[]
  expect(listed.filter((name) => !files.includes(name))).toEqual([])
  expect(listed).not.toEqual([])
})

test('each selector finds the pods of one workload, and each port has a name there', () => {
  const selecting = resources.flatMap(({ kind, spec }) => {
    const labels =
      kind === 'Service' ? spec?.selector : (spec?.podSelector ?? spec?.selector)?.matchLabels
    return kind === 'ServiceMonitor' || labels === undefined ? [] : [{ labels, spec }]
  })
  expect(selecting).toHaveLength(7)
  for (const { labels, spec } of selecting) {
    const pods = podsOf(labels)
    expect(pods).toHaveLength(1)
    const names = pods[0]?.spec.containers[0].ports.map(({ name }) => name)
    const used = (spec?.ingress ?? []).flatMap(({ ports }) => ports.map(({ port }) => port))
    for (const port of used) expect(names).toContain(port)
  }
  for (const { spec } of ofKind('ServiceMonitor')) {
    const found = ofKind('Service').filter(({ metadata }) =>
      expectsLabels(metadata.labels ?? {}, spec?.selector?.matchLabels),
    )
    expect(found).toHaveLength(1)
    const names = found[0]?.spec?.ports?.map(({ name }) => name)
    for (const { port } of spec?.endpoints ?? []) expect(names).toContain(port)
  }
})

test('pods have few rights, and every volume that they mount', () => {
  expect(workloads).toHaveLength(2)
  for (const { spec } of workloads) {
    expect(spec.securityContext).toMatchObject({
      runAsNonRoot: true,
      runAsUser: 10_001,
      seccompProfile: { type: 'RuntimeDefault' },
    })
    expect(spec.containers[0].securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    })
    const claimed = ofKind('StatefulSet').flatMap((one) => one.spec?.volumeClaimTemplates ?? [])
    const volumes = [...spec.volumes, ...claimed.map(({ metadata }) => metadata)]
    for (const { name } of spec.containers[0].volumeMounts) {
      expect(volumes.map((volume) => volume.name)).toContain(name)
    }
    for (const { configMap } of spec.volumes) {
      const maps = ofKind('ConfigMap').map(({ metadata }) => metadata.name)
      expect(maps).toEqual(expect.arrayContaining(configMap === undefined ? [] : [configMap.name]))
    }
  }
})

test('the agent takes the file in the ConfigMap', async () => {
  using folder = temporaryDirectory()
  const [map] = ofKind('ConfigMap')
  const token = folder.write('token', 'secret')
  const text = map?.data?.['adit.yaml']?.replace('/run/secrets/adit/token', token) ?? ''
  const file = folder.write('adit.yaml', text)
  expect(text).toContain(token)
  const check = adit(['config', 'check', '--config', file])
  expect(await check.exited).toMatchObject({ code: 0 })
})
