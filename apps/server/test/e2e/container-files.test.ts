// examples/container: what the files there say of our programs and packages is compared with them. No image is built.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import { readYamlDocuments } from '@proj/testkit/yaml-documents'
import { expect, test } from 'vitest'

const file = (name: string): string =>
  fileURLToPath(new URL(`../../../../examples/container/${name}`, import.meta.url))

/** Stages by name, each with its instructions; lines that go on are joined. */
function readStages(): Map<string, string[][]> {
  const text = readFileSync(file('Containerfile'), 'utf8').replaceAll(/^#.*\n/gm, '')
  const lines = text
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
    .filter(Boolean)
  const stages = new Map<string, string[][]>()
  let current: string[][] = []
  for (const line of lines) {
    const [, instruction = '', rest = ''] = /^([A-Z]+) (.*)$/.exec(line) ?? []
    const [, name] = / AS (\S+)$/.exec(rest) ?? []
    if (instruction === 'FROM' && name !== undefined) stages.set(name, (current = []))
    current.push([instruction, rest])
  }
  return stages
}

test.for(['adit-server', 'adit'])('the image of %s', (program) => {
  const stages = readStages()
  const stage = new Map(stages.get(program)?.map(([name = '', rest = '']) => [name, rest]))
  // the names that tooling/scripts/src/dist.mjs and debian-package.mjs give
  expect(stage.get('RUN')).toContain(`/dist/${program}_*_"$TARGETARCH".deb`)
  expect(JSON.parse(stage.get('ENTRYPOINT') ?? '')).toEqual([`/usr/bin/${program}`])
  expect(stage.get('HEALTHCHECK')).toMatch(
    new RegExp(` CMD \\["/usr/bin/${program}", "status"\\]$`),
  )
  const [, uid] = /--uid (\d+)/.exec(stages.get('base')?.map(String).join('\n') ?? '') ?? []
  expect(Number(uid)).toBeGreaterThan(0)
  expect(stage.get('USER')).toBe(`${uid}:${uid}`)
})

interface Service {
  readonly build?: { readonly target: string }
  readonly read_only?: boolean
  readonly cap_drop?: readonly string[]
  readonly secrets?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
}

test('the services of compose.yaml are our images, with few rights and no secret in the file', () => {
  const [compose] = readYamlDocuments(file('compose.yaml')) as readonly {
    readonly services: Readonly<Record<string, Service>>
  }[]
  const services = compose?.services ?? {}
  const ours = Object.values(services).filter(({ build }) => build !== undefined)
  expect(new Set(ours.map(({ build }) => build?.target))).toEqual(new Set(['adit', 'adit-server']))
  for (const service of ours) {
    expect(service).toMatchObject({ read_only: true, cap_drop: ['ALL'] })
    expect(readStages().has(service.build?.target ?? '')).toBe(true)
  }
  expect(services['agent']).toMatchObject({
    environment: { ADIT_CONNECT_TOKEN_FILE: '/run/secrets/token' },
    secrets: ['token'],
  })
})
