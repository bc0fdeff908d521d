import { temporaryDirectory, type TemporaryDirectory } from '@proj/testkit/temporary-directory'

/** A small repository on disk: path below its root → content; objects are written as JSON. */
export function workspaceFixture(
  files: Readonly<Record<string, string | object>>,
): TemporaryDirectory {
  const directory = temporaryDirectory()
  for (const [name, content] of Object.entries(files)) {
    directory.write(name, typeof content === 'string' ? content : JSON.stringify(content))
  }
  return directory
}
