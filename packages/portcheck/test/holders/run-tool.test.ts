import { describe, expect, it } from 'vitest'

import { runTool } from '../../src/holders/run-tool.ts'
import { findWindowsHolders } from '../../src/holders/windows.ts'

const node = async (script: string): Promise<string | undefined> =>
  await runTool(process.execPath, ['-e', script])

describe('runTool', () => {
  it('returns what a tool prints, also when it fails afterwards', async () => {
    expect(await node(`console.log('some'); process.exitCode = 1`)).toBe('some\n')
  })

  it('passes arguments unchanged, without a shell', async () => {
    const args = ['-e', 'console.log(process.argv[1])', '$(id) `id` ; id']
    expect(await runTool(process.execPath, args)).toBe('$(id) `id` ; id\n')
  })

  it('gives a tool a fixed locale and almost no environment', async () => {
    const seen = JSON.parse((await node('console.log(JSON.stringify(process.env))')) ?? '')
    expect(seen).toEqual({ LC_ALL: 'C', SystemRoot: 'C:\\Windows' })
  })

  it('ends a tool that takes too long', async () => {
    expect(await node('setInterval(() => {}, 1000)')).toBeUndefined()
  })

  it('ends a tool with too much output', async () => {
    const script = `process.stdout.write('x'.repeat(9 * 1024 * 1024))`
    expect(await node(script)).toBeUndefined()
  })

  it('returns undefined when the tool is missing', async () => {
    expect(await runTool('/no/such/tool', [])).toBeUndefined()
  })
})

describe.skipIf(process.platform === 'win32')('a look-up without its tool', () => {
  it('is undefined, which is not the same as an empty list', async () => {
    expect(await findWindowsHolders(80)).toBeUndefined()
  })
})
