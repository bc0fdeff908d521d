import { temporaryDirectory, type TemporaryDirectory } from '@proj/testkit/temporary-directory'

/** Files by their path below the root; objects are written as JSON. */
export type Files = Readonly<Record<string, string | object>>

/** A published package with nothing wrong. */
export const MUX: { name: string; scripts: Record<string, string>; dependencies: object } = {
  name: '@proj/mux',
  scripts: { build: 'x', 'check:pack': 'x', clean: 'x', lint: 'x', test: 'x', typecheck: 'x' },
  dependencies: { ws: 'catalog:prod' },
}

/** A small repository on disk. */
export function workspaceFixture(files: Files): TemporaryDirectory {
  const directory = temporaryDirectory()
  for (const [name, content] of Object.entries(files)) {
    directory.write(name, typeof content === 'string' ? content : JSON.stringify(content))
  }
  return directory
}
