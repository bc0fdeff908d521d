// examples/container: what the files there say of the images is compared. `pnpm dist` builds and starts them.
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

/** The user that tooling/scripts/src/image-root.mjs gives the folders of an image. */
const USER = '10001'

test.for(['adit-server', 'adit'])('the image of %s', (program) => {
  const stage = new Map(
    readStages()
      .get(program)
      ?.map(([name = '', rest = '']) => [name, rest]),
  )
  // nothing is fetched and nothing is run, so it is built without a registry for every architecture
  expect(stage.get('FROM')).toBe(`scratch AS ${program}`)
  expect([...stage.keys()]).not.toContain('RUN')
  expect(stage.get('ADD')).toBe(`${program}.tar /`)
  expect(JSON.parse(stage.get('ENTRYPOINT') ?? '')).toEqual([`/usr/bin/${program}`])
  expect(stage.get('HEALTHCHECK')).toMatch(
    new RegExp(` CMD \\["/usr/bin/${program}", "status"\\]$`),
  )
  expect(stage.get('USER')).toBe(`${USER}:${USER}`)
})

interface Service {
  readonly image: string
  readonly pull_policy?: string
  readonly tmpfs?: readonly string[]
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
  const ours = Object.values(services).filter(({ image }) => image.startsWith('localhost/'))
  const names = ours.map(({ image }) => image.replace(/^localhost\/(.*):latest$/, '$1'))
  expect(names.toSorted()).toEqual(['adit', 'adit-server'])
  for (const name of names) expect([...readStages().keys()]).toContain(name)
  for (const service of ours) {
    expect(service).toMatchObject({ read_only: true, cap_drop: ['ALL'], pull_policy: 'never' })
  }
  expect(services['agent']?.tmpfs).toEqual([`/run/adit:uid=${USER},gid=${USER},mode=0700`])
  expect(services['agent']).toMatchObject({
    environment: { ADIT_CONNECT_TOKEN_FILE: '/run/secrets/token' },
    secrets: ['token'],
  })
})
