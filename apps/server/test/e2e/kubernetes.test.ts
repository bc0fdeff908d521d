// examples/kubernetes: what the files refer to is there, containers have few rights, and the agent takes its file.
// recipes.test.ts starts the server with the arguments of its manifest. Nothing is applied to a cluster.
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

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
