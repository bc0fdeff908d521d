import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { temporaryDirectory } from '@proj/testkit/temporary-directory'
import { expect, onTestFinished, test } from 'vitest'

import { bundleProgram } from '../src/bundle-program.mjs'

const SCANNER = '../../../packages/http1/src/scanner.ts'

/** Builds a program that has one module of http1. */
async function built(main: string) {
  const folder = temporaryDirectory()
  onTestFinished(() => folder[Symbol.dispose]())
  const app = join(folder.path, 'apps/server')
  const http1 = join(folder.path, 'packages/http1/src')
  for (const each of [join(app, 'src'), http1]) mkdirSync(each, { recursive: true })
  writeFileSync(join(http1, 'scanner.ts'), `export const TABLE = new Uint8Array(process.pid)\n`)
  writeFileSync(join(app, 'src/main.ts'), main)
  return await bundleProgram(app, join(app, 'dist'))
}

test('a module of the data path that an import() reaches is an error, since its constants become variables', async () => {
  const use = 'console.log(TABLE)\n'
  await expect(built(`import { TABLE } from '${SCANNER}'\n${use}`)).resolves.toEqual([])
  await expect(built(`const { TABLE } = await import('${SCANNER}')\n${use}`)).rejects.toThrow(
    /packages\/http1\/src\/scanner\.ts is reached by an import\(\)/,
  )
})
